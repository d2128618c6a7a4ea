"""Values between processes: what is plain crosses over as it is, and nothing in a hostile answer acts or takes long."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import sys
from collections import OrderedDict, defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam.analysis import wire
from dam.analysis.facts import FLAGS, load_facts
from dam.analysis.jobs import Failure
from dam.analysis.wire import packed

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = __name__.partition(".")[0]
HERE = f"{__name__}:compute"


class Point(NamedTuple):
    x: object
    y: object = None


class Named(Point):
    __slots__ = ()


class Colour(enum.Enum):
    RED = "red"
    ROUGE = "red"  # noqa: PIE796 - an alias
    BLUE = (1, 2)


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    A = "a"


class Rights(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()
    BOTH = READ | WRITE
    RUN = enum.auto()


class Bits(enum.IntFlag):
    LOW = 1
    HIGH = 8


@dataclass
class Base:
    a: object
    kind: ClassVar[str] = "base"


@dataclass(frozen=True, slots=True)
class Frozen:
    a: object
    b: object = None


@dataclass(slots=True)
class Derived(Base):
    b: object = 2
    made: object = field(init=False, default=3)
    unset: object = field(init=False, compare=False, repr=False)


@dataclass(kw_only=True, eq=False)
class Checked:
    """Its instances are equal where all that they hold is."""

    a: object

    def __post_init__(self) -> None:
        raise AssertionError("the one who reads calls nothing")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checked) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return 0


def checked(a: object) -> Checked:
    made = object.__new__(Checked)
    made.a = a
    return made


def same(one: Any, other: Any) -> bool:
    """Of the same types and values all through, and no difference between a NaN and itself, or 0.0 and -0.0 as they are."""
    if type(one) is not type(other):
        return False
    if isinstance(one, enum.Enum):
        return one is other
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, decimal.Decimal):
        return repr(one) == repr(other)
    if isinstance(one, dict):
        return len(one) == len(other) and all(map(same, one, other)) and all(map(same, one.values(), other.values()))
    if isinstance(one, (list, tuple, deque)):
        limits = [getattr(each, "maxlen", None) for each in (one, other)]
        return len(one) == len(other) and limits[0] == limits[1] and all(map(same, one, other))
    if isinstance(one, (datetime.datetime, datetime.time)):
        return (repr(one), one.tzinfo, one.fold) == (repr(other), other.tzinfo, other.fold)
    if isinstance(one, complex):
        return repr(one) == repr(other)
    slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__dataclass_fields__", ())]
    if slots:
        return all(
            same(getattr(one, name), getattr(other, name)) if hasattr(one, name) else not hasattr(other, name)
            for name in slots
        )
    return bool(one == other)


def characters() -> st.SearchStrategy[str]:
    return st.text(st.characters(categories=None), max_size=20)


zones = st.builds(
    datetime.timezone, st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23))
) | st.just(datetime.timezone(datetime.timedelta(hours=1), "somewhere"))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(1 << 2000), 1 << 2000),
    st.sampled_from([1 << 63, (1 << 64) - 1, 1 << 64, -(1 << 63), -(1 << 63) - 1]),
    st.floats(),
    st.complex_numbers(),
    characters(),
    st.binary(max_size=20),
    st.dates(),
    st.datetimes(timezones=st.none() | zones),
    st.datetimes().map(lambda moment: moment.replace(fold=1)),
    st.times(timezones=st.none() | zones),
    st.timedeltas(),
    zones,
    st.decimals(),
    st.sampled_from([decimal.Decimal("sNaN123"), decimal.Decimal("-0E-9"), decimal.Decimal("1E+999999")]),
    st.builds(range, st.integers(-(1 << 70), 1 << 70), st.integers(-(1 << 70), 1 << 70), st.sampled_from([1, -2])),
    st.sampled_from(
        [*Colour, *Number, *Word, *Rights, Rights(0), Rights.READ | Rights.RUN, Bits.LOW, Bits(9), Bits(6)]
    ),
)
keys = st.recursive(
    scalars.filter(lambda value: not isinstance(value, decimal.Decimal) and value == value),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Frozen, inner, inner),
    ),
    max_leaves=4,
)
values = st.recursive(
    scalars | st.binary(max_size=9).map(bytearray),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.builds(deque, st.lists(inner, max_size=4), st.sampled_from([None, 4])),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4).map(OrderedDict),
        st.sets(keys, max_size=4),
        st.frozensets(keys, max_size=4),
        st.builds(Point, inner, inner),
        st.builds(Named, inner, inner),
        st.builds(Base, inner),
        st.builds(Frozen, inner, inner),
        st.builds(Derived, inner, inner),
        st.builds(checked, inner),
    ),
    max_leaves=12,
)


@given(values)
def test_every_nested_plain_value_crosses_over_as_it_is(value: object) -> None:
    assert same(load_facts(packed(value), HERE), value)


@pytest.mark.parametrize("length", [wire.CHUNK - 1, wire.CHUNK, wire.CHUNK + 1, 5 * wire.CHUNK])
def test_long_collections_cross_over(length: int) -> None:
    texts = [str(number) for number in range(length)]
    for value in (
        [*range(length)],
        {*texts},
        dict.fromkeys(range(length), "x"),
        tuple(texts),
        "\udcff" * length,
        [[texts]],
    ):
        assert load_facts(packed(value), HERE) == value


def test_what_is_deep_crosses_over() -> None:
    value: object = None
    for _ in range(100):
        value = [{"a": (value,)}]
    assert load_facts(packed(value), HERE) == value


def test_a_field_that_is_not_set_stays_so() -> None:
    found: Any = load_facts(packed(Derived(1)), HERE)
    assert found == Derived(1)
    assert not hasattr(found, "unset")


class Text(str):
    __slots__ = ()


class Open(enum.Enum):
    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> Open:
        made = object.__new__(cls)
        made._name_, made._value_ = "OTHER", 5
        return made


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), r"cannot send builtins\.object; plain values cross over"),
        (Text("x"), r"cannot send .*\.Text; plain values cross over"),
        ([(defaultdict(int),)], r"cannot send collections\.defaultdict"),
        ({"a": lambda: None}, r"cannot send builtins\.function"),
        (Failure, r"cannot send builtins\.type"),
        (Open(5), "cannot send <Open.OTHER: 5>; of an enum its members cross over"),
    ],
)
def test_what_is_no_data_is_refused_by_name(value: object, named: str) -> None:
    with pytest.raises(TypeError, match=named):
        packed(value)


def raw(*items: object) -> bytes:
    """An array as msgpack writes it."""
    message: object = msgpack.packb([*items])
    assert isinstance(message, bytes)
    return message


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "hostile_computes:system",
        "hostile_computes:os.system",
        "hostile_computes:Opaque",
        "hostile_computes:Size.__class__",
        "hostile_computes:Rich.size",
        "hostile_computes:NamedTuple",
        "hostile_computes:nothing",
        "hostile_computes:",
        "hostile_computes",
        "hostile_computes.__main__:Size",
        "hostile_computes.nowhere:Size",
        "hostile_computes..:Size",
        "builtins:eval",
        "functools:partial",
        ":Size",
        "",
        "hostile_computes." * 100_000,
    ],
)
def test_facts_can_name_nothing_but_data(name: str, monkeypatch: pytest.MonkeyPatch, folder_of_computes: str) -> None:
    monkeypatch.syspath_prepend(folder_of_computes)
    with pytest.raises(TypeError, match="the facts hold"):
        load_facts(raw(1, 2, name), "hostile_computes:content")


@pytest.fixture
def folder_of_computes(request: pytest.FixtureRequest) -> str:
    return str(request.path.parent)


def test_a_module_that_ends_the_process_when_imported_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hostile_package").mkdir()
    (tmp_path / "hostile_package" / "__init__.py").touch()
    (tmp_path / "hostile_package" / "script.py").write_text("raise SystemExit('over')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match=r"'hostile_package\.script', which cannot be imported: over"):
        load_facts(raw("hostile_package.script:X"), "hostile_package:compute")


def test_a_package_may_not_use_the_data_types_of_another() -> None:
    facts = packed(Failure("error", "of a compute, it says"))
    with pytest.raises(TypeError, match="return plain values, or NamedTuples, dataclasses and enums defined in"):
        load_facts(facts, "hostile_computes:content")
    assert load_facts(facts, "dam.analysis:anything") == Failure("error", "of a compute, it says")


POINT, FROZEN, COLOUR, BITS = (f"{__name__}:{kind.__qualname__}" for kind in (Point, Frozen, Colour, Bits))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"", "incomplete input|Unpack failed"),
        (b"garbage", "extra data"),
        (b"\x90", "pop from empty list"),
        (b"\x80\x01", "extra data"),
        (b"\x81\xa1a\x01", "max_map_len"),
        (b"\xd6\xff\x00\x00\x00\x01", "max_ext_len"),
        (b"\xc7\x00\x05", "extension 5"),
        (b"\xa1\xff", "utf-8"),
        (b"\x91" * 2000, None),
        (b"\xdd\xff\xff\xff\xff", "max_array_len"),
        (raw(99), "99 is no kind of value"),
        (raw(True), "True is no kind of value"),
        (raw([wire.LIST]), r"\[\] is no kind of value"),
        (raw(1, wire.DICT), "shorter|longer"),
        (raw([wire.LIST], 1, wire.DICT), "unhashable"),
        (raw(1, [0, 9, 1, wire.RANGE], wire.LIST, wire.JOINED), "only list can be here"),
        (raw("abc", wire.LIST, wire.JOINED), "only list can be here"),
        (raw(1 << 31, wire.BYTEARRAY), "only bytes can be here"),
        (raw("1" * 1000, "1", wire.COMPLEX), "only float can be here"),
        (raw("x", wire.DECIMAL), "ConversionSyntax"),
        (raw(1, wire.DECIMAL), "only str can be here"),
        (raw(256, wire.INTEGER), "range"),
        (raw(*bytes(wire.INTEGER_BYTES + 1), wire.INTEGER), "an int of 2049 bytes; 2048 may cross over"),
        (raw(-1, wire.TEXT), "range"),
        (raw(1 << 40, wire.TIMEDELTA), "too large"),
        (raw(-1, wire.DEQUE), "non-negative"),
        (raw(1, POINT), "1 values for the 2 fields of Point"),
        (raw("c", 1, FROZEN), "Frozen has no field 'c'"),
        (raw("__class__", 1, FROZEN), "Frozen has no field '__class__'"),
        (raw("a", FROZEN), "shorter|longer"),
        (raw("GREEN", COLOUR), "GREEN"),
        (raw("red", COLOUR), "red"),
        (raw(1, COLOUR), "1 is no member of Colour"),
        (raw(COLOUR), "not enough values"),
    ],
)
def test_a_message_that_nobody_here_would_send_is_an_exception(message: bytes, said: str | None) -> None:
    with pytest.raises(Exception, match=said):
        load_facts(message, HERE)


def test_a_message_has_a_million_values_at_most() -> None:
    most = [*range(wire.VALUES - 200)]
    assert load_facts(packed(most), HERE) == most
    too_many: list[object] = [[None] * wire.VALUES, [[]] * wire.VALUES, [deque(maxlen=1)] * (wire.VALUES // 2)]
    for value in too_many:
        with pytest.raises(ValueError, match="more than 1048576 values in one message"):
            load_facts(packed(value), HERE)


def test_keys_that_all_have_the_same_hash_are_refused() -> None:
    same_hash = [number * sys.hash_info.modulus for number in range(1000)]
    alike: list[object] = [
        set(same_hash),
        frozenset(same_hash),
        dict.fromkeys(same_hash),
        OrderedDict.fromkeys(same_hash),
        [{(key,) for key in same_hash}],
    ]
    for value in alike:
        with pytest.raises(ValueError, match="more than 16 keys have the same hash"):
            load_facts(packed(value), HERE)
    grid = {(x, y, z): math.hypot(x, y, z) for x in range(-9, 9) for y in range(-9, 9) for z in range(-9, 9)}
    assert load_facts(packed(grid), HERE) == grid


def test_an_enum_is_not_asked_for_flags_without_end() -> None:
    """Some versions of Python remember each set of flags that was asked for, for ever."""
    with suppress(TypeError):
        load_facts(raw(*([number, BITS] for number in range(10_000)), wire.LIST), HERE)
    assert len(Bits._value2member_map_) <= FLAGS

"""Values on their way between a world's process and its workers: data in msgpack, and nothing that acts.

Scalars are msgpack's own. Everything else is an array that ends with its kind: a number of `READERS`, or the name of a
class, which is looked up by whoever reads. There are no maps, because their reader would build dicts of unchecked keys
and intern the texts among them, some versions of Python for ever; and no extensions.

What is read may have been written by a hostile file, so everything has a bound: `VALUES` in a message, `CHUNK` in what
an array can claim before it is there (msgpack makes room for it, at each of at most 1024 levels), `INTEGER_BYTES`, and
`SAME_HASH` among the keys of one container. Nothing is called but types written in C, with arguments of checked types.

Workers import this module: no `typing`, no `dataclasses`, no `decimal`.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, deque
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum, Flag
from functools import partial
from itertools import chain

from msgpack import packb, unpackb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, NoReturn

    Items = list[Any]
    Reader = Callable[[Items], object]
    Writer = tuple[int | str, Callable[[Any], Iterable[object]]]

VALUES = 1 << 20
CHUNK = 1 << 14
INTEGER_BYTES = (
    2048  # comparing an int with a Decimal takes the square of its length; Python prints none that is longer
)
SAME_HASH = 16  # (-1, -1, -1) and (-2, -2, -2) are among eight that have the same

SCALARS = frozenset({type(None), bool, int, float, str, bytes})
KINDS = frozenset({int, str})
LISTS = frozenset({list})

(
    LIST,
    TUPLE,
    DICT,
    SET,
    FROZENSET,
    ORDERED,
    DEQUE,
    BYTEARRAY,
    TEXT,
    INTEGER,
    COMPLEX,
    RANGE,
    DATE,
    TIME,
    DATETIME,
    TIMEDELTA,
    TIMEZONE,
    DECIMAL,
    JOINED,
) = range(19)


def packed(value: object) -> bytes:
    """Raises `TypeError` where something is no data."""
    try:
        message: object = packb(tree(value, SCALARS), default=long_integer, buf_size=1024)
    except UnicodeEncodeError:  # half a character, as in names of files: seldom, so nobody else pays for looking
        message = packb(tree(value, SCALARS - {str}), default=long_integer, buf_size=1024)
    assert isinstance(message, bytes)
    return message


def tree(value: Any, scalars: frozenset[type]) -> object:
    """Of scalars and lists alone."""
    kind = type(value)
    if kind in scalars or (kind is str and is_whole(value)):
        return value
    number, items_of = WRITERS.get(kind) or writer_of(kind)
    items = [*items_of(value)]
    if not scalars.issuperset(map(type, items)):
        items = [item if type(item) in scalars else tree(item, scalars) for item in items]
    if len(items) > CHUNK:
        chunks: Items = [[*items[start : start + CHUNK], LIST] for start in range(0, len(items), CHUNK)]
        return [*chunks, number, JOINED]
    items.append(number)
    return items


def is_whole(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def long_integer(value: int) -> Items:
    """Bytes as values, so that they count as such."""
    return [*value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True), INTEGER]


def pairs(value: dict[Any, Any]) -> Iterable[object]:
    return chain.from_iterable(value.items())


def state(value: object) -> Iterable[object]:
    """The arguments that make an equal one, as the standard library's types tell `copy`; the time of day in ten bytes."""
    reduced: Any = value.__reduce_ex__(4)
    arguments: Iterable[object] = reduced[1]
    return arguments


WRITERS: dict[type, Writer] = {
    list: (LIST, iter),
    tuple: (TUPLE, iter),
    dict: (DICT, pairs),
    set: (SET, iter),
    frozenset: (FROZENSET, iter),
    OrderedDict: (ORDERED, pairs),
    deque: (DEQUE, lambda value: (value.maxlen, *value)),
    str: (TEXT, partial(map, ord)),
    bytearray: (BYTEARRAY, lambda value: (bytes(value),)),
    complex: (COMPLEX, lambda value: (value.real, value.imag)),
    range: (RANGE, state),
    date: (DATE, state),
    time: (TIME, state),
    datetime: (DATETIME, state),
    timedelta: (TIMEDELTA, state),
    timezone: (TIMEZONE, state),
}


def writer_of(kind: type[Any]) -> Writer:
    """Looks at a class once."""
    WRITERS[kind] = writer = new_writer(kind)
    return writer


def new_writer(kind: type[Any]) -> Writer:
    name = f"{kind.__module__}:{kind.__qualname__}"
    if issubclass(kind, Enum):
        return name, member
    if is_named_tuple(kind):
        return name, tuple.__iter__
    if hasattr(kind, "__dataclass_fields__"):
        return name, partial(named_fields, field_names(kind))
    if kind is getattr(sys.modules.get("decimal"), "Decimal", None):
        return DECIMAL, state
    raise TypeError(
        f"cannot send {name.replace(':', '.')}; plain values cross over, and NamedTuples, dataclasses and enums that "
        f"the package of the compute defines"
    )


def member(value: Enum) -> Iterable[str | int]:
    """Its name, or the number of several flags together, which have none."""
    if type(value)._member_map_.get(value._name_) is value:
        yield value._name_
    elif isinstance(value, Flag):
        yield value._value_
    else:
        raise TypeError(f"cannot send {value!r}; of an enum its members cross over")


def named_fields(names: tuple[str, ...], value: object) -> Iterable[object]:
    """Those that are set, as name and value in turn."""
    return chain.from_iterable((name, getattr(value, name)) for name in names if hasattr(value, name))


def is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def field_names(kind: type[Any]) -> tuple[str, ...]:
    from dataclasses import fields  # whoever made the class has imported it

    return tuple(field.name for field in fields(kind))


def unpacked(message: bytes, readers: Mapping[int | str, Reader]) -> object:
    """What `packed` was given. Arrays are made by the reader of their kind. Hostile bytes raise any `Exception`."""
    left = VALUES

    def read(items: Items) -> object:
        nonlocal left
        left -= len(items)
        if left < 0:
            raise ValueError(f"more than {VALUES} values in one message; send less, or text and bytes instead of lists")
        kind = items.pop()
        if type(kind) is int and kind == JOINED:
            kind = items.pop()
            items = [*chain.from_iterable(checked(items, LISTS))]
        if type(kind) not in KINDS:
            raise TypeError(f"{kind!r} is no kind of value")
        return readers[kind](items)

    return unpackb(
        message, list_hook=read, ext_hook=no_extension, max_array_len=CHUNK + 2, max_map_len=0, max_ext_len=0
    )


def no_extension(code: int, _: bytes) -> NoReturn:
    raise ValueError(f"extension {code} of msgpack means nothing here")


def checked(items: Items, types: frozenset[type]) -> Items:
    if not types.issuperset(map(type, items)):
        raise TypeError(f"only {' and '.join(sorted(each.__name__ for each in types))} can be here")
    return items


def distinct(keys: Items) -> Items:
    """Keys that a dict or set takes in no more than a moment. Many of the same hash would take the square of it."""
    if len(keys) > SAME_HASH and max(Counter(map(hash, keys)).values()) > SAME_HASH:
        raise ValueError(f"more than {SAME_HASH} keys have the same hash; use text or bytes as keys")
    return keys


def entries(items: Items) -> Iterable[tuple[Any, Any]]:
    return zip(distinct(items[::2]), items[1::2], strict=True)


def text(items: Items) -> str:
    return "".join(map(chr, checked(items, frozenset({int}))))


def integer(items: Items) -> int:
    if len(items) > INTEGER_BYTES:
        raise ValueError(f"an int of {len(items)} bytes; {INTEGER_BYTES} may cross over: send longer ones as bytes")
    return int.from_bytes(checked(items, frozenset({int})), "little", signed=True)


def decimal(items: Items) -> object:
    from decimal import Decimal  # most workers meet none

    [written] = checked(items, frozenset({str}))
    return Decimal(written)


def called(make: Callable[..., object], *types: type) -> Reader:
    taken = frozenset(types)
    return lambda items: make(*checked(items, taken))


def itself(items: Items) -> Items:
    return items


READERS: dict[int | str, Reader] = {
    LIST: itself,
    TUPLE: tuple,
    DICT: lambda items: dict(entries(items)),
    SET: lambda items: set(distinct(items)),
    FROZENSET: lambda items: frozenset(distinct(items)),
    ORDERED: lambda items: OrderedDict(entries(items)),
    DEQUE: lambda items: deque(items[1:], *checked(items[:1], frozenset({int, type(None)}))),
    BYTEARRAY: called(bytearray, bytes),
    TEXT: text,
    INTEGER: integer,
    COMPLEX: called(complex, float),
    RANGE: called(range, int),
    DATE: called(date, bytes),
    TIME: called(time, bytes, timezone),
    DATETIME: called(datetime, bytes, timezone),
    TIMEDELTA: called(timedelta, int),
    TIMEZONE: called(timezone, timedelta, str),
    DECIMAL: decimal,
}

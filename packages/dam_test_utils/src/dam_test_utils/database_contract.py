"""What every kind of database has to keep to, as one check for the tests of its author:

async def test_the_database_keeps_the_contract(empty_database: str) -> None:
    await check_database(empty_database)
"""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, LargeBinary, String, UniqueConstraint, func, inspect, make_url, or_, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, mapped_column

from dam.core.bisection import in_halves
from dam.core.databases import backend_of
from dam.core.exceptions import RevisionError, SelfDeadlockError
from dam.core.leases import claimed
from dam.core.migrations import RevisionTree, on_schema, schema_states, upgrade
from dam.core.revisions import downgrade
from dam.models.core.base_component import (
    EMBEDDED,
    PERSON,
    BaseComponent,
    Component,
    LayeredComponent,
    MarkerComponent,
    UniqueComponent,
)
from dam.models.core.fields import UNINDEXED
from dam.models.entity import Entity
from dam_test_utils.fixtures import bare_world, create_tables

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncSession

    from dam.core.transaction import WorldTransaction
    from dam.core.world import World

__all__ = ["DatabaseContractError", "check_database"]

PATIENCE = 10.0
"""Seconds after which somebody is said to wait who must not."""

WRITERS = 6


class DatabaseContractError(AssertionError):
    """Says everything that a database does not keep to."""


class ContractPair(UniqueComponent):
    """A value that can be updated, kept, or not be there."""

    __tablename__ = "dam_test_utils_pair"
    name: Mapped[str | None]
    number: Mapped[int] = mapped_column(default=0)


class ContractWord(BaseComponent):
    """Many per entity; a word is there once."""

    __tablename__ = "dam_test_utils_word"
    __table_args__ = (UniqueConstraint("entity_id", "word"),)
    word: Mapped[str]
    weight: Mapped[int] = mapped_column(default=1)


class ContractDigest(UniqueComponent):
    """What identifies an entity."""

    __tablename__ = "dam_test_utils_digest"
    value: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class ContractTitle(LayeredComponent):
    """What several sources say."""

    __tablename__ = "dam_test_utils_title"
    title: Mapped[str | None] = mapped_column(default=None)
    year: Mapped[int | None] = mapped_column(default=None)


class ContractQueue(MarkerComponent):
    """Work to be shared."""

    __tablename__ = "dam_test_utils_queue"


class ContractValue(UniqueComponent):
    """One of everything that can be stored."""

    __tablename__ = "dam_test_utils_value"
    words: Mapped[str | None] = mapped_column(String, default=None, info=UNINDEXED)
    short: Mapped[str | None] = mapped_column(String(5), default=None, info=UNINDEXED)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary, default=None, info=UNINDEXED)
    whole: Mapped[int | None] = mapped_column(default=None)
    part: Mapped[float | None] = mapped_column(default=None)
    truth: Mapped[bool | None] = mapped_column(default=None)
    moment: Mapped[datetime | None] = mapped_column(default=None)
    tree: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True, default=None)


COMPONENTS: Sequence[type[Component]] = (
    ContractPair,
    ContractWord,
    ContractDigest,
    ContractTitle,
    ContractQueue,
    ContractValue,
)


async def check_database(database_url: str) -> None:
    """Opens worlds over an empty database, writes and reads in them at once, and looks at what comes of it.

    Raises ``DatabaseContractError``.
    """
    async with bare_world(database_url, "contract") as one, bare_world(database_url, "contract") as other:
        problems = await _told_by(_beginning, one, other)
        if not problems:
            await create_tables(one, *COMPONENTS)
            for check in CHECKS:
                problems += await _told_by(check, one, other)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise DatabaseContractError(f"the database does not keep to the contract\n{lines}")


Check = Callable[["World", "World"], AsyncIterator[str]]


async def _told_by(check: Check, one: World, other: World) -> list[str]:
    problems: list[str] = []
    try:
        async for problem in check(one, other):
            problems.append(problem)  # noqa: PERF401  what was told before it raised is told
    except Exception as e:  # noqa: BLE001  a stranger's code can raise whatever it likes, and is at fault
        line = (str(e).splitlines() or [""])[0]
        problems.append(f"{check.__name__.strip('_').replace('_', ' ')}: {type(e).__name__}: {line}")
    return problems


# -- what the backend says of itself, and the schema


async def _beginning(one: World, other: World) -> AsyncIterator[str]:
    backend, url = backend_of(one.engine), make_url(one.config.database_url)
    if backend.driver != url.drivername:
        yield f"its driver is {backend.driver!r}, and the database_url says {url.drivername!r}"
    if make_url(backend.example).drivername != backend.driver or backend.problem(make_url(backend.example)):
        yield f"its example {backend.example!r} is no URL for it"
    if not await one.is_blank():
        yield "is_blank() denies it of the database, which has to be an empty one"
    await asyncio.gather(one.setup(), other.setup())
    if await one.is_blank() or not await _has_table(one, "dam_entity"):
        yield "table_names does not name the tables that there are"
    await other.check_schema()
    if await one.setup():
        yield "setting up a database again finds something to do"


async def _migrations(one: World, other: World) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        tree = _Steps("dam-contract", "dam_contract", Path(folder))
        tree.write("0001", None, CREATE, "op.drop_table('dam_contract_bird')")
        await upgrade(one.engine, [tree], "contract")
        tree = tree.grown("0002", "0001", ADD_NOT_NULL, TAKE_AWAY)
        await asyncio.gather(*(upgrade(world.engine, [tree], "contract") for world in (one, other)))
        if (found := await _birds(one, "name, length(name) - size")) != [("wren", 0), ("finch", 0)]:
            yield f"a revision that adds a column and fills it in leaves {found}"
        failing = tree.grown("0003", "0002", FAIL, "pass")
        try:
            await upgrade(one.engine, [failing], "contract")
            yield "a revision that fails raises nothing"
        except RevisionError:
            pass
        (state,) = await schema_states(one.engine, [failing])
        if state.current != "0002" or await _has_table(one, "dam_contract_half"):
            yield "a revision that fails leaves tables behind; schema changes have to be part of the transaction"
        if await _birds(other, "name") != [("wren",), ("finch",)]:
            yield "a revision that fails leaves changed rows behind"
        await on_schema(one.engine, lambda connection: downgrade(connection, tree, "0001"))
        if await _birds(one, "*") != [("wren",), ("finch",)]:
            yield "undoing a revision does not bring back what was before it"
        async with one.transaction() as transaction:
            entity_id = await transaction.create_entity(ContractPair(name="after a migration"))
            await transaction.delete_entities([entity_id])
        if await _count(one, ContractPair, ContractPair.entity_id == entity_id):
            yield "after a migration the components of a deleted entity stay"
        await on_schema(one.engine, lambda connection: downgrade(connection, tree, "base"))
        if await _has_table(one, "dam_contract_bird"):
            yield "undoing the first revision leaves its table"


class _Steps(RevisionTree):
    """Revisions in a folder that no package has."""

    def __init__(self, owner: str, package: str, place: Path) -> None:
        super().__init__(owner, package)
        self.__dict__["folder"] = place  # where the cached property of a package keeps its answer

    def grown(self, revision: str, before: str, up: str, down: str) -> _Steps:
        assert self.folder is not None
        self.write(revision, before, up, down)
        return _Steps(self.owner, self.package, self.folder)

    def write(self, revision: str, before: str | None, up: str, down: str) -> None:
        assert self.folder is not None
        code = REVISION.format(revision=revision, before=before, up=_indented(up), down=_indented(down))
        (self.folder / f"{revision}_step.py").write_text(code, encoding="utf-8")


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.strip().splitlines())


REVISION = """import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {before!r}

def upgrade():
{up}

def downgrade():
{down}
"""

CREATE = """
op.create_table('dam_contract_bird', sa.Column('name', sa.String(40), primary_key=True))
op.execute("INSERT INTO dam_contract_bird VALUES ('wren'), ('finch')")
"""
ADD_NOT_NULL = """
with op.batch_alter_table('dam_contract_bird') as batch:
    batch.add_column(sa.Column('size', sa.Integer))
op.execute('UPDATE dam_contract_bird SET size = length(name)')
with op.batch_alter_table('dam_contract_bird') as batch:
    batch.alter_column('size', nullable=False, existing_type=sa.Integer)
"""
TAKE_AWAY = """
with op.batch_alter_table('dam_contract_bird') as batch:
    batch.drop_column('size')
"""
FAIL = """
op.create_table('dam_contract_half', sa.Column('id', sa.Integer, primary_key=True))
op.execute("UPDATE dam_contract_bird SET name = 'crow' WHERE name = 'wren'")
1 / 0
"""


async def _birds(world: World, columns: str) -> list[tuple[Any, ...]]:
    async with world.reading() as session:
        found = await session.execute(text(f"SELECT {columns} FROM dam_contract_bird ORDER BY name DESC"))  # noqa: S608
        return [tuple(row) for row in found]


async def _has_table(world: World, name: str) -> bool:
    async with world.engine.connect() as connection:
        return await connection.run_sync(lambda sync: inspect(sync).has_table(name))


# -- entities and components


async def _numbering_entities(one: World, other: World) -> AsyncIterator[str]:
    async def create(world: World) -> list[int]:
        async with world.transaction() as transaction:
            return await transaction.create_entities(50)

    made = await asyncio.gather(*(create(world) for world in (one, other) * (WRITERS // 2)))
    ids = [entity_id for each in made for entity_id in each]
    if len(set(ids)) != 50 * WRITERS or any(len(each) != 50 for each in made):
        yield f"{WRITERS} writers that made 50 entities each got {len(set(ids))} different ids"
    if any(each != sorted(set(each)) for each in made):
        yield "new_entities gives ids that do not ascend"
    async with one.transaction() as transaction:
        (last,) = await transaction.create_entities(1)
        if last <= max(ids):
            yield "a later entity has a lower id than an earlier one"
        await transaction.delete_entities([last])
    async with other.transaction() as transaction:
        if (await transaction.create_entities(1))[0] <= last:
            yield "the id of a deleted entity is given again"


async def _upserts(one: World, other: World) -> AsyncIterator[str]:
    async with one.transaction() as transaction:
        entity_id = await transaction.create_entity(ContractPair(name="first", number=1), ContractWord(word="a"))
        first = transaction.run
    async with other.transaction() as transaction:
        transaction.ensure(entity_id, ContractPair(name="kept?", number=2))
        transaction.add(entity_id, ContractWord(word="a", weight=7), ContractWord(word="b"))
    pair = await _only(one, ContractPair, entity_id)
    if (pair.name, pair.number) != ("first", 1):
        yield "a row that is to be kept is overwritten"
    words = {word.word: word.weight for word in await _all(one, ContractWord, entity_id)}
    if words != {"a": 7, "b": 1}:
        yield f"rows with a natural key of two columns become {words}, and not {{'a': 7, 'b': 1}}"
    async with other.transaction() as transaction:
        transaction.add(entity_id, ContractPair(name="first", number=1))
    if (await _only(one, ContractPair, entity_id)).run_id != first.id:
        yield "a row that is written with equal values is written all the same"
    for name in (None, "second", ""):
        async with other.transaction() as transaction:
            transaction.add(entity_id, ContractPair(name=name, number=1))
        if (found := (await _only(one, ContractPair, entity_id)).name) != name:
            yield f"a row that is updated to {name!r} has {found!r}"
    many = [ContractPair(name=str(i), number=i) for i in range(2500)]
    async with one.transaction() as transaction:
        ids = await transaction.create_entities(len(many))
        for i, component in zip(ids, many, strict=True):
            transaction.add(i, component)
    if await _count(other, ContractPair, ContractPair.entity_id.between(ids[0], ids[-1])) != len(many):
        yield f"of {len(many)} rows that were written in one statement some are missing"


async def _identifying(one: World, other: World) -> AsyncIterator[str]:
    before = await _count(one, Entity)

    async def identify(world: World, order: int) -> list[Any]:
        keys = [ContractDigest(value=b"%032d" % i) for i in range(100)][::order]

        async def work(transaction: WorldTransaction) -> list[Any]:
            return (await transaction.identify(keys))[::order]

        return await world.write(work)

    found = await asyncio.gather(*(identify(world, order) for world in (one, other) for order in (1, -1)))
    for each in zip(*found, strict=True):
        if len({identified.entity_id for identified in each}) > 1:
            yield "writers that bring the same key at once get different entities"
            break
        if sum(identified.created for identified in each) != 1:
            yield "of writers that bring the same key at once not exactly one is told that it created the entity"
            break
    if (made := await _count(one, Entity) - before) != 100:
        yield f"100 keys that {len(found)} writers bring at once leave {made} entities"


async def _layers(one: World, other: World) -> AsyncIterator[str]:
    async with one.transaction() as transaction:
        entity_id = await transaction.create_entity(ContractTitle(layer=EMBEDDED, title="read", year=1999))
    async with other.transaction() as transaction:
        transaction.add(entity_id, ContractTitle(layer=PERSON, title="said"))
    rows = {row.layer: (row.title, row.year) for row in await _all(one, ContractTitle, entity_id)}
    if rows != {EMBEDDED: ("read", 1999), PERSON: ("said", None), "effective": ("said", 1999)}:
        yield f"the layers of a component are {rows}"


async def _deleting(one: World, other: World) -> AsyncIterator[str]:
    async with one.transaction() as transaction:
        entity_id = await transaction.create_entity(ContractPair(name="x"), ContractWord(word="x"))
    async with other.transaction() as transaction:
        await transaction.delete_entities([entity_id])
    if await _all(one, ContractPair, entity_id) or await _all(one, ContractWord, entity_id):
        yield "the components of a deleted entity stay; foreign keys have to cascade"


# -- values


async def _values(one: World, other: World) -> AsyncIterator[str]:
    nepal = timezone(timedelta(hours=5, minutes=45))
    values: list[tuple[str, Any]] = [
        *(("words", word) for word in ("", " ", "e\u0301 é", "\U0001f426\U0001d11e", "ß\u202e'\";--", "x" * 1_000_000)),
        *(("raw", raw) for raw in (b"", b"\0", bytes(range(256)), b"\xff" * 1_000_000)),
        *(("whole", number) for number in (0, -1, 2**31, -(2**63), 2**63 - 1)),
        *(("part", number) for number in (0.1, -1.5e300, 5e-324, math.pi)),
        *(("truth", truth) for truth in (True, False)),
        ("moment", datetime(1826, 6, 1, 12, tzinfo=UTC)),
        ("moment", datetime(2026, 10, 25, 2, 30, 0, 123456, tzinfo=nepal)),
        ("moment", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("tree", {"a": [1, 2.5, None, True, "\U0001f426"], "": {}}),
        ("tree", []),
    ]
    async with one.transaction() as transaction:
        ids = await transaction.create_entities(len(values))
        for entity_id, (name, value) in zip(ids, values, strict=True):
            transaction.add(entity_id, ContractValue(**{name: value}))
    for entity_id, (name, value) in zip(ids, values, strict=True):
        row = await _only(other, ContractValue, entity_id)
        found = getattr(row, name)
        if found != value or type(found) is not type(value):
            yield f"{_shown(value)} comes back as {_shown(found)}"
        if others := [
            n
            for n in ("words", "raw", "whole", "part", "truth", "moment", "tree")
            if n != name and getattr(row, n) is not None
        ]:
            yield f"what was not set is not NULL: {others}"
        if name == "moment" and (found.tzinfo is None or found.utcoffset()):
            yield f"{_shown(value)} comes back with the zone {found.tzinfo}, and not in UTC"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:40]}…, of length {len(value)},"


async def _ranges(one: World, other: World) -> AsyncIterator[str]:
    numbers = [-(2**63), -5, -1, 0, 1, 2**40, 2**63 - 1, *range(1000, 3000, 7)]
    async with one.transaction() as transaction:
        ids = await transaction.create_entities(len(numbers))
        for number, entity_id in zip(numbers, ids, strict=True):
            transaction.add(entity_id, ContractValue(whole=number))
    ranges = [(-(2**63), -5), (0, 0), (2**63 - 1, 2**63 - 1), *((low, low + 6) for low in range(1000, 3000, 14))]
    wanted = sorted(n for n in numbers if any(low <= n <= high for low, high in ranges))
    async with other.reading() as session:
        column = ContractValue.whole
        query = select(column).where(or_(*(column.between(low, high) for low, high in ranges))).order_by(column)
        found = list(await session.scalars(query.where(ContractValue.entity_id.in_(ids))))
        if found != wanted:
            yield f"{len(ranges)} ranges of numbers find {len(found)} rows, and not {len(wanted)}"
    moments = [datetime(2000, 1, 1, hour, tzinfo=UTC) for hour in (1, 2, 3)]
    elsewhere = timezone(timedelta(hours=-11))
    async with one.transaction() as transaction:
        for moment, zone in zip(moments, (elsewhere, UTC, elsewhere), strict=True):
            await transaction.create_entity(ContractValue(moment=moment.astimezone(zone)))
    async with other.reading() as session:
        of_time = ContractValue.moment
        query_of_time = select(of_time).where(of_time.between(moments[0], moments[1].astimezone(elsewhere)))
        if list(await session.scalars(query_of_time.order_by(of_time))) != moments[:2]:
            yield "moments of several time zones are compared by what a clock there shows"


async def _data_at_fault(one: World, other: World) -> AsyncIterator[str]:
    async with one.transaction() as transaction:
        taken = await transaction.create_entity(ContractDigest(value=b"taken"))
    pair: Any = ContractPair  # which is given what it does not take
    refused: list[tuple[str, Component, int | None]] = [
        ("no value where one has to be", pair(name="x", number=None), None),
        ("a moment without a zone", ContractValue(moment=datetime(2000, 1, 1)), None),  # noqa: DTZ001  that is the point
        ("a unique value that another entity has", ContractDigest(value=b"taken"), None),
        ("a component of an entity that is not there", ContractPair(name="x"), taken + 10_000_000),
    ]
    strange: list[tuple[str, Component, int | None]] = [
        ("a text with NUL", ContractValue(words="a\0b"), None),
        ("a lone surrogate", ContractValue(words="\ud800"), None),
        ("a number of 65 bits", ContractValue(whole=2**64), None),
        ("a text that is too long for an index", ContractPair(name=random.Random(1).randbytes(50_000).hex()), None),  # noqa: S311
        ("a text that is longer than its column", ContractValue(short="0123456789"), None),
        ("a text where a number belongs", pair(name="x", number="many"), None),
    ]
    for what, component, owner in [*refused, *strange]:
        try:
            before, told, after = await _stored_between_others(one, component, owner)
        except Exception as e:  # noqa: BLE001  which is what must not happen
            yield f"{what} is not the data's fault for is_data_at_fault(): it raises {type(e).__name__}"
            continue
        if not before == after == "stored":
            yield f"beside {what} nothing else can be stored: {before}"
        if told == "stored" and what in [each[0] for each in refused]:
            yield f"{what} can be stored"
    stored = await _values_of(other, ContractValue.words, ContractValue.words.like("a%b"))
    if stored not in ([], ["a\0b"]):
        yield f"a text with NUL is taken, and comes back as {stored}"
    for cut in set(await _values_of(other, ContractValue.short, ContractValue.short.is_not(None))) - {"0123456789"}:
        yield f"a text that is longer than its column is cut, and comes back as {cut!r}; it has to be refused, or whole"
    if backend_of(one.engine).is_data_at_fault(OperationalError("SELECT 1", {}, Exception("the disk is full"))):
        yield "is_data_at_fault() says so of a full disk; what can be tried again must not be given up"


async def _stored_between_others(world: World, odd: Component, owner: int | None) -> list[str]:
    """What becomes of three components that are written together, the odd one in their middle."""

    async def write(part: Sequence[Component]) -> list[str]:
        async with world.transaction() as transaction:
            for each in part:
                entity_id = owner if each is odd else None
                transaction.add(await transaction.create_entity() if entity_id is None else entity_id, each)
        return ["stored" for _ in part]

    async def give_up(_component: Component, why: str) -> list[str]:
        return [f"given up: {why}"]

    others = [ContractValue(words="beside"), ContractValue(words="beside")]
    return await in_halves([others[0], odd, others[1]], write, give_up, backend_of(world.engine))


# -- transactions


async def _rollbacks(one: World, other: World) -> AsyncIterator[str]:
    before = await _count(other, Entity), await _count(other, ContractPair)
    try:
        async with one.transaction() as transaction:
            await transaction.create_entity(ContractPair(name="undone"))
            await transaction.flush()
            async with transaction.savepoint():
                await transaction.create_entity(ContractPair(name="undone in a savepoint"))
            _give_up()
    except _GiveUpError:
        pass
    if (await _count(other, Entity), await _count(other, ContractPair)) != before:
        yield "a transaction that is rolled back leaves rows, or what a savepoint in it released"
    async with one.transaction() as transaction:
        kept = await transaction.create_entity(ContractPair(name="kept"))
        try:
            async with transaction.savepoint():
                transaction.add(kept, ContractPair(name="undone"))
                await transaction.create_entity(ContractPair(name="undone"))
                await transaction.flush()
                _give_up()
        except _GiveUpError:
            pass
        transaction.add(kept, ContractWord(word="after the savepoint"))
    names = await _values_of(other, ContractPair.name, ContractPair.name.in_(["kept", "undone"]))
    if names != ["kept"] or not await _all(other, ContractWord, kept):
        yield f"a savepoint that fails takes more or less with it than what was done in it: {names}"


async def _reading_while_somebody_writes(one: World, other: World) -> AsyncIterator[str]:
    async with one.transaction() as transaction:
        entity_id = await transaction.create_entity(ContractPair(name="before"))
    async with one.transaction() as transaction:
        transaction.add(entity_id, ContractPair(name="after"))
        await transaction.flush()
        try:
            async with asyncio.timeout(PATIENCE):
                seen = (await _only(other, ContractPair, entity_id)).name
        except TimeoutError:
            seen = "before"
            yield "who reads waits for who writes"
        if seen != "before":
            yield "who reads sees what is not committed"
    if (await _only(other, ContractPair, entity_id)).name != "after":
        yield "who reads does not see what was committed before"
    async with other.reading() as session:
        if await _number(session, entity_id) != 0:
            yield "a default is not written"
        try:
            async with asyncio.timeout(PATIENCE), one.transaction() as transaction:
                transaction.add(entity_id, ContractPair(name="after", number=1))
        except TimeoutError:
            yield "who writes waits for who reads"
            return
        if await _number(session, entity_id) != 1:
            yield "a session that reads keeps showing what was committed when it began; each statement has to see anew"


async def _number(session: AsyncSession, entity_id: int) -> int | None:
    return await session.scalar(select(ContractPair.number).where(ContractPair.entity_id == entity_id))


async def _self_deadlock(one: World, _other: World) -> AsyncIterator[str]:
    try:
        async with asyncio.timeout(PATIENCE), one.transaction() as outer:
            await outer.create_entity()
            async with one.transaction() as inner:
                await inner.create_entity()
        yield "a task begins a second transaction beside its own open one, and is not refused"
    except SelfDeadlockError:
        pass
    except TimeoutError:
        yield "a task that begins a second transaction beside its own open one waits for itself, and is not refused"


async def _cancelled_writers(one: World, other: World) -> AsyncIterator[str]:
    written = asyncio.Event()

    async def write() -> None:
        async with one.transaction() as transaction:
            await transaction.create_entity(ContractWord(word="cancelled"))
            await transaction.flush()
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await written.wait()
    task.cancel()
    await asyncio.wait([task])
    try:
        async with asyncio.timeout(PATIENCE), other.transaction() as transaction:
            await transaction.create_entity()
    except TimeoutError:
        yield "a writer that was cancelled keeps others waiting"
    if await _count(other, ContractWord, ContractWord.word == "cancelled"):
        yield "what a cancelled writer wrote is there"


async def _locks(one: World, other: World) -> AsyncIterator[str]:
    has_it = asyncio.Event()

    async def want() -> None:
        async with _locked(other):
            has_it.set()

    async with _locked(one):
        waiting = asyncio.create_task(want())
        try:
            async with asyncio.timeout(0.5):  # who waits well is waited for so long, once
                await has_it.wait()
            yield "lock() lets two transactions have the lock of one name"
        except TimeoutError:
            pass
    try:
        async with asyncio.timeout(PATIENCE):
            await waiting
    except TimeoutError:
        yield "a lock stays when its transaction has ended"


@asynccontextmanager
async def _locked(world: World) -> AsyncIterator[None]:
    def lock(connection: Connection) -> None:
        backend_of(connection).lock(connection, "dam contract")

    async with world.engine.begin() as connection:
        await connection.run_sync(lock)
        yield


async def _opposite_orders(one: World, other: World) -> AsyncIterator[str]:
    async with one.transaction() as transaction:
        ids = [await transaction.create_entity(ContractPair(name="shared")) for _ in range(2)]
    met = [asyncio.Event(), asyncio.Event()]

    async def raise_both(world: World, order: list[int], mine: int) -> None:
        async def work(transaction: WorldTransaction) -> None:
            await _raise_number(transaction, order[0])
            met[mine].set()
            with suppress(TimeoutError):  # where there is one writer the other one comes later
                async with asyncio.timeout(0.5):
                    await met[1 - mine].wait()
            await _raise_number(transaction, order[1])

        await world.write(work)

    async with asyncio.timeout(6 * PATIENCE):
        await asyncio.gather(raise_both(one, ids, 0), raise_both(other, ids[::-1], 1))
    if (found := await _values_of(one, ContractPair.number, ContractPair.entity_id.in_(ids))) != [2, 2]:
        yield f"two writers that each raised two numbers leave {found}, and not [2, 2]"


async def _raise_number(transaction: WorldTransaction, entity_id: int) -> None:
    query = select(ContractPair).where(ContractPair.entity_id == entity_id).with_for_update()
    row = await transaction.session.scalar(query)
    assert row is not None
    row.number += 1
    await transaction.flush()


async def _leases(one: World, other: World) -> AsyncIterator[str]:
    async with one.transaction() as transaction:
        for entity_id in await transaction.create_entities(20):
            transaction.add(entity_id, ContractQueue())
    async with claimed(one.engine, ContractQueue, 12) as mine, claimed(other.engine, ContractQueue, 12) as yours:
        if set(mine) & set(yours):
            yield "two that share a queue get the same work"
        if (len(mine), len(yours)) != (12, 8):
            yield f"two that share a queue of 20 get {len(mine)} and {len(yours)}, and not 12 and 8"
    async with claimed(other.engine, ContractQueue, 20) as free:
        if len(free) != 20:
            yield f"of work that was given back only {len(free)} of 20 can be had"


CHECKS: Sequence[Check] = (
    _numbering_entities,
    _upserts,
    _identifying,
    _layers,
    _deleting,
    _values,
    _ranges,
    _data_at_fault,
    _rollbacks,
    _reading_while_somebody_writes,
    _self_deadlock,
    _cancelled_writers,
    _locks,
    _opposite_orders,
    _leases,
    _migrations,
)


class _GiveUpError(Exception):
    """Ends a transaction."""


def _give_up() -> None:
    raise _GiveUpError


# -- small steps


async def _all(world: World, cls: type[Any], entity_id: int) -> list[Any]:
    async with world.reading() as session:
        return list(await session.scalars(select(cls).where(cls.entity_id == entity_id)))


async def _only(world: World, cls: type[Any], entity_id: int) -> Any:
    (row,) = await _all(world, cls, entity_id)
    return row


async def _count(world: World, cls: type[Any], *conditions: Any) -> int:
    async with world.reading() as session:
        return await session.scalar(select(func.count()).select_from(cls).where(*conditions)) or 0


async def _values_of(world: World, column: Any, condition: Any) -> list[Any]:
    async with world.reading() as session:
        return list(await session.scalars(select(column).where(condition)))

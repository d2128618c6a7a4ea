"""Scopes, and the one way in which components change."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, UniqueConstraint, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from dam.commands.core import BaseCommand
from dam.core.exceptions import (
    ComponentDefinitionError,
    EventHandlingError,
    ReadOnlySessionError,
    SelfDeadlockError,
    TransactionDoomedError,
)
from dam.core.system_params import WorldSession
from dam.core.systems import listens_for, system
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.events import Event
from dam.models.core.base_component import BaseComponent, Component, RelationComponent, UniqueComponent
from dam.models.entity import Entity
from dam.system_events.base import BaseSystemEvent, Result
from dam.system_events.requests import PasswordRequest
from dam_test_utils.fixtures import MakeWorld


class Colour(UniqueComponent):
    __tablename__ = "test_transaction_colour"
    name: Mapped[str]
    shade: Mapped[int] = mapped_column(default=0)


class Digest(UniqueComponent):
    __tablename__ = "test_transaction_digest"
    value: Mapped[bytes] = mapped_column(LargeBinary(16), unique=True)
    note: Mapped[str | None] = mapped_column(default=None)


class Tag(BaseComponent):
    __tablename__ = "test_transaction_tag"
    __table_args__ = (UniqueConstraint("entity_id", "word"),)
    word: Mapped[str]
    weight: Mapped[int] = mapped_column(default=1)


class Note(BaseComponent):
    __tablename__ = "test_transaction_note"
    words: Mapped[str]


class Likes(RelationComponent):
    __tablename__ = "test_transaction_likes"


COMPONENTS: Sequence[type[Component]] = (Colour, Digest, Tag, Note, Likes)


@dataclass
class Do(BaseCommand[None, Any]):
    """Runs ``work`` with the transaction of its scope."""

    work: Callable[[WorldTransaction, World], Awaitable[None]]


@dataclass
class Bulk(BaseCommand[None, "Done"]):
    """Runs each unit by itself; asks for no transaction."""

    units: Sequence[Callable[[WorldTransaction, World], Awaitable[None]]]


@dataclass
class Done(BaseSystemEvent):
    """A unit is done."""

    unit: int


@dataclass
class Painted(Event):
    """Told after a commit."""

    entity_id: int


@dataclass
class Ears:
    """What was heard, and what another connection saw at that moment."""

    heard: list[tuple[int, str | None]] = field(default_factory=list)


@system(on_command=Do)
async def do(cmd: Do, transaction: WorldTransaction, world: World) -> None:
    await cmd.work(transaction, world)


@system(on_command=Bulk)
async def bulk(cmd: Bulk, world: World) -> AsyncGenerator[Done, None]:
    for number, unit in enumerate(cmd.units):
        async with world.transaction() as transaction:
            await unit(transaction, world)
        yield Done(number)


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world(components=COMPONENTS, systems=[do, bulk])


def paint(name: str) -> Callable[[WorldTransaction, World], Awaitable[None]]:
    async def work(transaction: WorldTransaction, _world: World) -> None:
        await transaction.create_entity(Colour(name=name))

    return work


async def fail(transaction: WorldTransaction, _world: World) -> None:
    await transaction.create_entity(Colour(name="half-done"))
    await transaction.flush()
    raise ValueError("no more")


async def colours(world: World) -> list[str]:
    async with world.reading() as session:
        return list(await session.scalars(select(Colour.name).order_by(Colour.entity_id)))


# -- scopes


async def test_the_end_of_the_stream_commits(world: World) -> None:
    await world.dispatch_command(Do(paint("red")))
    assert await colours(world) == ["red"]


async def test_an_exception_rolls_back(world: World) -> None:
    with pytest.raises(ValueError, match="no more"):
        await world.dispatch_command(Do(fail))
    assert await colours(world) == []


async def test_an_abandoned_executor_rolls_back(world: World) -> None:
    @dataclass
    class Slow(BaseCommand[None, Any]):
        """Tells something half-way."""

    @system(on_command=Slow)
    async def slow(cmd: Slow, transaction: WorldTransaction) -> AsyncGenerator[Any, None]:
        await transaction.create_entity(Colour(name="half-done"))
        yield Done(1)
        await transaction.create_entity(Colour(name="never"))

    world.register_system(slow)
    async with world.dispatch_command(Slow()) as executor:
        assert await anext(executor) == Done(1)
    assert await colours(world) == []
    await world.dispatch_command(Slow())
    assert await colours(world) == ["half-done", "never"]


async def test_a_nested_command_joins_the_transaction_around_it(world: World) -> None:
    async def outer(transaction: WorldTransaction, bound: World) -> None:
        await transaction.create_entity(Colour(name="outer"))
        await bound.dispatch_command(Do(paint("inner")))
        assert await colours(bound) == ["outer", "inner"]
        assert await colours(world) == []
        raise ValueError("undo both")

    with pytest.raises(ValueError, match="undo both"):
        await world.dispatch_command(Do(outer))
    assert await colours(world) == []


async def test_a_bulk_handler_without_a_transaction_commits_unit_by_unit(world: World) -> None:
    seen: list[list[str]] = []
    with pytest.raises(ValueError, match="no more"):
        async for event in world.dispatch_command(Bulk([paint("red"), paint("green"), fail, paint("blue")])):
            assert isinstance(event, Done)
            seen.append(await colours(world))
    assert seen == [["red"], ["red", "green"]]
    assert await colours(world) == ["red", "green"]


async def test_a_bulk_command_inside_a_transaction_is_part_of_it(world: World) -> None:
    async def outer(_transaction: WorldTransaction, bound: World) -> None:
        await bound.dispatch_command(Bulk([paint("red"), paint("green")]))
        assert await colours(world) == []

    await world.dispatch_command(Do(outer))
    assert await colours(world) == ["red", "green"]


async def test_a_unit_that_reads_first_does_not_block_another_one_of_the_same_run(world: World) -> None:
    started = asyncio.Event()

    @dataclass
    class Both(BaseCommand[None, Any]):
        """Two units at once."""

    async def write(world: World) -> None:
        async with world.transaction() as transaction:
            started.set()
            await transaction.create_entity(Colour(name="second"))

    @system(on_command=Both)
    async def both(cmd: Both, world: World) -> None:
        async with world.transaction() as transaction:
            await transaction.session.scalars(select(Colour))
            second = asyncio.create_task(write(world))
            await started.wait()
            await transaction.create_entity(Colour(name="first"))
        await second

    world.register_system(both)
    await world.dispatch_command(Both())
    assert await colours(world) == ["first", "second"]


async def test_a_swallowed_failure_of_a_nested_command_dooms_the_transaction(world: World) -> None:
    async def outer(_transaction: WorldTransaction, bound: World) -> None:
        with pytest.raises(ValueError, match="no more"):
            await bound.dispatch_command(Do(fail))

    with pytest.raises(TransactionDoomedError, match="a nested command failed with ValueError: no more") as doomed:
        await world.dispatch_command(Do(outer))
    assert isinstance(doomed.value.__cause__, ValueError)
    assert await colours(world) == []


async def test_a_savepoint_saves_the_transaction_from_a_nested_failure(world: World) -> None:
    async def outer(transaction: WorldTransaction, bound: World) -> None:
        await transaction.create_entity(Colour(name="before"))
        with pytest.raises(ValueError, match="no more"):
            async with transaction.savepoint():
                await bound.dispatch_command(Do(fail))
        await transaction.create_entity(Colour(name="after"))

    await world.dispatch_command(Do(outer))
    assert await colours(world) == ["before", "after"]


async def test_a_failure_swallowed_inside_a_savepoint_is_undone_by_it(world: World) -> None:
    async def outer(transaction: WorldTransaction, bound: World) -> None:
        await transaction.create_entity(Colour(name="before"))
        with pytest.raises(TransactionDoomedError):
            async with transaction.savepoint():
                with pytest.raises(ValueError, match="no more"):
                    await bound.dispatch_command(Do(fail))
        await transaction.create_entity(Colour(name="after"))

    await world.dispatch_command(Do(outer))
    assert await colours(world) == ["before", "after"]


async def test_a_write_that_failed_cannot_be_swallowed(world: World) -> None:
    async def outer(transaction: WorldTransaction, _world: World) -> None:
        await transaction.create_entity(Colour(name="before"))
        transaction.add(4711, Colour(name="of nobody"))
        with pytest.raises(IntegrityError):
            await transaction.flush()

    with pytest.raises(TransactionDoomedError):
        await world.dispatch_command(Do(outer))
    assert await colours(world) == []


async def test_a_failed_write_inside_a_savepoint_leaves_the_rest(world: World) -> None:
    async def outer(transaction: WorldTransaction, _world: World) -> None:
        await transaction.create_entity(Colour(name="before"))
        with pytest.raises(IntegrityError):
            async with transaction.savepoint():
                transaction.add(4711, Colour(name="of nobody"))
        await transaction.create_entity(Colour(name="after"))

    await world.dispatch_command(Do(outer))
    assert await colours(world) == ["before", "after"]


async def test_a_row_of_a_savepoint_does_not_survive_the_rollback_around_it(world: World) -> None:
    async def outer(transaction: WorldTransaction, _world: World) -> None:
        async with transaction.savepoint():
            await transaction.create_entity(Colour(name="inside"))
        raise ValueError("undo")

    with pytest.raises(ValueError, match="undo"):
        await world.dispatch_command(Do(outer))
    assert await colours(world) == []


async def test_objects_that_a_savepoint_changed_say_again_what_the_database_says(world: World) -> None:
    async def outer(transaction: WorldTransaction, _world: World) -> None:
        entity_id = await transaction.create_entity(Colour(name="red"))
        held = await transaction.get_component(entity_id, Colour)
        assert held is not None
        with pytest.raises(ValueError, match="undo"):
            async with transaction.savepoint():
                transaction.add(entity_id, Colour(name="blue"))
                await transaction.flush()
                raise ValueError("undo")
        assert held.name == "red"

    await world.dispatch_command(Do(outer))
    assert await colours(world) == ["red"]


async def test_a_transaction_by_hand_commits_at_its_end_and_rolls_back_an_exception(world: World) -> None:
    async with world.transaction() as transaction:
        await transaction.create_entity(Colour(name="red"))
    with pytest.raises(ValueError, match="undo"):
        async with world.transaction() as transaction:
            await transaction.create_entity(Colour(name="blue"))
            raise ValueError("undo")
    assert await colours(world) == ["red"]


# -- after the commit


@pytest.fixture
def ears(world: World) -> Ears:
    ears = Ears()

    @listens_for(Painted)
    async def listen(event: Painted, session: WorldSession) -> None:
        seen = await session.scalar(select(Colour.name).where(Colour.entity_id == event.entity_id))
        ears.heard.append((event.entity_id, seen))

    world.register_system(listen)
    return ears


async def announce(transaction: WorldTransaction, _world: World) -> None:
    entity_id = await transaction.create_entity(Colour(name="red"))
    transaction.after_commit(Painted(entity_id))


async def test_an_event_after_the_commit_is_heard_once_and_sees_what_was_committed(world: World, ears: Ears) -> None:
    await world.dispatch_command(Do(announce))
    assert ears.heard == [(1, "red")]


async def test_an_event_of_a_nested_command_waits_for_the_outer_commit(world: World, ears: Ears) -> None:
    async def outer(_transaction: WorldTransaction, bound: World) -> None:
        await bound.dispatch_command(Do(announce))
        assert ears.heard == []

    await world.dispatch_command(Do(outer))
    assert ears.heard == [(1, "red")]


async def test_a_rollback_drops_what_was_to_follow_the_commit(world: World, ears: Ears) -> None:
    async def outer(transaction: WorldTransaction, bound: World) -> None:
        await announce(transaction, bound)
        raise ValueError("undo")

    with pytest.raises(ValueError, match="undo"):
        await world.dispatch_command(Do(outer))
    assert ears.heard == []


async def test_the_rollback_of_a_savepoint_drops_only_its_own_announcements(world: World, ears: Ears) -> None:
    async def outer(transaction: WorldTransaction, bound: World) -> None:
        await announce(transaction, bound)
        with pytest.raises(ValueError, match="undo"):
            async with transaction.savepoint():
                await announce(transaction, bound)
                raise ValueError("undo")

    await world.dispatch_command(Do(outer))
    assert ears.heard == [(1, "red")]


async def test_a_commit_is_no_failure_when_a_listener_after_it_is_one(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    @listens_for(Painted)
    async def clumsy(event: Painted) -> None:
        raise RuntimeError("did not listen")

    world.register_system(clumsy)
    await world.dispatch_command(Do(announce))
    assert await colours(world) == ["red"]
    assert "did not listen" in caplog.text


async def test_all_that_was_to_follow_a_commit_follows_it_although_one_listener_fails_and_one_asks(
    world: World, ears: Ears
) -> None:
    @dataclass
    class Asked(Event):
        """Its listener has a question, and after a commit there is nobody to answer."""

    @listens_for(Asked)
    async def ask(event: Asked) -> AsyncGenerator[PasswordRequest, None]:
        yield PasswordRequest(message="who goes there?")

    async def announce_three(transaction: WorldTransaction, bound: World) -> None:
        transaction.after_commit(Asked())
        await announce(transaction, bound)
        transaction.after_commit(Asked())
        await announce(transaction, bound)

    world.register_system(ask)
    await world.dispatch_command(Do(announce_three))
    assert ears.heard == [(1, "red"), (2, "red")]


async def test_a_listener_that_fails_takes_nothing_from_the_others(world: World, ears: Ears) -> None:
    @listens_for(Painted)
    async def write(event: Painted, transaction: WorldTransaction) -> None:
        await transaction.create_entity(Colour(name="an echo"))

    @listens_for(Painted)
    async def clumsy(event: Painted, transaction: WorldTransaction) -> None:
        await transaction.create_entity(Colour(name="half-done"))
        raise RuntimeError("did not listen")

    @listens_for(Painted)
    async def write_too(event: Painted, transaction: WorldTransaction) -> None:
        await transaction.create_entity(Colour(name="another echo"))

    for listener in (write, clumsy, write_too):
        world.register_system(listener)
    with pytest.raises(EventHandlingError, match="did not listen"):
        await world.dispatch_event(Painted(1))
    assert ears.heard == [(1, None)]
    assert await colours(world) == ["an echo", "another echo"]


# -- a transaction by hand


async def test_what_is_dispatched_on_a_transactions_own_world_is_part_of_it(world: World) -> None:
    with pytest.raises(ValueError, match="undo"):
        async with world.transaction() as transaction:
            await transaction.create_entity(Colour(name="by hand"))
            await transaction.world.dispatch_command(Do(paint("inside")))
            assert await colours(transaction.world) == ["by hand", "inside"]
            async with transaction.world.transaction() as again:
                await again.create_entity(Colour(name="deeper"))
            raise ValueError("undo")
    assert await colours(world) == []


async def test_who_would_wait_for_itself_is_told_so_at_once(world: World) -> None:
    async with asyncio.timeout(10), world.transaction() as transaction:
        await transaction.create_entity(Colour(name="by hand"))
        with pytest.raises(SelfDeadlockError, match="would wait for itself"):
            await world.dispatch_command(Do(paint("outside")))
    await world.dispatch_command(Do(paint("afterwards")))
    assert await colours(world) == ["by hand", "afterwards"]


async def test_a_cancelled_writer_keeps_nobody_waiting(world: World) -> None:
    async def write(count: int) -> None:
        async with world.transaction() as transaction:
            for _ in range(count):
                await transaction.create_entity(Colour(name="red"))
                await transaction.flush()

    for attempt in range(60):
        task = asyncio.create_task(write(20))
        for _ in range(attempt):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(10):
            await write(1)


async def test_objects_that_were_read_show_what_is_written_past_them(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Tag(word="bird", weight=1))
    async with world.transaction() as transaction:
        (held,) = await transaction.get_components(entity_id, Tag)
        transaction.add(entity_id, Tag(word="bird", weight=5))
        (again,) = await transaction.get_components(entity_id, Tag)
        assert again is held
        assert held.weight == 5


# -- reading


async def test_a_world_session_refuses_objects_that_were_added_or_changed(world: World) -> None:
    async with world.transaction() as transaction:
        await transaction.create_entity(Colour(name="red"))
    with pytest.raises(ReadOnlySessionError, match="a changed Entity; ask for a WorldTransaction"):
        async with world.reading() as session:
            session.add(Entity())
    with pytest.raises(ReadOnlySessionError, match="a changed Colour"):
        async with world.reading() as session:
            held = (await session.scalars(select(Colour))).one()
            held.name = "blue"
            await session.flush()
    assert await colours(world) == ["red"]


@pytest.mark.parametrize("statement", [insert(Colour), update(Colour).values(name="blue"), delete(Colour)])
async def test_a_world_session_refuses_statements_that_write(world: World, statement: Any) -> None:
    async with world.reading() as session:
        with pytest.raises(ReadOnlySessionError, match="a WorldSession only reads"):
            await session.execute(statement)


async def test_a_session_beside_a_transaction_sees_what_was_written(world: World) -> None:
    @dataclass
    class Inner(BaseCommand[list[str], Any]):
        """Writes and reads."""

    @dataclass
    class Outer(BaseCommand[list[str], Any]):
        """Reads, then has something written."""

    async def names(session: AsyncSession) -> list[str]:
        return list(await session.scalars(select(Colour.name)))

    @system(on_command=Inner)
    async def inner(cmd: Inner, session: WorldSession, transaction: WorldTransaction) -> list[str]:
        await transaction.create_entity(Colour(name="inner"))
        return await names(session)

    @system(on_command=Outer)
    async def outer(cmd: Outer, session: WorldSession, world: World) -> list[str]:
        assert await names(session) == []
        return await world.dispatch_command(Inner()).get_one_value()

    for each in (inner, outer):
        world.register_system(each)
    assert await world.dispatch_command(Outer()).get_one_value() == ["inner"]


# -- SQLite's one write lock


def writer(database: Path) -> sqlite3.Connection:
    """Another process's connection, for all that SQLite knows; it does not wait."""
    return sqlite3.connect(database, isolation_level=None, timeout=0)


def file_of(world: World) -> Path:
    return Path(world.database_files[0])


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_reading_neither_waits_for_a_writer_nor_keeps_one_waiting(world: World) -> None:
    other = writer(file_of(world))
    try:
        other.execute("BEGIN IMMEDIATE")
        assert await colours(world) == []
        other.execute("COMMIT")
        async with world.reading() as session:
            assert (await session.scalars(select(Colour))).all() == []
            other.execute("INSERT INTO dam_entity VALUES (NULL)")
            assert len((await session.scalars(select(Entity))).all()) == 1  # every statement sees what is committed
    finally:
        other.close()


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_a_handler_that_only_computes_does_not_hold_the_lock_of_its_transaction(world: World) -> None:
    other = writer(file_of(world))

    async def work(transaction: WorldTransaction, _world: World) -> None:
        other.execute("INSERT INTO dam_entity VALUES (NULL)")  # the transaction was asked for and not touched yet
        await transaction.create_entity(Colour(name="red"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO dam_entity VALUES (NULL)")

    try:
        await world.dispatch_command(Do(work))
    finally:
        other.close()
    assert await colours(world) == ["red"]


async def test_reading_and_then_writing_works_while_another_world_writes_in_between(
    world: World, make_world: MakeWorld
) -> None:
    """A deferred transaction would fail at once here, with SQLITE_BUSY_SNAPSHOT, whatever the timeout."""
    second = await make_world(components=COMPONENTS, systems=[do], database_url=world.config.database_url)

    async def read_and_write(transaction: WorldTransaction, _world: World) -> None:
        count = len((await transaction.session.scalars(select(Colour))).all())
        await transaction.create_entity(Colour(name=f"after {count}"))

    await asyncio.gather(
        *(each.dispatch_command(Do(read_and_write)).get_all_results() for each in [world, second] * 10)
    )
    found = await colours(world)
    assert len(found) == 20
    if (
        world.engine.dialect.name == "sqlite"
    ):  # one writer at a time; on PostgreSQL each sees what was committed before it
        assert found == [f"after {count}" for count in range(20)]


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_pragmas_are_those_that_the_architecture_promises(world: World) -> None:
    async with world.reading() as session:
        found = {
            name: await session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "foreign_keys", "synchronous")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}


# -- entities


async def test_ids_are_never_given_twice(world: World) -> None:
    async with world.transaction() as transaction:
        first = await transaction.create_entities(3)
        await transaction.delete_entities(first)
    async with world.transaction() as transaction:
        second = await transaction.create_entities(2)
    assert first == [1, 2, 3]
    assert second == [4, 5]


async def test_deleting_an_entity_takes_its_components_and_relations_along(world: World) -> None:
    async with world.transaction() as transaction:
        gone = await transaction.create_entity(Colour(name="gone"), Tag(word="gone"))
        stays = await transaction.create_entity(Colour(name="stays"))
        transaction.add(stays, Likes(target_id=gone))
        held = await transaction.get_component(gone, Colour)
        assert held is not None
        await transaction.delete_entities([gone, 4711])
        assert await transaction.get_component(gone, Colour) is None
    async with world.reading() as session:
        assert (await session.scalars(select(Colour.name))).all() == ["stays"]
        for component in (Tag, Likes):
            assert (await session.scalars(select(component))).all() == []


async def test_many_entities_are_deleted_at_once(world: World) -> None:
    async with world.transaction() as transaction:
        ids = await transaction.create_entities(2500)
        await transaction.delete_entities(ids[:-1])
    async with world.reading() as session:
        assert (await session.scalars(select(Entity.id))).all() == ids[-1:]


# -- identity by a key


async def test_equal_keys_are_one_entity_and_the_first_one_created_it(world: World) -> None:
    async with world.transaction() as transaction:
        (known,) = await transaction.identify([Digest(value=b"known")])
        found = await transaction.identify([Digest(value=value) for value in (b"new", b"known", b"new", b"other")])
    assert known.created
    assert [each.created for each in found] == [True, False, False, True]
    assert found[0].entity_id == found[2].entity_id
    assert found[1].entity_id == known.entity_id
    assert len({each.entity_id for each in found}) == 3


async def test_no_keys_are_no_entities(world: World) -> None:
    async with world.transaction() as transaction:
        assert await transaction.identify([]) == []
        assert not transaction.has_writes


async def test_a_component_without_one_unique_column_cannot_identify(world: World) -> None:
    async with world.transaction() as transaction:
        with pytest.raises(
            ComponentDefinitionError, match="Colour cannot identify entities: it needs exactly one unique column"
        ):
            await transaction.identify([Colour(name="red")])


async def test_identifying_leaves_no_entity_without_a_key(world: World) -> None:
    async with world.transaction() as transaction:
        await transaction.identify([Digest(value=bytes([i % 7])) for i in range(50)])
    async with world.reading() as session:
        assert len((await session.scalars(select(Entity))).all()) == 7


RACER = """
import asyncio, sys
from pathlib import Path
from dam.core.world import World
from dam.models.config import WorldConfig
from dam.models.core.base_component import UniqueComponent
from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

class Digest(UniqueComponent):
    __tablename__ = "test_transaction_digest"
    value: Mapped[bytes] = mapped_column(LargeBinary(16), unique=True)
    note: Mapped[str | None] = mapped_column(default=None)

async def main():
    async with World(WorldConfig(name="racer", database_url=sys.argv[1])) as world:
        created = []
        print("ready", flush=True)
        sys.stdin.readline()
        for start in range(0, 200, 20):
            keys = [Digest(value=str(i).encode()) for i in range(start, start + 40)]
            async with world.transaction() as transaction:
                found = await transaction.identify(keys)
            created += [f"{key.value.decode()}={each.entity_id}" for key, each in zip(keys, found) if each.created]
        print(*created)

asyncio.run(main())
"""


async def test_of_processes_that_bring_the_same_keys_exactly_one_creates_each_entity(
    world: World, tmp_path: Path
) -> None:
    script = tmp_path / "racer.py"
    script.write_text(textwrap.dedent(RACER))
    command = [sys.executable, str(script), world.config.database_url]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    created = [pair for racer in racers for pair in racer.communicate()[0].split()]
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    async with world.reading() as session:
        rows = (await session.scalars(select(Digest))).all()
        entities = (await session.scalars(select(Entity.id))).all()
    assert sorted(created) == sorted(f"{row.value.decode()}={row.entity_id}" for row in rows)
    assert len(rows) == len(entities) == 220


# -- components as values


async def test_a_unique_component_is_added_and_then_updated(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity()
        await transaction.add_component_to_entity(entity_id, Colour(name="red", shade=1))
        await transaction.add_component_to_entity(entity_id, Colour(name="blue"))
    async with world.transaction() as transaction:
        await transaction.add_component_to_entity(entity_id, Colour(name="green", shade=3))
    async with world.reading() as session:
        (row,) = (await session.scalars(select(Colour))).all()
    assert (row.name, row.shade) == ("green", 3)


async def changes_by(world: World, work: Callable[[WorldTransaction], Awaitable[None]]) -> int:
    """Rows of components that were written: those that name its run."""
    async with world.transaction() as transaction:
        await work(transaction)
        await transaction.flush()
        run_id = transaction.run.id
    async with world.reading() as session:
        written = [
            await session.scalar(select(func.count()).select_from(component).where(component.run_id == run_id))
            for component in COMPONENTS
        ]
    return sum(count or 0 for count in written)


async def test_equal_values_write_nothing(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Colour(name="red"), Tag(word="warm"))

    async def write_the_same(transaction: WorldTransaction) -> None:
        transaction.add(entity_id, Colour(name="red"), Tag(word="warm"))

    async def write_another(transaction: WorldTransaction) -> None:
        transaction.add(entity_id, Colour(name="blue"), Tag(word="warm"))

    assert await changes_by(world, write_the_same) == 0
    assert await changes_by(world, write_another) == 1


async def test_equal_values_of_an_object_that_the_session_holds_write_nothing(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Colour(name="red"))

    async def write_the_same(transaction: WorldTransaction) -> None:
        held = await transaction.get_component(entity_id, Colour)
        transaction.add(entity_id, Colour(name="red"))
        await transaction.flush()
        assert held is not None

    assert await changes_by(world, write_the_same) == 0


async def test_a_write_goes_through_the_object_that_the_session_holds(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Colour(name="red"))
    async with world.transaction() as transaction:
        held = await transaction.get_component(entity_id, Colour)
        assert held is not None
        transaction.add(entity_id, Colour(name="blue"))
        assert held.name == "blue"
        assert await transaction.get_component(entity_id, Colour) is held
    assert await colours(world) == ["blue"]


async def test_a_changed_object_is_written_and_names_its_run(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Colour(name="red"))
    async with world.transaction() as transaction:
        held = await transaction.get_component(entity_id, Colour)
        assert held is not None
        held.name = "blue"
    async with world.reading() as session:
        row = (await session.scalars(select(Colour))).one()
        assert (row.name, row.run_id) == ("blue", 2)


async def test_one_instance_can_be_given_to_many_entities(world: World) -> None:
    async with world.transaction() as transaction:
        ids = await transaction.create_entities(3)
        colour = Colour(name="red")
        for entity_id in ids:
            transaction.add(entity_id, colour)
    async with world.reading() as session:
        assert (await session.scalars(select(Colour.entity_id))).all() == ids


async def test_a_component_of_one_entity_can_be_copied_to_another(world: World) -> None:
    async with world.transaction() as transaction:
        first = await transaction.create_entity(Colour(name="red", shade=4))
        second = await transaction.create_entity()
    async with world.transaction() as transaction:
        held = await transaction.get_component(first, Colour)
        assert held is not None
        transaction.add(second, held)
    async with world.reading() as session:
        rows = (await session.scalars(select(Colour).order_by(Colour.entity_id))).all()
        assert [(row.entity_id, row.name, row.shade) for row in rows] == [(first, "red", 4), (second, "red", 4)]


async def test_components_without_a_key_are_always_added(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Note(words="same"), Note(words="same"))
        transaction.add(entity_id, Note(words="same"))
        assert len(await transaction.get_components(entity_id, Note)) == 3


async def test_the_same_fact_with_a_natural_key_is_one_row(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Tag(word="warm"), Tag(word="warm", weight=2), Tag(word="cold"))
    async with world.transaction() as transaction:
        transaction.add(entity_id, Tag(word="warm", weight=3))
    async with world.reading() as session:
        rows = (await session.scalars(select(Tag).order_by(Tag.word))).all()
    assert [(row.word, row.weight) for row in rows] == [("cold", 1), ("warm", 3)]


async def test_ensure_adds_what_is_missing_and_leaves_the_rest(world: World) -> None:
    async with world.transaction() as transaction:
        known = await transaction.create_entity(Colour(name="red"))
        new = await transaction.create_entity()
        held = await transaction.create_entity(Colour(name="green"))
    async with world.transaction() as transaction:
        assert await transaction.get_component(held, Colour) is not None
        for entity_id in (known, new, held):
            transaction.ensure(entity_id, Colour(name="blue"))
        transaction.ensure(new, Colour(name="never"))
    assert await colours(world) == ["red", "blue", "green"]


async def test_ensure_does_not_weaken_an_add_that_is_still_queued(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Colour(name="red"))
    async with world.transaction() as transaction:
        transaction.add(entity_id, Colour(name="blue"))
        transaction.ensure(entity_id, Colour(name="never"))
    assert await colours(world) == ["blue"]


async def test_removing_takes_every_component_of_the_class(world: World) -> None:
    async with world.transaction() as transaction:
        first = await transaction.create_entity(Note(words="a"), Note(words="b"), Colour(name="red"))
        second = await transaction.create_entity(Note(words="c"))
        await transaction.remove_components(Note, [first])
        assert await transaction.get_components(first, Note) == []
        assert len(await transaction.get_components(second, Note)) == 1
    assert await colours(world) == ["red"]


async def test_an_update_sets_columns_where_the_conditions_hold_and_names_its_run(world: World) -> None:
    async with world.transaction() as transaction:
        await transaction.create_entity(Colour(name="red"))
        await transaction.create_entity(Colour(name="blue"))
    async with world.transaction() as transaction:
        await transaction.update_components(Colour, Colour.name == "red", shade=9)
    async with world.reading() as session:
        rows = (
            await session.execute(select(Colour.name, Colour.shade, Colour.run_id).order_by(Colour.entity_id))
        ).all()
    assert [tuple(row) for row in rows] == [("red", 9, 2), ("blue", 0, 1)]


async def test_queries_see_what_was_queued_before_them(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Colour(name="red"))
        assert (await transaction.session.scalars(select(Colour.name))).all() == ["red"]
        assert (await transaction.session.get(Colour, entity_id)) is not None


async def test_results_of_a_doomed_command_are_not_returned(world: World) -> None:
    @dataclass
    class Careless(BaseCommand[str, Any]):
        """Swallows what failed below it."""

    @system(on_command=Careless)
    async def careless(cmd: Careless, transaction: WorldTransaction, world: World) -> str:
        try:
            await world.dispatch_command(Do(fail))
        except ValueError:
            return "all is well"
        return "did not fail"

    world.register_system(careless)
    with pytest.raises(TransactionDoomedError):
        await world.dispatch_command(Careless()).get_one_value()
    assert [event async for event in world.dispatch_command(Do(paint("red")))] == [Result(None)]

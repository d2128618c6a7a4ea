"""Runs: who did what, and how it ended."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from dam.commands.core import BaseCommand
from dam.core.exceptions import TransactionDoomedError
from dam.core.systems import listens_for, system
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.events import Event
from dam.models.core.base_component import UniqueComponent
from dam.models.run import Run
from dam_test_utils.fixtures import MakeWorld


class Colour(UniqueComponent):
    __tablename__ = "test_runs_colour"
    name: Mapped[str]


@dataclass
class Paint(BaseCommand[int, Any]):
    """Makes a coloured entity."""

    name: str = "red"


@dataclass
class PaintAll(BaseCommand[int, Any]):
    """Paints one after the other; each is a unit of its own."""

    names: tuple[str, ...]


@dataclass
class Look(BaseCommand[None, Any]):
    """Reads."""


@dataclass
class Careless(BaseCommand[None, Any]):
    """Swallows a failure."""


@dataclass
class Painted(Event):
    """Leads to another run."""


@system(on_command=Paint)
async def paint(cmd: Paint, transaction: WorldTransaction) -> int:
    entity_id = await transaction.create_entity(Colour(name=cmd.name))
    await transaction.flush()
    if cmd.name == "no such colour":
        raise ValueError(cmd.name)
    return entity_id


@system(on_command=PaintAll)
async def paint_all(cmd: PaintAll, world: World) -> AsyncGenerator[Any, None]:
    for name in cmd.names:
        await world.dispatch_command(Paint(name))
        yield name


@system(on_command=Look)
async def look(cmd: Look, transaction: WorldTransaction) -> None:
    await transaction.session.scalars(select(Colour))


@system(on_command=Careless)
async def careless(cmd: Careless, transaction: WorldTransaction, world: World) -> None:
    with pytest.raises(ValueError, match="no such colour"):
        await world.dispatch_command(Paint("no such colour"))


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    world = await make_world(components=[Colour], systems=[paint, paint_all, look, careless])
    world.actor = "ada"
    return world


async def runs(world: World) -> list[Run]:
    async with world.reading() as session:
        return list(await session.scalars(select(Run).order_by(Run.id)))


async def marks(world: World) -> list[tuple[str, int | None]]:
    async with world.reading() as session:
        rows = await session.scalars(select(Colour).order_by(Colour.entity_id))
        return [(row.name, row.run_id) for row in rows]


async def test_a_run_says_who_did_what_when_and_that_it_is_done(world: World) -> None:
    await world.dispatch_command(Paint())
    (run,) = await runs(world)
    assert (run.actor, run.command, run.outcome, run.error) == ("ada", "Paint", "done", None)
    assert run.ended_at is not None
    assert run.started_at <= run.ended_at
    assert await marks(world) == [("red", run.id)]


async def test_reading_leaves_no_run(world: World) -> None:
    await world.dispatch_command(Look())
    assert await runs(world) == []


async def test_a_failure_is_noted_with_its_error_although_its_writes_are_undone(world: World) -> None:
    with pytest.raises(ValueError, match="no such colour"):
        await world.dispatch_command(Paint("no such colour"))
    (run,) = await runs(world)
    assert (run.command, run.outcome, run.error) == ("Paint", "failed", "ValueError: no such colour")
    assert await marks(world) == []


async def test_a_doomed_run_failed(world: World) -> None:
    with pytest.raises(TransactionDoomedError):
        await world.dispatch_command(Careless())
    assert [(run.command, run.outcome) for run in await runs(world)] == [("Careless", "failed")]


async def test_what_is_left_before_its_end_is_abandoned(world: World) -> None:
    async with world.dispatch_command(PaintAll(("red", "blue"))) as executor:
        await anext(executor)
    assert [(run.command, run.outcome, run.error) for run in await runs(world)] == [("PaintAll", "abandoned", None)]
    assert await marks(world) == [("red", 1)]


async def test_a_transaction_by_hand_that_is_cancelled_is_abandoned(world: World) -> None:
    writing = asyncio.Event()

    async def write() -> None:
        async with world.transaction() as transaction:
            await transaction.create_entity(Colour(name="red"))
            writing.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await writing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(run.command, run.outcome, run.error) for run in await runs(world)] == [("transaction", "abandoned", None)]
    assert await marks(world) == []


async def test_a_bulk_command_is_one_run_however_many_transactions_it_has(world: World) -> None:
    assert await world.dispatch_command(PaintAll(("red", "blue"))).get_all_results() == []
    assert [(run.command, run.outcome) for run in await runs(world)] == [("PaintAll", "done")]
    assert await marks(world) == [("red", 1), ("blue", 1)]


async def test_a_bulk_command_that_fails_later_keeps_its_run(world: World) -> None:
    with pytest.raises(ValueError, match="no such colour"):
        await world.dispatch_command(PaintAll(("red", "no such colour", "blue")))
    assert [(run.command, run.outcome) for run in await runs(world)] == [("PaintAll", "failed")]
    assert await marks(world) == [("red", 1)]


async def test_what_follows_a_commit_is_a_run_of_its_own(world: World) -> None:
    @listens_for(Painted)
    async def varnish(event: Painted, transaction: WorldTransaction) -> None:
        await transaction.create_entity(Colour(name="varnish"))

    world.register_system(varnish)
    async with world.transaction() as transaction:
        await transaction.create_entity(Colour(name="red"))
        transaction.after_commit(Painted())
    assert [(run.command, run.outcome) for run in await runs(world)] == [("transaction", "done"), ("Painted", "done")]
    assert await marks(world) == [("red", 1), ("varnish", 2)]


async def test_a_row_names_the_run_that_wrote_it_last(world: World) -> None:
    entity_id = await world.dispatch_command(Paint()).get_one_value()
    async with world.transaction() as transaction:
        transaction.add(entity_id, Colour(name="red"))
    assert await marks(world) == [("red", 1)]
    async with world.transaction() as transaction:
        transaction.add(entity_id, Colour(name="blue"))
    assert await marks(world) == [("blue", 3)]


# -- what went wrong with a run's own row keeps nobody waiting


REFUSAL = {
    "sqlite": ("CREATE TRIGGER refuse BEFORE INSERT ON dam_run BEGIN SELECT RAISE(ABORT, 'no runs today'); END",),
    "postgresql": (
        (
            "CREATE FUNCTION refusal() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE integrity_constraint_violation USING message = 'no runs today'; END $$"
        ),
        "CREATE TRIGGER refuse BEFORE INSERT ON dam_run EXECUTE FUNCTION refusal()",
    ),
}
CONSENT = {"sqlite": "DROP TRIGGER refuse", "postgresql": "DROP TRIGGER refuse ON dam_run"}


async def refuse_runs(world: World) -> None:
    async with world.engine.begin() as connection:
        for statement in REFUSAL[connection.dialect.name]:
            await connection.execute(text(statement))


async def test_a_transaction_whose_first_write_failed_can_be_tried_again_and_lets_others_go_on(
    make_world: MakeWorld,
) -> None:
    world = await make_world()
    await refuse_runs(world)
    tried: list[str] = []

    @system(on_command=Look)
    async def twice(cmd: Look, transaction: WorldTransaction) -> None:
        for _ in range(2):
            with pytest.raises(DBAPIError, match=r"no runs today|transaction is aborted"):  # the latter by PostgreSQL
                async with asyncio.timeout(10):
                    await transaction.create_entity()
            tried.append("once")
        raise ValueError("enough")

    @system(on_command=PaintAll)
    async def two_units(cmd: PaintAll, world: World) -> int:
        with pytest.raises(IntegrityError, match="no runs today"):
            async with world.transaction() as transaction:
                await transaction.create_entity()
        async with world.engine.begin() as connection:
            await connection.execute(text(CONSENT[connection.dialect.name]))
        async with asyncio.timeout(10), world.transaction() as transaction:
            await transaction.create_entity()
        tried.append("unit")
        return 2

    world.register_system(twice)
    world.register_system(two_units)
    with pytest.raises(ValueError, match="enough"):
        await world.dispatch_command(Look())
    assert tried == ["once", "once"]
    await world.dispatch_command(PaintAll(()))
    assert tried[2:] == ["unit"]


async def test_a_rollback_that_fails_keeps_nobody_waiting(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world()
    done: list[str] = []

    @system(on_command=Look)
    async def two_units(cmd: Look, world: World) -> None:
        with monkeypatch.context() as patched, pytest.raises(ConnectionError):
            async with world.transaction() as transaction:
                await transaction.create_entity()
                patched.setattr(AsyncSession, "commit", broken)
                patched.setattr(AsyncSession, "rollback", broken)
        async with asyncio.timeout(10), world.transaction() as transaction:
            await transaction.create_entity()
        done.append("second")

    async def broken(_session: AsyncSession) -> None:
        raise ConnectionError("the server is gone")

    world.register_system(two_units)
    await world.dispatch_command(Look())
    assert done == ["second"]

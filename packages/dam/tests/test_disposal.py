"""The trash, and deleting for good."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Mapped, mapped_column

from dam.commands.core import BaseCommand
from dam.commands.disposal_commands import DeleteCommand, EmptyTrashCommand, TrashCommand, UntrashCommand
from dam.core.exceptions import DamError
from dam.core.query import listed
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.models.core.base_component import RelationComponent, UniqueComponent
from dam.models.entity import Entity
from dam.models.run import Run
from dam.models.trash import TrashedComponent
from dam.system_events.disposal import DisposalStatus, EntityDisposed
from dam_test_utils.fixtures import MakeWorld

DELETED, FAILED, KNOWN, RESTORED, TRASHED = (
    DisposalStatus.DELETED,
    DisposalStatus.FAILED,
    DisposalStatus.KNOWN,
    DisposalStatus.RESTORED,
    DisposalStatus.TRASHED,
)


class Shelf(UniqueComponent):
    __tablename__ = "test_disposal_shelf"
    number: Mapped[int] = mapped_column(default=0)


class Beside(RelationComponent):
    __tablename__ = "test_disposal_beside"


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world(components=[Shelf, Beside])


async def make(world: World, count: int = 1) -> list[int]:
    async with world.transaction() as transaction:
        ids = await transaction.create_entities(count)
        for i, entity_id in enumerate(ids):
            transaction.add(entity_id, Shelf(number=i))
    return ids


async def dispose(world: World, command: BaseCommand[None, EntityDisposed]) -> list[tuple[int, DisposalStatus]]:
    return [(e.entity_id, e.status) async for e in world.dispatch_command(command) if isinstance(e, EntityDisposed)]


async def shown(world: World) -> list[int]:
    async with world.reading() as session:
        return list(await session.scalars(select(Entity.id).where(listed(world.components)).order_by(Entity.id)))


async def count(world: World, table: Any) -> int:
    async with world.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_what_is_in_the_trash_is_not_listed_and_nothing_of_it_is_lost(world: World) -> None:
    one, two, three = await make(world, 3)
    assert await dispose(world, TrashCommand([two, three, 99])) == [(99, FAILED), (two, TRASHED), (three, TRASHED)]
    assert await shown(world) == [one]
    assert await count(world, Shelf.__table__) == 3
    assert await dispose(world, TrashCommand([two])) == [(two, KNOWN)]
    assert await dispose(world, UntrashCommand([one, two])) == [(one, KNOWN), (two, RESTORED)]
    assert await shown(world) == [one, two]


@pytest.mark.parametrize("command", [TrashCommand, DeleteCommand])
async def test_what_somebody_else_deletes_meanwhile_fails_alone(
    world: World, make_world: MakeWorld, command: Any
) -> None:
    one, two = await make(world, 2)
    other = await make_world(components=[Shelf, Beside], name="other", database_url=world.config.database_url)
    deleted, asked = asyncio.Event(), asyncio.Event()

    async def deleting() -> None:
        async with other.transaction() as transaction:
            await transaction.delete_entities([one])
            deleted.set()
            await asked.wait()
            for _ in range(20):  # the command may come as far as it can
                await count(other, Entity.__table__)

    task = asyncio.create_task(deleting())
    await deleted.wait()
    asked.set()
    told = await dispose(world, command([one, two]))
    await task
    assert told == [(one, FAILED), (two, TRASHED if command is TrashCommand else DELETED)]


async def test_when_it_came_into_the_trash_stays_as_it_is(world: World) -> None:
    (one,) = await make(world)
    long_ago = datetime.now(UTC) - timedelta(days=3)
    async with world.transaction() as transaction:
        transaction.add(one, TrashedComponent(trashed_at=long_ago))
    await dispose(world, TrashCommand([one]))
    async with world.reading() as session:
        assert await session.scalar(select(TrashedComponent.trashed_at)) == long_ago


async def test_deleting_takes_everything_known_along_and_nothing_else(world: World) -> None:
    one, two = await make(world, 2)
    async with world.transaction() as transaction:
        transaction.add(one, Beside(target_id=two))
        transaction.add(two, Beside(target_id=two))
    assert await dispose(world, DeleteCommand([two, two, 1 << 70])) == [(1 << 70, FAILED), (two, DELETED)]
    assert await shown(world) == [one]
    assert (await count(world, Shelf.__table__), await count(world, Beside.__table__)) == (1, 0)


async def test_emptying_the_trash_deletes_what_has_been_there_long_enough(world: World) -> None:
    old, new, kept = await make(world, 3)
    async with world.transaction() as transaction:
        transaction.add(old, TrashedComponent(trashed_at=datetime.now(UTC) - timedelta(days=40)))
        transaction.add(new, TrashedComponent())
    assert await dispose(world, EmptyTrashCommand(timedelta(days=30))) == [(old, DELETED)]
    assert await dispose(world, EmptyTrashCommand()) == [(new, DELETED)]
    assert await dispose(world, EmptyTrashCommand()) == []
    assert await shown(world) == [kept]


async def test_a_dry_run_tells_the_same_and_changes_nothing(world: World) -> None:
    one, two = await make(world, 2)
    assert await dispose(world, TrashCommand([one], dry_run=True)) == [(one, TRASHED)]
    assert await dispose(world, DeleteCommand([two], dry_run=True)) == [(two, DELETED)]
    assert await shown(world) == [one, two]
    await dispose(world, TrashCommand([one]))
    assert await dispose(world, UntrashCommand([one], dry_run=True)) == [(one, RESTORED)]
    assert await dispose(world, EmptyTrashCommand(dry_run=True)) == [(one, DELETED)]
    assert await count(world, Entity.__table__) == 2


async def test_many_are_deleted_batch_by_batch_until_it_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dam.core.disposal.BATCH", 4)
    ids = await make(world, 12)
    command = DeleteCommand(ids)
    async for _ in world.dispatch_command(command):
        command.stop.set()
    assert await count(world, Entity.__table__) == 8
    assert len(await dispose(world, DeleteCommand(ids[4:]))) == 8


class Released:
    """What a plugin would dispose of: what is noted, what is carried out, and what is in the database at that moment."""

    def __init__(self, refusal: str | None = None) -> None:
        self.refusal = refusal
        self.is_away = False
        self.noted: list[int] = []
        self.released: list[int] = []
        self.left: list[int] = []

    async def require(self, world: World) -> None:
        if self.is_away:
            raise DamError("the disk is not mounted")

    async def note(self, transaction: WorldTransaction, rows: Sequence[dict[str, Any]]) -> None:
        self.noted += [row["number"] for row in rows]

    async def carry_out(self, world: World) -> None:
        if self.refusal is not None and self.noted:
            raise DamError(self.refusal)
        if self.noted:
            self.left.append(await count(world, Shelf.__table__))
        self.released, self.noted = self.released + self.noted, []


async def test_what_rows_stood_for_is_released_when_their_deletion_is_committed(world: World) -> None:
    release = Released()
    world.register_release(Shelf, release)
    ids = await make(world, 3)
    await dispose(world, DeleteCommand(ids[1:]))
    assert (sorted(release.released), release.left) == ([1, 2], [1])


async def test_inside_a_larger_transaction_nothing_is_released_for_it_may_be_undone(world: World) -> None:
    release = Released()
    world.register_release(Shelf, release)
    ids = await make(world, 3)
    with pytest.raises(RuntimeError, match="undo"):
        async with world.transaction() as transaction:
            assert await dispose(transaction.world, DeleteCommand(ids)) == [(i, DELETED) for i in ids]
            raise RuntimeError("undo")
    assert release.released == []
    assert await count(world, Shelf.__table__) == 3


async def test_what_cannot_be_released_is_said_and_released_by_the_next_deletion(world: World) -> None:
    release = Released("the disk is read-only")
    world.register_release(Shelf, release)
    one, other = await make(world, 2)
    (told,) = [event async for event in world.dispatch_command(DeleteCommand([one]))]
    assert isinstance(told, EntityDisposed)
    assert (told.status, told.reason) == (DELETED, "what it stood for could not be removed: the disk is read-only")
    assert (await count(world, Entity.__table__), release.released) == (1, [])

    with pytest.raises(DamError, match="read-only"):
        await dispose(world, EmptyTrashCommand())
    release.refusal = None
    await dispose(world, EmptyTrashCommand())  # which finds nothing in the trash
    assert release.released == [0]
    await dispose(world, DeleteCommand([other], dry_run=True))
    assert (release.noted, release.released) == ([], [0])


async def test_nothing_is_deleted_where_nothing_can_be_disposed_of(world: World) -> None:
    release = Released()
    world.register_release(Shelf, release)
    release.is_away = True
    ids = await make(world, 2)
    await dispose(world, TrashCommand(ids[:1]))
    for command in (DeleteCommand(ids), EmptyTrashCommand()):
        with pytest.raises(DamError, match="not mounted"):
            await dispose(world, command)
    assert await count(world, Entity.__table__) == 2
    assert len(await dispose(world, DeleteCommand(ids, dry_run=True))) == 2


async def test_each_of_them_is_one_run(world: World) -> None:
    ids = await make(world, 2)
    await dispose(world, TrashCommand(ids))
    await dispose(world, EmptyTrashCommand())
    async with world.reading() as session:
        commands = list(await session.scalars(select(Run.command).order_by(Run.id)))
    assert [name.rpartition(".")[2] for name in commands[1:]] == ["TrashCommand", "EmptyTrashCommand"]

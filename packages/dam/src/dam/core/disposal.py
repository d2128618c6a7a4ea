"""The trash, and deleting."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import select

from dam.commands.disposal_commands import DeleteCommand, EmptyTrashCommand, TrashCommand, UntrashCommand
from dam.core import faults
from dam.core.exceptions import DamError
from dam.core.systems import system
from dam.core.transaction import WorldTransaction, parts
from dam.core.world import World
from dam.models.core.base_component import Component
from dam.models.core.types import is_storable
from dam.models.entity import Entity
from dam.models.trash import TrashedComponent
from dam.system_events.disposal import DisposalStatus, EntityDisposed

BATCH = 256

Row: TypeAlias = dict[str, Any]
Work: TypeAlias = Callable[[WorldTransaction, Sequence[int]], Awaitable[list[EntityDisposed]]]
Choice: TypeAlias = Callable[[WorldTransaction, Sequence[int]], Awaitable[Sequence[int]]]


@system(on_command=TrashCommand)
async def trash(cmd: TrashCommand, world: World) -> AsyncGenerator[EntityDisposed, None]:
    """Batch by batch, each by itself."""

    async def work(transaction: WorldTransaction, ids: Sequence[int]) -> list[EntityDisposed]:
        trashed = await _trashed(transaction, ids)
        now = datetime.now(UTC)
        for entity_id in ids:
            if entity_id not in trashed and not cmd.dry_run:
                transaction.ensure(entity_id, TrashedComponent(trashed_at=now))
        return [_told(i, DisposalStatus.KNOWN if i in trashed else DisposalStatus.TRASHED) for i in ids]

    for part in parts(list(dict.fromkeys(cmd.entity_ids)), BATCH):
        if cmd.stop.is_set():
            return
        for told in await _on_existing(world, part, work):
            yield told


@system(on_command=UntrashCommand)
async def untrash(cmd: UntrashCommand, world: World) -> AsyncGenerator[EntityDisposed, None]:
    """Batch by batch, each by itself."""

    async def work(transaction: WorldTransaction, ids: Sequence[int]) -> list[EntityDisposed]:
        trashed = await _trashed(transaction, ids)
        if trashed and not cmd.dry_run:
            await transaction.remove_components(TrashedComponent, sorted(trashed))
        return [_told(i, DisposalStatus.RESTORED if i in trashed else DisposalStatus.KNOWN) for i in ids]

    for part in parts(list(dict.fromkeys(cmd.entity_ids)), BATCH):
        if cmd.stop.is_set():
            return
        for told in await _on_existing(world, part, work):
            yield told


@system(on_command=DeleteCommand)
async def delete(cmd: DeleteCommand, world: World) -> AsyncGenerator[EntityDisposed, None]:
    """Batch by batch, each by itself. Raises what a ``Release`` requires, before anything is deleted."""

    async def all_of_them(_transaction: WorldTransaction, ids: Sequence[int]) -> Sequence[int]:
        return ids

    if not cmd.dry_run:
        await _prepare(world)
    for part in parts(list(dict.fromkeys(cmd.entity_ids)), BATCH):
        if cmd.stop.is_set():
            return
        for told in await _delete(world, part, all_of_them, dry_run=cmd.dry_run):
            yield told


@system(on_command=EmptyTrashCommand)
async def empty_trash(cmd: EmptyTrashCommand, world: World) -> AsyncGenerator[EntityDisposed, None]:
    """Batch by batch, each by itself. What was brought back meanwhile stays. Raises what ``delete`` raises, and why an earlier
    deletion cannot be finished."""
    until, after, row = datetime.now(UTC) - cmd.older_than, 0, TrashedComponent

    async def still_trashed(transaction: WorldTransaction, ids: Sequence[int]) -> Sequence[int]:
        query = select(row.entity_id).where(row.entity_id.in_(ids), row.trashed_at <= until)
        return sorted(await transaction.session.scalars(query))

    problem = None if cmd.dry_run else await _prepare(world)
    while not cmd.stop.is_set():
        wanted = select(row.entity_id).where(row.trashed_at <= until, row.entity_id > after)
        async with world.reading() as session:
            ids = list(await session.scalars(wanted.order_by(row.entity_id).limit(BATCH)))
        if not ids:
            break
        problem = None  # which is told with each
        for told in await _delete(world, ids, still_trashed, dry_run=cmd.dry_run):
            if told.status is not DisposalStatus.FAILED:  # somebody else has deleted it meanwhile
                yield told
        after = ids[-1]
    if problem is not None:
        raise problem


async def _delete(world: World, part: Sequence[int], chosen: Choice, *, dry_run: bool) -> list[EntityDisposed]:
    """Deletes rows, and when that is committed what they stood for: the other way round a crash would leave rows of what is not
    there. What it leaves this way is noted, and the next deletion finishes it."""

    async def work(transaction: WorldTransaction, there: Sequence[int]) -> list[EntityDisposed]:
        ids = await chosen(transaction, there)
        if ids and not dry_run:
            for cls in world.components:
                if (release := world.release_of(cls)) and (rows := await _rows(transaction, cls, ids)):
                    await release.note(transaction, rows)
            await transaction.delete_entities(ids)
        return [_told(entity_id, DisposalStatus.DELETED) for entity_id in ids]

    told = await _on_existing(world, part, work)
    if not dry_run and (problem := await _finish(world)):
        for each in told:
            each.reason = each.reason or f"what it stood for could not be removed: {problem.message}"
    return told


async def _prepare(world: World) -> DamError | None:
    """Finishes what earlier deletions have left; why that cannot be done, if it cannot."""
    for release in world.releases.values():
        await release.require(world.root)
    return await _finish(world)


async def _finish(world: World) -> DamError | None:
    """Disposes of what deleted rows stood for; why that cannot be done now, if it cannot."""
    if world.is_in_transaction:  # which may be undone yet
        return None
    faults.reached("deletion.committed")
    try:
        for release in world.releases.values():
            await release.carry_out(world.root)
    except DamError as e:
        return e
    return None


async def _rows(transaction: WorldTransaction, cls: type[Component], ids: Sequence[int]) -> list[Row]:
    table = cls.__table__
    connection = await transaction.session.connection()
    found = await connection.execute(select(table).where(table.c.entity_id.in_(ids)))
    return [dict(row) for row in found.mappings()]


async def _on_existing(world: World, part: Sequence[int], work: Work) -> list[EntityDisposed]:
    """``work`` for those that there are, and that nobody else deletes before it is done; what there is not fails."""

    async def write(transaction: WorldTransaction) -> list[EntityDisposed]:
        known = [i for i in part if is_storable(i)]
        query = select(Entity.id).where(Entity.id.in_(known)).order_by(Entity.id).with_for_update()
        there = set(await transaction.session.scalars(query))
        missing = [
            EntityDisposed(i, DisposalStatus.FAILED, f"there is no entity {i} in world {world.name!r}")
            for i in part
            if i not in there
        ]
        return [*missing, *await work(transaction, [i for i in part if i in there])]

    return await world.write(write)


async def _trashed(transaction: WorldTransaction, ids: Sequence[int]) -> set[int]:
    row = TrashedComponent
    return set(await transaction.session.scalars(select(row.entity_id).where(row.entity_id.in_(ids))))


def _told(entity_id: int, status: DisposalStatus) -> EntityDisposed:
    return EntityDisposed(entity_id, status)

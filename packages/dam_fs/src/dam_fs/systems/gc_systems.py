"""Removing what nobody knows. Nothing is removed because of what a list says: each batch is proved again while nobody can add."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from dam.core import faults
from dam.core.system_params import Resource
from dam.core.systems import system
from dam.core.world import World
from dam_fs.commands import GcCommand, Removed
from dam_fs.exceptions import StorageError
from dam_fs.flow import batched, chunks, to_its_end
from dam_fs.receipts import named_in
from dam_fs.resources import FileOperationsResource
from dam_fs.storage import LeavesTemporaries, Storage, StoredObject
from dam_fs.systems.disposal_systems import Deletions
from dam_fs.unknown import Knowing, still_unknown, unknown_objects

TOGETHER = 1 << 18  # unknown objects that are looked for in the receipts at once, for each look reads all of them
BATCH = 256  # objects that are removed while others wait to add theirs


@system(on_command=GcCommand)
async def collect(
    cmd: GcCommand, world: World, files: Resource[FileOperationsResource], deletions: Resource[Deletions]
) -> AsyncGenerator[Removed, None]:
    """Unknown objects batch by batch, then temporaries; asks for no transaction, so that the lock is held for a batch alone."""
    storage = await files.storage(world, create=False)
    problem = None if cmd.dry_run else await _finish(deletions, world)
    before = time.time() - cmd.grace

    def is_old(found: StoredObject) -> bool:
        return found.modified <= before

    knowing = await Knowing.of(world)
    unknown = _until_stopped(unknown_objects(world, storage, knowing, is_old), cmd.stop)
    async with aclosing(batched(unknown, TOGETHER, lambda _: 0, 1)) as batches:
        async for candidates in batches:
            if cmd.stop.is_set():
                return
            spared = await asyncio.to_thread(_named, storage, candidates) if candidates and not cmd.named else set()
            for each in candidates:
                if each.key in spared:
                    yield Removed(each.key, each.length, is_spared=True)
            candidates = [each for each in candidates if each.key not in spared]
            for part in chunks(candidates, BATCH):
                if cmd.stop.is_set():
                    return
                for each in await to_its_end(_remove(world, files, knowing, part, dry_run=cmd.dry_run)):
                    yield Removed(each.key, each.length)
    for removed in await asyncio.to_thread(_sweep, storage, before, dry_run=cmd.dry_run):
        yield removed
    if problem is not None:
        raise problem


async def _finish(deletions: Deletions, world: World) -> StorageError | None:
    """One object that stays must not keep others."""
    try:
        await deletions.carry_out(world)
    except StorageError as e:
        return e
    return None


async def _until_stopped(
    parts: AsyncGenerator[list[StoredObject], None], stop: asyncio.Event
) -> AsyncGenerator[list[StoredObject], None]:
    async with aclosing(parts):
        async for part in parts:
            yield part
            if stop.is_set():
                return


def _named(storage: Storage, objects: Sequence[StoredObject]) -> set[str]:
    """A database that knows nothing of what receipts name has lost it, as one that was restored from an old backup; or a run was
    killed before it was committed, and the same command uses it when it is run again."""
    return named_in(storage.receipts(), {each.key for each in objects})


async def _remove(
    world: World, files: FileOperationsResource, knowing: Knowing, objects: Sequence[StoredObject], *, dry_run: bool
) -> list[StoredObject]:
    await files.look_again(world)  # the disk of another store may have taken this one's place
    storage = await files.storage(world, create=False)
    async with world.transaction() as transaction:
        unwanted = await still_unknown(transaction, knowing, objects)
        faults.reached("gc.proved")
        if not dry_run:
            await asyncio.to_thread(storage.remove, [each.key for each in unwanted])
    return unwanted


def _sweep(storage: Storage, before: float, *, dry_run: bool) -> list[Removed]:
    if not isinstance(storage, LeavesTemporaries):
        return []
    old = [each for each in storage.abandoned() if each.modified <= before]
    swept = old if dry_run else storage.sweep(old)
    return [Removed(each.path, each.size_bytes, is_temporary=True) for each in swept]

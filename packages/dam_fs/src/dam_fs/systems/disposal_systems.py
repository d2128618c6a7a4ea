"""Objects that nobody needs any more."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select

from dam.core import faults
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam_fs.exceptions import StorageError
from dam_fs.models import ContentHashSha256Component, FileLocationComponent, PendingRelease, StorageType
from dam_fs.receipts import Receipt, is_digest, lines_of
from dam_fs.resources import STORE_LOCK, FileOperationsResource
from dam_fs.storage import Storage
from dam_fs.unknown import Knowing, known_keys

BATCH = 256  # contents that are judged and removed while the lock is held
HOPELESS = 16  # objects that cannot be removed, one after the other: the store is at fault


class Deletions:
    """What deleted rows stood for, on its way out of a world's store."""

    def __init__(self) -> None:
        self._knowing: Knowing | None = None  # to find it out takes a look at every location

    async def carry_out(self, world: World) -> None:
        """Removes what no other row needs, and says in the store's receipts that it is not to come back.

        What cannot be removed stays noted, and all else goes. Raises ``StorageError`` then, and what
        ``FileOperationsResource.storage`` raises.
        """
        row, last = PendingRelease, 0
        problem: StorageError | None = None
        while True:
            async with world.reading() as session:
                leaving = list(await session.scalars(select(row).where(row.id > last).order_by(row.id).limit(BATCH)))
            if not leaving:
                break
            last = leaving[-1].id
            problem = await self._release(world, leaving) or problem
        if problem is not None:
            raise problem

    async def _release(self, world: World, leaving: Sequence[PendingRelease]) -> StorageError | None:
        """All of it at once, or, where an object cannot be removed, one by one; why the last one that stays does. Raises
        ``StorageError`` where it is not an object but the store that is at fault."""
        try:
            await self._remove(world, leaving)
        except StorageError:
            if len(leaving) == 1:
                raise
        else:
            return None
        problems = []
        for each in leaving:
            try:
                await self._remove(world, [each])
            except StorageError as e:
                problems.append(e)
                if len(problems) == HOPELESS:
                    raise
        return problems[-1] if problems else None

    async def _remove(self, world: World, leaving: Sequence[PendingRelease]) -> None:
        """Whoever commits a row that needs an object holds the same lock, has left its receipts while it did so, and looks before
        that whether the object is there."""
        files = world.get_resource(FileOperationsResource)
        await files.look_again(world)
        storage = await files.storage(world, create=False)
        keys = sorted({each.content for each in leaving if each.path is None})
        if self._knowing is None or self._knowing.astray.intersection(keys):
            self._knowing = await Knowing.of(world)
        async with world.transaction() as transaction:
            await transaction.lock(STORE_LOCK)
            is_there = (
                await asyncio.to_thread(storage.read_id) is not None
            )  # or it is a world of references copied here
            if is_there:
                needed = await known_keys(transaction.session, self._knowing, keys)
                faults.reached("deletion.proved")
                await _say_deleted(transaction, storage, leaving)
                await asyncio.to_thread(storage.remove, [key for key in keys if key not in needed])
                await files.look_again(world)  # a store that went away meanwhile has no object either
            done = PendingRelease.id.in_([each.id for each in leaving])
            await transaction.session.execute(delete(PendingRelease).where(done))


async def _say_deleted(transaction: WorldTransaction, storage: Storage, leaving: Sequence[PendingRelease]) -> None:
    """Of what has not been added again by now: content to the store, or a reference at its path."""
    sha256, location = ContentHashSha256Component, FileLocationComponent
    digests = sorted({bytes.fromhex(each.content) for each in leaving})
    query = (
        select(sha256.hash_value, location.storage_type, location.physical_path_or_key)
        .join(location, location.entity_id == sha256.entity_id)
        .where(sha256.hash_value.in_(digests))
    )
    again = {
        (digest.hex(), path if kind == StorageType.REFERENCE else None)
        for digest, kind, path in await transaction.session.execute(query)
    }
    gone = [
        Receipt(each.content, each.name, path=each.path, deleted=True)
        for each in leaving
        if each.name is not None and (each.content, each.path) not in again
    ]
    if gone:
        await asyncio.to_thread(storage.append_receipts, lines_of(gone))


class _Release:
    """What there is to dispose of lies in the store, whatever the rows were."""

    def __init__(self, deletions: Deletions) -> None:
        self._deletions = deletions

    async def require(self, world: World) -> None:
        await world.get_resource(FileOperationsResource).look_again(world)

    async def carry_out(self, world: World) -> None:
        await self._deletions.carry_out(world)


class ReleaseFiles(_Release):
    """Implements ``Release``: objects of files are removed, and referenced originals stay, for they are the user's."""

    async def note(self, transaction: WorldTransaction, rows: Sequence[dict[str, Any]]) -> None:
        await _note(
            transaction,
            [
                {"content": row["content_identifier"], "name": row["contextual_filename"], "path": _path_of(row)}
                for row in rows
            ],
        )


class ReleaseDerived(_Release):
    """Implements ``Release``: objects that were made of others are nobody's files, and have no names."""

    async def note(self, transaction: WorldTransaction, rows: Sequence[dict[str, Any]]) -> None:
        await _note(transaction, [{"content": row["content_identifier"], "name": None, "path": None} for row in rows])


async def _note(transaction: WorldTransaction, leaving: Sequence[dict[str, Any]]) -> None:
    """What is no digest stands for no object, whoever has written it."""
    if sound := [each for each in leaving if is_digest(each["content"])]:
        await (await transaction.session.connection()).execute(insert(PendingRelease), sound)


def _path_of(row: dict[str, Any]) -> str | None:
    return row["physical_path_or_key"] if row["storage_type"] == StorageType.REFERENCE else None

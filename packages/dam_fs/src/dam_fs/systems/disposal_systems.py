"""Objects that nobody needs any more."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select

from dam.core import faults
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam_fs.models import ContentHashSha256Component, DerivedObjectComponent, PendingRelease, StorageType
from dam_fs.receipts import Receipt, lines_of
from dam_fs.resources import STORE_LOCK, FileOperationsResource

BATCH = 256  # contents that are judged and removed while the lock is held


class ReleaseFiles:
    """Implements ``Release``: objects of files are removed, and referenced originals stay, for they are the user's."""

    async def note(self, transaction: WorldTransaction, rows: Sequence[dict[str, Any]]) -> None:
        leaving = [
            {"content": row["content_identifier"], "name": row["contextual_filename"], "path": _path_of(row)}
            for row in rows
        ]
        await (await transaction.session.connection()).execute(insert(PendingRelease), leaving)

    async def carry_out(self, world: World) -> None:
        await carry_out(world)


class ReleaseDerived:
    """Implements ``Release``: objects that were made of others are nobody's files, and have no names."""

    async def note(self, transaction: WorldTransaction, rows: Sequence[dict[str, Any]]) -> None:
        leaving = [{"content": row["content_identifier"], "name": None, "path": None} for row in rows]
        await (await transaction.session.connection()).execute(insert(PendingRelease), leaving)

    async def carry_out(self, world: World) -> None:
        await carry_out(world)


def _path_of(row: dict[str, Any]) -> str | None:
    return row["physical_path_or_key"] if row["storage_type"] == StorageType.REFERENCE else None


async def carry_out(world: World) -> None:
    """Removes what deleted rows stood for and no other row needs, and says in the store's receipts that it is not to come back.

    Raises ``StorageError``, and what ``FileOperationsResource.storage`` raises; what is left is noted still.
    """
    row = PendingRelease
    while True:
        async with world.reading() as session:
            leaving = list(await session.scalars(select(row).order_by(row.id).limit(BATCH)))
        if not leaving:
            return
        await _note_deleted(world, leaving)
        await _remove(world, leaving)


async def _note_deleted(world: World, leaving: Sequence[PendingRelease]) -> None:
    gone = [Receipt(each.content, each.name, path=each.path, deleted=True) for each in leaving if each.name is not None]
    storage = await world.get_resource(FileOperationsResource).storage(world, create=False)
    is_there = (
        await asyncio.to_thread(storage.read_id) is not None
    )  # or it is a world of references that were copied here
    if gone and is_there:
        await asyncio.to_thread(storage.append_receipts, lines_of(gone))


async def _remove(world: World, leaving: Sequence[PendingRelease]) -> None:
    """Whoever commits a row that needs an object holds the same lock, and looks before that whether it is there."""
    storage = await world.get_resource(FileOperationsResource).storage(world, create=False)
    keys = sorted({each.content for each in leaving if each.path is None})
    async with world.transaction() as transaction:
        await transaction.lock(STORE_LOCK)
        needed = await needed_keys(transaction, world, keys)
        faults.reached("deletion.proved")
        await asyncio.to_thread(storage.remove, [key for key in keys if key not in needed])
        done = PendingRelease.id.in_([each.id for each in leaving])
        await transaction.session.execute(delete(PendingRelease).where(done))


async def needed_keys(transaction: WorldTransaction, world: World, keys: Sequence[str]) -> set[str]:
    """Those of the keys that are the content of an entity, or were made of one."""
    sha256 = ContentHashSha256Component.hash_value
    digests = select(sha256).where(sha256.in_([bytes.fromhex(key) for key in keys]))
    needed = {digest.hex() for digest in await transaction.session.scalars(digests)}
    for cls in world.components:
        if issubclass(cls, DerivedObjectComponent):
            made = cls.content_identifier
            needed |= set(await transaction.session.scalars(select(made).where(made.in_(keys))))
    return needed

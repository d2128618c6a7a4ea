"""Objects that nobody needs any more."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from dam.core import faults
from dam.core.transaction import WorldTransaction, parts
from dam.core.world import World
from dam_fs.models import ContentHashSha256Component, DerivedObjectComponent, StorageType
from dam_fs.receipts import Receipt, lines_of
from dam_fs.resources import STORE_LOCK, FileOperationsResource

BATCH = 256  # keys that are judged and removed while the lock is held


async def release_files(world: World, rows: Sequence[dict[str, Any]]) -> None:
    """Removes objects of files. Referenced originals are the user's, and stay."""
    files = world.get_resource(FileOperationsResource)
    storage = await files.storage(world, create=False)
    gone = [
        Receipt(row["content_identifier"], row["contextual_filename"], path=_path_of(row), deleted=True) for row in rows
    ]
    if await asyncio.to_thread(storage.read_id) is None:  # a world of references alone, which were copied here
        return
    await asyncio.to_thread(storage.append_receipts, lines_of(gone))
    await remove_unneeded(
        world, {row["physical_path_or_key"] for row in rows if row["storage_type"] == StorageType.CAS}
    )


def _path_of(row: dict[str, Any]) -> str | None:
    return row["physical_path_or_key"] if row["storage_type"] == StorageType.REFERENCE else None


async def release_derived(world: World, rows: Sequence[dict[str, Any]]) -> None:
    """Removes objects that were made of others."""
    await remove_unneeded(world, {row["content_identifier"] for row in rows})


async def remove_unneeded(world: World, keys: Iterable[str]) -> list[str]:
    """Removes those objects that no row of the world needs at the moment when they are removed; returns their keys.

    Whoever commits a row that needs an object holds the same lock, and looks before that whether it is there.
    """
    removed: list[str] = []
    wanted = sorted(keys)
    if not wanted:
        return removed
    storage = await world.get_resource(FileOperationsResource).storage(world, create=False)
    for part in parts(wanted, BATCH):
        async with world.transaction() as transaction:
            await transaction.lock(STORE_LOCK)
            needed = await needed_keys(transaction, world, part)
            free = [key for key in part if key not in needed]
            faults.reached("deletion.proved")
            await asyncio.to_thread(storage.remove, free)
        removed += free
    return removed


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

"""Objects that come along when entities are copied into another world."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam_fs.hashing import read_stream
from dam_fs.models import LocationCondition, StorageType
from dam_fs.receipts import Receipt, lines_of
from dam_fs.resources import STORE_LOCK, FileOperationsResource
from dam_fs.storage import Staged, Storage

Row: TypeAlias = dict[str, Any]

TOGETHER = 1 << 30
"""Bytes after which objects are flushed and named: what an interrupted copy may have to do again."""


async def transfer_files(
    source: World, target: World, rows: Sequence[Row], stop: asyncio.Event
) -> Sequence[Row | str | None]:
    """Of files in a store their objects; whether one is whole is found out, whatever the source believes. References go on naming
    the user's own files."""
    keys = {row["physical_path_or_key"] for row in rows if row["storage_type"] == StorageType.CAS}
    problems = await _transferred(source, target, keys, stop)
    brought = [_brought(row, problems) for row in rows]
    copied = [row for row in brought if isinstance(row, dict) and row["storage_type"] == StorageType.CAS]
    if copied:
        receipts = [Receipt(row["content_identifier"], row["contextual_filename"]) for row in copied]
        store = await target.get_resource(FileOperationsResource).storage(target)
        await asyncio.to_thread(store.append_receipts, lines_of(receipts))
    return brought


async def files_are_there(transaction: WorldTransaction, rows: Sequence[Row]) -> bool:
    """Nobody removes an object from here to the commit."""
    keys = {row["physical_path_or_key"] for row in rows if row["storage_type"] == StorageType.CAS}
    if not keys:
        return True
    await transaction.lock(STORE_LOCK, shared=True)
    world = transaction.world
    storage = await world.get_resource(FileOperationsResource).storage(world.root)
    return await asyncio.to_thread(lambda: all(storage.length(key) is not None for key in keys))


async def transfer_derived(
    source: World, target: World, rows: Sequence[Row], stop: asyncio.Event
) -> Sequence[Row | str | None]:
    """Objects that were made of others; one that cannot be read can be made again."""
    problems = await _transferred(source, target, {row["content_identifier"] for row in rows}, stop)
    return [problems.get(row["content_identifier"], row) for row in rows]


def _brought(row: Row, problems: Mapping[str, str | None]) -> Row | str | None:
    row = row | {"verified_at": None}
    if row["storage_type"] != StorageType.CAS:
        return row
    key = row["physical_path_or_key"]
    return problems[key] if key in problems else row | {"condition": LocationCondition.OK.value}


async def _transferred(source: World, target: World, keys: set[str], stop: asyncio.Event) -> dict[str, str | None]:
    """Puts objects of one world's store into the other's; returns by key why one cannot come along, or ``None`` for one that
    was not tried."""
    if not keys:
        return {}
    origin = await source.get_resource(FileOperationsResource).storage(source, create=False)
    store = await target.get_resource(FileOperationsResource).storage(target)
    return await asyncio.to_thread(_transfer, origin, store, sorted(keys), stop)


def _transfer(origin: Storage, store: Storage, keys: Sequence[str], stop: asyncio.Event) -> dict[str, str | None]:
    problems: dict[str, str | None] = {}
    left = list(keys)
    while left and not stop.is_set():
        found: list[str] = []
        staged: dict[str, Staged] = {}
        size = 0
        try:
            while left and size < TOGETHER and not stop.is_set():
                key = left.pop(0)
                if _is_whole(store, key):
                    found.append(key)
                    continue
                staged[key] = store.stage()
                size += _copied(origin, key, staged[key], problems)
            whole = [(key, new) for key, new in staged.items() if key not in problems]
            store.publish(whole, found=found, replacing=[key for key, _ in whole])
        finally:
            for new in staged.values():
                new.abandon()
    return problems | dict.fromkeys(left)


def _copied(origin: Storage, key: str, staged: Staged, problems: dict[str, str | None]) -> int:
    """Copies an object, and returns its length. It is hashed on the way, so that damage does not spread."""
    size = 0
    try:
        with origin.open(key) as stream:
            size, digest, _ = read_stream(stream, write=staged.write)
        if digest != key:
            problems[key] = f"its object {key} is damaged: it hashes to {digest}"
    except OSError as e:
        problems[key] = f"its object {key} cannot be read: {e.strerror or e}"
    staged.close()
    return size


def _is_whole(store: Storage, key: str) -> bool:
    """Whether the store has the object already: nobody knows who wrote it, so its length is not enough."""
    if store.length(key) is None:
        return False
    try:
        with store.open(key) as stream:
            return read_stream(stream).digest == key
    except OSError:
        return False

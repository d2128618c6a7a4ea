"""Objects that come along when entities are copied into another world."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from dam.core.world import World
from dam_fs.intake import CHUNK
from dam_fs.models import LocationCondition, StorageType
from dam_fs.resources import FileOperationsResource
from dam_fs.storage import Staged, Storage

TOGETHER = 1 << 30
"""Bytes that are written before they are flushed and named: what an interrupted copy may have to do again."""


async def transfer_files(source: World, target: World, rows: Sequence[dict[str, Any]]) -> Sequence[str | None]:
    """Of files in a store their objects. References go on naming the user's own files; what is known to be damaged stays so."""
    stored = [row["storage_type"] == StorageType.CAS and row["condition"] == LocationCondition.OK for row in rows]
    keys = {row["physical_path_or_key"] for row, is_stored in zip(rows, stored, strict=True) if is_stored}
    problems = await _transferred(source, target, keys)
    return [
        problems.get(row["physical_path_or_key"]) if is_stored else None
        for row, is_stored in zip(rows, stored, strict=True)
    ]


async def transfer_derived(source: World, target: World, rows: Sequence[dict[str, Any]]) -> Sequence[str | None]:
    """Objects that were made of others; one that cannot be read can be made again."""
    problems = await _transferred(source, target, {row["content_identifier"] for row in rows})
    return [problems.get(row["content_identifier"]) for row in rows]


async def _transferred(source: World, target: World, keys: set[str]) -> dict[str, str]:
    """Puts objects of one world's store into the other's; returns by key why one cannot come along."""
    if not keys:
        return {}
    origin = await source.get_resource(FileOperationsResource).storage(source, create=False)
    store = await target.get_resource(FileOperationsResource).storage(target)
    return await asyncio.to_thread(_transfer, origin, store, sorted(keys))


def _transfer(origin: Storage, store: Storage, keys: Sequence[str]) -> dict[str, str]:
    problems: dict[str, str] = {}
    for part in _portions(origin, keys):
        found = [key for key in part if _is_whole(store, key)]
        staged: dict[str, Staged] = {}
        try:
            for key in part:
                if key not in found:
                    staged[key] = store.stage()
                    if problem := _copied(origin, key, staged[key]):
                        problems[key] = problem
            whole = [(key, new) for key, new in staged.items() if key not in problems]
            store.publish(whole, found=found, replacing=[key for key, _ in whole])
        finally:
            for new in staged.values():
                new.abandon()
    return problems


def _copied(origin: Storage, key: str, staged: Staged) -> str | None:
    """Why the object cannot be copied. It is hashed on the way, so that damage does not spread."""
    try:
        with origin.open(key) as stream:
            digest = _digest(stream, staged.write)
    except OSError as e:
        return f"its object {key} cannot be read: {e.strerror}"
    staged.close()
    return None if digest == key else f"its object {key} is damaged: it hashes to {digest}"


def _is_whole(store: Storage, key: str) -> bool:
    """Whether the store has the object already: nobody knows who wrote it, so its length is not enough."""
    if store.length(key) is None:
        return False
    try:
        with store.open(key) as stream:
            return _digest(stream) == key
    except OSError:
        return False


def _digest(stream: BinaryIO, write: Callable[[bytes], None] = lambda _: None) -> str:
    sha256 = hashlib.sha256()
    while part := stream.read(CHUNK):
        sha256.update(part)
        write(part)
    return sha256.hexdigest()


def _portions(origin: Storage, keys: Sequence[str]) -> Iterator[list[str]]:
    portion: list[str] = []
    size = 0
    for key in keys:
        portion.append(key)
        size += origin.length(key) or 0
        if size >= TOGETHER:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion

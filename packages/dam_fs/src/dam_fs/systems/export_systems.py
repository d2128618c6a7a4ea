"""Copying assets out of a world, into a folder of their own."""

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from sqlalchemy import select

from dam.core.content import ContentSource
from dam.core.durable import flush_folder, own_folder
from dam.core.query import listed
from dam.core.system_params import Resource
from dam.core.systems import system
from dam.core.transaction import parts
from dam.core.world import World
from dam.models.entity import Entity
from dam_fs.commands import AssetExported, ExportCommand, ExportStatus
from dam_fs.exceptions import ExportError
from dam_fs.export import ExportFolder, Put, Wanted, export_error
from dam_fs.models import ContentHashSha256Component, FilePropertiesComponent, OriginalSourceInfoComponent
from dam_fs.names import PREFIX
from dam_fs.resources import FileOperationsResource
from dam_fs.sidecars import sidecars

PAGE = 256  # assets looked up at once
BATCH_BYTES = 1 << 30  # what is written before it gets its names: what an interrupted export may have to do again
LARGEST_ID = (1 << 63) - 1


class _Facts(NamedTuple):
    """What an export has to know of an asset."""

    name: str
    size: int
    digest: bytes


@system(on_command=ExportCommand)
async def export_assets(
    cmd: ExportCommand, world: World, files: Resource[FileOperationsResource]
) -> AsyncGenerator[AssetExported, None]:
    """Exports batch by batch; what was told is on the disk."""
    path = os.path.realpath(cmd.folder)
    refuse_place(path, cmd.folder, [*cmd.protected, *world.database_files, *_places(files.root)])
    await files.storage(world, create=False)  # a store that is not there is not a million damaged assets
    with ExitStack() as stack:
        temporaries = None if cmd.dry_run else await asyncio.to_thread(_prepare, stack, path, cmd.folder)
        folder = await asyncio.to_thread(ExportFolder, path, temporaries)
        stack.callback(folder.stop.set)  # whoever leaves early waits for no large file
        export = Export(cmd, world, folder)
        async for ids in _wanted_ids(cmd, world):
            async for told in export.bring(ids):
                yield told


class Export:
    """One run of ``ExportCommand``."""

    def __init__(self, cmd: ExportCommand, world: World, folder: ExportFolder) -> None:
        self._cmd = cmd
        self._world = world
        self._folder = folder

    async def bring(self, ids: Sequence[int]) -> AsyncGenerator[AssetExported, None]:
        """Exports these, a gigabyte at a time."""
        facts = await self._facts(ids)
        for entity_id in ids:
            if entity_id not in facts:
                yield AssetExported(entity_id, ExportStatus.FAILED, reason=await self._why_not(entity_id))
        wanted = await self._wanted(facts)
        for batch in _batches(wanted):
            if self._cmd.stop.is_set():
                return
            for told in await self._put({entity_id: wanted[entity_id] for entity_id in batch}):
                yield told

    async def _put(self, wanted: dict[int, Wanted]) -> list[AssetExported]:
        put = dict(zip(wanted, await asyncio.to_thread(self._folder.put, list(wanted.values())), strict=True))
        beside = await self._put_sidecars({i: each.path for i, each in put.items() if each.path is not None})
        await asyncio.to_thread(self._folder.flush)
        return [_told(entity_id, wanted[entity_id], put[entity_id], beside.get(entity_id)) for entity_id in put]

    async def _put_sidecars(self, paths: dict[int, str]) -> dict[int, Put]:
        if not self._cmd.sidecar:
            return {}
        contents = await sidecars(self._world, list(paths))
        wanted = [_in_memory(f"{os.path.basename(paths[i])}.json", contents[i]) for i in paths]
        return dict(zip(paths, await asyncio.to_thread(self._folder.put, wanted), strict=True))

    async def _facts(self, ids: Sequence[int]) -> dict[int, _Facts]:
        properties, sha256 = FilePropertiesComponent, ContentHashSha256Component
        query = (
            select(properties.entity_id, properties.original_filename, properties.size_bytes, sha256.hash_value)
            .join(sha256, sha256.entity_id == properties.entity_id)
            .where(properties.entity_id.in_([i for i in ids if i <= LARGEST_ID]))
        )
        async with self._world.reading() as session:
            found = {row[0]: _Facts(*row[1:]) for row in await session.execute(query)}
        return {entity_id: found[entity_id] for entity_id in ids if entity_id in found}

    async def _why_not(self, entity_id: int) -> str:
        async with self._world.reading() as session:
            is_there = entity_id <= LARGEST_ID and await session.get(Entity, entity_id) is not None
        if is_there:
            return "it has no content: it is no file"
        return f"there is no entity {entity_id} in world {self._world.name!r}"

    async def _wanted(self, facts: dict[int, _Facts]) -> dict[int, Wanted]:
        sources = await self._world.contents.sources(facts)
        times = await self._times(list(facts))
        return {
            entity_id: Wanted(each.name, each.size, each.digest, sources[entity_id], times.get(entity_id))
            for entity_id, each in facts.items()
        }

    async def _times(self, ids: Sequence[int]) -> dict[int, int]:
        """When the file was written last that each asset came from first."""
        source = OriginalSourceInfoComponent
        query = select(source.entity_id, source.mtime_ns).order_by(source.id.desc())
        async with self._world.reading() as session:
            return {
                row[0]: row[1]
                for part in parts(ids)
                for row in await session.execute(query.where(source.entity_id.in_(part)))
            }


def refuse_place(path: str, shown: str, protected: Sequence[str]) -> None:
    """Raises ``ExportError`` where nothing may be written: into a store, into a database, or into what is no folder."""
    real = map(os.path.realpath, protected)
    if any(path == each or path.startswith(each + os.sep) for each in real):
        raise ExportError(f"{shown!r} is part of a world, its store or its database; choose another folder")
    if os.path.lexists(path) and not os.path.isdir(path):
        raise ExportError(f"{shown!r} is no folder; choose another name, or remove what is there")
    if not os.path.isdir(os.path.dirname(path)):
        raise ExportError(
            f"there is no folder {os.path.dirname(path)!r} to make {shown!r} in; is its disk mounted? Mount it, or make the "
            "folder"
        )


def _places(root: str) -> list[str]:
    return [root] if os.path.isabs(root) else []


def _prepare(stack: ExitStack, path: str, shown: str) -> str:
    try:
        if not os.path.isdir(path):
            os.mkdir(path)
            flush_folder(os.path.dirname(path))
        return stack.enter_context(own_folder(path, PREFIX))
    except OSError as e:
        raise export_error(e, shown) from e


async def _wanted_ids(cmd: ExportCommand, world: World) -> AsyncIterator[Sequence[int]]:
    if cmd.entity_ids is not None:
        named = list(dict.fromkeys(cmd.entity_ids))
        for start in range(0, len(named), PAGE):
            if not cmd.stop.is_set():
                yield named[start : start + PAGE]
        return
    after = 0
    while not cmd.stop.is_set():
        query = select(Entity.id).where(Entity.id > after, listed(world.components)).order_by(Entity.id).limit(PAGE)
        async with world.reading() as session:
            ids = list(await session.scalars(query))
        if not ids:
            return
        yield ids
        after = ids[-1]


def _batches(wanted: dict[int, Wanted]) -> list[list[int]]:
    batches: list[list[int]] = [[]]
    size = 0
    for entity_id, each in wanted.items():
        if batches[-1] and size + each.size > BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(entity_id)
        size += each.size
    return [batch for batch in batches if batch]


def _in_memory(name: str, content: bytes) -> Wanted:
    source = ContentSource(partial(io.BytesIO, content), len(content))
    return Wanted(name, len(content), hashlib.sha256(content).digest(), [source])


def _told(entity_id: int, wanted: Wanted, put: Put, beside: Put | None) -> AssetExported:
    problem = put.problem or (f"its sidecar: {beside.problem}" if beside and beside.problem else None)
    is_new = put.is_new or (beside is not None and beside.is_new)
    status = ExportStatus.FAILED if problem else ExportStatus.EXPORTED if is_new else ExportStatus.KNOWN
    return AssetExported(entity_id, status, put.path, wanted.size, beside.path if beside else None, problem)

"""Thumbnails: made when somebody wants one, and kept in the store."""

import asyncio
import hashlib
from typing import NoReturn

from sqlalchemy import select

from dam.analysis.jobs import Compute, Failure, Job
from dam.analysis.ref import ref
from dam.core.analysis import local_copy
from dam.core.exceptions import NoSuchEntityError
from dam.core.system_params import Resource
from dam.core.systems import system
from dam.core.world import World
from dam.models.entity import Entity
from dam_fs.resources import FileOperationsResource
from dam_media_image.commands import ThumbnailCommand
from dam_media_image.exceptions import NotAPictureError, UndecodablePictureError
from dam_media_image.facts import Thumbnail
from dam_media_image.models import ThumbnailComponent
from dam_media_image.systems.analysis_systems import HASHED

VERSION = 1
THUMBNAIL = ref("dam_media_image.thumbnail:thumbnail")
MIME_TYPE = "image/webp"
LARGEST = 2048


@system(on_command=ThumbnailCommand)
async def make_thumbnail(cmd: ThumbnailCommand, world: World, files: Resource[FileOperationsResource]) -> bytes:
    if not 1 <= cmd.size <= LARGEST:
        raise NotAPictureError(f"a thumbnail has 1 to {LARGEST} pixels each way, not {cmd.size}")
    kept = await _kept(world, files, cmd)
    if kept is not None:
        return kept
    made = await _made(world, cmd)
    key = await files.put(world, made.content)
    async with world.transaction() as transaction:
        component = ThumbnailComponent(
            content_identifier=key,
            size_bytes=len(made.content),
            mime_type=MIME_TYPE,
            size_pixels=cmd.size,
            version=VERSION,
            width_pixels=made.width,
            height_pixels=made.height,
        )
        transaction.add(cmd.entity_id, component)
    return made.content


async def _kept(world: World, files: FileOperationsResource, cmd: ThumbnailCommand) -> bytes | None:
    """What was made before by this version, if the store still has it whole."""
    row = ThumbnailComponent
    async with world.reading() as session:
        found = await session.scalar(
            select(row).where(row.entity_id == cmd.entity_id, row.size_pixels == cmd.size, row.version == VERSION)
        )
    if found is None:
        return None
    try:
        content = await asyncio.to_thread(_read, files, found.content_identifier)
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == found.content_identifier else None


def _read(files: FileOperationsResource, key: str) -> bytes:
    with files.open(key) as stream:
        return stream.read()


async def _made(world: World, cmd: ThumbnailCommand) -> Thumbnail:
    ways = (await world.contents.sources([cmd.entity_id]))[cmd.entity_id]
    if not ways:
        await _refuse_without_content(world, cmd.entity_id)
    kind = ways[0].media_type or ""
    if kind not in HASHED:
        raise NotAPictureError(f"entity {cmd.entity_id} is {kind}, of which there are no thumbnails; choose a picture")
    try:
        async with local_copy(ways) as (way, path):
            job = Job(
                path, way.size or 0, kind, (Compute(THUMBNAIL.name, (("size", cmd.size),)),), f"entity {cmd.entity_id}"
            )
            found: Thumbnail | Failure = await world.analyses.compute(job)
            if way.is_current is not None and not await asyncio.to_thread(way.is_current):
                found = Failure("unreachable", "the file changed while it was looked at")
    except OSError as e:
        raise NotAPictureError(f"the content of entity {cmd.entity_id} cannot be reached: {e.strerror}") from e
    if isinstance(found, Failure):
        raise UndecodablePictureError(f"entity {cmd.entity_id} has no thumbnail: {found.message}")
    return found


async def _refuse_without_content(world: World, entity_id: int) -> NoReturn:
    async with world.reading() as session:
        if await session.scalar(select(Entity.id).where(Entity.id == entity_id)) is None:
            raise NoSuchEntityError(f"there is no entity {entity_id} in world {world.name!r}")
    raise NotAPictureError(f"entity {entity_id} has no content; choose a picture")

"""Assets that lack rows, as after a disk has failed under a database, or a hand has changed it."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select

from dam.core.world import World
from dam_fs.models import (
    ContentHashMd5Component,
    ContentHashSha256Component,
    FileLocationComponent,
    FilePropertiesComponent,
    StorageType,
)

PAGE = 4096


async def incomplete_assets(world: World, is_over: Callable[[], bool]) -> AsyncGenerator[tuple[int, str], None]:
    """Entities, and what each lacks. Set against set: no asset is looked at by itself. Ends when ``is_over`` says so."""
    for reason, entity_id, condition in _lacking(world):
        last = 0
        while not is_over():
            query = select(entity_id).where(entity_id > last, condition).distinct().order_by(entity_id).limit(PAGE)
            async with world.reading() as session:
                found = list(await session.scalars(query))
            for each in found:
                yield each, reason
            if len(found) < PAGE:
                break
            last = found[-1]


def _lacking(world: World) -> list[tuple[str, Any, ColumnElement[bool]]]:
    sha256, md5, properties = ContentHashSha256Component, ContentHashMd5Component, FilePropertiesComponent
    location = FileLocationComponent
    reachable = [and_(place.entity_id == properties.entity_id, *_of_known_kind(place)) for place, _ in world.openers]
    described = exists().where(properties.entity_id == location.entity_id)
    return [
        (
            "it lies nowhere: it has no location",
            properties.entity_id,
            ~or_(*(exists().where(each) for each in reachable)),
        ),
        ("it has no SHA-256", properties.entity_id, ~exists().where(sha256.entity_id == properties.entity_id)),
        ("it has no MD5", properties.entity_id, ~exists().where(md5.entity_id == properties.entity_id)),
        ("it has a location and no file properties", location.entity_id, ~described),
    ]


def _of_known_kind(place: Any) -> list[ColumnElement[bool]]:
    return [place.storage_type.in_(list(StorageType))] if place is FileLocationComponent else []

"""What the database says about files: set-wise look-ups and corrections for ingest."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from dam.core.transaction import WorldTransaction, parts
from dam.core.world import World
from dam.models.trash import TrashedComponent
from dam_fs.models import (
    ContentHashSha256Component,
    FileLocationComponent,
    LocationCondition,
    OriginalSourceInfoComponent,
    StorageType,
    path_key,
)
from dam_fs.scan import Found
from dam_fs.storage import Storage


@dataclass
class Known:
    """What a world knows of some content: its entity, whether the store should hold it, and under which paths it came."""

    entity_id: int
    copied: bool = False
    damaged: bool = False
    trashed: bool = False
    paths: set[str] = field(default_factory=set)


async def known_content(world: World, digests: Sequence[bytes]) -> dict[bytes, Known]:
    """Digest → what is known; what is not known is not there."""
    known: dict[bytes, Known] = {}
    if not digests:
        return known
    sha256, location, source = ContentHashSha256Component, FileLocationComponent, OriginalSourceInfoComponent
    async with world.reading() as session:
        for part in parts(digests):
            owners = select(sha256.entity_id, sha256.hash_value).where(sha256.hash_value.in_(part))
            by_id = {
                entity_id: known.setdefault(digest, Known(entity_id))
                for entity_id, digest in await session.execute(owners)
            }
            if not by_id:
                continue
            places = select(location.entity_id, location.condition).where(
                location.entity_id.in_(by_id), location.storage_type == StorageType.CAS
            )
            for entity_id, condition in await session.execute(places):
                by_id[entity_id].copied = True
                by_id[entity_id].damaged |= condition == LocationCondition.DAMAGED
            for entity_id, path in await session.execute(
                select(source.entity_id, source.original_path).where(source.entity_id.in_(by_id))
            ):
                by_id[entity_id].paths.add(path)
            trash = TrashedComponent.entity_id
            for entity_id in await session.scalars(select(trash).where(trash.in_(by_id))):
                by_id[entity_id].trashed = True
    return known


async def unchanged(world: World, storage: Storage, candidates: Sequence[Found], *, copied: bool) -> dict[str, int]:
    """Path → entity for those files that need no reading: size and time are as recorded, and the bytes are where they should
    be, an object in full length and not recorded as damaged. With ``copied`` a reference is not enough."""
    if not candidates:
        return {}
    source, location = OriginalSourceInfoComponent, FileLocationComponent
    by_key = {path_key(found.path): found for found in candidates}
    query = (
        select(source.path_key, source.size_bytes, source.mtime_ns, source.entity_id)
        .add_columns(location.storage_type, location.content_identifier, location.location_key)
        .join(location, location.entity_id == source.entity_id)
        .where(
            source.path_key.in_(by_key),
            location.condition == LocationCondition.OK,
            source.entity_id.not_in(select(TrashedComponent.entity_id)),  # adding those brings them back
        )
    )
    async with world.reading() as session:
        rows = (
            await (await session.connection()).execute(query)
        ).all()  # past the ORM, which doubles the cost of a row
    return await asyncio.to_thread(_confirmed, rows, by_key, storage, copied)


def _confirmed(
    rows: Sequence[Sequence[object]], by_key: dict[bytes, Found], storage: Storage, copied: bool
) -> dict[str, int]:
    same: dict[str, int] = {}
    for key, size, mtime_ns, entity_id, storage_type, identifier, location_key in rows:
        found = by_key[key]  # type: ignore[index]
        if found.path in same or (found.size, found.mtime_ns) != (size, mtime_ns):
            continue
        in_store = storage_type == StorageType.CAS
        if storage.length(identifier) == size if in_store else not copied and location_key == key:  # type: ignore[arg-type]
            same[found.path] = entity_id  # type: ignore[assignment]
    return same


async def judge_references(transaction: WorldTransaction, owned: Sequence[tuple[str, int]]) -> None:
    """A path whose content is another entity's now: references of earlier entities to it are recorded as lost. One that
    holds its entity's content again is good again."""
    location = FileLocationComponent
    now = {path_key(path): entity_id for path, entity_id in owned}
    query = select(location.id, location.location_key, location.entity_id, location.condition).where(
        location.location_key.in_(now), location.storage_type == StorageType.REFERENCE
    )
    changed: dict[LocationCondition, list[int]] = {LocationCondition.OK: [], LocationCondition.LOST: []}
    for row_id, key, entity_id, condition in await transaction.session.execute(query):
        holds = LocationCondition.OK if now[key] == entity_id else LocationCondition.LOST
        if condition != holds:
            changed[holds].append(row_id)
    for holds, row_ids in changed.items():
        if row_ids:
            await transaction.update_components(location, location.id.in_(row_ids), condition=holds)


async def mark_damaged(world: World, entity_ids: Sequence[int]) -> None:
    """Records that these entities' objects are not what they should be, before anything overwrites them."""
    location = FileLocationComponent

    async def mark(transaction: WorldTransaction) -> None:
        in_store = location.storage_type == StorageType.CAS
        await transaction.update_components(
            location, location.entity_id.in_(entity_ids), in_store, condition=LocationCondition.DAMAGED
        )

    await world.write(mark)

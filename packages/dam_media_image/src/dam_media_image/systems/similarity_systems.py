"""Pictures that are alike."""

import asyncio
import hashlib
import os
import stat
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Select,
    Subquery,
    case,
    column,
    func,
    literal,
    select,
    type_coerce,
    union,
    union_all,
    values,
)
from sqlalchemy.ext.asyncio import AsyncSession

from dam.analysis.jobs import Compute, Failure, Job
from dam.core.query import listed
from dam.core.system_params import WorldSession
from dam.core.systems import system
from dam.core.world import World
from dam.models.entity import Entity
from dam_fs.mime import HEAD_BYTES, media_type
from dam_fs.models import ContentHashSha256Component
from dam_media_image.commands import FindSimilarImagesCommand, SimilarImage
from dam_media_image.distance import bits_that_differ
from dam_media_image.exceptions import (
    FlatPictureError,
    InvalidThresholdError,
    NotAPictureError,
    UndecodablePictureError,
)
from dam_media_image.facts import Hashes
from dam_media_image.hamming import Range, expected_share, ranges, rotated, signed
from dam_media_image.models import (
    ImagePerceptualAHashComponent,
    ImagePerceptualDHashComponent,
    ImagePerceptualPHashComponent,
    PerceptualHash,
)
from dam_media_image.systems.analysis_systems import hash_analyzer

KINDS: Mapping[str, type[PerceptualHash]] = {
    "phash": ImagePerceptualPHashComponent,
    "ahash": ImagePerceptualAHashComponent,
    "dhash": ImagePerceptualDHashComponent,
}
DEFAULT_THRESHOLD = 4
MOST_OF_ALL = 0.25  # of all hashes: to judge so many by way of an index costs more than to judge every one
RANGE_COST = 100  # hashes that can be judged in the time that one range takes: to write it down, send it and look it up


@system(on_command=FindSimilarImagesCommand)
async def find_similar_images(cmd: FindSimilarImagesCommand, world: World, session: WorldSession) -> list[SimilarImage]:
    """Ranks by how many hashes match, then by how near they are; all of it in the database, however many match."""
    thresholds = {kind: cmd.thresholds.get(kind, DEFAULT_THRESHOLD) for kind in KINDS}
    if wrong := [f"{kind}={bits}" for kind, bits in cmd.thresholds.items() if kind not in KINDS or not 0 <= bits <= 64]:
        raise InvalidThresholdError(f"{', '.join(wrong)}: a threshold of {', '.join(KINDS)} is a number from 0 to 64")
    if cmd.limit is not None and cmd.limit < 0:
        raise InvalidThresholdError(f"limit={cmd.limit}: at most so many pictures, so it is 0 or more")
    hashes = await _hashes_of_file(world, cmd.path)
    same = await _same(session, cmd.path)
    wanted = {kind: value for kind, value in zip(KINDS, hashes, strict=True) if value is not None}
    matches = [
        select(each.c.entity_id, literal(kind).label("kind"), each.c.bits)
        for kind, value in wanted.items()
        for each in [await near(session, KINDS[kind], value, thresholds[kind])]
    ]
    needed = min(cmd.match.needed, len(wanted))
    ranking = _ranking(union_all(*matches).subquery(), needed, same).where(listed(world.components)).limit(cmd.limit)
    return [
        SimilarImage(
            entity_id,
            {kind: bits for kind, bits in zip(KINDS, found, strict=True) if bits is not None},
            is_same=entity_id == same,
        )
        for entity_id, *found in await session.execute(ranking)
    ]


def _ranking(matches: Any, needed: int, same: int | None) -> Any:
    """Entities, ``same`` before all others. There is a column for each kind of hash: the bits that differ, where it matched."""
    per_kind = [func.max(case((matches.c.kind == kind, matches.c.bits))).label(kind) for kind in KINDS]
    count, nearness = func.count().label("count"), func.avg(matches.c.bits).label("nearness")
    found = select(matches.c.entity_id, count, nearness, *per_kind).group_by(matches.c.entity_id).subquery()
    return (
        select(found.c.entity_id, *(found.c[kind] for kind in KINDS))
        .join(Entity, Entity.id == found.c.entity_id)
        .where(found.c["count"] >= needed)
        .order_by(
            case((found.c.entity_id == same, 0), else_=1), found.c["count"].desc(), found.c.nearness, found.c.entity_id
        )
    )


async def near(session: AsyncSession, component: type[PerceptualHash], value: int, distance: int) -> Subquery:
    """Every entity whose hash differs from ``value`` in at most ``distance`` ``bits``, once, as something to select from."""
    return union(*await _statements(session, component, value, distance)).subquery()


async def _statements(
    session: AsyncSession, component: type[PerceptualHash], value: int, distance: int
) -> list[Select[int, int]]:
    """One for each rotation that has to be looked at, or one that looks at all hashes where that is less work."""
    if expected_share(distance) > MOST_OF_ALL:
        return [_scan(component, value, distance)]
    # The newest entity's id stands for the number of hashes: counting those would read all of them.
    number = await session.scalar(select(func.max(component.entity_id))) or 0
    found = dict(ranges(value, distance))
    if number <= RANGE_COST * sum(map(len, found.values())):
        return [_scan(component, value, distance)]
    near_chunks = {rotation: _table(of_rotation) for rotation, of_rotation in found.items()}
    most = max(1000, int(MOST_OF_ALL * number))
    for rotation, near_chunk in near_chunks.items():
        some = _within(select(literal(1)), component, rotation, near_chunk).limit(most + 1).subquery()
        most -= await session.scalar(select(func.count()).select_from(some)) or 0
        if most < 0:  # hashes are not evenly spread, and too many begin like this one
            return [_scan(component, value, distance)]
    return [_search(component, rotation, value, distance, near_chunk) for rotation, near_chunk in near_chunks.items()]


def _scan(component: type[PerceptualHash], value: int, distance: int) -> Select[int, int]:
    bits = bits_that_differ(_rotation(component, 0), signed(value)).label("bits")
    return select(component.entity_id, bits).where(bits <= distance)


def _search(component: type[PerceptualHash], rotation: int, value: int, distance: int, near_chunk: CTE) -> Any:
    """Rotating changes no distance, so what stands in the index is enough to judge."""
    bits = bits_that_differ(_rotation(component, rotation), signed(rotated(value, rotation))).label("bits")
    return _within(select(component.entity_id, bits), component, rotation, near_chunk).where(bits <= distance)


def _within(statement: Any, component: type[PerceptualHash], rotation: int, near_chunk: CTE) -> Any:
    hashes = _rotation(component, rotation)
    return statement.select_from(component).join(near_chunk, hashes.between(near_chunk.c.low, near_chunk.c.high))


def _rotation(component: type[PerceptualHash], rotation: int) -> Any:
    """The column that holds the hash rotated so far, as the integer that it is in the database."""
    columns = component.__table__.columns
    return columns[f"rotated_{rotation}"] if rotation else type_coerce(columns["hash_value"], BigInteger)


def _table(found: list[Range]) -> CTE:
    low, high = column("low", BigInteger), column("high", BigInteger)
    return values(low, high).data([tuple(each) for each in found]).cte()


async def _same(session: AsyncSession, path: str) -> int | None:
    """The entity that is this very file."""
    content = ContentHashSha256Component
    try:
        digest = await asyncio.to_thread(_digest, path)
    except OSError:  # it was there when it was hashed
        return None
    return await session.scalar(select(content.entity_id).where(content.hash_value == digest))


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _examined(path: str) -> tuple[int, str]:
    """Length and media type."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # whoever opens a pipe may wait for ever
        raise NotAPictureError(f"{path!r} is no regular file; name a picture")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        return size, media_type(file.read(HEAD_BYTES), size, os.path.basename(path))


async def _hashes_of_file(world: World, path: str) -> Hashes:
    """Hashed by a worker, as everything is that comes from anywhere."""
    try:
        size, kind = await asyncio.to_thread(_examined, path)
    except OSError as e:
        raise NotAPictureError(f"{path!r} cannot be read: {e.strerror}; check the name") from e
    analyzer = hash_analyzer(world)
    if not analyzer.wants(kind):
        raise NotAPictureError(f"{path!r} is {kind}, which is no picture that can be hashed")
    job = Job(os.path.abspath(path), size, kind, (Compute(analyzer.compute.name),), path)
    found: Hashes | Failure | None = await world.analyses.compute(job)
    if isinstance(found, Failure):
        raise UndecodablePictureError(f"{path!r} cannot be hashed: {found.message}")
    if found is None:
        raise FlatPictureError(
            f"{path!r} is of one shade, and like every other picture that is; there is nothing to find"
        )
    return found

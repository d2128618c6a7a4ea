"""What the commands do, as functions that scripts and tests can call."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Select, inspect, null, select, tuple_

from dam.core.databases import database_file
from dam.core.exceptions import DamError, PluginUnavailableError
from dam.core.metadata_systems import chosen_analyzers
from dam.core.query import listed
from dam.core.transaction import parts
from dam.core.world import World
from dam.models.config import ConfigComponent
from dam.models.core.base_component import Component
from dam.models.core.types import is_storable
from dam.models.derivation import DerivationComponent
from dam.models.entity import Entity
from dam.models.trash import TrashedComponent
from dam_app.config import Configuration
from dam_fs.commands import AddAssetsCommand
from dam_fs.exceptions import InvalidHashError, NotAFileError
from dam_fs.models import ContentHashMd5Component, ContentHashSha256Component, FilePropertiesComponent
from dam_media_image.exceptions import InvalidThresholdError

HashComponent = ContentHashSha256Component | ContentHashMd5Component

HASHES: dict[str, tuple[type[HashComponent], int]] = {
    "sha256": (ContentHashSha256Component, 32),
    "md5": (ContentHashMd5Component, 16),
}


@dataclass(frozen=True)
class Asset:
    """An entity with all that is known about it: components in the order of their tables' names."""

    entity_id: int
    components: list[Component]

    def of(self, cls: type[Component]) -> Component | None:
        return next((c for c in self.components if type(c) is cls), None)


@dataclass(frozen=True)
class Listed:
    """One line of a listing."""

    entity_id: int
    name: str | None = None
    size_bytes: int | None = None
    mime_type: str | None = None
    added_at: datetime | None = None


def addition(
    paths: Sequence[str],
    *,
    recursive: bool = False,
    copy: bool = True,
    dry_run: bool = False,
    exclude: Sequence[str] = (),
    protected: Sequence[str] = (),
    listed: Sequence[str] = (),
    count: bool = False,
) -> AddAssetsCommand:
    """The command that adds these paths. Raises ``NotAFileError`` for a folder that is not to be entered; one of those
    ``listed`` by a program fails alone, as every path does that is not there."""
    for path in paths:
        if not path:
            raise NotAFileError("one of the paths is empty; is a variable not set?")
        if not recursive and os.path.isdir(path):
            raise NotAFileError(f"{path!r} is a folder; add -r to add the files below it")
    return AddAssetsCommand(
        [*paths, *listed],
        recursive=recursive,
        copy=copy,
        dry_run=dry_run,
        exclude=exclude,
        protected=protected,
        count=count,
    )


def paths_from(source: str, *, null: bool = False) -> list[str]:
    """Paths from a file, or from standard input for ``-``: one a line, or each ended by a NUL. Empty lines are nothing."""
    try:
        if source == "-":
            content = sys.stdin.buffer.read()
        else:
            with open(source, "rb") as file:
                content = file.read()
    except OSError as e:
        raise NotAFileError(f"--files-from {source!r} cannot be read: {e.strerror}") from e
    if not null and b"\0" in content:
        raise NotAFileError(f"--files-from {source!r} holds NUL characters; if they end the paths, add --null")
    return [os.fsdecode(path) for path in content.split(b"\0" if null else b"\n") if path]


async def find_by_hash(world: World, hash_type: str, value: str | None = None, file: str | None = None) -> list[Asset]:
    """Assets whose content has that hash, given in hexadecimal or taken from a file. Several can share one MD5."""
    return await find_by_digest(world, *wanted_digest(hash_type, value, file))


async def find_by_digest(world: World, component: type[HashComponent], digest: bytes) -> list[Asset]:
    """The same for a hash that is known to be one."""
    if component not in world.components:
        raise PluginUnavailableError(
            f"world {world.name!r} keeps no hashes: it does not have the plugin dam-fs; add it to the world's plugins"
        )
    async with world.reading() as session:
        ids = list(await session.scalars(select(component.entity_id).where(component.hash_value == digest)))
    return await describe_entities(world, ids)


def wanted_digest(hash_type: str, value: str | None, file: str | None) -> tuple[type[HashComponent], bytes]:
    """What to look for, and in which component. Raises ``InvalidHashError`` or ``NotAFileError``."""
    hash_type = hash_type.lower()
    if hash_type not in HASHES:
        raise InvalidHashError(f"--hash-type {hash_type!r} is not a hash that is kept; allowed are {', '.join(HASHES)}")
    component, length = HASHES[hash_type]
    return component, _digest_of(file, hash_type) if file is not None else _parse(value or "", hash_type, length)


def _parse(value: str, hash_type: str, length: int) -> bytes:
    try:
        digest = bytes.fromhex(value.strip())
    except ValueError:
        digest = b""
    if len(digest) != length:
        raise InvalidHashError(
            f"{value!r} is not a {hash_type}; it has {2 * length} hexadecimal digits. For a file, use --file PATH"
        )
    return digest


def _digest_of(path: str, hash_type: str) -> bytes:
    import hashlib

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise NotAFileError(f"--file {path!r} is no file")
        with open(path, "rb") as file:
            return hashlib.file_digest(file, hash_type).digest()
    except OSError as e:
        raise NotAFileError(f"--file {path!r} cannot be read: {e.strerror}; check the name") from e


async def describe_entities(world: World, entity_ids: Iterable[int]) -> list[Asset]:
    """Every component of these entities; one statement for each component, however many entities. Unknown ids are left out."""
    wanted = [entity_id for entity_id in dict.fromkeys(entity_ids) if is_storable(entity_id)]
    components: dict[int, list[Component]] = {}
    async with world.reading() as session:
        for entity_id in await session.scalars(select(Entity.id).where(Entity.id.in_(wanted))):
            components[entity_id] = []
        for cls in _by_interest(world) if components else ():
            rows = select(cls).where(cls.entity_id.in_(wanted)).order_by(*cls.__table__.primary_key.columns)
            for component in await session.scalars(rows):
                components[component.entity_id].append(component)
    return [Asset(entity_id, components[entity_id]) for entity_id in wanted if entity_id in components]


def _by_interest(world: World) -> list[type[Component]]:
    """What plugins say first, in the order of their registration; the core's bookkeeping after it."""
    return sorted(world.components, key=lambda cls: cls.__module__.startswith("dam."))


def values_of(component: Component) -> dict[str, Any]:
    """A component's own columns, without keys and bookkeeping."""
    hidden = {"id", "entity_id", "run_id"}
    columns = inspect(type(component)).local_table.columns
    if isinstance(component, ConfigComponent):  # whose settings are no fields; what is not set has a default
        values = {name: getattr(component, name) for name in component.__settings__.model_fields}
        return {name: value for name, value in values.items() if value is not None}
    return {
        c.key: getattr(component, c.key) for c in columns if c.key not in hidden and c.info.get("dam_field") != "hidden"
    }


async def newest_assets(world: World, limit: int | None = None, page: int = 1000) -> AsyncIterator[Listed]:
    """Assets that listings show, the newest first, page by page: memory does not grow with the world."""
    properties, before = FilePropertiesComponent, None
    has_files = properties in world.components
    left = limit
    while left is None or left > 0:
        size = page if left is None else min(page, left)
        query: Select[Any] = select(Entity.id).where(listed(world.components)).order_by(Entity.id.desc()).limit(size)
        if has_files:
            query = query.add_columns(
                properties.original_filename, properties.size_bytes, properties.mime_type, properties.added_at
            ).outerjoin(properties, properties.entity_id == Entity.id)
        if before is not None:
            query = query.where(Entity.id < before)
        async with world.reading() as session:
            rows = (await session.execute(query)).all()
        for row in rows:
            yield Listed(*row)
        if len(rows) < size:
            return
        before = rows[-1][0]
        left = None if left is None else left - len(rows)


async def trashed_assets(world: World, page: int = 1000) -> AsyncIterator[tuple[Listed, datetime]]:
    """What is in the trash, with when it came there, the longest there first; page by page."""
    row, properties = TrashedComponent, FilePropertiesComponent
    query: Any = select(row.trashed_at, row.entity_id).order_by(row.trashed_at, row.entity_id).limit(page)
    if properties in world.components:
        query = query.add_columns(
            properties.original_filename, properties.size_bytes, properties.mime_type, properties.added_at
        ).outerjoin(properties, properties.entity_id == row.entity_id)
    last: tuple[datetime, int] | None = None
    while True:
        following = query if last is None else query.where(tuple_(row.trashed_at, row.entity_id) > tuple_(*last))
        async with world.reading() as session:
            rows: list[Any] = list(await session.execute(following))
        for moment, entity_id, *values in rows:
            yield Listed(entity_id, *values), moment
            last = moment, entity_id
        if len(rows) < page:
            return


@dataclass(frozen=True)
class FailedAnalysis:
    """Why one analyzer has no facts of one asset. ``failure`` is the kind, as in ``DerivationComponent``."""

    entity_id: int
    algorithm: str
    version: int
    failure: str | None
    error: str | None
    name: str | None


async def failed_analyses(
    world: World, algorithm: str | None = None, limit: int | None = None, page: int = 1000
) -> AsyncIterator[FailedAnalysis]:
    """Failures by analyzer and entity, page by page; those of analyzers that are gone, too. Raises ``NoSuchAnalyzerError`` for a
    name that neither the world nor its record knows."""
    row, properties = DerivationComponent, FilePropertiesComponent
    if algorithm is not None:
        await _require_known(world, algorithm)
    name = properties.original_filename if properties in world.components else null()
    query = select(row.entity_id, row.algorithm, row.version, row.failure, row.error, name).where(
        row.status == "failed"
    )
    if properties in world.components:
        query = query.outerjoin(properties, properties.entity_id == row.entity_id)
    if algorithm is not None:
        query = query.where(row.algorithm == algorithm)
    last: tuple[str, int] | None = None
    left = limit
    while left is None or left > 0:
        size = page if left is None else min(page, left)
        ordered = query.order_by(row.algorithm, row.entity_id).limit(size)
        if last is not None:
            ordered = ordered.where(tuple_(row.algorithm, row.entity_id) > tuple_(*last))
        async with world.reading() as session:
            rows = (await session.execute(ordered)).all()
        for each in rows:
            yield FailedAnalysis(*each)
        if len(rows) < size:
            return
        last = rows[-1][1], rows[-1][0]
        left = None if left is None else left - len(rows)


async def _require_known(world: World, algorithm: str) -> None:
    async with world.reading() as session:
        recorded = select(DerivationComponent.entity_id).where(DerivationComponent.algorithm == algorithm).limit(1)
        if await session.scalar(recorded) is None:
            chosen_analyzers(world, [algorithm])


@dataclass(frozen=True)
class SimilarListed:
    """A picture like the one asked for: as in a listing, for each hash that matched the bits that differ, and whether it is the
    same file."""

    listed: Listed
    distances: dict[str, int]
    is_same: bool


async def similar_images(
    world: World, path: str, thresholds: dict[str, int], match: str = "any", limit: int | None = None
) -> list[SimilarListed]:
    """Pictures that look like the one at ``path``. Raises ``InvalidThresholdError``, ``PluginUnavailableError`` in a world
    without pictures, and what ``FindSimilarImagesCommand`` raises."""
    from dam_media_image.commands import FindSimilarImagesCommand, Match

    if match not in list(Match):
        raise InvalidThresholdError(f"--match {match!r} is not known; allowed are {', '.join(Match)}")
    _require_pictures(world)
    command = FindSimilarImagesCommand(path, thresholds, Match(match), limit)
    found = await world.dispatch_command(command).get_one_value()
    by_id = {each.entity_id: each for each in await _listed(world, [each.entity_id for each in found])}
    return [
        SimilarListed(by_id.get(each.entity_id, Listed(each.entity_id)), each.distances, each.is_same) for each in found
    ]


async def write_thumbnail(world: World, entity_id: int, size: int, path: str) -> int:
    """Writes a thumbnail to ``path``; returns its length. Raises what ``ThumbnailCommand`` raises, ``PluginUnavailableError``, or
    ``NotAFileError`` where the file cannot be written."""
    from dam_media_image.commands import ThumbnailCommand

    _require_pictures(world)
    content = await world.dispatch_command(ThumbnailCommand(entity_id, size)).get_one_value()
    try:
        await asyncio.to_thread(_write_out, path, content)
    except OSError as e:
        raise NotAFileError(f"{path!r} cannot be written: {e.strerror}") from e
    return len(content)


def _write_out(path: str, content: bytes) -> None:
    if path == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        Path(path).write_bytes(content)


def _require_pictures(world: World) -> None:
    from dam_media_image.plugin import ImagePlugin

    if ImagePlugin not in world.plugins:
        raise PluginUnavailableError(
            f"world {world.name!r} knows no pictures: it does not have the plugin dam-media-image; add it to the world's plugins"
        )


async def _listed(world: World, entity_ids: Sequence[int]) -> list[Listed]:
    properties = FilePropertiesComponent
    if properties not in world.components:
        return []
    async with world.reading() as session:
        query = select(
            properties.entity_id,
            properties.original_filename,
            properties.size_bytes,
            properties.mime_type,
            properties.added_at,
        )
        return [
            Listed(*row)
            for part in parts(entity_ids)
            for row in await session.execute(query.where(properties.entity_id.in_(part)))
        ]


def world_rows(configuration: Configuration, chosen: str | None = None) -> list[dict[str, Any]]:
    """Every configured world, the ``chosen`` one marked; one that cannot be used has the reason in ``error``."""
    rows = []
    for name in configuration.names:
        row: dict[str, Any] = {"name": name, "chosen": name == chosen, "database": None, "plugins": [], "error": None}
        try:
            description = configuration.describe(name)
            url = description.core.database_url
            row["database"] = database_file(url) or url
            row["plugins"] = [report.name for report in description.plugins]
        except DamError as e:
            row["error"] = e.message
        rows.append(row)
    return rows

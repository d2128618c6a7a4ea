"""Mending what verification recorded as damaged, from whatever place holds the same bytes. No source is believed unhashed."""

import asyncio
import os
import stat
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, exists, select
from sqlalchemy.orm import aliased

from dam.core import faults
from dam.core.system_params import Resource
from dam.core.systems import system
from dam.core.transaction import WorldTransaction, parts
from dam.core.world import World
from dam.models.entity import Entity
from dam_fs.commands import RepairCommand, RepairOutcome, RepairStatus
from dam_fs.exceptions import NotAFileError
from dam_fs.flow import chunks, to_its_end
from dam_fs.hashing import Read, read_file, read_object
from dam_fs.incomplete import incomplete_assets
from dam_fs.intake import ChangedWhileReadError, StoppedError
from dam_fs.models import (
    DamagedDerived,
    DerivedObjectComponent,
    FileLocationComponent,
    FilePropertiesComponent,
    LocationCondition,
    OriginalSourceInfoComponent,
    StorageType,
)
from dam_fs.resources import FileOperationsResource
from dam_fs.storage import Staged, Storage, own_paths

PAGE = 4096  # damaged objects that are looked up at once
TOGETHER = 1 << 28  # bytes that are written before they are published and recorded
BATCH = 64

Location = FileLocationComponent


@dataclass
class Damaged:
    """One object that is to be mended. ``entity_id`` is missing where it was made of others; ``candidates`` are files that may
    hold its bytes."""

    key: str
    entity_id: int | None = None
    name: str | None = None
    size: int | None = None
    candidates: list[str] = field(default_factory=list)

    def outcome(self, status: RepairStatus, size: int = 0, source: str | None = None) -> RepairOutcome:
        return RepairOutcome(status, self.key, self.entity_id, self.name, size or self.size or 0, source)


@dataclass
class Mended:
    """A copy of the right bytes, on its way into the store."""

    damaged: Damaged
    source: str
    read: Read
    staged: Staged | None = None  # a dry run has none


@system(on_command=RepairCommand)
async def repair(
    cmd: RepairCommand, world: World, files: Resource[FileOperationsResource]
) -> AsyncGenerator[RepairOutcome, None]:
    """Objects of assets, derived objects, references, and assets that lack rows, which nothing mends. Asks for no transaction, so
    that each batch commits by itself."""
    for folder in cmd.folders:
        if not os.path.isdir(folder):
            raise NotAFileError(f"--from {folder!r} is no folder; name the one that holds copies of the files")
    async with aclosing(Repair(cmd, world, await files.storage(world, create=False)).told()) as told:
        async for outcome in told:
            yield outcome


class Held(NamedTuple):
    """A file that has the content of a lost reference."""

    path: str
    read: Read


class Repair:
    """One run of ``RepairCommand``."""

    def __init__(self, cmd: RepairCommand, world: World, storage: Storage) -> None:
        self._cmd = cmd
        self._world = world
        self._storage = storage
        self._stop = threading.Event()  # the search leaves what it is reading
        self._found: dict[str, list[str]] = {}  # files of the user's folders, by their content
        self._derived = [cls for cls in world.components if issubclass(cls, DerivedObjectComponent)]

    async def told(self) -> AsyncGenerator[RepairOutcome, None]:
        stopping = asyncio.create_task(self._pass_on_stop())
        try:
            self._found = await self._copies()
            for pages, mend in (
                (self._damaged_objects(), self._mend_objects),
                (self._damaged_derived(), self._mend_derived),
                (self._lost_references(), self._judge_references),
            ):
                async with aclosing(pages):
                    async for page in pages:
                        for part in chunks(page, BATCH):
                            if self._cmd.stop.is_set():
                                return
                            for outcome in await to_its_end(mend(part)):
                                yield outcome
            async for entity_id, reason in incomplete_assets(self._world, self._cmd.stop.is_set):
                yield RepairOutcome(RepairStatus.BEYOND, "", entity_id, reason=reason)
        finally:
            stopping.cancel()
            self._stop.set()

    async def _pass_on_stop(self) -> None:
        await self._cmd.stop.wait()
        self._stop.set()

    # -- objects of assets

    async def _damaged_objects(self) -> AsyncGenerator[list[Damaged], None]:
        last = 0
        while rows := await self._damaged_rows(last):
            last = rows[-1].id
            found: dict[str, Damaged] = {}
            for row in rows:
                found.setdefault(row.key, Damaged(row.key, row.entity_id, row.name, row.size))
            await self._name_references(list(found.values()))
            for each in found.values():
                each.candidates += self._found.get(each.key, ())
            yield list(found.values())

    async def _copies(self) -> dict[str, list[str]]:
        """Files of the user's folders by what is damaged or lost and they hold, found in one walk for all of it."""
        sizes: dict[str, int | None] = {}
        for page in (self._damaged_rows, self._lost_rows) if self._cmd.folders else ():
            last = 0
            while rows := await page(last):
                last = rows[-1].id
                sizes.update((row.key, row.size) for row in rows)
        return await asyncio.to_thread(self._search, sizes) if sizes else {}

    async def _lost_rows(self, last: int) -> Sequence[Any]:
        properties = FilePropertiesComponent
        is_lost = Location.storage_type == StorageType.REFERENCE, Location.condition == LocationCondition.LOST
        query = (
            select(Location.id, Location.content_identifier.label("key"), properties.size_bytes.label("size"))
            .outerjoin(properties, properties.entity_id == Location.entity_id)
            .where(Location.id > last, *is_lost)
            .order_by(Location.id)
            .limit(PAGE)
        )
        async with self._world.reading() as session:
            return (await session.execute(query)).all()

    async def _damaged_rows(self, last: int) -> Sequence[Any]:
        """Of each object its first name: with another one it would come again."""
        properties, other = FilePropertiesComponent, aliased(Location)
        in_store, is_damaged = (
            Location.storage_type == StorageType.CAS,
            Location.condition == LocationCondition.DAMAGED,
        )
        earlier = exists().where(
            other.entity_id == Location.entity_id,
            other.location_key == Location.location_key,
            other.storage_type == StorageType.CAS,
            other.condition == LocationCondition.DAMAGED,
            other.id < Location.id,
        )
        query = (
            select(
                Location.id,
                Location.entity_id,
                Location.contextual_filename.label("name"),
                Location.physical_path_or_key.label("key"),
                properties.size_bytes.label("size"),
            )
            .outerjoin(properties, properties.entity_id == Location.entity_id)
            .where(Location.id > last, in_store, is_damaged, ~earlier)
            .order_by(Location.id)
            .limit(PAGE)
        )
        async with self._world.reading() as session:
            return (await session.execute(query)).all()

    async def _name_references(self, damaged: Sequence[Damaged]) -> None:
        """References to the same content, whatever is recorded of their condition: they are hashed."""
        by_entity = {each.entity_id: each for each in damaged if each.entity_id is not None}
        async with self._world.reading() as session:
            for part in parts(sorted(by_entity)):
                query = select(Location.entity_id, Location.physical_path_or_key).where(
                    Location.entity_id.in_(part), Location.storage_type == StorageType.REFERENCE
                )
                for entity_id, path in await session.execute(query):
                    by_entity[entity_id].candidates.append(path)

    def _search(self, wanted: Mapping[str, int | None]) -> dict[str, list[str]]:
        """Of each key the files that hash to it. Only those of a wanted length are read, unless some length is not known."""
        found: dict[str, list[str]] = {}
        sizes = set(wanted.values())
        own = {os.path.realpath(path) for path in own_paths(self._storage)}
        for path in _files_below(self._cmd.folders, own):
            if self._stop.is_set():
                break
            with suppress(OSError, ChangedWhileReadError, StoppedError):
                if None not in sizes and os.stat(path).st_size not in sizes:
                    continue
                digest = read_file(path, stop=self._stop).digest
                if digest in wanted:
                    found.setdefault(digest, []).append(path)
        return found

    async def _mend_objects(self, damaged: Sequence[Damaged]) -> list[RepairOutcome]:
        outcomes = []
        for part in _portions(damaged):
            outcomes += await self._mend(part)
        return outcomes

    async def _mend(self, damaged: Sequence[Damaged]) -> list[RepairOutcome]:
        whole: list[Damaged] = []
        mended: list[Mended] = []
        outcomes = []
        try:
            for each in damaged:
                if await asyncio.to_thread(self._is_whole, each):
                    whole.append(each)
                    outcomes.append(each.outcome(RepairStatus.WHOLE))
                elif found := await asyncio.to_thread(self._copy, each):
                    mended.append(found)
                    outcomes.append(each.outcome(RepairStatus.MENDED, found.read.size, found.source))
                else:
                    outcomes.append(each.outcome(RepairStatus.BEYOND))
            faults.reached("repair.copied")
            if not self._cmd.dry_run:
                await self._publish(mended)
                await self._world.write(lambda t: _record_whole(t, [*whole, *(each.damaged for each in mended)]))
        finally:
            for new in mended:
                if new.staged is not None:
                    new.staged.abandon()
        return outcomes

    def _is_whole(self, damaged: Damaged) -> bool:
        try:
            with self._storage.open(damaged.key) as stream:
                return read_object(stream, damaged.size).digest == damaged.key
        except OSError:
            return False

    def _copy(self, damaged: Damaged) -> Mended | None:
        """A staged copy from the first file that holds the bytes. It is hashed on the way, for it may have changed meanwhile."""
        for path in damaged.candidates:
            staged = None if self._cmd.dry_run else self._storage.stage()
            try:
                read = read_file(path, again=False, write=staged.write if staged else lambda _: None)
                if read.digest == damaged.key:
                    if staged:
                        staged.close()
                    return Mended(damaged, path, read, staged)
            except (OSError, ChangedWhileReadError):
                pass
            except BaseException:
                if staged:
                    staged.abandon()
                raise
            if staged:
                staged.abandon()
        return None

    async def _publish(self, mended: Sequence[Mended]) -> None:
        objects = [(each.damaged.key, each.staged) for each in mended if each.staged is not None]
        if objects:
            await asyncio.to_thread(self._storage.publish, objects, replacing=[key for key, _ in objects])

    # -- derived objects

    async def _damaged_derived(self) -> AsyncGenerator[list[Damaged], None]:
        row, last = DamagedDerived, ""
        while True:
            async with self._world.reading() as session:
                query = select(row.key).where(row.key > last).order_by(row.key).limit(PAGE)
                keys = list(await session.scalars(query))
            if not keys:
                return
            last = keys[-1]
            sizes = await self._derived_sizes(keys)
            yield [Damaged(key, size=sizes.get(key)) for key in keys]

    async def _derived_sizes(self, keys: Sequence[str]) -> dict[str, int]:
        sizes: dict[str, int] = {}
        async with self._world.reading() as session:
            for cls in self._derived:
                for part in parts(keys):
                    query = select(cls.content_identifier, cls.size_bytes).where(cls.content_identifier.in_(part))
                    for key, size in await session.execute(query):
                        sizes[key] = max(size, sizes.get(key, 0))
        return sizes

    async def _mend_derived(self, damaged: Sequence[Damaged]) -> list[RepairOutcome]:
        """They can be made again: rows about what is still damaged go, and their objects are nobody's then."""
        whole = {each.key for each in damaged if await asyncio.to_thread(self._is_whole, each)}
        if not self._cmd.dry_run:
            gone = sorted({each.key for each in damaged} - whole)

            async def forget(transaction: WorldTransaction) -> None:
                for cls in self._derived:
                    owners = await transaction.session.scalars(
                        select(cls.entity_id).where(cls.content_identifier.in_(gone))
                    )
                    ids = sorted(set(owners))
                    await transaction.remove_components(cls, ids, cls.content_identifier.in_(gone))
                judged = DamagedDerived.key.in_([each.key for each in damaged])
                await transaction.session.execute(delete(DamagedDerived).where(judged))

            await self._world.write(forget)
        return [each.outcome(RepairStatus.WHOLE if each.key in whole else RepairStatus.DROPPED) for each in damaged]

    # -- references

    async def _lost_references(self) -> AsyncGenerator[list[Any], None]:
        """Lost ones, and whether the store holds the same bytes."""
        last, other = 0, aliased(Location)
        stored = exists().where(
            other.entity_id == Location.entity_id,
            other.storage_type == StorageType.CAS,
            other.condition == LocationCondition.OK,
        )
        while True:
            query = (
                select(Location, stored.label("stored"))
                .where(
                    and_(Location.id > last, Location.storage_type == StorageType.REFERENCE),
                    Location.condition == LocationCondition.LOST,
                )
                .order_by(Location.id)
                .limit(PAGE)
            )
            async with self._world.reading() as session:
                rows = list((await session.execute(query)).all())
            if not rows:
                return
            last = rows[-1][0].id
            yield rows

    async def _judge_references(self, lost: Sequence[Any]) -> list[RepairOutcome]:
        """What its path holds is the user's, and stays. Where that is the right content, the reference is whole again; where
        another file has it, below the user's folders, the reference goes there."""
        found = []
        for location, stored in lost:
            paths = [location.physical_path_or_key, *self._found.get(location.content_identifier, ())]
            found.append((location, stored, await asyncio.to_thread(_held, location.content_identifier, paths)))
        gone: set[int] = set()
        whole = [(location, held) for location, _, held in found if held is not None]
        if whole and not self._cmd.dry_run:
            gone = await self._world.write(lambda transaction: _record_references(transaction, whole))
        return [_of_reference(*each) for each in found if each[0].id not in gone]


async def _record_references(
    transaction: WorldTransaction, whole: Sequence[tuple[FileLocationComponent, Held]]
) -> set[int]:
    """Returns those whose rows somebody has removed while their files were read: nothing is recorded of them."""
    session, owners = transaction.session, {location.entity_id for location, _ in whole}
    entities = select(Entity.id).where(Entity.id.in_(owners)).order_by(Entity.id)
    await session.execute(entities.with_for_update(read=True, key_share=True))  # who deletes them has, or waits
    ids = {location.id for location, _ in whole}
    there = set(await session.scalars(select(Location.id).where(Location.id.in_(ids), Location.entity_id.in_(owners))))
    moved = {location.id: location.entity_id for location, held in whole if held.path != location.physical_path_or_key}
    await transaction.update_components(Location, Location.id.in_(there - moved.keys()), condition=LocationCondition.OK)
    await transaction.remove_components(Location, sorted(set(moved.values())), Location.id.in_(moved))
    for location, held in whole:
        if location.id in there:
            if location.id in moved:
                digest = bytes.fromhex(location.content_identifier)
                transaction.ensure(location.entity_id, FileLocationComponent.by_reference(held.path, digest))
            source = OriginalSourceInfoComponent.of(held.path, held.read.size, held.read.mtime_ns)
            transaction.add(location.entity_id, source)
    return ids - there


def _of_reference(location: FileLocationComponent, stored: bool, held: Held | None) -> RepairOutcome:
    path, name = location.physical_path_or_key, location.contextual_filename
    if held is None:
        status = RepairStatus.LOST if stored else RepairStatus.BEYOND
        return RepairOutcome(status, path, location.entity_id, name)
    if held.path == path:
        return RepairOutcome(RepairStatus.WHOLE, path, location.entity_id, name, held.read.size)
    return RepairOutcome(RepairStatus.MENDED, path, location.entity_id, name, held.read.size, held.path)


def _held(key: str, paths: Sequence[str]) -> Held | None:
    """The first file that has the content."""
    for path in paths:
        with suppress(OSError, ChangedWhileReadError):
            read = read_file(path)
            if read.digest == key:
                return Held(path, read)
    return None


async def _record_whole(transaction: WorldTransaction, damaged: Sequence[Damaged]) -> None:
    now = datetime.now(UTC)
    for part in parts([each for each in damaged if each.entity_id is not None]):
        ids, keys = sorted({each.entity_id or 0 for each in part}), sorted({each.key for each in part})
        affected = Location.entity_id.in_(ids), Location.physical_path_or_key.in_(keys)
        in_store = Location.storage_type == StorageType.CAS
        await transaction.update_components(
            Location, *affected, in_store, condition=LocationCondition.OK, verified_at=now
        )


def _portions(damaged: Sequence[Damaged]) -> Iterator[list[Damaged]]:
    """So many that their copies are not too much to lose."""
    portion: list[Damaged] = []
    size = 0
    for each in damaged:
        portion.append(each)
        size += each.size or TOGETHER
        if size >= TOGETHER:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _files_below(folders: Sequence[str], own: set[str]) -> Iterator[str]:
    """Regular files, also those of other stores; links are not followed, and nothing of this world's own store is a source."""
    pending = [os.path.abspath(folder) for folder in reversed(folders)]
    while pending:
        folder = pending.pop()
        if os.path.realpath(folder) in own:
            continue
        with suppress(OSError), os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
            for entry in entries:
                with suppress(OSError):
                    mode = entry.stat(follow_symlinks=False).st_mode
                    if stat.S_ISREG(mode):
                        yield entry.path
                    elif stat.S_ISDIR(mode):
                        pending.append(entry.path)

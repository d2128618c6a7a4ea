"""Verification: every place is read and hashed, and what is learnt is recorded.

locations, never verified first → derived objects → objects that no row knows → assets that lack rows.
"""

import asyncio
import errno
import hashlib
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, delete, false, func, literal, or_, select, update

from dam.core.databases import backend_of
from dam.core.system_params import Resource
from dam.core.systems import system
from dam.core.transaction import WorldTransaction, parts
from dam.core.world import World
from dam_fs.commands import Finding, FindingKind, PassBegun, PassEnded, PlacesVerified, VerifyCommand
from dam_fs.flow import batched, spread, to_its_end
from dam_fs.hashing import Read, read_file, read_object
from dam_fs.incomplete import incomplete_assets
from dam_fs.intake import ChangedWhileReadError, StoppedError
from dam_fs.models import (
    ContentHashSha256Component,
    DamagedDerived,
    DerivedObjectComponent,
    FileLocationComponent,
    FilePropertiesComponent,
    LocationCondition,
    OriginalSourceInfoComponent,
    StorageType,
    VerificationPass,
)
from dam_fs.mounts import absent_folder
from dam_fs.regular import NotRegularError
from dam_fs.resources import FileOperationsResource
from dam_fs.settings import FsSettings
from dam_fs.storage import Storage, StoredObject
from dam_fs.unknown import Knowing, unknown_objects

BATCH = 256
BATCH_BYTES = 1 << 30
PAGE = 512  # rows that are looked up at once
WORDS = 1 << 32  # values of the first four bytes of a digest

Told = PassBegun | PlacesVerified | Finding | PassEnded
Location = FileLocationComponent


class Row(NamedTuple):
    """One row of a location, and what other rows say of the same asset."""

    id: int
    entity_id: int
    name: str
    identifier: str
    storage_type: str
    place: str
    location_key: bytes
    run_id: int | None
    sha256: bytes | None
    size: int | None


@dataclass(frozen=True)
class Place:
    """An object or a referenced file, with all rows that name it."""

    rows: tuple[Row, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.rows[0].storage_type, self.rows[0].place

    @property
    def path(self) -> str:
        return self.rows[0].place

    @property
    def size(self) -> int | None:
        """The largest that is recorded of it."""
        return max((row.size for row in self.rows if row.size is not None), default=None)

    @property
    def is_object(self) -> bool:
        return self.rows[0].storage_type == StorageType.CAS


class State(Enum):
    """What was seen at a place."""

    READ = "read"
    GONE = "gone"
    NO_FILE = "something else than a file"
    BROKEN = "its disk reports an error"
    CLOSED = "not to be read"
    BUSY = "busy"
    ABSENT = "absent"
    LEFT = "not looked at"


@dataclass
class Seen:
    """What came of looking at a place."""

    place: Place
    state: State
    read: Read | None = None
    reason: str | None = None

    @property
    def is_judged(self) -> bool:
        """Whether anything is known of the place now."""
        return self.state in (State.READ, State.GONE, State.NO_FILE, State.BROKEN)

    @property
    def is_whole(self) -> bool:
        """Of an object: it hashes to its name."""
        return self.read is not None and self.read.digest == self.place.path

    def holds(self, row: Row) -> bool:
        """Whether the bytes are those that the row is about."""
        return self.is_whole if self.place.is_object else self.read is not None and self.read.digest == row.identifier


@system(on_command=VerifyCommand)
async def verify(
    cmd: VerifyCommand, world: World, files: Resource[FileOperationsResource], settings: FsSettings
) -> AsyncGenerator[Told, None]:
    """Reads and judges place by place; asks for no transaction, so that each batch commits by itself."""
    storage = await files.storage(world, create=False)
    async with aclosing(Verification(cmd, world, files, storage, settings).told()) as told:
        async for event in told:
            yield event


class Verification:
    """One run of ``VerifyCommand``."""

    def __init__(
        self,
        cmd: VerifyCommand,
        world: World,
        files: FileOperationsResource,
        storage: Storage,
        settings: FsSettings,
    ) -> None:
        self._cmd = cmd
        self._world = world
        self._files = files
        self._storage = storage
        self._width = settings.readers or min(os.cpu_count() or 1, 8)
        self._readers = ThreadPoolExecutor(self._width, "dam-verify")
        self._stop = threading.Event()  # what is being read is left
        self._slot = "all" if cmd.subset is None else "{}/{}".format(*cmd.subset)
        self._salt = secrets.token_bytes(16)
        self._until = None if cmd.time_limit is None else time.monotonic() + cmd.time_limit
        self._at_limit = False
        self._began = datetime.now(UTC)
        self._under_way: set[tuple[str, str]] = set()  # read, or being read, and not recorded yet
        self._absent: Counter[str] = Counter()
        self._again: datetime | None = (
            None  # of a pass that is continued: what was found wrong before this is looked at again
        )

    async def told(self) -> AsyncGenerator[Told, None]:
        stopping = asyncio.create_task(self._pass_on_stop())
        try:
            yield await self._begin()
            for phase in (self._locations, self._derived, self._unknown, self._incomplete):
                if not self._is_over():
                    async with aclosing(phase()) as events:
                        async for event in events:
                            yield event
            for folder, references in sorted(self._absent.items()):
                yield Finding(FindingKind.ABSENT, folder, is_damage=False, references=references)
            yield await self._end()
        finally:
            stopping.cancel()
            self._stop.set()
            await asyncio.to_thread(self._readers.shutdown, cancel_futures=True)

    async def _pass_on_stop(self) -> None:
        await self._cmd.stop.wait()
        self._stop.set()

    def _is_over(self) -> bool:
        if self._until is not None and time.monotonic() >= self._until:
            self._at_limit = True
        return self._at_limit or self._cmd.stop.is_set()

    # -- passes

    async def _begin(self) -> PassBegun:
        """Finds the pass that is to be continued, or begins one. A sample is no pass."""
        async with self._world.reading() as session:
            newest = await session.scalar(select(func.max(Location.verified_at)))
        if newest is not None:  # the clock may have been wrong, or be: what was verified comes before what is to be
            self._began = max(self._began, newest + timedelta(microseconds=1))
        continued = False
        if self._cmd.sample is None:
            began = await self._world.write(self._enter)
            continued = began != self._began
            self._again, self._began = self._began if continued else None, began
        async with self._world.reading() as session:
            count = await session.scalar(select(func.count()).select_from(Location).where(self._is_due(), self._part()))
        return PassBegun(self._began, continued, int((count or 0) * (self._cmd.sample or 1)))

    async def _enter(self, transaction: WorldTransaction) -> datetime:
        row = {"slot": self._slot, "began_at": self._began, "derived_table": "", "derived_id": 0}
        insert = backend_of(self._world.engine).insert(VerificationPass.__table__)
        await transaction.session.execute(insert.values(row).on_conflict_do_nothing())
        own = VerificationPass.slot == self._slot
        return await transaction.session.scalar(select(VerificationPass.began_at).where(own)) or self._began

    async def _end(self) -> PassEnded:
        is_over = self._is_over()
        if not is_over and self._cmd.sample is None:

            async def forget(transaction: WorldTransaction) -> None:
                own = VerificationPass.slot == self._slot, VerificationPass.began_at == self._began
                await transaction.session.execute(delete(VerificationPass).where(*own))

            await self._world.write(forget)
        return PassEnded(complete=not is_over, at_limit=self._at_limit and not self._cmd.stop.is_set())

    def _is_due(self) -> ColumnElement[bool]:
        return or_(Location.verified_at.is_(None), Location.verified_at < self._began, and_(*self._was_wrong()))

    def _was_wrong(self) -> list[ColumnElement[bool]]:
        """What an earlier run of this pass has found wrong: the run that ends the pass tells all of it, as it is by then."""
        if self._again is None:
            return [false()]
        moment = Location.verified_at
        return [moment >= self._began, moment < self._again, Location.condition != LocationCondition.OK]

    def _part(self, column: Any = Location.content_identifier) -> ColumnElement[bool]:
        """Those of the subset, by the first bytes of their digests."""
        first, after = self._bounds()
        conditions = [column >= first] if first else []
        conditions += [column < after] if after else []
        return and_(True, *conditions)

    def _bounds(self) -> tuple[str, str]:
        """The least digest of the subset and the least one after it, as far as there is one."""
        part, of = self._cmd.subset or (1, 1)
        first, after = (part - 1) * WORDS // of, part * WORDS // of
        return (f"{first:08x}" if first else ""), (f"{after:08x}" if after < WORDS else "")

    def _is_chosen(self, key: str) -> bool:
        if self._cmd.sample is None:
            return True
        digest = hashlib.blake2b(os.fsencode(key), digest_size=4, key=self._salt).digest()
        return int.from_bytes(digest) < self._cmd.sample * WORDS

    # -- locations

    async def _locations(self) -> AsyncGenerator[Told, None]:
        looked = spread(self._places(), self._look, self._width + 2)
        batches = batched(looked, BATCH, lambda seen: seen.read.hashed if seen.read else 0, BATCH_BYTES)
        async with aclosing(batches):
            async for batch in batches:
                for event in await to_its_end(self._record(batch)):
                    yield event

    async def _places(self) -> AsyncGenerator[Place, None]:
        """What is due, page by page: what this pass has found wrong, what was never verified, then what was longest ago."""
        for next_page in (self._found_wrong, self._never_verified, self._verified_before):
            last: Any = None
            while not self._is_over() and (page := await next_page(last)):
                last = page[-1]
                keys = [(row.storage_type, row.place) for row in page if self._is_chosen(row.place)]
                due = [key for key in dict.fromkeys(keys) if key not in self._under_way]
                places = await self._with_all_rows(page)
                for key in due:
                    if self._is_over():
                        return
                    if key in places:  # else its rows went meanwhile
                        self._under_way.add(key)
                        yield places[key]

    async def _found_wrong(self, last: Any) -> Sequence[Any]:
        conditions = self._was_wrong()
        if last is not None:
            conditions.append(Location.id > last.id)
        return await self._page(conditions, [Location.id])

    async def _never_verified(self, last: Any) -> Sequence[Any]:
        conditions = [Location.verified_at.is_(None)]
        if last is not None:
            conditions.append(Location.id > last.id)
        return await self._page(conditions, [Location.id])

    async def _verified_before(self, last: Any) -> Sequence[Any]:
        moment = Location.verified_at
        conditions = [moment < self._began]
        if last is not None:
            conditions.append(or_(moment > last.verified_at, and_(moment == last.verified_at, Location.id > last.id)))
        return await self._page(conditions, [moment, Location.id])

    async def _page(self, conditions: Sequence[ColumnElement[bool]], order: Sequence[Any]) -> Sequence[Any]:
        place = Location.physical_path_or_key.label("place")
        query = select(
            Location.id, Location.entity_id, Location.location_key, Location.storage_type, Location.verified_at, place
        )
        async with self._world.reading() as session:
            found = await session.execute(query.where(*conditions, self._part()).order_by(*order).limit(PAGE))
            return found.all()

    async def _with_all_rows(self, rows: Sequence[Any]) -> dict[tuple[str, str], Place]:
        """The places of these rows by their keys, with all other rows that name them."""
        objects = sorted({row.entity_id for row in rows if row.storage_type == StorageType.CAS})
        references = sorted({row.location_key for row in rows if row.storage_type == StorageType.REFERENCE})
        sha256, properties = ContentHashSha256Component, FilePropertiesComponent
        query = (
            select(
                Location.id,
                Location.entity_id,
                Location.contextual_filename,
                Location.content_identifier,
                Location.storage_type,
                Location.physical_path_or_key,
                Location.location_key,
                Location.run_id,
                sha256.hash_value,
                properties.size_bytes,
            )
            .outerjoin(sha256, sha256.entity_id == Location.entity_id)
            .outerjoin(properties, properties.entity_id == Location.entity_id)
            .order_by(Location.id)
        )
        found: dict[tuple[str, str], list[Row]] = {}
        in_store, by_reference = (
            Location.storage_type == StorageType.CAS,
            Location.storage_type == StorageType.REFERENCE,
        )
        async with self._world.reading() as session:
            for condition in (
                *(and_(in_store, Location.entity_id.in_(part)) for part in parts(objects)),
                *(and_(by_reference, Location.location_key.in_(part)) for part in parts(references)),
            ):
                for values in await session.execute(query.where(condition)):
                    row = Row._make(values)
                    found.setdefault((row.storage_type, row.place), []).append(row)
        return {key: Place(tuple(each)) for key, each in found.items()}

    async def _look(self, place: Place) -> list[Seen]:
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(self._readers, self._seen, place)]

    def _seen(self, place: Place) -> Seen:
        """In a thread of the readers."""
        if self._stop.is_set():
            return Seen(place, State.LEFT)
        try:
            if place.is_object:
                with self._storage.open(place.path) as stream:
                    return Seen(place, State.READ, read_object(stream, place.size, stop=self._stop))
            return Seen(place, State.READ, read_file(place.path, stop=self._stop))
        except StoppedError:
            return Seen(place, State.LEFT)
        except ChangedWhileReadError:
            return Seen(place, State.BUSY)
        except (NotRegularError, IsADirectoryError) as e:
            return Seen(place, State.NO_FILE, reason=e.strerror)
        except (FileNotFoundError, NotADirectoryError):
            absent = None if place.is_object else absent_folder(place.path)
            return Seen(place, State.ABSENT, reason=absent) if absent else Seen(place, State.GONE)
        except OSError as e:
            broken = e.errno == errno.EIO
            return Seen(place, State.BROKEN if broken else State.CLOSED, reason=e.strerror or str(e))

    async def _record(self, batch: Sequence[Seen]) -> list[Told]:
        """Writes what was learnt in one transaction; then it can be told."""
        if any(seen.place.is_object and seen.state in (State.GONE, State.BROKEN) for seen in batch):
            await self._files.look_again(self._world)
        judged = [seen for seen in batch if seen.is_judged]
        outdated = await self._world.write(lambda transaction: self._write(transaction, judged)) if judged else set()
        self._under_way -= {seen.place.key for seen in batch}
        told: list[Told] = []
        for seen in batch:
            if seen.place.key in outdated:
                told.append(_busy(seen.place))
            else:
                told += self._findings(seen)
        recorded = [seen for seen in judged if seen.place.key not in outdated]
        objects = sum(seen.place.is_object for seen in recorded)
        size = sum(seen.read.hashed for seen in recorded if seen.read)
        rows = sum(len(seen.place.rows) for seen in batch)
        return [*told, PlacesVerified(objects, len(recorded) - objects, size, rows)]

    async def _write(self, transaction: WorldTransaction, judged: Sequence[Seen]) -> set[tuple[str, str]]:
        """Returns the places whose rows somebody has changed since they were read: an object may have been restored meanwhile."""
        now = max(datetime.now(UTC), self._began)  # whatever the clock says, it is not due any more
        outdated = await _outdated(transaction, judged)
        fresh = [seen for seen in judged if seen.place.key not in outdated]
        for is_whole, condition in ((True, LocationCondition.OK), (False, LocationCondition.DAMAGED)):
            objects = [seen.place for seen in fresh if seen.place.is_object and seen.is_whole is is_whole]
            keys = sorted({place.path for place in objects})
            for part in parts(sorted({row.entity_id for place in objects for row in place.rows})):
                # by entity and key: the object may have got another name meanwhile
                named = Location.entity_id.in_(part), Location.physical_path_or_key.in_(keys)
                in_store = Location.storage_type == StorageType.CAS
                await transaction.update_components(Location, *named, in_store, condition=condition, verified_at=now)
        references = [(seen, row) for seen in fresh if not seen.place.is_object for row in seen.place.rows]
        for holds, condition in ((True, LocationCondition.OK), (False, LocationCondition.LOST)):
            for part in parts(sorted(row.id for seen, row in references if seen.holds(row) is holds)):
                await transaction.update_components(
                    Location, Location.id.in_(part), condition=condition, verified_at=now
                )
        for seen, row in references:
            if seen.read is not None and seen.holds(row):  # touched and not changed: it can be opened again
                source = OriginalSourceInfoComponent.of(row.place, seen.read.size, seen.read.mtime_ns)
                transaction.add(row.entity_id, source)
        return outdated

    def _findings(self, seen: Seen) -> Iterable[Told]:
        if seen.state is State.ABSENT:
            self._absent[seen.reason or seen.place.path] += 1
        elif seen.state is State.BUSY:
            yield _busy(seen.place)
        elif seen.state is not State.LEFT:
            yield from _judgements(seen)

    # -- derived objects

    async def _derived(self) -> AsyncGenerator[Told, None]:
        """Table by table, in the order of their rows; how far that came is kept with the pass."""
        classes = [cls for cls in self._world.components if issubclass(cls, DerivedObjectComponent)]
        so_far = await self._derived_so_far()
        for cls in sorted(classes, key=lambda cls: cls.__tablename__):
            last = 0
            while not self._is_over() and (page := await self._derived_page(cls, last, so_far)):
                last = page[-1].id
                chosen = [row for row in page if self._is_chosen(row.content_identifier)]
                for event in await to_its_end(self._judge_derived(cls, chosen, max(so_far, (cls.__tablename__, last)))):
                    yield event

    async def _derived_so_far(self) -> tuple[str, int]:
        if self._cmd.sample is not None:
            return "", 0
        row = VerificationPass
        async with self._world.reading() as session:
            found = await session.execute(select(row.derived_table, row.derived_id).where(row.slot == self._slot))
        return next(((table, last) for table, last in found), ("", 0))

    async def _derived_page(
        self, cls: type[DerivedObjectComponent], last: int, so_far: tuple[str, int]
    ) -> Sequence[Any]:
        """Of what the pass has done already, what it has found wrong comes once more."""
        table, done = so_far
        is_new = cls.id > done if cls.__tablename__ == table else literal(cls.__tablename__ > table)
        is_wrong = cls.content_identifier.in_(select(DamagedDerived.key))
        query = select(cls.id, cls.entity_id, cls.content_identifier, cls.size_bytes)
        query = query.where(cls.id > last, or_(is_new, is_wrong), self._part(cls.content_identifier))
        query = query.order_by(cls.id).limit(BATCH)
        async with self._world.reading() as session:
            return (await session.execute(query)).all()

    async def _judge_derived(
        self, cls: type[DerivedObjectComponent], rows: Sequence[Any], done: tuple[str, int]
    ) -> list[Told]:
        looked = [seen for part in await asyncio.gather(*map(self._look, map(_derived_place, rows))) for seen in part]
        if any(seen.state is State.LEFT for seen in looked):
            return []
        if any(seen.state in (State.GONE, State.BROKEN) for seen in looked):
            await self._files.look_again(self._world)
        whole = [seen for seen in looked if seen.is_whole]
        wrong = await self._still_wanted(cls, [seen for seen in looked if seen.is_judged and not seen.is_whole])
        unjudged = [seen for seen in looked if not seen.is_judged]
        await self._world.write(lambda transaction: self._write_derived(transaction, whole, wrong, done))
        told: list[Told] = [_finding(seen, seen.place.rows[0], derived=True) for seen in (*wrong, *unjudged)]
        size = sum(seen.read.hashed for seen in looked if seen.read)
        return [*told, PlacesVerified(len(whole) + len(wrong), 0, size)]

    async def _write_derived(
        self,
        transaction: WorldTransaction,
        whole: Sequence[Seen],
        wrong: Sequence[Seen],
        done: tuple[str, int],
    ) -> None:
        session, row = transaction.session, DamagedDerived
        if wrong:
            insert = backend_of(self._world.engine).insert(row.__table__).on_conflict_do_nothing()
            found_at = datetime.now(UTC)
            keys = sorted({seen.place.path for seen in wrong})
            await session.execute(insert, [{"key": key, "found_at": found_at} for key in keys])
        await session.execute(delete(row).where(row.key.in_([seen.place.path for seen in whole])))
        if self._cmd.sample is None:
            own = VerificationPass.slot == self._slot
            progress = dict(zip(("derived_table", "derived_id"), done, strict=True))
            await session.execute(update(VerificationPass).where(own).values(progress))

    async def _still_wanted(self, cls: type[DerivedObjectComponent], wrong: list[Seen]) -> list[Seen]:
        """Without those whose row is gone by now, and their object with it."""
        async with self._world.reading() as session:
            ids = [seen.place.rows[0].id for seen in wrong]
            there = set(await session.scalars(select(cls.id).where(cls.id.in_(ids))))
        return [seen for seen in wrong if seen.place.rows[0].id in there]

    # -- what nobody knows, and what somebody lacks

    async def _unknown(self) -> AsyncGenerator[Told, None]:
        if self._cmd.sample is not None:
            return
        first, after = self._bounds()

        def is_of_subset(found: StoredObject) -> bool:
            return first <= found.key and (not after or found.key < after)

        knowing = await Knowing.of(self._world)
        async with aclosing(unknown_objects(self._world, self._storage, knowing, is_of_subset)) as unknown:
            async for candidates in unknown:
                for each in candidates:
                    yield Finding(FindingKind.UNKNOWN, each.key, is_damage=False, found=each.length)
                if self._is_over():
                    return

    async def _incomplete(self) -> AsyncGenerator[Told, None]:
        if self._cmd.sample is not None:
            return
        async for entity_id, reason in incomplete_assets(self._world, self._is_over):
            yield Finding(FindingKind.INCOMPLETE, "", is_damage=True, entity_id=entity_id, reason=reason)


async def _outdated(transaction: WorldTransaction, judged: Sequence[Seen]) -> set[tuple[str, str]]:
    """The places whose rows somebody has changed or removed since they were read; the rows of all others wait for the commit."""
    seen_ids = {row.id: row.run_id for seen in judged for row in seen.place.rows}
    now: dict[int, int | None] = {}
    for part in parts(sorted(seen_ids)):
        query = select(Location.id, Location.run_id).where(Location.id.in_(part)).order_by(Location.id)
        now.update((row_id, run_id) for row_id, run_id in await transaction.session.execute(query.with_for_update()))
    changed = {row_id for row_id, run_id in seen_ids.items() if row_id not in now or now[row_id] != run_id}
    return {seen.place.key for seen in judged if changed & {row.id for row in seen.place.rows}}


def _judgements(seen: Seen) -> Iterator[Finding]:
    """What is wrong with a place that could be judged: of an object once, of a file for each asset that it should hold."""
    rows = list({row.entity_id: row for row in seen.place.rows}.values())
    for i, row in enumerate(rows):
        if seen.read is not None and seen.holds(row):
            if row.size not in (None, seen.read.size):
                reason = f"its properties say {row.size} bytes, and what hashes right has {seen.read.size}"
                yield _contradiction(row, reason)
        elif not seen.place.is_object or i == 0:
            yield _finding(seen, row)
        if row.sha256 is not None and row.sha256.hex() != row.identifier:
            yield _contradiction(row, f"its location is that of {row.identifier}, and its hash is {row.sha256.hex()}")
        elif seen.place.is_object and row.identifier != row.place:
            yield _contradiction(row, f"its location is that of {row.identifier} and names the object {row.place}")


def _finding(seen: Seen, row: Row, *, derived: bool = False) -> Finding:
    is_object, found = seen.place.is_object, seen.read.size if seen.read else None
    kinds = {
        State.READ: FindingKind.DAMAGED if is_object else FindingKind.CHANGED,
        State.GONE: FindingKind.MISSING if is_object else FindingKind.VANISHED,
        State.NO_FILE: FindingKind.DAMAGED if is_object else FindingKind.CHANGED,
        State.BROKEN: FindingKind.UNREADABLE,
        State.CLOSED: FindingKind.UNREADABLE,
        State.BUSY: FindingKind.BUSY,
    }
    kind = kinds[seen.state]
    if kind is FindingKind.DAMAGED and None not in (found, row.size) and found != row.size:
        kind = FindingKind.WRONG_LENGTH
    return Finding(
        kind,
        row.place,
        is_damage=seen.is_judged,
        entity_id=row.entity_id,
        name=row.name or None,
        expected=row.size,
        found=found,
        reason=seen.reason,
        derived=derived,
    )


def _busy(place: Place) -> Finding:
    row = place.rows[0]
    return Finding(FindingKind.BUSY, row.place, is_damage=False, entity_id=row.entity_id, name=row.name)


def _contradiction(row: Row, reason: str) -> Finding:
    return Finding(
        FindingKind.CONTRADICTION, row.place, is_damage=True, entity_id=row.entity_id, name=row.name, reason=reason
    )


def _derived_place(row: Any) -> Place:
    key: str = row.content_identifier
    return Place((Row(row.id, row.entity_id, "", key, StorageType.CAS, key, b"", None, None, row.size_bytes),))

"""Adding files: one path for one file or a million.

scan → leave out what is unchanged → take (one read) → analyse (worker processes) → publish → one transaction for a batch.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sqlalchemy import select

from dam.core.analysis import Analysis, Work, due, fail_all, record, recorded
from dam.core.bisection import in_halves
from dam.core.databases import backend_of
from dam.core.stages import SystemStage
from dam.core.system_params import Resource
from dam.core.systems import system
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.models.markers import NeedsMetadataExtractionComponent
from dam.models.trash import TrashedComponent
from dam_fs.commands import AddAssetsCommand, AssetOutcome, AssetsAddedEvent, FilesCounted, OutcomeStatus
from dam_fs.flow import batched, chunks, spread, to_its_end
from dam_fs.intake import ChangedWhileReadError, Taken, take
from dam_fs.models import (
    ContentHashMd5Component,
    ContentHashSha256Component,
    FileLocationComponent,
    FilePropertiesComponent,
    LocationCondition,
    OriginalSourceInfoComponent,
    StorageType,
)
from dam_fs.models.files import shown
from dam_fs.receipts import Receipt, lines_of
from dam_fs.records import Known, judge_references, known_content, mark_damaged, unchanged
from dam_fs.regular import NotRegularError
from dam_fs.resources import STORE_LOCK, FileOperationsResource
from dam_fs.scan import Found, LeftOut, ScanRules, is_unchanged, scan
from dam_fs.settings import FsSettings
from dam_fs.storage import Staged, Storage, own_paths

T = TypeVar("T")

BATCH = 256
TRIES = 8  # to commit what somebody else deletes meanwhile
BATCH_BYTES = 1 << 30
SCAN = 2048  # paths looked up in one statement
READ = 16  # files handed to a thread at once
READ_BYTES = 32 << 20  # unless they are this large together

IN_TRASH = "it was in the trash"

EXTRACTION = SystemStage.METADATA_EXTRACTION


@dataclass
class Item:
    """A file on its way in, with what add-time analyzers found. ``known`` is what the world knew of its content before, and
    ``restored`` says that the object it should have had was not whole."""

    taken: Taken
    analyses: list[Analysis] = field(default_factory=list)
    known: Known | None = None
    restored: bool = False


@system(on_command=AddAssetsCommand)
async def add_assets(
    cmd: AddAssetsCommand, world: World, files: Resource[FileOperationsResource], settings: FsSettings
) -> AsyncGenerator[AssetOutcome | FilesCounted, None]:
    """Adds files batch by batch; asks for no transaction, so that each batch commits by itself."""
    ingest = Ingest(cmd, world, await files.storage(world, create=not cmd.dry_run), settings)
    async with aclosing(ingest.told()) as told:
        async for events in told:
            for event in events:
                yield event


class Ingest:
    """One run of ``AddAssetsCommand``."""

    def __init__(self, cmd: AddAssetsCommand, world: World, storage: Storage, settings: FsSettings) -> None:
        self._cmd = cmd
        self._world = world
        self._storage = storage
        protected = frozenset(protected_paths(cmd, world, storage))
        self._rules = ScanRules(cmd.exclude, settings.ignore_file, protected, cmd.recursive)
        self._width = settings.readers or min(os.cpu_count() or 1, 8)
        self._readers = ThreadPoolExecutor(self._width, "dam-read")
        self._left = threading.Event()  # nobody waits for what is being read
        self._staged: dict[str, Staged] = {}  # by their paths: written, and without a name yet
        self._writing = asyncio.Lock()
        self._told: list[AssetOutcome | FilesCounted] = []  # what is known without reading a file
        self._seen: dict[bytes, bool] = {}  # of a dry run: the content that it would have added

    async def told(self) -> AsyncGenerator[Sequence[AssetOutcome | FilesCounted], None]:
        """What is to be told, in parts: a step of a generator costs as much as the look at an unchanged file."""
        counting = asyncio.create_task(self._count()) if self._cmd.count else None
        if not self._cmd.dry_run:
            self._world.analyses.start(None)
        read = spread(self._found(), self._take, self._width + 2)
        analysed = spread(read, self._analyse, self._width + 2)
        batches = batched(analysed, BATCH, _weight, BATCH_BYTES)
        try:
            # While one batch is written the next one comes in.
            async with aclosing(spread(batches, self._write, 2)) as written:
                async for outcomes in written:
                    async with (
                        self._writing
                    ):  # who is told may stop the event loop, and must not stop a commit half-way
                        yield self._tell()
                        yield outcomes
            yield self._tell()
        finally:
            if counting:
                counting.cancel()
            self._left.set()
            await asyncio.to_thread(self._readers.shutdown, cancel_futures=True)
            for staged in self._staged.values():
                staged.abandon()

    def _tell(self) -> list[AssetOutcome | FilesCounted]:
        told, self._told = self._told, []
        return told

    # -- the stages

    async def _found(self) -> AsyncGenerator[list[Found], None]:
        # While one part is looked up the next one is scanned.
        async with aclosing(spread(self._scanned(), self._sift, 2)) as sifted:
            async for new in sifted:
                for chunk in handfuls(new):
                    if self._cmd.stop.is_set():
                        return
                    yield chunk
                if not new:
                    yield []  # nothing to read in this part, but something to tell

    async def _scanned(self) -> AsyncGenerator[list[Found | LeftOut], None]:
        source = chunks(scan(self._cmd.paths, self._rules), SCAN)
        while not self._cmd.stop.is_set():
            part = await asyncio.to_thread(next, source, None)
            if part is None:
                return
            yield part

    async def _sift(self, part: list[Found | LeftOut]) -> list[Found]:
        """Those of a part that have to be read; of the others is told what is known."""
        self._told += [_left_out(each) for each in part if isinstance(each, LeftOut)]
        candidates = [each for each in part if isinstance(each, Found)]
        same = await unchanged(self._world, self._storage, candidates, copied=self._cmd.copy)
        self._told += [
            AssetOutcome(each.path, OutcomeStatus.KNOWN, same[each.path], each.size)
            for each in candidates
            if each.path in same
        ]
        return [each for each in candidates if each.path not in same]

    async def _take(self, chunk: list[Found]) -> list[Item | AssetOutcome]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: [self._attempt(found) for found in chunk])

    async def _analyse(self, items: list[Item | AssetOutcome]) -> list[Item | AssetOutcome]:
        taken = [item for item in items if isinstance(item, Item)]
        await self._look_up([item for item in taken if item.taken.staged is None])
        for i, item in enumerate(items):
            if isinstance(item, Item) and item.known is not None and item.known.damaged and self._stages:
                again = items[i] = await self._take_again(item)
                if isinstance(again, Item):
                    again.known = item.known
        if not self._cmd.dry_run:
            await self._compute([item for item in items if isinstance(item, Item)])
        return items

    async def _write(self, batch: list[Item | AssetOutcome]) -> list[AssetOutcome]:
        items = [each for each in batch if isinstance(each, Item)]
        outcomes = [each for each in batch if isinstance(each, AssetOutcome)]
        if self._cmd.dry_run:
            copied = {item.taken.key for item in items if item.known and item.known.copied}
            lengths = await asyncio.to_thread(lengths_of, self._storage, copied)
            return outcomes + [self._predict(item, lengths.get(item.taken.key)) for item in items]
        # Whoever leaves waits for the batch in hand: a commit that is cut off leaves SQLite's write lock behind.
        return outcomes + await to_its_end(self._keep(items))

    async def _keep(self, items: Sequence[Item]) -> list[AssetOutcome]:
        """What somebody deletes between being found and being committed is taken once more."""
        failed: list[AssetOutcome] = []
        for _ in range(TRIES):
            await self._publish(items)
            try:
                async with self._writing:
                    return failed + (await self._commit(items) if items else [])
            except DeletedMeanwhileError as e:
                again = [await self._take_again(item) for item in items if item.taken.key in e.keys]
                items = [item for item in items if item.taken.key not in e.keys]
            failed += [each for each in again if isinstance(each, AssetOutcome)]
            fresh = [each for each in again if isinstance(each, Item)]
            await self._look_up(fresh)
            await self._compute(fresh)
            items = [*items, *fresh]
        reason = "it was deleted again and again while it was added; add it when nobody deletes it"
        return failed + [AssetOutcome(i.taken.path, OutcomeStatus.FAILED, None, i.taken.size, reason) for i in items]

    # -- their parts

    def _attempt(self, found: Found, *, force: bool = False) -> Item | AssetOutcome:
        """In a thread of the readers."""
        try:
            taken = take(found, self._storage if self._stages else None, force=force, stop=self._left)
        except NotRegularError as e:
            return AssetOutcome(found.path, OutcomeStatus.SKIPPED, reason=e.strerror)
        except ChangedWhileReadError as e:
            return AssetOutcome(found.path, OutcomeStatus.FAILED, reason=str(e))
        except OSError as e:
            return AssetOutcome(found.path, OutcomeStatus.FAILED, reason=e.strerror or str(e))
        if taken.staged is not None:
            self._staged[taken.staged.path] = taken.staged
        return Item(taken)

    @property
    def _stages(self) -> bool:
        return self._cmd.copy and not self._cmd.dry_run

    async def _look_up(self, items: Sequence[Item]) -> None:
        """Asks the database about content that it may know: only that can be analysed or damaged already."""
        known = await known_content(self._world, [item.taken.sha256 for item in items])
        for item in items:
            item.known = known.get(item.taken.sha256)

    async def _take_again(self, item: Item) -> Item | AssetOutcome:
        """Its bytes are needed once more: the object is recorded as damaged whatever its length, or was deleted meanwhile."""
        taken = item.taken
        found = Found(taken.path, taken.opened, taken.size, taken.mtime_ns)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self._attempt(found, force=True))

    async def _compute(self, items: Sequence[Item]) -> None:
        analyses = self._world.analyses
        by_type = {kind: analyses.wanted(kind, None) for kind in {item.taken.media_type for item in items}}
        wanted = [by_type[item.taken.media_type] for item in items]
        if not any(wanted):
            return
        known_ids = [item.known.entity_id for item in items if item.known]
        async with self._world.reading() as session:
            on_record = await recorded(session, known_ids, analyses) if known_ids else {}
        work = []
        for item, analyzers in zip(items, wanted, strict=True):
            taken, entity_id = item.taken, item.known.entity_id if item.known else 0
            stored = self._storage.local_path(taken.key) if self._cmd.copy else None
            path = taken.staged.path if taken.staged else stored or taken.opened
            missing = due(analyzers, entity_id, taken.sha256, on_record) if entity_id else analyzers
            is_current = partial(is_unchanged, path, taken.size, taken.mtime_ns) if path == taken.opened else None
            name = shown(taken.path)
            work.append(Work(path, taken.size, taken.media_type, missing, taken.sha256, name, is_current))
        for item, found in zip(items, await analyses.run(work), strict=True):
            item.analyses = found

    async def _publish(self, items: Sequence[Item]) -> None:
        """Objects become durable before a row speaks of them. One that is overwritten is recorded as damaged before."""
        staged = [item for item in items if item.taken.staged is not None]
        await self._look_up([item for item in staged if item.known is None])
        lengths = await asyncio.to_thread(lengths_of, self._storage, {item.taken.key for item in staged})
        wrong = {i.taken.key for i in staged if i.taken.unsound or lengths[i.taken.key] not in (None, i.taken.size)}
        damaged = {item.taken.key for item in staged if item.known and item.known.damaged}
        if unrecorded := [i.known.entity_id for i in staged if i.known and i.taken.key in wrong - damaged]:
            async with self._writing:
                await mark_damaged(self._world, unrecorded)
        for item in staged:
            is_whole = lengths[item.taken.key] == item.taken.size and item.taken.key not in damaged | wrong
            item.restored = item.known is not None and item.known.copied and not is_whole
        await asyncio.to_thread(
            self._storage.publish,
            [(item.taken.key, item.taken.staged) for item in staged if item.taken.staged],
            found=[item.taken.key for item in items if item.taken.staged is None and self._cmd.copy],
            replacing=wrong | damaged,
        )
        for item in staged:
            if item.taken.staged is not None:
                del self._staged[item.taken.staged.path]
                item.taken.staged = None  # it has its name now, should it have to be published once more

    async def _commit(self, items: Sequence[Item]) -> list[AssetOutcome]:
        """One transaction; where the data is at fault, halves, down to the one file (and then its analyses) at fault."""
        backend = backend_of(self._world.engine)

        async def write(part: Sequence[Item]) -> list[AssetOutcome]:
            return await store(self._world, part, self._storage, copied=self._cmd.copy)

        async def give_up(item: Item, why: str) -> list[AssetOutcome]:
            if any(analysis.error is None for analysis in item.analyses):
                fail_all(item.analyses, why)
                return await in_halves([item], write, give_up, backend)
            return [AssetOutcome(item.taken.path, OutcomeStatus.FAILED, None, item.taken.size, why)]

        return await in_halves(items, write, give_up, backend)

    def _predict(self, item: Item, length: int | None) -> AssetOutcome:
        """What a real run would report; ``length`` is that of the object that the store has."""
        taken, known = item.taken, item.known
        first = self._seen.setdefault(taken.sha256, known is None)
        if known is None:
            status = OutcomeStatus.ADDED if first else OutcomeStatus.LINKED
            self._seen[taken.sha256] = False
            return AssetOutcome(taken.path, status, None, taken.size)
        is_whole = not self._cmd.copy or not known.copied or (length == taken.size and not known.damaged)
        item.restored = not is_whole
        status = _status(item, created=False, copied=self._cmd.copy)
        if known.trashed:
            return AssetOutcome(taken.path, OutcomeStatus.RESTORED, known.entity_id, taken.size, IN_TRASH)
        return AssetOutcome(taken.path, status, known.entity_id, taken.size)

    async def _count(self) -> None:
        """Runs ahead of the work and only counts: what a progress bar needs to say how long it will take."""
        files = size = 0
        source = chunks(scan(self._cmd.paths, self._rules), SCAN)
        while part := await asyncio.to_thread(next, source, None):
            files += sum(isinstance(each, Found) for each in part)
            size += sum(each.size for each in part if isinstance(each, Found))
            self._told.append(FilesCounted(files, size, complete=False))
        self._told.append(FilesCounted(files, size, complete=True))


def lengths_of(storage: Storage, keys: Iterable[str]) -> dict[str, int | None]:
    """Of objects in a store that may be far away."""
    return {key: storage.length(key) for key in keys}


def handfuls(found: Sequence[Found]) -> Iterator[list[Found]]:
    """What one thread reads at once: a few small files, or one large one, so that large ones are read side by side."""
    handful: list[Found] = []
    for each in found:
        handful.append(each)
        if len(handful) == READ or sum(one.size for one in handful) >= READ_BYTES:
            yield handful
            handful = []
    if handful:
        yield handful


class DeletedMeanwhileError(Exception):
    """Content was deleted between the moment when it was found and that when rows were to speak of it."""

    def __init__(self, keys: set[str]) -> None:
        super().__init__(f"{len(keys)} contents are gone")
        self.keys = keys


async def store(world: World, items: Sequence[Item], storage: Storage, *, copied: bool) -> list[AssetOutcome]:
    """Writes one batch whose objects are durable already: all of it, or nothing. Files that are not ``copied`` are recorded where
    they are. Raises ``DeletedMeanwhileError``."""
    media_types = {item.taken.media_type for item in items}
    awaited = {kind for kind in media_types if world.awaits(NeedsMetadataExtractionComponent, kind, EXTRACTION)}

    async def write(transaction: WorldTransaction) -> list[AssetOutcome]:
        outcomes: list[AssetOutcome] = []
        await transaction.lock(STORE_LOCK, shared=True)
        if copied:
            lengths = await asyncio.to_thread(lengths_of, storage, {item.taken.key for item in items})
            if gone := {key for key, length in lengths.items() if length is None}:
                raise DeletedMeanwhileError(gone)
        await asyncio.to_thread(_leave_receipts, storage, items, copied=copied)
        keys = [ContentHashSha256Component(hash_value=item.taken.sha256) for item in items]
        owners = await transaction.identify(keys)
        if gone := {
            i.taken.key for i, o in zip(items, owners, strict=True) if i.known and o.entity_id != i.known.entity_id
        }:
            raise DeletedMeanwhileError(gone)  # what was not computed again, because the entity had it, is gone with it
        ids = [owner.entity_id for owner in owners]
        await judge_references(transaction, [(item.taken.path, i) for item, i in zip(items, ids, strict=True)])
        for item, owner in zip(items, owners, strict=True):
            _write(transaction, owner.entity_id, item.taken, copied=copied)
            if owner.created and item.taken.media_type in awaited:
                transaction.add(owner.entity_id, NeedsMetadataExtractionComponent())
            status = _status(item, owner.created, copied=copied)
            outcomes.append(AssetOutcome(item.taken.path, status, owner.entity_id, item.taken.size))
        restored = [o.entity_id for o in outcomes if o.status is OutcomeStatus.RESTORED]
        await _untrash(transaction, outcomes)
        if restored:
            location = FileLocationComponent  # every name of the object is whole again, not only the one it came under
            affected = (location.entity_id.in_(restored), location.storage_type == StorageType.CAS)
            await transaction.update_components(location, *affected, condition=LocationCondition.OK)
        await _record_once(transaction, items, ids)
        for item, outcome in zip(items, outcomes, strict=True):
            outcome.analyses_failed = sum(analysis.error is not None for analysis in item.analyses)
        if added := [owner.entity_id for owner in owners if owner.created]:
            transaction.after_commit(AssetsAddedEvent(added))
        return outcomes

    return await world.write(write)


def _leave_receipts(storage: Storage, items: Sequence[Item], *, copied: bool) -> None:
    """In the store, of what the database does not know yet: before the commit, and while nobody deletes."""
    if new := [item for item in items if item.restored or not _is_recorded(item, copied=copied)]:
        storage.append_receipts(lines_of(_receipt(item.taken, copied=copied) for item in new))


def _is_recorded(item: Item, *, copied: bool) -> bool:
    """Whether the world knew that the content came from that path, and what was to be done with it is done."""
    known = item.known
    return known is not None and item.taken.path in known.paths and (known.copied or not copied)


def _write(transaction: WorldTransaction, entity_id: int, taken: Taken, *, copied: bool) -> None:
    """What is known of every file; what the entity has already, such as its first name and what is known of its places, stays."""
    name = os.path.basename(taken.path)
    place = FileLocationComponent.in_store(name, taken.sha256)
    if not copied:
        place = FileLocationComponent.by_reference(taken.path, taken.sha256)
    transaction.ensure(
        entity_id,
        ContentHashMd5Component(hash_value=taken.md5),
        FilePropertiesComponent(original_filename=shown(name), size_bytes=taken.size, mime_type=taken.media_type),
        place,
    )
    transaction.add(entity_id, OriginalSourceInfoComponent.of(taken.path, taken.size, taken.mtime_ns))


async def _untrash(transaction: WorldTransaction, outcomes: Sequence[AssetOutcome]) -> None:
    """Who adds a file wants it: its asset comes back from the trash."""
    row = TrashedComponent
    known = {o.entity_id for o in outcomes if o.status is not OutcomeStatus.ADDED and o.entity_id is not None}
    query = select(row.entity_id).where(row.entity_id.in_(known))
    trashed = set(await transaction.session.scalars(query)) if known else set()
    if trashed:
        await transaction.remove_components(row, sorted(trashed))
    for outcome in outcomes:
        if outcome.entity_id in trashed:
            outcome.status, outcome.reason = OutcomeStatus.RESTORED, IN_TRASH


async def _record_once(transaction: WorldTransaction, items: Sequence[Item], entity_ids: Sequence[int]) -> None:
    """Equal files bring equal analyses: the first one counts, and it takes the place of what is on record."""
    found: dict[tuple[int, str], Analysis] = {}
    for item, entity_id in zip(items, entity_ids, strict=True):
        for analysis in item.analyses:
            found.setdefault((entity_id, analysis.analyzer.algorithm.name), analysis)
    await record(transaction, [(entity_id, [analysis]) for (entity_id, _), analysis in found.items()])


def _status(item: Item, created: bool, *, copied: bool) -> OutcomeStatus:
    if created:
        return OutcomeStatus.ADDED
    if item.restored:
        return OutcomeStatus.RESTORED
    return OutcomeStatus.KNOWN if _is_recorded(item, copied=copied) else OutcomeStatus.LINKED


def protected_paths(cmd: AddAssetsCommand, world: World, storage: Storage) -> list[str]:
    """Paths that no scan enters: this world's own store and database, and those that the caller names."""
    return [*cmd.protected, *own_paths(storage), *world.database_files]


def _left_out(each: LeftOut) -> AssetOutcome:
    return AssetOutcome(each.path, OutcomeStatus.FAILED if each.failed else OutcomeStatus.SKIPPED, reason=each.reason)


def _receipt(taken: Taken, *, copied: bool) -> Receipt:
    return Receipt(
        taken.key,
        shown(os.path.basename(taken.path)),
        taken.md5.hex(),
        taken.size,
        taken.media_type,
        taken.path,
        taken.mtime_ns,
        copied=copied,
    )


def _weight(item: Item | AssetOutcome) -> int:
    return item.taken.size if isinstance(item, Item) else 0

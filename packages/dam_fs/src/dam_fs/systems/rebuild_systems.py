"""A database that is gone, made again from what the store itself says."""

import asyncio
import hashlib
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dam.core.stages import SystemStage
from dam.core.system_params import Resource
from dam.core.systems import system
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.models.markers import NeedsMetadataExtractionComponent
from dam_fs.commands import AssetOutcome, OutcomeStatus, RebuildCommand
from dam_fs.flow import chunks
from dam_fs.hashing import read_object
from dam_fs.mime import HEAD_BYTES, media_type
from dam_fs.models import (
    ContentHashMd5Component,
    ContentHashSha256Component,
    FileLocationComponent,
    FilePropertiesComponent,
    LocationCondition,
    OriginalSourceInfoComponent,
)
from dam_fs.models.files import shown
from dam_fs.receipts import Receipt
from dam_fs.records import known_content
from dam_fs.resources import STORE_LOCK, FileOperationsResource
from dam_fs.scan import is_unchanged
from dam_fs.storage import Storage, StoredObject

BATCH = 256
EXTRACTION = SystemStage.METADATA_EXTRACTION


@dataclass
class Recovered:
    """What is known again of one content, and under which names. ``condition`` is that of the object, if it is ``stored``."""

    sha256: str
    md5: str
    size: int
    kind: str
    receipts: list[Receipt]
    stored: bool = True
    condition: LocationCondition = LocationCondition.OK

    @property
    def name(self) -> str:
        return shown(next((receipt.name for receipt in self.receipts if receipt.name), self.sha256))

    @property
    def added_at(self) -> datetime:
        try:
            return datetime.fromisoformat(self.receipts[0].at).astimezone(UTC)
        except (IndexError, OSError, OverflowError, ValueError):
            return datetime.now(UTC)


@system(on_command=RebuildCommand)
async def rebuild(
    cmd: RebuildCommand, world: World, files: Resource[FileOperationsResource]
) -> AsyncGenerator[AssetOutcome, None]:
    """Objects first, each of them read, then the references that receipts name; batch by batch, each by itself. What receipts
    name and the store has no more is told as failed."""
    storage = await files.adopted(world)
    with tempfile.TemporaryDirectory(prefix="dam-rebuild-") as folder:
        index = await asyncio.to_thread(ReceiptIndex, Path(folder), storage)
        with closing(index):
            source = chunks(storage.objects(), BATCH)
            while not cmd.stop.is_set() and (part := await asyncio.to_thread(next, source, None)):
                for outcome in await _bring_back(world, storage, index, part):
                    yield outcome
            references = chunks(index.references(), BATCH)
            while not cmd.stop.is_set() and (keys := await asyncio.to_thread(next, references, None)):
                for outcome in await _bring_references(world, index, keys):
                    yield outcome
            copied = chunks(index.copied(), BATCH)
            while not cmd.stop.is_set() and (keys := await asyncio.to_thread(next, copied, None)):
                for outcome in await asyncio.to_thread(_lost, storage, index, keys):
                    yield outcome


class ReceiptIndex:
    """The receipts of a store by content, in a temporary file: there may be more of them than memory holds."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        self._connection = sqlite3.connect(folder / "receipts", check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute(
            "CREATE TABLE receipt (number INTEGER PRIMARY KEY, sha256 TEXT, copied INTEGER, line BLOB)"
        )
        self._connection.execute("BEGIN")
        found = ((line, Receipt.of(line)) for line in storage.receipts() if line.strip())
        rows = ((receipt.sha256, receipt.copied, line) for line, receipt in found if receipt)
        self._connection.executemany("INSERT INTO receipt (sha256, copied, line) VALUES (?, ?, ?)", rows)
        self._connection.execute("CREATE INDEX by_content ON receipt (sha256)")
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()

    def references(self) -> Iterator[str]:
        """Contents that some receipt names at a place of the user's own."""
        yield from (row[0] for row in self._connection.execute("SELECT DISTINCT sha256 FROM receipt WHERE NOT copied"))

    def copied(self) -> Iterator[str]:
        """Contents that some receipt says the store has."""
        yield from (row[0] for row in self._connection.execute("SELECT DISTINCT sha256 FROM receipt WHERE copied"))

    def of(self, keys: Sequence[str]) -> dict[str, list[Receipt]]:
        """What still holds of each content, in the order in which it was written."""
        marks = ",".join("?" * len(keys))
        query = f"SELECT line FROM receipt WHERE sha256 IN ({marks}) ORDER BY number"  # noqa: S608  question marks
        found: dict[str, list[Receipt]] = {key: [] for key in keys}
        for (line,) in self._connection.execute(query, list(keys)):
            receipt = Receipt.of(line)
            assert receipt is not None  # it was one when it was put here
            if receipt.deleted:
                found[receipt.sha256] = [each for each in found[receipt.sha256] if not _is_meant(receipt, each)]
            else:
                found[receipt.sha256].append(receipt)
        return found


def _is_meant(deletion: Receipt, other: Receipt) -> bool:
    if deletion.path is not None:
        return not other.copied and other.path == deletion.path
    return other.copied and other.name == deletion.name


async def _bring_back(
    world: World, storage: Storage, index: ReceiptIndex, part: Sequence[StoredObject]
) -> list[AssetOutcome]:
    known = await known_content(world, [bytes.fromhex(each.key) for each in part])
    there = {digest.hex(): each.entity_id for digest, each in known.items() if each.copied}
    receipts = await asyncio.to_thread(index.of, [each.key for each in part])
    outcomes = [AssetOutcome(_name(receipts[key]) or key, OutcomeStatus.KNOWN, there[key]) for key in there]
    wanted = [
        each for each in part if each.key not in there and not all(r.derived for r in receipts[each.key] or [_UNNAMED])
    ]
    recovered: list[Recovered] = []
    for each in wanted:
        found = await asyncio.to_thread(_recovered, storage, each, [r for r in receipts[each.key] if not r.derived])
        if isinstance(found, str):
            outcomes.append(AssetOutcome(each.key, OutcomeStatus.FAILED, None, each.length, found))
        else:
            recovered.append(found)
    return outcomes + (await _written(world, recovered) if recovered else [])


_UNNAMED = Receipt("")


def _name(receipts: Sequence[Receipt]) -> str | None:
    return next((receipt.path or receipt.name for receipt in receipts if not receipt.derived), None)


def _recovered(storage: Storage, found: StoredObject, receipts: list[Receipt]) -> Recovered | str:
    """Reads an object; why nothing can be made of it."""
    md5, head = hashlib.md5(usedforsecurity=False), bytearray()

    def look(part: bytes) -> None:
        md5.update(part)
        head.extend(part[: HEAD_BYTES - len(head)])

    expected = max((each.size for each in receipts if each.size is not None), default=None)
    try:
        with storage.open(found.key) as stream:
            size, digest, _ = read_object(stream, expected, write=look)
    except OSError as e:
        return f"it cannot be read: {e.strerror or e}"
    if digest == found.key:
        name = next((receipt.name for receipt in receipts if receipt.name), "")
        return Recovered(found.key, md5.hexdigest(), size, media_type(bytes(head), size, name), receipts)
    said = next((each for each in receipts if each.md5 and each.size is not None and each.media_type), None)
    if said is None:
        return f"it is damaged: {_fault(size, digest)}, and no receipt says what it was"
    return Recovered(
        found.key, said.md5 or "", said.size or 0, said.media_type or "", receipts, condition=LocationCondition.DAMAGED
    )


def _fault(size: int, digest: str) -> str:
    return f"it hashes to {digest}" if digest else f"it has {size} bytes, far more than any receipt says"


def _lost(storage: Storage, index: ReceiptIndex, keys: Sequence[str]) -> list[AssetOutcome]:
    gone = [key for key in keys if storage.length(key) is None]
    named = {key: [each for each in found if each.copied and not each.derived] for key, found in index.of(gone).items()}
    reason = "its object is gone; add the file again if you have it"
    return [
        AssetOutcome(_name(receipts) or key, OutcomeStatus.FAILED, None, receipts[0].size or 0, reason)
        for key, receipts in named.items()
        if receipts
    ]


async def _bring_references(world: World, index: ReceiptIndex, keys: Sequence[str]) -> list[AssetOutcome]:
    receipts = await asyncio.to_thread(index.of, keys)
    recovered = []
    for key in keys:
        named = [each for each in receipts[key] if not each.copied and each.path and each.md5 and each.size is not None]
        if named:
            first = named[0]
            recovered.append(
                Recovered(key, first.md5 or "", first.size or 0, first.media_type or "", named, stored=False)
            )
    return await _written(world, recovered) if recovered else []


async def _written(world: World, recovered: Sequence[Recovered]) -> list[AssetOutcome]:
    awaited = {each.kind for each in recovered if world.awaits(NeedsMetadataExtractionComponent, each.kind, EXTRACTION)}

    async def write(transaction: WorldTransaction) -> list[AssetOutcome]:
        await transaction.lock(STORE_LOCK, shared=True)
        keys = [ContentHashSha256Component(hash_value=bytes.fromhex(each.sha256)) for each in recovered]
        outcomes = []
        for each, owner in zip(recovered, await transaction.identify(keys), strict=True):
            properties = FilePropertiesComponent(
                original_filename=each.name, size_bytes=each.size, mime_type=each.kind, added_at=each.added_at
            )
            transaction.ensure(owner.entity_id, ContentHashMd5Component(hash_value=bytes.fromhex(each.md5)), properties)
            transaction.ensure(owner.entity_id, *_places(each), *_sources(each))
            if owner.created and each.kind in awaited:
                transaction.add(owner.entity_id, NeedsMetadataExtractionComponent())
            status = OutcomeStatus.ADDED if owner.created else OutcomeStatus.LINKED
            reason = "its object is damaged" if each.condition is LocationCondition.DAMAGED else None
            place = _name(each.receipts) or each.sha256
            outcomes.append(AssetOutcome(place, status, owner.entity_id, each.size, reason))
        return outcomes

    return await world.write(write)


def _places(found: Recovered) -> Iterator[FileLocationComponent]:
    digest = bytes.fromhex(found.sha256)
    if found.stored:
        names = dict.fromkeys(receipt.name for receipt in found.receipts if receipt.copied)
        for name in names or [found.name]:
            place = FileLocationComponent.in_store(name, digest)
            place.condition = found.condition.value
            yield place
    for receipt in found.receipts:
        if not receipt.copied and receipt.path:
            place = FileLocationComponent.by_reference(receipt.path, digest)
            is_there = is_unchanged(receipt.path, receipt.size or 0, receipt.mtime_ns or 0)
            place.condition = (LocationCondition.OK if is_there else LocationCondition.LOST).value
            yield place


def _sources(found: Recovered) -> Iterator[OriginalSourceInfoComponent]:
    for receipt in found.receipts:
        if receipt.path:
            yield OriginalSourceInfoComponent.of(receipt.path, receipt.size or 0, receipt.mtime_ns or 0)

"""Commands of the file plugin, and what they tell while they run."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from dam.commands.core import BaseCommand
from dam.events import Event
from dam.system_events.base import BaseSystemEvent


class OutcomeStatus(StrEnum):
    """What became of one path."""

    ADDED = "added"  # new content, stored
    KNOWN = "known"  # this path with this content is there already
    LINKED = "linked"  # known content under a new name or path, or copied where there was only a reference
    RESTORED = "restored"  # known content whose object was missing or damaged; it is whole again
    SKIPPED = "skipped"  # not a regular file, a link out of the tree, or part of a world
    FAILED = "failed"  # it should have been added


@dataclass
class AssetOutcome(BaseSystemEvent):
    """What became of one path, told once it is committed. ``entity_id`` is missing where nothing is stored."""

    path: str
    status: OutcomeStatus
    entity_id: int | None = None
    size_bytes: int = 0
    reason: str | None = None
    analyses_failed: int = 0  # the asset is stored all the same; its derivations say why


@dataclass
class FilesCounted(BaseSystemEvent):
    """How much there is to do, told while it is still being counted and once more when that is ``complete``."""

    files: int
    size_bytes: int
    complete: bool


@dataclass
class AddAssetsCommand(BaseCommand[None, AssetOutcome | FilesCounted]):
    """Adds files, and the files below folders; yields an ``AssetOutcome`` for each.

    Batches are committed as they are full: what was reported is safe, whatever happens next. ``copy=False`` records where the
    files are and leaves their bytes there. Without ``recursive`` a folder among the paths fails. ``exclude`` holds patterns
    as in a .gitignore, ``protected`` paths that are never entered. ``count`` asks for ``FilesCounted`` events. Setting
    ``stop`` ends the work at the next batch.
    """

    paths: Sequence[str]
    recursive: bool = True
    copy: bool = True
    dry_run: bool = False
    exclude: Sequence[str] = ()
    protected: Sequence[str] = ()
    count: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class RebuildCommand(BaseCommand[None, AssetOutcome]):
    """Makes a world's database again from its store: every object is read and becomes an asset, with the names and places that
    the store's receipts say; references come back as well. What the database knows already stays as it is.

    Nothing of what people or analyzers said comes back, for that was in the database alone. Setting ``stop`` ends the work at the
    next batch; dispatching it again continues.
    """

    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class AssetsAddedEvent(Event):
    """New assets are committed. A listener that must not miss one uses a marker instead."""

    entity_ids: Sequence[int]


class FindingKind(StrEnum):
    """What verification found wrong, or could not look at."""

    MISSING = "missing"  # an object that is not in the store
    DAMAGED = "damaged"  # an object of the right length with other bytes
    WRONG_LENGTH = "wrong-length"  # an object that is shorter or longer than it should be
    CHANGED = "changed"  # a reference whose file holds other bytes now
    VANISHED = "vanished"  # a reference whose file is not there
    CONTRADICTION = "contradiction"  # rows that say different things of the same bytes
    INCOMPLETE = "incomplete"  # an asset without a row that it needs
    UNREADABLE = "unreadable"  # it cannot be read now
    BUSY = "busy"  # it changed while it was looked at; the next run looks again
    ABSENT = "absent"  # a folder that is gone with all references below it, as that of a disk which is not mounted
    UNKNOWN = "unknown"  # an object that no row knows


@dataclass
class Finding(BaseSystemEvent):
    """One thing that verification found, told once it is recorded. ``place`` is the key of an object or a path. ``is_damage``
    tells what is wrong from what could not be looked at, and from what is only left over."""

    kind: FindingKind
    place: str
    is_damage: bool
    entity_id: int | None = None
    name: str | None = None
    expected: int | None = None  # bytes
    found: int | None = None
    reason: str | None = None
    derived: bool = False  # an object that was made of others, and can be made again
    references: int = 0  # below an absent folder


@dataclass
class PassBegun(BaseSystemEvent):
    """A pass begins, or is continued; so many rows of locations are to be verified."""

    began_at: datetime
    continued: bool
    locations: int


@dataclass
class PlacesVerified(BaseSystemEvent):
    """A batch is recorded: objects and references that were read and judged, whole or not."""

    objects: int
    references: int
    size_bytes: int
    locations: int = 0  # rows that name them


@dataclass
class PassEnded(BaseSystemEvent):
    """The end of a run of ``VerifyCommand``; one that is not ``complete`` is continued by the next."""

    complete: bool
    at_limit: bool


@dataclass
class VerifyCommand(BaseCommand[None, PassBegun | PlacesVerified | Finding | PassEnded]):
    """Reads every object and every reference and compares it with its SHA-256; then looks for objects that no row knows, and for
    assets that lack rows. What it learns is recorded: ``condition`` and ``verified_at`` of the locations.

    What was never verified comes first, then what was verified longest ago. A pass that was stopped is continued the next time.
    ``subset=(3, 10)`` is the third tenth of all digests, and has passes of its own; ``sample=0.05`` every twentieth place, chosen
    anew each time. After ``time_limit`` seconds nothing new is begun. Setting ``stop`` leaves what is being read unjudged.
    """

    subset: tuple[int, int] | None = None
    sample: float | None = None
    time_limit: float | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class RepairStatus(StrEnum):
    """What became of one damaged thing."""

    MENDED = "mended"  # its object was written again, from another place with the same bytes
    WHOLE = "whole"  # it holds the right bytes again, by whatever way
    DROPPED = "dropped"  # a derived object: nothing speaks of it any more, and it is made again when somebody wants it
    LOST = "lost"  # a reference whose file is changed or gone; the same bytes are in the store
    BEYOND = "beyond-repair"  # no place was found that holds its bytes; it stays listed


@dataclass
class RepairOutcome(BaseSystemEvent):
    """What became of one damaged object or lost reference, told once it is recorded. ``source`` is where the bytes came from."""

    status: RepairStatus
    place: str
    entity_id: int | None = None
    name: str | None = None
    size_bytes: int = 0
    source: str | None = None
    reason: str | None = None


@dataclass
class RepairCommand(BaseCommand[None, RepairOutcome]):
    """Mends what verification recorded as damaged, from other places that hold the same bytes: references, and the files below
    ``folders``. Every source is hashed, and what hashes wrong is not used.

    ``dry_run`` looks for sources and changes nothing. Setting ``stop`` ends the work at the next batch.
    """

    folders: Sequence[str] = ()
    dry_run: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Removed(BaseSystemEvent):
    """An object that no row knows, or what a dead process left behind, is removed; in a dry run it would be. One that is spared
    was somebody's file by what the store's receipts say."""

    place: str
    size_bytes: int
    is_temporary: bool = False
    is_spared: bool = False


@dataclass
class GcCommand(BaseCommand[None, Removed]):
    """Removes objects that no row knows, and abandoned temporaries, if they are older than ``grace`` seconds.

    Nothing but what has a name of the store's own is looked at. What the store's receipts name as somebody's file is spared
    unless ``named``: the database may have forgotten it. Setting ``stop`` ends the work at the next batch.
    """

    grace: float = 3600
    named: bool = False
    dry_run: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class ExportStatus(StrEnum):
    """What became of one asset that was to be copied out."""

    EXPORTED = "exported"  # it is there, under ``path``
    KNOWN = "known"  # a file with its name and its content was there already
    FAILED = "failed"  # no source of its content gives the right bytes, or the folder does not take its name


@dataclass
class AssetExported(BaseSystemEvent):
    """What became of one asset, told once its file is on the disk. ``sidecar`` is where its components are, where they were
    asked for."""

    entity_id: int
    status: ExportStatus
    path: str | None = None
    size_bytes: int = 0
    sidecar: str | None = None
    reason: str | None = None


@dataclass
class ExportCommand(BaseCommand[None, AssetExported]):
    """Copies the content of assets into a folder under their original names; yields an ``AssetExported`` for each.

    ``entity_ids`` are all that listings show unless given. Content is hashed while it is written, and gets its name only where
    the hash is right. No file is ever replaced: a name that other content has is avoided, and the same content is left as it is,
    so that running it again continues. ``protected`` paths are never written to. Setting ``stop`` ends the work at the next
    batch. Raises ``ExportError``.
    """

    entity_ids: Sequence[int] | None
    folder: str
    sidecar: bool = False
    dry_run: bool = False
    protected: Sequence[str] = ()
    stop: asyncio.Event = field(default_factory=asyncio.Event)

"""Commands of the file plugin, and what they tell while they run."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
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
class AssetsAddedEvent(Event):
    """New assets are committed. A listener that must not miss one uses a marker instead."""

    entity_ids: Sequence[int]

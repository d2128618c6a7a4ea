"""Commands of the trash, and for deleting."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from dam.commands.core import BaseCommand
from dam.system_events.disposal import EntityDisposed


@dataclass
class TrashCommand(BaseCommand[None, EntityDisposed]):
    """Moves entities to the trash: they stay out of listings, and nothing of them is lost. Yields an ``EntityDisposed`` for
    each. Setting ``stop`` ends the work at the next batch, here and in the others."""

    entity_ids: Sequence[int]
    dry_run: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class UntrashCommand(BaseCommand[None, EntityDisposed]):
    """Brings entities back from the trash. Yields an ``EntityDisposed`` for each."""

    entity_ids: Sequence[int]
    dry_run: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class DeleteCommand(BaseCommand[None, EntityDisposed]):
    """Deletes entities with all that is known of them, and what nobody else needs of what they stood for.

    Batches commit by themselves; yields an ``EntityDisposed`` for each entity.
    """

    entity_ids: Sequence[int]
    dry_run: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class EmptyTrashCommand(BaseCommand[None, EntityDisposed]):
    """Deletes what has been in the trash for as long as ``older_than``, and is still there when its turn comes."""

    older_than: timedelta = timedelta(0)
    dry_run: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)

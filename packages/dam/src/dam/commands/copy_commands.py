"""Commands that take entities from one world to another."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dam.commands.core import BaseCommand
from dam.system_events.copying import EntityCopied, LinksCopied

if TYPE_CHECKING:
    from dam.core.world import World


@dataclass
class CopyEntitiesCommand(BaseCommand[None, EntityCopied | LinksCopied]):
    """Copies entities of ``source``, with all their components and their content, into the world it is dispatched on.

    Entities are known by their keys, such as the hash of their content, and by where they were copied from before: what is there
    already is not copied twice. Of such an entity all that the target lacks is added, and what it says stays, unless
    ``overwrite`` lets the source have the last word. Nothing is ever removed.

    Batches commit by themselves, and each is read again and compared before it is told: an ``EntityCopied`` for every entity,
    and at the end ``LinksCopied``. ``entity_ids`` are all unless given. ``partial`` permits that facts are lost for which the
    target has no plugin. Setting ``stop`` ends the work at the next batch; dispatching it again continues. Raises ``CopyError``.
    """

    source: "World"
    entity_ids: Sequence[int] | None = None
    overwrite: bool = False
    partial: bool = False
    dry_run: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)

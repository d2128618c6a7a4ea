"""What copying tells while it runs."""

from dataclasses import dataclass
from enum import StrEnum

from dam.system_events.base import BaseSystemEvent


class CopyStatus(StrEnum):
    """What became of one entity."""

    ADDED = "added"  # it is new to the target
    UPDATED = "updated"  # the target had it, and got facts that it lacked, or others
    KNOWN = "known"  # the target had all of it
    FAILED = "failed"


@dataclass
class EntityCopied(BaseSystemEvent):
    """What became of one entity, told once it is committed. ``entity_id`` is that of the target, where there is one."""

    source_id: int
    entity_id: int | None
    status: CopyStatus
    reason: str | None = None


@dataclass
class LinksCopied(BaseSystemEvent):
    """Relations between copied entities: so many rows were added, and so many left out because an end of them is not there. Those
    that could not be written are told as entities that failed."""

    added: int
    left_out: int

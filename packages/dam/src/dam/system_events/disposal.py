"""What moving to the trash, bringing back and deleting tell while they run."""

from dataclasses import dataclass
from enum import StrEnum

from dam.system_events.base import BaseSystemEvent


class DisposalStatus(StrEnum):
    """What became of one entity."""

    TRASHED = "trashed"
    RESTORED = "restored"
    DELETED = "deleted"
    KNOWN = "known"  # it was so already
    FAILED = "failed"


@dataclass
class EntityDisposed(BaseSystemEvent):
    """What became of one entity, told once it is committed."""

    entity_id: int
    status: DisposalStatus
    reason: str | None = None

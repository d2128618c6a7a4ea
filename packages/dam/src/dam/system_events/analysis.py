"""What analyses tell while they run."""

from dataclasses import dataclass

from dam.system_events.base import BaseSystemEvent


@dataclass
class EntitiesAnalysed(BaseSystemEvent):
    """A batch of entities is done; ``analyses_failed`` of their analyses are on record as failed."""

    entities: int
    analyses_failed: int

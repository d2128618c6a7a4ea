"""What a system may ask for in its signature, beyond the command, event or stage that it runs for."""

from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from dam.models.config import WorldConfig
from dam.models.core.base_component import MarkerComponent

__all__ = ["MarkedEntityList", "Resource", "WorldConfig", "WorldContext", "WorldSession"]

T = TypeVar("T")
M = TypeVar("M", bound=MarkerComponent)


@dataclass(frozen=True)
class ReadingMarker:
    """Marks a session that only reads."""


@dataclass(frozen=True)
class ResourceMarker:
    """Marks a parameter that the world's resources provide."""


WorldSession = Annotated[AsyncSession, ReadingMarker()]
"""A session for reading: the scope's transaction's own where there is one, else one that never takes a write lock."""

Resource = Annotated[T, ResourceMarker()]
"""``Resource[FileOperationsResource]``: the world's one instance of that type."""


@dataclass(frozen=True)
class WorldContext:
    """A world's name, settings and reading session in one parameter."""

    name: str
    config: WorldConfig
    session: AsyncSession


class MarkedEntityList(list[int], Generic[M]):
    """Ids of entities that carry the marker ``M``: at most one batch of them, in the order of their ids.

    A stage calls its system again until no entity is left; the markers of a batch are taken off when its system has
    returned, in the system's own transaction.
    """

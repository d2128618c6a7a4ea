"""Commands that look at content."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Generic, Protocol, TypeVar

from dam.commands.core import BaseCommand
from dam.system_events.analysis import EntitiesAnalysed
from dam.system_events.base import BaseSystemEvent

R = TypeVar("R")


class _Contents(Protocol):
    def open_stream(self, entity_id: int, depth: int = 0) -> AbstractAsyncContextManager[BinaryIO | None]: ...


class _World(Protocol):
    @property
    def contents(self) -> "_Contents": ...


@dataclass
class AnalysisCommand(BaseCommand[R, BaseSystemEvent], Generic[R]):
    """A request to analyse one entity. ``depth`` counts the containers that its content lies in; ``stream`` is the content
    where the caller has it at hand already."""

    entity_id: int
    depth: int = 0
    stream: BinaryIO | None = None

    @asynccontextmanager
    async def open_stream(self, world: _World) -> AsyncIterator[BinaryIO | None]:
        """The content from its first byte, or ``None`` where no opener can reach it. What was opened here is closed here;
        a stream that came with the command stays its owner's."""
        if self.stream is not None:
            if self.stream.seekable():
                self.stream.seek(0)
            yield self.stream
            return
        async with world.contents.open_stream(self.entity_id, self.depth) as stream:
            yield stream


class Which(StrEnum):
    """What is analysed again."""

    ALL = "all"  # everything that the analyzers want
    STALE = "stale"  # what they have not seen yet, or in another version, or with other parameters
    FAILED = "failed"  # where they failed


@dataclass
class ReprocessCommand(BaseCommand[None, EntitiesAnalysed]):
    """Runs analyzers again over what is stored; yields an ``EntitiesAnalysed`` for each batch, once it is committed.

    ``algorithms`` are names of analyzers, all unless given. Setting ``stop`` ends the work at the next batch; running it again
    continues, but for ``Which.ALL``. Raises ``NoSuchAnalyzerError``.
    """

    algorithms: Sequence[str] = ()
    which: Which = Which.STALE
    stop: asyncio.Event = field(default_factory=asyncio.Event)

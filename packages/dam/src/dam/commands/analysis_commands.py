"""Commands that look at the content of one entity."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, Generic, Protocol, TypeVar

from dam.commands.core import BaseCommand
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

"""Content: the bytes of an entity, wherever they lie."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from dam.core.exceptions import DamError
from dam.core.transaction import parts
from dam.models.core.base_component import Component

if TYPE_CHECKING:
    from dam.core.world import World

logger = logging.getLogger(__name__)

L = TypeVar("L", bound=Component)
MAX_DEPTH = 16


@dataclass(frozen=True)
class ContentSource:
    """One way to the bytes of an entity; nothing is opened yet.

    ``open`` may block and may raise ``OSError``. ``path`` is a local file with exactly these bytes, where there is one;
    ``digest`` says which bytes they are (SHA-256), ``size`` how many. ``is_current`` tells of a file that anybody may change
    whether nobody has.
    """

    open: Callable[[], BinaryIO]
    size: int | None = None
    media_type: str | None = None
    digest: bytes | None = None
    path: str | None = None
    seekable: bool = True
    is_current: Callable[[], bool] | None = None


@dataclass(frozen=True)
class OpenRequest:
    """What an opener works with: a session for reading, how many containers deep it is, and the way to outer containers."""

    session: AsyncSession
    depth: int
    contents: "Contents"


Opener = Callable[[OpenRequest, Sequence[L]], Awaitable[Sequence[ContentSource | None]]]
"""For each location a source, or ``None`` where that location cannot serve."""


class OpenerTable:
    """Location component → opener, the cheapest first."""

    def __init__(self) -> None:
        self._openers: dict[type[Component], tuple[int, Opener[Any]]] = {}

    def add(self, location: type[L], opener: Opener[L], cost: int) -> None:
        """``cost`` orders the openers: 10 a local file, 50 inside a container, 100 over a network."""
        self._openers[location] = (cost, opener)

    def __iter__(self) -> Any:
        for location, (_, opener) in sorted(self._openers.items(), key=lambda item: item[1][0]):
            yield location, opener


class Contents:
    """The way from entities to their bytes, for one world or one scope of it."""

    def __init__(self, world: "World", openers: OpenerTable, session: AsyncSession | None = None) -> None:
        self._world = world
        self._openers = openers
        self._session = session  # one for all containers around an entity: each with its own would exhaust the pool

    async def sources(self, entity_ids: Iterable[int], depth: int = 0) -> dict[int, list[ContentSource]]:
        """Every way to each entity's bytes, the cheapest first; entities without any have an empty list."""
        if depth > MAX_DEPTH:
            raise DamError(f"content lies more than {MAX_DEPTH} containers deep; take the outer containers apart first")
        found: dict[int, list[ContentSource]] = {entity_id: [] for entity_id in entity_ids}
        async with self._reading() as session:
            request = OpenRequest(session, depth, Contents(self._world, self._openers, session))
            for (location, opener), part in product(self._openers, list(parts(list(found)))):
                query = select(location).where(location.entity_id.in_(part)).order_by(location.entity_id)
                rows = list(await session.scalars(query))
                for row, source in zip(rows, await opener(request, rows), strict=True) if rows else ():
                    if source is not None:
                        found[row.entity_id].append(source)
        return found

    @asynccontextmanager
    async def open_stream(self, entity_id: int, depth: int = 0) -> AsyncIterator[BinaryIO | None]:
        """The entity's bytes from the first source that opens, closed on leaving; ``None`` where none does."""
        stream = await self._first((await self.sources([entity_id], depth))[entity_id])
        try:
            yield stream
        finally:
            if stream is not None:
                stream.close()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        if self._session is not None:
            yield self._session
        else:
            async with self._world.reading() as session:
                yield session

    async def _first(self, sources: Sequence[ContentSource]) -> BinaryIO | None:
        for source in sources:
            try:
                return await asyncio.to_thread(source.open)
            except OSError as e:
                logger.info("content source %s does not open: %s", source.path, e)
        return None

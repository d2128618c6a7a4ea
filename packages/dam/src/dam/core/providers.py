"""The core's own providers: everything that a system can ask for without a plugin's help."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from dam.core.injection import Need, ProviderTable, Scope, Trigger
from dam.core.leases import claimed
from dam.core.system_params import MarkedEntityList, ReadingMarker, ResourceMarker, WorldContext
from dam.core.transaction import TRANSACTION, WorldTransaction, open_reading_session, open_transaction
from dam.models.config import SettingsModel, WorldConfig
from dam.models.core.base_component import MarkerComponent

if TYPE_CHECKING:
    from dam.core.world import World

BATCH = 256
"""Entities of one marked list."""

_SESSION = Need(AsyncSession, marker=ReadingMarker())


def register(table: ProviderTable) -> None:
    """In the order in which they are entered: the transaction before the session, which may be the transaction's own."""
    from dam.core.world import World

    table.add(Trigger, _trigger, "call")
    table.add(World, _world, "call")
    table.add(SettingsModel, _settings, "call", _unknown_settings)
    table.add(ResourceMarker, _resource, "call", _missing_resource, name="Resource")
    table.add(WorldTransaction, _transaction, "scope")
    table.add(ReadingMarker, _session, "scope", name="WorldSession")
    table.add(WorldContext, _context, "call")
    table.add(MarkedEntityList, _marked, "call", _wrong_marker)


@asynccontextmanager
async def _trigger(scope: Scope, _need: Need) -> AsyncIterator[object]:
    yield scope.trigger


@asynccontextmanager
async def _world(scope: Scope, _need: Need) -> "AsyncIterator[World]":
    yield scope.world.bound(scope)


@asynccontextmanager
async def _settings(scope: Scope, need: Need) -> AsyncIterator[SettingsModel]:
    yield scope.world.settings_of(need.type)


def _unknown_settings(world: "World", need: Need) -> str | None:
    return None if need.type in world.settings else f"no plugin of this world has the settings {need.name}"


@asynccontextmanager
async def _resource(scope: Scope, need: Need) -> AsyncIterator[Any]:
    yield scope.world.get_resource(need.type)


def _missing_resource(world: "World", need: Need) -> str | None:
    return None if need.type in world.resources else f"no plugin of this world adds the resource {need.name}"


@asynccontextmanager
async def _transaction(scope: Scope, _need: Need) -> AsyncIterator[WorldTransaction]:
    async with open_transaction(scope.world.engine, scope.run, whole=scope.whole) as transaction:
        transaction.bind(scope.world.bound(scope))
        scope.instances[_SESSION] = transaction.session  # rather than an outer scope's, which sees nothing of this one
        yield transaction
        scope.announcements = transaction.announcements


@asynccontextmanager
async def _session(scope: Scope, _need: Need) -> AsyncIterator[AsyncSession]:
    transaction = scope.find(TRANSACTION)
    if transaction is not None:
        yield transaction.session
    else:
        async with open_reading_session(scope.world.engine) as session:
            yield session


@asynccontextmanager
async def _context(scope: Scope, _need: Need) -> AsyncIterator[WorldContext]:
    config: WorldConfig = scope.world.config
    yield WorldContext(scope.world.name, config, await scope.get(_SESSION))


@asynccontextmanager
async def _marked(scope: Scope, need: Need) -> AsyncIterator[MarkedEntityList[Any]]:
    (marker,) = need.arguments
    if marker in scope.batches:  # systems that wait for the same marker get the same entities
        yield scope.batches[marker]
        return
    scope.batches[marker] = MarkedEntityList(await _next_batch(scope, marker))
    yield scope.batches[marker]


async def _next_batch(scope: Scope, marker: type[MarkerComponent]) -> Iterable[int]:
    """What nobody works on. What is part of a transaction sees its own markers, which are nobody else's yet."""
    query = select(marker.entity_id).order_by(marker.entity_id).limit(BATCH)
    transaction = scope.find(TRANSACTION)
    is_part = transaction is not None and transaction.is_open
    async with scope.world.bound(scope).reading() as session:
        found = list(await session.scalars(query if is_part else query.limit(1)))
    if is_part or not found:
        return found
    return await scope.afterwards.enter_async_context(claimed(scope.world.engine, marker, BATCH))


def _wrong_marker(_world: "World", need: Need) -> str | None:
    if len(need.arguments) != 1:
        return "MarkedEntityList names no marker; write MarkedEntityList[YourMarker]"
    (marker,) = need.arguments
    if isinstance(marker, type) and issubclass(marker, MarkerComponent):
        return None
    return f"{getattr(marker, '__name__', marker)} is not a MarkerComponent, and only those are queues"

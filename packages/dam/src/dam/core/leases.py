"""Who works on which part of a queue, so that several processes share one and none does another's work.

A queue is the rows of a marker. Whoever takes a batch leaves a row that says so, commits it, and works without holding any lock.
The row is gone when the work is committed; of a process that died it is ignored, at once on the same machine, and when it
has run out anywhere else.
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection, and_, delete, insert, not_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from dam.core.databases import backend_of
from dam.core.exceptions import DamError
from dam.models.core.base_component import MarkerComponent
from dam.models.lease import Lease

LEASE = timedelta(seconds=60)
"""For how long somebody is believed to be alive who does not say so again."""

logger = logging.getLogger(__name__)

_TOKEN = uuid4().hex[:8]


def owner() -> str:
    """This process, for others on the same machine and elsewhere."""
    return f"{socket.gethostname()[:200]}:{os.getpid()}:{_TOKEN}"


@asynccontextmanager
async def claimed(engine: AsyncEngine, marker: type[MarkerComponent], most: int) -> AsyncIterator[list[int]]:
    """The next entities of a queue that nobody works on, at most so many, in the order of their ids. Nobody else gets them until
    this is left."""
    async with engine.begin() as connection:
        lease, entity_ids = await connection.run_sync(_claim, marker, most)
    if lease is None:
        yield []
        return
    renewing = asyncio.create_task(_renew(engine, lease))
    try:
        yield entity_ids
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        await _release(engine, lease)


def _claim(connection: Connection, marker: type[MarkerComponent], most: int) -> tuple[int | None, list[int]]:
    queue, now = marker.__tablename__, datetime.now(UTC)
    backend_of(connection).lock(connection, f"dam queue {queue}")
    leases = connection.execute(
        select(Lease.id, Lease.low, Lease.high, Lease.owner, Lease.until).where(Lease.queue == queue)
    )
    gone, taken = [], []
    for lease in leases.all():
        if lease.until < now or _is_dead(lease.owner):
            gone.append(lease.id)
        else:
            taken.append(marker.entity_id.between(lease.low, lease.high))
    if gone:
        connection.execute(delete(Lease).where(Lease.id.in_(gone)))
    free = select(marker.entity_id).where(and_(True, *map(not_, taken))).order_by(marker.entity_id).limit(most)
    entity_ids = list(connection.execute(free).scalars())
    if not entity_ids:
        return None, []
    row = {"queue": queue, "low": entity_ids[0], "high": entity_ids[-1], "owner": owner(), "until": now + LEASE}
    return connection.execute(insert(Lease).values(row).returning(Lease.id)).scalar_one(), entity_ids


def _is_dead(other: str) -> bool:
    """Whether it is a process of this machine that is no more. Of others nothing is known."""
    host, _, rest = other.partition(":")
    pid = rest.partition(":")[0]
    if (
        host != socket.gethostname()[:200] or not pid.isdecimal() or sys.platform == "win32"
    ):  # there a signal 0 would end it
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's
        return False
    return False


async def _renew(engine: AsyncEngine, lease: int) -> None:
    while True:
        await asyncio.sleep(LEASE.total_seconds() / 3)
        with suppress(SQLAlchemyError, DamError, OSError):  # it has two more tries before it runs out
            async with engine.begin() as connection:
                await connection.execute(update(Lease).where(Lease.id == lease).values(until=datetime.now(UTC) + LEASE))


async def _release(engine: AsyncEngine, lease: int) -> None:
    try:
        async with engine.begin() as connection:
            await connection.execute(delete(Lease).where(Lease.id == lease))
    except (SQLAlchemyError, DamError, OSError):  # what went wrong in between matters more; it will run out
        logger.debug("lease %s could not be released", lease, exc_info=True)

"""The record that every writing dispatch leaves."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from dam.core.exceptions import DamError
from dam.models.run import Run

logger = logging.getLogger(__name__)


@dataclass
class RunRecord:
    """One top-level dispatch on its way to a ``Run`` row. The row is written by the first transaction that writes anything."""

    actor: str
    command: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: int | None = None
    committed: bool = False
    attempted: bool = False
    finished: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # two transactions of one run must not both write its row

    def begin(self, connection: Connection, outcome: str = "running", error: str | None = None) -> None:
        """Writes the row on ``connection``; it becomes real when that commits."""
        self.attempted = True
        result = connection.execute(
            insert(Run)
            .values(
                actor=self.actor,
                command=self.command,
                started_at=self.started_at,
                ended_at=None if outcome == "running" else datetime.now(UTC),
                outcome=outcome,
                error=error,
            )
            .returning(Run.id)
        )
        self.id = result.scalar_one()

    def end(self, connection: Connection, outcome: str, error: str | None = None) -> None:
        changes = {"ended_at": datetime.now(UTC), "outcome": outcome, "error": error}
        connection.execute(update(Run).where(Run.id == self.id).values(**changes))

    async def finish(self, engine: AsyncEngine, outcome: str, error: BaseException | None = None) -> None:
        """Writes how it ended, unless its only transaction did so already. A failure that cannot be noted is only logged:
        the error that it would hide matters more."""
        if self.finished or not self.attempted:
            return
        text = f"{type(error).__name__}: {error}"[:2000] if isinstance(error, Exception) else None
        try:
            async with engine.begin() as connection:
                if self.committed:
                    await connection.run_sync(self.end, outcome, text)
                else:
                    await connection.run_sync(self.begin, outcome, text)
        except (SQLAlchemyError, DamError, OSError):
            if error is None:
                raise
            logger.debug("the end of run %s (%s) could not be noted", self.id, self.command, exc_info=True)

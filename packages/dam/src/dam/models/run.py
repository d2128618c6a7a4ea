"""Runs: who did what, when, and how it ended."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_class import Base


class Run(Base):
    """One top-level command, event or stage that wrote something. Rows of components name the run that wrote them last."""

    __tablename__ = "dam_run"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    actor: Mapped[str] = mapped_column(String(255))
    command: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    outcome: Mapped[str] = mapped_column(String(16), default="running")  # running | done | failed | abandoned
    error: Mapped[str | None] = mapped_column(Text, default=None)

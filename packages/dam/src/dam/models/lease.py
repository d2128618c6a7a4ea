"""Leases: which part of a queue somebody is working on."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_class import Base


class Lease(Base):
    """Somebody works on the marked entities from ``low`` to ``high``, and is believed to be alive until ``until``."""

    __tablename__ = "dam_lease"
    __table_args__ = (Index(None, "queue"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    queue: Mapped[str] = mapped_column(String(128))
    low: Mapped[int] = mapped_column(BigInteger)
    high: Mapped[int] = mapped_column(BigInteger)
    owner: Mapped[str] = mapped_column(String(255))
    until: Mapped[datetime]

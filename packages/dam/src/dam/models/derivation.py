"""Provenance of derived facts."""

from sqlalchemy import Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import Component
from dam.models.core.fields import UNINDEXED
from dam.models.core.types import EntityId


class DerivationComponent(Component, namespace="derivation"):
    """What one algorithm made of one entity, and from which input: the proof that work can be skipped.

    ``status`` is ``ok`` or ``failed``; a failure stands until the version, the input or the parameters change. ``failure`` is
    its kind: ``error`` of the code or the file, ``limit`` of time or memory, ``crash``, ``data`` that cannot be stored, or
    ``unreachable`` content, of which nothing is known and ``input_digest`` is empty.
    """

    __tablename__ = "dam_derivation"

    entity_id: Mapped[EntityId] = mapped_column(primary_key=True, init=False, autoincrement=False, sort_order=-2)
    algorithm: Mapped[str] = mapped_column(String(128), primary_key=True, sort_order=-1)
    version: Mapped[int] = mapped_column(info=UNINDEXED)
    input_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), info=UNINDEXED, default=None)
    parameters_digest: Mapped[bytes | None] = mapped_column(LargeBinary(16), info=UNINDEXED, default=None)
    status: Mapped[str] = mapped_column(String(16), default="ok", info=UNINDEXED)
    failure: Mapped[str | None] = mapped_column(String(16), default=None, info=UNINDEXED)
    error: Mapped[str | None] = mapped_column(Text, default=None, info=UNINDEXED)

    # Stale and failed rows of one algorithm are ranges of this index.
    __table_args__ = (Index(None, "algorithm", "status", "version"),)

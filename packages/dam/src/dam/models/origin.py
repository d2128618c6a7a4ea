"""Where entities of other worlds have their copies."""

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_class import Base
from dam.models.core.base_component import BaseComponent
from dam.models.core.fields import UNINDEXED


class WorldIdentity(Base):
    """What other worlds know a world by: names and places change. The one row is written when it is first asked for."""

    __tablename__ = "dam_world_identity"

    slot: Mapped[str] = mapped_column(String(16), primary_key=True, default="main")
    world_id: Mapped[str] = mapped_column(String(36))


class OriginComponent(BaseComponent, namespace="origin"):
    """An entity of another world that this one is a copy of: copying again finds it by that. It has one copy here."""

    __tablename__ = "dam_origin"
    __table_args__ = (Index(None, "world_id", "source_id", unique=True),)

    world_id: Mapped[str] = mapped_column(String(36))
    source_id: Mapped[int] = mapped_column(info=UNINDEXED)
    world_name: Mapped[str] = mapped_column(String(255), info=UNINDEXED)

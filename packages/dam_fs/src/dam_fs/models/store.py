"""The store that a world's objects lie in."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_class import Base


class Store(Base):
    """A store by the id that it carries in itself: a folder without that id is not this store, whatever its path.

    No component, for it says nothing about an asset; a world has one row.
    """

    __tablename__ = "dam_fs_store"

    slot: Mapped[str] = mapped_column(String(16), primary_key=True, default="main")
    store_id: Mapped[str] = mapped_column(String(36))
    location: Mapped[str] = mapped_column(String(4096))

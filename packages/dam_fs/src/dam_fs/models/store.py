"""The store that a world's objects lie in."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import UniqueComponent
from dam.models.core.fields import HIDDEN, UNINDEXED


class StoreComponent(UniqueComponent, namespace="store", hides_entity=True):
    """A store by the id that it carries in itself: a folder without that id is not this store, whatever its path."""

    __tablename__ = "dam_fs_store"
    slot: Mapped[str] = mapped_column(String(16), unique=True, default="main", info=HIDDEN)  # a world has one store
    store_id: Mapped[str] = mapped_column(String(36), info=UNINDEXED)
    location: Mapped[str] = mapped_column(String(4096), info=UNINDEXED)

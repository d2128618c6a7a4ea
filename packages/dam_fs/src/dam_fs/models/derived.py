"""Objects of the store that were made of others."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import BaseComponent
from dam.models.core.fields import UNINDEXED


class DerivedObjectComponent(BaseComponent):
    """An object of the store that dam has made of the entity's content, and can make again.

    It is no asset: the same bytes, added as a file, are one, and nothing hides that. ``content_identifier`` is the object's key.
    """

    __abstract__ = True
    content_identifier: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(info=UNINDEXED)
    mime_type: Mapped[str] = mapped_column(String(255), info=UNINDEXED)

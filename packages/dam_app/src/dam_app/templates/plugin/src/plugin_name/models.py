"""Components: what is known of an asset. Each is a table."""

from dam import BaseComponent
from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

LONGEST_LABEL = 100


class LabelComponent(BaseComponent, namespace="plugin_name"):
    """A label that somebody gave to an asset, which can have many."""

    __tablename__ = "plugin_name_label"
    __table_args__ = (UniqueConstraint("entity_id", "text"),)  # the same label twice is one row

    text: Mapped[str] = mapped_column(String(LONGEST_LABEL))

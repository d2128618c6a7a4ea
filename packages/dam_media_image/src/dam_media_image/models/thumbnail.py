"""Thumbnails that were made."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.fields import UNINDEXED
from dam_fs.models import DerivedObjectComponent


class ThumbnailComponent(DerivedObjectComponent, namespace="thumbnail"):
    """A small version of a picture: of at most ``size_pixels`` each way, made by that version of the algorithm."""

    __tablename__ = "dam_media_image_thumbnail"
    __table_args__ = (UniqueConstraint("entity_id", "size_pixels"),)

    size_pixels: Mapped[int] = mapped_column(info=UNINDEXED)
    version: Mapped[int] = mapped_column(info=UNINDEXED)
    width_pixels: Mapped[int] = mapped_column(info=UNINDEXED)
    height_pixels: Mapped[int] = mapped_column(info=UNINDEXED)

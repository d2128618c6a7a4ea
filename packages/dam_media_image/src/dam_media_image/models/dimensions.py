"""Sizes and frames: of pictures here, and of moving pictures by the plugin above."""

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import UniqueComponent


class ImageDimensionsComponent(
    UniqueComponent, namespace="image", aliases={"width": "width_pixels", "height": "height_pixels"}
):
    """Width and height as stored, before any orientation is applied."""

    __tablename__ = "dam_media_image_dimensions"
    width_pixels: Mapped[int]
    height_pixels: Mapped[int]


class FramePropertiesComponent(
    UniqueComponent,
    namespace="frames",
    aliases={"count": "frame_count", "rate": "frames_per_second", "duration": "duration_seconds"},
):
    """How many frames there are, how fast they follow each other on the average, and how long all of them take.

    Pages of a document are frames without time.
    """

    __tablename__ = "dam_media_image_frame_properties"
    frame_count: Mapped[int | None] = mapped_column(default=None)
    frames_per_second: Mapped[float | None] = mapped_column(default=None)
    duration_seconds: Mapped[float | None] = mapped_column(default=None)

"""The moment and the place of a picture. Layered: a file's own metadata, a sidecar's and a person's word stand side by side."""

from datetime import datetime

from sqlalchemy import DateTime, String
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import LayeredComponent
from dam.models.core.fields import UNINDEXED


class CameraComponent(
    LayeredComponent,
    namespace="camera",
    aliases={
        "captured": "captured_at",
        "exposure": "exposure_seconds",
        "aperture": "f_number",
        "focal_length": "focal_length_mm",
    },
):
    """When and how a picture was taken. ``captured_at`` is the camera's own clock, and ``offset_minutes`` how far it was ahead
    of UTC, where that is known."""

    __tablename__ = "dam_media_image_camera"
    captured_at: Mapped[datetime | None] = mapped_column(DateTime(), default=None)
    offset_minutes: Mapped[int | None] = mapped_column(default=None, info=UNINDEXED)
    make: Mapped[str | None] = mapped_column(String(255), default=None)
    model: Mapped[str | None] = mapped_column(String(255), default=None)
    lens: Mapped[str | None] = mapped_column(String(255), default=None)
    exposure_seconds: Mapped[float | None] = mapped_column(default=None)
    f_number: Mapped[float | None] = mapped_column(default=None)
    iso: Mapped[int | None] = mapped_column(default=None)
    focal_length_mm: Mapped[float | None] = mapped_column(default=None)
    orientation: Mapped[int | None] = mapped_column(default=None, info=UNINDEXED)


class GeoPositionComponent(
    LayeredComponent,
    namespace="gps",
    aliases={"latitude": "latitude_degrees", "longitude": "longitude_degrees", "altitude": "altitude_metres"},
):
    """Degrees north and east, metres above the sea."""

    __tablename__ = "dam_media_image_geo_position"
    latitude_degrees: Mapped[float | None] = mapped_column(default=None)
    longitude_degrees: Mapped[float | None] = mapped_column(default=None)
    altitude_metres: Mapped[float | None] = mapped_column(default=None, info=UNINDEXED)

"""What is computed of pictures, in types that cost nothing to import: the parent process knows them without NumPy."""

from datetime import datetime
from typing import NamedTuple


class Frames(NamedTuple):
    """An animation: how many frames, how many seconds they take together, and frames per second."""

    number: int
    duration: float | None
    rate: float | None


class Header(NamedTuple):
    """Width and height in pixels as stored, before any orientation."""

    width: int
    height: int


class Hashes(NamedTuple):
    """64-bit hashes, the first bit the most significant one. There is no perceptual one where it would be noise."""

    perceptual: int | None
    average: int
    difference: int


class Thumbnail(NamedTuple):
    """WebP, and its width and height in pixels."""

    content: bytes
    width: int
    height: int


class Camera(NamedTuple):
    """What the camera wrote into a picture. Nothing is guessed: what is missing or makes no sense is ``None``.

    ``captured_at`` is the clock of the camera, and ``offset_minutes`` how far it was ahead of UTC, where that is known.
    """

    captured_at: datetime | None = None
    offset_minutes: int | None = None
    make: str | None = None
    model: str | None = None
    lens: str | None = None
    exposure_seconds: float | None = None
    f_number: float | None = None
    iso: int | None = None
    focal_length_mm: float | None = None
    orientation: int | None = None


class Position(NamedTuple):
    """Degrees north and east, metres above the sea."""

    latitude: float
    longitude: float
    altitude: float | None


class Shot(NamedTuple):
    """The camera's facts, and where it was, if it knew."""

    camera: Camera
    position: Position | None

"""What cameras write into pictures: EXIF. Knows Pillow, and nothing of dam.

Values are checked, because they come from anywhere: a date that is none, a position beyond the poles or a shutter that was
open for minus one second is left out. Names and meanings: CIPA DC-008 (Exif 3.0).
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dam_media_image.facts import Camera, Position, Shot
from dam_media_image.picture import ORIENTATION, opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dam.analysis.blob import Blob

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
MAKE, MODEL, DATE_TIME = 0x010F, 0x0110, 0x0132
EXPOSURE, F_NUMBER, ISO, ISO_SPEED = 0x829A, 0x829D, 0x8827, 0x8833
ORIGINAL, DIGITIZED = 0x9003, 0x9004
OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
SUBSECONDS, SUBSECONDS_ORIGINAL, SUBSECONDS_DIGITIZED = 0x9290, 0x9291, 0x9292
FOCAL_LENGTH, LENS_MODEL = 0x920A, 0xA434

_DATE = re.compile(r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_LONGEST = 255


def shot(blob: Blob) -> Shot:
    """When, with what, how and where a picture was taken, as its EXIF has it."""
    picture = blob.once(opened)
    try:
        exif = picture.getexif()
        main: Mapping[int, Any] = dict(exif)
        taken, place = dict(exif.get_ifd(EXIF_IFD)), dict(exif.get_ifd(GPS_IFD))
    except Exception:  # noqa: BLE001  Pillow's readers of broken metadata raise whatever they like; it is as good as none
        return Shot(Camera(), None)
    return Shot(_camera(main, taken), _position(place))


def _camera(main: Mapping[int, Any], taken: Mapping[int, Any]) -> Camera:
    captured_at, offset = _moment(main, taken)
    turned = main.get(ORIENTATION)
    return Camera(
        captured_at=captured_at,
        offset_minutes=offset,
        make=_text(main.get(MAKE)),
        model=_text(main.get(MODEL)),
        lens=_text(taken.get(LENS_MODEL)),
        exposure_seconds=_positive(taken.get(EXPOSURE)),
        f_number=_positive(taken.get(F_NUMBER)),
        iso=_iso(taken),
        focal_length_mm=_positive(taken.get(FOCAL_LENGTH)),
        orientation=turned if isinstance(turned, int) and 1 <= turned <= 8 else None,
    )


def _moment(main: Mapping[int, Any], taken: Mapping[int, Any]) -> tuple[datetime | None, int | None]:
    """When it was taken, else when it was digitised, else what the file calls its date."""
    for source, date, subseconds, offset in (
        (taken, ORIGINAL, SUBSECONDS_ORIGINAL, OFFSET_ORIGINAL),
        (taken, DIGITIZED, SUBSECONDS_DIGITIZED, OFFSET_DIGITIZED),
        (main, DATE_TIME, SUBSECONDS, OFFSET),
    ):
        if moment := _datetime(source.get(date), taken.get(subseconds)):
            return moment, _offset(taken.get(offset))
    return None, None


def _datetime(value: object, subseconds: object) -> datetime | None:
    found = _DATE.match(_text(value) or "")
    if not found:
        return None
    fraction = (_text(subseconds) or "0").strip()
    microsecond = int(fraction[:6].ljust(6, "0")) if fraction.isdecimal() and fraction.isascii() else 0
    try:
        return datetime(*map(int, found.groups()), microsecond)  # type: ignore[call-arg,arg-type]  # noqa: DTZ001  a camera's clock
    except ValueError:
        return None


def _offset(value: object) -> int | None:
    found = _OFFSET.fullmatch(_text(value) or "")
    if not found:
        return None
    minutes = 60 * int(found[2]) + int(found[3])
    return (-minutes if found[1] == "-" else minutes) if minutes <= 14 * 60 else None


def _text(value: object) -> str | None:
    """Without what cameras fill fields up with. Bytes are Latin-1 where they are not UTF-8."""
    if isinstance(value, bytes):
        value = _decoded(value)
    if not isinstance(value, str):
        return None
    return value.partition("\0")[0].strip()[:_LONGEST] or None


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _number(value: object) -> float | None:
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        number = float(value)  # type: ignore[arg-type]  # Pillow's rationals; of one over nothing, not a number
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None


def _positive(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _iso(taken: Mapping[int, Any]) -> int | None:
    number = _positive(taken.get(ISO)) or _positive(taken.get(ISO_SPEED))
    return int(number) if number is not None and number < 1 << 31 else None


def _position(place: Mapping[int, Any]) -> Position | None:
    latitude = _degrees(place.get(2), place.get(1), "S", 90)
    longitude = _degrees(place.get(4), place.get(3), "W", 180)
    if (
        latitude is None or longitude is None or (latitude, longitude) == (0, 0)
    ):  # what devices write that know no position
        return None
    altitude = _number(place.get(6))
    if altitude is not None and place.get(5) in (1, b"\x01"):
        altitude = -altitude
    return Position(latitude, longitude, altitude)


def _degrees(value: object, side: object, negative: str, most: float) -> float | None:
    """Degrees, minutes and seconds as one signed number."""
    if not isinstance(value, tuple) or not 1 <= len(value) <= 3:
        return None
    parts = [_number(part) for part in value]
    degrees = sum(((part or 0.0) / 60.0**i for i, part in enumerate(parts)), 0.0)
    if parts[0] is None or not 0 <= degrees <= most:
        return None
    return -degrees if (_text(side) or "").upper().startswith(negative) else degrees

"""What cameras write into pictures: EXIF. Knows Pillow, and nothing of dam.

Values are checked, because they come from anywhere: a date that is none, a position beyond the poles or a shutter that was
open for minus one second is left out. Names and meanings: CIPA DC-008 (Exif 3.0).
"""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from PIL import Image

from dam_media_image.facts import Camera, Position, Shot
from dam_media_image.picture import ORIENTATION, TURNED, opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dam.analysis.blob import Blob

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
MAKE, MODEL, DATE_TIME = 0x010F, 0x0110, 0x0132
EXPOSURE, F_NUMBER = 0x829A, 0x829D
ISO, STANDARD_SENSITIVITY, RECOMMENDED_EXPOSURE, ISO_SPEED = 0x8827, 0x8831, 0x8832, 0x8833
ORIGINAL, DIGITIZED = 0x9003, 0x9004
OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
SUBSECONDS, SUBSECONDS_ORIGINAL, SUBSECONDS_DIGITIZED = 0x9290, 0x9291, 0x9292
FOCAL_LENGTH, LENS_MODEL = 0x920A, 0xA434

_DATE = re.compile(r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_LONGEST = 255
RAW_PROFILE = "Raw profile type exif"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LONGEST_EXIF = 16 << 20
LONGEST_EXPOSURE, LARGEST_F_NUMBER, LONGEST_LENS = 10_000_000.0, 1000.0, 100_000.0  # seconds, none, millimetres
SEE_ELSEWHERE = 65535  # an ISO that does not fit into its field: the next one has it


def shot(blob: Blob) -> Shot:
    """When, with what, how and where a picture was taken, as its EXIF has it."""
    picture = blob.once(opened)
    try:
        exif = _exif(picture, blob)
        main: dict[int, Any] = dict(exif)
        taken, place = dict(exif.get_ifd(EXIF_IFD)), dict(exif.get_ifd(GPS_IFD))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  Pillow's readers of broken metadata raise whatever they like; it is as good as none
        return Shot(Camera(), None)
    if TURNED in picture.info:
        main[ORIENTATION] = picture.info[TURNED]
    return Shot(_camera(main, taken), _position(place))


def _exif(picture: Image.Image, blob: Blob) -> Image.Exif:
    """Of a PNG without decoding it, which Pillow would do to see whether there is any behind the pixels."""
    if picture.format != "PNG" or "exif" in picture.info:
        return picture.getexif()
    exif = Image.Exif()
    if profile := picture.info.get(RAW_PROFILE):
        exif.load(_unhexed(profile))
        return exif
    with blob.open() as file:
        file.seek(len(PNG_SIGNATURE))
        while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"eXIf" and length <= LONGEST_EXIF:
                exif.load(file.read(length))
                break
            file.seek(length + 4, os.SEEK_CUR)
    return exif


def _unhexed(profile: str) -> bytes:
    """What ImageMagick wraps EXIF into: a name, a length, as many bytes in hexadecimal, and what is padding."""
    _, _, length, digits = profile.split("\n", 3)
    return bytes.fromhex("".join(digits.split())[: 2 * int(length)])


def _camera(main: Mapping[int, Any], taken: Mapping[int, Any]) -> Camera:
    captured_at, offset = _moment(main, taken)
    turned = main.get(ORIENTATION)
    return Camera(
        captured_at=captured_at,
        offset_minutes=offset,
        make=_text(main.get(MAKE)),
        model=_text(main.get(MODEL)),
        lens=_text(taken.get(LENS_MODEL)),
        exposure_seconds=_positive(taken.get(EXPOSURE), LONGEST_EXPOSURE),
        f_number=_positive(taken.get(F_NUMBER), LARGEST_F_NUMBER),
        iso=_iso(taken),
        focal_length_mm=_positive(taken.get(FOCAL_LENGTH), LONGEST_LENS),
        orientation=turned if isinstance(turned, int) and 1 <= turned <= 8 else None,
    )


def _moment(main: Mapping[int, Any], taken: Mapping[int, Any]) -> tuple[datetime | None, int | None]:
    """When it was taken, else when it was digitised. The date of the file is that of its last change, and only counts where a
    camera has signed and nothing else is told: old ones write no other."""
    dates = [
        (taken.get(ORIGINAL), SUBSECONDS_ORIGINAL, OFFSET_ORIGINAL),
        (taken.get(DIGITIZED), SUBSECONDS_DIGITIZED, OFFSET_DIGITIZED),
        (main.get(DATE_TIME) if main.get(MAKE) else None, SUBSECONDS, OFFSET),
    ]
    for date, subseconds, offset in dates:
        if moment := _datetime(date, taken.get(subseconds)):
            return moment, _offset(taken.get(offset))
    return None, None


def _datetime(value: object, subseconds: object) -> datetime | None:
    found = _DATE.match(_text(value) or "")
    if not found:
        return None
    fraction = (_text(subseconds) or "0").strip()
    microsecond = int(fraction[:6].ljust(6, "0")) if fraction.isdecimal() and fraction.isascii() else 0
    try:
        return datetime(*map(int, found.groups("0")), microsecond)  # type: ignore[call-arg,arg-type]  # noqa: DTZ001  a camera's clock
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
    text = _decoded(value) if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return None
    with suppress(UnicodeEncodeError):  # Pillow takes everything for Latin-1, and many cameras write UTF-8
        text = _decoded(text.encode("latin-1"))
    return text.partition("\0")[0].strip()[:_LONGEST] or None


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


def _positive(value: object, most: float = math.inf) -> float | None:
    """EXIF writes the largest number that its field holds for what is infinite or not known."""
    number = _number(value)
    return number if number is not None and 0 < number <= most else None


def _iso(taken: Mapping[int, Any]) -> int | None:
    numbers = (_positive(taken.get(tag)) for tag in (ISO, ISO_SPEED, RECOMMENDED_EXPOSURE, STANDARD_SENSITIVITY))
    number = next((n for n in numbers if n is not None and n != SEE_ELSEWHERE), None)
    return int(number) if number is not None and 1 <= number < 1 << 31 else None


def _position(place: Mapping[int, Any]) -> Position | None:
    latitude = _degrees(place.get(2), place.get(1), ("N", "S"), 90)
    longitude = _degrees(place.get(4), place.get(3), ("E", "W"), 180)
    if (
        latitude is None or longitude is None or (latitude, longitude) == (0, 0)
    ):  # what devices write that know no position
        return None
    altitude = _number(place.get(6))
    if altitude is not None and place.get(5) in (1, b"\x01"):
        altitude = -altitude
    return Position(latitude, longitude, altitude)


def _degrees(value: object, side: object, sides: tuple[str, str], most: float) -> float | None:
    """Degrees, minutes and seconds as one signed number; nothing where it is not told on which side of zero they are."""
    where = (_text(side) or "").upper()[:1]
    if where not in sides or not isinstance(value, tuple) or not 1 <= len(value) <= 3:
        return None
    parts = [part for part in map(_number, value) if part is not None]
    if len(parts) < len(value) or any(not 0 <= part < 60 for part in parts[1:]):
        return None
    degrees = sum(part / 60.0**i for i, part in enumerate(parts))
    if not 0 <= degrees <= most:
        return None
    return -degrees if where == sides[1] else degrees

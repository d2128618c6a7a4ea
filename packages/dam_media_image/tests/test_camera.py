"""What cameras write: read where it makes sense, left out where it does not."""

from __future__ import annotations

import struct
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo
from PIL.TiffImagePlugin import IFDRational

from dam.analysis.blob import Blob
from dam_media_image.camera import shot
from dam_media_image.facts import Camera, Position, Shot

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[int, Any] = {
    0x9003: "2019:07:14 18:30:05",
    0x9011: "+02:00",
    0x9291: "25",
    0x829A: IFDRational(1, 250),
    0x829D: IFDRational(28, 10),
    0x8827: 400,
    0x920A: IFDRational(35, 1),
    0xA434: "Summicron 35",
}
PLACE: dict[int, Any] = {
    1: "N",
    2: (IFDRational(52), IFDRational(30), IFDRational(36)),
    3: "W",
    4: (IFDRational(13), IFDRational(24), IFDRational(0)),
    5: b"\x00",
    6: IFDRational(345, 10),
}


def photograph(
    folder: Path, taken: dict[int, Any], place: dict[int, Any] | None = None, main: dict[int, Any] | None = None
) -> Shot:
    exif = Image.Exif()
    for tag, value in (main or {}).items():
        exif[tag] = value
    for tag, value in taken.items():
        exif.get_ifd(0x8769)[tag] = value
    for tag, value in (place or {}).items():
        exif.get_ifd(0x8825)[tag] = value
    path = folder / "photo.jpg"
    Image.new("RGB", (8, 8), "red").save(path, exif=exif)
    return read(path)


def read(path: Path) -> Shot:
    with Blob(str(path), path.stat().st_size, "image/jpeg") as blob:
        return shot(blob)


def test_everything_that_a_camera_tells_is_read(tmp_path: Path) -> None:
    found = photograph(tmp_path, GOOD, PLACE, {0x010F: "Leica\0", 0x0110: " M10 ", 0x0112: 6})
    assert found.camera == Camera(
        captured_at=datetime(2019, 7, 14, 18, 30, 5, 250000),  # noqa: DTZ001
        offset_minutes=120,
        make="Leica",
        model="M10",
        lens="Summicron 35",
        exposure_seconds=0.004,
        f_number=2.8,
        iso=400,
        focal_length_mm=35.0,
        orientation=6,
    )
    assert found.position == pytest.approx(Position(52.51, -13.4, 34.5))


def test_a_picture_that_no_camera_made_has_neither(tmp_path: Path) -> None:
    assert photograph(tmp_path, {}) == Shot(Camera(), None)


@pytest.mark.parametrize(
    ("tag", "value", "field"),
    [
        (0x9003, "0000:00:00 00:00:00", "captured_at"),
        (0x9003, "2019:02:30 10:00:00", "captured_at"),
        (0x9003, "yesterday", "captured_at"),
        (0x9011, "+99:00", "offset_minutes"),
        (0x829A, IFDRational(0, 0), "exposure_seconds"),
        (0x829A, IFDRational(1, 0), "exposure_seconds"),
        (0x829D, IFDRational(0, 1), "f_number"),
        (0x829D, IFDRational(4294967295, 1), "f_number"),
        (0x8827, 65535, "iso"),
        (0xA434, "   ", "lens"),
    ],
)
def test_what_makes_no_sense_is_left_out_and_nothing_else(tmp_path: Path, tag: int, value: object, field: str) -> None:
    found = photograph(tmp_path, GOOD | {tag: value}).camera
    assert getattr(found, field) is None
    assert found.focal_length_mm == 35.0


@pytest.mark.parametrize(
    "wrong",
    [
        {2: (IFDRational(0), IFDRational(0), IFDRational(0)), 4: (IFDRational(0), IFDRational(0), IFDRational(0))},
        {2: (IFDRational(91), IFDRational(0), IFDRational(0))},
        {2: (IFDRational(1, 0), IFDRational(0), IFDRational(0))},
        {4: (IFDRational(181), IFDRational(0), IFDRational(0))},
        {2: (IFDRational(1), IFDRational(0, 0), IFDRational(0))},
        {2: (IFDRational(1), IFDRational(75), IFDRational(0))},
        {4: (IFDRational(1), IFDRational(5), IFDRational(60))},
        {1: ""},
        {3: "?"},
    ],
)
def test_a_position_that_is_none_is_left_out(tmp_path: Path, wrong: dict[int, Any]) -> None:
    assert photograph(tmp_path, GOOD, PLACE | wrong).position is None


def test_the_date_of_the_file_stands_in_where_no_other_is(tmp_path: Path) -> None:
    dated = {0x0132: "2001:02:03 04:05:06"}
    found = photograph(tmp_path, {}, main=dated | {0x010F: "Kodak"}).camera
    assert (found.captured_at, found.offset_minutes) == (datetime(2001, 2, 3, 4, 5, 6), None)  # noqa: DTZ001
    assert photograph(tmp_path, {}, main=dated).camera.captured_at is None  # no camera: whoever changed the file last


def test_a_time_without_seconds_is_a_time(tmp_path: Path) -> None:
    found = photograph(tmp_path, {0x9003: "2019:07:14 18:30"}).camera
    assert found.captured_at == datetime(2019, 7, 14, 18, 30)  # noqa: DTZ001


def test_an_iso_that_does_not_fit_is_taken_from_where_it_does(tmp_path: Path) -> None:
    assert photograph(tmp_path, {0x8827: 65535, 0x8833: 102400}).camera.iso == 102400


def test_names_in_utf_8_and_in_latin_1_are_read_as_they_were_meant(tmp_path: Path) -> None:
    found = photograph(
        tmp_path, {}, main={0x010F: "Cam\u00e9ra \u76f8\u673a".encode(), 0x0110: "K\u00f6ln".encode("latin-1")}
    )
    assert (found.camera.make, found.camera.model) == ("Cam\u00e9ra \u76f8\u673a", "K\u00f6ln")


def test_what_stands_behind_the_pixels_of_a_png_is_read_without_decoding_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Leica"
    path = tmp_path / "a.png"
    Image.effect_noise((300, 200), 50).save(path)
    content = path.read_bytes()
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    end = content.index(b"IEND") - 4
    behind = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:end] + behind + content[end:])

    def decoded(picture: Image.Image) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(PngImageFile, "load", decoded)
    assert read(path).camera.make == "Leica"


def test_exif_that_imagemagick_wrapped_is_unwrapped(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Google"
    content = exif.tobytes()
    wrapped = PngInfo()
    wrapped.add_text("Raw profile type exif", f"\nExif\n{len(content):8}\n{content.hex()}\n0123456\n", zip=True)
    path = tmp_path / "a.png"
    Image.new("L", (8, 8)).save(path, pnginfo=wrapped)
    assert read(path).camera.make == "Google"


def test_a_lack_of_memory_is_not_taken_for_a_lack_of_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(picture: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "getexif", out_of_memory)
    with pytest.raises(MemoryError):
        photograph(tmp_path, GOOD)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_metadata_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    Image.new("RGB", (8, 8), "red").save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert read(path) == Shot(Camera(), None)

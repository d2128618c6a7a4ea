"""Sizes."""

from __future__ import annotations

import io
import struct
import zlib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from dam.analysis.blob import Blob
from dam_fs.mime import media_type
from dam_media_image.camera import shot
from dam_media_image.facts import Header
from dam_media_image.header import header
from dam_media_image.phash import hashes
from dam_media_image.picture import MissingDecoderError
from dam_media_image.systems.analysis_systems import MEASURED, PICTURES

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, kind: str = "image/x-test") -> Header:
    with Blob(str(path), path.stat().st_size, kind) as blob:
        return header(blob)


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "webp", "tiff", "bmp", "avif", "tga", "ppm", "jp2", "qoi"])
def test_the_size_is_the_stored_one(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, Any] = {"exif": exif} if ending in ("jpg", "png", "webp") else {}
    Image.new("RGB", (40, 24), "blue").save(path, **options)
    assert read(path) == Header(40, 24)


@pytest.mark.parametrize("ending", ["tiff", "png", "webp", "jpg"])
@pytest.mark.parametrize("orientation", [3, 5, 6, 7, 8])
def test_no_orientation_changes_the_stored_size(tmp_path: Path, ending: str, orientation: int) -> None:
    path = tmp_path / f"picture.{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 24), "blue").save(path, exif=exif)
    with Blob(str(path), path.stat().st_size, "image/x-test") as blob:
        assert header(blob) == Header(40, 24)
        hashes(blob)  # decodes it
        assert header(blob) == Header(40, 24)
        assert shot(blob).camera.orientation == orientation


def test_a_frame_that_leaves_the_screen_does_not_make_it_larger(tmp_path: Path) -> None:
    path, content = tmp_path / "moving.gif", bytearray(saved("GIF", "P"))
    at = content.rindex(b"\x2c\0\0\0\0")
    content[at + 1 : at + 5] = struct.pack("<HH", 500, 600)
    path.write_bytes(content)
    assert read(path, "image/gif") == Header(40, 24)


def saved(form: str, mode: str = "RGB") -> bytes:
    target = io.BytesIO()
    Image.new(mode, (40, 24)).save(target, form)
    return target.getvalue()


def pixar() -> bytes:
    fields = struct.pack("<HHHHHH", 24, 40, 24, 40, 14, 2)
    return b"\x80\xe8\0\0" + bytes(412) + fields + bytes(1024 - 428 + 3 * 40 * 24)


def satellite() -> bytes:
    words = [0, 4, *[0] * 6, 24, 40, 1, *[0] * 3, 1, *[0] * 18, 256, *[0] * 30]
    return struct.pack(">64I", *words) + bytes(40 * 24)


UNUSUAL = {
    "image/x-blp": saved("BLP", "P"),
    "image/x-dcx": struct.pack("<III", 0x3ADE68B1, 12, 0) + saved("PCX"),
    "image/x-ifunc": b"Image type: RGB image\r\nImage size (x*y): 40*24\r\n".ljust(511, b"\0") + b"\x1a" + bytes(2880),
    "image/x-ftex": b"FTEX" + struct.pack("<IIIIIIII", 4, 40, 24, 1, 1, 1, 36, 2880) + bytes(2880),
    "image/x-gimp-gbr": struct.pack(">IIIII", 30, 2, 40, 24, 1) + b"GIMP" + struct.pack(">I", 10) + b"x\0" + bytes(960),
    "image/x-mcidas-area": satellite(),
    "image/x-pixar": pixar(),
    "image/x-xv-thumbnail": b"P7 332\n#XVVERSION:1\n#END_OF_COMMENTS\n40 24 255\n" + bytes(960),
    "image/x-eps": saved("EPS"),
    "image/emf": struct.pack("<II4i4iI", 1, 88, 0, 0, 40, 24, 0, 0, 1411, 847, 0x464D4520) + bytes(44),
    "image/wmf": b"\xd7\xcd\xc6\x9a\0\0"
    + struct.pack("<4hH", 0, 0, 40, 24, 72)
    + bytes(6)
    + b"\1\0\x09\0\0\x03"
    + bytes(12),
    "image/x-xcf": b"gimp xcf v011\0" + struct.pack(">IIIIIII", 40, 24, 0, 150, 0, 0, 0) + bytes(16),
}


@pytest.mark.filterwarnings("ignore:IM ")  # Pillow 13 reads it, and will not for long
@pytest.mark.parametrize("kind", UNUSUAL)
def test_unusual_formats_are_told_and_have_their_size(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(UNUSUAL[kind])
    assert media_type(UNUSUAL[kind], len(UNUSUAL[kind])) == kind
    assert any(fnmatchcase(kind, pattern) for pattern in MEASURED)
    assert read(path, kind) == Header(40, 24)


def test_a_photo_cd_has_the_size_of_its_base_picture(tmp_path: Path) -> None:
    path, content = tmp_path / "picture", bytes(2048) + b"PCD_IPI" + bytes(4096)
    path.write_bytes(content)
    assert media_type(content, len(content)) == "image/x-photo-cd"
    assert "image/x-photo-cd" in PICTURES
    assert read(path, "image/x-photo-cd")[:2] == (768, 512)


def test_a_picture_that_pillow_refuses_to_open_may_still_have_its_size(tmp_path: Path) -> None:
    """Whoever packs a text of gigabytes into a picture stops Pillow, not us."""
    path, content = tmp_path / "picture.png", saved("PNG")
    bomb = b"zTXt" + b"key\0\0" + zlib.compress(bytes(8 << 20))
    chunk = struct.pack(">I", len(bomb) - 4) + bomb + struct.pack(">I", zlib.crc32(bomb))
    path.write_bytes(content[:33] + chunk + content[33:])
    with pytest.raises(ValueError, match="MAX_TEXT_CHUNK"):
        Image.open(path)
    assert read(path, "image/png") == Header(40, 24)


def test_where_nobody_can_read_it_the_reason_is_that_of_pillow(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(saved("PNG")[:12])
    with pytest.raises(OSError, match="that Pillow can read"):
        read(path, "image/png")


@pytest.mark.parametrize("content", [b"gimp xcf v011\0\0", b"gimp xcf ", b"no picture"])
def test_a_cut_drawing_of_gimp_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "drawing.xcf"
    path.write_bytes(content)
    with pytest.raises(OSError, match="image/x-xcf"):
        read(path, "image/x-xcf")


def test_pages_are_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "pages.tiff"
    Image.new("L", (20, 10)).save(path, save_all=True, append_images=[Image.new("L", (20, 10), 9)])
    assert read(path) == Header(20, 10)


@pytest.mark.parametrize("content", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"])
def test_what_is_no_picture_is_refused_and_nothing_else_is_started_for_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"no image/x-test that Pillow can read"):
        read(path)


@pytest.mark.parametrize(("kind", "library"), [("image/heic", "pillow-heif"), ("image/jxl", "imagecodecs")])
def test_a_format_that_needs_another_library_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, library: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library.replace("-", "_"), None)
    path = tmp_path / "file"
    path.write_bytes(b"\0")
    with pytest.raises(MissingDecoderError, match=f"{kind} needs {library}, .*pip install {library}"):
        read(path, kind)

"""Sizes and frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from dam.analysis.blob import Blob
from dam_media_image.facts import Frames, Header
from dam_media_image.header import header
from dam_media_image.picture import MissingDecoderError

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
    width, height, frames = read(path)
    assert (width, height) == (40, 24)
    assert frames is None


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "avif"])
def test_an_animation_has_frames_that_take_time(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"moving.{ending}"
    first, *others = [Image.new("RGB", (20, 10), (60 * i, 10, 10)) for i in range(4)]
    first.save(path, save_all=True, append_images=others, duration=250)
    assert read(path) == Header(20, 10, Frames(4, 1.0, 4.0))


def test_pages_are_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "pages.tiff"
    Image.new("L", (20, 10)).save(path, save_all=True, append_images=[Image.new("L", (20, 10), 9)])
    assert read(path) == Header(20, 10, None)


def test_an_animation_that_is_cut_off_still_has_its_size(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    first, *others = [Image.effect_noise((60, 40), 90).convert("P") for _ in range(4)]
    first.save(path, save_all=True, append_images=others, duration=100)
    path.write_bytes(path.read_bytes()[:4000])
    assert read(path)[:2] == (60, 40)


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
    with pytest.raises(MissingDecoderError, match=f"{kind} needs {library}; install it"):
        read(path, kind)

"""Hashes: bit for bit those of imagehash."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dam.analysis.blob import Blob
from dam_media_image import phash
from dam_media_image.facts import Hashes
from dam_media_image.picture import upright

if TYPE_CHECKING:
    from pathlib import Path

Compute = Callable[[Blob], Hashes | None]

LANCZOS = Image.Resampling.LANCZOS


def explicitly(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Pillow's own resize in our order: across first, then down. Pillow by itself may choose the other one."""
    across = Image.fromarray(pixels).resize((width, pixels.shape[0]), LANCZOS)
    return np.asarray(across.resize((width, height), LANCZOS))


def noise(seed: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 400))
def test_shrinking_gives_pillows_pixels(seed: int, width: int, height: int) -> None:
    pixels = noise(seed, width, height)
    for ours, size in zip(phash.shrunk(pixels), ((32, 32), (8, 8), (9, 8)), strict=True):
        assert np.array_equal(ours, explicitly(pixels, *size))


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (33, 2000)])
def test_shrinking_large_pictures_gives_pillows_pixels_too(size: tuple[int, int]) -> None:
    pixels = noise(1, *size)
    for ours, small in zip(phash.shrunk(pixels), ((32, 32), (8, 8), (9, 8)), strict=True):
        assert np.array_equal(ours, explicitly(pixels, *small))


@pytest.mark.parametrize("seed", range(20))
def test_the_three_hashes_are_those_of_imagehash(seed: int) -> None:
    width, height = (300 + 7 * seed, 200 + 3 * seed)
    pixels = np.asarray(Image.fromarray(noise(seed, 9, 7)).resize((width, height), Image.Resampling.BICUBIC))
    picture = Image.fromarray(pixels)
    wanted = [imagehash.phash(picture), imagehash.average_hash(picture), imagehash.dhash(picture)]
    found = phash.hashes_of(pixels)
    assert found is not None
    assert [f"{value:016x}" for value in found] == [str(value) for value in wanted]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((50, 70), np.uint8),
        np.full((50, 70), 255, np.uint8),
        np.full((1, 1), 7, np.uint8),
        np.pad(np.full((2, 2), 2, np.uint8), 100),
    ],
    ids=["black", "white", "one pixel", "a speck"],
)
def test_what_would_be_hashed_to_noise_is_flat(pixels: np.ndarray) -> None:
    assert phash.hashes_of(pixels) is None


MIRRORED = noise(8, 40, 60)


@pytest.mark.parametrize(
    "pixels",
    [
        np.concatenate([MIRRORED, MIRRORED[:, ::-1]], 1),
        np.concatenate([MIRRORED, MIRRORED[::-1]], 0),
        np.add.outer(np.zeros(64), np.repeat([0, 200], 32)).astype(np.uint8),
        np.add.outer(np.arange(200), np.zeros(300)).astype(np.uint8),
        np.tile(np.repeat([30, 220], 8), (50, 6)).astype(np.uint8),
    ],
    ids=["left like right", "above like below", "one edge down the middle", "a gradient", "stripes"],
)
def test_where_the_perceptual_hash_would_be_noise_the_others_stay(pixels: np.ndarray) -> None:
    found = phash.hashes_of(pixels)
    picture = Image.fromarray(pixels)
    assert found is not None
    assert found.perceptual is None
    assert f"{found.average:016x}" == str(imagehash.average_hash(picture))
    assert f"{found.difference:016x}" == str(imagehash.dhash(picture))


@pytest.mark.parametrize(
    ("mode", "shades"),
    [
        ("fractions", lambda shades: shades.astype(np.float32) / 255),
        ("floats", lambda shades: shades.astype(np.float32)),
        ("bright light", lambda shades: shades.astype(np.float32) * (3000 / 255)),
        ("with a hole", lambda shades: np.where(np.eye(*shades.shape) * 0, np.nan, shades / 255).astype(np.float32)),
        ("whole numbers", lambda shades: shades.astype(np.int32)),
        ("of 16 bits", lambda shades: shades.astype(np.int32) * 256),
        ("of 24 bits", lambda shades: shades.astype(np.int32) * 65_000),
    ],
)
def test_numbers_of_any_size_are_hashed_like_shades(
    tmp_path: Path, mode: str, shades: Callable[[np.ndarray], np.ndarray]
) -> None:
    plain = np.asarray(Image.fromarray(noise(9, 9, 7)).resize((90, 70), Image.Resampling.BICUBIC))
    plain = np.clip((plain.astype(int) - plain.min()) * 255 // int(plain.max() - plain.min()), 0, 255).astype(np.uint8)
    numbers = shades(plain)
    if mode == "with a hole":
        numbers[3, 3] = np.nan
    wanted = hashed(Image.fromarray(plain), tmp_path / "b.png")
    found = hashed(Image.fromarray(numbers), tmp_path / "a.tiff")
    assert found is not None
    assert wanted is not None
    assert all((a ^ b).bit_count() <= 2 for a, b in zip(known(found), known(wanted), strict=True))


def known(hashes: Hashes) -> list[int]:
    assert hashes.perceptual is not None
    return [hashes.perceptual, hashes.average, hashes.difference]


ORIENTED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("orientation", range(10))
def test_pixels_are_turned_as_pillow_turns_them(orientation: int) -> None:
    pixels = noise(3, 5, 4)
    picture = Image.fromarray(pixels)
    wanted = picture.transpose(ORIENTED[orientation]) if orientation in ORIENTED else picture
    assert np.array_equal(upright(pixels, orientation), np.asarray(wanted))


def hashed(picture: Image.Image, path: Path, compute: Compute = phash.hashes, **options: Any) -> Hashes | None:
    picture.save(path, **options)
    with Blob(str(path), path.stat().st_size, "image/x-test") as blob:
        return compute(blob)


def test_transparency_shows_white(tmp_path: Path) -> None:
    strokes = Image.fromarray(noise(6, 9, 7)).resize((90, 70), Image.Resampling.BICUBIC)
    drawing = Image.new("LA", (90, 70))
    drawing.putalpha(strokes)
    opaque = hashed(Image.eval(strokes, lambda shade: 255 - shade), tmp_path / "b.png")
    assert opaque is not None
    assert hashed(drawing, tmp_path / "a.png") == opaque


def test_sixteen_bits_are_hashed_like_the_upper_eight(tmp_path: Path) -> None:
    shades = np.asarray(Image.fromarray(noise(7, 9, 7)).resize((90, 70), Image.Resampling.BICUBIC))
    deep = Image.fromarray(shades.astype(np.uint16) * 256 + 100)
    plain = hashed(Image.fromarray(shades), tmp_path / "b.png")
    assert plain is not None
    assert hashed(deep, tmp_path / "a.png") == plain


def test_a_turned_photograph_is_hashed_as_people_see_it(tmp_path: Path) -> None:
    picture = Image.fromarray(noise(4, 9, 7)).resize((200, 100), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    as_seen = hashed(picture.transpose(Image.Transpose.ROTATE_270), tmp_path / "b.png")
    assert as_seen is not None
    assert hashed(picture, tmp_path / "a.png", exif=exif) == as_seen


def test_the_fast_hashes_of_a_large_jpeg_are_near_the_exact_ones(tmp_path: Path) -> None:
    picture = Image.fromarray(noise(5, 9, 7)).resize((3000, 2000), Image.Resampling.BICUBIC).convert("RGB")
    exact = hashed(picture, tmp_path / "a.jpg", quality=90)
    fast = hashed(picture, tmp_path / "a.jpg", phash.fast_hashes, quality=90)
    assert exact is not None
    assert fast is not None
    assert all((a ^ b).bit_count() <= 4 for a, b in zip(known(exact), known(fast), strict=True))

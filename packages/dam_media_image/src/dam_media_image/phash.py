"""Perceptual hashes of pictures, bit for bit those of the library ``imagehash``. Knows pictures, and nothing of dam.

``imagehash`` shrinks a picture three times with Pillow's LANCZOS filter, to 32 x 32 (pHash), 8 x 8 (aHash) and 9 x 8
(dHash) pixels. Pillow does that in integers: weights of 22 fractional bits, first across, then down. Both steps are
products of matrices, so that one pass over the pixels serves all three hashes, at a third of the time.

pHash: C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010. aHash and dHash:
N. Krawetz, "Looks Like It" (2011) and "Kind of Like That" (2013), hackerfactor.com.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # there is a worker for each processor already

import numpy as np

from dam_media_image.facts import Hashes
from dam_media_image.picture import Pixels, flattened, grey, in_eight_bits, opened, orientation, upright

if TYPE_CHECKING:
    from dam.analysis.blob import Blob

WIDTHS = (32, 8, 9)  # of the pictures that pHash, aHash and dHash are made of, side by side in one matrix
STRIP_PIXELS, STRIP_ROWS = (
    180_000,
    32,
)  # about as many at once, and at least: a product then stays in the processor's cache
BLOCK = 4  # columns at once: their weights reach over nearly the same pixels
PRECISION = 22  # fractional bits of Pillow's weights: all sums are whole numbers below 2 ** 53, and exact
FLAT = 4  # shades between the darkest and the brightest of 32 x 32 pixels: below it all hashes mean nothing
NOISE = 1e-6  # a frequency that is so near the median is on the one side or the other by rounding errors alone
UNDECIDED = 2  # bits of a pHash that may be noise: the two frequencies in the middle can be equal in any picture
FAST_PIXELS = 512  # width and height that the fast algorithm needs at least

_COSINES = 2 * np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(32)[None, :] + 1) / 64)


def hashes(blob: Blob) -> Hashes | None:
    """Of the picture as people see it; ``None`` where it is flat: of one shade, so that every flat picture is like it."""
    return hashes_of(blob.once(grey))


def fast_hashes(blob: Blob) -> Hashes | None:
    """The same of a JPEG that its decoder has made smaller: half the time at 12 megapixels, and up to 3 bits off."""
    with opened(blob) as picture:
        picture.draft(None, (FAST_PIXELS, FAST_PIXELS))
        pixels = np.asarray(flattened(in_eight_bits(picture)).convert("L"))
        return hashes_of(upright(pixels, orientation(picture)))


def hashes_of(pixels: Pixels) -> Hashes | None:
    """``pixels``: uint8 of (height, width)."""
    small, average, difference = shrunk(np.ascontiguousarray(pixels))
    if int(small.max()) - int(small.min()) < FLAT:
        return None
    return Hashes(
        _perceptual(small),
        _bits(average > average.mean()),
        _bits(difference[:, 1:] > difference[:, :-1]),
    )


def _perceptual(small: Pixels) -> int | None:
    """Of a picture that is its own mirror image half of the frequencies are zero, or what rounding makes of it: noise."""
    spectrum = _COSINES @ small.astype(np.float64) @ _COSINES.T
    median = np.median(spectrum)
    undecided = np.count_nonzero(np.abs(spectrum - median) < NOISE)
    return None if undecided > UNDECIDED else _bits(spectrum > median)


def _bits(pattern: Pixels) -> int:
    return int.from_bytes(np.packbits(pattern.ravel()).tobytes(), "big")


def shrunk(pixels: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """What Pillow's ``resize(…, LANCZOS)`` makes, across before down: uint8 of (32, 32), (8, 8) and (8, 9)."""
    height, width = pixels.shape
    across: Pixels = np.empty((height, sum(WIDTHS)))
    rows = min(height, max(STRIP_ROWS, STRIP_PIXELS // width))
    buffer: Pixels = np.empty((rows, width))
    for top in range(0, height, rows):
        strip = buffer[: height - top]
        strip[:] = pixels[top : top + rows]
        for first, last, low, high, weights in _blocks(width):
            np.matmul(strip[:, low:high], weights, out=across[top : top + rows, first:last])
    across = _rounded(across)
    tall = _rounded(_weights(height, 32).T @ across[:, :32])
    short = _rounded(_weights(height, 8).T @ across[:, 32:])
    return tall.astype(np.uint8), short[:, :8].astype(np.uint8), short[:, 8:].astype(np.uint8)


def _rounded(sums: Pixels) -> Pixels:
    """Weighted sums as pixels, still as float64."""
    shades: Pixels = np.clip((sums.astype(np.int64) + (1 << (PRECISION - 1))) >> PRECISION, 0, 255).astype(np.float64)
    return shades


@lru_cache(16)
def _blocks(length: int) -> list[tuple[int, int, int, int, Pixels]]:
    """Columns that are multiplied together, and only with the pixels that their weights reach: float64 of those by these."""
    weights = np.concatenate([_weights(length, width) for width in WIDTHS], 1)
    found = []
    for first in range(0, sum(WIDTHS), BLOCK):
        last = min(first + BLOCK, sum(WIDTHS))
        reached = np.flatnonzero(weights[:, first:last].any(1))
        low, high = int(reached[0]), int(reached[-1]) + 1
        found.append((first, last, low, high, np.ascontiguousarray(weights[low:high, first:last])))
    return found


@lru_cache(16)
def _weights(length: int, target: int) -> Pixels:
    """Pillow's integer weights: float64 of (length, target). After ``precompute_coeffs`` in its Resample.c."""
    scale = length / target
    stretch = max(scale, 1.0)
    support = 3.0 * stretch
    centres = (np.arange(target) + 0.5) * scale
    first = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centres + support + 0.5).astype(np.int64), length)
    places = first[:, None] + np.arange(int((last - first).max()))
    reached = places < last[:, None]
    shares = np.where(reached, _lanczos((places - centres[:, None] + 0.5) / stretch), 0.0)
    shares /= np.cumsum(shares, 1)[:, -1:]  # one after the other, as Pillow adds
    scaled = shares * (1 << PRECISION)
    weights = np.zeros((target, length))
    weights[np.nonzero(reached)[0], places[reached]] = np.trunc(scaled + np.copysign(0.5, scaled))[reached]
    return np.ascontiguousarray(weights.T)


def _lanczos(x: Pixels) -> Pixels:
    inside: Pixels = np.where((x >= -3.0) & (x < 3.0), np.sinc(x) * np.sinc(x / 3), 0.0)
    return inside

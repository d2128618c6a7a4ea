"""Exact search by Hamming distance with nothing but sorted columns. Pure numbers.

A 64-bit hash is kept as four rotations, each in an indexed column, so that every 16-bit chunk of it is the prefix of one
rotation. With thresholds for the chunks that sum up to the distance minus three, a hash within the distance is within its
threshold in at least one chunk (the generalised pigeonhole principle: J. Qin et al., GPH, ICDE 2018). Each chunk
that is near enough is a range of one column; the index entry holds the whole hash, so candidates are judged right there.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

ROTATIONS = (0, 16, 32, 48)
CHUNK = 16
MASK = (1 << 64) - 1


class Range(NamedTuple):
    """Both ends included, as signed 64-bit integers."""

    low: int
    high: int


def ranges(value: int, distance: int) -> Iterator[tuple[int, list[Range]]]:
    """For each rotation that has to be looked at, its ranges: together they hold every hash within ``distance``."""
    for rotation, threshold in zip(ROTATIONS, _thresholds(distance), strict=True):
        if threshold >= 0:
            chunk = rotated(value, rotation) >> (64 - CHUNK)
            yield rotation, [_range(near) for near in _near(chunk, threshold)]


def expected_share(distance: int) -> float:
    """The share of evenly spread hashes that the ranges hold, and that would have to be judged."""
    return sum(sum(1 for _ in _near(0, threshold)) for threshold in _thresholds(distance)) / (1 << CHUNK)


def rotated(value: int, by: int) -> int:
    """Rotated to the left, unsigned."""
    return (value << by | value >> (64 - by)) & MASK


def signed(value: int) -> int:
    """64 bits as databases store them."""
    return value - (1 << 64) if value >> 63 else value


def unsigned(value: int) -> int:
    return value & MASK


def _thresholds(distance: int) -> list[int]:
    """One for each chunk; their sum is the distance minus three, as small ones as possible. -1: need not be looked at."""
    share, more = divmod(distance + 1, len(ROTATIONS))
    return [share - 1 + (i < more) for i in range(len(ROTATIONS))]


def _near(chunk: int, distance: int) -> Iterator[int]:
    for count in range(distance + 1):
        for bits in combinations(range(CHUNK), count):
            near = chunk
            for bit in bits:
                near ^= 1 << bit
            yield near


def _range(chunk: int) -> Range:
    low = chunk << (64 - CHUNK)
    return Range(signed(low), signed(low | ((1 << (64 - CHUNK)) - 1)))

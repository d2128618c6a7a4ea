"""Ranges: they hold everything that is near."""

from hypothesis import given
from hypothesis import strategies as st

from dam_media_image.hamming import MASK, expected_share, ranges, rotated, signed, unsigned

WORDS = st.integers(0, MASK)


def is_within(value: int, query: int, distance: int) -> bool:
    return any(
        low <= signed(rotated(value, rotation)) <= high
        for rotation, found in ranges(query, distance)
        for low, high in found
    )


@given(WORDS, st.lists(st.integers(0, 63), max_size=12, unique=True), st.integers(0, 12))
def test_everything_within_the_distance_is_in_a_range(query: int, flipped: list[int], more: int) -> None:
    near = query
    for bit in flipped:
        near ^= 1 << bit
    assert is_within(near, query, min(len(flipped) + more, 12))


def test_the_default_distance_needs_twenty_ranges_and_equality_one() -> None:
    assert sum(len(found) for _, found in ranges(0x0123456789ABCDEF, 4)) == 20
    assert [(rotation, len(found)) for rotation, found in ranges(5, 0)] == [(0, 1)]


@given(WORDS, st.sampled_from([0, 16, 32, 48]))
def test_rotating_and_signing_lose_nothing(value: int, by: int) -> None:
    assert rotated(rotated(value, by), 64 - by if by else 0) == value
    assert unsigned(signed(value)) == value
    assert -(1 << 63) <= signed(value) < 1 << 63


def test_the_expected_share_grows_to_more_than_all() -> None:
    shares = [expected_share(distance) for distance in range(65)]
    assert shares == sorted(shares)
    assert shares[4] == 20 / 65536
    assert shares[64] > 1

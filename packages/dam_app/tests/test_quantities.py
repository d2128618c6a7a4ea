"""Durations, parts and shares on the command line."""

import pytest

from dam_app.quantities import duration, share, subset


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("0.5d", 43200)]
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1 h", "2x", "1h 30m", "\u0661h", "1.h"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration; write .* 90s, 30m, 2h"):
        duration(text)


def test_a_subset_is_a_part_of_parts() -> None:
    assert subset("3/10") == (3, 10)
    assert subset("1/1") == (1, 1)


@pytest.mark.parametrize("text", ["", "3", "0/10", "11/10", "3/0", "a/b", "3/10/2", "-1/3"])
def test_what_is_no_subset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no subset; write PART/PARTS"):
        subset(text)


def test_a_share_is_a_percentage() -> None:
    assert share("5%") == 0.05
    assert share("0.5%") == 0.005
    assert share("100%") == 1


@pytest.mark.parametrize("text", ["", "5", "0%", "101%", "%", "-5%", "5 %", "0.05"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no share; write a percentage"):
        share(text)


@pytest.mark.parametrize("text", ["9" * 400 + "w", "5219w", "876001h"])
def test_a_duration_ends_before_dates_do(text: str) -> None:
    assert duration("5200w") == 5200 * 604_800
    with pytest.raises(ValueError, match="is longer than 100 years"):
        duration(text)

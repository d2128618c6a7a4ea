"""Durations, parts and shares, as people write them on a command line."""

import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
LONGEST = 100 * 365 * 86400  # seconds: a date so far back there still is
_DURATION = re.compile(r"(\d+(?:\.\d+)?[smhdw])+", re.ASCII)
_SUBSET = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)%", re.ASCII)


def duration(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``2h``, ``1h30m``, ``7d``, ``4w``; ``0`` needs no unit. Raises ``ValueError``."""
    if text == "0":
        return 0
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write a number with s, m, h, d or w after it: 90s, 30m, 2h, 1h30m")
    seconds = sum(float(part[:-1]) * UNITS[part[-1]] for part in re.findall(r"[\d.]+[smhdw]", text))
    if seconds > LONGEST:
        raise ValueError(f"{text!r} is longer than 100 years; write a shorter duration")
    return seconds


def subset(text: str) -> tuple[int, int]:
    """The third of ten parts for ``3/10``. Raises ``ValueError``."""
    found = _SUBSET.fullmatch(text)
    part, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= part <= of:
        raise ValueError(f"{text!r} is no subset; write PART/PARTS, where PART is from 1 to PARTS: 3/10")
    return part, of


def share(text: str) -> float:
    """0.05 for ``5%``. Raises ``ValueError``."""
    found = _SHARE.fullmatch(text)
    value = float(found[1]) / 100 if found else 0
    if not 0 < value <= 1:
        raise ValueError(f"{text!r} is no share; write a percentage above 0% and up to 100%: 5%")
    return value

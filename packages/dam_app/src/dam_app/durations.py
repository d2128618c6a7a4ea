"""Lengths of time as people write them."""

import re
from datetime import timedelta

from dam_app.application import UsageError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def duration(text: str, option: str) -> timedelta:
    """``90s``, ``1h30m``, ``30d``. Raises ``UsageError``, which names the option."""
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text).strip():
        units = ", ".join(f"{unit} ({name})" for unit, name in UNITS.items())
        raise UsageError(f"{option} {text!r} is not a length of time; write a number and a unit of {units}, as in 30d")
    try:
        return sum((timedelta(**{UNITS[unit]: float(number)}) for number, unit in parts), timedelta())
    except OverflowError as e:
        raise UsageError(f"{option} {text!r} is longer than anything can last; write less") from e

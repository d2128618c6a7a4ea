"""How the readers of `dam_fs.mime` look at the first bytes of a file."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Confirm", "be", "extension", "le"]

Confirm = Callable[[bytes, int, str], str | None]
"""From the first bytes, the whole size and the name of a file to its MIME type, or None to refuse.

It never raises: fields are read by slicing, and a field beyond the end reads as a smaller number.
"""


def be(head: bytes, at: int, width: int = 4) -> int:
    return int.from_bytes(head[at : at + width], "big")


def le(head: bytes, at: int, width: int = 4) -> int:
    return int.from_bytes(head[at : at + width], "little")


def extension(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return suffix.lower() if dot and stem else ""

"""Receipts: what stands in the store itself of what was put there, so that names outlive the database.

One JSON object in a line. A receipt is on the disk before the database speaks of what it is for: none is missing of what was
committed, and one may tell of something that never was.
"""

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self


@dataclass(frozen=True)
class Receipt:
    """One content under one name. ``path`` is where it came from, with bytes that are not UTF-8 as surrogate escapes.

    ``copied`` says whether the store has it. What is ``deleted`` is not to come back; what is ``derived`` was made of something.
    """

    sha256: str
    name: str = ""
    md5: str | None = None
    size: int | None = None
    media_type: str | None = None
    path: str | None = None
    mtime_ns: int | None = None
    copied: bool = True
    deleted: bool = False
    derived: bool = False
    at: str = ""

    def line(self) -> bytes:
        """As it is written; what is at its default is left out. JSON escapes surrogates, so the line is ASCII."""
        said = {key: value for key, value in asdict(self).items() if value != _DEFAULTS[key]}
        return json.dumps({**said, "at": self.at or datetime.now(UTC).isoformat()}).encode("ascii")

    @classmethod
    def of(cls, line: bytes) -> Self | None:
        """What a line says; ``None`` for one that is torn, or of another kind."""
        try:
            said: Any = json.loads(line)
            known = {key: value for key, value in said.items() if key in _DEFAULTS}
            receipt = cls(**known)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        return receipt if all(_is_possible(key, value) for key, value in known.items()) else None


_DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(Receipt)}
_SHA256 = re.compile("[0-9a-f]{64}")
_TEXTS = {"name": 1024, "media_type": 255, "path": 1 << 16, "at": 64}
_DIGITS = {"sha256": _SHA256, "md5": re.compile("[0-9a-f]{32}")}
_FLAGS = ("copied", "deleted", "derived")


def is_digest(said: str) -> bool:
    """Whether it is a SHA-256 in hexadecimal, as names of objects are."""
    return _SHA256.fullmatch(said) is not None


def _is_possible(key: str, value: Any) -> bool:
    """Whether a store can have said that: what is written there may be damaged, or a stranger's."""
    if value is None:
        return _DEFAULTS[key] is None
    if key in _FLAGS:
        return isinstance(value, bool)
    if key in ("size", "mtime_ns"):
        return type(value) is int and (0 if key == "size" else -(1 << 63)) <= value < 1 << 63
    if key in _DIGITS:
        return isinstance(value, str) and _DIGITS[key].fullmatch(value) is not None
    if not isinstance(value, str) or len(value) > _TEXTS[key] or "\0" in value:
        return False
    try:
        os.fsencode(value)  # not half a character
        if key == "at" and value:
            datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def lines_of(receipts: Iterable[Receipt]) -> bytes:
    """What is appended in one piece. It begins with a line end: what a power loss has torn before it stays a line of its own."""
    return b"".join([b"\n", *(receipt.line() + b"\n" for receipt in receipts)])


def named_in(parts: Iterable[bytes], keys: Collection[str]) -> set[str]:
    """Those of the keys that were copied into the store as somebody's file, and were not deleted since."""
    named: set[str] = set()
    for receipt in receipts_in(parts):
        if receipt.sha256 in keys and receipt.copied and not receipt.derived:
            if receipt.deleted:
                named.discard(receipt.sha256)
            else:
                named.add(receipt.sha256)
    return named


def receipts_in(parts: Iterable[bytes]) -> Iterator[Receipt]:
    """The receipts in the lines of a store's files."""
    for line in parts:
        if line.strip() and (receipt := Receipt.of(line)):
            yield receipt

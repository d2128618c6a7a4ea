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
            receipt._require_sense()
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        return receipt

    def _require_sense(self) -> None:
        """Raises ``ValueError`` for what nobody here would have written: a store may come from somebody else."""
        texts = [self.name, self.path or "", self.media_type or ""]
        numbers = [self.size or 0, self.mtime_ns or 0]
        if (
            any(type(getattr(self, key)) not in kinds for key, kinds in _KINDS.items())
            or not _SHA256.fullmatch(self.sha256)
            or not _MD5.fullmatch(self.md5 or "")
            or any(abs(number) >= 1 << 63 for number in numbers)
            or any("\0" in text for text in texts)
            or max(len(self.name), len(self.media_type or "")) > LONGEST
        ):
            raise ValueError
        os.fsencode(f"{self.name}{self.path}")
        if self.at:
            datetime.fromisoformat(self.at)


LONGEST = 1024
"""Characters of a name or a media type; no file system has longer names."""

_SHA256 = re.compile("[0-9a-f]{64}")
_MD5 = re.compile("([0-9a-f]{32})?")
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("sha256", "name", "at"), (str,)),
    **dict.fromkeys(("md5", "media_type", "path"), (str, type(None))),
    **dict.fromkeys(("size", "mtime_ns"), (int, type(None))),
    **dict.fromkeys(("copied", "deleted", "derived"), (bool,)),
}
_DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(Receipt)}


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

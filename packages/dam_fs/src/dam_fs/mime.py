"""The MIME type of a file from its first bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dam_fs.mime_archives import ARCHIVES, late_pdf, old_tar
from dam_fs.mime_fields import extension
from dam_fs.mime_pictures import PICTURES, targa
from dam_fs.mime_sound import SOUND
from dam_fs.mime_table import NAME_REFINES, SIGNATURES
from dam_fs.mime_text import legacy_text_type, unicode_text_type
from dam_fs.mime_video import VIDEO

if TYPE_CHECKING:
    from dam_fs.mime_fields import Confirm

__all__ = ["HEAD_BYTES", "media_type"]

HEAD_BYTES = 65_536
"""How much of a file `media_type` wants.

The volume descriptor of a raw disc dump begins at 37,657; most cover pictures in tags before the sound end before this.
"""

_CONFIRM = ARCHIVES | PICTURES | SOUND | VIDEO
_PROBES = (late_pdf, old_tar, targa)  # no magic number at a fixed place
_EMPTY = "application/x-empty"  # `file` says inode/x-empty, but an inode is no medium
_UNKNOWN = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,126}")


def media_type(head: bytes, size: int, name: str = "") -> str:
    """The MIME type of a file of `size` bytes that starts with `head`, its first `HEAD_BYTES` bytes.

    The content decides; `name` only says which of several formats with such content it is: .md for text, .cbz for zip.
    `application/octet-stream` is "unknown". Never raises.
    """
    if not head:
        return _UNKNOWN if size else _EMPTY
    found = _by_signature(head, size, name) or _by_look(head, size, name)
    refines = NAME_REFINES.get(found)
    return found if refines is None else refines.get(extension(name), found)


def _by_signature(head: bytes, size: int, name: str) -> str | None:
    for magic, kind, confirm in _AT_START.get(head[0], ()):
        if head.startswith(magic) and (confirmed := kind if confirm is None else confirm(head, size, name)):
            return confirmed
    for offset, magic, kind, confirm in _FURTHER_IN:
        if head.startswith(magic, offset) and (confirmed := kind if confirm is None else confirm(head, size, name)):
            return confirmed
    return None


def _by_look(head: bytes, size: int, name: str) -> str:
    for probe in _PROBES:
        if found := probe(head, size, name):
            return found
    # Text goes first: four letters at the start of a sentence are no evidence, and puremagic knows many such four.
    return unicode_text_type(head, size, name) or _by_puremagic(head) or legacy_text_type(head, size, name) or _UNKNOWN


def _by_puremagic(head: bytes) -> str | None:
    import puremagic  # its table costs 15 ms to read, and few files come here

    try:
        matches = puremagic.magic_string(head)
    except (LookupError, ValueError):  # PureError: no match
        return None
    for match in matches:
        # Its confidence is a length. Footers (negative offsets) would be the end of the head, not of the file,
        # and padding such as 00 00 01 00 is found everywhere.
        evidence: bytes = match.byte_match
        seen = match.offset >= 0 and (head.startswith(evidence, match.offset) or head.startswith(evidence))
        if seen and len(evidence) >= 4 and len(set(evidence)) >= 3:
            stated = match.mime_type.strip().lower()
            if _MEDIA_TYPE.fullmatch(stated):
                return str(stated)
    return None


_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")


def _unless_prose(magic: bytes, offset: int, kind: str) -> Confirm:
    """Confirms a few letters only where binary data is near: a novel may begin with "free" or "MAC "."""
    start, end = max(offset - 64, 0), offset + len(magic) + 64

    def confirm(head: bytes, size: int, name: str) -> str | None:
        return kind if _CONTROL.search(head, start, end) else None

    return confirm


def _confirmation(offset: int, magic: bytes, kind: str) -> Confirm | None:
    if kind in _CONFIRM:
        return _CONFIRM[kind]
    letters = len(magic) <= 8 and all(32 <= code < 127 for code in magic)
    is_text = kind in {"application/pdf", "application/rtf", "image/x-ifunc"}
    return _unless_prose(magic, offset, kind) if letters and not is_text else None


def _rows_by_first_byte() -> dict[int, tuple[tuple[bytes, str, Confirm | None], ...]]:
    rows: dict[int, list[tuple[bytes, str, Confirm | None]]] = {}
    for offset, magic, kind in sorted(SIGNATURES, key=lambda row: -len(row[1])):  # the longest magic is the most exact
        if offset == 0:
            rows.setdefault(magic[0], []).append((magic, kind, _confirmation(offset, magic, kind)))
    return {first: tuple(row) for first, row in rows.items()}


_AT_START = _rows_by_first_byte()
_FURTHER_IN = tuple(
    (offset, magic, kind, _confirmation(offset, magic, kind)) for offset, magic, kind in SIGNATURES if offset
)

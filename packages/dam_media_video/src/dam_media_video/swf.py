"""The header of a Flash movie (SWF 19, chapter 2). Most such films are drawn: FFmpeg finds no video in them."""

from __future__ import annotations

import lzma
import zlib
from typing import NamedTuple

__all__ = ["HEAD_BYTES", "Stage", "stage"]

HEAD_BYTES = 512
"""Of the file; the compressed header needs far fewer."""

TWIPS = 20
"""A pixel's twentieth is the unit of sizes."""

_RECTANGLE_BYTES = 17  # 5 bits, and four numbers of at most 31
_FIELDS_BYTES = _RECTANGLE_BYTES + 4


class Stage(NamedTuple):
    """Pixels, frames, and frames per second."""

    width: int
    height: int
    frames: int
    rate: float


def stage(head: bytes) -> Stage | None:
    """What the first ``HEAD_BYTES`` bytes of a file say; ``None`` where they are damaged."""
    try:
        fields = _unpacked(head)
    except (lzma.LZMAError, zlib.error):
        return None
    if len(fields) < _FIELDS_BYTES:
        fields = fields.ljust(_FIELDS_BYTES, b"\0")
    bits = fields[0] >> 3
    left, right, top, bottom = (_signed(fields, 5 + place * bits, bits) for place in range(4))
    at = (5 + 4 * bits + 7) // 8
    rate = int.from_bytes(fields[at : at + 2], "little") / 256
    frames = int.from_bytes(fields[at + 2 : at + 4], "little")
    width, height = (round((high - low) / TWIPS) for low, high in ((left, right), (top, bottom)))
    return Stage(width, height, frames, rate) if min(width, height) > 0 else None


def _unpacked(head: bytes) -> bytes:
    """The fields behind the length of the file. Raises ``zlib.error`` or ``lzma.LZMAError``."""
    kind, packed = head[:1], head[8:]
    if kind == b"C":
        return zlib.decompressobj().decompress(packed, _FIELDS_BYTES)
    if kind == b"Z":  # the length of the packed data, then an LZMA stream whose own length is left out
        alone = packed[4:9] + b"\xff" * 8 + packed[9:]
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=64 << 20).decompress(alone, _FIELDS_BYTES)
    return packed[:_FIELDS_BYTES]


def _signed(fields: bytes, start: int, bits: int) -> int:
    """``bits`` bits from bit ``start``, the first one the highest, as two's complement."""
    value = int.from_bytes(fields, "big") >> (8 * len(fields) - start - bits) & ((1 << bits) - 1)
    return value - (1 << bits) if bits and value >> (bits - 1) else value

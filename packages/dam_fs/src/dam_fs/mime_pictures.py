"""Which picture format a short or shared magic number stands for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dam_fs.mime_fields import be, extension, le
from dam_fs.mime_table import BRANDS, RAW_MAKES, RAW_NAMES

if TYPE_CHECKING:
    from dam_fs.mime_fields import Confirm

__all__ = ["PICTURES", "targa"]

_TIFF_ENTRIES_READ = 256


def _png(head: bytes, size: int, name: str) -> str:
    # PNG, third edition, 11.3.6.1: acTL makes it animated only where it stands before the first IDAT.
    at = 33  # after the signature and IHDR
    while at < len(head):
        kind = head[at + 4 : at + 8]
        if kind == b"acTL":
            return "image/apng"
        if kind == b"IDAT":
            break
        at += 12 + be(head, at)
    return "image/png"


def _bmp(head: bytes, size: int, name: str) -> str | None:
    if le(head, 0) == 40:  # BITMAPINFOHEADER: one plane, a usual depth and compression, and room for the pixels
        bits, width, height = le(head, 14, 2), le(head, 4), le(head, 8)
        plausible = le(head, 12, 2) == 1 and bits in {1, 4, 8, 16, 24, 32} and le(head, 16) <= 3
        fits = (
            0 < width < 1 << 16 and 0 < height < 1 << 16 and (le(head, 16) != 0 or size >= width * height * bits // 8)
        )
        return "image/bmp" if plausible and fits else None
    return "image/bmp" if le(head, 14) in {12, 16, 40, 52, 56, 64, 108, 124} else None


def _icon(kind: str) -> Confirm:
    def confirm(head: bytes, size: int, name: str) -> str | None:
        count, first = le(head, 4, 2), le(head, 18)
        return kind if count and head[9:10] == b"\0" and first >= 6 + 16 * count else None

    return confirm


_NETPBM = re.compile(rb"P[1-6](?:\s|#[^\r\n]*[\r\n])+\d+(?:\s|#[^\r\n]*[\r\n])+\d+\s")
_NETPBM_TYPES = {
    b"1": "image/x-portable-bitmap",
    b"2": "image/x-portable-graymap",
    b"3": "image/x-portable-pixmap",
    b"4": "image/x-portable-bitmap",
    b"5": "image/x-portable-graymap",
    b"6": "image/x-portable-pixmap",
}


def _netpbm(head: bytes, size: int, name: str) -> str | None:
    if head.startswith(b"P7\nWIDTH "):
        return "image/x-portable-arbitrarymap"
    return _NETPBM_TYPES[head[1:2]] if _NETPBM.match(head, 0, 1024) else None


_FLOATMAP = re.compile(rb"P[fFH]\s\d+\s\d+\s-?[\d.]+\s")


def _floatmap(head: bytes, size: int, name: str) -> str | None:
    return "image/x-portable-floatmap" if _FLOATMAP.match(head, 0, 1024) else None


def _mcidas(head: bytes, size: int, name: str) -> str | None:
    """A satellite's picture: 64 words, of which these are lines, columns, and bytes of a sample."""
    plausible = len(head) >= 256 and be(head, 32) and be(head, 36) and be(head, 40) in {1, 2, 4}
    return "image/x-mcidas-area" if plausible else None


def _pixar(head: bytes, size: int, name: str) -> str | None:
    return "image/x-pixar" if len(head) >= 512 and le(head, 416, 2) and le(head, 418, 2) else None


def _postscript(head: bytes, size: int, name: str) -> str:
    """PostScript Language Document Structuring Conventions 3.0, 4.5: what is made to be put into a page says so."""
    return "image/x-eps" if b" EPSF-" in head[:64].partition(b"\n")[0] else "application/postscript"


def _window_dump(head: bytes, size: int, name: str) -> str | None:
    """XWDFile.h of X11: the length of the header, its version 7, and fields that are small numbers."""
    form, depth, width, height = (be(head, at) for at in (8, 12, 16, 20))
    plausible = 100 <= be(head, 0) <= 4096 and form <= 2 and 1 <= depth <= 32
    return "image/x-xwindowdump" if plausible and 0 < width < 1 << 16 and 0 < height < 1 << 16 else None


def _sgi(head: bytes, size: int, name: str) -> str | None:
    plausible = head[2:3] in {b"\0", b"\x01"} and head[3:4] in {b"\x01", b"\x02"} and be(head, 4, 2) in {1, 2, 3}
    return "image/x-sgi" if plausible else None


def _pcx(head: bytes, size: int, name: str) -> str | None:
    plausible = (
        len(head) >= 128
        and head[1] in {0, 2, 3, 4, 5}
        and head[2] <= 1
        and head[3] in {1, 2, 4, 8}
        and head[64] == 0
        and head[65] in {1, 3, 4}
        and le(head, 8, 2) >= le(head, 4, 2)
        and le(head, 10, 2) >= le(head, 6, 2)
    )
    return "image/vnd.zbrush.pcx" if plausible else None


def targa(head: bytes, size: int, name: str) -> str | None:
    """TGA has no magic number: all fields of the header have to be possible together, and the pixels have to fit."""
    if len(head) < 18 or head[1] > 1:
        return None
    mapped, kind, depth = head[1], head[2], head[16]
    colours, colour_bits = le(head, 5, 2), head[7]
    width, height = le(head, 12, 2), le(head, 14, 2)
    if mapped:
        possible = kind in {1, 9} and depth == 8 and 0 < colours <= 256 and colour_bits in {15, 16, 24, 32}
    else:
        deep = {8, 16} if kind in {3, 11} else {15, 16, 24, 32}
        possible = kind in {2, 3, 10, 11} and depth in deep and head[3:8] == bytes(5)
    if not possible or not width or not height or head[17] & 0xC0 or le(head, 8, 2):
        return None
    pixels = width * height * ((depth + 7) // 8)
    # Run lengths save at best 128 pixels in a packet of a pixel and a byte.
    needed = 18 + head[0] + colours * ((colour_bits + 7) // 8) + (pixels if kind < 8 else pixels // 128)
    return "image/x-tga" if size >= needed else None


def _tiff(head: bytes, size: int, name: str) -> str:
    number = le if head[:2] == b"II" else be
    if number(head, 2, 2) != 42:  # BigTIFF: no camera writes it
        return "image/tiff"
    directory = number(head, 4)
    count = min(number(head, directory, 2), _TIFF_ENTRIES_READ)
    tags: dict[int, int] = {}
    for entry in range(directory + 2, min(directory + 2 + 12 * count, len(head) - 11), 12):
        tags.setdefault(number(head, entry, 2), entry)
    if 0xC612 in tags:  # DNGVersion
        return "image/x-adobe-dng"
    if 0x010F not in tags:  # Make
        return "image/tiff"
    if raw := RAW_NAMES.get(extension(name)):
        return raw
    make = head[number(head, tags[0x010F] + 8) :][:16].upper()
    reduced = 0x00FE in tags and number(head, tags[0x00FE] + 8) == 1  # NewSubfileType
    if reduced and 0x014A in tags:  # SubIFDs; a TIFF developed from a raw keeps Make but starts with the full picture
        return next((kind for start, kind in RAW_MAKES if make.startswith(start)), "image/tiff")
    return "image/tiff"


def _jp2(head: bytes, size: int, name: str) -> str:
    # ISO/IEC 15444-1 I.5: the signature box is followed by the brands, which part 2 (jpx) and part 3 (mj2) share.
    return BRANDS.get(head[20:24], "image/jp2") if head[16:20] == b"ftyp" else "image/jp2"


PICTURES: dict[str, Confirm] = {
    "application/postscript": _postscript,
    "image/bmp": _bmp,
    "image/jp2": _jp2,
    "image/png": _png,
    "image/tiff": _tiff,
    "image/vnd.microsoft.icon": _icon("image/vnd.microsoft.icon"),
    "image/vnd.zbrush.pcx": _pcx,
    "image/x-mcidas-area": _mcidas,
    "image/x-pixar": _pixar,
    "image/x-portable-anymap": _netpbm,
    "image/x-portable-floatmap": _floatmap,
    "image/x-sgi": _sgi,
    "image/x-win-bitmap": _icon("image/x-win-bitmap"),
    "image/x-xwindowdump": _window_dump,
}

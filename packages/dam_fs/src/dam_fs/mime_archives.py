"""Archives, documents that are archives, disc images, programs and fonts with a short or shared magic number."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dam_fs.mime_fields import be, le
from dam_fs.mime_table import OLE_STREAMS, OOXML_PARTS, ZIP_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dam_fs.mime_fields import Confirm

__all__ = ["ARCHIVES", "late_pdf", "old_tar"]

_ZIP_ENTRIES_READ = 256


def _zip_entries(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and, as far as the head has them, stored bytes of the first entries (APPNOTE 4.3.7)."""
    at = head.find(b"PK\x03\x04", 0, 8)
    for _ in range(_ZIP_ENTRIES_READ):
        if at < 0 or at + 30 > len(head):
            return
        name_end = at + 30 + le(head, at + 26, 2)
        start = name_end + le(head, at + 28, 2)
        length = le(head, at + 18)
        if le(head, at + 6, 2) & 8 and not length:  # sizes stand behind the data
            length = max(head.find(b"PK", start) - start, 0)
        yield head[at + 30 : name_end], head[start : start + length]
        at = head.find(b"PK\x03\x04", start + length)


_ZIP_MIMETYPE = re.compile(rb"application/(?:epub\+zip|x-krita|vnd\.[a-z0-9.+-]{1,80})|image/openraster")


def _zip(head: bytes, size: int, name: str) -> str:
    entries: list[bytes] = []
    for entry, data in _zip_entries(head):
        # OCF 3.3, 4.3 and OpenDocument 1.3 part 2, 3.3: first, stored, and named like this.
        if not entries and entry == b"mimetype" and (stated := _ZIP_MIMETYPE.fullmatch(data.strip())):
            return stated[0].decode("ascii")
        entries.append(entry)
    # A folder may be called "word" by anyone; only an OPC package has these.
    is_package = b"[Content_Types].xml" in entries or b"_rels/.rels" in entries
    for start, kind in OOXML_PARTS + ZIP_ENTRIES if is_package else ZIP_ENTRIES:
        if any(entry.startswith(start) for entry in entries):
            return kind
    return "application/zip"


def _ole(head: bytes, size: int, name: str) -> str:
    return next((kind for stream, kind in OLE_STREAMS if stream in head), "application/x-ole-storage")


def _bzip2(head: bytes, size: int, name: str) -> str | None:
    # Pi begins a block, the square root of pi the end of an empty file.
    begun = head[4:10] in {b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"}
    return "application/x-bzip2" if begun and b"1" <= head[3:4] <= b"9" else None


def _lzma(head: bytes, size: int, name: str) -> str | None:
    """No magic number; as in xz, a dictionary of 2**n or 2**n + 2**(n-1) bytes and a size unknown or below 256 GiB."""
    window, length = le(head, 1), le(head, 5, 8)
    plausible = window.bit_count() == 1 or (window.bit_count() == 2 and window & (window << 1))
    return "application/x-lzma" if len(head) > 13 and plausible and (length < 1 << 38 or length == 2**64 - 1) else None


_CPIO = re.compile(rb"07070[12][0-9A-Fa-f]{104}|070707[0-7]{70}")


def _cpio(head: bytes, size: int, name: str) -> str | None:
    return "application/x-cpio" if _CPIO.match(head) else None


_OCTAL = re.compile(rb"[ 0]*[0-7]{1,6}[\0 ]")


def old_tar(head: bytes, size: int, name: str) -> str | None:
    """Tar before POSIX has no magic number, but a sum over the header, with spaces for the sum itself."""
    field = head[148:156]
    if len(head) < 512 or not head[0] or not _OCTAL.match(field):
        return None
    stated = int(field.strip(b"\0 ").split(b"\0")[0].split(b" ")[0], 8)
    return "application/x-tar" if sum(head[:148]) + 8 * 32 + sum(head[156:512]) == stated else None


def _cso(kind: str) -> Confirm:
    def confirm(head: bytes, size: int, name: str) -> str | None:
        # Header size (0 with old writers or 24), whole size (8 bytes), then a block of a power of two.
        return kind if le(head, 4) in {0, 24} and le(head, 16).bit_count() == 1 else None

    return confirm


def _portable_executable(head: bytes, size: int, name: str) -> str | None:
    if head[le(head, 60) :][:2] in {b"PE", b"NE", b"LE", b"LX"}:
        return "application/vnd.microsoft.portable-executable"
    return "application/x-dosexec" if size >= 64 and b"\0" in head[2:64] else None


def _java_or_mach(head: bytes, size: int, name: str) -> str:
    # Both took 0xCAFEBABE. Java 1.0 is version 45; no universal binary has that many architectures.
    return "application/java-vm" if be(head, 6, 2) >= 45 else "application/x-mach-binary"


def _truetype(head: bytes, size: int, name: str) -> str | None:
    return "font/ttf" if 0 < be(head, 4, 2) <= 64 and head[12:16].strip(b" ").replace(b"/", b"").isalnum() else None


_LATE_PDF = re.compile(rb"%PDF-\d\.\d\s+(?:%|\d+ \d+ obj)")


def late_pdf(head: bytes, size: int, name: str) -> str | None:
    """Readers look for the header in the first 1024 bytes (PDF 1.7 reference, implementation note 13)."""
    return "application/pdf" if head.find(b"%PDF-", 1, 1029) > 0 and _LATE_PDF.search(head, 1, 1100) else None


ARCHIVES: dict[str, Confirm] = {
    "application/java-vm": _java_or_mach,
    "application/vnd.microsoft.portable-executable": _portable_executable,
    "application/x-bzip2": _bzip2,
    "application/x-cpio": _cpio,
    "application/x-cso": _cso("application/x-cso"),
    "application/x-lzma": _lzma,
    "application/x-ole-storage": _ole,
    "application/x-zso": _cso("application/x-zso"),
    "application/zip": _zip,
    "font/ttf": _truetype,
}

"""What the containers of sound and moving pictures hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dam_fs.mime_fields import be, extension, le
from dam_fs.mime_table import ASF_STREAMS, BRANDS, FORM_TYPES, RIFF_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dam_fs.mime_fields import Confirm

__all__ = ["VIDEO"]


def _boxes(head: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the boxes on the top level; an end may lie beyond the head."""
    at = 0
    while at + 8 <= len(head):
        length = be(head, at)
        if length == 1:
            length = be(head, at + 8, 8)
        if length < 8:  # 0 is "until the end of the file"
            return
        yield head[at + 4 : at + 8], at, at + length
        at += length


def _handlers(head: bytes) -> tuple[set[bytes], bool]:
    """The kinds of tracks, and whether the head holds the whole `moov`."""
    for kind, start, end in _boxes(head):
        if kind == b"moov":
            spots = re.finditer(rb"hdlr.{8}(....)", head[start:end], re.DOTALL)
            return {spot[1] for spot in spots}, end <= len(head)
    return set(), False


def _sound_or_video(head: bytes, name: str, video: str) -> str:
    tracks, complete = _handlers(head)
    if b"vide" in tracks:
        return video
    only_sound = b"soun" in tracks if complete else extension(name) in {"m4a", "m4b", "m4p", "3ga"}
    return video.replace("video/", "audio/") if only_sound else video


def _ftyp(head: bytes, size: int, name: str) -> str | None:
    length = be(head, 0)
    if not 8 <= length <= 4096:
        return None
    kind = BRANDS.get(head[8:12], "video/mp4")
    if kind.startswith("image/heif"):  # mif1 says structure only; the brand of the codec may stand behind it
        others = (BRANDS.get(head[at : at + 4], "") for at in range(16, min(length, len(head)), 4))
        return next((other for other in others if other.startswith(("image/avif", "image/heic"))), kind)
    return _sound_or_video(head, name, kind) if kind in {"video/mp4", "video/3gpp", "video/3gpp2"} else kind


def _quicktime(head: bytes, size: int, name: str) -> str | None:
    length = be(head, 0)
    if length == 1:
        length = be(head, 8, 8)
    if not (8 <= length <= size or (length == 0 and head[4:8] == b"mdat")):
        return None
    following = head[length + 4 : length + 8] if length else b""
    return "video/quicktime" if not following or following.isalnum() else None


def _riff(head: bytes, size: int, name: str) -> str | None:
    return RIFF_TYPES.get(head[8:12])


def _form(head: bytes, size: int, name: str) -> str | None:
    return FORM_TYPES.get(head[8:12])


def _vint(head: bytes, at: int) -> tuple[int, int]:
    """Value and width of an EBML variable-size integer (RFC 8794, 4.4)."""
    first = head[at] if at < len(head) else 0
    width = 9 - first.bit_length()
    return be(head, at, width) & ((1 << 7 * width) - 1), width


def _matroska(head: bytes, size: int, name: str) -> str:
    subtype = "x-matroska"
    doctype = head.find(b"\x42\x82", 4, 4096)
    if doctype > 0:
        length, width = _vint(head, doctype + 2)
        at = doctype + 2 + width
        subtype = "webm" if head[at : at + length].rstrip(b"\0") == b"webm" else subtype
    return _only_sound_tracks(head, name) + subtype


def _only_sound_tracks(head: bytes, name: str) -> str:
    at = head.find(b"\x16\x54\xae\x6b")  # Tracks
    length, width = _vint(head, at + 4) if at > 0 else (0, 0)
    end = at + 4 + width + length
    if at < 0 or end > len(head):
        return "audio/" if extension(name) in {"mka", "weba"} else "video/"
    # TrackType (RFC 9559, 5.1.4.1.3): 1 is video, 2 is audio.
    sound = head.find(b"\x83\x81\x02", at, end) > 0 and head.find(b"\x83\x81\x01", at, end) < 0
    return "audio/" if sound else "video/"


_OGG_VIDEO = (b"\x80theora", b"BBCD\0", b"\x01video")
_OGG_AUDIO = (b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC", b"fLaC", b"PCM     ")


def _ogg(head: bytes, size: int, name: str) -> str:
    """Opus is audio/ogg as well (RFC 7845, 9); a picture among the first pages makes it video/ogg (RFC 5334, 4)."""
    found = "application/ogg"
    at = 0
    while head.startswith(b"OggS\0", at) and at + 27 < len(head) and head[at + 5] & 2:  # pages that begin a stream
        body = at + 27 + head[at + 26]
        if head.startswith(_OGG_VIDEO, body):
            return "video/ogg"
        if head.startswith(_OGG_AUDIO, body):
            found = "audio/ogg"
        at = body + sum(head[at + 27 : body])
    return found


def _asf(head: bytes, size: int, name: str) -> str:
    header = head[: le(head, 16, 8)]
    return next((kind for guid, kind in ASF_STREAMS if guid in header), "video/x-ms-asf")


def _transport_stream(head: bytes, size: int, name: str) -> str | None:
    """Packets of 188 bytes start with 0x47 (ISO/IEC 13818-1, 2.4.3.2); Blu-ray puts 4 bytes of time before each."""
    for first, step in ((0, 188), (4, 192)):
        syncs, flags = (head[at : at + 8 * step : step] for at in (first, first + 3))
        # adaptation_field_control 00 is reserved: a page full of the letter G is no film.
        if len(syncs) >= 3 and syncs.count(0x47) == len(syncs) and all(flag & 0x30 for flag in flags):
            return "video/mp2t"
    return None


def _flic(kind: str) -> Confirm:
    def confirm(head: bytes, size: int, name: str) -> str | None:
        frames, width, height, depth = (le(head, at, 2) for at in (6, 8, 10, 12))
        return kind if frames and width and height and depth in {8, 15, 16, 24} else None

    return confirm


VIDEO: dict[str, Confirm] = {
    "application/ogg": _ogg,
    "application/x-iff": _form,
    "application/x-riff": _riff,
    "video/mp2t": _transport_stream,
    "video/mp4": _ftyp,
    "video/quicktime": _quicktime,
    "video/x-flc": _flic("video/x-flc"),
    "video/x-fli": _flic("video/x-fli"),
    "video/x-matroska": _matroska,
    "video/x-ms-asf": _asf,
}

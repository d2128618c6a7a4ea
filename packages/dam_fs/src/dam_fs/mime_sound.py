"""MPEG audio, AAC and AC-3: streams of frames that only a second frame tells from chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dam_fs.mime_fields import be, extension
from dam_fs.mime_table import AFTER_ID3

if TYPE_CHECKING:
    from dam_fs.mime_fields import Confirm

__all__ = ["SOUND"]

_LAYER_1, _LAYER_2, _LAYER_3 = 3, 2, 1  # as coded in the header
_LOW_BITRATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BITRATES: dict[tuple[bool, int], tuple[int, ...]] = {  # kbit/s by (MPEG-1, layer); ISO/IEC 11172-3, 2.4.2.3
    (True, _LAYER_1): tuple(range(0, 449, 32)),
    (True, _LAYER_2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, _LAYER_3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, _LAYER_1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, _LAYER_2): _LOW_BITRATES,
    (False, _LAYER_3): _LOW_BITRATES,
}
_SAMPLE_RATES = (44100, 48000, 32000)


def _mpeg_frame_length(header: bytes) -> int:
    """Length in bytes of the MPEG audio frame with this header; 0 where it is none, or has a free bit rate."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate_index, padding = header[2] >> 2 & 3, header[2] >> 1 & 1
    bitrate_index = header[2] >> 4
    if version == 1 or layer == 0 or rate_index == 3 or bitrate_index == 15:
        return 0
    bitrate = 1000 * _BITRATES[version == 3, layer][bitrate_index]
    rate = _SAMPLE_RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    if layer == _LAYER_1:
        return (12 * bitrate // rate + padding) * 4 if bitrate else 0
    return (72 if layer == _LAYER_3 and version != 3 else 144) * bitrate // rate + padding if bitrate else 0


def _is_mpeg_audio(head: bytes, at: int, size: int) -> bool:
    length = _mpeg_frame_length(head[at : at + 4])
    if not length:
        return False
    following = head[at + length : at + length + 4]
    if following.startswith((b"TAG", b"APET")):
        return True
    if _mpeg_frame_length(following):
        # Version, layer and sample rate stay for a whole stream.
        return following[1] & 0xFE == head[at + 1] & 0xFE and following[2] & 0x0C == head[at + 2] & 0x0C
    return at + length == size


def _is_adts(head: bytes, at: int, size: int) -> bool:
    """ISO/IEC 13818-7, 6.2: sync word, layer 0, a sampling frequency below 13; the same again after the frame."""
    if len(head) < at + 7 or head[at] != 0xFF or head[at + 1] & 0xF6 != 0xF0 or head[at + 2] >> 2 & 15 > 12:
        return False
    length = (be(head, at + 3, 3) >> 5) & 0x1FFF
    following = head[at + length : at + length + 3]
    same = following[:2] == head[at : at + 2] and following[2:3] != b"" and following[2] & 0xFC == head[at + 2] & 0xFC
    return length > 7 and (same or at + length == size)


def _id3_end(head: bytes) -> int:
    """Where the ID3v2 tags at the beginning end: 0 without one (ID3v2.4.0, 3.1; a footer has the size of a header)."""
    at = 0
    while head.startswith(b"ID3", at) and at + 10 <= len(head):
        size = head[at + 6 : at + 10]
        if head[at + 3] > 15 or max(size) > 127:
            break
        total = sum(part << 7 * (3 - place) for place, part in enumerate(size))
        at += 10 + total + (10 if head[at + 5] & 0x10 else 0)
    return at


_ID3_NAMES = {
    "aac": "audio/aac",
    "flac": "audio/flac",
    "ape": "audio/x-ape",
    "tta": "audio/x-tta",
    "wv": "audio/x-wavpack",
}


def _mpeg_audio(head: bytes, size: int, name: str) -> str | None:
    at = _id3_end(head)
    if at >= len(head):  # the tag, mostly its cover picture, hides what follows
        return _ID3_NAMES.get(extension(name), "audio/mpeg")
    if _is_adts(head, at, size):
        return "audio/aac"
    if not at:
        return "audio/mpeg" if _is_mpeg_audio(head, 0, size) else None
    return next((kind for magic, kind in AFTER_ID3 if head.startswith(magic, at)), "audio/mpeg")


_AC3_BITRATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def _ac3(head: bytes, size: int, name: str) -> str | None:
    """ATSC A/52: frame sizes of AC-3 from table 5.18, of E-AC-3 (bsid above 10) from `frmsiz`, annex E."""
    if len(head) < 6:
        return None
    enhanced = head[5] >> 3 > 10
    if enhanced:
        length = ((be(head, 2, 2) & 0x7FF) + 1) * 2
    else:
        rate, code = head[4] >> 6, head[4] & 63
        if rate == 3 or code >> 1 >= len(_AC3_BITRATES):
            return None
        bitrate = _AC3_BITRATES[code >> 1]
        length = (bitrate * 4, (bitrate * 320 // 147 + (code & 1)) * 2, bitrate * 6)[rate]
    if head[5] >> 3 > 16 or not (head.startswith(b"\x0b\x77", length) or length == size):
        return None
    return "audio/eac3" if enhanced else "audio/ac3"


SOUND: dict[str, Confirm] = {
    "audio/ac3": _ac3,
    "audio/mpeg": _mpeg_audio,
}

"""Frames of animations: how many, and for how long. Read from the blocks of the file, mostly without decoding a pixel.

GIF: CompuServe's GIF89a, 23. PNG: third edition, 11.3.6. WebP: RFC 9649, 2.7.1.1. Of AVIF Pillow tells the times while it
decodes.
"""

from __future__ import annotations

import math
import mmap
from typing import TYPE_CHECKING

from dam_media_image.facts import Frames
from dam_media_image.picture import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dam.analysis.blob import Blob


def frames(blob: Blob) -> Frames | None:
    """Of an animation; ``None`` where there is one frame alone. What breaks off has no duration."""
    if blob.media_type in _READERS:
        with blob.open() as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _summed(_READERS[blob.media_type](content))
    return _summed(_decoded(blob))


def _summed(delays: Iterator[float]) -> Frames | None:
    """``delays``: seconds of each frame; raises ``EOFError`` where the file ends before the animation does."""
    found: list[float] = []
    is_whole = True
    try:
        found.extend(delays)
    except EOFError:
        is_whole = False
    count, seconds = len(found), math.fsum(found)
    if count < 2:
        return None
    return Frames(count, seconds, count / seconds) if is_whole and seconds else Frames(count, None, None)


def _gif(content: mmap.mmap) -> Iterator[float]:
    at = 13 + _colours(_byte(content, 10))
    delay = 0.0
    while (kind := _byte(content, at)) != 0x3B:
        if kind == 0x2C:  # an image; what it shows counts as soon as it begins, as it does to viewers
            yield delay
            delay = 0.0
            at = _after_blocks(content, at + 11 + _colours(_byte(content, at + 9)))
        elif kind == 0x21:
            if _byte(content, at + 1) == 0xF9:
                delay = int.from_bytes(content[at + 4 : at + 6], "little") / 100
            at = _after_blocks(content, at + 2)
        else:  # neither block nor end: decoders stop here as well
            raise EOFError


def _colours(packed: int) -> int:
    """Bytes of the colour table that the flags announce."""
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _after_blocks(content: mmap.mmap, at: int) -> int:
    while length := _byte(content, at):
        at += 1 + length
    return at + 1


def _byte(content: mmap.mmap, at: int) -> int:
    if at >= len(content):
        raise EOFError
    return content[at]


def _png(content: mmap.mmap) -> Iterator[float]:
    at = 8
    while (kind := content[at + 4 : at + 8]) != b"IEND":
        if len(kind) < 4:
            raise EOFError
        if kind == b"fcTL":
            number, parts = (int.from_bytes(content[at + each : at + each + 2], "big") for each in (28, 30))
            yield number / (parts or 100)
        at += 12 + int.from_bytes(content[at : at + 4], "big")


def _webp(content: mmap.mmap) -> Iterator[float]:
    at, end = 12, 8 + int.from_bytes(content[4:8], "little")
    while at + 8 <= end:
        kind = content[at : at + 4]
        if len(kind) < 4:
            raise EOFError
        if kind == b"ANMF":
            yield int.from_bytes(content[at + 20 : at + 23], "little") / 1000
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8 + size + size % 2


def _decoded(blob: Blob) -> Iterator[float]:
    """Of a picture of its own: the shared one stays at its first frame."""
    with opened(blob) as picture:
        for i in range(getattr(picture, "n_frames", 1)):
            try:
                picture.seek(i)
                picture.load()
            except (EOFError, OSError, RuntimeError, SyntaxError, ValueError, ZeroDivisionError) as e:
                raise EOFError from e
            yield float(picture.info.get("duration") or 0) / 1000


_READERS: dict[str, Callable[[mmap.mmap], Iterator[float]]] = {
    "image/apng": _png,
    "image/gif": _gif,
    "image/webp": _webp,
}

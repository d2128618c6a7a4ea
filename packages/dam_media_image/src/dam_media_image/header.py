"""Width, height and frames of a picture, from its header. Knows Pillow and hachoir, and nothing of dam."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dam_media_image import by_hachoir
from dam_media_image.facts import Frames, Header
from dam_media_image.picture import MissingDecoderError, opened

if TYPE_CHECKING:
    from dam.analysis.blob import Blob


_ANIMATED = frozenset({"AVIF", "GIF", "PNG", "WEBP"})  # pages of a TIFF and layers of a PSD are frames to Pillow, too


def header(blob: Blob) -> Header:
    """Width and height, and the frames of an animation. Raises ``OSError`` for what is no picture.

    What is wrong with later frames says nothing about the size.
    """
    if blob.media_type in by_hachoir.UNKNOWN_TO_OTHERS:
        return Header(*by_hachoir.size(blob), None)
    try:
        picture = blob.once(opened)
    except (OSError, SyntaxError, ValueError):
        if blob.media_type in by_hachoir.PLACES:
            with suppress(MissingDecoderError, OSError):  # what Pillow says of it tells more
                return Header(*by_hachoir.size(blob), None)
        raise
    width, height = picture.size
    return Header(width, height, _frames(blob) if picture.format in _ANIMATED else None)


def _frames(blob: Blob) -> Frames | None:
    """Goes through a picture of its own: the shared one stays at its first frame. What breaks off has no duration."""
    count, milliseconds = 1, 0.0
    try:
        with opened(blob) as picture:
            count = getattr(picture, "n_frames", 1)
            for i in range(count):
                picture.seek(i)
                if picture.format in ("AVIF", "WEBP"):
                    picture.load()  # these tell a frame's time when they decode it
                milliseconds += float(picture.info.get("duration") or 0)
    except (EOFError, IndexError, OSError, SyntaxError, ValueError):  # as Pillow meets broken frames
        return Frames(count, None, None) if count > 1 else None
    seconds = milliseconds / 1000
    return Frames(count, seconds or None, count / seconds if seconds else None) if count > 1 else None

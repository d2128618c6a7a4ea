"""Width and height of a picture, from its header. Knows Pillow and hachoir, and nothing of dam."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from dam_media_image import by_hachoir
from dam_media_image.facts import Header
from dam_media_image.picture import MissingDecoderError, opened, stored_size

if TYPE_CHECKING:
    from dam.analysis.blob import Blob


def header(blob: Blob) -> Header:
    """Width and height as stored. Raises ``OSError`` for what is no picture."""
    if blob.media_type in by_hachoir.UNKNOWN_TO_OTHERS:
        return Header(*by_hachoir.size(blob))
    try:
        picture = blob.once(opened)
    except (OSError, SyntaxError, ValueError):
        if blob.media_type in by_hachoir.PLACES:
            with suppress(MissingDecoderError, OSError):  # what Pillow says of it tells more
                return Header(*by_hachoir.size(blob))
        raise
    if blob.media_type == "image/gif":  # its screen; Pillow makes it larger where a frame leaves it
        screen = Header(*struct.unpack("<HH", blob.head(10)[6:]))
        return screen if min(screen) else Header(*picture.size)
    return Header(*stored_size(picture))

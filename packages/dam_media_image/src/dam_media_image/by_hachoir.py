"""Sizes of pictures that Pillow does not know or refuses to open, by hachoir. Knows nothing of dam.

hachoir is slow, and does not end on some files: only a worker process with limits may call it, and only where nothing else
can read the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dam_media_image.picture import MissingDecoderError

if TYPE_CHECKING:
    from dam.analysis.blob import Blob

PLACES = {
    "image/gif": ("GifFile", "/screen"),
    "image/png": ("PngFile", "/header"),
    "image/vnd.microsoft.icon": ("IcoFile", "/icon_header[0]"),
    "image/x-xcf": ("XcfFile", ""),
}
"""By media type, hachoir's reader, and where it has ``width`` and ``height``. Of others it misreads some."""

UNKNOWN_TO_OTHERS = frozenset({"image/x-xcf"})


def size(blob: Blob) -> tuple[int, int]:
    """Width and height in pixels. Raises ``OSError`` or ``MissingDecoderError``."""
    try:
        from hachoir.core import config
        from hachoir.field import FieldError
        from hachoir.parser import image
        from hachoir.stream import FileInputStream, InputStreamError
    except ImportError as e:
        raise MissingDecoderError(blob.media_type, "hachoir") from e
    config.quiet = True
    reader, place = PLACES[blob.media_type]
    try:
        with FileInputStream(blob.path) as stream:
            picture = getattr(image, reader)(stream)
            found = picture[f"{place}/width"].value, picture[f"{place}/height"].value
    except (FieldError, InputStreamError, KeyError) as e:  # the last is a field that is not there
        raise OSError(f"no {blob.media_type} that hachoir can read: {e}") from e
    if min(found) <= 0:
        raise OSError(f"a picture of {found[0]} by {found[1]} pixels")
    return found

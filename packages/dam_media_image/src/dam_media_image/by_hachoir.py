"""Sizes that nothing else can read, by hachoir. Knows nothing of dam.

hachoir is slow, and does not end on some files: only a worker process with limits may call it, and only where nothing else
can read the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dam_media_image.picture import MissingDecoderError

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """Width and height of a picture in pixels. Raises ``OSError`` or ``MissingDecoderError``."""
    reader, place = PLACES[blob.media_type]

    def read(hachoir: Any, stream: Any) -> tuple[int, int]:
        picture = getattr(hachoir.parser.image, reader)(stream)
        return picture[f"{place}/width"].value, picture[f"{place}/height"].value

    return _read(blob, read)


def size_of_film(blob: Blob) -> tuple[int, int]:
    """The same of a film of the MP4 family."""

    def read(hachoir: Any, stream: Any) -> tuple[int, int]:
        found = hachoir.metadata.extractMetadata(hachoir.parser.container.MP4File(stream))
        return found.get("width"), found.get("height")

    return _read(blob, read)


def _read(blob: Blob, read: Callable[[Any, Any], tuple[int, int]]) -> tuple[int, int]:
    try:
        import hachoir.core.config
        import hachoir.field
        import hachoir.metadata
        import hachoir.parser
        import hachoir.stream
    except ImportError as e:
        raise MissingDecoderError(blob.media_type, "hachoir") from e
    hachoir.core.config.quiet = True
    try:
        with hachoir.stream.FileInputStream(blob.path) as stream:
            found = read(hachoir, stream)
    # a KeyError or ValueError is a field that is not there; of what it cannot read there is no metadata at all
    except (AttributeError, KeyError, ValueError, hachoir.field.FieldError, hachoir.stream.InputStreamError) as e:
        raise OSError(f"no {blob.media_type} that hachoir can read: {e}") from e
    if min(found) <= 0:
        raise OSError(f"{found[0]} by {found[1]} pixels")
    return found

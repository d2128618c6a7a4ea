"""Still pictures that FFmpeg reads and Pillow does not: those of film and of printing. Knows nothing of dam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from av.error import FFmpegError

from dam_media_audio.probe import open_media
from dam_media_video.facts import Size
from dam_media_video.probe import UnreadableVideoError

if TYPE_CHECKING:
    from dam.analysis.blob import Blob

__all__ = ["size"]

STILL_FORMATS = "dpx_pipe,exr_pipe,hdr_pipe,iff,jpegls_pipe,pfm_pipe,phm_pipe,xwd_pipe"
"""FFmpeg's readers that may be used."""

UNTOLD_FORMATS = {"image/x-portable-arbitrarymap": "pam_pipe"}
"""Those that FFmpeg only knows by the name of the file."""


def size(blob: Blob) -> Size:
    """Width and height of a still picture that Pillow does not know. Raises ``UnreadableVideoError``."""
    try:
        with open_media(blob.path, UNTOLD_FORMATS.get(blob.media_type, STILL_FORMATS)) as container:
            sizes = [Size(stream.width, stream.height) for stream in container.streams.video]
    except FFmpegError as error:
        raise UnreadableVideoError(f"PyAV: {error.strerror or error}") from error
    if not sizes or min(sizes[0]) <= 0:
        raise UnreadableVideoError("PyAV finds no picture")
    return sizes[0]

"""tinytag, told no more than it can bear."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from tinytag import TinyTag, TinyTagException

if TYPE_CHECKING:
    from typing import BinaryIO

    from dam.analysis.blob import Blob

__all__ = ["read_tagged"]

ASF_HEADER = bytes.fromhex("3026B2758E66CF11A6D900AA0062CE6C")
ASF_HEADER_BYTES = 16 << 20
"""What is read of an ASF header at most; pictures in it are the largest part."""


def read_tagged(blob: Blob, *, tags: bool = False, duration: bool = False) -> TinyTag | None:
    """What tinytag reads, or ``None`` where it knows the format not, or finds it damaged.

    It sees the content alone: by a name with a wrong extension it would choose the wrong reader.
    """
    with blob.open() as file:
        try:
            return TinyTag.get(file_obj=_asf_header(file) or file, tags=tags, duration=duration)
        except TinyTagException:
            return None


def _asf_header(file: BinaryIO) -> BinaryIO | None:
    """The header of an ASF file on its own: tinytag would take what comes behind it for more of it."""
    start = file.read(24)
    if not start.startswith(ASF_HEADER):
        file.seek(0)
        return None
    length = min(int.from_bytes(start[16:], "little"), ASF_HEADER_BYTES)
    return BytesIO(start + file.read(max(length - len(start), 0)))

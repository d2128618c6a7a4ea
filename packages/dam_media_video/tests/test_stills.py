"""Still pictures that FFmpeg reads and Pillow does not."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import pytest

from dam.analysis.blob import Blob
from dam_fs.mime import media_type
from dam_media_video.facts import Size
from dam_media_video.probe import UnreadableVideoError
from dam_media_video.stills import size
from dam_media_video.systems.video_systems import STILLS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITTEN = [
    ("dpx", "rgb24", "image/x-dpx"),
    ("exr", "gbrpf32le", "image/x-exr"),
    ("hdr", "gbrpf32le", "image/vnd.radiance"),
    ("jpegls", "rgb24", "image/jls"),
    ("pam", "rgb24", "image/x-portable-arbitrarymap"),
    ("pfm", "gbrpf32le", "image/x-portable-floatmap"),
    ("phm", "gbrpf32le", "image/x-portable-floatmap"),
    ("xwd", "rgb24", "image/x-xwindowdump"),
]


def encoded(codec: str, form: str) -> bytes:
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = 64, 48, form, Fraction(1, 25)
    frame = av.VideoFrame(64, 48, "rgb24").reformat(format=form)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def deluxe_paint() -> bytes:
    header = struct.pack(">HHhhBBBBHBBhh", 64, 48, 0, 0, 8, 0, 0, 0, 0, 1, 1, 64, 48)
    rest = b"ILBM" + b"BMHD" + struct.pack(">I", 20) + header + b"CMAP" + struct.pack(">I", 768) + bytes(range(256)) * 3
    rest += b"BODY" + struct.pack(">I", 64 * 48) + bytes(64 * 48)
    return b"FORM" + struct.pack(">I", len(rest)) + rest


@pytest.mark.parametrize(("codec", "form", "kind"), WRITTEN)
def test_the_size_is_the_stored_one(tmp_path: Path, codec: str, form: str, kind: str) -> None:
    path, content = tmp_path / "still", encoded(codec, form)
    path.write_bytes(content)
    assert media_type(content, len(content)) == kind
    assert kind in STILLS
    with Blob(str(path), len(content), kind) as still:
        assert size(still) == Size(64, 48)


def test_a_picture_of_deluxe_paint_has_its_size(tmp_path: Path, blob: Callable[[Path], Blob]) -> None:
    path = tmp_path / "still"
    path.write_bytes(deluxe_paint())
    assert media_type(deluxe_paint(), 4096) == "image/x-ilbm"
    assert size(blob(path)) == Size(64, 48)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x76\x2f\x31\x01\x02\0\0\0", b"#EXTM3U\n/etc/passwd\n"])
def test_what_is_no_picture_is_refused(tmp_path: Path, blob: Callable[[Path], Blob], content: bytes) -> None:
    path = tmp_path / "still"
    path.write_bytes(content)
    with pytest.raises(UnreadableVideoError, match="PyAV"):
        size(blob(path))

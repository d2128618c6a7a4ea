"""Films that the tests make themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest
from av.stream import Disposition

from dam.analysis.blob import Blob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from fractions import Fraction
    from pathlib import Path

    from av.container import OutputContainer

SOUND_RATE = 48000


@pytest.fixture
def make_film(tmp_path: Path) -> Callable[..., Path]:
    """A file ``name``: grey pictures that grow brighter, if ``codec`` is named, and silence in each of the codecs ``sound``.

    ``options`` are the FFmpeg writer's, ``container`` is its name, ``codec_options`` are the encoder's; ``cover`` adds a
    picture that belongs to the file.
    """

    def make(
        name: str,
        codec: str | None = None,
        *,
        sound: Sequence[str] = (),
        container: str | None = None,
        frames: int = 50,
        seconds: float = 2.0,
        rate: int | Fraction = 25,
        size: tuple[int, int] = (64, 48),
        cover: bool = False,
        options: Mapping[str, str] | None = None,
        codec_options: Mapping[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", format=container, container_options=dict(options or {})) as output:
            jpeg = art(output) if cover else None
            if codec is not None:
                film = output.add_stream(codec, rate=rate, options=dict(codec_options or {}))
                assert isinstance(film, av.VideoStream)
                film.width, film.height, film.pix_fmt = *size, "yuv420p"
            for each in sound:
                added = output.add_stream(each, rate=SOUND_RATE, layout="stereo")
                assert isinstance(added, av.AudioStream)
                added.bit_rate = 128_000
            if jpeg is not None:
                output.mux(jpeg.encode(picture(0, (300, 200))))
                output.mux(jpeg.encode(None))
            for stream in output.streams.video[cover:]:
                for at in range(frames):
                    output.mux(stream.encode(picture(at, size)))
                output.mux(stream.encode(None))
            for track in output.streams.audio:
                for start in range(0, int(SOUND_RATE * seconds), SOUND_RATE // 10):
                    output.mux(track.encode(silence(start)))
                output.mux(track.encode(None))
        return path

    return make


def art(output: OutputContainer) -> av.VideoStream:
    stream = output.add_stream("mjpeg", options={"strict": "unofficial"})
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = 300, 200, "yuvj420p"
    stream.disposition = Disposition.attached_pic
    return stream


def picture(at: int, size: tuple[int, int]) -> av.VideoFrame:
    frame = av.VideoFrame(*size, "yuv420p")
    frame.pts = at
    for plane in frame.planes:
        plane.update(bytes([at * 5 % 256]) * plane.buffer_size)
    return frame


def silence(start: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="stereo", samples=SOUND_RATE // 10)
    frame.sample_rate, frame.pts = SOUND_RATE, start
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    return frame


@pytest.fixture
def blob() -> Callable[..., Blob]:
    """The file as a worker is handed it."""
    return lambda path, media_type="video/x-any": Blob(str(path), path.stat().st_size, media_type)

"""Sounds that the tests make themselves."""

from __future__ import annotations

import array
import math
from typing import TYPE_CHECKING

import av
import pytest

from dam.analysis.blob import Blob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@pytest.fixture
def make_sound(tmp_path: Path) -> Callable[..., Path]:
    """A file ``name`` with a tone of 440 Hz. ``options`` are the FFmpeg writer's, ``container`` is its name."""

    def make(
        name: str,
        codec: str,
        *,
        container: str | None = None,
        seconds: float = 1.0,
        rate: int = 44100,
        layout: str = "stereo",
        tracks: int = 1,
        bit_rate: int = 128_000,
        tags: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", format=container, container_options=dict(options or {})) as output:
            output.metadata.update(tags or {})
            for _ in range(tracks):
                stream = output.add_stream(codec, rate=rate, layout=layout)
                assert isinstance(stream, av.AudioStream)
                stream.bit_rate = bit_rate
                stream.codec_context.options = {"strict": "experimental"}  # FFmpeg's own encoder of Vorbis is so
            for stream in output.streams.audio:
                for start in range(0, int(rate * seconds), rate):
                    samples = min(rate, int(rate * seconds) - start)
                    output.mux(stream.encode(tone(start, samples, rate, layout)))
                output.mux(stream.encode(None))
        return path

    return make


def tone(start: int, samples: int, rate: int, layout: str) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16p", layout=layout, samples=samples)
    frame.sample_rate, frame.pts = rate, start
    wave = array.array("h", (int(8000 * math.sin(math.tau * 440 * (start + i) / rate)) for i in range(samples)))
    for plane in frame.planes:
        plane.update(wave.tobytes().ljust(plane.buffer_size, b"\0"))
    return frame


@pytest.fixture
def blob() -> Callable[..., Blob]:
    """The file as a worker is handed it."""
    return lambda path, media_type="audio/x-any": Blob(str(path), path.stat().st_size, media_type)

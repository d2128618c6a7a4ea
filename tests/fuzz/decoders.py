"""What analyzers compute of a file, as the worker calls it: our code around decoders of others."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import seeds
from targets import Target

from dam.analysis.blob import Blob
from dam.analysis.facts import load_facts
from dam.analysis.wire import packed
from dam_fs.mime import HEAD_BYTES, media_type
from dam_media_audio.probe import UnreadableSoundError, properties
from dam_media_audio.tags import embedded
from dam_media_image.camera import shot
from dam_media_image.frames import frames
from dam_media_image.header import header
from dam_media_image.phash import fast_hashes, hashes
from dam_media_image.picture import MissingDecoderError
from dam_media_image.thumbnail import thumbnail
from dam_media_video.probe import UnreadableVideoError, film
from dam_media_video.stills import size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNREADABLE = (OSError, ValueError, MissingDecoderError, UnreadableSoundError, UnreadableVideoError)
LARGEST_PICTURE = 4_000_000  # pixels to decode: what takes long says nothing of what breaks


def computed(computes: dict[str, Callable[[Blob], object]], fallback: str) -> Callable[[bytes, Path], None]:
    """Runs all of them over one file, and takes what they find as the world's process does."""

    def run(content: bytes, folder: Path) -> None:
        path = folder / "input"
        path.write_bytes(content)
        kind = media_type(content[:HEAD_BYTES], len(content))
        kind = kind if kind.partition("/")[0] in ("image", "audio", "video") else fallback
        failed: Exception | None = None
        with Blob(str(path), len(content), kind) as blob:
            for name, compute in computes.items():
                try:
                    load_facts(packed(compute(blob)), name)
                except UNREADABLE:
                    continue
                except Exception as e:
                    failed = e
        if failed is not None:
            raise failed

    return run


def decoded(compute: Callable[[Blob], object]) -> Callable[[Blob], object]:
    """Of pictures that are not large."""

    def measured(blob: Blob) -> object:
        with suppress(*UNREADABLE):
            told = header(blob)
            if told.width * told.height > LARGEST_PICTURE:
                return None
        return compute(blob)

    return measured


PICTURES: dict[str, Callable[[Blob], object]] = {
    "dam_media_image.header:header": header,
    "dam_media_image.camera:shot": shot,
    "dam_media_image.frames:frames": decoded(frames),
    "dam_media_image.phash:hashes": decoded(hashes),
    "dam_media_image.phash:fast_hashes": decoded(fast_hashes),
    "dam_media_image.thumbnail:thumbnail": decoded(lambda blob: thumbnail(blob, 64)),
}
SOUND: dict[str, Callable[[Blob], object]] = {
    "dam_media_audio.probe:properties": properties,
    "dam_media_audio.tags:embedded": embedded,
}
FILMS: dict[str, Callable[[Blob], object]] = {"dam_media_video.probe:film": film, "dam_media_video.stills:size": size}

DECODERS = [
    Target("pictures", computed(PICTURES, "image/png"), seeds.files, UNREADABLE, foreign=True),
    Target("sound", computed(SOUND, "audio/mpeg"), seeds.files, UNREADABLE, foreign=True),
    Target("films", computed(FILMS, "video/mp4"), seeds.files, UNREADABLE, foreign=True),
]

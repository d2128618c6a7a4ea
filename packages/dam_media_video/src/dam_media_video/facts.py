"""What the workers find, as it crosses over to the world's process. Knows neither a decoder nor dam."""

from __future__ import annotations

from typing import NamedTuple

from dam_media_audio.facts import AudioTrack

__all__ = ["Film", "Pictures", "Size", "SoundTrack"]


class Pictures(NamedTuple):
    """The moving pictures of a file: pixels as stored, frames, frames per second on the average, and how many seconds they
    take. ``None`` is what the file does not say; a width without a height there is not.
    """

    width: int | None
    height: int | None
    frames: int | None
    rate: float | None
    seconds: float | None


class Size(NamedTuple):
    """Of a still picture, in pixels."""

    width: int
    height: int


class SoundTrack(AudioTrack):
    """The same as an ``AudioTrack``, under a name of this package: of a worker the world takes no other."""

    __slots__ = ()


class Film(NamedTuple):
    """A file that may have moving pictures, sound, or both."""

    pictures: Pictures | None
    sound: list[SoundTrack]

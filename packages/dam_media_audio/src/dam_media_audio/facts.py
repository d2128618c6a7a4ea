"""What the workers find, as it crosses over to the world's process. Knows neither a decoder nor dam."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMENT_LENGTH", "TEXT_LENGTH", "AudioTags", "AudioTrack"]

TEXT_LENGTH = 512
"""Characters of a text tag; the rest is cut off. A longer one would not fit an index entry of PostgreSQL."""

COMMENT_LENGTH = 4096
"""Characters of a comment, which no index holds."""


class AudioTrack(NamedTuple):
    """One track of sound. ``None`` is what the file does not say."""

    stream_index: int
    codec_name: str | None
    duration_seconds: float | None
    sample_rate_hz: int | None
    channels: int | None
    bit_rate_bps: int | None


class AudioTags(NamedTuple):
    """The tags of one file. Numbers are positive, texts are not empty; ``None`` is a tag that is not there."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    track: int | None = None
    track_total: int | None = None
    disc: int | None = None
    disc_total: int | None = None
    year: int | None = None
    genre: str | None = None
    composer: str | None = None
    comment: str | None = None

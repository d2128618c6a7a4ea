"""Title, artist and the like, whatever the format calls them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from av.error import FFmpegError

from dam_media_audio.facts import COMMENT_LENGTH, TEXT_LENGTH, AudioTags
from dam_media_audio.probe import SCORES, UnreadableSoundError, open_media
from dam_media_audio.tinytags import read_tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dam.analysis.blob import Blob

__all__ = ["embedded", "tags_of"]

NAMES: dict[str, tuple[str, ...]] = {
    "title": ("title",),
    "artist": ("artist", "author"),
    "album": ("album",),
    "album_artist": ("albumartist",),
    "track": ("track", "tracknumber"),
    "track_total": ("tracktotal", "totaltracks", "trackc"),
    "disc": ("disc", "discnumber"),
    "disc_total": ("disctotal", "totaldiscs", "discc"),
    "year": ("year", "date"),
    "genre": ("genre",),
    "composer": ("composer",),
    "comment": ("comment", "comments", "description"),
}
"""What the tags are called without case and punctuation, the most telling name first. ``trackc`` and ``discc`` are what
some taggers write."""

_NUMBER = re.compile(r"\s*(\d{1,9})\s*(?:/\s*(\d{1,9})\s*)?", re.ASCII)
_COMPACT_DATE = re.compile(r"\s*(\d{4})\d{4}\s*", re.ASCII)
_YEAR = re.compile(r"(?<!\d)(\d{4})(?!\d)", re.ASCII)
_UNSAFE = re.compile("[\0\ud800-\udfff]")  # databases take neither


def embedded(blob: Blob) -> AudioTags:
    """The tags that a file carries, all empty where it has none.

    tinytag reads them, and what it does not find is filled in from PyAV: tinytag knows fewer formats, and of WMA no "2/3".
    Raises ``UnreadableSoundError`` where neither can read it.
    """
    if blob.media_type in SCORES:
        return AudioTags()
    tagged = read_tagged(blob, tags=True)
    found = AudioTags() if tagged is None else tags_of(_pairs(tagged.as_dict()))
    try:
        more = _as_pyav_sees_it(blob) if None in found else found
    except FFmpegError as error:
        if tagged is not None:
            return found
        raise UnreadableSoundError(f"PyAV: {error.strerror}; tinytag cannot read it either") from error
    missing = [name for name, value in found._asdict().items() if value is None]
    return found._replace(**{name: getattr(more, name) for name in missing})


def _as_pyav_sees_it(blob: Blob) -> AudioTags:
    """Ogg keeps tags with the stream. Elsewhere a stream's title is the name of a track, such as "Stereo"."""
    with open_media(blob.path) as container:
        streams = container.streams.audio
        of_stream = streams[0].metadata if streams and container.format.name == "ogg" else {}
        return tags_of((container.metadata | of_stream).items())


def tags_of(pairs: Iterable[tuple[str, str]]) -> AudioTags:
    """From names and values as any format writes them; several values of one name are several pairs."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if text := _UNSAFE.sub("", value).strip():
            values.setdefault(re.sub(r"[^a-z0-9]", "", name.lower()), []).append(text)
    found = {field: [value for name in names for value in values.get(name, ())] for field, names in NAMES.items()}
    track, track_total = _number_and_total(found["track"], found["track_total"])
    disc, disc_total = _number_and_total(found["disc"], found["disc_total"])
    return AudioTags(
        title=_first(found["title"], TEXT_LENGTH),
        artist=_joined(found["artist"]),
        album=_first(found["album"], TEXT_LENGTH),
        album_artist=_joined(found["album_artist"]),
        track=track,
        track_total=track_total,
        disc=disc,
        disc_total=disc_total,
        year=_year(found["year"]),
        genre=_joined(found["genre"]),
        composer=_joined(found["composer"]),
        comment=_first(found["comment"], COMMENT_LENGTH),
    )


def _pairs(fields: dict[str, str | float | list[str]]) -> Iterator[tuple[str, str]]:
    """Of tinytag's fields those that are tags: the others, such as the duration, are no lists."""
    for name, values in fields.items():
        for value in values if isinstance(values, list) else ():
            yield name, value


def _first(values: list[str], length: int) -> str | None:
    return values[0][:length] if values else None


def _joined(values: list[str]) -> str | None:
    return "; ".join(dict.fromkeys(values))[:TEXT_LENGTH] or None


def _number_and_total(numbers: list[str], totals: list[str]) -> tuple[int | None, int | None]:
    """Of "2", "02/03", or "2" and "3" in a tag of its own; zero is what taggers write for "not known"."""
    number = next(filter(None, map(_NUMBER.fullmatch, numbers)), None)
    total = next(filter(None, map(_NUMBER.fullmatch, totals)), None)
    of_number = number and number[2]
    return int(number[1]) or None if number else None, int(total[1] if total else of_number or 0) or None


def _year(values: list[str]) -> int | None:
    """The first year in dates such as "2001", "20010203", "2009-09-04 14:20" or "Oct 3, 1995"."""
    matches = (_COMPACT_DATE.fullmatch(value) or _YEAR.search(value) for value in values)
    return next((int(match[1]) or None for match in matches if match), None)

"""Tags: the same facts from every format, whatever it calls them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from dam.analysis.blob import Blob
from dam_media_audio.facts import AudioTags
from dam_media_audio.probe import UnreadableSoundError
from dam_media_audio.tags import embedded, tags_of

MakeSound = Callable[..., Path]
AsBlob = Callable[..., Blob]

WRITTEN = {
    "title": "Ännchen",
    "artist": "the artist",
    "album": "the album",
    "album_artist": "the band",
    "track": "2/3",
    "disc": "4/5",
    "date": "2001-02-03",
    "genre": "the genre",
    "composer": "the composer",
    "comment": "the comment",
}
READ = AudioTags(
    title="Ännchen",
    artist="the artist",
    album="the album",
    album_artist="the band",
    track=2,
    track_total=3,
    disc=4,
    disc_total=5,
    year=2001,
    genre="the genre",
    composer="the composer",
    comment="the comment",
)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.flac", "flac"),
        ("a.mp3", "mp3"),
        ("a.m4a", "aac"),
        ("a.ogg", "vorbis"),
        ("a.opus", "libopus"),
        ("a.aiff", "pcm_s16be"),
        ("a.wma", "wmav2"),
        ("a.mka", "flac"),
        ("a.wv", "wavpack"),
    ],
)
def test_every_format_says_the_same(make_sound: MakeSound, blob: AsBlob, tmp_path: Path, name: str, codec: str) -> None:
    options = {"write_id3v2": "1"} if name == "a.aiff" else {}
    path = make_sound(name, codec, rate=48000, tags=WRITTEN, options=options).rename(tmp_path / "no-extension")
    assert embedded(blob(path)) == READ


def test_a_wave_file_has_the_tags_of_riff(make_sound: MakeSound, blob: AsBlob) -> None:
    tags = embedded(blob(make_sound("a.wav", "pcm_s16le", tags=WRITTEN)))
    assert (tags.title, tags.artist, tags.album, tags.year) == ("Ännchen", "the artist", "the album", 2001)


def test_a_file_without_tags_has_none(make_sound: MakeSound, blob: AsBlob) -> None:
    for name, codec in (("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.au", "pcm_s16be")):
        assert not any(embedded(blob(make_sound(name, codec, options={"fflags": "+bitexact"}))))


def test_the_name_of_a_track_is_not_the_title_of_the_file(make_sound: MakeSound, blob: AsBlob) -> None:
    assert embedded(blob(make_sound("a.mka", "flac", tags={"artist": "someone"}))).title is None


def test_damage_behind_the_header_of_an_asf_file_does_not_hide_its_tags(make_sound: MakeSound, blob: AsBlob) -> None:
    path = make_sound("a.wma", "wmav2", tags={"title": "a song", "artist": "someone", "track": "2"})
    content = path.read_bytes()
    end = struct.unpack_from("<Q", content, 16)[0]
    path.write_bytes(content[:end] + b"\xa5" * 500)
    assert embedded(blob(path)) == AudioTags(title="a song", artist="someone", track=2)


def test_what_nobody_can_read_says_so(tmp_path: Path, blob: AsBlob) -> None:
    path = tmp_path / "broken"
    path.write_bytes(b"DSD \x1c\0\0\0")
    with pytest.raises(UnreadableSoundError):
        embedded(blob(path))


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("TRACKNUMBER", "02"), ("TotalTracks", "10")], AudioTags(track=2, track_total=10)),
        ([("Track", " 02/03 ")], AudioTags(track=2, track_total=3)),
        ([("track", "0/0"), ("disc", "0")], AudioTags()),
        ([("track", "A1"), ("disc", "9" * 40)], AudioTags()),
        ([("DISCC", "5"), ("Disc Number", "1")], AudioTags(disc=1, disc_total=5)),
        ([("date", "20010203")], AudioTags(year=2001)),
        ([("date", "Oct 3, 1995")], AudioTags(year=1995)),
        ([("year", "?"), ("date", "1969-12")], AudioTags(year=1969)),
        ([("date", "0000"), ("year", "12345")], AudioTags()),
        ([("artist", "a"), ("Artist", "b"), ("artist", "a")], AudioTags(artist="a; b")),
        ([("title", "first"), ("title", "second")], AudioTags(title="first")),
        ([("Album Artist", "x"), ("comments", "y")], AudioTags(album_artist="x", comment="y")),
        ([("title", " \0 "), ("album", "nul\0 and \udcff gone")], AudioTags(album="nul and  gone")),
    ],
)
def test_names_and_values_are_read_as_taggers_write_them(pairs: list[tuple[str, str]], expected: AudioTags) -> None:
    assert tags_of(pairs) == expected


def test_endless_texts_are_cut() -> None:
    tags = tags_of([("title", "x" * 10_000), ("artist", "y" * 10_000), ("comment", "z" * 10_000)])
    assert [len(text or "") for text in (tags.title, tags.artist, tags.comment)] == [512, 512, 4096]

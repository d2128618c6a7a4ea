"""Size, frames, rate, duration and sound: of whole, live, bare, cut and hostile files."""

from __future__ import annotations

import lzma
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from dam.analysis.blob import Blob
from dam_media_video import probe
from dam_media_video.probe import UnreadableVideoError, film

MakeFilm = Callable[..., Path]
AsBlob = Callable[..., Blob]


@pytest.mark.parametrize(
    ("name", "codec", "sound", "codec_found"),
    [
        ("a.mp4", "libx264", "aac", "aac"),
        ("a.mov", "mpeg4", "pcm_s16le", "pcm_s16le"),
        ("a.webm", "libvpx-vp9", "libopus", "opus"),
        ("a.mkv", "libx264", "flac", "flac"),
        ("a.avi", "mpeg4", "pcm_s16le", "pcm_s16le"),
        ("a.ts", "libx264", "aac", "aac"),
        ("a.mpg", "mpeg2video", "mp2", "mp2"),
        ("a.wmv", "wmv2", "wmav2", "wmav2"),
        ("a.flv", "flv1", "aac", "aac"),
        ("a.mxf", "mpeg2video", "pcm_s16le", "pcm_s16le"),
    ],
)
def test_every_format_gives_size_frames_rate_duration_and_sound(
    make_film: MakeFilm, blob: AsBlob, tmp_path: Path, name: str, codec: str, sound: str, codec_found: str
) -> None:
    path = make_film(name, codec, sound=[sound]).rename(tmp_path / "no-extension")
    pictures, (track,) = film(blob(path))
    assert pictures is not None
    assert (pictures.width, pictures.height, pictures.frames) == (64, 48, 50)
    assert pictures.rate == pytest.approx(25, rel=0.001)
    assert pictures.seconds == pytest.approx(2, rel=0.001)
    assert (track.codec_name, track.sample_rate_hz, track.channels) == (codec_found, 48000, 2)
    assert track.duration_seconds == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_rate_need_not_be_whole(make_film: MakeFilm, blob: AsBlob, name: str) -> None:
    pictures, _ = film(blob(make_film(name, "libx264", rate=Fraction(30000, 1001), frames=60)))
    assert pictures is not None
    assert pictures.rate == pytest.approx(29.97, rel=0.001)
    assert pictures.seconds == pytest.approx(60 * 1001 / 30000, rel=0.001)


def test_each_track_of_a_film_is_found(make_film: MakeFilm, blob: AsBlob) -> None:
    _, sound = film(blob(make_film("a.mkv", "libx264", sound=["flac", "ac3"])))
    assert [(track.stream_index, track.codec_name) for track in sound] == [(1, "flac"), (2, "ac3")]


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_sound_in_a_container_of_films_is_sound_alone(make_film: MakeFilm, blob: AsBlob, name: str) -> None:
    pictures, (track,) = film(blob(make_film(name, sound=["aac"])))
    assert pictures is None
    assert track.codec_name == "aac"


def test_cover_art_does_not_move(make_film: MakeFilm, blob: AsBlob) -> None:
    pictures, _ = film(blob(make_film("a.mp4", "libx264", cover=True)))
    assert pictures is not None
    assert (pictures.width, pictures.height, pictures.frames) == (64, 48, 50)
    pictures, sound = film(blob(make_film("b.mp4", sound=["aac"], cover=True)))
    assert pictures is None
    assert len(sound) == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("live.mkv", {"live": "1"}),
        ("fragments.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("no-end.flv", {"flvflags": "no_duration_filesize"}),
    ],
)
def test_a_recording_whose_header_was_never_finished_is_counted(
    make_film: MakeFilm, blob: AsBlob, name: str, options: dict[str, str]
) -> None:
    pictures, (track,) = film(blob(make_film(name, "libx264", sound=["aac"], options=options)))
    assert pictures is not None
    assert pictures.frames == 50
    assert pictures.seconds == pytest.approx(2)
    assert pictures.rate == pytest.approx(25)
    assert track.duration_seconds == pytest.approx(2, rel=0.05)


def test_a_film_whose_codec_nobody_knows_has_the_size_of_its_track(make_film: MakeFilm, blob: AsBlob) -> None:
    path = make_film("a.mp4", "libx264")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))
    with blob(path) as known, Blob(known.path, known.size, "video/mp4") as typed:
        pictures, _ = film(typed)
    assert pictures is not None
    assert (pictures.width, pictures.height) == (64, 48)


def test_every_track_of_a_live_recording_is_counted(make_film: MakeFilm, blob: AsBlob) -> None:
    path = make_film("live.mkv", "libx264", sound=["aac", "flac", "aac"], options={"live": "1"})
    _, tracks = film(blob(path))
    assert [track.duration_seconds for track in tracks] == [pytest.approx(2, rel=0.05)] * 3


def test_sound_that_goes_on_does_not_make_the_pictures_slower(make_film: MakeFilm, blob: AsBlob) -> None:
    pictures, _ = film(blob(make_film("a.mkv", "libx264", sound=["flac"], seconds=10)))
    assert pictures is not None
    assert pictures.frames == 50
    assert pictures.seconds == pytest.approx(2)
    assert pictures.rate == pytest.approx(25)


@pytest.mark.parametrize("bound", [20_000, 40_000])
def test_of_a_long_film_the_beginning_is_counted(
    make_film: MakeFilm, blob: AsBlob, monkeypatch: pytest.MonkeyPatch, bound: int
) -> None:
    path = make_film("a.mkv", "mpeg4", frames=1000)
    bare = make_film("a.m4v", "mpeg4", container="m4v", frames=1000)
    assert min(path.stat().st_size, bare.stat().st_size) > bound
    monkeypatch.setattr(probe, "COUNTED_BYTES", bound)
    for each in (path, bare):
        pictures, _ = film(blob(each))
        assert pictures is not None
        assert pictures.rate == pytest.approx(25, rel=0.01)
        assert pictures.seconds == pytest.approx(40, rel=0.05)
        assert pictures.frames == pytest.approx(1000, rel=0.05)


def test_frames_that_are_never_shown_are_not_counted(make_film: MakeFilm, blob: AsBlob) -> None:
    path = make_film("a.webm", "libvpx", frames=1)
    with av.open(str(path)) as source:
        shown = bytes(next(source.demux(video=0)))
    hidden = bytes([shown[0] & ~0x10]) + shown[1:]
    content = path.read_bytes()
    assert content.count(shown) == 1
    path.write_bytes(content.replace(shown, hidden))
    pictures, _ = film(blob(path))
    assert pictures is not None
    assert (pictures.width, pictures.height, pictures.frames) == (64, 48, None)


def test_bare_streams_have_a_duration_where_they_say_how_fast_they_are(make_film: MakeFilm, blob: AsBlob) -> None:
    timed = make_film("a.h264", "libx264", container="h264")
    silent = {"x265-params": "vui-timing-info=0:log-level=none"}
    untimed = make_film("a.hevc", "libx265", container="hevc", codec_options=silent)
    for path, rate, seconds in ((timed, 25, 2), (untimed, None, None)):
        assert film(blob(path)).pictures == (64, 48, 50, rate, seconds)


def test_a_single_picture_lasts_as_long_as_its_file_says(make_film: MakeFilm, blob: AsBlob) -> None:
    for name in ("a.mp4", "a.mkv"):
        pictures, _ = film(blob(make_film(name, "libx264", frames=1)))
        assert pictures is not None
        assert pictures.frames == 1
        assert pictures.seconds == pytest.approx(0.04)


def test_of_half_a_film_the_header_is_believed(make_film: MakeFilm, blob: AsBlob) -> None:
    path = make_film("a.mp4", "libx264", sound=["aac"], options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    pictures, sound = film(blob(path))
    assert pictures == (64, 48, 50, 25.0, 2.0)
    assert len(sound) == 1


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_where_the_header_does_not_say_what_is_left_is_counted(make_film: MakeFilm, blob: AsBlob, name: str) -> None:
    path = make_film(name, "mpeg4", sound=["mp3"])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    pictures, sound = film(blob(path))
    assert pictures is not None
    assert pictures.frames is not None
    assert 10 < pictures.frames < 40
    assert pictures.seconds == pytest.approx(pictures.frames / 25, rel=0.05)
    assert pictures.rate == pytest.approx(25, rel=0.05)
    assert len(sound) == 1


def test_an_mp4_without_its_index_cannot_be_read(make_film: MakeFilm, blob: AsBlob) -> None:
    path = make_film("a.mp4", "libx264")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableVideoError, match=r"^PyAV: "):
        film(blob(path))


def bits(number: int, count: int) -> str:
    return format(number & ((1 << count) - 1), f"0{count}b")


def movie(kind: bytes, fields: bytes) -> bytes:
    packed = fields
    if kind == b"C":
        packed = zlib.compress(fields)
    if kind == b"Z":
        alone = lzma.compress(fields, lzma.FORMAT_ALONE)
        packed = struct.pack("<I", len(alone) - 13) + alone[:5] + alone[13:]
    return kind + b"WS\x0d" + struct.pack("<I", 8 + len(fields)) + packed


@pytest.mark.parametrize("kind", [b"F", b"C", b"Z"])
def test_a_drawn_movie_is_as_its_header_says(tmp_path: Path, blob: AsBlob, kind: bytes) -> None:
    rectangle = bits(15, 5) + "".join(bits(number, 15) for number in (-200, 10800, 0, 8000))
    packed = int(rectangle.ljust(72, "0"), 2).to_bytes(9, "big")
    path = tmp_path / "a.swf"
    path.write_bytes(movie(kind, packed + struct.pack("<HHH", 12 << 8 | 0x80, 250, 0)))
    found = film(blob(path, "application/vnd.adobe.flash.movie"))
    assert found.pictures == (550, 400, 250, 12.5, 20.0)
    assert found.sound == []


@pytest.mark.parametrize("content", [b"CWS\x09\xff\xff\xff\xff" + bytes(50), b"ZWS\x09" + bytes(60), b"FWS"])
def test_a_damaged_movie_says_so(tmp_path: Path, blob: AsBlob, content: bytes) -> None:
    path = tmp_path / "a.swf"
    path.write_bytes(content)
    with pytest.raises(UnreadableVideoError):
        film(blob(path, "application/vnd.adobe.flash.movie"))


BROKEN = [
    b"",
    b"\0\0\0\x18ftypisom",
    b"\0\0\0\x10ftypisom" + bytes(8) + b"\0\0\0\x08moov",
    b"\x1a\x45\xdf\xa3" + b"\xff" * 100,
    b"RIFF\xff\xff\xff\xffAVI ",
    b"FLV\1\5\0\0\0\x09\0\0\0\0" + (b"\x12\0\0\0" + bytes(11)) * 1000,
    b"\x47" * 188 * 20,
    b"no film at all\n" * 99,
]


@pytest.mark.parametrize("content", BROKEN)
def test_what_nobody_can_read_says_so(tmp_path: Path, blob: AsBlob, content: bytes) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(UnreadableVideoError, match=r"^PyAV"):
        film(blob(path))


def test_a_playlist_is_not_followed(make_film: MakeFilm, blob: AsBlob, tmp_path: Path) -> None:
    """FFmpeg would open what it names, over the network as well."""
    part = make_film("part.ts", "libx264")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:1,\n{part}\n#EXT-X-ENDLIST\n")
    concat = tmp_path / "list.ffconcat"
    concat.write_text(f"ffconcat version 1.0\nfile '{part.name}'\n")
    for path in (playlist, concat):
        with pytest.raises(UnreadableVideoError):
            film(blob(path))


def test_a_name_that_is_not_utf8_is_opened(make_film: MakeFilm, blob: AsBlob, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff:%d.wrong-extension.ogg")
    shutil.move(make_film("a.mp4", "libx264"), path)
    pictures, _ = film(blob(Path(path)))
    assert pictures is not None
    assert pictures.frames == 50

"""Codec, duration, sample rate, channels: of whole, headless, damaged and hostile files."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from dam.analysis.blob import Blob
from dam_media_audio import probe
from dam_media_audio.probe import UnreadableSoundError, properties

MakeSound = Callable[..., Path]
AsBlob = Callable[..., Blob]


@pytest.mark.parametrize(
    ("name", "codec", "found"),
    [
        ("a.flac", "flac", "flac"),
        ("a.wav", "pcm_s16le", "pcm_s16le"),
        ("a.aiff", "pcm_s16be", "pcm_s16be"),
        ("a.mp3", "mp3", "mp3"),
        ("a.m4a", "aac", "aac"),
        ("a.ogg", "vorbis", "vorbis"),
        ("a.mka", "flac", "flac"),
        ("a.wma", "wmav2", "wmav2"),
        ("a.wv", "wavpack", "wavpack"),
        ("a.ac3", "ac3", "ac3"),
        ("a.aac", "aac", "aac"),
        ("a.au", "pcm_s16be", "pcm_s16be"),
        ("a.caf", "alac", "alac"),
    ],
)
def test_every_format_gives_its_codec_duration_rate_and_channels(
    make_sound: MakeSound, blob: AsBlob, tmp_path: Path, name: str, codec: str, found: str
) -> None:
    path = make_sound(name, codec, seconds=2, rate=32000, bit_rate=96000).rename(tmp_path / "no-extension")
    (track,) = properties(blob(path))
    assert (track.stream_index, track.codec_name, track.sample_rate_hz, track.channels) == (0, found, 32000, 2)
    assert track.duration_seconds == pytest.approx(2, rel=0.05)
    assert track.bit_rate_bps


def test_opus_plays_at_48_khz_whatever_it_was_made_from(make_sound: MakeSound, blob: AsBlob) -> None:
    (track,) = properties(blob(make_sound("a.opus", "libopus", rate=24000, layout="mono")))
    assert (track.codec_name, track.sample_rate_hz, track.channels) == ("opus", 48000, 1)
    assert track.duration_seconds == pytest.approx(1, rel=0.02)


def test_each_track_of_a_file_is_found(make_sound: MakeSound, blob: AsBlob) -> None:
    found = properties(blob(make_sound("a.mka", "flac", tracks=3)))
    assert [track.stream_index for track in found] == [0, 1, 2]


@pytest.mark.parametrize("seconds", [0.2, 61.0])
def test_mpeg_audio_without_a_count_of_frames_is_counted(make_sound: MakeSound, blob: AsBlob, seconds: float) -> None:
    """FFmpeg itself estimates, to a tenth of a second or worse."""
    path = make_sound("a.mp3", "mp3", seconds=seconds, options={"write_xing": "0"})
    (track,) = properties(blob(path))
    assert track.duration_seconds == pytest.approx(seconds + 0.04, abs=0.04)  # the encoder pads to whole frames


@pytest.mark.parametrize(("copies", "share"), [(2, 1.0), (1, 0.25)])
def test_a_count_of_frames_that_the_length_of_the_file_denies_is_not_believed(
    make_sound: MakeSound, blob: AsBlob, copies: int, share: float
) -> None:
    path = make_sound("a.mp3", "mp3", seconds=20, bit_rate=128000, options={"id3v2_version": "0"})
    whole = path.read_bytes() * copies
    path.write_bytes(whole[: int(len(whole) * share)])
    (track,) = properties(blob(path))
    assert track.duration_seconds == pytest.approx(20 * copies * share, rel=0.02)


def test_tags_behind_the_sound_do_not_deny_its_count(make_sound: MakeSound, blob: AsBlob) -> None:
    path = make_sound("a.mp3", "mp3", seconds=2)
    before = properties(blob(path))
    path.write_bytes(path.read_bytes() + b"TAG".ljust(128, b"\0"))
    assert properties(blob(path)) == before


def test_a_bit_rate_that_changes_does_not_deceive_the_count(
    make_sound: MakeSound, blob: AsBlob, tmp_path: Path
) -> None:
    low = make_sound("low.mp3", "mp3", seconds=5, bit_rate=32000, options={"write_xing": "0", "id3v2_version": "0"})
    high = make_sound("high.mp3", "mp3", seconds=15, bit_rate=320000, options={"write_xing": "0", "id3v2_version": "0"})
    both = tmp_path / "both.mp3"
    both.write_bytes(low.read_bytes() + high.read_bytes())
    (track,) = properties(blob(both))
    assert track.duration_seconds == pytest.approx(20, rel=0.01)
    assert track.bit_rate_bps == pytest.approx(248000, rel=0.02)


def test_of_a_long_stream_the_beginning_is_counted(
    make_sound: MakeSound, blob: AsBlob, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_sound("a.mp3", "mp3", seconds=20, bit_rate=128000, options={"write_xing": "0"})
    monkeypatch.setattr(probe, "COUNTED_BYTES", 30_000)
    (track,) = properties(blob(path))
    assert track.duration_seconds == pytest.approx(20, rel=0.02)


def test_a_live_recording_without_a_duration_is_counted(make_sound: MakeSound, blob: AsBlob) -> None:
    path = make_sound("a.mka", "vorbis", seconds=3, options={"live": "1"})
    (track,) = properties(blob(path))
    assert track.duration_seconds == pytest.approx(3, rel=0.02)


def test_half_a_file_still_has_what_its_header_says(make_sound: MakeSound, blob: AsBlob) -> None:
    path = make_sound("a.flac", "flac", seconds=2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (track,) = properties(blob(path))
    assert (track.codec_name, track.duration_seconds) == ("flac", 2.0)


def test_asf_with_a_damaged_body_is_read_from_its_header(make_sound: MakeSound, blob: AsBlob) -> None:
    path = make_sound("a.wma", "wmav2", seconds=2, bit_rate=64000)
    content = path.read_bytes()
    end = struct.unpack_from("<Q", content, 16)[0]
    path.write_bytes(content[:end] + b"\xa5" * 500)
    (track,) = properties(blob(path))
    assert (track.codec_name, track.sample_rate_hz, track.channels) == ("wmav2", 44100, 2)
    assert track.duration_seconds == pytest.approx(2, rel=0.1)
    assert track.bit_rate_bps == pytest.approx(64000, rel=0.05)


def test_a_codec_that_ffmpeg_does_not_know_still_has_a_rate(make_sound: MakeSound, blob: AsBlob) -> None:
    path = make_sound("a.wav", "pcm_s16le", rate=32000, layout="mono", options={"fflags": "+bitexact"})
    content = path.read_bytes()
    path.write_bytes(content[:20] + b"\x99\x99" + content[22:])
    (track,) = properties(blob(path))
    assert (track.codec_name, track.sample_rate_hz, track.channels) == (None, 32000, 1)


def test_samples_of_dsd_are_bits(tmp_path: Path, blob: AsBlob) -> None:
    data = b"\x69" * 4096 * 2
    header = struct.pack("<4sQQQ", b"DSD ", 28, 28 + 52 + 12 + len(data), 0)
    format_chunk = struct.pack("<4sQ6IQ2I", b"fmt ", 52, 1, 0, 2, 2, 2822400, 1, 4096 * 8, 4096, 0)
    path = tmp_path / "a.dsf"
    path.write_bytes(header + format_chunk + struct.pack("<4sQ", b"data", 12 + len(data)) + data)
    (track,) = properties(blob(path))
    assert (track.sample_rate_hz, track.channels) == (2822400, 2)
    assert track.duration_seconds == pytest.approx(4096 * 8 / 2822400)


def test_notes_have_no_properties(tmp_path: Path, blob: AsBlob) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(b"MThd\0\0\0\x06\0\0\0\x01\0\x60")
    assert properties(blob(path, "audio/midi")) == []


BROKEN = [
    b"",
    b"ID3",
    b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
    b"fLaC",
    b"OggS\0" + b"\xff" * 40,
    b"\xff\xfb" * 9999,
]


@pytest.mark.parametrize("content", BROKEN)
def test_what_nobody_can_read_says_so(tmp_path: Path, blob: AsBlob, content: bytes) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(UnreadableSoundError, match="tinytag cannot read it either"):
        properties(blob(path))


def test_a_playlist_is_not_followed(make_sound: MakeSound, blob: AsBlob, tmp_path: Path) -> None:
    """FFmpeg would open what it names, over the network as well."""
    song = make_sound("song.ts", "aac", container="mpegts")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:1,\n{song}\n#EXT-X-ENDLIST\n")
    concat = tmp_path / "list.ffconcat"
    concat.write_text(f"ffconcat version 1.0\nfile '{song.name}'\n")
    for path in (playlist, concat):
        with pytest.raises(UnreadableSoundError):
            properties(blob(path))


def test_a_name_that_is_not_utf8_is_opened(make_sound: MakeSound, blob: AsBlob, tmp_path: Path) -> None:
    path = tmp_path / "\udcff:%d.wrong-extension.ogg"
    shutil.move(make_sound("a.flac", "flac"), path)
    assert properties(blob(path))[0].codec_name == "flac"

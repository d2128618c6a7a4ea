"""How sound is coded and how long it lasts, from the headers of a file; nothing is decoded but what PyAV needs to see.

Where the duration comes from, in this order: the header, or the last page of an Ogg file; a count of the packets, for
formats without such a header (MPEG audio without a Xing, Info or VBRI frame, raw AAC, AC-3, DTS and the like, Matroska
that was recorded live); tinytag, for files that PyAV does not open.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import av
from av.error import FFmpegError

from dam_media_audio.facts import AudioTrack
from dam_media_audio.tinytags import read_tagged

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream

    from dam.analysis.blob import Blob

__all__ = ["UnreadableSoundError", "open_media", "positive", "properties", "stated_duration", "tracks"]

AUDIO_FORMATS = (
    "aac,ac3,ac4,aiff,amr,amrnb,amrwb,ape,asf,au,caf,dsf,dts,dtshd,eac3,flac,iff,loas,matroska,mlp,mov,mp3,mpc,mpc8,ogg,"
    "oma,qcp,rm,shn,tak,truehd,tta,voc,w64,wav,wv,xwma"
)
"""FFmpeg's readers that may be used. Others open what a file names: playlists (hls, dash, concat) even over the network."""

WITHOUT_DURATION = frozenset(
    {"aac", "ac3", "amr", "amrnb", "amrwb", "dts", "dtshd", "eac3", "loas", "mlp", "mp3", "truehd"}
)
"""Streams of frames: FFmpeg's word is an estimate from the bit rate of the first frames."""

COUNTED_BYTES = 32 << 20
"""Of a longer stream the rest is taken to be as dense as these; counting them takes about a quarter of a second."""

SCORES = frozenset(
    {"audio/midi", "audio/prs.sid", "audio/x-it", "audio/x-mod", "audio/x-s3m", "audio/x-sfbk", "audio/x-xm"}
)
"""Notes, programs and instruments: how long they sound is for a player to say, and they have no sample rate."""

DSD_SAMPLES = 8
"""FFmpeg counts the bytes of a one-bit stream, which hold eight samples each."""

ASF_CODECS = {"160": "wmav1", "161": "wmav2", "162": "wmapro", "163": "wmalossless"}
"""FFmpeg's names for the format tags, as tinytag writes them."""


_FRAME_COUNT = re.compile(
    rb"(?:Xing|Info)\0\0\0(?:[\x03\x07\x0b\x0f](.{4})(.{4})|[\x01\x05\x09\x0d](.{4}))|VBRI.{6}(.{4})(.{4})", re.DOTALL
)
"""Numbers of frames and bytes: of a Xing header the lowest flag says that there is the one, the next that there is the other; a
VBRI header has the bytes first."""

TAG_BYTES = 65_536
"""Room for tags behind the sound."""

DENIED = 0.05
"""A file that is longer or shorter than its first frame says by more than this share was cut or joined since."""


class UnreadableSoundError(ValueError):
    """Neither library can make anything of the file."""


class Extent(NamedTuple):
    """How long one track is, and how dense."""

    seconds: float | None
    bits_per_second: float | None
    is_certain: bool = True


def properties(blob: Blob) -> list[AudioTrack]:
    """Every audio track, in the order of the file. Raises ``UnreadableSoundError``."""
    if blob.media_type in SCORES:
        return []
    found, problem = _as_pyav_sees_it(blob)
    known = [track for track in found if track.sample_rate_hz]
    if known or not (found or problem):
        return known
    track = _as_tinytag_sees_it(blob)
    if track is None:
        raise UnreadableSoundError(f"PyAV: {problem or 'No frame can be decoded'}; tinytag cannot read it either")
    return [track]


def _as_pyav_sees_it(blob: Blob) -> tuple[list[AudioTrack], str]:
    """Tracks, or why there are none."""
    try:
        with open_media(blob.path) as container:
            return tracks(container, blob), ""
    except FFmpegError as error:
        return [], error.strerror or str(error)


def open_media(path: str, formats: str = AUDIO_FORMATS) -> InputContainer:
    """The container at ``path``. ``formats`` are the FFmpeg readers that may be tried, comma-separated; one alone is taken
    without a look at the content.
    """
    options = {"format_whitelist": formats, "protocol_whitelist": "file"}
    only = None if "," in formats else formats
    return av.open(path, format=only, options=options, metadata_errors="replace")


def tracks(container: InputContainer, blob: Blob) -> list[AudioTrack]:
    """Of an opened file, a film as well as a song; where it stands in the file afterwards is not said."""
    streams = container.streams.audio
    extents = {stream.index: _stated(container, stream, blob) for stream in streams}
    if uncertain := [stream for stream in streams if not extents[stream.index].is_certain]:
        extents |= _counted(container, uncertain)
    return [_track(stream, extents[stream.index]) for stream in streams]


def _track(stream: AudioStream, extent: Extent) -> AudioTrack:
    context: AudioCodecContext | None = stream.codec_context
    if context is None:  # a codec that FFmpeg does not know
        return AudioTrack(stream.index, None, positive(extent.seconds), None, None, None)
    codec = context.codec.canonical_name
    rate = context.sample_rate * (DSD_SAMPLES if codec.startswith("dsd_") else 1)
    seconds, bit_rate = positive(extent.seconds), _whole(positive(extent.bits_per_second))
    return AudioTrack(stream.index, codec, seconds, _whole(rate), _whole(context.channels), bit_rate)


def _stated(container: InputContainer, stream: AudioStream, blob: Blob) -> Extent:
    """What the headers say; uncertain where they say nothing, or where FFmpeg only guesses."""
    formats = set(container.format.name.split(","))
    bit_rate = _stated_bit_rate(container, stream)
    if "mp3" in formats and (seconds := _stated_by_mpeg(blob, stream)):
        return Extent(seconds, bit_rate)
    seconds = stated_duration(container, stream)
    return Extent(seconds, bit_rate, is_certain=seconds is not None and formats.isdisjoint(WITHOUT_DURATION))


def stated_duration(container: InputContainer, stream: Stream) -> float | None:
    """Seconds: the stream's own, or else the file's."""
    own = None
    if stream.duration is not None and stream.time_base is not None:
        own = positive(float(stream.duration * stream.time_base))
    return own or (None if container.duration is None else positive(container.duration / av.time_base))


def _stated_bit_rate(container: InputContainer, stream: AudioStream) -> float | None:
    """The track's own, or the file's where there is nothing else in it."""
    context: AudioCodecContext | None = stream.codec_context
    own = None if context is None else context.bit_rate
    return own or (container.bit_rate if len(container.streams) == 1 else None)


def _stated_by_mpeg(blob: Blob, stream: AudioStream) -> float | None:
    """What the first frame of MPEG audio says of those that follow: a Xing, Info or VBRI header behind the ID3 tag.

    FFmpeg knows it too, but rounds to tenths of a second, and believes what the length of the file denies.
    """
    start = 0
    with blob.open() as file:
        head = file.read(10)
        if head.startswith(b"ID3") and len(head) == 10:
            start = 10 + sum((part & 0x7F) << 7 * (3 - place) for place, part in enumerate(head[6:]))
            file.seek(start)
            head = b""
        head += file.read(4096)
    found = _FRAME_COUNT.search(head)
    if found is None:
        return None
    frames = int.from_bytes(found[1] or found[3] or found[5], "big")
    size = int.from_bytes(found[2] or found[4] or b"", "big")
    if size and abs(blob.size - start - size) > DENIED * size + TAG_BYTES:
        return None
    rate = stream.codec_context.sample_rate
    return frames * (1152 if rate >= 32000 else 576) / rate if frames and rate else None


def _counted(container: InputContainer, streams: list[AudioStream]) -> dict[int, Extent]:
    """Adds up packets without decoding them, by the index of their track; tracks that add up to nothing are left out.

    What comes behind a damaged place is not counted.
    """
    ticks, sizes = Counter[int](), Counter[int]()
    read = 0
    first: int | None = None
    with suppress(FFmpegError):
        for packet in container.demux(streams):
            ticks[packet.stream_index] += packet.duration or 0
            sizes[packet.stream_index] += packet.size
            if packet.pos is not None and packet.pos >= 0:
                first = packet.pos if first is None else first
                read = packet.pos + packet.size - first
            if read >= COUNTED_BYTES:
                break
    share = read / max(container.size - (first or 0), read) if read >= COUNTED_BYTES else 1
    seconds = {each.index: float(ticks[each.index] * (each.time_base or 0)) for each in streams}
    return {index: Extent(long / share, sizes[index] * 8 / long) for index, long in seconds.items() if long > 0}


def _as_tinytag_sees_it(blob: Blob) -> AudioTrack | None:
    found = read_tagged(blob, duration=True)
    if found is None or not found.samplerate:
        return None
    _, _, codec = (found.mime_type or "").partition('codecs="')
    codec_name = ASF_CODECS.get(codec.rstrip('"'))
    bit_rate = None if found.bitrate is None else found.bitrate * 1000
    rate, channels = _whole(found.samplerate), _whole(found.channels)
    return AudioTrack(0, codec_name, positive(found.duration), rate, channels, _whole(positive(bit_rate)))


def positive(number: float | None) -> float | None:
    """``None`` for what is no duration, rate or size."""
    return number if number is not None and math.isfinite(number) and number > 0 else None


def _whole(number: float | None) -> int | None:
    """As the database takes it: no more than 63 bits."""
    return None if number is None or not 0 < number < 1 << 63 else round(number)

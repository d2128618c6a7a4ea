"""Size, frames and duration of moving pictures, from the headers and packets of a file; nothing is decoded but what PyAV needs.

Where frames and duration come from, in this order: the header of a Flash movie; the file's own count of frames (MP4 that is
not fragmented, AVI); a count of the packets, for all else. Of a film too long to be counted its header says the duration.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from av.error import FFmpegError
from av.stream import Disposition

from dam_media_audio.probe import open_media, positive, stated_duration, tracks
from dam_media_image import by_hachoir
from dam_media_image.picture import MissingDecoderError
from dam_media_video import swf
from dam_media_video.facts import Film, Pictures, SoundTrack

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

    from dam.analysis.blob import Blob

__all__ = ["UnreadableVideoError", "film"]

VIDEO_FORMATS = (
    "asf,av1,avi,bink,dirac,dnxhd,dv,flic,flv,gxf,h261,h263,h264,hevc,iff,ivf,ivr,m4v,matroska,mjpeg,mov,mpeg,mpegts,"
    "mpegvideo,mxf,nsv,nut,nuv,obu,ogg,rm,roq,smk,swf,vc1,vc1test,vivo,vvc,wtv,yuv4mpegpipe"
)
"""FFmpeg's readers that may be used. Others open what a file names: playlists (hls, dash, concat) even over the network."""

COUNTED_BYTES = 32 << 20
"""Of a longer film the rest is taken to be as dense as these; counting them takes about a quarter of a second."""

DEVIATION = 0.1
"""Where a file's own count of frames and its duration differ by more than this share, the packets are counted."""

FLASH = "application/vnd.adobe.flash.movie"

MP4 = frozenset({"video/3gpp", "video/3gpp2", "video/mp4", "video/quicktime"})

BARE = frozenset(
    {"av1", "dirac", "dnxhd", "h261", "h263", "h264", "hevc", "m4v", "mjpeg", "mpegvideo", "obu", "vc1", "vvc"}
)
"""Readers of streams without a container, which take 25 frames a second where the stream does not say."""


class UnreadableVideoError(ValueError):
    """There are neither moving pictures nor sound in the file, or nobody can read it."""


class Counted(NamedTuple):
    """Packets of one stream, and the seconds that they take; ``share`` is the part of the file that was read, up to 1."""

    frames: int
    seconds: float | None
    share: float


def film(blob: Blob) -> Film:
    """The first moving pictures of a file, and every audio track in its order. Raises ``UnreadableVideoError``."""
    stage = swf.stage(blob.head(swf.HEAD_BYTES)) if blob.media_type == FLASH else None
    drawn = None if stage is None else _drawn(stage)
    try:
        filmed = None if drawn else _pictures(blob)
        with _opened(blob) as container:  # again: to count is to read to the end
            found = Film(drawn or filmed, [SoundTrack(*track) for track in tracks(container, blob)])
    except FFmpegError as error:
        if drawn:
            return Film(drawn, [])
        raise UnreadableVideoError(f"PyAV: {error.strerror or error}") from error
    if not (found.pictures or found.sound):
        raise UnreadableVideoError("PyAV finds neither moving pictures nor sound")
    return found


def _opened(blob: Blob) -> InputContainer:
    return open_media(blob.path, VIDEO_FORMATS)


def _drawn(stage: swf.Stage) -> Pictures:
    seconds = positive(stage.frames / stage.rate if stage.rate else None)
    return Pictures(stage.width, stage.height, stage.frames or None, positive(stage.rate), seconds)


def _pictures(blob: Blob) -> Pictures | None:
    """Cover art and thumbnails of chapters are streams as well, but they do not move."""
    with _opened(blob) as container:
        moving = (each for each in container.streams.video if not each.disposition & Disposition.attached_pic)
        stream = next(moving, None)
        if stream is None:
            return None
        width, height = _size(stream) or _size_by_hachoir(blob) or (None, None)
        return Pictures(width, height, *_frames(container, stream))


def _size(stream: VideoStream) -> tuple[int, int] | None:
    context: VideoCodecContext | None = stream.codec_context
    if context is None or min(context.width, context.height) <= 0:  # a codec that FFmpeg does not know, or a cut file
        return None
    return context.width, context.height


def _size_by_hachoir(blob: Blob) -> tuple[int, int] | None:
    """Of a film of the MP4 family that says its size where FFmpeg does not look, in the header of the track."""
    if blob.media_type not in MP4:
        return None
    try:
        return by_hachoir.size_of_film(blob)
    except (MissingDecoderError, OSError):
        return None


def _frames(container: InputContainer, stream: VideoStream) -> tuple[int | None, float | None, float | None]:
    """Number, frames per second, seconds."""
    stated = stated_duration(container, stream)
    if stream.frames > 0 and stated is not None:
        # An edit list may show somewhat fewer than there are: their number by the seconds shown would be too fast.
        rate = float(stream.average_rate or stream.frames / stated)
        if abs(stream.frames - rate * stated) <= max(1, DEVIATION * stream.frames):
            return stream.frames, positive(rate), stated
    untimed = container.format.name in BARE and not stream.codec_context.framerate
    number, seconds = _number_and_seconds(_count(container, stream), stated)
    known = number if 0 < number < 1 << 63 else None  # a header that lies can make it more than a database takes
    if untimed or not seconds:
        return known, None, None
    return known, positive(number / seconds), seconds


def _number_and_seconds(counted: Counted, stated: float | None) -> tuple[int, float | None]:
    """A header may speak of sound that goes on without pictures, or of what was cut off: what was counted to the end, is."""
    if counted.share >= 1:
        return counted.frames, counted.seconds or stated
    if counted.seconds is None:
        return round(counted.frames / counted.share), stated
    seconds = stated or counted.seconds / counted.share
    return round(counted.frames * seconds / counted.seconds), seconds


def _count(container: InputContainer, stream: VideoStream) -> Counted:
    """Counts the packets of one stream without decoding them; what comes behind a damaged place is not counted."""
    context: VideoCodecContext | None = stream.codec_context
    hides = context is not None and context.codec.canonical_name == "vp8"
    times: list[int] = []
    frames = ticks = size = read = 0
    with suppress(FFmpegError):
        for packet in container.demux(stream):
            size += packet.size
            read = max(read, size, (packet.pos or 0) + packet.size)
            if packet.size and not packet.is_discard and not (hides and _is_hidden(packet)):
                frames, ticks = frames + 1, ticks + (packet.duration or 0)
                when = packet.dts if packet.pts is None else packet.pts
                if when is not None:
                    times = [min(times[0], when), max(times[1], when)] if times else [when, when]
            if read >= COUNTED_BYTES:
                break
    return Counted(frames, _seconds(stream, frames, times, ticks), _share(container, read))


def _share(container: InputContainer, read: int) -> float:
    return read / container.size if COUNTED_BYTES <= read < container.size else 1


def _is_hidden(packet: Packet[VideoStream]) -> bool:
    """A frame of VP8 that is only there for others to refer to (RFC 6386, 9.1)."""
    return not bytes(packet)[0] & 0x10


def _seconds(stream: VideoStream, frames: int, times: list[int], ticks: int) -> float | None:
    """The last frame stays for as long as the others do on the average; few formats say how long it does."""
    if stream.time_base is None:
        return None
    if times and times[1] > times[0] and frames > 1:
        ticks = round((times[1] - times[0]) * frames / (frames - 1))
    return positive(float(ticks * stream.time_base))

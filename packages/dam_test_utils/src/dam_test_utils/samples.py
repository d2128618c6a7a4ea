"""Small real files, made on the spot."""

import math
import struct
import wave
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path


@dataclass(frozen=True)
class SampleFiles:
    """A folder with a file of each kind that plugins meet: seven files, six different contents."""

    folder: Path
    text: Path
    png: Path
    jpeg: Path
    empty: Path
    duplicate: Path  # of the text, byte by byte
    nested: Path  # two folders deep
    unknown: Path  # bytes that are no format

    @property
    def all(self) -> list[Path]:
        return [self.text, self.png, self.jpeg, self.empty, self.duplicate, self.nested, self.unknown]


def write_samples(folder: Path) -> SampleFiles:
    """Writes the files below ``folder``, which is made."""
    samples = SampleFiles(
        folder,
        text=folder / "notes.txt",
        png=folder / "red.png",
        jpeg=folder / "grey.jpg",
        empty=folder / "empty.txt",
        duplicate=folder / "copy of notes.txt",
        nested=folder / "deep" / "deeper" / "blue.png",
        unknown=folder / "noise.bin",
    )
    samples.nested.parent.mkdir(parents=True)
    samples.text.write_bytes(b"Nothing here is older than this test.\n")
    samples.png.write_bytes(png(4, 3, (255, 0, 0)))
    samples.jpeg.write_bytes(jpeg(16, 8))
    samples.empty.write_bytes(b"")
    samples.duplicate.write_bytes(samples.text.read_bytes())
    samples.nested.write_bytes(png(2, 2, (0, 0, 255)))
    samples.unknown.write_bytes(bytes(i * i * 167 % 251 for i in range(512)))
    return samples


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A PNG picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG picture in mid-grey: one component, and Huffman tables of one code each."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    def huffman(number: int) -> bytes:  # the code 0 stands for the symbol 0
        return segment(0xC4, bytes([number, 1]) + bytes(15) + b"\0")

    blocks = -(-width // 8) * -(-height // 8)
    bits = "00" * blocks  # of each block: no difference to the last one, no details
    bits += "1" * (-len(bits) % 8)
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
            segment(0xDB, b"\0" + b"\x10" * 64),
            segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0"),
            huffman(0x00),
            huffman(0x10),
            segment(0xDA, b"\x01\x01\0\0\x3f\0"),
            int(bits, 2).to_bytes(len(bits) // 8, "big"),
            b"\xff\xd9",
        )
    )


def wav(seconds: float = 0.1, sample_rate: int = 8000, channels: int = 1, hertz: float = 440) -> bytes:
    """A WAV sound: a tone, as 16-bit PCM."""
    tone = (math.sin(2 * math.pi * hertz * i / sample_rate) for i in range(round(seconds * sample_rate)))
    frames = b"".join(struct.pack("<h", round(20_000 * value)) * channels for value in tone)
    written = BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(frames)
    return written.getvalue()


def avi(width: int = 8, height: int = 6, frames: int = 5, frame_rate: int = 25) -> bytes:
    """An AVI video without compression: frames that go from black to white."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def listed(kind: bytes, *parts: bytes) -> bytes:
        return chunk(b"LIST", kind + b"".join(parts))

    row = -(-width * 3 // 4) * 4  # rows begin at multiples of four bytes
    size = row * height
    header = struct.pack(
        "<14I", 1_000_000 // frame_rate, size * frame_rate, 0, 0x10, frames, 0, 1, size, width, height, 0, 0, 0, 0
    )
    stream = b"vidsDIB " + struct.pack(
        "<IHHIIIIIIII4H", 0, 0, 0, 0, 1, frame_rate, 0, frames, size, 0, 0, 0, 0, width, height
    )
    picture = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, size, 0, 0, 0, 0)
    shades = (round(255 * i / max(frames - 1, 1)) for i in range(frames))
    movie = [chunk(b"00db", bytes([shade]) * size) for shade in shades]
    headers = listed(b"hdrl", chunk(b"avih", header), listed(b"strl", chunk(b"strh", stream), chunk(b"strf", picture)))
    return (
        b"RIFF" + struct.pack("<I", 4 + len(headers) + len(body := listed(b"movi", *movie))) + b"AVI " + headers + body
    )

"""Small real files, made on the spot."""

import struct
import zlib
from dataclasses import dataclass
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

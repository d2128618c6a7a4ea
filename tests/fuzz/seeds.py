"""Seeds: a folder of real files where there is one, and small ones that are made here."""

from __future__ import annotations

import os
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image
from targets import LARGEST_SEED

from dam_test_utils.samples import avi, jpeg, png, wav

if TYPE_CHECKING:
    from pathlib import Path

COMPRESSED_FLASH = b"CWS\x08\x40\0\0\0" + bytes.fromhex("789c") + b"\x4b\x64\x60\x60\x60\x90\x62\x60\x60\x60\0\0"
FLASH = b"FWS\x08\x40\0\0\0" + bytes.fromhex("7800055f00000fa000000c0100440200")


def with_exif() -> Image.Exif:
    exif = Image.Exif()
    exif.update({0x010F: "Maker", 0x0110: "Model", 0x0112: 6, 0x0132: "2001:02:03 04:05:06"})
    exif.get_ifd(0x8769).update(
        {
            0x829A: (1, 250),
            0x829D: (28, 10),
            0x8827: 400,
            0x9003: "2001:02:03 04:05:06",
            0x9011: "+01:00",
            0x9291: "123",
            0x920A: (50, 1),
            0xA434: "Lens",
        }
    )
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 30.0, 0.5), 3: "W", 4: (0.0, 7.0, 1.25), 5: b"\0", 6: 35.5})
    return exif


@cache
def pictures() -> tuple[bytes, ...]:
    """Small ones in the formats that Pillow writes, animations among them."""
    one, other = Image.linear_gradient("L").resize((24, 16)).convert("RGB"), Image.new("RGB", (24, 16), "navy")
    made = [png(4, 3, (255, 0, 0)), jpeg(16, 8)]
    for name in (
        "BMP",
        "DDS",
        "GIF",
        "ICNS",
        "ICO",
        "JPEG2000",
        "MSP",
        "PCX",
        "PPM",
        "SGI",
        "TGA",
        "TIFF",
        "WEBP",
        "XBM",
    ):
        content, picture = BytesIO(), one.convert("1") if name in ("MSP", "XBM") else one
        picture.save(content, name)
        made.append(content.getvalue())
    for name in ("JPEG", "PNG", "TIFF", "WEBP"):
        content = BytesIO()
        one.save(content, name, exif=with_exif())
        made.append(content.getvalue())
    for name in ("GIF", "PNG", "WEBP", "AVIF"):
        content = BytesIO()
        one.save(content, name, save_all=True, append_images=[other, one], duration=[40, 80, 20])
        made.append(content.getvalue())
    return tuple(made)


@cache
def exif_blocks() -> tuple[bytes, ...]:
    """What stands in the chunk of a PNG: TIFF without a picture, in both orders of bytes."""
    block = with_exif().tobytes().removeprefix(b"Exif\0\0")
    big = Image.Exif()
    big.endian = ">"
    big.update({0x010F: "Maker", 0x0132: "1999:12:31 23:59:60", 0x0112: 3})
    return (block, big.tobytes().removeprefix(b"Exif\0\0"))


def films_and_sounds() -> tuple[bytes, ...]:
    id3 = b"ID3\x04\0\0\0\0\0\x1eTIT2\0\0\0\x06\0\0\x03TitleTRCK\0\0\0\x04\0\0\x032/3"
    frame = b"\xff\xfb\x90\x64" + bytes(413)
    xing = b"\xff\xfb\x90\x64" + bytes(32) + b"Xing\0\0\0\x03\0\0\0\x10\0\0\x1a\x20" + bytes(365)
    flac = b"fLaC\x80\0\0\x22" + bytes.fromhex("100010000000000000000ac442f000000000") + bytes(16)
    return (wav(), avi(), FLASH, COMPRESSED_FLASH, id3 + frame * 4, xing + frame * 4, flac)


TEXTS = (
    b"Nothing here is older than this test.\n",
    b'{"type": "FeatureCollection", "features": []}',
    b"<?xml version='1.0'?><svg/>",
    b"<!DOCTYPE html [<!ENTITY a 'b'>]><html></html>",
    b"#!/usr/bin/env python3\n",
    b"\xff\xfet\0e\0x\0t\0",
    b"%PDF-1.7\n1 0 obj",
    b"PK\x03\x04" + bytes(22) + b"\x08\0\0\0mimetypeapplication/epub+zip",
    b"P6\n# x\n2 2\n255\n" + bytes(12),
    b"7z\xbc\xaf\x27\x1c",
    b"#define a_width 8\n#define a_height 8\n",
    b"BZh91AY&SY" + bytes(20),
    b"\x5d\0\0\x80\0" + b"\xff" * 8 + bytes(20),
    b"MZ" + bytes(90),
    b"OggS\0\x02" + bytes(20) + b"\x01\x13OpusHead" + bytes(11),
    b"\x1a\x45\xdf\xa3\x84\x42\x82\x84webm\x16\x54\xae\x6b\x83\x83\x81\x02",
    b"070701" + b"0" * 104,
    b"\x0b\x77" + bytes(40),
    b"GGGG" * 200,
    b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
    b"CISO\x18\0\0\0" + bytes(16),
)


def files(folder: Path) -> list[bytes]:
    """Of all kinds: those of the folder that are not large, and our own."""
    return [*pictures(), *films_and_sounds(), *TEXTS, *of_folder(folder)]


@cache
def of_folder(folder: Path) -> tuple[bytes, ...]:
    """Its files, in the order of their paths; of large ones the start."""
    paths = sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
    found = []
    for path in paths:
        with open(path, "rb") as file:
            found.append(file.read(LARGEST_SEED))
    return tuple(found)

from __future__ import annotations

import gzip
import io
import json
import lzma
import random
import re
import struct
import tarfile
import wave
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_fs.mime import HEAD_BYTES, media_type
from dam_fs.mime_table import SIGNATURES, TEXT_NAMES


def of(content: bytes, name: str = "") -> str:
    """As the scanner asks: the head, the whole size, the name."""
    return media_type(content[:HEAD_BYTES], len(content), name)


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*before_data: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before_data) + pixels + chunk(b"IEND")


def tiff(*tags: tuple[int, int], order: str = "<", make: bytes = b"") -> bytes:
    """A TIFF whose directory has these tags, each a LONG, and the camera's make at its end."""
    count = len(tags) + bool(make)
    rows = [struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags]
    if make:
        rows.append(struct.pack(order + "HHII", 0x010F, 2, len(make), 8 + 2 + 12 * count + 4))
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "IH", 8, count) + b"".join(rows) + bytes(4) + make


def box(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    return box(b"ftyp", major + bytes(4) + b"".join(compatible)) + box(b"free")


def moov(*handlers: bytes) -> bytes:
    return box(b"moov", b"".join(box(b"trak", box(b"hdlr", bytes(8) + kind + bytes(13))) for kind in handlers))


def ebml(kind: int, data: bytes) -> bytes:
    number = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return number + (0x4000 | len(data)).to_bytes(2, "big") + data


def matroska(doctype: bytes, *tracks: int) -> bytes:
    entries = b"".join(ebml(0xAE, b"\x83\x81" + bytes([kind])) for kind in tracks)
    return ebml(0x1A45DFA3, b"\x42\x82" + bytes([0x80 | len(doctype)]) + doctype) + ebml(0x1654AE6B, entries)


def ogg_page(packet: bytes, begins: bool = True) -> bytes:
    return b"OggS\0" + bytes([2 if begins else 0]) + bytes(20) + bytes([1, len(packet)]) + packet


def asf(*streams: str) -> bytes:
    body = b"".join(bytes.fromhex(guid) for guid in streams)
    return bytes.fromhex("3026B2758E66CF11A6D900AA0062CE6C") + struct.pack("<Q", 30 + len(body)) + bytes(6) + body


ASF_SOUND, ASF_PICTURE = "409E69F84D5BCF11A8FD00805F5C442B", "C0EF19BC4D5BCF11A8FD00805F5C442B"


def zipped(*names: str, first: str = "", compression: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        if first:
            archive.writestr("mimetype", first)
        for name in names:
            archive.writestr(name, b"content " * 8)
    return target.getvalue()


def tarred(form: int) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        member = tarfile.TarInfo("BMW/readme.txt")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    return target.getvalue()


def v7_tar() -> bytes:
    header = bytearray(tarred(tarfile.USTAR_FORMAT)[:512])
    header[257:512] = bytes(255)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def wav() -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(64))
    return target.getvalue()


MP3_FRAME = b"\xff\xfb\x90\xc4" + bytes(413)  # MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes
ADTS_FRAME = b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)  # 16 bytes
AC3_FRAME = b"\x0b\x77\0\0\x00\x40" + bytes(122)  # 48 kHz, 32 kbit/s: 128 bytes
EAC3_FRAME = b"\x0b\x77\x00\x1f\x00\x80" + bytes(58)  # frmsiz 31: 64 bytes


def id3(payload: bytes, cover: int = 0) -> bytes:
    parts = bytes((cover >> 7 * place) & 127 for place in (3, 2, 1, 0))
    return b"ID3\x04\0\0" + parts + bytes(cover) + payload


def iso9660(start: int = 32769) -> bytes:
    return bytes(start - 1) + b"\x01CD001\x01\0" + bytes(2040)


def targa(kind: int = 2, depth: int = 24) -> bytes:
    return bytes([0, 0, kind]) + bytes(5) + struct.pack("<HHHHBB", 0, 0, 4, 4, depth, 0) + bytes(4 * 4 * depth // 8)


def compound(*streams: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + b"".join(s.encode("utf-16-le") for s in streams)


SVG = "<svg xmlns='http://www.w3.org/2000/svg'/>"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0"

CONTENTS: list[tuple[str, bytes]] = [
    # pictures
    ("image/jpeg", JPEG),
    ("image/jpeg", b"\xff\xd8\xff\xe1\0\x10Exif\0\0MM"),
    ("image/jls", b"\xff\xd8\xff\xf7\0\x0b\x08"),
    ("image/png", png()),
    ("image/png", png(chunk(b"tEXt", b"acTL in words"))),
    ("image/apng", png(chunk(b"acTL", bytes(8)))),
    ("image/apng", png(chunk(b"tEXt", b"IDAT"), chunk(b"acTL", bytes(8)))),
    ("image/gif", b"GIF89a\x01\0\x01\0\0\0\0;"),
    ("image/bmp", b"BM" + struct.pack("<IIII", 58, 0, 54, 40) + bytes(40)),
    ("image/tiff", tiff((256, 4))),
    ("image/tiff", tiff((256, 4), order=">")),
    ("image/tiff", b"MM\0+\0\x08\0\0" + bytes(16)),
    ("image/tiff", b"II*\0\xff\xff\xff\xff"),
    ("image/tiff", tiff((0xFE, 0), (0x14A, 8), make=b"NIKON CORPORATION\0")),
    ("image/x-nikon-nef", tiff((0xFE, 1), (0x14A, 8), make=b"NIKON CORPORATION\0")),
    ("image/x-sony-arw", tiff((0xFE, 1), (0x14A, 8), make=b"SONY\0")),
    ("image/x-adobe-dng", tiff((0xC612, 0x401), order=">", make=b"Leica\0")),
    ("image/x-canon-cr2", b"II*\0\x10\0\0\0CR\x02\0"),
    ("image/x-canon-cr3", ftyp(b"crx ", b"crx ", b"isom")),
    ("image/x-fuji-raf", b"FUJIFILMCCD-RAW 0201"),
    ("image/x-olympus-orf", b"IIRO\x08\0\0\0"),
    ("image/x-panasonic-rw2", b"IIU\0\x18\0\0\0"),
    ("image/vnd.adobe.photoshop", b"8BPS\0\x01" + bytes(6)),
    ("image/vnd.microsoft.icon", struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 40, 22)),
    ("image/x-win-bitmap", struct.pack("<HHHBBBBHHII", 0, 2, 1, 16, 16, 0, 0, 1, 1, 40, 22)),
    ("image/x-tga", targa()),
    ("image/x-tga", targa(kind=3, depth=8)),
    ("image/x-portable-bitmap", b"P1\n# made by hand\n2 2\n1 0 0 1\n"),
    ("image/x-portable-graymap", b"P5 2 2 255\n\0\1\2\3"),
    ("image/x-portable-pixmap", b"P6\n1 1\n255\n\xff\0\0"),
    ("image/x-portable-arbitrarymap", b"P7\nWIDTH 1\nHEIGHT 1\n"),
    ("image/x-qoi", b"qoif\0\0\0\x01\0\0\0\x01\x03\0"),
    ("image/x-exr", b"\x76\x2f\x31\x01\x02\0\0\0"),
    ("image/vnd.radiance", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n"),
    ("image/x-dds", b"DDS " + struct.pack("<I", 124) + bytes(120)),
    ("image/x-xcf", b"gimp xcf v011\0"),
    ("image/fits", b"SIMPLE  =                    T"),
    ("image/jp2", box(b"jP  ", b"\r\n\x87\n") + ftyp(b"jp2 ", b"jp2 ")),
    ("image/jpx", box(b"jP  ", b"\r\n\x87\n") + ftyp(b"jpx ", b"jp2 ")),
    ("video/mj2", box(b"jP  ", b"\r\n\x87\n") + ftyp(b"mjp2")),
    ("image/j2c", b"\xff\x4f\xff\x51\0\x2f"),
    ("image/jxl", b"\xff\x0a\xfa\x1f"),
    ("image/jxl", box(b"JXL ", b"\r\n\x87\n") + ftyp(b"jxl ")),
    ("image/webp", b"RIFF\x24\0\0\0WEBPVP8 "),
    ("image/avif", ftyp(b"avif", b"mif1")),
    ("image/avif", ftyp(b"avis", b"msf1")),
    ("image/avif", ftyp(b"mif1", b"miaf", b"avif")),
    ("image/heic", ftyp(b"heic", b"mif1")),
    ("image/heic", ftyp(b"mif1", b"heic")),
    ("image/heif", ftyp(b"mif1", b"mif1")),
    ("image/heic-sequence", ftyp(b"hevc", b"msf1")),
    ("image/vnd.djvu", b"AT&TFORM\0\0\x10\0DJVU"),
    ("image/vnd.zbrush.pcx", b"\x0a\x05\x01\x08" + struct.pack("<HHHH", 0, 0, 3, 3) + bytes(53) + b"\x01" + bytes(62)),
    ("image/emf", b"\x01\0\0\0" + bytes(36) + b" EMF"),
    ("image/wmf", b"\xd7\xcd\xc6\x9a\0\0"),
    ("image/x-sgi", b"\x01\xda\0\x01\0\x03\0\x04\0\x04"),
    ("image/x-portable-floatmap", b"PF\n4 3\n-1.0\n" + bytes(144)),
    ("image/x-portable-floatmap", b"Pf 4 3 1.0\n" + bytes(48)),
    ("image/x-xwindowdump", struct.pack(">6I", 107, 7, 2, 24, 4, 3) + bytes(90)),
    ("image/x-photo-cd", bytes(2048) + b"PCD_IPI" + bytes(64)),
    ("image/x-blp", b"BLP2" + bytes(32)),
    ("image/bmp", struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0) + bytes(48)),
    ("application/mxf", bytes.fromhex("060e2b34020501010d0102010102040083000070") + bytes(32)),
    ("video/x-nut", b"nut/multimedia container\0NM" + bytes(16)),
    ("video/vnd.radgamettools.smacker", b"SMK2" + bytes(100)),
    ("video/vnd.radgamettools.bink", b"BIKi" + bytes(40)),
    ("image/x-eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"),
    ("image/x-eps", b"\xc5\xd0\xd3\xc6\x1e\0\0\0"),
    ("application/postscript", b"%!PS-Adobe-3.0\n%%Pages: 3\n% EPSF- comes later\n"),
    ("image/svg+xml", SVG.encode()),
    ("image/svg+xml", f"<?xml version='1.0'?>\n<!-- <html> -->\n<!DOCTYPE svg>\n{SVG}".encode()),
    ("image/svg+xml", ('<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a ">">]>' + SVG).encode("utf-16")),
    ("image/svg+xml", b"<svg:svg xmlns:svg='http://www.w3.org/2000/svg'/>"),
    ("image/x-xbitmap", b"#define dot_width 8\n#define dot_height 8\nstatic char dot_bits[] = {"),
    ("image/x-xpixmap", b"/* XPM */\nstatic char *dot[] = {"),
    # sound
    ("audio/mpeg", MP3_FRAME * 3),
    ("audio/mpeg", MP3_FRAME),
    ("audio/mpeg", MP3_FRAME + b"TAG" + bytes(125)),
    ("audio/mpeg", id3(MP3_FRAME, cover=100)),
    ("audio/mpeg", id3(MP3_FRAME, cover=HEAD_BYTES)),
    ("audio/flac", b"fLaC\0\0\0\x22"),
    ("audio/flac", id3(b"fLaC\0\0\0\x22", cover=50)),
    ("audio/flac", id3(id3(b"fLaC\0\0\0\x22"))),
    ("audio/aac", ADTS_FRAME * 3),
    ("audio/aac", id3(ADTS_FRAME * 2)),
    ("audio/aac", b"ADIF\0\x3e\x80"),
    ("audio/ac3", AC3_FRAME * 2),
    ("audio/eac3", EAC3_FRAME * 2),
    ("audio/x-wavpack", b"wvpk\x20\0\0\0"),
    ("audio/x-ape", b"MAC \x96\x0f\0\0"),
    ("audio/x-musepack", b"MP+\x07\0\0\0\0"),
    ("audio/x-musepack", b"MPCKSH\x0f\0"),
    ("audio/x-dsf", b"DSD \x1c\0\0\0"),
    ("audio/x-dff", b"FRM8" + bytes(8) + b"DSD "),
    ("audio/midi", b"MThd\0\0\0\x06"),
    ("audio/midi", b"RIFF\x24\0\0\0RMIDdata"),
    ("audio/amr", b"#!AMR\n\x3c"),
    ("audio/basic", b".snd\0\0\0\x18"),
    ("audio/x-caf", b"caff\0\x01\0\0"),
    ("audio/aiff", b"FORM\0\0\0\x20AIFFCOMM"),
    ("audio/wav", wav()),
    ("audio/mp4", ftyp(b"M4A ", b"mp42")),
    ("audio/mp4", ftyp(b"isom") + moov(b"soun", b"text")),
    ("audio/3gpp", ftyp(b"3gp5") + moov(b"soun")),
    ("audio/ogg", ogg_page(b"\x01vorbis") + ogg_page(b"\x03vorbis", begins=False)),
    ("audio/ogg", ogg_page(b"OpusHead")),
    ("audio/x-ms-wma", asf(ASF_SOUND)),
    ("audio/webm", matroska(b"webm", 2)),
    ("audio/x-mod", b"title" + bytes(1075) + b"M.K." + bytes(64)),
    # moving pictures
    ("video/mp4", ftyp(b"isom", b"avc1")),
    ("video/mp4", ftyp(b"mp42") + moov(b"vide", b"soun")),
    ("video/mp4", ftyp(b"M4V ")),
    ("video/mp4", ftyp(b"????")),
    ("video/3gpp", ftyp(b"3gp4")),
    ("video/3gpp2", ftyp(b"3g2a")),
    ("video/quicktime", ftyp(b"qt  ")),
    ("video/quicktime", box(b"wide") + box(b"mdat", bytes(16))),
    ("video/quicktime", b"\0\0\0\x01moov" + struct.pack(">Q", 24) + bytes(8)),
    ("audio/mp4", ftyp(b"isom") + b"\0\0\0\x01mdat" + struct.pack(">Q", 20) + bytes(4) + moov(b"soun")),
    ("video/mp4", ftyp(b"isom") + b"\0\0\0\0mdat" + moov(b"soun")),
    ("video/webm", matroska(b"webm", 1, 2)),
    ("video/x-matroska", matroska(b"matroska", 1, 2)),
    ("video/ogg", ogg_page(b"fishead\0") + ogg_page(b"\x01vorbis") + ogg_page(b"\x80theora")),
    ("video/x-ms-wmv", asf(ASF_SOUND, ASF_PICTURE)),
    ("video/x-ms-asf", asf()),
    ("video/x-msvideo", b"RIFF\x24\0\0\0AVI LIST"),
    ("video/mp2t", (b"\x47\x40\0\x10" + bytes(184)) * 8),
    ("video/mp2t", (b"\x12\x34\x56\x78\x47\x40\0\x10" + bytes(184)) * 8),
    ("video/mpeg", b"\0\0\x01\xba\x44\0\x04\0"),
    ("video/x-flv", b"FLV\x01\x05\0\0\0\x09"),
    ("video/x-flc", struct.pack("<IHHHHH", 99, 0xAF12, 3, 8, 8, 8)),
    ("application/vnd.adobe.flash.movie", b"CWS\x08\xb3\x20\x07\0"),
    # archives
    ("application/zip", zipped("a.txt")),
    ("application/zip", zipped("word/list.txt", "xl/list.txt")),
    ("application/zip", zipped("mimetype.txt", first="image/jpeg")),
    ("application/zip", zipped(first="application/epub+zip", compression=zipfile.ZIP_DEFLATED)),
    ("application/zip", b"PK\x05\x06" + bytes(18)),
    ("application/epub+zip", zipped("META-INF/container.xml", first="application/epub+zip")),
    ("application/vnd.oasis.opendocument.text", zipped(first="application/vnd.oasis.opendocument.text")),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml", compression=zipfile.ZIP_DEFLATED),
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        zipped("[Content_Types].xml", "xl/workbook.xml"),
    ),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        zipped("[Content_Types].xml", "ppt/presentation.xml"),
    ),
    ("application/vnd.android.package-archive", zipped("META-INF/MANIFEST.MF", "AndroidManifest.xml")),
    ("application/java-archive", zipped("META-INF/MANIFEST.MF", "Main.class")),
    ("application/vnd.rar", b"Rar!\x1a\x07\0\xcf\x90"),
    ("application/vnd.rar", b"Rar!\x1a\x07\x01\0\xf3"),
    ("application/x-7z-compressed", b"7z\xbc\xaf\x27\x1c\0\x04"),
    ("application/x-tar", tarred(tarfile.USTAR_FORMAT)),
    ("application/x-tar", tarred(tarfile.GNU_FORMAT)),
    ("application/x-tar", v7_tar()),
    ("application/gzip", gzip.compress(b"hello")),
    ("application/x-compress", b"\x1f\x9d\x90\0"),
    ("application/x-bzip2", b"BZh91AY&SY\0\0"),
    ("application/x-xz", lzma.compress(b"hello")),
    ("application/x-lzma", lzma.compress(b"hello", lzma.FORMAT_ALONE)),
    ("application/zstd", b"\x28\xb5\x2f\xfd\x24\0"),
    ("application/x-lz4", b"\x04\x22\x4d\x18\x64\x40"),
    ("application/vnd.ms-cab-compressed", b"MSCF\0\0\0\0\x10\0"),
    ("application/x-archive", b"!<arch>\n/               "),
    ("application/vnd.debian.binary-package", b"!<arch>\ndebian-binary   "),
    ("application/x-cpio", b"070701" + b"0" * 104 + b"TRAILER!!!\0"),
    # disc images
    ("application/x-iso9660-image", iso9660()),
    ("application/x-iso9660-image", iso9660(37657)),
    ("application/x-cso", b"CISO" + struct.pack("<IQI", 0, 1 << 20, 2048) + b"\x01\0\0\0"),
    ("application/x-zso", b"ZISO" + struct.pack("<IQI", 24, 1 << 20, 2048) + b"\x01\0\0\0"),
    ("application/x-sfo", b"\0PSF\x01\x01\0\0"),
    ("application/x-pbp", b"\0PBP\0\0\x01\0"),
    # documents, fonts, programs, data
    ("application/pdf", b"%PDF-1.7\n%\xe2\xe3\n"),
    ("application/pdf", bytes(range(200)) + b"\n%PDF-1.4\n1 0 obj\n<<>>"),
    ("application/rtf", b"{\\rtf1\\ansi hello}"),
    ("application/msword", compound("Root Entry", "WordDocument")),
    ("application/vnd.ms-excel", compound("Root Entry", "Workbook")),
    ("application/x-ole-storage", compound("Root Entry")),
    ("font/woff2", b"wOF2\0\x01\0\0"),
    ("font/ttf", b"\0\x01\0\0\0\x0c\0\x80\0\x03\0\x40OS/2"),
    ("font/otf", b"OTTO\0\x0c"),
    ("application/x-elf", b"\x7fELF\x02\x01\x01\0"),
    (
        "application/vnd.microsoft.portable-executable",
        b"MZ\x90\0" + bytes(56) + struct.pack("<I", 64) + b"PE\0\0",
    ),
    ("application/x-mach-binary", b"\xca\xfe\xba\xbe\0\0\0\x02"),
    ("application/java-vm", b"\xca\xfe\xba\xbe\0\0\0\x34"),
    ("application/wasm", b"\0asm\x01\0\0\0"),
    ("application/vnd.sqlite3", b"SQLite format 3\0\x10\0"),
    # text
    ("text/plain", b"Hello, world\n"),
    ("text/plain", b"\x1b[1mbold\x1b[0m\x0c\r\n\tand tabs"),
    ("text/plain", b"\xef\xbb\xbfwith a mark"),
    ("text/plain", "Grüße aus Köln".encode()),
    ("text/plain", "Grüße aus Köln".encode("latin-1")),
    ("text/plain", "Съешь же ещё этих мягких французских булок".encode("cp1251")),
    ("text/plain", "Grüße".encode("utf-16")),
    ("text/plain", "Grüße".encode("utf-32")),
    ("text/html", b"<!DOCTYPE html>\n<title>x</title>"),
    ("text/html", b"  <!-- c -->\n<HTML lang=en>"),
    ("application/xhtml+xml", b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>'),
    ("application/xml", b'<?xml version="1.0"?>\n<note/>'),
    ("application/xml", '<?xml version="1.0" encoding="latin-1"?>\n<n>é</n>'.encode("latin-1")),
    ("application/rdf+xml", "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta/>".encode()),
    ("application/json", b'{"a": [1, 2]}'),
    ("application/json", json.dumps([{"a": 1}] * 20_000).encode()),
    ("text/x-shellscript", b"#!/bin/sh\nexit\n"),
    ("text/x-python", b"#!/usr/bin/env -S python3.11 -u\n"),
    ("text/vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nhello\n"),
]


@pytest.mark.parametrize(("expected", "content"), CONTENTS, ids=[f"{i}-{kind}" for i, (kind, _) in enumerate(CONTENTS)])
def test_the_content_decides(expected: str, content: bytes) -> None:
    assert of(content) == expected


BINARY = [(kind, content) for kind, content in CONTENTS if not kind.startswith("text/")]


@pytest.mark.parametrize("name", ["holiday.jpg", "notes.txt", "song.mp3", "a.b/c", ".hidden", "x.", "\udcff.html"])
@pytest.mark.parametrize(("expected", "content"), [row for row in BINARY if row[0].startswith(("image/", "video/"))])
def test_a_wrong_extension_changes_nothing(expected: str, content: bytes, name: str) -> None:
    assert of(content, name) == expected


@pytest.mark.parametrize(
    ("expected", "content", "name"),
    [
        ("text/markdown", b"# Title\n", "README.md"),
        ("text/markdown", b"# Title\n", "README.MD"),
        ("text/csv", b"a,b\n1,2\n", "table.csv"),
        ("text/csv", "größe\n1\n".encode("latin-1"), "table.csv"),
        ("application/xml", b"<note/>", "note.xml"),
        ("application/geo+json", b'{"type": "Point"}', "here.geojson"),
        ("application/x-ndjson", b'{"a": 1}\n{"a": 2}\n', "log.jsonl"),
        ("application/vnd.comicbook+zip", zipped("01.jpg"), "comic.cbz"),
        ("application/vnd.comicbook-rar", b"Rar!\x1a\x07\x01\0", "comic.cbr"),
        ("application/vnd.rar", b"Rar!\x1a\x07\x01\0", "comic.cbz"),
        ("application/zip", zipped("01.jpg"), "comic.epub"),
        ("application/vnd.ms-powerpoint", compound(), "slides.ppt"),
        ("image/x-pentax-pef", tiff(make=b"PENTAX\0"), "IMGP0001.PEF"),
        ("image/tiff", tiff((256, 1)), "IMGP0001.PEF"),
        ("audio/mp4", ftyp(b"isom") + box(b"mdat", bytes(HEAD_BYTES)), "book.m4b"),
        ("video/mp4", ftyp(b"isom") + moov(b"vide"), "not-really.m4a"),
        ("audio/flac", id3(b"", cover=HEAD_BYTES), "big-cover.flac"),
        ("audio/x-matroska", matroska(b"matroska"), "song.mka"),
    ],
)
def test_the_name_refines_what_the_content_says(expected: str, content: bytes, name: str) -> None:
    if name == "song.mka":
        content = content[: content.index(b"\x16\x54\xae\x6b")]
    assert of(content, name) == expected


@pytest.mark.parametrize("suffix", sorted({*TEXT_NAMES, "jpg", "mp4", "cbz", "nef"}))
def test_the_name_alone_decides_nothing(suffix: str) -> None:
    assert of(b"\x99\x01\x02\x03\x04\x05", f"file.{suffix}") == "application/octet-stream"


def test_a_jpeg_with_a_zip_behind_it_is_a_jpeg() -> None:
    assert of(JPEG + zipped("hidden.txt"), "picture.zip") == "image/jpeg"


def test_a_zip_that_stores_a_document_is_a_zip() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("inner.docx", zipped("[Content_Types].xml", "word/document.xml"))
    assert of(target.getvalue()) == "application/zip"


@pytest.mark.parametrize(
    "prose",
    [
        b"free speech is what this letter is about",
        b"The free encyclopedia",
        b"MAC addresses, and how to read them",
        b"BMW and MZ built motorcycles, RIFF or no RIFF, ID3 or not",
        b"BM",
        b"ID3 tags are old",
        b"GIF87 was before",
        b"RIFF of the song",
        b"OggS is the capture pattern",
        b"FORM follows function",
        b"P1 is a projector, P6 1 another",
        b"PK stands for Phil Katz",
        b"%PDF is how it starts; ftyp is at 4",
        b"bold: **ACE**, and -lh5- too",
        b"070701 was a Saturday",
        b"[1] is a footnote",
        b"#!",
        b"#!/opt/unknown/thing\n",
        b"< less than >",
        b"P1" + b" " * 5000,
        b"<!" * 20_000,
        b"[" * 60_000,
        b"G" * 2000,
    ],
)
def test_prose_that_begins_like_a_binary_file_is_text(prose: bytes) -> None:
    assert of(prose) == "text/plain"


def test_text_may_be_cut_within_a_character() -> None:
    content = b"a" + "ü".encode() * HEAD_BYTES
    assert content[:HEAD_BYTES][-1] == 0xC3
    assert of(content) == "text/plain"


def test_an_empty_file_has_a_type_of_its_own() -> None:
    assert media_type(b"", 0, "empty.jpg") == "application/x-empty"


def test_a_file_of_which_nothing_was_read_is_unknown() -> None:
    assert media_type(b"", 100, "unread.jpg") == "application/octet-stream"


def test_one_byte_is_text_or_unknown() -> None:
    kinds = {bytes([code]): of(bytes([code])) for code in range(256)}
    assert {byte for byte, kind in kinds.items() if kind == "text/plain"} == {
        bytes([code]) for code in (*b"\t\n\f\r\x1b", *range(32, 127))
    }
    assert set(kinds.values()) == {"text/plain", "application/octet-stream"}


@pytest.mark.parametrize("length", [64, 1000, HEAD_BYTES, HEAD_BYTES + 1])
def test_noise_is_unknown(length: int) -> None:
    noise = random.Random(length)
    # An even first byte that begins no signature: two letters do occur in noise.
    assert {of(b"\x92" + noise.randbytes(length - 1)) for _ in range(100)} == {"application/octet-stream"}


def test_zeros_are_unknown() -> None:
    assert of(bytes(HEAD_BYTES)) == "application/octet-stream"


def test_what_the_own_table_lacks_is_found_by_puremagic() -> None:
    assert of(b"\0\1\0\0MSISAM Database" + bytes(range(60))) == "application/x-msmoney"


def is_media_type(text: str) -> bool:
    return re.fullmatch(r"[a-z]+/[a-z0-9][a-z0-9.+-]*", text) is not None


def test_every_type_of_the_table_is_well_formed() -> None:
    assert [row for row in SIGNATURES if not is_media_type(row[2])] == []


@given(st.binary(max_size=400), st.integers(0, 2**63), st.text(max_size=12))
@settings(deadline=None)
def test_any_bytes_have_a_well_formed_type(head: bytes, size: int, name: str) -> None:
    assert is_media_type(media_type(head, size, name))


@given(st.sampled_from(SIGNATURES), st.binary(max_size=400), st.integers(0, 2**63), st.sampled_from(["", "a.nef"]))
@settings(deadline=None, max_examples=600)
def test_a_magic_number_before_anything_has_a_well_formed_type(
    row: tuple[int, bytes, str], rest: bytes, size: int, name: str
) -> None:
    offset, magic, _ = row
    assert is_media_type(media_type(bytes(offset) + magic + rest, size, name))


@given(st.sampled_from(CONTENTS), st.data())
@settings(deadline=None, max_examples=600)
def test_a_damaged_file_has_a_well_formed_type(row: tuple[str, bytes], data: st.DataObject) -> None:
    content = bytearray(row[1][:4096])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    assert is_media_type(media_type(bytes(content[:cut]), len(row[1])))

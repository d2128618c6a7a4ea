"""Seeds of what is not a picture, a sound or a film: things that our parsers read, right ones and ones with a twist."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

from dam.analysis.wire import BYTEARRAY, CHUNK, DICT, JOINED, LIST, RANGE, packed
from dam.analysis.worker import ERROR, FACTS, LOADED
from dam_fs.receipts import Receipt, lines_of
from dam_media_audio.facts import AudioTags, AudioTrack
from dam_media_image.facts import Camera, Frames, Position, Shot

RECEIPT = Receipt(
    hashlib.sha256(b"one").hexdigest(),
    "a.txt",
    "0" * 32,
    3,
    "text/plain",
    "/x/a.txt",
    5,
    at="2026-01-01T00:00:00+00:00",
)
RECEIPTS = [
    lines_of([RECEIPT]),
    lines_of([Receipt(RECEIPT.sha256, "b", at="x"), Receipt(RECEIPT.sha256, "b", deleted=True, at="x")]),
    lines_of([Receipt("0" * 64, "c", "f" * 32, 1, "image/png", "/y/\udcff", 1, copied=False, at="1970-01-01")]),
    lines_of([Receipt(hashlib.sha256(b"two").hexdigest(), derived=True, at="9999-12-31T23:59:59-12:00")]),
    *(
        json.dumps(
            {"sha256": RECEIPT.sha256, "md5": RECEIPT.md5, "size": 3, "media_type": "a/b", "path": "/p", key: value}
        ).encode()
        for key, value in [
            ("size", "3"),
            ("size", 1 << 70),
            ("path", "\0"),
            ("path", 3),
            ("at", 5),
            ("md5", "zz"),
            ("md5", "00"),
            ("name", ["x"]),
            ("name", "\ud800"),
            ("mtime_ns", 1.5),
            ("mtime_ns", 1 << 65),
            ("copied", 0),
            ("copied", "no"),
            ("media_type", 7),
            ("at", "0001-01-01T00:00:00+14:00"),
            ("path", "\ud800"),
            ("sha256", RECEIPT.sha256.upper()),
            ("size", -1),
            ("name", "a\nb"),
            ("sha256", "0 " * 32),
        ]
    ),
]
CONFIGURATIONS = [
    (
        b'default_world = "a"\n[worlds.a]\ndatabase_url = "sqlite+aiosqlite:///a.db"\nplugins = ["dam-fs"]\n'
        b'[worlds.a.settings.dam-fs]\nstorage_path = "s"\n'
    ),
    (
        b'[worlds.a]\ndatabase_url = "postgresql+asyncpg://me@host/db"\ndatabase_password = { env = "X" }\nanalysis_workers = 2\n'
        b'[worlds.b-c]\nfolder = "~/x"\n'
    ),
    b'[worlds]\na = { plugins = ["dam-fs", "dam-media-image"], settings = { dam-fs = { readers = 4, ignore_file = ".x" } } }\n',
    b'[worlds.a]\ndatabase_url = "sqlite+aiosqlite:///~nobody-of-that-name/a.db"\n',
    b"[worlds.a]\nx = [[[[]]]]\n",
    b'[worlds.a]\nfolder = "~nobody-of-that-name/x"\nanalysis_time_limit = nan\n',
    b'[worlds."x y"]\n',
    b"worlds = 3\n",
    b"default_world = 1979-05-27\n",
]
URLS = [
    b"sqlite+aiosqlite:///a.db",
    b"postgresql+asyncpg://me:x@host:5432/db?ssl=1",
    b"s3:bucket/key",
    b"postgresql+asyncpg://[::1]:99999/x",
    b"memory:",
    b"http://a@b@c/?password=1",
    b"sqlite+aiosqlite:///:memory:",
    b"sqlite+aiosqlite:///file:a?uri=true",
    b"file:///x",
]
IGNORED = [
    b"*.txt\n!b.txt\n/deep/\n**/c.md\n",
    b"[a-z]?\n\\#x\n#c\n\n",
    b"*a*a*a*a*a*a*a*a*a*c\n",
    b"**/a/**/a/**/a/**\n",
    b"[z-a]\n[!x\n[^]]\n",
    b"a\\\n",
    b"/**/**/x\n",
    b"(?:a+)+$\n",
    b"[[:alpha:]]*\n",
    b"*?*?*?*?*?*?*?*?*?*?*?c\n",
]
TAGS = [
    b"title=A\nartist=B\nartist=C\ntrack=2/3\ndisc=1\ndate=2001-02-03\ncomment=x\ngenre=(12)\n",
    b"TRACKNUMBER=02\ntrackc=9\nyear=20010203\n",
    "track=٣/٤\nyear=٢٠٠١\n".encode(),
    b"album=" + b"x" * 6000,
    b"title=\xed\xa0\x80\n",
]
NAMED = [
    b"a.txt",
    b"../../etc/passwd",
    b"/etc/passwd",
    b"..",
    b".",
    b"",
    b"CON.txt",
    b"com1",
    b"a" * 300 + b".txt",
    b"x." + b"y" * 300,
    b"\xff\xfe.jpg",
    "a\u202egpj.exe".encode(),
    b"C:\\x",
    b"a\nb\n../c\n\n.dam-export-00000000.lock\na (2).txt\n",
    b".dam-export-x",
    "é".encode() * 200,
    b" . ",
    b"nul",
    b"a.txt\na.txt\nA.TXT\na (2).txt",
    b"\xed\xa0\x80x",
    b"~",
    b"\0",
]
QUANTITIES = [
    b"90s",
    b"1h30m",
    b"0",
    b"7d",
    b"3/10",
    b"5%",
    b"0.5%",
    b"100%",
    b"1.5h2m",
    "٣/٤".encode(),
    b"9" * 400 + b"w",
    b"1e3s",
    b"-5%",
    b" 1s",
]
HASHED = [
    b"sha256 " + b"0" * 64,
    b"md5 " + b"f" * 32,
    b"MD5 " + b"00 " * 16,
    b"sha1 x",
    b"sha256 " + "٠".encode() * 64,
]
MARKS = [
    b'{"store": "0b52e7f2-7a2c-4c53-9d0f-111111111111", "format": 1}',
    b'{"format": 1}',
    b"[]",
    b'{"store": null}',
    b'{"store": {"a": [1]}}',
    b"",
]
SAID = [
    b"plain",
    b"\x1b]0;title\x07",
    b"a\nb",
    "\u202e\u2028\x9b31m".encode(),
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "e\u0301\u200f".encode(),
    b"\t\r\x08",
    b'"\\',
    "\U000e0001\U0010ffff\ue000".encode(),
]
FOUND = [
    FACTS
    + packed(
        Shot(Camera(datetime(2001, 2, 3, 4, 5, 6), 60, "a", "b", "c", 0.1, 2.8, 400, 50.0, 1), Position(1.0, 2.0, None))
    ),
    FACTS + packed([AudioTrack(0, "mp3", 1.5, 44100, 2, 128000)]),
    FACTS + packed(AudioTags(title="x")),
    FACTS + packed(Frames(2, 1.0, 2.0)),
    FACTS + packed({"a": [1, (2.5, b"x" * 100)], "b": {1, 2}, (1, 2): frozenset({"\udcff"}), None: deque([1], 3)}),
    FACTS
    + packed(
        [
            10**40,
            -(1 << 64),
            OrderedDict(a=1j),
            range(3),
            bytearray(b"x"),
            Decimal("-1.5E+9"),
            datetime(2001, 2, 3, tzinfo=timezone(timedelta(hours=1), "x"), fold=1),
            date(2001, 2, 3),
            time(4, 5),
        ]
    ),
    FACTS + packed([*range(CHUNK + 1)]),
    ERROR + b"ValueError: \xff\0",
    LOADED,
    FACTS + b"\x91\xa9os:system",
    FACTS + b"\xdd\0\0\x40\0" * 1024,
    FACTS + b"\xdf\xff\xff\xff\xff",
    FACTS + b"\xd6\xff\0\0\0\1",
    FACTS + bytes([0x92, 0xCE, 0x7F, 0xFF, 0xFF, 0xFF, BYTEARRAY]),
    FACTS + bytes([0x93, 0x93, 0, 0xCE, 0x7F, 0xFF, 0xFF, 0xFF, RANGE, LIST, JOINED]),
    FACTS + bytes([0x92, 0x92, 0, 0, DICT]),
]

"""Our own parsers: whatever they are given, they answer, and keep what they promise of the answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import re
import sqlite3
import zlib
from binascii import crc32
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime
from functools import cache
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

import inputs
import seeds
from ingest import rebuilt
from targets import Target

from dam.analysis.blob import Blob
from dam.analysis.jobs import Failure
from dam.analysis.process import found
from dam.analysis.worker import describe
from dam.core.backup_files import read_backup, seal, unpack
from dam.core.content import ContentSource
from dam.core.databases import database_file, parse_url, without_secrets
from dam.core.exceptions import BackupError, DamError, SettingsError
from dam_app.config import load_configuration
from dam_app.output import Output, path_fields, safe
from dam_app.quantities import duration, share, subset
from dam_app.render import print_asset, print_listing
from dam_app.services import Asset, Listed, paths_from, wanted_digest
from dam_fs.exceptions import StorageError
from dam_fs.export import ExportFolder, Wanted
from dam_fs.mime import HEAD_BYTES, media_type
from dam_fs.models import FilePropertiesComponent, OriginalSourceInfoComponent
from dam_fs.names import DIRECTIONS, file_name, numbered
from dam_fs.receipts import lines_of, named_in, receipts_in
from dam_fs.scan import Found, ScanRules, scan
from dam_fs.storage import MARK, LocalStorage
from dam_fs.storages import open_storage
from dam_media_audio.facts import COMMENT_LENGTH, TEXT_LENGTH
from dam_media_audio.tags import tags_of
from dam_media_image.camera import shot
from dam_media_image.facts import Camera
from dam_media_image.frames import frames
from dam_media_image.models import CameraComponent
from dam_media_video.swf import HEAD_BYTES as FLASH_HEAD
from dam_media_video.swf import stage
from dam_test_utils.samples import png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAMES = (
    "",
    "a.md",
    "a.cbz",
    "a.JPG",
    "a.nef",
    "a.mka",
    "a.m4a",
    "a.aac",
    ".x",
    "a.\udcff",
    "a.html",
    "a.geojson",
    "a.weba",
    "a.flac",
)
MEDIA_TYPE = re.compile(r"[a-z]+/[a-zA-Z0-9][a-zA-Z0-9.+-]{0,126}")
RAW_CONTROLS = re.compile(f"[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{DIRECTIONS}\ud800-\udfff]")
DIGITS = re.compile("[0-9a-f]{64}")
INTEGERS = 1 << 63


def text_of(content: bytes) -> str:
    """Any text: bytes that are not UTF-8 as paths have them, and half characters where the input has them."""
    handlers = ("surrogatepass", "surrogateescape") if content[:1] > b"\x80" else ("surrogateescape",)
    for handler in handlers:
        with suppress(UnicodeDecodeError):
            return content.decode("utf-8", handler)
    return content.decode("latin-1")


def written(folder: Path, content: bytes, name: str = "input") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def mime(content: bytes, folder: Path) -> None:
    name = NAMES[crc32(content) % len(NAMES)]
    for size in (len(content), max(len(content) * 3, 1 << 20)):
        kind = media_type(content[:HEAD_BYTES], size, name)
        assert MEDIA_TYPE.fullmatch(kind), kind


def animation(content: bytes, folder: Path) -> None:
    path = written(folder, content)
    for kind in ("image/gif", "image/apng", "image/webp"):
        told = frames(Blob(str(path), len(content), kind))
        assert told is None or told.number > 1
        if told is not None and told.duration is not None:
            assert told.rate is not None
            assert math.isfinite(told.rate)
            assert told.duration > 0


def flash(content: bytes, folder: Path) -> None:
    told = stage(content[:FLASH_HEAD])
    assert told is None or 0 < min(told.width, told.height) <= max(told.width, told.height) < 1 << 31
    assert told is None or (0 <= told.frames < 1 << 16 and 0 <= told.rate < 256)


def exif(content: bytes, folder: Path) -> None:
    """The input is the EXIF of an otherwise right PNG."""
    picture = png(1, 1, (0, 0, 0))
    chunk = len(content).to_bytes(4, "big") + b"eXIf" + content + zlib.crc32(b"eXIf" + content).to_bytes(4, "big")
    path = written(folder, picture[:33] + chunk + picture[33:])
    with Blob(str(path), path.stat().st_size, "image/png") as blob:
        camera, position = shot(blob)
    texts = (camera.make, camera.model, camera.lens)
    assert all(text is None or ("\0" not in text and text.encode() and len(text) <= 255) for text in texts)
    numbers = (camera.exposure_seconds, camera.f_number, camera.focal_length_mm, *(position or ()))
    assert all(number is None or math.isfinite(number) for number in numbers)
    assert camera.iso is None or 0 < camera.iso < 1 << 31
    assert camera.offset_minutes is None or abs(camera.offset_minutes) <= 14 * 60
    assert position is None or (abs(position.latitude) <= 90 and abs(position.longitude) <= 180)


def tags(content: bytes, folder: Path) -> None:
    pairs = (line.partition("=") for line in text_of(content).split("\n"))
    told = tags_of((name, value) for name, _, value in pairs)
    for field, value in told._asdict().items():
        if isinstance(value, int):
            assert 0 < value < 1 << 31, field
        elif value is not None:
            assert value
            assert "\0" not in value
            assert value.encode(), field
            assert len(value) <= (COMMENT_LENGTH if field == "comment" else TEXT_LENGTH)


def receipts(content: bytes, folder: Path) -> None:
    found = list(receipts_in(content.splitlines(keepends=True)))
    for each in found:
        assert DIGITS.fullmatch(each.sha256), each
        assert isinstance(each.name, str)
        assert all(
            isinstance(each_text, str) or each_text is None for each_text in (each.md5, each.media_type, each.path)
        )
        assert all(type(n) is int and -INTEGERS <= n < INTEGERS for n in (each.size, each.mtime_ns) if n is not None)
        assert all(isinstance(flag, bool) for flag in (each.copied, each.deleted, each.derived))
        assert each.path is None or os.fsencode(each.path).find(b"\0") < 0
        assert os.fsencode(each.name) is not None
        assert list(receipts_in(lines_of([each]).splitlines())) == [each] or not each.at
    named_in(content.splitlines(), {each.sha256 for each in found})


def rebuild(content: bytes, folder: Path) -> None:
    """A database is made again from a store whose receipts are the input."""
    asyncio.run(rebuilt(content, folder))


def ignore_file(content: bytes, folder: Path) -> None:
    tree = folder / "tree"
    (tree / "deep" / ("a" * 120)).mkdir(parents=True)
    for name in ("a" * 200, "b.txt", "deep/c.md", "deep/" + "a" * 120 + "/" + "ab" * 60):
        (tree / name).touch()
    written(tree, content, ".damignore")
    told = list(scan([str(tree)], ScanRules()))
    assert all(isinstance(each, Found) or each.reason for each in told)


def names(content: bytes, folder: Path) -> None:
    wanted = text_of(content)
    for windows in (False, True):
        name = file_name(wanted, windows=windows)
        for number in (1, 2, 10_000_000):
            last = numbered(name, number)
            assert last not in ("", ".", "..")
            assert not set(last) & set("/\\\0")
            assert not RAW_CONTROLS.search(last)
            assert len(os.fsencode(last)) <= 255
            assert os.path.dirname(os.path.normpath(os.path.join("/x", last))) == "/x"


def export(content: bytes, folder: Path) -> None:
    """Files whose names are the lines of the input are put into a folder."""
    target, temporaries = folder / "out", folder / "out" / ".dam-export-fuzz"
    temporaries.mkdir(parents=True)
    digest = hashlib.sha256(b"x").digest()
    wanted = [
        Wanted(text_of(line), 1, digest, [ContentSource(lambda: BytesIO(b"x"))], -(1 << 63))
        for line in content.split(b"\n")[:8]
    ]
    put = ExportFolder(str(target), str(temporaries)).put(wanted)
    assert {entry.name for entry in folder.iterdir()} == {"out"}
    for each in put:
        assert (each.path is None) == (each.problem is not None)
        if each.path is not None:
            assert os.path.dirname(os.path.realpath(each.path)) == os.path.realpath(target)
            assert os.path.isfile(each.path)


def quantities(content: bytes, folder: Path) -> None:
    text = text_of(content)
    for parse in (duration, share):
        try:
            number = parse(text)
        except ValueError as e:
            assert "; write a" in str(e)
        else:
            assert math.isfinite(number)
            assert number >= 0
    try:
        part, of = subset(text)
    except ValueError as e:
        assert "is no" in str(e)
    else:
        assert 1 <= part <= of


def hashes(content: bytes, folder: Path) -> None:
    kind, _, value = text_of(content).partition(" ")
    _, digest = wanted_digest(kind, value, None)
    assert len(digest) in (16, 32)


def lists_of_paths(content: bytes, folder: Path) -> None:
    path = written(folder, content)
    for null in (False, True):
        if null or b"\0" not in content:
            told = paths_from(str(path), null=null)
            assert all(told)
            assert all(os.fsencode(each) in content for each in told)


def configuration(content: bytes, folder: Path) -> None:
    path = written(folder, content, "dam.toml")
    read = load_configuration(str(path))
    for name in (None, "default", "a:1", "a:b:2"):
        try:
            chosen = read.choose(name)
            read.describe(chosen)
            assert isinstance(read.home, type(path))
        except DamError as e:
            assert e.message
    for name in read.configured:
        try:
            core = read.describe(name).core
            database_file(core.database_url)
        except DamError as e:
            assert e.message
    assert sorted(os.listdir(folder)) == ["dam.toml"]


def dotenv(content: bytes, folder: Path) -> None:
    written(folder, content, ".env")
    path = written(folder, b"[worlds.a]\n", "dam.toml")
    read = load_configuration(str(path))
    for name in read.configured:
        read.describe(name)


@cache
def backup_seed() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "backup")
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                "PRAGMA page_size=512; VACUUM;"
                "CREATE TABLE dam_entity (id INTEGER PRIMARY KEY); INSERT INTO dam_entity VALUES (1), (2);"
                "CREATE TABLE dam_alembic_version (version_num TEXT NOT NULL); INSERT INTO dam_alembic_version VALUES ('0001');"
                "CREATE TABLE t (entity_id INTEGER REFERENCES dam_entity (id), name TEXT); CREATE INDEX i ON t (name);"
                "INSERT INTO t VALUES (1, 'one'), (2, 'two');"
            )
        seal(path, "world", "sqlite")
        with open(path, "rb") as file:
            return file.read()


def resealed(content: bytes) -> bytes:
    """With a seal that is right, as whoever forges a backup would make it."""
    place = backup_seed().find(DIGITS_OF_SEAL)
    if not 0 <= place <= len(content) - 64:
        return content
    digest = hashlib.sha256(content[:place] + b"0" * 64 + content[place + 64 :]).hexdigest()
    return content[:place] + digest.encode() + content[place + 64 :]


def backup(content: bytes, folder: Path) -> None:
    for each in (content, resealed(content)):
        path = written(folder, each)
        try:
            told = read_backup(str(path))
            unpack(str(path), str(folder / "target"))
        except BackupError as e:
            assert str(path) in e.message
            continue
        finally:
            (folder / "target").unlink(missing_ok=True)
        assert isinstance(told.world, str)
        assert isinstance(told.database, str)
        assert {type(name) for name in told.rows} <= {str}
        assert {type(rows) for rows in told.rows.values()} <= {int}
        assert told.entities >= 0
        assert told.packages is not None


def store_mark(content: bytes, folder: Path) -> None:
    written(folder, content, MARK)
    told = LocalStorage(str(folder)).read_id()
    assert told is not None
    assert 0 < len(told) <= 36
    assert told.isprintable()


def output(content: bytes, folder: Path) -> None:
    text = text_of(content)
    check_terminal(safe(text))
    record = {
        "name": text,
        "list": [text, {text: text}],
        "number": float(len(text)),
        **path_fields(os.fsdecode(content)),
    }
    for as_json in (False, True):
        for say in (
            lambda out: out.item(record, safe(text)),
            lambda out: out.warning(text, name=text),
            lambda out: out.error(text, name=text),
            lambda out: out.note(text),
            lambda out: out.progress(record),
            lambda out: out.summary(record, text),
            lambda out: out.json or out.table(("a", "b"), [(text, text)]),
        ):
            check_said(*said(say, as_json), as_json=as_json)


def rendering(content: bytes, folder: Path) -> None:
    """An asset whose every text is from the input."""
    text = text_of(content)
    number = int.from_bytes(content[:8].ljust(8, b"\0"), "little", signed=True)
    path = os.fsdecode(content.replace(b"\0", b"")) or "x"
    asset = Asset(
        1,
        [
            FilePropertiesComponent(
                original_filename=text, size_bytes=abs(number), mime_type=text, added_at=datetime.now(UTC)
            ),
            OriginalSourceInfoComponent.of(path, number, number),
            CameraComponent(
                layer="embedded", **Camera(make=text, iso=1, f_number=1.5, captured_at=datetime.min)._asdict()
            ),
        ],
    )
    listed = Listed(1, text, abs(number), text, datetime.now(UTC))
    for as_json in (False, True):
        check_said(*said(lambda out: print_asset(out, asset), as_json), as_json=as_json)
        check_said(*said(lambda out: asyncio.run(print_listing(out, one(listed))), as_json), as_json=as_json)


async def one(listed: Listed) -> AsyncIterator[Listed]:
    yield listed


def said(say: Any, as_json: bool) -> tuple[str, str]:
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        say(Output(json=as_json))
    return out.getvalue(), err.getvalue()


def check_said(out: str, err: str, *, as_json: bool) -> None:
    check_terminal(out)
    check_terminal(err)
    if as_json:
        assert out.count("\n") == len(out.splitlines())
        for line in out.splitlines():
            assert json.loads(line, parse_constant=refused)["schema"] == 1


def refused(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def check_terminal(text: str) -> None:
    assert not (control := RAW_CONTROLS.search(text)), f"{control[0]!r} reaches the terminal"


def answers(content: bytes, folder: Path) -> None:
    """What a worker says, read by the world's process."""
    tag, body = content[:1], content[1:]
    for function in ("dam_media_image.camera:shot", "dam_media_audio.probe:properties"):
        told = found(tag, body, function)
        if isinstance(told, Failure):
            assert told.kind
            assert "\0" not in told.message
            assert len(told.message) <= 500
    text = describe(ValueError(text_of(content)), "/input", "shown")
    assert len(text.encode("utf-8", "backslashreplace").decode()) >= 0


def urls(content: bytes, folder: Path) -> None:
    url = text_of(content)
    assert isinstance(without_secrets(url), str)
    for parse in (parse_url, database_file, open_storage):
        try:
            parse(url)
        except SettingsError as e:
            assert e.message
    secret = "hunter2-".rjust(12, "x")
    assert secret not in without_secrets(f"postgresql://me:{secret}@{url}")


DIGITS_OF_SEAL = b""


def _seal_of(content: bytes) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(content)
        (digits,) = connection.execute("SELECT seal FROM dam_backup").fetchone()
    return str(digits).encode()


def backup_seeds(folder: Path) -> list[bytes]:
    return [backup_seed()]


def of(*seeds: bytes) -> Any:
    return lambda _: list(seeds)


PARSERS = [
    Target("mime", mime, seeds.files, longest=1 << 17),
    Target("frames", animation, lambda folder: [*seeds.pictures(), *seeds.of_folder(folder)], (ValueError,)),
    Target("flash", flash, lambda folder: [seeds.FLASH, seeds.COMPRESSED_FLASH, *flashes()], longest=2 * FLASH_HEAD),
    Target("exif", exif, lambda folder: list(seeds.exif_blocks()), longest=1 << 13),
    Target("tags", tags, of(*inputs.TAGS), longest=1 << 14),
    Target("receipts", receipts, of(*inputs.RECEIPTS), longest=1 << 14),
    Target("rebuild", rebuild, of(*inputs.RECEIPTS), longest=1 << 12),
    Target("ignore", ignore_file, of(*inputs.IGNORED), longest=1 << 10),
    Target("names", names, of(*inputs.NAMED), longest=1 << 11),
    Target("export", export, of(*inputs.NAMED), longest=1 << 11),
    Target("quantities", quantities, of(*inputs.QUANTITIES), longest=1 << 13),
    Target("hashes", hashes, of(*inputs.HASHED), (DamError,), longest=1 << 13),
    Target("paths", lists_of_paths, of(*inputs.NAMED, b"a\0b\0"), longest=1 << 12),
    Target("config", configuration, of(*inputs.CONFIGURATIONS), (DamError,), longest=1 << 13),
    Target(
        "dotenv",
        dotenv,
        of(
            b"DAM_WORLDS__A__FOLDER=x\nDAM_HOME='~/y'\n",
            b'export DAM_WORLD="a"\n# c\nX=${Y}\n',
            b'DAM_WORLDS={"a": {"folder": "z"}}',
        ),
        (DamError,),
        longest=1 << 13,
    ),
    Target("backup", backup, backup_seeds, longest=1 << 15),
    Target("mark", store_mark, of(*inputs.MARKS), (StorageError,), longest=1 << 14),
    Target("output", output, of(*inputs.SAID, *inputs.NAMED), longest=1 << 11),
    Target("rendering", rendering, of(*inputs.SAID, *inputs.NAMED), longest=1 << 11),
    Target("answers", answers, of(*inputs.FOUND), longest=1 << 13),
    Target("urls", urls, of(*inputs.URLS), longest=1 << 12),
]


def flashes() -> list[bytes]:
    import lzma

    body = seeds.FLASH[8:]
    packed = lzma.compress(body, lzma.FORMAT_ALONE)
    zipped = b"CWS\x08\x40\0\0\0" + zlib.compress(body)
    return [zipped, b"ZWS\x0d\x40\0\0\0" + len(packed[13:]).to_bytes(4, "little") + packed[:5] + packed[13:]]


DIGITS_OF_SEAL = _seal_of(backup_seed())

"""The ingest as a whole: folders of damaged files with odd names go into a world with all plugins, and out again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from contextlib import asynccontextmanager, closing, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import seeds
from mutating import Mutator
from sqlalchemy import select
from targets import Target

from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import WorldConfig
from dam_app.output import Output
from dam_app.render import print_asset, print_failures, print_listing
from dam_app.services import describe_entities, failed_analyses, newest_assets
from dam_fs.commands import (
    AddAssetsCommand,
    AssetExported,
    AssetOutcome,
    ExportCommand,
    ExportStatus,
    Finding,
    OutcomeStatus,
    RebuildCommand,
    VerifyCommand,
)
from dam_fs.models import ContentHashSha256Component
from dam_fs.plugin import FsPlugin
from dam_fs.resources import FileOperationsResource
from dam_fs.settings import FsSettings
from dam_fs.storage import MARK
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.plugin import ImagePlugin
from dam_media_video.plugin import VideoPlugin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BATCH = 128
SUFFIXES = (".jpg", ".png", ".gif", ".mp3", ".mp4", ".txt", ".zip", ".tiff", ".webp", ".avi", "")
NAMES = (
    b"plain",
    b"two\nlines",
    b"caf\xe9",
    b"\x1b[2J\x1b]0;t\x07",
    "\u202egpj".encode(),
    b"-rf",
    b"CON",
    b" ",
    b"a\\..\\b",
    b"%s%n",
    b"\xff" * 40,
    b"~",
    b"$(id)",
    b"x" * 200,
    "\u2028".encode(),
    b".damignore.txt",
    b"\t",
    b"'\"",
    "\U0001f600".encode() * 20,
    b"..x",
    b"*?[",
    b"\x7f",
    b"\xc2\x9b",
)
ALL = (FsPlugin, ImagePlugin, AudioPlugin, VideoPlugin)
WHOLE = {OutcomeStatus.ADDED, OutcomeStatus.LINKED}

_templates: dict[tuple[type[Any], ...], Path] = {}


@asynccontextmanager
async def world_in(folder: Path, *plugins: type[Any]) -> AsyncIterator[World]:
    """A world with its database and store in the folder. A set-up database is made once in a process, and copied."""
    template = _templates.get(plugins)
    if template is None:
        template = _templates[plugins] = Path(tempfile.mkdtemp(prefix="dam-fuzz-")) / "template.db"
        async with _opened(template, folder / "unused", plugins) as world:
            await world.setup()
    database = folder / "fuzz.db"
    shutil.copyfile(template, database)
    async with _opened(database, folder / "store", plugins) as world:
        yield world


@asynccontextmanager
async def _opened(database: Path, store: Path, plugins: tuple[type[Any], ...]) -> AsyncIterator[World]:
    config = WorldConfig(
        name="fuzz",
        database_url=f"sqlite+aiosqlite:///{database}",
        analysis_workers=1,
        analysis_time_limit=20,
        analysis_cpu_limit=10,
        analysis_memory_mb=1024,
    )
    world = World(config)
    try:
        register_core_systems(world)
        for plugin in plugins:
            world.add_plugin(plugin, FsSettings(storage_path=store, readers=1) if plugin is FsPlugin else None)
        world.check_systems()
        yield world
    finally:
        await world.close()


def batches(chance: int, folder: Path, count: int = BATCH) -> Iterator[bytes]:
    """Archives of files to add: what is mutated is each of them, and not the archive."""
    random = Random(f"ingest {chance}")
    contents = Mutator(random, seeds.files(folder), 1 << 17)
    while True:
        archive = BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for number in range(count):
                content = next(contents)
                inside = "/".join(["in", *(f"d{random.randrange(3)}" for _ in range(random.randrange(3)))])
                name = random.choice(NAMES)[: 255 - 12] + b" %d" % number + random.choice(SUFFIXES).encode()
                member = tarfile.TarInfo(f"{inside}/{os.fsdecode(name)}")
                member.size, member.mtime = (
                    len(content),
                    random.choice((0, 1, 1 << 31, 1 << 33, random.randrange(1 << 31))),
                )
                tar.addfile(member, BytesIO(content))
        yield archive.getvalue()


def ingest(content: bytes, folder: Path) -> None:
    import asyncio

    with tarfile.open(fileobj=BytesIO(content)) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # which came with Python 3.11.4
        tar.extractall(folder)
    asyncio.run(taken_in(folder))


async def taken_in(folder: Path) -> None:
    """Everything is added, verified, shown and written out again; what is promised of each step holds."""
    files = [os.path.join(at, name) for at, _, names in os.walk(folder / "in") for name in names]
    digests = {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files}
    world_folder = folder / "world"
    world_folder.mkdir()
    async with world_in(world_folder, *ALL) as world:
        command = AddAssetsCommand([str(folder / "in")])
        outcomes = [each async for each in world.dispatch_command(command) if isinstance(each, AssetOutcome)]
        told = {each.path: each for each in outcomes}
        assert len(told) == len(outcomes), "a file has two outcomes"
        assert set(told) == set(files), "a file without an outcome"
        assert {each.status for each in outcomes} <= WHOLE, [each for each in outcomes if each.status not in WHOLE]
        objects = {path.name: path for path in (world_folder / "store" / "objects").glob("*/*")}
        assert set(objects) == set(digests.values()), "objects are not what was added"
        for key, path in objects.items():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == key, f"{key} does not hold its content"
        async with world.reading() as session:
            row = ContentHashSha256Component
            known = {
                entity_id: value.hex()
                for entity_id, value in await session.execute(select(row.entity_id, row.hash_value))
            }
        assert {path: known[each.entity_id or 0] for path, each in told.items()} == digests
        assert [each async for each in world.dispatch_command(VerifyCommand()) if isinstance(each, Finding)] == []
        await shown(world)
        await written_out(world, folder, known)
    assert {entry.name for entry in folder.iterdir()} == {"in", "out", "world"}
    assert {entry.name.partition(".")[0] for entry in world_folder.iterdir()} <= {"fuzz", "store"}


async def shown(world: World) -> None:
    """What ``ls``, ``show`` and ``failures`` print holds nothing that a terminal would obey, and as JSON one record a line."""
    from parsers import check_said

    assets = await describe_entities(world, [each.entity_id async for each in newest_assets(world)])
    for as_json in (False, True):
        output = Output(json=as_json)
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            count = await print_listing(output, newest_assets(world))
            await print_failures(output, failed_analyses(world))
            for asset in assets:
                print_asset(output, asset)
        assert count == len(assets)
        check_said(out.getvalue(), err.getvalue(), as_json=as_json)


async def written_out(world: World, folder: Path, known: dict[int, str]) -> None:
    """Exported files lie in the folder and nowhere else, and hold what was added."""
    target = folder / "out"
    command = ExportCommand(None, str(target), sidecar=True)
    exported = [each async for each in world.dispatch_command(command) if isinstance(each, AssetExported)]
    assert {each.entity_id for each in exported} == set(known)
    for each in exported:
        assert each.status is ExportStatus.EXPORTED, each
        assert each.path is not None
        assert each.sidecar is not None
        for path in (each.path, each.sidecar):
            assert os.path.dirname(os.path.realpath(path)) == os.path.realpath(target), path
        assert hashlib.sha256(Path(each.path).read_bytes()).hexdigest() == known[each.entity_id]
        json.loads(Path(each.sidecar).read_bytes())


async def rebuilt(receipts: bytes, folder: Path) -> None:
    """A world made again from a store with two objects and these receipts."""
    store = folder / "store"
    for content in (b"one", b"two"):
        key = hashlib.sha256(content).hexdigest()
        (store / "objects" / key[:2]).mkdir(parents=True, exist_ok=True)
        (store / "objects" / key[:2] / key).write_bytes(content)
    (store / "receipts").mkdir()
    (store / "receipts" / "2026-01.jsonl").write_bytes(receipts)
    (store / MARK).write_text('{"store": "0b52e7f2-7a2c-4c53-9d0f-111111111111", "format": 1}')
    async with world_in(folder, FsPlugin) as world:
        files = world.get_resource(FileOperationsResource)
        assert files.id_if_used()
        outcomes = [each async for each in world.dispatch_command(RebuildCommand()) if isinstance(each, AssetOutcome)]
        assert all(each.reason for each in outcomes if each.status is OutcomeStatus.FAILED)
        with closing(StringIO()) as out, redirect_stdout(out):
            for asset in await describe_entities(world, [each.entity_id async for each in newest_assets(world)]):
                print_asset(Output(), asset)
    assert {entry.name.partition(".")[0] for entry in folder.iterdir()} <= {"fuzz", "store"}


INGEST = Target("ingest", ingest, lambda _: [], longest=1 << 26, weight=BATCH, made=batches)

"""Backups of databases, and databases from backups."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from sqlalchemy import Table, select, text

from dam.core import backup_files
from dam.core.backup import back_up
from dam.core.backup_files import Backup, read_backup, seal
from dam.core.databases import reading
from dam.core.exceptions import BackupError, DatabaseLockedError, SchemaTooNewError
from dam.core.migrations import migrate, on_schema
from dam.core.restoring import restore
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import WorldConfig, WorldConfigComponent
from dam.models.core.base_class import Base
from dam.models.entity import Entity
from dam_app.backups import make_backup, restore_backup
from dam_app.config import load_configuration
from dam_app.schema import schema_differences
from dam_fs.commands import AddAssetsCommand, AssetOutcome
from dam_fs.models import ContentHashSha256Component, FileLocationComponent, FilePropertiesComponent
from dam_fs.plugin import FsPlugin
from dam_fs.settings import FsSettings
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.plugin import ImagePlugin
from dam_media_video.plugin import VideoPlugin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from dam_test_utils.databases import Databases

    Make = Callable[..., Awaitable[World]]

PLUGINS = (FsPlugin, AudioPlugin, ImagePlugin, VideoPlugin)
posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


@pytest.fixture
async def make(tmp_path: Path, sqlite_databases: Databases, postgres_databases: Databases) -> AsyncIterator[Make]:
    """``await make("sqlite")`` gives a world on a new database without tables; all share one store."""
    kinds = {"sqlite": sqlite_databases, "postgresql": postgres_databases}
    made: list[tuple[World, Databases, str]] = []

    async def one(kind: str, *, plugins: Any = PLUGINS, setup: bool = False) -> World:
        url = await kinds[kind].create()
        world = World(WorldConfig(name="photos", database_url=url, analysis_workers=1))
        made.append((world, kinds[kind], url))
        register_core_systems(world)
        for plugin in plugins:
            world.add_plugin(plugin, FsSettings(storage_path=tmp_path / "store") if plugin is FsPlugin else None)
        if setup:
            await world.setup()
        return world

    yield one
    for world, where, url in made:
        await world.close()
        await where.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def filled(make: Make, kind: str, tmp_path: Path) -> World:
    """A world with rows of every kind: facts, layers, failures, odd paths, settings, and ids that were given and taken back."""
    world = await make(kind, setup=True)
    folder = tmp_path / "in"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010F], exif[0x0132] = "Kodak", "2004:06:08 16:04:50"
    Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50).save(folder / "photo.jpg", exif=exif)
    (folder / "broken.jpg").write_bytes((folder / "photo.jpg").read_bytes()[:300])
    (folder / "empty").touch()
    (folder / (os.fsdecode(b"odd\xff.txt") if sys.platform == "linux" else "odd.txt")).write_text("odd \N{SNOWMAN}")
    for copy in (False, True):
        command = AddAssetsCommand([str(folder)], copy=copy)
        assert [e async for e in world.dispatch_command(command) if isinstance(e, AssetOutcome)]
    assert [event async for event in world.execute_stage(SystemStage.METADATA_EXTRACTION)]
    async with world.transaction() as transaction:
        kept, gone = await transaction.create_entity(), await transaction.create_entity()
        transaction.add(kept, WorldConfigComponent.from_settings(world.config))
    async with world.transaction() as transaction:
        await transaction.session.execute(Entity.__table__.delete().where(Entity.id == gone))  # type: ignore[attr-defined]
    return world


async def rows_of(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    found = {}
    async with reading(world.engine).connect() as connection:
        for table in tables(world):
            rows = await connection.execute(select(table).order_by(*table.primary_key.columns))
            found[table.name] = [tuple(row) for row in rows]
    return found


def tables(world: World) -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if any(tree.owns(table) for tree in world.revision_trees)]


async def next_id(world: World) -> int:
    async with world.transaction() as transaction:
        return await transaction.create_entity()


@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
async def test_a_restored_database_has_every_row_and_gives_no_id_twice(
    filled: World, make: Make, other: str, tmp_path: Path
) -> None:
    before = await rows_of(filled)
    assert sum(map(bool, before.values())) > 12
    backup = await back_up(filled, str(tmp_path / "one.dambackup"))
    assert {name: backup.rows[name] for name in before} == {name: len(rows) for name, rows in before.items()}
    assert read_backup(backup.path) == backup
    target = await make(other)
    await restore(target, backup.path)
    await target.check_schema()
    assert await rows_of(target) == before
    assert await schema_differences(target) == {}
    again = await back_up(target, str(tmp_path / "two.dambackup"))
    assert again.rows == backup.rows
    assert await next_id(target) == await next_id(filled)
    command = AddAssetsCommand([str(tmp_path / "in")])
    told = [event async for event in target.dispatch_command(command) if isinstance(event, AssetOutcome)]
    assert {event.status.value for event in told} == {"known"}


async def test_a_backup_is_of_one_moment_while_another_process_adds_files(
    make: Make, kind: str, tmp_path: Path
) -> None:
    world = await make(kind, setup=True)
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(1500):
        (folder / f"{i}.txt").write_text(f"file {i}")
    environment = {
        **os.environ,
        "DAM_WORLDS__PHOTOS__DATABASE_URL": world.config.database_url,
        "DAM_WORLDS__PHOTOS__SETTINGS__DAM_FS__STORAGE_PATH": str(tmp_path / "store"),
        "DAM_WORLD": "photos",
    }
    command = [str(Path(sys.executable).with_name("dam-cli")), "add-asset", "-r", str(folder)]
    adding = await asyncio.create_subprocess_exec(*command, env=environment, stdout=-3, stderr=-3)
    made: list[Backup] = []
    while adding.returncode is None or not made:
        made.append(await back_up(world, str(tmp_path / f"{len(made)}.dambackup")))
    assert await adding.wait() == 0
    made.append(await back_up(world, str(tmp_path / f"{len(made)}.dambackup")))
    assert made[-1].entities == 1500
    for backup in made[:: max(1, len(made) // 4)]:
        restored = await make("sqlite")
        await restore(restored, backup.path)
        async with restored.reading() as session:
            entities = set(await session.scalars(select(Entity.id)))
            for cls in (ContentHashSha256Component, FilePropertiesComponent, FileLocationComponent):
                assert set(await session.scalars(select(cls.entity_id))) == entities
            keys = await session.scalars(select(FileLocationComponent.content_identifier))
        assert all((tmp_path / "store" / "objects" / key[:2] / key).exists() for key in keys)


@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
async def test_an_older_backup_is_brought_up(make: Make, kind: str, other: str, tmp_path: Path) -> None:
    old = await make(kind)
    trees = {tree.owner: tree for tree in old.revision_trees}
    await on_schema(old.engine, lambda connection: migrate(connection, trees["dam"], "0001"))
    await on_schema(old.engine, lambda connection: migrate(connection, trees["dam-fs"], "0001"))
    async with old.engine.begin() as connection:
        await connection.execute(text("INSERT INTO dam_entity (id) VALUES (41)"))
        await connection.execute(text("INSERT INTO dam_fs_config (entity_id, ignore_file) VALUES (41, '.no')"))
    backup = await back_up(old, str(tmp_path / "old"))
    target = await make(other)
    await restore(target, backup.path)
    await target.check_schema()
    async with reading(target.engine).connect() as connection:
        found = await connection.execute(text("SELECT entity_id, ignore_file, storage_url FROM dam_fs_config"))
        assert [tuple(row) for row in found] == [(41, ".no", None)]


@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
async def test_a_backup_of_newer_code_is_refused(make: Make, kind: str, other: str, tmp_path: Path) -> None:
    newer = await make(kind, setup=True)
    async with newer.engine.begin() as connection:
        await connection.execute(text("UPDATE dam_fs_alembic_version SET version_num = '0099'"))
    backup = await back_up(newer, str(tmp_path / "newer"))
    target = await make(other)
    with pytest.raises(SchemaTooNewError, match=r"dam-fs \(backup 0099"):
        await restore(target, backup.path)
    assert await target.is_blank()


async def test_tables_of_a_plugin_that_is_gone_come_along_or_are_not_lost_silently(
    filled: World, make: Make, tmp_path: Path
) -> None:
    fewer = World(filled.config)
    register_core_systems(fewer)
    fewer.add_plugin(FsPlugin, FsSettings(storage_path=tmp_path / "store"))
    async with fewer:
        backup = await back_up(fewer, str(tmp_path / "backup"))
    assert backup.rows["dam_media_image_dhash"] > 0
    server = await make("postgresql", plugins=[FsPlugin])
    with pytest.raises(BackupError, match="has tables of dam-media-image"):
        await restore(server, backup.path)
    assert await server.is_blank()
    for other in ("sqlite", "postgresql"):
        whole = await make(other)
        await restore(whole, backup.path)
        assert await rows_of(whole) == await rows_of(filled)
        steps = [step for steps in (await schema_differences(whole)).values() for step in steps]
        # A server does not say which whole numbers SQLite calls INTEGER; both hold 64 bits there.
        assert {step.partition(" ")[0] for step in steps} <= {"AlterColumn"}
    file = await make("sqlite", plugins=[FsPlugin])
    await restore(file, backup.path)
    async with reading(file.engine).connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM dam_media_image_dhash")) > 0


async def test_tables_of_somebody_else_on_the_server_stay_out(make: Make, tmp_path: Path) -> None:
    world = await make("postgresql", setup=True)
    async with world.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE shop_orders (id int primary key, place point)"))
    backup = await back_up(world, str(tmp_path / "backup"))
    assert "shop_orders" not in backup.rows


# -- files


async def test_a_backup_belongs_to_its_owner_and_replaces_nothing(filled: World, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    path.write_text("mine")
    with pytest.raises(BackupError, match="is there already"):
        await back_up(filled, str(path))
    assert path.read_text() == "mine"
    await back_up(filled, str(path), replacing=True)
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backup", "here", "in", "store"]


async def test_a_place_that_is_none_is_refused(filled: World, tmp_path: Path) -> None:
    for path, said in (
        (tmp_path, "is a folder"),
        (tmp_path / "nowhere" / "backup", "there is no folder"),
        (tmp_path / "store" / "objects" / "backup", "is part of a world"),
        *((file, "is part of a world") for file in filled.database_files[:1]),
    ):
        with pytest.raises(BackupError, match=said):
            await back_up(filled, str(path), replacing=True, protected=[str(tmp_path / "store")])


async def test_what_is_not_set_up_has_no_backup_and_looking_makes_none(make: Make, kind: str, tmp_path: Path) -> None:
    world = await make(kind)
    with pytest.raises(BackupError, match="has no database yet"):
        await back_up(world, str(tmp_path / "backup"))
    assert not any(map(os.path.exists, world.database_files))


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_every_damage_of_a_backup_is_found(filled: World, make: Make, tmp_path: Path) -> None:
    whole = await back_up(filled, str(tmp_path / "whole"))
    content = (tmp_path / "whole").read_bytes()
    bad = tmp_path / "bad"
    target = await make("sqlite")
    damaged = [content[:cut] for cut in (0, 10, 100, 4096, len(content) // 2, len(content) - 1, len(content) - 4096)]
    damaged += [content + b"\0", content + bytes(4096), b"no database", content[:100] + bytes(len(content) - 100)]
    for place in range(0, len(content), len(content) // 40):
        damaged.append(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    for each in damaged:
        bad.write_bytes(each)
        with pytest.raises(BackupError):
            await restore(target, str(bad))
    with pytest.raises(BackupError, match="there is no file"):
        await restore(target, str(tmp_path / "nowhere"))
    with pytest.raises(BackupError, match="there is no file"):
        await restore(target, str(tmp_path))
    with pytest.raises(BackupError, match="no backup that dam has made"):
        await restore(target, filled.database_files[0])
    assert not os.path.exists(target.database_files[0])
    await restore(target, whole.path)


CUT_SHORT = """
import hashlib, os, sys
from dam.core import backup_files
from dam.core.exceptions import BackupError

path = sys.argv[1]

class Cutting:
    def __init__(self):
        self.sha256 = sha256()
    def update(self, part):
        os.truncate(path, 0)
        self.sha256.update(part)
    def hexdigest(self):
        return self.sha256.hexdigest()

sha256, hashlib.sha256 = hashlib.sha256, Cutting
try:
    backup_files.read_backup(path)
except BackupError as e:
    print(e)
"""


def test_a_backup_that_is_cut_short_while_it_is_read_is_damaged(tmp_path: Path) -> None:
    path = str(tmp_path / "backup")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE a (b); INSERT INTO a VALUES (zeroblob(10000000));")
    seal(path, "w", "d")
    assert read_backup(path).world == "w"
    run = subprocess.run([sys.executable, "-c", CUT_SHORT, path], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert "is damaged" in run.stdout


def test_a_backup_on_a_bad_disk_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "backup")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE a (b)")
    seal(path, "w", "d")

    class Bad(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(backup_files, "open", Bad, raising=False)
    with pytest.raises(BackupError, match="cannot be read: Input/output error"):
        read_backup(path)


def test_the_seal_is_the_same_wherever_its_mark_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "backup")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE a (b)")
    seal(path, "w", "d")
    for part in range(1, 200):
        monkeypatch.setattr(backup_files, "_PART", part)
        assert read_backup(path).world == "w", part


def test_a_database_with_something_that_acts_is_no_backup(tmp_path: Path) -> None:
    for number, what in enumerate(
        ("CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a; END", "CREATE VIEW v AS SELECT * FROM a")
    ):
        path = str(tmp_path / str(number))
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"CREATE TABLE a (b); {what};")
        with pytest.raises(BackupError, match="neither a table nor an index"):
            seal(path, "w", "d")


# -- what is there already


@pytest.fixture
async def backup(make: Make, tmp_path: Path) -> str:
    world = await make("sqlite", setup=True)
    async with world.transaction() as transaction:
        await transaction.create_entities(3)
    return (await back_up(world, str(tmp_path / "backup"))).path


async def test_nothing_that_holds_assets_is_replaced(filled: World, backup: str) -> None:
    before = await rows_of(filled)
    for force in (False, True):
        with pytest.raises(BackupError, match="holds assets, and a restore never replaces any"):
            await restore(filled, backup, force=force)
    assert await rows_of(filled) == before


async def test_a_database_that_is_set_up_and_empty_takes_a_backup_by_force(make: Make, kind: str, backup: str) -> None:
    world = await make(kind, setup=True)
    async with world.transaction() as transaction:
        gone = await transaction.create_entity()
    async with world.transaction() as transaction:
        await transaction.session.execute(Entity.__table__.delete().where(Entity.id == gone))  # type: ignore[attr-defined]
    await world.engine.dispose()
    with pytest.raises(BackupError, match="add --force"):
        await restore(world, backup)
    await restore(world, backup, force=True)
    async with world.reading() as session:
        assert list(await session.scalars(select(Entity.id).order_by(Entity.id))) == [1, 2, 3]


async def test_a_database_of_somebody_else_is_left_alone(make: Make, kind: str, backup: str) -> None:
    world = await make(kind)
    async with world.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE shop_orders (id integer primary key)"))
    for force in (False, True):
        with pytest.raises(BackupError, match="has tables of somebody else"):
            await restore(world, backup, force=force)


async def test_a_file_that_is_in_use_or_no_database_is_left_alone(
    make: Make, backup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make("sqlite", setup=True)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kw: connect(*args, **{**kw, "timeout": 0}))
    async with world.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        with pytest.raises(DatabaseLockedError, match="another process uses the database"):
            await restore(world, backup, force=True)
    garbage = await make("sqlite")
    Path(garbage.database_files[0]).write_bytes(b"precious" * 1000)
    with pytest.raises(BackupError, match="is not replaced"):
        await restore(garbage, backup, force=True)


@posix
async def test_a_backup_whose_name_cannot_be_flushed_is_not_said_to_be_gone(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make("sqlite", setup=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails_of_folders(os.fsync))
        with pytest.raises(BackupError, match="is there and whole, but its folder cannot be flushed"):
            await back_up(world, str(tmp_path / "backup"))
    assert read_backup(str(tmp_path / "backup")).entities == 0
    await back_up(world, str(tmp_path / "backup"), replacing=True)


@posix
async def test_a_database_whose_name_cannot_be_flushed_is_not_said_to_be_missing(
    make: Make, backup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make("sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails_of_folders(os.fsync))
        with pytest.raises(BackupError, match="is restored and whole, but its folder cannot be flushed"):
            await restore(world, backup)
    assert (await rows_of(world))["dam_entity"]


def fails_of_folders(fsync: Callable[[int], None]) -> Callable[[int], None]:
    def flush(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(fd)

    return flush


async def test_a_log_without_its_database_is_not_taken_for_a_part_of_the_new_one(make: Make, backup: str) -> None:
    world = await make("sqlite")
    log = world.database_files[1]
    Path(log).write_bytes(b"what was committed last")
    with pytest.raises(BackupError, match="is there without its database"):
        await restore(world, backup)
    os.unlink(log)
    await restore(world, backup)


# -- kills


CHILD = """
import asyncio, os, signal, sys
import dam.core.backup, dam.core.restoring
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import WorldConfig
from dam_fs.plugin import FsPlugin
from dam_fs.settings import FsSettings

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    what, module, name, url, path, store = sys.argv[1:]
    setattr(sys.modules["dam.core." + module], name, die)
    async with World(WorldConfig(name="photos", database_url=url)) as world:
        register_core_systems(world)
        world.add_plugin(FsPlugin, FsSettings(storage_path=store))
        await (dam.core.backup.back_up if what == "backup" else dam.core.restoring.restore)(world, path)

asyncio.run(main())
"""


def killed(world: World, what: str, module: str, name: str, path: str) -> None:
    arguments = [what, module, name, world.config.database_url, path, "/nowhere"]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(CHILD), *arguments], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@posix
@pytest.mark.parametrize("step", ["seal", "flush_file", "move_new"])
async def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(
    make: Make, kind: str, step: str, tmp_path: Path
) -> None:
    world = await make(kind, plugins=[FsPlugin], setup=True)
    folder = tmp_path / "backups"
    folder.mkdir()
    killed(world, "backup", "backup", step, str(folder / "backup"))
    assert all(name.startswith(".dam-backup-") for name in os.listdir(folder))
    await back_up(world, str(folder / "backup"))
    assert os.listdir(folder) == ["backup"]


@posix
@pytest.mark.parametrize("step", ["unpack", "_bring_up", "flush_file", "_load_table", "_continue_ids"])
async def test_a_restore_that_is_killed_can_be_run_again(make: Make, kind: str, step: str, tmp_path: Path) -> None:
    if step in {"sqlite": ("_load_table", "_continue_ids"), "postgresql": ("flush_file",)}[kind]:
        pytest.skip("not a step of this kind")
    source = await make("sqlite", plugins=[FsPlugin], setup=True)
    async with source.transaction() as transaction:
        await transaction.create_entities(3)
    backup = await back_up(source, str(tmp_path / "backup"))
    world = await make(kind, plugins=[FsPlugin])
    killed(world, "restore", "restoring", step, backup.path)
    assert kind == "postgresql" or not os.path.exists(world.database_files[0])
    await restore(world, backup.path)
    assert await rows_of(world) == await rows_of(source)


# -- as the command line does it


def add(path: str) -> None:
    subprocess.run([Path(sys.executable).with_name("dam-cli"), "add-asset", path], check=True)


async def test_a_store_that_is_not_the_one_of_the_backup_is_told(home: Path) -> None:
    configuration = load_configuration(None)
    folder = home.parent / "home"
    (home / "a.txt").write_text("a")
    add("a.txt")
    await make_backup(configuration, "default", "backup")
    told: list[str] = []
    (folder / "default.db").rename(folder / "lost.db")
    await restore_backup(configuration, "default", "backup", warn=told.append)
    assert told == []
    (folder / "default.db").rename(folder / "lost.db")
    (folder / "default-store").rename(folder / "elsewhere")
    await restore_backup(configuration, "default", "backup", warn=told.append)
    assert "there is no store at" in told.pop()
    (folder / "default.db").rename(folder / "lost.db")
    add("a.txt")
    (folder / "default.db").rename(folder / "lost.db")
    await restore_backup(configuration, "default", "backup", warn=told.append)
    assert "and the restored database expects" in told.pop()

"""Opening worlds: first use, old and strange databases, and stores and databases that are gone."""

import importlib.util
import os
import sqlite3
import sys
from pathlib import Path

import pytest

import dam.core.databases.sqlite
from dam.core.exceptions import (
    DatabaseLockedError,
    DatabaseUnavailableError,
    MigrationNeededError,
    NoSuchWorldError,
    SchemaTooNewError,
)
from dam.core.world_manager import all_worlds
from dam_app import open_world
from dam_app.config import load_configuration
from dam_app.exits import Exit, exit_of
from dam_app.services import addition, newest_assets
from dam_app.worlds import opened, protected_paths
from dam_fs.commands import AssetOutcome, OutcomeStatus
from dam_fs.exceptions import StoreMismatchError, StoreMissingError
from dam_fs.plugin import FsPlugin


async def add(*paths: Path, world: str | None = None, copy: bool = True) -> int:
    """How many were reported."""
    async with open_world(world) as opened_world:
        command = addition([str(path) for path in paths], copy=copy)
        async with opened_world.dispatch_command(command) as events:
            return len([event async for event in events])


async def names(world: str | None = None) -> list[str | None]:
    async with open_world(world) as opened_world:
        return [asset.name async for asset in newest_assets(opened_world)]


@pytest.fixture
def picture(home: Path) -> Path:
    file = home / "picture.txt"
    file.write_text("a picture")
    return file


@pytest.fixture
def database(home: Path) -> Path:
    return home.parent / "home" / "default.db"


@pytest.fixture
def store(database: Path) -> Path:
    return database.with_name("default-store")


def execute(database: Path, statement: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(statement)
    connection.close()


async def test_the_first_use_sets_a_world_up_and_says_so_and_the_second_does_not(database: Path) -> None:
    said: list[str] = []
    async with open_world(say=said.append) as world:
        assert world.name == "default"
    assert said == [f"set up world 'default': {database}"]
    async with open_world(say=said.append):
        pass
    assert len(said) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
async def test_the_home_of_dam_is_the_users_alone(database: Path) -> None:
    async with open_world():
        pass
    assert database.parent.stat().st_mode & 0o077 == 0


async def test_a_look_makes_no_store(store: Path) -> None:
    assert await names() == []
    assert not store.exists()


async def test_a_world_is_closed_and_forgotten_on_leaving_also_when_it_cannot_be_used(database: Path) -> None:
    async with open_world():
        assert list(all_worlds()) == ["default"]
    assert not all_worlds()
    execute(database, "DELETE FROM dam_alembic_version")
    with pytest.raises(MigrationNeededError):
        await names()
    assert not all_worlds()


async def test_an_unknown_world_is_refused_before_anything_is_made(database: Path) -> None:
    with pytest.raises(NoSuchWorldError):
        await names("nope")
    assert not database.parent.exists()


# -- databases that are not as they should be


@pytest.mark.parametrize("statements", [["dam_fs"], ["dam"], ["dam", "dam_fs"]])
async def test_an_old_schema_is_refused_and_not_touched(database: Path, picture: Path, statements: list[str]) -> None:
    await add(picture)
    for package in statements:
        execute(database, f"DELETE FROM {package}_alembic_version")
    before = database.read_bytes()
    with pytest.raises(MigrationNeededError) as caught:
        await names()
    assert "run: dam-cli --world default setup-db" in caught.value.message
    assert all(package.replace("_", "-") in caught.value.message for package in statements)
    assert database.read_bytes() == before


async def test_a_newer_schema_is_refused_naming_the_plugin(database: Path, picture: Path) -> None:
    await add(picture)
    execute(database, "UPDATE dam_fs_alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNewError, match=r"dam-fs \(database 9999"):
        await names()


async def test_a_database_of_another_program_is_not_set_up_as_a_world(database: Path) -> None:
    database.parent.mkdir()
    execute(database, "CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(MigrationNeededError):
        await names()
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]
    connection.close()


async def test_a_file_that_is_no_database_is_refused(database: Path) -> None:
    database.parent.mkdir()
    database.write_text("this is a text, and long enough to be looked at by a database" * 20)
    with pytest.raises(DatabaseUnavailableError, match=rf"{database}: the file is not an SQLite database"):
        await names()


async def test_a_write_lock_that_another_process_keeps_is_said(
    database: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(picture)
    other = picture.with_name("other.txt")
    other.write_text("other")
    monkeypatch.setattr(dam.core.databases.sqlite, "BUSY_SECONDS", 0)
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseLockedError, match="another process held the database's write lock") as caught:
        await add(other)
    assert exit_of(caught.value) == Exit.LOCKED
    assert await names() == ["picture.txt"], "reading needs no lock"
    connection.execute("ROLLBACK")
    connection.close()
    assert await add(other) == 1


@pytest.mark.skipif(importlib.util.find_spec("asyncpg") is not None, reason="the driver is installed")
async def test_a_driver_that_is_not_installed_is_named(home: Path) -> None:
    (home / "dam.toml").write_text(
        "[worlds.w]\ndatabase_url = 'postgresql+asyncpg://me@host/db'\nsettings.dam-fs.storage_path = 's'\n"
    )
    with pytest.raises(DatabaseUnavailableError, match="needs the driver 'asyncpg'") as caught:
        await names("w")
    assert "secret" not in caught.value.message


async def test_an_empty_file_is_a_new_database(database: Path) -> None:
    database.parent.mkdir()
    database.touch()
    assert await names() == []


async def test_a_missing_folder_of_a_configured_database_is_not_made(home: Path) -> None:
    (home / "dam.toml").write_text('[worlds.w]\ndatabase_url = "sqlite+aiosqlite:///mnt/disk/w.db"\n')
    with pytest.raises(DatabaseUnavailableError) as caught:
        await names("w")
    assert f"there is no folder {home / 'mnt' / 'disk'} for its database; is its disk mounted?" in caught.value.message
    assert not (home / "mnt").exists()
    (home / "mnt" / "disk").mkdir(parents=True)
    assert await names("w") == []


async def test_a_home_that_cannot_be_made_is_said(home: Path, monkeypatch: pytest.MonkeyPatch, picture: Path) -> None:
    monkeypatch.setenv("DAM_HOME", str(picture / "below a file"))
    with pytest.raises(DatabaseUnavailableError, match="DAM_HOME names another one"):
        await names()


# -- stores and databases that are gone


async def test_a_store_that_is_gone_is_never_made_again(store: Path, picture: Path) -> None:
    await add(picture)
    store.rename(store.with_name("elsewhere"))
    with pytest.raises(StoreMissingError, match="is its disk mounted"):
        await add(picture)
    assert not store.exists()
    assert await names() == ["picture.txt"], "what is known can still be looked up"
    store.with_name("elsewhere").rename(store)
    await add(picture)


async def test_a_store_whose_database_is_gone_is_not_given_a_new_one(
    database: Path, store: Path, picture: Path
) -> None:
    await add(picture)
    database.unlink()
    for ending in ("-wal", "-shm"):
        Path(f"{database}{ending}").unlink(missing_ok=True)
    with pytest.raises(StoreMismatchError) as caught:
        await names()
    assert f"there is no database at {database}, and the store at {store} holds objects" in caught.value.message
    assert not database.exists()
    with pytest.raises(StoreMismatchError):
        async with opened(load_configuration(), "default", setup=True):
            pass
    assert not database.exists()


async def test_the_store_of_another_world_is_refused(home: Path, store: Path, picture: Path) -> None:
    await add(picture)
    (home / "dam.toml").write_text(f"[worlds.other.settings.dam-fs]\nstorage_path = '{store}'\n")
    with pytest.raises(StoreMismatchError, match="holds objects"):
        await add(picture, world="other")


# -- several worlds


async def test_worlds_are_apart_and_no_scan_enters_the_store_or_the_database_of_any(home: Path, picture: Path) -> None:
    (home / "dam.toml").write_text(
        """
        default_world = "a"
        [worlds.a]
        database_url = "sqlite+aiosqlite:///a.db"
        [worlds.b]
        database_url = "sqlite+aiosqlite:///b.db"
        [worlds.b.settings.dam-fs]
        storage_path = "somewhere/b"
        [worlds.broken]
        analysis_workers = 0
        """
    )
    (home / "somewhere").mkdir()
    await add(picture)
    assert await names("a") == ["picture.txt"]
    assert await names("b") == []
    paths = protected_paths(load_configuration())
    assert {str(home / "a.db"), str(home / "a-store"), str(home / "b.db-wal"), str(home / "somewhere" / "b")} <= set(
        paths
    )
    async with open_world("b") as world:
        command = addition([str(home)], recursive=True, protected=paths)
        async with world.dispatch_command(command) as events:
            outcomes = [event async for event in events if isinstance(event, AssetOutcome)]
    added = [os.path.basename(outcome.path) for outcome in outcomes if outcome.status is OutcomeStatus.ADDED]
    assert added == ["dam.toml", "picture.txt"]


async def test_two_worlds_are_open_at_once(home: Path, picture: Path) -> None:
    (home / "dam.toml").write_text("[worlds.a]\n[worlds.b]\nplugins = []\n")
    async with open_world("a") as a, open_world("b") as b:
        assert FsPlugin in a.plugins
        assert b.plugins == {}
        command = addition([str(picture)])
        async with a.dispatch_command(command) as events:
            assert len([event async for event in events]) == 1
        assert [asset async for asset in newest_assets(b)] == []


async def test_setting_up_twice_changes_nothing_the_second_time(database: Path) -> None:
    async with opened(load_configuration(), "default", setup=True) as world:
        assert {"dam", "dam-fs", "dam-media-audio"} <= {state.tree.owner for state in await world.setup()}
        assert await world.setup() == []


def test_a_world_whose_plugin_is_gone_is_protected_all_the_same(home: Path) -> None:
    (home / "dam.toml").write_text('[worlds.b]\ndatabase_url = "sqlite+aiosqlite:///b.db"\nplugins = ["gone"]\n')
    assert {str(home / "b.db"), str(home / "b-store")} <= set(protected_paths(load_configuration()))


async def test_a_world_can_be_opened_twice_at_once_and_each_closes_its_own(home: Path) -> None:
    async with open_world() as first:
        async with open_world() as second:
            assert first is not second
        async with first.transaction() as transaction:
            await transaction.create_entity()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
async def test_a_database_is_for_its_owner_alone(database: Path) -> None:
    async with open_world() as world, world.transaction() as transaction:
        await transaction.create_entity()
        found = {file.name: file.stat().st_mode & 0o777 for file in database.parent.glob("default.db*")}
    assert set(found.values()) == {0o600}

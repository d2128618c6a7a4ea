"""Worlds whose configuration is stored in other worlds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from dam.core.exceptions import DatabaseUnavailableError, NoSuchWorldError, PluginUnavailableError, SettingsError
from dam.core.query import listed
from dam.models.config import WorldConfigComponent
from dam.models.entity import Entity
from dam_app import open_world
from dam_app.config import load_configuration
from dam_app.plugins import plugin_rows
from dam_app.services import addition, describe_entities, newest_assets, values_of
from dam_app.settings import stored_settings_rows
from dam_app.worlds import save_world, stored_description
from dam_fs.resources import FileOperationsResource
from dam_fs.settings import FsSettings, FsSettingsComponent

DAM_CLI = Path(sys.executable).with_name("dam-cli")

TOML = """
default_world = "archive"

[worlds.archive]
database_url = "sqlite+aiosqlite:///archive.db"

[worlds.photos]
database_url = "sqlite+aiosqlite:///photos.db"
analysis_workers = 1
plugins = ["dam-fs"]

[worlds.photos.settings.dam-fs]
storage_path = "somewhere"
readers = 3
"""


@pytest.fixture
def toml(home: Path) -> Path:
    file = home / "dam.toml"
    file.write_text(TOML)
    return file


async def saved(name: str = "photos", holder: str = "archive") -> int:
    configuration = load_configuration()
    async with open_world(holder) as world:
        return await save_world(world, configuration.describe(name))


async def test_a_stored_world_is_the_one_that_was_configured(toml: Path, home: Path) -> None:
    entity_id = await saved()
    (home / "picture.txt").write_text("a picture")
    async with open_world("photos") as world:
        await world.dispatch_command(addition([str(home / "picture.txt")])).get_all_results()
    toml.write_text(TOML[: TOML.index("[worlds.photos]")])  # from now on it is only stored
    async with open_world(f"archive:{entity_id}") as world:
        assert world.name == "photos"
        assert [cls.__name__ for cls in world.plugins] == ["FsPlugin"]
        assert world.config.analysis_workers == 1
        assert world.settings_of(FsSettings).readers == 3
        assert world.get_resource(FileOperationsResource).root == str(home / "somewhere")
        assert [asset.name async for asset in newest_assets(world)] == ["picture.txt"]


async def test_its_settings_and_plugins_are_shown_as_they_are_stored(toml: Path) -> None:
    name = f"archive:{await saved()}"
    rows = {
        (row.table.rpartition(".")[2], row.key): row for row in await stored_settings_rows(load_configuration(), name)
    }
    workers, path = rows[name, "analysis_workers"], rows["dam-fs", "storage_path"]
    assert (workers.value, workers.source) == (1, "world archive")
    assert (path.value, rows["dam-fs", "readers"].value) == (str(toml.parent / "somewhere"), 3)
    assert (rows[name, "analysis_time_limit"].source, rows[name, "plugins"].value) == ("default", ["dam-fs"])
    description = await stored_description(load_configuration(), name)
    states = {row.name: row.state for row in plugin_rows(load_configuration(), name, description=description)}
    assert (states["dam-fs"], states["dam-media-image"]) == ("loaded", "disabled")


async def test_a_stored_configuration_is_shown_with_its_values(toml: Path) -> None:
    entity_id = await saved()
    async with open_world("archive") as world:
        (asset,) = await describe_entities(world, [entity_id])
    shown = {type(component): values_of(component) for component in asset.components}
    assert shown[WorldConfigComponent]["analysis_workers"] == 1
    assert shown[FsSettingsComponent]["readers"] == 3


async def test_saving_again_changes_the_same_entity(toml: Path) -> None:
    first = await saved()
    toml.write_text(TOML.replace("readers = 3\n", "").replace("analysis_workers = 1", "analysis_time_limit = 5.0"))
    assert await saved() == first
    async with open_world(f"archive:{first}") as world:
        assert world.settings_of(FsSettings).readers == FsSettings().readers
        assert (world.config.analysis_workers, world.config.analysis_time_limit) == (None, 5.0)
    async with open_world("archive") as world, world.reading() as session:
        assert len((await session.scalars(select(WorldConfigComponent.entity_id))).all()) == 1
        assert (await session.scalars(select(Entity.id).where(listed(world.components)))).all() == []


async def test_a_secret_is_stored_as_the_place_where_it_is(toml: Path) -> None:
    toml.write_text(
        TOML.replace(
            '"sqlite+aiosqlite:///photos.db"',
            '"postgresql+asyncpg://me@db/photos"\ndatabase_password = { env = "PHOTOS_PASSWORD" }',
        )
    )
    entity_id = await saved()
    async with open_world("archive") as world, world.reading() as session:
        row = await session.get_one(WorldConfigComponent, entity_id)
    assert row.database_password == {"env": "PHOTOS_PASSWORD"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["archive:99", "archive:0", "photos:1"])
async def test_an_entity_that_holds_no_configuration_is_told(toml: Path, name: str) -> None:
    async with open_world(name.partition(":")[0]):
        pass
    with pytest.raises(NoSuchWorldError, match="holds no world's configuration; 'dam-cli worlds save NAME --in"):
        async with open_world(name):
            pass


async def test_a_stored_world_is_not_looked_for_in_a_database_that_is_not_there(toml: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"world 'archive' has no database yet.* Nothing was created"):
        async with open_world("archive:1"):
            pass
    assert not (toml.parent / "archive.db").exists()


@pytest.mark.parametrize("name", ["nowhere:1", "archive:one", "archive:"])
async def test_a_name_of_another_form_is_no_world(toml: Path, name: str) -> None:
    with pytest.raises(NoSuchWorldError, match="no world"):
        async with open_world(name):
            pass


async def test_a_world_without_a_plugin_cannot_store_its_settings(toml: Path) -> None:
    with pytest.raises(
        PluginUnavailableError, match=r"cannot store settings of .*dam-media-image.*add .* to its plugins"
    ):
        await saved("archive", "photos")


async def test_what_was_stored_is_checked_like_a_file(toml: Path) -> None:
    entity_id = await saved()
    async with open_world("archive") as world, world.transaction() as transaction:
        row = await transaction.get_component(entity_id, WorldConfigComponent)
        assert row is not None
        row.analysis_workers = 0  # type: ignore[attr-defined]
    with pytest.raises(SettingsError, match="WorldConfigComponent is not valid: analysis_workers=0"):
        async with open_world(f"archive:{entity_id}"):
            pass


def test_the_command_stores_a_world_and_every_command_uses_it(toml: Path, home: Path) -> None:
    def dam(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [DAM_CLI, *arguments], cwd=home, capture_output=True, text=True, check=False, env=os.environ
        )

    (home / "picture.txt").write_text("a picture")
    stored = dam("worlds", "save", "photos", "--in", "archive", "--json")
    assert stored.returncode == 0, stored.stderr
    world = json.loads(stored.stdout)["world"]
    assert dam("--world", world, "add-asset", "picture.txt").returncode == 0
    assert "picture.txt" in dam("--world", world, "ls").stdout
    assert "picture.txt" in dam("--world", "photos", "ls").stdout
    assert dam("--world", "archive", "ls").stdout == ""
    assert dam("--world", "archive:99", "ls").returncode == 10

"""Worlds from configuration."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import Field
from sqlalchemy import select

from dam.core.exceptions import (
    NoSuchWorldError,
    PluginError,
    PluginUnavailableError,
    SettingsError,
    SystemDefinitionError,
)
from dam.core.plugin import Plugin
from dam.core.stages import SystemStage
from dam.core.system_params import Resource
from dam.core.systems import system
from dam.core.world import World
from dam.core.world_manager import all_worlds, close_world, create_world_from_components, get_world
from dam.models.config import ConfigComponent, SettingsModel, SettingsPath, WorldConfig, WorldConfigComponent
from dam.models.markers import NeedsMetadataExtractionComponent


class StoreSettings(SettingsModel):
    """Settings of this test's plugin."""

    folder: SettingsPath = Path("store")
    depth: int = Field(default=2, ge=1, le=4)


class StoreSettingsComponent(ConfigComponent, settings=StoreSettings):
    __tablename__ = "test_world_manager_store_config"


class StorePlugin(Plugin):
    """Has settings."""

    Settings = StoreSettings
    SettingsComponent = StoreSettingsComponent

    def build(self, world: World) -> None:
        """Nothing to register."""


class ShelfSettings(SettingsModel):
    """Nothing to set."""


class ShelfSettingsComponent(ConfigComponent, settings=ShelfSettings):
    __tablename__ = "test_world_manager_shelf_config"


class ShelfPlugin(Plugin):
    """Stands on another plugin."""

    Settings = ShelfSettings
    SettingsComponent = ShelfSettingsComponent
    requires = (StorePlugin,)

    def build(self, world: World) -> None:
        assert world.settings_of(StoreSettings).depth == 3


class Unprovided:
    """A resource that no plugin adds."""


class HungryPlugin(StorePlugin):
    """Asks for what is not there."""

    def build(self, world: World) -> None:
        @system(on_stage=SystemStage.METADATA_EXTRACTION)
        async def hungry(food: Resource[Unprovided]) -> None:
            pass

        world.register_system(hungry)


def core(tmp_path: Path, name: str = "photos") -> WorldConfigComponent:
    url = f"sqlite+aiosqlite:///{tmp_path}/{name}.db"
    return WorldConfigComponent.from_settings(WorldConfig(name=name, database_url=url))


def stored(**values: object) -> StoreSettingsComponent:
    return StoreSettingsComponent(**values)


@pytest.fixture(autouse=True)
async def worlds_are_closed() -> AsyncIterator[None]:
    yield
    for name in all_worlds():
        await close_world(name)


async def test_a_world_is_made_from_its_components_and_found_by_its_name(tmp_path: Path) -> None:
    components = [stored(depth=3), core(tmp_path)]
    world = create_world_from_components(components, plugins=[StorePlugin], base=Path("/etc/dam"))
    assert get_world("photos") is world
    assert world.settings_of(StoreSettings) == StoreSettings(depth=3, folder=Path("/etc/dam/store"))
    assert list(world.plugins) == [StorePlugin]
    assert {WorldConfigComponent, NeedsMetadataExtractionComponent} <= world.components.keys()
    await world.setup()
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)


async def test_worlds_come_from_components_that_are_stored_in_another_world(tmp_path: Path) -> None:
    first = create_world_from_components([core(tmp_path)], plugins=[])
    await first.setup()
    async with first.transaction() as transaction:
        entity_id = await transaction.create_entity(core(tmp_path, "inner"))
    async with first.reading() as session:
        found = await session.scalars(select(WorldConfigComponent).where(WorldConfigComponent.entity_id == entity_id))
        inner = create_world_from_components(found, plugins=[])
    await inner.setup()
    async with inner.transaction() as transaction:
        assert await transaction.create_entities(1) == [1]
    assert (tmp_path / "inner.db").exists()


@pytest.mark.parametrize("count", [0, 2])
async def test_exactly_one_core_configuration_is_needed(tmp_path: Path, count: int) -> None:
    with pytest.raises(
        SettingsError, match=f"exactly one WorldConfigComponent, and there are {count} among {count + 1}"
    ):
        create_world_from_components([core(tmp_path)] * count + [stored()], plugins=[StorePlugin])


async def test_settings_of_a_plugin_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        PluginUnavailableError, match=r"has the settings component StoreSettingsComponent .*'dam-cli plugins'"
    ):
        create_world_from_components([core(tmp_path), stored()], plugins=[])
    with pytest.raises(NoSuchWorldError):
        get_world("photos")


async def test_plugins_are_built_behind_those_that_they_require(tmp_path: Path) -> None:
    components = [ShelfSettingsComponent(), core(tmp_path), stored(depth=3)]
    world = create_world_from_components(components, plugins=[ShelfPlugin, StorePlugin])
    assert list(world.plugins) == [StorePlugin, ShelfPlugin]


async def test_a_world_without_a_plugin_that_another_requires_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"plugin .* requires .*; add .* to the plugins of the world"):
        create_world_from_components([core(tmp_path), ShelfSettingsComponent()], plugins=[ShelfPlugin, StorePlugin])


async def test_plugins_that_require_each_other_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StorePlugin, "requires", (ShelfPlugin,))
    with pytest.raises(
        PluginError, match=r"can't be put in order: .* requires .* requires .*; one of them has to do without"
    ):
        create_world_from_components(
            [core(tmp_path), ShelfSettingsComponent(), stored()], plugins=[ShelfPlugin, StorePlugin]
        )


async def test_a_bad_value_is_shown_with_its_key_and_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError,
        match="StoreSettingsComponent is not valid: depth=9: Input should be less than or equal to 4",
    ):
        create_world_from_components([core(tmp_path), stored(depth=9)], plugins=[StorePlugin])


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://somewhere/photos", "sqlite:///photos.db"])
async def test_a_database_that_dam_does_not_know_is_refused_with_those_that_it_knows(url: str) -> None:
    config = WorldConfigComponent.from_settings(WorldConfig(name="photos", database_url=url))
    with pytest.raises(SettingsError, match=r"allowed are sqlite\+aiosqlite:///FILE and postgresql\+asyncpg://"):
        create_world_from_components([config], plugins=[])


async def test_the_password_of_a_refused_database_is_not_shown() -> None:
    config = WorldConfigComponent.from_settings(WorldConfig(name="photos", database_url="mysql://ada:sesame@host/db"))
    with pytest.raises(SettingsError) as refused:
        create_world_from_components([config], plugins=[])
    assert "sesame" not in str(refused.value)


async def test_a_system_that_could_never_run_is_found_when_the_world_is_made(tmp_path: Path) -> None:
    with pytest.raises(
        SystemDefinitionError, match="parameter 'food': no plugin of this world adds the resource Unprovided"
    ):
        create_world_from_components([core(tmp_path), stored()], plugins=[HungryPlugin])


async def test_a_closed_world_is_forgotten(tmp_path: Path) -> None:
    create_world_from_components([core(tmp_path)], plugins=[])
    create_world_from_components([core(tmp_path, "music")], plugins=[])
    await close_world("photos")
    assert list(all_worlds()) == ["music"]
    with pytest.raises(NoSuchWorldError, match="no world 'photos' was created in this process; there are: music"):
        get_world("photos")


async def test_two_processes_may_set_up_a_new_database_at_once(tmp_path: Path) -> None:
    worlds = [create_world_from_components([core(tmp_path, name)], plugins=[]) for name in ("one", "two")]
    urls = {world.config.database_url for world in worlds}
    assert len(urls) == 2
    same = [World(worlds[0].config) for _ in range(4)]
    await asyncio.gather(*(world.setup() for world in same))
    for world in same:
        await world.check_schema()
        await world.close()

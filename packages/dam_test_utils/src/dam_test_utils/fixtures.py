"""Fixtures for tests of plugins: a database, worlds, sample files.

Write ``pytest_plugins = ["dam_test_utils.fixtures"]`` in ``conftest.py``; then

    async def test_a_colour_is_stored(make_world: MakeWorld) -> None:
        world = await make_world(ColourPlugin)
        await world.dispatch_command(ExtractColourCommand(entity_id=1))

Every test has a database file of its own, set up by the revisions of the core and of the plugins. Worlds are closed when
the test ends.
"""

import shutil
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio

from dam.core.analyzers import Analyzer
from dam.core.plugin import Plugin
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import SettingsModel, WorldConfig
from dam.models.core.base_class import Base
from dam.models.core.base_component import Component
from dam_test_utils.samples import SampleFiles, write_samples

__all__ = [
    "DatabaseTemplates",
    "MakeWorld",
    "SampleFiles",
    "create_tables",
    "database_file",
    "database_templates",
    "make_world",
    "sample_files",
    "world",
]


async def create_tables(world: World, *components: type[Component]) -> None:
    """Creates the tables of components that are declared in a test module.

    A short cut for tests alone: a test module has no revisions. What a plugin ships needs a revision in its ``migrations``
    package, and its tests get its tables from there.
    """
    tables = [component.__table__ for component in components]
    async with world.engine.begin() as connection:
        await connection.run_sync(lambda sync: Base.metadata.create_all(sync, tables=tables))


class DatabaseTemplates:
    """Databases that were set up once in this process, to be copied: running the revisions again for each test is slow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[frozenset[type[Plugin]], frozenset[type[Component]]], Path] = {}

    async def copy(self, target: Path, plugins: Iterable[type[Plugin]], components: Iterable[type[Component]]) -> None:
        """A fresh database at ``target`` with the tables of these plugins and components."""
        key = frozenset(plugins), frozenset(components)
        if key not in self._files:
            file = self._folder / f"template-{len(self._files)}.db"
            # the settings do not matter: nothing but the plugins' revisions is used of this world
            async with bare_world(file, "template") as world:
                world.plugins.update({plugin: plugin() for plugin in key[0]})
                await world.setup()
                await create_tables(world, *key[1])
            self._files[key] = file
        shutil.copyfile(self._files[key], target)


def bare_world(database: Path, name: str) -> World:
    """A world without plugins; nothing is opened yet."""
    world = World(WorldConfig(name=name, database_url=f"sqlite+aiosqlite:///{database}", analysis_workers=1))
    register_core_systems(world)
    return world


class MakeWorld(Protocol):
    """Makes a world for the test, ready to use, with a fresh database unless one is named."""

    async def __call__(
        self,
        *plugins: type[Plugin],
        settings: Iterable[SettingsModel] = (),
        components: Collection[type[Component]] = (),
        systems: Iterable[Callable[..., Any]] = (),
        analyzers: Iterable[Analyzer[Any]] = (),
        resources: Iterable[object] = (),
        name: str = "test",
        database: Path | None = None,
    ) -> World:
        """``settings`` go to the plugins whose ``Settings`` they are; the other plugins have their defaults.

        ``components`` and those that ``analyzers`` produce are registered, and get tables as by ``create_tables``.
        ``database`` is the file of another world, to see the same data through a second one.
        """
        ...


@pytest.fixture(scope="session")
def database_templates(tmp_path_factory: pytest.TempPathFactory) -> DatabaseTemplates:
    """The databases that the other fixtures copy; one set for each worker process."""
    return DatabaseTemplates(tmp_path_factory.mktemp("dam-databases"))


@pytest_asyncio.fixture
async def database_file(database_templates: DatabaseTemplates, tmp_path: Path) -> Path:
    """A fresh SQLite file with the core's tables."""
    file = tmp_path / "core.db"
    await database_templates.copy(file, (), ())
    return file


@pytest_asyncio.fixture
async def make_world(database_templates: DatabaseTemplates, tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """A factory of worlds, see ``MakeWorld``."""
    made: list[World] = []

    async def make(
        *plugins: type[Plugin],
        settings: Iterable[SettingsModel] = (),
        components: Collection[type[Component]] = (),
        systems: Iterable[Callable[..., Any]] = (),
        analyzers: Iterable[Analyzer[Any]] = (),
        resources: Iterable[object] = (),
        name: str = "test",
        database: Path | None = None,
    ) -> World:
        analyzers = list(analyzers)
        by_type = {type(each): each for each in settings}
        if unused := by_type.keys() - {plugin.Settings for plugin in plugins}:
            raise ValueError(f"no plugin of this test's world has the settings {[each.__name__ for each in unused]}")
        if database is None:
            database = tmp_path / f"world-{len(made)}.db"
            produced = [component for each in analyzers for component in each.produces]
            await database_templates.copy(database, plugins, [*components, *produced])
        world = bare_world(database, name)
        made.append(world)
        for resource in resources:
            world.add_resource(resource)
        for plugin in plugins:
            world.add_plugin(plugin, by_type.get(plugin.Settings))
        for component in components:
            world.register_component(component)
        for each in analyzers:
            world.register_analyzer(each)
        for system in systems:
            world.register_system(system)
        world.check_systems()
        return world

    yield make
    for each in reversed(made):
        await each.close()


@pytest_asyncio.fixture
async def world(make_world: MakeWorld) -> World:
    """A world without plugins over a fresh database."""
    return await make_world()


@pytest.fixture
def sample_files(tmp_path: Path) -> SampleFiles:
    """A folder of small real files, see ``SampleFiles``."""
    return write_samples(tmp_path / "samples")

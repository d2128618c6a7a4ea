"""Fixtures for tests of plugins: a database, worlds, sample files.

Write ``pytest_plugins = ["dam_test_utils.fixtures"]`` in ``conftest.py``; then

    async def test_a_colour_is_stored(make_world: MakeWorld) -> None:
        world = await make_world(ColourPlugin)
        await world.dispatch_command(ExtractColourCommand(entity_id=1))

Every test runs twice, on SQLite and on PostgreSQL, and has a database of its own, set up by the revisions of the core and of the
plugins. Worlds are closed when the test ends.
"""

import asyncio
import os
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
from dam_test_utils.databases import (
    SERVER,
    Databases,
    PostgresDatabases,
    SqliteDatabases,
    data_folder,
    postgres_server,
    stop_postgres_server,
)
from dam_test_utils.recorder import EventRecorder
from dam_test_utils.samples import SampleFiles, write_samples

__all__ = [
    "DatabaseTemplates",
    "EventRecorder",
    "MakeWorld",
    "SampleFiles",
    "create_tables",
    "database_templates",
    "database_url",
    "databases",
    "empty_database",
    "make_world",
    "postgres_databases",
    "pytest_configure",
    "pytest_unconfigure",
    "recorder",
    "sample_files",
    "sqlite_databases",
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

    def __init__(self) -> None:
        self._urls: dict[tuple[type[Databases], frozenset[type[Plugin]], frozenset[type[Component]]], str] = {}

    async def copy(
        self, databases: Databases, plugins: Iterable[type[Plugin]], components: Iterable[type[Component]]
    ) -> str:
        """The URL of a fresh database with the tables of these plugins and components."""
        key = type(databases), frozenset(plugins), frozenset(components)
        if key not in self._urls:
            url = await databases.create()
            # the settings do not matter: nothing but the plugins' revisions is used of this world
            async with bare_world(url, "template") as world:
                world.plugins.update({plugin: plugin() for plugin in key[1]})
                await world.setup()
                await create_tables(world, *key[2])
            self._urls[key] = url
        return await databases.copy(self._urls[key])


def bare_world(database_url: str, name: str, folder: Path | None = None) -> World:
    """A world without plugins; nothing is opened yet."""
    world = World(WorldConfig(name=name, database_url=database_url, folder=folder, analysis_workers=1))
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
        database_url: str | None = None,
    ) -> World:
        """``settings`` go to the plugins whose ``Settings`` they are; the other plugins have their defaults.

        ``components`` and those that ``analyzers`` produce are registered, and get tables as by ``create_tables``.
        ``database_url`` is that of another world, to see the same data through a second one.
        """
        ...


def pytest_configure(config: pytest.Config) -> None:
    """Says where a PostgreSQL server would have its data, before worker processes are started."""
    data_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the server that tests have started."""
    stop_postgres_server()


@pytest.fixture(scope="session")
def database_templates() -> DatabaseTemplates:
    """The databases that the other fixtures copy; one set for each worker process."""
    return DatabaseTemplates()


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    """A folder of database files."""
    return SqliteDatabases(tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def postgres_databases() -> PostgresDatabases:
    """A PostgreSQL server."""
    databases = PostgresDatabases(postgres_server())
    if not os.environ.get(SERVER):
        asyncio.run(databases.hurry())
    return databases


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Where the databases of this test are: every test that asks for one, or for a world, runs on each kind.

    A test for one of them alone says ``@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)``.
    """
    found: Databases = request.getfixturevalue(
        {"sqlite": "sqlite_databases", "postgresql": "postgres_databases"}[request.param]
    )
    return found


@pytest_asyncio.fixture
async def empty_database(databases: Databases) -> AsyncIterator[str]:
    """The URL of a database without any table."""
    url = await databases.create()
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def database_url(databases: Databases, database_templates: DatabaseTemplates) -> AsyncIterator[str]:
    """The URL of a database with the core's tables."""
    url = await database_templates.copy(databases, (), ())
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def make_world(
    databases: Databases, database_templates: DatabaseTemplates, tmp_path: Path
) -> AsyncIterator[MakeWorld]:
    """A factory of worlds, see ``MakeWorld``."""
    folders: dict[str, Path] = {}
    made: list[World] = []

    async def make(
        *plugins: type[Plugin],
        settings: Iterable[SettingsModel] = (),
        components: Collection[type[Component]] = (),
        systems: Iterable[Callable[..., Any]] = (),
        analyzers: Iterable[Analyzer[Any]] = (),
        resources: Iterable[object] = (),
        name: str = "test",
        database_url: str | None = None,
    ) -> World:
        analyzers = list(analyzers)
        by_type = {type(each): each for each in settings}
        if unused := by_type.keys() - {plugin.Settings for plugin in plugins}:
            raise ValueError(f"no plugin of this test's world has the settings {[each.__name__ for each in unused]}")
        if database_url is None:
            produced = [component for each in analyzers for component in each.produces]
            database_url = await database_templates.copy(databases, plugins, [*components, *produced])
            folders[database_url] = tmp_path / f"world-{len(folders)}"
        world = bare_world(database_url, name, folders.get(database_url))
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
    for url in folders:
        await databases.drop(url)


@pytest_asyncio.fixture
async def world(make_world: MakeWorld) -> World:
    """A world without plugins over a fresh database."""
    return await make_world()


@pytest.fixture
def recorder() -> EventRecorder:
    """Keeps what a world tells, see ``EventRecorder``."""
    return EventRecorder()


@pytest.fixture
def sample_files(tmp_path: Path) -> SampleFiles:
    """A folder of small real files, see ``SampleFiles``."""
    return write_samples(tmp_path / "samples")

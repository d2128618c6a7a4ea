"""Opening worlds: from configuration to a world that is ready to use."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from dam.core.databases import database_file
from dam.core.exceptions import DamError, DatabaseUnavailableError
from dam.core.world import World
from dam.core.world_manager import close_world, create_world_from_components
from dam_app.config import Configuration, WorldDescription, load_configuration
from dam_fs.exceptions import StoreMismatchError
from dam_fs.resources import FileOperationsResource, storage_folder
from dam_fs.settings import FsSettings

Say = Callable[[str], None]


@asynccontextmanager
async def open_world(
    name: str | None = None, *, config: str | None = None, say: Say = lambda _: None
) -> AsyncIterator[World]:
    """A configured world, checked and ready; closed on leaving.

    A new embedded database sets itself up, and ``say`` is told. Raises ``NoSuchWorldError``, ``SettingsError``,
    ``MigrationNeededError`` and what else opening a database can raise.
    """
    configuration = load_configuration(config)
    async with opened(configuration, configuration.choose(name), say=say) as world:
        yield world


@asynccontextmanager
async def opened(
    configuration: Configuration, name: str, *, say: Say = lambda _: None, setup: bool = False
) -> AsyncIterator[World]:
    """The same for a configuration at hand. With ``setup`` an old schema is not refused, for the caller will upgrade it."""
    world = build(configuration.describe(name))
    try:
        await _prepare(world, say, str(configuration.home), setup=setup)
        yield world
    finally:
        await close_world(world)


def build(description: WorldDescription) -> World:
    """The world of a description, with nothing opened yet."""
    plugins = [report.plugin for report in description.plugins if report.plugin is not None]
    return create_world_from_components(description.components, plugins=plugins, base=description.base)


async def _prepare(world: World, say: Say, home: str, *, setup: bool) -> None:
    file = database_file(world.config.database_url)
    if file is not None and not (os.path.exists(file) and os.path.getsize(file)):
        _refuse_orphaned_store(world, file)
        _make_folder(os.path.dirname(os.path.abspath(file)), home, world.name)
    if setup:
        return
    if file is not None and await world.is_blank():
        await world.setup()
        say(f"set up world {world.name!r}: {file}")
    else:
        await world.check_schema()


def _make_folder(folder: str, home: str, world: str) -> None:
    """Only dam's own folder is made: any other that is missing may be a disk that is not there."""
    if os.path.isdir(folder):
        return
    if folder != home:
        raise DatabaseUnavailableError(
            f"world {world!r}: there is no folder {folder} for its database; is its disk mounted? "
            "Mount it, make the folder, or correct database_url. Nothing was created"
        )
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as e:
        raise DatabaseUnavailableError(
            f"world {world!r}: its folder {folder} cannot be made: {e.strerror}; DAM_HOME names another one"
        ) from e


def _refuse_orphaned_store(world: World, file: str) -> None:
    """A store with objects whose database is gone is a loss to be mended, not a new world."""
    if FileOperationsResource not in world.resources:
        return
    files = world.get_resource(FileOperationsResource)
    if files.id_if_used() is not None:
        raise StoreMismatchError(
            f"world {world.name!r}: there is no database at {file}, and the store at {files.root} holds objects; "
            "restore the database from a backup, or correct database_url. Nothing was created"
        )


def protected_paths(configuration: Configuration) -> list[str]:
    """Stores and databases of all configured worlds, also of those that cannot be opened now."""
    return sorted({path for name in configuration.names for path in _paths_of(configuration, name)})


def _paths_of(configuration: Configuration, name: str) -> Iterator[str]:
    try:
        core = configuration.core_of(name)
        if file := database_file(core.database_url):
            yield from (os.path.abspath(file + ending) for ending in ("", "-wal", "-shm", "-journal"))
        yield storage_folder(configuration.settings_of(name, "dam-fs", FsSettings), core)
    except DamError:
        return  # its settings are wrong, and name no place

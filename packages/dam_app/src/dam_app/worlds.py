"""Opening worlds: from configuration to a world that is ready to use."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import select

from dam.core.databases import database_file
from dam.core.exceptions import DamError, DatabaseUnavailableError, NoSuchWorldError, PluginUnavailableError
from dam.core.world import World
from dam.core.world_manager import close_world, create_world_from_components
from dam.models.config import ConfigComponent, WorldConfigComponent
from dam_app.config import Configuration, WorldDescription, load_configuration
from dam_fs.exceptions import StoreMismatchError
from dam_fs.resources import FileOperationsResource, storage_of
from dam_fs.settings import FsSettings
from dam_fs.storage import own_paths

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
    configuration: Configuration,
    name: str,
    *,
    say: Say = lambda _: None,
    setup: bool = False,
    create: bool = True,
    orphaned: bool = False,
) -> AsyncIterator[World]:
    """The same for a configuration at hand. With ``setup`` an old schema is not refused, for the caller will upgrade it; unless
    it may ``create`` one, an embedded database that is not there is an error. A store whose database is gone is refused unless it
    may be ``orphaned``."""
    world = await built(configuration, name)
    try:
        if not create:
            _require_database(world)
        await _prepare(world, say, str(configuration.home), setup=setup, orphaned=orphaned)
        yield world
    finally:
        await close_world(world)


@asynccontextmanager
async def unopened(configuration: Configuration, name: str) -> AsyncIterator[World]:
    """A configured world, whatever its database and its store are like, and where there is none; the database's folder is there.
    Closed on leaving."""
    world = await built(configuration, name)
    try:
        if (file := database_file(world.config.database_url)) is not None:
            _make_folder(os.path.dirname(os.path.abspath(file)), str(configuration.home), world.name)
        yield world
    finally:
        await close_world(world)


async def built(configuration: Configuration, name: str) -> World:
    """A configured or stored world, with nothing opened yet."""
    if name in configuration.names:
        return build(configuration.describe(name))
    world = create_world_from_components((await stored_description(configuration, name)).components)
    world.called = name
    return world


async def stored_description(configuration: Configuration, name: str) -> WorldDescription:
    """What another world knows of ``WORLD:ENTITY``. Raises ``NoSuchWorldError`` and what opening a world can raise."""
    holder, _, entity = name.rpartition(":")
    async with opened(configuration, holder, create=False) as other:
        found = {type(each): each for each in await stored_configuration(other, int(entity))}
    plugins = [
        report
        for report in configuration.plugin_reports().values()
        if report.plugin is not None and report.plugin.SettingsComponent in found
    ]
    settings = [found[report.plugin.SettingsComponent] for report in plugins if report.plugin is not None]
    return WorldDescription(name, [found[WorldConfigComponent], *settings], plugins, configuration.base)


async def save_world(world: World, description: WorldDescription) -> int:
    """Stores a world's configuration as components of an entity of ``world``, and returns that.

    It is the same entity if the world was stored there before. Secrets stay where they are: what is stored says where. Raises
    ``PluginUnavailableError``.
    """
    components = {type(component): component for component in description.components}
    if missing := [cls.__module__.partition(".")[0] for cls in components if cls not in world.components]:
        names = ", ".join(name.replace("_", "-") for name in missing)
        raise PluginUnavailableError(
            f"world {world.name!r} cannot store settings of {names}, whose tables it does not have; add {names} to its plugins"
        )
    async with world.transaction() as transaction:
        row: Any = WorldConfigComponent  # whose columns are those of its settings
        known = await transaction.session.scalar(select(row.entity_id).where(row.name == description.name))
        entity_id = await transaction.create_entity() if known is None else known
        for cls in _kinds_of_settings(world):
            if cls not in components:  # of a plugin that it had once
                await transaction.remove_components(cls, [entity_id])
        await transaction.remove_components(row, [entity_id])  # what is set no more
        transaction.add(entity_id, *components.values())
    return entity_id


async def stored_configuration(world: World, entity_id: int) -> list[ConfigComponent]:
    """What ``save_world`` has stored. Raises ``NoSuchWorldError``."""
    async with world.reading() as session:
        found = [await session.get(cls, entity_id) for cls in _kinds_of_settings(world)]
    components = [component for component in found if component is not None]
    if not any(isinstance(component, WorldConfigComponent) for component in components):
        raise NoSuchWorldError(
            f"entity {entity_id} of world {world.name!r} holds no world's configuration; "
            f"'dam-cli worlds save NAME --in {world.name}' stores one, and says under which id"
        )
    return components


def _kinds_of_settings(world: World) -> list[type[ConfigComponent]]:
    return [cls for cls in world.components if issubclass(cls, ConfigComponent)]


def build(description: WorldDescription) -> World:
    """The world of a description, with nothing opened yet."""
    plugins = [report.plugin for report in description.plugins if report.plugin is not None]
    return create_world_from_components(description.components, plugins=plugins, base=description.base)


async def _prepare(world: World, say: Say, home: str, *, setup: bool, orphaned: bool) -> None:
    file = database_file(world.config.database_url)
    if file is not None and not (os.path.exists(file) and os.path.getsize(file)):
        if not orphaned:
            await refuse_orphaned_store(world, file)
        _make_folder(os.path.dirname(os.path.abspath(file)), home, world.name)
    if setup:
        return
    if file is not None and await world.is_blank():
        await world.setup()
        say(f"set up world {world.name!r}: {file}")
    else:
        await world.check_schema()


def _require_database(world: World) -> None:
    file = database_file(world.config.database_url)
    if file is not None and not (os.path.exists(file) and os.path.getsize(file)):
        raise DatabaseUnavailableError(
            f"world {world.called!r} has no database yet, and so there is nothing in it: there is no {file}; is its disk "
            "mounted, and is database_url right? Nothing was created"
        )


def require_folder(folder: str, home: str, world: str) -> None:
    """Raises ``DatabaseUnavailableError`` where the folder of a database is missing, and is not dam's own."""
    if folder != home and not os.path.isdir(folder):
        raise DatabaseUnavailableError(
            f"world {world!r}: there is no folder {folder} for its database; is its disk mounted? "
            "Mount it, make the folder, or correct database_url. Nothing was created"
        )


def _make_folder(folder: str, home: str, world: str) -> None:
    """Only dam's own folder is made: any other that is missing may be a disk that is not there."""
    require_folder(folder, home, world)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as e:
        raise DatabaseUnavailableError(
            f"world {world!r}: its folder {folder} cannot be made: {e.strerror}; DAM_HOME names another one"
        ) from e


async def refuse_orphaned_store(world: World, file: str) -> None:
    """A store with objects whose database is gone is a loss to be mended, not a new world."""
    if FileOperationsResource not in world.resources:
        return
    files = world.get_resource(FileOperationsResource)
    if await asyncio.to_thread(files.id_if_used) is not None:
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
        yield from own_paths(storage_of(configuration.settings_of(name, "dam-fs", FsSettings), core))
    except DamError:
        return  # its settings are wrong, and name no place

"""Worlds as they are found: where they lie, what they have, and what stands in their way. Nothing is created by looking."""

import os
from dataclasses import dataclass, field

from sqlalchemy import func, select

from dam.core.databases import database_file
from dam.core.exceptions import DamError
from dam.core.plugin import distribution_of
from dam.core.query import listed
from dam.core.world import World
from dam.core.world_manager import close_world
from dam.models.entity import Entity
from dam_app.config import DEFAULT_WORLD, Configuration
from dam_app.worlds import built, refuse_orphaned_store, require_folder
from dam_fs.resources import FileOperationsResource

NOT_SET_UP = "not set up"


@dataclass
class WorldReport:
    """One world. ``state`` is that of its database: ``current``, ``behind``, ``newer`` or ``not set up``; ``None`` is what could
    not be found out."""

    name: str
    defined_in: str
    database: str | None = None
    store: str | None = None
    plugins: list[str] = field(default_factory=list)
    state: str | None = None
    assets: int | None = None
    problems: list[str] = field(default_factory=list)


async def inspect_world(configuration: Configuration, name: str, *, count: bool = False) -> WorldReport:
    """Looks at a configured or stored world; ``count`` counts its assets. What is wrong stands in ``problems``."""
    report = WorldReport(name, _defined_in(configuration, name))
    try:
        world = await built(configuration, name)
    except DamError as e:
        report.problems.append(e.message)
        return report
    try:
        await _look(world, report, str(configuration.home), count=count)
    except DamError as e:
        report.problems.append(e.message)
    finally:
        await close_world(world)
    return report


async def _look(world: World, report: WorldReport, home: str, *, count: bool) -> None:
    url = world.config.database_url
    file = database_file(url)
    files = world.get_resource(FileOperationsResource) if FileOperationsResource in world.resources else None
    report.database = file or url
    report.store = files.root if files else None
    report.plugins = [distribution_of(plugin) for plugin in world.plugins]
    if file is not None and not (os.path.exists(file) and os.path.getsize(file)):
        report.state = NOT_SET_UP
        require_folder(os.path.dirname(os.path.abspath(file)), home, world.name)
        await refuse_orphaned_store(world, file)
        return  # it sets itself up when it is first used
    states = await world.schema_states()
    report.state = (
        NOT_SET_UP
        if all(state.current is None for state in states)
        else "newer"
        if any(state.is_too_new for state in states)
        else "current"
        if all(state.is_current for state in states)
        else "behind"
    )
    await world.check_schema()
    if count:
        async with world.reading() as session:
            report.assets = await session.scalar(
                select(func.count()).select_from(Entity).where(listed(world.components))
            )
    if files is not None:
        await files.storage(world, create=False)


def _defined_in(configuration: Configuration, name: str) -> str:
    if name in configuration.configured:
        return str(configuration.file or "environment")
    return "built in" if name == DEFAULT_WORLD else f"world {name.rpartition(':')[0]}"

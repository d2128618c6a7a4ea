"""What every plugin has to keep to, as one check for the tests of its author:

async def test_the_plugin_keeps_the_contract(empty_database: str) -> None:
    await check_plugin(ColoursPlugin, empty_database)
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from dam.core.derived_schema import PREFIX
from dam.core.exceptions import DamError
from dam.core.migrations import RevisionTree, on_schema
from dam.core.plugin import Plugin, in_order
from dam.core.revisions import BASE, differences, downgrade
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import SettingsModel, WorldConfig, meanings
from dam.models.core.base_class import OWNERS, Base, package_of
from dam.models.core.base_component import Component

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PluginContractError", "check_plugin"]


class PluginContractError(AssertionError):
    """Says everything that a plugin does not keep to."""


async def check_plugin(
    plugin: type[Plugin],
    database_url: str,
    *,
    settings: SettingsModel | None = None,
    folder: Path | None = None,
) -> None:
    """Builds worlds with a plugin and those that it requires over an empty database, and looks at what comes of it.

    - Its settings come back from the component that stores them as they went in.
    - Its tables are named after its package.
    - Its revisions give the tables that its classes describe, and can be undone and done again.
    - It can be built into several worlds of one process, and each gets the same.
    - A world without it opens the same database.
    - What it brings is documented: itself, its settings, components, commands.

    ``settings`` are needed where it has no defaults for all of them, ``folder`` where it keeps files and the database is a
    server's. Raises ``PluginContractError``.
    """
    problems = list(_named_otherwise(plugin))
    first, second = (_world(database_url, plugin, settings, folder) for _ in range(2))
    without = _world(database_url, None, None, folder, requires=plugin.requires)
    async with first, second, without:
        problems += [*_undocumented(plugin, first), *_unregistered(plugin, first)]
        if _parts(first) != _parts(second):
            problems.append(
                "it brings other parts into a second world of the same process; build() has to be free of state"
            )
        problems += await _schema_problems(plugin, first) or await _stored_otherwise(plugin, settings, first)
        try:
            await without.check_schema()
        except DamError as e:
            problems.append(f"a world without it does not open the same database: {e}")
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise PluginContractError(f"{plugin.__module__}.{plugin.__qualname__} does not keep to the contract\n{lines}")


def _world(
    database_url: str,
    plugin: type[Plugin] | None,
    settings: SettingsModel | None,
    folder: Path | None,
    *,
    requires: tuple[type[Plugin], ...] = (),
) -> World:
    world = World(WorldConfig(name="contract", database_url=database_url, folder=folder, analysis_workers=1))
    register_core_systems(world)
    for each in in_order(_with_required([plugin] if plugin else requires)):
        world.add_plugin(each, settings if each is plugin else None)
    world.check_systems()
    return world


def _with_required(plugins: Any) -> Iterator[type[Plugin]]:
    for each in plugins:
        yield from _with_required(each.requires)
        yield each


async def _stored_otherwise(plugin: type[Plugin], settings: SettingsModel | None, world: World) -> list[str]:
    component, values = plugin.SettingsComponent, dict(settings or plugin.Settings())
    given = plugin.Settings.model_construct(set(values), **values)  # as if somebody had set all of them
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(component.from_settings(given))
    async with world.reading() as session:
        row = await session.get_one(component, entity_id)
    back = dict(row.to_settings(None, plugin.Settings))
    return [
        f"its setting {name} is stored as {value!r} and comes back as {back[name]!r}"
        for name, value in values.items()
        if back[name] != value
    ]


def _named_otherwise(plugin: type[Plugin]) -> Iterator[str]:
    package = package_of(plugin)
    tree = RevisionTree(package, package)
    for table in Base.metadata.tables.values():
        if tree.owns(table) and not table.name.startswith(f"{package}_"):
            yield f"its table {table.name!r} is not named after its package; call it {package}_{table.name}"


def _unregistered(plugin: type[Plugin], world: World) -> Iterator[str]:
    """What is not registered is not shown, copied or found: the world does not know of it."""
    for cls in OWNERS.values():
        if issubclass(cls, Component) and package_of(cls) == package_of(plugin) and cls not in world.components:
            yield f"its component {cls.__name__} is not registered in build(); worlds would lose it when they are copied"


def _parts(world: World) -> tuple[set[Any], set[Any], set[Any]]:
    systems = {(system.name, system.trigger) for system in world.scheduler.systems}
    return set(world.components), systems, {analyzer.algorithm for analyzer in world.analyses}


def _undocumented(plugin: type[Plugin], world: World) -> Iterator[str]:
    package = package_of(plugin)
    commands = [each.trigger for each in world.scheduler.systems if isinstance(each.trigger, type)]
    for cls in dict.fromkeys([plugin, plugin.Settings, plugin.SettingsComponent, *world.components, *commands]):
        if package_of(cls) == package and not _is_documented(cls):
            yield f"{cls.__module__}.{cls.__qualname__} has no docstring"
    said = meanings(plugin.Settings)
    for name in plugin.Settings.model_fields:
        if name not in said and plugin.Settings.__module__.partition(".")[0] == package:
            yield f"its setting {name} has no text below it, which says what it means"


def _is_documented(cls: type) -> bool:
    """A docstring of its own, and not the signature that a dataclass has for one."""
    text = cls.__dict__.get("__doc__") or ""
    return bool(text) and not inspect.cleandoc(text).startswith(f"{cls.__name__}(")


async def _schema_problems(plugin: type[Plugin], world: World) -> list[str]:
    try:
        await world.setup()
        await world.check_schema()
        tree = next((tree for tree in world.revision_trees if tree.package == package_of(plugin)), None)
        if tree is None:
            return []
        problems = [
            f"its revisions lack {step}" for step in await on_schema(world.engine, lambda c: differences(c, tree))
        ]
        if not (tree.head or "").startswith(PREFIX):
            await on_schema(world.engine, lambda connection: downgrade(connection, tree, BASE))
            await world.setup()
    except Exception as e:  # noqa: BLE001  a revision can raise whatever it likes, and is at fault
        return [f"its revisions cannot be done, undone and done again: {type(e).__name__}: {e}"]
    return problems

"""Schemas of a world's database, as ``dam-cli db`` speaks of them."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from sqlalchemy import Connection

from dam.core.databases import reading
from dam.core.exceptions import PluginUnavailableError
from dam.core.migrations import RevisionTree, on_schema
from dam.core.plugin import normalised
from dam.core.revisions import differences, downgrade, write_revision
from dam.core.world import World


@dataclass(frozen=True)
class SchemaRow:
    """Where one plugin's tables stand: ``state`` is ``current``, ``behind``, ``new`` or ``newer``."""

    plugin: str
    current: str | None
    head: str | None
    state: str


async def schema_rows(world: World) -> list[SchemaRow]:
    """Every plugin that has tables, the core first."""
    rows = []
    for each in await world.schema_states():
        state = "current" if each.is_current else "newer" if each.is_too_new else "behind" if each.current else "new"
        rows.append(SchemaRow(each.tree.owner, each.current, each.tree.head, state))
    return rows


async def schema_differences(world: World) -> dict[str, list[str]]:
    """Of each plugin whose tables are not what its classes say, the steps that would make them so."""

    def compare(connection: Connection) -> dict[str, list[str]]:
        found = {tree.owner: differences(connection, tree) for tree in world.revision_trees}
        return {owner: steps for owner, steps in found.items() if steps}

    async with reading(world.engine).connect() as connection:
        return await connection.run_sync(compare)


async def go_back(world: World, plugin: str, target: str) -> None:
    """Undoes revisions of one plugin, down to ``target`` or to ``base``, in one transaction. Raises ``RevisionError`` or
    ``PluginUnavailableError``."""
    tree = tree_of(world, plugin)
    await on_schema(world.engine, lambda connection: downgrade(connection, tree, target))


async def new_revision(world: World, plugin: str, message: str) -> Path:
    """Writes the next revision into the plugin's package. Raises ``RevisionError``, ``PluginError`` or
    ``PluginUnavailableError``."""
    tree = tree_of(world, plugin)
    async with reading(world.engine).connect() as connection:
        return await connection.run_sync(write_revision, tree, message)


def tree_of(world: World, plugin: str) -> RevisionTree:
    """Raises ``PluginUnavailableError`` with what there is."""
    trees = {tree.owner: tree for tree in world.revision_trees}
    if normalised(plugin) in trees:
        return trees[normalised(plugin)]
    near = get_close_matches(plugin, trees, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(trees)}"
    raise PluginUnavailableError(f"no plugin of world {world.name!r} that has tables is called {plugin!r}; {hint}")

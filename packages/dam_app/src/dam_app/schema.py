"""Schemas of a world's database, as ``dam-cli db`` speaks of them."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from sqlalchemy import Connection, delete

from dam.core.databases import reading
from dam.core.exceptions import PluginUnavailableError, RevisionError
from dam.core.migrations import RevisionTree, on_schema
from dam.core.plugin import distribution_of, normalised
from dam.core.revisions import BASE, differences, downgrade, write_revision
from dam.core.world import World
from dam.models.core.base_class import package_of
from dam.models.derivation import DerivationComponent

CORE = "dam"


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
    states = [state for state in await world.schema_states() if state.tree != tree and state.current is not None]
    if target == BASE and (resting := _resting_on(world, tree, {state.tree.owner for state in states})):
        raise RevisionError(
            f"the tables of {tree.owner} cannot go: those of {', '.join(resting)} rest on them; undo these first"
        )
    # What is computed of files was written into tables that are others from now on: it has to be computed again.
    proofs = [each.algorithm.name for each in world.analyses if any(tree.owns(cls.__table__) for cls in each.produces)]

    def work(connection: Connection) -> None:
        downgrade(connection, tree, target)
        if tree.owner != CORE:
            connection.execute(delete(DerivationComponent).where(DerivationComponent.algorithm.in_(proofs)))

    await on_schema(world.engine, work)


def _resting_on(world: World, tree: RevisionTree, present: set[str]) -> list[str]:
    """Plugins that have tables and need those of this one."""
    if tree.owner == CORE:
        return sorted(present)
    needing = [
        distribution_of(plugin)
        for plugin in world.plugins
        if any(package_of(required) == tree.package for required in plugin.requires)
    ]
    return sorted(present & set(needing))


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

"""What Alembic's own command runs: one package's tree with ``-n PACKAGE``, every tree of the world without."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection

from dam.core.migrations import RevisionTree, context_options, schema_states
from dam.core.world import World
from dam_app.config import load_configuration
from dam_app.worlds import build

SECTION = context.config.config_ini_section


def chosen_world() -> World:
    configuration = load_configuration()
    configuration.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return build(configuration.describe(configuration.choose(context.get_x_argument(as_dictionary=True).get("world"))))


def number(tree: RevisionTree) -> Any:
    """Numbers a new revision: 0001, 0002, … in one line."""

    def process(_context: object, _revision: object, directives: list[Any]) -> None:
        for directive in directives:
            directive.rev_id = f"{len(tree.revisions) + 1:04}"

    return process


def run_tree(connection: Connection, tree: RevisionTree) -> None:
    context.configure(connection=connection, process_revision_directives=number(tree), **context_options(tree))
    with context.begin_transaction():
        context.run_migrations()


async def run_one(world: World) -> None:
    tree = next((t for t in world.revision_trees if t.owner == SECTION), None)
    if tree is None:
        raise SystemExit(
            f"world {world.name!r} has no package {SECTION!r}; it has {', '.join(t.owner for t in world.revision_trees)}"
        )
    async with world.engine.execution_options(dam_migrating=True).connect() as connection:
        await connection.run_sync(run_tree, tree)
        await connection.commit()


async def run_all(world: World) -> None:
    options = context.config.cmd_opts
    command = options.cmd[0].__name__ if options else ""
    if command == "upgrade" and getattr(options, "revision", "") in ("head", "heads"):
        await world.setup()
    elif command != "current":
        raise SystemExit(f"'{command}' is about one package's tree; name it: uv run alembic -n dam-fs {command} …")
    for state in await schema_states(world.engine, world.revision_trees):
        print(f"{state.tree.owner}\t{state.current or '-'}\t(head {state.tree.head})")  # noqa: T201


async def run() -> None:
    async with chosen_world() as world:
        await (run_all(world) if SECTION == "alembic" else run_one(world))


asyncio.run(run())

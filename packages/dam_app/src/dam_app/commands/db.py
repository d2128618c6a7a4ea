"""``dam-cli db``."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command, Group, UsageError
from dam_app.commands.setup_db import setup_db
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World

PluginArgument = Annotated[str, typer.Argument(metavar="PLUGIN", help="Whose tables; the core's are called dam.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=Group, help="The schema of the world's database.", no_args_is_help=True, epilog="Example: dam-cli db status"
    )
    group.command("status", cls=Command, epilog="Example: dam-cli db status")(status)
    group.command("upgrade", cls=Command, epilog="Example: dam-cli --world photos db upgrade")(setup_db)
    group.command("downgrade", cls=Command, epilog="Example: dam-cli db downgrade dam-colours 0001 --yes")(go_down)
    group.command("check", cls=Command, epilog="Example: dam-cli db check")(check)
    group.command("revision", cls=Command, epilog="Example: dam-cli db revision dam-colours 'add a share'")(revise)
    app.add_typer(group, name="db")


def status(ctx: typer.Context, json: JsonOption = False) -> None:
    """List the plugins that have tables: the revision that the database has, and the newest one."""

    async def work(output: Output, world: "World") -> None:
        from dam_app.schema import schema_rows

        rows = await schema_rows(world)
        for row in rows:
            output.item(row.__dict__)
        if not output.json:
            cells = [[row.plugin, row.current or "-", row.head or "-", row.state] for row in rows]
            output.table(("plugin", "database", "newest", "state"), cells)

    _on_schema(Globals.of(ctx, json=json), work)


def check(ctx: typer.Context, json: JsonOption = False) -> None:
    """Compare the tables of an up-to-date database with what the plugins' classes say."""

    async def work(output: Output, world: "World") -> int:
        from dam_app.exits import Exit
        from dam_app.schema import schema_differences

        await world.check_schema()
        found = await schema_differences(world)
        for plugin, steps in found.items():
            for step in steps:
                output.item({"plugin": plugin, "missing": step}, f"{plugin}\t{step}")
        if not found:
            output.note("the tables are what the plugins' classes say")
        return Exit.DAMAGE if found else Exit.DONE

    _on_schema(Globals.of(ctx, json=json), work)


def go_down(
    ctx: typer.Context,
    plugin: PluginArgument,
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="The one to go back to, or base.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Undo a plugin's revisions. What only the undone ones hold is deleted; 'db upgrade' brings back empty tables."""
    options = Globals.of(ctx, json=json)
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("this deletes data; give --yes where nobody can be asked")

    async def work(output: Output, world: "World") -> int:
        from dam_app.exits import Exit
        from dam_app.schema import go_back, tree_of

        owner = tree_of(world, plugin).owner
        question = f"undo revisions of {owner} in world {world.name!r} down to {revision}, and delete what they hold?"
        if not yes and not typer.confirm(question, err=True):
            output.note("nothing was changed")
            return Exit.FAILED
        output.note(f"world: {world.name}")
        await go_back(world, owner, revision)
        output.item({"plugin": owner, "to": revision}, f"{owner}\t{revision}")
        return Exit.DONE

    _on_schema(options, work)


def revise(
    ctx: typer.Context,
    plugin: PluginArgument,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What it changes, in a few words.")],
    json: JsonOption = False,
) -> None:
    """Write a plugin's next revision: what its classes say and the world's database does not have. Read it before you run it."""

    async def work(output: Output, world: "World") -> None:
        from dam_app.output import path_fields
        from dam_app.schema import new_revision

        file = str(await new_revision(world, plugin, message))
        output.item({"plugin": plugin, **path_fields(file)}, file)

    _on_schema(Globals.of(ctx, json=json), work)


def _on_schema(options: Globals, work: Callable[[Output, "World"], Awaitable[int | None]]) -> None:
    """In the chosen world, whatever its schema."""

    async def inside(output: Output) -> int | None:
        from dam_app.config import load_configuration
        from dam_app.worlds import opened

        configuration = load_configuration(options.config)
        async with opened(configuration, configuration.choose(options.world), say=output.note, setup=True) as world:
            return await work(output, world)

    run(options, inside)

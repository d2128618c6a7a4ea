"""``dam-cli worlds``."""

from typing import Annotated

import typer

from dam_app.application import Command, Group, UsageError
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output, safe


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=Group, help="Worlds, configured and stored.", no_args_is_help=True, epilog="Example: dam-cli worlds list"
    )
    group.command("list", cls=Command, epilog="Example: dam-cli worlds list")(list_worlds)
    group.command("show", cls=Command, epilog="Example: dam-cli worlds show photos")(show)
    group.command("create", cls=Command, epilog="Example: dam-cli worlds create photos --plugin dam-fs")(create)
    group.command("check", cls=Command, epilog="Example: dam-cli worlds check")(check)
    group.command("save", cls=Command, epilog="Example: dam-cli worlds save photos --in archive")(save)
    group.command("copy", cls=Command, epilog="Example: dam-cli worlds copy photos archive 12 15")(copy)
    app.add_typer(group, name="worlds")


def list_worlds(ctx: typer.Context, json: JsonOption = False) -> None:
    """List the worlds of dam.toml and the built-in default world; the chosen one is marked."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam.core.exceptions import NoSuchWorldError
        from dam_app.config import load_configuration
        from dam_app.services import world_rows

        configuration = load_configuration(options.config)
        try:
            chosen = configuration.choose(options.world)
        except NoSuchWorldError as e:  # this is the command that shows which there are
            output.warning(e.message)
            chosen = None
        rows = world_rows(configuration, chosen)
        for row in rows:
            output.item(row)
        if not output.json:
            output.table(
                ("", "name", "database", "plugins"),
                [
                    [
                        "*" if row["chosen"] else "",
                        row["name"],
                        row["error"] or row["database"],
                        ", ".join(row["plugins"]),
                    ]
                    for row in rows
                ],
            )

    run(options, work)


def show(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A world; the chosen one unless given.")] = None,
    json: JsonOption = False,
) -> None:
    """Show one world: where it lies, which plugins it has, whether its database is up to date, how many assets it holds."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam_app.config import load_configuration
        from dam_app.inspection import inspect_world

        configuration = load_configuration(options.config)
        chosen = configuration.choose(name or options.world, "NAME" if name else "--world")
        report = await inspect_world(configuration, chosen, count=True)
        output.item(report.__dict__)
        if not output.json:
            shown = {**report.__dict__, "plugins": ", ".join(report.plugins)}
            rows = [[key.replace("_", " "), str(shown[key])] for key in shown if shown[key] not in (None, "", [])]
            rows = [row for row in rows if row[0] != "problems"] + [["problem", each] for each in report.problems]
            output.table(("what", "value"), rows)

    run(options, work)


def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is to be called.")],
    database_url: Annotated[
        str | None,
        typer.Option("--database-url", metavar="URL", help="Its database; a file in dam's own folder unless given."),
    ] = None,
    plugins: Annotated[
        list[str] | None, typer.Option("--plugin", metavar="PLUGIN", help="One of its plugins; all unless given.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="[PLUGIN.]KEY=VALUE", help="Any other setting, as in dam.toml.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Add a world to dam.toml and set its database up. Relative paths start at the folder of that file."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam_app.creation import create_world, world_table
        from dam_app.output import path_fields

        table = world_table(database_url, plugins, settings or ())
        file = await create_world(options.config, name, table, say=output.note)
        output.item({"name": name, **path_fields(file)}, f"{name}\t{file}")

    run(options, work)


def check(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Worlds; all unless given.")] = None,
    json: JsonOption = False,
) -> None:
    """Look whether worlds can be used: their settings, plugins, databases and stores. Nothing is created or changed."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> int:
        from dam_app.config import load_configuration
        from dam_app.exits import Exit
        from dam_app.inspection import inspect_world

        configuration = load_configuration(options.config)
        chosen = [configuration.choose(name, "NAME") for name in names or configuration.names]
        failed = False
        for name in chosen:
            report = await inspect_world(configuration, name)
            failed = failed or bool(report.problems)
            state = "; ".join(report.problems) or ("ok" if report.state == "current" else report.state or "")
            output.item(report.__dict__, f"{name}\t{safe(state)}")
        return Exit.SOME_FAILED if failed else Exit.DONE

    run(options, work)


def save(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A configured world.")],
    holder: Annotated[str, typer.Option("--in", metavar="WORLD", help="The world that is to hold its configuration.")],
    json: JsonOption = False,
) -> None:
    """Store a world's configuration in another world; --world WORLD:ENTITY uses it from then on, without a dam.toml for it."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam_app.config import load_configuration
        from dam_app.worlds import opened, save_world

        configuration = load_configuration(options.config)
        description = configuration.describe(configuration.choose(name, "NAME"))
        chosen = configuration.choose(holder, "--in")
        async with opened(configuration, chosen, say=output.note) as world:
            output.note(f"world: {chosen}")
            entity_id = await save_world(world, description)
        use = f"{chosen}:{entity_id}"
        output.item({"name": name, "in": chosen, "entity_id": entity_id, "world": use}, f"{name}\t{use}")

    run(options, work)


def copy(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SRC", help="The world to copy from.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="The world to copy to.")],
    entity_ids: Annotated[
        list[int] | None, typer.Argument(metavar="ID", help="Only these assets; all unless given.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Let SRC have the last word on what DST has too.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave out facts of plugins that DST does not have.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and copy nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Copy assets with their content and all that is known of them. Running it again continues, and copies what is new."""
    options = Globals.of(ctx, json=json)
    if options.world is not None:
        raise UsageError("--world chooses no world here; SRC and DST do")

    async def work(output: Output) -> int:
        from dam.commands.copy_commands import CopyEntitiesCommand
        from dam_app.config import load_configuration
        from dam_app.progress import CopyReport
        from dam_app.watching import watch
        from dam_app.worlds import opened

        configuration = load_configuration(options.config)
        names = configuration.choose(source, "SRC"), configuration.choose(target, "DST")
        async with (
            opened(configuration, names[0], create=False) as origin,
            opened(configuration, names[1], say=output.note, create=not dry_run) as world,
        ):
            output.note(f"world: {names[1]}")
            command = CopyEntitiesCommand(origin, entity_ids or None, overwrite, partial, dry_run)
            return await watch(output, world, command, CopyReport(output, command.stop, dry_run=dry_run))

    run(options, work)

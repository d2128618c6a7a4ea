"""``dam-cli plugins``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dam_app.application import Command, GroupWithDefault
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output, safe

if TYPE_CHECKING:
    from dam_app.plugins import PluginRow


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=GroupWithDefault,
        help="Installed plugins, and new ones. Without a command it is 'list': 'plugins dam-fs' is 'plugins list dam-fs'.",
        short_help="Installed plugins, and new ones.",
        epilog="Example: dam-cli plugins dam-fs",
    )
    group.command("list", cls=Command, epilog="Example: dam-cli plugins list --json")(list_plugins)
    group.command("new", cls=Command, epilog="Example: dam-cli plugins new dam-labels --in ~/src")(new)
    app.add_typer(group, name="plugins")


def list_plugins(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One plugin: shows what it brings.")] = None,
    json: JsonOption = False,
) -> None:
    """List the installed plugins, with what became of each in this world, or show what one of them brings."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> int:
        from dam_app.config import load_configuration
        from dam_app.exits import Exit
        from dam_app.plugins import chosen_rows, plugin_rows
        from dam_app.worlds import stored_description

        configuration = load_configuration(options.config)
        stored = None
        if options.world is not None and (world := configuration.choose(options.world)) not in configuration.names:
            stored = await stored_description(configuration, world)
        rows = chosen_rows(plugin_rows(configuration, options.world, _commands(ctx), stored), name)
        for row in rows:
            output.item(row.record())
        if not output.json and name is not None:
            _show(rows[0])
        elif not output.json:
            columns = ("name", "distribution", "version", "state", "error")
            output.table(columns, [[str(getattr(row, column) or "") for column in columns] for row in rows])
        return Exit.FAILED if any(row.error for row in rows) else Exit.DONE

    def _show(row: "PluginRow") -> None:
        print(
            f"{row.name} {row.version} ({row.distribution}), {row.state}"
            + (f": {safe(row.error)}" if row.error else "")
        )
        for kind, names in row.record().items():
            if isinstance(names, list) and names:
                print(f"  {kind}")
                for each in names:
                    print(f"    {each}")

    run(options, work)


def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the plugin, its package and its verb are called.")],
    folder: Annotated[
        str,
        typer.Option("--in", metavar="FOLDER", help="Where its folder is made; here unless given.", show_default=False),
    ] = ".",
    json: JsonOption = False,
) -> None:
    """Write a new plugin: a package that works, with tests, to be changed into yours."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam_app.new_plugin import write_plugin
        from dam_app.output import path_fields

        plugin = write_plugin(name, folder, _commands(ctx))
        for file in plugin.files:
            output.item(path_fields(str(file)), safe(str(file)))
        record = {"name": plugin.name, "files": len(plugin.files), "next": plugin.next_steps}
        output.summary(record, "\n".join(["next:", *(f"  {step}" for step in plugin.next_steps)]))

    run(options, work)


def _commands(ctx: typer.Context) -> list[str]:
    """The commands of ``dam-cli`` itself."""
    root: Any = ctx.find_root().command  # a VerbGroup, whose module imports this one
    return list(root.commands)

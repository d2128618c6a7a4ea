"""``dam-cli worlds``."""

import typer

from dam_app.application import Command, Group
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=Group, help="The configured worlds.", no_args_is_help=True, epilog="Example: dam-cli worlds list"
    )
    group.command("list", cls=Command, epilog="Example: dam-cli worlds list")(list_worlds)
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

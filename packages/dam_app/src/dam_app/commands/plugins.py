"""``dam-cli plugins``."""

import typer

from dam_app.application import Command
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output


def register(app: typer.Typer) -> None:
    app.command("plugins", cls=Command, epilog="Example: dam-cli plugins --json")(plugins)


def plugins(ctx: typer.Context, json: JsonOption = False) -> None:
    """List the installed plugins, with what became of each in this world."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> int:
        from dam_app.config import load_configuration
        from dam_app.exits import Exit
        from dam_app.services import plugin_rows

        rows = plugin_rows(load_configuration(options.config), options.world)
        for row in rows:
            output.item(row)
        if not output.json:
            columns = ("name", "distribution", "version", "state", "error")
            output.table(columns, [[str(row[column] or "") for column in columns] for row in rows])
        return Exit.FAILED if any(row["state"] in ("failed", "missing dependency") for row in rows) else Exit.DONE

    run(options, work)

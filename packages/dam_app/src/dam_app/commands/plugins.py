"""``dam-cli plugins``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output, safe

if TYPE_CHECKING:
    from dam_app.plugins import PluginRow


def register(app: typer.Typer) -> None:
    app.command("plugins", cls=Command, epilog="Example: dam-cli plugins --json")(plugins)


def plugins(
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

        rows = chosen_rows(plugin_rows(load_configuration(options.config), options.world), name)
        for row in rows:
            output.item(row.record())
        if not output.json and name is not None:
            _show(rows[0])
        elif not output.json:
            columns = ("name", "distribution", "version", "state", "error")
            output.table(columns, [[str(getattr(row, column) or "") for column in columns] for row in rows])
        return Exit.FAILED if any(row.state in ("failed", "missing dependency") for row in rows) else Exit.DONE

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

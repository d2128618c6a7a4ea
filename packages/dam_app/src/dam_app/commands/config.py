"""``dam-cli config``."""

import typer

from dam_app.application import Command, Group
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=Group, help="Settings of worlds.", no_args_is_help=True, epilog="Example: dam-cli config show"
    )
    group.command("show", cls=Command, epilog="Example: dam-cli --world photos config show")(show)
    group.command("template", cls=Command, epilog="Example: dam-cli config template")(template)
    app.add_typer(group, name="config")


def show(ctx: typer.Context, json: JsonOption = False) -> None:
    """List every setting of the world, and who said it: a variable, a file, or nobody, so that it is the default."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from json import dumps

        from dam_app.config import load_configuration
        from dam_app.settings import settings_rows, stored_settings_rows

        configuration = load_configuration(options.config)
        name = configuration.choose(options.world)
        if name in configuration.names:
            rows = list(settings_rows(configuration, name))
        else:
            rows = await stored_settings_rows(configuration, name)
        for row in rows:
            output.item(row.__dict__)
        if not output.json:
            cells = [[f"{row.table}.{row.key}", dumps(row.value, ensure_ascii=False), row.source] for row in rows]
            output.table(("setting", "value", "said by"), cells)

    run(options, work)


def template(ctx: typer.Context) -> None:
    """Print a dam.toml with everything that can be set, what it means, and its default."""

    async def work(_output: Output) -> None:
        from dam_app.settings import template as text

        print(text(), end="")

    run(Globals.of(ctx), work)

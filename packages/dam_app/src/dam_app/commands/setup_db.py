"""``dam-cli setup-db``."""

import typer

from dam_app.application import Command
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output


def register(app: typer.Typer) -> None:
    app.command("setup-db", cls=Command, epilog="Example: dam-cli --world photos setup-db")(setup_db)


def setup_db(ctx: typer.Context, json: JsonOption = False) -> None:
    """Create the world's database, or upgrade it to the schema of the installed plugins."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam_app.config import load_configuration
        from dam_app.worlds import opened

        configuration = load_configuration(options.config)
        name = configuration.choose(options.world)
        async with opened(configuration, name, say=output.note, setup=True) as world:
            output.note(f"world: {name}")
            behind = await world.setup()
            for state in await world.schema_states():
                was = next((s.current for s in behind if s.tree == state.tree), state.current)
                record = {
                    "plugin": state.tree.owner,
                    "from": was,
                    "to": state.current,
                    "upgraded": was != state.current,
                }
                output.item(
                    record,
                    f"{state.tree.owner}\t{state.current}"
                    + ("" if was == state.current else f"\t(was {was or 'new'})"),
                )

    run(options, work)

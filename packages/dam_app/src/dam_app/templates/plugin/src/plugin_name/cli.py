"""The verb ``plugin-name``: every command parses, dispatches, and prints."""

from typing import TYPE_CHECKING, Annotated

import typer
from dam_app import Command, Globals, JsonOption, Output, in_world

from plugin_name.commands import AddLabelCommand, FindLabelCommand

if TYPE_CHECKING:  # 'dam-cli --help' imports this module, and needs no database
    from dam import World

app = typer.Typer(help="Give assets labels, and find them by their labels.", no_args_is_help=True)

LabelArgument = Annotated[str, typer.Argument(metavar="LABEL", help="One word or several.")]


@app.command(cls=Command)
def add(
    ctx: typer.Context,
    entity_id: Annotated[int, typer.Argument(metavar="ID", help="An asset, by id.")],
    label: LabelArgument,
    json: JsonOption = False,
) -> None:
    """Give an asset a label."""

    async def work(output: Output, world: "World") -> None:
        kept = await world.dispatch_command(AddLabelCommand(entity_id, label)).get_one_value()
        output.item({"entity_id": entity_id, "label": kept}, f"{entity_id}\t{kept}")

    in_world(Globals.of(ctx, json=json), work, changes=True)


@app.command(cls=Command)
def find(ctx: typer.Context, label: LabelArgument, json: JsonOption = False) -> None:
    """List the assets that have a label."""

    async def work(output: Output, world: "World") -> int:
        from dam_app import Exit

        found = await world.dispatch_command(FindLabelCommand(label)).get_one_value()
        for entity_id in found:
            output.item({"entity_id": entity_id}, str(entity_id))
        return Exit.DONE if found else Exit.NOTHING_FOUND

    in_world(Globals.of(ctx, json=json), work)

"""``dam-cli show``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("show", cls=Command, epilog="Example: dam-cli show 1 2 3")(show)


def show(
    ctx: typer.Context,
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="Entities, by id.", min=1)],
    json: JsonOption = False,
) -> None:
    """Show every component of entities."""

    async def work(output: Output, world: "World") -> int:
        from dam.core.exceptions import NoSuchEntityError
        from dam_app.exits import Exit
        from dam_app.render import print_asset
        from dam_app.services import describe_entities

        found = await describe_entities(world, ids)
        for asset in found:
            print_asset(output, asset)
        missing = sorted(set(ids) - {asset.entity_id for asset in found})
        for entity_id in missing:
            text = f"there is no entity {entity_id} in world {world.name!r}; 'dam-cli ls' lists what there is"
            output.error(text, code=NoSuchEntityError.code)
        return Exit.DONE if not missing else Exit.SOME_FAILED if found else Exit.NOTHING_FOUND

    in_world(Globals.of(ctx, json=json), work)

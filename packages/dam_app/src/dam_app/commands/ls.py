"""``dam-cli ls``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("ls", cls=Command, epilog="Example: dam-cli ls --limit 20")(ls)


def ls(
    ctx: typer.Context,
    limit: Annotated[int | None, typer.Option("--limit", "-l", metavar="N", min=1, help="At most so many.")] = None,
    json: JsonOption = False,
) -> None:
    """List assets, the newest first."""

    async def work(output: Output, world: "World") -> None:
        from dam_app.render import print_listing
        from dam_app.services import newest_assets

        if not await print_listing(output, newest_assets(world, limit)):
            output.note(f"world {world.name!r} has no assets yet; add some: dam-cli add-asset -r FOLDER")

    in_world(Globals.of(ctx, json=json), work)

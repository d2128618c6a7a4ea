"""``dam-cli thumbnail``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command, UsageError
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("thumbnail", cls=Command, epilog="Example: dam-cli thumbnail 7 --output small.webp")(thumbnail)


def thumbnail(
    ctx: typer.Context,
    entity_id: Annotated[int, typer.Argument(metavar="ID", help="A picture, by id.", min=1)],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; - is stdout.")],
    size: Annotated[
        int, typer.Option(metavar="PIXELS", min=1, max=2048, help="At most so wide and so high, up to 2048.")
    ] = 256,
    json: JsonOption = False,
) -> None:
    """Write a small version of a picture as WebP. It is made once, and kept in the store."""
    options = Globals.of(ctx, json=json)
    if options.output.json and output == "-":
        raise UsageError("--json and the picture cannot both go to stdout; name a file with --output")

    async def work(out: Output, world: "World") -> None:
        from dam_app.output import path_fields
        from dam_app.services import write_thumbnail

        length = await write_thumbnail(world, entity_id, size, output)
        if output != "-":
            out.item({"entity_id": entity_id, **path_fields(output), "size_bytes": length}, output)

    in_world(options, work)

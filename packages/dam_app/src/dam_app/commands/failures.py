"""``dam-cli failures``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("failures", cls=Command, epilog="Example: dam-cli failures dam_media_image.perceptual_hashes")(failures)


def failures(
    ctx: typer.Context,
    algorithm: Annotated[str | None, typer.Argument(metavar="ALGORITHM", help="Only of this analyzer.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-l", metavar="N", min=1, help="At most so many.")] = None,
    json: JsonOption = False,
) -> None:
    """List analyses that failed, with the reason. The assets themselves are stored."""

    async def work(output: Output, world: "World") -> None:
        from dam_app.render import print_failures
        from dam_app.services import failed_analyses

        if not await print_failures(output, failed_analyses(world, algorithm, limit)):
            what = f"no analysis by {algorithm}" if algorithm else "no analysis"
            output.note(f"{what} failed in world {world.name!r}")

    in_world(Globals.of(ctx, json=json), work)

"""``dam-cli find-similar-images``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World

_BITS = {"metavar": "BITS", "min": 0, "max": 64}


def register(app: typer.Typer) -> None:
    app.command(
        "find-similar-images", cls=Command, epilog="Example: dam-cli find-similar-images picture.jpg --match two"
    )(find_similar_images)


def find_similar_images(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A picture; it need not be in the world.")],
    phash_threshold: Annotated[int, typer.Option(help="Bits in which pHashes may differ.", **_BITS)] = 4,
    ahash_threshold: Annotated[int, typer.Option(help="Bits in which aHashes may differ.", **_BITS)] = 4,
    dhash_threshold: Annotated[int, typer.Option(help="Bits in which dHashes may differ.", **_BITS)] = 4,
    match: Annotated[str, typer.Option(metavar="any|two|all", help="How many of the three have to be near.")] = "any",
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="At most so many, the most alike.")] = None,
    json: JsonOption = False,
) -> None:
    """Find pictures that look like this one, the most alike first, with the bits in which their hashes differ."""
    thresholds = {"phash": phash_threshold, "ahash": ahash_threshold, "dhash": dhash_threshold}

    async def work(output: Output, world: "World") -> int:
        from dam_app.exits import Exit
        from dam_app.render import print_similar
        from dam_app.services import similar_images

        found = await similar_images(world, path, thresholds, match, limit)
        print_similar(output, found)
        if not found:
            output.note(f"nothing in world {world.name!r} looks like {path}")
        return Exit.DONE if found else Exit.NOTHING_FOUND

    in_world(Globals.of(ctx, json=json), work)

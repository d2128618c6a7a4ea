"""``dam-cli find-file-by-hash``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command, UsageError
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command(
        "find-file-by-hash", cls=Command, epilog="Example: dam-cli find-file-by-hash --file picture.jpg --hash-type md5"
    )(find_file_by_hash)


def find_file_by_hash(
    ctx: typer.Context,
    hash_value: Annotated[str | None, typer.Argument(metavar="HASH", help="The hash, in hexadecimal.")] = None,
    hash_type: Annotated[str, typer.Option("--hash-type", metavar="sha256|md5", help="Which hash it is.")] = "sha256",
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="PATH", help="Take the hash of this file instead.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Find assets by the hash of their content, and show everything about them."""
    if (hash_value is None) == (file is None):
        raise UsageError("give either HASH or --file PATH")
    from dam_app.services import find_by_digest, wanted_digest

    component, digest = wanted_digest(hash_type, hash_value, file)  # a mistake sets up no world

    async def work(output: Output, world: "World") -> int:
        from dam_app.exits import Exit
        from dam_app.render import print_asset

        found = await find_by_digest(world, component, digest)
        for asset in found:
            print_asset(output, asset)
        if not found:
            output.note(f"nothing in world {world.name!r} has this {hash_type}")
        return Exit.DONE if found else Exit.NOTHING_FOUND

    in_world(Globals.of(ctx, json=json), work)

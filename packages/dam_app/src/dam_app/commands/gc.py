"""``dam-cli gc``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command, UsageError
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output
from dam_app.quantities import duration

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("gc", cls=Command, epilog="Example: dam-cli gc --dry-run")(collect)


def collect(
    ctx: typer.Context,
    grace: Annotated[
        str, typer.Option(metavar="DURATION", help="Leave what is younger than this, as 90s, 30m, 2h or 7d.")
    ] = "1h",
    named: Annotated[
        bool, typer.Option("--named", help="Also what the store's receipts name as files that were added.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be removed, and remove nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Remove objects of the store that nothing in the database speaks of, and what interrupted processes left behind."""
    try:
        seconds = duration(grace)
    except ValueError as e:
        raise UsageError(str(e)) from e

    async def work(output: Output, world: "World") -> int:
        from dam_app.upkeep import GcReport
        from dam_app.watching import watch
        from dam_fs.commands import GcCommand

        command = GcCommand(seconds, named, dry_run)
        return await watch(output, world, command, GcReport(output, command.stop, dry_run=dry_run))

    in_world(Globals.of(ctx, json=json), work, changes=True)

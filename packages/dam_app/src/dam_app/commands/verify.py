"""``dam-cli verify``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command, UsageError
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output
from dam_app.quantities import duration, share, subset

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("verify", cls=Command, epilog="Example: dam-cli verify --time-limit 2h")(verify)


def verify(
    ctx: typer.Context,
    part: Annotated[
        str | None,
        typer.Option(
            "--subset", metavar="PART/PARTS", help="Only one part of all content: ten runs of 1/10 to 10/10 see all."
        ),
    ] = None,
    sample: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Only so many, as 5%, chosen anew each time.")
    ] = None,
    time_limit: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Begin nothing new after so long, as 90s, 30m or 2h; the next run continues."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read all stored objects and references and compare them with their hashes. Running it again continues what was stopped."""
    if part is not None and sample is not None:
        raise UsageError("choose one of --subset and --sample")
    try:
        chosen = None if part is None else subset(part)
        chance = None if sample is None else share(sample)
        limit = None if time_limit is None else duration(time_limit)
    except ValueError as e:
        raise UsageError(str(e)) from e

    async def work(output: Output, world: "World") -> int:
        from dam_app.upkeep import VerifyReport
        from dam_app.watching import watch
        from dam_fs.commands import VerifyCommand

        command = VerifyCommand(subset=chosen, sample=chance, time_limit=limit)
        return await watch(output, world, command, VerifyReport(output, command.stop))

    in_world(Globals.of(ctx, json=json), work, changes=True)

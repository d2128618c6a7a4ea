"""``dam-cli reprocess``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command, UsageError
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("reprocess", cls=Command, epilog="Example: dam-cli reprocess --stale")(reprocess)


def reprocess(
    ctx: typer.Context,
    algorithms: Annotated[
        list[str] | None,
        typer.Argument(metavar="ALGORITHM", help="Analyzers, by name; with --stale or --failed all, unless given."),
    ] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="What was never analysed, or by another version or with other settings.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="What failed.")] = False,
    json: JsonOption = False,
) -> None:
    """Analyse stored assets again: everything an analyzer looks at, or only what is stale, or what failed."""
    if stale and failed:
        raise UsageError("choose one of --stale and --failed")
    if not (algorithms or stale or failed):
        raise UsageError("name an ALGORITHM, or give --stale or --failed")

    async def work(output: Output, world: "World") -> int:
        from dam.commands.analysis_commands import ReprocessCommand, Which
        from dam_app.progress import AnalysisReport
        from dam_app.watching import watch

        which = Which.STALE if stale else Which.FAILED if failed else Which.ALL
        command = ReprocessCommand(algorithms or (), which)
        return await watch(output, world, command, AnalysisReport(output, command.stop))

    in_world(Globals.of(ctx, json=json), work, changes=True)

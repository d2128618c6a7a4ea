"""``dam-cli repair``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command, UsageError
from dam_app.context import Globals, JsonOption, in_world, run
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("repair", cls=Command, epilog="Example: dam-cli repair --from /media/backup/store")(repair)


def repair(
    ctx: typer.Context,
    folders: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="FOLDER", help="Look for copies in this folder as well; can be given again."),
    ] = None,
    from_store: Annotated[
        bool,
        typer.Option("--from-store", help="Make the database again from the store: names and places, nothing else."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what could be mended and from where, and change nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Mend what 'verify' found damaged, from other places that hold the same bytes. What cannot be mended is listed each time."""

    if from_store:
        if folders or dry_run:
            raise UsageError("--from-store stands alone")
        _rebuild(Globals.of(ctx, json=json))

    async def work(output: Output, world: "World") -> int:
        from dam_app.upkeep import RepairReport
        from dam_app.watching import watch
        from dam_fs.commands import RepairCommand

        command = RepairCommand(folders or (), dry_run=dry_run)
        return await watch(output, world, command, RepairReport(output, command.stop, dry_run=dry_run))

    in_world(Globals.of(ctx, json=json), work, changes=True)


def _rebuild(options: Globals) -> None:
    async def work(output: Output) -> int:
        from dam_app.config import load_configuration
        from dam_app.interrupts import Interrupts
        from dam_app.progress import IngestReport
        from dam_app.watching import tell
        from dam_app.worlds import opened
        from dam_fs.commands import RebuildCommand

        configuration = load_configuration(options.config)
        name = configuration.choose(options.world)
        async with opened(configuration, name, say=output.note, orphaned=True) as world:
            output.note(f"world: {name}")
            command = RebuildCommand()
            report = IngestReport(output, command.stop)
            with Interrupts(command.stop, output), report:
                await tell(world, command, report.take)
                await report.extract(world)
            output.note("what is computed of files comes back by: dam-cli reprocess --stale")
        return report.exit_code

    run(options, work)

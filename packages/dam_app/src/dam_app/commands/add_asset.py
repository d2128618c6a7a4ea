"""``dam-cli add-asset``."""

from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command, UsageError
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("add-asset", cls=Command, epilog="Example: dam-cli add-asset -r ~/Pictures --exclude '*.tmp'")(
        add_asset
    )


def add_asset(
    ctx: typer.Context,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Files; folders with --recursive.", show_default=False)
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Add the files below folders as well.")] = False,
    no_copy: Annotated[
        bool, typer.Option("--no-copy", help="Record where the files are; leave their bytes there.")
    ] = False,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Leave out what matches, as in a .gitignore.")
    ] = None,
    files_from: Annotated[
        str | None, typer.Option(metavar="FILE", help="Read paths from FILE, one a line; - is stdin.")
    ] = None,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Paths of --files-from end with a NUL, not with a line.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and add nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Add files as assets: known content is linked, not stored twice. Running it again continues."""
    if not paths and files_from is None:
        raise UsageError("give at least one PATH, or --files-from")
    if null and files_from is None:
        raise UsageError("--null says how the paths of --files-from end; give that as well")
    options = Globals.of(ctx, json=json)
    from dam_app.config import load_configuration
    from dam_app.progress import IngestReport
    from dam_app.services import addition, paths_from
    from dam_app.worlds import protected_paths

    command = addition(  # before a world is opened, and perhaps set up: a mistake changes nothing
        paths or (),
        listed=paths_from(files_from, null=null) if files_from else (),
        recursive=recursive,
        copy=not no_copy,
        dry_run=dry_run,
        exclude=exclude or (),
        protected=protected_paths(load_configuration(options.config)),
        count=IngestReport.shows_progress(options.output),
    )

    async def work(output: Output, world: "World") -> int:
        from dam_app.interrupts import Interrupts
        from dam_app.watching import tell

        report = IngestReport(output, command.stop, dry_run=dry_run)
        with Interrupts(command.stop, output), report:
            await tell(world, command, report.take)
            if not dry_run:
                await report.extract(world)
        return report.exit_code

    in_world(options, work, changes=True)

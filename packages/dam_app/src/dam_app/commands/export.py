"""``dam-cli export``."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from dam_app.application import Command, UsageError
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World


def register(app: typer.Typer) -> None:
    app.command("export", cls=Command, epilog="Example: dam-cli export 12 15 ~/for-anna --sidecar")(export)


def export(
    ctx: typer.Context,
    ids: Annotated[
        list[int], typer.Argument(metavar="ID", help="Assets, by id.", min=1, default_factory=list, show_default=False)
    ],
    folder: Annotated[str, typer.Argument(metavar="DEST", help="The folder to write to; it is made if it is new.")],
    every: Annotated[bool, typer.Option("--all", help="All assets of the world.")] = False,
    sidecar: Annotated[
        bool, typer.Option("--sidecar", help="Write all that is known of each asset beside it, as NAME.json.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be done, and write nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Copy assets out under their original names, verified. No file is replaced; running it again continues."""
    if bool(ids) == every:
        raise UsageError("give either one ID or more before DEST, or --all")
    if folder.isdecimal() and not os.path.isdir(folder):
        raise UsageError(f"{folder} stands in the place of DEST, the folder; if that is its name, write ./{folder}")
    options = Globals.of(ctx, json=json)
    from dam_app.config import load_configuration
    from dam_app.exports import ExportReport, export_of
    from dam_app.worlds import protected_paths

    protected = protected_paths(load_configuration(options.config))
    command = export_of(None if every else ids, folder, sidecar=sidecar, dry_run=dry_run, protected=protected)

    async def work(output: Output, world: "World") -> int:
        from dam_app.watching import watch

        return await watch(output, world, command, ExportReport(output, command.stop, dry_run=dry_run))

    in_world(options, work)

"""``dam-cli rm``, ``restore`` and ``trash``."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dam_app.application import Command, Group, UsageError
from dam_app.context import Globals, JsonOption, in_world
from dam_app.output import Output

if TYPE_CHECKING:
    from dam.core.world import World

Ids = Annotated[list[int], typer.Argument(metavar="ID", help="Assets, by id.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    app.command("rm", cls=Command, epilog="Example: dam-cli rm 12 15")(remove)
    app.command("restore", cls=Command, epilog="Example: dam-cli restore 12")(restore)
    group = typer.Typer(
        cls=Group, help="Assets that are to be deleted.", no_args_is_help=True, epilog="Example: dam-cli trash list"
    )
    group.command("list", cls=Command, epilog="Example: dam-cli trash list --json")(list_trash)
    group.command("empty", cls=Command, epilog="Example: dam-cli trash empty --older-than 30d --yes")(empty)
    app.add_typer(group, name="trash")


def remove(
    ctx: typer.Context,
    ids: Ids,
    delete: Annotated[bool, typer.Option("--delete", help="Delete them for good, with their stored bytes.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: JsonOption = False,
) -> None:
    """Move assets to the trash: they are listed no more, and 'restore' brings them back. Your own files are never touched."""
    if delete and not dry_run:
        _require_consent(yes)

    async def work(output: Output, world: "World") -> int:
        from dam.commands.disposal_commands import DeleteCommand, TrashCommand

        if not delete:
            return await _dispose(output, world, TrashCommand(ids, dry_run), dry_run=dry_run)
        if not (yes or dry_run) and not _confirmed(f"delete {len(ids)} assets of world {world.name!r} for good?"):
            output.note("nothing was deleted")
            return 1
        return await _dispose(output, world, DeleteCommand(ids, dry_run), dry_run=dry_run)

    in_world(Globals.of(ctx, json=json), work, changes=True)


def restore(ctx: typer.Context, ids: Ids, dry_run: DryRun = False, json: JsonOption = False) -> None:
    """Bring assets back from the trash."""

    async def work(output: Output, world: "World") -> int:
        from dam.commands.disposal_commands import UntrashCommand

        return await _dispose(output, world, UntrashCommand(ids, dry_run), dry_run=dry_run)

    in_world(Globals.of(ctx, json=json), work, changes=True)


def list_trash(ctx: typer.Context, json: JsonOption = False) -> None:
    """List what is in the trash, the longest there first."""

    async def work(output: Output, world: "World") -> None:
        from dam_app.render import print_trash
        from dam_app.services import trashed_assets

        if not await print_trash(output, trashed_assets(world)):
            output.note(f"the trash of world {world.name!r} is empty")

    in_world(Globals.of(ctx, json=json), work)


def empty(
    ctx: typer.Context,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Only what came there before that: 12h, 30d, 4w.")
    ] = "0s",
    yes: Yes = False,
    dry_run: DryRun = False,
    json: JsonOption = False,
) -> None:
    """Delete what is in the trash for good, with its stored bytes."""
    if not dry_run:
        _require_consent(yes)
    from datetime import timedelta

    from dam_app.quantities import duration

    try:
        age = timedelta(seconds=duration(older_than))
    except (ValueError, OverflowError) as e:
        raise UsageError(f"--older-than: {e}") from e

    async def work(output: Output, world: "World") -> int:
        from dam.commands.disposal_commands import EmptyTrashCommand

        if not (yes or dry_run) and not _confirmed(f"delete what is in the trash of world {world.name!r} for good?"):
            output.note("nothing was deleted")
            return 1
        return await _dispose(output, world, EmptyTrashCommand(age, dry_run), dry_run=dry_run)

    in_world(Globals.of(ctx, json=json), work, changes=True)


async def _dispose(output: Output, world: "World", command: Any, *, dry_run: bool) -> int:
    from dam_app.progress import DisposalReport
    from dam_app.watching import watch

    return await watch(output, world, command, DisposalReport(output, command.stop, dry_run=dry_run))


def _require_consent(yes: bool) -> None:
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("this deletes for good; give --yes where nobody can be asked")


def _confirmed(question: str) -> bool:
    return typer.confirm(question, err=True)

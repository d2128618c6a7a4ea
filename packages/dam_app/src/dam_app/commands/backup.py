"""``dam-cli backup``."""

from typing import Annotated

import typer

from dam_app.application import Command, GroupWithDefault
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=GroupWithDefault,
        help="Back the world's database up. Without a command it is 'create': 'backup FILE' is 'backup create FILE'.",
        short_help="Back the world's database up, and restore it.",
        epilog="Example: dam-cli backup photos.dambackup",
    )
    group.command("create", cls=Command, epilog="Example: dam-cli --world photos backup create photos.dambackup")(
        create
    )
    group.command("restore", cls=Command, epilog="Example: dam-cli --world photos backup restore photos.dambackup")(
        restore
    )
    app.add_typer(group, name="backup")


def create(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="FILE", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Write every table of the world's database to one file, also while it is in use. The store is not part of it."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam_app.backups import make_backup
        from dam_app.config import load_configuration
        from dam_app.output import human_size, path_fields, safe

        configuration = load_configuration(options.config)
        name = configuration.choose(options.world)
        output.note(f"world: {name}")
        made = await make_backup(configuration, name, path, replacing=force)
        output.item({**path_fields(path), **made}, safe(path))
        output.note(f"{made['entities']} entities, {made['rows']} rows ({human_size(made['size_bytes'])})")

    run(options, work)


def restore(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="FILE", help="A backup.")],
    force: Annotated[bool, typer.Option("--force", help="Also into a database that is set up, and empty.")] = False,
    json: JsonOption = False,
) -> None:
    """Put a backup into the world's database, which has to be new. Nothing that holds assets is ever replaced."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam_app.backups import restore_backup
        from dam_app.config import load_configuration
        from dam_app.output import path_fields, safe

        configuration = load_configuration(options.config)
        name = configuration.choose(options.world)
        output.note(f"world: {name}")
        found = await restore_backup(configuration, name, path, force=force, warn=output.warning)
        output.item({**path_fields(path), **found}, safe(path))
        output.note(
            f"restored {found['entities']} entities, {found['rows']} rows, as they were on {found['made_at'][:16]} UTC"
        )

    run(options, work)

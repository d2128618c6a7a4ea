"""``dam-cli worlds``."""

from typing import Annotated

import typer

from dam_app.application import Command, Group
from dam_app.context import Globals, JsonOption, run
from dam_app.output import Output


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=Group, help="Worlds, configured and stored.", no_args_is_help=True, epilog="Example: dam-cli worlds list"
    )
    group.command("list", cls=Command, epilog="Example: dam-cli worlds list")(list_worlds)
    group.command("save", cls=Command, epilog="Example: dam-cli worlds save photos --in archive")(save)
    app.add_typer(group, name="worlds")


def list_worlds(ctx: typer.Context, json: JsonOption = False) -> None:
    """List the worlds of dam.toml and the built-in default world; the chosen one is marked."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam.core.exceptions import NoSuchWorldError
        from dam_app.config import load_configuration
        from dam_app.services import world_rows

        configuration = load_configuration(options.config)
        try:
            chosen = configuration.choose(options.world)
        except NoSuchWorldError as e:  # this is the command that shows which there are
            output.warning(e.message)
            chosen = None
        rows = world_rows(configuration, chosen)
        for row in rows:
            output.item(row)
        if not output.json:
            output.table(
                ("", "name", "database", "plugins"),
                [
                    [
                        "*" if row["chosen"] else "",
                        row["name"],
                        row["error"] or row["database"],
                        ", ".join(row["plugins"]),
                    ]
                    for row in rows
                ],
            )

    run(options, work)


def save(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A configured world.")],
    holder: Annotated[str, typer.Option("--in", metavar="WORLD", help="The world that is to hold its configuration.")],
    json: JsonOption = False,
) -> None:
    """Store a world's configuration in another world; --world WORLD:ENTITY uses it from then on, without a dam.toml for it."""
    options = Globals.of(ctx, json=json)

    async def work(output: Output) -> None:
        from dam_app.config import load_configuration
        from dam_app.worlds import opened, save_world

        configuration = load_configuration(options.config)
        description = configuration.describe(configuration.choose(name))
        chosen = configuration.choose(holder)
        async with opened(configuration, chosen, say=output.note) as world:
            output.note(f"world: {chosen}")
            entity_id = await save_world(world, description)
        use = f"{chosen}:{entity_id}"
        output.item({"name": name, "in": chosen, "entity_id": entity_id, "world": use}, f"{name}\t{use}")

    run(options, work)

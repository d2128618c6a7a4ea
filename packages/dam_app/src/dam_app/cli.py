"""``dam-cli``: global options, the commands of this package, and the verbs that plugins add.

Every command is a function that parses, calls one service and renders. Nothing here imports a database toolkit: that waits
until a command runs.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from dam_app.application import Group, UsageError
from dam_app.commands import (
    add_asset,
    backup,
    config,
    db,
    export,
    failures,
    find_file_by_hash,
    find_similar_images,
    ls,
    plugins,
    repair,
    reprocess,
    setup_db,
    show,
    thumbnail,
    trash,
    verify,
    worlds,
)
from dam_app.commands import gc as gc_command
from dam_app.context import INTERRUPTED, Globals, guarded, print_traceback
from dam_app.output import Output, safe
from dam_app.verbs import conflict, verbs


class VerbGroup(Group):
    """The built-in commands, then those of plugins, which are imported only when they are wanted."""

    def make_context(self, *args: Any, **kw: Any) -> Any:
        with _mistakes_as_json():
            return super().make_context(*args, **kw)

    def invoke(self, ctx: Any) -> Any:
        with _mistakes_as_json():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return [*self.commands, *(name for name in verbs() if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or _plugin_command(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        entries = verbs().get(args[0]) if args[0] not in self.commands else None
        if entries and (reason := conflict(entries, self.commands)):
            raise UsageError(reason, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        for entries in verbs().values():
            if reason := conflict(entries, self.commands):
                _warn(reason)


@contextmanager
def _mistakes_as_json() -> Iterator[None]:
    """A program that asked for JSON gets what is wrong with its command line as JSON; a person gets Typer's own words. Ctrl-C
    while a command is imported is told as it is later."""
    try:
        yield
    except KeyboardInterrupt:  # Typer would end without a word
        Output(json="--json" in sys.argv).error(INTERRUPTED)
        raise typer.Exit(130) from None
    except TyperException as e:
        if "--json" not in sys.argv:
            e.message = safe(e.message)  # which holds words of the command line, and those may be names of files
            raise
        Output(json=True).error(e.format_message())
        raise typer.Exit(e.exit_code) from e


def _plugin_command(name: str) -> Any:
    entries = verbs().get(name, [])
    if len(entries) != 1:
        return None
    try:
        command = typer.main.get_command(entries[0].load())
    except (Exception, SystemExit) as e:  # noqa: BLE001  a stranger's code: its failure must not take the other commands along
        from dam.core.plugin import unloadable

        _warn(f"the verb {name!r} of {entries[0].value} cannot be used: {unloadable(entries[0], e)[1]}")
        return None
    command.name = name  # which --help shows; an application of several commands has none
    return command


def _warn(text: str) -> None:
    print(f"warning: {safe(text)}", file=sys.stderr)


app = typer.Typer(
    cls=VerbGroup,
    name="dam-cli",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: dam-cli add-asset -r ~/Pictures",
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"dam-cli {version('dam-app')}")
        raise typer.Exit


@app.callback()
def main_options(
    ctx: typer.Context,
    world: Annotated[
        str | None, typer.Option("--world", "-w", metavar="NAME", help="The world to use, by name or as WORLD:ENTITY.")
    ] = None,
    config: Annotated[str | None, typer.Option("--config", metavar="FILE", help="The dam.toml to use.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only data and errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every item, and tracebacks of errors.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")] = False,
) -> None:
    """Digital asset management: put files in once, never lose one, know everything about them."""
    ctx.obj = Globals(world, config, json=json, quiet=quiet, verbose=verbose)


for module in (
    add_asset,
    find_file_by_hash,
    find_similar_images,
    show,
    ls,
    failures,
    reprocess,
    thumbnail,
    trash,
    verify,
    repair,
    gc_command,
    export,
    worlds,
    plugins,
    config,
    setup_db,
    db,
    backup,
):
    module.register(app)


def main() -> None:
    """The console script."""
    _prepare_streams()
    sys.excepthook = lambda _kind, error, _trace: print_traceback(error)
    # What a command imports looks like garbage to be searched, every 700 objects: a tenth of the time of a look-up.
    gc.set_threshold(100_000)
    sys.exit(guarded(lambda: app(standalone_mode=True), verbose="-v" in sys.argv or "--verbose" in sys.argv))


def _prepare_streams() -> None:
    """A stream that the caller closed is nowhere; what the locale cannot write is written as an escape."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  for the life of the process
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    main()

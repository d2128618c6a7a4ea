"""How a command runs: its options, its event loop, and what its errors become."""

import errno
import gc
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from dam_app.output import Output, safe_lines

if TYPE_CHECKING:
    from dam.core.world import World

T = TypeVar("T")

INTERRUPTED = "interrupted; run the same command again to continue"

JsonOption = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")]
"""``--json`` after the command, for those who write it there."""


@dataclass(frozen=True)
class Globals:
    """The options that stand before the command."""

    world: str | None = None
    config: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    @classmethod
    def of(cls, ctx: typer.Context, *, json: bool = False) -> "Globals":
        found = ctx.find_object(cls) or cls()
        return replace(found, json=found.json or json)

    @property
    def output(self) -> Output:
        return Output(self.json, self.quiet, self.verbose)


def run(options: Globals, work: Callable[[Output], Coroutine[Any, Any, int | None]]) -> None:
    """Runs a command's coroutine function to its end and exits with its code. ``async def`` commands need it: Typer calls them
    and drops the coroutine."""
    import asyncio  # a seventh of the time that --help takes, which does not come here

    _set_up_logging(options)
    raise typer.Exit(guarded(lambda: asyncio.run(work(options.output)), output=options.output, verbose=options.verbose))


def in_world(
    options: Globals, work: Callable[[Output, "World"], Awaitable[int | None]], *, changes: bool = False
) -> None:
    """Runs a command's coroutine function in the chosen world, and exits with its code; one that ``changes`` something names the
    world."""

    async def inside(output: Output) -> int | None:
        from dam_app.worlds import open_world

        async with open_world(options.world, config=options.config, say=output.note) as world:
            gc.freeze()  # what is imported by now stays until the end, and no collection has to look through it
            if changes:
                output.note(f"world: {world.name}")
            return await work(output, world)

    run(options, inside)


def guarded(work: Callable[[], Any], *, output: Output | None = None, verbose: bool = False) -> int:
    """Calls ``work`` and turns what it raises into an exit code and a message; a traceback only when ``verbose``."""
    output = output or Output(json="--json" in sys.argv)
    try:
        code = int(work() or 0)
        sys.stdout.flush()  # a closed pipe shows here, where it can be met, or at exit, where Python complains
    except KeyboardInterrupt:
        output.error(INTERRUPTED)
        return 130
    except BrokenPipeError:
        _discard_output()
        return 141
    except OSError as e:
        if e.filename is not None or e.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        _discard_output()  # what the command prints cannot be written: a full disk behind a '>', say
        output.error(f"the output cannot be written: {e.strerror}; what was committed is safe")
        return 1
    except Exception as e:
        from sqlalchemy.exc import DBAPIError

        from dam.core.exceptions import DamError

        if isinstance(e, DBAPIError) and not verbose:
            output.error(
                f"the database refused: {e.orig}; if its tables were changed by hand, restore them. -v shows more"
            )
            return 1
        if not isinstance(e, DamError):
            raise
        from dam_app.exits import exit_of

        if verbose:
            print_traceback(e)
        output.error(e.message, code=e.code)
        return int(exit_of(e))
    return code


def print_traceback(error: BaseException) -> None:
    """What errors say may come from a file."""
    import traceback

    print(safe_lines("".join(traceback.format_exception(error))), end="", file=sys.stderr)


def _discard_output() -> None:
    """The reader has what it wanted. Python would complain once more when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())


def _set_up_logging(options: Globals) -> None:
    import logging

    name = os.environ.get("DAM_LOG_LEVEL", "INFO" if options.verbose else "WARNING").upper()
    level = logging.getLevelNamesMapping().get(name)

    class SafeFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return safe_lines(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level or logging.WARNING, handlers=[handler])
    logging.getLogger("alembic").setLevel(max(level or 0, logging.WARNING) if level != logging.DEBUG else level)
    logging.getLogger("aiosqlite").setLevel(logging.INFO)  # at DEBUG it prints every row that it reads
    if level != logging.DEBUG:  # that a connection which is lost cannot be closed any more is no news
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    if level is None:
        allowed = "DEBUG, INFO, WARNING, ERROR, CRITICAL"
        options.output.warning(f"DAM_LOG_LEVEL={name!r} is not a level; allowed are {allowed}; WARNING is used")

"""Commands that go on for long, and whoever watches them."""

import asyncio
from contextlib import aclosing
from typing import Any, Protocol

from dam.core.world import World
from dam_app.answers import answers
from dam_app.exits import Exit
from dam_app.interrupts import Interrupts
from dam_app.output import Output


class Stoppable(Protocol):
    """A command that ends early, and cleanly, once its event is set."""

    stop: asyncio.Event


class Report(Protocol):
    """What is said of a command's events, and in the end."""

    def take(self, event: Any) -> None:
        """One event of the command."""
        ...

    def finish(self) -> Exit:
        """Says how it ended; returns the exit code."""
        ...


async def watch(output: Output, world: World, command: Any, report: Report) -> Exit:
    """Dispatches a ``Stoppable`` command, which Ctrl-C stops, and hands its events to the report; returns the exit code."""
    with Interrupts(command.stop, output):
        await tell(world, command, report.take)
    return report.finish()


async def tell(world: World, command: Any, take: Any) -> None:
    """Hands each event of a command on; what it asks is answered by whoever is at the terminal."""
    async with aclosing(world.dispatch_command(command).answered(answers())) as events:
        async for event in events:
            take(event)

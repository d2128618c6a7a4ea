"""Ctrl-C while a long command works."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Self

from dam_app.output import Output


class Interrupts:
    """Ctrl-C: the first sets ``stop`` and says what happens, the second ends the process at once.

    A thread that reads a large file cannot be ended otherwise; what is committed is safe from any kill.
    """

    def __init__(self, stop: asyncio.Event, output: Output) -> None:
        self._stop = stop
        self._output = output
        self._asked = False
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupted(self, *_: object) -> None:
        if self._asked:
            _end_at_once()
        self._asked = True
        self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._stop.set()
        self._output.note("\nfinishing the batch in hand; Ctrl-C again stops at once")


def _end_at_once() -> None:
    with suppress(RuntimeError, OSError):  # it may have been interrupted while it was writing
        sys.stdout.flush()
    show_cursor = b"\x1b[?25h" if os.isatty(2) else b""  # a progress bar hides it
    os.write(2, show_cursor + b"\nstopped; run the same command again to continue\n")
    os._exit(130)

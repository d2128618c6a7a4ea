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
        self._loop.call_soon_threadsafe(self._stop.set)
        if not self._output.quiet:  # said here: the loop may be waiting for somebody to read what it prints
            _say("finishing the batch in hand; Ctrl-C again stops at once")


def _end_at_once() -> None:
    # It may have been interrupted while it was writing, and its reader may read no more.
    with suppress(RuntimeError, OSError):
        os.set_blocking(1, False)
        sys.stdout.flush()
    with suppress(OSError):
        os.set_blocking(1, True)  # a terminal is shared with whoever started this
    show_cursor = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar hides it
    _say(f"{show_cursor}stopped; run the same command again to continue")
    os._exit(130)


def _say(text: str) -> None:
    with suppress(OSError):
        os.write(2, f"\n{text}\n".encode())

"""Fault points: named steps on the way to what must not be lost, at which a trial can kill or stop the process.

``DAM_FAULT`` in the environment arms them when the process starts: ``kill STEP [N]`` at the N-th time that a step is reached,
``stop STEP [N]`` to wait there for ``SIGCONT`` while something happens to the world, ``trace FILE`` to append the name of
each step that is reached. Otherwise they are empty calls. ``tests/faults`` runs such trials.
"""

import os
import signal
from collections.abc import Callable
from itertools import count

from dam.core.exceptions import SettingsError

VARIABLE = "DAM_FAULT"


def _nothing(step: str) -> None:
    """Nobody tries anything."""


def _armed(said: str) -> Callable[[str], None]:
    action, _, rest = said.partition(" ")
    if action == "trace" and rest:
        return _tracing(rest)
    wanted, _, times = rest.partition(" ")
    number = {"kill": getattr(signal, "SIGKILL", signal.SIGTERM), "stop": getattr(signal, "SIGSTOP", None)}.get(action)
    if number is None or not wanted or not (times or "1").isdecimal():
        raise SettingsError(
            f"{VARIABLE}={said!r} is not understood; say 'kill STEP [N]', 'stop STEP [N]' or 'trace FILE'"
        )
    return _signalling(wanted, int(times or 1), number)


def _tracing(path: str) -> Callable[[str], None]:
    fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def reached(step: str) -> None:
        os.write(fd, f"{step}\n".encode())

    return reached


def _signalling(wanted: str, nth: int, number: int) -> Callable[[str], None]:
    times = count(1)

    def reached(step: str) -> None:
        if step == wanted and next(times) == nth:
            os.kill(os.getpid(), number)

    return reached


reached: Callable[[str], None] = _armed(os.environ[VARIABLE]) if VARIABLE in os.environ else _nothing
"""Says that a step was reached."""

"""A database server that crashes, is away for a while, or cuts the connection, in the middle of a batch."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock
from typing import TYPE_CHECKING, Any

import asyncpg
from after import must_complete, must_hold, references_of
from homes import PATIENCE, BrokenError, Done, Home, Postgresql
from scenes import SCENES, Scene, Studio
from trials import Trial, UnavailableError

from dam_test_utils.databases import server_in, without_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from after import References

UNREACHABLE, SOME_FAILED = 10, 3  # exit codes
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def connection_cut(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """A ``Kind``: the server ends every connection of the command."""
    if not isinstance(studio.server, Postgresql):
        raise UnavailableError("a database file has no connections")
    yield from _at_steps(studio, count, seed, "connection cut", lambda home, _: home.execute(CUT))


def server_crashed(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """A ``Kind``: the server ends as by a power loss; it is back when the command goes on, or when the command has ended."""
    if not isinstance(studio.server, Postgresql):
        raise UnavailableError("a database file has no server")
    server = OwnServer()
    own = Studio(studio.folder / "own", server)
    studio.exits.callback(server.remove)
    studio.exits.callback(own.close)
    alone = Lock()  # a crash meets all worlds of the server

    def crash(home: Home, chance: random.Random) -> Callable[[], None] | None:
        server.crash()
        if chance.random() < 0.5:
            return server.start
        server.start()
        return None

    yield from _at_steps(own, count, seed, "server crashed", crash, alone)


Fault = Callable[[Home, random.Random], Callable[[], None] | None]
"""Does something to the world's server while the command stands still; what it returns undoes it after the command's end."""


def _at_steps(
    studio: Studio, count: int | None, seed: int, name: str, fault: Fault, alone: Lock | None = None
) -> Iterator[Trial]:
    """At each step of each scene, once; or at so many of them."""
    references = references_of(studio)
    chance = random.Random(f"{seed} {name}")
    if count is None:
        chosen = [(scene, step) for scene in SCENES for step in sorted(references.of(scene).steps)]
    else:
        scenes = chance.choices(SCENES, k=count)
        chosen = [(scene, chance.choice(sorted(references.of(scene).steps))) for scene in scenes]
    for i, (scene, step) in enumerate(chosen):
        nth = chance.randint(1, references.of(scene).steps[step])
        attempt = partial(_attempt, studio, references, scene, f"stop {step} {nth}", fault, f"{seed} {i}")
        yield Trial(f"{scene.name}, {name} at {step} {nth}", partial(_alone, alone or nullcontext(), attempt))


def _alone(lock: AbstractContextManager[Any], attempt: Callable[[], bool]) -> bool:
    with lock:
        return attempt()


def _attempt(studio: Studio, references: References, scene: Scene, where: str, fault: Fault, seed: str) -> bool:
    home, damaged = studio.home_for(scene)
    command = scene.command(studio, home)
    running = home.start(*command, DAM_FAULT=where)
    undo = None
    if is_struck := running.wait_until_stopped():
        undo = fault(home, random.Random(seed))
        running.go_on()
    done = running.finish()
    if undo is not None:
        undo()
    _must_be_told(scene, home, done)
    must_hold(scene, home, damaged, done)
    must_complete(scene, home, command, damaged, references.of(scene))
    home.remove()
    return is_struck


def _must_be_told(scene: Scene, home: Home, done: Done) -> None:
    """Either it went on without the connection that was cut, or it says what is wrong, and what to do."""
    errors = [line["message"] for line in done.told if line["type"] == "error"]
    is_told = done.code == UNREACHABLE and any("; " in each for each in errors)
    is_told_of_items = done.code == SOME_FAILED and any(line.get("reason") for line in done.items)
    if not (scene.is_complete(done) or is_told or is_told_of_items):
        raise BrokenError(f"{home.folder}: it ended with {done.code} and said {errors} {done.said[-500:]}")


class OwnServer(Postgresql):
    """A server that may be broken: its data is its own, and it flushes what it commits."""

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="dam-postgres-", dir="/tmp"))
        self._server: Any = server_in(self.folder)
        super().__init__(without_password(self._server.get_uri()))

    def copy(self, url: str, folder: Path) -> str:
        """With a checkpoint: a copied sequence says that its next values are in the log, which is that of the original, so that
        the server would give them again after a crash."""
        copied = super().copy(url, folder)
        self.execute(copied, "CHECKPOINT")
        return copied

    def crash(self) -> None:
        """As by ``kill -9`` of all its processes, but that shared memory is given back."""
        os.kill(self._server.get_pid(), signal.SIGQUIT)
        _wait(lambda: not (self.folder / "postmaster.pid").exists(), "end")

    def start(self) -> None:
        """Returns when it has recovered, and lets somebody in."""
        with suppress(subprocess.TimeoutExpired):  # it recovers for longer than the wheel waits
            self._server.ensure_postgres_running()
        _wait(self._answers, "come back")

    def _answers(self) -> bool:
        with suppress(OSError, asyncpg.CannotConnectNowError):
            return bool(self.rows(self._url, "SELECT 1"))
        return False

    def remove(self) -> None:
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _wait(is_so: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > until:
            raise BrokenError(f"the server did not {what} within {PATIENCE} seconds")
        time.sleep(0.05)

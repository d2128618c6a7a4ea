"""Worlds to try things on: a folder with a store, a database, and the installed ``dam-cli``."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url

from dam_test_utils.databases import PostgresDatabases, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DAM_CLI = Path(sys.executable).with_name("dam-cli")
WORLD = "trial"
PATIENCE = 120
"""Seconds after which a command counts as hanging."""

KEY = re.compile("[0-9a-f]{64}")


class BrokenError(Exception):
    """Something that was promised does not hold."""


class Server(Protocol):
    """Where a world's database is."""

    name: str

    def create(self, folder: Path) -> str:
        """The URL of a new one for a world in that folder."""
        ...

    def copy(self, url: str, folder: Path) -> str:
        """The URL of a copy for a world in that folder, all else of which is copied already."""
        ...

    def drop(self, url: str) -> None:
        """Nobody needs it any more."""
        ...

    def rows(self, url: str, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        ...

    def execute(self, url: str, statement: str) -> None:
        """Runs a statement, and commits."""
        ...

    def problems(self, url: str) -> list[str]:
        """What the database itself finds wrong with its files."""
        ...


class Sqlite:
    """Implements ``Server``: a file in the world's folder."""

    name = "sqlite"

    def create(self, folder: Path) -> str:
        return f"sqlite+aiosqlite:///{folder}/trial.db"

    def copy(self, url: str, folder: Path) -> str:
        return self.create(folder)

    def drop(self, url: str) -> None:
        """It goes with the folder."""

    def rows(self, url: str, query: str) -> list[tuple[Any, ...]]:
        file = Path(str(make_url(url).database))
        if not file.exists():
            return []
        with closing(sqlite3.connect(file)) as connection:
            return connection.execute(query).fetchall()

    def execute(self, url: str, statement: str) -> None:
        with closing(sqlite3.connect(str(make_url(url).database))) as connection, connection:
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(statement)

    def problems(self, url: str) -> list[str]:
        whole = [row[0] for row in self.rows(url, "PRAGMA integrity_check") if row[0] != "ok"]
        return whole + [str(row) for row in self.rows(url, "PRAGMA foreign_key_check")]


class Postgresql:
    """Implements ``Server``: databases on the server that the tests use."""

    name = "postgresql"

    def __init__(self, url: str | None = None) -> None:
        self._url = url or postgres_server()
        self._databases = PostgresDatabases(self._url)

    def create(self, folder: Path) -> str:
        return asyncio.run(self._databases.create())

    def copy(self, url: str, folder: Path) -> str:
        return asyncio.run(self._databases.copy(url))

    def drop(self, url: str) -> None:
        asyncio.run(self._databases.drop(url))

    def rows(self, url: str, query: str) -> list[tuple[Any, ...]]:
        return asyncio.run(self._rows(url, query))

    def execute(self, url: str, statement: str) -> None:
        asyncio.run(self._rows(url, statement))

    def problems(self, url: str) -> list[str]:
        return []  # what the server flushes is its own affair

    async def _rows(self, url: str, query: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(False))
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()


@dataclass
class Done:
    """A command that has ended: its code, the lines of JSON that it wrote to the end, and what it said."""

    code: int
    told: list[dict[str, Any]]
    said: str

    @property
    def items(self) -> list[dict[str, Any]]:
        return [line for line in self.told if line["type"] == "item"]


@dataclass
class Running:
    """A command that was started."""

    process: subprocess.Popen[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    def ends_within(self, seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.returncode is not None

    def kill_after(self, seconds: float) -> None:
        """Unless it has ended by then."""
        if not self.ends_within(seconds):
            self.process.kill()

    def wait_until_stopped(self) -> bool:
        """Whether it has stopped at a fault point, and not come to its end."""
        pid, status = os.waitpid(self.process.pid, os.WUNTRACED)
        if pid and os.WIFSTOPPED(status):
            return True
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return False

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def finish(self) -> Done:
        """Waits for its end. Raises ``BrokenError`` where it hangs or ends with a traceback."""
        if not self.ends_within(PATIENCE):
            self.process.kill()
            self.process.wait()
            raise BrokenError(f"{self.process.args!r} did not end within {PATIENCE} seconds")
        self.stdout.seek(0)
        self.stderr.seek(0)
        with self.stdout, self.stderr:
            lines, said = self.stdout.read().split(b"\n"), self.stderr.read().decode(errors="replace")
        if "Traceback" in said:
            raise BrokenError(f"{self.process.args!r} ended with a traceback:\n{said[-3000:]}")
        return Done(self.process.returncode, [json.loads(line) for line in lines if line.endswith(b"}")], said)


@dataclass(frozen=True)
class Home:
    """A world in a folder of its own. What it takes in lies elsewhere, so that it can be copied."""

    folder: Path
    server: Server
    database_url: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def new(cls, folder: Path, server: Server) -> Home:
        folder.mkdir(parents=True)
        return cls(folder, server, server.create(folder))

    @property
    def store(self) -> Path:
        return self.folder / f"{WORLD}-store"

    def copied(self, folder: Path) -> Home:
        """The same world once more, in another folder; nobody may be using it."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder, database_url=self.server.copy(self.database_url, folder))

    def with_settings(self, **settings: str) -> Home:
        """The same world for other variables of the environment."""
        return replace(self, settings={**self.settings, **settings})

    def remove(self) -> None:
        self.server.drop(self.database_url)
        subprocess.run(["chmod", "-R", "u+rwX", self.folder], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- commands

    @property
    def environment(self) -> dict[str, str]:
        unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
        kept = {key: value for key, value in os.environ.items() if key not in unwanted and not key.startswith("DAM_")}
        return {
            **kept,
            "DAM_HOME": str(self.folder),
            "DAM_WORLD": WORLD,
            f"DAM_WORLDS__{WORLD.upper()}__DATABASE_URL": self.database_url,
            f"DAM_WORLDS__{WORLD.upper()}__FOLDER": str(self.folder),
            **self.settings,
        }

    def start(self, *arguments: str | Path, **variables: str) -> Running:
        """The command as a process. What it writes goes to files, so that it never waits for a reader."""
        stdout, stderr = TemporaryFile(), TemporaryFile()  # noqa: SIM115  for as long as it runs
        process = subprocess.Popen(
            [DAM_CLI, "--json", *arguments], env={**self.environment, **variables}, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        )  # fmt: skip
        return Running(process, stdout, stderr)

    def run(self, *arguments: str | Path, **variables: str) -> Done:
        """The command to its end. Raises ``BrokenError`` where it hangs or ends with a traceback."""
        return self.start(*arguments, **variables).finish()

    def must(self, *arguments: str | Path) -> Done:
        """The same for one that has to succeed."""
        done = self.run(*arguments)
        if done.code:
            raise BrokenError(
                f"{' '.join(map(str, arguments))} ended with {done.code}: {done.told[-1:]} {done.said[-800:]}"
            )
        return done

    # -- what is there

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.server.rows(self.database_url, query)

    def execute(self, statement: str) -> None:
        self.server.execute(self.database_url, statement)

    @property
    def tables(self) -> set[str]:
        names = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
        }
        return {row[0] for row in self.rows(names[self.server.name])}

    def objects(self) -> dict[str, Path]:
        """What the store holds under the names of objects."""
        return {path.name: path for path in self.store.glob("objects/*/*") if KEY.fullmatch(path.name)}


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fresh(folder: Path, name: str) -> Path:
    """A path below a folder that nothing has."""
    return folder / f"{name}-{uuid4().hex[:8]}"


def is_whole(key: str, path: Path) -> bool:
    return path.is_file() and sha256_of(path) == key


def damaged_in(objects: Mapping[str, Path], keys: Iterable[str]) -> Sequence[str]:
    """Those keys whose object is missing, or does not hash to its name."""
    return [key for key in keys if key not in objects or not is_whole(key, objects[key])]

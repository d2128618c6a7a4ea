"""SQLite: a file, one writer at a time, and readers that wait for nobody."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import aiosqlite
from sqlalchemy import URL, Connection, FromClause, event, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from dam.core.databases.backend import Backend, Writing, refuse_self_deadlock
from dam.core.databases.network import network_file_system
from dam.core.exceptions import DamError, DatabaseLockedError, DatabaseUnavailableError

BUSY_SECONDS = 60

logger = logging.getLogger(__name__)


class SqliteBackend(Backend):
    """Implements ``Backend``."""

    driver = "sqlite+aiosqlite"
    example = "sqlite+aiosqlite:///FILE"
    new_entities = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n) "
        "INSERT INTO dam_entity (id) SELECT NULL FROM n RETURNING id"
    )
    table_names = text("SELECT name FROM sqlite_master WHERE type = 'table'")

    def problem(self, url: URL) -> str | None:
        return "names no file, and a world is kept in one" if url.database in (None, "", ":memory:") else None

    def file(self, url: URL) -> str | None:
        return url.database

    def engine(self, url: URL) -> AsyncEngine:
        engine = create_async_engine(url, connect_args={"async_creator_fn": _open})
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "connect", partial(_warn_of_others, engine.url.database), once=True)
        event.listen(engine.sync_engine, "begin", partial(_begin, WeakKeyDictionary()))
        event.listen(engine.sync_engine, "handle_error", partial(_explain, engine.url.database))
        return engine

    def reading(self, engine: AsyncEngine) -> AsyncEngine:
        return engine.execution_options(dam_reading=True)  # without a BEGIN each statement stands alone

    def insert(self, table: FromClause) -> Any:
        return sqlite.insert(table)  # type: ignore[arg-type]

    def insert_many(self, table: FromClause, columns: Sequence[str]) -> Any:
        return self.insert(table)  # SQLite is called for each row, in one call of the driver

    def parameters(self, rows: Sequence[dict[str, Any]]) -> Any:
        return rows

    def lock(self, connection: Connection, name: str, *, shared: bool = False) -> None:
        """Nothing: there is one writer."""

    def last_id(self, connection: Connection, table: str, column: str) -> int | None:
        if not _counts_on(connection, table):
            return None
        found = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :table"), {"table": table})
        return found.scalar() or 0

    def continue_ids(self, connection: Connection, table: str, column: str, last: int) -> None:
        if _counts_on(connection, table):
            named = {"table": table, "last": last}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), named)
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)"), named)

    def is_data_at_fault(self, error: DBAPIError) -> bool:
        return isinstance(error, (DataError, IntegrityError, InterfaceError, ProgrammingError))


BACKEND = SqliteBackend()


async def snapshot(file: str, target: str) -> None:
    """Copies what is committed now to a new file, while others go on writing. Raises ``sqlite3.Error``."""
    connection = sqlite3.connect(f"{Path(file).absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False)
    copying = asyncio.ensure_future(asyncio.to_thread(connection.execute, "VACUUM INTO ?", [target]))
    try:
        await asyncio.shield(copying)
    except asyncio.CancelledError:
        connection.interrupt()
        await asyncio.wait([copying])
        copying.exception()  # retrieved, or it would be called lost
        raise
    finally:
        connection.close()


def _counts_on(connection: Connection, table: str) -> bool:
    """Whether the table gives no number twice, not even after a deletion; SQLite remembers the last one of such tables alone."""
    query = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :table")
    return "AUTOINCREMENT" in (connection.execute(query, {"table": table}).scalar() or "").upper()


class _Connection(sqlite3.Connection):
    """Gives its locks back when it is closed, also in the middle of a statement: a task that was cancelled leaves one open, and
    SQLite keeps a closed connection, transaction and all, until its last statement is gone."""

    def close(self) -> None:
        with suppress(sqlite3.Error):  # whatever stands in the way of a rollback, closing is the better one
            self.rollback()
        super().close()


def _make_private(file: str) -> None:
    """What is known of files is for their owner alone; SQLite gives the files beside the database the same mode."""
    # Never opened where it is there: closing it would take away the locks that this process holds on it.
    with suppress(OSError):  # SQLite says better why it cannot be made
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


async def _open(file: str, **kw: Any) -> aiosqlite.Connection:
    if not kw.get("uri"):
        _make_private(file)
    connection = aiosqlite.connect(file, factory=_Connection, **kw)
    thread = connection._thread  # noqa: SLF001  SQLAlchemy, in whose place this stands, makes it a daemon as well
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(
            thread.join
        )  # it was told to stop, and would tell an event loop that may be gone by then
        raise


def _prepare(connection: Any, _record: object) -> None:
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


def _warn_of_others(file: str | None, _connection: object, _record: object) -> None:
    # The index of the write-ahead log is memory that the processes of one machine share; those of another one have their own.
    kind = network_file_system(os.path.dirname(os.path.abspath(file))) if file else None
    if kind is not None:
        logger.warning(
            "%s: the database lies on a network file system (%s); two machines that use it at once destroy it. Put the "
            "database on a local disk, or use PostgreSQL; the store may stay where it is",
            file, kind,
        )  # fmt: skip


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


def _begin(writing: Writing, connection: Any) -> None:
    # Read, then write, in a deferred transaction fails at once when somebody else wrote in between, whatever the timeout.
    # Reading takes no transaction: each statement sees what is committed, and no old snapshot keeps the log from shrinking.
    options = connection.get_execution_options()
    if options.get("dam_migrating"):  # a table is altered by copying and dropping it, which would cascade
        connection.connection.dbapi_connection.cursor().execute("PRAGMA foreign_keys=OFF")
    if not options.get("dam_reading"):
        refuse_self_deadlock(writing, connection.connection.driver_connection, _is_writing)
        connection.exec_driver_sql("BEGIN IMMEDIATE")


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


def _explain(file: str | None, context: ExceptionContext) -> DamError | None:
    number = getattr(context.original_exception, "sqlite_errorcode", None)
    if number is not None and (known := _SQLITE.get(number & 0xFF)):
        kind, text = known
        return kind(f"{file}: {text} ({context.original_exception})")
    return None

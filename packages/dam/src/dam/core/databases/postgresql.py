"""PostgreSQL: a server, many writers, and what it says when they get in each other's way."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import URL, Connection, FromClause, String, TypeDecorator, bindparam, event, func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.types import TypeEngine

from dam.core.databases.backend import Backend, Writing, refuse_self_deadlock
from dam.core.exceptions import DamError, DatabaseLockedError, DatabaseUnavailableError, WriteConflictError

SERVER_SETTINGS = {
    "application_name": "dam",
    "jit": "off",  # compiling a search for likeness costs a hundred times what the search does
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
}


class PostgresBackend(Backend):
    """Implements ``Backend``."""

    driver = "postgresql+asyncpg"
    example = "postgresql+asyncpg://USER@HOST/DATABASE"
    new_entities = text(
        "INSERT INTO dam_entity SELECT nextval(pg_get_serial_sequence('dam_entity', 'id')) "
        "FROM generate_series(1, :n) RETURNING id"
    )
    table_names = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")

    def problem(self, url: URL) -> str | None:
        return None if url.database else "names no database on the server"

    def file(self, url: URL) -> str | None:
        return None

    def engine(self, url: URL) -> AsyncEngine:
        arguments = {"async_creator_fn": partial(_open, url), "server_settings": SERVER_SETTINGS}
        engine = create_async_engine(url, connect_args=arguments, pool_pre_ping=True)
        event.listen(engine.sync_engine, "begin", partial(_begin, WeakKeyDictionary()))
        event.listen(engine.sync_engine, "handle_error", partial(_explain, url))
        return engine

    def reading(self, engine: AsyncEngine) -> AsyncEngine:
        return engine.execution_options(dam_reading=True, isolation_level="AUTOCOMMIT")

    def insert(self, table: FromClause) -> Any:
        return postgresql.insert(table)  # type: ignore[arg-type]

    def insert_many(self, table: FromClause, columns: Sequence[str]) -> Any:
        # One array for each column: the server plans and runs one statement, and not one for each row. Of one dimension,
        # for a value can be a list itself.
        arrays = [bindparam(n, type_=postgresql.ARRAY(_without_length(table.c[n].type), dimensions=1)) for n in columns]
        unnested = select(*(func.unnest(array) for array in arrays))
        return self.insert(table).from_select(list(columns), unnested)

    def parameters(self, rows: Sequence[dict[str, Any]]) -> Any:
        return {name: [row[name] for row in rows] for name in rows[0]}

    def lock(self, connection: Connection, name: str, *, shared: bool = False) -> None:
        how = "_shared" if shared else ""
        connection.execute(text(f"SELECT pg_advisory_xact_lock{how}(hashtext(:name))"), {"name": name})

    def last_id(self, connection: Connection, table: str, column: str) -> int | None:
        sequence = _sequence(connection, table, column)
        if sequence is None:
            return None
        query = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")  # noqa: S608  quoted by the server
        return int(connection.execute(query).scalar_one())

    def continue_ids(self, connection: Connection, table: str, column: str, last: int) -> None:
        sequence = _sequence(connection, table, column)
        if sequence is not None:
            named = {"sequence": sequence, "last": max(last, 1), "called": last > 0}
            connection.execute(text("SELECT setval(CAST(:sequence AS regclass), :last, :called)"), named)

    def is_data_at_fault(self, error: DBAPIError) -> bool:
        # Of what no column of that type can hold asyncpg says so itself, before anything is sent; the server refuses what is too
        # long for an index. SQLAlchemy has no class for either.
        cause = getattr(error.orig, "__cause__", None)
        is_unfit = isinstance(cause, (asyncpg.DataError, asyncpg.ProgramLimitExceededError))
        return is_unfit or isinstance(error, (DataError, IntegrityError, ProgrammingError))


BACKEND = PostgresBackend()


def _without_length(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """A cast to ``VARCHAR(5)[]`` would cut what is longer, where a column refuses it."""
    if isinstance(kind, TypeDecorator):
        kind = kind.copy()
        kind.impl = kind.impl_instance = _without_length(kind.impl_instance)
    elif isinstance(kind, String):
        kind = kind.copy()
        kind.length = None
    return kind


def _sequence(connection: Connection, table: str, column: str) -> str | None:
    quoted = connection.dialect.identifier_preparer.quote_identifier(table)
    query = text("SELECT pg_get_serial_sequence(:table, :column)")
    found: str | None = connection.execute(query, {"table": quoted, "column": column}).scalar()
    return found


def _begin(writing: Writing, connection: Any) -> None:
    if not connection.get_execution_options().get("dam_reading"):
        refuse_self_deadlock(writing, connection.connection.driver_connection, _is_writing)


def _is_writing(connection: asyncpg.Connection) -> bool:
    return not connection.is_closed() and connection.is_in_transaction()


async def _open(url: URL, *args: Any, **kw: Any) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(*args, **kw)
    except (OSError, asyncpg.PostgresError, TimeoutError) as e:
        raise _unavailable(url, e) from e


def _unavailable(url: URL, error: BaseException) -> DatabaseUnavailableError:
    where = url.set(query={}).render_as_string()
    for kind, hint in _OPENING.items():
        if isinstance(error, kind):
            return DatabaseUnavailableError(f"{where}: {hint} ({error})")
    return DatabaseUnavailableError(f"{where}: the database cannot be opened ({type(error).__name__}: {error})")


_OPENING: dict[type[BaseException], str] = {
    asyncpg.InvalidCatalogNameError: "there is no such database on the server; create it, or correct database_url",
    asyncpg.InvalidPasswordError: "the server does not accept the password; correct database_password",
    asyncpg.InvalidAuthorizationSpecificationError: "the server does not let this user in; correct database_url or "
    "database_password",
    asyncpg.TooManyConnectionsError: "the server has no connection left; wait, or raise its max_connections",
    asyncpg.CannotConnectNowError: "the server is starting or stopping; wait and run the command again",
    OSError: "the server cannot be reached; is it running, and are host and port right?",
}

_LOST = "the connection to the server was lost; what was not committed is undone. Run the command again: it goes on where it was"

_CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

_RUNNING: dict[type[BaseException], tuple[type[DamError], str]] = {
    asyncpg.LockNotAvailableError: (
        DatabaseLockedError,
        "another process has held a lock for 60 seconds; run the command again when it is done",
    ),
    asyncpg.DiskFullError: (
        DatabaseUnavailableError,
        "the server's disk is full; make room and run the command again",
    ),
    asyncpg.ReadOnlySQLTransactionError: (
        DatabaseUnavailableError,
        "the server only lets itself be read, as a standby does; name the one that can be written to",
    ),
    asyncpg.InsufficientPrivilegeError: (
        DatabaseUnavailableError,
        "the user may not do that; grant it, or correct database_url",
    ),
}


def _explain(url: URL, context: ExceptionContext) -> DamError | None:
    if context.is_pre_ping:  # the pool looks whether a connection is alive, and takes another one
        return None
    error = context.original_exception
    cause = error.__cause__ or error
    if isinstance(cause, _CONFLICTS):
        return WriteConflictError(f"two writers stood in each other's way: {cause}; run the command again")
    where = url.set(query={}).render_as_string()
    if context.is_disconnect or isinstance(cause, (ConnectionError, asyncpg.OperatorInterventionError)):
        return DatabaseUnavailableError(f"{where}: {_LOST} ({cause})")
    for kind, (cls, said) in _RUNNING.items():
        if isinstance(cause, kind):
            return cls(f"{where}: {said} ({cause})")
    return None

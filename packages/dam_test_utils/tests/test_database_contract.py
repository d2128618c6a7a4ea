"""The contract of databases: ours keep to it, and what does not is told."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import URL, Connection, FromClause, bindparam, event, func, make_url, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

import dam.core.databases.sqlite
import dam.core.rows
from dam.core.databases import Backend
from dam.core.databases.postgresql import PostgresBackend
from dam.core.databases.sqlite import SqliteBackend
from dam_test_utils import database_contract
from dam_test_utils.database_contract import DatabaseContractError, check_database

ON_SQLITE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)


async def test_our_databases_keep_to_it(empty_database: str) -> None:
    await check_database(empty_database)


async def test_a_database_that_is_not_empty_is_told(database_url: str) -> None:
    with pytest.raises(DatabaseContractError, match="which has to be an empty one"):
        await check_database(database_url)


# -- databases that have one thing wrong each


class WithoutForeignKeys(SqliteBackend):
    def engine(self, url: URL) -> AsyncEngine:
        engine = super().engine(url)
        event.listen(engine.sync_engine, "connect", _without_foreign_keys)
        return engine


def _without_foreign_keys(connection: Any, _record: object) -> None:
    connection.cursor().execute("PRAGMA foreign_keys=OFF")


class DriversOwnTransactions(SqliteBackend):
    """Leaves them to sqlite3, which begins none for a change of the schema."""

    def engine(self, url: URL) -> AsyncEngine:
        engine = super().engine(url)
        event.remove(engine.sync_engine, "begin", _only_listener(engine, "begin"))
        event.listen(engine.sync_engine, "connect", _legacy)
        return engine


def _legacy(connection: Any, _record: object) -> None:
    connection.isolation_level = ""


def _only_listener(engine: AsyncEngine, name: str) -> Any:
    holder = engine.sync_engine.dialect if name == "handle_error" else engine.sync_engine
    (listener,) = getattr(holder.dispatch, name)
    return listener


class ReusedIds(SqliteBackend):
    new_entities = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n) "
        "INSERT INTO dam_entity (id) SELECT i + (SELECT coalesce(max(id), 0) FROM dam_entity) FROM n RETURNING id"
    )


class WithoutTables(SqliteBackend):
    table_names = text("SELECT name FROM sqlite_master WHERE type = 'view'")


class OtherExample(SqliteBackend):
    example = "postgresql+asyncpg://USER@HOST/DATABASE"


class BlamesEverything(SqliteBackend):
    def is_data_at_fault(self, error: DBAPIError) -> bool:
        return True


class KeepsAll(SqliteBackend):
    """Updates nothing that is there."""

    def insert(self, table: FromClause) -> Any:
        statement = super().insert(table)
        updating = statement.on_conflict_do_nothing

        def on_conflict_do_update(index_elements: Any, **_: Any) -> Any:
            return updating(index_elements=index_elements)

        statement.on_conflict_do_update = on_conflict_do_update
        return statement


class BlamesNothing(PostgresBackend):
    def is_data_at_fault(self, error: DBAPIError) -> bool:
        return False


class Cutting(PostgresBackend):
    def insert_many(self, table: FromClause, columns: Sequence[str]) -> Any:
        arrays = [bindparam(name, type_=postgresql.ARRAY(table.c[name].type, dimensions=1)) for name in columns]
        return self.insert(table).from_select(list(columns), select(*(func.unnest(array) for array in arrays)))


class WithoutLock(PostgresBackend):
    def lock(self, connection: Connection, name: str, *, shared: bool = False) -> None:
        """Lets everybody in."""


class WaitsForItself(PostgresBackend):
    def engine(self, url: URL) -> AsyncEngine:
        engine = super().engine(url)
        event.remove(engine.sync_engine, "begin", _only_listener(engine, "begin"))
        return engine


class WithoutWords(PostgresBackend):
    """Passes on what the server says, also of writers that it has ended."""

    def engine(self, url: URL) -> AsyncEngine:
        engine = super().engine(url)
        event.remove(engine.sync_engine, "handle_error", _only_listener(engine, "handle_error"))
        return engine


class OldSnapshots(PostgresBackend):
    def reading(self, engine: AsyncEngine) -> AsyncEngine:
        return engine.execution_options(dam_reading=True, isolation_level="REPEATABLE READ")


async def told_of(broken: type[Backend], url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(dam.core.databases._backends, make_url(url).drivername, broken())
    monkeypatch.setattr(dam.core.rows, "_shapes", {})  # which keep statements for each kind of database
    monkeypatch.setattr(database_contract, "PATIENCE", 2.0)
    monkeypatch.setattr(dam.core.databases.sqlite, "BUSY_SECONDS", 1)
    with pytest.raises(DatabaseContractError) as told:
        await check_database(url)
    return str(told.value)


@ON_SQLITE
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (WithoutForeignKeys, "the components of a deleted entity stay"),
        (WithoutForeignKeys, "a component of an entity that is not there can be stored"),
        (DriversOwnTransactions, "a revision that fails leaves tables behind"),
        (DriversOwnTransactions, "a task that begins a second transaction"),
        (ReusedIds, "the id of a deleted entity is given again"),
        (WithoutTables, "table_names does not name the tables that there are"),
        (OtherExample, "is no URL for it"),
        (BlamesEverything, "is_data_at_fault() says so of a full disk"),
        (KeepsAll, "a row that is updated to None has 'first'"),
    ],
)
async def test_what_does_not_keep_to_it_is_told(
    broken: type[Backend], said: str, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said in await told_of(broken, empty_database, monkeypatch)


@ON_POSTGRESQL
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (BlamesNothing, "a unique value that another entity has is not the data's fault for is_data_at_fault()"),
        (Cutting, "a text that is longer than its column is cut, and comes back as '01234'"),
        (WithoutLock, "lock() lets two transactions have the lock of one name"),
        (WaitsForItself, "a task begins a second transaction beside its own open one, and is not refused"),
        (WithoutWords, "opposite orders: "),
        (OldSnapshots, "a session that reads keeps showing what was committed when it began"),
    ],
)
async def test_what_a_server_does_not_keep_to_is_told(
    broken: type[Backend], said: str, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said in await told_of(broken, empty_database, monkeypatch)

"""Backups of a world's database while it is in use, on every kind of database, as one file of one format."""

import asyncio
import os
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    create_engine,
    delete,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dam.core import faults
from dam.core.backup_files import VERSIONS, Backup, seal
from dam.core.databases import backend_of, database_file
from dam.core.databases.sqlite import BACKEND, SqliteBackend, snapshot
from dam.core.derived_schema import derive
from dam.core.durable import flush_file, flush_folder, move_new, own_folder
from dam.core.exceptions import BackupError
from dam.core.migrations import SchemaState, context_options, migrate, on_schema, states_in, table_names
from dam.core.world import World
from dam.models.core.base_class import Base
from dam.models.core.types import ID

PREFIX = ".dam-backup-"
_CAST = re.compile(r"::[a-z ]+")

CHUNK = 2000
"""Rows that are in memory at once."""


async def back_up(world: World, path: str, *, replacing: bool = False, protected: Sequence[str] = ()) -> Backup:
    """Writes every table of the world's database to a file, as they are at one moment; others go on writing meanwhile.

    The file gets its name when it is whole, checked and on the disk. One that is there is replaced only if ``replacing``, and
    ``protected`` paths never. The store is not part of it. Raises ``BackupError``, and what reading a database can raise.
    """
    target = os.path.abspath(path)
    _refuse_target(target, path, replacing, [*protected, *world.database_files])
    await _require_database(world)
    try:
        with own_folder(os.path.dirname(target), PREFIX) as folder:
            draft = f"{folder}/database"
            await _write(world, draft)
            faults.reached("backup.written")
            backup = await asyncio.to_thread(seal, draft, world.name, backend_of(world.engine).driver)
            os.chmod(draft, 0o600)
            flush_file(draft)
            faults.reached("backup.flushed")
            (os.replace if replacing else move_new)(draft, target)
            faults.reached("backup.named")
            _flush_name(target, path)
    except FileExistsError as e:
        raise BackupError(_is_there(path)) from e
    except (OSError, sqlite3.Error) as e:
        raise _unwritable(path, e) from e
    except DBAPIError as e:
        if not isinstance(e.orig, sqlite3.Error):
            raise
        raise _unwritable(path, e.orig) from e
    return replace(backup, path=target)


def _refuse_target(target: str, path: str, replacing: bool, protected: Sequence[str]) -> None:
    real = os.path.realpath(target)
    if any(real == each or real.startswith(each + os.sep) for each in map(os.path.realpath, protected)):
        raise BackupError(f"{path!r} is part of a world, its store or its database; choose another place")
    if os.path.isdir(target):
        raise BackupError(f"{path!r} is a folder; name the file in it that is to be the backup")
    if os.path.lexists(target) and not replacing:
        raise BackupError(_is_there(path))
    if not os.path.isdir(os.path.dirname(target)):
        raise BackupError(f"there is no folder for {path!r}; is its disk mounted? Mount it, or make the folder")


def _unwritable(path: str, error: Exception) -> BackupError:
    why = error.strerror if isinstance(error, OSError) else error
    return BackupError(
        f"the backup {path!r} cannot be written: {why}; see to that, or choose another place. Nothing was left there"
    )


def _flush_name(target: str, path: str) -> None:
    try:
        flush_folder(os.path.dirname(target))
    except OSError as e:
        raise BackupError(
            f"the backup {path!r} is there and whole, but its folder cannot be flushed: {e.strerror}; a power loss may take its "
            "name. See to that, then write it again with --force"
        ) from e


def _is_there(path: str) -> str:
    return f"{path!r} is there already; choose another name, or replace it with --force"


async def _require_database(world: World) -> None:
    """Looking must not make one."""
    file = database_file(world.config.database_url)
    if (file is not None and not os.path.exists(file)) or await world.is_blank():
        raise BackupError(f"world {world.name!r} has no database yet, so there is nothing to back up")


async def _write(world: World, draft: str) -> None:
    file = database_file(world.config.database_url)
    if file is None or not isinstance(backend_of(world.engine), SqliteBackend):
        await _copy_out(world, draft)
        return
    try:
        await snapshot(file, draft)
    except sqlite3.Error as e:
        if e.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        raise BackupError(
            f"{file}: the database cannot be read: {e}; if its disk is sound, restore an older backup"
        ) from e


# -- from a server


async def _copy_out(world: World, draft: str) -> None:
    """All tables in one transaction that sees one moment, table by table and chunk by chunk."""
    options = {"isolation_level": "REPEATABLE READ", "dam_reading": True, "postgresql_readonly": True}
    async with world.engine.execution_options(**options).connect() as source:
        states, found = await source.run_sync(_look, world)
        await _make_tables(draft, states, found)
        engine = create_engine(URL.create("sqlite", database=draft), connect_args={"check_same_thread": False})
        try:
            with engine.connect() as target:
                for pragma in ("journal_mode=OFF", "synchronous=OFF"):  # nobody sees the file before it is flushed
                    target.exec_driver_sql(f"PRAGMA {pragma}")
                for table in found:
                    await _copy_table(source, table, target)
        finally:
            engine.dispose()


def _look(connection: Connection, world: World) -> tuple[list[SchemaState], list[Table]]:
    """Where the schema stands, and the tables of dam and of all plugins, loaded or not: those whose names begin as that of a
    version table does, or that a class is mapped to. Others in the same database are somebody else's."""
    names = table_names(connection)
    packages = [name.removesuffix(VERSIONS) for name in names if name.endswith(VERSIONS)]
    ours = [
        name
        for name in sorted(names)
        if name in Base.metadata.tables or any(name.startswith(f"{package}_") for package in packages)
    ]
    reflected = MetaData()
    reflected.reflect(connection, only=ours)
    return states_in(connection, world.revision_trees), [reflected.tables[name] for name in ours]


async def _make_tables(draft: str, states: Sequence[SchemaState], found: Sequence[Table]) -> None:
    """The tables of plugins that are here as their revisions make them; all others as they were found."""

    def make(connection: Connection) -> None:
        for state in states:
            if state.current in state.tree.revisions:
                migrate(connection, state.tree, state.current)
            elif state.is_derived and state.is_current:
                derive(connection, state.tree, context_options(state.tree))
        made = table_names(connection)
        metadata = MetaData()
        copies = [_as_sqlite(table, metadata) for table in found]
        metadata.create_all(connection, tables=[copy for copy in copies if copy.name not in made])

    engine = BACKEND.engine(URL.create(BACKEND.driver, database=draft))
    try:
        await on_schema(engine, make)
    finally:
        await engine.dispose()


def _as_sqlite(table: Table, metadata: MetaData) -> Table:
    """The same table for SQLite, with the types that are meant."""
    copy = table.to_metadata(metadata)
    for column in copy.columns:
        column.server_default = None  # in the words of another database
        column.type = _plain_type(column)
    for index in list(copy.indexes):
        if (where := index.dialect_options["postgresql"].get("where")) is not None:
            copy.indexes.remove(index)
            plain = text(_CAST.sub("", str(where)))  # SQLite does not know casts, and needs none
            Index(index.name, *index.columns, unique=index.unique, sqlite_where=plain)
    return copy


def _plain_type(column: Column[Any]) -> Any:
    try:
        found = column.type.as_generic()
    except NotImplementedError as e:
        raise BackupError(
            f"{column.table.name}.{column.name} is of the type {column.type}, which a backup cannot hold; add its plugin to the "
            "world, or remove the table"
        ) from e
    if isinstance(found, JSON):
        return JSON(none_as_null=True)
    return ID if isinstance(found, Integer) else found


async def _copy_table(source: AsyncConnection, table: Table, target: Any) -> None:
    copy = _as_sqlite(table, MetaData())
    names = [column.name for column in table.columns]
    target.execute(delete(copy))  # which version it is, a revision may have written already
    rows = await source.stream(select(table).execution_options(yield_per=CHUNK))
    async for part in rows.partitions():
        values = [dict(zip(names, row, strict=True)) for row in part]
        await asyncio.to_thread(target.execute, insert(copy), values)
    key = [column for column in table.primary_key.columns if isinstance(column.type.as_generic(), Integer)]
    if len(key) == 1:
        last = await source.run_sync(
            lambda connection: backend_of(connection).last_id(connection, table.name, key[0].name)
        )
        if last is not None:
            BACKEND.continue_ids(target, table.name, key[0].name, last)
    target.commit()

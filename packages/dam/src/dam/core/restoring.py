"""Backups back into databases, of the same kind or another."""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Collection, Sequence
from contextlib import closing
from functools import partial

from sqlalchemy import (
    URL,
    Connection,
    Integer,
    Table,
    create_engine,
    delete,
    exists,
    func,
    select,
)

from dam.core import faults
from dam.core.backup import CHUNK
from dam.core.backup_files import VERSIONS, Backup, count_rows, read_backup, unpack
from dam.core.databases import backend_of, database_file, reading
from dam.core.databases.sqlite import BACKEND, SqliteBackend
from dam.core.durable import flush_file, flush_folder, move_new, own_folder
from dam.core.exceptions import BackupError, DatabaseLockedError, SchemaTooNewError
from dam.core.migrations import RevisionTree, on_schema, states_in, table_names, upgrade, upgrade_in
from dam.core.world import World
from dam.models.core.base_class import Base
from dam.models.entity import Entity
from dam.models.origin import WorldIdentity

PREFIX = ".dam-restore-"
CORE = f"dam{VERSIONS}"


async def restore(world: World, path: str, *, force: bool = False) -> Backup:
    """Puts a backup into the world's database, which is new; or, if ``force``, set up and without any entity. Nothing is ever
    replaced that somebody may miss.

    Older tables are brought to what the installed plugins say. All of it is there when this returns, or nothing of it. Raises
    ``BackupError`` or ``SchemaTooNewError``, and what writing to a database can raise.
    """
    file = database_file(world.config.database_url)
    is_file = file is not None and isinstance(backend_of(world.engine), SqliteBackend)
    await _refuse_used(
        world, file if is_file else None, force=force
    )  # before the long work, and again when nobody can write
    backup = await asyncio.to_thread(read_backup, path)
    parent = os.path.dirname(os.path.abspath(file)) if file is not None and is_file else tempfile.gettempdir()
    try:
        with own_folder(parent, PREFIX) as folder:
            draft = f"{folder}/database"
            await asyncio.to_thread(unpack, path, draft)
            faults.reached("restore.unpacked")
            await _bring_up(world, backup, draft)
            faults.reached("restore.upgraded")
            if file is not None and is_file:
                await asyncio.to_thread(_install, draft, os.path.abspath(file), force=force)
            else:
                await on_schema(world.engine, partial(_load, draft, world, backup, force=force))
    except OSError as e:
        raise BackupError(
            f"{path!r} cannot be restored to {file or parent}: {e.strerror}; see to that, and run it again"
        ) from e
    return backup


async def _bring_up(world: World, backup: Backup, draft: str) -> None:
    """The tables of a backup as the code has them, of a world that no other one has met. Raises ``SchemaTooNewError``."""
    engine = BACKEND.engine(URL.create(BACKEND.driver, database=draft))
    try:
        async with reading(engine).connect() as connection:
            states = await connection.run_sync(states_in, world.revision_trees)
        if newer := [state for state in states if state.is_too_new]:
            named = ", ".join(f"{s.tree.owner} (backup {s.current}, code {s.tree.head})" for s in newer)
            raise SchemaTooNewError(
                f"{backup.path!r}: the backup was written by newer code of {named}; update it. Nothing was changed"
            )
        await upgrade(engine, world.revision_trees, world.name)
        # What happened after the backup was made is forgotten, and ids may be given again: to other worlds it is another world.
        async with engine.begin() as connection:
            await connection.execute(delete(WorldIdentity))
    finally:
        await engine.dispose()


async def _refuse_used(world: World, file: str | None, *, force: bool) -> None:
    if file is None:
        async with reading(world.engine).connect() as connection:
            await connection.run_sync(_refuse_used_server, world, force=force)
    elif os.path.exists(file):
        with closing(sqlite3.connect(file, timeout=60)) as held:
            _refuse_used_file(held, file, force=force)


def _refuse(names: Collection[str], where: str, how: str, *, has_entities: bool, force: bool) -> None:
    """Raises ``BackupError`` for a database that somebody may miss."""
    if has_entities:
        raise BackupError(f"{where} holds assets, and a restore never replaces any; {how}, then run it again")
    if names and CORE not in names:
        raise BackupError(f"{where} has tables of somebody else; {how}, then run it again")
    if names and not force:
        raise BackupError(
            f"{where} is set up already, with nothing in it; to restore into it all the same, add --force"
        )


# -- to a file


def _refuse_used_file(connection: sqlite3.Connection, file: str, *, force: bool) -> None:
    try:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        query = "SELECT EXISTS (SELECT 1 FROM dam_entity)"
        has_entities = "dam_entity" in names and bool(connection.execute(query).fetchone()[0])
    except sqlite3.DatabaseError as e:
        raise BackupError(
            f"{file}: what is there cannot be read ({e}), and is not replaced; move it away, with its -wal and -journal "
            "if it has them, then run it again"
        ) from e
    _refuse(
        names,
        file,
        "move the file away, with its -wal if it has one, or name another database",
        has_entities=has_entities,
        force=force,
    )


def _install(draft: str, file: str, *, force: bool) -> None:
    """A new file gets its name when it is on the disk. One that is there gets the content in one transaction of its own, as long
    as nobody else uses it."""
    if not os.path.exists(file) or not os.path.getsize(file):
        for beside in (f"{file}-wal", f"{file}-journal"):  # SQLite would take it for a part of the new one
            if os.path.exists(beside) and os.path.getsize(beside):
                raise BackupError(f"{beside} is there without its database; move it away, then run it again")
    with closing(sqlite3.connect(draft, isolation_level=None)) as source:
        source.execute("PRAGMA journal_mode=DELETE")
        if os.path.exists(file):
            _overwrite(source, file, force=force)
    if not os.path.exists(file):
        os.chmod(draft, 0o600)
        flush_file(draft)
        faults.reached("restore.flushed")
        move_new(draft, file)
    try:
        flush_folder(os.path.dirname(file))
    except OSError as e:
        raise BackupError(
            f"{file} is restored and whole, but its folder cannot be flushed: {e.strerror}; a power loss may take its name. "
            "See to that, and restore again only if the file is gone"
        ) from e


def _overwrite(source: sqlite3.Connection, file: str, *, force: bool) -> None:
    with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as target:
        try:
            target.execute("PRAGMA locking_mode=EXCLUSIVE")  # held from here to the end, over several transactions
            target.execute("PRAGMA synchronous=FULL")
            target.execute("BEGIN EXCLUSIVE")
            _refuse_used_file(target, file, force=force)
            target.execute("COMMIT")
            source.backup(target)
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise DatabaseLockedError(f"{file}: another process uses the database; end it, then run it again") from e


# -- to a server


def _refuse_used_server(connection: Connection, world: World, *, force: bool) -> None:
    names = table_names(connection)
    has_entities = Entity.__tablename__ in names and bool(connection.scalar(select(exists(select(Entity.id)))))
    where = f"the database of world {world.name!r}"
    _refuse(
        names, where, "create an empty database, and name it in database_url", has_entities=has_entities, force=force
    )


def _load(draft: str, world: World, backup: Backup, connection: Connection, *, force: bool) -> None:
    """Makes the tables and fills them, on one transaction."""
    tables = _tables(world.revision_trees)
    _refuse_strangers(draft, backup, tables)
    _refuse_used_server(connection, world, force=force)
    upgrade_in(connection, world.revision_trees, world.name)
    if connection.dialect.name == "postgresql":
        names = ", ".join(connection.dialect.identifier_preparer.format_table(table) for table in tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")  # whoever adds the first asset waits
    _refuse_used_server(connection, world, force=True)
    engine = create_engine(URL.create("sqlite", database=draft))
    try:
        with engine.connect() as source:
            for table in reversed(tables):
                connection.execute(delete(table))
            for table in tables:
                _load_table(source, table, connection, backup)
    finally:
        engine.dispose()


def _tables(trees: Sequence[RevisionTree]) -> list[Table]:
    """Those that others refer to come first."""
    return [table for table in Base.metadata.sorted_tables if any(tree.owns(table) for tree in trees)]


def _refuse_strangers(draft: str, backup: Backup, tables: Sequence[Table]) -> None:
    """Rows of plugins that the world does not have would be lost."""
    known = {table.name for table in tables}
    with closing(sqlite3.connect(draft)) as connection:
        found = count_rows(connection)
    if lost := [name for name, rows in found.items() if rows and name not in known and not name.endswith(VERSIONS)]:
        packages = sorted(
            {next((p for p in _longest(backup.packages) if name.startswith(f"{p}_")), name) for name in lost}
        )
        named = ", ".join(package.replace("_", "-") for package in packages)
        raise BackupError(
            f"{backup.path!r} has tables of {named} ({', '.join(lost)}), which the world does not have; install it, or add it to "
            "the world's plugins. Nothing was changed"
        )


def _longest(packages: Collection[str]) -> list[str]:
    return sorted(packages, key=len, reverse=True)


def _load_table(source: Connection, table: Table, target: Connection, backup: Backup) -> None:
    backend, names = backend_of(target), [column.key for column in table.columns]
    statement = backend.insert_many(table, names)
    loaded = 0
    query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=CHUNK)
    for part in source.execute(query).partitions():
        target.execute(statement, backend.parameters([dict(zip(names, row, strict=True)) for row in part]))
        loaded += len(part)
    there = target.scalar(select(func.count()).select_from(table))
    if there != loaded:
        raise BackupError(
            f"{backup.path!r}: {table.name} has {there} rows, and should have {loaded}; nothing was changed"
        )
    _continue_ids(source, table, target)


def _continue_ids(source: Connection, table: Table, target: Connection) -> None:
    """No number is given twice, neither one that is there nor, where that is promised, one of a row that was deleted."""
    key = [column for column in table.primary_key.columns if isinstance(column.type, Integer)]
    if len(key) == 1 and not key[0].foreign_keys:
        highest = target.scalar(select(func.max(key[0]))) or 0
        last = BACKEND.last_id(source, table.name, key[0].name) or 0
        backend_of(target).continue_ids(target, table.name, key[0].name, max(highest, last))

"""Schemas of plugins that have written no revisions: derived from their components.

A first component should not need a first migration. The tables of such a plugin are brought to what its classes say, as far
as nothing can be lost by it: new tables, indexes and columns that may be empty. Everything else needs a revision.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, text

from dam.core.exceptions import PluginError

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation, MigrationScript

    from dam.core.migrations import RevisionTree

PREFIX = "derived-"


def digest_of(tables: Sequence[Table]) -> str:
    """What stands in the version table for these tables: equal for equal definitions."""
    lines = [
        line
        for table in sorted(tables, key=lambda table: table.name)
        for line in (
            *(f"{table.name}.{column.name} {column.type!r} {column.nullable}" for column in table.columns),
            *sorted(f"{type(c).__name__} {c.name} {_columns(c)}" for c in table.constraints),
            *sorted(f"Index {i.name} {[*i.columns.keys()]} {i.unique}" for i in table.indexes),
        )
    ]
    return PREFIX + hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _columns(constraint: Any) -> list[str]:
    return sorted(getattr(constraint, "columns", {}).keys())


def derive(connection: Connection, tree: "RevisionTree", options: dict[str, Any]) -> None:
    """Brings the tables of ``tree`` to what the classes say. Raises ``PluginError`` where that would need a decision."""
    from alembic.autogenerate import produce_migrations
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    context = MigrationContext.configure(connection, opts=options)
    found = produce_migrations(context, options["target_metadata"])
    steps = list(_steps(found.upgrade_ops.ops if found.upgrade_ops else []))
    if refused := [step for step in steps if not _is_additive(step)]:
        raise PluginError(
            f"plugin {tree.owner!r} has no revisions, and its tables changed by more than additions "
            f"({', '.join(sorted(_name(step) for step in refused))}); write a revision in {tree.package}/migrations"
        )
    operations = Operations(context)
    for step in steps:
        operations.invoke(step)
    connection.execute(
        text(f"CREATE TABLE IF NOT EXISTS {tree.version_table} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    )
    connection.execute(text(f"DELETE FROM {tree.version_table}"))  # noqa: S608  our own name
    insert = text(f"INSERT INTO {tree.version_table} VALUES (:head)")  # noqa: S608
    connection.execute(insert, {"head": tree.head})


def refuse_differences(connection: Connection, tree: "RevisionTree", options: dict[str, Any]) -> None:
    """After the first revisions were taken for a description of derived tables. Raises ``PluginError`` where they are none."""
    from alembic.autogenerate import produce_migrations
    from alembic.runtime.migration import MigrationContext

    found = produce_migrations(MigrationContext.configure(connection, opts=options), options["target_metadata"])
    if steps := list(_steps(found.upgrade_ops.ops if found.upgrade_ops else [])):
        raise PluginError(
            f"plugin {tree.owner!r}: its first revision does not describe the tables that this database got before it had "
            f"revisions ({', '.join(sorted(_name(step) for step in steps))} would be missing); nothing was changed. Let the "
            "first revision create the tables as they were, and a second one change them"
        )


def shown_steps(found: "MigrationScript") -> list[str]:
    """What a comparison would do, in words."""
    return [_name(step) for step in _steps(found.upgrade_ops.ops if found.upgrade_ops else [])]


def _steps(found: Sequence["MigrateOperation"]) -> Iterator["MigrateOperation"]:
    from alembic.operations.ops import ModifyTableOps

    for step in found:
        if isinstance(step, ModifyTableOps):
            yield from _steps(step.ops)
        else:
            yield step


def _is_additive(step: "MigrateOperation") -> bool:
    from alembic.operations.ops import AddColumnOp, CreateIndexOp, CreateTableOp

    if isinstance(step, AddColumnOp):
        return bool(step.column.nullable)
    return isinstance(step, (CreateIndexOp, CreateTableOp))


def _name(step: "MigrateOperation") -> str:
    """Such as ``AddColumn dam_thing.colour``."""
    table, column = getattr(step, "table_name", ""), getattr(step, "column", None)
    what = getattr(column, "name", None) or getattr(step, "column_name", None) or getattr(step, "index_name", None)
    return f"{type(step).__name__.removesuffix('Op')} {table}{f'.{what}' if what else ''}".strip()

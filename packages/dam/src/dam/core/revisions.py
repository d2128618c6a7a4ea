"""Revisions by hand: what is behind, what differs, going back, and writing the next one. For authors and administrators."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from dam.core.derived_schema import shown_steps
from dam.core.exceptions import PluginError, RevisionError
from dam.core.migrations import RevisionTree, context_options, explained, script_directory

if TYPE_CHECKING:
    from alembic.operations.ops import MigrationScript
    from alembic.runtime.migration import MigrationContext

BASE = "base"
"""Where a tree stands before its first revision."""

TEMPLATE = '''"""{message}."""

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {before!r}


def upgrade() -> None:
    {upgrades}


def downgrade() -> None:
    {downgrades}
'''

_LONGEST_SLUG = 40


def differences(connection: Connection, tree: RevisionTree) -> list[str]:
    """What would have to be done to the database's tables of one tree for them to be what the classes say."""
    return shown_steps(_compared(connection, tree))


def downgrade(connection: Connection, tree: RevisionTree, target: str) -> None:
    """Undoes revisions on an open transaction, down to ``target``, which may be ``base``. Raises ``RevisionError``."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    current = _current(connection, tree)
    reachable = [BASE, *tree.revisions]
    if current not in reachable:
        raise RevisionError(
            f"{tree.owner} stands at {current or 'nothing'}, which is none of its revisions; nothing can be undone"
        )
    if target not in reachable[: reachable.index(current) + 1]:
        allowed = ", ".join(reachable[: reachable.index(current) + 1])
        raise RevisionError(f"{tree.owner} stands at {current}; it can go back to {allowed}, and not to {target!r}")
    scripts = script_directory(tree)

    def steps(revision: Any, _context: "MigrationContext") -> Any:
        return scripts._downgrade_revs(target, revision)  # noqa: SLF001  what alembic's own downgrade command calls

    with explained(tree, ()):
        context = MigrationContext.configure(connection, opts={**context_options(tree), "fn": steps})
        with Operations.context(context):
            context.run_migrations()


def write_revision(connection: Connection, tree: RevisionTree, message: str) -> Path:
    """Writes the next revision of a tree: what its classes say, less what the database has. Raises ``RevisionError``."""
    from alembic.autogenerate import render_python_code

    if tree.folder is None:
        raise PluginError(
            f"plugin {tree.owner!r} has no package {tree.package}.migrations; make one, with an __init__.py"
        )
    current = _current(connection, tree)
    newest = tree.revisions[-1] if tree.revisions else None
    if tree.revisions and current != newest:
        raise RevisionError(
            f"{tree.owner} stands at {current or 'nothing'}, before {newest}; upgrade it first, then compare"
        )
    found = _compared(connection, tree)
    if not shown_steps(found):
        raise RevisionError(f"the database has what the classes of {tree.owner} say; there is nothing to write")
    assert found.upgrade_ops is not None
    assert found.downgrade_ops is not None
    number = f"{len(tree.revisions) + 1:04}"
    upgrades, downgrades = (
        render_python_code(ops, render_as_batch=True, render_item=context_options(tree)["render_item"])
        for ops in (found.upgrade_ops, found.downgrade_ops)
    )
    if needs_values(found):
        upgrades = f"{FILL_FIRST}\n{_body(upgrades)}"
    slug = re.sub(r"\W+", "_", message.lower(), flags=re.ASCII).strip("_")[:_LONGEST_SLUG].rstrip("_")
    file = tree.folder / f"{number}_{slug or 'change'}.py"
    content = TEMPLATE.format(
        message=message.rstrip("."),
        revision=number,
        before=newest,
        upgrades=_body(upgrades),
        downgrades=_body(downgrades),
    )
    file.write_text(content, encoding="utf-8")
    return file


FILL_FIRST = "# Rows that are there have no value for the new column: add it as nullable, fill it, and alter it then."


def needs_values(found: "MigrationScript") -> bool:
    """Whether columns are added that must have a value, and that nothing gives one to in rows that are there."""
    from alembic.operations.ops import AddColumnOp, ModifyTableOps

    tables = [step for step in (found.upgrade_ops.ops if found.upgrade_ops else []) if isinstance(step, ModifyTableOps)]
    added = [step.column for table in tables for step in table.ops if isinstance(step, AddColumnOp)]
    return any(not column.nullable and column.server_default is None for column in added)


def _compared(connection: Connection, tree: RevisionTree) -> "MigrationScript":
    from alembic.autogenerate import produce_migrations
    from alembic.runtime.migration import MigrationContext

    options = context_options(tree)
    return produce_migrations(MigrationContext.configure(connection, opts=options), options["target_metadata"])


def _current(connection: Connection, tree: RevisionTree) -> str:
    """The revision in the version table; ``base`` without one."""
    from sqlalchemy import inspect

    if not inspect(connection).has_table(tree.version_table):
        return BASE
    found = connection.execute(text(f"SELECT version_num FROM {tree.version_table}")).scalar()  # noqa: S608  our own name
    return BASE if found is None else str(found)


def _body(code: str) -> str:
    """Without the comments that Alembic puts around what it made."""
    lines = [line for line in code.splitlines() if not line.lstrip().startswith("# ### ")]
    return "\n".join(lines).strip() or "pass"

"""Schemas: each plugin has a revision tree and a version table of its own. Alembic is imported only when something changes."""

import asyncio
import importlib.util
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sqlalchemy import Connection, Table, TypeDecorator, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dam.core import faults
from dam.core.databases import backend_of, reading
from dam.core.derived_schema import PREFIX, derive, digest_of, refuse_differences
from dam.core.exceptions import DamError, MigrationNeededError, PluginError, RevisionError, SchemaTooNewError
from dam.models.core.base_class import OWNERS, Base, package_of

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

T = TypeVar("T")

_REVISION_FILE = re.compile(r"(\d{4})_\w+\.py")


@dataclass(frozen=True)
class RevisionTree:
    """The revisions of one package: ``PACKAGE/migrations/NNNN_what.py``, in one line, ``NNNN`` being the revision's id.

    A package without any gets its tables by derivation from its components.
    """

    owner: str
    package: str

    @property
    def version_table(self) -> str:
        return f"{self.package}_alembic_version"

    @cached_property
    def folder(self) -> Path | None:
        try:
            spec = importlib.util.find_spec(f"{self.package}.migrations")
        except ModuleNotFoundError:  # a plugin can be one module, or the script that runs: those have no subpackages
            return None
        places = spec.submodule_search_locations if spec else None
        return Path(next(iter(places))) if places else None

    @cached_property
    def revisions(self) -> list[str]:
        """Ids in ascending order, by the names of the files: reading them would cost the start of every command."""
        names = sorted(p.name for p in self.folder.iterdir()) if self.folder else []
        return [match[1] for name in names if (match := _REVISION_FILE.fullmatch(name))]

    @cached_property
    def head(self) -> str | None:
        """The newest revision; of a package that has written none, what its tables amount to; ``None`` without tables."""
        if self.revisions:
            return self.revisions[-1]
        tables = [table for table in Base.metadata.tables.values() if self.owns(table)]
        return digest_of(tables) if tables else None

    def owns(self, table: Table) -> bool:
        return table.name in OWNERS and package_of(OWNERS[table.name]) == self.package


@dataclass(frozen=True)
class SchemaState:
    """Where one tree stands in one database."""

    tree: RevisionTree
    current: str | None

    @property
    def is_current(self) -> bool:
        return self.current == self.tree.head

    @property
    def is_too_new(self) -> bool:
        return self.current is not None and self.current not in self.tree.revisions and not self.is_derived

    @property
    def is_derived(self) -> bool:
        """Whether the tables were made when their package had no revisions."""
        return self.current is not None and self.current.startswith(PREFIX)


async def schema_states(engine: AsyncEngine, trees: Iterable[RevisionTree]) -> list[SchemaState]:
    """Reads the version tables; two statements, whatever the number of plugins."""
    async with reading(engine).connect() as connection:
        return await connection.run_sync(states_in, list(trees))


async def is_blank(engine: AsyncEngine) -> bool:
    """Whether the database has no table at all. One with somebody else's tables is not new."""
    async with reading(engine).connect() as connection:
        return not await connection.run_sync(table_names)


def table_names(connection: Connection) -> set[str]:
    """All tables, whoever they belong to."""
    return set(connection.execute(backend_of(connection).table_names).scalars())


def states_in(connection: Connection, trees: Sequence[RevisionTree]) -> list[SchemaState]:
    """Where an open connection's database stands."""
    names = table_names(connection)
    known = [tree for tree in trees if tree.version_table in names]
    union = " UNION ALL ".join(f"SELECT '{t.package}', version_num FROM {t.version_table}" for t in known)  # noqa: S608  our names
    current: dict[str, str] = {row[0]: row[1] for row in connection.execute(text(union))} if known else {}
    return [SchemaState(tree, current.get(tree.package)) for tree in trees]


def check_states(states: Sequence[SchemaState], world: str) -> None:
    """Raises ``SchemaTooNewError`` or ``MigrationNeededError``, naming the plugins."""
    if newer := [state for state in states if state.is_too_new]:
        named = ", ".join(
            f"{s.tree.owner} (database {s.current}, code {s.tree.head or 'without revisions'})" for s in newer
        )
        raise SchemaTooNewError(f"world {world!r}: the database was written by newer code of {named}; update it")
    if older := [state for state in states if not state.is_current]:
        named = ", ".join(f"{s.tree.owner} ({s.current or 'not set up'} → {s.tree.head})" for s in older)
        raise MigrationNeededError(
            f"world {world!r}: the database needs an upgrade for {named}; run: dam-cli --world {world} setup-db"
        )


async def upgrade(engine: AsyncEngine, trees: Iterable[RevisionTree], world: str) -> list[SchemaState]:
    """Brings every tree to its head, all in one transaction; returns where those stood that were not there yet."""
    trees = list(trees)
    return await on_schema(engine, lambda connection: upgrade_in(connection, trees, world))


async def on_schema(engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
    """``work`` on a connection that may change the schema, in one transaction; one at a time in this process."""
    async with _alone(), engine.execution_options(dam_migrating=True).connect() as connection:
        try:
            async with connection.begin():
                result = await connection.run_sync(work)
                faults.reached("schema.written")
            faults.reached("schema.committed")
            return result
        finally:
            await connection.invalidate()  # SQLite's foreign keys are off on it


_alembic = threading.Lock()


@asynccontextmanager
async def _alone() -> AsyncIterator[None]:
    """Revisions speak to ``alembic.op``, which is one for all worlds, loops and threads of the process."""
    # Blocking here would keep a holder in the same loop from going on, and an event of asyncio knows one loop alone.
    while not _alembic.acquire(blocking=False):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        _alembic.release()


def upgrade_in(connection: Connection, trees: Sequence[RevisionTree], world: str) -> list[SchemaState]:
    """The same on an open transaction that may change the schema."""
    backend_of(connection).lock(connection, "dam migrations")
    states = states_in(connection, trees)
    if newer := [state for state in states if state.is_too_new]:
        check_states(newer, world)
    behind = [state for state in states if not state.is_current]
    for state in behind:
        if not state.tree.revisions:
            derive(connection, state.tree, context_options(state.tree))
            continue
        if state.is_derived:  # its first revision describes the tables that are there already
            stamp = text(f"UPDATE {state.tree.version_table} SET version_num = :first")  # noqa: S608  our own name
            connection.execute(stamp, {"first": state.tree.revisions[0]})
        migrate(connection, state.tree, "head")
        if state.is_derived:
            refuse_differences(connection, state.tree, context_options(state.tree))
    return behind


def migrate(connection: Connection, tree: RevisionTree, target: str) -> None:
    """Runs one tree's revisions up to ``target`` on an open transaction."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    scripts = script_directory(tree)
    running: list[str] = []

    def steps(revision: Any, _context: "MigrationContext") -> Any:
        for step in scripts._upgrade_revs(target, revision):  # noqa: SLF001  what alembic's own upgrade command calls
            faults.reached("schema.revision")
            running.append(str(step.revision.revision))
            yield step

    options = {**context_options(tree), "fn": steps}
    with explained(tree, running):
        context = MigrationContext.configure(connection, opts=options)
        with Operations.context(context):
            context.run_migrations()


@contextmanager
def explained(tree: RevisionTree, running: Sequence[str]) -> Iterator[None]:
    """What goes wrong in somebody's revisions is told with the plugin and the revision. Raises ``RevisionError``."""
    try:
        yield
    except DamError:
        raise
    except Exception as e:
        which = f"revision {running[-1]}" if running else "its revisions"
        said = str(getattr(e, "orig", None) or e).strip().splitlines() or [type(e).__name__]
        where = f" ({e.filename}:{e.lineno})" if isinstance(e, SyntaxError) else ""
        raise RevisionError(
            f"plugin {tree.owner}: {which} cannot be run, and nothing was changed: {type(e).__name__}: {said[0]}{where}; mend "
            f"it in {tree.folder}"
        ) from e


def script_directory(tree: RevisionTree) -> "ScriptDirectory":
    """Alembic's view of one tree. Raises ``PluginError`` where the package has no revisions."""
    from alembic.script import ScriptDirectory

    if tree.folder is None:
        raise PluginError(f"plugin {tree.owner!r} has no revisions: there is no package {tree.package}.migrations")
    return ScriptDirectory(str(tree.folder), version_locations=[str(tree.folder)])


def context_options(tree: RevisionTree) -> dict[str, Any]:
    """What Alembic has to know to see this tree's tables and no others."""

    def is_ours(thing: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
        table = thing if kind == "table" else getattr(thing, "table", None)
        if kind == "table" and (name or "").endswith("_alembic_version"):
            return False
        return not isinstance(table, Table) or tree.owns(table)

    return {
        "version_table": tree.version_table,
        "target_metadata": Base.metadata,
        "include_object": is_ours,
        "render_as_batch": True,
        "compare_type": True,
        "transactional_ddl": True,
        "render_item": render_type,
    }


def render_type(kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    """Writes column types into revisions as the plain types beneath them, so that old revisions outlive the classes."""
    if kind == "type" and isinstance(thing, TypeDecorator):
        return f"sa.{thing.impl_instance!r}"
    return False

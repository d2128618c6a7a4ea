"""How component instances become rows: one statement for each table, however many rows."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, cast

from sqlalchemy import FromClause, Insert, Table, TextClause, UniqueConstraint, or_, text

from dam.models.core.base_component import Component


def insert_into(table: FromClause, dialect: str) -> Any:
    """An ``INSERT`` that knows ``ON CONFLICT``; only the dialect in use is imported."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


NEW_ENTITIES: dict[str, TextClause] = {
    "sqlite": text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n) "
        "INSERT INTO dam_entity (id) SELECT NULL FROM n RETURNING id"
    ),
    "postgresql": text(
        "INSERT INTO dam_entity SELECT nextval(pg_get_serial_sequence('dam_entity', 'id')) "
        "FROM generate_series(1, :n) RETURNING id"
    ),
}
"""Any number of new entities in one statement, numbered by the database."""


class Shape:
    """One component class as rows. ``key`` is what makes two rows the same fact, ``()`` where nothing does; ``identity``
    says that the key is the primary key."""

    def __init__(self, table: Table) -> None:
        primary = tuple(c.key for c in table.primary_key.columns)
        self.table = table
        self.identity = "entity_id" in primary
        own_id = set() if self.identity else set(primary)
        self.columns = tuple(c.key for c in table.columns if c.key not in own_id and c.key != "run_id")
        self.key = primary if self.identity else next(_natural_keys(table), ())
        self._statements: dict[tuple[str, bool], Insert] = {}

    def values(self, component: Component) -> dict[str, Any]:
        own = vars(component)  # at a third of the cost of the attributes; it lacks what was left at its default
        return {name: own[name] if name in own else getattr(component, name) for name in self.columns}

    def key_of(self, values: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(values[name] for name in self.key)

    def rows(self, components: Iterable[Component], run_id: int) -> list[dict[str, Any]]:
        return [self.values(c) | {"run_id": run_id} for c in components]

    def write_statement(self, dialect: str, *, keep: bool) -> Insert:
        """Adds rows. Where a key exists: ``keep`` leaves the old row alone, else it is updated unless the values are equal."""
        if (dialect, keep) not in self._statements:
            self._statements[dialect, keep] = self._write_statement(dialect, keep=keep)
        return self._statements[dialect, keep]

    def _write_statement(self, dialect: str, *, keep: bool) -> Insert:
        statement: Any = insert_into(self.table, dialect)
        changes = {name: statement.excluded[name] for name in self.columns if name not in self.key}
        if not self.key:
            return cast("Insert", statement)
        if keep or not changes:
            return cast("Insert", statement.on_conflict_do_nothing(index_elements=self.key))
        differs = or_(*(self.table.c[name].is_distinct_from(value) for name, value in changes.items()))
        changes["run_id"] = statement.excluded["run_id"]
        return cast("Insert", statement.on_conflict_do_update(index_elements=self.key, set_=changes, where=differs))


def shape_of(cls: type[Component]) -> Shape:
    if cls not in _shapes:
        _shapes[cls] = Shape(cls.__table__)
    return _shapes[cls]


_shapes: dict[type[Component], Shape] = {}


def _natural_keys(table: Table) -> Iterator[tuple[str, ...]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and "entity_id" in constraint.columns:
            yield tuple(constraint.columns.keys())

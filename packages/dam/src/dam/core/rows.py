"""How component instances become rows: one statement for each table, however many rows."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from sqlalchemy import JSON, Insert, Table, Text, UniqueConstraint, or_
from sqlalchemy import cast as cast_to

from dam.core.databases import Backend
from dam.models.core.base_component import Component


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

    def write_statement(self, backend: Backend, *, keep: bool) -> Insert:
        """Adds rows. Where a key exists: ``keep`` leaves the old row alone, else it is updated unless the values are equal."""
        if (backend.driver, keep) not in self._statements:
            self._statements[backend.driver, keep] = self._write_statement(backend, keep=keep)
        return self._statements[backend.driver, keep]

    def _write_statement(self, backend: Backend, *, keep: bool) -> Insert:
        statement: Any = backend.insert_many(self.table, [*self.columns, "run_id"])
        changes = {name: statement.excluded[name] for name in self.columns if name not in self.key}
        if not self.key:
            return cast("Insert", statement)
        if keep or not changes:
            return cast("Insert", statement.on_conflict_do_nothing(index_elements=self.key))
        differs = or_(*(_plain(self.table.c[name]).is_distinct_from(_plain(value)) for name, value in changes.items()))
        changes["run_id"] = statement.excluded["run_id"]
        return cast("Insert", statement.on_conflict_do_update(index_elements=self.key, set_=changes, where=differs))


def _plain(column: Any) -> Any:
    """Something that can be compared: PostgreSQL has no equality of JSON."""
    return cast_to(column, Text) if isinstance(column.type, JSON) else column


def key_column(cls: type[Component]) -> Any:
    """The one unique column, by which two writers, or two worlds, know that they mean the same entity; ``None`` without one."""
    columns = [c for c in cls.__table__.columns if c.unique]
    return columns[0] if len(columns) == 1 else None


def shape_of(cls: type[Component]) -> Shape:
    if cls not in _shapes:
        _shapes[cls] = Shape(cls.__table__)
    return _shapes[cls]


_shapes: dict[type[Component], Shape] = {}


def _natural_keys(table: Table) -> Iterator[tuple[str, ...]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and "entity_id" in constraint.columns:
            yield tuple(constraint.columns.keys())

"""How component instances become rows: one statement for each table, however many rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from typing import Any

from sqlalchemy import Insert, Table, TextClause, UniqueConstraint, or_, text

from dam.models.core.base_component import Component


@lru_cache(None)
def insert_into(table: Table, dialect: str) -> Any:
    """An ``INSERT`` that knows ``ON CONFLICT``; only the dialect in use is imported."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


NEW_ENTITIES: dict[str, TextClause] = {
    "sqlite": text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n) "
        "INSERT INTO dam_entity (id) SELECT NULL FROM n RETURNING id"
    ),
    "postgresql": text(
        "INSERT INTO dam_entity SELECT nextval(pg_get_serial_sequence('dam_entity', 'id')) FROM generate_series(1, :n) RETURNING id"
    ),
}
"""Any number of new entities in one statement, numbered by the database."""


@dataclass(frozen=True)
class Shape:
    """One component class as rows. ``key`` is what makes two rows the same fact, ``()`` where nothing does;
    ``identity`` says that the key is the primary key."""

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...]
    identity: bool
    values: Callable[[Component], tuple[Any, ...]]
    key_of: Callable[[Component], tuple[Any, ...]]

    def rows(self, components: Iterable[Component], run_id: int) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, self.values(c), strict=True), run_id=run_id) for c in components]


@lru_cache(None)
def shape_of(cls: type[Component]) -> Shape:
    table = cls.__table__
    primary = tuple(c.key for c in table.primary_key.columns)
    identity = "entity_id" in primary
    own_id = set() if identity else set(primary)
    columns = tuple(c.key for c in table.columns if c.key not in own_id and c.key != "run_id")
    natural = (
        tuple(c.columns.keys())
        for c in table.constraints
        if isinstance(c, UniqueConstraint) and "entity_id" in c.columns
    )
    key = primary if identity else next(natural, ())
    return Shape(table, columns, key, identity, _getter(columns), _getter(key))


def _getter(names: tuple[str, ...]) -> Callable[[Component], tuple[Any, ...]]:
    # vars() of a mapped dataclass lacks the columns that were left at their defaults
    if len(names) == 1:
        single = attrgetter(names[0])
        return lambda c: (single(c),)
    return attrgetter(*names) if names else lambda _: ()


@lru_cache(None)
def write_statement(cls: type[Component], dialect: str, *, keep: bool) -> Insert:
    """Adds a row. Where its key exists: ``keep`` leaves the old row alone, else it is updated unless the values are equal."""
    shape = shape_of(cls)
    statement = insert_into(shape.table, dialect)
    changes = {name: statement.excluded[name] for name in shape.columns if name not in shape.key}
    if not shape.key:
        return statement  # type: ignore[no-any-return]
    if keep or not changes:
        return statement.on_conflict_do_nothing(index_elements=shape.key)  # type: ignore[no-any-return]
    differs = or_(*(shape.table.c[name].is_distinct_from(value) for name, value in changes.items()))
    changes["run_id"] = statement.excluded["run_id"]
    return statement.on_conflict_do_update(index_elements=shape.key, set_=changes, where=differs)  # type: ignore[no-any-return]

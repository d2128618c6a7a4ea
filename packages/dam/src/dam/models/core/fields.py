"""Fields: the scalar columns of components, as queries and listings name them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Table,
    UniqueConstraint,
)

if TYPE_CHECKING:
    from dam.models.core.base_component import Component

HIDDEN: Final = {"dam_field": "hidden"}
"""``mapped_column(info=HIDDEN)``: not a field, no index made: what queries must not see, such as rotations of a hash."""

UNINDEXED: Final = {"dam_field": "unindexed"}
"""``mapped_column(info=UNINDEXED)``: a field without an index, for long texts and for what nobody searches by."""

LOCAL: Final = {"dam_local": True}
"""``mapped_column(info={**UNINDEXED, **LOCAL})``: it is about this world's own copy, and means nothing in another world."""

_SCALARS = (Boolean, Date, DateTime, Float, Integer, LargeBinary, Numeric, String)
_BOOKKEEPING = frozenset({"id", "entity_id", "run_id"})


@dataclass(frozen=True)
class Field:
    """One queryable column: ``image.width`` is namespace ``image``, and ``width`` one of the field's names."""

    namespace: str
    names: tuple[str, ...]
    component: "type[Component]"
    column: Column[Any]

    @property
    def name(self) -> str:
        return f"{self.namespace}.{self.names[0]}"


def fields_of(component: "type[Component]") -> tuple[Field, ...]:
    """The fields of one component class; the column's own name comes first, its aliases after it."""
    aliases = component.__aliases__
    return tuple(
        Field(
            component.__namespace__,
            (column.key, *(alias for alias, key in aliases.items() if key == column.key)),
            component,
            column,
        )
        for column in _scalar_columns(component.__table__)
    )


def index_fields(table: Table, where: Any = None) -> None:
    """Gives every field an index unless it has one or declares that it wants none; ``where`` makes them partial. The entity
    has one in any case: all components of an entity are looked up by it."""
    led = _leading_columns(table)
    if "entity_id" in table.columns and "entity_id" not in led:
        Index(None, table.columns["entity_id"])
    for column in list(_scalar_columns(table)):
        if column.info.get("dam_field") != "unindexed" and column.key not in led:
            partial = {} if where is None else {"sqlite_where": where, "postgresql_where": where}
            Index(None, column, **partial)


def _scalar_columns(table: Any) -> Iterator[Column[Any]]:
    for column in table.columns:
        kind = getattr(column.type, "impl_instance", column.type)
        if column.key not in _BOOKKEEPING and column.info.get("dam_field") != "hidden" and isinstance(kind, _SCALARS):
            yield column


def _leading_columns(table: Table) -> set[str]:
    """Columns that some index or key begins with already."""
    keys = [list(c.columns) for c in table.constraints if isinstance(c, UniqueConstraint)]
    keys += [list(i.columns) for i in table.indexes] + [list(table.primary_key.columns)]
    return {columns[0].key for columns in keys if columns}

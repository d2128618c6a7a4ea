"""The shapes a component can have."""

from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import String, Table, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from dam.models.core.base_class import Base
from dam.models.core.fields import HIDDEN, UNINDEXED, index_fields
from dam.models.core.types import EntityId

EFFECTIVE = "effective"
"""The layer that is computed from all others; nothing is ever written to it by hand."""

PERSON, SIDECAR, EMBEDDED, MODEL = "person", "sidecar", "embedded", "model"
LAYERS = (PERSON, SIDECAR, EMBEDDED, MODEL)
"""Layers, the most trusted first. A source of its own is written behind a colon: ``model:clip``."""


class Component(Base):
    """A fact about an entity: the abstract root of all components.

    Class arguments: ``namespace``, the first part of the component's fields in queries (default: package and class);
    ``aliases``, short names to column names; ``hides_entity``, whether entities that have it stay out of listings.
    """

    __abstract__ = True
    # every component is mapped to a table of its own, never to a join
    __table__: ClassVar[Table]  # pyright: ignore[reportIncompatibleVariableOverride]
    __namespace__: ClassVar[str]
    __aliases__: ClassVar[dict[str, str]] = {}
    __hides_entity__: ClassVar[bool] = False
    if TYPE_CHECKING:
        entity_id: Mapped[int]  # each shape declares its own

    @declared_attr
    def run_id(cls) -> Mapped[int | None]:  # noqa: N805
        """The run that wrote the row last; runs are never deleted, so there is no foreign key to pay for."""
        return mapped_column(init=False, default=None, repr=False, compare=False, info=HIDDEN)

    def __init_subclass__(
        cls,
        namespace: str | None = None,
        aliases: dict[str, str] | None = None,
        hides_entity: bool | None = None,
        **kw: Any,
    ) -> None:
        if namespace is not None:
            cls.__namespace__ = namespace
        elif "__namespace__" not in cls.__dict__ and not cls.__dict__.get("__abstract__"):
            cls.__namespace__ = f"{cls.__module__.partition('.')[0]}.{_snake(cls.__name__.removesuffix('Component'))}"
        if aliases is not None:
            cls.__aliases__ = aliases
        if hides_entity is not None:
            cls.__hides_entity__ = hides_entity
        super().__init_subclass__(**kw)
        if isinstance(cls.__dict__.get("__table__"), Table):
            index_fields(cls.__table__, cls._index_where())

    @classmethod
    def _index_where(cls) -> Any:
        return None


class BaseComponent(Component):
    """Many per entity, each with an ``id`` of its own.

    A ``UniqueConstraint`` that holds ``entity_id`` is its natural key: adding the same fact twice then changes nothing.
    """

    __abstract__ = True
    id: Mapped[int] = mapped_column(primary_key=True, init=False, sort_order=-2)
    entity_id: Mapped[EntityId] = mapped_column(init=False, sort_order=-1)


class UniqueComponent(Component):
    """One per entity: the entity is the key."""

    __abstract__ = True
    entity_id: Mapped[EntityId] = mapped_column(primary_key=True, init=False, autoincrement=False, sort_order=-1)


class MarkerComponent(UniqueComponent):
    """No payload: a row means yes. ``MarkedEntityList[M]`` hands its entities to stage systems as a queue."""

    __abstract__ = True


class RelationComponent(BaseComponent):
    """An edge from the entity to ``target_id``; one direction is stored, ``ordinal`` orders the targets of one entity."""

    __abstract__ = True
    target_id: Mapped[EntityId] = mapped_column(index=True)
    ordinal: Mapped[int | None] = mapped_column(default=None, info=UNINDEXED)


class LayeredComponent(Component):
    """The same fact from several sources, one row for each layer, plus one materialised ``effective`` row.

    For every column the effective row takes the value of the most trusted layer that has one (see ``LAYERS``); it is
    kept up to date by the transaction that writes a layer, and it is what queries and indexes see.
    """

    __abstract__ = True
    entity_id: Mapped[EntityId] = mapped_column(primary_key=True, init=False, autoincrement=False, sort_order=-2)
    layer: Mapped[str] = mapped_column(String(64), primary_key=True, info=HIDDEN, sort_order=-1)

    @classmethod
    def _index_where(cls) -> Any:
        return text(f"layer = '{EFFECTIVE}'")


def layer_rank(layer: str) -> tuple[int, str]:
    """Sorts layers from the most to the least trusted; unknown kinds come last."""
    kind = layer.partition(":")[0]
    return (LAYERS.index(kind) if kind in LAYERS else len(LAYERS), layer)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))

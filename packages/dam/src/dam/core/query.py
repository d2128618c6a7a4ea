"""Queries over components: always one statement, never a query inside a loop."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast, overload

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, true

from dam.analysis.algorithm import Algorithm
from dam.models.core.base_component import EFFECTIVE, Component, LayeredComponent
from dam.models.derivation import DerivationComponent
from dam.models.entity import Entity

A = TypeVar("A", bound=Component)
B = TypeVar("B", bound=Component)
C = TypeVar("C", bound=Component)


@dataclass(frozen=True)
class With:
    """Only entities that have such a component; it is not fetched."""

    component: type[Component]

    def condition(self, entity_id: ColumnElement[int]) -> ColumnElement[bool]:
        return exists().where(self.component.entity_id == entity_id)


@dataclass(frozen=True)
class Without:
    """Only entities that have no such component."""

    component: type[Component]

    def condition(self, entity_id: ColumnElement[int]) -> ColumnElement[bool]:
        return ~With(self.component).condition(entity_id)


@dataclass(frozen=True)
class Stale:
    """Only entities for which the algorithm's last outcome is of another version, or of other parameters."""

    algorithm: Algorithm

    def condition(self, entity_id: ColumnElement[int]) -> ColumnElement[bool]:
        row, digest = DerivationComponent, self.algorithm.parameters_digest
        return exists().where(
            row.entity_id == entity_id,
            row.algorithm == self.algorithm.name,
            or_(row.version != self.algorithm.version, row.parameters_digest.is_distinct_from(digest)),
        )


Filter = With | Without | Stale


@overload
def query(first: type[A], /, *filters: Filter) -> Select[A]: ...
@overload
def query(first: type[A], second: type[B], /, *filters: Filter) -> Select[A, B]: ...
@overload
def query(first: type[A], second: type[B], third: type[C], /, *filters: Filter) -> Select[A, B, C]: ...
@overload
def query(first: Filter, /, *filters: Filter) -> Select[int]: ...
def query(*parts: Any) -> Any:
    """``query(A, B, With(C), Without(D))``: the entities that have all named components, as a ``Select`` to go on with.

    Components come out as instances, layered ones as their effective row; with filters alone, entity ids come out.
    """
    components: list[type[Component]] = [part for part in parts if isinstance(part, type)]
    filters = [part for part in parts if not isinstance(part, type)]
    if not components:
        return select(Entity.id).where(*(f.condition(Entity.id) for f in filters))
    first, *others = components
    statement = cast("Select[Any]", select(*components))
    for other in others:
        statement = statement.join(other, other.entity_id == first.entity_id)
    effective = [c.layer == EFFECTIVE for c in components if issubclass(c, LayeredComponent)]
    return statement.where(*effective, *(f.condition(first.entity_id) for f in filters))


def listed(components: Iterable[type[Component]], entity_id: Any = Entity.id) -> ColumnElement[bool]:
    """What listings show by default: entities without a component that hides them (members, derived objects, settings …)."""
    return and_(true(), *(Without(c).condition(entity_id) for c in components if c.__hides_entity__))

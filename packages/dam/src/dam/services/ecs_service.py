"""Query helpers: entities by what their components say."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from dam.core.exceptions import ComponentDefinitionError
from dam.core.query import With, Without, query
from dam.core.transaction import MANY
from dam.models.core.base_component import Component
from dam.models.entity import Entity

C = TypeVar("C", bound=Component)


async def find_entities_by_attribute(
    session: AsyncSession, component: type[Component], attribute: str, value: Any
) -> list[int]:
    """Ids of the entities with a component whose ``attribute`` equals ``value``, in ascending order."""
    if attribute not in component.__table__.columns:
        known = ", ".join(c.key for c in component.__table__.columns)
        raise ComponentDefinitionError(f"{component.__name__} has no attribute {attribute!r}; it has {known}")
    statement = (
        query(component)
        .with_only_columns(component.entity_id)
        .where(getattr(component, attribute) == value)
        .distinct()
        .order_by(component.entity_id)
    )
    return list(await session.scalars(statement))


async def find_entities_with(
    session: AsyncSession, present: Sequence[type[Component]], absent: Sequence[type[Component]] = ()
) -> list[int]:
    """Ids of the entities that have all of ``present`` and none of ``absent``, in ascending order."""
    filters: list[With | Without] = [*map(With, present), *map(Without, absent)]
    statement = query(filters[0], *filters[1:]) if filters else select(Entity.id)
    return list(await session.scalars(statement.order_by(Entity.id)))


async def get_components_of(session: AsyncSession, entity_ids: Sequence[int], component: type[C]) -> dict[int, list[C]]:
    """The components of one class, by entity; one statement for a thousand entities."""
    found: dict[int, list[C]] = {entity_id: [] for entity_id in entity_ids}
    for start in range(0, len(entity_ids), MANY):
        part = entity_ids[start : start + MANY]
        for each in await session.scalars(select(component).where(component.entity_id.in_(part))):
            found[each.entity_id].append(each)
    return found

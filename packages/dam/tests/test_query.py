"""Queries: one statement, whatever is asked."""

import pytest
from sqlalchemy import Select, select
from sqlalchemy.orm import Mapped, mapped_column

from dam.analysis.algorithm import Algorithm
from dam.core.exceptions import ComponentDefinitionError
from dam.core.query import Stale, With, Without, listed, query
from dam.core.world import World
from dam.models.core.base_component import (
    EMBEDDED,
    PERSON,
    BaseComponent,
    LayeredComponent,
    MarkerComponent,
    UniqueComponent,
)
from dam.models.derivation import DerivationComponent
from dam.models.entity import Entity
from dam.services.ecs_service import find_entities_by_attribute, find_entities_with, get_components_of
from dam_test_utils.fixtures import MakeWorld

HASHES = Algorithm("test.hashes", 2)


class Size(UniqueComponent):
    __tablename__ = "test_query_size"
    pixels: Mapped[int]


class Tag(BaseComponent):
    __tablename__ = "test_query_tag"
    word: Mapped[str]


class Caption(LayeredComponent):
    __tablename__ = "test_query_caption"
    words: Mapped[str | None] = mapped_column(default=None)


class Trashed(MarkerComponent, hides_entity=True):
    __tablename__ = "test_query_trashed"


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """Entity 1: size and tags; 2: size and caption; 3: tag, trashed; 4: nothing."""
    world = await make_world(components=[Size, Tag, Caption, Trashed])
    async with world.transaction() as transaction:
        await transaction.create_entity(Size(pixels=100), Tag(word="red"), Tag(word="warm"))
        await transaction.create_entity(
            Size(pixels=200), Caption(layer=EMBEDDED, words="DSC0001"), Caption(layer=PERSON, words="Rex")
        )
        await transaction.create_entity(Tag(word="red"), Trashed())
        await transaction.create_entity()
    return world


async def ids(world: World, statement: Select[int]) -> list[int]:
    async with world.reading() as session:
        return sorted((await session.scalars(statement)).all())


async def test_components_come_out_as_instances(world: World) -> None:
    async with world.reading() as session:
        rows = (await session.execute(query(Size, Tag).order_by(Tag.word))).all()
    assert [(size.entity_id, size.pixels, tag.word) for size, tag in rows] == [(1, 100, "red"), (1, 100, "warm")]


async def test_a_layered_component_comes_out_as_its_effective_row(world: World) -> None:
    async with world.reading() as session:
        rows = (await session.execute(query(Caption, Size))).all()
    assert [(caption.words, size.pixels) for caption, size in rows] == [("Rex", 200)]


async def test_a_query_goes_on_as_a_select(world: World) -> None:
    async with world.reading() as session:
        sizes = (await session.scalars(query(Size, With(Caption)).where(Size.pixels > 100))).all()
    assert [size.entity_id for size in sizes] == [2]


async def test_filters_alone_give_entity_ids(world: World) -> None:
    assert await ids(world, query(With(Size))) == [1, 2]
    assert await ids(world, query(With(Size), With(Tag))) == [1]
    assert await ids(world, query(Without(Size))) == [3, 4]
    assert await ids(world, query(With(Tag), Without(Size))) == [3]


async def test_rows_of_another_version_or_other_parameters_are_stale(world: World) -> None:
    fresh, tuned = Algorithm("test.hashes", 2), Algorithm("test.hashes", 2, (("size", 8),))

    def derivation(name: str, version: int, digest: bytes | None = None, status: str = "ok") -> DerivationComponent:
        return DerivationComponent(algorithm=name, version=version, parameters_digest=digest, status=status)

    async with world.transaction() as transaction:
        transaction.add(1, derivation("test.hashes", 1))
        transaction.add(2, derivation("test.hashes", 2), derivation("test.other", 1))
        transaction.add(3, derivation("test.hashes", 1, status="failed"))
        transaction.add(4, derivation("test.hashes", 2, tuned.parameters_digest))
    assert await ids(world, query(Stale(fresh))) == [1, 3, 4]
    assert await ids(world, query(Stale(tuned))) == [1, 2, 3]


async def test_listings_leave_out_what_a_component_hides(world: World) -> None:
    assert await ids(world, select(Entity.id).where(listed(world.components))) == [1, 2, 4]
    assert await ids(world, select(Entity.id).where(listed([]))) == [1, 2, 3, 4]


async def test_entities_are_found_by_an_attribute(world: World) -> None:
    async with world.reading() as session:
        assert await find_entities_by_attribute(session, Tag, "word", "red") == [1, 3]
        assert await find_entities_by_attribute(session, Tag, "word", "blue") == []
        with pytest.raises(ComponentDefinitionError, match="Tag has no attribute 'wrod'; it has id, entity_id, word"):
            await find_entities_by_attribute(session, Tag, "wrod", "red")


async def test_an_attribute_of_a_layered_component_is_its_effective_one(world: World) -> None:
    async with world.reading() as session:
        assert await find_entities_by_attribute(session, Caption, "words", "Rex") == [2]
        assert await find_entities_by_attribute(session, Caption, "words", "DSC0001") == []


async def test_entities_are_found_by_combinations_of_components(world: World) -> None:
    async with world.reading() as session:
        assert sorted(await find_entities_with(session, [Size])) == [1, 2]
        assert await find_entities_with(session, [Tag], [Trashed]) == [1]
        assert sorted(await find_entities_with(session, [], [Size])) == [3, 4]
        assert sorted(await find_entities_with(session, [])) == [1, 2, 3, 4]


async def test_components_of_any_number_of_entities_come_by_entity(world: World) -> None:
    async with world.reading() as session:
        found = await get_components_of(session, [*range(5, 50_000), 1, 3, 4], Tag)
    assert {entity_id: [tag.word for tag in tags] for entity_id, tags in found.items() if entity_id < 5} == {
        1: ["red", "warm"],
        3: ["red"],
        4: [],
    }

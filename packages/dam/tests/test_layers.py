"""The same fact from several sources."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from dam.core.exceptions import ComponentDefinitionError
from dam.core.query import query
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.models.core.base_component import (
    EFFECTIVE,
    EMBEDDED,
    LAYERS,
    MODEL,
    PERSON,
    SIDECAR,
    LayeredComponent,
    layer_rank,
)
from dam_test_utils.fixtures import MakeWorld


class Caption(LayeredComponent):
    __tablename__ = "test_layers_caption"
    title: Mapped[str | None] = mapped_column(default=None)
    stars: Mapped[int | None] = mapped_column(default=None)


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world(components=[Caption])


async def written(world: World, *layers: Caption) -> int:
    async with world.transaction() as transaction:
        return await transaction.create_entity(*layers)


async def effective(world: World, entity_id: int) -> tuple[str | None, int | None] | None:
    async with world.reading() as session:
        row = await session.scalar(query(Caption).where(Caption.entity_id == entity_id))
        return None if row is None else (row.title, row.stars)


async def test_every_column_takes_the_word_of_the_most_trusted_layer_that_has_one(world: World) -> None:
    entity_id = await written(
        world,
        Caption(layer=f"{MODEL}:clip", title="a dog", stars=1),
        Caption(layer=EMBEDDED, title="DSC0001"),
        Caption(layer=SIDECAR, stars=4),
    )
    assert await effective(world, entity_id) == ("DSC0001", 4)


async def test_a_person_wins_and_is_not_overwritten_by_what_comes_later(world: World) -> None:
    entity_id = await written(world, Caption(layer=PERSON, title="Rex"))
    async with world.transaction() as transaction:
        transaction.add(entity_id, Caption(layer=EMBEDDED, title="DSC0001", stars=2))
    assert await effective(world, entity_id) == ("Rex", 2)


async def test_a_layer_that_is_written_again_replaces_its_own_word(world: World) -> None:
    entity_id = await written(world, Caption(layer=PERSON, title="Rex", stars=5), Caption(layer=MODEL, title="a dog"))
    async with world.transaction() as transaction:
        transaction.add(entity_id, Caption(layer=PERSON, stars=3))
    assert await effective(world, entity_id) == ("a dog", 3)


async def test_ensuring_a_layer_leaves_the_word_it_has(world: World) -> None:
    entity_id = await written(world, Caption(layer=PERSON, title="Rex"))
    async with world.transaction() as transaction:
        transaction.ensure(entity_id, Caption(layer=PERSON, title="Bello"), Caption(layer=SIDECAR, stars=1))
    assert await effective(world, entity_id) == ("Rex", 1)


async def test_removing_a_layer_gives_the_next_one_its_say(world: World) -> None:
    entity_id = await written(world, Caption(layer=PERSON, title="Rex"), Caption(layer=EMBEDDED, title="DSC0001"))
    async with world.transaction() as transaction:
        await transaction.remove_layer(Caption, PERSON, [entity_id])
    assert await effective(world, entity_id) == ("DSC0001", None)


async def test_removing_the_last_layer_removes_the_effective_row(world: World) -> None:
    entity_id = await written(world, Caption(layer=PERSON, title="Rex"))
    async with world.transaction() as transaction:
        await transaction.remove_layer(Caption, PERSON, [entity_id])
    assert await effective(world, entity_id) is None
    async with world.reading() as session:
        assert (await session.scalars(select(Caption))).all() == []


async def test_nothing_is_written_to_the_effective_layer_by_hand(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity()
        with pytest.raises(ComponentDefinitionError, match="the layer 'effective' is computed from the others"):
            transaction.add(entity_id, Caption(layer=EFFECTIVE, title="Rex"))


async def test_an_object_of_the_effective_row_that_is_held_follows(world: World) -> None:
    async def word(transaction: WorldTransaction) -> str | None:
        found = await transaction.get_component(entity_id, Caption)
        return found.title if found else None

    entity_id = await written(world, Caption(layer=EMBEDDED, title="DSC0001"))
    async with world.transaction() as transaction:
        held = await transaction.get_component(entity_id, Caption)
        assert held is not None
        transaction.add(entity_id, Caption(layer=PERSON, title="Rex"))
        assert await word(transaction) == "Rex"
        assert held.title == "Rex"


async def test_all_layers_can_be_looked_at(world: World) -> None:
    entity_id = await written(world, Caption(layer=PERSON, title="Rex"), Caption(layer=MODEL, title="a dog"))
    async with world.transaction() as transaction:
        rows = await transaction.get_components(entity_id, Caption)
    assert {row.layer: row.title for row in rows} == {PERSON: "Rex", MODEL: "a dog", EFFECTIVE: "Rex"}


names = st.one_of(
    st.sampled_from(LAYERS),
    st.builds("{}:{}".format, st.sampled_from(LAYERS), st.text(max_size=3)),
    st.text(max_size=5),
)


@given(st.lists(names))
def test_layers_are_ordered_by_trust_and_then_by_name(layers: list[str]) -> None:
    ranked = sorted(dict.fromkeys(layers), key=layer_rank)
    kinds = [layer.partition(":")[0] for layer in ranked]
    trust = [LAYERS.index(kind) if kind in LAYERS else len(LAYERS) for kind in kinds]
    assert trust == sorted(trust)
    assert ranked == sorted(set(layers), key=layer_rank)
    assert len({layer_rank(layer) for layer in layers}) == len(set(layers))


values = st.tuples(st.none() | st.text("abc", max_size=2), st.none() | st.integers(0, 9))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(steps=st.lists(st.tuples(st.sampled_from([PERSON, SIDECAR, EMBEDDED, MODEL, "model:a"]), st.none() | values)))
async def test_whatever_is_written_and_removed_the_effective_row_is_the_best_of_what_is_left(
    world: World, steps: list[tuple[str, tuple[str | None, int | None] | None]]
) -> None:
    left: dict[str, tuple[str | None, int | None]] = {}
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity()
        for layer, value in steps:
            if value is None:
                await transaction.remove_layer(Caption, layer, [entity_id])
                left.pop(layer, None)
            else:
                transaction.add(entity_id, Caption(layer=layer, title=value[0], stars=value[1]))
                left[layer] = value
    ranked = [left[layer] for layer in sorted(left, key=layer_rank)]
    title = next((title for title, _ in ranked if title is not None), None)
    stars = next((stars for _, stars in ranked if stars is not None), None)
    assert await effective(world, entity_id) == ((title, stars) if left else None)


async def test_a_layer_changed_through_its_object_reaches_the_effective_row(world: World) -> None:
    entity_id = await written(world, Caption(layer=EMBEDDED, title="old"))
    async with world.transaction() as transaction:
        (embedded,) = [c for c in await transaction.get_components(entity_id, Caption) if c.layer == EMBEDDED]
        embedded.title = "new"
    async with world.reading() as session:
        assert (await session.scalars(query(Caption))).one().title == "new"


async def test_the_effective_row_cannot_be_changed_by_hand(world: World) -> None:
    entity_id = await written(world, Caption(layer=EMBEDDED, title="old"))
    with pytest.raises(ComponentDefinitionError, match="computed from the layers"):
        async with world.transaction() as transaction:
            effective = await transaction.get_component(entity_id, Caption)
            assert effective is not None
            effective.title = "mine"


async def test_layered_components_are_not_updated_in_place(world: World) -> None:
    with pytest.raises(ComponentDefinitionError, match="is layered"):
        async with world.transaction() as transaction:
            await transaction.update_components(Caption, title="all")

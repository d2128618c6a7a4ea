"""Labels, as users meet them: by commands, in a real world."""

import pytest
from dam import World
from dam_test_utils.contract import check_plugin
from dam_test_utils.fixtures import MakeWorld

from plugin_name.commands import AddLabelCommand, FindLabelCommand, LabelError
from plugin_name.models import LabelComponent
from plugin_name.plugin import LabelPlugin
from plugin_name.settings import LabelSettings


async def labelled(world: World, label: str) -> int:
    """A new entity with a label."""
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity()
    await world.dispatch_command(AddLabelCommand(entity_id, label))
    return entity_id


async def found(world: World, label: str) -> list[int]:
    return await world.dispatch_command(FindLabelCommand(label)).get_one_value()


async def test_the_plugin_keeps_to_the_contract(empty_database: str) -> None:
    await check_plugin(LabelPlugin, empty_database)


async def test_what_has_a_label_is_found_by_it(make_world: MakeWorld) -> None:
    world = await make_world(LabelPlugin)
    one, another, _ = [await labelled(world, label) for label in ("beach", "beach", "mountains")]
    assert await found(world, "beach") == [one, another]
    assert await found(world, "forest") == []


async def test_the_same_label_twice_is_one(make_world: MakeWorld) -> None:
    world = await make_world(LabelPlugin)
    entity_id = await labelled(world, "at the beach")
    kept = await world.dispatch_command(AddLabelCommand(entity_id, "  At the  BEACH ")).get_one_value()
    assert kept == "at the beach"
    async with world.transaction() as transaction:
        assert [each.text for each in await transaction.get_components(entity_id, LabelComponent)] == [kept]


async def test_case_matters_where_the_settings_say_so(make_world: MakeWorld) -> None:
    world = await make_world(LabelPlugin, settings=[LabelSettings(ignore_case=False)])
    entity_id = await labelled(world, "Beach")
    assert await found(world, "Beach") == [entity_id]
    assert await found(world, "beach") == []


@pytest.mark.parametrize("label", ["", " \n ", "x" * 101, "\x1b[31m"])
async def test_what_cannot_be_a_label_is_refused(make_world: MakeWorld, label: str) -> None:
    world = await make_world(LabelPlugin)
    with pytest.raises(LabelError, match="a label has"):
        await labelled(world, label)


async def test_a_label_for_nothing_is_refused(make_world: MakeWorld) -> None:
    world = await make_world(LabelPlugin)
    with pytest.raises(LabelError, match="there is no entity 7"):
        await world.dispatch_command(AddLabelCommand(7, "beach"))

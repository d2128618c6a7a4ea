"""What a system may ask for, and what registration says of what it may not."""

import re
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
from sqlalchemy import text

from dam.commands.core import BaseCommand
from dam.core.exceptions import NoResourceError, SystemDefinitionError
from dam.core.injection import Need, Scope
from dam.core.system_params import Resource, WorldConfig, WorldContext, WorldSession
from dam.core.systems import system
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.models.config import SettingsModel
from dam_test_utils.fixtures import MakeWorld


@dataclass
class Ask(BaseCommand[str, Any]):
    """Asks a handler what it was given."""

    word: str = "word"


class Service:
    """A resource."""


class UnknownSettings(SettingsModel):
    """Belongs to no plugin."""


def module(source: str) -> dict[str, Any]:
    """The names of a module ``systems.py`` with that source, whose lines are counted from its first."""
    made = ModuleType("dam_colours.systems")
    exec(compile(textwrap.dedent(source).strip(), "/somewhere/dam_colours/systems.py", "exec"), made.__dict__)
    return made.__dict__


def refusal(world: World, fn: Callable[..., Any]) -> str:
    with pytest.raises(SystemDefinitionError) as refused:
        world.register_system(fn)
    return re.sub(r"test_injection\.py:\d+", "test_injection.py:N", str(refused.value))


COLOURS = """
from dataclasses import dataclass
from typing import Any
from dam.commands.core import BaseCommand
from dam.core.systems import system

@dataclass
class ExtractColour(BaseCommand[None, Any]):
    entity_id: int

class WorldTransacton:
    pass

# The example of the architecture begins at line fourteen.
@system(on_command=ExtractColour)
async def extract_colour(cmd: ExtractColour, transacton: {quote}WorldTransacton{quote}, size):
    pass
"""

DAM103 = """\
DAM103 cannot register system dam_colours.systems.extract_colour (systems.py:14)
  parameter 'transacton': nothing provides WorldTransacton (did you mean WorldTransaction?)
  parameter 'size' has no type annotation
  see docs/reference/errors.md#dam103"""


async def test_all_mistakes_of_a_signature_are_shown_at_once_with_their_places(world: World) -> None:
    assert refusal(world, module(COLOURS.format(quote=""))["extract_colour"]) == DAM103


async def test_a_misspelt_name_in_a_postponed_annotation_is_a_mistake_like_the_others(world: World) -> None:
    source = COLOURS.format(quote="'").replace("class WorldTransacton:", "class Other:")
    assert refusal(world, module(source)["extract_colour"]) == DAM103


async def test_a_name_that_only_type_checkers_import_is_named_with_the_fix(world: World) -> None:
    source = COLOURS.format(quote="'").replace("'WorldTransacton'", "'Palette'")
    assert refusal(world, module(source)["extract_colour"]).splitlines()[1] == (
        "  parameter 'transacton': the annotation 'Palette' cannot be resolved at run time; "
        "import it at module level, not under TYPE_CHECKING"
    )


async def test_a_wrong_result_is_shown_beside_a_wrong_parameter(world: World) -> None:
    @system(on_command=Ask)
    async def answer(cmd: Ask, bare) -> str:  # type: ignore[no-untyped-def]
        return cmd.word

    answer.__annotations__["return"] = int
    assert refusal(world, answer).splitlines()[1:3] == [
        "  parameter 'bare' has no type annotation",
        "  it returns int, and the result of Ask is str",
    ]


async def test_a_parameter_of_another_command_is_not_provided(world: World) -> None:
    @dataclass
    class Other(BaseCommand[str, Any]):
        """Another command."""

    @system(on_command=Ask)
    async def answer(cmd: Other) -> str:
        return str(cmd)

    assert "parameter 'cmd': nothing provides Other" in refusal(world, answer)


async def test_star_arguments_are_refused(world: World) -> None:
    @system(on_command=Ask)
    async def answer(cmd: Ask, *more: Ask) -> str:
        return cmd.word

    assert "parameter 'more' takes any number of arguments" in refusal(world, answer)


async def test_a_parameter_with_a_default_that_nothing_provides_keeps_its_default(make_world: MakeWorld) -> None:
    @system(on_command=Ask)
    async def answer(cmd: Ask, colour: bytes = b"red") -> str:
        return f"{cmd.word} {colour.decode()}"

    world = await make_world(systems=[answer])
    assert await world.dispatch_command(Ask()).get_one_value() == "word red"


async def test_the_trigger_may_be_asked_for_by_a_base_class(make_world: MakeWorld) -> None:
    @system(on_command=Ask)
    async def answer(cmd: BaseCommand[str, Any]) -> str:
        return type(cmd).__name__

    world = await make_world(systems=[answer])
    assert await world.dispatch_command(Ask()).get_one_value() == "Ask"


async def test_everything_of_the_core_arrives_by_its_type(make_world: MakeWorld) -> None:
    service = Service()
    seen: list[Any] = []

    @system(on_command=Ask)
    async def answer(
        service: Resource[Service],
        config: WorldConfig,
        context: WorldContext,
        session: WorldSession,
        world: World,
        transaction: WorldTransaction,
        cmd: Ask,
    ) -> str:
        seen.extend((service, config.name, context.name, context.config is config, world.root, transaction.session))
        assert await session.scalar(text("SELECT 1")) == 1
        assert context.session is session is transaction.session
        return cmd.word

    world = await make_world(systems=[answer], resources=[service], name="colours")
    assert await world.dispatch_command(Ask("blue")).get_one_value() == "blue"
    assert seen[:5] == [service, "colours", "colours", True, world]


async def test_a_resource_that_no_plugin_adds_is_found_missing_before_anything_runs(world: World) -> None:
    @system(on_command=Ask)
    async def answer(cmd: Ask, service: Resource[Service]) -> str:
        return cmd.word

    world.register_system(answer)
    with pytest.raises(
        SystemDefinitionError, match="parameter 'service': no plugin of this world adds the resource Service"
    ):
        world.check_systems()
    world.add_resource(Service())
    world.check_systems()


async def test_settings_that_no_plugin_has_are_found_missing_before_anything_runs(world: World) -> None:
    @system(on_command=Ask)
    async def answer(cmd: Ask, settings: UnknownSettings) -> str:
        return cmd.word

    world.register_system(answer)
    with pytest.raises(SystemDefinitionError, match="has the settings UnknownSettings"):
        world.check_systems()


async def test_a_plugin_adds_an_injectable_with_one_line(make_world: MakeWorld) -> None:
    closed: list[str] = []

    @dataclass(frozen=True)
    class Clock:
        """A marker."""

        zone: str

    @asynccontextmanager
    async def open_clock(_scope: Scope, need: Need) -> AsyncIterator[str]:
        yield f"noon in {need.marker.zone}"
        closed.append(need.marker.zone)

    @system(on_command=Ask)
    async def answer(cmd: Ask, now: Annotated[str, Clock("UTC")]) -> str:
        assert not closed
        return now

    world = await make_world()
    world.register_provider(Clock, open_clock)
    world.register_system(answer)
    assert await world.dispatch_command(Ask()).get_one_value() == "noon in UTC"
    assert closed == ["UTC"]


async def test_an_exact_type_is_preferred_to_its_base_class(make_world: MakeWorld) -> None:
    class Animal:
        pass

    class Dog(Animal):
        pass

    def opening(name: str) -> Any:
        @asynccontextmanager
        async def opened(_scope: Scope, _need: Need) -> AsyncIterator[str]:
            yield name

        return opened

    @system(on_command=Ask)
    async def answer(cmd: Ask, dog: Dog, animal: Animal) -> str:
        return f"{dog} {animal}"

    world = await make_world()
    world.register_provider(Animal, opening("animal"))
    world.register_provider(Dog, opening("dog"))
    world.register_system(answer)
    assert await world.dispatch_command(Ask()).get_one_value() == "dog animal"


async def test_nested_dispatches_share_the_scope_lifetime_and_not_the_call_lifetime(make_world: MakeWorld) -> None:
    opened: list[str] = []

    class PerScope:
        pass

    class PerCall:
        pass

    def opening(kind: type) -> Any:
        @asynccontextmanager
        async def open_one(_scope: Scope, _need: Need) -> AsyncIterator[Any]:
            opened.append(kind.__name__)
            yield kind()

        return open_one

    @dataclass
    class Inner(BaseCommand[str, Any]):
        """A nested command."""

    @system(on_command=Inner)
    async def inner(cmd: Inner, scope: PerScope, call: PerCall) -> str:
        return "inner"

    @system(on_command=Ask)
    async def outer(cmd: Ask, scope: PerScope, call: PerCall, world: World) -> str:
        return await world.dispatch_command(Inner()).get_one_value()

    world = await make_world()
    world.register_provider(PerScope, opening(PerScope), lifetime="scope")
    world.register_provider(PerCall, opening(PerCall), lifetime="call")
    for each in (inner, outer):
        world.register_system(each)
    assert await world.dispatch_command(Ask()).get_one_value() == "inner"
    assert sorted(opened) == ["PerCall", "PerCall", "PerScope"]


async def test_a_missing_resource_is_named_with_those_that_there_are(world: World, tmp_path: Path) -> None:
    world.add_resource(Service())
    world.add_resource(tmp_path, as_type=Path)
    assert world.get_resource(Path) is tmp_path
    with pytest.raises(NoResourceError, match=r"no resource 'dict' in this world \(it has: Path, Service\)"):
        world.get_resource(dict)

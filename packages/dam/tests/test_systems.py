"""Declaring and registering systems, and which of them run."""

import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Mapped

from dam.commands.analysis_commands import AnalysisCommand
from dam.commands.core import BaseCommand
from dam.core.exceptions import (
    EventHandlingError,
    HandlerConflictError,
    NoHandlerError,
    StageExecutionError,
    SystemDefinitionError,
)
from dam.core.stages import SystemStage
from dam.core.system_params import MarkedEntityList
from dam.core.systems import listens_for, system
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.events import Event
from dam.models.core.base_component import MarkerComponent, UniqueComponent
from dam.models.run import Run
from dam_test_utils.fixtures import MakeWorld

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Count(BaseCommand[int, Any]):
    """Counts something."""


@dataclass
class CountAgain(Count):
    """A command of its own, for which handlers of ``Count`` are nothing."""


@dataclass
class Poll(BaseCommand[str, Any]):
    """Anybody may answer."""

    many_handlers: ClassVar[bool] = True


@dataclass
class Arrived(Event):
    """Something arrived."""

    name: str


class Stage(Enum):
    """Stages of this test's plugin."""

    PAINT = "paint"


class NeedsPaint(MarkerComponent):
    __tablename__ = "test_systems_needs_paint"


class NeedsVarnish(MarkerComponent):
    __tablename__ = "test_systems_needs_varnish"


class Painted(UniqueComponent):
    __tablename__ = "test_systems_painted"
    batch: Mapped[int]


def loosely(**triggers: Any) -> Callable[[F], F]:
    """``@system`` with mistakes that a type checker would not let through."""
    declare: Any = system
    decorator: Callable[[F], F] = declare(**triggers)
    return decorator


def refusal(world: World, fn: Callable[..., Any]) -> str:
    with pytest.raises(SystemDefinitionError) as refused:
        world.register_system(fn)
    return str(refused.value)


@system(on_command=Count)
async def count_to_one(cmd: Count) -> int:
    return 1


# -- declarations


async def test_a_function_without_a_declaration_is_refused(world: World) -> None:
    async def bare() -> None: ...

    assert "it is not declared; write @system(on_command=…) above it" in refusal(world, bare)


@pytest.mark.parametrize(
    ("triggers", "said"),
    [
        ({}, "exactly one of on_command, on_event, on_stage is needed, and there is none"),
        (
            {"on_command": Count, "on_event": Arrived},
            "exactly one of on_command, on_event, on_stage is needed, and there is on_command and on_event",
        ),
        ({"on_comand": Count}, "@system has no keyword 'on_comand' (did you mean on_command?)"),
        (
            {"on_command": Count, "priority": 3},
            "@system has no keyword 'priority'; it has on_command, on_event, on_stage",
        ),
        ({"on_command": Arrived}, "is not a subclass of BaseCommand"),
        ({"on_event": Count}, "is not a subclass of Event"),
        ({"on_stage": "paint"}, "on_stage='paint' is not a stage; use a member of SystemStage"),
    ],
)
async def test_a_wrong_declaration_is_refused_with_what_is_allowed(world: World, triggers: Any, said: str) -> None:
    @loosely(**triggers)
    async def wrong() -> None: ...

    assert said in refusal(world, wrong)


async def test_several_mistakes_are_one_refusal(world: World) -> None:
    @loosely(on_event=Arrived, on_stage=Stage.PAINT, often=True)
    def wrong(thing):  # type: ignore[no-untyped-def]
        pass

    said = refusal(world, wrong)
    assert said.startswith("DAM103 cannot register system ")
    assert re.search(r"wrong \(test_systems\.py:\d+\)", said)
    for part in (
        "no keyword 'often'",
        "exactly one of",
        "parameter 'thing' has no type annotation",
        "write 'async def'",
    ):
        assert part in said
    assert said.endswith("see docs/reference/errors.md#dam103")


async def test_a_result_that_is_not_the_commands_is_refused(world: World) -> None:
    @loosely(on_command=Count)
    async def wrong(cmd: Count) -> str:
        return ""

    assert "it returns str, and the result of Count is int" in refusal(world, wrong)


async def test_a_handler_without_a_return_annotation_returns_nothing(world: World) -> None:
    @loosely(on_command=Count)
    async def wrong(cmd: Count):  # type: ignore[no-untyped-def]
        return 1

    assert "it returns None, and the result of Count is int" in refusal(world, wrong)


async def test_a_result_may_be_a_subclass_of_the_commands(make_world: MakeWorld) -> None:
    @system(on_command=Count)
    async def says_yes(cmd: Count) -> bool:
        return True

    world = await make_world(systems=[says_yes])
    assert await world.dispatch_command(Count()).get_one_value() is True


async def test_a_generator_with_the_annotation_of_a_coroutine_is_refused(world: World) -> None:
    @loosely(on_command=Count)
    async def wrong(cmd: Count) -> int:  # type: ignore[misc]
        yield 1  # pyright: ignore[reportReturnType]

    assert "it yields, so its result is an AsyncGenerator[…], not int" in refusal(world, wrong)


async def test_the_result_type_is_found_through_generic_base_classes() -> None:
    @dataclass
    class Analyse(AnalysisCommand[dict[str, int]]):
        """A command whose result stands in its base."""

    assert Analyse.result_type() == dict[str, int]
    assert CountAgain.result_type() is int


# -- commands


async def test_a_second_handler_is_refused_and_both_places_are_shown(world: World) -> None:
    @system(on_command=Count)
    async def count_to_two(cmd: Count) -> int:
        return 2

    world.register_system(count_to_one)
    with pytest.raises(HandlerConflictError) as refused:
        world.register_system(count_to_two)
    first, second, fix = str(refused.value).splitlines()[1:]
    assert re.fullmatch(r"  first:  \S+count_to_one \(test_systems\.py:\d+\)", first)
    assert re.fullmatch(r"  second: \S+count_to_two \(test_systems\.py:\d+\)", second)
    assert "many_handlers = True" in fix


async def test_registering_the_same_handler_twice_changes_nothing(world: World) -> None:
    world.register_system(count_to_one)
    world.register_system(count_to_one)
    assert await world.dispatch_command(Count()).get_all_results() == [1]


async def test_a_command_may_say_that_any_number_may_answer(make_world: MakeWorld) -> None:
    @system(on_command=Poll)
    async def first(cmd: Poll) -> str:
        return "first"

    @system(on_command=Poll)
    async def second(cmd: Poll) -> str:
        return "second"

    world = await make_world(systems=[first, second])
    assert await world.dispatch_command(Poll()).get_all_results() == ["first", "second"]


async def test_a_command_without_a_handler_is_refused_at_once(world: World) -> None:
    world.register_system(count_to_one)
    with pytest.raises(NoHandlerError, match=r"no handler for CountAgain in this world \(there is one for Count\)"):
        world.dispatch_command(CountAgain())


# -- events


async def test_listeners_run_in_the_order_of_their_registration(make_world: MakeWorld) -> None:
    heard: list[str] = []

    @listens_for(Arrived)
    async def first(event: Arrived) -> None:
        heard.append(f"first {event.name}")

    @system(on_event=Arrived)
    async def second(event: Arrived) -> None:
        heard.append(f"second {event.name}")

    world = await make_world(systems=[first, second])
    await world.dispatch_event(Arrived("parcel"))
    assert heard == ["first parcel", "second parcel"]


async def test_an_event_that_nobody_listens_for_is_no_mistake(world: World) -> None:
    await world.dispatch_event(Arrived("parcel"))


async def test_a_failing_listener_is_named_with_its_cause(make_world: MakeWorld) -> None:
    @listens_for(Arrived)
    async def clumsy(event: Arrived) -> None:
        raise ValueError("dropped it")

    world = await make_world(systems=[clumsy])
    with pytest.raises(EventHandlingError, match=r"Arrived: .*clumsy failed with ValueError: dropped it") as failed:
        await world.dispatch_event(Arrived("parcel"))
    assert failed.value.system_name.endswith("clumsy")
    assert isinstance(failed.value.__cause__, ValueError)


# -- stages


async def marked(world: World, marker: type[MarkerComponent]) -> list[int]:
    async with world.reading() as session:
        return list(await session.scalars(select(marker.entity_id).order_by(marker.entity_id)))


async def mark(world: World, count: int, *markers: type[MarkerComponent]) -> list[int]:
    async with world.transaction() as transaction:
        ids = await transaction.create_entities(count)
        for entity_id in ids:
            transaction.add(entity_id, *(marker() for marker in markers))
    return ids


async def test_a_stage_repeats_until_nothing_is_marked_and_commits_each_batch(make_world: MakeWorld) -> None:
    batches: list[tuple[list[int], int]] = []

    @system(on_stage=Stage.PAINT)
    async def paint(ids: MarkedEntityList[NeedsPaint], transaction: WorldTransaction, world: World) -> None:
        batches.append((list(ids), len(await marked(world.root, NeedsPaint))))
        for entity_id in ids:
            transaction.add(entity_id, Painted(batch=len(batches)))

    world = await make_world(components=[NeedsPaint, Painted], systems=[paint])
    ids = await mark(world, 600, NeedsPaint)
    await world.execute_stage(Stage.PAINT)
    assert [len(batch) for batch, _ in batches] == [256, 256, 88]
    assert [seen for _, seen in batches] == [
        600,
        344,
        88,
    ]  # as another connection sees it: earlier batches are committed
    assert [entity_id for batch, _ in batches for entity_id in batch] == ids
    assert await marked(world, NeedsPaint) == []
    async with world.reading() as session:
        assert len((await session.scalars(select(Painted))).all()) == 600
        assert (await session.scalars(select(Run.command))).all() == ["transaction", "PAINT"]


async def test_a_failing_batch_keeps_its_markers_and_the_earlier_batches_their_work(make_world: MakeWorld) -> None:
    @system(on_stage=Stage.PAINT)
    async def paint(ids: MarkedEntityList[NeedsPaint], transaction: WorldTransaction) -> None:
        for entity_id in ids:
            transaction.add(entity_id, Painted(batch=1))
        if len(ids) < 256:
            raise RuntimeError("no paint left")

    world = await make_world(components=[NeedsPaint, Painted], systems=[paint])
    ids = await mark(world, 300, NeedsPaint)
    with pytest.raises(StageExecutionError, match=r"PAINT: .*paint failed with RuntimeError: no paint left") as failed:
        await world.execute_stage(Stage.PAINT)
    assert failed.value.system_name.endswith("paint")
    assert isinstance(failed.value.__cause__, RuntimeError)
    assert await marked(world, NeedsPaint) == ids[256:]
    async with world.reading() as session:
        assert (await session.scalars(select(Painted.entity_id).order_by(Painted.entity_id))).all() == ids[:256]
        assert (await session.scalars(select(Run.outcome))).all() == ["done", "failed"]


async def test_a_stage_system_with_an_empty_queue_is_not_called(make_world: MakeWorld) -> None:
    @system(on_stage=Stage.PAINT)
    async def paint(ids: MarkedEntityList[NeedsPaint]) -> None:
        raise AssertionError("there is nothing to paint")

    world = await make_world(components=[NeedsPaint], systems=[paint])
    await world.execute_stage(Stage.PAINT)


async def test_a_stage_system_without_a_queue_is_called_once(make_world: MakeWorld) -> None:
    calls: list[Stage] = []

    @system(on_stage=Stage.PAINT)
    async def look(stage: Stage) -> None:
        calls.append(stage)

    world = await make_world(systems=[look])
    await world.execute_stage(Stage.PAINT)
    assert calls == [Stage.PAINT]


async def test_a_system_with_two_queues_empties_both(make_world: MakeWorld) -> None:
    seen: list[tuple[list[int], list[int]]] = []

    @system(on_stage=Stage.PAINT)
    async def finish(paint: MarkedEntityList[NeedsPaint], varnish: MarkedEntityList[NeedsVarnish]) -> None:
        seen.append((list(paint), list(varnish)))

    world = await make_world(components=[NeedsPaint, NeedsVarnish], systems=[finish])
    both = await mark(world, 2, NeedsPaint, NeedsVarnish)
    one = await mark(world, 1, NeedsVarnish)
    await world.execute_stage(Stage.PAINT)
    assert seen == [(both, both + one)]
    assert await marked(world, NeedsVarnish) == []


async def test_systems_of_a_stage_run_in_the_order_of_their_registration(make_world: MakeWorld) -> None:
    order: list[str] = []

    @system(on_stage=Stage.PAINT)
    async def first() -> None:
        order.append("first")

    @system(on_stage=Stage.PAINT)
    async def second() -> AsyncGenerator[Any, None]:
        order.append("second")
        yield "an event"

    world = await make_world(systems=[first, second])
    assert "an event" in [event async for event in world.execute_stage(Stage.PAINT)]
    assert order == ["first", "second"]


async def test_a_stage_inside_a_transaction_sees_its_markers_and_ends(make_world: MakeWorld) -> None:
    batches: list[list[int]] = []

    @system(on_stage=Stage.PAINT)
    async def paint(ids: MarkedEntityList[NeedsPaint]) -> None:
        batches.append(list(ids))
        assert len(batches) < 3, "it never ends"

    @system(on_command=Count)
    async def mark_and_paint(cmd: Count, transaction: WorldTransaction, world: World) -> int:
        entity_id = await transaction.create_entity(NeedsPaint())
        await world.execute_stage(Stage.PAINT)
        return entity_id

    world = await make_world(components=[NeedsPaint], systems=[paint, mark_and_paint])
    (earlier,) = await mark(world, 1, NeedsPaint)
    later = await world.dispatch_command(Count()).get_one_value()
    assert batches == [[earlier, later]]
    assert await marked(world, NeedsPaint) == []


async def test_a_queue_without_a_marker_is_refused_before_anything_runs(world: World) -> None:
    @system(on_stage=Stage.PAINT)
    async def bare(ids: MarkedEntityList) -> None:  # type: ignore[type-arg]
        pass

    @system(on_stage=Stage.PAINT)
    async def wrong(ids: MarkedEntityList[Painted]) -> None:  # type: ignore[type-var]  # pyright: ignore
        pass

    for each in (bare, wrong):
        world.register_system(each)
    with pytest.raises(SystemDefinitionError) as refused:
        world.check_systems()
    said = str(refused.value)
    assert "parameter 'ids': MarkedEntityList names no marker; write MarkedEntityList[YourMarker]" in said
    assert "parameter 'ids': Painted is not a MarkerComponent" in said


async def test_the_core_stage_runs_nothing_in_a_world_without_analyzers(world: World) -> None:
    assert await world.execute_stage(SystemStage.METADATA_EXTRACTION).get_all_results() == []


class Shared(MarkerComponent):
    """Two systems wait for it."""

    __tablename__ = "test_systems_shared"


async def test_systems_that_wait_for_the_same_marker_see_the_same_entities(make_world: MakeWorld) -> None:
    seen: dict[str, list[int]] = {"first": [], "second": []}

    @system(on_stage=SystemStage.METADATA_EXTRACTION)
    async def first(entities: MarkedEntityList[Shared]) -> None:
        seen["first"] += entities

    @system(on_stage=SystemStage.METADATA_EXTRACTION)
    async def second(entities: MarkedEntityList[Shared]) -> None:
        seen["second"] += entities

    world = await make_world(components=[Shared], systems=[first, second])
    async with world.transaction() as transaction:
        ids = await transaction.create_entities(600)
        for entity_id in ids:
            transaction.add(entity_id, Shared())
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)
    assert seen == {"first": ids, "second": ids}
    async with world.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Shared)) == 0

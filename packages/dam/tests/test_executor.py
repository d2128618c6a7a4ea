"""One stream of events: results, requests and answers."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Mapped

from dam.commands.core import BaseCommand
from dam.core.exceptions import NoResultError, UnansweredRequestError, UncommittedRequestError
from dam.core.systems import system
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.models.core.base_component import UniqueComponent
from dam.system_events.base import BaseRequest, BaseSystemEvent, Result
from dam.system_events.requests import PasswordRequest, PasswordResponse
from dam_test_utils.fixtures import MakeWorld


@dataclass
class Open(BaseCommand[str, PasswordRequest]):
    """Opens something that wants a password."""

    secret: str = "sesame"


@dataclass
class Count(BaseCommand[int | None, "Progress"]):
    """Yields results one by one."""

    results: tuple[int | None, ...] = ()


@dataclass
class Progress(BaseSystemEvent):
    """How far it is."""

    done: int


class Opened(UniqueComponent):
    __tablename__ = "test_executor_opened"
    password: Mapped[str]


@system(on_command=Open)
async def unlock(cmd: Open) -> AsyncGenerator[PasswordRequest | Result[str], PasswordResponse | None]:
    while True:
        response = yield PasswordRequest("Password?")
        if response is None:
            return
        if response.password == cmd.secret:
            yield Result("open")
            return


@system(on_command=Count)
async def count(cmd: Count) -> AsyncGenerator[Progress | Result[int | None], None]:
    for done, value in enumerate(cmd.results):
        yield Progress(done)
        yield Result(value)


async def say_sesame(_request: PasswordRequest) -> PasswordResponse:
    return PasswordResponse("sesame")


async def test_nothing_runs_before_the_executor_is_iterated(make_world: MakeWorld) -> None:
    ran: list[str] = []

    @system(on_command=Open)
    async def handler(cmd: Open) -> str:
        ran.append("ran")
        return ""

    world = await make_world(systems=[handler])
    executor = world.dispatch_command(Open())
    assert not ran
    await executor
    assert ran == ["ran"]


async def test_a_coroutine_handler_contributes_one_result_event(make_world: MakeWorld) -> None:
    @system(on_command=Open)
    async def handler(cmd: Open) -> str:
        return cmd.secret

    world = await make_world(systems=[handler])
    assert [event async for event in world.dispatch_command(Open())] == [Result("sesame")]


async def test_a_generator_handler_contributes_what_it_yields_and_no_more(make_world: MakeWorld) -> None:
    world = await make_world(systems=[count])
    events = [event async for event in world.dispatch_command(Count((7,)))]
    assert events == [Progress(0), Result(7)]


async def test_an_answer_reaches_the_handler_that_asked(make_world: MakeWorld) -> None:
    world = await make_world(systems=[unlock])
    executor = world.dispatch_command(Open())
    assert await anext(executor) == PasswordRequest("Password?")
    assert await executor.asend(PasswordResponse("wrong")) == PasswordRequest("Password?")
    assert await executor.asend(PasswordResponse("sesame")) == Result("open")
    with pytest.raises(StopAsyncIteration):
        await anext(executor)


async def test_a_request_of_a_nested_command_is_answered_through_the_outer_handler(make_world: MakeWorld) -> None:
    @dataclass
    class Outer(BaseCommand[str, PasswordRequest]):
        """Hands its nested command's requests on."""

    @system(on_command=Outer)
    async def outer(cmd: Outer, world: World) -> AsyncGenerator[PasswordRequest | Result[str], PasswordResponse | None]:
        async with world.dispatch_command(Open()) as nested:
            answer = None
            while True:
                try:
                    event = await nested.asend(answer)
                except StopAsyncIteration:
                    return
                answer = yield event

    world = await make_world(systems=[unlock, outer])
    assert await world.dispatch_command(Outer()).get_one_value({PasswordRequest: say_sesame}) == "open"


@pytest.mark.parametrize(("results", "found"), [((), "no result"), ((1, 2), "2 results")])
async def test_one_value_means_exactly_one(make_world: MakeWorld, results: tuple[int, ...], found: str) -> None:
    world = await make_world(systems=[count])
    with pytest.raises(NoResultError, match=f"one result was asked for and {found} came"):
        await world.dispatch_command(Count(results)).get_one_value()


async def test_one_value_may_be_none(make_world: MakeWorld) -> None:
    world = await make_world(systems=[count])
    assert await world.dispatch_command(Count((None,))).get_one_value() is None


async def test_all_results_come_without_the_other_events(make_world: MakeWorld) -> None:
    world = await make_world(systems=[count])
    assert await world.dispatch_command(Count((1, None, 2))).get_all_results() == [1, None, 2]


@pytest.mark.parametrize(("results", "first"), [((None, 0, 2), 0), ((None,), None), ((), None)])
async def test_the_first_value_that_is_not_none(
    make_world: MakeWorld, results: tuple[int | None, ...], first: int | None
) -> None:
    world = await make_world(systems=[count])
    assert await world.dispatch_command(Count(results)).get_first_non_none_value() == first


async def test_requests_are_answered_by_table(make_world: MakeWorld) -> None:
    world = await make_world(systems=[unlock])
    assert await world.dispatch_command(Open()).get_one_value({PasswordRequest: say_sesame}) == "open"
    assert await world.dispatch_command(Open()).get_one_value({BaseRequest: say_sesame}) == "open"


async def test_a_request_that_nobody_answers_is_an_error_and_no_wait(make_world: MakeWorld) -> None:
    ended: list[str] = []

    @system(on_command=Open)
    async def ask(cmd: Open) -> AsyncGenerator[PasswordRequest | Result[str], Any]:
        try:
            yield PasswordRequest("Password?")
        finally:
            ended.append("cleaned up")

    world = await make_world(systems=[ask])
    with pytest.raises(UnansweredRequestError, match="PasswordRequest has nobody to answer it"):
        await world.dispatch_command(Open())
    assert ended == ["cleaned up"]


async def test_a_password_does_not_show_in_a_representation() -> None:
    assert "sesame" not in repr(PasswordResponse("sesame"))


async def test_asking_while_the_transaction_holds_writes_is_refused_and_undone(make_world: MakeWorld) -> None:
    @system(on_command=Open)
    async def ask(cmd: Open, transaction: WorldTransaction) -> AsyncGenerator[PasswordRequest | Result[str], Any]:
        await transaction.create_entity(Opened(password="none yet"))
        yield PasswordRequest()

    world = await make_world(components=[Opened], systems=[ask])
    with pytest.raises(UncommittedRequestError, match=r"ask asked PasswordRequest while its transaction is in use"):
        await world.dispatch_command(Open()).get_one_value({PasswordRequest: say_sesame})
    async with world.reading() as session:
        assert (await session.scalars(select(Opened))).all() == []


async def test_a_write_that_is_only_queued_is_a_write_when_asking(make_world: MakeWorld) -> None:
    async def new_entity(world: World) -> int:
        async with world.transaction() as transaction:
            return await transaction.create_entity()

    @system(on_command=Open)
    async def ask(cmd: Open, transaction: WorldTransaction) -> AsyncGenerator[PasswordRequest | Result[str], Any]:
        transaction.add(int(cmd.secret), Opened(password="none yet"))
        yield PasswordRequest()

    world = await make_world(components=[Opened], systems=[ask])
    with pytest.raises(UncommittedRequestError):
        await world.dispatch_command(Open(str(await new_entity(world)))).get_one_value({PasswordRequest: say_sesame})


async def test_asking_first_and_writing_afterwards_is_how_it_is_done(make_world: MakeWorld) -> None:
    @system(on_command=Open)
    async def ask(
        cmd: Open, transaction: WorldTransaction, world: World
    ) -> AsyncGenerator[PasswordRequest | Result[str], Any]:
        async with world.reading() as session:  # through the transaction it would take SQLite's write lock
            assert (await session.scalars(select(Opened))).all() == []
        response = yield PasswordRequest()
        await transaction.create_entity(Opened(password=response.password))
        yield Result("kept")

    world = await make_world(components=[Opened], systems=[ask])
    assert await world.dispatch_command(Open()).get_one_value({PasswordRequest: say_sesame}) == "kept"
    async with world.reading() as session:
        assert (await session.scalars(select(Opened.password))).all() == ["sesame"]


async def test_asking_after_reading_through_the_transaction_is_refused(make_world: MakeWorld) -> None:
    @system(on_command=Open)
    async def ask(cmd: Open, transaction: WorldTransaction) -> AsyncGenerator[PasswordRequest, Any]:
        await transaction.session.scalars(select(Opened))
        yield PasswordRequest()

    world = await make_world(components=[Opened], systems=[ask])
    with pytest.raises(UncommittedRequestError, match="is in use"):
        await world.dispatch_command(Open()).get_all_results({PasswordRequest: say_sesame})


async def test_an_error_of_the_handler_arrives_as_it_is(make_world: MakeWorld) -> None:
    @system(on_command=Open)
    async def fails(cmd: Open) -> str:
        raise KeyError(cmd.secret)

    world = await make_world(systems=[fails])
    with pytest.raises(KeyError, match="sesame"):
        await world.dispatch_command(Open())

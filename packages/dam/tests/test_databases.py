"""What a database says when it cannot be reached, when it is lost, and when two writers get in each other's way."""

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.orm import Mapped

from dam.commands.core import BaseCommand
from dam.core import retries
from dam.core.databases import parse_url
from dam.core.exceptions import (
    DatabaseUnavailableError,
    SettingsError,
    StageExecutionError,
    TransactionDoomedError,
    WriteConflictError,
)
from dam.core.stages import SystemStage
from dam.core.systems import system
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.models.config import WorldConfig
from dam.models.core.base_component import UniqueComponent
from dam_test_utils.databases import PostgresDatabases
from dam_test_utils.fixtures import MakeWorld

ON_POSTGRESQL = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)


class Score(UniqueComponent):
    """Something that two writers want to change."""

    __tablename__ = "test_databases_score"
    value: Mapped[int]


@dataclass
class Raise(BaseCommand[int, Any]):
    """Raises the scores of some entities, one after the other, and waits in between."""

    entity_ids: list[int]
    by: int


class Meeting:
    """Makes two writers take their first lock before either wants its second."""

    def __init__(self) -> None:
        self.calls = 0
        self._both = asyncio.Event()

    async def wait(self) -> None:
        self.calls += 1
        if self.calls >= 2:
            self._both.set()
        try:
            async with asyncio.timeout(0.5):  # on SQLite the second one waits for the first to be done
                await self._both.wait()
        except TimeoutError:
            return


async def raise_one(transaction: WorldTransaction, entity_id: int, by: int) -> None:
    row = await transaction.session.scalar(select(Score).where(Score.entity_id == entity_id).with_for_update())
    assert row is not None
    row.value += by
    await transaction.flush()


@pytest.fixture
def meeting() -> Meeting:
    return Meeting()


@pytest.fixture
async def two(make_world: MakeWorld, meeting: Meeting) -> tuple[World, World, list[int]]:
    """Two worlds over one database, and two entities in it."""

    @system(on_command=Raise)
    async def raise_scores(cmd: Raise, transaction: WorldTransaction) -> int:
        first, *others = cmd.entity_ids
        await raise_one(transaction, first, cmd.by)
        await meeting.wait()
        for each in others:
            await raise_one(transaction, each, cmd.by)
        return cmd.by

    one = await make_world(components=[Score], systems=[raise_scores])
    other = await make_world(
        components=[Score], systems=[raise_scores], database_url=one.config.database_url, name="other"
    )
    async with one.transaction() as transaction:
        ids = [await transaction.create_entity(Score(value=0)) for _ in range(2)]
    return one, other, ids


async def scores(world: World) -> list[int]:
    async with world.reading() as session:
        return list(await session.scalars(select(Score.value).order_by(Score.entity_id)))


async def test_commands_that_want_the_same_rows_in_opposite_order_both_succeed(
    two: tuple[World, World, list[int]],
) -> None:
    one, other, ids = two
    results = await asyncio.gather(
        one.dispatch_command(Raise(ids, 1)).get_one_value(),
        other.dispatch_command(Raise(ids[::-1], 10)).get_one_value(),
    )
    assert list(results) == [1, 10]
    assert await scores(one) == [11, 11]


async def test_units_of_work_that_want_the_same_rows_in_opposite_order_both_succeed(
    two: tuple[World, World, list[int]], meeting: Meeting
) -> None:
    one, other, ids = two

    async def write(world: World, order: list[int], by: int) -> int:
        async def work(transaction: WorldTransaction) -> int:
            await raise_one(transaction, order[0], by)
            await meeting.wait()
            await raise_one(transaction, order[1], by)
            return by

        return await world.write(work)

    assert list(await asyncio.gather(write(one, ids, 1), write(other, ids[::-1], 10))) == [1, 10]
    assert await scores(one) == [11, 11]


async def test_a_unit_of_work_that_is_part_of_a_larger_one_is_not_repeated_by_itself(
    two: tuple[World, World, list[int]],
) -> None:
    one, _, _ = two
    tried: list[int] = []

    async def work(transaction: WorldTransaction) -> None:
        tried.append(1)
        raise WriteConflictError("somebody was in the way")

    with pytest.raises(TransactionDoomedError):
        async with one.transaction() as transaction:
            with pytest.raises(WriteConflictError):
                await transaction.world.write(work)
    assert tried == [1]


async def test_who_is_always_in_somebodys_way_gives_up_and_says_so(
    two: tuple[World, World, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.0)
    one, _, _ = two
    tried: list[int] = []

    async def work(transaction: WorldTransaction) -> None:
        tried.append(1)
        raise WriteConflictError("somebody was in the way")

    with pytest.raises(WriteConflictError, match="in the way"):
        await one.write(work)
    assert len(tried) == retries.TRIES


async def test_what_was_heard_of_already_is_not_done_again(make_world: MakeWorld) -> None:
    tried: list[int] = []

    @dataclass
    class Tell(BaseCommand[None, int]):
        """Yields, and then meets somebody."""

    @system(on_command=Tell)
    async def tell(cmd: Tell) -> AsyncGenerator[int, Any]:
        tried.append(1)
        yield 1
        raise WriteConflictError("somebody was in the way")

    world = await make_world(systems=[tell])
    heard: list[object] = []
    with pytest.raises(WriteConflictError):
        async for event in world.dispatch_command(Tell()):
            heard.append(event)  # noqa: PERF401  it ends with an exception
    assert (tried, heard) == ([1], [1])


async def test_a_stage_begins_its_batch_again(make_world: MakeWorld) -> None:
    tried: list[int] = []

    @system(on_stage=SystemStage.METADATA_EXTRACTION)
    async def stumble(transaction: WorldTransaction) -> None:
        tried.append(len(tried))
        await transaction.create_entity(Score(value=len(tried)))
        if len(tried) < 3:
            raise WriteConflictError("somebody was in the way")

    world = await make_world(components=[Score], systems=[stumble])
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)
    assert tried == [0, 1, 2]
    assert await scores(world) == [3]


# -- PostgreSQL alone


@ON_POSTGRESQL
async def test_a_connection_that_another_task_has_by_now_is_not_taken_for_ones_own(make_world: MakeWorld) -> None:
    world = await make_world(components=[Score])
    began, enough = asyncio.Event(), asyncio.Event()

    async def write_for_long() -> None:
        async with world.transaction() as transaction:
            await transaction.create_entity(Score(value=2))
            await transaction.flush()
            began.set()
            await enough.wait()

    async with world.transaction() as transaction:
        await transaction.create_entity(Score(value=1))
    other = asyncio.create_task(write_for_long())  # on the connection that was used just now
    await began.wait()
    try:
        async with world.transaction() as transaction:
            await transaction.create_entity(Score(value=3))
    finally:
        enough.set()
        await other
    assert await scores(world) == [1, 2, 3]


@ON_POSTGRESQL
async def test_a_database_that_is_not_there_is_told(database_url: str) -> None:
    url = make_url(database_url).set(database="dam_test_not_there").render_as_string()
    async with World(WorldConfig(name="lost", database_url=url)) as world:
        with pytest.raises(DatabaseUnavailableError, match="there is no such database on the server; create it"):
            await world.check_schema()


@ON_POSTGRESQL
async def test_a_server_that_is_not_there_is_told(databases: PostgresDatabases) -> None:
    async with World(WorldConfig(name="lost", database_url="postgresql+asyncpg://me@127.0.0.1:9/photos")) as world:
        with pytest.raises(DatabaseUnavailableError, match="the server cannot be reached; is it running"):
            await world.check_schema()


@ON_POSTGRESQL
async def test_a_connection_that_is_lost_is_told_and_the_next_one_works(make_world: MakeWorld) -> None:
    world = await make_world(components=[Score])
    with pytest.raises(DatabaseUnavailableError, match="the connection to the server was lost; what was not committed"):
        async with world.transaction() as transaction:
            await transaction.create_entity(Score(value=1))
            await transaction.flush()
            await end_all_others(world)
            await transaction.create_entity(Score(value=2))
    assert await scores(world) == []
    await end_all_others(world)  # those that rest in the pool
    async with world.transaction() as transaction:
        await transaction.create_entity(Score(value=3))
    assert await scores(world) == [3]


async def end_all_others(world: World) -> None:
    """Ends every other connection to the database, as a restart of the server does."""
    async with World(world.config) as other, other.reading() as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


@ON_POSTGRESQL
async def test_a_stage_that_loses_its_connection_says_what_happened(make_world: MakeWorld) -> None:
    @system(on_stage=SystemStage.METADATA_EXTRACTION)
    async def lose(transaction: WorldTransaction, world: World) -> None:
        await transaction.create_entity(Score(value=1))
        await end_all_others(world)
        await transaction.flush()

    world = await make_world(components=[Score], systems=[lose])
    with pytest.raises(StageExecutionError, match="the connection to the server was lost"):
        await world.execute_stage(SystemStage.METADATA_EXTRACTION)


@ON_POSTGRESQL
async def test_searches_are_not_compiled(world: World) -> None:
    async with world.reading() as session:
        assert await session.scalar(text("SHOW jit")) == "off"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://ada:S3cr/X@pw@host/birds",
        "postgresql+asyncpg://ada:S3cr@host/birds",
        "postgresql+asyncpg//ada:S3cr@host/birds",
        "postgresql+asyncpg://ada@host/birds?password=S3cr",
        "postgresql+asyncpg://ada@host?password=S3cr",
        "postgresql+asyncpg://ada:S3cr@host:54x/birds",
    ],
)
def test_no_message_shows_what_may_be_a_password(url: str) -> None:
    with pytest.raises(SettingsError) as told:
        parse_url(url)
    assert "host" in str(told.value)
    assert not [part for part in ("S3cr", "X@", "pw") if part in str(told.value).partition("password")[0]]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
async def test_a_new_database_is_for_its_owner_alone_whoever_opens_it(tmp_path: Path) -> None:
    was = os.umask(0)
    try:
        async with World(WorldConfig(name="own", database_url=f"sqlite+aiosqlite:///{tmp_path}/own.db")) as world:
            await world.setup()
            async with world.transaction() as transaction:
                await transaction.create_entity()
                modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("own.db*")}
    finally:
        os.umask(was)
    assert modes == {"own.db": 0o600, "own.db-wal": 0o600, "own.db-shm": 0o600}

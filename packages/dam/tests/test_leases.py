"""Queues that several processes share."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, update

from dam.core import leases, providers
from dam.core.exceptions import StageExecutionError
from dam.core.leases import owner
from dam.core.stages import SystemStage
from dam.core.system_params import MarkedEntityList
from dam.core.systems import system
from dam.core.world import World
from dam.models.core.base_component import MarkerComponent
from dam.models.lease import Lease
from dam_test_utils.fixtures import MakeWorld


class Waiting(MarkerComponent):
    """Something is to be done."""

    __tablename__ = "test_leases_waiting"


class Worker:
    """What one process did, and a gate before which it waits."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def world(self, make_world: MakeWorld, other: World | None = None) -> World:
        @system(on_stage=SystemStage.METADATA_EXTRACTION)
        async def work(entities: MarkedEntityList[Waiting]) -> None:
            self.began.set()
            await self.gate.wait()
            if self.fails:
                raise ValueError("no")
            self.done += entities

        url = None if other is None else other.config.database_url
        return await make_world(components=[Waiting], systems=[work], database_url=url)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "BATCH", 10)


async def mark(world: World, count: int) -> list[int]:
    async with world.transaction() as transaction:
        ids = await transaction.create_entities(count)
        for entity_id in ids:
            transaction.add(entity_id, Waiting())
    return ids


async def left(world: World) -> tuple[int, int]:
    """Markers and leases."""
    async with world.reading() as session:
        markers = await session.scalar(select(func.count()).select_from(Waiting))
        return markers or 0, await session.scalar(select(func.count()).select_from(Lease)) or 0


async def run(world: World) -> None:
    await world.execute_stage(SystemStage.METADATA_EXTRACTION).get_all_results()


async def test_two_share_a_queue_and_neither_does_what_the_other_does(make_world: MakeWorld) -> None:
    first, second = Worker(), Worker()
    one = await first.world(make_world)
    other = await second.world(make_world, one)
    ids = await mark(one, 45)
    first.gate.clear()
    slow = asyncio.create_task(run(one))
    await first.began.wait()
    await run(other)
    assert second.done == ids[10:]
    first.gate.set()
    await slow
    assert first.done == ids[:10]
    assert await left(one) == (0, 0)


async def test_what_is_marked_meanwhile_is_done_by_who_comes_next(make_world: MakeWorld) -> None:
    first, second = Worker(), Worker()
    one = await first.world(make_world)
    other = await second.world(make_world, one)
    async with one.transaction() as transaction:
        ids = await transaction.create_entities(5)
        for entity_id in (ids[0], ids[4]):
            transaction.add(entity_id, Waiting())
    first.gate.clear()
    slow = asyncio.create_task(run(one))
    await first.began.wait()
    async with one.transaction() as transaction:
        transaction.add(ids[2], Waiting())  # between those that are being worked on
    await run(other)
    first.gate.set()
    await slow
    assert sorted(first.done + second.done) == [ids[0], ids[2], ids[4]]
    assert await left(one) == (0, 0)


async def test_who_fails_gives_back_what_he_had(make_world: MakeWorld) -> None:
    worker = Worker()
    worker.fails = True
    world = await worker.world(make_world)
    ids = await mark(world, 12)
    with pytest.raises(StageExecutionError):
        await run(world)
    assert await left(world) == (12, 0)
    worker.fails = False
    await run(world)
    assert worker.done == ids


async def leased(world: World, ids: list[int], by: str, seconds: float) -> None:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    async with world.engine.begin() as connection:
        row = {"queue": Waiting.__tablename__, "low": ids[0], "high": ids[-1], "owner": by, "until": until}
        await connection.execute(insert(Lease).values(row))


async def test_the_work_of_who_lives_elsewhere_is_left_alone_until_his_lease_has_run_out(make_world: MakeWorld) -> None:
    worker = Worker()
    world = await worker.world(make_world)
    ids = await mark(world, 5)
    await leased(world, ids, "another-host:1:x", 60)
    await run(world)
    assert worker.done == []
    async with world.engine.begin() as connection:
        await connection.execute(update(Lease).values(until=datetime.now(UTC) - timedelta(seconds=1)))
    await run(world)
    assert worker.done == ids
    assert await left(world) == (0, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="there it has to run out")
async def test_the_work_of_a_dead_process_of_this_machine_is_taken_over_at_once(make_world: MakeWorld) -> None:
    worker = Worker()
    world = await worker.world(make_world)
    ids = await mark(world, 5)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host, _, _ = owner().split(":")
    await leased(world, ids, f"{host}:{dead.pid}:x", 60)
    await run(world)
    assert worker.done == ids


async def test_the_work_of_a_living_process_is_not_taken_over(make_world: MakeWorld) -> None:
    worker = Worker()
    world = await worker.world(make_world)
    ids = await mark(world, 5)
    host, _, _ = owner().split(":")
    await leased(world, ids, f"{host}:{os.getppid()}:x", 60)
    await run(world)
    assert worker.done == []


async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=0.3))
    first, second = Worker(), Worker()
    one = await first.world(make_world)
    other = await second.world(make_world, one)
    ids = await mark(one, 5)
    first.gate.clear()
    slow = asyncio.create_task(run(one))
    await first.began.wait()
    async with asyncio.timeout(10):
        before = await until(one)
        while await until(one) == before:  # noqa: ASYNC110  a row says that it lives, and no event
            await asyncio.sleep(0.02)
    await run(other)
    first.gate.set()
    await slow
    assert (first.done, second.done) == (ids, [])


async def until(world: World) -> datetime | None:
    async with world.reading() as session:
        return await session.scalar(select(Lease.until))


async def test_a_stage_inside_a_transaction_sees_what_that_has_marked(make_world: MakeWorld) -> None:
    worker = Worker()
    world = await worker.world(make_world)
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity(Waiting())
        await transaction.world.execute_stage(SystemStage.METADATA_EXTRACTION)
    assert worker.done == [entity_id]
    assert await left(world) == (0, 0)

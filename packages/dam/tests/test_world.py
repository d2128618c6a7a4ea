"""One world: what hangs on it, and that two of them share nothing."""

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from dam.analysis.algorithm import Algorithm
from dam.analysis.ref import ref
from dam.commands.core import BaseCommand
from dam.core.analyzers import analyzer
from dam.core.databases import connect
from dam.core.exceptions import DatabaseLockedError, DatabaseUnavailableError, NoHandlerError, NoResourceError
from dam.core.stages import SystemStage
from dam.core.system_params import MarkedEntityList
from dam.core.systems import system
from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam.models.config import WorldConfig
from dam.models.core.base_component import Component, MarkerComponent
from dam.models.entity import Entity
from dam_test_utils.fixtures import MakeWorld, SampleFiles


class NeedsPaint(MarkerComponent):
    __tablename__ = "test_world_needs_paint"


@dataclass
class Count(BaseCommand[int, Any]):
    """Counts the entities that it sees."""


@dataclass
class CountElsewhere(BaseCommand[int, Any]):
    """Adds an entity, and has the others counted."""

    rooted: bool


@system(on_command=Count)
async def count(cmd: Count, world: World) -> int:
    async with world.reading() as session:
        return len((await session.scalars(select(Entity))).all())


@system(on_command=CountElsewhere)
async def count_elsewhere(cmd: CountElsewhere, transaction: WorldTransaction, world: World) -> int:
    await transaction.create_entity()
    return await (world.root if cmd.rooted else world).dispatch_command(Count()).get_one_value()


class Closing:
    """A resource that can be closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


async def test_a_fresh_world_is_up_to_date(world: World) -> None:
    await world.check_schema()


async def test_two_worlds_share_nothing(make_world: MakeWorld) -> None:
    first = await make_world(systems=[count], resources=[Closing()], name="first")
    second = await make_world(name="second")
    async with first.transaction() as transaction:
        await transaction.create_entity()
    assert await first.dispatch_command(Count()).get_one_value() == 1
    with pytest.raises(NoHandlerError):
        second.dispatch_command(Count())
    with pytest.raises(NoResourceError):
        second.get_resource(Closing)
    async with second.reading() as session:
        assert (await session.scalars(select(Entity))).all() == []


async def test_a_system_dispatches_into_its_own_scope_or_on_the_root_into_a_new_one(make_world: MakeWorld) -> None:
    world = await make_world(systems=[count, count_elsewhere])
    assert await world.dispatch_command(CountElsewhere(rooted=False)).get_one_value() == 1
    assert await world.dispatch_command(CountElsewhere(rooted=True)).get_one_value() == 1  # the first one's, committed


async def test_a_world_asks_whether_anybody_waits_for_a_marker(world: World) -> None:
    @system(on_stage=SystemStage.METADATA_EXTRACTION)
    async def paint(ids: MarkedEntityList[NeedsPaint]) -> None:
        pass

    def nothing(_facts: object) -> list[Component]:
        return []

    stage = SystemStage.METADATA_EXTRACTION
    assert not world.awaits(NeedsPaint, "text/plain", stage)
    world.register_system(paint)
    assert world.awaits(NeedsPaint, "text/plain", stage)
    from dam.models.markers import NeedsMetadataExtractionComponent

    assert not world.awaits(NeedsMetadataExtractionComponent, "text/plain", stage)
    declare = analyzer(
        Algorithm("test.nothing", 1),
        compute=ref("json:loads"),
        accepts=("text/*",),
        produces=(NeedsMetadataExtractionComponent,),
        stage=stage,
    )
    world.register_analyzer(declare(nothing))
    assert world.awaits(NeedsMetadataExtractionComponent, "text/plain", stage)
    assert not world.awaits(NeedsMetadataExtractionComponent, "image/png", stage)


async def test_closing_a_world_closes_its_resources(tmp_path: Path) -> None:
    closing = Closing()
    async with World(WorldConfig(name="short", database_url=f"sqlite+aiosqlite:///{tmp_path}/a.db")) as world:
        world.add_resource(closing)
        world.add_resource("a resource without a close")
    assert closing.closed == 1


async def test_a_resource_may_take_its_time_to_close(tmp_path: Path) -> None:
    class Connection:
        """Closes asynchronously."""

        closed = False

        async def close(self) -> None:
            self.closed = True

    connection = Connection()
    async with World(WorldConfig(name="short", database_url=f"sqlite+aiosqlite:///{tmp_path}/a.db")) as world:
        world.add_resource(connection)
    assert connection.closed


async def test_the_files_of_an_embedded_database_are_known_and_a_server_has_none(tmp_path: Path) -> None:
    world = World(WorldConfig(name="one", database_url=f"sqlite+aiosqlite:///{tmp_path}/a.db"))
    assert world.database_files == [f"{tmp_path}/a.db{ending}" for ending in ("", "-wal", "-shm", "-journal")]
    await world.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the database file cannot be opened; does its folder exist, and is it yours?"),
        (b"this is certainly not a database" * 100, "the file is not an SQLite database; look at database_url"),
    ],
)
async def test_a_database_that_cannot_be_opened_is_explained(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "folder" / "a.db"
    if content is not None:
        file.parent.mkdir()
        file.write_bytes(content)
    async with World(WorldConfig(name="one", database_url=f"sqlite+aiosqlite:///{file}")) as world:
        with pytest.raises(DatabaseUnavailableError) as refused:
            await world.check_schema()
    assert said in str(refused.value)


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_a_read_only_database_is_explained(world: World) -> None:
    url = f"sqlite+aiosqlite:///file:{world.database_files[0]}?mode=ro&uri=true"
    async with World(WorldConfig(name="read-only", database_url=url)) as reading:
        await reading.check_schema()
        with pytest.raises(
            DatabaseUnavailableError, match="the database file is read-only; make it and its folder writable"
        ):
            async with reading.transaction() as transaction:
                await transaction.create_entity()


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_a_full_disk_is_explained(world: World) -> None:
    with pytest.raises(
        DatabaseUnavailableError, match="the database's disk is full; make room and run the command again"
    ):
        async with world.transaction() as transaction:
            await transaction.create_entities(1)
            await transaction.session.execute(text("PRAGMA max_page_count=1"))
            await transaction.create_entities(100_000)


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_a_database_that_another_process_holds_is_explained(world: World) -> None:
    other = sqlite3.connect(world.database_files[0], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        async with world.reading() as session:
            await session.execute(
                text("PRAGMA busy_timeout=1")
            )  # of the one connection in the pool; by default a minute
        with pytest.raises(DatabaseLockedError, match="another process held the database's write lock"):
            async with world.transaction() as transaction:
                await transaction.create_entities(1)
    finally:
        other.close()


async def test_two_that_open_a_new_database_at_once_both_get_it(tmp_path: Path) -> None:
    async def open_new(url: str) -> None:
        engine = connect(url)
        async with engine.connect() as connection:
            assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"
        await engine.dispose()

    for attempt in range(30):
        url = f"sqlite+aiosqlite:///{tmp_path}/{attempt}.db"
        await asyncio.gather(open_new(url), open_new(url))


def test_sample_files_hold_a_duplicate_and_an_empty_file(sample_files: SampleFiles) -> None:
    contents = [path.read_bytes() for path in sample_files.all]
    assert len(contents) == 7
    assert len(set(contents)) == 6
    assert b"" in contents


async def test_closing_goes_on_when_a_resource_cannot_be_closed(tmp_path: Path) -> None:
    class Stuck:
        """Does not close."""

        def close(self) -> None:
            raise OSError("it is stuck")

    closing = [Closing(), type("OtherClosing", (Closing,), {})()]
    world = World(WorldConfig(name="short", database_url=f"sqlite+aiosqlite:///{tmp_path}/a.db"))
    for resource in (closing[0], Stuck(), closing[1]):
        world.add_resource(resource)
    await world.setup()
    with pytest.raises(OSError, match="it is stuck"):
        await world.close()
    assert [resource.closed for resource in closing] == [1, 1]
    assert world.engine.pool.status().startswith("Pool size")
    assert not list(tmp_path.glob("a.db-*"))  # the last connection to close takes SQLite's log along

"""The way from entities to their bytes."""

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Mapped

from dam.analysis.algorithm import Algorithm
from dam.analysis.ref import ref
from dam.commands.analysis_commands import AnalysisCommand
from dam.core.analyzers import analyzer
from dam.core.content import ContentSource, OpenRequest
from dam.core.exceptions import DamError
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.models.core.base_component import BaseComponent, Component, UniqueComponent
from dam.models.markers import NeedsMetadataExtractionComponent
from dam_test_utils.fixtures import MakeWorld


class Near(UniqueComponent):
    __tablename__ = "test_content_near"
    content: Mapped[str]


class Far(BaseComponent):
    __tablename__ = "test_content_far"
    content: Mapped[str]


class Member(UniqueComponent):
    __tablename__ = "test_content_member"
    container: Mapped[int]


class Length(UniqueComponent):
    __tablename__ = "test_content_length"
    bytes: Mapped[int]


COMPONENTS: Sequence[type[Component]] = (Near, Far, Member, Length)


def refuses() -> BinaryIO:
    raise FileNotFoundError(2, "No such file or directory")


def source(content: str) -> ContentSource | None:
    """``missing`` does not open, ``nothing`` is no source."""
    if content == "nothing":
        return None
    opens = refuses if content == "missing" else partial(io.BytesIO, content.encode())
    return ContentSource(opens, media_type="text/plain")


class TextOpener:
    """Opens texts of rows, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, _request: OpenRequest, rows: Sequence[Any]) -> list[ContentSource | None]:
        self.asked += 1
        return [source(row.content) for row in rows]


async def members(request: OpenRequest, rows: Sequence[Member]) -> list[ContentSource | None]:
    """Members of containers, whose bytes are their container's in brackets."""
    outer = await request.contents.sources({row.container for row in rows}, request.depth + 1)

    def bracketed(way: ContentSource) -> BinaryIO:
        with way.open() as stream:
            return io.BytesIO(b"[" + stream.read() + b"]")

    return [ContentSource(partial(bracketed, ways[0])) if (ways := outer[row.container]) else None for row in rows]


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    world = await make_world(components=COMPONENTS)
    world.register_opener(Far, TextOpener(), cost=100)
    world.register_opener(Member, members)
    world.register_opener(Near, TextOpener(), cost=10)
    return world


async def entity(world: World, *components: Component) -> int:
    async with world.transaction() as transaction:
        return await transaction.create_entity(*components)


async def content(world: World, entity_id: int, depth: int = 0) -> bytes | None:
    async with world.contents.open_stream(entity_id, depth) as stream:
        return None if stream is None else stream.read()


async def test_the_cheapest_source_is_opened_first(world: World) -> None:
    assert await content(world, await entity(world, Far(content="far"), Near(content="near"))) == b"near"


async def test_a_source_that_does_not_open_gives_way_to_the_next(world: World) -> None:
    assert await content(world, await entity(world, Far(content="far"), Near(content="missing"))) == b"far"
    assert await content(world, await entity(world, Far(content="far"), Near(content="nothing"))) == b"far"


async def test_where_nothing_opens_there_is_no_stream(world: World) -> None:
    assert await content(world, await entity(world, Near(content="missing"))) is None
    assert await content(world, await entity(world)) is None
    assert await content(world, 4711) is None


async def test_the_stream_is_closed_on_leaving(world: World) -> None:
    async with world.contents.open_stream(await entity(world, Near(content="near"))) as stream:
        assert stream is not None
        assert not stream.closed
    assert stream.closed


async def test_each_opener_is_asked_once_for_many_entities(world: World) -> None:
    opener = TextOpener()
    world.register_opener(Near, opener, cost=10)
    ids = [await entity(world, Near(content=f"near {i}")) for i in range(20)]
    found = await world.contents.sources(ids)
    assert [found[entity_id][0].open().read() for entity_id in ids] == [f"near {i}".encode() for i in range(20)]
    assert opener.asked == 1


async def test_content_inside_containers_is_reached_through_them(world: World) -> None:
    outer = await entity(world, Near(content="near"))
    inner = await entity(world, Member(container=outer))
    innermost = await entity(world, Member(container=inner))
    assert await content(world, innermost) == b"[[near]]"


async def test_a_container_inside_itself_ends_in_an_error(world: World) -> None:
    entity_id = await entity(world)
    async with world.transaction() as transaction:
        transaction.add(entity_id, Member(container=entity_id))
    with pytest.raises(DamError, match="content lies more than 16 containers deep"):
        await content(world, entity_id)


async def test_a_container_at_the_limit_is_still_opened(world: World) -> None:
    entity_id = await entity(world, Near(content="near"))
    for _ in range(16):
        entity_id = await entity(world, Member(container=entity_id))
    assert await content(world, entity_id) == b"[" * 16 + b"near" + b"]" * 16


async def test_uncommitted_content_is_reached_in_its_own_scope(world: World) -> None:
    from dataclasses import dataclass

    from dam.commands.core import BaseCommand
    from dam.core.systems import system
    from dam.core.transaction import WorldTransaction

    @dataclass
    class Store(BaseCommand[str, Any]):
        """Stores and reads."""

    @system(on_command=Store)
    async def store(cmd: Store, transaction: WorldTransaction, world: World) -> str:
        entity_id = await transaction.create_entity(Near(content="fresh"))
        return str(await content(world, entity_id))

    world.register_system(store)
    assert await world.dispatch_command(Store()).get_one_value() == "b'fresh'"


async def test_a_command_opens_the_content_of_its_entity(world: World) -> None:
    command: AnalysisCommand[None] = AnalysisCommand(await entity(world, Near(content="near")))
    async with command.open_stream(world) as stream:
        assert stream is not None
        assert stream.read() == b"near"
    assert stream.closed


async def test_a_command_with_a_stream_gives_it_from_its_first_byte_and_leaves_it_open(world: World) -> None:
    stream = io.BytesIO(b"at hand")
    stream.read(3)
    command: AnalysisCommand[None] = AnalysisCommand(await entity(world, Near(content="near")), stream=stream)
    async with command.open_stream(world) as opened:
        assert opened is not None
        assert opened.read() == b"at hand"
    assert not stream.closed


async def test_content_without_a_local_path_is_analysed_from_a_copy_that_is_gone_afterwards(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    @analyzer(
        Algorithm("test.length", 1),
        compute=ref("computes:words"),
        accepts=("text/*",),
        produces=(Length,),
        stage=SystemStage.METADATA_EXTRACTION,
    )
    def length(words: list[str]) -> list[Component]:
        return [Length(bytes=sum(map(len, words)))]

    world = await make_world(components=[Near], analyzers=[length])
    world.register_opener(Near, TextOpener())
    entity_id = await entity(world, Near(content="two words"), NeedsMetadataExtractionComponent())
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)
    async with world.reading() as session:
        assert await session.scalar(select(Length.bytes).where(Length.entity_id == entity_id)) == 8
    assert list(spool.iterdir()) == []

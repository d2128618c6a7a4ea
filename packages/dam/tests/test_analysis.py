"""Analyzers: at a stage, by command, again; and what they leave on record."""

import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from dam.analysis.algorithm import Algorithm
from dam.analysis.ref import ref
from dam.commands.analysis_commands import AnalysisCommand, ReprocessCommand, Which
from dam.core import metadata_systems
from dam.core.analyzers import Analyzer, analyzer
from dam.core.content import ContentSource, OpenRequest
from dam.core.exceptions import (
    AnalyzerDefinitionError,
    DamError,
    HandlerConflictError,
    NoSuchAnalyzerError,
    NoSuchEntityError,
    SystemDefinitionError,
)
from dam.core.query import Stale, query
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.models.core.base_component import (
    EFFECTIVE,
    EMBEDDED,
    MODEL,
    PERSON,
    BaseComponent,
    Component,
    LayeredComponent,
    UniqueComponent,
)
from dam.models.derivation import DerivationComponent
from dam.models.markers import NeedsMetadataExtractionComponent
from dam.models.run import Run
from dam.system_events.analysis import EntitiesAnalysed
from dam_test_utils.fixtures import MakeWorld, create_tables

HERE = str(Path(__file__).parent)
EXTRACTION = SystemStage.METADATA_EXTRACTION


class Place(UniqueComponent):
    __tablename__ = "test_analysis_place"
    path: Mapped[str]
    media_type: Mapped[str] = mapped_column(default="text/plain")


class WordCount(UniqueComponent):
    __tablename__ = "test_analysis_word_count"
    count: Mapped[int]


class Word(BaseComponent):
    __tablename__ = "test_analysis_word"
    word: Mapped[str]


class Title(LayeredComponent):
    __tablename__ = "test_analysis_title"
    words: Mapped[str | None] = mapped_column(default=None)


@dataclass
class CountWords(AnalysisCommand[None]):
    """Counts the words of one entity."""


@pytest.fixture(autouse=True)
def computes_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


def open_place(path: str) -> io.BufferedReader:
    return open(path, "rb")


async def places(_request: OpenRequest, rows: Sequence[Place]) -> list[ContentSource | None]:
    return [
        ContentSource(
            partial(open_place, row.path),
            media_type=row.media_type,
            digest=hashlib.sha256(Path(row.path).read_bytes()).digest() if Path(row.path).exists() else None,
            path=row.path,
        )
        for row in rows
    ]


def count(words: list[str]) -> Iterable[Component]:
    yield WordCount(count=len(words))


def each(words: list[str]) -> Iterable[Component]:
    return [Word(word=word) for word in words]


def counting(
    version: int = 1,
    *parameters: tuple[str, str | int],
    name: str = "test.words",
    components: Callable[[list[str]], Iterable[Component]] = count,
    produces: tuple[type[Component], ...] = (WordCount,),
    compute: str = "words",
    **kw: Any,
) -> Analyzer[list[str]]:
    algorithm = Algorithm(name, version, tuple(parameters))
    kw = {
        "compute": ref(f"computes:{compute}"),
        "accepts": ("text/*",),
        "stage": EXTRACTION,
        "command": CountWords,
    } | kw
    declare: Any = analyzer
    declared: Analyzer[list[str]] = declare(algorithm, produces=produces, **kw)(components)
    return declared


@dataclass
class Desk:
    """A world over one database, and files in it."""

    make_world: MakeWorld
    folder: Path
    database_url: str | None = None

    async def world(self, *analyzers: Analyzer[Any]) -> World:
        """A world with these analyzers; the second one sees what the first one left."""
        components = () if self.database_url else (Place, WordCount, Word, Title)
        world = await self.make_world(components=components, analyzers=analyzers, database_url=self.database_url)
        self.database_url = world.config.database_url
        world.register_opener(Place, places)
        return world

    @property
    def log(self) -> tuple[str, str]:
        return ("log", str(self.folder / "log"))

    @property
    def logged(self) -> list[str]:
        file = self.folder / "log"
        return file.read_text().splitlines() if file.exists() else []

    async def add(self, world: World, text: str, media_type: str = "text/plain") -> int:
        """A marked entity with that content."""
        async with world.transaction() as transaction:
            entity_id = await transaction.create_entity(NeedsMetadataExtractionComponent())
            file = self.folder / f"{entity_id}.txt"
            file.write_text(text)
            transaction.add(entity_id, Place(path=str(file), media_type=media_type))
        return entity_id


@pytest.fixture
def desk(make_world: MakeWorld, tmp_path: Path) -> Desk:
    return Desk(make_world, tmp_path)


async def mark(world: World, *entity_ids: int) -> None:
    async with world.transaction() as transaction:
        for entity_id in entity_ids:
            transaction.add(entity_id, NeedsMetadataExtractionComponent())


async def counts(world: World) -> dict[int, int]:
    async with world.reading() as session:
        return {row.entity_id: row.count for row in await session.scalars(select(WordCount))}


async def on_record(world: World, entity_id: int) -> DerivationComponent:
    async with world.reading() as session:
        return (
            await session.scalars(select(DerivationComponent).where(DerivationComponent.entity_id == entity_id))
        ).one()


# -- the stage


async def test_the_stage_analyses_what_is_marked_and_records_it(desk: Desk) -> None:
    world = await desk.world(counting())
    first = await desk.add(world, "one two three")
    second = await desk.add(world, "one")
    await world.execute_stage(EXTRACTION)
    assert await counts(world) == {first: 3, second: 1}
    row = await on_record(world, first)
    assert (row.algorithm, row.version, row.status, row.error) == ("test.words", 1, "ok", None)
    assert row.input_digest == hashlib.sha256(b"one two three").digest()
    async with world.reading() as session:
        assert (await session.scalars(select(NeedsMetadataExtractionComponent))).all() == []


async def test_other_media_types_are_left_alone(desk: Desk) -> None:
    world = await desk.world(counting())
    await desk.add(world, "one two", media_type="image/png")
    await world.execute_stage(EXTRACTION)
    assert await counts(world) == {}


async def test_the_same_bytes_and_version_are_not_computed_again(desk: Desk) -> None:
    world = await desk.world(counting(1, desk.log))
    entity_id = await desk.add(world, "one two")
    await world.execute_stage(EXTRACTION)
    await mark(world, entity_id)
    await world.execute_stage(EXTRACTION)
    assert desk.logged == ["7 text/plain"]


async def test_a_failure_is_recorded_and_not_repeated(desk: Desk) -> None:
    world = await desk.world(counting(1, desk.log, compute="fails"))
    entity_id = await desk.add(world, "one two")
    for _ in range(2):
        await mark(world, entity_id)
        await world.execute_stage(EXTRACTION)
    row = await on_record(world, entity_id)
    assert row.status == "failed"
    assert row.error is not None
    assert "ValueError: this is no text" in row.error
    assert len(desk.logged) == 1


async def test_a_failure_is_tried_again_by_the_next_version(desk: Desk) -> None:
    world = await desk.world(counting(1, compute="fails"))
    entity_id = await desk.add(world, "one two")
    await world.execute_stage(EXTRACTION)
    mended = await desk.world(counting(2))
    await mark(mended, entity_id)
    await mended.execute_stage(EXTRACTION)
    row = await on_record(mended, entity_id)
    assert (row.version, row.status, row.error) == (2, "ok", None)
    assert await counts(mended) == {entity_id: 2}


async def test_a_bumped_version_makes_exactly_its_own_rows_stale(desk: Desk) -> None:
    old = await desk.world(counting(1))
    first, second = await desk.add(old, "one"), await desk.add(old, "two")
    await desk.add(old, "png", media_type="image/png")
    await old.execute_stage(EXTRACTION)
    new = await desk.world(counting(2))
    await new.dispatch_command(CountWords(second))
    async with new.reading() as session:
        assert (await session.scalars(query(Stale(Algorithm("test.words", 2))))).all() == [first]
        assert (await session.scalars(query(Stale(Algorithm("test.words", 1))))).all() == [second]
        assert (await session.scalars(query(Stale(Algorithm("test.words", 2, (("first", 1),)))))).all() == [
            first,
            second,
        ]


async def test_one_bad_file_does_not_stop_the_others(desk: Desk) -> None:
    world = await desk.world(counting())
    good, bad, gone = await desk.add(world, "one"), await desk.add(world, "two"), await desk.add(world, "three")
    (desk.folder / f"{bad}.txt").write_bytes(b"\xff\xfe")
    (desk.folder / f"{gone}.txt").unlink()
    await world.execute_stage(EXTRACTION)
    assert await counts(world) == {good: 1}
    assert "UnicodeDecodeError" in str((await on_record(world, bad)).error)
    unreached = await on_record(world, gone)
    assert unreached.error == "the content cannot be reached: No such file or directory"
    assert unreached.input_digest is None  # nobody saw any bytes, so nothing is known of them


async def test_parameters_reach_the_compute(desk: Desk) -> None:
    world = await desk.world(counting(1, ("first", 2)))
    entity_id = await desk.add(world, "one two three")
    await world.execute_stage(EXTRACTION)
    assert await counts(world) == {entity_id: 2}
    assert (await on_record(world, entity_id)).parameters_digest == Algorithm("", 1, (("first", 2),)).parameters_digest


@pytest.mark.parametrize("impossible", [2**70, "\ud800"], ids=["too large", "half a character"])
async def test_facts_that_no_database_takes_are_one_failure_and_keep_the_others_from_nothing(
    desk: Desk, impossible: Any
) -> None:
    def impossible_for_two(words: list[str]) -> Iterable[Component]:
        return count(words) if len(words) != 2 else [WordCount(count=impossible)]

    world = await desk.world(counting(components=impossible_for_two))
    one, two, three = [await desk.add(world, text) for text in ("one", "one two", "one two three")]
    events = [event async for event in world.execute_stage(EXTRACTION)]
    assert await counts(world) == {one: 1, three: 3}
    row = await on_record(world, two)
    assert (row.status, row.failure) == ("failed", "data")
    assert "it cannot be stored: " in str(row.error)
    assert EntitiesAnalysed(3, 1) in events


async def test_a_file_that_changes_while_it_is_analysed_says_nothing_about_its_content(desk: Desk) -> None:
    world = await desk.world(counting())
    entity_id = await desk.add(world, "one two")

    async def changing(_request: OpenRequest, rows: Sequence[Place]) -> list[ContentSource | None]:
        path = rows[0].path
        return [ContentSource(partial(open_place, path), 7, "text/plain", b"d" * 32, path, is_current=lambda: False)]

    world.register_opener(Place, changing)
    await world.execute_stage(EXTRACTION)
    row = await on_record(world, entity_id)
    assert (row.failure, row.error, row.input_digest) == ("unreachable", "the file changed while it was analysed", None)
    assert await counts(world) == {}


async def test_content_that_was_away_is_looked_at_when_it_is_back(desk: Desk) -> None:
    world = await desk.world(counting())
    entity_id = await desk.add(world, "one two")
    file = desk.folder / f"{entity_id}.txt"
    file.rename(desk.folder / "away")
    await world.execute_stage(EXTRACTION)
    assert (await on_record(world, entity_id)).failure == "unreachable"
    (desk.folder / "away").rename(file)
    async with world.transaction() as transaction:
        transaction.add(entity_id, NeedsMetadataExtractionComponent())
    await world.execute_stage(EXTRACTION)
    assert await counts(world) == {entity_id: 2}


async def test_an_entity_without_content_and_one_that_is_not_there_are_told_apart(desk: Desk) -> None:
    world = await desk.world(counting())
    async with world.transaction() as transaction:
        bare = await transaction.create_entity()
    await world.dispatch_command(CountWords(bare))
    assert (await on_record(world, bare)).error == "the content cannot be reached: it is stored nowhere"
    with pytest.raises(NoSuchEntityError, match="entity 99999"):
        await world.dispatch_command(CountWords(99999))


# -- what facts may become


async def test_facts_that_the_analyzer_does_not_say_it_produces_are_a_failure(desk: Desk) -> None:
    world = await desk.world(counting(components=each))
    entity_id = await desk.add(world, "one")
    await world.execute_stage(EXTRACTION)
    assert (await on_record(world, entity_id)).error == (
        "TypeError: Word is not among what the analyzer says that it produces"
    )
    async with world.reading() as session:
        assert (await session.scalars(select(Word))).all() == []


async def test_an_analyzer_cannot_speak_for_a_person(desk: Desk) -> None:
    def as_person(words: list[str]) -> Iterable[Component]:
        yield Title(layer=PERSON, words=" ".join(words))

    world = await desk.world(counting(components=as_person, produces=(Title,)))
    entity_id = await desk.add(world, "one")
    await world.execute_stage(EXTRACTION)
    assert (await on_record(world, entity_id)).error == "ValueError: an analyzer cannot speak for the layer 'person'"


async def test_a_mistake_in_the_plugins_own_function_is_the_failure_of_its_analysis(desk: Desk) -> None:
    def clumsy(words: list[str]) -> Iterable[Component]:
        yield WordCount(count=len(words) // 0)

    world = await desk.world(counting(components=clumsy))
    entity_id = await desk.add(world, "one")
    await world.execute_stage(EXTRACTION)
    row = await on_record(world, entity_id)
    assert row.status == "failed"
    assert str(row.error).startswith("ZeroDivisionError")


async def test_rows_of_an_earlier_look_go_when_the_next_one_finds_fewer(desk: Desk) -> None:
    many: dict[str, Any] = {"components": each, "produces": (Word,)}
    world = await desk.world(counting(1, **many))
    entity_id, other = await desk.add(world, "one two three"), await desk.add(world, "four")
    await world.execute_stage(EXTRACTION)
    fewer = await desk.world(counting(2, ("first", 1), **many))
    await fewer.dispatch_command(CountWords(entity_id))
    async with fewer.reading() as session:
        rows = (await session.execute(select(Word.entity_id, Word.word).order_by(Word.id))).all()
    assert [tuple(row) for row in rows] == [(other, "four"), (entity_id, "one")]


async def test_a_unique_fact_goes_when_the_next_look_does_not_find_it(desk: Desk) -> None:
    def unless_alone(words: list[str]) -> Iterable[Component]:
        return count(words) if len(words) > 1 else []

    world = await desk.world(counting(1))
    alone, other = await desk.add(world, "one"), await desk.add(world, "two three")
    await world.execute_stage(EXTRACTION)
    stricter = await desk.world(counting(2, components=unless_alone))
    for entity_id in (alone, other):
        await stricter.dispatch_command(CountWords(entity_id))
    assert await counts(stricter) == {other: 2}
    assert (await on_record(stricter, alone)).status == "ok"


async def test_a_layer_that_says_nothing_is_no_row_and_takes_back_what_it_said_before(desk: Desk) -> None:
    def title(words: list[str]) -> Iterable[Component]:
        yield Title(layer=EMBEDDED, words=" ".join(words) or None)

    layered: dict[str, Any] = {"components": title, "produces": (Title,)}
    world = await desk.world(counting(1, **layered))
    silent, titled = await desk.add(world, ""), await desk.add(world, "one two")
    async with world.transaction() as transaction:
        transaction.add(titled, Title(layer=MODEL, words="guessed"))
    await world.execute_stage(EXTRACTION)

    async def titles(world: World) -> list[tuple[int, str, str | None]]:
        async with world.reading() as session:
            rows = await session.execute(select(Title.entity_id, Title.layer, Title.words).order_by(Title.layer))
            return [(entity_id, layer, words) for entity_id, layer, words in rows]

    assert await titles(world) == [
        (titled, EFFECTIVE, "one two"),
        (titled, EMBEDDED, "one two"),
        (titled, MODEL, "guessed"),
    ]
    deaf = await desk.world(counting(2, ("first", 0), **layered))
    for entity_id in (silent, titled):
        await deaf.dispatch_command(CountWords(entity_id))
    assert await titles(deaf) == [(titled, EFFECTIVE, "guessed"), (titled, MODEL, "guessed")]


async def test_a_failure_takes_nothing_of_what_an_earlier_look_found(desk: Desk) -> None:
    many: dict[str, Any] = {"components": each, "produces": (Word,)}
    world = await desk.world(counting(1, **many))
    entity_id = await desk.add(world, "one two")
    await world.execute_stage(EXTRACTION)
    worse = await desk.world(counting(2, compute="fails", **many))
    await worse.dispatch_command(CountWords(entity_id))
    async with worse.reading() as session:
        assert (await session.scalars(select(Word.word))).all() == ["one", "two"]
    assert (await on_record(worse, entity_id)).status == "failed"


# -- again


async def again(world: World, which: str, *algorithms: str) -> list[EntitiesAnalysed]:
    command = ReprocessCommand(algorithms, Which(which))
    return [event async for event in world.dispatch_command(command) if isinstance(event, EntitiesAnalysed)]


async def test_a_bumped_version_reprocesses_exactly_the_stale(desk: Desk) -> None:
    old = await desk.world(counting(1, desk.log))
    first, second = await desk.add(old, "one"), await desk.add(old, "two three")
    await desk.add(old, "png", media_type="image/png")
    await old.execute_stage(EXTRACTION)
    new = await desk.world(counting(2, desk.log))
    await new.dispatch_command(CountWords(second))
    before = len(desk.logged)
    assert await again(new, "stale") == [EntitiesAnalysed(1, 0)]
    assert len(desk.logged) == before + 1
    assert (await on_record(new, first)).version == 2
    assert await again(new, "stale") == [EntitiesAnalysed(0, 0)]  # the picture, which this analyzer does not want


async def test_what_was_added_before_an_analyzer_was_there_is_stale_too(desk: Desk) -> None:
    world = await desk.world()
    await create_tables(world, WordCount)
    entity_id = await desk.add(world, "one two")
    await world.execute_stage(EXTRACTION)
    later = await desk.world(counting())
    assert await again(later, "stale", "test.words") == [EntitiesAnalysed(1, 0)]
    assert await counts(later) == {entity_id: 2}


async def test_what_failed_is_tried_again_and_nothing_else(desk: Desk) -> None:
    world = await desk.world(counting(1, desk.log))
    await desk.add(world, "one")
    bad = await desk.add(world, "two")
    file = desk.folder / f"{bad}.txt"
    file.write_bytes(b"\xff\xfe")
    await world.execute_stage(EXTRACTION)
    assert await again(world, "failed") == [EntitiesAnalysed(1, 1)]
    file.write_text("two three")
    before = len(desk.logged)
    assert await again(world, "failed") == [EntitiesAnalysed(1, 0)]
    assert len(desk.logged) == before + 1
    assert await again(world, "failed") == []


async def test_all_of_an_algorithm_is_done_batch_by_batch_until_it_is_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata_systems, "BATCH", 2)
    world = await desk.world(counting())
    for text in ("one", "two", "three"):
        await desk.add(world, text)
    assert await again(world, "all", "test.words") == [EntitiesAnalysed(2, 0), EntitiesAnalysed(1, 0)]
    command = ReprocessCommand(which=Which.ALL)
    async for _ in world.dispatch_command(command):
        command.stop.set()
    async with world.reading() as session:
        assert await session.scalar(select(Run.outcome).order_by(Run.id.desc()).limit(1)) == "done"


async def test_what_never_had_content_is_nobodys_failure(desk: Desk) -> None:
    world = await desk.world(counting())
    await desk.add(world, "one")
    async with world.transaction() as transaction:
        person = await transaction.create_entity()
    assert await again(world, "all", "test.words") == [EntitiesAnalysed(1, 0)]
    async with world.reading() as session:
        assert person not in (await session.scalars(select(DerivationComponent.entity_id))).all()


async def test_an_analyzer_takes_the_place_of_those_that_it_replaces(desk: Desk) -> None:
    world = await desk.world(counting(components=each, produces=(Word,)))
    entity_id = await desk.add(world, "one two three")
    await world.execute_stage(EXTRACTION).get_all_results()
    first = counting(
        name="test.first_words",
        components=lambda words: [Word(word=words[0])],
        produces=(Word,),
        replaces=("test.words",),
    )
    world = await desk.world(first)
    assert await again(world, "stale", "test.first_words") == [EntitiesAnalysed(1, 0)]
    async with world.reading() as session:
        assert (await session.scalars(select(Word.word))).all() == ["one"]
        recorded = select(DerivationComponent.algorithm).where(DerivationComponent.entity_id == entity_id)
        assert (await session.scalars(recorded)).all() == ["test.first_words"]


async def test_an_analyzer_that_is_not_there_is_told_with_those_that_are(desk: Desk) -> None:
    world = await desk.world(counting())
    with pytest.raises(NoSuchAnalyzerError, match=r"is called 'test\.wrods'; did you mean 'test\.words'\?"):
        await again(world, "stale", "test.wrods")
    with pytest.raises(NoSuchAnalyzerError, match=r"there are test\.words"):
        await again(world, "stale", "colours")


# -- the command


async def test_the_command_analyses_one_entity_although_it_is_on_record(desk: Desk) -> None:
    world = await desk.world(counting(1, desk.log))
    entity_id = await desk.add(world, "one two")
    for _ in range(2):
        await world.dispatch_command(CountWords(entity_id))
    assert await counts(world) == {entity_id: 2}
    assert len(desk.logged) == 2


async def test_the_command_takes_a_stream_from_its_first_byte_and_leaves_it_open(desk: Desk) -> None:
    world = await desk.world(counting())
    entity_id = await desk.add(world, "one")
    stream = io.BytesIO(b"four words are here")
    stream.read(5)
    await world.dispatch_command(CountWords(entity_id, stream=stream))
    assert await counts(world) == {entity_id: 4}
    assert not stream.closed


async def test_the_command_is_refused_inside_too_many_containers(desk: Desk) -> None:
    world = await desk.world(counting())
    entity_id = await desk.add(world, "one")
    with pytest.raises(DamError, match="more than 16 containers deep"):
        await world.dispatch_command(CountWords(entity_id, depth=17))


# -- definitions


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"accepts": ("text",)}, "accepts=('text',); write media types such as ('image/*',)"),
        ({"accepts": ()}, "accepts=(); write media types"),
        ({"produces": (int,)}, "write a tuple of component classes"),
        ({"produces": WordCount}, "write a tuple of component classes, (One,) for a single one"),
        ({"accepts": (5,)}, "accepts=(5,); write media types"),
        ({"accepts": "text/*"}, "accepts='text/*'; write media types"),
        ({"compute": "computes:words"}, "compute='computes:words'; write ref("),
        ({"stage": "METADATA_EXTRACTION"}, "stage='METADATA_EXTRACTION'; write a member of an Enum"),
        ({"produces": ()}, "produces=(); write a tuple of component classes"),
        ({"compute": ref("computes:word")}, "computes has no function 'word' (did you mean 'words'?)"),
        ({"command": int}, "command=<class 'int'> is not an AnalysisCommand"),
        ({"compute": ref("no_such_module:f")}, "compute='no_such_module:f': there is no module 'no_such_module'"),
        ({"compute": ref("no_such.package:f")}, "there is no module 'no_such.package'"),
    ],
)
async def test_a_wrong_analyzer_is_refused_with_the_fix(world: World, wrong: dict[str, Any], said: str) -> None:
    right: dict[str, Any] = {"compute": ref("computes:words"), "accepts": ("text/*",), "produces": (WordCount,)}
    declared: Analyzer[Any] = analyzer(Algorithm("test.wrong", 1), **(right | wrong))(count)
    with pytest.raises(AnalyzerDefinitionError) as refused:
        world.register_analyzer(declared)
    assert said in str(refused.value)
    assert str(refused.value).startswith("DAM106 cannot register analyzer 'test.wrong'\n")


@pytest.mark.parametrize(
    ("algorithm", "said"),
    [
        ("test.wrong", "algorithm='test.wrong'; write Algorithm("),
        (Algorithm("", 1), "the algorithm's name '' has to have 1 to 128 characters"),
        (Algorithm("x" * 129, 1), "has to have 1 to 128 characters"),
        (Algorithm("test.wrong", 0), "version=0; versions are whole numbers from 1"),
        (Algorithm("test.wrong", "1"), "version='1'; versions"),  # type: ignore[arg-type]
    ],
)
async def test_a_wrong_algorithm_is_refused(world: World, algorithm: Any, said: str) -> None:
    declare: Any = analyzer
    declared = declare(algorithm, compute=ref("computes:words"), accepts=("text/*",), produces=(WordCount,))(count)
    with pytest.raises(AnalyzerDefinitionError) as refused:
        world.register_analyzer(declared)
    assert said in str(refused.value)


async def test_an_analyzer_has_nothing_to_wait_for(world: World) -> None:
    async def later(words: list[str]) -> list[WordCount]:
        return []

    declare: Any = analyzer
    declared = declare(Algorithm("test.wrong", 1), compute=ref("computes:words"), accepts=("*",), produces=(WordCount,))
    with pytest.raises(AnalyzerDefinitionError, match="later is asynchronous; write 'def'"):
        world.register_analyzer(declared(later))


async def test_the_function_of_an_analyzer_takes_what_was_computed(world: World) -> None:
    def two(count: int, size: int) -> list[WordCount]:
        return []

    declare: Any = analyzer
    wrong = declare(Algorithm("test.wrong", 1), compute=ref("computes:words"), accepts=("*",), produces=(WordCount,))(
        two
    )
    with pytest.raises(AnalyzerDefinitionError, match=r"two\(count: int, size: int\).* must take one value"):
        world.register_analyzer(wrong)


async def test_all_mistakes_of_an_analyzer_are_one_refusal(world: World) -> None:
    declare: Any = analyzer
    declared = declare(Algorithm("test.wrong", 1), compute=len, accepts=("x",), produces=(int,))(count)
    with pytest.raises(AnalyzerDefinitionError) as refused:
        world.register_analyzer(declared)
    assert len(str(refused.value).splitlines()) == 5


async def test_two_analyzers_cannot_own_the_same_facts_of_the_same_media_types(world: World) -> None:
    declare: Any = analyzer

    def counter(name: str, accepts: str, *produces: type[Component]) -> Analyzer[list[str]]:
        declared = declare(Algorithm(name, 1), compute=ref("computes:words"), accepts=(accepts,), produces=produces)
        found: Analyzer[list[str]] = declared(count)
        return found

    world.register_analyzer(counter("test.first", "text/*", WordCount, Title))
    world.register_analyzer(counter("test.elsewhere", "image/png", WordCount))
    world.register_analyzer(counter("test.another_layer", "text/plain", Title))
    with pytest.raises(AnalyzerDefinitionError, match=r"WordCount is what 'test\.first' produces"):
        world.register_analyzer(counter("test.second", "text/plain", WordCount))


async def test_a_stage_that_no_system_runs_is_refused_once_the_world_is_complete(world: World) -> None:
    class Nobody(Enum):
        CARES = "cares"

    world.register_analyzer(counting(stage=Nobody.CARES))
    with pytest.raises(
        SystemDefinitionError, match=r"cannot run analyzer 'test\.words'\n  stage Nobody\.CARES: no system"
    ):
        world.check_systems()


async def test_two_analyzers_cannot_have_one_name(world: World) -> None:
    world.register_analyzer(counting(1))
    world.register_analyzer(counting(1))
    with pytest.raises(AnalyzerDefinitionError, match=r"\S+ has that name already, and \S+ needs another"):
        world.register_analyzer(counting(2))


async def test_two_analyzers_of_one_command_are_a_conflict_that_shows_where_they_are(world: World) -> None:
    world.register_analyzer(counting(1))
    declare: Any = analyzer
    second = declare(
        Algorithm("test.each", 1), compute=ref("computes:words"), accepts=("*",), produces=(Word,), command=CountWords
    )(each)
    with pytest.raises(
        HandlerConflictError, match=r"(?s)count \(test_analysis\.py:\d+\).*each \(test_analysis\.py:\d+\)"
    ):
        world.register_analyzer(second)


async def test_a_function_that_is_no_analyzer_is_refused(world: World) -> None:
    wrong: Any = count
    with pytest.raises(AnalyzerDefinitionError, match="is not an analyzer; declare it with @analyzer"):
        world.register_analyzer(wrong)


# -- algorithms

parameters = st.dictionaries(
    st.text(max_size=5),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    min_size=1,
)


@given(parameters, st.randoms())
def test_the_digest_of_parameters_does_not_depend_on_their_order(values: dict[str, Any], random: Any) -> None:
    items = list(values.items())
    shuffled = random.sample(items, len(items))
    digest = Algorithm("a", 1, tuple(items)).parameters_digest
    assert digest is not None
    assert len(digest) == 16
    assert Algorithm("b", 2, tuple(shuffled)).parameters_digest == digest


@given(parameters, parameters)
def test_other_parameters_have_another_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = repr(sorted(one.items())) == repr(sorted(other.items()))
    digests = {Algorithm("a", 1, tuple(values.items())).parameters_digest for values in (one, other)}
    assert (len(digests) == 1) == same


def test_the_digest_is_the_same_in_every_version_of_this_code() -> None:
    digest = Algorithm("a", 1, (("size", 8), ("method", "dct"))).parameters_digest
    assert digest == hashlib.blake2b(b'[["method", "dct"], ["size", 8]]', digest_size=16).digest()
    assert Algorithm("a", 1).parameters_digest is None

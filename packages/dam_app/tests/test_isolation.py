"""Two worlds of one process, with different plugins and settings, share nothing."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, inspect, select

from dam.commands.core import BaseCommand
from dam.core.exceptions import NoHandlerError, NoResourceError, PluginError
from dam.core.stages import SystemStage
from dam.core.systems import listens_for, system
from dam.core.world import World
from dam.models.entity import Entity
from dam_fs.commands import AddAssetsCommand, AssetOutcome, AssetsAddedEvent
from dam_fs.models import FileLocationComponent
from dam_fs.plugin import FsPlugin
from dam_fs.resources import FileOperationsResource
from dam_fs.settings import FsSettings
from dam_media_image.commands import HashImageCommand, ThumbnailCommand
from dam_media_image.models import ImageDimensionsComponent
from dam_media_image.plugin import ImagePlugin
from dam_media_image.settings import ImageSettings

if TYPE_CHECKING:
    from pathlib import Path

    from dam_test_utils.fixtures import MakeWorld, SampleFiles


@dataclass
class WhoAmI(BaseCommand[str, Any]):
    """Is handled in both worlds, by different systems."""


def handlers(name: str, heard: list[tuple[str, str]]) -> list[Any]:
    """Systems of one world: each says whose it is, and which world it was given."""

    @system(on_command=WhoAmI)
    async def answer(cmd: WhoAmI, world: World) -> str:
        return f"{name} in {world.name}"

    @listens_for(AssetsAddedEvent)
    async def hear(event: AssetsAddedEvent, world: World) -> None:
        heard.append((name, world.name))

    return [answer, hear]


@dataclass
class Two:
    """A world of pictures, one of files alone, and what each heard."""

    pictures: World
    papers: World
    heard: list[tuple[str, str]]


@pytest.fixture
async def two(make_world: MakeWorld, tmp_path: Path) -> Two:
    heard: list[tuple[str, str]] = []
    pictures = await make_world(
        FsPlugin,
        ImagePlugin,
        settings=[FsSettings(storage_path=tmp_path / "pictures"), ImageSettings(fast_hashes=True)],
        systems=handlers("pictures", heard),
        resources=["of pictures"],
        name="pictures",
    )
    papers = await make_world(
        FsPlugin,
        settings=[FsSettings(storage_path=tmp_path / "papers", ignore_file=".papersignore")],
        systems=handlers("papers", heard),
        name="papers",
    )
    return Two(pictures, papers, heard)


async def add(world: World, *paths: Path) -> list[AssetOutcome]:
    command = AddAssetsCommand([str(path) for path in paths])
    return [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]


async def extract(world: World) -> None:
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)


async def count(world: World, cls: type[Any] = Entity) -> int:
    async with world.reading() as session:
        return await session.scalar(select(func.count()).select_from(cls)) or 0


async def tables(world: World) -> set[str]:
    async with world.engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


def objects(world: World) -> set[str]:
    root = world.get_resource(FileOperationsResource).root
    return {name for _, _, names in os.walk(f"{root}/objects") for name in names}


async def test_what_one_has_registered_the_other_does_not_have(two: Two) -> None:
    pictures, papers = two.pictures, two.papers
    assert ImageDimensionsComponent in pictures.components
    assert ImageDimensionsComponent not in papers.components
    assert list(pictures.analyses)
    assert not list(papers.analyses)
    assert ImagePlugin not in papers.plugins
    of_pictures, of_papers = ({id(each) for each in world.scheduler.systems} for world in (pictures, papers))
    assert not of_pictures & of_papers
    assert [cls for cls, _ in papers.openers] == [FileLocationComponent]
    assert len({id(opener) for world in (pictures, papers) for _, opener in world.openers}) == 2
    assert not papers.analyses.wanted("image/png", None)


async def test_settings_are_each_worlds_own(two: Two) -> None:
    assert two.pictures.settings_of(FsSettings).ignore_file == ".damignore"
    assert two.papers.settings_of(FsSettings).ignore_file == ".papersignore"
    assert two.pictures.settings_of(ImageSettings).fast_hashes
    with pytest.raises(PluginError, match="no plugin of world 'papers' has the settings ImageSettings"):
        two.papers.settings_of(ImageSettings)


async def test_resources_are_each_worlds_own(two: Two) -> None:
    assert two.pictures.get_resource(str) == "of pictures"
    with pytest.raises(NoResourceError):
        two.papers.get_resource(str)
    assert two.pictures.get_resource(FileOperationsResource) is not two.papers.get_resource(FileOperationsResource)


@pytest.mark.parametrize("command", [HashImageCommand(1), ThumbnailCommand(1)])
async def test_a_command_of_a_plugin_that_a_world_does_not_have_is_refused_there(
    two: Two, command: BaseCommand[Any, Any]
) -> None:
    two.pictures.dispatch_command(command)
    with pytest.raises(NoHandlerError, match="enable the plugin that brings it, 'dam-media-image'"):
        two.papers.dispatch_command(command)


async def test_a_command_and_an_event_reach_the_handlers_of_their_own_world_alone(
    two: Two, sample_files: SampleFiles
) -> None:
    assert await two.pictures.dispatch_command(WhoAmI()).get_one_value() == "pictures in pictures"
    assert await two.papers.dispatch_command(WhoAmI()).get_one_value() == "papers in papers"
    await add(two.papers, sample_files.png)
    assert two.heard == [("papers", "papers")]


async def test_rows_tables_and_objects_are_each_worlds_own(two: Two, sample_files: SampleFiles) -> None:
    await add(two.pictures, sample_files.png, sample_files.jpeg)
    assert (await count(two.pictures), await count(two.papers)) == (2, 0)
    assert (len(objects(two.pictures)), objects(two.papers)) == (2, set())
    (outcome,) = await add(two.papers, sample_files.png)
    assert outcome.status.value == "added"  # what the other one knows is new here
    assert (await count(two.pictures), await count(two.papers)) == (2, 1)
    assert {name for name in await tables(two.papers) if name.startswith("dam_media")} == set()
    await asyncio.gather(extract(two.pictures), extract(two.papers))
    assert await count(two.pictures, ImageDimensionsComponent) == 2


async def test_who_writes_in_one_keeps_nobody_waiting_in_the_other(two: Two) -> None:
    async with two.pictures.transaction() as mine:
        await mine.create_entity()
        async with two.papers.transaction() as yours:  # not refused either: it is no second one of the same world
            await yours.create_entities(2)
        assert (await count(two.pictures), await count(two.papers)) == (0, 2)
    assert await count(two.pictures) == 1


async def test_what_fails_in_one_undoes_nothing_in_the_other(two: Two) -> None:
    with pytest.raises(ZeroDivisionError):
        async with two.pictures.transaction() as mine:
            await mine.create_entity()
            async with two.papers.transaction() as yours:
                await yours.create_entity()
            raise ZeroDivisionError
    assert (await count(two.pictures), await count(two.papers)) == (0, 1)


async def test_both_work_at_the_same_time(two: Two, sample_files: SampleFiles) -> None:
    outcomes = await asyncio.gather(
        *(add(world, path) for path in sample_files.all for world in (two.pictures, two.papers))
    )
    assert {outcome.status.value for each in outcomes for outcome in each} <= {"added", "linked"}
    assert (await count(two.pictures), await count(two.papers)) == (6, 6)
    assert objects(two.pictures) == objects(two.papers)
    await asyncio.gather(extract(two.pictures), extract(two.papers))
    assert await count(two.pictures, ImageDimensionsComponent) == 3
    assert set(two.heard) == {("pictures", "pictures"), ("papers", "papers")}


async def test_closing_one_leaves_the_other_working(
    two: Two, make_world: MakeWorld, sample_files: SampleFiles, tmp_path: Path
) -> None:
    third = await make_world(
        FsPlugin, ImagePlugin, settings=[FsSettings(storage_path=tmp_path / "third")], name="third"
    )
    await asyncio.gather(*(add(world, sample_files.png) for world in (two.pictures, third)))  # both have workers now
    await two.pictures.close()
    (outcome,) = await add(third, sample_files.jpeg)
    assert outcome.analyses_failed == 0
    await extract(third)
    assert await count(third, ImageDimensionsComponent) == 2
    (outcome,) = await add(two.papers, sample_files.text)
    assert outcome.status.value == "added"


async def test_the_same_plugin_with_other_settings_analyses_otherwise_in_the_other(
    two: Two, make_world: MakeWorld, tmp_path: Path
) -> None:
    third = await make_world(
        FsPlugin, ImagePlugin, settings=[FsSettings(storage_path=tmp_path / "third")], name="third"
    )
    fast, exact = ({each.algorithm for each in world.analyses} for world in (two.pictures, third))
    assert {algorithm.name for algorithm in fast ^ exact} == {
        "dam_media_image.perceptual_hashes",
        "dam_media_image.fast_perceptual_hashes",
    }

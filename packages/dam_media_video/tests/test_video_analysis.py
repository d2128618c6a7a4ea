"""Films in a world: added, analysed by the stage, by command and again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from dam.core.exceptions import PluginError
from dam.core.stages import SystemStage
from dam.models.derivation import DerivationComponent
from dam_fs.commands import AddAssetsCommand, AssetOutcome
from dam_fs.plugin import FsPlugin
from dam_media_audio.models import AudioPropertiesComponent
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.models import FramePropertiesComponent, ImageDimensionsComponent
from dam_media_image.plugin import ImagePlugin
from dam_media_video.commands import ReadVideoPropertiesCommand
from dam_media_video.plugin import VideoPlugin

if TYPE_CHECKING:
    from dam.core.world import World
    from dam_test_utils.fixtures import MakeWorld

MakeFilm = Callable[..., Path]

EXTRACTION = SystemStage.METADATA_EXTRACTION


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world(FsPlugin, AudioPlugin, ImagePlugin, VideoPlugin)


async def add(world: World, path: Path) -> int:
    command = AddAssetsCommand([str(path)])
    (entity_id,) = [e.entity_id async for e in world.dispatch_command(command) if isinstance(e, AssetOutcome)]
    assert entity_id is not None
    return entity_id


async def rows(world: World, component: type[Any]) -> list[Any]:
    async with world.reading() as session:
        return list(await session.scalars(select(component)))


async def test_the_stage_finds_size_frames_and_sound_of_what_was_added(world: World, make_film: MakeFilm) -> None:
    film = await add(world, make_film("film.mp4", "libx264", sound=["aac", "aac"]))
    await world.execute_stage(EXTRACTION)
    (size,) = await rows(world, ImageDimensionsComponent)
    assert (size.entity_id, size.width_pixels, size.height_pixels) == (film, 64, 48)
    (frames,) = await rows(world, FramePropertiesComponent)
    assert (frames.entity_id, frames.frame_count) == (film, 50)
    assert (frames.frames_per_second, frames.duration_seconds) == (25.0, 2.0)
    tracks = await rows(world, AudioPropertiesComponent)
    assert [(track.entity_id, track.stream_index, track.codec_name) for track in tracks] == [
        (film, 1, "aac"),
        (film, 2, "aac"),
    ]


async def test_a_film_without_pictures_has_sound_alone(world: World, make_film: MakeFilm) -> None:
    await add(world, make_film("a.ts", sound=["aac"]))
    await world.execute_stage(EXTRACTION)
    assert len(await rows(world, AudioPropertiesComponent)) == 1
    assert await rows(world, ImageDimensionsComponent) == []
    assert await rows(world, FramePropertiesComponent) == []
    assert {row.status for row in await rows(world, DerivationComponent)} == {"ok"}


async def test_the_command_reads_one_asset_again_and_no_row_comes_twice(world: World, make_film: MakeFilm) -> None:
    film = await add(world, make_film("a.mkv", "libx264", sound=["flac", "flac"]))
    for _ in range(2):
        await world.dispatch_command(ReadVideoPropertiesCommand(film))
    assert [track.stream_index for track in await rows(world, AudioPropertiesComponent)] == [1, 2]
    assert len(await rows(world, FramePropertiesComponent)) == 1


async def test_what_cannot_be_read_is_on_record_and_stays_an_asset(
    world: World, make_film: MakeFilm, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x10ftypisom" + bytes(200))
    entity_id = await add(world, broken)
    whole = await add(world, make_film("whole.mp4", "libx264"))
    await world.execute_stage(EXTRACTION)
    assert [size.entity_id for size in await rows(world, ImageDimensionsComponent)] == [whole]
    (failed,) = [row for row in await rows(world, DerivationComponent) if row.entity_id == entity_id]
    assert (failed.status, failed.algorithm) == ("failed", "dam_media_video.properties")
    assert failed.error.startswith("UnreadableVideoError: PyAV")


async def test_pictures_and_sound_are_left_to_their_plugins(world: World, make_film: MakeFilm) -> None:
    await add(world, make_film("a.mp3", sound=["mp3"]))
    await world.execute_stage(EXTRACTION)
    algorithms = {row.algorithm for row in await rows(world, DerivationComponent)}
    assert algorithms == {"dam_media_audio.properties", "dam_media_audio.tags"}


async def test_the_extension_does_not_matter(world: World, make_film: MakeFilm, tmp_path: Path) -> None:
    wrong = tmp_path / "film.jpg"
    shutil.move(make_film("a.webm", "libvpx-vp9"), wrong)
    await add(world, wrong)
    await world.execute_stage(EXTRACTION)
    assert [frames.frame_count for frames in await rows(world, FramePropertiesComponent)] == [50]


async def test_a_world_without_the_tables_says_which_plugin_is_missing(make_world: MakeWorld) -> None:
    with pytest.raises(PluginError, match="dam-media-video requires dam-media-image; add dam-media-image"):
        await make_world(FsPlugin, AudioPlugin, VideoPlugin)


def test_registering_the_plugin_imports_no_decoder() -> None:
    code = "import sys, dam_media_video.plugin; print([m for m in ('av', 'tinytag', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

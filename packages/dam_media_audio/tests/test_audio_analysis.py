"""Sound in a world: added, analysed by the stage, by command and again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from dam.core.query import query
from dam.core.stages import SystemStage
from dam.models.core.base_component import EMBEDDED, PERSON
from dam.models.core.fields import fields_of
from dam.models.derivation import DerivationComponent
from dam_fs.commands import AddAssetsCommand, AssetOutcome
from dam_fs.plugin import FsPlugin
from dam_media_audio.commands import ReadAudioPropertiesCommand, ReadAudioTagsCommand
from dam_media_audio.models import AudioPropertiesComponent, AudioTagsComponent
from dam_media_audio.plugin import AudioPlugin

if TYPE_CHECKING:
    from dam.core.world import World
    from dam_test_utils.fixtures import MakeWorld

MakeSound = Callable[..., Path]

EXTRACTION = SystemStage.METADATA_EXTRACTION


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world(FsPlugin, AudioPlugin)


async def add(world: World, path: Path) -> int:
    command = AddAssetsCommand([str(path)])
    (entity_id,) = [e.entity_id async for e in world.dispatch_command(command) if isinstance(e, AssetOutcome)]
    assert entity_id is not None
    return entity_id


async def rows(world: World, component: type[Any]) -> list[Any]:
    async with world.reading() as session:
        return list(await session.scalars(select(component)))


async def test_the_stage_finds_properties_and_tags_of_what_was_added(world: World, make_sound: MakeSound) -> None:
    song = await add(world, make_sound("song.flac", "flac", rate=48000, tags={"title": "a song", "track": "7"}))
    await world.execute_stage(EXTRACTION)
    (track,) = await rows(world, AudioPropertiesComponent)
    assert (track.entity_id, track.stream_index, track.codec_name) == (song, 0, "flac")
    assert (track.duration_seconds, track.sample_rate_hz, track.channels) == (1.0, 48000, 2)
    async with world.reading() as session:
        tags = (await session.scalars(query(AudioTagsComponent))).one()
    assert (tags.entity_id, tags.title, tags.track, tags.artist) == (song, "a song", 7, None)


async def test_a_file_without_tags_has_properties_alone(world: World, make_sound: MakeSound) -> None:
    await add(world, make_sound("a.wav", "pcm_s16le", options={"fflags": "+bitexact"}))
    await world.execute_stage(EXTRACTION)
    assert len(await rows(world, AudioPropertiesComponent)) == 1
    assert await rows(world, AudioTagsComponent) == []


async def test_the_commands_read_one_asset_again_and_no_row_comes_twice(world: World, make_sound: MakeSound) -> None:
    song = await add(world, make_sound("a.mka", "flac", tracks=2, tags={"title": "a song"}))
    for _ in range(2):
        await world.dispatch_command(ReadAudioPropertiesCommand(song))
        await world.dispatch_command(ReadAudioTagsCommand(song))
    assert [track.stream_index for track in await rows(world, AudioPropertiesComponent)] == [0, 1]
    assert sorted(tags.layer for tags in await rows(world, AudioTagsComponent)) == ["effective", EMBEDDED]


async def test_a_persons_title_wins_over_the_files(world: World, make_sound: MakeSound) -> None:
    song = await add(world, make_sound("a.flac", "flac", tags={"title": "Track 1", "artist": "someone"}))
    async with world.transaction() as transaction:
        transaction.add(song, AudioTagsComponent(layer=PERSON, title="the right title"))
    await world.execute_stage(EXTRACTION)
    async with world.reading() as session:
        tags = (await session.scalars(query(AudioTagsComponent))).one()
    assert (tags.title, tags.artist) == ("the right title", "someone")


async def test_what_cannot_be_read_is_on_record_and_stays_an_asset(
    world: World, make_sound: MakeSound, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"fLaC" + bytes(200))
    entity_id = await add(world, broken)
    whole = await add(world, make_sound("whole.flac", "flac"))
    await world.execute_stage(EXTRACTION)
    assert [track.entity_id for track in await rows(world, AudioPropertiesComponent)] == [whole]
    (failed,) = [
        row
        for row in await rows(world, DerivationComponent)
        if row.entity_id == entity_id and row.algorithm == "dam_media_audio.properties"
    ]
    assert failed.status == "failed"
    assert (
        failed.error
        == "UnreadableSoundError: PyAV: Invalid data found when processing input; tinytag cannot read it either"
    )


async def test_other_media_are_left_alone(world: World, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("no sound at all")
    await add(world, text)
    await world.execute_stage(EXTRACTION)
    assert await rows(world, DerivationComponent) == []


async def test_the_extension_does_not_matter(world: World, make_sound: MakeSound, tmp_path: Path) -> None:
    wrong = tmp_path / "song.mp3"
    shutil.move(make_sound("a.ogg", "vorbis", tags={"title": "a song"}), wrong)
    await add(world, wrong)
    await world.execute_stage(EXTRACTION)
    assert [track.codec_name for track in await rows(world, AudioPropertiesComponent)] == ["vorbis"]
    assert {tags.title for tags in await rows(world, AudioTagsComponent)} == {"a song"}


def test_no_two_fields_of_the_namespace_have_one_name() -> None:
    names = [
        name
        for component in (AudioPropertiesComponent, AudioTagsComponent)
        for field in fields_of(component)
        for name in field.names
    ]
    assert len(names) == len(set(names))
    assert {"codec", "duration", "sample_rate", "channels", "artist", "album_artist", "year"} <= set(names)


def test_registering_the_plugin_imports_no_decoder() -> None:
    code = "import sys, dam_media_audio.plugin; print([m for m in ('av', 'tinytag', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

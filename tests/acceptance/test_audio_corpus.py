"""Sound that other people recorded: twelve formats with the same tags, and what two independent tools agree on."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from sqlalchemy import select

from dam.core.query import query
from dam.core.stages import SystemStage
from dam.models.derivation import DerivationComponent
from dam_fs.commands import AddAssetsCommand, AssetOutcome
from dam_fs.models import FilePropertiesComponent
from dam_fs.plugin import FsPlugin
from dam_media_audio.facts import AudioTags
from dam_media_audio.models import AudioPropertiesComponent, AudioTagsComponent
from dam_media_audio.plugin import AudioPlugin
from dam_media_audio.systems.audio_systems import property_components

if TYPE_CHECKING:
    from dam.core.world import World
    from dam_test_utils.fixtures import MakeWorld

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no corpus at {CORPUS}")

FULL = AudioTags(
    title="full",
    artist="the artist",
    album="the album",
    track=2,
    track_total=3,
    disc=4,
    disc_total=5,
    year=2001,
    genre="the genre",
    composer="the composer",
    comment="the comments",
)
WITH_ALBUM_ARTIST = {"full.aiff", "full.alac.m4a", "full.m4a", "full.mp3"}
"""The others do not hold the words "album artist" in any spelling."""

ENOUGH = 0.95


class Truth(NamedTuple):
    """What ffprobe and mediainfo say of one file; ``None`` where they do not agree."""

    path: str
    seconds: float | None
    sample_rate: int | None


async def add(world: World, *paths: Path) -> dict[str, int]:
    """Entities by path; the stage has run."""
    command = AddAssetsCommand([str(path) for path in paths])
    outcomes = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)
    return {os.path.realpath(outcome.path): outcome.entity_id for outcome in outcomes if outcome.entity_id is not None}


async def test_the_same_tags_are_read_from_twelve_formats(make_world: MakeWorld) -> None:
    world = await make_world(FsPlugin, AudioPlugin)
    paths = sorted((CORPUS / "files" / "beets").glob("full.*"))
    entities = await add(world, *paths)
    async with world.reading() as session:
        rows = {tags.entity_id: tags for tags in await session.scalars(query(AudioTagsComponent))}
    read = {
        path.name: AudioTags(*(getattr(rows[entities[os.path.realpath(path)]], field) for field in AudioTags._fields))
        for path in paths
    }
    assert len(read) == 12
    with_album_artist = FULL._replace(album_artist="the album artist")
    assert read == {name: with_album_artist if name in WITH_ALBUM_ARTIST else FULL for name in read}


def truths() -> list[Truth]:
    with (CORPUS / "manifest.csv").open(newline="", encoding="utf-8") as manifest:
        return [
            Truth(
                os.path.realpath(CORPUS / "files" / row["path"]),
                agreed(row["duration_ffprobe"], row["duration_mediainfo"], 0.05),
                None
                if (rate := agreed(row["sample_rate_ffprobe"], row["sample_rate_mediainfo"], 0)) is None
                else int(rate),
            )
            for row in csv.DictReader(manifest)
        ]


def agreed(one: str, other: str, tolerance: float) -> float | None:
    """What the first says, if the second says nearly the same."""
    if not (one and other) or abs(float(one) - float(other)) > tolerance * float(other):
        return None
    return float(one)


async def test_durations_and_sample_rates_are_what_two_tools_agree_on(make_world: MakeWorld) -> None:
    world = await make_world(FsPlugin, AudioPlugin)
    expected = [truth for truth in truths() if truth.seconds is not None or truth.sample_rate is not None]
    entities = await add(world, *(Path(truth.path) for truth in expected))
    media_types = {row.entity_id: row.mime_type for row in await every(world, FilePropertiesComponent)}
    tracks = {row.entity_id: row for row in await every(world, AudioPropertiesComponent) if row.stream_index == 0}
    errors = {row.entity_id: row.error for row in await every(world, DerivationComponent) if row.error}

    misses: dict[str, list[str]] = {"duration": [], "sample rate": []}
    asked = dict.fromkeys(misses, 0)
    for truth in expected:
        entity_id = entities[truth.path]
        if not property_components.wants(media_types[entity_id]):
            continue
        track, error = tracks.get(entity_id), errors.get(entity_id)
        for what, true, found, tolerance in (
            ("duration", truth.seconds, track and track.duration_seconds, 0.05),
            ("sample rate", truth.sample_rate, track and track.sample_rate_hz, 0),
        ):
            if true is not None:
                asked[what] += 1
                if found is None or abs(found - true) > tolerance * true:
                    misses[what].append(f"{os.path.relpath(truth.path, CORPUS)}: {found} for {true} ({error})")
    assert min(asked.values()) >= 30
    for what, missed in misses.items():
        assert len(missed) <= (1 - ENOUGH) * asked[what], f"{what}, {len(missed)} of {asked[what]}:\n" + "\n".join(
            missed
        )


async def every(world: World, component: type[Any]) -> list[Any]:
    async with world.reading() as session:
        return list(await session.scalars(select(component)))

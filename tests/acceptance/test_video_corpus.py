"""Films that other people made: sizes, durations and sound are what two independent tools agree on."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from sqlalchemy import select

from dam.core.stages import SystemStage
from dam.models.derivation import DerivationComponent
from dam_fs.commands import AddAssetsCommand, AssetOutcome
from dam_fs.models import FilePropertiesComponent
from dam_fs.plugin import FsPlugin
from dam_media_audio.models import AudioPropertiesComponent
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.models import FramePropertiesComponent, ImageDimensionsComponent
from dam_media_image.plugin import ImagePlugin
from dam_media_video.plugin import VideoPlugin
from dam_media_video.systems.video_systems import film_components

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dam.core.world import World
    from dam_test_utils.fixtures import MakeWorld

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no corpus at {CORPUS}")

ENOUGH = {"size": 0.99, "duration": 0.95, "sample rate": 0.95}


class Truth(NamedTuple):
    """What ffprobe and another tool say of one file; ``None`` where they do not agree."""

    path: str
    size: tuple[float, float] | None
    seconds: float | None
    sample_rate: float | None


async def add(world: World, *paths: Path) -> dict[str, int]:
    """Entities by path; the stage has run."""
    command = AddAssetsCommand([str(path) for path in paths])
    outcomes = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)
    return {os.path.realpath(outcome.path): outcome.entity_id for outcome in outcomes if outcome.entity_id is not None}


def truths() -> list[Truth]:
    with (CORPUS / "manifest.csv").open(newline="", encoding="utf-8") as manifest:
        return [
            Truth(
                os.path.realpath(CORPUS / "files" / row["path"]),
                size_of(row),
                agreed(row["duration_ffprobe"], row["duration_mediainfo"], 0.05),
                agreed(row["sample_rate_ffprobe"], row["sample_rate_mediainfo"], 0),
            )
            for row in csv.DictReader(manifest)
        ]


def size_of(row: Mapping[str, str]) -> tuple[float, float] | None:
    for other in ("mediainfo", "exiftool"):
        width, height = (agreed(row[f"{side}_ffprobe"], row[f"{side}_{other}"], 0) for side in "wh")
        if width and height:
            return width, height
    return None


def agreed(one: str, other: str, tolerance: float) -> float | None:
    """What the first says, if the second says nearly the same."""
    if not (one and other) or abs(float(one) - float(other)) > tolerance * float(other):
        return None
    return float(one)


async def test_sizes_durations_and_sample_rates_are_what_two_tools_agree_on(make_world: MakeWorld) -> None:
    world = await make_world(FsPlugin, AudioPlugin, ImagePlugin, VideoPlugin)
    expected = [truth for truth in truths() if any(truth[1:])]
    entities = await add(world, *(Path(truth.path) for truth in expected))
    media_types = {row.entity_id: row.mime_type for row in await every(world, FilePropertiesComponent)}
    sizes = {row.entity_id: row for row in await every(world, ImageDimensionsComponent)}
    frames = {row.entity_id: row for row in await every(world, FramePropertiesComponent)}
    tracks = {row.entity_id: row for row in reversed(await every(world, AudioPropertiesComponent))}
    errors = {row.entity_id: row.error for row in await every(world, DerivationComponent) if row.error}

    misses: dict[str, list[str]] = {what: [] for what in ENOUGH}
    asked = dict.fromkeys(ENOUGH, 0)

    def ask(what: str, truth: Truth, true: Any, found: Any, *, is_right: bool) -> None:
        asked[what] += 1
        if not is_right:
            error = errors.get(entities[truth.path])
            misses[what].append(f"{os.path.relpath(truth.path, CORPUS)}: {found} for {true} ({error})")

    for truth in expected:
        entity_id = entities[truth.path]
        if not film_components.wants(media_types[entity_id]):
            continue
        if truth.size is not None:
            size = sizes.get(entity_id)
            pixels = size and (size.width_pixels, size.height_pixels)
            ask("size", truth, truth.size, pixels, is_right=pixels == truth.size)
        track = tracks.get(entity_id)
        if truth.seconds is not None:
            film = frames.get(entity_id) or track
            seconds = film and film.duration_seconds
            near = seconds is not None and abs(seconds - truth.seconds) <= 0.05 * truth.seconds
            ask("duration", truth, truth.seconds, seconds, is_right=near)
        if truth.sample_rate is not None:
            rate = track and track.sample_rate_hz
            ask("sample rate", truth, truth.sample_rate, rate, is_right=rate == truth.sample_rate)

    assert asked["size"] >= 15
    assert asked["duration"] >= 12
    assert asked["sample rate"] >= 5
    for what, missed in misses.items():
        assert len(missed) <= (1 - ENOUGH[what]) * asked[what], (
            f"{what}, {len(missed)} of {asked[what]}:\n" + "\n".join(missed)
        )


async def every(world: World, component: type[Any]) -> list[Any]:
    async with world.reading() as session:
        return list(await session.scalars(select(component)))

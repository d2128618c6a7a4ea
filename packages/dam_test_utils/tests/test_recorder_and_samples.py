"""The recorder of events, and media that are made on the spot."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dam.core.world import World
from dam.events import Event
from dam.system_events.base import Result
from dam_fs.commands import AddAssetsCommand, AssetOutcome, AssetsAddedEvent
from dam_fs.plugin import FsPlugin
from dam_test_utils.fixtures import EventRecorder, MakeWorld
from dam_test_utils.samples import avi, jpeg, png, wav


@dataclass
class Rang(Event):
    """Somebody was at the door."""

    times: int


async def test_it_keeps_what_is_announced_and_what_is_told(
    make_world: MakeWorld, recorder: EventRecorder, tmp_path: Path
) -> None:
    world = await make_world(FsPlugin)
    recorder.listen(world, AssetsAddedEvent, Rang)
    (tmp_path / "a.txt").write_text("a")
    told = await recorder.run(world.dispatch_command(AddAssetsCommand([str(tmp_path / "a.txt")])))
    await recorder.run(world.dispatch_event(Rang(2)))
    assert recorder.of(AssetOutcome) == told
    assert [event.entity_ids for event in recorder.of(AssetsAddedEvent)] == [[told[0].entity_id]]
    assert recorder.of(Rang) == [Rang(2)]
    recorder.clear()
    assert recorder.of(object) == []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.png", png(4, 3, (255, 0, 0)), (4, 3)),
        ("a.jpg", jpeg(16, 8), (16, 8)),
        ("a.avi", avi(10, 6, frames=5), (10, 6)),
    ],
)
def test_pictures_and_videos_are_what_they_claim_to_be(
    tmp_path: Path, name: str, content: bytes, expected: tuple[int, int]
) -> None:
    av: Any = pytest.importorskip("av")
    (tmp_path / name).write_bytes(content)
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == expected
        count = sum(1 for _ in container.decode(video=0))
    assert count == (5 if name == "a.avi" else 1)


def test_sounds_are_what_they_claim_to_be(tmp_path: Path) -> None:
    av: Any = pytest.importorskip("av")
    (tmp_path / "a.wav").write_bytes(wav(0.5, 16_000, channels=2))
    with av.open(str(tmp_path / "a.wav")) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels, float(stream.duration * stream.time_base)) == (16_000, 2, 0.5)


async def test_a_world_without_listeners_tells_nothing(world: World, recorder: EventRecorder) -> None:
    await recorder.run(world.dispatch_event(Rang(1)))
    assert [event for event in recorder.events if not isinstance(event, Result)] == []

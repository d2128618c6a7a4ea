"""Frames of animations, whole and damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dam.analysis.blob import Blob
from dam_media_image.facts import Frames
from dam_media_image.frames import frames

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {"gif": "image/gif", "png": "image/apng", "webp": "image/webp", "avif": "image/avif"}


def animation(path: Path, delays: list[int]) -> Path:
    rng = np.random.default_rng(1)
    first, *others = [Image.fromarray(rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)) for _ in delays]
    first.save(path, save_all=True, append_images=others, duration=delays)
    return path


def read(path: Path) -> Frames | None:
    with Blob(str(path), path.stat().st_size, KINDS[path.suffix[1:]]) as blob:
        return frames(blob)


@pytest.mark.parametrize("ending", KINDS)
def test_frames_take_the_time_that_each_of_them_states(tmp_path: Path, ending: str) -> None:
    found = read(animation(tmp_path / f"moving.{ending}", [100, 250, 40, 610]))
    assert found is not None
    assert found.number == 4
    assert found.duration == pytest.approx(1.0)
    assert found.rate == pytest.approx(4.0)


@pytest.mark.parametrize("ending", KINDS)
def test_one_frame_is_no_animation(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"still.{ending}"
    Image.new("RGB", (40, 24), "red").save(path)
    assert read(path) is None


def test_frames_that_take_no_time_have_no_rate(tmp_path: Path) -> None:
    assert read(animation(tmp_path / "moving.gif", [0, 0, 0])) == Frames(3, None, None)


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
def test_an_animation_that_is_cut_off_has_no_duration(tmp_path: Path, ending: str) -> None:
    path = animation(tmp_path / f"moving.{ending}", [100] * 6)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found = read(path)
    assert found is not None
    assert 2 <= found.number < 6
    assert (found.duration, found.rate) == (None, None)


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_never_raises_and_never_makes_up_time(tmp_path: Path, ending: str, data: st.DataObject) -> None:
    path = animation(tmp_path / f"moving.{ending}", [100] * 3)
    content = bytearray(path.read_bytes())
    for _ in range(3):
        content[data.draw(st.integers(12, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(20, len(content)))])
    found = read(path)
    assert found is None or found.number >= 2


def test_a_damaged_frame_that_has_to_be_decoded_ends_the_count(tmp_path: Path) -> None:
    path = animation(tmp_path / "moving.avif", [100] * 6)
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3 :] = bytes(len(content) - len(content) * 2 // 3)
    path.write_bytes(content)
    found = read(path)
    assert found is None or found.duration is None

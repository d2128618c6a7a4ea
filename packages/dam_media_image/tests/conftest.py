"""Worlds that hold pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dam_fs.plugin import FsPlugin
from dam_fs.settings import FsSettings
from dam_media_image.plugin import ImagePlugin
from dam_media_image.settings import ImageSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from dam.core.world import World
    from dam_test_utils.fixtures import MakeWorld

    PictureWorld = Callable[..., Awaitable[World]]


@pytest.fixture
def picture_world(make_world: MakeWorld, tmp_path: Path) -> PictureWorld:
    """``await picture_world()`` gives a world with files and pictures; options go to ``ImageSettings``."""

    async def make(**options: bool) -> World:
        settings = [FsSettings(storage_path=tmp_path / "store"), ImageSettings(**options)]
        return await make_world(FsPlugin, ImagePlugin, settings=settings)

    return make


@pytest.fixture
async def world(picture_world: PictureWorld) -> World:
    return await picture_world()

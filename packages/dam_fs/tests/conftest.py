"""Worlds with real files: a database and a store folder below ``tmp_path`` each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import WorldConfig
from dam_fs.plugin import FsPlugin
from dam_fs.settings import FsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from dam_test_utils.databases import Databases
    from dam_test_utils.fixtures import DatabaseTemplates


class OpenWorld(Protocol):
    async def __call__(
        self,
        name: str = "main",
        *,
        database_url: str | None = None,
        store: str | None = None,
        register: Callable[[World], None] | None = None,
    ) -> World: ...


@pytest.fixture
async def open_world(
    databases: Databases, database_templates: DatabaseTemplates, tmp_path: Path
) -> AsyncIterator[OpenWorld]:
    """``await open_world("name")`` gives a world of its own, set up; the same name again, what another process has."""
    urls: dict[str, str] = {}
    opened: list[World] = []

    async def open_one(
        name: str = "main",
        *,
        database_url: str | None = None,
        store: str | None = None,
        register: Callable[[World], None] | None = None,
    ) -> World:
        if database_url is None and name not in urls:
            urls[name] = await database_templates.copy(databases, [FsPlugin], [])
        config = WorldConfig(
            name=name,
            database_url=database_url or urls[name],
            analysis_workers=1,
            analysis_time_limit=2,
            analysis_cpu_limit=1,
            analysis_memory_mb=512,
        )
        world = World(config)
        opened.append(world)
        register_core_systems(world)
        world.add_plugin(FsPlugin, FsSettings(storage_path=tmp_path / (store or f"{name}-store"), readers=2))
        if register is not None:
            register(world)
        world.check_systems()
        await world.setup()
        return world

    yield open_one
    for world in opened:
        await world.close()
    for url in urls.values():
        await databases.drop(url)


@pytest.fixture
async def world(open_world: OpenWorld) -> World:
    return await open_world()

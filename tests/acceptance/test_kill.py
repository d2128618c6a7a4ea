"""Killing an ingest at random moments, on both databases. ``DAM_THOROUGH=1`` kills fifty times on each."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect, select

from dam.core.world import World
from dam.models.config import WorldConfig
from dam_fs.models import ContentHashSha256Component, OriginalSourceInfoComponent
from dam_fs.plugin import FsPlugin
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.plugin import ImagePlugin
from dam_media_video.plugin import VideoPlugin
from dam_test_utils.databases import SqliteDatabases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dam_test_utils.databases import Databases
    from dam_test_utils.fixtures import DatabaseTemplates

PLUGINS = (FsPlugin, AudioPlugin, ImagePlugin, VideoPlugin)

DAM_CLI = Path(sys.executable).with_name("dam-cli")
TIMES = 50 if os.environ.get("DAM_THOROUGH") else 4
FILES = 500

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


def make_tree(tree: Path, chance: random.Random) -> None:
    for i in range(FILES):
        path = tree / str(i % 11) / f"{i}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.choice([1, 1000, 20_000])) + b"%d" % i)


def is_whole(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == path.name


async def committed(database_url: str) -> dict[bytes, str]:
    """Path → digest of everything that the database speaks of."""
    async with World(WorldConfig(name="kill", database_url=database_url)) as world:
        async with world.engine.connect() as connection:
            if not await connection.run_sync(lambda sync: inspect(sync).has_table("dam_fs_original_source_info")):
                return {}
        source, sha256 = OriginalSourceInfoComponent, ContentHashSha256Component
        query = select(source.original_path, sha256.hash_value).join(sha256, sha256.entity_id == source.entity_id)
        async with world.reading() as session:
            return {os.fsencode(path): digest.hex() for path, digest in await session.execute(query)}


def run_and_kill(command: list[str], environment: dict[str, str], home: Path, chance: random.Random) -> list[bytes]:
    """What was told before the end."""
    running = subprocess.Popen(command, env=environment, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert running.stdout is not None
    told = []
    if chance.random() < 0.6:
        told = [running.stdout.readline() for _ in range(chance.randrange(1, FILES))]
    else:  # before the first outcome: while it starts, sets up, reads, publishes
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(chance.random() * 2.5)
    running.kill()
    told += running.stdout.read().splitlines()
    running.stdout.close()
    running.wait()
    return told


@pytest.fixture
async def database_url(databases: Databases, database_templates: DatabaseTemplates) -> AsyncIterator[str]:
    """A file sets itself up, which may be cut off as well; a server's database was set up by hand."""
    is_file = isinstance(databases, SqliteDatabases)
    url = await (databases.create() if is_file else database_templates.copy(databases, PLUGINS, ()))
    yield url
    await databases.drop(url)


@pytest.mark.parametrize("seed", range(TIMES))
async def test_an_ingest_that_is_killed_has_stored_what_it_committed_and_the_next_one_completes_it(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    make_tree(tmp_path / "tree", chance)
    home = tmp_path / "home"
    home.mkdir()
    command = [str(DAM_CLI), "--json", "add-asset", "-r", str(tmp_path / "tree")]
    environment = {
        **os.environ,
        "DAM_HOME": str(home),
        "DAM_WORLDS__KILLED__DATABASE_URL": database_url,
        "DAM_WORLDS__KILLED__FOLDER": str(home),
        "DAM_WORLD": "killed",
    }
    told = await asyncio.to_thread(run_and_kill, command, environment, home, chance)

    known = await committed(database_url)
    objects = {path.name: path for path in home.rglob("objects/*/*")}
    assert all(is_whole(path) for path in objects.values())
    assert set(known.values()) <= set(objects)
    reported = [json.loads(line) for line in told if line.endswith((b"}", b"}\n"))]
    assert {os.fsencode(line["path"]) for line in reported if line.get("entity_id")} <= set(known)

    (tmp_path / "tree" / "new.bin").write_bytes(b"who stages an object sweeps the temporaries of the dead")
    again = await asyncio.create_subprocess_exec(*command, env=environment, cwd=home, stdout=subprocess.DEVNULL)
    assert await again.wait() == 0
    known = await committed(database_url)
    paths = list((tmp_path / "tree").rglob("*.bin"))
    assert known == {os.fsencode(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    objects = {path.name: path for path in home.rglob("objects/*/*")}
    assert set(objects) == set(known.values())
    assert all(is_whole(path) for path in objects.values())
    assert list(home.rglob("*-store/tmp/*")) == []

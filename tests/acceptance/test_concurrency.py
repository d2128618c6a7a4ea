"""Processes that add the same files at the same time. ``DAM_THOROUGH=1`` tries it twenty times."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from dam.core.migrations import table_names
from dam.core.world import World
from dam.models.config import WorldConfig
from dam.models.core.base_class import Base
from dam_fs.models import ContentHashSha256Component, OriginalSourceInfoComponent
from dam_fs.plugin import FsPlugin
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.plugin import ImagePlugin
from dam_media_video.plugin import VideoPlugin

if TYPE_CHECKING:
    from dam_test_utils.databases import Databases
    from dam_test_utils.fixtures import DatabaseTemplates

PLUGINS = (FsPlugin, AudioPlugin, ImagePlugin, VideoPlugin)

DAM_CLI = Path(sys.executable).with_name("dam-cli")
TIMES = 20 if os.environ.get("DAM_THOROUGH") else 3


def make_tree(tree: Path, seed: int) -> set[bytes]:
    """500 files with 400 contents; returns these."""
    chance = random.Random(seed)
    contents = [chance.randbytes(chance.choice([0, 10, 1000, 50_000]) + i // 10) + b"%d" % i for i in range(400)]
    for i in range(500):
        path = tree / str(i % 7) / f"{i}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[i % 400])
    return set(contents)


def outcomes(stdout: bytes) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, stdout.splitlines()) if line["type"] == "item"]


@pytest.mark.parametrize("attempt", range(TIMES))
def test_two_processes_add_one_tree_to_a_new_world_and_every_content_is_one_asset(tmp_path: Path, attempt: int) -> None:
    contents = make_tree(tmp_path / "tree", attempt)
    home = tmp_path / "home"
    home.mkdir()
    command = [str(DAM_CLI), "-q", "--json", "add-asset", "-r", str(tmp_path / "tree")]
    environment = {**os.environ, "DAM_HOME": str(home)}
    both = [
        subprocess.Popen(command, env=environment, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=300) for process in both]
    assert [(process.returncode, stderr) for process, (_, stderr) in zip(both, told, strict=True)] == [(0, b"")] * 2

    (database,) = home.rglob("*.db")
    with closing(sqlite3.connect(database)) as connection:
        digests = [row[0] for row in connection.execute("SELECT hash_value FROM dam_fs_content_hash_sha256")]
        sources = [row[0] for row in connection.execute("SELECT original_path FROM dam_fs_original_source_info")]
    assert sorted(digests) == sorted(hashlib.sha256(content).digest() for content in contents)
    assert Counter(sources) == Counter(os.fsencode(path) for path in (tmp_path / "tree").rglob("*.bin"))
    objects = {path.name: path.read_bytes() for path in home.rglob("objects/*/*")}
    assert objects == {hashlib.sha256(content).hexdigest(): content for content in contents}

    lines = [line for stdout, _ in told for line in outcomes(stdout)]
    assert len({line["entity_id"] for line in lines}) == len(contents)
    counts = Counter(line["status"] for line in lines)
    assert counts["added"] == len(contents)
    assert counts["linked"] + counts["known"] == 1000 - len(contents)  # nothing was broken: nothing is restored


CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "files"


async def rows(database_url: str) -> dict[str, int]:
    """Table → its rows, of all tables but those that tell who wrote."""
    async with World(WorldConfig(name="shared", database_url=database_url)) as world, world.reading() as session:
        there = await (await session.connection()).run_sync(table_names)  # other tests have declared others
        tables = [each for each in Base.metadata.sorted_tables if each.name in there and each.name != "dam_run"]
        return {each.name: await session.scalar(select(func.count()).select_from(each)) or 0 for each in tables}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What one process makes of it."""
    home = tmp_path_factory.mktemp("alone")
    command = [str(DAM_CLI), "-q", "--json", "add-asset", "-r", str(CORPUS)]
    subprocess.run(command, env={**os.environ, "DAM_HOME": str(home)}, stdout=subprocess.DEVNULL, check=True)
    return asyncio.run(rows(f"sqlite+aiosqlite:///{home}/default.db"))


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no corpus at {CORPUS}")
@pytest.mark.parametrize("attempt", range(TIMES if TIMES > 3 else 1))
async def test_four_processes_add_overlapping_trees_with_all_analyses(
    database_templates: DatabaseTemplates, databases: Databases, alone: dict[str, int], tmp_path: Path, attempt: int
) -> None:
    url = await database_templates.copy(databases, PLUGINS, [])
    environment = {
        **os.environ,
        "DAM_HOME": str(tmp_path),
        "DAM_WORLDS__SHARED__DATABASE_URL": url,
        "DAM_WORLDS__SHARED__FOLDER": str(tmp_path),
        "DAM_WORLD": "shared",
    }
    folders = sorted(str(path) for path in CORPUS.iterdir())
    random.Random(attempt).shuffle(folders)
    trees = [[f for i, f in enumerate(folders) if (i + part) % 4] for part in range(4)]  # each file is in three of them
    running = [
        await asyncio.create_subprocess_exec(
            DAM_CLI, "-q", "--json", "add-asset", "-r", *tree, env=environment, cwd=tmp_path, stdout=PIPE, stderr=PIPE
        )
        for tree in trees
    ]
    told = [await process.communicate() for process in running]
    assert [(process.returncode, stderr) for process, (_, stderr) in zip(running, told, strict=True)] == [(0, b"")] * 4

    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    digests = {hashlib.sha256(path.read_bytes()).digest() for path in files}
    statuses = Counter(line["status"] for stdout, _ in told for line in outcomes(stdout))
    assert statuses["added"] == len(digests)
    assert statuses["added"] + statuses["linked"] + statuses["known"] == 3 * len(files) == statuses.total()
    shared = await rows(url)
    assert shared == alone
    async with World(WorldConfig(name="shared", database_url=url)) as world, world.reading() as session:
        found = list(await session.scalars(select(ContentHashSha256Component.hash_value)))
        assert len(found) == len(digests)
        assert set(found) == digests
        sources = list(await session.scalars(select(OriginalSourceInfoComponent.original_path)))
        assert Counter(sources) == Counter(map(str, files))
    await databases.drop(url)

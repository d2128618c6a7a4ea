"""A world with all of the corpus goes from SQLite to PostgreSQL and back, and nothing is another than it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from dam.models.origin import OriginComponent
from dam_app import open_world
from dam_fs.models import ContentHashSha256Component

if TYPE_CHECKING:
    from dam.core.world import World
    from dam.models.core.base_component import Component
    from dam_test_utils.databases import Databases

DAM_CLI = Path(sys.executable).with_name("dam-cli")
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "files"

pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="there is no corpus here")


def run(folder: Path, *arguments: str, expected: int = 0) -> list[dict[str, Any]]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DAM_") or "TEST" in key}
    done = subprocess.run(
        [DAM_CLI, "--json", *arguments], cwd=folder, env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == expected, done.stderr + done.stdout[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def statuses(lines: list[dict[str, Any]]) -> Counter[str]:
    return Counter(line["status"] for line in lines if line["type"] == "item")


async def facts(world: World) -> Counter[str]:
    """Every row of every component, with the content's hash in the place of ids."""
    found = Counter[str]()
    async with world.reading() as session:
        key = ContentHashSha256Component
        names = {row[0]: row[1].hex() for row in await session.execute(select(key.entity_id, key.hash_value))}
        for cls in world.components:
            if cls is not OriginComponent:
                found.update(
                    [described(cls, row, names) for row in (await session.execute(select(cls.__table__))).mappings()]
                )
    return found


def described(cls: type[Component], row: Any, names: dict[int, str]) -> str:
    values = {key: value for key, value in row.items() if key not in ("id", "entity_id", "run_id")}
    return f"{cls.__name__} {names[row['entity_id']]} {values}"


async def test_the_corpus_goes_to_a_server_and_back(tmp_path: Path, postgres_databases: Databases) -> None:
    server = await postgres_databases.create()
    (tmp_path / "dam.toml").write_text(
        '[worlds.here]\ndatabase_url = "sqlite+aiosqlite:///here.db"\n'
        f'[worlds.server]\ndatabase_url = "{server}"\nfolder = "server"\n'
        '[worlds.back]\ndatabase_url = "sqlite+aiosqlite:///back.db"\n',
        encoding="utf-8",
    )
    run(tmp_path, "--world", "here", "add-asset", "-r", str(CORPUS))
    run(tmp_path, "--world", "server", "setup-db")
    there = run(tmp_path, "worlds", "copy", "here", "server")
    back = run(tmp_path, "worlds", "copy", "server", "back")
    assert statuses(there) == statuses(back) == {"added": there[-1]["added"]}
    assert there[-1]["added"] > 300
    again = run(tmp_path, "worlds", "copy", "here", "server") + run(tmp_path, "worlds", "copy", "back", "here")
    assert set(statuses(again)) == {"known"}
    config = str(tmp_path / "dam.toml")
    async with (
        open_world("here", config=config) as one,
        open_world("server", config=config) as two,
        open_world("back", config=config) as three,
    ):
        expected = await facts(one)
        assert await facts(two) == expected
        assert await facts(three) == expected
        async with one.reading() as session:
            ids = list(await session.scalars(select(ContentHashSha256Component.entity_id)))
        for world in (two, three):
            async with world.reading() as session:
                digests = set(await session.scalars(select(ContentHashSha256Component.hash_value)))
            assert len(digests) == len(ids)
    stores = [
        {path.name: path.read_bytes() for path in (tmp_path / name / "objects").rglob("*") if path.is_file()}
        for name in ("here-store", "server/server-store", "back-store")
    ]
    assert stores[0] == stores[1] == stores[2]

"""Two processes that add the same tree at the same time. ``DAM_THOROUGH=1`` tries it twenty times."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

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

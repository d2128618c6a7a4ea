"""Killing an ingest at random moments. ``DAM_THOROUGH=1`` kills fifty times."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

DAM_CLI = Path(sys.executable).with_name("dam-cli")
TIMES = 50 if os.environ.get("DAM_THOROUGH") else 5
FILES = 800

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


def make_tree(tree: Path, chance: random.Random) -> None:
    for i in range(FILES):
        path = tree / str(i % 11) / f"{i}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.choice([1, 1000, 20_000])) + b"%d" % i)


def is_whole(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def committed(home: Path) -> dict[bytes, str]:
    """Path → digest of everything that the database speaks of."""
    databases = list(home.rglob("*.db"))
    if not databases:
        return {}
    query = (
        "SELECT original_path, hash_value FROM dam_fs_original_source_info "
        "JOIN dam_fs_content_hash_sha256 USING (entity_id)"
    )
    with contextlib.closing(sqlite3.connect(databases[0])) as connection:
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'dam_fs_original_source_info'").fetchall()
        return {path: digest.hex() for path, digest in connection.execute(query)} if tables else {}


@pytest.mark.parametrize("seed", range(TIMES))
def test_an_ingest_that_is_killed_has_stored_what_it_committed_and_the_next_one_completes_it(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    make_tree(tmp_path / "tree", chance)
    home = tmp_path / "home"
    home.mkdir()
    command = [str(DAM_CLI), "--json", "add-asset", "-r", str(tmp_path / "tree")]
    environment = {**os.environ, "DAM_HOME": str(home)}

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

    known = committed(home)
    objects = {path.name: path for path in home.rglob("objects/*/*")}
    assert all(is_whole(path) for path in objects.values())
    assert set(known.values()) <= set(objects)
    reported = [json.loads(line) for line in told if line.endswith((b"}", b"}\n"))]
    assert {os.fsencode(line["path"]) for line in reported if line.get("entity_id")} <= set(known)

    (tmp_path / "tree" / "new.bin").write_bytes(b"who stages an object sweeps the temporaries of the dead")
    subprocess.run(command, env=environment, cwd=home, stdout=subprocess.DEVNULL, check=True, timeout=300)
    known = committed(home)
    paths = list((tmp_path / "tree").rglob("*.bin"))
    assert known == {os.fsencode(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    objects = {path.name: path for path in home.rglob("objects/*/*")}
    assert set(objects) == set(known.values())
    assert all(is_whole(path) for path in objects.values())
    assert list(home.rglob("*-store/tmp/*")) == []

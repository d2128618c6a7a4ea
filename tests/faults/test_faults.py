"""A few trials of every kind of fault, always the same; ``faults.py`` beside it goes on for as long as it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).with_name("faults.py")
EACH = 4


@pytest.mark.skipif(sys.platform == "win32", reason="most of these faults are made with POSIX signals")
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_fault_loses_anything(database: str, tmp_path: Path) -> None:
    options = ["--database", database, "--trials", str(EACH), "--jobs", "1", "--folder", str(tmp_path), "--json"]
    done = subprocess.run([sys.executable, FAULTS, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tallies = [json.loads(line) for line in done.stdout.splitlines()]
    tried = {tally["kind"]: tally["tried"] for tally in tallies if not tally["note"]}
    assert all(count >= EACH for count in tried.values())
    assert tried.keys() >= {"kill", "unmounted", "damage"}
    assert all(tally["struck"] for tally in tallies if tally["kind"] in ("kill", "unmounted", "damage"))

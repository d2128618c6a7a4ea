"""Several hundred real files of other people, taken in by the installed command."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
DAM_CLI = Path(sys.executable).with_name("dam-cli")

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no corpus at {CORPUS}")


def add(home: Path, folder: Path) -> list[dict[str, Any]]:
    """The outcomes that ``add-asset -r`` reports."""
    command = [str(DAM_CLI), "--json", "add-asset", "-r", str(folder)]
    done = subprocess.run(command, env={**os.environ, "DAM_HOME": str(home)}, cwd=home, capture_output=True, check=True)
    lines = map(json.loads, done.stdout.splitlines())
    return [line for line in lines if line["type"] == "item"]


def test_every_file_of_the_corpus_is_stored_as_it_is_and_the_second_run_reads_none(tmp_path: Path) -> None:
    home, files = tmp_path / "home", tmp_path / "files"
    home.mkdir()
    shutil.copytree(CORPUS / "files", files)
    with (CORPUS / "manifest.csv").open(newline="", encoding="utf-8") as manifest:
        expected = {row["path"]: row for row in csv.DictReader(manifest)}

    first = add(home, files)
    assert {os.path.relpath(line["path"], files) for line in first} == set(expected)
    distinct = {row["sha256"] for row in expected.values()}
    assert Counter(line["status"] for line in first) == Counter(
        added=len(distinct), linked=len(expected) - len(distinct)
    )

    (database,) = home.rglob("*.db")
    with closing(sqlite3.connect(database)) as connection:
        query = (
            "SELECT hex(s.hash_value), hex(m.hash_value), p.size_bytes FROM dam_fs_content_hash_sha256 s "
            "JOIN dam_fs_content_hash_md5 m USING (entity_id) JOIN dam_fs_file_properties p USING (entity_id)"
        )
        rows = {(sha256.lower(), md5.lower(), size) for sha256, md5, size in connection.execute(query)}
    assert rows == {(row["sha256"], row["md5"], int(row["bytes"])) for row in expected.values()}

    objects = [path for path in home.rglob("objects/*/*") if path.is_file()]
    assert {path.name for path in objects} == distinct
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in objects)

    # Other bytes under the same size and time: whoever read a file now would see new content.
    for path in filter(Path.is_file, files.rglob("*")):
        status = path.stat()
        path.chmod(0o600)
        path.write_bytes(os.urandom(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = add(home, files)
    assert Counter(line["status"] for line in second) == Counter(known=len(expected))

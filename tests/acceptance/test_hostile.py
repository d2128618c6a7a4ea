"""A folder of everything that has ever broken an importer, taken in by the installed command."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = Path(__file__).parents[3] / "shared"
MAKER = SHARED / "tools" / "make_hostile.py"
DAM_CLI = Path(sys.executable).with_name("dam-cli")
MINUTES = 60

pytestmark = [
    pytest.mark.skipif(not MAKER.is_file(), reason=f"there is no {MAKER}"),
    pytest.mark.skipif(sys.platform != "linux", reason="the hostile set is made for Linux file systems"),
]

# The rule: these are no files, or lie outside of the tree.
LINKS_AND_OTHERS = {
    "self.png": "a link that leads nowhere",
    "a.png": "a link that leads nowhere",
    "b.png": "a link that leads nowhere",
    "dangling.png": "a link to nothing",
    "up": "a link to a folder",
    "here": "a link to a folder",
    "dev_zero.jpg": "a link out of the tree",
    "escape.txt": "a link out of the tree",
    "pipe.mp4": "a pipe",
    "sock.jpg": "a socket",
}


def slipped() -> set[str]:
    return {name for name in os.listdir("/tmp") if name.startswith("dam_slip")}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("hostile") / "files"
    command = ["uv", "run", "--no-project", "--with", "pillow", "python", str(MAKER), str(folder)]
    options = ["--samples", str(SHARED / "corpus" / "files"), "--big-gb", "1", "--many", "2000"]
    if shutil.which("uv") is None:
        pytest.skip("there is no uv to make the hostile set with")
    made = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"the hostile set cannot be made here: {made.stderr.strip().splitlines()[-1:]}")
    yield folder
    subprocess.run(["chmod", "-R", "u+rwX", folder], check=False)
    subprocess.run(["rm", "-rf", folder], check=False)  # paths too long for Python's own


def is_added(path: bytes, root: bytes) -> bool:
    """The documented rule: regular files that can be read, and links to such files of the same tree."""
    target = os.path.realpath(path)
    inside = os.path.commonpath([root, target]) == root
    return inside and os.path.isfile(target) and os.access(target, os.R_OK)


def readable_files(folder: Path) -> Iterator[bytes]:
    root = os.path.realpath(os.fsencode(folder))
    for at, _, names in os.walk(root):
        for name in names:
            path = os.path.join(at, name)
            if is_added(path, root):
                yield path


def sha256_of(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_of(line: dict[str, Any]) -> bytes:
    return b64decode(line["path_b64"]) if "path_b64" in line else os.fsencode(line["path"])


def test_a_hostile_folder_is_taken_in_to_its_end(hostile: Path, tmp_path: Path) -> None:
    before = slipped()
    environment = {**os.environ, "DAM_HOME": str(tmp_path)}
    done = subprocess.run(
        [DAM_CLI, "--json", "add-asset", "-r", hostile],
        env=environment, cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL, timeout=MINUTES * 60, check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 3), done.stderr.decode()
    outcomes = {path_of(line): line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "item"}

    stored = {path.name for path in tmp_path.rglob("objects/*/*")}
    assert {sha256_of(path) for path in readable_files(hostile)} == stored

    with (hostile / "hostile.csv").open(newline="", encoding="utf-8") as listed:
        for row in csv.DictReader(listed):
            path = os.fsencode(hostile) + b"/" + os.fsencode(row["class"]) + b"/" + bytes.fromhex(row["name_hex"])
            check(path, row, outcomes, os.fsencode(hostile))
    for name, reason in LINKS_AND_OTHERS.items():
        line = outcomes[os.fsencode(hostile / "fs" / name)]
        assert (line["status"], line["reason"]) == ("skipped", reason)
    assert slipped() == before

    again = subprocess.run(
        [DAM_CLI, "--json", "add-asset", "-r", hostile], env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    statuses = {
        path_of(line): line["status"] for line in map(json.loads, again.stdout.splitlines()) if "status" in line
    }
    added = {path for path, line in outcomes.items() if line["status"] in ("added", "linked")}
    assert {statuses[path] for path in added} == {"known"}
    assert again.returncode == done.returncode


def check(path: bytes, row: dict[str, str], outcomes: dict[bytes, dict[str, Any]], root: bytes) -> None:
    """One row of hostile.csv; a folder, or a row that stands for many files, has no outcome of its own."""
    line = outcomes.get(path)
    if line is None:
        is_folder = os.path.lexists(path) and stat.S_ISDIR(os.lstat(path).st_mode)
        stands_for_many = b"..." in os.path.basename(path) or b"(d*200)" in path
        below_a_closed_folder = os.path.dirname(path) in outcomes
        assert is_folder or stands_for_many or below_a_closed_folder, row
    elif row["expect"] == "skip" and not is_added(path, os.path.realpath(root)):
        assert line["status"] in ("skipped", "failed"), row
        assert line["reason"], row
    else:  # root reads what others may not
        assert line["status"] in ("added", "linked"), (row, line)

"""A folder of everything that has ever broken an importer, taken in by the installed command, checked and exported again: by who
runs the tests and, where that is root, by an ordinary user as well. ``DAM_THOROUGH=1`` takes the whole set."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = Path(__file__).parents[3] / "shared"
MAKER = SHARED / "tools" / "make_hostile.py"
DAM_CLI = Path(sys.executable).with_name("dam-cli")
MINUTES = 20
"""For one command; 80 seconds were measured for the longest on two processors."""
MEMORY = 5 << 29
"""Bytes that a process may come to: the limit of a worker is 2 GiB."""
THOROUGH = bool(os.environ.get("DAM_THOROUGH"))
SIZES = ["--big-gb", "5", "--many", "20000"] if THOROUGH else ["--big-gb", "0.05", "--many", "500"]
LARGE = 1 << 30
"""Bytes from which on files are not exported again: a disk need not hold the sparse ones twice."""
ROUNDS = 20 if THOROUGH else 4

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
CLOSED = {"unreadable.png", "closed_dir"}
"""What only root reads."""


@dataclass(frozen=True)
class User:
    """Who runs the command, in a folder of their own; ``None`` is who runs the tests."""

    name: str | None
    folder: Path

    def dam(self, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        home = str(self.folder)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("DAM_", "XDG_"))}
        return subprocess.run(
            [DAM_CLI, "--json", *arguments],
            env={**environment, "HOME": home, "DAM_HOME": home}, cwd=self.folder, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=MINUTES * 60, check=False, user=self.name, group=self._group,
            extra_groups=None if self.name is None else [],
        )  # fmt: skip

    @property
    def _group(self) -> int | None:
        import pwd

        return None if self.name is None else pwd.getpwnam(self.name).pw_gid

    @property
    def reads_everything(self) -> bool:
        return self.name is None and os.getuid() == 0


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that every user can enter, as those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="dam-hostile-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", folder], check=False)
        subprocess.run(["rm", "-rf", folder], check=False)  # paths too long for Python's own


def maker(folder: Path, *options: str) -> list[str]:
    pytest.importorskip("PIL")
    samples = ["--samples", str(SHARED / "corpus" / "files")]
    return [sys.executable, "-u", str(MAKER), str(folder), *samples, *options]


@pytest.fixture(scope="module")
def hostile() -> Iterator[Path]:
    with scratch() as folder:
        made = subprocess.run(maker(folder / "files", *SIZES), capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"the hostile set cannot be made here: {made.stderr.strip().splitlines()[-1:]}")
        yield folder / "files"


@pytest.fixture(params=[None, "nobody"], ids=["self", "nobody"])
def user(request: pytest.FixtureRequest) -> Iterator[User]:
    if request.param is not None and os.getuid() != 0:
        pytest.skip("only root can be another user")
    with scratch() as folder:
        user = User(request.param, folder)
        if user.name is not None:
            shutil.chown(folder, user.name)
            try:
                user.dam("worlds", "list").check_returncode()
            except (OSError, subprocess.CalledProcessError):
                pytest.skip(f"{user.name} cannot run {DAM_CLI}")
        yield user


def slipped() -> set[str]:
    return {name for name in os.listdir("/tmp") if name.startswith("dam_slip")}


def is_added(path: bytes, root: bytes, user: User) -> bool:
    """The documented rule: regular files that can be read, and links to such files of the same tree."""
    target = os.path.realpath(path)
    inside = os.path.commonpath([root, target]) == root
    if not inside or not os.path.isfile(target) or not os.access(target, os.R_OK):
        return False
    return user.reads_everything or not CLOSED & set(os.fsdecode(target).split("/"))


def readable_files(folder: Path, user: User) -> Iterator[bytes]:
    root = os.path.realpath(os.fsencode(folder))
    for at, _, names in os.walk(root):
        for name in names:
            path = os.path.join(at, name)
            if is_added(path, root, user):
                yield path


def sha256_of(path: str | bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_of(line: dict[str, Any]) -> bytes:
    return b64decode(line["path_b64"]) if "path_b64" in line else os.fsencode(line["path"])


def records(done: subprocess.CompletedProcess[bytes], kind: str = "item") -> list[dict[str, Any]]:
    assert b"Traceback" not in done.stderr
    return [line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == kind]


def files_below(folder: Path) -> set[bytes]:
    return {os.path.join(at, name) for at, _, names in os.walk(os.fsencode(folder)) for name in names}


def test_a_hostile_folder_is_taken_in_to_its_end_checked_and_exported(hostile: Path, user: User) -> None:
    before = slipped()
    done = user.dam("add-asset", "-r", hostile)
    assert done.returncode == 3, done.stderr.decode()  # a path that is too long, at the least
    outcomes = {path_of(line): line for line in records(done)}
    stored = {path.name for path in user.folder.rglob("objects/*/*")}
    assert {sha256_of(path) for path in readable_files(hostile, user)} == stored

    root = os.path.realpath(os.fsencode(hostile))
    with (hostile / "hostile.csv").open(newline="", encoding="utf-8") as listed:
        for row in csv.DictReader(listed):
            check(root + b"/" + os.fsencode(row["class"]) + b"/" + bytes.fromhex(row["name_hex"]), row, outcomes, user)
    for name, reason in LINKS_AND_OTHERS.items():
        line = outcomes[os.fsencode(hostile / "fs" / name)]
        assert (line["status"], line["reason"]) == ("skipped", reason)

    again = user.dam("add-asset", "-r", hostile)
    statuses = {path_of(line): line["status"] for line in records(again)}
    added = {path for path, line in outcomes.items() if line["status"] in ("added", "linked")}
    assert {statuses[path] for path in added} == {"known"}
    assert again.returncode == done.returncode

    (verified,) = records(user.dam("verify"), "summary")
    assert (verified["objects"], verified["damage"], verified["complete"]) == (len(stored), 0, True)
    assert all(line["error"] and line["failure"] for line in records(user.dam("failures")))
    check_export(user)
    assert slipped() == before
    import resource  # which Windows does not have

    # The largest of all processes that were started until now, workers among them; Linux counts in KiB.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10 < MEMORY


def check(path: bytes, row: dict[str, str], outcomes: dict[bytes, dict[str, Any]], user: User) -> None:
    """One row of hostile.csv; a folder, or a row that stands for many files, has no outcome of its own."""
    line = outcomes.get(path)
    if line is None:
        is_folder = os.path.lexists(path) and stat.S_ISDIR(os.lstat(path).st_mode)
        stands_for_many = b"..." in os.path.basename(path) or b"(d*200)" in path
        below_a_closed_folder = os.path.dirname(path) in outcomes
        assert is_folder or stands_for_many or below_a_closed_folder, row
    elif row["expect"] == "skip" and not is_added(path, path[: path.rindex(b"/fs/")], user):
        assert line["status"] in ("skipped", "failed"), row
        assert line["reason"], row
    else:  # root reads what others may not
        assert line["status"] in ("added", "linked"), (row, line)


def check_export(user: User) -> None:
    """Everything that was taken in comes out as it was, and nothing lands outside the folder."""
    assets = records(user.dam("ls"))
    ids = [str(line["entity_id"]) for line in assets if line["size_bytes"] < LARGE]
    digests = {
        asset["entity_id"]: component["hash_value"]
        for asset in records(user.dam("show", *ids))
        for component in asset["components"]
        if component["component"] == "ContentHashSha256Component"
    }
    assert len(digests) == len(ids)
    before, target = files_below(user.folder), user.folder / "exported"
    done = user.dam("export", *ids, target)
    assert done.returncode == 0, done.stderr.decode()
    exported = {path_of(line): line["entity_id"] for line in records(done)}
    assert files_below(user.folder) - before == set(exported)
    assert {os.path.dirname(path) for path in exported} == {os.fsencode(target)}
    assert not [path for path in exported if os.path.islink(path)]
    assert {entity_id: sha256_of(path) for path, entity_id in exported.items()} == digests


def test_files_that_change_under_us_are_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    user = User(None, tmp_path)
    with scratch() as folder:
        command = maker(folder / "files", "--big-gb", "0.001", "--many", "0", "--churn", str(MINUTES * 60))
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as churner:
            try:
                assert churner.stdout is not None
                if "entries in" not in churner.stdout.readline():
                    pytest.skip("the hostile set cannot be made here")
                for _ in range(ROUNDS):
                    check_churn(user.dam("add-asset", "-r", folder / "files" / "churn"))
                    assert churner.poll() is None
                if THOROUGH:
                    user.dam("add-asset", "-r", folder / "files")
            finally:
                churner.kill()
    for path in tmp_path.rglob("objects/*/*"):
        assert sha256_of(str(path)) == path.name
    (verified,) = records(user.dam("verify"), "summary")
    assert (verified["damage"], verified["complete"]) == (0, True)
    assert verified["objects"]


def check_churn(done: subprocess.CompletedProcess[bytes]) -> None:
    assert done.returncode in (0, 3), done.stderr.decode()
    for line in records(done):
        if line["status"] == "failed":  # what was there when the folder was listed may be gone, or another file by now
            assert line["reason"].startswith(("it changed while it was read", "No such file or directory")), line
        else:
            assert line["status"] in ("added", "linked", "known"), line

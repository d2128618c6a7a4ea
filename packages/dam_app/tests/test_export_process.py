"""``dam-cli export`` and ``dam-cli backup`` as they are installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DAM_CLI = str(Path(sys.executable).with_name("dam-cli"))


def dam(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DAM_CLI, *arguments], capture_output=True, text=True, check=False, timeout=120)


def test_assets_are_exported_and_the_database_is_backed_up_and_restored(home: Path) -> None:
    (home / "a.txt").write_text("a")
    dam("add-asset", "a.txt")
    exported = dam("--json", "export", "--all", "out", "--sidecar")
    item, summary = map(json.loads, exported.stdout.splitlines())
    assert (exported.returncode, item["status"], summary["exported"]) == (0, "exported", 1)
    assert sorted(os.listdir("out")) == ["a.txt", "a.txt.json"]
    assert dam("export", "1", "7", "out").returncode == 3
    (made,) = map(json.loads, dam("backup", "one.dambackup", "--json").stdout.splitlines())
    assert (made["world"], made["entities"]) == ("default", 1)
    database = home.parent / "home" / "default.db"
    database.rename(home / "lost.db")
    assert dam("backup", "restore", "one.dambackup").returncode == 0
    shown = dam("show", "1")
    assert (shown.returncode, dam("export", "1", "out").stdout.split("\t")[0]) == (0, "known")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["export", "out"], 2, "give either one ID or more before DEST, or --all"),
        (["export", "--all", "1", "out"], 2, "give either one ID or more before DEST, or --all"),
        (["export", "1", "2"], 2, "2 stands in the place of DEST"),
        (["export", "1", ""], 2, "has an empty name"),
        (["export", "1", "nowhere/out"], 1, "there is no folder"),
        (["backup"], 2, "FILE"),
        (["backup", "."], 1, "is a folder"),
        (["backup", "restore", "nope"], 1, "holds assets"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_user_can_do_wrong_has_its_code_and_no_traceback(
    home: Path, arguments: list[str], code: int, said: str
) -> None:
    (home / "a.txt").write_text("a")
    dam("add-asset", "a.txt")
    done = dam(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr

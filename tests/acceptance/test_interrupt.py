"""Ctrl-C during an ingest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DAM_CLI = Path(sys.executable).with_name("dam-cli")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


def start(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(DAM_CLI), *arguments],
        env={**os.environ, "DAM_HOME": str(home)}, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def read_to(process: subprocess.Popen[bytes], text: bytes) -> None:
    """Reads the process's stderr up to the line that holds the text."""
    assert process.stderr is not None
    assert any(text in line for line in process.stderr), f"it ended and never said {text!r}"


def test_the_first_ctrl_c_finishes_the_batch_and_says_how_to_go_on(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for i in range(4000):
        (tree / str(i)).write_bytes(b"%d" % i)
    process = start(tmp_path, "add-asset", "-r", str(tree))
    assert process.stdout is not None
    told = [process.stdout.readline()]
    process.send_signal(signal.SIGINT)
    told += process.stdout.read().splitlines()
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"finishing the batch in hand" in stderr
    assert b"run the same command again to continue" in stderr
    assert b"Traceback" not in stderr
    assert 0 < len(told) < 4000

    again = start(tmp_path, "--json", "add-asset", "-r", str(tree))
    stdout, _ = again.communicate(timeout=120)
    summary = json.loads(stdout.splitlines()[-1])
    assert again.returncode == 0
    assert (summary["known"], summary["added"]) == (len(told), 4000 - len(told))


def test_the_second_ctrl_c_ends_a_long_reading_at_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "0").touch()
    os.truncate(tree / "0", 1 << 42)  # sparse: the first reader is busy for hours, the second one with the others
    for i in range(1, 1500):
        (tree / str(i)).write_bytes(b"%d" % i)
    (tmp_path / "dam.toml").write_text("[worlds.default.settings.dam-fs]\nreaders = 2\n")
    process = start(tmp_path, "add-asset", "-r", "--no-copy", str(tree))
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    read_to(process, b"finishing the batch in hand")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert b"run the same command again to continue" in stderr


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for i in range(4000):
        (tree / str(i)).write_bytes(b"%d" % i)
    process = start(tmp_path, "-q", "--json", "add-asset", "-r", str(tree))
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    stderr = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=120), stderr) == (141, b"")

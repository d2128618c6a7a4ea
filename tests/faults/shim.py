"""The library of shim.c for the processes of a trial: made once, and told by variables of the environment what to do."""

from __future__ import annotations

import errno
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trials import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHANGING = "cdwtrlu"
"""Calls that change something: create, mkdir, write, resize, rename, link, unlink. The others are f: flush, o: open for writing,
O: open for reading, R: read, s: stat."""

GROWING = "cdwtrlf"
"""Those that need room. A flush may be the first to notice that there is none."""

NAMING = "cdrluoOs"
"""Those that ask for permission; whoever has a file open goes on using it."""

_HEAD = struct.Struct("<cIIQq")


@dataclass(frozen=True)
class Call:
    """A recorded call. ``first`` are the bytes written, or its path; ``second`` is the new path of a rename or a link; ``at`` is
    an offset, a length or a mode."""

    kind: str
    inode: int
    at: int
    first: bytes
    second: bytes


@cache
def library() -> Path:
    """Raises ``UnavailableError`` where it cannot be made."""
    if sys.platform != "linux":
        raise UnavailableError("calls of a process are looked at with LD_PRELOAD and /proc, which only Linux has")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise UnavailableError("there is no C compiler for shim.c; install one, as gcc")
    made = Path(tempfile.mkdtemp(prefix="dam-shim-")) / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(made), str(source), "-ldl", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"shim.c cannot be compiled here: {done.stderr[-300:]}")
    return made


def recording(log: Path, *below: Path) -> dict[str, str]:
    """Variables for a process whose changes below some folders go to a log, and with them what it writes to stdout."""
    return {**_looking_at(below), "DAM_SHIM_LOG": str(log)}


def failing(
    kinds: str, nth: int, error: int, struck: Path, *below: Path, persists: bool = False, shortens: bool = False
) -> dict[str, str]:
    """Variables for a process whose n-th call of these kinds fails, or from then on all of them; ``shortens`` lets the n-th write
    take half of its bytes first. Each failure is told in ``struck``; with 0 for ``nth`` nothing fails, and each call is told."""
    how = ("on" if persists else "once") + ("short" if shortens else "")
    return {**_looking_at(below), "DAM_SHIM_FAIL": f"{kinds} {nth} {error} {how}", "DAM_SHIM_STRUCK": str(struck)}


def switched(kinds: str, error: int, switch: Path, struck: Path, *below: Path) -> dict[str, str]:
    """Variables for a process whose calls of these kinds fail as long as the file ``switch`` exists."""
    return {**failing(kinds, -1, error, struck, *below), "DAM_SHIM_SWITCH": str(switch)}


def jumping(nth: int, seconds: int, struck: Path) -> dict[str, str]:
    """Variables for a process whose clock jumps when it is asked for the n-th time; with 0 it tells how often it was asked."""
    return {"LD_PRELOAD": str(library()), "DAM_SHIM_CLOCK": f"{nth} {seconds}", "DAM_SHIM_STRUCK": str(struck)}


def calls_in(log: Path) -> Iterator[Call]:
    data, place = log.read_bytes() if log.exists() else b"", 0
    while place < len(data):
        kind, first, second, inode, at = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        middle = place + first
        yield Call(kind.decode(), inode, at, data[place:middle], data[middle : middle + second])
        place = middle + second


def name_of(error: int) -> str:
    return errno.errorcode[error]


def _looking_at(below: Iterable[Path]) -> dict[str, str]:
    return {"LD_PRELOAD": str(library()), "DAM_SHIM_BELOW": ":".join(map(str, below))}

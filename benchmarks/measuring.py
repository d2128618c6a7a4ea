"""Taking times and memory of processes, and the lines that come out."""

import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DAM_CLI = str(Path(sysconfig.get_path("scripts")) / "dam-cli")
FILES_ALONE = {"DAM_WORLDS__DEFAULT__PLUGINS": '["dam-fs"]'}
"""For the environment: a default world that looks into no file, whatever its name and first bytes promise."""


@dataclass(frozen=True)
class Line:
    """One result: a value beside its reference. The target is for the ratio; one without a target is only quoted."""

    name: str
    unit: str
    value: float
    reference: float
    against: str
    ratio: float
    target: float | None = None
    bound: Literal["≥", "≤"] = "≥"

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.ratio >= self.target if self.bound == "≥" else self.ratio <= self.target


@dataclass(frozen=True)
class Setting:
    """Where and how thoroughly to measure."""

    folder: Path
    quick: bool

    def either(self, thorough: int, quick: int) -> int:
        return quick if self.quick else thorough


def alternately(rounds: int, candidates: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Calls each candidate in turn, ``rounds`` times after one round that is not counted; the median of what each returns."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for i in range(rounds + 1):
        for name, measure in candidates.items():
            result = measure()
            if i:
                taken[name].append(result)
    return {name: statistics.median(results) for name, results in taken.items()}


@contextmanager
def written_to(setting: Setting, template: Path | None = None) -> Iterator[Path]:
    """A new folder for what is measured to write to, or a copy of ``template``; emptied afterwards.

    Its files are cut to nothing and removed with all else at the end of the run: ext4 gives out no inode that was freed within
    the last minutes and searches past them, so removing them now would make every file that is made next cost up to 0.4 ms more.
    """
    folder = Path(tempfile.mkdtemp(dir=setting.folder)) / "home"
    if template is None:
        folder.mkdir()
    else:
        shutil.copytree(template, folder)
    try:
        yield folder
    finally:
        for parent, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(parent, name)
                os.chmod(path, 0o600)
                os.truncate(path, 0)


def environment(**more: str) -> dict[str, str]:
    """What every child gets: no settings of the caller's worlds, and bytecode that is kept as in any installation."""
    unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    kept = {key: value for key, value in os.environ.items() if key not in unwanted and not key.startswith("DAM_")}
    return {**kept, "PYTHON_COLORS": "0", **more}


def output_of(command: Sequence[str], **more: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, env=environment(**more), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def seconds_of(command: Sequence[str], **more: str) -> float:
    """Wall time of a command that must succeed, with nothing left over for the disk to write."""
    os.sync()
    began = time.perf_counter()
    output_of(command, **more)
    return time.perf_counter() - began


def peak_megabytes_of(command: Sequence[str], **more: str) -> float:
    """The peaks of all processes of a command, added: at least as much as they ever held together. Linux only."""
    peaks: dict[int, int] = {}
    with subprocess.Popen(command, env=environment(**more), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            for pid in _family(process.pid):
                peaks[pid] = max(peaks.get(pid, 0), _peak_kilobytes(pid))
            time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}")
    return sum(peaks.values()) / 1000


def _family(pid: int) -> list[int]:
    members = [pid]
    for member in members:  # grows while it is read
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                members += map(int, children.read_text().split())
            except OSError:
                continue  # the thread is gone
    return members


def _peak_kilobytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0  # it is gone, and its peak was seen before
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Prints how much of the processors' time anything but this process and its children used. Linux only, else silent."""
    before = _busy_seconds()
    yield
    after = _busy_seconds()
    if before is not None and after is not None:
        total, own, others = (now - then for now, then in zip(after, before, strict=True))
        shares = (
            f"this used {own / total:.0%} of the processors' time, others and the kernel {max(others, 0) / total:.0%}"
        )
        print(f"{name}: {shares}", file=sys.stderr)


def _busy_seconds() -> tuple[float, float, float] | None:
    """Since the start, of all processors: the time that passed, what we and our children used, and what all others used."""
    if not os.path.exists("/proc/stat"):
        return None
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    total, idle = (amount / os.sysconf("SC_CLK_TCK") for amount in (sum(ticks), ticks[3] + ticks[4]))
    own = sum(os.times()[:4])
    return total, own, total - idle - own


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]

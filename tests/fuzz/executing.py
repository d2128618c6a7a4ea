"""One target in a process of its own: inputs one after the other, each watched. Where it dies, its parent finds the last one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from mutating import Coverage, Mutator
from targets import is_ours, place_of, raised_by_us

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from targets import Target

if sys.platform != "win32":
    import resource

SECONDS = 5.0
"""Of processor time that one execution may take; of an ingest as a whole the pool has its own limits."""

GROWTH = 96 << 20
"""Bytes by which one execution may raise the memory of the process: inputs are far below 1 MB."""

ADDRESSES = 4 << 30
SHRINKING = 400  # executions to make an input smaller
SAVED = 3  # findings of one kind at one place


class TooLongError(BaseException):
    """The limit of processor time was reached."""


@dataclass
class Finding:
    """What went wrong: ``kind`` is error, promise, hang, memory or death."""

    kind: str
    place: str
    message: str
    file: str = ""


@dataclass
class Report:
    """What one process did. Times are in seconds, memory in bytes."""

    executions: int = 0
    contained: int = 0
    slowest: float = 0.0
    memory: int = 0
    busy: float = 0.0
    findings: list[Finding] = field(default_factory=list)


class Runner:
    """Executes one target; ``folder`` is its scratch."""

    def __init__(self, target: Target, folder: Path, found: Path) -> None:
        self.target = target
        self.report = Report()
        self._folder = folder
        self._found = found
        self._counts: dict[tuple[str, str], int] = {}

    def run(self, inputs: Iterator[bytes], executions: int) -> None:
        """Writes its report down as it goes: nobody says when a process will die."""
        limit_resources()
        written = 0.0
        for content in inputs:
            if self.report.executions >= executions:
                break
            (self._folder / "input").write_bytes(content)
            self.execute(content)
            if time.monotonic() - written > 0.5:
                self.write()
                written = time.monotonic()
        self.write()

    def write(self) -> None:
        temporary = self._folder / "report.new"
        temporary.write_text(json.dumps(asdict(self.report)))
        temporary.replace(self._folder / "report")

    def execute(self, content: bytes) -> None:
        before, began = peak_memory(), time.perf_counter()
        finding = self.attempt(content)
        seconds, memory = time.perf_counter() - began, peak_memory()
        report = self.report
        report.busy += seconds
        report.memory = max(report.memory, memory)
        if report.executions >= 2:  # the first ones import
            report.slowest = max(report.slowest, seconds)
            if finding is None and not self.target.foreign and memory - before > GROWTH * self.target.weight:
                finding = Finding("memory", self.target.name, f"{(memory - before) >> 20} MiB for {len(content)} bytes")
        report.executions += 1
        if finding is not None:
            self._keep(finding, content)

    def attempt(self, content: bytes) -> Finding | None:
        """What is wrong with one execution; ``None`` where nothing is."""
        work = self._folder / "work"
        work.mkdir()
        try:
            with limited(SECONDS * (1 if self.target.made is None else 60)):
                self.target.run(content, work)
        except self.target.answers:
            return None
        except TooLongError as e:
            return self._judged("hang", e)
        except AssertionError as e:
            return self._judged("promise", e)
        except Exception as e:
            return self._judged("error", e)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return None

    def _judged(self, kind: str, error: BaseException) -> Finding | None:
        if self.target.foreign and (
            kind == "hang" or isinstance(error, MemoryError) or not raised_by_us(error.__traceback__)
        ):
            self.report.contained += 1
            return None
        message = "".join(traceback.format_exception(error, limit=-6)) if kind != "hang" else "no end in sight"
        return Finding(kind, f"{place_of(error.__traceback__)} {type(error).__name__}", message[-2000:])

    def _keep(self, finding: Finding, content: bytes) -> None:
        key = (finding.kind, finding.place)
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] > SAVED:
            return
        if finding.kind in ("error", "promise") and self.target.made is None and self._counts[key] == 1:
            content = self._shrunk(content, key)
        finding.file = str(self._found / f"{self.target.name}-{finding.kind}-{abs(hash_of(content)):08x}")
        self._found.mkdir(parents=True, exist_ok=True)
        Path(finding.file).write_bytes(content)
        self.report.findings.append(finding)
        self.write()

    def _shrunk(self, content: bytes, key: tuple[str, str]) -> bytes:
        """A part of the input that does the same."""
        left, step = SHRINKING, max(len(content) // 2, 1)
        while step and left:
            at = 0
            while at < len(content) and left:
                left -= 1
                shorter = content[:at] + content[at + step :]
                again = self.attempt(shorter)
                if again is not None and (again.kind, again.place) == key:
                    content = shorter
                else:
                    at += step
            step //= 2
        return content


def hash_of(content: bytes) -> int:
    from zlib import crc32

    return crc32(content)


class limited:
    """Raises ``TooLongError`` after so much processor time, where the system tells it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        if sys.platform != "win32":
            signal.signal(signal.SIGPROF, _too_long)
            signal.setitimer(signal.ITIMER_PROF, self._seconds)

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLongError


def peak_memory() -> int:
    """Bytes that the process had at most; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def limit_resources() -> None:
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(ValueError, OSError):  # macOS refuses to limit addresses
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, resource.getrlimit(resource.RLIMIT_AS)[1]))


def inputs_of(
    target: Target, chance: int, folder: Path, coverage: Coverage | None, *, seeds_first: bool = True
) -> Iterator[bytes]:
    """The seeds as they are, then what is made of them."""
    if target.made is not None:
        yield from target.made(chance, folder)
    found = target.seeds(folder)
    if seeds_first:
        for seed in found:
            yield seed[: target.longest]
    mutator = Mutator(Random(f"{target.name} {chance}"), found, target.longest)
    while True:
        content = next(mutator)
        yield content
        if coverage is not None and coverage.has_grown():
            mutator.learn(content)


def main() -> None:
    """Arguments: target, executions, seed of chance, scratch folder, folder of findings, folder of seeds."""
    from catalogue import TARGETS

    name, executions, chance, scratch, found, corpus = sys.argv[1:]
    os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = (
        scratch  # no dam.toml of the user
    )
    os.chdir(scratch)
    target = TARGETS[name]
    runner = Runner(target, Path(scratch), Path(found))
    inputs = inputs_of(target, int(chance), Path(corpus), Coverage(is_ours), seeds_first=int(chance) >= 0)
    runner.run(inputs, int(executions))


if __name__ == "__main__":
    main()

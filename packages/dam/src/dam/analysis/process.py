"""One worker process as its parent sees it, and the thread that ends those which are late."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, NoReturn

from dam.analysis.facts import load_facts
from dam.analysis.jobs import Compute, Failure, Found, Job, Limits
from dam.analysis.wire import packed
from dam.analysis.worker import ERROR, FACTS, FACTS_BYTES, HEADER, LENGTH, MEMORY, READY, TEXT_LENGTH
from dam.core.exceptions import WorkerStartError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dam.analysis.worker import WireJob, WireLimits

START_SECONDS = 30.0  # for the interpreter to start, and for the import of each compute

# Not `multiprocessing`: it would import the caller's `__main__` in every worker.
BOOTSTRAP = """
import os, sys
requests, answers = open(os.dup(0), "rb"), open(os.dup(1), "wb")
sys.path[:] = requests.read(int(requests.readline())).decode("utf-8", "surrogatepass").split("\\0")
from dam.analysis.worker import serve
serve(requests, answers)
"""

# The pool is the parallelism; threads of numeric libraries would also reserve address space, which is limited.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class WorkerEndedError(Exception):
    """The process is gone, for the reason in `failure`.

    `charged` says that the compute it was busy with is to blame: it ran out of time, or the process had done nothing
    before. Memory that is short or corrupted may be the doing of an earlier file: then try again in a new process.
    """

    def __init__(self, failure: Failure, *, charged: bool) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.charged = charged


class WorkerProcess:
    """Spoken to by one thread at a time; only `kill` may come from any."""

    def __init__(self, limits: Limits, watchdog: Watchdog) -> None:
        self.deadline = math.inf  # the watchdog's, as `late` is
        self.late = False
        self._limits = limits
        self._watchdog = watchdog
        self._ready = False
        self._answered = False
        self._imported: set[str] = set()
        self._process = spawn()
        self._requests, self._answers, self._errors = pipes(self._process)
        watchdog.add(self)
        wire_limits: WireLimits = (limits.wall_seconds, limits.cpu_seconds, limits.memory_bytes, START_SECONDS)
        path = "\0".join(map(os.path.abspath, sys.path)).encode("utf-8", "surrogatepass")
        with suppress(OSError):  # it has ended already: reading its answer will say why
            self._write(b"%d\n%b" % (len(path), path))
            self._write(framed(wire_limits))

    def send(self, jobs: Iterable[WireJob]) -> None:
        """Asks for all the computes of `jobs`, to be read by one `answer` each, in order."""
        message = framed(list(jobs))
        self._watchdog.arm(self, START_SECONDS)
        try:
            if not self._ready:
                self._await_ready()
            self._write(message)
        except OSError:
            self._raise_ended(f"time limit of {START_SECONDS:g} s to take a message")
        finally:
            self._watchdog.disarm(self)

    def answer(self, compute: Compute) -> Found:
        if compute.function not in self._imported:
            self._read(START_SECONDS, f"time limit of {START_SECONDS:g} s for the import of {compute.function}")
            self._imported.add(compute.function)
        seconds = self._limits.wall_seconds
        tag, body = self._read(seconds, f"time limit of {seconds:g} s")
        if tag == MEMORY:
            self.end()  # its heap is fragmented
            raise WorkerEndedError(
                Failure("limit", f"memory limit of {binary_size(self._limits.memory_bytes)}"),
                charged=not self._answered,
            )
        self._answered = True
        return found(tag, body, compute.function)

    def kill(self) -> None:
        """Ends the process and what it started; whoever reads its answers meets the end of file."""
        if self._process.returncode is not None:
            return
        if sys.platform == "win32":
            self._process.kill()
        else:
            # macOS answers EPERM for a group in which everybody is dead.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        self.kill()
        self._process.wait()
        self._watchdog.remove(self)
        for pipe in (self._requests, self._answers, self._errors):
            with suppress(OSError):  # what could not be written
                pipe.close()

    def _await_ready(self) -> None:
        for line in self._answers:  # a site customisation may have printed lines before
            if line == READY:
                self._ready = True
                self._errors.close()
                return
        self.kill()
        errors = self._errors.read().decode("utf-8", "backslashreplace")
        self.end()
        cause = exit_cause(self._process.returncode)
        reason = f"it was not ready within {START_SECONDS:g} s" if self.late else f"it ended with {cause}"
        raise WorkerStartError(
            f"A worker process did not start: {reason}. {sys.executable} has to be able to import dam.analysis.worker "
            f"with the module search path of this process. It wrote:\n{errors}"
        )

    def _write(self, message: bytes) -> None:
        self._requests.write(message)
        self._requests.flush()

    def _read(self, seconds: float, limit: str) -> tuple[bytes, bytes]:
        self._watchdog.arm(self, seconds)
        try:
            header = self._answers.read(HEADER.size)
            if len(header) == HEADER.size:
                tag, length = HEADER.unpack(header)
                if length <= FACTS_BYTES and len(body := self._answers.read(length)) == length:
                    return tag, body
            self._raise_ended(limit)
        finally:
            self._watchdog.disarm(self)

    def _raise_ended(self, limit: str) -> NoReturn:
        """Charges `limit` when the process was killed because its time was over."""
        self.end()
        cause = exit_cause(self._process.returncode)
        if self.late or cause == "SIGALRM":
            failure = Failure("limit", limit)
        elif cause == "SIGXCPU":
            failure = Failure("limit", f"CPU limit of {self._limits.cpu_seconds:g} s")
        else:
            failure = Failure("crash", f"the analysis process ended with {cause}")
        raise WorkerEndedError(failure, charged=failure.kind == "limit" or not self._answered) from None


class Watchdog:
    """Kills the workers that are late: one thread, asleep until the earliest deadline, for all of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._workers: set[WorkerProcess] = set()
        self._wakes = math.inf
        self._ended = False
        self._thread = threading.Thread(target=self._watch, name="dam-analysis-watchdog", daemon=True)

    def add(self, worker: WorkerProcess) -> None:
        with self._changed:
            if self._thread.ident is None:
                self._thread.start()
            self._workers.add(worker)

    def remove(self, worker: WorkerProcess) -> None:
        with self._changed:
            self._workers.discard(worker)

    def arm(self, worker: WorkerProcess, seconds: float) -> None:
        with self._changed:
            worker.deadline = time.monotonic() + seconds
            worker.late = False
            if worker.deadline < self._wakes:
                self._changed.notify()

    def disarm(self, worker: WorkerProcess) -> None:
        with self._changed:
            worker.deadline = math.inf

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while not self._ended:
                self._wakes = min((worker.deadline for worker in self._workers), default=math.inf)
                pause = self._wakes - time.monotonic()
                self._changed.wait(None if pause == math.inf else pause)
                self._kill_late(time.monotonic())

    def _kill_late(self, now: float) -> None:
        overslept = now - self._wakes
        for worker in self._workers:
            if overslept > 1:  # this process was stopped (Ctrl-Z), and answers may be waiting to be read
                worker.deadline += overslept
            elif worker.deadline <= now:
                worker.late = True
                worker.deadline = math.inf
                worker.kill()


def spawn() -> subprocess.Popen[bytes]:
    """In a session of its own: the terminal's Ctrl-C does not reach it, and what it starts can be killed with it."""
    command = [sys.executable, "-I", "-X", f"utf8={sys.flags.utf8_mode}", "-c", BOOTSTRAP]
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ONE_THREAD, **os.environ},
            start_new_session=True,
            creationflags=flags,
        )
    except (OSError, ValueError) as error:
        raise WorkerStartError(
            f"A worker process did not start: {sys.executable!r} cannot be run ({error}). sys.executable has to name "
            f"the Python interpreter"
        ) from error


def pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdin, process.stdout, process.stderr


def wire(job: Job) -> WireJob:
    """The parameters are packed on their own, so that one which the worker cannot load is its compute's error."""
    calls = tuple((compute.function, parameters_of(compute)) for compute in job.computes)
    return job.path, job.size, job.media_type, job.shown, calls


def framed(value: object) -> bytes:
    message = packed(value)
    return LENGTH.pack(len(message)) + message


def parameters_of(compute: Compute) -> bytes:
    if not compute.parameters:
        return b""
    try:
        return packed(dict(compute.parameters))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"The parameters of {compute.function!r} cannot be sent to a worker: {error}. They are "
            f"{compute.parameters}; use plain values"
        ) from error


def found(tag: bytes, body: bytes, function: str) -> Found:
    if tag == FACTS:
        try:
            return load_facts(body, function)
        except Exception as error:  # noqa: BLE001 - hostile bytes raise anything, and it is this compute's failure
            text = f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode()
    else:
        text = body.decode("utf-8", "backslashreplace") if tag == ERROR else f"the worker answered {tag!r}"
    return Failure(
        "error", text.replace("\0", "\\x00")[:TEXT_LENGTH]
    )  # databases take neither NUL nor half a character


def exit_cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def binary_size(count: int) -> str:
    unit, name = (1 << 30, "GiB") if count >= 1 << 30 else (1 << 20, "MiB")
    return f"{count / unit:g} {name}"

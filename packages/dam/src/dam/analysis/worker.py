"""What runs in a worker process. Every import here is paid by every worker: no `typing`, no `dataclasses`.

The parent sends its limits, and then messages, each a list of jobs; the length of each goes before it. The worker
answers for each compute on its own, in order, so that one which loops or kills is charged alone. An answer is a header
(tag and length) and a body. Values are written as `dam.analysis.wire` says. The first use of a function is
answered by `LOADED` before its proper answer: imports have their own time.
"""

from __future__ import annotations

import math
import os
import re
import signal
import struct
import sys
import time
from contextlib import suppress
from importlib import import_module

from dam.analysis.blob import Blob
from dam.analysis.facts import load_facts
from dam.analysis.wire import READERS, packed, unpacked

if sys.platform != "win32":
    import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO, NoReturn

    Call = tuple[str, bytes]  # "module:function" and its packed parameters, empty for none
    WireJob = tuple[str, int, str, str, tuple[Call, ...]]  # path, size, media type, shown, calls
    WireLimits = tuple[float, float, int, float]  # wall seconds, CPU seconds, bytes, seconds for an import

READY = b"dam worker ready\n"
LENGTH = struct.Struct("<I")
HEADER = struct.Struct("<cI")
LOADED, FACTS, ERROR, MEMORY = b"L", b"F", b"E", b"M"

FACTS_BYTES = 64 << 20
TEXT_LENGTH = 500
ALARM_SLACK = 1.0  # the parent's deadline comes first; the alarm is for a worker whose parent is gone


def serve(requests: BinaryIO, answers: BinaryIO) -> NoReturn:
    limits: WireLimits = message(requests)
    wall_seconds, cpu_seconds, memory_bytes, import_seconds = limits
    set_signals()
    limit_memory(memory_bytes)
    answers.write(b"\n" + READY)  # after a line end: site customisation may have printed
    answers.flush()
    silence()
    worker = Worker(answers, wall_seconds, cpu_seconds, import_seconds)
    try:
        while True:
            jobs: list[WireJob] = message(requests)
            for job in jobs:
                worker.analyse(job)
    finally:  # the end of file, or a parent that does not read; at once: a compute may have left a thread
        os._exit(1)


def message(requests: BinaryIO) -> Any:
    """The parent made it: it is of the type that is expected, or not there."""
    (length,) = LENGTH.unpack(requests.read(LENGTH.size))
    return unpacked(requests.read(length), READERS)


def silence() -> None:
    """Points 0, 1 and 2 at nothing: what analyzers and C libraries print must not meet the protocol."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def set_signals() -> None:
    """Makes the limits deadly whatever the parent ignored or blocked (both are inherited), and Ctrl-C harmless."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when a batch ends
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def limit_memory(memory_bytes: int) -> None:
    """Limits address space and forbids core files.

    No RLIMIT_FSIZE: zero would also keep Python from caching the bytecode of what it imports, and a limit for each file
    keeps nobody from writing many.
    """
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most = within_hard_limit(memory_bytes, resource.RLIMIT_AS)
        try:
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        except (ValueError, OSError):
            if sys.platform != "darwin":  # which refuses to limit address space; the other limits hold
                raise


if sys.platform != "win32":

    def within_hard_limit(wanted: int, kind: int) -> int:
        hard = resource.getrlimit(kind)[1]
        return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


class Worker:
    def __init__(self, answers: BinaryIO, wall_seconds: float, cpu_seconds: float, import_seconds: float) -> None:
        self._answers = answers
        self._wall_seconds = wall_seconds
        self._cpu_seconds = cpu_seconds
        self._import_seconds = import_seconds
        self._functions: dict[str, Callable[..., object]] = {}

    def analyse(self, job: WireJob) -> None:
        path, size, media_type, shown, calls = job
        blob = Blob(path, size, media_type)
        for name, parameters in calls:
            if name not in self._functions:
                self._import(name)
            self._allow(self._wall_seconds, self._cpu_seconds)
            tag, body = attempt(name, self._functions[name], blob, parameters, shown)
            self._answer(tag, body)
        with suppress(Exception):  # a view that cannot be closed goes with the process, at the latest
            blob.close()

    def _import(self, name: str) -> None:
        self._allow(self._import_seconds, self._import_seconds)
        self._functions[name] = load(name)
        self._answer(LOADED)

    def _answer(self, tag: bytes, body: bytes = b"") -> None:
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, 0)  # a stopped parent may read later
        self._answers.write(HEADER.pack(tag, len(body)))
        self._answers.write(body)
        self._answers.flush()

    def _allow(self, wall_seconds: float, cpu_seconds: float) -> None:
        """Has the kernel end this process when what follows loops or hangs, even if the parent is gone."""
        if sys.platform != "win32":
            most = within_hard_limit(math.ceil(time.process_time() + cpu_seconds), resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
            signal.setitimer(signal.ITIMER_REAL, wall_seconds + ALARM_SLACK)


def load(name: str) -> Callable[..., object]:
    """The function, or one that raises what its import raised: importing is tried once in a worker."""
    module, _, function = name.partition(":")
    try:
        loaded: Callable[..., object] = getattr(import_module(module), function)
    except BaseException as error:  # noqa: BLE001 - module code may raise anything, and it is an error of its computes
        return raising(error)
    return loaded


def raising(error: BaseException) -> Callable[..., object]:
    def function(*_: object, **__: object) -> NoReturn:
        raise error.with_traceback(None)

    return function


def attempt(
    name: str, function: Callable[..., object], blob: Blob, parameters: bytes, shown: str
) -> tuple[bytes, bytes]:
    """The tag and body of the answer."""
    try:
        named: Any = load_facts(parameters, name) if parameters else {}
        facts = packed(function(blob, **named))
    except MemoryError:
        return MEMORY, b""
    except BaseException as error:  # noqa: BLE001 - SystemExit too: nothing a plugin raises is the worker's affair
        return ERROR, describe(error, blob.path, shown).encode("utf-8", "backslashreplace")
    if len(facts) > FACTS_BYTES:
        return ERROR, f"ValueError: {len(facts)} bytes of facts; a compute may return {FACTS_BYTES}".encode()
    return FACTS, facts


def describe(error: BaseException, path: str, shown: str) -> str:
    """`Type: text`, free of what differs between two runs: the path of a temporary and addresses of objects."""
    try:
        text = str(error)
    except BaseException as second:  # noqa: BLE001 - a plugin's __str__
        text = f"(no text: {type(second).__name__})"
    for written in (path, repr(path)[1:-1], repr(os.fsencode(path))[2:-1]):
        text = text.replace(written, shown)
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return f"{type(error).__name__}: {text}"[:TEXT_LENGTH]

from __future__ import annotations

import asyncio
import datetime
import decimal
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import msgpack
import pytest

from dam.analysis.blob import Blob
from dam.analysis.jobs import Compute, Failure, Job, Limits
from dam.analysis.pool import PoolClosedError, WorkerPool, WorkerStartError
from dam.analysis.process import found
from dam.analysis.ref import ref
from dam.analysis.worker import FACTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HERE = os.path.dirname(os.path.abspath(__file__))
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows the wall limit alone")

PATIENT = Limits(wall_seconds=60, cpu_seconds=60, memory_bytes=512 << 20)
HASTY = Limits(wall_seconds=0.5, cpu_seconds=60, memory_bytes=512 << 20)
BUSY = Limits(wall_seconds=60, cpu_seconds=0.2, memory_bytes=512 << 20)


@pytest.fixture(autouse=True)
def computes_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "temporary"
    path.write_bytes(b"content")
    return str(path)


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


def job(path: str, *names: str) -> Job:
    return Job(path, 7, "text/plain", tuple(Compute(f"hostile_computes:{name}") for name in names), "the file")


async def run(jobs: Sequence[Job], limits: Limits = PATIENT, count: int = 1) -> list[list[object]]:
    async with WorkerPool(count, limits) as pool:
        return await pool.run(jobs)


async def process_of(pool: WorkerPool, file: str) -> int:
    [[found]] = await pool.run([job(file, "process_and_session")])
    return cast("tuple[int, int]", found)[0]


async def test_answers_come_in_the_order_of_files_and_computes(tmp_path: Path) -> None:
    jobs: list[Job] = []
    for number in range(50):
        path = tmp_path / str(number)
        path.write_bytes(str(number).encode())
        jobs.append(job(str(path), "content", "size") if number % 5 else job(str(path)))
    assert await run(jobs, count=3) == [[str(n).encode(), (7, 10)] if n % 5 else [] for n in range(50)]


async def test_nothing_to_compute_starts_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert await run([job("/nowhere"), job("/nowhere")]) == [[], []]


async def test_parameters_are_keywords(file: str) -> None:
    compute = Compute("hostile_computes:scaled", (("factor", 3), ("unit", " m")))
    assert await run([Job(file, 7, "", (compute,), "")]) == [["21 m"]]


async def test_views_are_shared_among_the_computes_of_one_file(file: str) -> None:
    first, second = await run([job(file, "shared_view", "shared_view"), job(file, "shared_view")])
    assert first[0] == first[1] != second[0]


async def test_facts_may_be_data_of_many_kinds(file: str) -> None:
    [[found]] = await run([job(file, "rich")])
    assert type(found).__name__ == "Rich"
    noon = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    size, lens, colour, *rest, _ = vars(found).values()
    assert (size, lens, colour.value, rest) == ((7, 1), ("long",), "red", [noon, decimal.Decimal("1.50")])


async def test_a_name_that_is_not_utf_8_reaches_the_compute(file: str, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")
    os.rename(file, path)
    assert await run([job(path, "content")]) == [[b"content"]]


MISDEEDS = [
    pytest.param("loops", BUSY, Failure("limit", "CPU limit of 0.2 s"), marks=posix),
    ("hangs", HASTY, Failure("limit", "time limit of 0.5 s")),
    pytest.param("hangs_with_the_lock_of_the_interpreter", HASTY, Failure("limit", "time limit of 0.5 s"), marks=posix),
    pytest.param("segfaults", PATIENT, Failure("crash", "the analysis process ended with SIGSEGV"), marks=posix),
    pytest.param("aborts", PATIENT, Failure("crash", "the analysis process ended with SIGABRT"), marks=posix),
    ("leaves", PATIENT, Failure("crash", "the analysis process ended with exit code 0")),
    pytest.param("forks", HASTY, Failure("limit", "time limit of 0.5 s"), marks=posix),
    pytest.param("closes_everything", PATIENT, Failure("crash", "the analysis process ended with "), marks=posix),
    pytest.param("eats_memory", PATIENT, Failure("limit", "memory limit of 512 MiB"), marks=posix),
    pytest.param("asks_for_all_memory", PATIENT, Failure("limit", "memory limit of 512 MiB"), marks=posix),
    ("is_a_lock", PATIENT, Failure("error", "TypeError: cannot send _thread.lock; plain values cross over, and ")),
    ("is_no_data", PATIENT, Failure("error", "TypeError: cannot send hostile_computes.Opaque; plain values ")),
    ("is_a_bomb", PATIENT, Failure("error", "TypeError: cannot send hostile_computes.Bomb; plain values ")),
    ("is_huge", PATIENT, Failure("error", "ValueError: 73400")),
    (
        "names_its_file",
        PATIENT,
        Failure("error", "ValueError: no picture in the file or 'the file' or b'the file'"),
    ),
    (
        "names_an_address",
        PATIENT,
        Failure("error", "ValueError: cannot read <object object> nor <function lines_read> nor 'the file'"),
    ),
    ("says_too_much", PATIENT, Failure("error", "ValueError: \\x00\\udcffxxx")),
    ("recurses", PATIENT, Failure("error", "RecursionError: maximum recursion depth exceeded")),
    ("exits", PATIENT, Failure("error", "SystemExit: good bye")),
    ("interrupts", PATIENT, Failure("error", "KeyboardInterrupt: ")),
    ("is_missing", PATIENT, Failure("error", "AttributeError: module 'hostile_computes' has no attribute ")),
]


@pytest.mark.parametrize(("name", "limits", "expected"), MISDEEDS)
async def test_a_misdeed_is_charged_alone(file: str, name: str, limits: Limits, expected: Failure) -> None:
    good: list[object] = [b"content", (7, 10)]
    jobs = [job(file, "content", "size"), job(file, "content", name, "size"), job(file, "content", "size")]
    before, [first, failure, last], after = await run(jobs, limits)
    assert (before, [first, last], after) == (good, good, good)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.message[: len(expected.message)]) == expected
    assert len(failure.message) <= 500


async def test_a_module_that_cannot_be_imported_is_the_error_of_its_computes(file: str) -> None:
    computes = (Compute("nowhere_at_all:f"), Compute("hostile_computes:content"), Compute("nowhere_at_all:f"))
    missing = Failure("error", "ModuleNotFoundError: No module named 'nowhere_at_all'")
    assert await run([Job(file, 7, "", computes, "")]) == [[missing, b"content", missing]]


async def test_a_file_that_is_gone_is_named_as_shown(file: str) -> None:
    [[failure]] = await run([job(file, "opens_what_is_gone")])
    assert failure == Failure("error", "FileNotFoundError: [Errno 2] No such file or directory: 'the file'")


async def test_printing_and_reading_meet_nothing(file: str) -> None:
    assert await run([job(file, "prints", "content")]) == [["read ''", b"content"]]


async def test_all_of_a_batch_may_misbehave(file: str) -> None:
    found = await run([job(file, "leaves")] * 20, count=2)
    assert found == [[Failure("crash", "the analysis process ended with exit code 0")]] * 20


@posix
async def test_a_crash_that_an_earlier_file_prepared_is_not_charged(file: str) -> None:
    assert await run([job(file, "touches"), job(file, "needs_an_untouched_process")]) == [[True], ["fine"]]


@posix
async def test_a_worker_that_ran_out_of_memory_is_replaced(file: str) -> None:
    async with WorkerPool(1, PATIENT) as pool:
        before = await process_of(pool, file)
        await pool.run([job(file, "asks_for_all_memory")])
        assert await process_of(pool, file) != before


async def test_a_worker_goes_on_after_an_exception(file: str) -> None:
    async with WorkerPool(1, PATIENT) as pool:
        before = await process_of(pool, file)
        await pool.run([job(file, "exits", "recurses")])
        assert await process_of(pool, file) == before


@posix
async def test_a_worker_that_died_between_messages_is_replaced(file: str) -> None:
    async with WorkerPool(1, PATIENT) as pool:
        os.kill(await process_of(pool, file), signal.SIGKILL)
        assert await pool.run([job(file, "content")]) == [[b"content"]]


@posix
async def test_ctrl_c_is_not_for_workers(file: str) -> None:
    async with WorkerPool(1, PATIENT) as pool:
        [[found]] = await pool.run([job(file, "process_and_session")])
        worker, session = cast("tuple[int, int]", found)
        os.kill(worker, signal.SIGINT)
        assert session != os.getsid(0)
        assert await process_of(pool, file) == worker


async def test_runs_share_the_workers(file: str) -> None:
    async with WorkerPool(2, PATIENT) as pool:
        found = await asyncio.gather(*(pool.run([job(file, "process_and_session")] * 3) for _ in range(20)))
    assert len({answer for run in found for [answer] in run}) <= 2


async def test_the_first_worker_can_be_started_early(file: str) -> None:
    async with WorkerPool(4, PATIENT) as pool:
        pool.start()
        pool.start()
        [started] = pool._idle
        assert await process_of(pool, file) == started._process.pid


def test_a_pool_outlives_its_event_loop(file: str) -> None:
    pool = WorkerPool(1, PATIENT)
    first = asyncio.run(process_of(pool, file))
    assert asyncio.run(process_of(pool, file)) == first
    pool.kill()


@posix
async def test_a_cancelled_run_ends_its_worker_and_the_pool_goes_on(file: str, fifo: str) -> None:
    async with WorkerPool(1, PATIENT) as pool:
        running = asyncio.create_task(pool.run([job(fifo, "announces_and_hangs")] + [job(file, "leaves")] * 50))
        with await asyncio.to_thread(open, fifo) as announced:
            await asyncio.to_thread(announced.readline)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert await asyncio.to_thread(announced.read) == ""
        assert await pool.run([job(file, "content")]) == [[b"content"]]


@posix
async def test_closing_ends_workers_that_are_busy(fifo: str) -> None:
    pool = WorkerPool(1, PATIENT)
    running = asyncio.create_task(pool.run([job(fifo, "announces_and_hangs")]))
    with await asyncio.to_thread(open, fifo) as announced:
        await asyncio.to_thread(announced.readline)
        await pool.close()
        assert announced.read() == ""
    with pytest.raises(PoolClosedError):
        await running


@posix
async def test_closing_ends_workers_that_are_idle(fifo: str) -> None:
    pool = WorkerPool(1, PATIENT)
    answer = asyncio.create_task(pool.run([job(fifo, "announces", "leaves_a_thread")]))
    with await asyncio.to_thread(open, fifo) as announced:
        await answer
        await pool.close()
        announced.readline()
        assert announced.read() == ""


async def test_closing_twice_is_closing(file: str) -> None:
    pool = WorkerPool(1, PATIENT)
    pool.start()
    await pool.close()
    await pool.close()
    with pytest.raises(PoolClosedError):
        await pool.run([job(file, "content")])
    with pytest.raises(PoolClosedError):
        pool.start()


PARENT = """
import asyncio, sys
from dam.analysis.jobs import *
from dam.analysis.pool import WorkerPool
pool = WorkerPool(1, Limits(wall_seconds=0.2))
pool.start()
pool._watchdog.arm = lambda worker, seconds: None  # so that only the kernel's alarm can end the worker
computes = tuple(Compute(f"hostile_computes:{name}") for name in sys.argv[2:])
asyncio.run(pool.run([Job(sys.argv[1], 0, "", computes, "")]))
sys.stdin.read()
"""


@posix
@pytest.mark.parametrize("names", [["announces_and_hangs"], ["announces", "leaves_a_thread"]])
def test_a_worker_ends_when_its_parent_was_killed(fifo: str, names: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PARENT, fifo, *names]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as parent, open(fifo) as announced:
        announced.readline()
        parent.kill()
        assert announced.read() == ""


async def test_a_worker_that_cannot_start_is_an_error_with_its_output(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_dam = [entry for entry in sys.path if not os.path.exists(os.path.join(entry, "dam"))]
    monkeypatch.setattr(sys, "path", without_dam)
    with pytest.raises(WorkerStartError, match="ModuleNotFoundError: No module named 'dam'"):
        await run([job(file, "content")] * 40, count=2)


async def test_an_interpreter_that_is_missing_is_an_error(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkerStartError, match="'/nowhere/python' cannot be run"):
        await run([job(file, "content")])


async def test_parameters_that_cannot_be_sent_are_the_callers_mistake(file: str) -> None:
    async with WorkerPool(1, PATIENT) as pool:
        compute = Compute("hostile_computes:content", (("factor", lambda: None),))
        with pytest.raises(TypeError, match="parameters of 'hostile_computes:content' cannot be sent"):
            await pool.run([Job(file, 7, "", (compute,), "")])
        assert await pool.run([job(file, "content")]) == [[b"content"]]


def test_a_pool_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"count=0"):
        WorkerPool(0)


@pytest.mark.parametrize("name", ["", "module", "module:", ":function", "a:b:c", "a b:c", "a..b:c", "a:b.c"])
def test_a_ref_that_names_no_function_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no function"):
        ref(name)


def test_a_ref_loads_its_function() -> None:
    assert ref("os.path:basename").load() is os.path.basename


def test_a_blob_is_opened_and_shown(file: str) -> None:
    blob = Blob(file, 7, "text/plain")
    with blob.open() as stream:
        assert stream.read() == b"content"
    assert blob.head(3) == b"con"
    assert repr(blob) == f"Blob({file!r}, 7, 'text/plain')"


@pytest.mark.parametrize("name", ["os:\0", "os:\udcff"])
def test_what_a_worker_says_is_a_failure_that_every_database_takes(name: str) -> None:
    body: object = msgpack.packb([name], unicode_errors="surrogatepass")
    assert isinstance(body, bytes)
    told = found(FACTS, body, "hostile_computes:content")
    assert isinstance(told, Failure)
    assert told.message.startswith(("TypeError: the facts hold os.", "UnicodeDecodeError: "))
    assert told.message.encode("utf-8")
    assert "\0" not in told.message

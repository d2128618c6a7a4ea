"""Computes of untrusted files in worker processes that can be killed."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from dam.analysis.jobs import Failure, Found, Job, Limits
from dam.analysis.process import Watchdog, WorkerEndedError, WorkerProcess, wire
from dam.core.exceptions import PoolClosedError, WorkerStartError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

__all__ = ["Failure", "Job", "Limits", "PoolClosedError", "WorkerPool", "WorkerStartError"]

MESSAGE_FILES = 16  # a longer message keeps one worker busy with files that others could have


class WorkerPool:
    """At most `count` worker processes (one for each CPU unless told), started when they are needed.

    It belongs to no event loop, and any number of `run`s share it.
    """

    def __init__(self, count: int | None = None, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        if count is not None and count < 1:
            raise ValueError(f"WorkerPool(count={count}) could run nothing; the least is 1, the default one per CPU")
        self._count = count or os.cpu_count() or 1
        self._limits = limits
        self._watchdog = Watchdog()
        self._threads = ThreadPoolExecutor(self._count, "dam-analysis")  # one for each busy worker
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._running: set[Exchange] = set()
        self._closed = False

    def start(self) -> None:
        """Starts the first worker, if there is none, and does not wait until it is ready."""
        with self._lock:
            self._refuse_if_closed()
            if not self._idle and not self._running:
                self._idle.append(WorkerProcess(self._limits, self._watchdog))

    async def run(self, jobs: Sequence[Job]) -> list[list[Found]]:
        """What the computes found, in the order of `jobs` and their `computes`; a `Failure` instead of facts.

        Files are charged alone: one that kills its worker costs the others a new worker and nothing else. Raises
        `WorkerStartError` when there can be no worker.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            self._refuse_if_closed()
            exchanges = [Exchange(self, message) for message in self._messages(jobs)]
            self._running.update(exchanges)
            answering = [loop.run_in_executor(self._threads, exchange.run) for exchange in exchanges]
        try:
            answers = await asyncio.gather(*answering)
        except BaseException:
            for exchange in exchanges:
                exchange.abandon()
            raise
        finally:
            with self._lock:
                self._running.difference_update(exchanges)
        in_order = iter([found for answer in answers for found in answer])
        return [next(in_order) if job.computes else [] for job in jobs]

    async def close(self) -> None:
        await asyncio.to_thread(self.kill)

    def kill(self) -> None:
        """Ends the workers now, from any thread; runs under way raise `PoolClosedError`."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            running = list(self._running)
        for exchange in running:
            exchange.abandon()
        for worker in idle:
            worker.end()
        self._threads.shutdown()
        self._watchdog.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def take(self, *, new: bool) -> WorkerProcess:
        """For an exchange. There are as many threads as there may be workers, so a missing one may be started."""
        with self._lock:
            if self._idle and not new:
                return self._idle.pop()
        return WorkerProcess(self._limits, self._watchdog)

    def give_back(self, worker: WorkerProcess) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
                return
        worker.end()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise PoolClosedError("This WorkerPool is closed: its workers are gone; make a new one")

    def _messages(self, jobs: Sequence[Job]) -> list[list[Job]]:
        """Few jobs are spread over the workers, many come in full messages."""
        wanted = [job for job in jobs if job.computes]
        size = min(MESSAGE_FILES, -(-len(wanted) // self._count))
        return [wanted[start : start + size] for start in range(0, len(wanted), size or 1)]


class Exchange:
    """One message and its answers, through as many workers as it takes."""

    def __init__(self, pool: WorkerPool, jobs: list[Job]) -> None:
        self._pool = pool
        self._jobs = jobs
        self._found: list[list[Found]] = [[] for _ in jobs]
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._abandoned = False

    def run(self) -> list[list[Found]]:
        """In a thread of the pool."""
        new = False
        while rest := self._unanswered():
            self._refuse_if_abandoned()
            new = not self._ask(rest, new=new)
        return self._found

    def abandon(self) -> None:
        """Kills the worker, whose next answers nobody would read."""
        with self._lock:
            self._abandoned = True
            if self._worker is not None:
                self._worker.kill()

    def _unanswered(self) -> list[tuple[Job, list[Found]]]:
        """Each file with the computes that lack an answer, and the list to which their answers go."""
        return [
            (job._replace(computes=job.computes[len(found) :]), found)
            for job, found in zip(self._jobs, self._found, strict=True)
            if len(found) < len(job.computes)
        ]

    def _ask(self, rest: list[tuple[Job, list[Found]]], *, new: bool) -> bool:
        """Whether there was progress: without, only a new worker can tell who is to blame."""
        message = [wire(job) for job, _ in rest]
        worker = self._pool.take(new=new)
        self._hold(worker)
        try:
            worker.send(message)
            for job, found in rest:
                for compute in job.computes:
                    found.append(worker.answer(compute))
        except WorkerEndedError as ended:
            self._refuse_if_abandoned()
            if ended.charged:
                self._unanswered()[0][1].append(ended.failure)
            return ended.charged
        except BaseException:
            worker.end()
            self._refuse_if_abandoned()
            raise
        finally:
            self._hold(None)
        self._pool.give_back(worker)
        return True

    def _hold(self, worker: WorkerProcess | None) -> None:
        with self._lock:
            self._worker = worker
            if worker is not None and self._abandoned:
                worker.kill()

    def _refuse_if_abandoned(self) -> None:
        if self._abandoned:
            raise PoolClosedError("This WorkerPool was closed while it ran: close it after its runs")

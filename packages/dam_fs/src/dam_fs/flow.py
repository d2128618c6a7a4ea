"""Bounded pipelines of asynchronous work."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


def chunks(source: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size``."""
    part: list[T] = []
    for each in source:
        part.append(each)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


async def batched(
    source: AsyncGenerator[list[T], None], size: int, weight: Callable[[T], int], heaviest: int
) -> AsyncGenerator[list[T], None]:
    """Collects parts until there are ``size`` items, or until they weigh ``heaviest`` together.

    An empty part comes out as an empty batch at once: a sign of life from above. Leaving it closes the source.
    """
    batch: list[T] = []
    load = 0
    async with aclosing(source):
        async for part in source:
            batch += part
            load += sum(map(weight, part))
            if len(batch) >= size or load >= heaviest:
                yield batch
                batch, load = [], 0
            elif not part:
                yield []
        if batch:
            yield batch


async def spread(
    source: AsyncGenerator[T, None], work: Callable[[T], Awaitable[U]], width: int
) -> AsyncGenerator[U, None]:
    """``work`` over ``source`` with at most ``width`` under way; results as they come.

    It is pulled: nothing starts before somebody wants the result, so every stage of a pipeline is bounded. A failure is
    raised after the results that are there. Leaving it closes the source, and cancels what is under way.
    """
    running: set[asyncio.Future[U]] = set()
    try:
        async with aclosing(source):
            async for each in source:
                running.add(asyncio.ensure_future(work(each)))
                if len(running) >= width:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in sorted(done, key=_has_failed):
                        yield task.result()
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=_has_failed):
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _has_failed(task: "asyncio.Future[U]") -> bool:
    return task.cancelled() or task.exception() is not None


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """The result; when cancelled, that follows the end of the work."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():  # a second cancellation must not leave the work to nobody either
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # retrieved, or it would be called lost
        raise

"""Bounded pipelines of asynchronous work."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

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
    source: AsyncIterator[list[T]], size: int, weight: Callable[[T], int], heaviest: int
) -> AsyncIterator[list[T]]:
    """Collects parts until there are ``size`` items, or until they weigh ``heaviest`` together.

    An empty part comes out as an empty batch at once: a sign of life from above.
    """
    batch: list[T] = []
    load = 0
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


async def spread(source: AsyncIterator[T], work: Callable[[T], Awaitable[U]], width: int) -> AsyncGenerator[U, None]:
    """``work`` over ``source`` with at most ``width`` under way; results as they come.

    It is pulled: nothing starts before somebody wants the result, so every stage of a pipeline is bounded. Leaving it waits
    for what is under way; the first failure is raised after that.
    """
    running: set[asyncio.Future[U]] = set()
    try:
        async for each in source:
            running.add(asyncio.ensure_future(work(each)))
            if len(running) >= width:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

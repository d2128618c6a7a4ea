from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam_fs.flow import batched, chunks, spread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

lists = st.lists(st.integers(0, 50), max_size=60)
sizes = st.integers(1, 20)


class FailedError(Exception):
    pass


class Source:
    """Items one by one; knows how many were asked for and whether it was closed."""

    def __init__(self, items: Sequence[int]) -> None:
        self.items = items
        self.pulled = 0
        self.closed = False

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            for item in self.items:
                self.pulled += 1
                yield item
        finally:
            self.closed = True


async def parts_of(parts: Sequence[list[int]]) -> AsyncGenerator[list[int], None]:
    for part in parts:
        yield part


@given(lists, sizes)
def test_chunks_keep_the_order_and_only_the_last_is_short(items: list[int], size: int) -> None:
    found = list(chunks(items, size))
    assert [item for chunk in found for item in chunk] == items
    assert all(len(chunk) == size for chunk in found[:-1])
    assert all(0 < len(chunk) <= size for chunk in found)


@given(st.lists(lists, max_size=10), sizes, st.integers(1, 200))
def test_batches_keep_the_order_and_end_when_they_are_full_or_heavy(
    parts: list[list[int]], size: int, heaviest: int
) -> None:
    async def collect() -> list[list[int]]:
        return [batch async for batch in batched(parts_of(parts), size, lambda item: item, heaviest)]

    found = asyncio.run(collect())
    assert [item for batch in found for item in batch] == [item for part in parts for item in part]
    full = [batch for batch in found if batch][:-1]
    assert all(len(batch) >= size or sum(batch) >= heaviest for batch in full)
    longest = max((len(part) for part in parts), default=0)
    assert all(len(batch) < size + longest for batch in found)


async def test_an_empty_part_comes_out_at_once_unless_a_batch_is_full() -> None:
    parts = parts_of([[], [1], [], [2]])
    assert [batch async for batch in batched(parts, 10, lambda _: 0, 10)] == [[], [], [1, 2]]


@given(lists, st.integers(1, 8))
def test_spreading_gives_every_result_once_and_never_has_more_under_way_than_its_width(
    items: list[int], width: int
) -> None:
    under_way = most = 0

    async def work(item: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(item % 5):
            await asyncio.sleep(0)
        under_way -= 1
        return -item

    async def collect() -> list[int]:
        return [result async for result in spread(Source(items)(), work, width)]

    assert sorted(asyncio.run(collect())) == sorted(-item for item in items)
    assert most <= width


async def test_spreading_starts_nothing_before_somebody_wants_a_result() -> None:
    source = Source(range(100))

    async def work(item: int) -> int:
        return item

    spreading = spread(source(), work, 3)
    assert source.pulled == 0
    await anext(spreading)
    await asyncio.sleep(0)
    assert source.pulled == 3
    await spreading.aclose()


async def test_leaving_a_spread_ends_what_is_under_way_and_closes_its_source() -> None:
    source, ended = Source(range(10)), []
    never = asyncio.Event()

    async def work(item: int) -> int:
        try:
            if item:
                await never.wait()
        finally:
            ended.append(item)
        return item

    spreading = spread(source(), work, 3)
    assert await anext(spreading) == 0
    await spreading.aclose()
    assert sorted(ended) == [0, 1, 2]
    assert source.closed


async def test_leaving_a_spread_of_batches_of_a_spread_closes_all_of_them() -> None:
    source = Source(range(100))

    async def alone(item: int) -> list[int]:
        return [item]

    async def total(batch: list[int]) -> int:
        return sum(batch)

    spreading = spread(batched(spread(source(), alone, 2), 4, lambda _: 1, 100), total, 2)
    await anext(spreading)
    await spreading.aclose()
    assert source.closed


async def test_results_that_are_there_come_before_the_failure_and_the_failure_after_them() -> None:
    both = asyncio.Event()

    async def work(item: int) -> int:
        await both.wait()
        if item % 2:
            raise FailedError(item)
        return item

    async def items() -> AsyncGenerator[int, None]:
        for item in (1, 2, 3, 4):
            yield item
            if item == 3:
                both.set()

    spreading = spread(items(), work, 4)
    assert sorted([await anext(spreading), await anext(spreading)]) == [2, 4]
    with pytest.raises(FailedError):
        await anext(spreading)


async def test_a_failure_of_the_source_ends_what_is_under_way() -> None:
    ended = []
    never = asyncio.Event()

    async def items() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.sleep(0)
        raise FailedError

    async def work(item: int) -> int:
        try:
            await never.wait()
        finally:
            ended.append(item)
        return item

    with pytest.raises(FailedError):
        await anext(spread(items(), work, 3))
    assert ended == [1]

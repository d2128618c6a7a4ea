"""Beginning again where two writers stood in each other's way."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from dam.core.exceptions import WriteConflictError

TRIES = 8
LONGEST_PAUSE = 1.0  # seconds


class Tries:
    """``for _ in tries: async with tries.attempt(): …`` repeats what failed with ``WriteConflictError``, with growing pauses.

    What may not be repeated, because part of it was seen already or is part of something larger, sets ``is_final``.
    """

    def __init__(self, *, is_final: bool = False) -> None:
        self.is_final = is_final
        self._is_done = False

    def __iter__(self) -> Iterator[int]:
        for number in range(TRIES):
            self._left = TRIES - 1 - number
            yield number
            if self._is_done:
                return

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        try:
            yield
        except Exception as e:
            if self.is_final or not self._left or not is_conflict(e):
                raise
            pause = min(LONGEST_PAUSE, 0.01 * 2 ** (TRIES - self._left))
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  so that the two do not meet again
        else:
            self._is_done = True


def is_conflict(error: BaseException) -> bool:
    """Whether that is what an error is about: a failed system's has it as its cause."""
    return isinstance(error, WriteConflictError) or isinstance(error.__cause__, WriteConflictError)

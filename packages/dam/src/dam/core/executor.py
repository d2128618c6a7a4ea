"""The stream of events that a dispatch is."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from dam.core.exceptions import NoResultError, UnansweredRequestError
from dam.system_events.base import BaseRequest, Result

R = TypeVar("R")
E = TypeVar("E")

Answers = Mapping[type, Callable[[Any], Awaitable[Any]]]
"""Request type → the function that answers it."""


class SystemExecutor(Generic[R, E]):
    """Runs the systems of one dispatch while it is iterated; nothing runs before that.

    Exhausting it commits. An exception, or leaving it before its end, rolls back; ``async with`` makes leaving it prompt.
    """

    def __init__(self, events: AsyncGenerator[Any, Any]) -> None:
        self._events = events

    def __aiter__(self) -> Self:
        return self

    # Plain functions that hand on the generator's awaitables: an event passes here millions of times.
    def __anext__(self) -> Awaitable[E | Result[R]]:
        return self._events.__anext__()

    def asend(self, answer: object) -> Awaitable[E | Result[R]]:
        """Answers the system that spoke last and goes on to the next event."""
        return self._events.asend(answer)

    async def aclose(self) -> None:
        """Ends the run; what is not committed yet is rolled back."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def answered(self, answers: Answers | None = None) -> AsyncGenerator[E | Result[R], None]:
        """All events but the requests: those are answered by the table. One that it does not know raises
        ``UnansweredRequestError``; it is never waited for."""
        async with self:
            answer: object = None
            while True:
                try:
                    event = await self.asend(answer)
                except StopAsyncIteration:
                    return
                if isinstance(event, BaseRequest):
                    answer = await _answer(event, answers or {})
                else:
                    answer = None
                    yield event

    def __await__(self) -> Generator[Any, None, None]:
        """Runs to the end and forgets the results."""
        return self._drain().__await__()

    async def _drain(self) -> None:
        await self.get_all_results()

    async def get_all_results(self, answers: Answers | None = None) -> list[R]:
        """Runs to the end and keeps the results; requests are answered as in ``answered``."""
        async with aclosing(self.answered(answers)) as events:
            return [event.value async for event in events if isinstance(event, Result)]

    async def get_one_value(self, answers: Answers | None = None) -> R:
        """The one result. Raises ``NoResultError`` where there is none, or more than one."""
        results = await self.get_all_results(answers)
        if len(results) != 1:
            found = "no result" if not results else f"{len(results)} results"
            raise NoResultError(
                f"one result was asked for and {found} came; iterate over the executor, or use get_all_results()"
            )
        return results[0]

    async def get_first_non_none_value(self, answers: Answers | None = None) -> R | None:
        """Runs to the end; the first result that is not ``None``."""
        return next((r for r in await self.get_all_results(answers) if r is not None), None)


async def _answer(request: BaseRequest, answers: Answers) -> Any:
    for kind in type(request).__mro__:
        if kind in answers:
            return await answers[kind](request)
    raise UnansweredRequestError(
        f"{type(request).__name__} has nobody to answer it: {request}; pass answers={{{type(request).__name__}: function}}, "
        "or drive the executor with asend()"
    )

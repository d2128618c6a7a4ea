"""Writing many at once although one of them may be impossible to write."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, StatementError

from dam.core.databases import Backend

T = TypeVar("T")
U = TypeVar("U")


async def in_halves(
    items: Sequence[T],
    write: Callable[[Sequence[T]], Awaitable[list[U]]],
    give_up: Callable[[T, str], Awaitable[list[U]]],
    backend: Backend,
) -> list[U]:
    """What ``write`` returns for all items together; where the data is at fault, for halves of them, down to the one at fault,
    which is given up, with the reason. What is no fault of the data is raised."""
    try:
        return await write(items)
    except (StatementError, ValueError, OverflowError, TypeError) as e:
        if not _is_data_at_fault(e, backend):
            raise
        why = f"it cannot be stored: {type(e).__name__}: {str(e).splitlines()[0]}"[:500]
    if len(items) == 1:
        return await give_up(items[0], why)
    middle = len(items) // 2
    first = await in_halves(items[:middle], write, give_up, backend)
    return first + await in_halves(items[middle:], write, give_up, backend)


def _is_data_at_fault(error: Exception, backend: Backend) -> bool:
    """A value that cannot be stored; not a full disk, a lost server or a lock."""
    return backend.is_data_at_fault(error) if isinstance(error, DBAPIError) else True

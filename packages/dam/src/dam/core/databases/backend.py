"""What differs from one kind of database to the other."""

import asyncio
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, FromClause, TextClause
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from dam.core.exceptions import SelfDeadlockError


class Backend(Protocol):
    """One kind of database, and all that dam has to know of it.

    Whoever wants worlds on another kind writes one, and names it by an entry point of the group ``dam.databases`` whose name
    is the driver. It needs a SQLAlchemy dialect with ``INSERT … ON CONFLICT`` and ``RETURNING``.
    """

    driver: str
    """As it stands in a URL, such as ``sqlite+aiosqlite``."""

    example: str
    """A URL, for messages."""

    new_entities: TextClause
    """Makes ``:n`` entities, numbered by the database, and returns their ids."""

    table_names: TextClause
    """Names all tables."""

    def problem(self, url: URL) -> str | None:
        """What a URL lacks, for a message; ``None`` where it lacks nothing."""
        ...

    def file(self, url: URL) -> str | None:
        """The file of an embedded database; a server has none."""
        ...

    def engine(self, url: URL) -> AsyncEngine:
        """Nothing is opened yet. Its failures become ``DatabaseUnavailableError``, ``DatabaseLockedError`` and
        ``WriteConflictError``, and its transactions refuse to wait for one of their own task.

        Connections with the execution option ``dam_reading`` never wait for a writer, and those with ``dam_migrating`` change
        the schema.
        """
        ...

    def reading(self, engine: AsyncEngine) -> AsyncEngine:
        """The same engine for connections that only read: each statement sees what is committed."""
        ...

    def insert(self, table: FromClause) -> Any:
        """The dialect's own ``INSERT``, which knows ``on_conflict_do_update`` and ``on_conflict_do_nothing``."""
        ...

    def insert_many(self, table: FromClause, columns: Sequence[str]) -> Any:
        """The same for many rows of these columns at once, to be executed with ``parameters(rows)``."""
        ...

    def parameters(self, rows: Sequence[dict[str, Any]]) -> Any:
        """Rows as ``insert_many`` takes them. There is at least one, and no two have the same key."""
        ...

    def lock(self, connection: Connection, name: str, *, shared: bool = False) -> None:
        """Waits until no other transaction holds the lock of that name, and holds it until this one ends. Those who hold it
        ``shared`` do not wait for each other."""
        ...

    def last_id(self, connection: Connection, table: str, column: str) -> int | None:
        """The highest number that the database has given to a row, deleted ones included; ``None`` where it does not number that
        table, or goes by the rows that are there."""
        return None

    def continue_ids(self, connection: Connection, table: str, column: str, last: int) -> None:
        """Numbers go on after ``last``, for rows were written with numbers of their own."""

    def is_data_at_fault(self, error: DBAPIError) -> bool:
        """Whether a value cannot be stored, so that it would be the same the next time."""
        ...


Writing: TypeAlias = "WeakKeyDictionary[asyncio.Task[Any], weakref.ref[Any]]"
"""Task → the driver's connection on which it began to write last."""


def refuse_self_deadlock(writing: Writing, connection: Any, is_writing: Callable[[Any], bool]) -> None:
    """A task that holds locks on one connection would wait for them on another one, in vain."""
    task = asyncio.current_task()
    if task is None:
        return
    held = writing[task]() if task in writing else None
    if held is not None and held is not connection and is_writing(held):
        raise SelfDeadlockError(
            "this task holds an open transaction and would wait for itself; dispatch on transaction.world to be part of it, "
            "or when it is over"
        )
    for other in [each for each, mine in writing.items() if mine() is connection]:
        del writing[other]  # it has given the connection back, and the pool has lent it to this task
    writing[task] = weakref.ref(connection)

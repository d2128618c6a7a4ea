"""Objects that no row knows: what interrupted work and deleted assets leave in a store."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, column, inspect, or_, select, table, union
from sqlalchemy.ext.asyncio import AsyncSession

from dam.core.transaction import WorldTransaction
from dam.core.world import World
from dam_fs.flow import chunks
from dam_fs.models import FileLocationComponent, StorageType
from dam_fs.resources import STORE_LOCK
from dam_fs.storage import Storage, StoredObject

AT_ONCE = 1 << 16  # objects that are compared with the rows in one pass over them; their keys are in memory
IDENTIFIER = "content_identifier"


class Knowing:
    """The tables whose rows know objects: the locations, and whatever table has a column for the key of a derived object. The
    database says which those are, for a plugin that is not loaded still wants its objects."""

    def __init__(self, tables: Sequence[str]) -> None:
        self._tables = [table(name, column(IDENTIFIER, String)) for name in tables]

    @classmethod
    async def of(cls, session: AsyncSession) -> "Knowing":
        connection = await session.connection()
        return cls(await connection.run_sync(_tables_with_identifiers))

    async def among(self, session: AsyncSession, wanted: Callable[[Any], ColumnElement[bool]]) -> set[str]:
        """The keys that some row knows, of those that meet a condition."""
        known: set[str] = set()
        if self._tables:
            queries = [select(each.c[IDENTIFIER]).where(wanted(each.c[IDENTIFIER])) for each in self._tables]
            known.update((await session.execute(union(*queries))).scalars())
        identifier, key = FileLocationComponent.content_identifier, FileLocationComponent.physical_path_or_key
        in_store = FileLocationComponent.storage_type == StorageType.CAS
        for row in await session.execute(select(identifier, key).where(in_store, or_(wanted(identifier), wanted(key)))):
            known.update(row)
        return known


def _tables_with_identifiers(connection: Connection) -> list[str]:
    return sorted(
        name
        for (_, name), columns in inspect(connection).get_multi_columns().items()
        if name != FileLocationComponent.__tablename__ and any(each["name"] == IDENTIFIER for each in columns)
    )


async def unknown_objects(
    world: World, storage: Storage, wanted: Callable[[StoredObject], bool]
) -> AsyncGenerator[list[StoredObject], None]:
    """Those that meet a condition and that no row knows, in the order of their keys. Somebody may be about to write the row. An
    empty part is a sign of life."""
    source = chunks(storage.objects(), AT_ONCE)
    async with world.reading() as session:
        knowing = await Knowing.of(session)
    while part := await asyncio.to_thread(next, source, None):
        if candidates := [each for each in part if wanted(each)]:
            first, last = candidates[0].key, candidates[-1].key
            async with world.reading() as session:
                known = await knowing.among(session, lambda key: key.between(first, last))  # noqa: B023  it is called here
            candidates = [each for each in candidates if each.key not in known]
        yield candidates


async def still_unknown(transaction: WorldTransaction, objects: Sequence[StoredObject]) -> list[StoredObject]:
    """Those that no row knows, for as long as this transaction lasts: no file that is being added can come in between."""
    await transaction.session.connection()  # which takes SQLite's write lock
    await transaction.lock(STORE_LOCK)
    knowing = await Knowing.of(transaction.session)
    known = await knowing.among(transaction.session, lambda key: key.in_([each.key for each in objects]))
    return [each for each in objects if each.key not in known]

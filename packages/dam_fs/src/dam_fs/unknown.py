"""Objects that no row knows: what interrupted work and deleted assets leave in a store."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, String, cast, column, func, inspect, or_, select, table, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from dam.core.transaction import WorldTransaction, parts
from dam.core.world import World
from dam_fs.flow import chunks
from dam_fs.models import ContentHashSha256Component, FileLocationComponent, StorageType
from dam_fs.resources import STORE_LOCK
from dam_fs.storage import Storage, StoredObject

AT_ONCE = 1 << 16  # objects that are compared with the rows together; their keys are in memory
IDENTIFIER = "content_identifier"

Location, Sha256 = FileLocationComponent, ContentHashSha256Component


@dataclass(frozen=True)
class Knowing:
    """What knows objects, beside the assets whose content they are; a command finds out once.

    ``tables`` have a column for the key of a derived object. The database says which those are, for a plugin that is not loaded
    still wants its objects. ``astray`` are the keys of locations that do not follow their asset's hash, as in a database that was
    damaged: no index leads to them. Locations up to the row ``newest`` were looked at for that.
    """

    tables: Sequence[str]
    astray: frozenset[str]
    newest: int

    @classmethod
    async def of(cls, world: World) -> "Knowing":
        async with world.reading() as session:
            tables = await (await session.connection()).run_sync(_tables_with_identifiers)
            newest = await session.scalar(select(func.max(Location.id))) or 0
            return cls(tables, frozenset(await _astray(session)), newest)


async def known_keys(session: AsyncSession, knowing: Knowing, keys: Collection[str]) -> set[str]:
    """Those of the keys that some row knows: as the content of an asset that the store holds, or as a derived object. Every look
    is by an index; none goes through all locations."""
    found = set(knowing.astray.intersection(keys))
    identifier, key = Location.content_identifier, Location.physical_path_or_key
    in_store = Location.storage_type == StorageType.CAS
    tables = [table(name, column(IDENTIFIER, String)) for name in knowing.tables]
    for part in parts(sorted(keys)):
        digests = Sha256.hash_value.in_([bytes.fromhex(each) for each in part])
        owned = select(Sha256.hash_value).join(Location, Location.entity_id == Sha256.entity_id)
        found.update(digest.hex() for digest in await session.scalars(owned.where(digests, in_store)))
        if tables:
            made = union_all(*(select(each.c[IDENTIFIER]).where(each.c[IDENTIFIER].in_(part)) for each in tables))
            found.update((await session.execute(made)).scalars())
        since = select(identifier, key).where(Location.id > knowing.newest, in_store)
        for row in await session.execute(since.where(or_(identifier.in_(part), key.in_(part)))):
            found.update(row)
    return found


async def _astray(session: AsyncSession) -> set[str]:
    identifier, key = Location.content_identifier, Location.physical_path_or_key
    digits: ColumnElement[str]
    place: ColumnElement[str]
    if session.get_bind().dialect.name == "postgresql":
        digits, place = func.encode(Sha256.hash_value, "hex"), func.encode(key, "escape")
    else:
        digits, place = func.lower(func.hex(Sha256.hash_value)), cast(key, String)
    query = (
        select(identifier, key)
        .outerjoin(Sha256, Sha256.entity_id == Location.entity_id)
        .where(Location.storage_type == StorageType.CAS)
        .where(or_(Sha256.entity_id.is_(None), digits != identifier, place != identifier))
    )
    return {each for row in await session.execute(query) for each in row}


def _tables_with_identifiers(connection: Connection) -> list[str]:
    return sorted(
        name
        for (_, name), columns in inspect(connection).get_multi_columns().items()
        if name != Location.__tablename__ and any(each["name"] == IDENTIFIER for each in columns)
    )


async def unknown_objects(
    world: World, storage: Storage, knowing: Knowing, wanted: Callable[[StoredObject], bool]
) -> AsyncGenerator[list[StoredObject], None]:
    """Those that meet a condition and that no row knows, in the order of their keys. Somebody may be about to write the row. An
    empty part is a sign of life."""
    source = chunks(storage.objects(), AT_ONCE)
    while part := await asyncio.to_thread(next, source, None):
        if candidates := [each for each in part if wanted(each)]:
            async with world.reading() as session:
                known = await known_keys(session, knowing, [each.key for each in candidates])
            candidates = [each for each in candidates if each.key not in known]
        yield candidates


async def still_unknown(
    transaction: WorldTransaction, knowing: Knowing, objects: Sequence[StoredObject]
) -> list[StoredObject]:
    """Those that no row knows, for as long as this transaction lasts: no file that is being added can come in between."""
    await transaction.session.connection()  # which takes SQLite's write lock
    await transaction.lock(STORE_LOCK)
    known = await known_keys(transaction.session, knowing, [each.key for each in objects])
    return [each for each in objects if each.key not in known]

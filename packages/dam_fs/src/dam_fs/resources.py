"""The file plugin's resource."""

import asyncio
import hashlib
import os
from typing import BinaryIO

from sqlalchemy import select

from dam.core import faults
from dam.core.databases import backend_of, database_file
from dam.core.exceptions import SettingsError
from dam.core.world import World
from dam.models.config import WorldConfig
from dam_fs.exceptions import StoreMismatchError, StoreMissingError
from dam_fs.models import Store
from dam_fs.receipts import Receipt, lines_of
from dam_fs.settings import FsSettings
from dam_fs.storage import LocalStorage, Storage

STORE_LOCK = "dam store"
"""Held alone by who removes objects, and shared by who commits rows that need them."""


class FileOperationsResource:
    """The world's store. It is checked against the database before its first use, and created with a new world."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._checked = False
        self._lock = asyncio.Lock()

    @property
    def root(self) -> str:
        return self._storage.root

    async def storage(self, world: World, *, create: bool = True) -> Storage:
        """The store, ready to use; a new world's is made unless ``create`` is off.

        Raises ``StoreMissingError`` or ``StoreMismatchError``: where the database expects a store, none is ever made.
        """
        async with self._lock:
            if not self._checked:
                self._checked = await self._check(world, create=create)
        return self._storage

    async def look_again(self, world: World) -> None:
        """Makes sure that the store is still there, whatever was found before: an object that is missing may be one of a store
        that is. Raises what ``storage`` raises, and ``StorageError``."""
        async with self._lock:
            self._checked = False
        await self.storage(world, create=False)

    async def adopted(self, world: World) -> Storage:
        """The store that is found, which the database takes for its own where it knows of none. Raises ``StoreMissingError`` or
        ``StoreMismatchError``."""
        async with world.reading() as session:
            expected = await session.scalar(select(Store.store_id))
        if expected is None:
            found = await asyncio.to_thread(self._storage.read_id)
            if found is None:
                raise StoreMissingError(
                    f"world {world.name!r}: there is no store at {self.root}; mount its disk, or correct storage_path"
                )
            async with world.transaction() as transaction:
                row = {"slot": "main", "store_id": found, "location": self.root}
                insert = backend_of(world.engine).insert(Store.__table__)
                await transaction.session.execute(insert.values(row).on_conflict_do_nothing())
        return await self.storage(world, create=False)

    async def put(self, world: World, content: bytes) -> str:
        """Stores bytes that are at hand, and returns their key; when it returns they survive a power loss.

        Raises ``StorageError``, and what ``storage`` raises.
        """
        storage = await self.storage(world)
        return await asyncio.to_thread(_put, storage, content)

    def id_if_used(self) -> str | None:
        """The id of a store that holds objects, whatever the database says; ``None`` for an empty one, or none."""
        found = self._storage.read_id()
        return None if found is None or self._storage.is_empty() else found

    def read_id(self) -> str | None:
        """The id of the store that is there, whatever the database says. Raises ``StorageError``."""
        return self._storage.read_id()

    def open(self, key: str) -> BinaryIO:
        """An object's bytes. Raises ``FileNotFoundError``."""
        return self._storage.open(key)

    def local_path(self, key: str) -> str | None:
        """Where an object lies on this machine, if it does; without a look whether it is there."""
        return self._storage.local_path(key)

    def close(self) -> None:
        self._storage.close()

    async def _check(self, world: World, *, create: bool) -> bool:
        async with world.reading() as session:
            expected = await session.scalar(select(Store.store_id))
        if expected is None:
            await self._refuse_orphaned(world)
            if not create:
                return False
            expected = await self._adopt(world)
        found = await asyncio.to_thread(self._storage.read_id)
        if found is None:
            raise StoreMissingError(
                f"world {world.name!r}: there is no store at {self.root}, and the database knows of one (id {expected}); "
                "is its disk mounted? Mount it, or correct storage_path or storage_url. Nothing was created"
            )
        if found != expected:
            raise StoreMismatchError(
                f"world {world.name!r}: the store at {self.root} has the id {found}, and the database expects {expected}; "
                "correct storage_path or storage_url, or database_url"
            )
        return True

    async def _refuse_orphaned(self, world: World) -> None:
        """The id is on disk before the database knows it, so one of them alone is a fresh start only while the store is empty."""
        found = await asyncio.to_thread(self.id_if_used)
        if found is None:
            return
        async with world.reading() as session:
            if await session.scalar(select(Store.store_id)) is not None:
                return  # another process has begun this world meanwhile; what is in the store came after its row
        raise StoreMismatchError(
            f"world {world.name!r}: the store at {self.root} (id {found}) holds objects that this new database knows nothing "
            "of; correct storage_path or storage_url, or database_url, or restore the database that belongs to the store"
        )

    async def _adopt(self, world: World) -> str:
        store_id = await asyncio.to_thread(self._storage.create)
        faults.reached("store.created")
        async with world.transaction() as transaction:
            row = {"slot": "main", "store_id": store_id, "location": self.root}
            insert = backend_of(world.engine).insert(Store.__table__)
            await transaction.session.execute(
                insert.values(row).on_conflict_do_nothing()
            )  # another process may be first
            return await transaction.session.scalar(select(Store.store_id)) or store_id


def _put(storage: Storage, content: bytes) -> str:
    key = hashlib.sha256(content).hexdigest()
    length = storage.length(key)
    if length == len(content) and _read(storage, key) == content:
        storage.publish([], found=[key])  # whoever put it there may not have flushed its name yet
        return key
    staged = storage.stage()
    try:
        staged.write(content)
        staged.close()
        storage.append_receipts(
            lines_of([Receipt(key, size=len(content), derived=True)])
        )  # nobody's file, should that be asked
        storage.publish([(key, staged)], replacing=[] if length is None else [key])
    except BaseException:
        staged.abandon()
        raise
    return key


def _read(storage: Storage, key: str) -> bytes:
    with storage.open(key) as stream:
        return stream.read()


def storage_of(settings: FsSettings, config: WorldConfig) -> Storage:
    """The storage that a world's settings name; nothing is opened yet. Raises ``SettingsError``."""
    if settings.storage_url is None:
        return LocalStorage(storage_folder(settings, config))
    from dam_fs.storages import open_storage  # most worlds have a folder, and no look-up should wait for the import

    return open_storage(settings.storage_url)


def storage_folder(settings: FsSettings, config: WorldConfig) -> str:
    """Where the store lies: as set, else in the world's folder, else beside an embedded database. Raises ``SettingsError``."""
    if settings.storage_path is not None:
        return os.path.abspath(settings.storage_path)
    if config.folder is not None:
        return os.path.join(os.path.abspath(config.folder), f"{config.name}-store")
    file = database_file(config.database_url)
    if not file:
        raise SettingsError(
            "[settings.dam-fs] storage_path is not set, and there is no default beside a database server; set it, "
            "storage_url, or the world's folder"
        )
    return f"{os.path.splitext(os.path.abspath(file))[0]}-store"

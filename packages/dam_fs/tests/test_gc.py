from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.event import listen, remove

from dam_fs import unknown
from dam_fs.commands import AddAssetsCommand, AssetOutcome, GcCommand, Removed
from dam_fs.models import ContentHashSha256Component, DerivedObjectComponent, FileLocationComponent
from dam_fs.resources import STORE_LOCK, FileOperationsResource
from dam_fs.storage import LocalStorage
from dam_fs.systems import gc_systems
from dam_test_utils.fixtures import create_tables

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from dam.core.transaction import WorldTransaction
    from dam.core.world import World
    from dam_fs.storage import StoredObject

    OpenWorld = Callable[..., Awaitable[World]]


class MiniComponent(DerivedObjectComponent):
    """A derived object of these tests."""

    __tablename__ = "test_gc_mini"


async def add(world: World, *paths: Path) -> list[int]:
    command = AddAssetsCommand([str(path) for path in paths])
    told = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    return [outcome.entity_id or 0 for outcome in told]


async def collect(world: World, grace: float = 0, **options: Any) -> list[tuple[str, int]]:
    events = world.dispatch_command(GcCommand(grace, **options))
    told = [event async for event in events if isinstance(event, Removed)]
    return [(event.place, event.size_bytes) for event in told]


def key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def object_of(world: World, data: bytes) -> Path:
    return Path(world.get_resource(FileOperationsResource).local_path(key_of(data)) or "")


async def put(world: World, *contents: bytes) -> None:
    """Objects of interrupted work: nothing in the database speaks of them."""
    for data in contents:
        await world.get_resource(FileOperationsResource).put(world, data)


def write(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


async def test_objects_that_nobody_knows_are_removed_and_all_others_stay(world: World, tmp_path: Path) -> None:
    await add(world, write(tmp_path / "tree", "a", b"one"), write(tmp_path / "tree", "b", b"two"))
    await put(world, b"stray", b"stray too")
    foretold = await collect(world, dry_run=True)
    assert sorted(foretold) == sorted([(key_of(b"stray"), 5), (key_of(b"stray too"), 9)])
    assert object_of(world, b"stray").exists()
    assert await collect(world) == foretold
    assert not object_of(world, b"stray").exists()
    assert object_of(world, b"one").read_bytes() == b"one"
    assert object_of(world, b"two").read_bytes() == b"two"
    assert await collect(world) == []


async def test_what_is_younger_than_the_grace_time_stays(world: World) -> None:
    await put(world, b"stray")
    assert await collect(world, grace=60) == []
    assert object_of(world, b"stray").exists()


async def test_only_names_of_the_stores_own_are_looked_at(world: World) -> None:
    await put(world, b"stray")
    folder = object_of(world, b"stray").parent
    root = Path(world.get_resource(FileOperationsResource).root)
    theirs = [
        folder / "README",
        folder / (key_of(b"stray") + ".bak"),
        folder / key_of(b"stray").upper(),
        folder.parent / "notes",
        root / "tmp" / "mine",
        root / "tmp" / "1-lock",
        root / "dam-store.json.bak",
    ]
    for path in theirs:
        path.write_text("somebody's")
    assert await collect(world) == [(key_of(b"stray"), 5)]
    assert all(path.exists() for path in theirs)


async def test_derived_objects_are_known_also_those_of_a_plugin_that_is_not_loaded(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    world = await open_world(register=lambda world: world.register_component(MiniComponent))
    await create_tables(world, MiniComponent)
    (entity_id,) = await add(world, write(tmp_path / "tree", "a", b"one"))
    await put(world, b"small", b"of a stranger")
    async with world.transaction() as transaction:
        transaction.add(
            entity_id,
            MiniComponent(content_identifier=key_of(b"small"), size_bytes=5, mime_type="text/plain"),
        )
    async with world.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE stranger_preview (content_identifier VARCHAR(64))"))
        insert = text("INSERT INTO stranger_preview VALUES (:key)")
        await connection.execute(insert, {"key": key_of(b"of a stranger")})
    assert await collect(await open_world()) == []


async def test_content_that_is_known_by_reference_alone_is_not_wanted_in_the_store(
    world: World, tmp_path: Path
) -> None:
    path = write(tmp_path / "tree", "a", b"one")
    command = AddAssetsCommand([str(path)], copy=False)
    assert [event async for event in world.dispatch_command(command)]
    await put(world, b"one")
    assert await collect(world) == [(key_of(b"one"), 3)]


async def test_many_are_removed_in_batches_and_compared_in_parts(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc_systems, "BATCH", 4)
    monkeypatch.setattr(unknown, "AT_ONCE", 7)
    known = [f"known {i}".encode() for i in range(20)]
    stray = [f"stray {i}".encode() for i in range(20)]
    await add(world, *(write(tmp_path / "tree", f"f{i}", data) for i, data in enumerate(known)))
    await put(world, *stray)
    command, first = GcCommand(0), []
    async for event in world.dispatch_command(command):
        command.stop.set()
        if isinstance(event, Removed):
            first.append(event.place)
    assert 0 < len(first) <= 4
    rest = [place for place, _ in await collect(world)]
    assert sorted(first + rest) == sorted(map(key_of, stray))
    assert all(object_of(world, data).exists() for data in known)


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_all_locations_are_looked_through_once_however_many_batches_there_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc_systems, "BATCH", 4)
    await put(world, *(f"stray {i}".encode() for i in range(20)))
    ran: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        ran.append((statement, parameters))

    listen(world.engine.sync_engine, "before_cursor_execute", note)
    assert len(await collect(world)) == 20
    remove(world.engine.sync_engine, "before_cursor_execute", note)
    looks = [each for each in ran if "FROM dam_fs_file_location" in each[0] or "JOIN dam_fs_file_location" in each[0]]
    plans = []
    async with world.engine.connect() as connection:
        for statement, parameters in looks:
            explained = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans += [row.detail for row in explained]
    assert len(looks) > 5, "the proof itself is among them"
    assert len([step for step in plans if step == "SCAN dam_fs_file_location"]) == 1
    assert len([statement for statement, _ in ran if "FROM sqlite_master" in statement]) <= 2, "tables are listed once"


async def test_receipts_are_read_once_however_many_objects_are_listed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown, "AT_ONCE", 3)
    ids = await add(world, write(tmp_path / "tree", "a", b"one"))
    async with world.engine.begin() as connection:
        table: Any = ContentHashSha256Component.__table__
        await connection.execute(delete(table).where(table.c.entity_id.in_(ids)))
        table = FileLocationComponent.__table__
        await connection.execute(delete(table).where(table.c.entity_id.in_(ids)))
    await put(world, *(f"stray {i}".encode() for i in range(20)))
    reading, read = LocalStorage.receipts, []

    def counting(self: LocalStorage) -> Iterator[bytes]:
        read.append(self.root)
        return reading(self)

    monkeypatch.setattr(LocalStorage, "receipts", counting)
    spared = [event async for event in world.dispatch_command(GcCommand(0)) if isinstance(event, Removed)]
    assert [event.place for event in spared if event.is_spared] == [key_of(b"one")]
    assert (len(spared), len(read)) == (21, 1)


@pytest.mark.parametrize("astray", ["no hash", "another hash", "another place"])
async def test_what_locations_of_a_damaged_database_name_stays(world: World, tmp_path: Path, astray: str) -> None:
    (entity_id,) = await add(world, write(tmp_path / "tree", "a", b"one"))
    table: Any = FileLocationComponent.__table__
    sha256: Any = ContentHashSha256Component.__table__
    await put(world, b"other")
    changes = {
        "no hash": delete(sha256).where(sha256.c.entity_id == entity_id),
        "another hash": update(sha256).values(hash_value=bytes.fromhex(key_of(b"other"))),
        "another place": update(table).values(physical_path_or_key=key_of(b"other")),
    }
    async with world.engine.begin() as connection:
        await connection.execute(changes[astray])
    unwanted = [(key_of(b"other"), 5)] if astray == "no hash" else []
    assert await collect(world) == unwanted
    assert object_of(world, b"one").exists()


async def test_what_became_known_after_it_was_listed_stays(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "tree", "a", b"wanted after all")
    await put(world, b"wanted after all", b"stray")
    removing = gc_systems._remove

    async def late(*args: Any, **options: Any) -> Any:
        await add(world, path)
        return await removing(*args, **options)

    monkeypatch.setattr(gc_systems, "_remove", late)
    assert await collect(world) == [(key_of(b"stray"), 5)]
    assert object_of(world, b"wanted after all").read_bytes() == b"wanted after all"


async def test_who_adds_and_who_removes_wait_for_each_other(
    world: World, open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The side of whoever adds: the lock is held, shared, from before the object is looked for until its row is there."""
    await put(world, b"wanted after all")
    other = await open_world()
    holds, asked, proved = asyncio.Event(), asyncio.Event(), asyncio.Event()
    proving = unknown.known_keys

    async def known_keys(*args: Any) -> set[str]:
        if asked.is_set():
            proved.set()
        return await proving(*args)

    async def adding() -> None:
        async with other.transaction() as transaction:
            await transaction.session.connection()
            await transaction.lock(STORE_LOCK, shared=True)
            holds.set()
            await asked.wait()
            for _ in range(20):  # the other side may come as far as it can
                async with other.reading() as session:
                    await session.execute(text("SELECT 1"))
            assert not proved.is_set(), "nothing is proved while somebody adds"
            entity_id = await transaction.create_entity()
            transaction.add(entity_id, FileLocationComponent.in_store("a", bytes.fromhex(key_of(b"wanted after all"))))

    task = asyncio.create_task(adding())
    listed = unknown.unknown_objects

    async def after_that(*args: Any) -> Any:
        async for part in listed(*args):
            await holds.wait()
            asked.set()
            yield part

    monkeypatch.setattr(gc_systems, "unknown_objects", after_that)
    monkeypatch.setattr(unknown, "known_keys", known_keys)
    removed = await collect(world)
    await task
    assert removed == []
    assert object_of(world, b"wanted after all").exists()


async def test_the_proof_is_of_the_moment_of_the_removal(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await add(world, write(tmp_path / "tree", "a", b"one"))
    async with world.engine.begin() as connection:
        table: Any = FileLocationComponent.__table__
        await connection.execute(delete(table).where(table.c.entity_id.in_(ids)))
    removing = LocalStorage.remove
    at_removal: list[bool] = []
    in_transaction: list[WorldTransaction] = []
    proving = unknown.still_unknown

    async def noting(
        transaction: WorldTransaction, knowing: unknown.Knowing, objects: Sequence[StoredObject]
    ) -> list[StoredObject]:
        in_transaction.append(transaction)
        return await proving(transaction, knowing, objects)

    def remove(self: LocalStorage, keys: Sequence[str]) -> None:
        at_removal.append(in_transaction[-1].is_open)
        removing(self, keys)

    monkeypatch.setattr(gc_systems, "still_unknown", noting)
    monkeypatch.setattr(LocalStorage, "remove", remove)
    assert await collect(world, named=True) == [(key_of(b"one"), 3)]
    assert at_removal == [True]


async def test_temporaries_of_dead_processes_go_and_those_of_living_ones_stay(world: World, tmp_path: Path) -> None:
    await put(world, b"stray")  # this process has a folder of its own now
    root = world.get_resource(FileOperationsResource).root
    script = (
        "import os, sys; from dam_fs.storage import LocalStorage; "
        "storage = LocalStorage(sys.argv[1]); staged = storage.stage(); staged.write(b'12345'); print(staged.path, flush=True); "
        "sys.argv[2] == 'dies' and os._exit(9); sys.stdin.read()"
    )
    living = subprocess.Popen(
        [sys.executable, "-c", script, root, "lives"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert living.stdout is not None
    try:
        kept = living.stdout.readline().strip()
        # whoever starts to write sweeps: what is abandoned now died after that
        dies = [sys.executable, "-c", script, root, "dies"]
        dead = await asyncio.to_thread(subprocess.run, dies, capture_output=True, text=True, check=False)
        abandoned = os.path.dirname(dead.stdout.strip())
        Path(root, "dam-store.json.0123abcd").write_text("{}")
        assert await collect(world, grace=3600) == []
        foretold = await collect(world, dry_run=True)
        assert foretold == [(key_of(b"stray"), 5), (abandoned, 5), (f"{root}/dam-store.json.0123abcd", 2)]
        assert os.path.isdir(abandoned)
        assert await collect(world) == foretold
        assert not os.path.exists(abandoned)
        assert not os.path.exists(f"{abandoned}.lock")
        assert os.path.exists(kept)
        assert Path(root, "dam-store.json").exists()
    finally:
        living.communicate("")

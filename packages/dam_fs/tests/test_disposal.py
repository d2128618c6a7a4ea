"""Files in the trash, and objects of what is deleted."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text

from dam.commands.copy_commands import CopyEntitiesCommand
from dam.commands.disposal_commands import DeleteCommand, EmptyTrashCommand, TrashCommand
from dam.models.entity import Entity
from dam.models.trash import TrashedComponent
from dam_fs.commands import AddAssetsCommand, AssetOutcome, GcCommand, OutcomeStatus
from dam_fs.exceptions import StorageError, StoreMissingError
from dam_fs.models import ContentHashSha256Component, DerivedObjectComponent, FileLocationComponent, PendingRelease
from dam_fs.resources import FileOperationsResource
from dam_fs.storage import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from dam.core.world import World

    OpenWorld = Callable[..., Awaitable[World]]


class Preview(DerivedObjectComponent):
    """Something small that was made of a file."""

    __tablename__ = "test_fs_disposal_preview"


def file_of(folder: Path, content: str, name: str = "a.txt") -> Path:
    file = folder / name
    file.write_text(content)
    return file


async def add(world: World, *files: Path, copy: bool = True, dry_run: bool = False) -> list[AssetOutcome]:
    command = AddAssetsCommand([str(file) for file in files], copy=copy, dry_run=dry_run)
    return [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]


async def ids_of(world: World, *files: Path, copy: bool = True) -> list[int]:
    return [outcome.entity_id or 0 for outcome in await add(world, *files, copy=copy)]


async def run(world: World, command: Any) -> list[Any]:
    return [event async for event in world.dispatch_command(command)]


def objects(world: World) -> list[str]:
    root = world.get_resource(FileOperationsResource).root
    return [name for _, _, names in os.walk(f"{root}/objects") for name in names]


async def count(world: World, table: Any) -> int:
    async with world.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_the_trash_keeps_the_bytes_and_emptying_it_removes_them(open_world: OpenWorld, tmp_path: Path) -> None:
    world = await open_world()
    ids = await ids_of(world, file_of(tmp_path, "one"), file_of(tmp_path, "two", "b.txt"))
    await run(world, TrashCommand(ids[:1]))
    assert len(objects(world)) == 2
    await run(world, EmptyTrashCommand())
    assert len(objects(world)) == 1
    assert await count(world, Entity.__table__) == 1


async def test_referenced_originals_are_never_touched(open_world: OpenWorld, tmp_path: Path) -> None:
    world = await open_world()
    file = file_of(tmp_path, "mine")
    await run(world, DeleteCommand(await ids_of(world, file, copy=False)))
    assert file.read_text() == "mine"
    assert await count(world, Entity.__table__) == 0


async def test_what_something_else_was_made_of_or_is_stays(open_world: OpenWorld, tmp_path: Path) -> None:
    from dam_test_utils.fixtures import create_tables

    world = await open_world(register=lambda world: world.register_component(Preview))
    await create_tables(world, Preview)
    one, two, small = await ids_of(
        world, file_of(tmp_path, "one"), file_of(tmp_path, "two", "b.txt"), file_of(tmp_path, "small", "c.txt")
    )
    key = await world.get_resource(FileOperationsResource).put(world, b"small")
    own = await world.get_resource(FileOperationsResource).put(world, b"of its own")
    async with world.transaction() as transaction:
        for entity_id, made in ((one, key), (two, key), (two, own)):
            transaction.add(entity_id, Preview(content_identifier=made, size_bytes=5, mime_type="text/plain"))
    await run(world, DeleteCommand([one]))
    assert key in objects(world)
    await run(world, DeleteCommand([small]))  # the asset with those bytes; a preview still needs them
    assert key in objects(world)
    await run(world, DeleteCommand([two]))
    assert objects(world) == []


async def test_what_a_plugin_that_is_not_loaded_made_of_something_stays(open_world: OpenWorld, tmp_path: Path) -> None:
    world = await open_world()
    ids = await ids_of(world, file_of(tmp_path, "small"), file_of(tmp_path, "two", "b.txt"))
    async with world.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE stranger_preview (content_identifier VARCHAR(64))"))
        insert = text("INSERT INTO stranger_preview VALUES (:key)")
        await connection.execute(insert, {"key": hashlib.sha256(b"small").hexdigest()})
    await run(world, DeleteCommand(ids))
    assert objects(world) == [hashlib.sha256(b"small").hexdigest()]


async def test_what_a_location_without_a_hash_names_stays(open_world: OpenWorld, tmp_path: Path) -> None:
    world = await open_world()
    (damaged,) = await ids_of(world, file_of(tmp_path, "one"))
    async with world.transaction() as transaction:
        await transaction.remove_components(ContentHashSha256Component, [damaged])
    (again,) = await ids_of(world, file_of(tmp_path, "one", "b.txt"))
    assert again != damaged
    await run(world, DeleteCommand([again]))
    assert len(objects(world)) == 1
    await run(world, DeleteCommand([damaged]))
    assert objects(world) == []


async def test_adding_what_is_in_the_trash_brings_it_back_and_says_so(open_world: OpenWorld, tmp_path: Path) -> None:
    world = await open_world()
    file = file_of(tmp_path, "wanted")
    (entity_id,) = await ids_of(world, file)
    await run(world, TrashCommand([entity_id]))
    (predicted,) = await add(world, file, dry_run=True)
    (outcome,) = await add(world, file)
    for each in (predicted, outcome):
        assert (each.status, each.entity_id, each.reason) == (OutcomeStatus.RESTORED, entity_id, "it was in the trash")
    assert await count(world, TrashedComponent.__table__) == 0
    assert [each.status for each in await add(world, file)] == [OutcomeStatus.KNOWN]


async def test_another_file_with_the_bytes_of_one_in_the_trash_brings_it_back(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    world = await open_world()
    (entity_id,) = await ids_of(world, file_of(tmp_path, "wanted"), copy=False)
    await run(world, TrashCommand([entity_id]))
    (outcome,) = await add(world, file_of(tmp_path, "wanted", "other.txt"))
    assert (outcome.status, outcome.entity_id) == (OutcomeStatus.RESTORED, entity_id)
    assert len(objects(world)) == 1


async def test_what_was_deleted_can_be_added_again(open_world: OpenWorld, tmp_path: Path) -> None:
    world = await open_world()
    file = file_of(tmp_path, "again")
    (first,) = await ids_of(world, file)
    await run(world, DeleteCommand([first]))
    (outcome,) = await add(world, file)
    assert outcome.status is OutcomeStatus.ADDED
    assert outcome.entity_id != first
    assert len(objects(world)) == 1


async def test_an_object_that_is_deleted_between_being_found_and_being_committed_is_stored_again(
    open_world: OpenWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world()
    (first,) = await ids_of(world, file_of(tmp_path, "contested"))
    publish = LocalStorage.publish
    loop, other = asyncio.get_running_loop(), await open_world()

    def published_and_deleted(self: LocalStorage, objects: Any, **kw: Any) -> None:
        publish(self, objects, **kw)
        monkeypatch.setattr(LocalStorage, "publish", publish)
        asyncio.run_coroutine_threadsafe(run(other, DeleteCommand([first])), loop).result()

    monkeypatch.setattr(LocalStorage, "publish", published_and_deleted)
    (outcome,) = await add(world, file_of(tmp_path, "contested", "b.txt"))
    assert outcome.status is OutcomeStatus.ADDED
    assert outcome.entity_id != first
    async with world.contents.open_stream(outcome.entity_id or 0) as stream:
        assert stream is not None
        assert stream.read() == b"contested"


async def test_adding_and_deleting_the_same_content_at_once_never_leaves_an_asset_without_its_bytes(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    world, other = await open_world(), await open_world()
    files = [file_of(tmp_path, str(i), f"{i}.txt") for i in range(20)]
    copies = [file_of(tmp_path, str(i), f"again {i}.txt") for i in range(20)]
    for _ in range(5):
        ids = await ids_of(world, *files)
        adding = asyncio.create_task(add(world, *copies))
        await run(other, DeleteCommand(ids))
        outcomes = await adding
        assert {outcome.status for outcome in outcomes} <= {
            OutcomeStatus.ADDED,
            OutcomeStatus.LINKED,
            OutcomeStatus.KNOWN,
        }
        async with world.reading() as session:
            there = list(await session.scalars(select(Entity.id)))
        for entity_id in there:
            async with world.contents.open_stream(entity_id) as stream:
                assert stream is not None
        assert len(objects(world)) == len(there)
        await run(world, DeleteCommand(there))
        assert objects(world) == []


async def test_a_world_of_references_alone_has_no_store_to_be_asked(open_world: OpenWorld, tmp_path: Path) -> None:
    one, two = await open_world("one"), await open_world("two")
    await add(one, file_of(tmp_path, "mine"), copy=False)
    (copied, _) = await run(two, CopyEntitiesCommand(one))
    (told,) = await run(two, DeleteCommand([copied.entity_id]))
    assert (told.status, told.reason) == ("deleted", None)


@pytest.mark.parametrize("is_empty", [False, True])
async def test_nothing_is_deleted_while_the_store_is_not_there(
    open_world: OpenWorld, tmp_path: Path, is_empty: bool
) -> None:
    world = await open_world()
    ids = await ids_of(world, file_of(tmp_path, "one"), file_of(tmp_path, "two", "b.txt"))
    await run(world, TrashCommand(ids[:1]))
    root = world.get_resource(FileOperationsResource).root
    await world.close()
    os.rename(root, f"{root}-elsewhere")
    if is_empty:
        os.mkdir(root)
    again = await open_world()
    for command in (DeleteCommand(ids), EmptyTrashCommand()):
        with pytest.raises(StoreMissingError):
            await run(again, command)
    assert await count(again, Entity.__table__) == 2


async def test_a_row_that_nobody_here_has_written_hinders_nothing(open_world: OpenWorld, tmp_path: Path) -> None:
    world = await open_world()
    odd, other = await ids_of(world, file_of(tmp_path, "one"), file_of(tmp_path, "two", "b.txt"))
    async with world.transaction() as transaction:
        location = FileLocationComponent
        await transaction.update_components(location, location.entity_id == odd, content_identifier="../../victim.txt")
    assert [each.status for each in await run(world, DeleteCommand([odd, other]))] == ["deleted", "deleted"]
    assert hashlib.sha256(b"two").hexdigest() not in objects(world)


async def test_what_an_earlier_deletion_left_is_told_where_nothing_else_is(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    world = await open_world()
    ids = await ids_of(world, file_of(tmp_path, "one"))
    stubborn = world.get_resource(FileOperationsResource).local_path(hashlib.sha256(b"one").hexdigest()) or ""
    os.unlink(stubborn)
    os.mkdir(stubborn)
    await run(world, DeleteCommand(ids))
    with pytest.raises(StorageError):
        await run(world, EmptyTrashCommand())


async def test_what_a_committed_deletion_has_not_come_to_is_finished_by_the_next_one(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    world = await open_world()
    ids = await ids_of(world, file_of(tmp_path, "one"), file_of(tmp_path, "two", "b.txt"))
    async with world.transaction() as transaction:
        await run(transaction.world, DeleteCommand(ids[:1]))  # nothing is removed before the outer commit
    assert (await count(world, Entity.__table__), len(objects(world))) == (1, 2)
    await run(world, EmptyTrashCommand())
    assert (len(objects(world)), await count(world, PendingRelease.__table__)) == (1, 0)


async def test_gc_finishes_a_deletion_too_and_what_was_added_again_meanwhile_stays(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    world = await open_world()
    first, other = file_of(tmp_path, "one"), file_of(tmp_path, "two", "b.txt")
    ids = await ids_of(world, first, other)
    async with world.transaction() as transaction:
        await run(transaction.world, DeleteCommand(ids))
    assert len(objects(world)) == 2
    await add(world, first)
    await run(world, GcCommand(grace=3600))
    assert len(objects(world)) == 1
    assert [outcome.status for outcome in await add(world, first)] == [OutcomeStatus.KNOWN]


async def test_bytes_of_a_store_that_goes_away_are_removed_when_it_is_back(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    world = await open_world()
    ids = await ids_of(world, file_of(tmp_path, "one"))
    async with world.transaction() as transaction:
        await run(transaction.world, DeleteCommand(ids))
    root = world.get_resource(FileOperationsResource).root
    os.rename(root, f"{root}-elsewhere")
    with pytest.raises(StoreMissingError):
        await run(world, EmptyTrashCommand())
    os.rename(f"{root}-elsewhere", root)
    assert (len(objects(world)), await count(world, PendingRelease.__table__)) == (1, 1)
    await run(world, EmptyTrashCommand())
    assert (objects(world), await count(world, PendingRelease.__table__)) == ([], 0)


async def test_an_object_that_cannot_be_removed_keeps_no_other(open_world: OpenWorld, tmp_path: Path) -> None:
    world = await open_world()
    files = [file_of(tmp_path, str(i), f"{i}.txt") for i in range(4)]
    ids = await ids_of(world, *files)
    stubborn = world.get_resource(FileOperationsResource).local_path(hashlib.sha256(b"2").hexdigest()) or ""
    os.unlink(stubborn)
    os.mkdir(stubborn)
    told = await run(world, DeleteCommand(ids))
    assert all("what it stood for could not be removed" in each.reason for each in told)
    assert (objects(world), await count(world, PendingRelease.__table__)) == ([], 1)
    with pytest.raises(StorageError):
        await run(world, GcCommand(grace=0))
    os.rmdir(stubborn)
    assert await run(world, GcCommand(grace=0)) == []
    assert await count(world, PendingRelease.__table__) == 0

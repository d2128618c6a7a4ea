"""A database that is gone comes back from the store: names, places and content."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from dam.commands.disposal_commands import DeleteCommand
from dam_fs.commands import AddAssetsCommand, AssetOutcome, GcCommand, OutcomeStatus, RebuildCommand, Removed
from dam_fs.models import FileLocationComponent, FilePropertiesComponent, OriginalSourceInfoComponent
from dam_fs.receipts import receipts_in
from dam_fs.resources import FileOperationsResource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from dam.core.world import World

    OpenWorld = Callable[..., Awaitable[World]]


async def run(world: World, command: Any) -> list[Any]:
    return [event async for event in world.dispatch_command(command)]


async def add(world: World, *files: str, copy: bool = True) -> list[int]:
    told = await run(world, AddAssetsCommand(files, copy=copy))
    return [each.entity_id or 0 for each in told if isinstance(each, AssetOutcome)]


def file_of(folder: Path, data: bytes, name: str = "a.txt") -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


async def known(world: World) -> dict[str, Any]:
    """Of each asset, by its first name: length, type, places and sources."""
    properties, location, source = FilePropertiesComponent, FileLocationComponent, OriginalSourceInfoComponent
    async with world.reading() as session:
        found: dict[str, Any] = {}
        for each in await session.scalars(select(properties)):
            places = await session.scalars(select(location).where(location.entity_id == each.entity_id))
            sources = await session.scalars(select(source).where(source.entity_id == each.entity_id))
            found[each.original_filename] = (
                each.size_bytes,
                each.mime_type,
                {(p.contextual_filename, p.storage_type, p.physical_path_or_key, p.condition) for p in places},
                {(s.original_path, s.size_bytes, s.mtime_ns) for s in sources},
            )
        return found


async def test_everything_that_was_added_is_there_again(open_world: OpenWorld, tmp_path: Path) -> None:
    one = await open_world("one", store="store")
    odd = os.fsdecode(os.fsencode(str(tmp_path)) + b"/\xff.txt")
    with open(odd, "wb") as file:  # noqa: ASYNC230
        file.write(b"odd")
    await add(
        one, file_of(tmp_path, b"text"), file_of(tmp_path, b"text", "copy.txt"), odd, file_of(tmp_path, b"", "empty")
    )
    await add(one, file_of(tmp_path, b"referenced", "mine.txt"), copy=False)
    (gone,) = await add(one, file_of(tmp_path, b"deleted", "deleted.txt"))
    await run(one, DeleteCommand([gone]))
    await one.get_resource(FileOperationsResource).put(one, b"made of something")
    expected = await known(one)
    await one.close()
    two = await open_world("two", store="store")
    told = await run(two, RebuildCommand())
    assert {each.status for each in told} == {OutcomeStatus.ADDED}
    assert await known(two) == expected
    assert {each.status for each in await run(two, RebuildCommand())} <= {OutcomeStatus.KNOWN, OutcomeStatus.LINKED}
    assert await known(two) == expected
    assert {each.status for each in await run(two, AddAssetsCommand([str(tmp_path / "a.txt")]))} == {
        OutcomeStatus.KNOWN
    }


async def test_an_object_that_is_far_longer_than_its_receipts_say_is_not_read(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    one = await open_world("one", store="store")
    await add(one, file_of(tmp_path, b"text"))
    path = one.get_resource(FileOperationsResource).local_path(hashlib.sha256(b"text").hexdigest()) or ""
    await one.close()
    os.chmod(path, 0o600)
    os.truncate(path, 1 << 42)
    (told,) = await run(await open_world("two", store="store"), RebuildCommand())
    assert (told.status, told.size_bytes, told.reason) == (OutcomeStatus.ADDED, 4, "its object is damaged")


async def test_what_is_damaged_is_known_and_said_to_be(open_world: OpenWorld, tmp_path: Path) -> None:
    one = await open_world("one", store="store")
    await add(one, file_of(tmp_path, b"text"))
    key = hashlib.sha256(b"text").hexdigest()
    path = one.get_resource(FileOperationsResource).local_path(key) or ""
    os.chmod(path, 0o600)
    with open(path, "wb") as file:  # noqa: ASYNC230
        file.write(b"spoilt")
    await one.close()
    two = await open_world("two", store="store")
    (told,) = await run(two, RebuildCommand())
    assert (told.status, told.reason) == (OutcomeStatus.ADDED, "its object is damaged")
    assert (await known(two))["a.txt"][:2] == (4, "text/plain")
    (again,) = await run(two, AddAssetsCommand([str(tmp_path / "a.txt")]))
    assert again.status is OutcomeStatus.RESTORED


async def test_without_receipts_objects_come_back_under_their_hashes(open_world: OpenWorld, tmp_path: Path) -> None:
    one = await open_world("one", store="store")
    await add(one, file_of(tmp_path, b"text"))
    await one.close()
    for name in os.listdir(tmp_path / "store" / "receipts"):
        os.unlink(tmp_path / "store" / "receipts" / name)
    two = await open_world("two", store="store")
    await run(two, RebuildCommand())
    assert list(await known(two)) == [hashlib.sha256(b"text").hexdigest()]


async def test_what_receipts_name_is_no_garbage_to_an_older_database(open_world: OpenWorld, tmp_path: Path) -> None:
    one = await open_world("one", store="store")
    await add(one, file_of(tmp_path, b"text"))
    files = one.get_resource(FileOperationsResource)
    await files.put(one, b"made of something")
    await one.close()
    two = await open_world("two", store="store")
    await two.get_resource(FileOperationsResource).adopted(two)
    told = [each for each in await run(two, GcCommand(grace=0)) if isinstance(each, Removed)]
    assert sorted((each.size_bytes, each.is_spared) for each in told) == [(4, True), (17, False)]
    with files.open(hashlib.sha256(b"text").hexdigest()) as stream:
        assert stream.read() == b"text"
    (named,) = await run(two, GcCommand(grace=0, named=True))
    assert (named.size_bytes, named.is_spared) == (4, False)


@pytest.mark.parametrize(
    "said",
    [{"path": 3}, {"at": 5}, {"size": 1 << 70}, {"md5": "zz"}, {"path": "/\0"}, {"name": "\0"},
     {"at": "9999-12-31T23:59:59-12:00"}, {"at": "0001-01-01T00:00:00+14:00"}, {"name": "\udcff"}],
    ids=str,
)  # fmt: skip
async def test_a_receipt_that_says_nonsense_does_not_keep_the_others_from_coming_back(
    open_world: OpenWorld, tmp_path: Path, said: dict[str, Any]
) -> None:
    one = await open_world("one", store="store")
    await add(one, file_of(tmp_path, b"text"), file_of(tmp_path, b"more", "b.txt"))
    storage = await one.get_resource(FileOperationsResource).storage(one, create=False)
    (first,) = (each for each in receipts_in(storage.receipts()) if each.name == "a.txt")
    await one.close()
    (file,) = (tmp_path / "store" / "receipts").iterdir()
    file.write_bytes(json.dumps({**json.loads(first.line()), **said}).encode() + b"\n" + file.read_bytes())
    two = await open_world("two", store="store")
    assert {each.status for each in await run(two, RebuildCommand())} == {OutcomeStatus.ADDED}
    assert {size for size, *_ in (await known(two)).values()} == {4}


async def test_what_was_known_by_reference_and_copied_later_comes_back_from_the_store(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    one = await open_world("one", store="store")
    file = file_of(tmp_path, b"text")
    await add(one, file, copy=False)
    await add(one, file)
    expected = await known(one)
    await one.close()
    two = await open_world("two", store="store")
    await run(two, RebuildCommand())
    assert await known(two) == expected
    os.unlink(file)
    assert await run(two, GcCommand(grace=0)) == []


async def test_what_was_added_again_before_its_deletion_was_carried_out_comes_back(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    one = await open_world("one", store="store")
    file = file_of(tmp_path, b"text")
    ids = await add(one, file)
    async with one.transaction() as transaction:
        await run(transaction.world, DeleteCommand(ids))  # nothing is removed before the outer commit
    await add(one, file)
    await run(one, GcCommand(grace=0))
    expected = await known(one)
    await one.close()
    two = await open_world("two", store="store")
    await run(two, RebuildCommand())
    assert await known(two) == expected


async def test_what_receipts_name_and_the_store_has_no_more_is_told(open_world: OpenWorld, tmp_path: Path) -> None:
    one = await open_world("one", store="store")
    await add(one, file_of(tmp_path, b"text"), file_of(tmp_path, b"gone", "gone.txt"))
    os.unlink(one.get_resource(FileOperationsResource).local_path(hashlib.sha256(b"gone").hexdigest()) or "")
    await one.close()
    two = await open_world("two", store="store")
    told = {os.path.basename(each.path): each for each in await run(two, RebuildCommand())}
    assert told["gone.txt"].status is OutcomeStatus.FAILED
    assert "its object is gone" in told["gone.txt"].reason
    assert list(await known(two)) == ["a.txt"]

"""Content that comes along when assets are copied into another world."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from dam.commands.copy_commands import CopyEntitiesCommand
from dam.system_events.copying import CopyStatus, EntityCopied
from dam_fs.commands import AddAssetsCommand, AssetOutcome
from dam_fs.models import FileLocationComponent, LocationCondition
from dam_fs.resources import FileOperationsResource
from dam_fs.storage import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from dam.core.world import World

    OpenWorld = Callable[..., Awaitable[World]]


async def add(world: World, *files: Path, copy: bool = True) -> list[int]:
    command = AddAssetsCommand([str(file) for file in files], copy=copy)
    return [event.entity_id or 0 async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]


async def copy(source: World, target: World, *, overwrite: bool = False) -> list[EntityCopied]:
    command = CopyEntitiesCommand(source, overwrite=overwrite)
    return [event async for event in target.dispatch_command(command) if isinstance(event, EntityCopied)]


async def content(world: World, entity_id: int) -> bytes | None:
    async with world.contents.open_stream(entity_id) as stream:
        return stream.read() if stream else None


def object_of(world: World, data: bytes) -> str:
    path = world.get_resource(FileOperationsResource).local_path(hashlib.sha256(data).hexdigest())
    assert path is not None
    return path


def spoil(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with suppress(FileNotFoundError):
        os.unlink(path)
    with open(path, "wb") as file:
        file.write(data)


def file_of(folder: Path, data: bytes, name: str = "a.txt") -> Path:
    file = folder / name
    file.write_bytes(data)
    return file


async def test_the_bytes_come_along(open_world: OpenWorld, tmp_path: Path) -> None:
    one, two = await open_world("one"), await open_world("two")
    await add(two, file_of(tmp_path, b"something else", "b.txt"))
    await add(one, file_of(tmp_path, b"bytes"), file_of(tmp_path, b"", "empty"))
    told = await copy(one, two)
    assert [each.status for each in told] == [CopyStatus.ADDED] * 2
    assert [await content(two, each.entity_id or 0) for each in told] == [b"bytes", b""]


async def test_content_that_both_worlds_have_is_one_asset_with_the_names_of_both(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    one, two = await open_world("one"), await open_world("two")
    (there,) = await add(two, file_of(tmp_path, b"bytes", "two.txt"))
    await add(one, file_of(tmp_path, b"bytes", "one.txt"))
    (told,) = await copy(one, two)
    assert (told.entity_id, told.status) == (there, CopyStatus.UPDATED)
    async with two.reading() as session:
        names = await session.scalars(select(FileLocationComponent.contextual_filename))
        assert set(names) == {"one.txt", "two.txt"}


async def test_references_stay_references(open_world: OpenWorld, tmp_path: Path) -> None:
    one, two = await open_world("one"), await open_world("two")
    await add(one, file_of(tmp_path, b"bytes"), copy=False)
    (told,) = await copy(one, two)
    assert await content(two, told.entity_id or 0) == b"bytes"
    assert two.get_resource(FileOperationsResource).id_if_used() is None


async def test_damage_does_not_spread(open_world: OpenWorld, tmp_path: Path) -> None:
    one, two = await open_world("one"), await open_world("two")
    await add(one, file_of(tmp_path, b"bytes"), file_of(tmp_path, b"whole", "whole.txt"))
    spoil(object_of(one, b"bytes"), b"spoil")
    damaged, whole = await copy(one, two)
    assert (damaged.status, whole.status) == (CopyStatus.FAILED, CopyStatus.ADDED)
    assert damaged.reason is not None
    assert "is damaged: it hashes to" in damaged.reason
    os.unlink(object_of(one, b"bytes"))
    gone, _ = await copy(one, two)
    assert gone.reason == f"its object {hashlib.sha256(b'bytes').hexdigest()} cannot be read: No such file or directory"
    spoil(object_of(one, b"bytes"), b"bytes")
    mended, _ = await copy(one, two)
    assert (mended.status, await content(two, mended.entity_id or 0)) == (CopyStatus.ADDED, b"bytes")


async def test_an_object_that_lies_in_the_other_store_is_trusted_only_if_its_hash_is_right(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    one, two = await open_world("one"), await open_world("two")
    await add(two, file_of(tmp_path, b"so that there is a store", "b.txt"))
    await add(one, file_of(tmp_path, b"bytes"))
    spoil(object_of(two, b"bytes"), b"spoil")
    (told,) = await copy(one, two)
    assert await content(two, told.entity_id or 0) == b"bytes"


@pytest.mark.parametrize("overwrite", [False, True])
async def test_what_the_source_knows_to_be_damaged_harms_no_whole_copy(
    open_world: OpenWorld, tmp_path: Path, *, overwrite: bool
) -> None:
    one, two = await open_world("one"), await open_world("two")
    for world in (one, two):
        await add(world, file_of(tmp_path, b"bytes"))
    await add(one, file_of(tmp_path, b"alone", "alone.txt"))
    for content_ in (b"bytes", b"alone"):
        spoil(object_of(one, content_), b"spoil")
    location = FileLocationComponent
    async with one.transaction() as transaction:
        await transaction.update_components(location, location.entity_id > 0, condition=LocationCondition.DAMAGED)
    told = {each.source_id: each for each in await copy(one, two, overwrite=overwrite)}
    assert [each.status for each in told.values()].count(CopyStatus.FAILED) == 1
    (whole,) = (each.entity_id for each in told.values() if each.status is not CopyStatus.FAILED)
    assert await content(two, whole or 0) == b"bytes"
    async with two.reading() as session:
        assert list(await session.scalars(select(location.condition))) == ["ok"]


async def test_what_the_source_wrongly_believes_to_be_damaged_comes_along(
    open_world: OpenWorld, tmp_path: Path
) -> None:
    one, two = await open_world("one"), await open_world("two")
    await add(one, file_of(tmp_path, b"bytes"))
    location = FileLocationComponent
    async with one.transaction() as transaction:
        await transaction.update_components(location, location.entity_id > 0, condition=LocationCondition.DAMAGED)
    (told,) = await copy(one, two)
    assert await content(two, told.entity_id or 0) == b"bytes"


async def test_stopping_leaves_what_was_not_copied_for_the_next_time(
    open_world: OpenWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await open_world("one"), await open_world("two")
    await add(one, *(file_of(tmp_path, b"%d" % i, f"{i}.txt") for i in range(9)))
    command = CopyEntitiesCommand(one)
    opening, opened = LocalStorage.open, []

    def counted(self: LocalStorage, key: str) -> Any:
        opened.append(key)
        if len(opened) == 3:
            command.stop.set()
        return opening(self, key)

    monkeypatch.setattr(LocalStorage, "open", counted)
    told = [event async for event in two.dispatch_command(command) if isinstance(event, EntityCopied)]
    assert [each.status for each in told] == [CopyStatus.ADDED] * 3
    assert sorted(each.status for each in await copy(one, two)) == [CopyStatus.ADDED] * 6 + [CopyStatus.KNOWN] * 3


async def test_an_object_that_cannot_be_looked_at_fails_alone(
    open_world: OpenWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await open_world("one"), await open_world("two")
    await add(one, file_of(tmp_path, b"bytes"), file_of(tmp_path, b"more", "b.txt"))
    opening, bad = LocalStorage.open, hashlib.sha256(b"more").hexdigest()

    def refused(self: LocalStorage, key: str) -> Any:
        if key == bad:
            raise OSError("out of words")
        return opening(self, key)

    monkeypatch.setattr(LocalStorage, "open", refused)
    told = await copy(one, two)
    assert sorted(each.status for each in told) == [CopyStatus.ADDED, CopyStatus.FAILED]
    assert [each.reason for each in told if each.reason] == [f"its object {bad} cannot be read: out of words"]


async def test_a_copy_leaves_nothing_behind_in_the_store(open_world: OpenWorld, tmp_path: Path) -> None:
    one, two = await open_world("one"), await open_world("two")
    await add(one, *(file_of(tmp_path, b"%d" % i, f"{i}.txt") for i in range(30)))
    await copy(one, two)
    root = two.get_resource(FileOperationsResource).root
    await two.close()
    assert [name for _, _, names in os.walk(f"{root}/tmp") for name in names] == []

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from dam.commands.disposal_commands import DeleteCommand
from dam_fs import hashing
from dam_fs.commands import (
    AddAssetsCommand,
    AssetOutcome,
    Finding,
    RepairCommand,
    RepairOutcome,
    VerifyCommand,
)
from dam_fs.exceptions import NotAFileError
from dam_fs.models import DamagedDerived, DerivedObjectComponent, FileLocationComponent, FilePropertiesComponent
from dam_fs.resources import FileOperationsResource
from dam_fs.systems import repair_systems
from dam_test_utils.fixtures import create_tables

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dam.core.world import World

    OpenWorld = Callable[..., Awaitable[World]]


class TinyComponent(DerivedObjectComponent):
    """A derived object of these tests."""

    __tablename__ = "test_repair_tiny"


async def add(world: World, *paths: Path, copy: bool = True) -> list[int]:
    command = AddAssetsCommand([str(path) for path in paths], copy=copy)
    told = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    return [outcome.entity_id or 0 for outcome in told]


async def verify(world: World) -> list[Finding]:
    return [event async for event in world.dispatch_command(VerifyCommand()) if isinstance(event, Finding)]


async def repair(world: World, *folders: Path, dry_run: bool = False) -> list[tuple[str, str, str | None]]:
    command = RepairCommand([str(folder) for folder in folders], dry_run=dry_run)
    told = [event async for event in world.dispatch_command(command) if isinstance(event, RepairOutcome)]
    return [(event.status.value, event.place, event.source) for event in told]


def key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def object_of(world: World, data: bytes) -> Path:
    return Path(world.get_resource(FileOperationsResource).local_path(key_of(data)) or "")


def spoil(path: Path, data: bytes | None) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
    if data is not None:
        path.write_bytes(data)


async def conditions(world: World) -> set[str]:
    async with world.reading() as session:
        return set(await session.scalars(select(FileLocationComponent.condition)))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def write(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


async def test_nothing_is_to_be_mended_where_nothing_was_found(world: World, tree: Path) -> None:
    await add(world, write(tree, "a", b"one"))
    assert await repair(world) == []


@pytest.mark.parametrize("damage", [b"0ne", b"on", b"one!", None])
async def test_an_object_is_mended_from_a_reference_with_the_same_bytes(
    world: World, tree: Path, damage: bytes | None
) -> None:
    await add(world, write(tree, "a", b"one"))
    path = write(tree, "r", b"one")
    await add(world, path, copy=False)
    spoil(object_of(world, b"one"), damage)
    assert len(await verify(world)) == 1
    foretold = await repair(world, dry_run=True)
    assert await conditions(world) == {"damaged", "ok"}
    assert foretold == await repair(world) == [("mended", key_of(b"one"), str(path))]
    assert object_of(world, b"one").read_bytes() == b"one"
    assert await conditions(world) == {"ok"}
    assert await verify(world) == []
    assert await repair(world) == []


async def test_a_reference_that_changed_is_no_source(world: World, tree: Path) -> None:
    await add(world, write(tree, "a", b"one"))
    path = write(tree, "r", b"one")
    await add(world, path, copy=False)
    spoil(object_of(world, b"one"), b"0ne")
    path.write_bytes(b"1ne")  # of the same length
    await verify(world)
    beyond = [("beyond-repair", key_of(b"one"), None), ("beyond-repair", str(path), None)]
    assert await repair(world) == beyond
    assert await repair(world) == beyond, "it stays listed"
    assert object_of(world, b"one").read_bytes() == b"0ne"
    assert await verify(world) != []


async def test_objects_are_mended_from_a_folder_whatever_its_files_are_called(world: World, tree: Path) -> None:
    contents = [f"content {i}".encode() for i in range(10)]
    await add(world, *(write(tree, f"f{i}", data) for i, data in enumerate(contents)))
    for data in contents:
        spoil(object_of(world, data), None)
    await verify(world)
    backup = tree / "backup"
    for i, data in enumerate(contents[:8]):
        write(backup / f"deep{i % 3}", f"other name {i}", data)
    write(backup, "liar", b"c0ntent 8")
    os.symlink("/", backup / "link")
    os.mkfifo(backup / "pipe")
    outcomes = await repair(world, backup)
    assert {place for status, place, _ in outcomes if status == "mended"} == {key_of(data) for data in contents[:8]}
    assert {place for status, place, _ in outcomes if status == "beyond-repair"} == set(map(key_of, contents[8:]))
    assert [object_of(world, data).read_bytes() for data in contents[:8]] == contents[:8]
    assert {finding.place for finding in await verify(world)} == set(map(key_of, contents[8:]))


async def test_a_copy_of_a_store_is_a_source_and_its_damaged_objects_are_not(world: World, tree: Path) -> None:
    await add(world, write(tree, "a", b"one"), write(tree, "b", b"two"))
    root = Path(world.get_resource(FileOperationsResource).root)
    shutil.copytree(root, tree / "copy")
    other = tree / "copy" / object_of(world, b"two").relative_to(root)
    spoil(other, b"2wo")
    for data in (b"one", b"two"):
        spoil(object_of(world, data), b"xxx")
    await verify(world)
    outcomes = {place: status for status, place, _ in await repair(world, tree / "copy", root)}
    assert outcomes == {key_of(b"one"): "mended", key_of(b"two"): "beyond-repair"}


async def test_a_file_that_changes_after_it_was_found_is_not_taken(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(world, write(tree, "a", b"one"))
    spoil(object_of(world, b"one"), b"0ne")
    await verify(world)
    copy = write(tree / "backup", "copy", b"one")
    searching = repair_systems.Repair._search

    def then_change(self: Any, wanted: Any) -> Any:
        found = searching(self, wanted)
        copy.write_bytes(b"1ne")
        return found

    monkeypatch.setattr(repair_systems.Repair, "_search", then_change)
    assert await repair(world, tree / "backup") == [("beyond-repair", key_of(b"one"), None)]
    assert object_of(world, b"one").read_bytes() == b"0ne"
    temporaries = Path(world.get_resource(FileOperationsResource).root, "tmp")
    assert [file for file in temporaries.rglob("*") if file.is_file() and file.suffix != ".lock"] == []


async def test_an_object_that_is_whole_again_is_not_written(world: World, tree: Path) -> None:
    await add(world, write(tree, "a", b"one"), write(tree, "b", b"one"))
    spoil(object_of(world, b"one"), b"0ne")
    await verify(world)
    spoil(object_of(world, b"one"), b"one")
    assert await repair(world) == [("whole", key_of(b"one"), None)]
    assert await conditions(world) == {"ok"}


async def test_every_name_of_a_mended_object_is_whole_again(world: World, tree: Path) -> None:
    await add(world, write(tree, "a", b"one"), write(tree, "b", b"one"))
    spoil(object_of(world, b"one"), b"0ne")
    await verify(world)
    assert await repair(world, tree) == [("mended", key_of(b"one"), str(tree / "a"))]
    assert await conditions(world) == {"ok"}


async def test_a_lost_reference_whose_bytes_are_in_the_store_stays_lost(world: World, tree: Path) -> None:
    await add(world, write(tree, "a", b"one"))
    path = write(tree, "r", b"one")
    await add(world, path, copy=False)
    path.write_bytes(b"the user's own new words")
    await verify(world)
    assert await repair(world) == [("lost", str(path), None)]
    assert path.read_bytes() == b"the user's own new words"
    path.write_bytes(b"one")
    assert await repair(world) == [("whole", str(path), None)]
    assert await conditions(world) == {"ok"}


async def test_a_reference_goes_to_where_the_file_is_now(world: World, tree: Path, tmp_path: Path) -> None:
    moved, changed = write(tree, "moved", b"one"), write(tree, "changed", b"two")
    lost, here = write(tree, "lost", b"three"), write(tree, "here", b"four")
    (entity_id, *_) = await add(world, moved, changed, lost, here, copy=False)
    now = tmp_path / "now"
    now.mkdir()
    os.rename(moved, now / "elsewhere")
    changed.write_bytes(b"other")
    (now / "old").write_bytes(b"two")
    lost.unlink()
    await verify(world)
    expected = [
        ("beyond-repair", str(lost), None),
        ("mended", str(changed), str(now / "old")),
        ("mended", str(moved), str(now / "elsewhere")),
    ]
    assert sorted(await repair(world, now, dry_run=True)) == expected
    assert sorted(await repair(world, now)) == expected
    assert changed.read_bytes() == b"other"
    async with world.contents.open_stream(entity_id) as stream:
        assert stream is not None
        assert stream.read() == b"one"
    assert [finding.place for finding in await verify(world)] == [str(lost)]


async def test_a_reference_whose_asset_is_deleted_while_it_is_read_is_left_out(
    open_world: OpenWorld, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, other = await open_world(), await open_world()
    paths = [write(tree, "a", b"one"), write(tree, "b", b"two")]
    first, _ = await add(world, *paths, copy=False)
    for path in paths:
        path.rename(f"{path}.away")
    assert len(await verify(world)) == 2
    for path in paths:
        Path(f"{path}.away").rename(path)
    reading, loop = hashing.read_file, asyncio.get_running_loop()

    async def delete() -> None:
        async for _ in other.dispatch_command(DeleteCommand([first])):
            pass

    def meanwhile(path: str, **options: Any) -> Any:
        if path == str(paths[0]):
            asyncio.run_coroutine_threadsafe(delete(), loop).result()
        return reading(path, **options)

    monkeypatch.setattr(repair_systems, "read_file", meanwhile)
    assert await repair(world) == [("whole", str(paths[1]), None)]
    assert await conditions(world) == {"ok"}


async def test_derived_objects_that_are_damaged_are_forgotten_and_can_be_made_again(
    open_world: OpenWorld, tree: Path
) -> None:
    world = await open_world(register=lambda world: world.register_component(TinyComponent))
    await create_tables(world, TinyComponent)
    (entity_id,) = await add(world, write(tree, "a", b"one"))
    files = world.get_resource(FileOperationsResource)
    for data in (b"whole", b"broken", b"broken and mended"):
        key = await files.put(world, data)
        async with world.transaction() as transaction:
            tiny = TinyComponent(content_identifier=key, size_bytes=len(data), mime_type="text/plain")
            transaction.add(entity_id, tiny)
    spoil(object_of(world, b"broken"), b"Broken")
    spoil(object_of(world, b"broken and mended"), None)
    assert len(await verify(world)) == 2
    await files.put(world, b"broken and mended")
    outcomes = [("dropped", key_of(b"broken"), None), ("whole", key_of(b"broken and mended"), None)]
    assert sorted(await repair(world)) == sorted(outcomes)
    async with world.reading() as session:
        kept = set(await session.scalars(select(TinyComponent.content_identifier)))
        assert await session.scalar(select(func.count()).select_from(DamagedDerived)) == 0
    assert kept == {key_of(b"whole"), key_of(b"broken and mended")}
    assert [(finding.kind.value, finding.place) for finding in await verify(world)] == [("unknown", key_of(b"broken"))]


async def test_repair_that_was_stopped_is_continued(world: World, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair_systems, "BATCH", 2)
    monkeypatch.setattr(repair_systems, "PAGE", 3)
    contents = [f"content {i}".encode() for i in range(10)]
    await add(world, *(write(tree, f"f{i}", data) for i, data in enumerate(contents)))
    for data in contents:
        spoil(object_of(world, data), None)
    await verify(world)
    command = RepairCommand([str(tree)], stop=asyncio.Event())
    first = []
    async for outcome in world.dispatch_command(command):
        command.stop.set()
        first.append(outcome)
    assert len(first) == 2
    assert len(await repair(world, tree)) == 8
    assert await verify(world) == []


async def test_folders_are_searched_once_however_much_is_damaged(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair_systems, "PAGE", 3)
    contents = [f"content {i}".encode() for i in range(10)]
    await add(world, *(write(tree, f"f{i}", data) for i, data in enumerate(contents)))
    for data in contents:
        spoil(object_of(world, data), None)
    await verify(world)
    reading, read = hashing.read_file, Counter[str]()

    def counting(path: str, **options: Any) -> Any:
        read[path] += 1
        return reading(path, **options)

    monkeypatch.setattr(repair_systems, "read_file", counting)
    assert [status for status, _, _ in await repair(world, tree)] == ["mended"] * 10
    assert set(read.values()) == {2}, "once to know what it is, and once while it is copied"


async def test_a_search_that_is_stopped_leaves_the_file_that_it_reads(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entity_id,) = await add(world, write(tree, "a", b"one"))
    async with world.transaction() as transaction:
        await transaction.remove_components(FilePropertiesComponent, [entity_id])  # files of any length may be it
    spoil(object_of(world, b"one"), None)
    await verify(world)
    write(tree / "backup", "endless", b"")
    os.truncate(tree / "backup" / "endless", 1 << 42)
    command = RepairCommand([str(tree / "backup")], stop=asyncio.Event())
    reading, loop = hashing.read_file, asyncio.get_running_loop()

    def stopped(path: str, **options: Any) -> Any:
        loop.call_soon_threadsafe(command.stop.set)
        return reading(path, **options)

    monkeypatch.setattr(repair_systems, "read_file", stopped)
    assert [event async for event in world.dispatch_command(command) if isinstance(event, RepairOutcome)] == []


async def test_a_source_that_is_no_folder_is_a_mistake(world: World, tree: Path) -> None:
    with pytest.raises(NotAFileError, match="is no folder"):
        await repair(world, tree / "nowhere")

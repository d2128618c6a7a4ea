"""Copying assets out."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam.core import durable
from dam_fs import export as exporting
from dam_fs.commands import AddAssetsCommand, AssetExported, AssetOutcome, ExportCommand, ExportStatus
from dam_fs.exceptions import ExportError, StoreMissingError
from dam_fs.models import FilePropertiesComponent
from dam_fs.names import DIRECTIONS, LONGEST, file_name, numbered
from dam_fs.resources import FileOperationsResource
from dam_fs.systems import export_systems

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from dam.core.world import World

    OpenWorld = Callable[..., Awaitable[World]]

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links and modes of POSIX")


async def add(world: World, folder: Path, *, copy: bool = True, **files: bytes) -> dict[str, int]:
    """Files by name, whose first dot is a double underscore; the entity of each."""
    folder.mkdir(exist_ok=True)
    names = {name.replace("__", "."): content for name, content in files.items()}
    for name, content in names.items():
        (folder / name).write_bytes(content)
    command = AddAssetsCommand([str(folder / name) for name in names], copy=copy)
    told = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    return {os.path.basename(each.path): each.entity_id or 0 for each in told}


async def export(world: World, target: Path, *ids: int, every: bool = False, **options: Any) -> list[AssetExported]:
    command = ExportCommand(None if every else ids, str(target), **options)
    return [event async for event in world.dispatch_command(command) if isinstance(event, AssetExported)]


async def rename(world: World, entity_id: int, name: str) -> None:
    """As if the file had been called so: some names no file system takes."""
    async with world.transaction() as transaction:
        await transaction.update_components(
            FilePropertiesComponent, FilePropertiesComponent.entity_id == entity_id, original_filename=name
        )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def object_path(world: World, content: bytes) -> str:
    path = world.get_resource(FileOperationsResource).local_path(hashlib.sha256(content).hexdigest())
    assert path is not None
    return path


def damage(world: World, content: bytes, instead: bytes) -> None:
    path = object_path(world, content)
    os.chmod(path, 0o600)
    with open(path, "wb") as file:
        file.write(instead)


def statuses(told: list[AssetExported]) -> list[ExportStatus]:
    return [each.status for each in told]


async def test_assets_come_out_under_their_names(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a__txt=b"one", empty=b"")
    told = await export(world, tmp_path / "out", *ids.values())
    assert statuses(told) == [ExportStatus.EXPORTED] * 2
    assert contents(tmp_path / "out") == {"a.txt": b"one", "empty": b""}
    assert [each.path for each in told] == [str(tmp_path / "out" / name) for name in ("a.txt", "empty")]


async def test_the_time_of_the_original_is_kept(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"old")
    os.utime(tmp_path / "a.txt", ns=(5, 1_000_000_000_000_000_000))
    command = AddAssetsCommand([str(tmp_path / "a.txt")])
    (added,) = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    await export(world, tmp_path / "out", added.entity_id or 0)
    assert (tmp_path / "out" / "a.txt").stat().st_mtime_ns == 1_000_000_000_000_000_000


async def test_all_assets_are_exported_where_none_are_named(world: World, tmp_path: Path) -> None:
    await add(world, tmp_path / "in", a=b"1", b=b"2", c=b"3")
    assert len(await export(world, tmp_path / "out", every=True)) == 3
    assert len(contents(tmp_path / "out")) == 3


async def test_running_it_again_copies_nothing_twice(world: World, tmp_path: Path) -> None:
    ids = [*(await add(world, tmp_path / "one", a__txt=b"one")).values()]
    ids += [*(await add(world, tmp_path / "two", a__txt=b"two")).values()]
    ids += [*(await add(world, tmp_path / "three", a__txt=b"333")).values()]
    first = await export(world, tmp_path / "out", *ids)
    assert contents(tmp_path / "out") == {"a.txt": b"one", "a (2).txt": b"two", "a (3).txt": b"333"}
    again = await export(world, tmp_path / "out", *reversed(ids))
    assert statuses(again) == [ExportStatus.KNOWN] * 3
    assert [each.path for each in again] == [each.path for each in reversed(first)]
    (tmp_path / "out" / "a.txt").unlink()
    assert statuses(await export(world, tmp_path / "out", *reversed(ids))) == [
        ExportStatus.KNOWN,
        ExportStatus.KNOWN,
        ExportStatus.EXPORTED,
    ]
    assert len(contents(tmp_path / "out")) == 3


async def test_a_file_that_is_there_is_never_replaced(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a__txt=b"mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").write_bytes(b"your")
    (out / "a (2).txt").mkdir()
    (told,) = await export(world, out, *ids.values())
    assert told.path == str(out / "a (3).txt")
    assert (out / "a.txt").read_bytes() == b"your"


@posix
async def test_links_in_the_folder_lead_nowhere(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a__txt=b"mine", b__txt=b"also")
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    (outside).mkdir()
    (outside / "same.txt").write_bytes(b"also")
    (out / "a.txt").symlink_to(outside / "new.txt")
    (out / "b.txt").symlink_to(outside / "same.txt")
    (out / ".dam-export-1-01234567.lock").symlink_to(outside / "same.txt")
    told = await export(world, out, *ids.values())
    assert [each.path for each in told] == [str(out / "a (2).txt"), str(out / "b (2).txt")]
    assert contents(outside) == {"same.txt": b"also"}


async def test_a_name_is_data(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a=b"1", b=b"2", c=b"3", d=b"4", e=b"5")
    names = ["../../evil", "..", "/etc/passwd", "x\x1b]0;\u202e\n", "ä" * 500 + ".jpeg"]
    for entity_id, name in zip(ids.values(), names, strict=True):
        await rename(world, entity_id, name)
    told = await export(world, tmp_path / "out", *ids.values(), sidecar=True)
    assert statuses(told) == [ExportStatus.EXPORTED] * 5
    made = sorted(contents(tmp_path / "out"))
    assert len(made) == 10
    assert {".._.._evil", "_", "_etc_passwd", "x_]0;__"} <= set(made)
    assert any(name.endswith("ä.jpeg") and len(os.fsencode(name)) <= LONGEST for name in made)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["in", "main-store", "out"]
    assert statuses(await export(world, tmp_path / "out", *ids.values(), sidecar=True)) == [ExportStatus.KNOWN] * 5


@given(st.text(st.characters(), max_size=300))
def test_every_text_becomes_one_name(text: str) -> None:
    for windows in (True, False):
        name = file_name(text, windows=windows)
        for number in (1, 2, 1_000_000):
            made = numbered(name, number)
            assert made.encode()
            assert len(made.encode()) <= LONGEST
            assert not set(made) & {*"/\\\0\n\x1b", *DIRECTIONS}
            assert made not in ("", ".", "..")


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("holiday.jpg", "holiday.jpg"),
        ("-rf", "-rf"),
        (".bashrc", ".bashrc"),
        ("What? 12:30 <3.mp3", "What? 12:30 <3.mp3"),
        ("CON", "_CON"),
        ("aux.txt", "_aux.txt"),
        ("console.txt", "console.txt"),
        ("a\\b", "a_b"),
        ("", "_"),
        (".dam-export-12345678.lock", "_dam-export-12345678.lock"),
    ],
)
def test_a_name_that_can_be_had_stays_as_it_is(wanted: str, name: str) -> None:
    assert file_name(wanted, windows=False) == name


def test_no_character_turns_a_name_around() -> None:
    turning = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert file_name(f"a{turning}.exe", windows=False) == f"a{'_' * len(turning)}.exe"
    assert set(turning) == set(DIRECTIONS)


def test_windows_takes_less() -> None:
    assert file_name("What? 12:30. ", windows=True) == "What_ 12_30"


async def test_damaged_content_never_leaves(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a=b"whole", b=b"good", c=b"gone!", d=b"long")
    damage(world, b"whole", b"whale")
    damage(world, b"long", b"longer than it was")
    os.unlink(object_path(world, b"gone!"))
    told = await export(world, tmp_path / "out", *ids.values())
    assert statuses(told) == [ExportStatus.FAILED, ExportStatus.EXPORTED, ExportStatus.FAILED, ExportStatus.FAILED]
    assert "damaged" in (told[0].reason or "")
    assert "cannot be read" in (told[2].reason or "")
    assert contents(tmp_path / "out") == {"b": b"good"}


async def test_another_source_of_the_same_content_is_tried(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a__txt=b"whole")
    await add(world, tmp_path / "in", copy=False, a__txt=b"whole")
    damage(world, b"whole", b"wrong")
    (told,) = await export(world, tmp_path / "out", *ids.values())
    assert told.status is ExportStatus.EXPORTED
    assert contents(tmp_path / "out") == {"a.txt": b"whole"}


async def test_what_is_no_asset_fails_alone(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a=b"1")
    async with world.transaction() as transaction:
        bare = await transaction.create_entity()
    told = await export(world, tmp_path / "out", 999, bare, 1 << 70, *ids.values())
    assert [each.entity_id for each in told if each.status is ExportStatus.FAILED] == [999, bare, 1 << 70]
    assert contents(tmp_path / "out") == {"a": b"1"}


async def test_a_sidecar_has_every_component_and_is_the_same_again(world: World, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    odd = os.fsdecode(b"odd\xff.txt") if sys.platform == "linux" else "odd.txt"
    (tmp_path / "in" / odd).write_bytes(b"odd")
    command = AddAssetsCommand([str(tmp_path / "in")])
    (added,) = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    (told,) = await export(world, tmp_path / "out", added.entity_id or 0, sidecar=True)
    assert told.sidecar is not None
    assert told.sidecar == f"{told.path}.json"
    record = json.loads((tmp_path / "out" / os.path.basename(told.sidecar)).read_bytes())
    assert (record["schema"], record["entity_id"]) == (1, added.entity_id)
    names = [each["component"] for each in record["components"]]
    assert names == [
        "ContentHashMd5Component",
        "ContentHashSha256Component",
        "FileLocationComponent",
        "FilePropertiesComponent",
        "OriginalSourceInfoComponent",
    ]
    assert len(record["components"][1]["hash_value"]) == 64
    if sys.platform == "linux":
        assert "original_path_b64" in record["components"][-1]
    (again,) = await export(world, tmp_path / "out", added.entity_id or 0, sidecar=True)
    assert (again.status, again.sidecar) == (ExportStatus.KNOWN, told.sidecar)
    assert len(contents(tmp_path / "out")) == 2


async def test_a_sidecar_that_was_asked_for_later_is_written_beside(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a__txt=b"1")
    await export(world, tmp_path / "out", *ids.values())
    (tmp_path / "out" / "a.txt.json").write_text("yours")
    (told,) = await export(world, tmp_path / "out", *ids.values(), sidecar=True)
    assert (told.status, told.sidecar) == (ExportStatus.EXPORTED, str(tmp_path / "out" / "a.txt (2).json"))


async def test_a_dry_run_says_what_would_be_and_writes_nothing(world: World, tmp_path: Path) -> None:
    ids = [
        *(await add(world, tmp_path / "one", a=b"1")).values(),
        *(await add(world, tmp_path / "two", a=b"2")).values(),
    ]
    foretold = await export(world, tmp_path / "out", *ids, dry_run=True, sidecar=True)
    assert not (tmp_path / "out").exists()
    assert await export(world, tmp_path / "out", *ids, sidecar=True) == foretold
    assert statuses(await export(world, tmp_path / "out", *ids, dry_run=True)) == [ExportStatus.KNOWN] * 2


async def test_a_folder_that_cannot_be_one_is_refused(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a=b"1")
    (tmp_path / "file").write_text("a file")
    for place, said in (
        (tmp_path / "file", "is no folder"),
        (tmp_path / "nowhere" / "out", "there is no folder"),
        (tmp_path / "main-store", "is part of a world"),
        (tmp_path / "main-store" / "objects" / "new", "is part of a world"),
    ):
        with pytest.raises(ExportError, match=said):
            await export(world, place, *ids.values())
    with pytest.raises(ExportError, match="is part of a world"):
        await export(world, tmp_path / "in", *ids.values(), protected=[str(tmp_path / "in")])


async def test_a_store_that_is_not_mounted_is_no_damage(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a=b"1")
    await world.get_resource(FileOperationsResource).storage(world)
    world.get_resource(FileOperationsResource).close()
    world.get_resource(FileOperationsResource)._checked = False
    os.rename(tmp_path / "main-store", tmp_path / "unmounted")
    with pytest.raises(StoreMissingError):
        await export(world, tmp_path / "out", *ids.values())
    os.rename(tmp_path / "unmounted", tmp_path / "main-store")


async def test_a_full_disk_is_a_clear_error_and_leaves_nothing_half(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await add(world, tmp_path / "in", a=b"1", b=b"2")
    before = os.write

    def write(fd: int, data: bytes) -> int:
        if bytes(data) == b"2":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return before(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(ExportError, match="its disk is full"):
            await export(world, tmp_path / "out", *ids.values())
    assert contents(tmp_path / "out") == {}
    assert statuses(await export(world, tmp_path / "out", *ids.values())) == [ExportStatus.EXPORTED] * 2


async def test_what_cannot_be_removed_any_more_hides_no_error(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await add(world, tmp_path / "in", a=b"1")

    def fails(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", fails)
        patch.setattr(os, "unlink", fails)
        with pytest.raises(ExportError, match="it is not yours to write"):
            await export(world, tmp_path / "out", *ids.values())
    assert statuses(await export(world, tmp_path / "out", *ids.values())) == [ExportStatus.EXPORTED]
    assert contents(tmp_path / "out") == {"a": b"1"}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_content_is_flushed_before_it_has_its_name_and_the_folder_after(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await add(world, tmp_path / "in", a=b"1")
    (tmp_path / "out").mkdir()
    calls: list[str] = []
    fsync, link = os.fsync, os.link

    def flushed(fd: int) -> None:
        calls.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    def linked(source: str, target: str) -> None:
        calls.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "link", linked)
    await export(world, tmp_path / "out", *ids.values())
    assert [os.path.basename(call) for call in calls] == ["0", "link", "out"]


@posix
async def test_a_file_system_without_links_replaces_nothing_either(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(_source: str, _target: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    ids = [
        *(await add(world, tmp_path / "one", a=b"1")).values(),
        *(await add(world, tmp_path / "two", a=b"2")).values(),
    ]
    monkeypatch.setattr(os, "link", link)
    await export(world, tmp_path / "out", *ids)
    assert contents(tmp_path / "out") == {"a": b"1", "a (2)": b"2"}
    (tmp_path / "one" / "taken").write_text("x")
    with pytest.raises(FileExistsError):
        durable.move_new(str(tmp_path / "one" / "a"), str(tmp_path / "one" / "taken"))


async def test_a_name_that_is_taken_at_the_last_moment_is_avoided(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await add(world, tmp_path / "in", a=b"1")
    before = durable.move_new

    def move_new(source: str, target: str) -> None:
        if target.endswith("/a"):
            with open(target, "wb") as file:
                file.write(b"came first")
        before(source, target)

    monkeypatch.setattr(exporting, "move_new", move_new)
    await export(world, tmp_path / "out", *ids.values())
    assert contents(tmp_path / "out") == {"a": b"came first", "a (2)": b"1"}


async def test_what_a_killed_export_left_is_swept_and_nobody_elses(world: World, tmp_path: Path) -> None:
    ids = await add(world, tmp_path / "in", a=b"1")
    out = tmp_path / "out"
    dead = out / ".dam-export-1-0123abcd"
    dead.mkdir(parents=True)
    (dead / "0").write_text("half")
    (out / ".dam-export-1-0123abcd.lock").touch()
    (out / ".dam-export-mine").mkdir()
    await export(world, out, *ids.values())
    assert sorted(os.listdir(out)) == [".dam-export-mine", "a"]


async def test_it_can_be_stopped_between_batches(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_systems, "BATCH_BYTES", 1)
    ids = await add(world, tmp_path / "in", a=b"1", b=b"2", c=b"3")
    command = ExportCommand(list(ids.values()), str(tmp_path / "out"))
    async for _ in world.dispatch_command(command):
        command.stop.set()
    assert contents(tmp_path / "out") == {"a": b"1"}
    assert statuses(await export(world, tmp_path / "out", *ids.values())) == [
        ExportStatus.KNOWN,
        ExportStatus.EXPORTED,
        ExportStatus.EXPORTED,
    ]

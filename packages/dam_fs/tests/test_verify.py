from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from sqlalchemy import delete, select, update

from dam_fs import hashing
from dam_fs.commands import (
    AddAssetsCommand,
    AssetOutcome,
    Finding,
    PassBegun,
    PassEnded,
    PlacesVerified,
    RepairCommand,
    RepairOutcome,
    RepairStatus,
    VerifyCommand,
)
from dam_fs.exceptions import StoreMissingError
from dam_fs.models import (
    ContentHashMd5Component,
    ContentHashSha256Component,
    DerivedObjectComponent,
    FileLocationComponent,
    FilePropertiesComponent,
    VerificationPass,
)
from dam_fs.resources import FileOperationsResource
from dam_fs.storage import LocalStorage
from dam_fs.systems import verify_systems
from dam_test_utils.fixtures import create_tables

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dam.core.world import World

    OpenWorld = Callable[..., Awaitable[World]]


class SmallComponent(DerivedObjectComponent):
    """A derived object of these tests."""

    __tablename__ = "test_verify_small"


async def add(world: World, *paths: Path, copy: bool = True) -> list[tuple[str, int]]:
    command = AddAssetsCommand([str(path) for path in paths], copy=copy)
    told = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    assert all(outcome.entity_id for outcome in told)
    return [(outcome.status.value, outcome.entity_id or 0) for outcome in told]


async def verify(world: World, **options: Any) -> list[Any]:
    return [event async for event in world.dispatch_command(VerifyCommand(**options))]


def findings(events: list[Any]) -> list[tuple[str, str]]:
    return sorted((event.kind.value, event.place) for event in events if isinstance(event, Finding))


def verified(events: list[Any]) -> tuple[int, int]:
    told = [event for event in events if isinstance(event, PlacesVerified)]
    return sum(event.objects for event in told), sum(event.references for event in told)


def ended(events: list[Any]) -> tuple[bool, bool]:
    assert isinstance(events[-1], PassEnded)
    return events[-1].complete, events[-1].at_limit


def begun(events: list[Any]) -> PassBegun:
    assert isinstance(events[0], PassBegun)
    return events[0]


def key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def object_of(world: World, data: bytes) -> Path:
    return Path(world.get_resource(FileOperationsResource).local_path(key_of(data)) or "")


def spoil(path: Path, data: bytes | None) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
    if data is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


async def conditions(world: World) -> dict[str, str]:
    async with world.reading() as session:
        rows = await session.execute(select(FileLocationComponent.contextual_filename, FileLocationComponent.condition))
        return {name: condition for name, condition in rows}  # noqa: C416  rows are no tuples for the type checker


async def moments(world: World) -> dict[str, datetime | None]:
    query = select(FileLocationComponent.contextual_filename, FileLocationComponent.verified_at)
    async with world.reading() as session:
        return {name: moment for name, moment in await session.execute(query)}  # noqa: C416


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def write(tree: Path, **contents: bytes) -> list[Path]:
    paths = []
    for name, data in contents.items():
        (tree / name).write_bytes(data)
        paths.append(tree / name)
    return paths


# -- what is found


async def test_a_whole_store_is_verified_and_nothing_is_found(world: World, tree: Path) -> None:
    await add(world, *write(tree, a=b"one", b=b"two", c=b""))
    before = datetime.now(UTC)
    events = await verify(world)
    assert findings(events) == []
    assert verified(events) == (3, 0)
    assert ended(events) == (True, False)
    assert not begun(events).continued
    assert all(moment is not None and moment >= before for moment in (await moments(world)).values())


async def test_an_empty_world_without_a_store_is_whole(world: World) -> None:
    events = await verify(world)
    assert (findings(events), verified(events), ended(events)) == ([], (0, 0), (True, False))


async def test_every_kind_of_damage_to_an_object_is_found_and_named(world: World, tree: Path) -> None:
    whole, flipped, short, long, gone = b"whole", b"flipped", b"truncated", b"extended", b"removed"
    await add(world, *write(tree, whole=whole, flipped=flipped, short=short, long=long, gone=gone))
    spoil(object_of(world, flipped), b"fLipped")
    spoil(object_of(world, short), short[:4])
    spoil(object_of(world, long), long + b"!")
    spoil(object_of(world, gone), None)
    events = await verify(world)
    assert findings(events) == sorted(
        [
            ("damaged", key_of(flipped)),
            ("wrong-length", key_of(short)),
            ("wrong-length", key_of(long)),
            ("missing", key_of(gone)),
        ]
    )
    lengths = {each.name: (each.expected, each.found) for each in events if isinstance(each, Finding)}
    assert lengths == {"flipped": (7, 7), "short": (9, 4), "long": (8, 9), "gone": (7, None)}
    assert await conditions(world) == {
        "whole": "ok",
        "flipped": "damaged",
        "short": "damaged",
        "long": "damaged",
        "gone": "damaged",
    }
    assert all(event.is_damage for event in events if isinstance(event, Finding))


async def test_an_object_that_is_far_too_long_is_not_read(open_world: OpenWorld, tree: Path) -> None:
    world = await open_world(register=lambda world: world.register_component(SmallComponent))
    await create_tables(world, SmallComponent)
    ((_, entity_id),) = await add(world, *write(tree, a=b"one"))
    key = await world.get_resource(FileOperationsResource).put(world, b"small")
    async with world.transaction() as transaction:
        transaction.add(entity_id, SmallComponent(content_identifier=key, size_bytes=5, mime_type="text/plain"))
    for data in (b"one", b"small"):
        object_of(world, data).chmod(0o600)
        os.truncate(object_of(world, data), 1 << 42)
    events = await verify(world)
    assert findings(events) == sorted([("wrong-length", key_of(b"one")), ("wrong-length", key)])
    assert {each.found for each in events if isinstance(each, Finding)} == {1 << 42}
    assert sum(each.size_bytes for each in events if isinstance(each, PlacesVerified)) == 0
    told = [event async for event in world.dispatch_command(RepairCommand([]))]
    assert [event.status.value for event in told if isinstance(event, RepairOutcome)] == ["beyond-repair", "dropped"]


async def test_objects_that_took_each_others_place_are_both_damaged(world: World, tree: Path) -> None:
    await add(world, *write(tree, a=b"one", b=b"two"))
    spoil(object_of(world, b"one"), b"two")
    spoil(object_of(world, b"two"), b"one")
    assert findings(await verify(world)) == sorted([("damaged", key_of(b"one")), ("damaged", key_of(b"two"))])


async def test_what_is_whole_again_is_ok_again(world: World, tree: Path) -> None:
    await add(world, *write(tree, a=b"one"))
    spoil(object_of(world, b"one"), b"0ne")
    await verify(world)
    assert await conditions(world) == {"a": "damaged"}
    spoil(object_of(world, b"one"), b"one")
    assert findings(await verify(world)) == []
    assert await conditions(world) == {"a": "ok"}


async def test_an_object_is_read_once_however_many_names_it_has(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(world, *write(tree, a=b"same", b=b"same", c=b"same", d=b"other"))
    opened: list[str] = []
    opening = LocalStorage.open

    def counting(self: LocalStorage, key: str) -> BinaryIO:
        opened.append(key)
        return opening(self, key)

    monkeypatch.setattr(LocalStorage, "open", counting)
    monkeypatch.setattr(verify_systems, "PAGE", 2)
    spoil(object_of(world, b"same"), b"SAME")
    events = await verify(world)
    assert sorted(opened) == sorted([key_of(b"same"), key_of(b"other")])
    assert findings(events) == [("damaged", key_of(b"same"))]
    assert await conditions(world) == {"a": "damaged", "b": "damaged", "c": "damaged", "d": "ok"}


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_damaged_is_found_and_nothing_else(
    world: World, tree: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_systems, "PAGE", 7)
    monkeypatch.setattr(verify_systems, "BATCH", 5)
    chance = random.Random(seed)
    contents = [chance.randbytes(chance.choice([0, 1, 2, 100, 5000])) + bytes([i]) for i in range(40)]
    await add(world, *write(tree, **{f"f{i}": data for i, data in enumerate(contents)}))
    expected = set()
    for data in contents:
        damage = chance.choice(["none", "none", "flip", "cut", "grow", "remove", "swap"])
        path, spoilt = object_of(world, data), bytearray(data)
        if damage == "flip":
            spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        elif damage == "cut":
            del spoilt[chance.randrange(len(spoilt)) :]
        elif damage == "grow":
            spoilt += chance.randbytes(chance.randint(1, 9))
        elif damage == "swap":
            spoilt = bytearray(chance.choice([each for each in contents if each != data]))
        if damage != "none":
            expected.add(key_of(data))
            spoil(path, None if damage == "remove" else bytes(spoilt))
    events = await verify(world)
    assert {place for _, place in findings(events)} == expected
    assert len(findings(events)) == len(expected)
    assert verified(events) == (40, 0)
    broken = {name for name, condition in (await conditions(world)).items() if condition == "damaged"}
    assert broken == {f"f{i}" for i, data in enumerate(contents) if key_of(data) in expected}


async def test_an_object_whose_disk_fails_is_reported_and_the_others_go_on(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(world, *write(tree, a=b"one", b=b"two", c=b"three"))
    opening = LocalStorage.open

    def failing(self: LocalStorage, key: str) -> BinaryIO:
        if key == key_of(b"one"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), key)
        if key == key_of(b"two"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), key)
        return opening(self, key)

    monkeypatch.setattr(LocalStorage, "open", failing)
    events = await verify(world)
    assert findings(events) == sorted([("unreadable", key_of(b"one")), ("unreadable", key_of(b"two"))])
    assert {e.name: (e.is_damage, e.reason) for e in events if isinstance(e, Finding)} == {
        "a": (True, "Input/output error"),
        "b": (False, "Permission denied"),
    }
    assert verified(events) == (2, 0)
    assert await conditions(world) == {"a": "damaged", "b": "ok", "c": "ok"}
    monkeypatch.undo()
    assert findings(await verify(world)) == []
    assert await conditions(world) == {"a": "ok", "b": "ok", "c": "ok"}


async def test_a_store_that_vanishes_meanwhile_is_an_error_and_not_everything_missing(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await add(world, *write(tree, a=b"one", b=b"two"))
    root = Path(world.get_resource(FileOperationsResource).root)
    monkeypatch.setattr(LocalStorage, "open", lambda self, key: _unmount(root, key))
    with pytest.raises(StoreMissingError):
        await verify(world)
    assert await conditions(world) == {"a": "ok", "b": "ok"}


def _unmount(root: Path, key: str) -> BinaryIO:
    with suppress(FileNotFoundError):
        root.rename(root.with_name("elsewhere"))
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), key)


async def test_an_object_that_is_restored_while_it_is_judged_is_not_called_damaged(
    world: World, tree: Path, open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write(tree, a=b"one")
    await add(world, path)
    spoil(object_of(world, b"one"), b"on")
    other = await open_world()
    recording = verify_systems.Verification._record

    async def late(self: Any, batch: Any) -> Any:
        os.utime(path, ns=(1, 1))
        assert [status for status, _ in await add(other, path)] == ["restored"]
        return await recording(self, batch)

    monkeypatch.setattr(verify_systems.Verification, "_record", late)
    events = await verify(world)
    assert findings(events) == [("busy", key_of(b"one"))]
    assert await conditions(world) == {"a": "ok"}


# -- references


async def test_references_that_changed_or_vanished_are_lost_and_come_back(world: World, tree: Path) -> None:
    same, changed, gone = write(tree, same=b"same", changed=b"before", gone=b"gone")
    await add(world, same, changed, gone, copy=False)
    changed.write_bytes(b"afterwards")
    gone.unlink()
    events = await verify(world)
    assert findings(events) == [("changed", str(changed)), ("vanished", str(gone))]
    assert verified(events) == (0, 3)
    assert await conditions(world) == {"same": "ok", "changed": "lost", "gone": "lost"}
    changed.write_bytes(b"before")
    gone.write_bytes(b"gone")
    assert findings(await verify(world)) == []
    assert set((await conditions(world)).values()) == {"ok"}


async def test_a_reference_that_was_only_touched_can_be_opened_again(world: World, tree: Path) -> None:
    (path,) = write(tree, a=b"same")
    ((_, entity_id),) = await add(world, path, copy=False)
    os.utime(path, ns=(5, 5))
    async with world.contents.open_stream(entity_id) as stream:
        assert stream is None
    assert findings(await verify(world)) == []
    async with world.contents.open_stream(entity_id) as stream:
        assert stream is not None
        assert stream.read() == b"same"


async def test_a_file_that_changes_while_it_is_read_is_not_damaged(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write(tree, a=b"before")
    await add(world, path, copy=False)
    reading = hashing.read_file

    def growing(name: str, *, stop: Any) -> Any:
        def write(_: bytes) -> None:
            with open(name, "ab") as file:
                file.write(b"more")

        return reading(name, write=write, stop=stop)

    monkeypatch.setattr(verify_systems, "read_file", growing)
    assert findings(await verify(world)) == [("busy", str(path))]
    assert await conditions(world) == {"a": "ok"}


async def test_a_folder_that_is_gone_is_told_once_and_its_references_stay(world: World, tree: Path) -> None:
    (tree / "disk" / "deep").mkdir(parents=True)
    paths = write(tree / "disk", a=b"one", b=b"two") + write(tree / "disk" / "deep", c=b"three")
    paths += write(tree, here=b"here")
    await add(world, *paths, copy=False)
    (tree / "disk").rename(tree / "elsewhere")
    events = await verify(world)
    assert findings(events) == [("absent", str(tree / "disk"))]
    assert [(e.references, e.is_damage) for e in events if isinstance(e, Finding)] == [(3, False)]
    assert set((await conditions(world)).values()) == {"ok"}
    (tree / "elsewhere").rename(tree / "disk")
    assert findings(await verify(world)) == []


async def test_an_empty_folder_may_be_a_mount_point_and_is_absent(world: World, tree: Path) -> None:
    for name in ("disk/deep", "folder"):
        (tree / name).mkdir(parents=True)
    (mounted,) = write(tree / "disk" / "deep", a=b"one")
    removed, _ = write(tree / "folder", b=b"two", c=b"three")
    await add(world, mounted, removed, copy=False)
    mounted.unlink()
    mounted.parent.rmdir()
    removed.unlink()
    assert findings(await verify(world)) == [("absent", str(tree / "disk")), ("vanished", str(removed))]


async def test_a_folder_or_a_pipe_in_the_place_of_a_reference_is_a_change(world: World, tree: Path) -> None:
    paths = write(tree, a=b"one", b=b"two")
    await add(world, *paths, copy=False)
    for path in paths:
        path.unlink()
    paths[0].mkdir()
    os.mkfifo(paths[1])
    assert findings(await verify(world)) == [("changed", str(path)) for path in paths]


# -- what nobody knows, what somebody lacks


async def test_objects_that_no_row_knows_are_listed_and_are_no_damage(world: World, tree: Path) -> None:
    await add(world, *write(tree, a=b"one"))
    spoil(object_of(world, b"stray"), b"stray")
    object_of(world, b"stray").with_name("README").write_text("not the store's")
    events = await verify(world)
    assert findings(events) == [("unknown", key_of(b"stray"))]
    assert [(e.is_damage, e.found) for e in events if isinstance(e, Finding)] == [(False, 5)]


async def test_derived_objects_are_verified_and_known(open_world: OpenWorld, tree: Path) -> None:
    world = await with_derived(open_world)
    ((_, entity_id),) = await add(world, *write(tree, a=b"one"))
    await derive(world, entity_id, b"small whole", b"small broken", b"small gone")
    assert findings(await verify(world)) == []
    spoil(object_of(world, b"small broken"), b"SMALL broken")
    spoil(object_of(world, b"small gone"), None)
    events = await verify(world)
    assert findings(events) == sorted([("damaged", key_of(b"small broken")), ("missing", key_of(b"small gone"))])
    assert all(event.derived for event in events if isinstance(event, Finding))
    assert verified(events) == (4, 0)
    spoil(object_of(world, b"small broken"), b"small broken")
    assert findings(await verify(world)) == [("missing", key_of(b"small gone"))]


async def with_derived(open_world: OpenWorld) -> World:
    world = await open_world(register=lambda world: world.register_component(SmallComponent))
    await create_tables(world, SmallComponent)
    return world


async def derive(world: World, entity_id: int, *contents: bytes) -> None:
    for data in contents:
        key = await world.get_resource(FileOperationsResource).put(world, data)
        async with world.transaction() as transaction:
            transaction.add(
                entity_id, SmallComponent(content_identifier=key, size_bytes=len(data), mime_type="text/plain")
            )


async def test_assets_without_the_rows_that_they_need_are_named(world: World, tree: Path) -> None:
    contents = {"no_place": b"1", "no_hash": b"22", "no_properties": b"333", "wrong_size": b"4444", "whole": b"55555"}
    paths = write(tree, **contents, no_md5=b"666666", odd_place=b"7777777")
    ids = dict(
        zip((path.name for path in paths), [entity_id for _, entity_id in await add(world, *paths)], strict=True)
    )
    location, sha256, properties = FileLocationComponent, ContentHashSha256Component, FilePropertiesComponent
    lacking = (
        (location, "no_place"),
        (sha256, "no_hash"),
        (properties, "no_properties"),
        (ContentHashMd5Component, "no_md5"),
    )
    async with world.engine.begin() as connection:
        for component, name in lacking:
            table: Any = component.__table__
            await connection.execute(delete(table).where(table.c.entity_id == ids[name]))
        table = properties.__table__
        await connection.execute(update(table).where(table.c.entity_id == ids["wrong_size"]).values(size_bytes=5))
        table = location.__table__
        await connection.execute(update(table).where(table.c.entity_id == ids["odd_place"]).values(storage_type="odd"))
    events = await verify(world)
    found = Counter((e.kind.value, e.entity_id) for e in events if isinstance(e, Finding) and e.is_damage)
    assert found == {
        ("incomplete", ids["no_place"]): 1,
        ("incomplete", ids["no_hash"]): 1,
        ("incomplete", ids["no_properties"]): 1,
        ("incomplete", ids["no_md5"]): 1,
        ("incomplete", ids["odd_place"]): 1,
        ("contradiction", ids["wrong_size"]): 1,
    }
    assert [kind for kind, _ in findings(events)].count("unknown") == 2, "the objects whose locations are gone"
    beyond = [event async for event in world.dispatch_command(RepairCommand()) if isinstance(event, RepairOutcome)]
    assert {(each.status, each.entity_id) for each in beyond} == {
        (RepairStatus.BEYOND, ids[name]) for name in ("no_place", "no_hash", "no_properties", "no_md5", "odd_place")
    }
    assert all(each.reason for each in beyond)


# -- passes


async def test_a_pass_that_was_stopped_is_continued_and_a_finished_one_begins_anew(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_systems, "BATCH", 4)
    monkeypatch.setattr(verify_systems, "PAGE", 3)
    await add(world, *write(tree, **{f"f{i}": f"content {i}".encode() for i in range(40)}))
    command, first = VerifyCommand(), []
    async for event in world.dispatch_command(command):
        first.append(event)
        if isinstance(event, PlacesVerified):
            command.stop.set()
    done = verified(first)[0]
    assert 0 < done < 40
    assert ended(first) == (False, False)
    second = await verify(world)
    assert begun(second).continued
    assert begun(second).began_at == begun(first).began_at
    assert verified(second) == (40 - done, 0)
    assert begun(second).locations == 40 - done
    assert ended(second) == (True, False)
    third = await verify(world)
    assert not begun(third).continued
    assert verified(third) == (40, 0)


async def test_a_time_limit_ends_a_pass_that_the_next_run_continues(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(world, *write(tree, a=b"one", b=b"two"))
    none = await verify(world, time_limit=0)
    assert (verified(none), ended(none)) == ((0, 0), (False, True))
    rest = await verify(world, time_limit=3600)
    assert (begun(rest).continued, verified(rest), ended(rest)) == (True, (2, 0), (True, False))


async def test_the_run_that_ends_a_pass_tells_what_earlier_ones_found_as_it_is_by_then(
    open_world: OpenWorld, tree: Path
) -> None:
    world = await with_derived(open_world)
    await add(world, *write(tree, mended=b"one", spoiled=b"two"))
    ((_, original),) = await add(world, *write(tree, original=b"three"))
    await derive(world, original, b"small", b"smaller")
    for data in (b"one", b"two", b"small", b"smaller"):
        spoil(object_of(world, data), b"?")
    command, first = VerifyCommand(), []
    async for event in world.dispatch_command(command):
        first.append(event)
        if len(findings(first)) == 4:
            command.stop.set()
    assert (ended(first), len(findings(first))) == ((False, False), 4)

    spoil(object_of(world, b"one"), b"one")
    spoil(object_of(world, b"small"), b"small")
    second = await verify(world)
    assert begun(second).continued
    assert {place for _, place in findings(second)} == {key_of(b"two"), key_of(b"smaller")}
    assert ended(second) == (True, False)
    assert (await conditions(world))["mended"] == "ok"


async def test_derived_objects_are_continued_where_they_were_left(
    open_world: OpenWorld, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_systems, "BATCH", 2)
    world = await with_derived(open_world)
    ((_, entity_id),) = await add(world, *write(tree, a=b"one"))
    await derive(world, entity_id, *(f"small {i}".encode() for i in range(6)))
    command, seen = VerifyCommand(), 0
    async for event in world.dispatch_command(command):
        if isinstance(event, PlacesVerified):
            seen += event.objects
            if seen == 3:
                command.stop.set()
    assert seen == 3
    assert verified(await verify(world)) == (4, 0)


async def test_what_was_never_verified_comes_first_and_then_what_was_longest_ago(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_systems, "BATCH", 1)
    await add(world, *write(tree, newest=b"1", oldest=b"2", never=b"3"))
    table: Any = FileLocationComponent.__table__
    now = datetime.now(UTC)
    async with world.engine.begin() as connection:
        for name, age in (("newest", 1), ("oldest", 9)):
            named = update(table).where(table.c.contextual_filename == name)
            await connection.execute(named.values(verified_at=now - timedelta(days=age)))
    order: list[str] = []
    looking = verify_systems.Verification._look

    async def noting(self: Any, place: Any) -> Any:
        order.append(place.rows[0].name)
        return await looking(self, place)

    monkeypatch.setattr(verify_systems.Verification, "_look", noting)
    await verify(world)
    assert order == ["never", "oldest", "newest"]


async def test_a_clock_that_was_ahead_keeps_nothing_from_being_verified(world: World, tree: Path) -> None:
    await add(world, *write(tree, a=b"one", b=b"two"))
    table: Any = FileLocationComponent.__table__
    future = datetime.now(UTC) + timedelta(days=4000)
    async with world.engine.begin() as connection:
        await connection.execute(update(table).where(table.c.contextual_filename == "a").values(verified_at=future))
    assert verified(await verify(world)) == (2, 0)
    assert verified(await verify(world)) == (2, 0)


async def test_adding_a_file_again_keeps_the_date_of_its_verification(world: World, tree: Path) -> None:
    (path,) = write(tree, a=b"one")
    await add(world, path)
    await verify(world)
    before = await moments(world)
    os.utime(path, ns=(7, 7))
    await add(world, path)
    assert await moments(world) == before


# -- parts


async def test_subsets_cover_everything_once_and_have_passes_of_their_own(world: World, tree: Path) -> None:
    contents = {f"f{i}": f"content {i}".encode() for i in range(50)}
    await add(world, *write(tree, **contents))
    reference = write(tree, reference=b"by reference")
    await add(world, *reference, copy=False)
    for data in contents.values():
        spoil(object_of(world, data), b"spoilt")
    spoil(object_of(world, b"stray"), b"stray")
    found: Counter[tuple[str, str]] = Counter()
    counts = []
    for part in range(1, 8):
        events = await verify(world, subset=(part, 7))
        assert ended(events) == (True, False)
        found.update(findings(events))
        counts.append(sum(verified(events)))
    assert sum(counts) == 51
    assert max(counts) < 30
    assert set(found.values()) == {1}
    assert {place for _, place in found} == {key_of(data) for data in (*contents.values(), b"stray")}
    await verify(world, subset=(1, 7), time_limit=0)
    assert not begun(await verify(world, subset=(2, 7))).continued
    assert begun(await verify(world, subset=(1, 7))).continued


async def test_a_sample_is_a_part_and_another_one_each_time(world: World, tree: Path) -> None:
    await add(world, *write(tree, **{f"f{i}": f"content {i}".encode() for i in range(200)}))
    events = await verify(world, sample=0.5)
    assert 50 < verified(events)[0] < 150
    assert (verified(await verify(world, sample=1))[0], ended(events)) == (200, (True, False))
    chosen = {name for name, moment in (await moments(world)).items() if moment}
    assert len(chosen) == 200
    async with world.reading() as session:
        assert (await session.scalars(select(VerificationPass.slot))).all() == []


async def test_bytes_in_hand_mend_what_verification_found(world: World, tree: Path) -> None:
    (path,) = write(tree, a=b"right length")
    await add(world, path)
    spoil(object_of(world, b"right length"), b"wrong length")
    assert [status for status, _ in await add(world, path)] == ["known"], "nobody looked yet"
    await verify(world)
    assert [status for status, _ in await add(world, path)] == ["restored"]
    assert object_of(world, b"right length").read_bytes() == b"right length"
    assert findings(await verify(world)) == []


async def test_a_store_that_is_not_there_is_an_error(world: World, tree: Path, open_world: OpenWorld) -> None:
    await add(world, *write(tree, a=b"one"))
    root = world.get_resource(FileOperationsResource).root
    shutil.move(root, root + "-elsewhere")
    other = await open_world()
    with pytest.raises(StoreMissingError):
        await verify(other)
    assert await conditions(other) == {"a": "ok"}

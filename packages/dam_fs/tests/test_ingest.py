from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Mapped  # noqa: TC002  read by the mapper

from dam.analysis.algorithm import Algorithm
from dam.analysis.ref import ref
from dam.core.analyzers import Analyzer, analyzer
from dam.core.stages import SystemStage
from dam.core.systems import listens_for
from dam.core.world import World
from dam.models.core.base_class import Base
from dam.models.core.base_component import BaseComponent, Component, UniqueComponent
from dam.models.derivation import DerivationComponent
from dam.models.markers import NeedsMetadataExtractionComponent
from dam_fs.commands import AddAssetsCommand, AssetOutcome, AssetsAddedEvent, FilesCounted
from dam_fs.exceptions import StorageError, StoreMismatchError, StoreMissingError
from dam_fs.models import (
    ContentHashMd5Component,
    FileLocationComponent,
    FilePropertiesComponent,
    LocationCondition,
    OriginalSourceInfoComponent,
)
from dam_fs.resources import FileOperationsResource
from dam_fs.scan import Found
from dam_fs.storage import LocalStorage
from dam_fs.systems import ingest_systems
from dam_fs.systems.ingest_systems import handfuls

OpenWorld = Callable[..., Awaitable[World]]

HERE = os.path.dirname(os.path.abspath(__file__))


class LengthComponent(UniqueComponent):
    """Written by an analyzer of these tests."""

    __tablename__ = "test_ingest_length"
    value: Mapped[int]


class NoteComponent(BaseComponent):
    """Many per entity, and nothing says which of them are the same."""

    __tablename__ = "test_ingest_note"
    value: Mapped[int]


def length_analyzer(function: str = "length", **options: Any) -> Analyzer[int]:
    @analyzer(
        Algorithm(f"tests.{function}", 1),
        compute=ref(f"ingest_computes:{function}"),
        accepts=("text/*",),
        produces=(LengthComponent,),
        **options,
    )
    def components(value: int) -> Iterable[Component]:
        return [LengthComponent(value=value)]

    return components


def note_analyzer(function: str = "first_byte", version: int = 1) -> Analyzer[int]:
    @analyzer(
        Algorithm(f"tests.note_{function}", version),
        compute=ref(f"ingest_computes:{function}"),
        accepts=("text/*",),
        produces=(NoteComponent,),
    )
    def components(value: int) -> Iterable[Component]:
        return [NoteComponent(value=value)]

    return components


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file in which the compute ``length`` notes its calls."""
    monkeypatch.syspath_prepend(HERE)
    path = tmp_path / "calls"
    path.touch()
    monkeypatch.setenv("DAM_TEST_CALLS", str(path))
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


async def with_tables(world: World) -> World:
    tables = [LengthComponent.__table__, NoteComponent.__table__]
    async with world.engine.begin() as connection:
        await connection.run_sync(lambda sync: Base.metadata.create_all(sync, tables=tables))
    return world


async def add(world: World, *paths: Path, **options: Any) -> list[AssetOutcome]:
    command = AddAssetsCommand([str(path) for path in paths], **options)
    return [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]


async def add_one(world: World, path: Path, **options: Any) -> tuple[str, int | None]:
    (outcome,) = await add(world, path, **options)
    return outcome.status.value, outcome.entity_id


def statuses(outcomes: Iterable[AssetOutcome]) -> dict[str, str]:
    return {os.path.basename(outcome.path): outcome.status.value for outcome in outcomes}


async def rows(world: World, component: type[Any], *conditions: Any) -> list[Any]:
    async with world.reading() as session:
        return list(await session.scalars(select(component).where(*conditions)))


async def content(world: World, entity_id: int | None) -> bytes | None:
    assert entity_id is not None
    async with world.contents.open_stream(entity_id) as stream:
        return None if stream is None else stream.read()


def store_of(world: World) -> LocalStorage:
    return LocalStorage(world.get_resource(FileOperationsResource).root)


def object_of(world: World, data: bytes) -> Path:
    return Path(store_of(world).local_path(hashlib.sha256(data).hexdigest()))


def damage(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(0o400)


def disguise(path: Path, data: bytes) -> None:
    """Other bytes of the same length under the same time: who does not read them cannot know."""
    status = path.stat()
    assert status.st_size == len(data)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


def temporaries(world: World) -> list[Path]:
    return [path for path in Path(store_of(world).root, "tmp").glob("*/*") if path.is_file()]


# -- outcomes


async def test_a_new_file_is_added_with_all_that_is_known_of_it(world: World, tree: Path) -> None:
    path = tree / "notes.md"
    path.write_text("# heading\n")
    status, entity_id = await add_one(world, path)
    assert status == "added"
    assert await content(world, entity_id) == b"# heading\n"
    ((properties,), (source,), (location,)) = [
        await rows(world, cls) for cls in (FilePropertiesComponent, OriginalSourceInfoComponent, FileLocationComponent)
    ]
    assert (properties.original_filename, properties.size_bytes, properties.mime_type) == (
        "notes.md",
        10,
        "text/markdown",
    )
    assert (source.original_path, source.size_bytes, source.mtime_ns) == (str(path), 10, path.stat().st_mtime_ns)
    assert (location.contextual_filename, location.storage_type, location.condition) == ("notes.md", "cas", "ok")
    assert location.content_identifier == hashlib.sha256(b"# heading\n").hexdigest()


async def test_an_empty_file_is_an_asset(world: World, tree: Path) -> None:
    (tree / "empty").touch()
    status, entity_id = await add_one(world, tree / "empty")
    assert (status, await content(world, entity_id)) == ("added", b"")
    assert await add_one(world, tree / "empty") == ("known", entity_id)


async def test_the_second_run_knows_every_file_without_reading_any(world: World, tree: Path) -> None:
    for i in range(40):
        (tree / f"{i:02}").write_bytes(b"%02d" % i)
    first = await add(world, tree)
    assert Counter(statuses(first).values()) == {"added": 40}
    for path in tree.iterdir():
        disguise(path, b"??")
    second = await add(world, tree)
    assert {(o.path, o.entity_id) for o in second} == {(o.path, o.entity_id) for o in first}
    assert Counter(statuses(second).values()) == {"known": 40}


async def test_a_touched_file_is_read_again_and_then_known_again_without_reading(world: World, tree: Path) -> None:
    path = tree / "file"
    path.write_bytes(b"content")
    _, entity_id = await add_one(world, path)
    touch(path)
    assert await add_one(world, path) == ("known", entity_id)
    (source,) = await rows(world, OriginalSourceInfoComponent)
    assert source.mtime_ns == path.stat().st_mtime_ns
    disguise(path, b"CONTENT")
    assert await add_one(world, path) == ("known", entity_id)


async def test_known_content_under_another_name_is_linked_to_its_entity(world: World, tree: Path) -> None:
    (tree / "first").write_bytes(b"content")
    _, entity_id = await add_one(world, tree / "first")
    (tree / "second").write_bytes(b"content")
    assert await add_one(world, tree / "second") == ("linked", entity_id)
    assert {row.contextual_filename for row in await rows(world, FileLocationComponent)} == {"first", "second"}
    assert {row.original_path for row in await rows(world, OriginalSourceInfoComponent)} == {
        str(tree / "first"),
        str(tree / "second"),
    }
    (properties,) = await rows(world, FilePropertiesComponent)
    assert properties.original_filename == "first"


async def test_equal_new_files_of_one_run_are_one_asset_with_every_name(world: World, tree: Path) -> None:
    for name in "abc":
        (tree / name).write_bytes(b"same")
    outcomes = await add(world, tree)
    assert Counter(statuses(outcomes).values()) == {"added": 1, "linked": 2}
    assert len({outcome.entity_id for outcome in outcomes}) == 1


async def test_many_copies_of_one_file_in_several_batches_are_linked_and_nothing_is_restored(
    world: World, tree: Path
) -> None:
    for i in range(1200):
        (tree / f"{i:04}").write_bytes(b"same")
    outcomes = await add(world, tree)
    assert Counter(statuses(outcomes).values()) == {"added": 1, "linked": 1199}


async def test_a_path_is_recorded_once_however_often_it_is_added(world: World, tree: Path) -> None:
    path = tree / "file"
    path.write_bytes(b"content")
    for _ in range(3):
        await add(world, path, path, tree)
        touch(path)
    assert len(await rows(world, OriginalSourceInfoComponent)) == 1
    assert len(await rows(world, FileLocationComponent)) == 1


async def test_a_path_whose_content_changed_gets_another_entity_and_the_old_one_keeps_its_bytes(
    world: World, tree: Path
) -> None:
    path = tree / "file"
    path.write_bytes(b"old")
    _, old = await add_one(world, path)
    path.write_bytes(b"new content")
    status, new = await add_one(world, path)
    assert status == "added"
    assert new != old
    assert [await content(world, old), await content(world, new)] == [b"old", b"new content"]


async def test_files_of_one_md5_stay_two_assets(world: World, tree: Path) -> None:
    one = bytes.fromhex(
        "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
        "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
        "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
        "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
    )
    other = bytearray(one)
    for at in (19, 45, 59, 83, 109, 123):  # the collision of Wang, Feng, Lai and Yu, 2004
        other[at] ^= 0x80
    assert hashlib.md5(one).digest() == hashlib.md5(other).digest()
    assert one != other
    (tree / "one").write_bytes(one)
    (tree / "other").write_bytes(other)
    outcomes = await add(world, tree)
    assert statuses(outcomes) == {"one": "added", "other": "added"}
    found = await rows(world, ContentHashMd5Component, ContentHashMd5Component.hash_value == hashlib.md5(one).digest())
    assert {row.entity_id for row in found} == {outcome.entity_id for outcome in outcomes}
    assert {await content(world, row.entity_id) for row in found} == {one, bytes(other)}


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are POSIX")
async def test_what_is_no_file_is_skipped_and_what_is_missing_has_failed_and_the_rest_is_added(
    world: World, tree: Path
) -> None:
    os.mkfifo(tree / "pipe")
    (tree / "link").symlink_to("nowhere")
    (tree / "file").write_bytes(b"x")
    outcomes = await add(world, tree, tree / "gone")
    assert statuses(outcomes) == {"pipe": "skipped", "link": "skipped", "gone": "failed", "file": "added"}
    assert {os.path.basename(o.path): o.reason for o in outcomes} == {
        "pipe": "a pipe",
        "link": "a link to nothing",
        "gone": "No such file or directory",
        "file": None,
    }


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
async def test_a_name_that_is_not_utf_8_keeps_its_bytes(world: World, tree: Path) -> None:
    path = os.fsencode(tree) + b"/caf\xe9\x01\n"
    Path(os.fsdecode(path)).write_bytes(b"x")
    for expected in ("added", "known"):
        (outcome,) = await add(world, tree)
        assert (outcome.status, os.fsencode(outcome.path)) == (expected, path)
    (source,) = await rows(world, OriginalSourceInfoComponent)
    assert os.fsencode(source.original_path) == path


async def test_a_file_of_a_far_future_is_added_and_known_again(world: World, tree: Path) -> None:
    (tree / "file").write_bytes(b"x")
    os.utime(tree / "file", (10**10, 10**10))
    assert [(await add_one(world, tree / "file"))[0] for _ in range(2)] == ["added", "known"]


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_the_worlds_own_store_and_database_are_not_taken_in(
    open_world: OpenWorld, tree: Path, tmp_path: Path
) -> None:
    world = await open_world(database_url=f"sqlite+aiosqlite:///{tmp_path}/main.db")
    (tree / "file").write_bytes(b"x")
    (tmp_path / "way").symlink_to(tmp_path)
    for named in (tmp_path, tmp_path / "way"):
        outcomes = statuses(await add(world, named))
        assert outcomes["main.db"] == outcomes["main-store"] == "skipped"
        assert {name for name, status in outcomes.items() if status not in ("skipped", "known")} <= {"file", "calls"}


async def test_the_files_are_counted_when_that_is_asked(world: World, tree: Path) -> None:
    for i in range(30):
        (tree / str(i)).write_bytes(b"xx")
    command = AddAssetsCommand([str(tree)], count=True)
    counted = [event async for event in world.dispatch_command(command) if isinstance(event, FilesCounted)]
    assert counted[-1] == FilesCounted(30, 60, complete=True)


# -- objects that are not what they should be


@pytest.mark.parametrize("length", [None, 3])
async def test_an_object_that_is_missing_or_cut_off_is_restored_from_the_file(
    world: World, tree: Path, length: int | None
) -> None:
    path = tree / "file"
    path.write_bytes(b"content")
    _, entity_id = await add_one(world, path)
    stored = object_of(world, b"content")
    if length is None:
        stored.unlink()
    else:
        damage(stored, b"content"[:length])
    assert await add_one(world, path, dry_run=True) == ("restored", entity_id)
    assert await add_one(world, path) == ("restored", entity_id)
    assert await content(world, entity_id) == b"content"
    assert {row.condition for row in await rows(world, FileLocationComponent)} == {LocationCondition.OK}
    assert await add_one(world, path) == ("known", entity_id)


async def test_an_object_that_is_recorded_as_damaged_is_overwritten_and_every_name_is_whole_again(
    world: World, tree: Path
) -> None:
    for name in ("one", "two"):
        (tree / name).write_bytes(b"content")
    (_, entity_id) = (await add(world, tree), (await add(world, tree))[0].entity_id)
    damage(object_of(world, b"content"), b"CONTENT")
    async with world.transaction() as transaction:
        await transaction.update_components(FileLocationComponent, condition=LocationCondition.DAMAGED)
    assert await add_one(world, tree / "one", dry_run=True) == ("restored", entity_id)
    assert await add_one(world, tree / "one") == ("restored", entity_id)
    assert await content(world, entity_id) == b"content"
    assert await add_one(world, tree / "two") == ("known", entity_id)
    assert temporaries(world) == []


@pytest.mark.parametrize("size", [7, 5 << 20], ids=["read in one part", "read in several"])
async def test_a_duplicate_is_trusted_only_if_its_object_verifies(world: World, tree: Path, size: int) -> None:
    path, other, sound = tree / "file", tree / "other", os.urandom(size)
    path.write_bytes(sound)
    _, entity_id = await add_one(world, path)
    damage(object_of(world, sound), bytes(size))
    other.write_bytes(sound)
    assert await add_one(world, other) == ("restored", entity_id)
    assert object_of(world, sound).read_bytes() == sound
    assert {row.condition for row in await rows(world, FileLocationComponent)} == {LocationCondition.OK}
    touch(path)
    assert await add_one(world, path) == ("known", entity_id)
    assert temporaries(world) == []


async def test_an_object_that_no_row_knows_and_that_is_cut_off_does_not_stand_for_a_new_asset(
    world: World, tree: Path
) -> None:
    (tree / "other").write_bytes(b"other")
    await add(world, tree / "other")
    stored = object_of(world, b"content")
    stored.parent.mkdir(exist_ok=True)
    damage_before = b"con"
    stored.write_bytes(damage_before)
    (tree / "file").write_bytes(b"content")
    status, entity_id = await add_one(world, tree / "file")
    assert (status, await content(world, entity_id)) == ("added", b"content")


# -- references


async def test_a_reference_leaves_the_bytes_where_they_are(world: World, tree: Path) -> None:
    path = tree / "file"
    path.write_bytes(b"content")
    status, entity_id = await add_one(world, path, copy=False)
    assert (status, await content(world, entity_id)) == ("added", b"content")
    assert store_of(world).is_empty()
    (location,) = await rows(world, FileLocationComponent)
    assert (location.storage_type, location.physical_path_or_key) == ("reference", str(path))
    disguise(path, b"CONTENT")
    assert await add_one(world, path, copy=False) == ("known", entity_id)


async def test_a_reference_whose_file_changed_serves_nothing_and_is_recorded_as_lost_when_it_is_seen(
    world: World, tree: Path
) -> None:
    path = tree / "file"
    path.write_bytes(b"content")
    _, old = await add_one(world, path, copy=False)
    touch(path)
    assert await content(world, old) is None
    path.write_bytes(b"changed")
    status, new = await add_one(world, path, copy=False)
    assert status == "added"
    conditions = {row.entity_id: row.condition for row in await rows(world, FileLocationComponent)}
    assert conditions == {old: LocationCondition.LOST, new: LocationCondition.OK}
    assert [await content(world, old), await content(world, new)] == [None, b"changed"]


async def test_a_reference_whose_content_comes_back_serves_it_again(world: World, tree: Path) -> None:
    path = tree / "file"
    path.write_bytes(b"content")
    _, old = await add_one(world, path, copy=False)
    path.write_bytes(b"something else")
    await add_one(world, path, copy=False)
    path.write_bytes(b"content")
    assert await add_one(world, path, copy=False) == ("known", old)
    assert await content(world, old) == b"content"


async def test_a_lost_reference_is_good_again_when_its_file_comes_back_and_is_copied(world: World, tree: Path) -> None:
    path = tree / "file"
    path.write_bytes(b"content")
    _, old = await add_one(world, path, copy=False)
    path.write_bytes(b"something else")
    await add_one(world, path, copy=False)
    path.write_bytes(b"content")
    await add_one(world, path)
    places = {(row.entity_id, row.storage_type): row.condition for row in await rows(world, FileLocationComponent)}
    assert places[old, "reference"] == places[old, "cas"] == LocationCondition.OK


def test_large_files_are_read_side_by_side_and_small_ones_together() -> None:
    def found(*sizes: int) -> list[Found]:
        return [Found(str(i), str(i), size, 0) for i, size in enumerate(sizes)]

    assert [len(handful) for handful in handfuls(found(*[10] * 40))] == [16, 16, 8]
    assert [len(handful) for handful in handfuls(found(40 << 20, 50 << 20, 10, 20 << 20, 20 << 20, 5))] == [1, 1, 3, 1]
    assert list(handfuls([])) == []


async def test_adding_a_reference_with_a_copy_stores_its_bytes(world: World, tree: Path) -> None:
    path = tree / "file"
    path.write_bytes(b"content")
    _, entity_id = await add_one(world, path, copy=False)
    assert await add_one(world, path, dry_run=True) == ("linked", entity_id)
    assert await add_one(world, path) == ("linked", entity_id)
    assert await add_one(world, path) == ("known", entity_id)
    assert object_of(world, b"content").read_bytes() == b"content"
    path.unlink()
    assert await content(world, entity_id) == b"content"


# -- dry runs


async def test_a_dry_run_writes_nothing_and_says_what_the_real_run_then_says(world: World, tree: Path) -> None:
    assert statuses(await add(world, tree, dry_run=True)) == {}
    for name, data in {"a": b"1", "b": b"2", "copy of a": b"1", "gone": b"3", "cut": b"4444"}.items():
        (tree / name).write_bytes(data)
    dry = await add(world, tree, dry_run=True)
    assert not Path(store_of(world).root).exists()
    assert await rows(world, OriginalSourceInfoComponent) == []
    assert statuses(dry) == statuses(await add(world, tree))

    object_of(world, b"3").unlink()
    damage(object_of(world, b"4444"), b"4")
    (tree / "b").write_bytes(b"other")
    touch(tree / "a")
    (tree / "new").write_bytes(b"new")
    (tree / "another copy").write_bytes(b"1")
    (tree / "link").symlink_to("nowhere")
    before = sorted(path for path in Path(store_of(world).root).rglob("*") if path.is_file())
    dry = await add(world, tree, dry_run=True)
    assert sorted(path for path in Path(store_of(world).root).rglob("*") if path.is_file()) == before
    real = await add(world, tree)
    assert statuses(dry) == statuses(real)
    known = {o.path: o.entity_id for o in real if o.status != "added"}
    assert {o.path: o.entity_id for o in dry if o.status != "added"} == known


async def test_a_dry_run_computes_nothing(open_world: OpenWorld, tree: Path, calls: Path) -> None:
    world = await with_tables(await open_world(register=lambda w: w.register_analyzer(length_analyzer())))
    (tree / "file").write_text("text")
    await add(world, tree, dry_run=True)
    assert calls.read_text() == ""


# -- batches


async def refuse(world: World, name: str) -> None:
    """A database that refuses one file, by its name."""
    refusals = {
        "sqlite": "CREATE TRIGGER refuse BEFORE INSERT ON dam_fs_file_properties "
        f"WHEN NEW.original_filename = '{name}' BEGIN SELECT RAISE(ABORT, 'refused'); END",
        "postgresql": f"ALTER TABLE dam_fs_file_properties ADD CHECK (original_filename <> '{name}')",
    }
    async with world.engine.begin() as connection:
        await connection.execute(text(refusals[connection.dialect.name]))


async def test_a_file_that_cannot_be_stored_fails_alone(world: World, tree: Path) -> None:
    for i in range(100):
        (tree / f"{i:02}").write_bytes(b"%d" % i)
    await refuse(world, "37")
    outcomes = await add(world, tree)
    assert Counter(statuses(outcomes).values()) == {"added": 99, "failed": 1}
    (failed,) = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert os.path.basename(failed.path) == "37"
    assert failed.reason is not None
    assert failed.reason.startswith("it cannot be stored: IntegrityError")
    assert {os.path.basename(row.original_path) for row in await rows(world, OriginalSourceInfoComponent)} == {
        f"{i:02}" for i in range(100) if i != 37
    }


async def test_facts_that_cannot_be_stored_cost_their_analysis_and_not_the_asset(
    open_world: OpenWorld, tree: Path
) -> None:
    world = await with_tables(await open_world(register=lambda w: w.register_analyzer(length_analyzer("too_large"))))
    for name in "ab":
        (tree / name).write_text(name)
    assert statuses(await add(world, tree)) == {"a": "added", "b": "added"}
    derivations = await rows(world, DerivationComponent)
    assert [row.status for row in derivations] == ["failed", "failed"]
    assert all("it cannot be stored: " in row.error for row in derivations)


async def test_stopping_finishes_what_is_in_hand_and_the_next_run_continues(world: World, tree: Path) -> None:
    for i in range(3000):
        (tree / f"{i:04}").write_bytes(b"%d" % i)
    command = AddAssetsCommand([str(tree)])
    told = []
    async for event in world.dispatch_command(command):
        command.stop.set()
        assert isinstance(event, AssetOutcome)
        told.append(event.path)
    stored = {row.original_path for row in await rows(world, OriginalSourceInfoComponent)}
    assert 0 < len(told) < 3000
    assert set(told) == stored
    assert temporaries(world) == []
    outcomes = await add(world, tree)
    assert Counter(statuses(outcomes).values()) == {"added": 3000 - len(told), "known": len(told)}


async def test_a_run_that_was_told_to_stop_before_it_began_does_nothing(world: World, tree: Path) -> None:
    (tree / "file").write_bytes(b"x")
    command = AddAssetsCommand([str(tree)])
    command.stop.set()
    assert [event async for event in world.dispatch_command(command)] == []


async def test_leaving_a_run_early_leaves_no_temporary_and_what_was_told_is_stored(world: World, tree: Path) -> None:
    for i in range(3000):
        (tree / f"{i:04}").write_bytes(b"%d" % i)
    async with world.dispatch_command(AddAssetsCommand([str(tree)])) as events:
        told = await anext(events)
    assert isinstance(told, AssetOutcome)
    assert await content(world, told.entity_id) is not None
    assert temporaries(world) == []


async def test_a_store_that_goes_away_between_two_files_ends_the_run_and_nothing_takes_its_place(
    world: World, tree: Path, tmp_path: Path
) -> None:
    (tree / "first").write_bytes(b"first")
    await add(world, tree)
    os.rename(store_of(world).root, tmp_path / "elsewhere")
    (tree / "second").write_bytes(b"second")
    with pytest.raises(StorageError, match="still mounted"):
        await add(world, tree)
    assert not Path(store_of(world).root).exists()
    os.rename(tmp_path / "elsewhere", store_of(world).root)
    assert statuses(await add(world, tree)) == {"first": "known", "second": "added"}


# -- what follows


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_whoever_is_told_and_takes_his_time_keeps_nobody_from_writing(
    world: World, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_systems, "BATCH", 8)
    for i in range(200):
        (tree / str(i)).write_bytes(b"%d" % i)
    async for event in world.dispatch_command(AddAssetsCommand([str(tree)])):
        assert isinstance(event, AssetOutcome)
        with closing(sqlite3.connect(world.database_files[0], isolation_level=None, timeout=0)) as another:
            another.execute(
                "BEGIN IMMEDIATE"
            )  # while the event loop stands still, as it does where nobody reads a pipe


async def test_listeners_hear_of_new_assets_after_they_are_committed(open_world: OpenWorld, tree: Path) -> None:
    heard: list[tuple[list[int], int]] = []

    @listens_for(AssetsAddedEvent)
    async def note(event: AssetsAddedEvent) -> None:
        async with elsewhere.reading() as session:  # which sees what is committed, and nothing else
            count = await session.scalar(select(func.count()).select_from(FilePropertiesComponent))
        heard.append((list(event.entity_ids), count or 0))

    world, elsewhere = await open_world(register=lambda w: w.register_system(note)), await open_world()
    for name in ("a", "b", "copy of b"):
        (tree / name).write_bytes(name[-1:].encode())
    outcomes = await add(world, tree)
    ((entity_ids, count),) = heard
    assert (sorted(entity_ids), count) == (sorted({o.entity_id for o in outcomes if o.entity_id}), 2)
    await add(world, tree)
    assert len(heard) == 1


async def test_only_new_assets_for_which_something_waits_are_marked(open_world: OpenWorld, tree: Path) -> None:
    stage = length_analyzer(stage=SystemStage.METADATA_EXTRACTION)
    world = await with_tables(await open_world(register=lambda w: w.register_analyzer(stage)))
    (tree / "text.txt").write_text("text")
    (tree / "noise").write_bytes(bytes(range(256)))
    entity_ids = {os.path.basename(o.path): o.entity_id for o in await add(world, tree)}
    marked = await rows(world, NeedsMetadataExtractionComponent)
    assert [row.entity_id for row in marked] == [entity_ids["text.txt"]]
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)
    assert await rows(world, NeedsMetadataExtractionComponent) == []
    assert [(row.entity_id, row.value) for row in await rows(world, LengthComponent)] == [(entity_ids["text.txt"], 4)]


async def test_nothing_is_marked_where_nothing_waits(world: World, tree: Path) -> None:
    (tree / "text.txt").write_text("text")
    await add(world, tree)
    assert await rows(world, NeedsMetadataExtractionComponent) == []


async def test_facts_are_there_when_the_asset_is(open_world: OpenWorld, tree: Path) -> None:
    world = await with_tables(await open_world(register=lambda w: w.register_analyzer(length_analyzer())))
    (tree / "file").write_text("text")
    for copy in (True, False):
        (tree / f"file {copy}").write_text(f"text {copy}")
        _, entity_id = await add_one(world, tree / f"file {copy}", copy=copy)
        (fact,) = await rows(world, LengthComponent, LengthComponent.entity_id == entity_id)
        assert fact.value == len(f"text {copy}")
        (derivation,) = await rows(world, DerivationComponent, DerivationComponent.entity_id == entity_id)
        assert (derivation.status, derivation.input_digest) == ("ok", hashlib.sha256(f"text {copy}".encode()).digest())


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("loops", "limit of"),
        ("hangs", "limit of 2 s"),
        ("crashes", "SIGABRT"),
        ("eats_memory", "memory limit"),
        ("raises", "ValueError: no such header"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows the wall limit alone")
async def test_an_analyzer_that_fails_costs_nothing_but_its_own_facts(
    open_world: OpenWorld, tree: Path, function: str, error: str
) -> None:
    def register(world: World) -> None:
        world.register_analyzer(length_analyzer(function))
        world.register_analyzer(note_analyzer())

    world = await with_tables(await open_world(register=register))
    for name in "ab":
        (tree / name).write_text(name)
    outcomes = await add(world, tree)
    assert statuses(outcomes) == {"a": "added", "b": "added"}
    assert [await content(world, outcome.entity_id) for outcome in outcomes] == [b"a", b"b"]
    failed = await rows(world, DerivationComponent, DerivationComponent.status == "failed")
    assert [row.algorithm for row in failed] == [f"tests.{function}"] * 2
    assert [outcome.analyses_failed for outcome in outcomes] == [1, 1]
    assert all(error in row.error for row in failed), failed
    assert await rows(world, LengthComponent) == []
    assert {row.value for row in await rows(world, NoteComponent)} == {ord("a"), ord("b")}


async def test_known_content_is_not_analysed_again(open_world: OpenWorld, tree: Path, calls: Path) -> None:
    world = await with_tables(await open_world(register=lambda w: w.register_analyzer(length_analyzer())))
    (tree / "file").write_text("text")
    await add(world, tree)
    (tree / "copy").write_text("text")
    touch(tree / "file")
    assert statuses(await add(world, tree)) == {"copy": "linked", "file": "known"}
    assert calls.read_text() == "length\n"


async def test_a_new_analyzer_fills_in_what_is_missing_when_known_content_comes_under_another_path(
    open_world: OpenWorld, tree: Path
) -> None:
    (tree / "file").write_text("text")
    old = await open_world()
    _, entity_id = await add_one(old, tree / "file")
    new = await with_tables(await open_world(register=lambda w: w.register_analyzer(length_analyzer())))
    (tree / "copy").write_text("text")
    assert statuses(await add(new, tree)) == {"copy": "linked", "file": "known"}
    assert [(row.entity_id, row.value) for row in await rows(new, LengthComponent)] == [(entity_id, 4)]


async def test_equal_files_of_one_batch_have_their_facts_once(open_world: OpenWorld, tree: Path) -> None:
    world = await with_tables(await open_world(register=lambda w: w.register_analyzer(note_analyzer())))
    for name in "abc":
        (tree / name).write_text("same")
    await add(world, tree)
    assert len(await rows(world, NoteComponent)) == 1


async def test_facts_of_a_restored_object_are_not_doubled(open_world: OpenWorld, tree: Path) -> None:
    world = await with_tables(await open_world(register=lambda w: w.register_analyzer(note_analyzer())))
    (tree / "file").write_text("text")
    await add(world, tree)
    object_of(world, b"text").unlink()
    assert statuses(await add(world, tree)) == {"file": "restored"}
    assert len(await rows(world, NoteComponent)) == 1


async def test_facts_of_a_new_version_take_the_place_of_the_old(open_world: OpenWorld, tree: Path) -> None:
    old = await with_tables(await open_world(register=lambda w: w.register_analyzer(note_analyzer())))
    (tree / "file").write_text("text")
    await add(old, tree)
    new = await open_world(register=lambda w: w.register_analyzer(note_analyzer(version=2)))
    touch(tree / "file")
    await add(new, tree)
    assert len(await rows(new, NoteComponent)) == 1
    assert [row.version for row in await rows(new, DerivationComponent)] == [2]


# -- the store's identity


async def test_a_store_that_is_missing_is_never_made_anew(open_world: OpenWorld, tree: Path) -> None:
    (tree / "file").write_bytes(b"x")
    world = await open_world()
    await add(world, tree)
    shutil.rmtree(store_of(world).root)
    for dry_run in (True, False):
        with pytest.raises(StoreMissingError, match="is its disk mounted"):
            await add(await open_world(), tree, dry_run=dry_run)
    assert not Path(store_of(world).root).exists()


async def test_another_store_in_its_place_is_refused(open_world: OpenWorld, tree: Path) -> None:
    (tree / "file").write_bytes(b"x")
    world = await open_world()
    await add(world, tree)
    shutil.rmtree(store_of(world).root)
    store_of(world).create()
    with pytest.raises(StoreMismatchError, match="has the id"):
        await add(await open_world(), tree)
    assert store_of(world).is_empty()


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_new_database_does_not_take_a_store_with_objects(
    open_world: OpenWorld, tree: Path, dry_run: bool
) -> None:
    (tree / "file").write_bytes(b"x")
    await add(await open_world("old"), tree)
    with pytest.raises(StoreMismatchError, match="knows nothing"):
        await add(await open_world("new", store="old-store"), tree, dry_run=dry_run)


async def test_a_new_database_takes_an_empty_store_with_its_id(open_world: OpenWorld, tree: Path) -> None:
    world = await open_world()
    store_id = store_of(world).create()
    (tree / "file").write_bytes(b"x")
    assert statuses(await add(world, tree)) == {"file": "added"}
    assert store_of(world).read_id() == store_id
    assert statuses(await add(await open_world(), tree)) == {"file": "known"}


async def test_two_processes_that_begin_a_world_at_once_share_its_store(open_world: OpenWorld, tmp_path: Path) -> None:
    worlds = [await open_world() for _ in range(6)]
    trees = [tmp_path / f"tree{i}" for i in range(6)]
    for tree in trees:
        tree.mkdir()
        for i in range(20):
            (tree / str(i)).write_bytes(b"%d" % i)
    outcomes = await asyncio.gather(*(add(world, tree) for world, tree in zip(worlds, trees, strict=True)))
    assert Counter(o.status.value for each in outcomes for o in each) == {"added": 20, "linked": 100}
    assert len({o.entity_id for each in outcomes for o in each}) == 20

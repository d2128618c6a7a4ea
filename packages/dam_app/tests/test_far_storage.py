"""Worlds whose objects lie far away: no object has a path on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import os
import shutil
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from sqlalchemy import select

from dam.core.exceptions import SettingsError
from dam_app import open_world
from dam_app.config import load_configuration
from dam_app.services import addition, newest_assets
from dam_app.worlds import protected_paths
from dam_fs.commands import AddAssetsCommand, AssetOutcome
from dam_fs.exceptions import StorageError, StoreMismatchError, StoreMissingError
from dam_fs.models import FileLocationComponent, LocationCondition
from dam_fs.plugin import FsPlugin
from dam_fs.settings import FsSettings
from dam_fs.storage import LocalStorage, Staged, StoredObject
from dam_fs.storage_contract import check_storage
from dam_media_image.commands import HashImageCommand, ReadImageHeaderCommand, ThumbnailCommand
from dam_media_image.exceptions import NotAPictureError
from dam_media_image.models import ImageDimensionsComponent, ThumbnailComponent
from dam_media_image.plugin import ImagePlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from dam.core.world import World
    from dam_test_utils.fixtures import MakeWorld, SampleFiles

    OpenFar = Callable[[], Awaitable[World]]


class FarStorage:
    """What a client of an object server is like: it has streams and no paths. The server is a folder."""

    def __init__(self, url: str) -> None:
        self._server = LocalStorage(url.partition(":")[2])
        self.root = url

    def read_id(self) -> str | None:
        return self._server.read_id()

    def create(self) -> str:
        return self._server.create()

    def is_empty(self) -> bool:
        return self._server.is_empty()

    def close(self) -> None:
        self._server.close()

    def length(self, key: str) -> int | None:
        self._refuse_event_loop()
        return self._server.length(key)

    def objects(self) -> Iterator[StoredObject]:
        self._refuse_event_loop()
        return self._server.objects()

    def remove(self, keys: Iterable[str]) -> None:
        self._refuse_event_loop()
        self._server.remove(keys)

    def append_receipts(self, lines: bytes) -> None:
        self._refuse_event_loop()
        self._server.append_receipts(lines)

    def receipts(self) -> Iterator[bytes]:
        self._refuse_event_loop()
        return self._server.receipts()

    def stage(self) -> Staged:
        return self._server.stage()

    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        self._refuse_event_loop()
        self._server.publish(objects, found=found, replacing=replacing)

    def open(self, key: str) -> BinaryIO:
        self._refuse_event_loop()
        return self._server.open(key)

    def local_path(self, key: str) -> str | None:
        return None

    def _refuse_event_loop(self) -> None:
        """A server takes its time, and meanwhile everything else of the process would stand still."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise AssertionError("the event loop waits for a far storage")


def open_far(url: str) -> FarStorage:
    if "nonsense" in url:
        raise ValueError("there is no such server")
    if "refused" in url:
        raise StorageError("cannot look into the store: no key to it")
    return FarStorage(url)


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that brings the scheme ``far``, and one that cannot be loaded."""
    info = tmp_path / "site" / "dam_test_far-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dam-test-far\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[dam.storages]\nfar = dam_test_far:open_far\ngone = dam_test_not_there:it\n"
    )
    module: Any = ModuleType("dam_test_far")
    module.open_far = open_far
    monkeypatch.setitem(sys.modules, "dam_test_far", module)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()


@pytest.fixture
def server(tmp_path: Path) -> Path:
    return tmp_path / "server"


@pytest.fixture
def open_far_world(make_world: MakeWorld, server: Path) -> OpenFar:
    """Worlds over one database and one far store."""
    made: list[World] = []

    async def make() -> World:
        url = made[0].config.database_url if made else None
        settings = [FsSettings(storage_url=f"far:{server}")]
        made.append(await make_world(FsPlugin, ImagePlugin, settings=settings, database_url=url))
        return made[-1]

    return make


@pytest.fixture
async def world(open_far_world: OpenFar) -> World:
    return await open_far_world()


async def add(world: World, *paths: Path, **options: Any) -> dict[str, tuple[str, int | None]]:
    command = AddAssetsCommand([str(path) for path in paths], **options)
    outcomes = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    return {os.path.basename(outcome.path): (outcome.status.value, outcome.entity_id) for outcome in outcomes}


async def entity_of(world: World, path: Path, **options: Any) -> int:
    ((_, entity_id),) = (await add(world, path, **options)).values()
    assert entity_id is not None
    return entity_id


async def content(world: World, entity_id: int) -> bytes | None:
    async with world.contents.open_stream(entity_id) as stream:
        return None if stream is None else await asyncio.to_thread(stream.read)


async def rows(world: World, component: type[Any]) -> list[Any]:
    async with world.reading() as session:
        return list(await session.scalars(select(component)))


def object_of(server: Path, data: bytes) -> Path:
    return server.joinpath("objects", hashlib.sha256(data).hexdigest()[:2], hashlib.sha256(data).hexdigest())


def test_the_storage_of_these_tests_keeps_to_the_contract(tmp_path: Path) -> None:
    check_storage(lambda: FarStorage(f"far:{tmp_path}/shelf"))


# -- worlds


async def test_files_are_added_known_again_and_read(open_far_world: OpenFar, sample_files: SampleFiles) -> None:
    world = await open_far_world()
    first = await add(world, sample_files.folder)
    assert sorted(status for status, _ in first.values()) == ["added"] * 6 + ["linked"]
    again = await open_far_world()
    assert {status for status, _ in (await add(again, sample_files.folder)).values()} == {"known"}
    for path in sample_files.all:
        _, entity_id = first[path.name]
        assert entity_id is not None
        assert await content(again, entity_id) == path.read_bytes()


async def test_a_dry_run_says_what_the_run_then_says(world: World, sample_files: SampleFiles, server: Path) -> None:
    predicted = await add(world, sample_files.folder, dry_run=True)
    assert not server.exists()
    assert {name: status for name, (status, _) in predicted.items()} == {
        name: status for name, (status, _) in (await add(world, sample_files.folder)).items()
    }
    sample_files.text.touch()
    assert (await add(world, sample_files.text, dry_run=True))["notes.txt"][0] == "known"


async def test_what_is_stored_is_analysed_from_a_copy(world: World, sample_files: SampleFiles) -> None:
    entity_id = await entity_of(world, sample_files.png)
    sample_files.png.unlink()
    async with world.transaction() as transaction:
        await transaction.remove_components(ImageDimensionsComponent, [entity_id])
    await world.dispatch_command(ReadImageHeaderCommand(entity_id))
    await world.dispatch_command(HashImageCommand(entity_id))
    (size,) = await rows(world, ImageDimensionsComponent)
    assert (size.width_pixels, size.height_pixels) == (4, 3)


async def test_a_thumbnail_is_made_from_the_far_object_and_kept_there(
    world: World, sample_files: SampleFiles, server: Path
) -> None:
    entity_id = await entity_of(world, sample_files.png)
    sample_files.png.unlink()
    made = await world.dispatch_command(ThumbnailCommand(entity_id, 64)).get_one_value()
    assert object_of(server, made).read_bytes() == made
    assert await world.dispatch_command(ThumbnailCommand(entity_id, 64)).get_one_value() == made
    object_of(server, made).unlink()
    assert await world.dispatch_command(ThumbnailCommand(entity_id, 64)).get_one_value() == made
    assert object_of(server, made).exists()
    assert len(await rows(world, ThumbnailComponent)) == 1


@pytest.mark.parametrize("rest", [None, b"cut"])
async def test_an_object_that_is_lost_or_cut_off_is_restored(
    world: World, sample_files: SampleFiles, server: Path, rest: bytes | None
) -> None:
    data = sample_files.png.read_bytes()
    entity_id = await entity_of(world, sample_files.png)
    object_of(server, data).unlink()
    if rest is not None:
        object_of(server, data).write_bytes(rest)
    else:
        assert await content(world, entity_id) is None
        with pytest.raises(NotAPictureError, match="cannot be reached"):
            await world.dispatch_command(ThumbnailCommand(entity_id, 64)).get_one_value()
    assert await add(world, sample_files.png, dry_run=True) == {"red.png": ("restored", entity_id)}
    assert await add(world, sample_files.png) == {"red.png": ("restored", entity_id)}
    assert await content(world, entity_id) == data
    assert {row.condition for row in await rows(world, FileLocationComponent)} == {LocationCondition.OK}


async def test_a_reference_and_a_far_object_serve_the_same_asset(world: World, sample_files: SampleFiles) -> None:
    entity_id = await entity_of(world, sample_files.text, copy=False)
    assert await entity_of(world, sample_files.duplicate) == entity_id
    data = sample_files.text.read_bytes()
    sample_files.text.unlink()
    assert await content(world, entity_id) == data


async def test_a_store_that_is_gone_is_never_made_again(
    open_far_world: OpenFar, sample_files: SampleFiles, server: Path
) -> None:
    await add(await open_far_world(), sample_files.text)
    shutil.rmtree(server)
    with pytest.raises(StoreMissingError, match=r"there is no store at far:.*correct storage_path or storage_url"):
        await add(await open_far_world(), sample_files.png)
    assert not server.exists()


async def test_a_new_database_does_not_take_a_far_store_with_objects(
    make_world: MakeWorld, open_far_world: OpenFar, sample_files: SampleFiles, server: Path
) -> None:
    await add(await open_far_world(), sample_files.text)
    other = await make_world(FsPlugin, settings=[FsSettings(storage_url=f"far:{server}")])
    with pytest.raises(StoreMismatchError, match="holds objects that this new database knows nothing of"):
        await add(other, sample_files.png)


# -- configuration


def configure(home: Path, settings: str) -> None:
    (home / "dam.toml").write_text(
        f'default_world = "a"\n[worlds.a]\ndatabase_url = "sqlite+aiosqlite:///a.db"\n[worlds.a.settings.dam-fs]\n{settings}\n'
    )


async def test_a_configured_world_has_a_far_store_and_refuses_to_lose_its_database(
    home: Path, server: Path, sample_files: SampleFiles
) -> None:
    configure(home, f'storage_url = "far:{server}"')
    async with open_world() as world:
        await add(world, sample_files.text)
    async with open_world() as world:
        assert [asset.name async for asset in newest_assets(world)] == ["notes.txt"]
    (home / "a.db").unlink()
    with pytest.raises(StoreMismatchError, match=r"there is no database at .*, and the store at far:.* holds objects"):
        async with open_world():
            pass
    assert not (home / "a.db").exists()


async def test_a_far_store_keeps_no_path_of_this_machine_out_of_a_scan(home: Path, server: Path) -> None:
    configure(home, f'storage_url = "far:{server}"')
    (home / "far:").mkdir()
    (home / "far:" / "file").write_text("not in the store")
    paths = protected_paths(load_configuration())
    assert {path for path in paths if not path.startswith(str(home / "a.db"))} == {
        path for path in paths if path.endswith("default-store") or "default.db" in path
    }
    async with open_world() as world:
        command = addition([str(home / "far:")], recursive=True, protected=paths)
        outcomes = [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]
    assert [outcome.status.value for outcome in outcomes] == ["added"]


async def test_a_store_that_another_package_keeps_in_a_folder_is_not_entered(
    home: Path, server: Path, monkeypatch: pytest.MonkeyPatch, sample_files: SampleFiles
) -> None:
    monkeypatch.setattr(sys.modules["dam_test_far"], "open_far", lambda url: LocalStorage(url.partition(":")[2]))
    configure(home, f'storage_url = "far:{server}"')
    assert str(server) in protected_paths(load_configuration())
    async with open_world() as world:
        await add(world, sample_files.text)
        assert await add(world, server) == {"server": ("skipped", None)}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            'storage_url = "near:x"',
            "'near:x' has the scheme 'near', which no installed package brings; installed are: far, gone",
        ),
        (
            'storage_url = "/a/folder"',
            "has the scheme '', which no .*installed are: far, gone. For a folder, set storage_path",
        ),
        ('storage_url = ""', "has the scheme ''"),
        ('storage_url = "gone:x"', "dam_test_not_there:it failed with ModuleNotFoundError"),
        ('storage_url = "far:nonsense"', "dam_test_far:open_far failed with ValueError: there is no such server"),
        (
            'storage_path = "x"\nstorage_url = "far:x"',
            r"dam\.toml: \[worlds\.a\.settings\.dam-fs\] storage_path='x': .*storage_url is set as well",
        ),
        ('storage_url = "far://ada:sesame@host/x"', "'far://…@host/x' holds a secret, and settings are stored"),
        ('storage_url = "far:ada:sesame@host/x"', "'far:…@host/x' holds a secret"),
        ('storage_url = "near://host/x?secret_key=sesame"', "'near://host/x' holds a secret"),
    ],
)
async def test_a_storage_that_cannot_be_is_told(home: Path, settings: str, said: str) -> None:
    configure(home, settings)
    with pytest.raises(SettingsError, match=said) as told:
        async with open_world():
            pass
    assert "sesame" not in str(told.value)
    assert not (home / "a.db").exists()
    assert str(home / "a.db") in protected_paths(load_configuration())  # it keeps nobody else from adding files


async def test_what_a_storage_says_itself_is_told_as_it_is(home: Path) -> None:
    configure(home, 'storage_url = "far:refused"')
    with pytest.raises(StorageError, match="no key to it"):
        async with open_world():
            pass

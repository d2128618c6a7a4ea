"""The contract of storages: ours keeps to it, one that has no files keeps to it, and what does not is told."""

from __future__ import annotations

import io
import os
import re
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import pytest

from dam_fs.exceptions import StorageError
from dam_fs.storage import LocalStorage, Staged, StoredObject
from dam_fs.storage_contract import LARGE, THREADS, StorageContractError, check_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path


@dataclass
class Place:
    """What a server would keep."""

    store_id: str | None = None
    objects: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: threading.Event = field(default_factory=threading.Event)
    receipts: bytes = b""
    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(THREADS, timeout=60))


@pytest.fixture(autouse=True)
def temporaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What broken storages leave behind goes with the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


class MemoryStorage:
    """Keeps to the contract without a file system."""

    root = "memory:shelf"

    def __init__(self, place: Place) -> None:
        self.place = place

    def read_id(self) -> str | None:
        return self.place.store_id

    def create(self) -> str:
        with self.place.lock:
            self.place.store_id = self.place.store_id or str(uuid.uuid4())
            return self.place.store_id

    def is_empty(self) -> bool:
        return not self.place.objects

    def close(self) -> None:
        """Nothing is held."""

    def length(self, key: str) -> int | None:
        content = self.place.objects.get(key)
        self.place.asked.set()
        return None if content is None else len(content)

    def stage(self) -> Staged:
        fd, path = tempfile.mkstemp()
        return Staged(path, fd)

    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        if self.place.store_id is None:
            raise StorageError("cannot publish to the store: it is gone")
        for key, staged in objects:
            with open(staged.path, "rb") as file:
                content = file.read()
            with self.place.lock:
                if key in replacing or key not in self.place.objects:
                    self.place.objects[key] = content
            os.unlink(staged.path)

    def objects(self) -> Iterator[StoredObject]:
        yield from (StoredObject(key, len(self.place.objects[key]), time.time()) for key in sorted(self.place.objects))

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.place.objects.pop(key, None)

    def append_receipts(self, lines: bytes) -> None:
        if self.place.store_id is None:
            raise StorageError("cannot write to the store: it is gone")
        with self.place.lock:
            self.place.receipts += lines

    def receipts(self) -> Iterator[bytes]:
        yield from self.place.receipts.splitlines(keepends=True)

    def open(self, key: str) -> BinaryIO:
        if key not in self.place.objects:
            raise FileNotFoundError(key)
        return io.BytesIO(self.place.objects[key])

    def local_path(self, key: str) -> str | None:
        return None


def test_the_local_storage_keeps_to_it(tmp_path: Path) -> None:
    check_storage(lambda: LocalStorage(str(tmp_path / "store")))


def test_a_storage_without_files_keeps_to_it() -> None:
    place = Place()
    check_storage(lambda: MemoryStorage(place))


# -- storages that have one thing wrong each


class Nameless(MemoryStorage):
    root = ""


class NeverEmpty(MemoryStorage):
    def is_empty(self) -> bool:
        return False


class AlwaysEmpty(MemoryStorage):
    def is_empty(self) -> bool:
        return True


class BornOnDemand(MemoryStorage):
    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        self.create()
        super().publish(objects, found=found, replacing=replacing)


class Renamed(MemoryStorage):
    def create(self) -> str:
        self.place.store_id = str(uuid.uuid4())
        return self.place.store_id


class LongId(MemoryStorage):
    def create(self) -> str:
        with self.place.lock:
            self.place.store_id = self.place.store_id or "x" * 37
            return self.place.store_id


class Wiped(MemoryStorage):
    def create(self) -> str:
        self.place.objects.clear()
        return super().create()


class Forgetful(MemoryStorage):
    """Keeps what it has to itself."""

    def __init__(self, place: Place) -> None:
        super().__init__(Place(place.store_id, {}, place.lock))
        self._shared = place

    def create(self) -> str:
        self.place.store_id = self._shared.store_id = super().create()
        return self.place.store_id


class OnceOnly(MemoryStorage):
    def close(self) -> None:
        self.place = Place()


class WithoutEmpty(MemoryStorage):
    def length(self, key: str) -> int | None:
        return super().length(key) or None


class AsText(MemoryStorage):
    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(super().open(key).read().replace(b"\r\n", b"\n"))


class OneGulp(MemoryStorage):
    def open(self, key: str) -> BinaryIO:
        stream = super().open(key)
        stream.seek = lambda *_: 0  # type: ignore[method-assign]  # what cannot seek
        return stream


class KeyErrors(MemoryStorage):
    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self.place.objects[key])


class Zeroes(MemoryStorage):
    def length(self, key: str) -> int | None:
        return super().length(key) or 0


class ShortKeys(MemoryStorage):
    def open(self, key: str) -> BinaryIO:
        near = [known for known in self.place.objects if known[:40] == key[:40]]
        return super().open(near[0] if near else key)


class WrongPath(MemoryStorage):
    def local_path(self, key: str) -> str | None:
        return f"/nowhere/{key}"


class OnlyTen(MemoryStorage):
    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        objects = list(objects)
        super().publish(objects[:10], found=found, replacing=replacing)
        for _, staged in objects[10:]:
            staged.abandon()


class Untidy(MemoryStorage):
    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        objects = list(objects)
        super().publish(objects, found=found, replacing=replacing)
        for _, staged in objects:
            with open(staged.path, "wb"):
                pass


class Overwriting(MemoryStorage):
    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        objects = list(objects)
        super().publish(objects, found=found, replacing=[key for key, _ in objects])


class Keeping(MemoryStorage):
    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        super().publish(objects, found=found)


class Dropping(MemoryStorage):
    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        super().publish(objects, found=found, replacing=replacing)
        for key in found:
            del self.place.objects[key]


class OnePath(MemoryStorage):
    def stage(self) -> Staged:
        path = os.path.join(tempfile.gettempdir(), f"dam-test-{id(self.place)}")
        return Staged(path, os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))


class Clinging(MemoryStorage):
    def stage(self) -> Staged:
        class Kept(Staged):
            def abandon(self) -> None:
                self.close()

        fd, path = tempfile.mkstemp()
        return Kept(path, fd)


class Hurried(MemoryStorage):
    """Shows what is on its way: half of it, until somebody has looked."""

    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        objects = list(objects)
        for key, staged in objects:
            if os.path.getsize(staged.path) == LARGE and key not in self.place.objects:
                with open(staged.path, "rb") as file:
                    self.place.objects[key] = file.read(1000)
                self.wait_until_seen()
                del self.place.objects[key]
        super().publish(objects, found=found, replacing=replacing)

    def wait_until_seen(self) -> None:
        """Until two more questions were asked: the first may have been under way."""
        for _ in range(2):
            self.place.asked.clear()
            self.place.asked.wait(2)


class Blinking(Hurried):
    """Takes away what it replaces before the new object is there."""

    def publish(
        self, objects: Iterable[tuple[str, Staged]], *, found: Collection[str] = (), replacing: Collection[str] = ()
    ) -> None:
        for key in replacing:
            if len(self.place.objects.pop(key, b"")) == LARGE:
                self.wait_until_seen()
        MemoryStorage.publish(self, objects, found=found, replacing=replacing)


class OneThread(MemoryStorage):
    """Works in the thread that made it, as a connection may."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._owner = threading.get_ident()

    def stage(self) -> Staged:
        if threading.get_ident() != self._owner:
            raise RuntimeError("made in another thread")
        return super().stage()


class Rejoining(MemoryStorage):
    """Of two that create the store at once each makes its own."""

    def create(self) -> str:
        if self.place.store_id is not None:
            return self.place.store_id
        self.place.meeting.wait()
        self.place.store_id = mine = str(uuid.uuid4())
        return mine


class Backwards(MemoryStorage):
    def objects(self) -> Iterator[StoredObject]:
        yield from reversed(list(super().objects()))


class Timeless(MemoryStorage):
    def objects(self) -> Iterator[StoredObject]:
        yield from (StoredObject(each.key, each.length, 0) for each in super().objects())


class Amnesic(MemoryStorage):
    def receipts(self) -> Iterator[bytes]:
        return iter(())


class Cutting(MemoryStorage):
    """Reads lines into a small buffer."""

    def receipts(self) -> Iterator[bytes]:
        return (line[: 1 << 16] for line in super().receipts())


class Tearing(MemoryStorage):
    def append_receipts(self, lines: bytes) -> None:
        half = len(lines) // 2
        for part in (lines[:half], lines[half:]):
            with self.place.lock:
                self.place.receipts += part
            time.sleep(0.001)


class Hoarding(MemoryStorage):
    def remove(self, keys: Iterable[str]) -> None:
        """Removes nothing."""


class Strict(MemoryStorage):
    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            del self.place.objects[key]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Nameless, "its root is empty"),
        (NeverEmpty, "is_empty() denies it where there is no store"),
        (AlwaysEmpty, "is_empty() says so after an object was published"),
        (BornOnDemand, "a store is made without create()"),
        (Renamed, "create() returns another id where there is a store already"),
        (Rejoining, "8 that create the store at once get 8 different ids"),
        (LongId, "has 37 characters; 1 to 36 can be kept"),
        (Wiped, "create() takes objects or the id from a store that is there already"),
        (Forgetful, "an object of 0 bytes that was published is not there to a second instance"),
        (OnceOnly, "closing and using it again: StorageError"),
        (WithoutEmpty, "an object of 0 bytes that was published is not there: its length() is None and should be 0"),
        (AsText, "an object of 20 bytes that was published is not there: open() gives 19 other bytes"),
        (OneGulp, "open() gives streams that cannot seek"),
        (KeyErrors, "open() raises KeyError for a key that was never published, and not FileNotFoundError"),
        (Zeroes, "length() gives 0 for a key that was never published, and not None"),
        (ShortKeys, "open() raises nothing for a key that differs from a published one in its last digit"),
        (WrongPath, "its local_path() /nowhere/.* is no file with its bytes"),
        (OnlyTen, "one of 50 objects that were published in one call is not there: its length() is None"),
        (Untidy, "publish() leaves what was staged of an object of 0 bytes at"),
        (Overwriting, "an object that has its name already is changed by publish()"),
        (Keeping, "publish(replacing=…) does not replace an object"),
        (Dropping, "an object is changed by publish(found=…)"),
        (OnePath, "stage() gives the same path twice"),
        (Clinging, "abandon() leaves"),
        (Hurried, "an object is seen by its name before all of it is there"),
        (Blinking, "an object that is replaced is gone, or half-written, for a while"),
        (Backwards, "objects() lists .* and not"),
        (Timeless, "objects() says of an object that was published just now"),
        (Amnesic, "receipts() lacks"),
        (Cutting, "receipts() lacks, or cuts, a line of 1048576 bytes"),
        (Tearing, "receipts() lacks, or has torn, lines of several threads"),
        (Hoarding, "remove() leaves an object"),
        (Strict, "removing objects: KeyError"),
        (OneThread, "several threads: RuntimeError: made in another thread"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_does_not_keep_to_it_is_told(broken: Callable[[Place], MemoryStorage], said: str) -> None:
    place = Place()
    with pytest.raises(StorageContractError) as told:
        check_storage(lambda: broken(place))
    pattern = re.sub(r"[()]", r"\\\g<0>", said)
    assert re.search(pattern, str(told.value)), str(told.value)


def test_everything_that_is_not_kept_is_told_at_once() -> None:
    class Careless(Nameless, Zeroes):
        pass

    place = Place()
    with pytest.raises(StorageContractError) as told:
        check_storage(lambda: Careless(place))
    lines = str(told.value).splitlines()
    assert lines[0] == "the storage does not keep to the contract"
    assert lines[1].startswith("  its root is empty")
    assert any("length() gives 0" in line for line in lines)

"""What every storage has to keep to, as one check for the tests of its author:

def test_the_storage_keeps_the_contract(tmp_path: Path) -> None:
    check_storage(lambda: ShelfStorage(tmp_path / "shelf"))
"""

import hashlib
import os
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier, Event
from typing import Any, TypeAlias, TypeVar

from dam_fs.exceptions import StorageError
from dam_fs.storage import LONGEST_LINE, Staged, Storage

__all__ = ["StorageContractError", "check_storage"]

T = TypeVar("T")

Make: TypeAlias = Callable[[], Storage]
Check: TypeAlias = Callable[[Make], Iterator[str]]

THREADS = 8
PATIENCE = 60  # seconds until a thread gives up waiting for the others
LONGEST_ID = 36  # characters that the database has for it
LARGE = (8 << 20) + 1
ABSENT = hashlib.sha256(b"what nobody has").hexdigest()


class StorageContractError(AssertionError):
    """Says everything that a storage does not keep to."""


def check_storage(make: Callable[[], Storage]) -> None:
    """Makes a store, puts objects into it, and looks at what comes of it.

    ``make`` gives a new instance each time, always for the same place, at which there is no store yet: what one instance has
    put there the others have to see. Raises ``StorageContractError``.
    """
    problems: list[str] = []
    for check in CHECKS:
        try:
            problems += check(make)
        except Exception as e:  # noqa: BLE001  a stranger's code can raise whatever it likes, and is at fault
            problems.append(f"{check.__name__.strip('_').replace('_', ' ')}: {type(e).__name__}: {e}")
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise StorageContractError(f"the storage does not keep to the contract\n{lines}")


# -- the store


def _a_place_without_a_store(make: Make) -> Iterator[str]:
    with closing(make()) as storage:
        if not storage.root:
            yield "its root is empty; messages could not say where the store is"
        if (found := storage.read_id()) is not None:
            yield f"read_id() gives {found!r} where there is no store yet; each check_storage() needs a new place"
        if not storage.is_empty():
            yield "is_empty() denies it where there is no store"
        yield from _unknown(storage, ABSENT, "where there is no store")
        content = b"nowhere to go"
        try:
            _put(storage, content)
            yield "an object is taken where there is no store; stage() or publish() has to raise StorageError"
        except StorageError:
            pass
        if storage.read_id() is not None:
            yield "a store is made without create(); one whose disk is gone would be replaced by an empty one"


def _creating(make: Make) -> Iterator[str]:
    start = Barrier(THREADS, timeout=PATIENCE)

    def create(_: int) -> str:
        with closing(make()) as storage:
            start.wait()
            return storage.create()

    ids = set(_in_threads(create, range(THREADS)))
    with closing(make()) as storage:
        found = storage.read_id()
        if len(ids) > 1:
            yield f"{THREADS} that create the store at once get {len(ids)} different ids"
        if found not in ids:
            yield f"create() returns {sorted(ids)}, and read_id() then gives {found!r}"
        if storage.create() != found:
            yield "create() returns another id where there is a store already"
        if storage.read_id() != found:
            yield "create() changes the id of a store that is there already"
        if found is not None and not 0 < len(found) <= LONGEST_ID:
            yield f"its id {found!r} has {len(found)} characters; 1 to {LONGEST_ID} can be kept"
        if not storage.is_empty():
            yield "is_empty() denies it of a store that was just created"


def _being_empty(make: Make) -> Iterator[str]:
    with closing(make()) as storage:
        _put(storage, b"the first object")
        if storage.is_empty():
            yield "is_empty() says so after an object was published"
    with closing(make()) as other:
        if other.is_empty():
            yield "is_empty() of a second instance says so after an object was published"
        store_id = other.read_id()
        other.create()
        if other.length(_key(b"the first object")) is None or other.read_id() != store_id:
            yield "create() takes objects or the id from a store that is there already"


def _closing_and_using_it_again(make: Make) -> Iterator[str]:
    storage = make()
    store_id = storage.read_id()
    storage.close()
    _put(storage, b"after close")
    storage.close()
    storage.close()
    if storage.read_id() != store_id:
        yield "read_id() gives something else after close()"
    if _read(storage, _key(b"after close")) != b"after close":
        yield "an object is not what it was after close()"
    _put(storage, b"after close, again")
    storage.close()


# -- objects


def _round_trips(make: Make) -> Iterator[str]:
    contents = [b"", b"\0", b"lines\r\nand\nlines\r\x1a\0\xff", _noise(1, LARGE // 2)]
    with closing(make()) as storage, closing(make()) as other:
        for content in contents:
            what, key = f"an object of {len(content)} bytes", _key(content)
            yield from _unknown(storage, key, f"for {what} that was not staged yet")
            staged = _staged(storage, content)
            yield from _unknown(storage, key, f"for {what} that was staged and not published")
            storage.publish([(key, staged)])
            if os.path.exists(staged.path):
                yield f"publish() leaves what was staged of {what} at {staged.path}"
            staged.abandon()  # whoever cleans up after an error does not know how far it came
            for who, instance in (("", storage), (" to a second instance", other)):
                yield from _wrong(instance, key, content, f"{what} that was published is not there{who}")
    with closing(make()) as late:
        for content in contents:
            yield from _wrong(
                late, _key(content), content, f"an object of {len(content)} bytes is not there when reopened"
            )


def _streams(make: Make) -> Iterator[str]:
    content = bytes(range(256)) * 64
    with closing(make()) as storage:
        key = _put(storage, content)
        with storage.open(key) as one, storage.open(key) as other:
            one.seek(1000)
            if (one.read(10), one.tell(), other.read(3)) != (content[1000:1010], 1010, content[:3]):
                yield "open() gives streams that cannot seek, or that share their position"
            one.seek(-5, os.SEEK_END)
            if one.read() != content[-5:]:
                yield "open() gives streams that do not seek from the end"


def _many_in_one_call(make: Make) -> Iterator[str]:
    contents = [b"one of many %d" % i for i in range(50)]
    with closing(make()) as storage, closing(make()) as other:
        objects = [(_key(content), _staged(storage, content)) for content in contents]
        if len({staged.path for _, staged in objects}) < len(objects):
            yield "stage() gives the same path twice"
        twice = (_key(contents[0]), _staged(storage, contents[0]))
        storage.publish(iter([*objects, twice]))
        for content in contents:
            yield from _wrong(
                other, _key(content), content, "one of 50 objects that were published in one call is not there"
            )
        if left := [staged.path for _, staged in [*objects, twice] if os.path.exists(staged.path)]:
            yield f"publish() of 50 objects, one of them twice, leaves {left}"
        storage.publish([])


def _names_that_are_taken(make: Make) -> Iterator[str]:
    key = _key(b"first")
    with closing(make()) as storage, closing(make()) as other:
        _put(storage, b"first")
        for who, instance in (("", storage), (" by a second instance", other)):
            again = _staged(instance, b"other bytes of the same key")
            instance.publish([(key, again)])
            yield from _wrong(
                storage, key, b"first", f"an object that has its name already is changed by publish(){who}"
            )
            if os.path.exists(again.path):
                yield f"publish() of an object that has its name already{who} leaves {again.path}"
        storage.publish([], found=[key])
        yield from _wrong(storage, key, b"first", "an object is changed by publish(found=…)")


def _replacing(make: Make) -> Iterator[str]:
    key, kept, new = _key(b"damaged"), _key(b"not named"), _key(b"named, and not there")
    with closing(make()) as storage, closing(make()) as other:
        for content in (b"damaged", b"not named"):
            _put(storage, content)
        for content in (b"longer than it was before", b"short", b""):
            objects = [(key, content), (kept, b"ignored"), (new, b"named, and not there")]
            storage.publish([(k, _staged(storage, c)) for k, c in objects], replacing=[key, new])
            for instance in (storage, other):
                yield from _wrong(instance, key, content, "publish(replacing=…) does not replace an object")
        yield from _wrong(storage, kept, b"not named", "publish(replacing=…) replaces an object that it does not name")
        yield from _wrong(
            storage, new, b"named, and not there", "publish(replacing=…) drops an object that was not there"
        )


def _abandoning(make: Make) -> Iterator[str]:
    content = b"never wanted"
    with closing(make()) as storage:
        half, whole = storage.stage(), _staged(storage, content)
        half.write(content[:5])
        for staged in (half, whole):
            staged.abandon()
            staged.abandon()
            if os.path.exists(staged.path):
                yield f"abandon() leaves {staged.path}"
        yield from _unknown(storage, _key(content), "for an object that was abandoned")


def _unknown_keys(make: Make) -> Iterator[str]:
    with closing(make()) as storage:
        yield from _unknown(storage, ABSENT, "for a key that was never published")
        near = _key(b"the first object")[:-1]
        near += "0" if _key(b"the first object")[-1] != "0" else "1"
        yield from _unknown(storage, near, "for a key that differs from a published one in its last digit")


# -- threads


def _several_threads(make: Make) -> Iterator[str]:
    start = Barrier(THREADS, timeout=PATIENCE)
    with closing(make()) as shared:

        def work(number: int) -> None:
            mine = [b"thread %d object %d" % (number, i) for i in range(10)]
            ours = [b"every thread, object %d" % i for i in range(10)]
            start.wait()
            for own, common in zip(mine, ours, strict=True):
                shared.publish([(_key(own), _staged(shared, own)), (_key(common), _staged(shared, common))])
                if _read(shared, _key(own)) != own or shared.length(_key(common)) != len(common):
                    raise StorageContractError("what a thread has published it does not find")

        _in_threads(work, range(THREADS))
        contents = [b"every thread, object %d" % i for i in range(10)]
        contents += [b"thread %d object %d" % (number, i) for number in range(THREADS) for i in range(10)]
        for content in contents:
            yield from _wrong(
                shared, _key(content), content, f"after {THREADS} threads published at once, one is not there"
            )


def _never_half_written(make: Make) -> Iterator[str]:
    old, new = (_noise(seed, LARGE) for seed in (2, 3))
    key = _key(old)
    with closing(make()) as storage:
        objects = [_staged(storage, content) for content in (old, new)]
        if _seen(make, key, lambda: storage.publish([(key, objects[0])])) - {None, old}:
            yield "an object is seen by its name before all of it is there"
        if _seen(make, key, lambda: storage.publish([(key, objects[1])], replacing=[key])) - {old, new}:
            yield "an object that is replaced is gone, or half-written, for a while"


def _seen(make: Make, key: str, publish: Callable[[], None]) -> set[bytes | None]:
    """All that somebody else sees under a key until it is published; what has another length is ``b''``."""
    seen: set[bytes | None] = set()
    done = Event()

    def look() -> None:
        with closing(make()) as storage:
            is_last = False
            while not is_last:
                is_last = done.is_set()
                length = storage.length(key)
                content = _read(storage, key)
                seen.add(b"" if content is not None and length not in (None, LARGE) else content)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            publish()
        finally:
            done.set()
        looking.result()
    return seen


def _listing_objects(make: Make) -> Iterator[str]:
    contents = [b"to be listed", b"to be listed as well"]
    with closing(make()) as storage:
        for content in contents:
            _put(storage, content)
        wanted = {_key(content): len(content) for content in contents}
    with closing(make()) as other:
        listed = list(other.objects())
        found = {each.key: each.length for each in listed if each.key in wanted}
        if found != wanted or [each.key for each in listed] != sorted({each.key for each in listed}):
            yield f"objects() lists {[each.key[:8] for each in listed]}, and not every object once in the order of keys"
        if wrong := [each for each in listed if each.key in wanted and abs(each.modified - time.time()) > PATIENCE]:
            yield f"objects() says of an object that was published just now that it is of {wrong[0].modified}"


def _receipts(make: Make) -> Iterator[str]:
    with closing(make()) as storage:
        storage.append_receipts(b"\nfirst\nsecond\n")
    with closing(make()) as other:
        lines = [line.strip() for line in other.receipts()]
        if [line for line in lines if line in (b"first", b"second")] != [b"first", b"second"]:
            yield f"receipts() lacks what was appended, or has it in another order: {lines}"
        other.append_receipts(longest := b"\n" + b"x" * (LONGEST_LINE - 1) + b"\n")
        if longest[1:] not in other.receipts():
            yield f"receipts() lacks, or cuts, a line of {LONGEST_LINE} bytes"
    start = Barrier(THREADS, timeout=PATIENCE)

    def append(number: int) -> None:
        with closing(make()) as storage:
            start.wait()
            for _ in range(20):
                storage.append_receipts(b"\n" + b"%d" % number * 2000 + b"\n")

    _in_threads(append, range(THREADS))
    with closing(make()) as other:
        whole = [line.strip() for line in other.receipts() if THREADS < len(line) < LONGEST_LINE]
        if sorted(whole) != sorted([b"%d" % number * 2000 for number in range(THREADS)] * 20):
            yield f"receipts() lacks, or has torn, lines of several threads: {len(whole)} of {20 * THREADS}"


def _removing_objects(make: Make) -> Iterator[str]:
    content = b"to be removed"
    with closing(make()) as storage:
        _put(storage, content)
        _put(storage, b"to stay")
        storage.remove([_key(content), ABSENT])
    with closing(make()) as other:
        if other.length(_key(content)) is not None or _key(content) in {each.key for each in other.objects()}:
            yield "remove() leaves an object"
        yield from _unknown(other, _key(content), "after it was removed")
        if _read(other, _key(b"to stay")) != b"to stay":
            yield "remove() takes other objects along"
        other.remove([_key(content)])
        _put(other, content)
        if _read(other, _key(content)) != content:
            yield "an object that was removed cannot be published again"


CHECKS: Sequence[Check] = (
    _a_place_without_a_store,
    _creating,
    _being_empty,
    _closing_and_using_it_again,
    _listing_objects,
    _receipts,
    _removing_objects,
    _round_trips,
    _streams,
    _many_in_one_call,
    _names_that_are_taken,
    _replacing,
    _abandoning,
    _unknown_keys,
    _several_threads,
    _never_half_written,
)
"""In this order: the first one needs a place without a store, and the second one makes it."""


# -- small steps


def _noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311  the same each time


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _staged(storage: Storage, content: bytes) -> Staged:
    staged = storage.stage()
    view = memoryview(content)
    for start in range(0, len(view), 1 << 20):
        staged.write(view[start : start + (1 << 20)])
    staged.close()
    return staged


def _put(storage: Storage, content: bytes) -> str:
    key, staged = _key(content), _staged(storage, content)
    try:
        storage.publish([(key, staged)])
    finally:
        staged.abandon()
    return key


def _read(storage: Storage, key: str) -> bytes | None:
    try:
        with storage.open(key) as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _unknown(storage: Storage, key: str, when: str) -> Iterator[str]:
    if (length := storage.length(key)) is not None:
        yield f"length() gives {length} {when}, and not None"
    try:
        storage.open(key).close()
        yield f"open() raises nothing {when}, and not FileNotFoundError"
    except FileNotFoundError:
        pass
    except Exception as e:  # noqa: BLE001  whatever else it raises is what is told
        yield f"open() raises {type(e).__name__} {when}, and not FileNotFoundError"


def _wrong(storage: Storage, key: str, content: bytes, what: str) -> Iterator[str]:
    """``what``, where an object is not what it should be."""
    length, found = storage.length(key), _read(storage, key)
    if length != len(content):
        yield f"{what}: its length() is {length} and should be {len(content)}"
    if found != content:
        yield f"{what}: open() " + ("raises FileNotFoundError" if found is None else f"gives {len(found)} other bytes")
    path = storage.local_path(key)
    if path is not None and not _holds(path, content):
        yield f"{what}: its local_path() {path} is no file with its bytes"


def _holds(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read() == content
    except OSError:
        return False


def _in_threads(work: Callable[[Any], T], items: Collection[Any]) -> list[T]:
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(work, items))

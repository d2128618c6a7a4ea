"""Computes as bad as they come, for the tests of the worker pool: imported by worker processes."""

from __future__ import annotations

import ctypes
import datetime
import decimal
import enum
import os
import sys
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from os import system  # noqa: F401 - a callable that a hostile answer may try to reach through this module
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dam.analysis.blob import Blob

touched = False
kept_open: list[IO[str]] = []


class Size(NamedTuple):
    width: int
    height: int


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Rich:
    class Lens(NamedTuple):
        name: str

    size: Size
    lens: Lens
    colour: Colour
    taken: datetime.datetime
    price: decimal.Decimal
    others: tuple[object, ...]


class Opaque:
    pass


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("exit 3",)


def content(blob: Blob) -> bytes:
    return blob.head(100)


def size(blob: Blob) -> Size:
    return Size(blob.size, len(blob.media_type))


def rich(blob: Blob) -> Rich:
    noon = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    others = (
        1 + 2j,
        {1, 2},
        frozenset("a"),
        b"\x00",
        bytearray(b"a"),
        OrderedDict(a=1),
        deque([1]),
        {"a": [None, 0.5]},
    )
    return Rich(Size(blob.size, 1), Rich.Lens("long"), Colour.RED, noon, decimal.Decimal("1.50"), others)


def scaled(blob: Blob, factor: int, unit: str = "") -> str:
    return f"{blob.size * factor}{unit}"


def shared_view(blob: Blob) -> int:
    return blob.once(lines_read)[0]


def lines_read(blob: Blob) -> list[int]:
    """Another number at each call."""
    return [time.perf_counter_ns()]


def process_and_session(_: Blob) -> tuple[int, int]:
    return os.getpid(), os.getsid(0)


def loops(_: Blob) -> None:
    while True:
        pass


def hangs(_: Blob) -> None:
    time.sleep(1000)


def hangs_with_the_lock_of_the_interpreter(_: Blob) -> None:
    ctypes.PyDLL(None).sleep(1000)


def segfaults(_: Blob) -> None:
    ctypes.string_at(0)


def aborts(_: Blob) -> None:
    os.abort()


def leaves(_: Blob) -> None:
    os._exit(0)


def eats_memory(_: Blob) -> None:
    eaten: list[bytes] = []
    while True:
        eaten.append(bytes(1 << 24))


def asks_for_all_memory(_: Blob) -> int:
    return len(bytearray(1 << 40))


def touches(_: Blob) -> bool:
    global touched
    touched = True
    return touched


def needs_an_untouched_process(_: Blob) -> str:
    if touched:
        os.abort()
    return "fine"


def prints(_: Blob) -> str:
    print("x" * 100_000)
    print("x" * 100_000, file=sys.stderr)
    os.write(1, b"noise")
    ctypes.CDLL(None).puts(b"noise")
    return f"read {sys.stdin.read()!r}"


def closes_everything(_: Blob) -> None:
    os.closerange(0, 100)


def is_a_lock(_: Blob) -> object:
    return threading.Lock()


def is_no_data(_: Blob) -> Opaque:
    return Opaque()


def is_a_bomb(_: Blob) -> Bomb:
    return Bomb()


def is_huge(_: Blob) -> bytes:
    return bytes(70 << 20)


def names_its_file(blob: Blob) -> None:
    raise ValueError(f"no picture in {blob.path} or {blob.path!r} or {os.fsencode(blob.path)!r}")


def opens_what_is_gone(blob: Blob) -> None:
    os.unlink(blob.path)
    blob.open()


def names_an_address(blob: Blob) -> None:
    with blob.open() as file:
        raise ValueError(f"cannot read {object()} nor {lines_read!r} nor {file.name!r}")


def says_too_much(_: Blob) -> None:
    raise ValueError("\0\udcff" + "x" * 10_000)


def recurses(blob: Blob) -> None:
    recurses(blob)


def exits(_: Blob) -> None:
    sys.exit("good bye")


def interrupts(_: Blob) -> None:
    raise KeyboardInterrupt


def leaves_a_thread(_: Blob) -> str:
    threading.Thread(target=time.sleep, args=(1000,)).start()
    return "left"


def forks(_: Blob) -> None:
    """The other process keeps the pipes open."""
    if os.fork() == 0:
        time.sleep(1000)
    os.abort()


def announces(blob: Blob) -> int:
    """Says in the pipe at `blob.path` who it is; the pipe ends with this process."""
    announcement = open(blob.path, "w")  # noqa: SIM115 - open as long as the process lives
    announcement.write(f"{os.getpid()}\n")
    announcement.flush()
    kept_open.append(announcement)
    return os.getpid()


def announces_and_hangs(blob: Blob) -> None:
    announces(blob)
    hangs(blob)

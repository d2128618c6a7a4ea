"""Inputs made of seeds: the same ones again for the same seed of chance.

atheris would be led by coverage, but has wheels for Linux and CPython 3.12 to 3.14 alone, and hypothesis generates values rather
than damaging files. Where Python tells cheaply which lines ran for the first time (3.12 and newer, ``sys.monitoring``), an input
that reached new ones becomes a seed; a trace function would make everything twenty times slower, so that 3.11 goes without.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random
    from types import CodeType

LIMITS = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 1024, 4096, 32767, 32768, 65535, 65536, (1 << 31) - 1, 1 << 31)
TOKENS = (
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\n",
    b"\r\n",
    b"\t",
    b"\x1b[2J",
    b"\xc2\x9b",
    b"\x7f",
    b"../",
    b"..\\",
    b"/",
    b"~x/",
    "\u202e".encode(),
    "\u2028".encode(),
    "\ufeff".encode(),
    "\u0665".encode(),
    "\U0001f600".encode(),
    b"\\ud800",
    b"\\u0000",
    b"1e999",
    b"-1",
    b"NaN",
    b"Infinity",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"0",
    b"99999999999999999999",
    b"9" * 5000,
    b"*a" * 20,
    b"**/",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"(",
    b"%",
    b"<!--",
    b"<![",
    b"?>",
    b"=",
    b'"',
    b"'",
    b"#",
    b"!",
    b"\\",
    b" " * 300,
)
KEPT = 4000  # inputs that reached something new; more of them would only dilute the others


class Mutator:
    """Endless inputs of at most ``longest`` bytes, each made of one or two seeds by one to six changes."""

    def __init__(self, random: Random, seeds: Sequence[bytes], longest: int) -> None:
        self._random = random
        self._pool = [seed[:longest] for seed in seeds] or [b""]
        self._longest = longest
        self._changes: tuple[Callable[[bytearray], None], ...] = (
            self._flip,
            self._flip,
            self._truncate,
            self._splice,
            self._insert,
            self._delete,
            self._number,
            self._number,
            self._repeat,
            self._length,
            self._token,
            self._token,
            self._noise,
            self._swap,
        )

    def __next__(self) -> bytes:
        content = bytearray(self._random.choice(self._pool))
        for _ in range(min(1 + int(self._random.expovariate(0.7)), 6)):
            self._random.choice(self._changes)(content)
        return bytes(content[: self._longest])

    def learn(self, content: bytes) -> None:
        """Makes an input a seed."""
        if len(self._pool) < KEPT:
            self._pool.append(content)

    def _place(self, content: bytearray) -> int:
        """Mostly near the start, where headers are."""
        near = len(content) if self._random.random() < 0.5 else min(len(content), 64)
        return self._random.randrange(near + 1)

    def _part(self, content: bytearray) -> slice:
        start = self._place(content)
        return slice(start, start + int(self._random.expovariate(1 / 16)) + 1)

    def _flip(self, content: bytearray) -> None:
        at = self._place(content)
        if at < len(content):
            content[at] ^= 1 << self._random.randrange(8)

    def _truncate(self, content: bytearray) -> None:
        del content[self._place(content) :]

    def _splice(self, content: bytearray) -> None:
        other = self._random.choice(self._pool)
        content[self._place(content) :] = other[self._random.randrange(len(other) + 1) :]

    def _insert(self, content: bytearray) -> None:
        at = self._place(content)
        content[at:at] = self._random.randbytes(self._random.randrange(1, 9))

    def _delete(self, content: bytearray) -> None:
        del content[self._part(content)]

    def _number(self, content: bytearray) -> None:
        value = self._random.choice(LIMITS) + self._random.choice((0, 0, 0, 1, -1))
        self._write(content, self._place(content), value)

    def _length(self, content: bytearray) -> None:
        """What a field would say that counts the bytes behind it, or nearly."""
        at = self._place(content)
        self._write(content, at, len(content) - at + self._random.choice((0, 1, -1, 2, -2, -4, -8)))

    def _write(self, content: bytearray, at: int, value: int) -> None:
        width = self._random.choice((1, 2, 4, 4, 8))
        order = "little" if self._random.random() < 0.5 else "big"
        content[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]

    def _repeat(self, content: bytearray) -> None:
        part = self._part(content)
        content[part.stop : part.stop] = content[part] * self._random.choice((1, 2, 8, 64, 512))

    def _token(self, content: bytearray) -> None:
        at = self._place(content)
        token = self._random.choice(TOKENS)
        content[at : at + (0 if self._random.random() < 0.5 else len(token))] = token

    def _noise(self, content: bytearray) -> None:
        part = self._part(content)
        content[part] = self._random.randbytes(len(content[part]))

    def _swap(self, content: bytearray) -> None:
        one, other = self._part(content), self._part(content)
        taken = content[one]
        content[one] = content[other]
        content[other] = taken


class Coverage:
    """Whether lines of the project ran for the first time. Each tells once, so that what follows costs nothing."""

    def __init__(self, is_ours: Callable[[str], bool]) -> None:
        self._found = 0
        self._seen = 0
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            monitoring.use_tool_id(monitoring.COVERAGE_ID, "dam-fuzz")

            def ran(code: CodeType, line: int) -> object:
                self._found += is_ours(code.co_filename)
                return monitoring.DISABLE

            monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, ran)
            monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)

    def has_grown(self) -> bool:
        """Since it was asked last."""
        grown, self._seen = self._found > self._seen, self._found
        return grown

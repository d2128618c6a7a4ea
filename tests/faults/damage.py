"""Bit flips, truncations and deletions in stored objects: ``verify`` finds them all, and nothing damaged leaves by ``export``."""

from __future__ import annotations

import os
import random
from functools import partial
from typing import TYPE_CHECKING

from after import must_be_clean
from homes import BrokenError, fresh, sha256_of
from scenes import FILLED
from trials import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from homes import Home
    from scenes import Studio

TOGETHER = 50  # objects that are damaged in one world
WORLDS = 10
DAMAGED, FAILED = 5, 3  # exit codes


def damage(studio: Studio, count: int | None, seed: int) -> Iterator[Trial]:
    """A ``Kind``."""
    for i in range(count or WORLDS):
        yield Trial(f"{TOGETHER} objects, seed {seed}, world {i}", partial(_attempt, studio, seed, i), TOGETHER)


def _flip(content: bytes, chance: random.Random) -> bytes:
    """One bit, anywhere."""
    position = chance.randrange(len(content))
    return content[:position] + bytes([content[position] ^ 1 << chance.randrange(8)]) + content[position + 1 :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _lengthen(content: bytes, chance: random.Random) -> bytes:
    return content + chance.randbytes(chance.choice([1, 4096]))


def _zero(content: bytes, chance: random.Random) -> bytes:
    """A block that the disk lost, as after a power cut."""
    start = chance.randrange(len(content))
    return content[:start] + bytes(len(content[start : start + 512])) + content[start + 512 :]


def _gone(content: bytes, chance: random.Random) -> None:
    """The object is deleted."""


WAYS: tuple[Callable[[bytes, random.Random], bytes | None], ...] = (_flip, _flip, _cut, _lengthen, _zero, _gone)


def spoil(path: Path, chance: random.Random) -> bool:
    """Damages an object in a way that leaves its times as they were; whether it is another one now."""
    content, before = path.read_bytes(), path.stat()
    if not content:
        return False
    spoiled = chance.choice(WAYS)(content, chance)
    if spoiled == content:
        return False
    path.unlink()
    if spoiled is not None:
        path.write_bytes(spoiled)
        path.chmod(0o400)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return True


def _attempt(studio: Studio, seed: int, number: int) -> int:
    home, _ = studio.home_for(FILLED)
    chance = random.Random(f"{seed} {number}")
    objects = home.objects()
    chosen = chance.sample(sorted(objects), 2 * TOGETHER)
    spoiled: set[str] = set()
    for key in chosen:
        if len(spoiled) < TOGETHER and spoil(objects[key], chance):
            spoiled.add(key)
    _nothing_leaves(home, spoiled)
    found = home.run("verify")
    named = {line["place"] for line in found.items}
    if found.code != DAMAGED or named != spoiled:
        raise BrokenError(
            f"{home.folder}: verify ended with {found.code}; not found {sorted(spoiled - named)[:3]}, found without need "
            f"{sorted(named - spoiled)[:3]}"
        )
    _nothing_leaves(home, spoiled)
    mended = home.run("repair", "--from", studio.tree)
    if mended.code:
        raise BrokenError(f"{home.folder}: repair ended with {mended.code}: {mended.told[-1:]}")
    must_be_clean(home)
    home.remove()
    return len(spoiled)


def _nothing_leaves(home: Home, spoiled: set[str]) -> None:
    """Whether or not the damage is known: what is sound is exported, and what is not is named."""
    to = fresh(home.folder, "out")
    done = home.run("export", "--all", to)
    digests = {
        entity: digest.hex()
        for entity, digest in home.rows("SELECT entity_id, hash_value FROM dam_fs_content_hash_sha256")
    }
    out = {sha256_of(path) for path in to.rglob("*") if path.is_file()}
    if leaked := out - set(digests.values()):
        raise BrokenError(f"{home.folder}: {len(leaked)} damaged files were exported")
    refused = {digests[line["entity_id"]] for line in done.items if line["status"] == "failed"}
    if done.code != FAILED or refused != spoiled or out != set(digests.values()) - spoiled:
        raise BrokenError(f"{home.folder}: export ended with {done.code}, refused {len(refused)} and gave {len(out)}")

"""Looking for pictures that look alike in worlds of more and more hashes, each search in a new process."""

import json
import os
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import DAM_CLI, Line, Setting, alternately, output_of, python, seconds_of
from trees import photographs

from dam_media_image.hamming import ROTATIONS

if TYPE_CHECKING:
    import numpy as np

    from dam_media_image.facts import Hashes

CHILD = str(Path(__file__).with_name("timed_near.py"))
TABLES = ("dam_media_image_phash", "dam_media_image_ahash", "dam_media_image_dhash")
COLUMNS = ("hash_value", "rotated_16", "rotated_32", "rotated_48")
TOGETHER = 100_000
FURTHEST = 4  # bits: the default threshold


def likeness(setting: Setting) -> Iterator[Line]:
    """The whole command, and what it waits for the database, in large worlds against a small one."""
    small, *large = (1_000, 100_000) if setting.quick else (1_000, 1_000_000, 10_000_000)
    picture = next(photographs(setting.folder / "asked", 1).rglob("*.jpg"))
    homes = {size: world_of_hashes(setting, size, picture) for size in (small, *large)}
    searching: dict[str, list[float]] = {str(size): [] for size in homes}
    commands = alternately(
        setting.either(15, 9),
        {str(size): partial(_command, home, picture, searching[str(size)]) for size, home in homes.items()},
    )
    searches = {size: sorted(taken[1:])[len(taken[1:]) // 2] for size, taken in searching.items()}
    for label, taken, target in (("find-similar-images", commands, 1.2), ("the search alone", searches, None)):
        for size in large:
            value, reference = taken[str(size)] * 1000, taken[str(small)] * 1000
            ratio = value / reference
            yield Line(f"{label}, {size:,} hashes", "ms", value, reference, f"{small:,} hashes", ratio, target, "≤")


def _command(home: Path, picture: Path, searching: list[float]) -> float:
    """Seconds of the command; those of the search, in a process of its own, go to the list."""
    searching.append(float(output_of(python(CHILD, str(picture)), DAM_HOME=str(home))))
    return seconds_of([DAM_CLI, "--quiet", "find-similar-images", str(picture)], DAM_HOME=str(home))


def world_of_hashes(setting: Setting, size: int, picture: Path) -> Path:
    """A folder for ``DAM_HOME`` whose default world knows the three hashes of ``size`` pictures, most of them at random."""
    home = setting.folder / f"likeness-{size}"
    home.mkdir()
    output_of([DAM_CLI, "--quiet", "setup-db"], DAM_HOME=str(home))
    (database,) = home.rglob("*.db")
    wanted = _fill(database, size, hashes_of(picture))
    _check(home, picture, wanted)
    return home


def _fill(database: Path, size: int, hashes: "Hashes") -> set[int]:
    """Writes rows as the plugin writes them, only faster; returns the entities that are near."""
    connection = sqlite3.connect(database, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000", f"threads={os.cpu_count()}"):
        connection.execute(f"PRAGMA {pragma}")
    (before,) = connection.execute("SELECT coalesce(max(id), 0) FROM dam_entity").fetchone()
    first, wanted = before + 1, set[int]()
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO dam_entity (id) VALUES (?)", ((first + i,) for i in range(size)))
    for seed, (table, value) in enumerate(zip(TABLES, hashes, strict=True)):
        assert value is not None  # of a photograph
        wanted |= _fill_table(connection, table, value, range(first, first + size), seed)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return wanted


def _fill_table(connection: sqlite3.Connection, table: str, value: int, entities: range, seed: int) -> set[int]:
    """Its indexes are made again when it is full: each is then sorted once."""
    import numpy as np

    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", (table,)
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    rng = np.random.default_rng(seed)
    placed = near(value, entities, rng)
    for start in range(0, len(entities), TOGETHER):
        part = entities[start : start + TOGETHER]
        values = rng.integers(0, 1 << 64, len(part), dtype=np.uint64)
        for entity_id in placed.keys() & set(part):
            values[entity_id - part[0]] = placed[entity_id]
        insert = f"INSERT INTO {table} (entity_id, {', '.join(COLUMNS)}) VALUES (?, ?, ?, ?, ?)"
        connection.executemany(insert, zip(part, *rotations(values), strict=True))
    for _, sql in indexes:
        connection.execute(sql)
    return {entity_id for entity_id, hash_ in placed.items() if (hash_ ^ value).bit_count() <= FURTHEST}


def near(value: int, entities: range, rng: "np.random.Generator") -> dict[int, int]:
    """Entities anywhere in the world, and their hashes: one each in 0 to 6 bits from the value, so that two are just too far."""
    places = rng.choice(len(entities), FURTHEST + 3, replace=False)
    near = {}
    for bits, place in enumerate(places):
        flipped = sum(1 << int(bit) for bit in rng.choice(64, bits, replace=False))
        near[entities[int(place)]] = value ^ flipped
    return near


def rotations(values: "np.ndarray[tuple[int, ...], np.dtype[np.uint64]]") -> list[list[int]]:
    """The columns of a table, as signed integers."""
    import numpy as np

    turned = [values << np.uint64(by) | values >> np.uint64(64 - by) if by else values for by in ROTATIONS]
    return [column.view(np.int64).tolist() for column in turned]


def hashes_of(picture: Path) -> "Hashes":
    from dam.analysis.blob import Blob
    from dam_media_image.phash import hashes

    with Blob(str(picture), picture.stat().st_size, "image/jpeg") as blob:
        found = hashes(blob)
    assert found is not None
    return found


def _check(home: Path, picture: Path, wanted: set[int]) -> None:
    """What is near is found, and nothing else is."""
    lines = output_of([DAM_CLI, "--json", "find-similar-images", str(picture)], DAM_HOME=str(home)).splitlines()
    found = {json.loads(line)["entity_id"] for line in lines if "entity_id" in line}
    if found != wanted:
        raise SystemExit(f"the search found {sorted(found)} instead of {sorted(wanted)}")

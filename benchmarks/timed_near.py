"""Run as a process by the benchmarks: opens the default world and looks for what is near a picture's three hashes; prints
the seconds that this took, without those for opening the world and hashing the picture."""

import asyncio
import sys
import time

from sqlalchemy import select

from dam.analysis.blob import Blob
from dam_app import open_world
from dam_media_image.phash import hashes
from dam_media_image.systems.similarity_systems import DEFAULT_THRESHOLD, KINDS, near


async def main(picture: str) -> None:
    with Blob(picture, 0, "image/jpeg") as blob:
        wanted = hashes(blob)
    assert wanted is not None
    async with open_world() as world, world.reading() as session:
        await session.connection()
        began = time.perf_counter()
        for component, value in zip(KINDS.values(), wanted, strict=True):
            found = await near(session, component, value or 0, DEFAULT_THRESHOLD)
            if not (await session.scalars(select(found.c.entity_id))).all():
                raise SystemExit(f"{component.__name__}: nothing was found")
        print(time.perf_counter() - began)


asyncio.run(main(sys.argv[1]))

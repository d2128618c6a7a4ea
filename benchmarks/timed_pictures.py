"""Run as a process by the benchmarks: looks at every picture of a tree in one of several ways; prints the seconds it took.

What is imported beforehand is not counted; the processes that a way starts are, with what they import themselves.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

import by_imagehash
from PIL import Image
from sqlalchemy import func, select

from dam.analysis.blob import Blob
from dam.analysis.jobs import Compute, Job
from dam.analysis.pool import WorkerPool
from dam.analysis.ref import ref
from dam.core.stages import SystemStage
from dam_app import open_world
from dam_app.services import addition
from dam_media_image import phash
from dam_media_image.facts import Hashes
from dam_media_image.models import ImageDimensionsComponent, ImagePerceptualPHashComponent
from dam_media_image.systems import analysis_systems

JPEG = "image/jpeg"


def ingest(tree: Path) -> float:
    """Added to the default world with their hashes, and read by the stage after it: what ``add-asset`` does."""
    return asyncio.run(_ingest(tree))


def ingest_by_imagehash(tree: Path) -> float:
    """The same, but for the function that a worker calls for the hashes."""
    compute = ref("by_imagehash:hashes")
    analysis_systems.hash_components = replace(analysis_systems.hash_components, compute=compute)
    return ingest(tree)


def in_workers(tree: Path) -> float:
    """The hashes alone, in dam's workers."""
    return asyncio.run(_in_workers(_files(tree)))


def by(executor: Callable[[], Executor], look: Callable[[str], object], tree: Path) -> float:
    """One file after the other in as many processes or threads as there are processors."""
    paths = [str(file) for file in _files(tree)]
    began = time.perf_counter()
    with executor() as pool:
        found = list(pool.map(look, paths))
    seconds = time.perf_counter() - began
    _expect(len(paths), sum(each is not None for each in found))
    return seconds


def decode(path: str) -> bool:
    with Image.open(path) as picture:
        return bool(picture.convert("L").size)


def hash_by_imagehash(path: str) -> tuple[int, ...]:
    with Image.open(path) as picture:
        return by_imagehash.hashes_of(picture)


def hash_by_dam(path: str) -> Hashes | None:
    with Blob(path, 0, JPEG) as blob:
        return phash.hashes(blob)


async def _ingest(tree: Path) -> float:
    async with open_world() as world:
        began = time.perf_counter()
        async for _ in world.dispatch_command(addition([str(tree)], recursive=True)):
            pass
        async for _ in world.execute_stage(SystemStage.METADATA_EXTRACTION):
            pass
        seconds = time.perf_counter() - began
        async with world.reading() as session:
            for component in (ImagePerceptualPHashComponent, ImageDimensionsComponent):
                found = await session.scalar(select(func.count()).select_from(component))
                _expect(len(_files(tree)), found or 0)
    return seconds


async def _in_workers(files: list[Path]) -> float:
    hashes = (Compute("dam_media_image.phash:hashes"),)
    jobs = [Job(str(file), file.stat().st_size, JPEG, hashes, file.name) for file in files]
    began = time.perf_counter()
    async with WorkerPool() as pool:
        answers = await pool.run(jobs)
        seconds = time.perf_counter() - began
    _expect(len(files), sum(isinstance(found, Hashes) for (found,) in answers))
    return seconds


def _files(tree: Path) -> list[Path]:
    return sorted(tree.rglob("*.jpg"))


def _expect(wanted: int, found: int) -> None:
    if found != wanted:
        raise SystemExit(f"something came out for {found} of {wanted} pictures")


PROCESSES = partial(ProcessPoolExecutor, cpu_count(), get_context("fork"))
THREADS = partial(ThreadPoolExecutor, cpu_count())
WAYS: Mapping[str, Callable[[Path], float]] = {
    "ingest": ingest,
    "ingest by imagehash": ingest_by_imagehash,
    "decode": partial(by, PROCESSES, decode),
    "imagehash": partial(by, PROCESSES, hash_by_imagehash),
    "workers": in_workers,
    "processes": partial(by, PROCESSES, hash_by_dam),
    "threads": partial(by, THREADS, hash_by_dam),
}

if __name__ == "__main__":
    print(WAYS[sys.argv[1]](Path(sys.argv[2])))

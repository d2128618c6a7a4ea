"""Files to add: made up, the same for every run."""

import random
from pathlib import Path

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")


def pictures(folder: Path, count: int) -> Path:
    """Files that look like JPEGs of about 420 KB to whoever reads their first bytes, 100 in a folder."""
    return _fill(folder, count, seed=1, sizes=(320_000, 520_000))


def crumbs(folder: Path, count: int, seed: int) -> Path:
    """The same, of about 1 KB; another ``seed`` gives other contents."""
    return _fill(folder, count, seed=seed, sizes=(500, 1_500))


def sparse(folder: Path, size: int) -> Path:
    """One file that is all hole."""
    folder.mkdir(parents=True)
    with open(folder / "disc.img", "wb") as file:
        file.truncate(size)
    return folder


def _fill(folder: Path, count: int, seed: int, sizes: tuple[int, int]) -> Path:
    rng = random.Random(seed)
    for i in range(count):
        file = folder / f"{i // 100:04}" / f"IMG_{i:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(JPEG + rng.randbytes(rng.randrange(*sizes) - len(JPEG)))
    return folder

"""Files to add: made up, the same for every run."""

import random
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # only what makes photographs waits for them
    import numpy as np
    from PIL import Image

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")
SCENES = 40


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


def photographs(folder: Path, count: int) -> Path:
    """JPEGs of 1600 x 1200 pixels and about 420 KB that can be decoded: light and shade, shapes, and grain, with camera facts.

    There are ``SCENES`` different pictures; what repeats one has other bytes at its end, which no decoder reads.
    """
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(3)
    exif = Image.Exif()
    exif.update({0x010F: "Bench", 0x0110: "One", 0x0132: "2024:05:06 07:08:09"})
    scenes: list[bytes] = []
    for i in range(count):
        if len(scenes) < SCENES:
            encoded = BytesIO()
            _scene(rng).save(encoded, "JPEG", quality=85, exif=exif)
            scenes.append(encoded.getvalue())
        file = folder / f"{i // 100:04}" / f"DSC_{i:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(scenes[i % SCENES] + i.to_bytes(4, "big"))
    return folder


def _scene(rng: "np.random.Generator") -> "Image.Image":
    from PIL import ImageChops

    scene = _patches(rng, 8, 6, 128)
    for width, height, contrast in ((64, 48, 60), (500, 375, 26)):
        scene = ImageChops.add(scene, _patches(rng, width, height, contrast), 1, -128)
    return scene


def _patches(rng: "np.random.Generator", width: int, height: int, contrast: int) -> "Image.Image":
    """Random colours around grey that run into each other, so many across and down."""
    import numpy as np
    from PIL import Image

    colours = rng.integers(128 - contrast, 128 + contrast, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((1600, 1200), Image.Resampling.BICUBIC)


def _fill(folder: Path, count: int, seed: int, sizes: tuple[int, int]) -> Path:
    rng = random.Random(seed)
    for i in range(count):
        file = folder / f"{i // 100:04}" / f"IMG_{i:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(JPEG + rng.randbytes(rng.randrange(*sizes) - len(JPEG)))
    return folder

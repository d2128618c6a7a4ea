"""Hashes by the library ``imagehash`` itself, in the place of dam's own: what a worker then computes of a picture."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # there is a process for each processor already

from imagehash import average_hash, dhash, phash
from PIL import Image

from dam.analysis.blob import Blob
from dam_media_image.picture import opened


def hashes(blob: Blob) -> tuple[int, ...]:
    """For a worker, which has the picture open for its header anyway."""
    return hashes_of(blob.once(opened))


def hashes_of(picture: Image.Image) -> tuple[int, ...]:
    """pHash, aHash and dHash."""
    return tuple(int(str(function(picture)), 16) for function in (phash, average_hash, dhash))

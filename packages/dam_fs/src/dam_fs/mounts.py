"""Folders that are gone as a whole: the disk of a vanished file may only not be mounted."""

import os
from contextlib import suppress
from functools import lru_cache

PLACES = ("/media", "/mnt", "/run/media", "/Volumes")
"""Below these, an empty folder is a place where a disk can be mounted."""

_TABLE = "/etc/fstab"


def absent_folder(path: str) -> str | None:
    """The folder whose absence explains that there is no file at ``path``: the topmost one that is not there, or the mount point
    on which nothing is mounted. ``None`` where the file alone is gone."""
    folder, missing = os.path.dirname(path), None
    while not os.path.isdir(folder):
        if os.path.lexists(folder):
            return None  # a file now: somebody has put it there
        missing, folder = folder, os.path.dirname(folder)
    if _is_unused_mount_point(folder):
        return folder
    return missing


def _is_unused_mount_point(folder: str) -> bool:
    named = folder in _mount_points() or any(folder.startswith(place + "/") for place in PLACES)
    if not named or os.path.ismount(folder):
        return False
    with suppress(OSError), os.scandir(folder) as entries:
        return next(entries, None) is None
    return False


@lru_cache(1)
def _mount_points() -> frozenset[str]:
    """Those that the system's table names; spaces are written there as ``\\040``."""
    with suppress(OSError), open(_TABLE, encoding="utf-8", errors="surrogateescape") as table:
        lines = [line.split() for line in table if not line.lstrip().startswith("#")]
        return frozenset(line[1].replace("\\040", " ") for line in lines if len(line) > 1)
    return frozenset()

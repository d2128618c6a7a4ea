"""Folders that are gone as a whole: the disk of a vanished file may only not be mounted."""

import os
from contextlib import suppress


def absent_folder(path: str) -> str | None:
    """The folder whose absence explains that there is no file at ``path``: the topmost one that is not there, or one that is
    empty, as a mount point without its disk. ``None`` where the file alone is gone."""
    folder, missing = os.path.dirname(path), None
    while not os.path.isdir(folder):
        if os.path.lexists(folder):
            return None  # a file now: somebody has put it there
        missing, folder = folder, os.path.dirname(folder)
    return folder if _is_empty(folder) else missing


def _is_empty(folder: str) -> bool:
    if os.path.ismount(folder):
        return False
    with suppress(OSError), os.scandir(folder) as entries:
        return next(entries, None) is None
    return False

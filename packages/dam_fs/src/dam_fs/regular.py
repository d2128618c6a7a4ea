"""Opening what may be anything by now: a pipe without a writer would wait for ever, and a link leads out of its folder."""

import errno
import os
import stat
from functools import partial
from io import BufferedReader

FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe without a writer must not hang
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class NotRegularError(OSError):
    """What was opened is not a regular file, whatever it was when it was found."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EINVAL, "not a regular file", path)


def require_regular(mode: int, path: str) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegularError(path)


def open_regular(path: str, *, follow: bool = False) -> BufferedReader:
    """A regular file, to be read; a link to one only with ``follow``. Raises ``OSError``: ``NotRegularError`` or
    ``IsADirectoryError`` for what is something else."""
    try:
        stream = open(path, "rb", opener=partial(_open, follow=follow))  # noqa: SIM115  the caller's
    except OSError as e:
        if e.errno in _IS_LINK and not follow:
            raise NotRegularError(path) from e
        raise
    try:
        require_regular(os.fstat(stream.fileno()).st_mode, path)
    except BaseException:
        stream.close()
        raise
    return stream


_IS_LINK = (errno.ELOOP, errno.EMLINK)  # the second is what FreeBSD says of a link that is not followed


def _open(path: str, _flags: int, *, follow: bool) -> int:
    return os.open(path, FLAGS if follow else FLAGS | NO_LINK)


def is_link(path: str) -> bool:
    """Whether a name leads elsewhere, by a symbolic link or a junction of Windows."""
    return os.path.islink(path) or bool(getattr(os.path, "isjunction", _never)(path))


def _never(_path: str) -> bool:
    return False

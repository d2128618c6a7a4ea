"""Finding files: which there are below the given paths, and what is left out, with the reason."""

import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import TextIOWrapper
from typing import TYPE_CHECKING, NamedTuple

from dam_fs.exceptions import InvalidPatternError
from dam_fs.regular import open_regular
from dam_fs.storage import MARK

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


PROTECTED = "part of a world: its store or its database"
LONGEST_IGNORE_FILE = 1 << 20  # bytes; every pattern is held in memory, and every file is compared with it


class Found(NamedTuple):
    """A file to be added. ``path`` is what it is called; ``opened`` what is opened, which differs for a link."""

    path: str
    opened: str
    size: int
    mtime_ns: int


def mtime_of(status: os.stat_result) -> int:
    """Nanoseconds, as near to the truth as 64 bits allow: file systems hold times up to the year 2446 and more."""
    return min(max(status.st_mtime_ns, -(2**63)), 2**63 - 1)


def is_unchanged(path: str, size: int, mtime_ns: int | None) -> bool:
    """Whether a file is still as it was; where its time is not known, of the same length."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return status.st_size == size and mtime_ns in (None, mtime_of(status))


class LeftOut(NamedTuple):
    """Something that is not added. ``failed`` says that it should have been."""

    path: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class ScanRules:
    """What a scan leaves out: patterns as in a .gitignore, the name of ignore files, folders and files never to enter, and
    all folders unless it is ``recursive``."""

    exclude: Sequence[str] = ()
    ignore_file: str | None = ".damignore"
    protected: frozenset[str] = frozenset()
    recursive: bool = True

    @cached_property
    def real_protected(self) -> frozenset[str]:
        """Without links: a tree can be reached by more than one path, and so can what is protected in it."""
        return frozenset(map(os.path.realpath, self.protected))


class _Ignoring(NamedTuple):
    """Patterns and the folder that they are relative to."""

    base: str
    spec: "GitIgnoreSpec"

    def leaves_out(self, path: str, *, is_folder: bool) -> bool | None:
        name = os.path.relpath(path, self.base) + ("/" if is_folder else "")
        return self.spec.check_file(name).include


def scan(paths: Iterable[str], rules: ScanRules) -> Iterator[Found | LeftOut]:
    """Files below ``paths``, folder by folder in the order of their names.

    A path that was named by the user is followed if it is a link; inside a folder, links are followed to files of the same
    tree only, and never to folders, so no scan is endless.
    """
    for path in paths:
        path = os.path.abspath(path)
        if reason := _protected(os.path.realpath(path), rules):
            yield LeftOut(path, reason)
            continue
        try:
            status = os.stat(path)
        except OSError as e:
            yield LeftOut(path, e.strerror or str(e), failed=True)
            continue
        if stat.S_ISDIR(status.st_mode) and rules.recursive:
            yield from _scan_tree(path, rules)
        elif stat.S_ISDIR(status.st_mode):
            yield LeftOut(path, "a folder; with -r the files below it are added", failed=True)
        elif stat.S_ISREG(status.st_mode):
            yield Found(path, os.path.realpath(path), status.st_size, mtime_of(status))
        else:
            yield LeftOut(path, _kind(status.st_mode))


def _scan_tree(root: str, rules: ScanRules) -> Iterator[Found | LeftOut]:
    excluded = [_Ignoring(root, _patterns(rules.exclude))] if rules.exclude else []
    real_root = os.path.realpath(root)
    pending: list[tuple[str, list[_Ignoring]]] = [(root, [])]
    while pending:
        folder, ignoring = pending.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as e:
            yield LeftOut(folder, e.strerror or str(e), failed=True)
            continue
        names = {entry.name for entry in entries}
        if MARK in names:
            yield LeftOut(folder, "the store of a world")
            continue
        if rules.ignore_file in names:
            try:
                ignoring = [*ignoring, *_read_ignore_file(folder, rules.ignore_file)]
            except (OSError, InvalidPatternError) as e:  # what was to stay out is not known: nothing of it comes in
                why = e.strerror if isinstance(e, OSError) else e.message
                yield LeftOut(folder, f"its {rules.ignore_file} cannot be read: {why}", failed=True)
                continue
        folders: list[tuple[str, list[_Ignoring]]] = []
        deciding = [*ignoring, *excluded]
        # Nothing is below a protected path: none is entered, and the root was looked at.
        real_folder = real_root + folder[len(root) :]
        protected = {os.path.basename(path) for path in rules.real_protected if os.path.dirname(path) == real_folder}
        for entry in entries:
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
                if deciding and _is_ignored(entry.path, deciding, is_folder=is_folder):
                    continue
                if protected and entry.name in protected:
                    yield LeftOut(entry.path, PROTECTED)
                elif is_folder:
                    folders.append((entry.path, ignoring))
                else:
                    yield _examine(entry, real_root, rules)
            except OSError as e:
                yield LeftOut(entry.path, e.strerror or str(e), failed=True)
        pending.extend(reversed(folders))


def _examine(entry: os.DirEntry[str], root: str, rules: ScanRules) -> Found | LeftOut:
    if entry.is_symlink():
        return _follow(entry.path, root, rules)
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(entry.path, _kind(status.st_mode))
    return Found(entry.path, entry.path, status.st_size, mtime_of(status))


def _follow(path: str, root: str, rules: ScanRules) -> Found | LeftOut:
    try:
        target = os.path.realpath(path, strict=True)
    except FileNotFoundError:
        return LeftOut(path, "a link to nothing")
    except OSError:
        return LeftOut(path, "a link that leads nowhere")  # ELOOP, or through a folder that may not be entered
    status = os.stat(target)
    if stat.S_ISDIR(status.st_mode):
        return LeftOut(path, "a link to a folder")
    if os.path.commonpath([root, target]) != root:
        return LeftOut(path, "a link out of the tree")
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(path, f"a link to {_kind(status.st_mode)}")
    if reason := _protected(target, rules):
        return LeftOut(path, reason)
    return Found(path, target, status.st_size, mtime_of(status))


def _protected(path: str, rules: ScanRules) -> str | None:
    protected = rules.real_protected
    if path in protected or any(path.startswith(p + os.sep) for p in protected):
        return PROTECTED
    return None


def _is_ignored(path: str, ignoring: Sequence[_Ignoring], *, is_folder: bool) -> bool:
    for each in reversed(ignoring):  # what the user excludes, then the innermost file that says anything, decides
        decision = each.leaves_out(path, is_folder=is_folder)
        if decision is not None:
            return decision
    return False


def _read_ignore_file(folder: str, name: str | None) -> Iterator[_Ignoring]:
    path = os.path.join(folder, name or "")
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidPatternError("it is no file of its own")
    if status.st_size > LONGEST_IGNORE_FILE:
        raise InvalidPatternError(f"it is longer than {LONGEST_IGNORE_FILE >> 20} MiB")
    with TextIOWrapper(open_regular(path), encoding="utf-8", errors="surrogateescape") as lines:
        yield _Ignoring(folder, _patterns(lines))


def _patterns(lines: Iterable[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec

    from dam_fs.patterns import Pattern

    lines = [line.rstrip("\n") for line in lines]
    try:
        with warnings.catch_warnings():  # Python's own syntax may change; who writes an ignore file need not know of it
            warnings.simplefilter("ignore", FutureWarning)
            return GitIgnoreSpec.from_lines(lines, Pattern)
    except (ValueError, re.error) as e:
        wrong = next((line for line in lines if not _is_pattern(line)), "?")
        raise InvalidPatternError(f"{wrong!r} is not a pattern; write it as in a .gitignore") from e


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }
    return kinds.get(stat.S_IFMT(mode), "not a regular file")

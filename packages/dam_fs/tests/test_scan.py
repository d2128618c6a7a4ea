from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from dam_fs.exceptions import InvalidPatternError
from dam_fs.patterns import Pattern
from dam_fs.scan import Found, LeftOut, ScanRules, scan
from dam_fs.storage import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and names that are not UTF-8 are POSIX")

NOBODY = 65534


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def write(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def found_in(tree: Path | str, rules: ScanRules | None = None) -> list[str]:
    """Paths of what is to be added, relative to the tree."""
    return [
        os.path.relpath(each.path, tree) for each in scan([str(tree)], rules or ScanRules()) if isinstance(each, Found)
    ]


def left_out(tree: Path | str, rules: ScanRules | None = None) -> dict[str, tuple[str, bool]]:
    return {
        os.path.relpath(each.path, tree): (each.reason, each.failed)
        for each in scan([str(tree)], rules or ScanRules())
        if isinstance(each, LeftOut)
    }


@contextlib.contextmanager
def as_nobody(folder: Path) -> Iterator[Path]:
    """A folder that another user owns, and that user's rights: root may read everything. Without root, the rights at hand."""
    if os.geteuid():
        yield folder
        return
    with tempfile.TemporaryDirectory(dir=folder.anchor + "tmp") as place:
        shutil.copytree(folder, f"{place}/tree", symlinks=True, dirs_exist_ok=True)
        os.chmod(place, 0o755)
        for at, folders, files in os.walk(f"{place}/tree"):
            for path in (at, *(os.path.join(at, name) for name in (*folders, *files))):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        os.seteuid(NOBODY)
        try:
            yield folder.__class__(f"{place}/tree")
        finally:
            os.seteuid(0)


# -- order and names


def test_files_come_by_name_and_folders_after_the_files_beside_them(tree: Path) -> None:
    for name in ("b", "a/2", "a/1", "c", "a/sub/3", "A"):
        if name != "A":
            write(tree / name)
    assert found_in(tree) == ["b", "c", "a/1", "a/2", "a/sub/3"]


def test_several_paths_come_in_the_order_in_which_they_were_given(tree: Path) -> None:
    second, first = write(tree / "a"), write(tree / "b")
    assert [each.path for each in scan([str(first), str(second)], ScanRules())] == [str(first), str(second)]


def test_a_file_is_found_with_its_size_and_its_time(tree: Path) -> None:
    path = write(tree / "file", "content")
    os.utime(path, ns=(5, 1_234_567_891))
    assert list(scan([str(tree)], ScanRules())) == [Found(str(path), str(path), 7, 1_234_567_891)]


@pytest.mark.parametrize(
    "name",
    [
        b"caf\xe9", b"\xff\xfe\xfd", b"new\nline", b"tab\tand\rcr", b"-rf", b"--help", b" leading", b"trailing ", b"...",
        b"~", b"star*?[a]", b"back\\slash", b"\x1b[31m", b"\x01", b"a" * 255, "\u202egnp".encode(), b"surrogate_\xed\xa0\x80",
        b"#comment", b"!bang",
    ],
)  # fmt: skip
def test_a_file_is_found_whatever_its_name(tree: Path, name: bytes) -> None:
    with open(os.fsencode(tree) + b"/" + name, "wb"):
        pass
    rules = ScanRules(exclude=["*.tmp"])
    assert [os.fsencode(path) for path in found_in(tree, rules)] == [name]


def test_names_that_are_not_utf_8_can_be_excluded(tree: Path) -> None:
    for name in (b"caf\xe9", b"the"):
        with open(os.fsencode(tree) + b"/" + name, "wb"):
            pass
    (tree / ".damignore").write_bytes(b"caf\xe9\n")
    assert found_in(tree) == [".damignore", "the"]


def make_levels(tree: Path, levels: int) -> None:
    here = os.open(tree, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


@contextlib.contextmanager
def removed_level_by_level(tree: Path) -> Iterator[None]:
    """pytest's own clean-up recurses."""
    try:
        yield
    finally:
        while (tree / "d").exists():
            os.rename(tree / "d", tree / "outer")
            if (tree / "outer" / "d").exists():
                os.rename(tree / "outer" / "d", tree / "d")
            shutil.rmtree(tree / "outer")


def test_a_tree_of_1500_levels_is_walked_to_its_end(tree: Path) -> None:
    with removed_level_by_level(tree):
        make_levels(tree, 1500)
        assert found_in(tree) == ["d/" * 1500 + "leaf"]


def test_in_a_tree_of_3000_levels_what_no_path_can_name_is_reported_and_the_rest_is_found(tree: Path) -> None:
    with removed_level_by_level(tree):
        make_levels(tree, 3000)
        write(tree / "top")
        assert found_in(tree) == ["top"]
        ((path, (reason, failed)),) = left_out(tree).items()
        assert (reason, failed) == ("File name too long", True)
        assert len(str(tree / path)) > 4000


# -- links


def test_a_link_to_a_file_of_the_tree_is_followed_and_what_is_opened_is_its_target(tree: Path) -> None:
    target = write(tree / "sub" / "file")
    (tree / "link").symlink_to("sub/file")
    (found, _) = scan([str(tree)], ScanRules())
    assert found[:2] == (str(tree / "link"), str(target))


def test_links_to_elsewhere_to_nothing_to_themselves_and_to_folders_are_left_out(tree: Path, tmp_path: Path) -> None:
    write(tmp_path / "secret")
    (tmp_path / "tree2").mkdir()
    write(tmp_path / "tree2" / "file")
    links = {
        "out": "../secret",
        "sibling": "../tree2/file",  # whose path begins as the tree's does
        "dangling": "nowhere",
        "self": "self",
        "a": "b",
        "b": "a",
        "parent": "..",
        "here": ".",
        "device": "/dev/null",
    }
    for name, target in links.items():
        (tree / name).symlink_to(target)
    assert found_in(tree) == []
    assert left_out(tree) == {
        "out": ("a link out of the tree", False),
        "sibling": ("a link out of the tree", False),
        "dangling": ("a link to nothing", False),
        "self": ("a link that leads nowhere", False),
        "a": ("a link that leads nowhere", False),
        "b": ("a link that leads nowhere", False),
        "parent": ("a link to a folder", False),
        "here": ("a link to a folder", False),
        "device": ("a link out of the tree", False),
    }


def test_a_link_to_a_pipe_of_the_tree_is_left_out(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    (tree / "link").symlink_to("pipe")
    assert left_out(tree) == {"link": ("a link to a pipe", False), "pipe": ("a pipe", False)}


def test_a_path_that_the_user_named_is_followed_wherever_it_leads(tree: Path, tmp_path: Path) -> None:
    target = write(tmp_path / "elsewhere" / "file")
    (tree / "file").symlink_to(target)
    (tree / "folder").symlink_to(target.parent)
    named = [str(tree / "file"), str(tree / "folder")]
    assert [each[:2] for each in scan(named, ScanRules())] == [
        (str(tree / "file"), str(target)),
        (str(tree / "folder" / "file"), str(tree / "folder" / "file")),
    ]


def test_inside_a_folder_that_was_named_by_a_link_links_of_the_tree_are_followed(tree: Path, tmp_path: Path) -> None:
    write(tree / "file")
    (tree / "link").symlink_to("file")
    (tmp_path / "named").symlink_to(tree)
    assert found_in(tmp_path / "named") == ["file", "link"]


# -- what is no file


def test_pipes_sockets_and_devices_are_left_out_with_what_they_are(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tree / "pipe")
    monkeypatch.chdir(tree)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
    write(tree / "file")
    assert found_in(tree) == ["file"]
    assert left_out(tree) == {"pipe": ("a pipe", False), "socket": ("a socket", False)}
    assert list(scan([str(tree / "pipe"), "/dev/null"], ScanRules())) == [
        LeftOut(str(tree / "pipe"), "a pipe"),
        LeftOut("/dev/null", "a device"),
    ]


def test_a_path_that_is_not_there_has_failed(tree: Path) -> None:
    assert list(scan([str(tree / "gone")], ScanRules())) == [
        LeftOut(str(tree / "gone"), "No such file or directory", failed=True)
    ]


def test_a_folder_that_may_not_be_read_has_failed_and_the_others_are_walked(tree: Path) -> None:
    write(tree / "closed" / "file")
    write(tree / "open" / "file")
    with as_nobody(tree) as mine:
        os.chmod(mine / "closed", 0)
        try:
            assert found_in(mine) == ["open/file"]
            assert left_out(mine) == {"closed": ("Permission denied", True)}
        finally:
            os.chmod(mine / "closed", 0o700)


def test_a_folder_whose_files_may_not_be_examined_reports_each_of_them(tree: Path) -> None:
    write(tree / "listed" / "file")
    write(tree / "open")
    with as_nobody(tree) as mine:
        os.chmod(mine / "listed", 0o400)
        try:
            assert found_in(mine) == ["open"]
            assert left_out(mine) == {"listed/file": ("Permission denied", True)}
        finally:
            os.chmod(mine / "listed", 0o700)


def test_a_folder_whose_ignore_file_may_not_be_read_has_failed_as_a_whole(tree: Path) -> None:
    write(tree / "sub" / ".damignore", "private\n")
    write(tree / "sub" / "private")
    write(tree / "other")
    with as_nobody(tree) as mine:
        os.chmod(mine / "sub" / ".damignore", 0)
        assert found_in(mine) == ["other"]
        assert left_out(mine) == {"sub": ("its .damignore cannot be read: Permission denied", True)}


# -- what is excluded


def test_excluded_files_and_folders_are_not_even_mentioned(tree: Path) -> None:
    for name in ("a.jpg", "a.tmp", "cache/a.jpg", "sub/cache/a.jpg", "sub/b.tmp", "sub/b.jpg"):
        write(tree / name)
    rules = ScanRules(exclude=["*.tmp", "cache/"])
    assert found_in(tree, rules) == ["a.jpg", "sub/b.jpg"]
    assert left_out(tree, rules) == {}


def test_patterns_with_a_slash_are_relative_to_the_folder_that_was_named(tree: Path) -> None:
    for name in ("build/a", "sub/build/a"):
        write(tree / name)
    assert found_in(tree, ScanRules(exclude=["/build"])) == ["sub/build/a"]


def test_a_file_that_the_user_named_is_added_whatever_is_excluded(tree: Path) -> None:
    path = write(tree / "a.tmp")
    assert [each.path for each in scan([str(path)], ScanRules(exclude=["*.tmp"]))] == [str(path)]


def test_an_ignore_file_holds_for_its_folder_and_those_below_it(tree: Path) -> None:
    for name in ("keep.raw", "sub/x.raw", "sub/x.jpg", "sub/deep/y.raw", "sub/deep/y.jpg"):
        write(tree / name)
    write(tree / "sub" / ".damignore", "*.raw\n.damignore\n")
    assert found_in(tree) == ["keep.raw", "sub/x.jpg", "sub/deep/y.jpg"]


def test_the_innermost_ignore_file_that_says_anything_decides(tree: Path) -> None:
    for name in ("a.raw", "sub/a.raw", "sub/deep/a.raw", "sub/deep/b.raw"):
        write(tree / name)
    write(tree / ".damignore", "*.raw\n.damignore\n")
    write(tree / "sub" / ".damignore", "!*.raw\n")
    write(tree / "sub" / "deep" / ".damignore", "b.raw\n")
    assert found_in(tree) == ["sub/a.raw", "sub/deep/a.raw"]


def test_what_the_user_excludes_is_excluded_whatever_an_ignore_file_says(tree: Path) -> None:
    write(tree / "a.tmp")
    write(tree / ".damignore", "!*.tmp\n.damignore\n")
    assert found_in(tree, ScanRules(exclude=["*.tmp"])) == []


def test_inside_an_excluded_folder_nothing_can_be_included_again(tree: Path) -> None:
    write(tree / "cache" / "a.jpg")
    write(tree / "cache" / ".damignore", "!a.jpg\n")
    write(tree / ".damignore", "cache/\n!cache/a.jpg\n")
    assert found_in(tree) == [".damignore"]


def test_an_ignore_file_may_have_another_name_or_none(tree: Path) -> None:
    write(tree / "a.raw")
    write(tree / ".damignore", "*\n")
    write(tree / ".other", "*.raw\n.*\n")
    assert found_in(tree, ScanRules(ignore_file=".other")) == []
    assert found_in(tree, ScanRules(ignore_file=None)) == [".damignore", ".other", "a.raw"]


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_an_ignore_file_that_is_none_of_its_own_keeps_its_folder_out(tree: Path, tmp_path: Path, kind: str) -> None:
    write(tree / "a")
    if kind == "pipe":
        os.mkfifo(tree / ".damignore")
    elif kind == "link":
        (tree / ".damignore").symlink_to(write(tmp_path / "patterns", "*\n"))
    else:
        (tree / ".damignore").mkdir()
    assert found_in(tree) == []
    ((reason, failed),) = left_out(tree).values()
    assert (reason, failed) == ("its .damignore cannot be read: it is no file of its own", True)


@pytest.mark.parametrize("lines", [b"!\n", b"a**b***c\n", b"[z-a]\n", b"\\\n", b"\0\n", b"\xff\xfe\n", b"[\n", b"/\n"])
def test_a_line_that_is_no_pattern_does_not_end_the_scan(tree: Path, lines: bytes) -> None:
    write(tree / "file")
    write(tree / "sub" / "file")
    (tree / "sub" / ".damignore").write_bytes(lines + b".damignore\n")
    assert found_in(tree)[0] == "file"
    assert "sub/file" in found_in(tree) or left_out(tree)["sub"][1]


def test_a_folder_whose_ignore_file_holds_no_pattern_has_failed_and_says_which(tree: Path) -> None:
    write(tree / ".damignore", "*.raw\n[z-a]\n")
    assert left_out(tree) == {
        ".": ("its .damignore cannot be read: '[z-a]' is not a pattern; write it as in a .gitignore", True)
    }


def test_an_exclusion_that_is_no_pattern_is_refused(tree: Path) -> None:
    with pytest.raises(InvalidPatternError, match="'!' is not a pattern"):
        list(scan([str(tree)], ScanRules(exclude=["*.raw", "!"])))


# -- stores and databases


def test_protected_folders_and_files_are_left_out_however_they_are_reached(tree: Path, tmp_path: Path) -> None:
    write(tree / "store" / "objects" / "ab" / "object")
    write(tree / "world.db")
    write(tree / "world.db.txt")
    (tree / "link.db").symlink_to("world.db")
    (tmp_path / "named").symlink_to(tree)
    reason = "part of a world: its store or its database"
    for rules in (
        ScanRules(protected=frozenset([str(tree / "store"), str(tree / "world.db")])),
        ScanRules(protected=frozenset([str(tmp_path / "named" / "store"), str(tmp_path / "named" / "world.db")])),
    ):
        for named in (tree, tmp_path / "named"):
            assert found_in(named, rules) == ["world.db.txt"]
            assert left_out(named, rules) == {
                "link.db": (reason, False),
                "store": (reason, False),
                "world.db": (reason, False),
            }


def test_protected_paths_are_left_out_when_they_are_named(tree: Path, tmp_path: Path) -> None:
    write(tree / "store" / "objects" / "ab" / "object")
    (tmp_path / "named").symlink_to(tree / "store" / "objects")
    rules = ScanRules(protected=frozenset([str(tree / "store")]))
    for named in (
        tree / "store",
        tree / "store" / "objects",
        tree / "store" / "objects" / "ab" / "object",
        tmp_path / "named",
    ):
        (outcome,) = scan([str(named)], rules)
        assert outcome == LeftOut(str(named), "part of a world: its store or its database")


def test_the_store_of_a_world_that_nobody_configured_is_not_entered(tree: Path) -> None:
    store = LocalStorage(str(tree / "foreign"))
    store.create()
    write(tree / "foreign" / "objects" / "ab" / "object")
    write(tree / "file")
    assert found_in(tree) == ["file"]
    assert left_out(tree) == {"foreign": ("the store of a world", False)}
    assert left_out(tree / "foreign") == {".": ("the store of a world", False)}


@pytest.mark.parametrize(
    "pattern", ["*a*a*a*a*a*a*a*a*a*c", "*?*?*?*?*?*?*?*?*?*c", "**/a*/**/a*/**/a*/**/a*/**/a*/**/c"]
)
def test_a_pattern_that_could_match_in_very_many_ways_is_no_trap(tree: Path, pattern: str) -> None:
    write(tree / ".damignore", pattern)
    deep = tree.joinpath(*["a"] * 250) if "/" in pattern else tree
    write(deep / ("a" * 200))
    assert len(found_in(tree)) == 2


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("*a*b*", {"xaxb", "ab", "d/aab", "d/e/f/ab", "a1b2c3d", "abxbycd"}),
        ("a*b?c*d", {"a1b2c3d", "abxbycd"}),
        ("**/d/**/f/**/ab", {"d/e/f/ab"}),
        ("/**/e/**", {"d/e/f/ab"}),
        ("d/**/a*b", {"d/aab", "d/e/f/ab"}),
        ("d/**/**/f", {"d/e/f/ab"}),
        ("**[ab]*b*", {"xaxb", "ab", "d/aab", "d/e/f/ab", "a1b2c3d", "abxbycd"}),
    ],
)
def test_patterns_with_several_stars_leave_out_what_git_would(tree: Path, pattern: str, gone: set[str]) -> None:
    names = {"xaxb", "ab", "d/aab", "d/e/f/ab", "a1b2c3d", "abxbycd", "ba", "d/xyz"}
    for name in names:
        write(tree / name)
    assert set(found_in(tree, ScanRules(exclude=[pattern]))) == names - gone


def test_an_ignore_file_of_great_length_fails_its_folder(tree: Path) -> None:
    write(tree / ".damignore", "x" * ((1 << 20) + 1))
    assert left_out(tree) == {".": ("its .damignore cannot be read: it is longer than 1 MiB", True)}


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**", "?", "/", "/**/", "[ab]", "!", "ab"]), max_size=8).map("".join),
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=5).map("/".join),
)
def test_patterns_that_are_never_retried_match_what_they_would_match(pattern: str, path: str) -> None:
    try:
        plain = GitIgnoreSpec.from_lines([pattern])
    except ValueError:
        return
    for each in (path, f"{path}/"):
        assert GitIgnoreSpec.from_lines([pattern], Pattern).check_file(each).include == plain.check_file(each).include


def test_a_pattern_with_a_bracket_in_brackets_is_no_warning(tree: Path) -> None:
    write(tree / "ax")
    assert found_in(tree, ScanRules(exclude=["[[:alpha:]]x"])) == ["ax"]

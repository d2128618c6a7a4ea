"""What the store itself tells of what was put there."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam.commands.copy_commands import CopyEntitiesCommand
from dam.commands.disposal_commands import DeleteCommand
from dam_fs.commands import AddAssetsCommand, AssetOutcome
from dam_fs.receipts import Receipt, lines_of, receipts_in
from dam_fs.resources import FileOperationsResource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from dam.core.world import World

    OpenWorld = Callable[..., Awaitable[World]]

KEY = hashlib.sha256(b"").hexdigest()


async def add(world: World, *files: str, copy: bool = True) -> list[AssetOutcome]:
    command = AddAssetsCommand(files, copy=copy)
    return [event async for event in world.dispatch_command(command) if isinstance(event, AssetOutcome)]


async def receipts(world: World) -> list[Receipt]:
    storage = await world.get_resource(FileOperationsResource).storage(world, create=False)
    return list(receipts_in(storage.receipts()))


@given(
    st.builds(
        Receipt,
        st.just(KEY),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        st.none() | st.binary(min_size=16, max_size=16).map(bytes.hex),
        st.none() | st.integers(0, 1 << 62),
        st.none() | st.sampled_from(["text/plain", "image/x-ü"]),
        st.none() | st.binary().map(lambda raw: os.fsdecode(raw.replace(b"\0", b""))),
        copied=st.booleans(),
        deleted=st.booleans(),
        derived=st.booleans(),
        at=st.just("2026-01-01"),
    )
)
def test_a_receipt_is_read_as_it_was_written(receipt: Receipt) -> None:
    assert list(receipts_in(lines_of([receipt, receipt]).splitlines(keepends=True))) == [receipt, receipt]


@given(st.lists(st.binary(max_size=40)))
def test_whatever_else_stands_there_is_no_receipt(lines: list[bytes]) -> None:
    assert list(receipts_in([*lines, b"[]", b"3", b'{"sha256": 5}', b'{"sha256": "ab"}', b'{"name": "x"}'])) == []


@pytest.mark.parametrize(
    "said",
    [
        {"name": 5},
        {"name": {"a": 1}},
        {"name": "\ud800"},
        {"name": "a\0b"},
        {"name": "x" * 1025},
        {"path": ["x"]},
        {"path": "a\0b", "copied": False},
        {"path": "\ud800"},
        {"size": "9"},
        {"size": -1},
        {"size": True},
        {"size": 1 << 63},
        {"mtime_ns": 10**30},
        {"mtime_ns": 1.5},
        {"md5": "zz"},
        {"md5": 3},
        {"media_type": 7},
        {"media_type": "\0"},
        {"media_type": "x" * 256},
        {"copied": "no"},
        {"deleted": 0},
        {"derived": None},
        {"at": 5},
        {"at": "yesterday"},
        {"sha256": KEY.upper()},
        {"sha256": KEY[:-2] + " 0"},
    ],
    ids=str,
)
def test_what_nobody_here_would_have_written_is_no_receipt(said: dict[str, object]) -> None:
    assert list(receipts_in([json.dumps({"sha256": KEY, **said}).encode()])) == []


def test_a_line_that_is_made_to_break_the_parser_is_no_receipt() -> None:
    digits = b'{"sha256": "%s", "size": %s}' % (KEY.encode(), b"9" * 5000)
    nested = b'{"sha256": ' + b"[" * 100_000
    assert list(receipts_in([b"[" * 100_000, nested, digits, b"\xff\xfe{{{"])) == []


async def test_every_name_of_every_file_has_one(open_world: OpenWorld, tmp_path: Path) -> None:
    world = await open_world()
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")
    for name in (str(tmp_path / "a.txt"), odd, str(tmp_path / "b.txt")):
        with open(name, "w") as file:  # noqa: ASYNC230
            file.write("same")
    await add(world, str(tmp_path / "a.txt"), odd)
    await add(world, str(tmp_path / "a.txt"))
    await add(world, str(tmp_path / "b.txt"), copy=False)
    found = await receipts(world)
    assert [(each.path, each.copied) for each in found] == [
        (str(tmp_path / "a.txt"), True),
        (odd, True),
        (str(tmp_path / "b.txt"), False),
    ]
    assert {(each.sha256, each.md5, each.size, each.media_type) for each in found} == {
        (hashlib.sha256(b"same").hexdigest(), hashlib.md5(b"same").hexdigest(), 4, "text/plain")
    }
    folder = f"{world.get_resource(FileOperationsResource).root}/receipts"
    assert [os.stat(f"{folder}/{name}").st_mode & 0o777 for name in os.listdir(folder)] == [0o600]


async def test_what_is_deleted_copied_or_made_of_something_says_so(open_world: OpenWorld, tmp_path: Path) -> None:
    one, two = await open_world("one"), await open_world("two")
    (tmp_path / "a.txt").write_text("a")
    (outcome,) = await add(one, str(tmp_path / "a.txt"))
    await one.get_resource(FileOperationsResource).put(one, b"made")
    copying: Any = two.dispatch_command(CopyEntitiesCommand(one))
    assert [event async for event in copying]
    deleting: Any = one.dispatch_command(DeleteCommand([outcome.entity_id or 0]))
    assert [event async for event in deleting]
    assert [(each.name, each.derived, each.deleted) for each in await receipts(one)] == [
        ("a.txt", False, False),
        ("", True, False),
        ("a.txt", False, True),
    ]
    assert [(each.name, each.copied) for each in await receipts(two)] == [("a.txt", True)]

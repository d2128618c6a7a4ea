"""What the commands do, called as functions on a real world."""

import hashlib
import io
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dam.core.world import World
from dam_app import open_world
from dam_app.config import load_configuration
from dam_app.output import Output
from dam_app.render import print_asset, print_listing
from dam_app.services import (
    Asset,
    Listed,
    addition,
    describe_entities,
    find_by_hash,
    newest_assets,
    paths_from,
    world_rows,
)
from dam_fs.commands import AssetOutcome
from dam_fs.exceptions import InvalidHashError, NotAFileError
from dam_fs.models import (
    ContentHashMd5Component,
    ContentHashSha256Component,
    FileLocationComponent,
    FilePropertiesComponent,
    OriginalSourceInfoComponent,
)


@pytest.fixture
async def world(home: Path) -> AsyncIterator[World]:
    async with open_world() as world:
        yield world


async def add(world: World, *paths: Path, copy: bool = True, dry_run: bool = False) -> dict[str, AssetOutcome]:
    """Outcomes by file name."""
    command = addition([str(path) for path in paths], recursive=True, copy=copy, dry_run=dry_run)
    async with world.dispatch_command(command) as events:
        return {os.path.basename(event.path): event async for event in events if isinstance(event, AssetOutcome)}


def files(folder: Path, **contents: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.txt").write_text(content)
    return folder


async def listing(world: World, limit: int | None = None, page: int = 1000) -> list[Listed]:
    return [asset async for asset in newest_assets(world, limit, page)]


# -- what to add


def test_a_folder_is_entered_only_on_request_and_the_message_says_how(home: Path) -> None:
    with pytest.raises(NotAFileError, match=r"is a folder; add -r to add the files below it"):
        addition([str(home)])
    assert list(addition([str(home)], recursive=True).paths) == [str(home)]


async def test_a_path_that_is_not_there_and_a_listed_folder_fail_alone(world: World, home: Path) -> None:
    files(home / "in", a="a")
    command = addition([str(home / "in" / "a.txt"), str(home / "gone")], listed=[str(home / "went"), str(home / "in")])
    async with world.dispatch_command(command) as events:
        outcomes = [event async for event in events if isinstance(event, AssetOutcome)]
    assert sorted((o.status.value, o.reason) for o in outcomes) == [
        ("added", None),
        ("failed", "No such file or directory"),
        ("failed", "No such file or directory"),
        ("failed", "a folder; with -r the files below it are added"),
    ]


def test_paths_of_a_list_are_lines_or_end_with_nul_and_may_be_any_bytes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "lines").write_bytes(b"a b\n\n-dash\nbad\xff\n")
    assert paths_from("lines") == ["a b", "-dash", os.fsdecode(b"bad\xff")]
    (home / "nuls").write_bytes(b"a\nb\0c")
    assert paths_from("nuls", null=True) == ["a\nb", "c"]
    with pytest.raises(NotAFileError, match="add --null"):
        paths_from("nuls")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x\0y\0")))
    assert paths_from("-", null=True) == ["x", "y"]
    with pytest.raises(NotAFileError, match="--files-from 'nope' cannot be read"):
        paths_from("nope")


async def test_a_dry_run_tells_the_same_of_each_file_as_the_real_run_and_changes_nothing(
    world: World, home: Path
) -> None:
    folder = files(home / "in", a="same", b="same", c="other")
    (folder / "empty").touch()
    foretold = await add(world, folder, dry_run=True)
    assert await listing(world) == []
    assert not (home.parent / "home" / "default-store").exists()
    done = await add(world, folder)
    assert sorted(o.status for o in foretold.values()) == sorted(o.status for o in done.values())
    assert {name: (o.path, o.size_bytes, o.reason) for name, o in foretold.items()} == {
        name: (o.path, o.size_bytes, o.reason) for name, o in done.items()
    }
    files(folder, d="new", e="other")
    foretold, done = await add(world, folder, dry_run=True), await add(world, folder)
    assert {n: o.status for n, o in foretold.items()} == {n: o.status for n, o in done.items()}


# -- finding by hash


async def test_an_asset_is_found_by_each_hash_and_by_a_file_with_everything_that_is_known(
    world: World, home: Path
) -> None:
    folder = files(home / "in", one="content", two="content")
    outcomes = await add(world, folder)
    sha256, md5 = hashlib.sha256(b"content").hexdigest(), hashlib.md5(b"content").hexdigest()
    found = [
        await find_by_hash(world, "sha256", sha256),
        await find_by_hash(world, "SHA256", sha256.upper()),
        await find_by_hash(world, "md5", f" {md5}\n"),
        await find_by_hash(world, "sha256", file=str(folder / "two.txt")),
        await find_by_hash(world, "md5", file=str(folder / "one.txt")),
    ]
    assert [[asset.entity_id for asset in assets] for assets in found] == [[outcomes["one.txt"].entity_id]] * 5
    (asset,) = found[0]
    properties = asset.of(FilePropertiesComponent)
    assert isinstance(properties, FilePropertiesComponent)
    assert (properties.size_bytes, properties.mime_type) == (7, "text/plain")
    assert properties.original_filename in ("one.txt", "two.txt")
    locations = [c for c in asset.components if isinstance(c, FileLocationComponent)]
    assert sorted(location.contextual_filename for location in locations) == ["one.txt", "two.txt"]
    assert {(c.content_identifier, c.physical_path_or_key, c.storage_type) for c in locations} == {
        (sha256, sha256, "cas")
    }
    assert asset.of(ContentHashSha256Component) is not None
    assert asset.of(OriginalSourceInfoComponent) is not None


async def test_two_assets_with_one_md5_are_both_found(world: World, home: Path) -> None:
    outcomes = await add(world, files(home / "in", one="1", two="2"))
    ids = [outcomes[name].entity_id for name in ("one.txt", "two.txt")]
    collision = hashlib.md5(b"1").digest()
    async with world.transaction() as transaction:
        for entity_id in ids:
            assert entity_id is not None
            await transaction.add_component_to_entity(entity_id, ContentHashMd5Component(hash_value=collision))
    found = await find_by_hash(world, "md5", collision.hex())
    assert sorted(asset.entity_id for asset in found) == sorted(ids, key=str)


async def test_what_nobody_has_is_not_found(world: World, home: Path) -> None:
    files(home, x="x")
    assert await find_by_hash(world, "sha256", "00" * 32) == []
    assert await find_by_hash(world, "md5", file="x.txt") == []


@pytest.mark.parametrize(
    ("hash_type", "value", "said"),
    [
        ("sha1", "00" * 20, "--hash-type 'sha1' is not a hash that is kept; allowed are sha256, md5"),
        ("sha256", "abc", "'abc' is not a sha256; it has 64 hexadecimal digits"),
        ("sha256", "zz" * 32, "is not a sha256"),
        ("md5", "00" * 32, "is not a md5; it has 32 hexadecimal digits"),
        ("sha256", "picture.jpg", "For a file, use --file PATH"),
    ],
)
async def test_what_is_no_hash_is_a_mistake(world: World, hash_type: str, value: str, said: str) -> None:
    with pytest.raises(InvalidHashError) as caught:
        await find_by_hash(world, hash_type, value)
    assert said in caught.value.message


async def test_a_file_that_cannot_be_read_is_a_mistake(world: World) -> None:
    with pytest.raises(NotAFileError, match="--file 'nope' cannot be read: No such file"):
        await find_by_hash(world, "sha256", file="nope")


# -- showing and listing


async def test_entities_are_described_in_the_order_asked_for_and_unknown_ones_are_left_out(
    world: World, home: Path
) -> None:
    outcomes = await add(world, files(home / "in", one="1", two="2"))
    one, two = (outcomes[name].entity_id for name in ("one.txt", "two.txt"))
    assert one is not None
    assert two is not None
    described = await describe_entities(world, [two, 999, one, two, 10**30])
    assert [asset.entity_id for asset in described] == [two, one]


async def test_listings_show_the_newest_first_page_by_page_without_a_gap(world: World, home: Path) -> None:
    assert await listing(world) == []
    await add(world, files(home / "in", **{f"f{i}": str(i) for i in range(7)}))
    every = [asset.entity_id for asset in await listing(world)]
    assert every == sorted(every, reverse=True)
    assert len(every) == 7, "the store's own entity is not an asset"
    for page in (1, 2, 3, 7, 8):
        assert [asset.entity_id for asset in await listing(world, page=page)] == every
    assert [asset.entity_id for asset in await listing(world, limit=3, page=2)] == every[:3]
    assert len(await listing(world, limit=99)) == 7


async def test_shown_and_listed_names_are_harmless_and_paths_are_exact(
    world: World, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"evil\x1b[31m\xff")
    (home / "in").mkdir()
    (home / "in" / name).write_text("x" * 2000)
    (outcome,) = (await add(world, home / "in")).values()
    assert outcome.entity_id is not None
    (asset,) = await describe_entities(world, [outcome.entity_id])
    assert isinstance(asset, Asset)
    for output in (Output(), Output(json=True)):
        print_asset(output, asset)
        assert await print_listing(output, newest_assets(world)) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    *_, shown, listed = out.splitlines()
    record = json.loads(shown)
    assert (record["type"], record["schema"], record["entity_id"]) == ("item", 1, outcome.entity_id)
    by_class = {component["component"]: component for component in record["components"]}
    raw = os.fsencode(str(home / "in" / name))
    source = by_class["OriginalSourceInfoComponent"]
    assert source["original_path"] == raw.decode("utf-8", "replace")
    assert source["original_path_b64"]
    assert by_class["ContentHashSha256Component"]["hash_value"] == hashlib.sha256(b"x" * 2000).hexdigest()
    line = json.loads(listed)
    assert (line["entity_id"], line["size_bytes"]) == (outcome.entity_id, 2000)
    assert by_class["FilePropertiesComponent"]["added_at"] == line["added_at"]
    people = out.splitlines()[0]
    assert people == f"entity {outcome.entity_id}  evil\\x1b[31m\N{REPLACEMENT CHARACTER}"
    assert "2000 (2.0 kB)" in out
    assert re.search(r"mtime_ns +\d{19} \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d\)\n", out)


# -- worlds and plugins


def test_worlds_are_listed_with_their_databases_and_what_is_wrong_with_them(home: Path) -> None:
    (home / "dam.toml").write_text(
        """
        [worlds.bad]
        analysis_workers = 0
        [worlds.server]
        database_url = "postgresql+asyncpg://me@host/db"
        [worlds.server.settings.dam-fs]
        storage_path = "store"
        [worlds.odd]
        database_url = "rubbish"
        """
    )
    rows = {row["name"]: row for row in world_rows(load_configuration(), "server")}
    assert list(rows) == ["bad", "default", "odd", "server"]
    assert [name for name, row in rows.items() if row["chosen"]] == ["server"]
    assert rows["default"]["database"] == str(home.parent / "home" / "default.db")
    assert {"dam-fs", "dam-media-audio"} <= set(rows["default"]["plugins"])
    assert rows["server"]["database"] == "postgresql+asyncpg://me@host/db"
    assert "analysis_workers=0" in rows["bad"]["error"]
    assert "'rubbish' is not a database" in rows["odd"]["error"]

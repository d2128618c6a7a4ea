"""Worlds that are made by a command, looked at, and checked."""

import asyncio
import os
from pathlib import Path

import pytest

from dam.core.exceptions import DatabaseUnavailableError, SettingsError
from dam_app import open_world
from dam_app.config import load_configuration
from dam_app.creation import create_world, world_table
from dam_app.inspection import WorldReport, inspect_world
from dam_app.services import addition
from dam_app.worlds import opened, save_world


async def inspected(name: str, *, count: bool = False) -> WorldReport:
    return await inspect_world(load_configuration(), name, count=count)


async def test_a_new_world_is_written_below_what_stands_in_the_file_and_can_be_used(home: Path) -> None:
    file = home / "dam.toml"
    file.write_text("# mine\n[worlds.old]  # stays as it is")
    table = world_table("sqlite+aiosqlite:///new.db", ["dam-fs"], ["analysis_workers=1", "dam-fs.storage_path=objects"])
    assert await create_world(None, "new", table) == str(file)
    assert file.read_text().startswith("# mine\n[worlds.old]  # stays as it is\n")
    (home / "a.txt").write_text("a")
    async with open_world("new") as world:
        await world.dispatch_command(addition(["a.txt"])).get_all_results()
    assert (home / "objects").is_dir()
    report = await inspected("new", count=True)
    assert (report.state, report.assets, report.plugins, report.problems) == ("current", 1, ["dam-fs"], [])
    assert (report.database, report.store) == (str(home / "new.db"), str(home / "objects"))
    assert report.defined_in == str(file)


async def test_without_a_dam_toml_the_users_own_one_is_begun(home: Path) -> None:
    file = await create_world(None, "photos", {})
    assert file == str(home.parent / "config" / "dam" / "dam.toml")
    assert "photos" in load_configuration().names
    assert (home.parent / "home" / "photos.db").exists()


async def test_a_name_that_is_taken_and_settings_that_are_none_change_nothing(home: Path) -> None:
    file = home / "dam.toml"
    file.write_text("[worlds.old]\n")
    for name, table, said in (
        ("old", {}, r"dam.toml: there is a world 'old' already"),
        ("default", {}, "there is a world 'default' already"),
        ("a b", {}, "is not a name for a world"),
        ("new", {"analysis_workers": 0}, r"dam.toml: \[worlds.new\] analysis_workers=0: input should be"),
        ("new", {"colour": "red"}, r"\[worlds.new\] colour is not a setting"),
        ("new", {"plugins": ["dam-none"]}, "plugin 'dam-none' is not installed"),
    ):
        with pytest.raises(Exception, match=said):
            await create_world(None, name, table)
    with pytest.raises(DatabaseUnavailableError, match="cannot be reached"):
        await create_world(None, "new", world_table("postgresql+asyncpg://a@localhost:1/x", None, ["folder=."]))
    assert file.read_text() == "[worlds.old]\n"


async def test_of_four_that_make_the_same_world_at_once_one_does(home: Path) -> None:
    made = await asyncio.gather(*(create_world(None, "same", {}) for _ in range(4)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in made) == ["SettingsError"] * 3 + ["str"]
    others = [create_world(None, name, {"analysis_workers": 1}) for name in ("one", "two", "three")]
    await asyncio.gather(*others)
    assert load_configuration().configured == ["one", "same", "three", "two"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
async def test_a_file_that_cannot_be_written_is_named_with_what_was_to_be_added(home: Path) -> None:
    (home / "dam.toml").write_text("")
    (home / "dam.toml").chmod(0o400)
    with pytest.raises(SettingsError, match=r"dam.toml cannot be written: .*\n\[worlds.new\]"):
        await create_world(None, "new", {"analysis_workers": 1})


@pytest.mark.parametrize("setting", ["workers", "=1", "dam-fs.=1"])
def test_a_setting_without_a_key_is_a_mistake(setting: str) -> None:
    with pytest.raises(SettingsError, match="is not KEY=VALUE"):
        world_table(settings=[setting])


def test_values_are_those_of_toml_and_else_texts() -> None:
    settings = ["a=1", "b=true", 'c="x"', "d=x y", 'e={ env = "PW" }', "dam-fs.f=[1, 2]"]
    assert world_table(settings=settings) == {
        "a": 1,
        "b": True,
        "c": "x",
        "d": "x y",
        "e": {"env": "PW"},
        "settings": {"dam-fs": {"f": [1, 2]}},
    }


async def test_looking_creates_nothing(home: Path) -> None:
    (home / "dam.toml").write_text('[worlds.new]\ndatabase_url = "sqlite+aiosqlite:///new.db"\n')
    for name in ("new", "default"):
        report = await inspected(name, count=True)
        assert (report.state, report.assets, report.problems) == ("not set up", None, [])
    assert sorted(os.listdir(home)) == ["dam.toml"]
    assert sorted(os.listdir(home.parent)) == ["here"]


async def test_what_stands_in_a_worlds_way_is_said(home: Path, tmp_path: Path) -> None:
    (home / "dam.toml").write_text(
        '[worlds.wrong]\nanalysis_workers = 0\n[worlds.poor]\nplugins = ["dam-none"]\n'
        '[worlds.gone]\ndatabase_url = "sqlite+aiosqlite:////nowhere/at/all.db"\n'
        '[worlds.served]\ndatabase_url = "postgresql+asyncpg://a@localhost:1/x"\nfolder = "."\n'
    )
    for name, said in (
        ("wrong", "analysis_workers=0"),
        ("poor", "'dam-none' is not installed"),
        ("gone", "there is no folder /nowhere/at"),
        ("served", "the server cannot be reached"),
    ):
        (problem,) = (await inspected(name)).problems
        assert said in problem


async def test_a_store_that_is_gone_is_a_problem_and_so_is_a_database_that_is(home: Path) -> None:
    (home / "a.txt").write_text("a")
    async with open_world() as world:
        await world.dispatch_command(addition(["a.txt"])).get_all_results()
    assert (await inspected("default")).problems == []
    data = home.parent / "home"
    (data / "default-store").rename(data / "elsewhere")
    (problem,) = (await inspected("default")).problems
    assert "there is no store at" in problem
    (data / "elsewhere").rename(data / "default-store")
    for file in data.glob("default.db*"):
        file.unlink()
    (problem,) = (await inspected("default")).problems
    assert "restore the database from a backup" in problem


async def test_a_stored_world_is_looked_at_like_any_other(home: Path) -> None:
    configuration = load_configuration()
    async with opened(configuration, "default") as world:
        entity_id = await save_world(world, configuration.describe("default"))
    report = await inspected(f"default:{entity_id}")
    assert (report.defined_in, report.state) == ("world default", "current")

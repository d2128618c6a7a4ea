"""The Python examples of the developer guide, read from it and run with the imports and stubs that they leave out."""

import ast
import importlib
import io
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dam.commands.core import BaseCommand
from dam.core.plugin import discover
from dam.core.stages import SystemStage
from dam.core.systems import system
from dam.core.world import World
from dam.core.world_manager import all_worlds, close_world, create_world_from_components
from dam.models.config import WorldConfig, WorldConfigComponent
from dam.system_events.requests import PasswordRequest, PasswordResponse
from dam_fs.commands import AddAssetsCommand, AssetOutcome, OutcomeStatus
from dam_fs.plugin import FsPlugin
from dam_test_utils.fixtures import MakeWorld, SampleFiles

GUIDE = Path(__file__).parents[3] / "shared" / "spec" / "developer_guide.md"

pytestmark = pytest.mark.skipif(not GUIDE.is_file(), reason=f"the developer guide is not at {GUIDE}")

SYSTEMS_OF_THE_PLUGIN = """
from dam.core.stages import SystemStage
from dam.core.systems import system

calls = []

@system(on_stage=SystemStage.METADATA_EXTRACTION)
async def my_system() -> None:
    calls.append("called")
"""

MODELS = """
from dam.models.core.base_component import UniqueComponent
from sqlalchemy.orm import Mapped

class DominantColorComponent(UniqueComponent):
    __tablename__ = "my_plugin_dominant_color"
    hex_color: Mapped[str]
"""


def example(holding: str, language: str = "python") -> str:
    """The one code block of the guide that holds a text."""
    blocks = re.findall(
        rf"^( *)```{language}\n(.*?)^ *```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    (found,) = [textwrap.dedent(block) for _, block in blocks if holding in block]
    return found


async def run(source: str, **names: Any) -> dict[str, Any]:
    """Runs an example as it stands, ``await`` at its top included; returns the names that it leaves."""
    code = compile(source, "developer_guide.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, names)
    if running is not None:  # without an await in it there is nothing to wait for
        await running
    return names


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """``dam_my_plugin`` and ``my_plugin``, installed."""
    site = tmp_path_factory.mktemp("site")
    files = {
        "dam_my_plugin/__init__.py": "",
        "dam_my_plugin/plugin.py": "from .settings import MyPluginSettingsComponent, MyPluginSettingsModel\n"
        + example("class MyPlugin(Plugin)"),
        "dam_my_plugin/settings.py": example("class MyPluginSettingsModel"),
        "dam_my_plugin/systems/__init__.py": SYSTEMS_OF_THE_PLUGIN,
        "my_plugin/__init__.py": "",
        "my_plugin/models/__init__.py": MODELS,
        "my_plugin/commands.py": "from typing import Union\n"
        + example("class ExtractDominantColorCommand")
        + example("class ProcessProtectedArchive"),
        "my_plugin/systems/__init__.py": "",
        "my_plugin/systems/asset_systems.py": example("async def handle_extract_dominant_color_command")
        + "from my_plugin.commands import ProcessProtectedArchive\n"
        + example("async def handle_protected_archive"),
    }
    (entry_points,) = tomllib.loads(example("entry-points", "toml"))["project"]["entry-points"].values()
    lines = "".join(f"{name} = {value}\n" for name, value in entry_points.items())
    files["dam_my_plugin-1.0.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: dam-my-plugin\nVersion: 1.0\n"
    files["dam_my_plugin-1.0.dist-info/entry_points.txt"] = f"[dam.plugins]\n{lines}"
    for name, source in files.items():
        file = site / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        importlib.invalidate_caches()
        yield


def part(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


# -- section 4: a plugin


@pytest.mark.usefixtures("packages")
def test_the_plugin_of_the_guide_is_discovered_under_its_name() -> None:
    report = discover()["my-plugin-name"]
    assert (report.state, report.error, report.distribution) == ("loaded", None, "dam-my-plugin")
    assert report.plugin is part("dam_my_plugin.plugin:MyPlugin")


@pytest.mark.usefixtures("packages")
async def test_the_plugin_of_the_guide_registers_with_empty_settings(make_world: MakeWorld) -> None:
    plugin, calls = part("dam_my_plugin.plugin:MyPlugin"), part("dam_my_plugin.systems:calls")
    world = await make_world(plugin)
    world.add_plugin(plugin())
    calls.clear()
    await world.execute_stage(SystemStage.METADATA_EXTRACTION)
    assert calls == ["called"]
    assert part("dam_my_plugin.settings:MyPluginSettingsComponent") in world.components
    assert world.settings_of(part("dam_my_plugin.settings:MyPluginSettingsModel")).model_dump() == {}


@pytest.fixture
async def worlds_are_closed() -> AsyncIterator[None]:
    yield
    for name in all_worlds():
        await close_world(name)


@pytest.mark.usefixtures("packages", "worlds_are_closed")
async def test_a_world_with_the_plugin_of_the_guide_comes_from_components(tmp_path: Path) -> None:
    config = WorldConfig(name="guide", database_url=f"sqlite+aiosqlite:///{tmp_path}/guide.db")
    settings = part("dam_my_plugin.settings:MyPluginSettingsComponent")()
    world = create_world_from_components([WorldConfigComponent.from_settings(config), settings])
    assert list(world.plugins) == [part("dam_my_plugin.plugin:MyPlugin")]
    model = part("dam_my_plugin.settings:MyPluginSettingsModel")
    assert type(world.settings_of(model)) is model


# -- section 5.4: a command and its handler


@pytest.fixture
async def world(packages: None, make_world: MakeWorld) -> World:
    """A world with files and with the guide's own handlers."""
    return await make_world(
        FsPlugin,
        components=[part("my_plugin.models:DominantColorComponent")],
        systems=[
            part("my_plugin.systems.asset_systems:handle_extract_dominant_color_command"),
            part("my_plugin.systems.asset_systems:handle_protected_archive"),
        ],
    )


async def stored(world: World, path: Path) -> int:
    """Adds a file as an asset."""
    outcomes = [event async for event in world.dispatch_command(AddAssetsCommand([str(path)]))]
    (outcome,) = [each for each in outcomes if isinstance(each, AssetOutcome)]
    assert outcome.status is OutcomeStatus.ADDED
    assert outcome.entity_id is not None
    return outcome.entity_id


async def colours(world: World) -> dict[int, str]:
    component = part("my_plugin.models:DominantColorComponent")
    async with world.reading() as session:
        return {row.entity_id: row.hex_color for row in await session.scalars(select(component))}


async def test_the_colour_of_a_stored_picture_is_added_and_then_updated(
    world: World, sample_files: SampleFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    entity_id = await stored(world, sample_files.png)
    command = part("my_plugin.commands:ExtractDominantColorCommand")
    assert await world.dispatch_command(command(entity_id=entity_id)).get_one_value() is None
    assert await colours(world) == {entity_id: "#FF0000"}
    async with world.transaction() as transaction:
        blue = part("my_plugin.models:DominantColorComponent")(hex_color="#0000FF")
        await transaction.add_component_to_entity(entity_id, blue)
    assert await colours(world) == {entity_id: "#0000FF"}
    await world.dispatch_command(command(entity_id=entity_id))
    assert await colours(world) == {entity_id: "#FF0000"}
    assert f"Dominant color for entity {entity_id} set to #FF0000" in capsys.readouterr().out


async def test_a_stream_at_hand_is_used_instead_of_the_stored_one(world: World) -> None:
    async with world.transaction() as transaction:
        entity_id = await transaction.create_entity()
    stream = io.BytesIO(b"bytes of a picture")
    await world.dispatch_command(
        part("my_plugin.commands:ExtractDominantColorCommand")(entity_id=entity_id, stream=stream)
    )
    assert await colours(world) == {entity_id: "#FF0000"}
    assert not stream.closed


async def test_without_a_stream_the_handler_says_so_and_writes_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    left = await run(example("# ... get world object ..."), world=world)
    assert await left["executor"].get_one_value() is None
    assert "Could not get asset stream for entity 123" in capsys.readouterr().out
    assert await colours(world) == {}


async def test_iterating_over_the_executor_runs_the_command(world: World, sample_files: SampleFiles) -> None:
    entity_id = await stored(world, sample_files.jpeg)
    source = example("# ... get world object ...").replace("entity_id=123", f"entity_id={entity_id}")
    drained = source.replace("# async for _ in executor:", "async for _ in executor:").replace("#     pass", "    pass")
    assert drained.count("\nasync for") == 1
    await run(drained, world=world)
    assert await colours(world) == {entity_id: "#FF0000"}


@dataclass
class RenameAssetCommand(BaseCommand[str, Any]):
    """The command that the guide speaks of and does not show."""

    entity_id: int


async def test_one_value_is_what_the_handler_returned(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    @system(on_command=RenameAssetCommand)
    async def rename(cmd: RenameAssetCommand) -> str:
        return f"name of {cmd.entity_id}"

    world.register_system(rename)
    source = example("# ... get world object ...").replace(
        "command = ExtractDominantColorCommand", "command = RenameAssetCommand"
    )
    asking = re.sub(r"^# (new_name_result|print)", r"\1", source, flags=re.MULTILINE)
    left = await run(asking, world=world, RenameAssetCommand=RenameAssetCommand)
    assert left["new_name_result"] == "name of 123"
    assert "Command returned: name of 123" in capsys.readouterr().out


# -- section 5.5: a handler that asks


async def test_the_loop_of_the_guide_answers_the_handler_of_the_guide(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {
        "ProcessProtectedArchive": part("my_plugin.commands:ProcessProtectedArchive"),
        "PasswordRequest": PasswordRequest,
        "PasswordResponse": PasswordResponse,
    }
    await run(example("command = ProcessProtectedArchive("), world=world, **names)
    assert capsys.readouterr().out == "System requested password: Password required\nArchive unlocked!\n"


@pytest.mark.parametrize("answer", [None, PasswordResponse(password=None), PasswordResponse(password="")])
async def test_the_handler_of_the_guide_ends_without_a_password(
    world: World, answer: PasswordResponse | None, capsys: pytest.CaptureFixture[str]
) -> None:
    async def no_password(_request: PasswordRequest) -> PasswordResponse | None:
        return answer

    command = part("my_plugin.commands:ProcessProtectedArchive")(entity_id=456)
    assert await world.dispatch_command(command).get_all_results({PasswordRequest: no_password}) == []
    assert capsys.readouterr().out == "No password provided. Aborting.\n"


# -- section 5.2.1: fixtures

TEST_OF_A_PLUGIN = """
import pytest

@pytest.mark.asyncio
async def test_fixtures_are_there(database_url, world, make_world, sample_files):
    await world.check_schema()
    async with world.transaction() as transaction:
        assert await transaction.create_entities(2) == [1, 2]
    other = await make_world(name="other")
    assert other.engine.url != world.engine.url
    assert database_url.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://"))
    assert sample_files.png.read_bytes().startswith(b"\\x89PNG")
"""


def test_one_line_in_a_plugins_conftest_gives_its_tests_the_shared_fixtures(tmp_path: Path) -> None:
    tests = tmp_path / "dam_other_plugin" / "tests"
    tests.mkdir(parents=True)
    (tests / "conftest.py").write_text(example("pytest_plugins"))
    (tests / "test_fixtures.py").write_text(TEST_OF_A_PLUGIN)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr  # on each database

"""Plugins: how they are found, what their classes must have, and how they come into a world."""

import importlib
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dam.commands.core import BaseCommand
from dam.core.exceptions import DamError, PluginError, PluginUnavailableError, SettingsError, SystemDefinitionError
from dam.core.plugin import Plugin, check_plugin_class, discover, required
from dam.core.systems import system
from dam.core.world import World
from dam.models.config import ConfigComponent, SettingsModel
from dam_test_utils.fixtures import MakeWorld

PLUGIN = """
from dam.core.plugin import Plugin
from dam.models.config import ConfigComponent, SettingsModel

class Settings(SettingsModel):
    pass

class SettingsComponent(ConfigComponent):
    __tablename__ = "{package}_config"

class ThePlugin(Plugin):
    Settings = Settings
    SettingsComponent = SettingsComponent

    def build(self, world):
        pass
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with one module and one entry point."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(package: str, source: str, *, entry: str = "", version: str = "1.2.3") -> None:
        name = package.replace("_", "-")
        (site / f"{package}.py").write_text(textwrap.dedent(source))
        info = site / f"{package}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[dam.plugins]\n{name} = {entry or f'{package}:ThePlugin'}\n")
        importlib.invalidate_caches()

    return install


class ColourSettings(SettingsModel):
    """Settings with one value."""

    depth: int = 8


class ColourSettingsComponent(ConfigComponent, settings=ColourSettings):
    __tablename__ = "test_plugins_colour_config"


class ColourPlugin(Plugin):
    """Counts how often it is built."""

    Settings = ColourSettings
    SettingsComponent = ColourSettingsComponent
    built = 0

    def build(self, world: World) -> None:
        ColourPlugin.built += 1
        world.add_resource(world.settings_of(ColourSettings).depth, as_type=int)


@dataclass
class Paint(BaseCommand[None, Any]):
    """A command."""


@dataclass
class Varnish(BaseCommand[None, Any]):
    """Another one."""


# -- discovery


def test_an_installed_plugin_is_loaded_and_described(install: Install) -> None:
    install("dam_test_loaded", PLUGIN.format(package="dam_test_loaded"))
    report = discover()["dam-test-loaded"]
    assert (report.name, report.distribution, report.version) == ("dam-test-loaded", "dam-test-loaded", "1.2.3")
    assert (report.state, report.error) == ("loaded", None)
    assert report.plugin is not None
    assert report.plugin.__module__ == "dam_test_loaded"


def test_a_plugin_whose_import_fails_is_reported_with_what_is_missing(install: Install) -> None:
    install("dam_test_needy", "import no_such_library")
    report = discover()["dam-test-needy"]
    assert (report.state, report.error) == ("missing dependency", "No module named 'no_such_library'")
    assert report.plugin is None


def test_a_plugin_that_breaks_while_it_loads_is_reported_and_stops_nobody(install: Install) -> None:
    install("dam_test_broken", "1 / 0")
    install("dam_test_beside", PLUGIN.format(package="dam_test_beside"))
    reports = discover()
    broken = reports["dam-test-broken"]
    assert broken.state == "failed"
    assert re.fullmatch(r"ZeroDivisionError: division by zero; .*dam_test_broken.*\.py:1", broken.error or "")
    assert reports["dam-test-beside"].state == "loaded"


def test_a_misspelt_name_is_reported_with_its_line_and_what_may_have_been_meant(install: Install) -> None:
    install("dam_test_misspelt", "from dam import *\n\ndef paint(transaction: WorldTransacton) -> None: ...")
    error = discover()["dam-test-misspelt"].error or ""
    assert "'WorldTransacton' is not defined (did you mean 'WorldTransaction'?); " in error
    assert error.endswith("dam_test_misspelt.py:3")


def test_an_entry_point_that_names_no_class_failed(install: Install) -> None:
    install("dam_test_wrong", "def plugin(world): pass", entry="dam_test_wrong:plugin")
    report = discover()["dam-test-wrong"]
    assert report.state == "failed"
    assert "it must name a class that inherits from dam.core.plugin.Plugin" in str(report.error)


def test_a_class_without_settings_failed_with_the_contract_that_it_breaks(install: Install) -> None:
    install("dam_test_bare", "class ThePlugin:\n    pass")
    assert discover()["dam-test-bare"].error == (
        "PluginError: DAM101 dam_test_bare.ThePlugin is not a plugin\n"
        "  Settings = None is not a subclass of SettingsModel; it may be an empty one\n"
        "  SettingsComponent = None is not a subclass of ConfigComponent; it may be an empty one\n"
        "  it has no build(self, world)\n"
        "  see docs/reference/errors.md#dam101"
    )


def test_only_the_plugins_that_are_named_are_imported(install: Install) -> None:
    install("dam_test_broken_two", "1 / 0")
    install("dam_test_chosen", PLUGIN.format(package="dam_test_chosen"))
    assert list(discover(["dam_test_chosen"])) == ["dam-test-chosen"]


def test_a_plugin_that_is_asked_for_has_to_be_there_and_whole(install: Install) -> None:
    install("dam_test_half", "import no_such_library")
    install("dam_test_whole", PLUGIN.format(package="dam_test_whole"))
    reports = discover()
    assert required(reports, "dam_test_whole") is reports["dam-test-whole"].plugin
    with pytest.raises(PluginUnavailableError, match="plugin 'dam-nowhere' is not installed; 'dam-cli plugins' lists"):
        required(reports, "dam-nowhere")
    with pytest.raises(
        PluginUnavailableError,
        match=r"'dam-test-half' \(dam-test-half 1\.2\.3\) cannot be used, missing dependency: No module named",
    ):
        required(reports, "dam-test-half")


# -- the class


def test_a_component_that_does_not_store_the_settings_is_refused_with_the_fix() -> None:
    class Forgetful(ConfigComponent):
        __tablename__ = "test_plugins_forgetful_config"

    class ForgetfulPlugin(ColourPlugin):
        SettingsComponent = Forgetful  # type: ignore[assignment]  # pyright: ignore

    with pytest.raises(PluginError) as refused:
        check_plugin_class(ForgetfulPlugin)
    assert "declare it as class Forgetful(ConfigComponent, settings=ColourSettings)" in str(refused.value)


# -- in a world


async def test_a_plugin_is_built_once_with_its_settings(world: World) -> None:
    before = ColourPlugin.built
    world.add_plugin(ColourPlugin, ColourSettings(depth=16))
    world.add_plugin(ColourPlugin)
    world.add_plugin(ColourPlugin())
    assert ColourPlugin.built == before + 1
    assert world.settings_of(ColourSettings).depth == world.get_resource(int) == 16
    assert ColourSettingsComponent in world.components


async def test_a_plugin_without_settings_of_its_own_has_the_defaults(make_world: MakeWorld) -> None:
    world = await make_world(ColourPlugin)
    assert world.settings_of(ColourSettings).depth == 8


async def test_settings_of_another_plugin_are_refused(world: World) -> None:
    with pytest.raises(PluginError, match="ColourPlugin takes ColourSettings, and was given SettingsModel"):
        world.add_plugin(ColourPlugin, SettingsModel())


class NeedySettings(SettingsModel):
    """Settings without a default."""

    key: str


class NeedySettingsComponent(ConfigComponent, settings=NeedySettings):
    __tablename__ = "test_plugins_needy_config"


async def test_settings_that_must_be_given_are_named_when_they_are_not(world: World) -> None:
    class NeedyPlugin(ColourPlugin):
        Settings = NeedySettings  # type: ignore[assignment]  # pyright: ignore
        SettingsComponent = NeedySettingsComponent  # type: ignore[assignment]  # pyright: ignore

    with pytest.raises(SettingsError, match=r"NeedyPlugin needs settings: key: Field required"):
        world.add_plugin(NeedyPlugin)
    assert NeedyPlugin not in world.plugins


async def test_settings_that_no_plugin_brought_are_an_error(world: World) -> None:
    with pytest.raises(PluginError, match="no plugin of world 'test' has the settings ColourSettings"):
        world.settings_of(ColourSettings)


async def test_all_mistakes_of_a_plugin_are_shown_at_once(world: World) -> None:
    @system(on_command=Paint)
    async def paint(cmd: Paint, bare) -> None:  # type: ignore[no-untyped-def]
        pass

    @system(on_command=Varnish)
    async def varnish(cmd: Paint) -> None:
        pass

    class ClumsyPlugin(ColourPlugin):
        def build(self, world: World) -> None:
            world.register_system(paint)
            world.register_component(int)  # type: ignore[arg-type]  # pyright: ignore
            world.register_system(varnish)

    with pytest.raises(PluginError) as refused:
        world.add_plugin(ClumsyPlugin)
    said = str(refused.value)
    assert "ClumsyPlugin, 3 mistakes:" in said.splitlines()[0]
    assert [line[:6] for line in said.splitlines() if line.startswith("DAM")] == [
        "DAM101",
        "DAM103",
        "DAM105",
        "DAM103",
    ]
    assert ClumsyPlugin not in world.plugins


async def test_a_single_mistake_of_a_plugin_is_raised_as_it_is(world: World) -> None:
    @system(on_command=Paint)
    async def paint(cmd: Paint, bare) -> None:  # type: ignore[no-untyped-def]
        pass

    class HastyPlugin(ColourPlugin):
        def build(self, world: World) -> None:
            world.register_system(paint)

    with pytest.raises(SystemDefinitionError, match="parameter 'bare' has no type annotation"):
        world.add_plugin(HastyPlugin)


async def test_a_plugin_whose_build_raises_is_not_in_the_world(world: World) -> None:
    class FailingPlugin(ColourPlugin):
        def build(self, world: World) -> None:
            raise OSError("no such device")

    for _ in range(2):  # the second time would pass as 'there already'
        with pytest.raises(PluginError, match=r"FailingPlugin: OSError: no such device; .*test_plugins\.py:\d+"):
            world.add_plugin(FailingPlugin)
    assert FailingPlugin not in world.plugins


async def test_a_mistake_in_a_plugin_that_another_one_adds_reaches_the_top(world: World) -> None:
    class InnerPlugin(ColourPlugin):
        def build(self, world: World) -> None:
            world.register_component(int)  # type: ignore[arg-type]  # pyright: ignore

    class OuterPlugin(ColourPlugin):
        def build(self, world: World) -> None:
            world.add_plugin(InnerPlugin)

    with pytest.raises(DamError, match="DAM105"):
        world.add_plugin(OuterPlugin)
    assert not {InnerPlugin, OuterPlugin} & world.plugins.keys()


async def test_a_plugin_is_not_built_before_those_that_it_requires(world: World) -> None:
    class GlossPlugin(ColourPlugin):
        requires = (ColourPlugin,)

        def build(self, world: World) -> None:
            assert world.get_resource(int) == 8

    with pytest.raises(PluginError, match=r"plugin .* requires .*; add .* to the plugins of the world"):
        world.add_plugin(GlossPlugin)
    world.add_plugin(ColourPlugin)
    world.add_plugin(GlossPlugin)
    assert list(world.plugins) == [ColourPlugin, GlossPlugin]


async def test_what_a_plugin_requires_is_checked(world: World) -> None:
    class GlossPlugin(ColourPlugin):
        requires = "dam-fs"  # type: ignore[assignment]  # pyright: ignore

    with pytest.raises(PluginError, match="requires = 'dam-fs' is not a tuple of plugin classes"):
        world.add_plugin(GlossPlugin)


async def test_a_class_that_is_no_plugin_is_refused(world: World) -> None:
    wrong: Any = object
    with pytest.raises(PluginError, match=r"builtins\.object is not a plugin"):
        world.add_plugin(wrong)


async def test_what_goes_wrong_while_a_plugin_is_built_names_the_plugin_and_the_line(
    world: World, install: Install
) -> None:
    install(
        "dam_test_clumsy",
        PLUGIN.format(package="dam_test_clumsy").replace("        pass", "        world.registr_system(5)"),
    )
    plugin = discover()["dam-test-clumsy"].plugin
    assert plugin is not None
    with pytest.raises(
        PluginError, match=r"cannot build dam_test_clumsy\.\w+: AttributeError: .*registr_system.*\.py:\d+"
    ):
        world.add_plugin(plugin)
    with pytest.raises(SystemDefinitionError, match="5 is no function"):
        world.register_system(5)  # type: ignore[arg-type]

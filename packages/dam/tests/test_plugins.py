"""Plugins: how they are found, what their classes must have, and how they come into a world."""

import importlib
import re
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dam.commands.core import BaseCommand
from dam.core.exceptions import (
    DamError,
    PluginConflictError,
    PluginError,
    PluginUnavailableError,
    SettingsError,
    SystemDefinitionError,
)
from dam.core.injection import Need, Scope
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

    def install(
        package: str,
        source: str,
        *,
        name: str = "",
        entry: str = "",
        version: str = "1.2.3",
        requires: Sequence[str] = (),
    ) -> None:
        distribution = package.replace("_", "-")
        (site / f"{package}.py").write_text(textwrap.dedent(source))
        info = site / f"{package}-{version}.dist-info"
        info.mkdir()
        required = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{required}")
        entry = entry or f"{package}:ThePlugin"
        (info / "entry_points.txt").write_text(f"[dam.plugins]\n{name or distribution} = {entry}\n")
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
    assert (report.state, report.plugin) == ("missing dependency", None)
    assert report.error == (
        "No module named 'no_such_library'; no requirement of dam-test-needy has that name; "
        "install what brings it, and tell the author to require it"
    )


@pytest.mark.parametrize(
    ("module", "requires", "wanted"),
    [
        pytest.param("no_such.part", ["pytest", "No-Such>=2,<3"], "'No-Such>=2,<3'", id="called as the module is"),
        pytest.param("no_such", ["no-such (>=2)"], "'no-such>=2'", id="as metadata was written once"),
        pytest.param("no_such", ["no-such[fast]>=2 ; sys_platform != 'x'"], "'no-such[fast]>=2'", id="with an extra"),
        pytest.param("no_such", ["no-such @ https://example.org/no-such.whl"], "no-such", id="from an address"),
        pytest.param(
            "no_such", ['no-such>=2; extra == "jxl"'], "'dam-test-required[jxl]'", id="of an extra of the plugin"
        ),
        pytest.param("nosuch", ["pytest>=9", "Py-NoSuch"], "Py-NoSuch", id="called nearly so"),
        pytest.param("PIM", ["pytest>=9", "no-such-pimples"], "no-such-pimples", id="the only one that is not there"),
        pytest.param(
            "cv3",
            ["no-such-vision", "other-vision; extra == 'vision'", "third; sys_platform == 'x'"],
            "no-such-vision",
            id="the only one that is always needed",
        ),
    ],
)
def test_a_missing_dependency_is_told_with_the_line_that_installs_it(
    install: Install, module: str, requires: list[str], wanted: str
) -> None:
    install("dam_test_required", f"import {module}", requires=requires)
    report = discover()["dam-test-required"]
    assert report.state == "missing dependency"
    assert (report.error or "").partition("; ")[2] == (
        f"where dam is installed, run: uv pip install {wanted} (or: python -m pip install {wanted})"
    )
    with pytest.raises(PluginUnavailableError, match=re.escape(f"uv pip install {wanted}")):
        required(discover(), "dam-test-required")


def test_of_several_that_may_be_meant_none_is_guessed(install: Install) -> None:
    install("dam_test_guess", "import cv3", requires=["no-such-vision", "no-such-sound"])
    assert "no requirement of dam-test-guess has that name" in (discover()["dam-test-guess"].error or "")


@pytest.mark.parametrize("module", ["dam_test_own.modles", "dam.core.wrold"])
def test_a_misspelt_module_of_ones_own_or_of_dam_is_no_missing_dependency(install: Install, module: str) -> None:
    install("dam_test_own", f"import {module}")
    report = discover()["dam-test-own"]
    assert report.state == "failed"
    assert "dam_test_own.py:1" in (report.error or "")


def test_a_plugin_that_breaks_while_it_loads_is_reported_and_stops_nobody(install: Install) -> None:
    install("dam_test_broken", "1 / 0")
    install("dam_test_beside", PLUGIN.format(package="dam_test_beside"))
    reports = discover()
    broken = reports["dam-test-broken"]
    assert broken.state == "failed"
    assert re.fullmatch(r"ZeroDivisionError: division by zero; .*dam_test_broken.*\.py:1", broken.error or "")
    assert reports["dam-test-beside"].state == "loaded"


def test_a_plugin_that_exits_while_it_loads_is_reported_too(install: Install) -> None:
    install("dam_test_leaving", "raise SystemExit('enough')")
    report = discover()["dam-test-leaving"]
    assert report.state == "failed"
    assert "SystemExit: enough; " in (report.error or "")


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
        "  it does not inherit from dam.Plugin\n"
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


# -- two that cannot both be meant

COMPONENT = """
from sqlalchemy.orm import Mapped

from dam.models.core.base_component import UniqueComponent

class Note(UniqueComponent{arguments}):
    __tablename__ = "{table}"
    text: Mapped[str]
"""


def test_two_plugins_of_one_name_are_refused_and_both_distributions_named(install: Install) -> None:
    install("dam_test_twin", PLUGIN.format(package="dam_test_twin"), name="twins")
    install("dam_test_other_twin", "1 / 0", name="Twins", version="2.0")
    (report,) = discover(["twins"]).values()
    assert (report.state, report.plugin) == ("failed", None)
    assert (report.error or "").endswith(
        "a plugin of that name is in dam-test-other-twin 2.0 (dam_test_other_twin:ThePlugin) "
        "and in dam-test-twin 1.2.3 (dam_test_twin:ThePlugin); uninstall all of them but one"
    )


def test_a_plugin_cannot_have_the_name_of_a_command(install: Install) -> None:
    install("dam_test_new", PLUGIN.format(package="dam_test_new"), name="new")
    report = discover(["new"])["new"]
    assert report.state == "failed"
    assert "no plugin can be called 'new': 'dam-cli plugins new' is a command" in (report.error or "")


def test_a_table_that_another_package_has_is_refused_with_both_classes(install: Install) -> None:
    for package in ("dam_test_first_table", "dam_test_second_table"):
        install(package, COMPONENT.format(arguments="", table="dam_test_one_table") + PLUGIN.format(package=package))
    reports = discover()
    assert reports["dam-test-first-table"].state == "loaded"
    assert (reports["dam-test-second-table"].state, reports["dam-test-second-table"].error) == (
        "failed",
        (
            "ComponentDefinitionError: DAM105 "
            "the table 'dam_test_one_table' of dam_test_second_table.Note is that of dam_test_first_table.Note already; "
            "name tables after their package: dam_test_second_table_…"
        ),
    )


async def test_a_class_that_cannot_be_mapped_keeps_no_other_plugin_from_its_tables(
    install: Install, make_world: MakeWorld
) -> None:
    source = COMPONENT.format(arguments="", table="dam_test_unmapped_note").replace("Mapped[str]", "Mapped[object]")
    install("dam_test_unmapped", source + PLUGIN.format(package="dam_test_unmapped"))
    assert discover(["dam-test-unmapped"])["dam-test-unmapped"].state == "failed"
    await (await make_world(ColourPlugin)).check_schema()


async def test_a_namespace_belongs_to_one_package(world: World, install: Install) -> None:
    for package in ("dam_test_first_space", "dam_test_second_space"):
        source = COMPONENT.format(arguments=", namespace='test_plugins_note'", table=f"{package}_note")
        install(
            package,
            source + PLUGIN.format(package=package).replace("        pass", "        world.register_component(Note)"),
        )
    reports = discover()
    world.add_plugin(required(reports, "dam-test-first-space"))
    with pytest.raises(PluginConflictError) as refused:
        world.add_plugin(required(reports, "dam-test-second-space"))
    assert refused.value.message == (
        "the namespace 'test_plugins_note' is that of dam_test_first_space.Note, and dam_test_second_space.Note has "
        "the same; leave one of the two plugins out of the world, or choose another: namespace='dam_test_second_space'"
    )


class GlossSettings(SettingsModel):
    """None."""


class GlossSettingsComponent(ConfigComponent, settings=GlossSettings):
    __tablename__ = "test_plugins_gloss_config"


class GlossPlugin(Plugin):
    """Brings what ``ColourPlugin`` brings."""

    Settings = GlossSettings
    SettingsComponent = GlossSettingsComponent

    def build(self, world: World) -> None:
        world.add_resource(9, as_type=int)


async def test_what_one_plugin_brought_no_other_one_replaces(world: World) -> None:
    world.add_resource(7, as_type=int)
    world.add_plugin(ColourPlugin)
    with pytest.raises(PluginConflictError) as refused:
        world.add_plugin(GlossPlugin)
    assert re.fullmatch(
        r"the resource int is brought by \S+ \(\S+\.ColourPlugin\) and by \S+ \(\S+\.GlossPlugin\); "
        "leave one of them out of the plugins of the world",
        refused.value.message,
    )
    assert world.get_resource(int) == 8
    assert GlossPlugin not in world.plugins
    world.add_resource(7, as_type=int)  # a script, or a test, knows what it does
    assert world.get_resource(int) == 7


async def test_openers_and_providers_are_not_replaced_either(world: World) -> None:
    async def opener(request: Any, rows: Any) -> list[None]:
        return [None for _ in rows]

    @asynccontextmanager
    async def provider(scope: Scope, need: Need) -> AsyncIterator[int]:
        yield 1

    class OpeningPlugin(ColourPlugin):
        def build(self, world: World) -> None:
            world.register_opener(ColourSettingsComponent, opener)
            world.register_provider(Path, provider)

    class AlsoOpeningPlugin(GlossPlugin):
        def build(self, world: World) -> None:
            world.register_opener(ColourSettingsComponent, opener)
            world.register_provider(Path, provider)

    world.add_plugin(OpeningPlugin)
    with pytest.raises(PluginError) as refused:
        world.add_plugin(AlsoOpeningPlugin)
    assert "DAM107 the opener of ColourSettingsComponent is brought by " in refused.value.message
    assert "DAM107 the provider of Path is brought by " in refused.value.message


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

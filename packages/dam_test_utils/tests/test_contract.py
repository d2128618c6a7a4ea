"""The contract of plugins: ours keep to it, and what does not is told."""

import importlib
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from dam.core.plugin import Plugin
from dam_fs.plugin import FsPlugin
from dam_media_audio.plugin import AudioPlugin
from dam_media_image.plugin import ImagePlugin
from dam_media_video.plugin import VideoPlugin
from dam_test_utils.contract import PluginContractError, check_plugin

GOOD = '''
from dataclasses import dataclass

from pydantic import field_validator
from sqlalchemy.orm import Mapped

from dam.commands.core import BaseCommand
from dam.core.plugin import Plugin
from dam.core.systems import system
from dam.models.config import ConfigComponent, SettingsModel
from dam.models.core.base_component import UniqueComponent


class Bird(UniqueComponent):
    """A bird."""

    __tablename__ = "{package}_bird"
    name: Mapped[str]


class BirdsSettings(SettingsModel):
    """How many birds."""

    most: int = 3
    """At most so many."""


class BirdsSettingsComponent(ConfigComponent, settings=BirdsSettings):
    """The settings, stored."""

    __tablename__ = "{package}_config"


@dataclass
class Sing(BaseCommand[None, None]):
    """Has a bird sing."""


@system(on_command=Sing)
async def sing(cmd: Sing) -> None:
    pass


class BirdsPlugin(Plugin):
    """Birds."""

    Settings = BirdsSettings
    SettingsComponent = BirdsSettingsComponent

    def build(self, world):
        world.register_component(Bird)
        world.register_system(sing)
'''

numbers = count()
MakePlugin = Callable[..., type[Plugin]]


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePlugin:
    """The good plugin with one thing changed, as a package of its own."""

    def make(old: str = "", new: str = "") -> type[Plugin]:
        package = f"dam_test_contract_{next(numbers)}_{abs(hash(str(tmp_path))) % 10**8}"
        folder = tmp_path / package
        folder.mkdir()
        assert old in GOOD
        source = GOOD.replace(old, new) if old else GOOD
        (folder / "__init__.py").write_text(source.replace("{package}", package))
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        plugin: type[Plugin] = importlib.import_module(package).BirdsPlugin
        return plugin

    return make


@pytest.mark.parametrize("plugin", [FsPlugin, AudioPlugin, ImagePlugin, VideoPlugin])
async def test_our_plugins_keep_to_it(plugin: type[Plugin], empty_database: str, tmp_path: Path) -> None:
    await check_plugin(plugin, empty_database, folder=tmp_path)


async def test_a_plugin_without_revisions_can_keep_to_it(make_plugin: MakePlugin, empty_database: str) -> None:
    await check_plugin(make_plugin(), empty_database)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"{package}_bird"', '"birds_of_{package}"', "its table 'birds_of_.*' is not named after its package"),
        ('    """A bird."""\n', "", "Bird has no docstring"),
        ('    """Has a bird sing."""\n', "    pass\n", "Sing has no docstring"),
        ('    """Birds."""\n', "", "BirdsPlugin has no docstring"),
        ("        world.register_component(Bird)\n", "", "its component Bird is not registered in build"),
        ('    """At most so many."""\n', "", "its setting most has no text below it"),
        (
            "        world.register_system(sing)\n",
            "        if not BUILT:\n            world.register_system(sing)\n        BUILT.append(1)\n\nBUILT = []\n",
            "it brings other parts into a second world",
        ),
        (
            "    most: int = 3\n",
            "    most: int = 3\n\n    @field_validator('most')\n    def doubled(cls, most):\n        return 2 * most\n",
            "its setting most is stored as 6 and comes back as 12",
        ),
    ],
    ids=["table", "component", "command", "plugin", "unregistered", "setting", "state", "settings"],
)
async def test_what_does_not_keep_to_it_is_told(
    make_plugin: MakePlugin, empty_database: str, old: str, new: str, said: str
) -> None:
    with pytest.raises(PluginContractError) as told:
        await check_plugin(make_plugin(old, new), empty_database)
    assert re.search(said, str(told.value))


async def test_revisions_that_leave_something_out_are_told(
    make_plugin: MakePlugin, empty_database: str, tmp_path: Path
) -> None:
    plugin = make_plugin()
    folder = tmp_path / plugin.__module__ / "migrations"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "0001_baseline.py").write_text(
        "revision = '0001'\ndown_revision = None\n\ndef upgrade():\n    pass\n\ndef downgrade():\n    pass\n"
    )
    importlib.invalidate_caches()
    with pytest.raises(PluginContractError, match=rf"its revisions lack CreateTable {plugin.__module__}_bird"):
        await check_plugin(plugin, empty_database)


async def test_revisions_that_cannot_be_undone_are_told(
    make_plugin: MakePlugin, empty_database: str, tmp_path: Path
) -> None:
    plugin = make_plugin()
    folder = tmp_path / plugin.__module__ / "migrations"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "0001_baseline.py").write_text(
        "revision = '0001'\ndown_revision = None\n\ndef upgrade():\n    pass\n\ndef downgrade():\n    1 / 0\n"
    )
    importlib.invalidate_caches()
    with pytest.raises(
        PluginContractError, match=r"cannot be done, undone and done again: RevisionError: .* ZeroDivisionError"
    ):
        await check_plugin(plugin, empty_database)

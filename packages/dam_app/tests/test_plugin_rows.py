"""Installed plugins as people and programs see them."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dam.core.exceptions import PluginUnavailableError
from dam_app.config import load_configuration
from dam_app.plugins import Brought, chosen_rows, plugin_rows

PLUGIN = """
from dam import ConfigComponent, Plugin, SettingsModel, UniqueComponent
from sqlalchemy.orm import Mapped

class Note(UniqueComponent, namespace="{namespace}"):
    __tablename__ = "{package}_note"
    text: Mapped[str]

class Settings(SettingsModel):
    key: str{default}

class SettingsComponent(ConfigComponent, settings=Settings):
    __tablename__ = "{package}_config"

class ThePlugin(Plugin):
    Settings, SettingsComponent = Settings, SettingsComponent

    def build(self, world):
        world.register_component(Note)
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with a plugin."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(package: str, *, namespace: str = "", default: str = " = 'x'", more: str = "") -> None:
        source = PLUGIN.format(package=package, namespace=namespace or package, default=default)
        (site / f"{package}.py").write_text(source + more)
        name, info = package.replace("_", "-"), site / f"{package}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[dam.plugins]\n{name} = {package}:ThePlugin\n")
        importlib.invalidate_caches()

    return install


def test_a_conflict_is_shown_even_where_another_plugin_keeps_the_world_from_being_built(
    home: Path, install: Install
) -> None:
    install("dam_test_row_one", namespace="test_rows")
    install("dam_test_row_two", namespace="test_rows")
    install("dam_test_row_broken", more="1 / 0")
    install("dam_test_row_needy", default="")
    rows = {row.name: row for row in plugin_rows(load_configuration(), None)}
    assert rows["dam-test-row-one"].brings.fields == ["test_rows.text"]
    assert (rows["dam-test-row-two"].state, rows["dam-test-row-broken"].state) == ("failed", "failed")
    assert "the namespace 'test_rows' is that of dam_test_row_one.Note" in (rows["dam-test-row-two"].error or "")
    assert (rows["dam-test-row-needy"].state, rows["dam-test-row-needy"].error) == ("loaded", None)
    assert "AddAssetsCommand" in rows["dam-fs"].brings.commands


def test_plugins_that_require_each_other_are_shown_with_their_circle(home: Path, install: Install) -> None:
    install("dam_test_row_hen")
    install(
        "dam_test_row_egg",
        more="import dam_test_row_hen as hen\nThePlugin.requires, hen.ThePlugin.requires = (hen.ThePlugin,), (ThePlugin,)\n",
    )
    rows = {row.name: row for row in plugin_rows(load_configuration(), None)}
    for name in ("dam-test-row-hen", "dam-test-row-egg"):
        assert rows[name].state == "failed"
        assert "can't be put in order: dam-test-row-" in (rows[name].error or "")
    assert "AddAssetsCommand" in rows["dam-fs"].brings.commands


def test_plugins_are_listed_with_what_became_of_them_in_the_world(home: Path) -> None:
    (home / "dam.toml").write_text("[worlds.bare]\nplugins = []\n")
    rows = {row.name: row for row in plugin_rows(load_configuration(), None)}
    row = rows["dam-fs"]
    assert (row.name, row.distribution, row.state, row.error) == ("dam-fs", "dam-fs", "loaded", None)
    bare = plugin_rows(load_configuration(), "bare")
    assert {row.state for row in bare} == {"disabled"}
    assert {row.brings == Brought() for row in bare} == {True}


def test_what_a_plugin_brings_is_its_own_and_not_what_those_before_it_brought(home: Path) -> None:
    rows = {row.name: row.brings for row in plugin_rows(load_configuration(), None)}
    image, video = rows["dam-media-image"], rows["dam-media-video"]
    assert "ImageDimensionsComponent" in image.components
    assert {"image.width_pixels", "phash.hash_value"} <= set(image.fields)
    assert {"FindSimilarImagesCommand", "ThumbnailCommand"} <= set(image.commands)
    assert "dam_media_image.camera" in image.analyzers
    assert image.requires == ["dam-fs"]
    assert "ImageDimensionsComponent" not in video.components
    assert video.requires == ["dam-media-audio", "dam-media-image"]
    assert video.analyzers == ["dam_media_video.properties", "dam_media_video.stills"]


def test_a_record_is_flat(home: Path) -> None:
    (row,) = chosen_rows(plugin_rows(load_configuration(), None), "dam_fs")
    record = row.record()
    assert "AddAssetsCommand" in record["commands"]  # type: ignore[operator]
    assert record["verbs"] == []


def test_a_name_that_is_not_installed_is_told_with_what_is_meant(home: Path) -> None:
    with pytest.raises(
        PluginUnavailableError, match="no plugin 'dam-media-imgae' is installed; did you mean 'dam-media-image'"
    ):
        chosen_rows(plugin_rows(load_configuration(), None), "dam-media-imgae")

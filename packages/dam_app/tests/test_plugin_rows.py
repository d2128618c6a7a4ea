"""Installed plugins as people and programs see them."""

from pathlib import Path

import pytest

from dam.core.exceptions import PluginUnavailableError
from dam_app.config import load_configuration
from dam_app.plugins import Brought, chosen_rows, plugin_rows


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
    assert record["commands"] == ["AddAssetsCommand"]
    assert record["verbs"] == []


def test_a_name_that_is_not_installed_is_told_with_what_is_meant(home: Path) -> None:
    with pytest.raises(
        PluginUnavailableError, match="no plugin 'dam-media-imgae' is installed; did you mean 'dam-media-image'"
    ):
        chosen_rows(plugin_rows(load_configuration(), None), "dam-media-imgae")

"""Settings as people see them."""

import re
import tomllib
from pathlib import Path

import pytest

from dam.models.config import WorldConfig
from dam_app.config import load_configuration
from dam_app.settings import SettingRow, settings_rows, template

TOML = """
[worlds.photos]
database_url = "postgresql+asyncpg://me@db/photos"
database_password = { env = "PHOTOS_PASSWORD" }
plugins = ["dam-fs"]

[worlds.photos.settings.dam_fs]
storage_path = "store"
"""


@pytest.fixture
def rows(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, SettingRow]:
    (home / "dam.toml").write_text(TOML)
    (home / ".env").write_text("DAM_WORLDS__PHOTOS__SETTINGS__DAM_FS__READERS=3\n")
    monkeypatch.setenv("DAM_WORLDS__PHOTOS__ANALYSIS_WORKERS", "2")
    monkeypatch.setenv("PHOTOS_PASSWORD", "hunter2")
    return {f"{row.table}.{row.key}": row for row in settings_rows(load_configuration(), "photos")}


def test_every_setting_is_shown_with_who_said_it(rows: dict[str, SettingRow], home: Path) -> None:
    file = str(home / "dam.toml")
    assert rows["worlds.photos.database_url"].source == file
    assert (rows["worlds.photos.plugins"].value, rows["worlds.photos.plugins"].source) == (["dam-fs"], file)
    workers = rows["worlds.photos.analysis_workers"]
    assert (workers.value, workers.source) == (2, "environment variable DAM_WORLDS__PHOTOS__ANALYSIS_WORKERS")
    readers = rows["worlds.photos.settings.dam-fs.readers"]
    assert readers.value == 3
    assert ".env" in readers.source
    store = rows["worlds.photos.settings.dam-fs.storage_path"]
    assert (store.value, store.source) == (str(home / "store"), file)
    limit = rows["worlds.photos.analysis_time_limit"]
    assert (limit.value, limit.source) == (WorldConfig.model_fields["analysis_time_limit"].default, "default")


def test_a_secret_is_shown_as_the_place_where_it_is(rows: dict[str, SettingRow]) -> None:
    assert rows["worlds.photos.database_password"].value == {"env": "PHOTOS_PASSWORD", "file": None}
    assert "hunter2" not in str(rows)


def test_the_template_is_a_configuration_as_it_stands(home: Path) -> None:
    (home / "dam.toml").write_text(template())
    described = load_configuration().describe("main")
    assert described.core.analysis_time_limit == WorldConfig.model_fields["analysis_time_limit"].default


def test_everything_in_the_template_is_a_setting(home: Path) -> None:
    shown = re.sub(r"^# (\w+ = [^…\n]+)$", r"\1", template(), flags=re.MULTILINE)
    (home / "dam.toml").write_text(shown)
    world = tomllib.loads(shown)["worlds"]["main"]
    assert {"analysis_time_limit", "analysis_memory_mb", "database_password", "plugins"} <= world.keys()
    assert world["settings"]["dam-fs"] == {"ignore_file": ".damignore"}
    assert world["settings"]["dam-media-image"] == {"fast_hashes": False}
    assert load_configuration().describe("main").plugins

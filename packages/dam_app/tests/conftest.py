"""A home of its own for every test: no configuration of whoever runs the tests, no folder above with a dam.toml."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test stands in an empty folder; ``DAM_HOME`` and the user's configuration folder are beside it."""
    for name in [name for name in os.environ if name.startswith("DAM_") and not name.startswith("DAM_TEST_")]:
        monkeypatch.delenv(name)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("DAM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return here

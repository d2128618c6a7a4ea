"""A new plugin from the template, in an environment of its own: it keeps its author's rules as it is written, and works."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dam_test_utils.databases import SERVER, postgres_server

ROOT = Path(__file__).parents[2]
PACKAGES = ("dam", "dam_fs", "dam_media_audio", "dam_media_image", "dam_media_video", "dam_app", "dam_test_utils")
UV = os.environ.get("UV") or shutil.which("uv")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a fresh environment with dam in it."""
    if UV is None:
        pytest.skip("uv is not on this machine, and it makes the fresh environment")
    environment = tmp_path_factory.mktemp("fresh") / "environment"
    subprocess.run([UV, "venv", "--quiet", str(environment)], check=True)
    packages = [str(ROOT / "packages" / name) for name in PACKAGES]
    subprocess.run([UV, "pip", "install", "--quiet", "--python", str(environment), *packages], check=True)
    return environment / ("Scripts" if os.name == "nt" else "bin")


@pytest.fixture(scope="module")
def plugin(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new plugin, installed by the line that ``plugins new`` prints."""
    here = tmp_path_factory.mktemp("authors")
    done = run(programs / "dam-cli", "--json", "plugins", "new", "dam-shelf-marks", cwd=here)
    install = json.loads(done.splitlines()[-1])["next"][0]
    assert UV is not None
    subprocess.run(install.replace("uv", UV, 1) + " --quiet", shell=True, cwd=here, check=True)
    return here / "dam-shelf-marks"


def run(program: Path, *arguments: str, cwd: Path, **variables: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DAM_", "PYTEST_"))}
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env={**environment, "DAM_HOME": str(cwd / "home"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("check", ["ruff format --check .", "ruff check .", "mypy"])
def test_it_is_clean_as_it_is_written(programs: Path, plugin: Path, check: str) -> None:
    program, *arguments = check.split()
    run(programs / program, *arguments, cwd=plugin)


def test_its_tests_pass_on_both_databases(programs: Path, plugin: Path) -> None:
    server = postgres_server()  # one that root can start: it cannot from an environment that is its own alone
    printed = run(programs / "python", "-m", "pytest", "-v", cwd=plugin, **{SERVER: server})
    for kind in ("sqlite", "postgresql"):
        assert f"test_the_plugin_keeps_to_the_contract[{kind}] PASSED" in printed


def test_its_verb_labels_assets_and_finds_them(programs: Path, plugin: Path, tmp_path: Path) -> None:
    (tmp_path / "sea.txt").write_text("waves")
    cli = programs / "dam-cli"
    assert "dam-shelf-marks" in run(cli, "--help", cwd=tmp_path)
    assert "dam-shelf-marks\tdam-shelf-marks\t0.1.0\tloaded\t\n" in run(cli, "plugins", cwd=tmp_path)
    run(cli, "add-asset", "sea.txt", cwd=tmp_path)
    assert run(cli, "dam-shelf-marks", "add", "1", "At  the Sea", cwd=tmp_path) == "1\tat the sea\n"
    (found,) = run(cli, "--json", "dam-shelf-marks", "find", "at the sea", cwd=tmp_path).splitlines()
    assert json.loads(found) == {"type": "item", "schema": 1, "entity_id": 1}
    assert "at the sea" in run(cli, "show", "1", cwd=tmp_path)
    (tmp_path / "dam.toml").write_text("[worlds.default.settings.dam-shelf-marks]\nignore_case = false\n")
    assert run(cli, "dam-shelf-marks", "add", "1", "Sea", cwd=tmp_path) == "1\tSea\n"

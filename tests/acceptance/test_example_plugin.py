"""The example plugin in an environment of its own, as a stranger would install it."""

import json
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "dam_colours"
UV = os.environ.get("UV") or shutil.which("uv")


def png(colour: tuple[int, int, int], size: int = 16) -> bytes:
    """A picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def dam_cli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if UV is None:
        pytest.skip("uv is not on this machine, and it makes the fresh environment")
    folder = tmp_path_factory.mktemp("fresh") / "environment"
    subprocess.run([UV, "venv", "--quiet", str(folder)], check=True)
    packages = [str(ROOT / "packages" / name) for name in ("dam", "dam_fs", "dam_app")]
    subprocess.run([UV, "pip", "install", "--quiet", "--python", str(folder), *packages, str(PLUGIN)], check=True)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "dam-cli"


def test_it_is_written_in_at_most_forty_lines() -> None:
    lines = [line for file in PLUGIN.rglob("*.py") for line in file.read_text().splitlines() if line.strip()]

    assert len(lines) <= 40


def test_it_is_found_sets_itself_up_and_analyses_pictures(dam_cli: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "DAM_HOME": str(tmp_path / "home")}

    def run(*arguments: str) -> list[dict[str, object]]:
        done = subprocess.run(
            [dam_cli, "--json", *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    (tmp_path / "red.png").write_bytes(png((255, 0, 0)))
    (tmp_path / "notes.png").write_text("not a picture at all")

    assert {"dam-colours", "dam-fs"} <= {row["name"] for row in run("plugins") if row["state"] == "loaded"}
    added = {row["path"]: row["entity_id"] for row in run("add-asset", "red.png", "notes.png") if row["type"] == "item"}
    (red,) = run("show", str(added[str(tmp_path / "red.png")]))
    (notes,) = run("show", str(added[str(tmp_path / "notes.png")]))

    components = {c["component"]: c for c in red["components"]}  # type: ignore[attr-defined]
    assert components["DominantColourComponent"]["hex_colour"] == "#ff0000"
    assert components["DerivationComponent"]["status"] == "ok"
    assert "DominantColourComponent" not in {c["component"] for c in notes["components"]}  # type: ignore[attr-defined]


def test_its_command_finds_pictures_by_colour(dam_cli: Path, tmp_path: Path) -> None:
    (tmp_path / "blue.png").write_bytes(png((0, 0, 255)))
    script = """
import asyncio
from dam_app import open_world
from dam_app.services import addition
from dam_colours.commands import FindColourCommand

async def main():
    async with open_world() as world:
        await world.dispatch_command(addition(["blue.png"]))
        print(await world.dispatch_command(FindColourCommand("#0000ff")).get_one_value())

asyncio.run(main())
"""
    python = dam_cli.with_name("python.exe" if os.name == "nt" else "python")
    environment = {**os.environ, "DAM_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [python, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[1]"

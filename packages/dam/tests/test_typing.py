"""What type checkers accept and reject."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SNIPPETS = Path(__file__).parent / "typing" / "handlers.py"
ROOT = Path(__file__).parents[3]


def marked() -> set[int]:
    lines = SNIPPETS.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


@pytest.mark.parametrize(
    "checker",
    [
        ["mypy", "--no-error-summary", "--hide-error-context", "--no-pretty"],
        ["pyright", "--pythonpath", sys.executable],
    ],
    ids=lambda checker: str(checker[0]),
)
def test_type_checkers_reject_the_wrong_lines_and_no_others(checker: list[str], tmp_path: Path) -> None:
    copy = tmp_path / SNIPPETS.name
    copy.write_bytes(SNIPPETS.read_bytes())
    name, *options = checker
    settings = ["--config-file", str(ROOT / "pyproject.toml")] if name == "mypy" else []
    command = [sys.executable, "-m", name, *options, *settings, str(copy)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    found = {int(line) for line in re.findall(r"handlers\.py:(\d+):.*error", ran.stdout)}
    assert found == marked(), ran.stdout + ran.stderr

"""A short run of every target, always the same one; ``fuzz.py`` beside it goes on for as long as it is told."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from catalogue import TARGETS
from executing import Runner, inputs_of

EXECUTIONS = {
    "ingest": 0,
    "rebuild": 8,
    "backup": 30,
    "urls": 40,
    "dotenv": 60,
    "export": 80,
    "ignore": 60,
    "config": 60,
    "pictures": 60,
    "films": 40,
}
MOST = 150


@pytest.mark.filterwarnings("ignore")  # what decoders deprecate is no news here
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_that_is_not_an_answer_comes_of_damaged_input(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    runner = Runner(target, tmp_path, tmp_path / "found")
    for content in islice(inputs_of(target, 1, tmp_path / "no seeds but our own", None), EXECUTIONS.get(name, MOST)):
        runner.execute(content)
    assert runner.report.findings == []

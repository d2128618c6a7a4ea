"""A short run of every target, always the same one; ``fuzz.py`` beside it goes on for as long as it is told."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from decoders import DECODERS
from executing import Runner, inputs_of
from fuzz import fuzz
from ingest import batches, ingest
from parsers import PARSERS

if TYPE_CHECKING:
    from targets import Target

EXECUTIONS = {"rebuild": 4, "backup": 30, "urls": 30, "dotenv": 40, "export": 40, "ignore": 40, "config": 40}
MOST = 100


@pytest.mark.filterwarnings("ignore")  # what libraries deprecate is no news here
@pytest.mark.parametrize("target", PARSERS, ids=lambda target: target.name)
def test_a_parser_answers_whatever_it_is_given(target: Target, tmp_path: Path) -> None:
    runner = Runner(target, tmp_path, tmp_path / "found")
    for content in islice(inputs_of(target, 1, tmp_path / "none", None), EXECUTIONS.get(target.name, MOST)):
        runner.execute(content)
    assert runner.report.findings == []


@pytest.mark.parametrize("target", DECODERS, ids=lambda target: target.name)
def test_what_a_decoder_does_to_damaged_files_is_contained(target: Target, tmp_path: Path) -> None:
    report = fuzz(target, 60, 1, tmp_path / "none", tmp_path / "found")
    assert report.executions == 60
    assert report.findings == []


@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_damaged_files_goes_in_and_out_again(tmp_path: Path) -> None:
    ingest(next(batches(1, tmp_path / "none", 16)), tmp_path)

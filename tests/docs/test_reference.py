"""The reference pages say what the code says."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SOURCES = sorted((ROOT / "packages").glob("*/src/**/*.py"))


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_pages_are_those_that_the_code_makes_now() -> None:
    stale = [
        name
        for name, content in generator().pages().items()
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text(encoding="utf-8") != content
    ]
    assert not stale, f"{stale} in docs/reference are not what the code says; run: uv run python docs/generate.py"


def test_there_is_no_reference_page_that_nobody_makes() -> None:
    assert {path.name for path in REFERENCE.glob("*.md")} == generator().pages().keys()


def test_every_code_in_the_sources_is_documented_and_every_documented_code_exists() -> None:
    defined = {
        code for path in SOURCES for code in re.findall(r'^    code\b.*"(DAM\d{3})"', path.read_text("utf-8"), re.M)
    }
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    assert defined
    assert set(re.findall(r"^## (DAM\d{3}):", page, re.M)) == defined
    assert set(re.findall(r'<a id="(dam\d{3})">', page)) == {code.lower() for code in defined}


def test_a_code_belongs_to_one_class_alone() -> None:
    codes = [
        code for path in SOURCES for code in re.findall(r'^    code\b.*"(DAM\d{3})"', path.read_text("utf-8"), re.M)
    ]
    assert sorted(codes) == sorted(set(codes))


def test_messages_point_at_sections_that_exist() -> None:
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    named = {name for path in SOURCES for name in re.findall(r"errors\.md#(dam\d{3})", path.read_text("utf-8"))}
    assert named
    assert named <= set(re.findall(r'<a id="(dam\d{3})">', page))


def test_every_variable_that_the_sources_name_is_described() -> None:
    sources = [path.read_text(encoding="utf-8") for path in SOURCES if "dam_app" in path.parts]
    named = {name for text in sources for name in re.findall(r'"(DAM_[A-Z_]*[A-Z])"', text)}
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert named
    assert [name for name in sorted(named) if f"`{name}`" not in page and f"`{name}__" not in page] == []
    assert generator().VARIABLES.keys() <= named


@pytest.mark.parametrize("code", ["DAM210", "DAM211", "DAM304"])
def test_an_example_message_that_is_written_by_hand_has_the_words_of_the_code(code: str) -> None:
    words = {
        "DAM210": "failed with",
        "DAM211": "failed with",
        "DAM304": "another process held the database's write lock for",
    }[code]
    assert words in generator().MADE_BY_PARTS[code]
    assert any(words in path.read_text(encoding="utf-8") for path in SOURCES)

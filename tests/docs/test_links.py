"""Links of the pages lead somewhere, and the pages are complete."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
TEST_COMMAND = re.compile(r"^python3 -m pip install uv && python3 -m uv run pytest$", re.M)


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """What can stand after ``#``, as GitHub makes it from headings."""
    text = prose(page)
    headings = [re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", h) for h in re.findall(r"^#+ (.+)$", text, re.M)]
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_internal_link_of_a_page_resolves(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_page_can_be_reached_from_the_index(page: Path) -> None:
    reached, pending = set(), [DOCS / "index.md"]
    while pending:
        here = pending.pop()
        if here in reached or not here.is_file() or here.suffix != ".md":
            continue
        reached.add(here)
        pending += [(here.parent / t.partition("#")[0]).resolve() for t in re.findall(r"\]\(([^)\s]+)\)", prose(here))]
    assert page in reached


def test_the_readme_s_test_command_is_what_ci_runs() -> None:
    (command,) = TEST_COMMAND.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip(".ci/run is not there yet")
    assert command in script.read_text(encoding="utf-8").splitlines()


def test_no_page_tells_to_install_a_package_that_is_not_published() -> None:
    wrong = [
        f"{page.name}: {line}"
        for page in PAGES
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.search(r"(pip install|uv add|uv tool install|uvx|pipx install)\b[^&;|]* dam(-\w+)?(\[|\s|$)", line)
    ]
    assert not wrong

"""The examples of README.md and docs/ do what the pages say.

On a page, from its top to its end and in one folder:

- a block ``console``: lines after ``$ `` are run by bash (``> `` continues one), the others are what comes out, on stdout and
  stderr; ``…`` stands for anything in a line, and on a line of its own for any lines;
- a block ``NAME title="file"``: the file is written;
- any other ``python`` block: it is run as a script;
- a comment ``<!-- run … -->``: its lines are run without being shown. ``$DOCS_SERVER`` is the URL of an empty PostgreSQL
  database.

``DAM_DOCS_UPDATE=1 uv run pytest tests/docs`` writes what really came out into the pages and keeps each ``…``.
"""

import asyncio
import difflib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples" / "dam_colours" / "README.md"]
ANY = "…"
SERVER = "DOCS_SERVER"
MARK = "\x1e"  # comes before each exit code in the output of a page; nothing prints it

BLOCK = re.compile(
    r"^```(?P<info>(?:console|python|toml|text)[^\n]*)\n(?P<body>.*?)^```$|^<!-- run\n(?P<hidden>.*?)^-->$", re.M | re.S
)
TITLE = re.compile(r'title="([^"]+)"')


@dataclass
class Step:
    """One command of a page, with the output that the page shows; ``None`` where it shows none."""

    command: str
    shown: list[str] | None = None
    line: int = 0


@dataclass
class Page:
    """A page's steps in their order."""

    path: Path
    text: str
    steps: list[Step] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))


def read(path: Path) -> Page:
    page = Page(path, path.read_text(encoding="utf-8"))
    for block in BLOCK.finditer(page.text):
        line = page.text.count("\n", 0, block.start()) + 2
        page.steps += _steps(block, line)
    return page


def _steps(block: re.Match[str], line: int) -> Iterator[Step]:
    info, body = block["info"], block["body"]
    if block["hidden"]:
        for number, command in enumerate(block["hidden"].splitlines()):
            yield Step(command, None, line + number)
    elif title := TITLE.search(info):
        yield Step(_written(title[1], body), None, line)
    elif info == "console":
        yield from _commands(body, line)
    elif info == "python":
        yield Step(f"python - <<'DAM_EOF'\n{body}DAM_EOF", None, line)


def _written(name: str, body: str) -> str:
    return f"mkdir -p \"$(dirname '{name}')\" && cat > '{name}' <<'DAM_EOF'\n{body}DAM_EOF"


def _commands(body: str, line: int) -> Iterator[Step]:
    step: Step | None = None
    for number, text in enumerate(body.splitlines(), line):
        if text.startswith("$ "):
            if step:
                yield step
            step = Step(text[2:], [], number)
        elif step and text.startswith("> ") and not step.shown:
            step.command += "\n" + text[2:]
        else:
            assert step, f"line {number}: a console block begins with '$ '"
            assert step.shown is not None
            step.shown.append(text)
    if step:
        yield step


# -- running


def run(page: Page, folder: Path, more: dict[str, str]) -> list[tuple[list[str], int]]:
    """Runs the page in one shell; the output and exit code of each step."""
    script = ["exec 2>&1"]
    for step in page.steps:
        script += [step.command, f"code=$?; printf '{MARK}%d{MARK}' $code; (exit $code)"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=environment(folder) | more,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    *parts, rest = done.stdout.decode("utf-8", "replace").split(MARK)
    assert len(parts) == 2 * len(page.steps), f"{page.name}: the shell stopped early: {rest}"
    return [(parts[i].splitlines(), int(parts[i + 1])) for i in range(0, len(parts), 2)]


def environment(folder: Path) -> dict[str, str]:
    """What a newcomer's shell has: this environment's commands, and nothing of dam in the variables."""
    mine = {
        key: value for key, value in os.environ.items() if not key.startswith(("DAM_", "XDG_", "PYTEST_", "PYTHON"))
    }
    programs = [str(Path(sys.executable).parent)]
    if uv := os.environ.get("UV") or shutil.which("uv"):
        programs.append(str(Path(uv).parent))
        cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
        mine["UV_CACHE_DIR"] = cache  # the user's, not one below the HOME of the test
    return mine | {
        "PATH": os.pathsep.join([*programs, mine["PATH"]]),
        "HOME": str(folder),
        "DAM_HOME": str(folder / "dam"),
        "DAM_REPOSITORY": str(ROOT),
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",  # as on a terminal, stdout and stderr come in the order in which they were written
    }


@pytest.mark.skipif(sys.platform != "linux", reason="the pages show what Linux prints")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_of_a_page_do_what_it_says(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    page = read(path)
    if not page.steps:
        return
    more = {}
    if SERVER in page.text:
        more[SERVER] = asyncio.run(request.getfixturevalue("postgres_databases").create())
    outcomes = run(page, tmp_path, more)
    if os.environ.get("DAM_DOCS_UPDATE"):
        path.write_text(updated(page, outcomes, tmp_path), encoding="utf-8")
        return
    problems = []
    for step, (printed, code) in zip(page.steps, outcomes, strict=True):
        if step.shown is None:
            if code:
                problems.append(f"{page.name}:{step.line}: {step.command}\nended with {code}\n" + "\n".join(printed))
        elif not matches(step.shown, printed):
            difference = "\n".join(difflib.unified_diff(step.shown, printed, "the page", "what came out", lineterm=""))
            problems.append(f"{page.name}:{step.line}: $ {step.command}\n{difference}")
    assert not problems, (
        "\n\n".join(problems) + "\n\nIf the page is at fault: DAM_DOCS_UPDATE=1 uv run pytest tests/docs"
    )


def test_an_ellipsis_stands_for_what_differs_and_for_nothing_else() -> None:
    assert matches(["added …", "world: default"], ["added\t2\t/tmp/x", "world: default"])
    assert matches(["first", ANY, "last"], ["first", "one", "two", "last"])
    assert not matches(["added …"], ["known 2"])
    assert not matches(["one"], ["one", "two"])
    assert not matches([], ["unexpected"])


def matches(shown: list[str], printed: list[str]) -> bool:
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == ANY else _line_pattern(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(_plain(line) + "\n" for line in printed)) is not None


def _line_pattern(line: str) -> str:
    return ".*".join(map(re.escape, _plain(line).split(ANY)))


def _plain(line: str) -> str:
    """Columns are aligned on pages and separated by tabs in pipes."""
    return " ".join(line.split())


# -- writing what came out into the page


def updated(page: Page, outcomes: list[tuple[list[str], int]], folder: Path) -> str:
    lines = page.text.splitlines()
    for step, (printed, _) in reversed(list(zip(page.steps, outcomes, strict=True))):
        if step.shown is None or matches(step.shown, printed):
            continue
        start = step.line + step.command.count("\n")  # lines count from one: this is the first one after the command
        lines[start : start + len(step.shown)] = merged(step.shown, [_masked(line, folder) for line in printed])
    return "\n".join(lines) + "\n"


def merged(shown: list[str], printed: list[str]) -> list[str]:
    """What was printed, with the lines of the page that still fit, and with ``…`` where the page has it."""
    result: list[str] = []
    old = new = 0
    for i, j in [*_fitting(shown, printed), (len(shown), len(printed))]:
        result += _replaced(shown[old:i], printed[new:j])
        result += shown[i : i + 1]
        old, new = i + 1, j + 1
    return result


def _fitting(shown: list[str], printed: list[str]) -> list[tuple[int, int]]:
    """The longest sequence of pairs of a line of the page and a printed one that it stands for."""
    best: list[list[list[tuple[int, int]]]] = [[[] for _ in range(len(printed) + 1)] for _ in range(len(shown) + 1)]
    for i in reversed(range(len(shown))):
        for j in reversed(range(len(printed))):
            fits = shown[i].strip() != ANY and matches([shown[i]], [printed[j]])
            options = [best[i + 1][j], best[i][j + 1], *([[(i, j), *best[i + 1][j + 1]]] if fits else [])]
            best[i][j] = max(options, key=len)
    return best[0][0]


def _replaced(shown: list[str], printed: list[str]) -> list[str]:
    """New lines for old ones between two that fit; a line ``…`` keeps standing for all but its neighbours."""
    gaps = [i for i, line in enumerate(shown) if line.strip() == ANY]
    if not gaps:
        return [_with_gaps(old, line) for old, line in zip_longest(shown, printed, fillvalue="") if line]
    first, after = gaps[0], len(shown) - gaps[-1] - 1
    end = max(first, len(printed) - after)
    return [*_replaced(shown[:first], printed[:first]), shown[first], *_replaced(shown[gaps[-1] + 1 :], printed[end:])]


def _with_gaps(old: str, line: str) -> str:
    before, now = re.split(r"(\s+)", old), re.split(r"(\s+)", line.replace("\t", "  "))
    if not old or len(before) != len(now):
        return "".join(now)
    return "".join(b if ANY in b or not b.strip() else n for b, n in zip(before, now, strict=True))


def _masked(line: str, folder: Path) -> str:
    line = line.replace(str(folder), ANY).replace(str(ROOT), ANY)
    line = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(\+\d\d:\d\d)?", ANY, line)
    line = re.sub(r"\([\d.]+ \w*B in [\d.]+ s\)", f"({ANY} in {ANY} s)", line)
    return re.sub(r'"seconds": [\d.]+', f'"seconds": {ANY}', line)


def test_a_refreshed_page_keeps_its_ellipses() -> None:
    shown = ["added  2  …/notes.txt", "…", "  hash  abc", "…", "3 added (… in 5 s)"]
    printed = ["added\t4\t/tmp/notes.txt", "a name", "  hash  def", "more", "even more", "4 added (12 in 6 s)"]
    assert merged(shown, printed) == ["added  4  …/notes.txt", "…", "4 added (… in 6 s)"]
    assert merged(["one", "…", "three"], ["one", "2", "2", "three"]) == ["one", "…", "three"]
    assert merged(["one", "two"], ["one", "1.5", "two"]) == ["one", "1.5", "two"]
    assert merged([], ["new"]) == ["new"]
    assert merged(["gone"], []) == []


def test_the_tutorial_builds_the_example_plugin_as_it_is() -> None:
    text = (ROOT / "docs" / "tutorial" / "first-plugin.md").read_text(encoding="utf-8")
    example = ROOT / "examples" / "dam_colours"
    shown = {title[1]: block["body"] for block in BLOCK.finditer(text) if (title := TITLE.search(block["info"] or ""))}
    files = [*sorted(example.rglob("src/**/*.py")), example / "pyproject.toml"]
    for file in files:
        name = f"dam_colours/{file.relative_to(example)}"
        assert shown.get(name) == file.read_text(encoding="utf-8"), f"{name} on the page is not the example's"

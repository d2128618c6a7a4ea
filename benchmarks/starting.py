"""What it costs to ask ``dam-cli`` for help."""

from collections.abc import Iterator

from measuring import DAM_CLI, Line, Setting, alternately, python, seconds_of

BARE = '''\
import typer

app = typer.Typer()


@app.command()
def hello(name: str = "you") -> None:
    """Say hello."""


app()
'''


def start(setting: Setting) -> Iterator[Line]:
    """``--help`` against that of an application of one command that does nothing."""
    bare = setting.folder / "bare.py"
    bare.write_text(BARE)
    taken = alternately(
        setting.either(21, 9),
        {
            "dam": lambda: seconds_of([DAM_CLI, "--help"]),
            "bare": lambda: seconds_of(python(str(bare), "--help")),
        },
    )
    dam, reference = taken["dam"] * 1000, taken["bare"] * 1000
    yield Line("--help", "ms", dam, reference, "a bare Typer application", dam / reference, 1.3, "≤")

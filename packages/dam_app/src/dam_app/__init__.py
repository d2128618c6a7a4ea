"""dam_app: the command line of dam, and the worlds of ``dam.toml``.

In a script: ``async with dam_app.open_world("photos") as world: …``. The other names are what a plugin's verb is written
with. All are imported when first used: ``dam-cli --help`` needs few of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dam_app.application import Command as Command
    from dam_app.application import Group as Group
    from dam_app.application import UsageError as UsageError
    from dam_app.context import Globals as Globals
    from dam_app.context import JsonOption as JsonOption
    from dam_app.context import in_world as in_world
    from dam_app.exits import Exit as Exit
    from dam_app.output import Output as Output
    from dam_app.worlds import open_world as open_world

_HOME_OF = {
    "Command": "dam_app.application",
    "Exit": "dam_app.exits",
    "Globals": "dam_app.context",
    "Group": "dam_app.application",
    "JsonOption": "dam_app.context",
    "Output": "dam_app.output",
    "UsageError": "dam_app.application",
    "in_world": "dam_app.context",
    "open_world": "dam_app.worlds",
}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll]  # a test compares it with the imports above


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'dam_app' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""dam_app: the command line of dam, and the worlds of ``dam.toml``.

In a script: ``async with dam_app.open_world("photos") as world: …``
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dam_app.worlds import open_world as open_world

__all__ = ["open_world"]


def __getattr__(name: str) -> Any:
    if name == "open_world":
        from dam_app.worlds import open_world

        return open_world
    raise AttributeError(f"module 'dam_app' has no attribute {name!r}")

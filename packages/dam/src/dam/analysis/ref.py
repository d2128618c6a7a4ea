"""Functions by name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class ref:  # noqa: N801 - reads like the function it stands for: compute=ref("package.module:function")
    """A function that is named and not imported: a worker imports it, `dam-cli --help` does not."""

    name: str

    def __post_init__(self) -> None:
        module, colon, function = self.name.partition(":")
        if not (colon and function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
            raise ValueError(
                f"ref({self.name!r}) names no function: a worker has to import it by this name alone; "
                f"write the module, a colon and a function at the top of the module, "
                f"as in ref('dam_media_image.phash:hashes')"
            )

    def load(self) -> Callable[..., Any]:
        module, _, function = self.name.partition(":")
        loaded: Callable[..., Any] = getattr(import_module(module), function)
        return loaded

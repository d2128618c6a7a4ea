"""Functions by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
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

    def problem(self) -> str | None:
        """Why there can be no such function, as far as can be told without running its module."""
        module, _, function = self.name.partition(":")
        try:
            spec = find_spec(module)
        except ModuleNotFoundError:
            spec = None
        if spec is None:
            return f"there is no module {module!r}"
        if spec.origin is None or not spec.origin.endswith(".py"):
            return None  # compiled: its names are known when it runs
        with open(spec.origin, encoding="utf-8") as source:
            text = source.read()
        if "import *" in text or re.search(rf"\b{function}\b", text):
            return None
        near = get_close_matches(function, re.findall(r"^(?:async )?def (\w+)", text, re.MULTILINE), 1)
        return f"{module} has no function {function!r}" + (f" (did you mean {near[0]!r}?)" if near else "")

    def load(self) -> Callable[..., Any]:
        module, _, function = self.name.partition(":")
        loaded: Callable[..., Any] = getattr(import_module(module), function)
        return loaded

"""Verbs: the commands that plugins add to ``dam-cli``, and those that they cannot add."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "dam.cli"
"""Entry-point group of plugins' verbs: each names a ``typer.Typer`` application, and stands under the entry point's name."""


def verbs() -> "dict[str, list[EntryPoint]]":
    """By name, in that order, the entry points that claim it: one, unless something is wrong."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, _distribution(entry))):
        found.setdefault(entry.name, []).append(entry)
    return found


def conflict(entries: "Sequence[EntryPoint]", commands: Collection[str]) -> str | None:
    """Why a verb cannot be used whatever it does: it is one of the commands of ``dam-cli``, or several claim its name."""
    from dam.core.distributions import origin_of

    name, origins = entries[0].name, " and in ".join(map(origin_of, entries))
    if name in commands:
        return f"the verb {name!r} in {origins} is a command of dam-cli itself; rename its entry point"
    if len(entries) > 1:
        return f"the verb {name!r} is in {origins}; uninstall all of them but one"
    return None


def is_claimed_by(distribution: str, entries: "Sequence[EntryPoint]") -> bool:
    return distribution in map(_distribution, entries)


def _distribution(entry: "EntryPoint") -> str:
    return entry.dist.name if entry.dist else ""

"""Data classes as they are taken from another process: what a worker sends may have been written by a hostile file.

A decoder with a hole runs a stranger's code in the worker, and can answer anything. So the parent makes plain values
(`dam.analysis.wire`), and of the NamedTuples, dataclasses and enums that the package of the compute defines instances
whose declared fields are set; no method of them is called, not even `__init__`.

It does not keep the stranger from lying about this file and the later ones of the same worker, from giving the fields
of a facts class any value, or from what the worker itself may do: it has the rights of the user.
"""

from __future__ import annotations

from enum import Enum, Flag
from functools import cache, partial
from importlib import import_module

from dam.analysis.wire import READERS, field_names, is_named_tuple, unpacked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dam.analysis.wire import Items, Reader

NAME_LENGTH = 1000  # each dot is an import
FLAGS = 1 << 12  # an enum remembers for ever each set of flags that it has been asked for


def load_facts(packed: bytes, function: str) -> object:
    """What `function` returned, or is given. Hostile bytes raise any `Exception`."""
    return unpacked(packed, readers_of(function.partition(":")[0].partition(".")[0]))


@cache
def readers_of(package: str) -> Readers:
    return Readers(package)


class Readers(dict["int | str", "Reader"]):
    """Those of plain values, and of the classes of one package, at each of which it looks once."""

    def __init__(self, package: str) -> None:
        super().__init__(READERS)
        self._package = package

    def __missing__(self, kind: int | str) -> Reader:
        if isinstance(kind, int):
            raise TypeError(f"{kind} is no kind of value")
        self[kind] = reader = class_reader(self._package, kind)
        return reader


def class_reader(package: str, name: str) -> Reader:
    found = class_named(package, name)
    if found is not None:
        if issubclass(found, Enum):
            return partial(member, found)
        if is_named_tuple(found):
            return partial(named_tuple, found, len(found._fields))
        if hasattr(found, "__dataclass_fields__"):
            return partial(data, found, frozenset(field_names(found)))
    raise TypeError(
        f"the facts hold {name[:NAME_LENGTH].replace(':', '.')}, which is not taken from a worker; return plain values, "
        f"or NamedTuples, dataclasses and enums defined in {package!r}"
    )


def class_named(package: str, name: str) -> type[Any] | None:
    """A class of the package by `module:qualified name`. Nothing else is even imported, nor looked up by what could act."""
    module, _, path = name.partition(":")
    within = module.split(".")
    if within[0] != package or "__main__" in within or len(name) > NAME_LENGTH:
        return None
    try:
        found: object = import_module(module)
    except (Exception, SystemExit) as error:
        raise TypeError(f"the facts hold something of {module!r}, which cannot be imported: {error}") from error
    for part in path.split("."):
        found = vars(found).get(part)
        if not isinstance(found, type):
            return None
    # What a module imported from elsewhere has its name, too: `module` and `path` have to be its own.
    return found if isinstance(found, type) and (found.__module__, found.__qualname__) == (module, path) else None


def named_tuple(kind: type[Any], length: int, items: Items) -> object:
    if len(items) != length:
        raise TypeError(f"{len(items)} values for the {length} fields of {kind.__qualname__}")
    return tuple.__new__(kind, items)


def data(kind: type[Any], names: frozenset[str], items: Items) -> object:
    made: object = object.__new__(kind)
    for name, value in zip(items[::2], items[1::2], strict=True):
        if type(name) is not str or name not in names:
            raise TypeError(f"{kind.__qualname__} has no field {name!r}")
        object.__setattr__(made, name, value)
    return made


def member(kind: type[Enum], items: Items) -> object:
    """By its name. Several flags together are a number."""
    [named] = items
    if type(named) is str:
        return kind._member_map_[named]
    if type(named) is int and issubclass(kind, Flag) and len(kind._value2member_map_) < FLAGS:
        return kind(named)
    raise TypeError(f"{named!r} is no member of {kind.__qualname__}")

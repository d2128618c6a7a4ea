"""Facts as the parent accepts them: what a worker sends may have been written by a hostile file.

A decoder with a hole runs a stranger's code in the worker, and pickles can name any callable. So the parent loads data
types alone: the values with opcodes of their own, the few types in `PLAIN`, and the NamedTuples, dataclasses and enums
that the package of the compute defines. That keeps the stranger from calling anything else in the parent.

It does not keep them from lying about this file and the later ones of the same worker, from giving the fields of a
facts class any value (or the class other attributes: pickles can assign to what they name), or from what the worker
itself may do: it has the rights of the user.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict, deque
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from io import BytesIO

# Types written in C, which no pickle can change; no Fraction, whose constructor takes "1e999999999" and computes it.
PLAIN: dict[tuple[str, str], type] = {
    (plain.__module__, plain.__qualname__): plain
    for plain in (complex, range, date, datetime, time, timedelta, timezone, Decimal, OrderedDict, deque)
}


def load_facts(pickled: bytes, function: str) -> object:
    """The facts that `function` returned. Hostile bytes raise any `Exception`."""
    return FactsUnpickler(BytesIO(pickled), function.partition(":")[0].partition(".")[0]).load()


class FactsUnpickler(pickle.Unpickler):
    def __init__(self, file: BytesIO, package: str) -> None:
        super().__init__(file)
        self._package = package

    def find_class(self, module: str, name: str) -> type:
        plain = PLAIN.get((module, name))
        if plain is not None:
            return plain
        if module.partition(".")[0] == self._package:  # nothing else is even imported
            found: object = super().find_class(module, name)
            # What a module imported from elsewhere has its name, too: `module` and `name` have to be its own.
            if isinstance(found, type) and (found.__module__, found.__qualname__) == (module, name) and is_data(found):
                return found
        raise pickle.UnpicklingError(
            f"the facts hold {module}.{name}, which is not taken from a worker; return plain values, "
            f"or NamedTuples, dataclasses and enums defined in {self._package!r}"
        )


def is_data(found: type) -> bool:
    return is_dataclass(found) or issubclass(found, Enum) or (issubclass(found, tuple) and hasattr(found, "_fields"))

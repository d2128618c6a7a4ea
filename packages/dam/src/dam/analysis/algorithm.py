"""What computed a fact: a name and a version."""

import hashlib
import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Algorithm:
    """``version`` goes up whenever the output changes; that alone makes the rows of older versions stale.

    ``parameters`` are handed to ``compute`` as keyword arguments, and changing one makes rows stale as well.
    """

    name: str
    version: int
    parameters: tuple[tuple[str, str | int | float | bool | None], ...] = field(default=())

    @property
    def parameters_digest(self) -> bytes | None:
        """16 bytes, or ``None`` where there are no parameters."""
        if not self.parameters:
            return None
        return hashlib.blake2b(json.dumps(sorted(self.parameters)).encode(), digest_size=16).digest()

"""Commands: what can be asked of the plugin, and what comes back."""

from dataclasses import dataclass

from dam import BaseCommand, DamError


@dataclass
class AddLabelCommand(BaseCommand[str, None]):
    """Gives an asset a label; the result is the label as it is kept. Raises ``LabelError``."""

    entity_id: int
    label: str


@dataclass
class FindLabelCommand(BaseCommand[list[int], None]):
    """Finds the assets that have a label; the result is their ids. Raises ``LabelError``."""

    label: str


class LabelError(DamError):
    """There is no such asset, or that cannot be a label; the message says which."""

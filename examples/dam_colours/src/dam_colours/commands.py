from dataclasses import dataclass

from dam import BaseCommand


@dataclass
class FindColourCommand(BaseCommand[list[int], None]):
    hex_colour: str

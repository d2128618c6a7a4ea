"""Commands that read one asset again."""

from dataclasses import dataclass

from dam.commands.analysis_commands import AnalysisCommand


@dataclass
class ReadVideoPropertiesCommand(AnalysisCommand[None]):
    """Reads size, frames, rate and duration of one video, and the properties of each of its audio tracks."""


@dataclass
class MeasureStillCommand(AnalysisCommand[None]):
    """Reads width and height of one still picture that Pillow does not know."""

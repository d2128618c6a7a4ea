"""Commands that read one asset's moving pictures again."""

from dataclasses import dataclass

from dam.commands.analysis_commands import AnalysisCommand


@dataclass
class ReadVideoPropertiesCommand(AnalysisCommand[None]):
    """Reads size, frames, rate and duration of one video, and the properties of each of its audio tracks."""

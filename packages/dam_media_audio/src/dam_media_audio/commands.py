"""Commands that read one asset's sound again."""

from dataclasses import dataclass

from dam.commands.analysis_commands import AnalysisCommand


@dataclass
class ReadAudioPropertiesCommand(AnalysisCommand[None]):
    """Reads codec, duration, sample rate and channels of each audio track of one asset."""


@dataclass
class ReadAudioTagsCommand(AnalysisCommand[None]):
    """Reads the tags that one asset carries in itself."""

"""The analyzers: what is read of sound after an asset was added."""

from dam.analysis.algorithm import Algorithm
from dam.analysis.ref import ref
from dam.core.analyzers import analyzer
from dam.core.stages import SystemStage
from dam.models.core.base_component import EMBEDDED
from dam_media_audio.commands import ReadAudioPropertiesCommand, ReadAudioTagsCommand
from dam_media_audio.facts import AudioTags, AudioTrack
from dam_media_audio.models import AudioPropertiesComponent, AudioTagsComponent

SOUND = ("audio/*", "application/ogg")
"""Media types; an Ogg file whose first pages do not say what it holds is ``application/ogg``."""


@analyzer(
    Algorithm("dam_media_audio.properties", 1),
    compute=ref("dam_media_audio.probe:properties"),
    accepts=SOUND,
    produces=(AudioPropertiesComponent,),
    stage=SystemStage.METADATA_EXTRACTION,
    command=ReadAudioPropertiesCommand,
)
def property_components(tracks: list[AudioTrack]) -> list[AudioPropertiesComponent]:
    return [AudioPropertiesComponent(**track._asdict()) for track in tracks]


@analyzer(
    Algorithm("dam_media_audio.tags", 1),
    compute=ref("dam_media_audio.tags:embedded"),
    accepts=SOUND,
    produces=(AudioTagsComponent,),
    stage=SystemStage.METADATA_EXTRACTION,
    command=ReadAudioTagsCommand,
)
def tag_components(tags: AudioTags) -> list[AudioTagsComponent]:
    return [AudioTagsComponent(layer=EMBEDDED, **tags._asdict())]

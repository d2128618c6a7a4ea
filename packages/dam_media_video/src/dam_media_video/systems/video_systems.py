"""The analyzers: what is read of moving pictures after an asset was added, and of stills that Pillow does not know."""

from collections.abc import Iterator

from dam.analysis.algorithm import Algorithm
from dam.analysis.ref import ref
from dam.core.analyzers import analyzer
from dam.core.stages import SystemStage
from dam.models.core.base_component import Component
from dam_media_audio.models import AudioPropertiesComponent
from dam_media_image.models import FramePropertiesComponent, ImageDimensionsComponent
from dam_media_video.commands import MeasureStillCommand, ReadVideoPropertiesCommand
from dam_media_video.facts import Film, Size

MOVING_PICTURES = (
    "video/*",
    "application/mxf",
    "application/vnd.adobe.flash.movie",
    "application/vnd.rn-realmedia",
)
"""Media types. A RealMedia file may have sound alone; an Ogg file of unknown content is for the audio plugin to look at."""

STILLS = (
    "image/jls",
    "image/vnd.radiance",
    "image/x-dpx",
    "image/x-exr",
    "image/x-ilbm",
    "image/x-portable-arbitrarymap",
    "image/x-portable-floatmap",
    "image/x-xwindowdump",
)
"""Media types that FFmpeg reads and Pillow does not."""


@analyzer(
    Algorithm("dam_media_video.properties", 1),
    compute=ref("dam_media_video.probe:film"),
    accepts=MOVING_PICTURES,
    produces=(ImageDimensionsComponent, FramePropertiesComponent, AudioPropertiesComponent),
    stage=SystemStage.METADATA_EXTRACTION,
    command=ReadVideoPropertiesCommand,
)
def film_components(film: Film) -> Iterator[Component]:
    if pictures := film.pictures:
        if pictures.width is not None and pictures.height is not None:
            yield ImageDimensionsComponent(width_pixels=pictures.width, height_pixels=pictures.height)
        if pictures.frames is not None or pictures.seconds is not None:
            yield FramePropertiesComponent(
                frame_count=pictures.frames, frames_per_second=pictures.rate, duration_seconds=pictures.seconds
            )
    for track in film.sound:
        yield AudioPropertiesComponent(**track._asdict())


@analyzer(
    Algorithm("dam_media_video.stills", 1),
    compute=ref("dam_media_video.stills:size"),
    accepts=STILLS,
    produces=(ImageDimensionsComponent,),
    stage=SystemStage.METADATA_EXTRACTION,
    command=MeasureStillCommand,
)
def still_components(size: Size) -> Iterator[Component]:
    yield ImageDimensionsComponent(width_pixels=size.width, height_pixels=size.height)

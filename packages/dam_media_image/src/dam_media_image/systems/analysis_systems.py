"""What is computed of every picture."""

from collections.abc import Iterable

from dam.analysis.algorithm import Algorithm
from dam.analysis.ref import ref
from dam.core.analyzers import Analyzer, analyzer
from dam.core.stages import SystemStage
from dam.core.world import World
from dam.models.core.base_component import EMBEDDED, Component
from dam_media_image.commands import HashImageCommand, ReadCameraFactsCommand, ReadFramesCommand, ReadImageHeaderCommand
from dam_media_image.facts import Frames, Hashes, Header, Shot
from dam_media_image.models import (
    CameraComponent,
    FlatPictureComponent,
    FramePropertiesComponent,
    GeoPositionComponent,
    ImageDimensionsComponent,
    ImagePerceptualAHashComponent,
    ImagePerceptualDHashComponent,
    ImagePerceptualPHashComponent,
)
from dam_media_image.settings import ImageSettings

PICTURES = (
    "image/apng",
    "image/avif",
    "image/bmp",
    "image/fits",
    "image/gif",
    "image/heic",
    "image/heic-sequence",
    "image/heif",
    "image/heif-sequence",
    "image/j2c",
    "image/jp2",
    "image/jpeg",
    "image/jpx",
    "image/jxl",
    "image/png",
    "image/tiff",
    "image/vnd.adobe.photoshop",
    "image/vnd.microsoft.icon",
    "image/vnd.zbrush.pcx",
    "image/webp",
    "image/x-blp",
    "image/x-dcx",
    "image/x-dds",
    "image/x-ftex",
    "image/x-gimp-gbr",
    "image/x-icns",
    "image/x-ifunc",
    "image/x-mcidas-area",
    "image/x-msp",
    "image/x-photo-cd",
    "image/x-pixar",
    "image/x-portable-bitmap",
    "image/x-portable-graymap",
    "image/x-portable-pixmap",
    "image/x-qoi",
    "image/x-sgi",
    "image/x-sun-raster",
    "image/x-tga",
    "image/x-win-bitmap",
    "image/x-xbitmap",
    "image/x-xpixmap",
    "image/x-xv-thumbnail",
)
"""What Pillow decodes, alone or with an extra. Of camera raws it would decode a preview."""

MEASURED = (*PICTURES, "image/emf", "image/wmf", "image/x-eps", "image/x-xcf")
"""What has a width and a height: also drawings, whose points are taken for pixels, and what hachoir reads."""

ANIMATED = ("image/apng", "image/avif", "image/gif", "image/webp")
"""What may have frames. Pages of a TIFF and layers of a PSD are frames to Pillow, too, and do not move."""

HASHED = (*PICTURES, "video/x-flc", "video/x-fli")
"""What has hashes and thumbnails: also films of which Pillow decodes the first frame."""

HASHES = (ImagePerceptualPHashComponent, ImagePerceptualAHashComponent, ImagePerceptualDHashComponent)

_EXACT = Algorithm("dam_media_image.perceptual_hashes", version=1)
_FAST = Algorithm("dam_media_image.fast_perceptual_hashes", version=1)
_HEADER = Algorithm("dam_media_image.header", version=1)
_FRAMES = Algorithm("dam_media_image.frames", version=1)
_CAMERA = Algorithm("dam_media_image.camera", version=1)
_STAGE = SystemStage.METADATA_EXTRACTION


@analyzer(
    _EXACT,
    compute=ref("dam_media_image.phash:hashes"),
    accepts=HASHED,
    produces=(*HASHES, FlatPictureComponent),
    command=HashImageCommand,
    replaces=(_FAST.name,),
)
def hash_components(hashes: Hashes | None) -> Iterable[Component]:
    if hashes is None:
        return [FlatPictureComponent()]
    return [component.of(value) for component, value in zip(HASHES, hashes, strict=True) if value is not None]


fast_hash_components = analyzer(
    _FAST,
    compute=ref("dam_media_image.phash:fast_hashes"),
    accepts=HASHED,
    produces=(*HASHES, FlatPictureComponent),
    command=HashImageCommand,
    replaces=(_EXACT.name,),
)(hash_components.components)
"""The same from a smaller picture; a world has the one or the other."""


@analyzer(
    _HEADER,
    compute=ref("dam_media_image.header:header"),
    accepts=MEASURED,
    produces=(ImageDimensionsComponent,),
    stage=_STAGE,
    command=ReadImageHeaderCommand,
)
def header_components(header: Header) -> Iterable[Component]:
    yield ImageDimensionsComponent(width_pixels=header.width, height_pixels=header.height)


@analyzer(
    _FRAMES,
    compute=ref("dam_media_image.frames:frames"),
    accepts=ANIMATED,
    produces=(FramePropertiesComponent,),
    stage=_STAGE,
    command=ReadFramesCommand,
)
def frame_components(frames: Frames | None) -> Iterable[Component]:
    if frames is not None:
        yield FramePropertiesComponent(
            frame_count=frames.number, frames_per_second=frames.rate, duration_seconds=frames.duration
        )


@analyzer(
    _CAMERA,
    compute=ref("dam_media_image.camera:shot"),
    accepts=PICTURES,
    produces=(CameraComponent, GeoPositionComponent),
    stage=_STAGE,
    command=ReadCameraFactsCommand,
)
def camera_components(shot: Shot) -> Iterable[Component]:
    yield CameraComponent(layer=EMBEDDED, **shot.camera._asdict())
    latitude, longitude, altitude = shot.position or (None, None, None)
    yield GeoPositionComponent(
        layer=EMBEDDED, latitude_degrees=latitude, longitude_degrees=longitude, altitude_metres=altitude
    )


def hash_analyzer(world: World) -> Analyzer[Hashes | None]:
    """The one that a world's pictures are hashed with: only hashes that were made the same way can be compared."""
    return fast_hash_components if world.settings_of(ImageSettings).fast_hashes else hash_components

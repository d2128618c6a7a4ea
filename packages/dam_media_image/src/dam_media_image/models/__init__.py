"""What is known about pictures."""

from dam_media_image.models.camera import CameraComponent, GeoPositionComponent
from dam_media_image.models.dimensions import FramePropertiesComponent, ImageDimensionsComponent
from dam_media_image.models.hashes import (
    FlatPictureComponent,
    ImagePerceptualAHashComponent,
    ImagePerceptualDHashComponent,
    ImagePerceptualPHashComponent,
    PerceptualHash,
)
from dam_media_image.models.thumbnail import ThumbnailComponent

__all__ = [
    "CameraComponent",
    "FlatPictureComponent",
    "FramePropertiesComponent",
    "GeoPositionComponent",
    "ImageDimensionsComponent",
    "ImagePerceptualAHashComponent",
    "ImagePerceptualDHashComponent",
    "ImagePerceptualPHashComponent",
    "PerceptualHash",
    "ThumbnailComponent",
]

"""Settings of the picture plugin."""

from dam.models.config import ConfigComponent, SettingsModel


class ImageSettings(SettingsModel):
    """How pictures are looked at."""

    fast_hashes: bool = False
    """Let JPEG decoders shrink large pictures before they are hashed: about twice as fast at 12 megapixels, up to 3 of 64 bits
    off, and only comparable with hashes that were made the same way."""


class ImageSettingsComponent(ConfigComponent, settings=ImageSettings):
    """The picture plugin's settings, stored."""

    __tablename__ = "dam_media_image_config"

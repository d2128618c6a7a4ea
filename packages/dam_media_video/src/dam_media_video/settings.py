"""Settings of the video plugin."""

from dam.models.config import ConfigComponent, SettingsModel


class VideoSettings(SettingsModel):
    """There is nothing to set."""


class VideoSettingsComponent(ConfigComponent, settings=VideoSettings):
    """The video plugin's settings, stored."""

    __tablename__ = "dam_media_video_config"

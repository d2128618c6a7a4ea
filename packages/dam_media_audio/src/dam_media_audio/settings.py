"""Settings of the audio plugin."""

from dam.models.config import ConfigComponent, SettingsModel


class AudioSettings(SettingsModel):
    """There is nothing to set."""


class AudioSettingsComponent(ConfigComponent, settings=AudioSettings):
    """The audio plugin's settings, stored."""

    __tablename__ = "dam_media_audio_config"

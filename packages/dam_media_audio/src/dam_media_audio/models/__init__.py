"""What is known about sound."""

from dam_media_audio.models.audio import AudioPropertiesComponent, AudioTagsComponent

__all__ = ["AudioPropertiesComponent", "AudioTagsComponent"]

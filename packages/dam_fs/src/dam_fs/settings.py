"""Settings of the file plugin."""

from pydantic import Field

from dam.models.config import ConfigComponent, SettingsModel, SettingsPath


class FsSettings(SettingsModel):
    """Where the bytes of a world are kept, and how they are read."""

    storage_path: SettingsPath | None = None
    """The folder of the content-addressed store; beside an embedded database unless set."""
    readers: int | None = Field(default=None, ge=1, le=64)
    """Files that are read and hashed at once; as many as there are processors, at most 8, unless set."""
    ignore_file: str = ".damignore"
    """Name of the file that lists, as a .gitignore does, what a recursive add leaves out."""


class FsSettingsComponent(ConfigComponent, settings=FsSettings):
    """The file plugin's settings, stored."""

    __tablename__ = "dam_fs_config"

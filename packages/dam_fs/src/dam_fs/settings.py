"""Settings of the file plugin."""

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from dam.models.config import ConfigComponent, SettingsModel, SettingsPath


class FsSettings(SettingsModel):
    """Where the bytes of a world are kept, and how they are read."""

    storage_url: str | None = None
    """A store that is no folder, ``SCHEME:…``; an installed package brings the scheme. Either this or ``storage_path``."""
    storage_path: SettingsPath | None = None
    """The folder of the content-addressed store; beside an embedded database unless set."""
    readers: int | None = Field(default=None, ge=1, le=64)
    """Files that are read and hashed at once; as many as there are processors, at most 8, unless set."""
    ignore_file: str = ".damignore"
    """Name of the file that lists, as a .gitignore does, what a recursive add leaves out."""

    @field_validator("storage_path")
    @classmethod
    def _one_place(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None and info.data.get("storage_url") is not None:
            raise ValueError("storage_url is set as well, and a world has one store; remove one of the two")
        return path


class FsSettingsComponent(ConfigComponent, settings=FsSettings):
    """The file plugin's settings, stored."""

    __tablename__ = "dam_fs_config"

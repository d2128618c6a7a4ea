"""Properties, locations and sources of files."""

import hashlib
import os
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from sqlalchemy import Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import BaseComponent, UniqueComponent
from dam.models.core.fields import HIDDEN, LOCAL, UNINDEXED
from dam.models.core.types import PathType


class StorageType(StrEnum):
    """How a location holds the bytes."""

    CAS = "cas"  # an object of the world's store; the key is its SHA-256
    REFERENCE = "reference"  # the user's own file, at its own path


class LocationCondition(StrEnum):
    """What is known of the bytes at a location."""

    OK = "ok"
    LOST = "lost"  # a reference whose file changed or vanished
    DAMAGED = "damaged"  # an object that is missing or not what its name says


def path_key(path: str) -> bytes:
    """16 bytes that stand for a path in indexes: paths can be longer than an index entry may be."""
    return hashlib.blake2b(os.fsencode(path), digest_size=16).digest()


def shown(name: str) -> str:
    """A file name as text that every database takes; bytes that are not UTF-8 become replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


class FilePropertiesComponent(
    UniqueComponent,
    namespace="file",
    aliases={"name": "original_filename", "size": "size_bytes", "added": "added_at"},
):
    """What the file was called when it came first, its length and what kind of file it is."""

    __tablename__ = "dam_fs_file_properties"
    original_filename: Mapped[str] = mapped_column(String(1024))
    size_bytes: Mapped[int]
    mime_type: Mapped[str] = mapped_column(String(255))
    added_at: Mapped[datetime] = mapped_column(default_factory=lambda: datetime.now(UTC))


class FileLocationComponent(
    BaseComponent,
    namespace="location",
    aliases={"filename": "contextual_filename", "storage": "storage_type"},
):
    """A place that holds the bytes, and a name under which they are known there."""

    __tablename__ = "dam_fs_file_location"
    __table_args__ = (
        # By entity first: new rows then go to the end of the index, where an index by digest would touch a page for each.
        UniqueConstraint("entity_id", "location_key", "contextual_filename"),
        Index(
            "ix_dam_fs_file_location_reference",
            "location_key",
            sqlite_where=text("storage_type = 'reference'"),
            postgresql_where=text("storage_type = 'reference'"),
        ),
    )

    contextual_filename: Mapped[str] = mapped_column(String(1024))
    content_identifier: Mapped[str] = mapped_column(String(64), info=UNINDEXED)
    physical_path_or_key: Mapped[str] = mapped_column(PathType, info=UNINDEXED)
    storage_type: Mapped[str] = mapped_column(String(16), info=UNINDEXED)
    condition: Mapped[str] = mapped_column(String(16), default=LocationCondition.OK, info={**UNINDEXED, **LOCAL})
    location_key: Mapped[bytes] = mapped_column(LargeBinary(16), info=HIDDEN)
    verified_at: Mapped[datetime | None] = mapped_column(default=None, info=LOCAL)

    @classmethod
    def in_store(cls, filename: str, digest: bytes) -> Self:
        """The object of the world's store that holds this content."""
        key = digest.hex()
        return cls(
            contextual_filename=shown(filename),
            content_identifier=key,
            physical_path_or_key=key,
            storage_type=StorageType.CAS.value,
            location_key=digest[:16],
        )

    @classmethod
    def by_reference(cls, path: str, digest: bytes) -> Self:
        """The user's file at an absolute path."""
        return cls(
            contextual_filename=shown(os.path.basename(path)),
            content_identifier=digest.hex(),
            physical_path_or_key=path,
            storage_type=StorageType.REFERENCE.value,
            location_key=path_key(path),
        )


class OriginalSourceInfoComponent(BaseComponent, namespace="source", aliases={"path": "original_path"}):
    """Where content came from, and what the file system said of it then: enough to tell later that nothing changed."""

    __tablename__ = "dam_fs_original_source_info"
    __table_args__ = (UniqueConstraint("path_key", "entity_id"),)

    original_path: Mapped[str] = mapped_column(PathType, info=UNINDEXED)
    size_bytes: Mapped[int] = mapped_column(info=UNINDEXED)
    mtime_ns: Mapped[int] = mapped_column(info=UNINDEXED)
    path_key: Mapped[bytes] = mapped_column(LargeBinary(16), info=HIDDEN)

    @classmethod
    def of(cls, path: str, size: int, mtime_ns: int) -> Self:
        return cls(original_path=path, size_bytes=size, mtime_ns=mtime_ns, path_key=path_key(path))

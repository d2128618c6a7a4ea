"""Digests of content."""

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import UniqueComponent


class ContentHashSha256Component(UniqueComponent, namespace="sha256", aliases={"hash": "hash_value"}):
    """What makes two files the same asset: 32 bytes, unique in a world."""

    __tablename__ = "dam_fs_content_hash_sha256"
    hash_value: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class ContentHashMd5Component(UniqueComponent, namespace="md5", aliases={"hash": "hash_value"}):
    """16 bytes, for comparing with other systems; different files can be made to share one."""

    __tablename__ = "dam_fs_content_hash_md5"
    hash_value: Mapped[bytes] = mapped_column(LargeBinary(16), index=True)

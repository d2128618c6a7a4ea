"""Perceptual hashes, stored so that everything near one is found by ranges of indexes (see ``dam_media_image.hamming``)."""

from typing import Any, Self

from sqlalchemy import BigInteger, Dialect, TypeDecorator
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import MarkerComponent, UniqueComponent
from dam.models.core.fields import HIDDEN
from dam_media_image.hamming import rotated, signed, unsigned


class Hash64(TypeDecorator[str]):
    """64 bits: 16 hexadecimal digits here, as ``imagehash`` prints them, and a signed integer in the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:
        return None if value is None else signed(int(value, 16))

    def process_result_value(self, value: int | None, dialect: Dialect) -> str | None:
        return None if value is None else f"{unsigned(value):016x}"


def _rotation() -> Any:
    return mapped_column(BigInteger, index=True, info=HIDDEN, repr=False)


class PerceptualHash(UniqueComponent):
    """One hash in four rotations. Make one with ``of``."""

    __abstract__ = True
    hash_value: Mapped[str] = mapped_column(Hash64)
    rotated_16: Mapped[int] = _rotation()
    rotated_32: Mapped[int] = _rotation()
    rotated_48: Mapped[int] = _rotation()

    @classmethod
    def of(cls, value: int) -> Self:
        """``value``: 64 bits, unsigned."""
        return cls(
            hash_value=f"{value:016x}",
            rotated_16=signed(rotated(value, 16)),
            rotated_32=signed(rotated(value, 32)),
            rotated_48=signed(rotated(value, 48)),
        )


class ImagePerceptualPHashComponent(PerceptualHash, namespace="phash", aliases={"value": "hash_value"}):
    """The signs of the lowest frequencies: survives scaling, compression and changes of brightness best."""

    __tablename__ = "dam_media_image_phash"


class ImagePerceptualAHashComponent(PerceptualHash, namespace="ahash", aliases={"value": "hash_value"}):
    """Which parts are brighter than the average. Pictures of one bright thing on dark ground are easily alike."""

    __tablename__ = "dam_media_image_ahash"


class ImagePerceptualDHashComponent(PerceptualHash, namespace="dhash", aliases={"value": "hash_value"}):
    """Where it gets brighter from left to right."""

    __tablename__ = "dam_media_image_dhash"


class FlatPictureComponent(MarkerComponent, namespace="flat"):
    """A picture of one shade. It has no hashes: they would be noise, and like those of every other flat picture."""

    __tablename__ = "dam_media_image_flat"

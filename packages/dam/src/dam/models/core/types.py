"""Column types that mean the same on SQLite and PostgreSQL."""

import os
from datetime import UTC, datetime
from typing import Annotated

from sqlalchemy import BigInteger, DateTime, Dialect, ForeignKey, Integer, LargeBinary, TypeDecorator
from sqlalchemy.orm import mapped_column

# A plain BigInteger key does not count up by itself on SQLite; INTEGER there holds 64 bits as well.
ID = BigInteger().with_variant(Integer(), "sqlite")


def is_storable(entity_id: int) -> bool:
    """Whether a database can hold such an id; there is no entity with any other."""
    return -(1 << 63) <= entity_id < 1 << 63


# A column that holds an entity id says so with this type: merging, copying and deleting entities find it by its key.
EntityId = Annotated[int, mapped_column(ID, ForeignKey("dam_entity.id", ondelete="CASCADE"))]


class PathType(TypeDecorator[str]):
    """A path as the file system has it: stored as bytes, since not every name is UTF-8; ``str`` with surrogate escapes here."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else os.fsdecode(value)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: takes aware datetimes only, gives them back in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(
                f"{value!r} has no time zone; write datetime.now(UTC) or give it one with replace(tzinfo=…)"
            )
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

"""The declarative base: every table class is a dataclass with keyword arguments."""

from datetime import datetime
from typing import ClassVar, dataclass_transform

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, MappedColumn, mapped_column
from sqlalchemy.orm.decl_api import DCTransformDeclarative

from dam.models.core.types import ID, UtcDateTime

# Constraints need names that both databases and Alembic agree on, or a migration cannot drop them. The first column alone:
# PostgreSQL takes 63 characters.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(MappedColumn, mapped_column))
class _KeywordDataclass(DCTransformDeclarative):
    """Tells type checkers what ``kw_only=True`` below means for subclasses."""


class Base(MappedAsDataclass, DeclarativeBase, metaclass=_KeywordDataclass, kw_only=True, eq=False):
    """Root of all mapped classes of the core and of plugins; they share one ``MetaData``."""

    __abstract__ = True
    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[object, object]] = {int: ID, datetime: UtcDateTime}

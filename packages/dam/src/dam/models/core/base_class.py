"""The declarative base: every table class is a dataclass with keyword arguments."""

from datetime import datetime
from typing import Any, ClassVar, dataclass_transform

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass, MappedColumn, mapped_column
from sqlalchemy.orm.decl_api import DCTransformDeclarative

from dam.core.exceptions import ComponentDefinitionError
from dam.models.core.types import ID, UtcDateTime

OWNERS: dict[str, type] = {}
"""Table → the class that is mapped to it. SQLAlchemy's registry also has those that could not be mapped, and fails on them."""

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

    def __init_subclass__(cls, **kw: Any) -> None:
        owner = OWNERS.get(cls.__dict__.get("__tablename__", ""))
        if owner is not None and place_of(owner) != place_of(cls):  # else its module is imported again
            raise ComponentDefinitionError(
                f"the table {cls.__tablename__!r} of {place_of(cls)} is that of {place_of(owner)} already; "
                f"name tables after their package: {package_of(cls)}_…"
            )
        super().__init_subclass__(**kw)
        if isinstance(table := cls.__dict__.get("__table__"), Table):
            OWNERS[table.name] = cls


def place_of(cls: type) -> str:
    """``package.module.Class``"""
    return f"{cls.__module__}.{cls.__qualname__}"


def package_of(cls: type) -> str:
    """The top package of a class, whose name its tables and its namespaces have."""
    return cls.__module__.partition(".")[0]

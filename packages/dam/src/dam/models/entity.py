"""Entities."""

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_class import Base


class Entity(Base):
    """An id and nothing else; whatever is known about it stands in components."""

    __tablename__ = "dam_entity"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never given twice, not even after a deletion

    id: Mapped[int] = mapped_column(primary_key=True, init=False)

"""What deleted rows stood for, until it is gone too."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_class import Base
from dam.models.core.types import ID, PathType


class PendingRelease(Base):
    """Bytes that lost a row, and the name that they had in it: written by the transaction that deletes the row, and removed by
    the one that removes the bytes, or finds that something needs them."""

    __tablename__ = "dam_fs_pending_release"

    id: Mapped[int] = mapped_column(ID, primary_key=True, autoincrement=True, init=False)
    content: Mapped[str] = mapped_column(String(64))
    name: Mapped[str | None] = mapped_column(String(1024), default=None)
    path: Mapped[str | None] = mapped_column(PathType, default=None)

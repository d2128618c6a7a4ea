"""What verification remembers beside the locations themselves."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_class import Base


class VerificationPass(Base):
    """A pass over the locations that was begun and has not come to its end: one for the whole world, and one for each subset.

    What was verified since ``began_at`` is done. Derived objects have no such date: those of tables before ``derived_table``, and
    of that table those up to the row ``derived_id``, are done.
    """

    __tablename__ = "dam_fs_verification_pass"

    slot: Mapped[str] = mapped_column(String(32), primary_key=True)
    began_at: Mapped[datetime]
    derived_table: Mapped[str] = mapped_column(String(255), default="")
    derived_id: Mapped[int] = mapped_column(default=0)


class DamagedDerived(Base):
    """A derived object that verification found missing or damaged, until it is whole again or nobody wants it."""

    __tablename__ = "dam_fs_damaged_derived"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    found_at: Mapped[datetime]

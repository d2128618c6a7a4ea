"""The trash: entities that are to be deleted, and can still be brought back."""

from datetime import UTC, datetime

from sqlalchemy.orm import Mapped, mapped_column

from dam.models.core.base_component import UniqueComponent


class TrashedComponent(UniqueComponent, namespace="trash", hides_entity=True):
    """The entity is in the trash: it stays out of listings, and everything that is known of it stays."""

    __tablename__ = "dam_trashed"

    trashed_at: Mapped[datetime] = mapped_column(default_factory=lambda: datetime.now(UTC))

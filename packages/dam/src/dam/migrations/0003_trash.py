"""The trash."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dam_trashed",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("trashed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["entity_id"], ["dam_entity.id"], name="fk_dam_trashed_entity_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_trashed"),
    )
    op.create_index("ix_dam_trashed_trashed_at", "dam_trashed", ["trashed_at"])


def downgrade() -> None:
    op.drop_table("dam_trashed")

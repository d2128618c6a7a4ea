"""Where copies of entities come from."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dam_world_identity",
        sa.Column("slot", sa.String(length=16), nullable=False),
        sa.Column("world_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_dam_world_identity"),
    )
    op.create_table(
        "dam_origin",
        sa.Column("id", ID, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("world_id", sa.String(length=36), nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("world_name", sa.String(length=255), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["entity_id"], ["dam_entity.id"], name="fk_dam_origin_entity_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_dam_origin"),
    )
    op.create_index("ix_dam_origin_entity_id", "dam_origin", ["entity_id"])
    op.create_index("ix_dam_origin_world_id", "dam_origin", ["world_id", "source_id"], unique=True)


def downgrade() -> None:
    op.drop_table("dam_origin")
    op.drop_table("dam_world_identity")

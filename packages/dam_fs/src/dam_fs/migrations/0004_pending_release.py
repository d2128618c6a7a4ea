"""What deleted rows stood for is remembered until it is gone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dam_fs_pending_release",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=1024), nullable=True),
        sa.Column("path", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_dam_fs_pending_release"),
    )


def downgrade() -> None:
    op.drop_table("dam_fs_pending_release")

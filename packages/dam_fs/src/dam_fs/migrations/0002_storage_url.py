"""Stores that are no folders."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("dam_fs_config") as table:
        table.add_column(sa.Column("storage_url", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("dam_fs_config") as table:
        table.drop_column("storage_url")

"""When a location was verified last, and what a pass over them remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("dam_fs_file_location", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_dam_fs_file_location_verified_at", "dam_fs_file_location", ["verified_at"], unique=False)
    op.create_table(
        "dam_fs_verification_pass",
        sa.Column("slot", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("derived_table", sa.String(length=255), nullable=False),
        sa.Column("derived_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_dam_fs_verification_pass"),
    )
    op.create_table(
        "dam_fs_damaged_derived",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_dam_fs_damaged_derived"),
    )


def downgrade() -> None:
    op.drop_table("dam_fs_damaged_derived")
    op.drop_table("dam_fs_verification_pass")
    op.drop_index("ix_dam_fs_file_location_verified_at", table_name="dam_fs_file_location")
    with op.batch_alter_table("dam_fs_file_location") as table:
        table.drop_column("verified_at")

"""The core's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dam_entity",
        sa.Column("id", ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dam_entity"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "dam_run",
        sa.Column("id", ID, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("command", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_dam_run"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "dam_derivation",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("algorithm", sa.String(length=128), nullable=False),
        sa.Column("version", ID, nullable=False),
        sa.Column("input_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("parameters_digest", sa.LargeBinary(length=16), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("failure", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_derivation_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", "algorithm", name="pk_dam_derivation"),
    )
    op.create_index("ix_dam_derivation_algorithm", "dam_derivation", ["algorithm", "status", "version"], unique=False)
    op.create_table(
        "dam_needs_metadata_extraction",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_needs_metadata_extraction_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_needs_metadata_extraction"),
    )
    op.create_table(
        "dam_lease",
        sa.Column("id", ID, nullable=False),
        sa.Column("queue", sa.String(length=128), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False),
        sa.Column("high", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dam_lease"),
    )
    op.create_index("ix_dam_lease_queue", "dam_lease", ["queue"])
    op.create_table(
        "dam_world_config",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("database_url", sa.String(), nullable=True),
        sa.Column("database_password", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("folder", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("analysis_workers", ID, nullable=True),
        sa.Column("analysis_time_limit", sa.Float(), nullable=True),
        sa.Column("analysis_cpu_limit", sa.Float(), nullable=True),
        sa.Column("analysis_memory_mb", ID, nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_world_config_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_world_config"),
    )


def downgrade() -> None:
    op.drop_table("dam_world_config")
    op.drop_table("dam_lease")
    op.drop_table("dam_needs_metadata_extraction")
    op.drop_table("dam_derivation")
    op.drop_table("dam_run")
    op.drop_table("dam_entity")

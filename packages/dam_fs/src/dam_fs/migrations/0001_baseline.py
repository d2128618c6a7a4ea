"""The file plugin's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dam_fs_store",
        sa.Column("slot", sa.String(length=16), nullable=False),
        sa.Column("store_id", sa.String(length=36), nullable=False),
        sa.Column("location", sa.String(length=4096), nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_dam_fs_store"),
    )
    op.create_table(
        "dam_fs_config",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("storage_path", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("readers", ID, nullable=True),
        sa.Column("ignore_file", sa.String(), nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_fs_config_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_fs_config"),
    )
    op.create_table(
        "dam_fs_content_hash_md5",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("hash_value", sa.LargeBinary(length=16), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_fs_content_hash_md5_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_fs_content_hash_md5"),
    )
    op.create_index("ix_dam_fs_content_hash_md5_hash_value", "dam_fs_content_hash_md5", ["hash_value"], unique=False)
    op.create_table(
        "dam_fs_content_hash_sha256",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("hash_value", sa.LargeBinary(length=32), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_fs_content_hash_sha256_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_fs_content_hash_sha256"),
        sa.UniqueConstraint("hash_value", name="uq_dam_fs_content_hash_sha256_hash_value"),
    )
    op.create_table(
        "dam_fs_file_location",
        sa.Column("id", ID, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("contextual_filename", sa.String(length=1024), nullable=False),
        sa.Column("content_identifier", sa.String(length=64), nullable=False),
        sa.Column("physical_path_or_key", sa.LargeBinary(), nullable=False),
        sa.Column("storage_type", sa.String(length=16), nullable=False),
        sa.Column("condition", sa.String(length=16), nullable=False),
        sa.Column("location_key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_fs_file_location_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dam_fs_file_location"),
        sa.UniqueConstraint(
            "entity_id", "location_key", "contextual_filename", name="uq_dam_fs_file_location_entity_id"
        ),
    )
    op.create_index(
        "ix_dam_fs_file_location_contextual_filename", "dam_fs_file_location", ["contextual_filename"], unique=False
    )
    op.create_index(
        "ix_dam_fs_file_location_reference",
        "dam_fs_file_location",
        ["location_key"],
        unique=False,
        sqlite_where=sa.text("storage_type = 'reference'"),
        postgresql_where=sa.text("storage_type = 'reference'"),
    )
    op.create_table(
        "dam_fs_file_properties",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("original_filename", sa.String(length=1024), nullable=False),
        sa.Column("size_bytes", ID, nullable=False),
        sa.Column("mime_type", sa.String(length=255), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_fs_file_properties_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_fs_file_properties"),
    )
    op.create_index("ix_dam_fs_file_properties_added_at", "dam_fs_file_properties", ["added_at"], unique=False)
    op.create_index("ix_dam_fs_file_properties_mime_type", "dam_fs_file_properties", ["mime_type"], unique=False)
    op.create_index(
        "ix_dam_fs_file_properties_original_filename", "dam_fs_file_properties", ["original_filename"], unique=False
    )
    op.create_index("ix_dam_fs_file_properties_size_bytes", "dam_fs_file_properties", ["size_bytes"], unique=False)
    op.create_table(
        "dam_fs_original_source_info",
        sa.Column("id", ID, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("original_path", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", ID, nullable=False),
        sa.Column("mtime_ns", ID, nullable=False),
        sa.Column("path_key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_fs_original_source_info_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dam_fs_original_source_info"),
        sa.UniqueConstraint("path_key", "entity_id", name="uq_dam_fs_original_source_info_path_key"),
    )
    op.create_index(
        "ix_dam_fs_original_source_info_entity_id", "dam_fs_original_source_info", ["entity_id"], unique=False
    )


def downgrade() -> None:
    op.drop_table("dam_fs_original_source_info")
    op.drop_table("dam_fs_file_properties")
    op.drop_table("dam_fs_file_location")
    op.drop_table("dam_fs_content_hash_sha256")
    op.drop_table("dam_fs_content_hash_md5")
    op.drop_table("dam_fs_config")
    op.drop_table("dam_fs_store")

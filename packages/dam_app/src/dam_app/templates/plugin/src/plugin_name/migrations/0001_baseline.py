"""The plugin's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "plugin_name_config",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("ignore_case", sa.Boolean(), nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"],
            ["dam_entity.id"],
            name="fk_plugin_name_config_entity_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_plugin_name_config"),
    )
    op.create_table(
        "plugin_name_label",
        sa.Column("id", ID, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("text", sa.String(length=100), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"],
            ["dam_entity.id"],
            name="fk_plugin_name_label_entity_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_plugin_name_label"),
        sa.UniqueConstraint("entity_id", "text", name="uq_plugin_name_label_entity_id"),
    )
    op.create_index(
        "ix_plugin_name_label_text",
        "plugin_name_label",
        ["text"],
    )


def downgrade() -> None:
    op.drop_table("plugin_name_label")
    op.drop_table("plugin_name_config")

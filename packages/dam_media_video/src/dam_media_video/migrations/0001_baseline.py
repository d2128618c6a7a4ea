"""The video plugin's table."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "dam_media_video_config",
        sa.Column("entity_id", ID, autoincrement=False, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["dam_entity.id"], name="fk_dam_media_video_config_entity_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entity_id", name="pk_dam_media_video_config"),
    )


def downgrade() -> None:
    op.drop_table("dam_media_video_config")

"""What was sent and taken, and is never shown; what a pin leaves out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the table, of which nothing is known yet, so each such value is sent once more; pins leave nothing out."""
    with op.batch_alter_table("schema_pin") as pins:
        pins.add_column(sa.Column("left_out", sa.JSON, nullable=False, server_default="[]"))
    op.create_table(
        "unshown",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("sent", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("mapping", sa.Text, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
    )

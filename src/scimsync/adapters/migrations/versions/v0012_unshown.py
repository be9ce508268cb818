"""What was sent and taken, and is never shown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the table; nothing is known yet, so each such value is sent once more."""
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

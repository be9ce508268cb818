"""Since when the accounts of people who left are inactive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table; nothing is known yet, so accounts that are inactive count from when they are met."""
    op.create_table(
        "ending",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("proven", sa.Boolean, nullable=False),
    )

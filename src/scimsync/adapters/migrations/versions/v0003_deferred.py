"""References that wait for an account, from one run to the next."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "deferred",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("awaits", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
    )

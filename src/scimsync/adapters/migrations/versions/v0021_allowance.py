"""What is known of the limit of each client, shared by all processes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0026"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "allowance",
        sa.Column("client", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("known", sa.Text, nullable=False),
        sa.Column("changed", sa.String(32), nullable=False),
    )

"""The memberships of groups that both sides last agreed on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "membership",
        sa.Column("group_id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
    )

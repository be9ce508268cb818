"""What runs learn of groups: which group a name meant, and which groups show only a part of their members."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the tables; nothing is known yet."""
    op.create_table(
        "group_name",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("group_id", sa.Text, nullable=False),
    )
    op.create_table("group_partial", sa.Column("group_id", sa.Text, primary_key=True))

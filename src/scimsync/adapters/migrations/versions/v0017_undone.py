"""What people took back though HR says otherwise, and of a run which one it takes back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Create the table and add the column; no run of before took one back."""
    op.create_table(
        "undone",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("wanted", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
    )
    with op.batch_alter_table("run") as runs:
        runs.add_column(sa.Column("undoes", sa.Text, nullable=False, server_default=""))

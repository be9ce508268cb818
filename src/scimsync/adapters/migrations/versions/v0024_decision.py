"""What people decided about conflicts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Create the table; nothing was decided before."""
    op.create_table(
        "decision",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("wins", sa.Text, nullable=False),
        sa.Column("sides", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("until", sa.Date),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("ended", sa.String(32)),
        sa.Column("ended_by", sa.Text, nullable=False),
    )
    held = sa.text("ended IS NULL")
    op.create_index(
        "ix_decision_held", "decision", ["key", "path"], unique=True, sqlite_where=held, postgresql_where=held
    )

"""How far each schedule has come, and which alarms people were told of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0021"


def upgrade() -> None:
    """Create the tables; nothing ran by the clock before."""
    op.create_table(
        "schedule",
        sa.Column("schedule", sa.Text, primary_key=True),
        sa.Column("expression", sa.Text, primary_key=True),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("slot", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("retry", sa.String(32)),
        sa.Column("ended", sa.Text, nullable=False),
        sa.Column("at", sa.String(32)),
        sa.Column("code", sa.Integer, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("succeeded", sa.String(32)),
        sa.Column("held", sa.Integer),
        sa.Column("stale", sa.Boolean, nullable=False),
    )
    op.create_table(
        "alarm",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("on", sa.Boolean, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("told", sa.String(32)),
        sa.Column("announced", sa.Boolean, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("peak", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
    )

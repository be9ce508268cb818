"""The outbox of letters to endpoints, and the calls from outside that wait for a run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "outbox",
        sa.Column("seq", SERIAL, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, index=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("due", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("tried", sa.String(32)),
        sa.Column("delivered", sa.String(32)),
        sa.Index("ix_outbox_due", "endpoint", "state", "due", "seq"),
        sa.Index("ix_outbox_person", "endpoint", "state", "person", "seq"),
    )
    op.create_table(
        "inbound",
        sa.Column("seq", SERIAL, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("keys", sa.JSON, nullable=False),
        sa.Column("answered", sa.Boolean, nullable=False),
    )

"""Runs, links, the journal, and the one lease. Instants are ISO 8601 texts in UTC, which sort by time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the four tables, and the row of the lease that everybody locks."""
    op.create_table(
        "run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created", sa.String(32), nullable=False, index=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("agreed", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("finished", sa.String(32)),
        sa.Column("tally", sa.JSON, nullable=False),
        sa.Column("statuses", sa.JSON, nullable=False),
        sa.Column("health", sa.JSON),
        sa.Column("partial", sa.Boolean, nullable=False),
    )
    op.create_table(
        "link",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False, index=True),
    )
    op.create_table(
        "journal",
        sa.Column("seq", SERIAL, primary_key=True),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("outcome", sa.JSON),
        sa.Index("ix_journal_run_seq", "run", "seq"),
    )
    lease = op.create_table(
        "lease",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("fence", SERIAL, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("since", sa.String(32)),
        sa.Column("renewed", sa.String(32)),
    )
    nobody = {"id": 1, "fence": 0, "owner": "", "host": "", "place": "", "pid": 0, "started": ""}
    op.bulk_insert(lease, [nobody])

"""Digests of the files beside the store, and an index over the few keys that are gone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"


def upgrade() -> None:
    """Create the table; files of before have no digest, and are proven by what rests on them alone."""
    op.create_table(
        "artifact",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("under", sa.JSON, nullable=False),
    )
    gone = sa.text("secret IS NULL")
    op.create_index("ix_audit_key_gone", "audit_key", ["pseudonym"], sqlite_where=gone, postgresql_where=gone)

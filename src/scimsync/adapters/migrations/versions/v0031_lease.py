"""How long the silence of whoever holds the lease is borne, where they say so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add the column; holders before said nothing of it."""
    op.add_column("lease", sa.Column("bears", sa.Integer))

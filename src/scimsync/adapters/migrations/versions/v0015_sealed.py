"""The digest of a plan, and what applying it took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns; of runs of before neither is known, and their plans are proven by their files alone."""
    with op.batch_alter_table("run") as runs:
        runs.add_column(sa.Column("digest", sa.Text, nullable=False, server_default=""))
        runs.add_column(sa.Column("spent", sa.JSON, nullable=False, server_default="{}"))

"""How many members a group showed when it was found to show only a part of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; of the groups that are known it is counted when they are next read."""
    op.add_column("group_partial", sa.Column("shown", sa.Integer, nullable=True))

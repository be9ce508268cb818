"""What each run did, so that limits count over several; and what was refused and has no answer yet.

What runs did before this step is not known, and counts with none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("run", sa.Column("began", sa.String(32)))
    op.add_column("run", sa.Column("done", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("run", sa.Column("answered", sa.JSON, nullable=False, server_default="[]"))
    op.create_index("ix_run_began", "run", ["began"])
    op.create_index("ix_run_state", "run", ["state"])
    op.create_table(
        "frozen",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("run", sa.Text, nullable=False),
    )

"""Order as numbers, and whose people a link is about.

Runs that are there are numbered by the moment they were made, which is all that is known of their order.
Links that are there belong to nobody: the first source that knows most of their keys takes them over.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NOT_BEGUN = ("planned", "refused")


def upgrade() -> None:
    """Add the columns and the table, and number the runs."""
    for name in ("seq", "begun"):
        op.add_column("run", sa.Column(name, SERIAL, nullable=False, server_default="0"))
    op.add_column("run", sa.Column("source", sa.Text, nullable=False, server_default=""))
    op.add_column("run", sa.Column("takes", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("link", sa.Column("source", sa.Text, nullable=False, server_default=""))
    op.create_table("source", sa.Column("name", sa.Text, primary_key=True))
    run = sa.table("run", *map(sa.column, ("id", "created", "state", "seq", "begun")))
    connection = op.get_bind()
    found = connection.execute(sa.select(run.c.id, run.c.state).order_by(run.c.created, run.c.id)).all()
    for seq, (name, state) in enumerate(found, 1):
        begun = 0 if state in NOT_BEGUN else seq
        connection.execute(sa.update(run).where(run.c.id == name).values(seq=seq, begun=begun))
    op.create_index("ix_run_seq", "run", ["seq"])
    op.create_index("ix_run_begun", "run", ["begun"])

"""The audit chain: records, the keys of their personal parts, the head, and checkpoints."""

from __future__ import annotations

import hashlib
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, the one row of the head, and what keeps records from being changed by accident."""
    op.create_table(
        "audit",
        sa.Column("seq", SERIAL, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Index("ix_audit_run_seq", "run", "seq"),
        sa.Index("ix_audit_person_seq", "person", "seq"),
        sa.Index("ix_audit_kind_seq", "kind", "seq"),
    )
    op.create_table(
        "audit_key",
        sa.Column("pseudonym", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("secret", sa.LargeBinary),
        sa.Column("erased", sa.String(32)),
        sa.Column("erased_by", sa.Text, nullable=False),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("size", SERIAL, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", SERIAL, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    origin = f"scimsync/{secrets.token_hex(8)}"
    first = hashlib.sha256(origin.encode()).digest()
    empty = {"id": 1, "origin": origin, "secret": secrets.token_bytes(32), "size": 0, "hash": first, "frontier": b""}
    op.bulk_insert(head, [empty])
    if op.get_context().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit chain is only added to'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION audit_only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit chain is only added to'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_only_added_to()"
        )

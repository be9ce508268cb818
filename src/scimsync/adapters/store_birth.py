"""A new state, made at once with the tables of today.

An older state walks the steps of `migrations/`, and may take its time: it does so once. A new one would walk all of
them to come to the same tables, after half a second of importing Alembic. A test holds the two roads together.
"""

from __future__ import annotations

import hashlib
import secrets

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from scimsync.adapters.store_tables import HEAD, LEASE, NOBODY, TABLES

#: the audit chain is only added to, whoever asks
_GUARDS = {
    "sqlite": tuple(
        f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit chain is only added to'); END"
        for verb in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        "CREATE FUNCTION audit_only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit chain is only added to'; END $$",
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_only_added_to()",
    ),
}


def bear(connection: sa.Connection, version_table: str, revision: str) -> None:
    """Make all tables, the rows that everybody locks, and the note of how far the state is.

    Args:
        connection: of an empty database, in a transaction of the caller.
        version_table: where Alembic keeps the revision.
        revision: the newest one.
    """
    dialect = connection.dialect
    for table in TABLES.sorted_tables:
        connection.exec_driver_sql(str(CreateTable(table).compile(dialect=dialect)))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.exec_driver_sql(str(CreateIndex(index).compile(dialect=dialect)))
    for guard in _GUARDS[dialect.name]:
        connection.exec_driver_sql(guard)
    connection.execute(sa.insert(LEASE).values(id=1, fence=0, **NOBODY))
    origin = f"scimsync/{secrets.token_hex(8)}"
    start = {"hash": hashlib.sha256(origin.encode()).digest(), "frontier": b""}
    connection.execute(sa.insert(HEAD).values(id=1, origin=origin, secret=secrets.token_bytes(32), size=0, **start))
    key = f"CONSTRAINT {version_table}_pkc PRIMARY KEY (version_num)"
    connection.exec_driver_sql(f"CREATE TABLE {version_table} (version_num VARCHAR(32) NOT NULL, {key})")
    connection.execute(sa.text(f"INSERT INTO {version_table} VALUES (:revision)"), {"revision": revision})  # noqa: S608

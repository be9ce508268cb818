"""The tables of the state."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from scimsync.model.events import MessageState


class Instant(sa.TypeDecorator[datetime]):
    """A moment, kept as ISO 8601 in UTC with microseconds: the same on every database, and sortable."""

    impl = sa.String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else datetime.fromisoformat(value)


TABLES = sa.MetaData()
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
RUN = sa.Table(
    "run",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("created", Instant, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("agreed", sa.Text, nullable=False),
    sa.Column("base", sa.Text, nullable=False),
    sa.Column("finished", Instant),
    sa.Column("tally", sa.JSON, nullable=False),
    sa.Column("statuses", sa.JSON, nullable=False),
    sa.Column("health", sa.JSON(none_as_null=True)),
    sa.Column("partial", sa.Boolean, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("takes", sa.JSON, nullable=False),
    sa.Column("seq", _SERIAL, nullable=False, index=True),
    sa.Column("begun", _SERIAL, nullable=False, index=True),
    sa.Column("began", Instant, index=True),
    sa.Column("done", sa.JSON, nullable=False),
    sa.Column("answered", sa.JSON, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("spent", sa.JSON, nullable=False),
    sa.Column("undoes", sa.Text, nullable=False),
    sa.Index("ix_run_state", "state"),
)
FROZEN = sa.Table(
    "frozen",
    TABLES,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("run", sa.Text, nullable=False),
)
LINK = sa.Table(
    "link",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False, index=True),
    sa.Column("source", sa.Text, nullable=False),
)
SOURCE = sa.Table("source", TABLES, sa.Column("name", sa.Text, primary_key=True))
LINK_DECISION = sa.Table(
    "link_decision",
    TABLES,
    sa.Column("seq", _SERIAL, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("same", sa.Boolean, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
)
MEMBERSHIP = sa.Table(
    "membership",
    TABLES,
    sa.Column("group_id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, primary_key=True),
)
GROUP_NAME = sa.Table(
    "group_name",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("group_id", sa.Text, nullable=False),
)
GROUP_PARTIAL = sa.Table(
    "group_partial", TABLES, sa.Column("group_id", sa.Text, primary_key=True), sa.Column("shown", sa.Integer)
)
JOURNAL = sa.Table(
    "journal",
    TABLES,
    sa.Column("seq", _SERIAL, primary_key=True),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("outcome", sa.JSON(none_as_null=True)),
    sa.Index("ix_journal_run_seq", "run", "seq"),
)
DEFERRED = sa.Table(
    "deferred",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("awaits", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
)
ENDING = sa.Table(
    "ending",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("proven", sa.Boolean, nullable=False),
)
SUSPECT = sa.Table(
    "suspect",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("readings", sa.Integer, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("last", Instant, nullable=False),
    sa.Column("delivery", sa.Text, nullable=False),
)
UNSHOWN = sa.Table(
    "unshown",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("sent", sa.Text, nullable=False),
    sa.Column("shown", sa.Text, nullable=False),
    sa.Column("mapping", sa.Text, nullable=False),
    sa.Column("schema", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
)
UNDONE = sa.Table(
    "undone",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("wanted", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
)
ACCEPTANCE = sa.Table(
    "acceptance",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("until", sa.Date, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
)
DECISION = sa.Table(
    "decision",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("wins", sa.Text, nullable=False),
    sa.Column("sides", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("proof", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("until", sa.Date),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("ended", Instant),
    sa.Column("ended_by", sa.Text, nullable=False),
)
#: of one subject one decision holds, whoever is first
sa.Index(
    "ix_decision_held",
    DECISION.c.key,
    DECISION.c.path,
    unique=True,
    sqlite_where=DECISION.c.ended.is_(None),
    postgresql_where=DECISION.c.ended.is_(None),
)
APPROVAL = sa.Table(
    "approval",
    TABLES,
    sa.Column("seq", _SERIAL, primary_key=True),
    sa.Column("run", sa.Text, nullable=False, index=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("proof", sa.Text, nullable=False),
    sa.Column("approves", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("until", Instant, nullable=False),
    sa.Column("signature", sa.Text, nullable=False),
)
APPROVAL_RULE = sa.Table(
    "approval_rule",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
)
QUARANTINE = sa.Table(
    "quarantine",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("since", Instant, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
)
LEASE = sa.Table(
    "lease",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fence", _SERIAL, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("since", Instant),
    sa.Column("renewed", Instant),
    sa.Column("bears", sa.Integer),
)
PIN = sa.Table(
    "schema_pin",
    TABLES,
    sa.Column("id", _SERIAL, primary_key=True),
    sa.Column("target", sa.Text, nullable=False, index=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("documents", sa.JSON, nullable=False),
    sa.Column("left_out", sa.JSON, nullable=False),
)
AUDIT = sa.Table(
    "audit",
    TABLES,
    sa.Column("seq", _SERIAL, primary_key=True, autoincrement=False),
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
KEY = sa.Table(
    "audit_key",
    TABLES,
    sa.Column("pseudonym", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("secret", sa.LargeBinary),
    sa.Column("erased", Instant),
    sa.Column("erased_by", sa.Text, nullable=False),
)
#: the few keys that are gone: each command that writes asks whether an erasure tells of them
#: on PostgreSQL the same, as `store_engine.open_postgres` says: to name it here would load 30 ms for all others
GONE = sa.Index("ix_audit_key_gone", KEY.c.pseudonym, sqlite_where=KEY.c.secret.is_(None))
HEAD = sa.Table(
    "audit_head",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("size", _SERIAL, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
)
CHECKPOINT = sa.Table(
    "checkpoint",
    TABLES,
    sa.Column("size", _SERIAL, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)
ARTIFACT = sa.Table(
    "artifact",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("under", sa.JSON, nullable=False),
)
ALLOWANCE = sa.Table(
    "allowance",
    TABLES,
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("known", sa.Text, nullable=False),
    sa.Column("changed", Instant, nullable=False),
)
USER = sa.Table(
    "console_user",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
)
PASSKEY = sa.Table(
    "console_passkey",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("used", Instant),
)
TOKEN = sa.Table(
    "console_token",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("expires", Instant, nullable=False),
)
OUTBOX = sa.Table(
    "outbox",
    TABLES,
    sa.Column("seq", _SERIAL, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, index=True),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created", Instant, nullable=False),
    sa.Column("due", Instant, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("tried", Instant),
    sa.Column("delivered", Instant),
    sa.Index("ix_outbox_due", "endpoint", "state", "due", "seq"),
    sa.Index("ix_outbox_person", "endpoint", "state", "person", "seq"),
)
SCHEDULE = sa.Table(
    "schedule",
    TABLES,
    sa.Column("schedule", sa.Text, primary_key=True),
    sa.Column("expression", sa.Text, primary_key=True),
    sa.Column("since", Instant, nullable=False),
    sa.Column("slot", Instant, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("retry", Instant),
    sa.Column("ended", sa.Text, nullable=False),
    sa.Column("at", Instant),
    sa.Column("code", sa.Integer, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("succeeded", Instant),
    sa.Column("held", sa.Integer),
    sa.Column("stale", sa.Boolean, nullable=False),
)
ALARM = sa.Table(
    "alarm",
    TABLES,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("on", sa.Boolean, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("told", Instant),
    sa.Column("announced", sa.Boolean, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("peak", sa.Integer, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
)
INBOUND = sa.Table(
    "inbound",
    TABLES,
    sa.Column("seq", _SERIAL, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("keys", sa.JSON, nullable=False),
    sa.Column("answered", sa.Boolean, nullable=False),
)
PENDING = MessageState.PENDING.value
NOBODY = {
    "owner": "", "host": "", "place": "", "pid": 0, "started": "", "since": None, "renewed": None, "bears": None,
}  # fmt: skip

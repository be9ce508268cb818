"""The store on SQLite (a file of this machine) or PostgreSQL (by URL), and the private files beside it.

Every method is one durable transaction. On SQLite that takes WAL, `synchronous=FULL` and
`BEGIN IMMEDIATE`: the default of the driver loses updates without an error. On PostgreSQL a row that is
read to be written is locked. The tables are made by the steps in `migrations/`.

The lease is one row. Its `fence` grows by one with each holder, and each write of a holder looks at it,
so a process that slept while another took over writes nothing any more.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import sqlite3
import stat
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from scimsync import files
from scimsync.engine import ledger
from scimsync.errors import ConfigError, ProtocolError, StoreDamaged, StoreError, StoreLocked
from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.audit import Entry, Head, PersonKey, Record
from scimsync.model.events import Call, Letter, LetterState
from scimsync.model.outcomes import (
    Deferred,
    Document,
    JournalLine,
    Link,
    LinkDecision,
    Outcome,
    Pin,
    Run,
    RunState,
    Status,
    Step,
)
from scimsync.model.records import SourceHealth
from scimsync.scim.schema import value_from_json, value_to_json

#: The steps in `migrations/versions`, oldest first. Kept here so that a store that is up to date opens
#: without importing Alembic; a test holds the two together.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
VERSION_TABLE = "scimsync_version"

#: How often a holder says that it lives, and how long its silence is borne on another machine.
RENEW_S = 60.0
EXPIRY = timedelta(minutes=10)

_CHUNK = 1000
_SMALLEST = 512  # bytes in a page of SQLite, at the least
_ARTIFACT = re.compile(r"[A-Za-z0-9._-]+")
_MIGRATING = threading.Lock()
# of the advisory locks on PostgreSQL; any numbers that nobody else uses
_MIGRATION_KEY, _NUMBER_KEY = 7_364_963_219, 7_364_963_220


class WallClock(Protocol):
    """The part of the Clock port that the store needs."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...


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

_RUN = sa.Table(
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
    sa.Index("ix_run_state", "state"),
)
_FROZEN = sa.Table(
    "frozen",
    TABLES,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("run", sa.Text, nullable=False),
)
_LINK = sa.Table(
    "link",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False, index=True),
    sa.Column("source", sa.Text, nullable=False),
)
_SOURCE = sa.Table("source", TABLES, sa.Column("name", sa.Text, primary_key=True))
_LINK_DECISION = sa.Table(
    "link_decision",
    TABLES,
    sa.Column("seq", _SERIAL, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("same", sa.Boolean, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
)
_MEMBERSHIP = sa.Table(
    "membership",
    TABLES,
    sa.Column("group_id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, primary_key=True),
)
_GROUP_NAME = sa.Table(
    "group_name",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("group_id", sa.Text, nullable=False),
)
_GROUP_PARTIAL = sa.Table("group_partial", TABLES, sa.Column("group_id", sa.Text, primary_key=True))
_JOURNAL = sa.Table(
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
_DEFERRED = sa.Table(
    "deferred",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("awaits", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
)
_LEASE = sa.Table(
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
)
_PIN = sa.Table(
    "schema_pin",
    TABLES,
    sa.Column("id", _SERIAL, primary_key=True),
    sa.Column("target", sa.Text, nullable=False, index=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("documents", sa.JSON, nullable=False),
)
_AUDIT = sa.Table(
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
_KEY = sa.Table(
    "audit_key",
    TABLES,
    sa.Column("pseudonym", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("secret", sa.LargeBinary),
    sa.Column("erased", Instant),
    sa.Column("erased_by", sa.Text, nullable=False),
)
_HEAD = sa.Table(
    "audit_head",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("size", _SERIAL, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
)
_CHECKPOINT = sa.Table(
    "checkpoint",
    TABLES,
    sa.Column("size", _SERIAL, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)
_OUTBOX = sa.Table(
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
_INBOUND = sa.Table(
    "inbound",
    TABLES,
    sa.Column("seq", _SERIAL, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("keys", sa.JSON, nullable=False),
    sa.Column("answered", sa.Boolean, nullable=False),
)
_PENDING = LetterState.PENDING.value
_NOBODY = {"owner": "", "host": "", "place": "", "pid": 0, "started": "", "since": None, "renewed": None}


class SqlStore:
    """The state in a database. Fits the Store port; may be used from several threads.

    Args:
        url: `sqlite:///PATH` or `postgresql://USER@HOST/NAME`.
        artifacts: the folder of the immutable files; made with mode 0700 where there is none.
        clock: says when; handed in.
        patience_s: how long to wait for somebody else's lock.

    Raises:
        ConfigError: The URL is none of the two.
        StoreError: The place cannot be used; the message says which, and what to do.
        StoreDamaged: What is there is not what we wrote.
        StoreLocked: Somebody kept it locked for longer than our patience.
    """

    def __init__(self, url: str, artifacts: Path, clock: WallClock, *, patience_s: float = 30.0) -> None:
        self._clock = clock
        self._artifacts = artifacts
        self._patience_s = patience_s
        self._fence: int | None = None
        parsed = _parse(url)
        self._name = _name(parsed)
        if parsed.get_backend_name() == "sqlite":
            self.engine = _sqlite(parsed, patience_s)
        else:
            self.engine = _postgres(parsed, patience_s)
        self._reader = self.engine.execution_options(scimsync_reading=True)
        try:
            _private_artifacts(artifacts)
            self._prepare()
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def lease(self, owner: str) -> Iterator[None]:
        """Hold the right to write to the target; a daemon thread says every minute that we live.

        Raises:
            StoreLocked: Another live process holds it; the message names process, host and since when.
        """
        fence = self._take(owner)
        self._fence = fence
        done = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(fence, done), name="scimsync-lease", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            done.set()
            renewer.join(self._patience_s)
            self._fence = None
            with suppress(StoreError):  # the next one finds us dead, or silent; keep the first error
                self._update_lease(fence, _NOBODY)

    def save_run(self, run: Run, letters: Sequence[Letter] = ()) -> None:
        """Insert or replace a run, and keep the letters that tell of it, in one commit."""
        row = {
            "id": run.id,
            "created": run.created,
            "state": run.state.value,
            "target": run.target,
            "plan": run.plan,
            "agreed": run.agreed,
            "base": run.base,
            "finished": run.finished,
            "tally": dict(run.tally),
            "statuses": dict(run.statuses),
            "health": None if run.health is None else _health_to_json(run.health),
            "partial": run.partial,
            "source": run.source,
            "takes": list(run.takes),
            "began": run.began,
            "done": dict(run.done),
            "answered": list(run.answered),
        }
        with self._writing() as connection:
            connection.execute(self._upsert(_RUN), row | _numbers(connection, run))
            _post(connection, letters)

    def runs(self, limit: int = 50) -> Sequence[Run]:
        """The latest runs, newest first, by their number."""
        return self._newest(_RUN.c.seq, limit)

    def begun(self, limit: int = 50) -> Sequence[Run]:
        """The runs that somebody began to apply, the one that was begun last first."""
        return self._newest(_RUN.c.begun, limit)

    def _newest(self, number: sa.Column[int], limit: int) -> Sequence[Run]:
        with self._reading() as connection:
            newest = sa.select(_RUN).where(number > 0).order_by(number.desc()).limit(limit)
            return [_run_from(row) for row in connection.execute(newest).mappings()]

    def run(self, run_id: str) -> Run | None:
        """One run by its id, or by an unambiguous beginning of it.

        Raises:
            ConfigError: Several runs begin so; the message lists them.
        """
        begins = sa.func.substr(_RUN.c.id, 1, len(run_id)) == run_id
        with self._reading() as connection:
            rows = connection.execute(sa.select(_RUN).where(begins).order_by(_RUN.c.id)).mappings().all()
            found = {run.id: run for run in map(_run_from, rows)} if run_id else {}
        if run_id in found or len(found) <= 1:
            return found.get(run_id) or next(iter(found.values()), None)
        raise ConfigError(f"several runs begin with {run_id}: {', '.join(found)}. Give more of the id.")

    def worked(self, since: datetime) -> Sequence[Run]:
        """The runs that somebody began to apply since a moment, and those that are still at it or were cut short."""
        at_work = sa.or_(_RUN.c.began >= since, _RUN.c.state == RunState.APPLYING.value)
        with self._reading() as connection:
            rows = connection.execute(sa.select(_RUN).where(at_work).order_by(_RUN.c.seq)).mappings()
            return [_run_from(row) for row in rows]

    def frozen(self, source: str) -> Mapping[str, str]:
        """The kinds of change of a source that wait for an answer, each with the run that was refused."""
        ours = sa.select(_FROZEN.c.kind, _FROZEN.c.run).where(_FROZEN.c.source == source)
        with self._reading() as connection:
            return {row.kind: row.run for row in connection.execute(ours)}

    def change_frozen(self, source: str, add: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        """Forget refusals that were answered, and note others."""
        gone = sa.delete(_FROZEN).where(_FROZEN.c.source == source, _FROZEN.c.kind.in_(list(remove)))
        rows = [{"source": source, "kind": kind, "run": run} for kind, run in add.items()]
        with self._writing() as connection:
            connection.execute(gone)
            if rows:
                connection.execute(self._upsert(_FROZEN), rows)

    def last_applied(self, source: str | None = None) -> Run | None:
        """The run (of one source, where one is named) that left the latest base, by the number in its name."""
        based = sa.select(_RUN).where(_RUN.c.base != "").order_by(_RUN.c.base.desc(), _RUN.c.id.desc())
        based = based if source is None else based.where(_RUN.c.source == source)
        with self._reading() as connection:
            row = connection.execute(based.limit(1)).mappings().one_or_none()
            return None if row is None else _run_from(row)

    def links(self) -> Iterator[Link]:
        """All links, read as they are walked."""
        with self._rows(sa.select(_LINK)) as rows:
            for row in rows:
                yield Link(**row)

    def owner_of(self, account: str) -> str | None:
        """The key that an account is linked to."""
        with self._reading() as connection:
            found = connection.execute(sa.select(_LINK.c.key).where(_LINK.c.account == account).limit(1)).scalar()
            return None if found is None else str(found)

    def save_links(self, links: Iterable[Link], released: Collection[str] = ()) -> Sequence[Link]:
        """Insert or replace links; those to accounts of other keys, which were not released, are given back."""
        waiting, refused = iter(links), list[Link]()
        with self._writing() as connection:
            while chunk := list(islice(waiting, _CHUNK)):
                refused += self._take_in(connection, chunk, frozenset(released))
        return refused

    def _take_in(self, connection: sa.Connection, links: Sequence[Link], released: Set[str]) -> list[Link]:
        """Write some links; give back those that would take an account from its owner."""
        keys, accounts = [link.key for link in links], [link.account for link in links]
        known = sa.select(_LINK).where(_LINK.c.key.in_(keys) | _LINK.c.account.in_(accounts))
        held = {row.key: row.account for row in connection.execute(known)}
        owners = {account: key for key, account in held.items()}
        taken, gone, refused = dict[str, Link](), set[str](), list[Link]()
        for link in links:
            owner = owners.get(link.account, link.key)
            if owner not in {link.key, *released}:
                refused.append(link)
                continue
            if owner != link.key:
                gone.add(owner)
                taken.pop(owner, None)
                held.pop(owner, None)
            if (former := held.get(link.key)) is not None:
                owners.pop(former, None)
            taken[link.key], held[link.key], owners[link.account] = link, link.account, link.key
        if gone:
            connection.execute(sa.delete(_LINK).where(_LINK.c.key.in_(gone)))
        if taken:
            connection.execute(self._upsert(_LINK), [asdict(link) for link in taken.values()])
            self._note_sources(connection, {link.source for link in taken.values()})
        return refused

    def decide_link(self, decision: LinkDecision) -> None:
        """Keep that a record and an account are one person, or are not, and make the links so, in one commit."""
        former = sa.delete(_LINK).where(_LINK.c.account == decision.account)
        if not decision.same:
            former = former.where(_LINK.c.key == decision.key)
        with self._writing() as connection:
            connection.execute(sa.insert(_LINK_DECISION).values(**asdict(decision)))
            connection.execute(former)
            if decision.same:
                link = Link(decision.key, decision.account, decision.source)
                connection.execute(self._upsert(_LINK), [asdict(link)])
                self._note_sources(connection, {link.source})

    def link_decisions(self) -> Sequence[LinkDecision]:
        """All of them, oldest first."""
        with self._rows(sa.select(_LINK_DECISION).order_by(_LINK_DECISION.c.seq)) as rows:
            return [LinkDecision(**{name: row[name] for name in row if name != "seq"}) for row in rows]

    def take_links(self, former: str, source: str) -> None:
        """Give all links of one source to another."""
        with self._writing() as connection:
            connection.execute(sa.update(_LINK).where(_LINK.c.source == former).values(source=source))
            self._note_sources(connection, {source})

    def sources(self) -> frozenset[str]:
        """The sources that have, or ever had, a link."""
        with self._reading() as connection:
            return frozenset(connection.scalars(sa.select(_SOURCE.c.name)))

    def _note_sources(self, connection: sa.Connection, names: Iterable[str]) -> None:
        if named := [{"name": name} for name in sorted(names) if name]:
            connection.execute(self._insert_once(_SOURCE), named)

    def deferred(self) -> Iterator[Deferred]:
        """References that wait for an account, by key and path."""
        with self._rows(sa.select(_DEFERRED).order_by(_DEFERRED.c.key, _DEFERRED.c.path)) as rows:
            for row in rows:
                yield Deferred(**row)

    def save_deferred(self, waiting: Iterable[Deferred], settled: Iterable[tuple[str, str]] = ()) -> None:
        """Forget the settled ones and remember those that wait; one that waits already stays as it is."""
        gone = ({"k": key, "p": path} for key, path in settled)
        rows = (asdict(edge) for edge in waiting)
        table = _DEFERRED
        forget = sa.delete(table).where(table.c.key == sa.bindparam("k"), table.c.path == sa.bindparam("p"))
        remember = self._upsert(table)
        with self._writing() as connection:
            while chunk := list(islice(gone, _CHUNK)):
                connection.execute(forget, chunk)
            known = {(row.key, row.path, row.awaits) for row in connection.execute(sa.select(table))}
            fresh = (row for row in rows if (row["key"], row["path"], row["awaits"]) not in known)
            while chunk := list(islice(fresh, _CHUNK)):
                connection.execute(remember, chunk)

    def memberships(self) -> Iterator[Membership]:
        """The memberships that both sides last agreed on, read as they are walked."""
        with self._rows(sa.select(_MEMBERSHIP)) as rows:
            for row in rows:
                yield Membership(row["group_id"], row["account"])

    def change_memberships(self, add: Iterable[Membership], remove: Iterable[Membership]) -> None:
        """Take memberships into what was agreed, and out of it, in one transaction."""
        gone = sa.delete(_MEMBERSHIP).where(
            _MEMBERSHIP.c.group_id == sa.bindparam("group"), _MEMBERSHIP.c.account == sa.bindparam("member")
        )
        former = ({"group": m.group, "member": m.account} for m in remove)
        fresh = ({"group_id": m.group, "account": m.account} for m in add)
        with self._writing() as connection:
            while chunk := list(islice(former, _CHUNK)):
                connection.execute(gone, chunk)
            while chunk := list(islice(fresh, _CHUNK)):
                connection.execute(self._insert_once(_MEMBERSHIP), chunk)

    def group_memory(self) -> GroupMemory:
        """What earlier runs learned of groups."""
        with self._rows(sa.select(_GROUP_NAME)) as rows:
            names = {row["name"]: row["group_id"] for row in rows}
        with self._rows(sa.select(_GROUP_PARTIAL)) as rows:
            return GroupMemory(names=names, partial=frozenset(row["group_id"] for row in rows))

    def remember_groups(self, memory: GroupMemory) -> None:
        """Remember this of groups, in place of what was remembered before."""
        with self._writing() as connection:
            for table, rows in (
                (_GROUP_NAME, [{"name": name, "group_id": group} for name, group in memory.names.items()]),
                (_GROUP_PARTIAL, [{"group_id": group} for group in memory.partial]),
            ):
                connection.execute(sa.delete(table))
                if rows:
                    connection.execute(sa.insert(table), rows)

    def append(
        self, lines: Sequence[JournalLine], records: Sequence[Record] = (), letters: Sequence[Letter] = ()
    ) -> None:
        """Make journal lines, audit records and letters durable, all in one commit.

        Raises:
            StoreLocked: There are lines, and the lease is somebody else's by now; nothing was written.
        """
        if not lines and not records:
            return
        rows = [_line_to_row(line) for line in lines]
        with self._writing(alone=bool(lines)) as connection:
            if rows:
                connection.execute(sa.insert(_JOURNAL), rows)
            if records:
                self._chain(connection, records)
            if letters:
                _post(connection, letters)

    def journal(self, run_id: str, *, since: datetime | None = None) -> Iterator[JournalLine]:
        """The lines of one run in the order they were written; only later ones, where `since` says so."""
        lines = sa.select(_JOURNAL).where(_JOURNAL.c.run == run_id).order_by(_JOURNAL.c.seq)
        if since is not None:
            lines = lines.where(_JOURNAL.c.at >= since)
        with self._rows(lines) as rows:
            for row in rows:
                yield _line_from(row)

    def save_pin(self, pin: Pin) -> None:
        """Record a baseline; those before it are kept as history."""
        documents = {name: {"body": held.body, "tag": held.tag} for name, held in pin.documents.items()}
        row = {"target": pin.target, "at": pin.at, "actor": pin.actor, "documents": documents}
        with self._writing() as connection:
            connection.execute(sa.insert(_PIN), row)

    def pin(self, target: str) -> Pin | None:
        """The latest baseline of a target."""
        latest = sa.select(_PIN).where(_PIN.c.target == target).order_by(_PIN.c.id.desc()).limit(1)
        with self._reading() as connection:
            row = connection.execute(latest).mappings().one_or_none()
            return None if row is None else _pin_from(row)

    def head(self) -> Head:
        """The end of the audit chain, as it was left by the last record."""
        with self._reading() as connection:
            return _head_from(connection.execute(sa.select(_HEAD)).mappings().one())

    def entries(
        self, *, after: int = 0, run: str = "", kind: str = "", people: Sequence[str] = (), newest: int = 0
    ) -> Iterator[Entry]:
        """The audit chain in its order, read as it is walked."""
        wanted = sa.select(_AUDIT).where(_AUDIT.c.seq > after)
        for column, value in ((_AUDIT.c.run, run), (_AUDIT.c.kind, kind)):
            wanted = wanted.where(column == value) if value else wanted
        if people:
            wanted = wanted.where(_AUDIT.c.person.in_(people))
        if newest:
            latest = wanted.order_by(_AUDIT.c.seq.desc()).limit(newest).subquery()
            wanted = sa.select(latest)
        with self._tuples(wanted.order_by(wanted.selected_columns.seq)) as rows:
            for row in rows:
                seq, at, what, of_run, person, body, digest = row
                yield Entry(seq, at, what, of_run, person, _as_bytes(body), _as_bytes(digest))

    def keys(self, person: str) -> Sequence[PersonKey]:
        """Every key that a person ever had in the audit chain, oldest first."""
        with self._reading() as connection:
            secret = connection.execute(sa.select(_HEAD.c.secret)).scalar_one()
            return ledger.lives(secret, person, lambda name: _key(connection, name))

    def key(self, pseudonym: str) -> PersonKey | None:
        """The key kept under a pseudonym."""
        with self._reading() as connection:
            return _key(connection, pseudonym)

    def erase(self, person: str, record: Record) -> int:
        """Destroy the key of a person and record that; how many keys were destroyed."""
        with self._writing() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete=on")
            row = self._locked_head(connection)
            live = [k for k in ledger.lives(row["secret"], person, lambda n: _key(connection, n)) if k.secret]
            if not live:
                return 0
            self._chain(connection, [record], row)
            for key in live:
                gone = _key_to_row(ledger.erased(key, record.at, record.actor))
                connection.execute(sa.update(_KEY).where(_KEY.c.pseudonym == key.pseudonym).values(gone))
        if self.engine.dialect.name == "sqlite":  # else the write-ahead log still holds the key
            with self._reading() as connection:
                connection.rollback()
                driver = connection.connection.driver_connection
                if driver is not None:
                    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return len(live)

    def save_checkpoint(self, size: int, at: datetime, note: str) -> None:
        """Keep a signed checkpoint; one of the same size is replaced."""
        with self._writing() as connection:
            connection.execute(self._upsert(_CHECKPOINT), {"size": size, "at": at, "note": note})

    def checkpoints(self) -> Sequence[str]:
        """The signed checkpoints, the smallest first."""
        with self._reading() as connection:
            return list(connection.scalars(sa.select(_CHECKPOINT.c.note).order_by(_CHECKPOINT.c.size)))

    def _locked_head(self, connection: sa.Connection) -> sa.RowMapping:
        return connection.execute(sa.select(_HEAD).with_for_update()).mappings().one()

    def _chain(self, connection: sa.Connection, records: Sequence[Record], row: sa.RowMapping | None = None) -> None:
        row = row or self._locked_head(connection)
        names = {ledger.pseudonym(row["secret"], record.person) for record in records if record.person}
        known = {
            key.pseudonym: key
            for found in connection.execute(sa.select(_KEY).where(_KEY.c.pseudonym.in_(names))).mappings()
            for key in (_key_from(found),)
        }

        def find(name: str) -> PersonKey | None:
            return known.get(name) if name in names else _key(connection, name)

        book = ledger.Ledger(_head_from(row), row["secret"], find, secrets.token_bytes)
        entries = book.add(records)
        if book.made:
            connection.execute(sa.insert(_KEY), [_key_to_row(key) for key in book.made.values()])
        connection.execute(sa.insert(_AUDIT), [_entry_to_row(entry) for entry in entries])
        end = {"size": book.head.size, "hash": book.head.hash, "frontier": b"".join(book.head.frontier)}
        connection.execute(sa.update(_HEAD).values(end))

    def post(self, letters: Sequence[Letter]) -> None:
        """Keep letters that belong to no outcome."""
        with self._writing() as connection:
            _post(connection, letters)

    def take(self, endpoint: str, now: datetime, until: datetime, limit: int) -> Sequence[Letter]:
        """Letters that are due, earliest first, and nobody else's until `until`; of each person the oldest only."""
        due = _heads(endpoint).where(_OUTBOX.c.due <= now).order_by(_OUTBOX.c.due, _OUTBOX.c.seq).limit(limit)
        with self._reading() as connection:
            if connection.execute(due).first() is None:
                return []
        with self._writing() as connection:
            rows = connection.execute(due.with_for_update(of=_OUTBOX, skip_locked=True)).mappings().all()
            if rows:
                mine = _OUTBOX.c.seq.in_([row["seq"] for row in rows])
                connection.execute(sa.update(_OUTBOX).where(mine).values(due=until))
        return [_letter_from(row) for row in rows]

    def next_due(self, endpoint: str) -> datetime | None:
        """When the first letter that waits for no other is due; None where nothing is pending."""
        first = _heads(endpoint).with_only_columns(_OUTBOX.c.due).order_by(_OUTBOX.c.due).limit(1)
        with self._reading() as connection:
            found: datetime | None = connection.scalar(first)
            return found

    def settle(self, letters: Sequence[Letter]) -> None:
        """Keep what became of letters, by their `seq`. One that was settled by somebody else stays."""
        if not letters:
            return
        names = ("due", "attempts", "state", "status", "detail", "tried", "delivered")
        changed: dict[str, Any] = {name: sa.bindparam(f"its_{name}") for name in names}
        told = [_letter_to_row(letter) for letter in letters]
        rows = [{f"its_{name}": row[name] for name in ("seq", *names)} for row in told]
        mine = sa.and_(_OUTBOX.c.seq == sa.bindparam("its_seq"), _OUTBOX.c.state == _PENDING)
        with self._writing() as connection:
            connection.execute(sa.update(_OUTBOX).where(mine).values(changed), rows)

    def hasten(self, endpoint: str, now: datetime) -> None:
        """Make everything that is pending due now and its tries uncounted, because the endpoint is back."""
        self._change_letters({"due": now, "attempts": 0}, _pending(endpoint), _OUTBOX.c.attempts > 0)

    def bury(self, endpoint: str, detail: str, before: datetime | None = None) -> int:
        """Give up what is pending (and older than `before`, where given); how many that were."""
        dead = {"state": LetterState.DEAD.value, "detail": detail}
        older = [] if before is None else [_OUTBOX.c.created < before]
        return self._change_letters(dead, _pending(endpoint), *older)

    def redrive(self, ids: Sequence[str], now: datetime) -> int:
        """Make dead letters pending and due again, all where `ids` is empty; how many that were."""
        again = {"state": _PENDING, "attempts": 0, "due": now, "created": now}
        named = [_OUTBOX.c.id.in_(ids)] if ids else []
        return self._change_letters(again, _OUTBOX.c.state == LetterState.DEAD.value, *named)

    def letters(self, endpoint: str, state: LetterState, limit: int = 50) -> Sequence[Letter]:
        """The latest letters of an endpoint in a state, newest first."""
        these = sa.and_(_OUTBOX.c.endpoint == endpoint, _OUTBOX.c.state == state.value)
        latest = sa.select(_OUTBOX).where(these).order_by(_OUTBOX.c.seq.desc()).limit(limit)
        with self._reading() as connection:
            return [_letter_from(row) for row in connection.execute(latest).mappings()]

    def outbox(self) -> Mapping[str, Mapping[LetterState, int]]:
        """How many letters each endpoint has in each state."""
        by = (_OUTBOX.c.endpoint, _OUTBOX.c.state)
        found: dict[str, dict[LetterState, int]] = {}
        with self._reading() as connection:
            for endpoint, state, number in connection.execute(sa.select(*by, sa.func.count()).group_by(*by)):
                found.setdefault(endpoint, {})[LetterState(state)] = number
        return found

    def last_trouble(self, endpoint: str) -> Letter | None:
        """The letter that was tried last of those that have not arrived."""
        tried = sa.and_(_OUTBOX.c.endpoint == endpoint, _OUTBOX.c.tried.is_not(None))
        missing = _OUTBOX.c.state != LetterState.DELIVERED.value
        last = sa.select(_OUTBOX).where(tried, missing).order_by(_OUTBOX.c.tried.desc(), _OUTBOX.c.seq.desc()).limit(1)
        with self._reading() as connection:
            row = connection.execute(last).mappings().one_or_none()
            return None if row is None else _letter_from(row)

    def forget_letters(self, before: datetime) -> int:
        """Drop letters that were delivered before a time; how many that were."""
        old = sa.delete(_OUTBOX).where(_OUTBOX.c.state == LetterState.DELIVERED.value, _OUTBOX.c.delivered < before)
        with self._writing() as connection:
            return connection.execute(old).rowcount

    def accept(self, call: Call) -> bool:
        """Keep a call durably; False where one with this id was kept before."""
        known = sa.select(_INBOUND.c.seq).where(_INBOUND.c.id == call.id)
        row = {"id": call.id, "at": call.at, "keys": list(call.keys), "answered": False}
        try:
            with self._writing() as connection:
                if connection.execute(known).first() is not None:
                    return False
                connection.execute(sa.insert(_INBOUND), row)
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError):  # two came at once
                return False
            raise
        return True

    def waiting(self, limit: int = 100) -> Sequence[Call]:
        """Calls that no run has answered yet, oldest first."""
        open_ = sa.select(_INBOUND).where(sa.not_(_INBOUND.c.answered)).order_by(_INBOUND.c.seq).limit(limit)
        with self._reading() as connection:
            rows = connection.execute(open_).mappings()
            return [Call(id=row["id"], at=row["at"], keys=tuple(row["keys"])) for row in rows]

    def answered(self, ids: Sequence[str]) -> None:
        """Note that a run has looked at the people of these calls."""
        with self._writing() as connection:
            connection.execute(sa.update(_INBOUND).where(_INBOUND.c.id.in_(ids)).values(answered=True))

    def forget_calls(self, before: datetime) -> None:
        """Drop calls that came before a time and were answered."""
        with self._writing() as connection:
            connection.execute(sa.delete(_INBOUND).where(_INBOUND.c.answered, _INBOUND.c.at < before))

    def _change_letters(self, values: Mapping[str, object], *which: sa.ColumnElement[bool]) -> int:
        with self._writing() as connection:
            return connection.execute(sa.update(_OUTBOX).where(*which).values(dict(values))).rowcount

    def artifact(self, name: str) -> Path:
        """Where an artifact of that name is or shall be; the folder exists with mode 0700.

        Raises:
            StoreError: The name is not one of letters, digits, dot, line and underline.
        """
        if not _ARTIFACT.fullmatch(name) or name in {".", ".."}:
            raise StoreError(f"{name!r} cannot name an artifact; use letters, digits, '.', '-' and '_'.")
        return self._artifacts / name

    def close(self) -> None:
        """Let go of connections."""
        self.engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _translated(self._name), self._reader.connect() as connection:
            try:
                yield connection
            except (ValueError, KeyError, TypeError, ProtocolError) as error:
                raise _damaged(self._name, f"a row cannot be read ({type(error).__name__})") from error

    @contextmanager
    def _rows(self, statement: sa.Select[Any]) -> Iterator[sa.MappingResult]:
        """Rows as they are walked; a walk that is given up lets go of its cursor and connection."""
        with (
            self._reading() as connection,
            connection.execution_options(yield_per=_CHUNK).execute(statement) as result,
        ):
            yield result.mappings()

    @contextmanager
    def _tuples(self, statement: sa.Select[Any]) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Rows as tuples, for walks over a million of them."""
        with (
            self._reading() as connection,
            connection.execution_options(yield_per=_CHUNK).execute(statement) as result,
        ):
            yield map(tuple, result)

    @contextmanager
    def _writing(self, *, alone: bool = False) -> Iterator[sa.Connection]:
        """One transaction; under a lease of ours, only while it is ours; `alone`, only if nobody has one."""
        with _translated(self._name), self.engine.begin() as connection:
            mine = self._fence
            if mine is not None or alone:
                row = connection.execute(sa.select(_LEASE).with_for_update(read=True)).mappings().one()
                if row["fence"] != mine and (mine is not None or row["owner"]):
                    raise StoreLocked(_taken(row, mine))
            yield connection

    def _insert_once(self, table: sa.Table) -> sa.Executable:
        """An insert of rows that are all key, and may be there."""
        if self.engine.dialect.name == "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing()
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 30 ms that SQLite need not pay

        return postgresql.insert(table).on_conflict_do_nothing()

    def _upsert(self, table: sa.Table) -> sa.Executable:
        key = [column.name for column in table.primary_key]
        if self.engine.dialect.name == "sqlite":
            lite = sqlite.insert(table)
            return lite.on_conflict_do_update(key, set_={c.name: c for c in lite.excluded if c.name not in key})
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 30 ms that SQLite need not pay

        big = postgresql.insert(table)
        return big.on_conflict_do_update(
            index_elements=key, set_={c.name: c for c in big.excluded if c.name not in key}
        )

    def _take(self, owner: str) -> int:
        now, me = self._clock.now(), _myself()
        with _translated(self._name), self.engine.begin() as connection:
            row = connection.execute(sa.select(_LEASE).with_for_update()).mappings().one()
            if row["owner"] and _holds(row, me, now):
                raise StoreLocked(_at_work(row, me))
            fence = int(row["fence"]) + 1
            holder = {
                "fence": fence,
                "owner": owner or "scimsync",
                "host": me.host,
                "place": me.place,
                "pid": me.pid,
                "started": me.started,
                "since": now,
                "renewed": now,
            }
            connection.execute(sa.update(_LEASE).values(holder))
        return fence

    def _renew(self, fence: int, done: threading.Event) -> None:
        while not done.wait(RENEW_S):
            with suppress(StoreError):  # a passing trouble; the next append says so if it stays
                if not self._update_lease(fence, {"renewed": self._clock.now()}):
                    return

    def _update_lease(self, fence: int, values: Mapping[str, object]) -> bool:
        with _translated(self._name), self.engine.begin() as connection:
            mine = sa.update(_LEASE).where(_LEASE.c.fence == fence).values(dict(values))
            return connection.execute(mine).rowcount == 1

    def _prepare(self) -> None:
        with _translated(self._name), self._reader.connect() as connection:
            if connection.dialect.name == "sqlite":
                _check_pages(connection, self._name)
            version = self._version(connection)
        if version == REVISIONS[-1]:
            return
        if version is not None and version not in REVISIONS:
            raise StoreError(
                f"{self._name} was made by a newer scimsync (schema {version}; this one knows up to "
                f"{REVISIONS[-1]}). Update scimsync, or name another store."
            )
        self._migrate()

    def _version(self, connection: sa.Connection) -> str | None:
        tables = sa.inspect(connection)
        if tables.has_table(VERSION_TABLE):
            version = connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
            return None if version is None else str(version)
        if connection.dialect.name == "sqlite" and tables.get_table_names():
            raise StoreError(f"{self._name} is the database of another program. Name another file.")
        return None

    def _migrate(self) -> None:
        from alembic import command  # noqa: PLC0415 - 0.5 s, and a store needs it once in its life
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

        config = Config()
        folder = Path(__file__).parent / "migrations"
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        try:
            with _MIGRATING, _translated(self._name), self.engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_KEY)))
                config.attributes.update(connection=connection, version_table=VERSION_TABLE)
                command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(f"{self._name} cannot be brought up to date: {error}") from error


# Private files


def _private_file(path: Path) -> None:
    """See to it that the database is a file with mode 0600, before SQLite makes one with another.

    A file that is there is looked at but never opened: closing it would drop the locks that another
    store of this process holds on it (POSIX locks belong to the process, not to the descriptor).
    """
    _private_folder(path.parent)
    _check(path.parent)
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise _unusable(path.parent, PermissionError("no right to write there"))
    try:
        with suppress(FileExistsError):
            files.create(path).close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            beside = path.with_name(path.name + suffix)
            with suppress(FileNotFoundError):
                _check_database(beside, beside.lstat())
        if 0 < path.stat().st_size < _SMALLEST:  # SQLite would take it for a new one, and write over it
            raise _damaged(str(path), "it is too short for a database")
    except OSError as error:
        raise _unusable(path, error) from error


def _check_database(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is a link or no file. Give the path of the file itself.")
    files.check_own(path, found)
    if found.st_mode & 0o077:
        path.chmod(0o600)


def _check(folder: Path) -> None:
    """Whether nobody else can exchange what is in a folder."""
    try:
        files.check_folder(folder)
    except OSError as error:
        raise _unusable(folder, error) from error


def _private_folder(path: Path) -> None:
    """Make the folders that are missing, with mode 0700 whatever the umask. One that is there stays."""
    try:
        missing = [p for p in (path, *path.parents) if not p.exists()]
        for folder in reversed(missing):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                folder.chmod(0o700)
        if not path.is_dir():
            raise NotADirectoryError("it is no folder")
    except OSError as error:
        raise _unusable(path, error) from error


def _private_artifacts(path: Path) -> None:
    """As `_private_folder`; one that others may look into is closed if empty, else it is refused."""
    _private_folder(path)
    try:
        files.check_own(path, path.stat())
        if path.stat().st_mode & 0o077:
            if any(path.iterdir()):
                raise StoreError(f"others may look into {path}. Say `chmod 700 {path}`, or name another folder.")
            path.chmod(0o700)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> StoreError:
    reason = error.strerror or str(error)
    if isinstance(error, files.Foreign):
        return StoreError(f"{path}: {reason}, who could exchange the state. {error.cure}; or name another folder.")
    return StoreError(
        f"cannot write to {path}: {reason}. Give the user that runs scimsync the right to, or name another place."
    )


# Engines


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError("the store's url cannot be read; it looks like sqlite:///state.db") from error
    if parsed.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError(f"the store cannot be {parsed.drivername}; use sqlite:///PATH or postgresql://...")
    if parsed.database in {None, "", ":memory:"} or str(parsed.database).startswith("file:"):
        raise StoreError("the store needs a file, for a write-ahead log works nowhere else: sqlite:///state.db")
    return parsed.set(drivername="sqlite", query={})


def _name(url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"PostgreSQL {url.host or 'on this host'}/{url.database or ''}"


#: statements as text, for all stores of this process: a library or a service opens one for each call
_COMPILED: MutableMapping[Any, Any] = sa.util.LRUCache(500)


def _sqlite(url: sa.URL, patience_s: float) -> sa.Engine:
    path = str(url.database)
    _private_file(Path(path))
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": patience_s})
    engine.update_execution_options(compiled_cache=_COMPILED)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001
        try:
            _set_up(connection, path, patience_s)
        except BaseException:
            connection.close()
            raise

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get("scimsync_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _set_up(connection: sqlite3.Connection, path: str, patience_s: float) -> None:
    connection.isolation_level = None  # so that BEGIN is ours to say
    connection.execute(f"PRAGMA busy_timeout={round(patience_s * 1000)}")
    mode = _write_ahead(connection, patience_s)
    if mode != "wal":
        raise StoreError(
            f"{path} stands where SQLite cannot keep a write-ahead log (it answers {mode!r}), as on many "
            "network file systems. Put it on a local disk, or use PostgreSQL."
        )
    connection.execute("PRAGMA synchronous=full")
    connection.execute("PRAGMA foreign_keys=on")


def _write_ahead(connection: sqlite3.Connection, patience_s: float) -> str:
    """Ask for WAL. Two who make one file meet here, and SQLite does not wait for this lock by itself."""
    end = time.monotonic() + patience_s
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=wal").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
        time.sleep(0.01)


def _postgres(url: sa.URL, patience_s: float) -> sa.Engine:
    try:
        engine = sa.create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "application_name": "scimsync"},
        )
    except ImportError as error:
        raise StoreError("PostgreSQL needs a driver: pip install 'scimsync[postgres]'") from error

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:  # noqa: ARG001, ANN401 - psycopg is an extra
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, false), CASE current_setting('synchronous_commit')"
                " WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END",
                (f"{round(patience_s * 1000)}ms",),
            )
        connection.commit()

    return engine


def _check_pages(connection: sa.Connection, name: str) -> None:
    """Let SQLite look at the structure of the file. It keeps no checksums: values it cannot vouch for."""
    answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if answer != "ok":
        raise _damaged(name, str(answer).splitlines()[0])


# Errors

_BY_SQLSTATE = {
    "25006": "it is read-only, perhaps a replica; name the primary",
    "28000": "it refuses this user; check the url",
    "28P01": "it refuses this password; check the url",
    "3D000": "there is no such database; create it, or check the url",
    "42501": "this user has not the rights; grant them",
    "53100": "its disk is full; make room",
}
_BY_SQLITE = {
    sqlite3.SQLITE_FULL: "the disk is full; make room and start again",
    sqlite3.SQLITE_READONLY: "it is read-only; give the user that runs scimsync the right to write it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; give the user that runs scimsync rights on its folder",
    sqlite3.SQLITE_IOERR: "the disk reports an error; look at the system log before starting again",
}


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _from_driver(name, error.orig) from error
    except SQLAlchemyError as error:
        raise _damaged(name, f"it does not hold what it should ({type(error).__name__})") from error


def _from_driver(name: str, error: BaseException | None) -> StoreError:
    """What the driver's error means. Only its first line is told: the next ones may hold values."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    state = getattr(error, "sqlstate", None) or ""
    reason = (str(error).splitlines() or [""])[0]
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} or state == "55P03":
        return StoreLocked(f"somebody else keeps {name} locked (a backup, a viewer?). End that and try again.")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or state in {"XX001", "XX002"}:
        return _damaged(name, reason)
    known = _BY_SQLITE.get(code) or _BY_SQLSTATE.get(state)
    if known:
        return StoreError(f"{name} cannot be used: {known}.")
    if not code and not state:
        return StoreError(f"{name} cannot be reached ({reason}). See that the server runs; check the url.")
    return StoreError(f"{name} answers: {reason}")


def _damaged(name: str, reason: str) -> StoreDamaged:
    return StoreDamaged(
        f"{name} is damaged: {reason}. Nothing was written. Copy the file and those beside it (-wal, -shm) "
        "away; then bring back the last backup, or save what is left: `sqlite3 OLD .recover | sqlite3 NEW`. "
        "After that make a new plan: the next run finds out by reading the target what was written."
    )


# The lease


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """Who holds a lease. `place` is where its pid means something: host, boot, pid namespace."""

    host: str
    place: str
    pid: int
    started: str


def _myself() -> _Process:
    host, boot, space = socket.gethostname(), "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = str(Path("/proc/self/ns/pid").readlink())
    pid = os.getpid()
    return _Process(host=host, place=f"{host} {boot} {space}", pid=pid, started=_started(pid) or "")


def _started(pid: int) -> str | None:
    """When a process began, in ticks since boot; "" where the system does not tell; None if it is dead."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else ""
    except OSError:
        return ""
    state, *fields = after_name.split()
    return None if state in {"Z", "X"} else fields[18]


def _holds(row: sa.RowMapping, me: _Process, now: datetime) -> bool:
    """Whether the holder of a lease may still be at work."""
    if row["place"] == me.place:
        return _alive(row["pid"], row["started"])
    return row["renewed"] is not None and now - row["renewed"] < EXPIRY


def _alive(pid: int, started: str) -> bool:
    found = _started(pid)
    if found is None or (found and started and found != started):
        return False
    if found or os.name == "nt":  # on Windows, signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _at_work(row: sa.RowMapping, me: _Process) -> str:
    since = f"{row['since']:%Y-%m-%d %H:%M:%S} UTC" if row["since"] else "an unknown time"
    text = f"{row['owner']} is at work: process {row['pid']} on {row['host']}, since {since}. "
    if row["place"] == me.place:
        return text + "Wait until it ends, or end that process; then start again."
    until = f"{row['renewed'] + EXPIRY:%H:%M:%S} UTC" if row["renewed"] else "ten minutes from now"
    return text + f"Wait until it ends; if it is dead, its lease ends at {until}, or when scimsync starts there."


def _taken(row: sa.RowMapping, mine: int | None) -> str:
    holder = f"{row['owner']}, process {row['pid']} on {row['host']}" if row["owner"] else "somebody, who is done"
    lost = "was silent for too long, and its lease went to" if mine is not None else "has no lease, which is with"
    return f"this process {lost} {holder}. Nothing was written. Start again when nobody else is at work."


# Rows


def _pending(endpoint: str) -> sa.ColumnElement[bool]:
    return sa.and_(_OUTBOX.c.endpoint == endpoint, _OUTBOX.c.state == _PENDING)


def _heads(endpoint: str) -> sa.Select[Any]:
    """The pending letters that wait for no other: of each person the oldest."""
    earlier = _OUTBOX.alias("earlier")
    same = sa.and_(earlier.c.endpoint == _OUTBOX.c.endpoint, earlier.c.person == _OUTBOX.c.person)
    first = sa.and_(earlier.c.state == _PENDING, same, earlier.c.seq < _OUTBOX.c.seq)
    return sa.select(_OUTBOX).where(_pending(endpoint), ~sa.exists().where(first))


def _post(connection: sa.Connection, letters: Sequence[Letter]) -> None:
    rows = [{k: v for k, v in _letter_to_row(letter).items() if k != "seq"} for letter in letters]
    if rows:
        connection.execute(sa.insert(_OUTBOX), rows)


def _letter_to_row(letter: Letter) -> dict[str, object]:
    return {column.name: getattr(letter, column.name) for column in _OUTBOX.c} | {"state": letter.state.value}


def _letter_from(row: sa.RowMapping) -> Letter:
    held = {str(name): value for name, value in row.items()}
    return Letter(**{**held, "state": LetterState(row["state"]), "body": bytes(row["body"])})


def _numbers(connection: sa.Connection, run: Run) -> dict[str, int]:
    """The numbers of a run: those it has, and the next one for what happens now."""
    held = connection.execute(sa.select(_RUN.c.seq, _RUN.c.begun).where(_RUN.c.id == run.id)).one_or_none()
    seq, begun = held or (0, 0)
    begins = run.begins(begun)
    if seq and not begins:
        return {"seq": seq, "begun": begun}
    if connection.dialect.name == "postgresql":  # on SQLite whoever writes is alone
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_NUMBER_KEY)))
    highest = max(connection.scalar(sa.select(sa.func.max(column))) or 0 for column in (_RUN.c.seq, _RUN.c.begun))
    seq = seq or highest + 1
    return {"seq": seq, "begun": max(highest, seq) + 1 if begins else begun}


def _health_to_json(health: SourceHealth) -> dict[str, object]:
    shares = {"blanks": dict(health.blanks), "desired": dict(health.desired)}
    return {"rows": health.rows, "fingerprint": health.fingerprint, **shares}


def _run_from(row: sa.RowMapping) -> Run:
    held = {str(name): value for name, value in row.items()}
    health = held.pop("health")
    changed = {"takes": tuple(held["takes"]), "answered": tuple(held["answered"]), "state": RunState(held["state"])}
    return Run(**held | changed, health=None if health is None else SourceHealth(**health))


def _pin_from(row: sa.RowMapping) -> Pin:
    documents = {name: Document(held["body"], held["tag"]) for name, held in row["documents"].items()}
    return Pin(target=row["target"], at=row["at"], actor=row["actor"], documents=documents)


def _line_to_row(line: JournalLine) -> dict[str, object]:
    return {
        "run": line.run,
        "key": line.key,
        "part": line.part,
        "step": line.step.value,
        "at": line.at,
        "attempt": line.attempt,
        "method": line.method,
        "version": line.version,
        "outcome": None if line.outcome is None else _outcome_to_json(line.outcome),
    }


def _line_from(row: sa.RowMapping) -> JournalLine:
    held = {str(name): value for name, value in row.items() if name not in {"seq", "step", "outcome"}}
    outcome = None if row["outcome"] is None else _outcome_from(row["outcome"], row["part"])
    return JournalLine(**held, step=Step(row["step"]), outcome=outcome)


def _outcome_to_json(outcome: Outcome) -> dict[str, object]:
    """`{"key": .., "status": "done", "account": .., "written": {"title": .., "emails": [{..}]}, ..}`."""
    return {
        "key": outcome.key,
        "status": outcome.status.value,
        "account": outcome.account,
        "version": outcome.version,
        "written": {path: value_to_json(value) for path, value in outcome.written.items()},
        "code": outcome.code,
        "detail": outcome.detail,
        "races": outcome.races,
        "correlation_id": outcome.correlation_id,
        "overwritten": list(outcome.overwritten),
        "deferred": list(outcome.deferred),
    }


def _outcome_from(found: dict[str, Any], part: int) -> Outcome:
    changed = {
        "part": part,
        "status": Status(found["status"]),
        "written": {path: value_from_json(value) for path, value in found["written"].items()},
        "overwritten": tuple(found["overwritten"]),
        "deferred": tuple(found.get("deferred", ())),
    }
    return Outcome(**{**found, **changed})


def _entry_to_row(entry: Entry) -> dict[str, object]:
    return {
        "seq": entry.seq,
        "at": entry.at,
        "kind": entry.kind,
        "run": entry.run,
        "person": entry.person,
        "body": entry.body,
        "hash": entry.hash,
    }


def _head_from(row: sa.RowMapping) -> Head:
    flat = bytes(row["frontier"])
    return Head(
        row["origin"], row["size"], bytes(row["hash"]), tuple(flat[i : i + 32] for i in range(0, len(flat), 32))
    )


def _key(connection: sa.Connection, pseudonym: str) -> PersonKey | None:
    row = connection.execute(sa.select(_KEY).where(_KEY.c.pseudonym == pseudonym)).mappings().one_or_none()
    return None if row is None else _key_from(row)


def _key_from(row: sa.RowMapping) -> PersonKey:
    return PersonKey(
        pseudonym=row["pseudonym"],
        person=row["person"],
        secret=row["secret"],
        erased=row["erased"],
        erased_by=row["erased_by"],
    )


def _key_to_row(key: PersonKey) -> dict[str, object]:
    return {
        "pseudonym": key.pseudonym,
        "person": key.person,
        "secret": key.secret,
        "erased": key.erased,
        "erased_by": key.erased_by,
    }


def _as_bytes(found: object) -> bytes:
    """What a column of bytes holds: SQLite keeps what it is given, and replace(body, ...) leaves a text."""
    return found if isinstance(found, bytes) else str(found).encode(errors="surrogatepass")

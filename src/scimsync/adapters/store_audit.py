"""The journal and the audit chain in the store."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa

from scimsync.adapters.store_connections import CHUNK, Connections
from scimsync.adapters.store_rows import (
    as_bytes,
    entry_to_row,
    head_from,
    key_from,
    key_to_row,
    line_from,
    line_to_row,
    person_key,
    queued,
)
from scimsync.adapters.store_tables import AUDIT, CHECKPOINT, HEAD, JOURNAL, KEY
from scimsync.engine import ledger
from scimsync.model.audit import Entry, Head, PersonKey, Record
from scimsync.model.events import Message
from scimsync.model.outcomes import JournalLine

# what each commit says, kept: SQLAlchemy takes as long to look at a statement as SQLite takes to carry it out
_ADD_LINES, _ADD_KEYS, _ADD_ENTRIES = sa.insert(JOURNAL), sa.insert(KEY), sa.insert(AUDIT)
_HEAD, _MOVE_HEAD = sa.select(HEAD).with_for_update(), sa.update(HEAD)
_KEYS = sa.select(KEY).where(KEY.c.pseudonym.in_(sa.bindparam("names", expanding=True)))


class Audit(Connections):
    """What was done, and proof of it."""

    def append(
        self, lines: Sequence[JournalLine], records: Sequence[Record] = (), messages: Sequence[Message] = ()
    ) -> None:
        """Make journal lines, audit records and messages durable, all in one commit.

        Raises:
            StoreLocked: There are lines, and the lease is somebody else's by now; nothing was written.
        """
        if not lines and not records:
            return
        rows = [line_to_row(line) for line in lines]
        with self._writing(alone=bool(lines)) as connection:
            if rows:
                connection.execute(_ADD_LINES, rows)
            if records:
                self._chain(connection, records)
            if messages:
                queued(connection, messages)

    def journal(self, run_id: str, *, since: datetime | None = None) -> Iterator[JournalLine]:
        """The lines of one run in the order they were written; only later ones, where `since` says so."""
        lines = sa.select(JOURNAL).where(JOURNAL.c.run == run_id).order_by(JOURNAL.c.seq)
        if since is not None:
            lines = lines.where(JOURNAL.c.at >= since)
        with self._rows(lines) as rows:
            for row in rows:
                yield line_from(row)

    def journalled(self, runs: Collection[str]) -> int:
        """How many lines some runs have."""
        with self._reading() as connection:
            counted = sa.select(sa.func.count()).select_from(JOURNAL)
            return sum(int(connection.scalar(counted.where(some)) or 0) for some in _of_runs(runs))

    def forget_journal(self, runs: Collection[str]) -> int:
        """Drop the lines of runs; how many that were."""
        with self._writing() as connection:
            return sum(connection.execute(sa.delete(JOURNAL).where(some)).rowcount for some in _of_runs(runs))

    def journal_of(self, key: str, newest: int = 100) -> Sequence[JournalLine]:
        """The lines about one person or group, of all runs, in the order they were written; the latest alone."""
        lines = sa.select(JOURNAL).where(JOURNAL.c.key == key).order_by(JOURNAL.c.seq.desc()).limit(newest)
        with self._reading() as connection:
            return [line_from(row) for row in reversed(connection.execute(lines).mappings().all())]

    def head(self) -> Head:
        """The end of the audit chain, as it was left by the last record."""
        with self._reading() as connection:
            return head_from(connection.execute(sa.select(HEAD)).mappings().one())

    def entries(
        self, *, after: int = 0, run: str = "", kind: str = "", people: Sequence[str] = (), newest: int = 0
    ) -> Iterator[Entry]:
        """The audit chain in its order, read as it is walked."""
        wanted = sa.select(AUDIT).where(AUDIT.c.seq > after)
        for column, value in ((AUDIT.c.run, run), (AUDIT.c.kind, kind)):
            wanted = wanted.where(column == value) if value else wanted
        if people:
            wanted = wanted.where(AUDIT.c.person.in_(people))
        if newest:
            latest = wanted.order_by(AUDIT.c.seq.desc()).limit(newest).subquery()
            wanted = sa.select(latest)
        with self._tuples(wanted.order_by(wanted.selected_columns.seq)) as rows:
            for row in rows:
                seq, at, what, of_run, person, body, digest = row
                yield Entry(seq, at, what, of_run, person, as_bytes(body), as_bytes(digest))

    def keys(self, person: str) -> Sequence[PersonKey]:
        """Every key that a person ever had in the audit chain, oldest first."""
        with self._reading() as connection:
            secret = connection.execute(sa.select(HEAD.c.secret)).scalar_one()
            return ledger.lives(secret, person, lambda name: person_key(connection, name))

    def key(self, pseudonym: str) -> PersonKey | None:
        """The key kept under a pseudonym."""
        with self._reading() as connection:
            return person_key(connection, pseudonym)

    def erase(self, person: str, record: Record) -> int:
        """Destroy the key of a person and record that; how many keys were destroyed."""
        with self._writing() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete=on")
            row = self._locked_head(connection)
            live = [k for k in ledger.lives(row["secret"], person, lambda n: person_key(connection, n)) if k.secret]
            if not live:
                return 0
            self._chain(connection, [record], row)
            for key in live:
                gone = key_to_row(ledger.erased(key, record.at, record.actor))
                connection.execute(sa.update(KEY).where(KEY.c.pseudonym == key.pseudonym).values(gone))
        if self.engine.dialect.name == "sqlite":  # else the write-ahead log still holds the key
            with self._reading() as connection:
                connection.rollback()
                driver = connection.connection.driver_connection
                if driver is not None:
                    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return len(live)

    def gone_keys(self) -> Iterator[PersonKey]:
        """The keys that cannot be read any more: an erasure destroyed them, or somebody else did."""
        with self._rows(sa.select(KEY).where(KEY.c.secret.is_(None))) as rows:
            for row in rows:
                yield key_from(row)

    def accept_lost_keys(self, at: datetime, actor: str) -> None:
        """Note of the keys that are gone without an erasure since when that is known, and by whom."""
        lost = sa.update(KEY).where(KEY.c.secret.is_(None), KEY.c.erased.is_(None))
        with self._writing() as connection:
            connection.execute(lost.values(erased=at, erased_by=actor))

    def keyless(self) -> int:
        """The number of the first record about a person whose key is not kept at all; 0 where there is none."""
        kept = sa.exists().where(KEY.c.pseudonym == AUDIT.c.person)
        wanted = sa.select(sa.func.min(AUDIT.c.seq)).where(AUDIT.c.person != "", ~kept)
        with self._reading() as connection:
            return int(connection.scalar(wanted) or 0)

    def save_checkpoint(self, size: int, at: datetime, note: str) -> None:
        """Keep a signed checkpoint; one of the same size is replaced."""
        with self._writing() as connection:
            connection.execute(self._upsert(CHECKPOINT), {"size": size, "at": at, "note": note})

    def checkpoints(self) -> Sequence[str]:
        """The signed checkpoints, the smallest first."""
        with self._reading() as connection:
            return list(connection.scalars(sa.select(CHECKPOINT.c.note).order_by(CHECKPOINT.c.size)))

    def _locked_head(self, connection: sa.Connection) -> sa.RowMapping:
        return connection.execute(_HEAD).mappings().one()

    def _chain(self, connection: sa.Connection, records: Sequence[Record], row: sa.RowMapping | None = None) -> None:
        row = row or self._locked_head(connection)
        names = {ledger.pseudonym(row["secret"], record.person) for record in records if record.person}
        known = {
            key.pseudonym: key
            for found in connection.execute(_KEYS, {"names": list(names)}).mappings()
            for key in (key_from(found),)
        }

        def find(name: str) -> PersonKey | None:
            return known.get(name) if name in names else person_key(connection, name)

        book = ledger.Ledger(head_from(row), row["secret"], find, secrets.token_bytes)
        entries = book.add(records)
        if book.made:
            connection.execute(_ADD_KEYS, [key_to_row(key) for key in book.made.values()])
        connection.execute(_ADD_ENTRIES, [entry_to_row(entry) for entry in entries])
        end = {"size": book.head.size, "hash": book.head.hash, "frontier": b"".join(book.head.frontier)}
        connection.execute(_MOVE_HEAD, end)


def _of_runs(runs: Collection[str]) -> Iterator[sa.ColumnElement[bool]]:
    """The tests of a journal line's run, some runs at a time."""
    listed = list(runs)
    for start in range(0, len(listed), CHUNK):
        yield JOURNAL.c.run.in_(listed[start : start + CHUNK])

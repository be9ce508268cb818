"""What we keep, as rows of the tables and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from scimsync.adapters.store_engine import NUMBER_KEY
from scimsync.adapters.store_tables import KEY, OUTBOX, PENDING, RUN
from scimsync.model.audit import Entry, Head, PersonKey
from scimsync.model.events import Message, MessageState
from scimsync.model.outcomes import Document, JournalLine, Outcome, Pin, Run, RunState, Status, Step
from scimsync.model.records import JoinedHealth, KeySample, SourceHealth
from scimsync.scim.kept import value_from_json, value_to_json


def still_pending(endpoint: str) -> sa.ColumnElement[bool]:
    """The messages of an endpoint that wait."""
    return sa.and_(OUTBOX.c.endpoint == endpoint, OUTBOX.c.state == PENDING)


def heads(endpoint: str) -> sa.Select[Any]:
    """The pending messages that wait for no other: of each person the oldest."""
    earlier = OUTBOX.alias("earlier")
    same = sa.and_(earlier.c.endpoint == OUTBOX.c.endpoint, earlier.c.person == OUTBOX.c.person)
    first = sa.and_(earlier.c.state == PENDING, same, earlier.c.seq < OUTBOX.c.seq)
    return sa.select(OUTBOX).where(still_pending(endpoint), ~sa.exists().where(first))


def queued(connection: sa.Connection, messages: Sequence[Message]) -> None:
    """Put messages into the outbox."""
    rows = [{k: v for k, v in message_to_row(message).items() if k != "seq"} for message in messages]
    if rows:
        connection.execute(sa.insert(OUTBOX), rows)


def message_to_row(message: Message) -> dict[str, object]:
    """A message as a row."""
    return {column.name: getattr(message, column.name) for column in OUTBOX.c} | {"state": message.state.value}


def message_from(row: sa.RowMapping) -> Message:
    """A row as a message."""
    held = {str(name): value for name, value in row.items()}
    return Message(**{**held, "state": MessageState(row["state"]), "body": bytes(row["body"])})


def numbers(connection: sa.Connection, run: Run) -> dict[str, int]:
    """The numbers of a run: those it has, and the next one for what happens now."""
    held = connection.execute(sa.select(RUN.c.seq, RUN.c.begun).where(RUN.c.id == run.id)).one_or_none()
    seq, begun = held or (0, 0)
    begins = run.begins(begun)
    if seq and not begins:
        return {"seq": seq, "begun": begun}
    if connection.dialect.name == "postgresql":  # on SQLite whoever writes is alone
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(NUMBER_KEY)))
    highest = max(connection.scalar(sa.select(sa.func.max(column))) or 0 for column in (RUN.c.seq, RUN.c.begun))
    seq = seq or highest + 1
    return {"seq": seq, "begun": max(highest, seq) + 1 if begins else begun}


def health_to_json(health: SourceHealth) -> dict[str, object]:
    """The health of a source as JSON; what is not known of it is left out."""
    told: dict[str, object] = {
        "rows": health.rows,
        "fingerprint": health.fingerprint,
        "blanks": dict(health.blanks),
        "desired": dict(health.desired),
    }
    if health.keys is not None:
        digests = b"".join(digest.to_bytes(_DIGEST) for digest in health.keys.digests)
        listed = base64.b64encode(digests).decode()
        told["keys"] = {"mark": health.keys.mark, "digests": listed, "whole": health.keys.whole}
    if health.shares:
        told["shares"] = {column: dict(counted) for column, counted in health.shares.items()}
    if health.newest is not None:
        told["newest"] = health.newest.isoformat()
    if rows := {one.name: one.rows for one in health.joined if not one.reason}:
        told["joined"] = rows
    return told


#: the bytes of one digest of a key
_DIGEST = 6


def health_from(held: Mapping[str, Any]) -> SourceHealth:
    """The health of a source out of JSON, of this version or an earlier one."""
    keys, newest = held.get("keys"), held.get("newest")
    sample = None
    if keys:
        packed = base64.b64decode(keys["digests"])
        digests = tuple(int.from_bytes(packed[n : n + _DIGEST]) for n in range(0, len(packed), _DIGEST))
        sample = KeySample(mark=keys["mark"], digests=digests, whole=keys["whole"])
    return SourceHealth(
        rows=held["rows"],
        blanks=held["blanks"],
        fingerprint=held["fingerprint"],
        desired=held.get("desired", {}),
        keys=sample,
        shares=held.get("shares", {}),
        newest=datetime.fromisoformat(newest) if newest else None,
        joined=tuple(JoinedHealth(name=name, shown="", rows=rows) for name, rows in held.get("joined", {}).items()),
    )


def run_from(row: sa.RowMapping) -> Run:
    """A row as a run."""
    held = {str(name): value for name, value in row.items()}
    health = held.pop("health")
    changed = {"takes": tuple(held["takes"]), "answered": tuple(held["answered"]), "state": RunState(held["state"])}
    return Run(**held | changed, health=None if health is None else health_from(health))


def pin_from(row: sa.RowMapping) -> Pin:
    """A row as a pin."""
    documents = {name: Document(held["body"], held["tag"]) for name, held in row["documents"].items()}
    left_out = tuple(row["left_out"])
    return Pin(target=row["target"], at=row["at"], actor=row["actor"], documents=documents, left_out=left_out)


def line_to_row(line: JournalLine) -> dict[str, object]:
    """A line of the journal as a row."""
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


def line_from(row: sa.RowMapping) -> JournalLine:
    """A row as a line of the journal."""
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
        **({} if outcome.window_s is None else {"window_s": outcome.window_s}),
        **({"unmet": list(outcome.unmet)} if outcome.unmet else {}),
        **({"unshown": {p: value_to_json(v) for p, v in outcome.unshown.items()}} if outcome.unshown else {}),
    }


def _outcome_from(found: dict[str, Any], part: int) -> Outcome:
    changed = {
        "part": part,
        "status": Status(found["status"]),
        "written": {path: value_from_json(value) for path, value in found["written"].items()},
        "overwritten": tuple(found["overwritten"]),
        "deferred": tuple(found.get("deferred", ())),
        "unmet": tuple(found.get("unmet", ())),
        "unshown": {path: value_from_json(value) for path, value in found.get("unshown", {}).items()},
    }
    return Outcome(**{**found, **changed})


def entry_to_row(entry: Entry) -> dict[str, object]:
    """An entry of the audit chain as a row."""
    return {
        "seq": entry.seq,
        "at": entry.at,
        "kind": entry.kind,
        "run": entry.run,
        "person": entry.person,
        "body": entry.body,
        "hash": entry.hash,
    }


def head_from(row: sa.RowMapping) -> Head:
    """A row as the head of the audit chain."""
    flat = bytes(row["frontier"])
    return Head(
        row["origin"], row["size"], bytes(row["hash"]), tuple(flat[i : i + 32] for i in range(0, len(flat), 32))
    )


def person_key(connection: sa.Connection, pseudonym: str) -> PersonKey | None:
    """A person's key, as it is kept."""
    row = connection.execute(sa.select(KEY).where(KEY.c.pseudonym == pseudonym)).mappings().one_or_none()
    return None if row is None else key_from(row)


def key_from(row: sa.RowMapping) -> PersonKey:
    """A row as a person's key."""
    return PersonKey(
        pseudonym=row["pseudonym"],
        person=row["person"],
        secret=row["secret"],
        erased=row["erased"],
        erased_by=row["erased_by"],
    )


def key_to_row(key: PersonKey) -> dict[str, object]:
    """A person's key as a row."""
    return {
        "pseudonym": key.pseudonym,
        "person": key.person,
        "secret": key.secret,
        "erased": key.erased,
        "erased_by": key.erased_by,
    }


def as_bytes(found: object) -> bytes:
    """What a column of bytes holds: SQLite keeps what it is given, and replace(body, ...) leaves a text."""
    return found if isinstance(found, bytes) else str(found).encode(errors="surrogatepass")

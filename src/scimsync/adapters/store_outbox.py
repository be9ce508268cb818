"""Messages on their way out, and calls that came in, in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from scimsync.adapters.store_connections import Connections
from scimsync.adapters.store_rows import heads, message_from, message_to_row, queued, still_pending
from scimsync.adapters.store_tables import INBOUND, OUTBOX, PENDING
from scimsync.errors import StoreError
from scimsync.model.events import Call, Message, MessageState


class Outbox(Connections):
    """The outbox and the inbox."""

    def enqueue(self, messages: Sequence[Message]) -> None:
        """Keep messages that belong to no outcome."""
        with self._writing() as connection:
            queued(connection, messages)

    def claim(self, endpoint: str, now: datetime, until: datetime, limit: int) -> Sequence[Message]:
        """Messages that are due, earliest first, and nobody else's until `until`; of each person the oldest only."""
        due = heads(endpoint).where(OUTBOX.c.due <= now).order_by(OUTBOX.c.due, OUTBOX.c.seq).limit(limit)
        with self._reading() as connection:
            if connection.execute(due).first() is None:
                return []
        with self._writing() as connection:
            rows = connection.execute(due.with_for_update(of=OUTBOX, skip_locked=True)).mappings().all()
            if rows:
                mine = OUTBOX.c.seq.in_([row["seq"] for row in rows])
                connection.execute(sa.update(OUTBOX).where(mine).values(due=until))
        return [message_from(row) for row in rows]

    def next_due(self, endpoint: str) -> datetime | None:
        """When the first message that waits for no other is due; None where nothing is pending."""
        first = heads(endpoint).with_only_columns(OUTBOX.c.due).order_by(OUTBOX.c.due).limit(1)
        with self._reading() as connection:
            found: datetime | None = connection.scalar(first)
            return found

    def settle(self, messages: Sequence[Message]) -> None:
        """Keep what became of messages, by their `seq`. One that was settled by somebody else stays."""
        if not messages:
            return
        names = ("due", "attempts", "state", "status", "detail", "tried", "delivered")
        changed: dict[str, Any] = {name: sa.bindparam(f"its_{name}") for name in names}
        told = [message_to_row(message) for message in messages]
        rows = [{f"its_{name}": row[name] for name in ("seq", *names)} for row in told]
        mine = sa.and_(OUTBOX.c.seq == sa.bindparam("its_seq"), OUTBOX.c.state == PENDING)
        with self._writing() as connection:
            connection.execute(sa.update(OUTBOX).where(mine).values(changed), rows)

    def retry_now(self, endpoint: str, now: datetime) -> None:
        """Make everything that is pending due now and its tries uncounted, because the endpoint is back."""
        self._change_letters({"due": now, "attempts": 0}, still_pending(endpoint), OUTBOX.c.attempts > 0)

    def dead_letter(self, endpoint: str, detail: str, before: datetime | None = None) -> int:
        """Give up what is pending (and older than `before`, where given); how many that were."""
        dead = {"state": MessageState.DEAD.value, "detail": detail}
        older = [] if before is None else [OUTBOX.c.created < before]
        return self._change_letters(dead, still_pending(endpoint), *older)

    def redrive(self, ids: Sequence[str], now: datetime) -> int:
        """Make dead messages pending and due again, all where `ids` is empty; how many that were."""
        again = {"state": PENDING, "attempts": 0, "due": now, "created": now}
        named = [OUTBOX.c.id.in_(ids)] if ids else []
        return self._change_letters(again, OUTBOX.c.state == MessageState.DEAD.value, *named)

    def messages(self, endpoint: str, state: MessageState, limit: int = 50) -> Sequence[Message]:
        """The latest messages of an endpoint in a state, newest first."""
        these = sa.and_(OUTBOX.c.endpoint == endpoint, OUTBOX.c.state == state.value)
        latest = sa.select(OUTBOX).where(these).order_by(OUTBOX.c.seq.desc()).limit(limit)
        with self._reading() as connection:
            return [message_from(row) for row in connection.execute(latest).mappings()]

    def outbox(self) -> Mapping[str, Mapping[MessageState, int]]:
        """How many messages each endpoint has in each state."""
        by = (OUTBOX.c.endpoint, OUTBOX.c.state)
        found: dict[str, dict[MessageState, int]] = {}
        with self._reading() as connection:
            for endpoint, state, number in connection.execute(sa.select(*by, sa.func.count()).group_by(*by)):
                found.setdefault(endpoint, {})[MessageState(state)] = number
        return found

    def last_trouble(self, endpoint: str) -> Message | None:
        """The message that was tried last of those that have not arrived."""
        tried = sa.and_(OUTBOX.c.endpoint == endpoint, OUTBOX.c.tried.is_not(None))
        missing = OUTBOX.c.state != MessageState.DELIVERED.value
        last = sa.select(OUTBOX).where(tried, missing).order_by(OUTBOX.c.tried.desc(), OUTBOX.c.seq.desc()).limit(1)
        with self._reading() as connection:
            row = connection.execute(last).mappings().one_or_none()
            return None if row is None else message_from(row)

    def forget_messages(self, before: datetime) -> int:
        """Drop messages that were delivered before a time; how many that were."""
        old = sa.delete(OUTBOX).where(OUTBOX.c.state == MessageState.DELIVERED.value, OUTBOX.c.delivered < before)
        with self._writing() as connection:
            return connection.execute(old).rowcount

    def accept(self, call: Call) -> bool:
        """Keep a call durably; False where one with this id was kept before."""
        known = sa.select(INBOUND.c.seq).where(INBOUND.c.id == call.id)
        row = {"id": call.id, "at": call.at, "keys": list(call.keys), "answered": False}
        try:
            with self._writing() as connection:
                if connection.execute(known).first() is not None:
                    return False
                connection.execute(sa.insert(INBOUND), row)
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError):  # two came at once
                return False
            raise
        return True

    def waiting(self, limit: int = 100) -> Sequence[Call]:
        """Calls that no run has answered yet, oldest first."""
        open_ = sa.select(INBOUND).where(sa.not_(INBOUND.c.answered)).order_by(INBOUND.c.seq).limit(limit)
        with self._reading() as connection:
            rows = connection.execute(open_).mappings()
            return [Call(id=row["id"], at=row["at"], keys=tuple(row["keys"])) for row in rows]

    def answered(self, ids: Sequence[str]) -> None:
        """Note that a run has looked at the people of these calls."""
        with self._writing() as connection:
            connection.execute(sa.update(INBOUND).where(INBOUND.c.id.in_(ids)).values(answered=True))

    def forget_calls(self, before: datetime) -> None:
        """Drop calls that came before a time and were answered."""
        with self._writing() as connection:
            connection.execute(sa.delete(INBOUND).where(INBOUND.c.answered, INBOUND.c.at < before))

    def _change_letters(self, values: Mapping[str, object], *which: sa.ColumnElement[bool]) -> int:
        with self._writing() as connection:
            return connection.execute(sa.update(OUTBOX).where(*which).values(dict(values))).rowcount

"""What people decided, in the store: about conflicts and about plans; and who waits for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import islice

import sqlalchemy as sa
from msgspec.structs import asdict

from scimsync.adapters.store_audit import Audit
from scimsync.adapters.store_connections import CHUNK
from scimsync.adapters.store_tables import APPROVAL, APPROVAL_RULE, DECISION, QUARANTINE
from scimsync.model.approvals import Approval, Quarantined
from scimsync.model.audit import Record
from scimsync.model.decisions import Decision, Wins


class Deciding(Audit):
    """What people said: each word with its record in the audit chain, in one commit."""

    def decisions(self, *, ended: bool = False) -> Sequence[Decision]:
        """Those that nobody ended, the oldest first; all where `ended` is asked for."""
        wanted = sa.select(DECISION).order_by(DECISION.c.at, DECISION.c.id)
        if not ended:
            wanted = wanted.where(DECISION.c.ended.is_(None))
        with self._rows(wanted) as rows:
            return [Decision(**{**row, "wins": Wins(row["wins"])}) for row in rows]

    def decide(self, decision: Decision, record: Record, today: date) -> Decision | None:
        """Keep a decision and its record, unless one about the same holds: that one is given back, and stays."""
        held = sa.and_(DECISION.c.key == decision.key, DECISION.c.path == decision.path, DECISION.c.ended.is_(None))
        row = asdict(decision) | {"wins": decision.wins.value}
        with self._writing() as connection:
            over = sa.update(DECISION).where(held, DECISION.c.until < today)
            connection.execute(over.values(ended=decision.at, ended_by="its last day"))
            connection.execute(self._insert_once(DECISION), row)
            found = connection.execute(sa.select(DECISION).where(held)).mappings().one()
            if found["id"] == decision.id:
                self._chain(connection, [record])
                return None
            return Decision(**{**found, "wins": Wins(found["wins"])})

    def end_decision(self, decision: str, at: datetime, by: str, records: Sequence[Record] = ()) -> bool:
        """End a decision, with records of that; False where it does not hold any more, and nothing was done."""
        mine = sa.update(DECISION).where(DECISION.c.id == decision, DECISION.c.ended.is_(None))
        with self._writing() as connection:
            if connection.execute(mine.values(ended=at, ended_by=by)).rowcount != 1:
                return False
            if records:
                self._chain(connection, records)
            return True

    def approvals(self, run: str) -> Sequence[Approval]:
        """What people said about a plan, in their order."""
        with self._rows(sa.select(APPROVAL).where(APPROVAL.c.run == run).order_by(APPROVAL.c.seq)) as rows:
            return [Approval(**{name: row[name] for name in row if name != "seq"}) for row in rows]

    def approve(self, approval: Approval, record: Record) -> None:
        """Keep what a person says about a plan, and its record, in one commit."""
        with self._writing() as connection:
            connection.execute(sa.insert(APPROVAL).values(**asdict(approval)))
            self._chain(connection, [record])

    def approval_rules(self) -> Mapping[str, Mapping[str, object]]:
        """The rules that the last plan that was applied was held to, by name."""
        with self._rows(sa.select(APPROVAL_RULE).order_by(APPROVAL_RULE.c.name)) as rows:
            return {row["name"]: row["document"] for row in rows}

    def keep_approval_rules(self, rules: Mapping[str, Mapping[str, object]]) -> None:
        """Remember these rules in the place of those before."""
        with self._writing() as connection:
            connection.execute(sa.delete(APPROVAL_RULE))
            if rules:
                kept = [{"name": name, "document": dict(one)} for name, one in rules.items()]
                connection.execute(sa.insert(APPROVAL_RULE), kept)

    def quarantined(self) -> Sequence[Quarantined]:
        """Who is left out since when, by key and code."""
        with self._rows(sa.select(QUARANTINE).order_by(QUARANTINE.c.key, QUARANTINE.c.code)) as rows:
            return [Quarantined(**row) for row in rows]

    def change_quarantined(self, add: Iterable[Quarantined], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, code), then remember others, in one transaction."""
        table, gone, rows = QUARANTINE, ({"k": k, "c": c} for k, c in remove), (asdict(one) for one in add)
        forget = sa.delete(table).where(table.c.key == sa.bindparam("k"), table.c.code == sa.bindparam("c"))
        with self._writing() as connection:
            while chunk := list(islice(gone, CHUNK)):
                connection.execute(forget, chunk)
            while chunk := list(islice(rows, CHUNK)):
                connection.execute(self._upsert(table), chunk)

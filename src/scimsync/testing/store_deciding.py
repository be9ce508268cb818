"""What people decided, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from msgspec.structs import replace

from scimsync.model.approvals import Approval, Quarantined
from scimsync.model.audit import Record
from scimsync.model.decisions import Decision
from scimsync.testing.store_audit import MemoryAudit


class MemoryDeciding(MemoryAudit):
    """What people said. Fits `Decided`, `Approvals` and `Quarantine` of `scimsync.engine.state`."""

    def __init__(self) -> None:
        super().__init__()
        self._decided: dict[str, Decision] = {}
        self._approvals: list[Approval] = []
        self._approval_rules: dict[str, Mapping[str, object]] = {}
        self._quarantined: dict[tuple[str, str], Quarantined] = {}

    def decisions(self, *, ended: bool = False) -> Sequence[Decision]:
        """Those that nobody ended, the oldest first; all where `ended` is asked for."""
        with self._lock:
            held = [one for one in self._decided.values() if ended or one.ended is None]
        return sorted(held, key=lambda one: (one.at, one.id))

    def decide(self, decision: Decision, record: Record, today: date) -> Decision | None:
        """Keep a decision and its record, unless one about the same holds: that one is given back, and stays."""
        with self._lock:
            for one in list(self._decided.values()):
                if (one.key, one.path) != (decision.key, decision.path) or one.ended is not None:
                    continue
                if one.holds(today):
                    return one
                self._decided[one.id] = replace(one, ended=decision.at, ended_by="its last day")
            self._decided[decision.id] = decision
            self._chain([record])
            return None

    def end_decision(self, decision: str, at: datetime, by: str, records: Sequence[Record] = ()) -> bool:
        """End a decision, with records of that; False where it does not hold any more, and nothing was done."""
        with self._lock:
            held = self._decided.get(decision)
            if held is None or held.ended is not None:
                return False
            self._decided[decision] = replace(held, ended=at, ended_by=by)
            self._chain(records)
            return True

    def approvals(self, run: str) -> Sequence[Approval]:
        """What people said about a plan, in their order."""
        with self._lock:
            return [one for one in self._approvals if one.run == run]

    def approve(self, approval: Approval, record: Record) -> None:
        """Keep what a person says about a plan, and its record."""
        with self._lock:
            self._approvals.append(approval)
            self._chain([record])

    def approval_rules(self) -> Mapping[str, Mapping[str, object]]:
        """The rules that the last plan that was applied was held to, by name."""
        with self._lock:
            return dict(sorted(self._approval_rules.items()))

    def keep_approval_rules(self, rules: Mapping[str, Mapping[str, object]]) -> None:
        """Remember these rules in the place of those before."""
        with self._lock:
            self._approval_rules = dict(rules)

    def quarantined(self) -> Sequence[Quarantined]:
        """Who is left out since when, by key and code."""
        with self._lock:
            return [one for _, one in sorted(self._quarantined.items())]

    def change_quarantined(self, add: Iterable[Quarantined], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, code), then remember others."""
        with self._lock:
            for pair in remove:
                self._quarantined.pop(pair, None)
            self._quarantined |= {(one.key, one.code): one for one in add}

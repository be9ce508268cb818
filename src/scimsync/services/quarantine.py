"""Who is left out of plans: since when, why, what to do, whom to ask; and try again now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from scimsync.config import Settings
from scimsync.engine.ports import Observer, Store
from scimsync.engine.quarantine import is_left_out
from scimsync.engine.state import Artifacts, Quarantine, Runs
from scimsync.errors import ConfigError, PlanDamaged
from scimsync.model.approvals import Quarantined
from scimsync.model.decisions import Actor
from scimsync.model.plans import Finding, Plan
from scimsync.services import planning
from scimsync.services.planning import Choices, stored_plan

#: runs among which the latest plan about everybody is looked for
_RUNS = 200
_HR = "HR, who keeps the record"
_WHO = "whoever knows which account is whose"
#: how codes begin -> whom to ask
_ASK: Mapping[str, str] = {
    "record": _HR,
    "reference": _HR,
    "leaver": _HR,
    "status": "whoever keeps the mapping, for the word is not in it",
    "mapping": "whoever keeps the mapping",
    "correlation": _WHO,
    "rename": _WHO,
    "account": "whoever administers the directory",
    "login": "whoever administers the directory",
    "policy": "whoever keeps the configuration",
}


class QuarantineState(Runs, Quarantine, Artifacts, Protocol):
    """Of the state: plans, and who was left out of them."""


class LeftOut(Struct, frozen=True, kw_only=True):
    """One person who is left out, for one reason."""

    key: str
    code: str
    #: when a plan left them out first; the true day is that of the trouble, or later
    since: datetime
    #: that plan
    run: str
    #: what the latest plan says of it; None where its plan is no longer kept
    finding: Finding | None = None

    @property
    def why(self) -> str:
        """Why, in a sentence."""
        if self.finding is None:
            return f"see docs/errors/{self.code}.md"
        return self.finding.summary + (f": {self.finding.detail}" if self.finding.detail else "")

    @property
    def what_to_do(self) -> str:
        """The next step."""
        return self.finding.hint if self.finding is not None and self.finding.hint else f"docs/errors/{self.code}.md"

    @property
    def ask(self) -> str:
        """Whom to ask."""
        return _ASK.get(self.code.partition(".")[0], "whoever keeps the configuration")


def listed(store: QuarantineState, keys: Sequence[str] = ()) -> Sequence[LeftOut]:
    """Who is left out now, longest first; of some people only, where they are named."""
    held = [one for one in store.quarantined() if not keys or one.key in keys]
    latest: dict[str, str] = {}  # of each source
    for run in store.runs(_RUNS) if held else ():
        if run.compared:
            latest.setdefault(run.source, run.id)
    plans: dict[str, Mapping[tuple[str, str], Finding]] = {}
    found = [_told(one, [*latest.values()], store, plans) for one in held]
    return sorted(found, key=lambda one: (one.since, one.key, one.code))


def _told(
    one: Quarantined, latest: Sequence[str], store: QuarantineState, plans: dict[str, Mapping[tuple[str, str], Finding]]
) -> LeftOut:
    """One person, in the words of the latest plans, or else of that which left them out first."""
    finding = None
    for name in dict.fromkeys((*latest, one.run)):
        if name not in plans:
            plan = _plan(store, name)
            plans[name] = {(f.subject, f.code): f for f in plan.findings if is_left_out(f)} if plan else {}
        finding = finding or plans.get(name, {}).get((one.key, one.code))
    return LeftOut(key=one.key, code=one.code, since=one.since, run=one.run, finding=finding)


def _plan(store: QuarantineState, name: str) -> Plan | None:
    run = store.run(name)
    if run is None or not run.plan:
        return None
    try:
        return stored_plan(store, run).plan
    except (PlanDamaged, ConfigError):
        return None


async def try_again(
    settings: Settings, store: Store, observer: Observer, key: str, author: Actor | None = None
) -> Plan:
    """Plan for one person now, who leaves the quarantine where nothing is wrong any more. Nothing is written.

    Raises:
        PersonUnknown: Neither HR nor the state knows them.
        SourceError: HR cannot be read.
        TargetError: The directory cannot be read.
    """
    return await planning.plan(settings, store, observer, Choices(only=(key,), author=author))

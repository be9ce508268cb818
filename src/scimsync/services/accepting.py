"""List the findings of the latest plan, accept some until a day, take that back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from difflib import get_close_matches
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from scimsync.bootstrap import actor, now
from scimsync.config import Settings
from scimsync.core import accepting
from scimsync.engine.state import Acceptances, Artifacts, Journal, Runs
from scimsync.errors import ConfigError, PlanStale
from scimsync.model.audit import Kind
from scimsync.model.outcomes import Acceptance
from scimsync.model.plans import Finding, Plan
from scimsync.services.auditing import note
from scimsync.services.planning import stored_plan

#: runs among which the latest plan about everybody is looked for
_RUNS = 200


class FindingsState(Runs, Acceptances, Journal, Artifacts, Protocol):
    """Of the state: plans, and what was accepted."""


class Listed(Struct, frozen=True, kw_only=True):
    """The findings of the latest plan about everybody, as they are accepted now."""

    plan: Plan
    findings: Sequence[Finding]
    acceptances: Sequence[Acceptance]
    today: date

    @property
    def idle(self) -> Sequence[Acceptance]:
        """What was accepted and has ended, or is found no more."""
        held = {(one.subject, one.kind) for one in self.findings if one.accepted is not None}
        return [one for one in self.acceptances if (one.key, one.kind) not in held]


def listed(settings: Settings, store: FindingsState) -> Listed:
    """The findings of the latest plan about everybody.

    Raises:
        PlanStale: There is none.
    """
    run = next((run for run in store.runs(_RUNS) if run.compared), None)
    if run is None:
        raise PlanStale("there is no plan about everybody whose findings could be listed. Make one with: scimsync plan")
    plan, today, acceptances = stored_plan(store, run).plan, _today(settings), store.acceptances()
    found = tuple(accepting.marked((replace(one, accepted=None) for one in plan.findings), acceptances, today))
    return Listed(plan=plan, findings=found, acceptances=acceptances, today=today)


def accept(
    settings: Settings, store: FindingsState, key: str, code: str, until: date, reason: str
) -> Sequence[Acceptance]:
    """Accept the findings of a person with a code, as the latest plan has them. The caller holds the lease.

    Args:
        settings: The configuration.
        store: The state.
        key: The subject of the findings: the key of the person.
        code: Their code.
        until: The last day on which that holds.
        reason: Why; kept in the audit chain.

    Raises:
        ConfigError: There is no such finding, nobody may accept it, or the day is none to accept it until.
        PlanStale: There is no plan about everybody.
    """
    told, today = listed(settings, store), _today(settings)
    if not today <= until <= today + accepting.LONGEST:
        raise ConfigError(
            f"--until {until}: name a day from today ({today}) to {today + accepting.LONGEST}. What shall hold for "
            "ever belongs in the source or in the mapping."
        )
    mine = [one for one in told.findings if one.subject == key and one.code == code]
    if not mine:
        raise ConfigError(_no_such(told, key, code))
    good = [one for one in mine if accepting.is_acceptable(one)]
    if not good:
        raise ConfigError(
            f"{code} of {key} cannot be accepted: it is about access, or about who somebody is. "
            f"{mine[0].hint or 'See docs/errors'}. What can be accepted: {', '.join(sorted(accepting.ACCEPTABLE))}"
        )
    if any(one.subject == key and one.code.startswith("leaver.") for one in told.findings):
        raise ConfigError(f"{key} left and may keep access: nothing about this person is accepted until that is over.")
    made = [
        Acceptance(key=key, kind=one.kind, code=code, until=until, reason=reason, actor=actor(), at=now())
        for one in good
    ]
    store.change_acceptances(made)
    note(
        settings, store, Kind.FINDING, action="accepted", reason=reason, rule=code, person=key, detail=f"until {until}"
    )
    return made


def forget(settings: Settings, store: FindingsState, key: str, code: str = "") -> Sequence[Acceptance]:
    """Accept the findings of a person no more: those with a code, or all. The caller holds the lease.

    Raises:
        ConfigError: Nothing of that was accepted.
    """
    gone = [one for one in store.acceptances() if one.key == key and code in {"", one.code}]
    if not gone:
        raise ConfigError(
            f"nothing{f' with the code {code}' if code else ''} is accepted of {key}. See what is: scimsync findings"
        )
    store.change_acceptances((), [(one.key, one.kind) for one in gone])
    for named in sorted({one.code for one in gone}):
        note(settings, store, Kind.FINDING, action="forgotten", rule=named, person=key)
    return gone


def _today(settings: Settings) -> date:
    return now().astimezone(ZoneInfo(settings.source.zone)).date()


def _no_such(told: Listed, key: str, code: str) -> str:
    codes = sorted({one.code for one in told.findings if one.subject == key})
    if codes:
        near = get_close_matches(code, codes, n=1, cutoff=0.5)
        found = f"it has {', '.join(codes)}"
        return f"{key} has no finding {code} in plan {told.plan.id}; {found}" + (
            f". Did you mean {near[0]}?" if near else "."
        )
    return f"{key} has no finding in plan {told.plan.id}. See who has: scimsync findings --all"

"""The end of leavers: who was inactive for long enough is deleted; what is remembered of who is inactive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from scimsync.core import ending as rules
from scimsync.core import limits, protecting
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.limits import Demand, Past
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Endings
from scimsync.model.outcomes import Ending, Outcome, Status
from scimsync.model.plans import Action, Change, Coming, Finding, Lifecycle, Plan
from scimsync.model.policy import Leavers
from scimsync.workbench import ending as tables
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison

_GOOD = frozenset({Status.DONE, Status.ALREADY})


class Known(Struct, frozen=True, kw_only=True):
    """What a plan knows when it comes to those who left long ago."""

    now: datetime
    #: the directory was read whole, and nothing was found against the source, but that absence may not be proven
    believed: bool
    #: the directory lists all inactive accounts
    listed: bool
    #: everybody was read, and not only who was asked for
    whole: bool
    #: who is missing from the source left
    absence: bool
    past: Past
    #: whose account may be inactive though nobody left: people on leave, and who joins later
    apart: frozenset[str] = frozenset()
    #: whether somebody (key and account) was missing from enough readings
    missing: Callable[[str, str], bool] = lambda *_: True


class Ends(Struct, frozen=True, kw_only=True):
    """Whose account is deleted."""

    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    #: what the plan wanted, for the limits
    demanded: tuple[Demand, ...] = ()
    #: key -> when the account of somebody else is deleted
    later: Mapping[str, datetime] = field(default_factory=dict)

    def coming(self, zone: ZoneInfo) -> Iterator[Coming]:
        """Whose account is deleted on a day to come."""
        for key, due in self.later.items():
            yield Coming(key, Lifecycle.LEAVER, due.astimezone(zone).date(), Action.DELETE)


def plan_ends(bench: Workbench, comparison: Comparison, request: PlanRequest, store: Endings, known: Known) -> Ends:
    """Plan who is deleted; remember who is met inactive for the first time, forget who is active again.

    Args:
        bench: The tables of the run, after correlation.
        comparison: The comparison of the run.
        request: What becomes of leavers, and how many at once.
        store: Since when accounts are inactive.
        known: What else counts.
    """
    policy = request.policy
    tables.stage_endings(bench, store.endings())
    over = tables.over(bench, whole=known.believed and known.listed and known.whole)
    if over:
        store.change_endings((), over)
    if policy.leavers is not Leavers.DELETE or not known.believed:
        return Ends()
    found = [
        one
        for one in tables.inactive(bench, policy.attributes, comparison, absence=known.absence, listed=known.listed)
        if one.key not in known.apart and not protecting.is_protected(one.key, one.name, policy)
    ]
    gone = {one.key for one in found if not one.absent or _is_proven(one) or known.missing(one.key, one.account)}
    fresh = [Ending(one.key, one.account, known.now, proven=False) for one in found if one.ending is None]
    findings = []
    if fresh:
        store.change_endings(fresh)
        findings.append(rules.of_undated([one.key for one in fresh], known.now + policy.leavers_after))
    due = [
        (one, one.ending)
        for one in found
        if one.key in gone
        and one.ending is not None
        and rules.is_due(one.ending.since, policy.leavers_after, known.now)
    ]
    later = {one.key: one.ending.since + policy.leavers_after for one in found if one.ending is not None}
    later |= {one.key: known.now + policy.leavers_after for one in fresh}
    later = {key: when for key, when in later.items() if key not in {one.key for one, _ in due}}
    demand = Demand(kind="delete", number=len(due), of=comparison.linked(), limit=policy.limits.delete)
    refused = limits.refusals([demand], request.overrides, known.past, partial=request.is_partial)
    if refused:
        findings += rules.beyond(refused, [one.key for one, _ in due])
        return Ends(findings=tuple(findings), demanded=(demand,), later=later)
    return Ends(
        changes=tuple(rules.plan_ending(ending, one.name, one.version, one.row) for one, ending in due),
        findings=(*findings, *(rules.of_expired(ending, one.row) for one, ending in due)),
        demanded=(demand,),
        later=later,
    )


def _is_proven(one: tables.Inactive) -> bool:
    return one.ending is not None and one.ending.proven


def remember(store: Endings, plan: Plan, people: Mapping[str, Sequence[Outcome]], now: datetime) -> None:
    """Take into the state who is inactive from now on, and who is no more: active again, or deleted."""
    left = {c.key: c for c in plan.changes if c.lifecycle is Lifecycle.LEAVER}
    began: list[Ending] = []
    over: list[str] = []
    for key, parts in people.items():
        active = next((o.written[ACTIVE] for o in reversed(parts) if ACTIVE in o.written), None)
        account = next((o.account for o in parts if o.account), None)
        change = left.get(key)
        if change is not None and change.action is Action.DELETE:
            over += [key] if any(outcome.status in _GOOD for outcome in parts) else []
        elif active is True:
            over.append(key)
        elif active is False and account is not None and change is not None:
            began.append(Ending(key, account, now, proven=True))
    if began or over:
        store.change_endings(began, over)

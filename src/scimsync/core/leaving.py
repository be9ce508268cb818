"""A leaver who keeps access is the first thing that is told: in the plan, of the run, in the report, to others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import Action, Change, Finding, Plan, Severity, Verdict

#: the code of a leaver whose access is not taken away, though policy wants that
KEPT = "leaver.kept"
#: why, where no finding says it
EDITED, SPOKEN_FOR = "an edit in the directory stands against it", "another record waits"
UNREAD, UNTRUSTED, UNBEGUN, UNPLANNED = "target.incomplete", "source.blanks", "run.unfinished", "no plan could be made"
#: what a person took back, and no run does again by itself (`core.undoing`)
TAKEN_BACK = "undo.held"
#: keys that one sentence names
_NAMED = 5
_GOOD = frozenset({Status.DONE, Status.ALREADY})


def finding(key: str, why: str, row: int | None = None, heir: str = "") -> Finding:
    """That this person left and the account stays active; `heir` is the key of a record that is probably they."""
    return Finding(
        severity=Severity.ERROR,
        code=KEPT,
        subject=key,
        summary="this person left and keeps access",
        detail=why,
        hint=f"say whether {heir} is this person, by one of the commands at {heir} (scimsync explain {heir})"
        if heir
        else "disable the account by hand, or mend what the detail names and run again",
        row=row,
        holds=True,
    )


def reasons(findings: Iterable[Finding], notices: Iterable[Change]) -> dict[str, str]:
    """Why a person waits, by key: the code of the first finding that leaves them out, or what became of `active`."""
    found: dict[str, str] = {}
    for one in findings:
        if one.holds and (not one.path or (one.code, one.path) == (TAKEN_BACK, ACTIVE)):
            found.setdefault(one.subject, one.code)
    for notice in notices:
        verdict = next((d.verdict for d in notice.deltas if d.path == ACTIVE), None)
        if verdict is not None:
            found.setdefault(notice.key, "conflict.open" if verdict is Verdict.CONFLICT else EDITED)
    return found


def judged(change: Change, outcome: Outcome) -> Outcome:
    """The outcome of a change; of a disable that took no access away with the code that says so.

    An account that is gone gives nobody access.
    """
    taken = outcome.status in _GOOD or outcome.written.get(ACTIVE) is False
    if change.action is not Action.DISABLE or taken or outcome.code in {"account.gone", KEPT}:
        return outcome
    return replace(outcome, code=KEPT, detail=": ".join(filter(None, (outcome.code, outcome.detail))))


def by_plan(plan: Plan) -> dict[str, str]:
    """Who keeps access when this plan is carried out, and why: everybody whom it would disable, where it is refused."""
    refusal = next((refusal.rule for refusal in plan.refusals), "")
    refused = {c.key: refusal for c in plan.changes if c.action is Action.DISABLE and refusal}
    return {one.subject: one.detail for one in plan.findings if one.code == KEPT} | refused


def by_run(plan: Plan, outcomes: Mapping[tuple[str, int], Outcome]) -> dict[str, str]:
    """Who keeps access after a run of this plan, and why."""
    kept = {one.subject: one.detail for one in plan.findings if one.code == KEPT}
    for change in plan.changes:
        if change.action is Action.DISABLE:
            outcome = outcomes.get((change.key, change.part))
            if outcome is None:
                kept[change.key] = UNBEGUN
            elif outcome.code == KEPT:
                kept[change.key] = outcome.detail
    return kept


def sentence(kept: Mapping[str, str]) -> str:
    """Who keeps access, in one line.

    Examples:
        >>> sentence({"1001": "record.duplicate-key"})
        'leaver.kept: 1 person left and keeps access: 1001 (record.duplicate-key)'
    """
    named = [f"{key} ({why.partition(': ')[0]})" for key, why in [*kept.items()][:_NAMED]]
    more = [f"and {len(kept) - _NAMED:,} more"] if len(kept) > _NAMED else []
    who = "1 person left and keeps access" if len(kept) == 1 else f"{len(kept):,} people left and keep access"
    return f"{KEPT}: {who}: {', '.join([*named, *more])}"

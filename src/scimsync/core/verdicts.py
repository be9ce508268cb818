"""Verdicts in words: what becomes of one attribute, by which rule, and what would have to change.

Nothing is decided here. The plan decided; this reads what it decided, and says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.core.merge import merge
from scimsync.model.plans import MAKING, Change, Coming, Delta, Finding, Plan, Reason, Sides, Verdict
from scimsync.model.policy import Authority, Mapped
from scimsync.model.stories import Becomes, Cause, Traces


class Mine(Struct, frozen=True, kw_only=True):
    """What a plan says of one person."""

    key: str
    changes: tuple[Change, ...] = ()
    notices: tuple[Change, ...] = ()
    #: about this person
    findings: tuple[Finding, ...] = ()
    #: about the run, or about a path or a column
    wide: tuple[Finding, ...] = ()
    refusals: tuple[Finding, ...] = ()
    #: the directory was asked, and did not only show earlier what it is planned from
    asked: bool = True
    #: what happens to this person on days to come
    coming: tuple[Coming, ...] = ()

    @classmethod
    def of(
        cls,
        plan: Plan,
        key: str,
        names: Iterable[str],
        found: Iterable[Finding] = (),
        *,
        asked: bool = True,
    ) -> Mine:
        """What a plan says of one person.

        Args:
            plan: the plan.
            key: who it is.
            names: the attributes and the columns of the source, which findings may be about.
            found: everything that was found on the way, where that is more than the plan tells.
            asked: the directory was asked.
        """
        wide = {"", *names} - {key}
        findings = tuple(dict.fromkeys((*plan.findings, *found)))
        return cls(
            key=key,
            changes=tuple(change for change in plan.changes if change.key == key),
            notices=tuple(notice for notice in plan.notices if notice.key == key),
            findings=tuple(one for one in findings if one.subject == key),
            wide=tuple(one for one in findings if one.subject in wide),
            refusals=plan.refusals,
            asked=asked,
            coming=tuple(one for one in plan.coming if one.key == key),
        )

    @property
    def delta_of(self) -> Mapping[str, Delta]:
        """What becomes of each attribute that is told of."""
        told = (*self.notices, *self.changes)
        return {delta.path: delta for change in told for delta in change.deltas}

    @property
    def holds(self) -> tuple[Finding, ...]:
        """Why the person is left out, whole."""
        return tuple(one for one in self.findings if one.holds and not one.path)


class Ruled(Struct, frozen=True, kw_only=True):
    """What becomes of one attribute, in words."""

    becomes: Becomes
    rule: str
    verdict: str
    advice: str = ""
    causes: tuple[Cause, ...] = ()


def cause_of(finding: Finding) -> Cause:
    """A finding as a cause."""
    more = finding.detail if finding.detail != finding.path else ""
    why = f"{finding.summary} ({more})" if more else finding.summary
    return Cause(code=finding.code, why=why, advice=finding.hint, path=finding.path)


def path(mapped: Mapped, traces: Traces, mine: Mine, columns: Iterable[str] = ()) -> Ruled:
    """What becomes of one attribute, by which rule, and what would have to change.

    Args:
        mapped: the attribute.
        traces: what the tables say.
        mine: what the plan says.
        columns: the source columns that it is made of.
    """
    about = tuple(map(cause_of, _about(mapped, mine.findings, ())))
    delta = mine.delta_of.get(mapped.path)
    if delta is not None:
        return _refused(of_delta(delta, about), mine)
    if mine.holds:
        why = tuple(map(cause_of, mine.holds))
        return _left_alone("the person is left out", why[0].why, (*why, *about))
    stopped = [cause for cause in about if cause.code not in _TELLING and cause.path == mapped.path]
    wide = tuple(map(cause_of, _about(mapped, mine.wide, columns)))
    if mapped.path in traces.spoiled or stopped:
        found = (*about, *wide) or (Cause(code="", why="the value of HR is left alone"),)
        first = next(iter(stopped), found[0])
        return _left_alone("a value that cannot be written is left alone", first.why, found)
    ruled = _without_delta(mapped, traces, mine, (*about, *wide))
    return replace(ruled, causes=about) if ruled.becomes is Becomes.SAME else ruled  # what is wide is about others then


#: findings that tell of an attribute and leave nothing alone
_TELLING = frozenset({"account.foreign-value", "attribute.unshown"})


def _about(mapped: Mapped, findings: Iterable[Finding], columns: Iterable[str]) -> list[Finding]:
    """The findings about an attribute: they name it, or a column that it is made of, or begin to tell of it so."""
    names = {mapped.path, *columns}
    return [
        one
        for one in findings
        if mapped.path in one.path.split(", ")
        or one.subject in names
        or (one.code.startswith(("reference.", "attribute.")) and one.detail.split(" ")[0].rstrip(":") == mapped.path)
    ]


def _refused(ruled: Ruled, mine: Mine) -> Ruled:
    if not mine.refusals or ruled.becomes is Becomes.KEEP or ruled.becomes is Becomes.CONFLICT:
        return ruled
    why = tuple(map(cause_of, mine.refusals))
    return Ruled(
        becomes=ruled.becomes,
        rule=ruled.rule,
        verdict=f"{ruled.verdict}; but the plan is refused by {mine.refusals[0].rule}",
        advice=why[0].advice,
        causes=(*why, *ruled.causes),
    )


def _left_alone(rule: str, verdict: str, causes: Sequence[Cause]) -> Ruled:
    advice = next((cause.advice for cause in causes if cause.advice), "")
    return Ruled(becomes=Becomes.LEFT_ALONE, rule=rule, verdict=verdict, advice=advice, causes=tuple(causes))


def _sides(traces: Traces, mapped: Mapped) -> Sides:
    return Sides(
        desired=traces.desired.get(mapped.path),
        current=(traces.current or {}).get(mapped.path),
        base=traces.base.get(mapped.path),
        known=mapped.path in traces.base,
    )


def _without_delta(mapped: Mapped, traces: Traces, mine: Mine, about: tuple[Cause, ...]) -> Ruled:
    """What becomes of an attribute of which the plan says nothing."""
    if traces.absent:
        return _left_alone("no record", "this delivery of changes does not hold this person", about)
    if mapped.path not in traces.desired:
        if traces.rows:
            return _left_alone("no value can be told", "HR's records are not clear", about)
        today = " that holds today" if traces.early else ""
        return _left_alone("no record", f"HR has no record of this person{today}, so nothing is wanted here", about)
    if any(change.action in MAKING for change in mine.changes):
        if traces.desired[mapped.path] is None:
            return _same("a new account gets the values that HR has", "HR has none, so none is given", about)
        return _left_alone("not written into this new account", "left alone", about)
    if traces.current is None:
        if traces.desired.get(ACTIVE) is False:
            return _left_alone("nobody who is not active is given an account", "there is no account", about)
        return _left_alone("no account", "there is no account that it could be written to", about)
    return _compared(mapped, traces, about)


def _compared(mapped: Mapped, traces: Traces, about: tuple[Cause, ...]) -> Ruled:
    """The same of a person with record and account: mostly, both sides hold it."""
    sides = _sides(traces, mapped)
    if mapped.place.same(sides.desired, sides.current):
        return _same("both sides hold the same", "nothing is written", about)
    if merge(mapped.place, sides, mapped.authority) is None:
        return _same("all that HR asks for is there; the rest is other people's", "nothing is written", about)
    if mapped.place.dropped and traces.active is False:
        return _left_alone(
            "the directory takes this from inactive people, so it is not compared while they are", "left alone", about
        )
    return _left_alone("the plan leaves it alone", about[0].why if about else "left alone", about)


def _same(rule: str, verdict: str, causes: tuple[Cause, ...]) -> Ruled:
    return Ruled(becomes=Becomes.SAME, rule=rule, verdict=verdict, causes=causes)


def of_delta(delta: Delta, causes: tuple[Cause, ...] = ()) -> Ruled:
    """A verdict of the plan in words."""
    becomes = Becomes(delta.verdict.value)
    rule = f"{_MOVED[delta.reason]}; {_decides(delta)}" if delta.reason in _MOVED else _REASONS[delta.reason]
    if delta.verdict in {Verdict.AWAIT, Verdict.DEFER}:
        later = "in the second pass of the run" if delta.verdict is Verdict.DEFER else "in the same run"
        verdict = f"waits for {delta.awaits}, and is written {later}"
        advice = f"see what becomes of {delta.awaits}: scimsync explain {delta.awaits}" if delta.awaits else ""
    else:
        verdict, advice = _VERDICTS[delta.verdict], _advice(delta)
    return Ruled(becomes=becomes, rule=rule, verdict=verdict, advice=advice, causes=causes)


_VERDICTS = {
    Verdict.WRITE: "HR's value is written",
    Verdict.KEEP: "the directory's value is kept",
    Verdict.CONFLICT: "held: a person decides",
}
#: the reasons for which an authority is asked, and where it is not
_MOVED = {
    Reason.TARGET_MOVED: "somebody edited it in the directory since both sides agreed",
    Reason.BOTH_MOVED: "HR and the directory both changed it since they agreed",
    Reason.NO_BASE: "both sides never agreed on it",
}
_REASONS = {
    Reason.SOURCE_MOVED: "HR changed it, and the directory is as it was agreed, so no authority is asked",
    Reason.JOINER: "a new account gets the values that HR has",
    Reason.LEFT: "the person left, so access is taken away",
    Reason.ENDED: "the record has ended, so access is taken away, whatever its status says",
    Reason.RETURNED: "the person came back, so access is given again",
    Reason.AWAY: "the person is on leave, so access is taken away until the return",
    Reason.BACK: "the person is back from leave, so access is given again",
    Reason.BEGAN: "the first day has come, so the account that was made before it is enabled",
    Reason.OUTSIDE: "no record is in the scope of [source] where, so access is taken away",
    Reason.AWAITS: "it names somebody whose account is made in the same run",
    Reason.HANDED: "the login is still another person's, who gives it up in the same run",
    Reason.REVIVED: "it came back with the deleted account, and is set as HR says",
    Reason.PARKED: "it makes room in an exchange of logins",
    Reason.UNDONE: "the run that wrote it is taken back",
    Reason.SINCE: "the directory changed it after the run that is taken back, so it stays",
    Reason.LATER: "a later run wrote it after the one that is taken back, so it stays",
    Reason.PAST: "the person is brought back to how it was then",
}


def _decides(delta: Delta) -> str:
    if delta.decided:
        side = "the directory wins" if delta.verdict is Verdict.KEEP else "HR wins"
        return f"a person decided that {side} (decision {delta.decided})"
    if isinstance(delta.sides.desired, tuple) and delta.authority is Authority.MERGE:
        return "authority merge adds what HR added, removes what HR dropped, and leaves the rest"
    decided = {
        (Authority.LOCAL_WINS, Verdict.WRITE): "HR wins",
        (Authority.LOCAL_WINS, Verdict.KEEP): "others may fill it, so what is not ours is kept",
        (Authority.CLOUD_WINS, Verdict.KEEP): "the directory wins",
        (Authority.ASK, Verdict.CONFLICT): "a person decides",
        (Authority.MERGE, Verdict.KEEP): "the side that moved wins",
        (Authority.MERGE, Verdict.WRITE): "the side that has a value wins",
        (Authority.MERGE, Verdict.CONFLICT): "one value cannot be merged, so a person decides",
    }
    return (
        f"authority {delta.authority.value}: {decided.get((delta.authority, delta.verdict), _VERDICTS[delta.verdict])}"
    )


def _advice(delta: Delta) -> str:
    if delta.decided:
        return f"to decide otherwise: scimsync conflicts withdraw {delta.decided}"
    match delta.verdict:
        case Verdict.KEEP if delta.authority is Authority.LOCAL_WINS:
            return "clear it in the directory if nobody needs it, and run again"
        case Verdict.KEEP:
            return 'to let HR win here: authority = "local_wins" for this attribute, or put HR\'s value there by hand'
        case Verdict.CONFLICT:
            return (
                "decide it: scimsync conflicts; or make both sides equal, in HR or in the directory; or name another "
                "authority for this attribute"
            )
        case _ if delta.reason in {Reason.TARGET_MOVED, Reason.BOTH_MOVED}:
            return 'to keep what the directory holds: authority = "cloud_wins" for this attribute, or change HR'
    return ""

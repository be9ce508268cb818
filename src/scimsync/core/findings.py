"""What a plan tells people beside its changes: references, circles, paths of match, what was left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scimsync.core.leaving import KEPT
from scimsync.core.references import Loop
from scimsync.model.accounts import Missing, Unresolved
from scimsync.model.outcomes import Deferred
from scimsync.model.plans import Change, Finding, Severity
from scimsync.model.policy import Policy
from scimsync.model.wording import some_of

#: a finding names at most so many members of a circle
NAMED = 50
#: people whose reference names nobody with an account and who have a finding of their own, for each path
_NAMED = 100


def of_unresolved(
    unresolved: Iterable[Unresolved],
    strange: Mapping[tuple[str, str], int | None],
    *,
    each: bool = False,
) -> Iterator[Finding]:
    """A finding for each person who is written and whose reference is left alone; of the others the first are named.

    Args:
        unresolved: The references that name nobody with an account.
        strange: (path, key) -> row of those who are written.
        each: Whether those who are not written have a finding of their own too, so that two plans can be compared.
    """
    told: Counter[tuple[str, Missing]] = Counter()
    rest: dict[tuple[str, Missing], list[str]] = {}
    for one in unresolved:
        kind = (one.path, one.why)
        if (each or (one.path, one.key) in strange) and told[kind] < _NAMED:
            told[kind] += 1
            detail = f"{one.path} names {one.named}" if one.named else one.path
            yield _left_alone(one.why, one.key, detail, strange.get((one.path, one.key)))
        else:
            rest.setdefault(kind, []).append(one.key)
    for (path, why), keys in rest.items():
        yield _left_alone(why, "", f"{path} of {some_of(keys)}")


#: what is said of a reference, and what to do, by why it names nobody who has an account
_UNRESOLVED = {
    Missing.NOWHERE: (
        "a reference names somebody whom neither the source nor a link knows",
        "correct the key in the source, or add the missing person to it",
    ),
    Missing.LOGIN: (
        "a reference names a login or an id that no account has",
        "correct the login in the source; see the accounts with: scimsync accounts --unmanaged",
    ),
    Missing.INACTIVE: (
        "a reference names somebody who is inactive in the source and has no account",
        "name somebody in the source who is still there: who left gets no account",
    ),
    Missing.LEFT_OUT: (
        "a reference names somebody who is in the source and left out of this plan",
        "mend what the finding about that person says; the reference is set then",
    ),
    Missing.WITHOUT: (
        "a reference names somebody who is in the source and has no account",
        "see what this plan says about that person: scimsync explain KEY",
    ),
}
_STRANGE = frozenset({Missing.NOWHERE, Missing.LOGIN})


def _left_alone(why: Missing, subject: str, detail: str, row: int | None = None) -> Finding:
    summary, hint = _UNRESOLVED[why]
    return Finding(
        severity=Severity.INFO,
        code="reference.unknown" if why in _STRANGE else "reference.no-account",
        subject=subject,
        summary=f"{summary}; it is left alone",
        detail=detail,
        hint=hint,
        row=row,
    )


def of_unshown(path: str, why: str) -> Finding:
    """A path beside SCIM that we may not read or write, so it is left alone; everything else goes on."""
    return Finding(
        severity=Severity.WARNING,
        code="platform.unread",
        subject=path,
        summary="what the Platform API has here is not open to us; it is left alone in this plan",
        detail=why,
        hint="give the role of the OAuth client the permission, correct the name, or take the path from [attributes]",
    )


def of_unread(kinds: Sequence[str]) -> Finding:
    """A finding about lists of names that the directory does not show us."""
    return Finding(
        severity=Severity.WARNING,
        code="target.names-unknown",
        subject="",
        summary="the names of these kinds cannot be checked; the directory refuses a write with an unknown name",
        detail=", ".join(kinds),
        hint="give the OAuth client a role with the view permissions for these lists",
    )


def of_unmatched(policy: Policy) -> Iterator[Finding]:
    """A finding about paths of `match` that the mapping does not have."""
    for place in policy.match:
        if place.short not in policy.by_path:
            yield Finding(
                severity=Severity.WARNING,
                code="correlation.unmapped",
                subject="",
                summary="a path of [correlation] match is not mapped, so no account is found by it",
                detail=place.short,
                hint="map it in [attributes], or take it from match",
            )


def of_nobody(name: str, near: str | None) -> Finding:
    """A finding about a protected name that is nobody's."""
    return Finding(
        severity=Severity.WARNING,
        code="policy.protected-unknown",
        subject="",
        summary="a name in [policy] protected is nobody's key and nobody's login, so it protects nobody",
        detail=f"{name}; did you mean {near}?" if near else name,
        hint="correct it, or take it out",
    )


def of_circles(circles: Iterable[tuple[str, tuple[str, ...]]], loops: Sequence[Loop]) -> Iterator[Finding]:
    """A finding for each loop of references in HR, with the edge where it was cut, if it had to be."""
    opened = {loop.cut.who: loop for loop in loops}
    for path, members in circles:
        mine = [loop for who in members if (loop := opened.pop(who, None)) is not None]
        later = [f"{loop.cut.who} gets the reference to {loop.cut.whom} in the second pass" for loop in mine]
        yield _circle(members, len(members), f"{path}: ", later)
    for loop in opened.values():
        later = [f"{loop.cut.who} gets the reference to {loop.cut.whom} in the second pass"]
        yield _circle(loop.members, loop.length, "", later)


def _circle(members: Sequence[str], length: int, path: str, later: Sequence[str]) -> Finding:
    shown = [*members[:NAMED], f"… ({length - NAMED:,} more)"] if length > NAMED else [*members]
    return Finding(
        severity=Severity.WARNING,
        code="reference.cycle",
        subject=members[0],
        summary="references go in a circle",
        detail="; ".join([path + " -> ".join([*shown, members[0]]), *later]),
        hint="correct one of them in HR; as it stands, each is set as HR says",
    )


def of_waiting(edge: Deferred) -> Finding:
    """A finding about a reference that goes on waiting."""
    return Finding(
        severity=Severity.INFO,
        code="reference.deferred",
        subject=edge.key,
        summary="a reference waits for the account of another person since an earlier run",
        detail=_since(edge.path, edge.awaits, edge),
        hint=f"see what this plan says about {edge.awaits}",
    )


def _since(path: str, awaits: str, edge: Deferred | None) -> str:
    since = f" since {edge.since:%Y-%m-%d %H:%M} UTC, run {edge.run}" if edge and edge.awaits == awaits else ""
    return f"{path} waits for {awaits}{since}"


def of_vain(change: Change, path: str, awaited: str, edge: Deferred | None) -> Finding:
    """A finding about a reference to somebody who gets no account in this plan."""
    return Finding(
        severity=Severity.INFO,
        code="reference.deferred",
        subject=change.key,
        summary="a reference waits for a person who gets no account in this plan; it is left alone",
        detail=_since(path, awaited, edge),
        hint=f"see the finding about {awaited}",
        row=change.row,
    )


def of_foreign(key: str, path: str, row: int | None) -> Finding:
    """A finding about a value that another program put into an account."""
    return Finding(
        severity=Severity.WARNING,
        code="account.foreign-value",
        subject=key,
        summary="the account holds a value that is neither HR's nor ours, so another program's; it is kept",
        detail=path,
        hint="clear it in the directory if nobody needs it, and run again; or take the path from the mapping",
        row=row,
    )


def of_hidden(key: str, row: int | None) -> Finding:
    """A finding about an account of which the directory does not show whether it is active."""
    return Finding(
        severity=Severity.WARNING,
        code="account.active-unknown",
        subject=key,
        summary="the directory does not show whether this account is active; it is not enabled",
        hint="look at the account in the directory; if it is disabled, enable it there",
        row=row,
    )


def of_unbelieved(key: str, doubts: Sequence[str]) -> Finding:
    """A finding about somebody whose absence is not believed."""
    return Finding(
        severity=Severity.WARNING,
        code="leaver.unproven",
        subject=key,
        summary="this person is missing from the source, but is not treated as a leaver; the account stays active",
        detail="; ".join(doubts),
        hint="see the findings about the source",
        holds=True,
    )


def of_unfinished(run: str) -> Finding:
    """A finding about a run that was cut short."""
    return Finding(
        severity=Severity.WARNING,
        code="run.unfinished",
        subject="",
        summary="a run was cut short; this plan holds what it left, or that run can be gone on with",
        detail=run,
        hint=f"scimsync apply {run}",
    )


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Leavers who keep access, then what is about the run or its source, then people's; errors first."""
    return sorted(
        findings,
        key=lambda f: (f.code != KEPT, _is_of_people(f), f.severity is not Severity.ERROR, f.code, f.subject),
    )


def _is_of_people(finding: Finding) -> bool:
    """Whether the subject is a person, and not a column of the source."""
    return finding.subject != "" and not finding.code.startswith("source.")

"""A joiner whose login belonged to a deleted account: the creation would bring that account back. Whose is it?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.planner import operations_of
from scimsync.model.accounts import DeletedAccount, Pair
from scimsync.model.plans import LOGIN, Action, Change, Delta, Finding, Reason, Severity, Sides, Verdict
from scimsync.model.policy import Authority, Deleted, Mapped, Policy

#: the code of a joiner who waits
DELETED = "account.deleted"
#: the code of a joiner whose account comes back, by the plan
RESTORING = "account.restoring"
#: the code of a plan whose deleted accounts nobody could see
UNSEEN = "target.deleted-unseen"
_NUMBER = "enterprise:employeeNumber"


class Revival(Struct, frozen=True, kw_only=True):
    """What becomes of one joiner: the change, where there is still one, and what is told."""

    change: Change | None
    finding: Finding


def revival(
    change: Change,
    cleared: Collection[str],
    found: Sequence[DeletedAccount],
    owners: Mapping[str, str],
    policy: Policy,
) -> Revival:
    """Decide about a joiner whose login deleted accounts had.

    Args:
        change: The creation as it was planned.
        cleared: The paths of which HR says that there is nothing.
        found: The deleted accounts, one at least.
        owners: Id of an account -> the key that it is, or was, linked to.
        policy: What becomes of such joiners.
    """
    one = found[0]
    mine, other = _marks(change, one, owners)
    words = [f"{one.id} of {one.name or one.login}", mine or other or "nobody knows whose it was"]
    words += [f"comes back with {', '.join(one.holds)}"] if one.holds else []
    words += ["comes back without roles and groups"]
    detail = "; ".join(words)
    if len(found) > 1:
        detail = f"{len(found)} deleted accounts had it: {', '.join(account.id for account in found)}"
    may = policy.deleted is Deleted.RESTORE and not other and len(found) == 1 and bool(one.version)
    return Revival(
        change=_restoring(change, cleared, one, policy.attributes) if may else None,
        finding=Finding(
            severity=Severity.INFO if may else Severity.WARNING,
            code=RESTORING if may else DELETED,
            subject=change.key,
            summary=_RESTORED if may else _HELD,
            detail=detail,
            hint=_LOOK if may else _hint(same=bool(mine), policy=policy),
            row=change.row,
            holds=not may,
        ),
    )


_HELD = "the login belonged to a deleted account, which the creation would bring back; the person waits"
_RESTORED = "the login belonged to a deleted account; it comes back, and gets what HR says"
_LOOK = "give it roles and groups; take away what is not mapped and not this person's"


def _hint(*, same: bool, policy: Policy) -> str:
    if policy.deleted is Deleted.RESTORE:
        return "give the person another login in HR, or bring the account back by hand and link it: scimsync link"
    if same:
        return 'it is the same person: [policy] deleted = "restore", or bring the account back by hand'
    return 'give the person another login in HR; if it is the same person: [policy] deleted = "restore"'


def _marks(change: Change, one: DeletedAccount, owners: Mapping[str, str]) -> tuple[str, str]:
    """By what it is this person's account, and by what another's; both "" where nothing tells."""
    owner = owners.get(one.id)
    number = next((str(d.sides.desired) for d in change.deltas if d.path == _NUMBER and d.sides.desired), "")
    if owner is not None and owner != change.key:
        return "", f"it was linked to {owner}, who is another person"
    if number and one.number and number != one.number:
        return "", f"it has the employeeNumber {one.number}, which is another person's"
    if owner is not None:
        return "the same person, by the link", ""
    return ("the same person, by the employeeNumber" if number and number == one.number else ""), ""


def _restoring(change: Change, cleared: Collection[str], one: DeletedAccount, attributes: Sequence[Mapped]) -> Change:
    """Bring the account back and write all that HR says, also that something is nothing."""
    nothing = Sides(desired=None, current=None, base=None, known=False)
    gone = [m.path for m in attributes if m.path in cleared and m.place.attribute.name in one.holds]
    deltas = tuple(replace(delta, authority=Authority.LOCAL_WINS) for delta in change.deltas) + tuple(
        Delta(path=p, sides=nothing, verdict=Verdict.WRITE, reason=Reason.JOINER, authority=Authority.LOCAL_WINS)
        for p in gone
    )
    return replace(
        change,
        action=Action.RESTORE,
        deltas=deltas,
        account=one.id,
        version=one.version,
        operations=operations_of(deltas, attributes),
    )


def cleared(pair: Pair, frozen: Collection[str]) -> frozenset[str]:
    """The paths of which HR says that there is nothing, and of which that may be believed."""
    alone = {*pair.left_out, *pair.unresolved, *frozen, *pair.awaits}
    return frozenset(path for path, value in pair.desired.items() if value is None and path not in alone)


def against(
    deltas: Iterable[Delta], resource: Mapping[str, object], attributes: Mapping[str, Mapped]
) -> tuple[Delta, ...]:
    """What must be written of an account that came back: all that it does not hold as HR says."""
    found = []
    for delta in deltas:
        place = attributes[delta.path].place
        held = place.read(resource)
        if not place.same(held, delta.sides.desired):
            sides = replace(delta.sides, current=held, base=held, known=True)
            found.append(replace(delta, sides=sides, verdict=Verdict.WRITE))
    return tuple(found)


def logins_of(changes: Iterable[Change]) -> dict[str, Change]:
    """The creations by the login that they would give, in lower case."""
    return {
        str(delta.sides.desired).lower(): change
        for change in changes
        if change.action is Action.CREATE
        for delta in change.deltas
        if delta.path == LOGIN and delta.sides.desired
    }


def of_unseen(joiners: Collection[str]) -> Finding:
    """That nobody may ask for deleted accounts."""
    return Finding(
        severity=Severity.WARNING,
        code=UNSEEN,
        subject="",
        summary="the directory does not show us deleted accounts; that a creation brings one back is noticed after it",
        detail=f"{len(joiners):,} accounts are to be created",
        hint="give the client the permission directory:user:view",
    )

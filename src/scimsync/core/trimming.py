"""Leave people, actions or attributes out of a plan that was made, and nothing else out of it.

What waits for somebody who is left out is left out too: a reference to an account that is not made, a login that is
not given up, a membership of somebody who has no account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core import leaving
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.planner import SENT, operations_of
from scimsync.model.plans import (
    BESIDES,
    LOGIN,
    MAKING,
    Action,
    Change,
    Delta,
    Finding,
    GroupChange,
    Member,
    Plan,
    Severity,
)
from scimsync.model.policy import Mapped

#: that a person left something out of a plan
LEFT_OUT = "plan.left-out"


def without_vain(changes: Iterable[Change]) -> tuple[list[Change], list[tuple[Change, str, str]]]:
    """Leave alone the references that wait for somebody who gets no account in this plan.

    Returns:
        The changes that are left, and of each such reference the change, the path, and whom it waits for.
    """
    found = list(changes)
    created = {change.key for change in found if change.action in MAKING}
    kept, told = list[Change](), list[tuple[Change, str, str]]()
    for change in found:
        waits = (*change.awaiting, *change.deferred)
        vain = {d.path: d.awaits for d in waits if d.path != LOGIN and d.awaits is not None and d.awaits not in created}
        told += [(change, path, awaits) for path, awaits in vain.items()]
        deltas = tuple(d for d in change.deltas if d.path not in vain) if vain else change.deltas
        if any(d.verdict in SENT for d in deltas):
            kept.append(replace(change, deltas=deltas) if vain else change)
    return kept, told


class LeaveOut(Struct, frozen=True, kw_only=True):
    """What is left out of a plan: what meets all that is said, and any of each kind. Nothing is said where empty."""

    #: keys of people
    users: frozenset[str] = frozenset()
    #: words of actions; `members` for the members of groups
    actions: frozenset[str] = frozenset()
    #: short paths; `groups` for memberships. Of the people who are meant, these alone
    attributes: frozenset[str] = frozenset()
    #: ids or names of groups: what changes in them, and nothing else
    groups: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return not (self.users or self.actions or self.attributes or self.groups)

    def means(self, change: Change) -> bool:
        """Whether a change of a person is meant, all of it or some of its attributes."""
        return (
            not self.groups
            and (not self.users or change.key in self.users)
            and (not self.actions or change.action.value in self.actions)
        )

    def means_group(self, group: GroupChange) -> bool:
        """Whether changes of a group's members are meant by themselves."""
        if self.groups:
            named = group.group in self.groups or group.name in self.groups
            return named and (not self.actions or MEMBERS in self.actions)
        return MEMBERS in self.actions or MEMBERSHIPS in self.attributes


#: how the members of groups are called among actions, and memberships among attributes
MEMBERS, MEMBERSHIPS = "members", "groups"


class Trimmed(Struct):
    """What is left of a plan, and what is told of what is not."""

    changes: list[Change] = field(default_factory=list)
    groups: list[GroupChange] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    #: paths that a new account cannot do without, by key: somebody wants to leave them out
    needed: dict[str, list[str]] = field(default_factory=dict)


def leave_out(plan: Plan, chosen: LeaveOut, attributes: Sequence[Mapped], why: str) -> Trimmed:
    """Leave something out of a plan, with whatever waits for it.

    Args:
        plan: The plan.
        chosen: What is left out.
        attributes: Everything that the plan may write.
        why: Who leaves it out and why, as findings tell it.
    """
    work = Trimmed()
    paths = chosen.attributes - {MEMBERSHIPS}
    meant = [c for c in plan.changes if chosen.means(c)] if not chosen.attributes else []
    # what a leaver's record says besides may be left out alone; the access goes all the same
    whole, besides = {c.key for c in meant if c.part != BESIDES}, {c.key for c in meant if c.part == BESIDES}
    if not (chosen.attributes or chosen.actions or chosen.groups):
        whole |= chosen.users
    left, lost = list[Change](), set[str]()
    places = {mapped.path: mapped.place for mapped in attributes}
    for change in plan.changes:
        if change.key in whole or (change.part == BESIDES and change.key in besides):
            work.findings.append(_left(change, why))
            lost |= {change.key} if _login(change) else set()
            continue
        gone = [d.path for d in change.deltas if d.path in paths and d.verdict in SENT] if chosen.means(change) else []
        if not gone:
            left.append(change)
            continue
        if change.action in MAKING and (needed := [p for p in gone if p in {LOGIN, ACTIVE} or places[p].needed]):
            work.needed[change.key] = needed
        lost |= {change.key} if LOGIN in gone else set()
        work.findings += [_left(change, why, path) for path in gone]
        left += _without(change, gone, attributes)
    left = _hand_back(left, lost, attributes, work, why)
    kept, vain = without_vain(left)
    for change, path, awaits in vain:
        work.findings.append(_left(change, f"it waits for {awaits}, who is left out: {why}", path))
    same = {id(change) for change in plan.changes}
    work.changes = [change if id(change) in same else _again(change, attributes) for change in kept]
    _tell_leavers(plan, work)
    _trim_groups(plan, chosen, whole, work, why)
    return work


def _login(change: Change) -> Delta | None:
    return next((d for d in change.deltas if d.path == LOGIN and d.verdict in SENT), None)


def _without(change: Change, gone: Iterable[str], attributes: Sequence[Mapped]) -> list[Change]:
    """A change without some paths; none where nothing is left of it, or where its access stays as it is."""
    paths = {*gone}
    deltas = tuple(d for d in change.deltas if d.path not in paths)
    if change.action is Action.DELETE or not any(d.verdict in SENT for d in deltas):
        return []
    action = change.action
    if ACTIVE in paths and action in {Action.ENABLE, Action.DISABLE}:
        action = Action.UPDATE
    return [_again(replace(change, deltas=deltas, action=action), attributes)]


def _again(change: Change, attributes: Sequence[Mapped]) -> Change:
    """A change with the operations that write its deltas."""
    if change.action is Action.DELETE:
        return change
    return replace(change, operations=operations_of(change.deltas, attributes))


def _hand_back(
    changes: list[Change], lost: set[str], attributes: Sequence[Mapped], work: Trimmed, why: str
) -> list[Change]:
    """Leave out the logins that nobody gives up any more: of a new person all, of others the login."""
    while True:
        found, more = list[Change](), set[str]()
        for change in changes:
            waits = next((d.awaits for d in change.deltas if d.path == LOGIN and d.awaits in lost), None)
            if waits is None:
                found.append(change)
                continue
            more.add(change.key)
            told = f"it waits for the login of {waits}, which stays: {why}"
            if change.account is None:
                work.findings.append(_left(change, told))
            else:
                work.findings.append(_left(change, told, LOGIN))
                found += _without(change, [LOGIN], attributes)
        if not more:
            return found
        changes, lost = found, more


def _tell_leavers(plan: Plan, work: Trimmed) -> None:
    """Say of each leaver whose access the plan took away, and this one does not, that they keep it."""
    taken = {c.key for c in work.changes if c.action is Action.DISABLE}
    for change in plan.changes:
        if change.action is Action.DISABLE and change.key not in taken:
            work.findings.append(leaving.finding(change.key, LEFT_OUT, change.row))


def _trim_groups(plan: Plan, chosen: LeaveOut, whole: set[str], work: Trimmed, why: str) -> None:
    """Leave out memberships: those that are meant, those of people who are left out, and of whom no account is made."""
    made = {c.key for c in work.changes if c.action in MAKING}
    unmade = {c.key for c in plan.changes if c.action in MAKING} - made
    acting = chosen.actions - {MEMBERS}
    meant = {c.key for c in plan.changes if chosen.means(c)} if acting else chosen.users
    for group in plan.groups:
        gone_too = whole | unmade
        if chosen.means_group(group):
            everybody = {member.key for member in (*group.add, *group.remove)}
            gone_too |= everybody if not (acting or chosen.users) else meant
        add = tuple(member for member in group.add if member.key not in gone_too)
        remove = tuple(member for member in group.remove if member.key not in gone_too)
        gone = [*(m for m in group.add if m not in add), *(m for m in group.remove if m not in remove)]
        work.findings += [_member(m, group, why) for m in gone if m.key not in whole]
        if add or remove:
            work.groups.append(replace(group, add=add, remove=remove))


def _left(change: Change, why: str, path: str = "") -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=LEFT_OUT,
        subject=change.key,
        summary="a person left this out of the plan",
        detail=f"{change.word}{f' {path}' if path else ''}: {why}",
        hint="the next plan holds it again",
        row=change.row,
        path=path,
        holds=True,
    )


def _member(member: Member, group: GroupChange, why: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=LEFT_OUT,
        subject=member.key or member.account or "",
        summary="a person left this out of the plan",
        detail=f"members of {group.name}: {why}",
        hint="the next plan holds it again",
        path=f"groups[{group.name}]",
        holds=True,
    )

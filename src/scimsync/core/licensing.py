"""What a plan costs: the licences that follow from the roles of whom it changes.

Who is inactive costs nothing (inferred: the licences of Genesys Cloud are those of active people).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.plans import BESIDES, Action, Change, Verdict
from scimsync.model.policy import Mapped, Policy
from scimsync.scim.dialect import ROLE, Dialect
from scimsync.scim.schema import Kind, Value

#: names of roles
Roles: TypeAlias = frozenset[str]
NONE: Roles = frozenset()


class Held(Struct, frozen=True):
    """What an account holds now."""

    #: None where the directory does not show it
    active: bool | None
    roles: Value


def mapped_roles(policy: Policy, dialect: Dialect) -> Mapped | None:
    """The attribute from which licences follow; None where it is not mapped, or nobody tells what follows from it."""
    roots = {listed.root for listed in dialect.names if listed.kind == ROLE and dialect.licences_url}
    whole = (mapped for mapped in policy.attributes if mapped.place.root in roots)
    return next((mapped for mapped in whole if mapped.place.kind is Kind.LIST), None)


def moves(
    changes: Iterable[Change], roles: Mapped, held: Mapping[str, Held], default: Roles
) -> Iterator[tuple[Roles, Roles]]:
    """The roles that are paid for before and after each change that moves them.

    Args:
        changes: The plan.
        roles: The attribute that holds roles.
        held: Account -> what it holds; whoever is not there holds nothing.
        default: The roles of a new account that is given none.
    """
    for change in changes:
        if change.part == BESIDES:  # who left is inactive by then
            continue
        now = held.get(change.account or "")
        before = NONE if now is None or now.active is False else _names(roles, now.roles)
        after = _after(change, roles, now, default)
        if before != after:
            yield before, after


def _after(change: Change, roles: Mapped, now: Held | None, default: Roles) -> Roles:
    written = {delta.path: delta.sides.desired for delta in change.deltas if delta.verdict is Verdict.WRITE}
    active = written.get(ACTIVE, True if change.action is not Action.UPDATE or now is None else now.active)
    if active is False or change.action in {Action.DISABLE, Action.DELETE}:
        return NONE
    if roles.path in written:
        given = _names(roles, written[roles.path])
    else:
        given = _names(roles, now.roles) if now is not None else NONE
    return default if change.action is Action.CREATE and not given else given


def _names(roles: Mapped, value: Value) -> Roles:
    entries = value if isinstance(value, tuple) else ()
    return frozenset(str(name) for entry in entries if (name := dict(entry).get(roles.place.key)))


def counted(moved: Iterable[tuple[Roles, Roles]], licences: Mapping[Roles, frozenset[str]]) -> dict[str, int]:
    """Licence -> people who will need it, less those who need it no more; without those of which as many come as go.

    Args:
        moved: The roles of each person before and after.
        licences: What follows from each set of roles.

    Examples:
        >>> agent, lead = frozenset({"Agent"}), frozenset({"Lead"})
        >>> counted([(NONE, lead), (agent, lead), (agent, NONE)], {agent: {"CX 1"}, lead: {"CX 1", "CX 2"}})
        {'CX 2': 2}
    """
    found: Counter[str] = Counter()
    for before, after in moved:
        found.update(licences.get(after, NONE))
        found.subtract(licences.get(before, NONE))
    return {licence: number for licence, number in sorted(found.items()) if number}

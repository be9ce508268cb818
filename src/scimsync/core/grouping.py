"""Members of groups: which group a name means, what HR asks for in vain, and what is left to write.

Only groups that exist are changed; a group is never created, renamed or deleted (documented: Genesys
takes neither over SCIM). A membership has three sides as an attribute has: desired, current and base.

    add    = desired - current
    remove = what the base holds and HR names no more, as far as it is still there;
             with `others = "remove"` also what HR never named
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import get_close_matches

from scimsync.core.references import components, find_cycles
from scimsync.model.accounts import Group
from scimsync.model.outcomes import Sweep
from scimsync.model.plans import Finding, GroupChange, Severity
from scimsync.model.policy import Grouping, Limit
from scimsync.scim.grammar import render_value
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Value

#: the rule about how many members a group may lose
LOSS = "limits.group_loss"
RULES = frozenset({LOSS})
#: a share of fewer members than these says nothing
FEW = 10
#: paths under which an outcome tells who joined and who left
ADDED, REMOVED = "members.added", "members.removed"
_SHOWN = 5
#: groups of a circle that a finding names
_LOOP = 50


def folded(name: str, match: str) -> str:
    """The form in which names of groups compare: case counts in ids only."""
    return name.strip() if match == "id" else name.strip().casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Which groups the names of HR mean."""

    #: folded name -> id, for names that mean exactly one group
    ids: Mapping[str, str]
    findings: tuple[Finding, ...]


def resolve(names: Mapping[str, str], groups: Sequence[Group], grouping: Grouping) -> Named:
    """Find the groups that are named.

    Args:
        names: Folded name -> name as it was written.
        groups: All groups of the directory.
        grouping: How they are named.
    """
    held: dict[str, list[str]] = {}
    for group in groups:
        held.setdefault(group.id if grouping.match == "id" else folded(group.name, ""), []).append(group.id)
    ids, findings = {}, []
    spellings = {folded(group.name, ""): group.name for group in groups}
    for name, written in sorted(names.items()):
        found = held.get(name, [])
        if len(found) == 1:
            ids[name] = found[0]
        elif found:
            findings.append(_ambiguous(written, len(found)))
        else:
            near = get_close_matches(written.casefold(), spellings, n=1, cutoff=0.6)
            findings.append(_unknown(written, spellings[near[0]] if near else ""))
    return Named(ids=ids, findings=tuple(findings))


def circular(
    edges: Mapping[str, AbstractSet[str]], names: Mapping[str, str]
) -> tuple[set[tuple[str, str]], list[Finding]]:
    """The nestings between groups that reach each other, and a finding for each such knot of groups.

    Args:
        edges: Folded name of a group -> folded names of the groups in it.
        names: Folded name -> name as it was written.
    """
    cut: set[tuple[str, str]] = set()
    findings = []
    knots = [knot for knot in components(edges) if len(knot) > 1 or knot[0] in edges.get(knot[0], ())]
    for knot, loop in zip(knots, find_cycles(edges), strict=True):
        inside = set(knot)
        cut |= {(outer, inner) for outer in knot for inner in edges.get(outer, ()) if inner in inside}
        findings.append(_cycle([names.get(name, name) for name in loop]))
    return cut, findings


@dataclass(frozen=True, slots=True)
class Left:
    """Who still has to join and to leave a group, by id."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many members move."""
        return len(self.add) + len(self.remove)


def remaining(wanted: Left, members: AbstractSet[str]) -> Left:
    """What is left to write, seeing who is in the group now. A second look only shrinks."""
    return Left(
        tuple(one for one in wanted.add if one not in members), tuple(one for one in wanted.remove if one in members)
    )


def without(left: Left, gone: AbstractSet[str]) -> Left:
    """All but some of the members."""
    return Left(tuple(one for one in left.add if one not in gone), tuple(one for one in left.remove if one not in gone))


def common(left: Left, other: Left) -> Left:
    """The moves that are in both."""
    add, remove = set(other.add), set(other.remove)
    return Left(tuple(one for one in left.add if one in add), tuple(one for one in left.remove if one in remove))


def batches(left: Left, size: int) -> Iterator[Left]:
    """Portions of at most `size` members; who leaves comes first."""
    moves = [*((one, False) for one in left.remove), *((one, True) for one in left.add)]
    for start in range(0, len(moves), size):
        part = moves[start : start + size]
        yield Left(tuple(one for one, joins in part if joins), tuple(one for one, joins in part if not joins))


def operations(left: Left) -> tuple[Operation, ...]:
    """The operations of one PATCH (RFC 7644 §3.5.2); the list that others share is never replaced."""
    gone = [Operation("remove", f"members[value eq {render_value(one)}]") for one in left.remove]
    joined = [Operation("add", "members", [{"value": one} for one in left.add])] if left.add else []
    return (*gone, *joined)


def members_of(resource: Mapping[str, object]) -> dict[str, bool]:
    """The members of a group as the target shows it: id, and whether it is said to be a group."""
    listed = resource.get("members")
    found = {}
    for member in listed if isinstance(listed, list) else ():
        if isinstance(member, Mapping) and isinstance(member.get("value"), str):
            found[str(member["value"])] = str(member.get("type") or "").lower() == "group"
    return found


def written(joined: Iterable[str], left: Iterable[str]) -> dict[str, Value]:
    """Who joined and who left, as outcomes tell it."""
    told: dict[str, Value] = {}
    for path, ids in ((ADDED, joined), (REMOVED, left)):
        if entries := tuple((("value", one),) for one in ids):
            told[path] = entries
    return told


def read_written(values: Mapping[str, Value], path: str) -> Iterator[str]:
    """The ids under one path of `written`."""
    listed = values.get(path)
    for entry in listed if isinstance(listed, tuple) else ():
        yield str(dict(entry)["value"])


def loses_too_many(change: GroupChange, limit: Limit, overrides: Iterable[str]) -> Finding | None:
    """The finding for a group that would lose more than it may."""
    few = limit.share is not None and change.held < FEW
    if few or limit.allows(len(change.remove), change.held) or LOSS in frozenset(overrides):
        return None
    return Finding(
        severity=Severity.ERROR,
        code=LOSS,
        subject=change.name,
        summary="the group would lose more members than [limits] group_loss allows; it is left as it is",
        detail=f"{len(change.remove)} of {change.held}, allowed {limit}",
        hint=f'check the source; if it is right: --override {LOSS} --reason "..."',
    )


# --- findings -------------------------------------------------------------------------------------


def _unknown(name: str, near: str) -> Finding:
    hint = f"did you mean {near}? " if near else ""
    return Finding(
        severity=Severity.ERROR,
        code="group.unknown",
        subject=name,
        summary="the directory has no such group, so nobody is made a member of it",
        hint=f"{hint}create the group in the directory, or correct the name in the source",
    )


def _ambiguous(name: str, number: int) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="group.ambiguous",
        subject=name,
        summary="several groups of the directory have this name; none of them is changed",
        detail=f"{number} groups",
        hint='rename all but one in the directory, or name groups by id with [groups] match = "id"',
    )


def _cycle(names: Sequence[str]) -> Finding:
    loop = " holds ".join([*names[:_LOOP], *(["..."] if len(names) > _LOOP else []), names[0]])
    return Finding(
        severity=Severity.ERROR,
        code="group.cycle",
        subject=names[0],
        summary="groups shall be members of each other in a circle; those nestings are left out",
        detail=loop,
        hint="take one of these nestings out of the source",
    )


def refused_nesting(outer: str, inner: Sequence[str]) -> Finding:
    """HR names groups as members of a group, and [groups] nested refuses that."""
    return Finding(
        severity=Severity.WARNING,
        code="group.nested",
        subject=outer,
        summary="the source puts groups into this group; they are left out",
        detail=_some(inner),
        hint='set [groups] nested = "keep" or "flatten"',
    )


def unmanaged(names: Sequence[str]) -> Finding:
    """HR names groups that are none of ours."""
    return Finding(
        severity=Severity.INFO,
        code="group.unmanaged",
        subject="",
        summary="the source names groups that are not in [groups] managed; they are left alone",
        detail=_some(names),
    )


def unread(name: str, why: str) -> Finding:
    """A group that could not be read."""
    return Finding(
        severity=Severity.WARNING,
        code="group.unread",
        subject=name,
        summary="the group could not be read, so it is left as it is",
        detail=why,
        hint="run again",
    )


def incomplete(sweep: Sweep) -> Finding:
    """A list of groups with holes."""
    return Finding(
        severity=Severity.WARNING,
        code="group.unread",
        subject="",
        summary="the list of groups could not be read whole, so no membership is changed",
        detail=sweep.incomplete,
        hint="run again",
    )


def strangers(keys: Sequence[str], people: int, pairs: int) -> Finding:
    """Memberships of people who are unknown, or were left out of the plan."""
    return Finding(
        severity=Severity.WARNING,
        code="member.unknown",
        subject="",
        summary="memberships name people who are unknown or left out; those memberships stay as they are",
        detail=f"{_memberships(pairs)} of {people} {'person' if people == 1 else 'people'}: {_some(keys, people)}",
        hint="see the findings about these people, or correct the memberships in the source",
    )


def unproven(number: int, why: str) -> Finding:
    """Members who would be removed, if absence could be believed."""
    return Finding(
        severity=Severity.WARNING,
        code="member.unproven",
        subject="",
        summary="nobody is removed from a group in this run, because absence proves nothing",
        detail=f"{_memberships(number)} {'stays' if number == 1 else 'stay'}: {why}" if number else why,
        hint="see the finding about the source; a query, a Parquet file or a checksum proves that nothing is missing",
    )


def _memberships(number: int) -> str:
    return f"{number} membership" if number == 1 else f"{number} memberships"


def _some(names: Sequence[str], number: int | None = None) -> str:
    total = len(names) if number is None else number
    more = total - min(len(names), _SHOWN)
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

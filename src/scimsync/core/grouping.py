"""Members of groups: who has to join and to leave, how many may, and what is left to write.

Only groups that exist are changed; a group is never created, renamed or deleted (documented: Genesys
takes neither over SCIM). A membership has three sides as an attribute has: desired, current and base.

    add    = desired - current
    remove = what the base holds and HR names no more, as far as it is still there;
             with `others = "remove"` also what HR never named
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from scimsync.core import naming
from scimsync.core.references import components, find_cycles
from scimsync.model.plans import Finding, GroupChange, Severity
from scimsync.model.policy import Limits, Removal
from scimsync.model.wording import some_of
from scimsync.scim.grammar import render_value
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Value

#: how the codes of findings about groups begin
ABOUT = ("group.", "member.", "limits.group_")
#: the rules about how many members a group may lose, and may gain
LOSS, GAIN = "limits.group_loss", "limits.group_gain"
#: the rule about members that are named in another way than by id
FOREIGN = "group.foreign-ids"
RULES = frozenset({LOSS, GAIN, FOREIGN}) | naming.RULES
#: a write took away members that were not ours
HARMED = "write.harmed"
#: a group shows no more than a part of its members
PARTIAL = "group.partial"
#: a share of fewer members than these says nothing
FEW = 10
#: paths under which an outcome tells who joined and who left
ADDED, REMOVED = "members.added", "members.removed"
#: the path of those who may have joined by a request of ours: who is there later, and has to leave, was put there by us
PERHAPS = "members.perhaps"
#: groups of a circle that a finding names
_LOOP = 50
_WAITS = RULES | {
    "group.unknown",
    "group.ambiguous",
    "group.unread",
    "group.protected",
    "group.cycle",
    "member.unproven",
}


def waits(findings: Iterable[Finding]) -> bool:
    """Whether some membership waits for a person, or for another run."""
    return any(f.code in _WAITS and f.severity is not Severity.INFO for f in findings)


def differs(findings: Iterable[Finding]) -> bool:
    """Whether some group may be other than HR says."""
    return any(f.code.startswith(ABOUT) and f.severity is not Severity.INFO for f in findings)


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


class Left(Struct, frozen=True):
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


def unseen(wanted: Left, members: AbstractSet[str], took: AbstractSet[str]) -> Left:
    """As `remaining`, for a group that shows only a part of its members.

    Whose move the target took is not sent again, though it cannot be seen; and whoever has to leave is
    taken for a member without being seen.
    """
    return Left(
        tuple(one for one in wanted.add if one not in members and one not in took),
        tuple(one for one in wanted.remove if one in members or one not in took),
    )


def lost(before: AbstractSet[str], batch: Left, after: AbstractSet[str]) -> list[str]:
    """Who was a member before a batch was written, did not have to leave, and is none after it."""
    return sorted(before - set(batch.remove) - after)


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


def operations(
    left: Left, removal: Removal = Removal.FILTER, members: AbstractSet[str] = frozenset()
) -> tuple[Operation, ...]:
    """The operations of one PATCH (RFC 7644 §3.5.2); a list that others share is replaced where nothing else works.

    Args:
        left: Who joins and who leaves.
        removal: In which form somebody is removed.
        members: Who is in the group. Where nobody knows whether the target heeds whom a removal names, they are added
            again in the same request: else one that does not would take everybody out (RFC 7644 §3.5.2.2).
    """
    joins = [*left.add]
    if removal is Removal.LIST and left.remove:
        stay = sorted((members | {*joins}) - {*left.remove})
        return (Operation("replace", "members", [{"value": one} for one in stay]),)
    if removal is Removal.FILTER or not left.remove:
        gone = [Operation("remove", f"members[value eq {render_value(one)}]") for one in left.remove]
    else:
        gone = [Operation("remove", "members", [{"value": one} for one in left.remove])]
        joins += sorted(members - {*left.remove, *left.add}) if removal is Removal.WHOLE else []
    return (*gone, *([Operation("add", "members", [{"value": one} for one in joins])] if joins else []))


def members_of(resource: Mapping[str, object]) -> dict[str, str]:
    """The members of a group as the target shows it: id, and of what type it is said to be, in small letters.

    Examples:
        >>> members_of({"members": [{"value": "7", "type": "Group"}, {"value": "7a", "$ref": "https://x/Users/7a"}]})
        {'7': 'group', '7a': 'user'}
    """
    found = {}
    for member in _listed(resource):
        if (identity := _identity(member)) and isinstance(member, Mapping):
            found[identity] = str(member.get("type") or "").lower() or _referred(member.get("$ref"))
    return found


def _referred(reference: object) -> str:
    """The type that a reference tells of; "" where it tells of none."""
    kind = str(reference or "").rstrip("/").rpartition("/")[0].rpartition("/")[2].lower()
    return {"users": "user", "groups": "group"}.get(kind, "")


def is_readable(resource: Mapping[str, object]) -> bool:
    """Whether each member of a group is shown with an id."""
    return all(map(_identity, _listed(resource)))


def _listed(resource: Mapping[str, object]) -> Sequence[object]:
    members = resource.get("members")
    return members if isinstance(members, list) else [members] if members is not None else ()


def _identity(member: object) -> str:
    """The id of a member, plain or as the address of its resource ends with it (RFC 7643 §4.2); "" where there is none.

    Examples:
        >>> _identity({"value": 7}), _identity({"$ref": "../Users/u7"}), _identity({"display": "Ada"})
        ('7', 'u7', '')
    """
    if not isinstance(member, Mapping):
        return ""
    value, address = member.get("value"), member.get("$ref")
    if value is None and isinstance(address, str):
        head, _, last = address.rpartition("/")
        return last if "%" not in last and head.endswith(("Users", "Groups")) else ""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def written(joined: Iterable[str], left: Iterable[str]) -> dict[str, Value]:
    """Who joined and who left, as outcomes tell it."""
    told: dict[str, Value] = {}
    for path, ids in ((ADDED, joined), (REMOVED, left)):
        if entries := tuple((("value", one),) for one in ids):
            told[path] = entries
    return told


def perhaps(joined: Iterable[str]) -> dict[str, Value]:
    """Who may have joined, as outcomes tell it."""
    entries = tuple((("value", one),) for one in joined)
    return {PERHAPS: entries} if entries else {}


def read_written(values: Mapping[str, Value], path: str) -> Iterator[str]:
    """The ids under one path of `written`."""
    listed = values.get(path)
    for entry in listed if isinstance(listed, tuple) else ():
        yield str(dict(entry)["value"])


def beyond(
    change: GroupChange, limits: Limits, overrides: Iterable[str], adds: int = 0, removes: int = 0
) -> Finding | None:
    """The finding for a group that would lose or gain more than it may; it is left as it is.

    A change for some people counts as the one for all that it is a part of (`adds`, `removes`): else a
    group could be filled, or emptied, in small steps.

    A share of what a group holds says nothing about one that holds few, where it loses, and about one
    that holds nobody, where it gains: that is how a group begins.
    """
    given = frozenset(overrides)
    lost = max(len(change.remove), removes) if change.remove else 0
    gained = max(len(change.add), adds) if change.add else 0
    sides = (
        (LOSS, "lose", lost, limits.group_loss, change.held < FEW),
        (GAIN, "gain", gained, limits.group_gain, not change.held),
    )
    for rule, word, number, limit, few in sides:
        if rule in given or (few and limit.share is not None) or limit.allows(number, change.held):
            continue
        return Finding(
            severity=Severity.ERROR,
            code=rule,
            subject=change.name,
            summary=f"the group would {word} more members than [limits] {rule.partition('.')[2]} allows; "
            "it is left as it is",
            detail=f"{number} of {change.held}, allowed {limit}",
            hint=f'check the source; if it is right: --override {rule} --reason "..."',
        )
    return None


# --- findings -------------------------------------------------------------------------------------


def _cycle(names: Sequence[str]) -> Finding:
    loop = " holds ".join([*names[:_LOOP], *(["..."] if len(names) > _LOOP else []), names[0]])
    return Finding(
        severity=Severity.ERROR,
        code="group.cycle",
        subject=names[0],
        summary="the source puts groups into each other in a circle; these nestings are left out",
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
        detail=some_of(inner),
        hint='set [groups] nested = "keep" or "flatten"',
    )


def unmanaged(names: Sequence[str]) -> Finding:
    """HR names groups that are none of ours."""
    return Finding(
        severity=Severity.INFO,
        code="group.unmanaged",
        subject="",
        summary="the source names groups that are not in [groups] managed; they are left alone",
        detail=some_of(names),
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


def unlisted(why: str) -> Finding:
    """A list of groups with holes, or none at all."""
    return Finding(
        severity=Severity.ERROR,
        code="group.unread",
        subject="",
        summary="the list of groups could not be read whole, so no membership is changed",
        detail=why,
        hint="run again; where the directory has no groups or does not show them to us, take [groups] out",
    )


def foreign(name: str) -> Finding:
    """A group whose members are named in another way than by the ids of accounts."""
    return Finding(
        severity=Severity.ERROR,
        code=FOREIGN,
        subject=name,
        summary="the members of the group are not shown by ids of accounts; it is left as it is",
        hint="see what the directory lists as `value` of a member: it has to be the id of an account "
        f'(RFC 7643 §4.2); if they are other things than people: --override {FOREIGN} --reason "..."',
    )


def protected(change: GroupChange) -> Finding:
    """A protected group that HR would change."""
    return Finding(
        severity=Severity.WARNING,
        code="group.protected",
        subject=change.name,
        summary="a protected group would be changed; it is left alone",
        detail=f"+ {len(change.add)}, - {len(change.remove)} members",
        hint="change it by hand, or take it from [groups] protected",
    )


def spared(stays: Mapping[str, int]) -> Finding:
    """Members who stay because HR names them, or may, in a way that does not resolve: group -> how many."""
    return Finding(
        severity=Severity.ERROR,
        code=naming.SPARED,
        subject="",
        summary="memberships stay because HR uses a group name or a key that does not match exactly one",
        detail=f"{_memberships(sum(stays.values()))}: {some_of(sorted(stays))}",
        hint="see the findings about names of groups and keys of people; if those mean nothing here: "
        f'--override {naming.SPARED} --reason "..."',
    )


def partial(name: str, shown: int, hidden: int) -> Finding:
    """A group that shows only a part of its members."""
    return Finding(
        severity=Severity.WARNING,
        code=PARTIAL,
        subject=name,
        summary="the directory shows only some members of the group; those whom scimsync added count as members",
        detail=f"{shown} are shown, {hidden} of ours are not",
        hint="look into the group where all members can be seen",
    )


def hidden(groups: int, members: int) -> Finding:
    """A directory that does not show who is in a group."""
    told = "1 group" if groups == 1 else f"{groups} groups"
    return Finding(
        severity=Severity.WARNING,
        code=PARTIAL,
        subject="",
        summary="the directory does not show the members of groups; what it took from scimsync counts",
        detail=f"{told}, {_memberships(members)} by our own memory",
        hint="nothing to do; whom others put into these groups nobody sees and nobody removes",
    )


def strangers(keys: Sequence[str], people: int, pairs: int) -> Finding:
    """Memberships of people who are unknown, or were left out of the plan."""
    return Finding(
        severity=Severity.WARNING,
        code="member.unknown",
        subject="",
        summary="memberships name people who are unknown or left out; those memberships stay as they are",
        detail=f"{_memberships(pairs)} of {people} {'person' if people == 1 else 'people'}: {some_of(keys, people)}",
        hint="see the findings about these people, or correct the memberships in the source",
    )


def unproven(number: int, why: str) -> Finding:
    """Members who would be removed, if absence could be believed."""
    return Finding(
        severity=Severity.WARNING if number else Severity.INFO,
        code="member.unproven",
        subject="",
        summary="nobody is removed from a group in this run, because memberships may be missing by mistake",
        detail=f"{_memberships(number)} {'stays' if number == 1 else 'stay'}: {why}" if number else why,
        hint="see the finding about the source; a query, a Parquet file or a checksum proves that nothing is missing",
    )


def _memberships(number: int) -> str:
    return f"{number} membership" if number == 1 else f"{number} memberships"

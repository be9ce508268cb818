"""Groups in the worlds: what HR says of teams, how the directory serves them, and a plan of them without tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from scimsync.core import grouping
from scimsync.engine import undone
from scimsync.engine.ports import Store, Target
from scimsync.model.plans import MAKING, Change, Finding, GroupChange, Member
from scimsync.scim.messages import Operation
from scimsync.scim.patch import apply
from scimsync.scim.schema import CORE_GROUP, Attribute, Catalog, Schema

TEAMS = ("red", "blue")
#: what HR calls the team of a person
TEAM = "team"
Json = dict[str, Any]
_CATALOG = Catalog(
    Schema(
        id=CORE_GROUP,
        name="Group",
        attributes=(
            Attribute(name="displayName"),
            Attribute(
                name="members",
                type="complex",
                multi_valued=True,
                sub_attributes=(Attribute(name="value", case_exact=True), Attribute(name="type")),
            ),
        ),
    )
)


def regroup(rng: Random, people: Mapping[str, dict[str, object]]) -> None:
    """Some people change their team; whoever is new gets one, or none."""
    for person in people.values():
        if TEAM not in person or rng.random() < 0.3:
            person[TEAM] = rng.choice((*TEAMS, None))


def members(body: Mapping[str, Any]) -> set[str]:
    """The ids of the members."""
    return {str(one["value"]) for one in body.get("members", ())}


def patched(held: Json, body: Json) -> Json:
    """A group after a PATCH."""
    operations = [Operation(o["op"], o.get("path"), o.get("value")) for o in body["Operations"]]
    return apply(msgspec.json.decode(msgspec.json.encode(held), type=Json), operations, _CATALOG)


@dataclass(slots=True)
class Planned:
    """What becomes of the groups."""

    changes: tuple[GroupChange, ...] = ()
    findings: Sequence[Finding] = ()
    #: (group, account, comes) of what both sides hold by now
    agreed: list[tuple[str, str, bool]] = field(default_factory=list)


async def plan_groups(  # noqa: PLR0917 - all that a plan of groups rests on
    target: Target, store: Store, wanted: Mapping[str, Mapping[str, object]], paired: Mapping[str, str],
    changes: Sequence[Change], spared: Collection[str], batch: int,
    overrides: Collection[str],
) -> Planned:  # fmt: skip
    """As `MembershipPlanning.run`, where HR proves that it is whole and the directory was read whole."""
    listed: list[bytes] = []
    sweep = await target.list_groups(listed.extend, [])
    if sweep.incomplete:
        return Planned()
    base: dict[str, set[str]] = {}
    for one in store.memberships():
        base.setdefault(one.group, set()).add(one.account)
    created = {change.key for change in changes if change.action in MAKING}
    owners = {account: key for key, account in (*((link.key, link.account) for link in store.links()), *paired.items())}
    bodies: dict[str, Any] = {}
    joining: dict[str, list[Member]] = {}
    leaving: dict[str, list[Member]] = {}
    planned = Planned()
    for raw in listed:
        group = str(msgspec.json.decode(raw, type=Json)["id"])
        reply = await target.get_group(group)
        if not reply.ok or reply.body is None or not reply.version:
            continue
        name, held = str(reply.body["displayName"]), set(grouping.members_of(reply.body))
        bodies[group] = reply
        named = {paired[key]: key for key, person in wanted.items() if person.get(TEAM) == name and key in paired}
        joining[group] = [Member(key, account) for account, key in sorted(named.items()) if account not in held]
        joining[group] += [Member(key, None) for key in sorted(created) if wanted[key].get(TEAM) == name]
        gone = (base.get(group, set()) & held) - named.keys() - set(spared)
        leaving[group] = [Member(owners.get(account, ""), account) for account in sorted(gone)]
        planned.agreed += [(group, a, True) for a in sorted((named.keys() & held) - base.get(group, set()))]
        planned.agreed += [(group, a, False) for a in sorted(base.get(group, set()) - held)]
    names = {group: str(reply.body["displayName"]) for group, reply in bodies.items()}
    looked = undone.Looked(groups=bodies.keys(), names=names, everybody=True, believed=True)
    joins, leaves = joining, leaving
    if undone.HELD not in overrides:
        joins, leaves, planned.findings = undone.leave_members(store, joining, leaving, looked)
    planned.changes = tuple(
        GroupChange(
            group=group,
            name=names[group],
            version=reply.version,
            add=tuple(joins.get(group, ())),
            remove=tuple(leaves.get(group, ())),
            held=len(grouping.members_of(reply.body)),
            batch=batch,
        )
        for group, reply in sorted(bodies.items())
        if joins.get(group) or leaves.get(group)
    )
    return planned


def lines(agreed: Sequence[tuple[str, str, bool]]) -> list[bytes]:
    """As `MemberTables.write_agreed` writes them."""
    return [msgspec.json.encode(one) + b"\n" for one in agreed]

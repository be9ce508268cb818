"""What people took back though HR says otherwise: noted when that was written, left alone by every plan after it.

It lasts until HR says something else, until a person lets HR win again (`undo.held`), or until it is done again by
taking back what took it back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from scimsync.core import grouping
from scimsync.core import undoing as rules
from scimsync.core.lifecycle import ACTIVE
from scimsync.engine import binding
from scimsync.engine.state import Artifacts, TakenBack
from scimsync.model.outcomes import Outcome, Run, Undone
from scimsync.model.plans import Change, Finding, Member, Plan
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Value
from scimsync.workbench import undone as tables
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.values import text_of, value_of

#: how the key of a group begins, where keys of people stand
GROUP = "group:"
#: the rule that leaves alone what was taken back
HELD = rules.HELD
#: that HR wants a membership, or its end
YES, NO = "true", "false"


class UndoneState(TakenBack, Artifacts, Protocol):
    """Of the state: what was taken back, and what was agreed."""


class Believed(Struct, frozen=True):
    """What of HR's word counts: paths that are left alone in this run, and whether who is missing left."""

    frozen: frozenset[str]
    absence: bool
    #: the rules that a person sets aside
    overrides: Collection[str] = ()


class Left(Struct, frozen=True):
    """What is left of a plan, what is told, and leavers whose access was given back."""

    changes: list[Change]
    findings: Sequence[Finding] = ()
    notices: Sequence[Change] = ()


def leave(comparison: Comparison, store: TakenBack, changes: Sequence[Change], believed: Believed) -> Left:
    """Leave alone what people took back, as long as HR says what it said then; forget what HR says no more.

    Args:
        comparison: The comparison of the run, after `resolve`.
        store: What is remembered.
        changes: What the plan would do.
        believed: What of HR's word counts.
    """
    known = {(one.key, one.path): one for one in store.undone() if not one.key.startswith(GROUP)}
    if not known or HELD in believed.overrides:
        return Left([*changes])
    said = tables.wanted(comparison, {key for key, _ in known})
    places = {mapped.path: mapped for mapped in comparison.attributes}
    over = [who for who, one in known.items() if _is_over(one, said.get(one.key), places, believed)]
    store.change_undone((), over)
    held = known.keys() - {*over}
    kept, told = rules.spare(changes, held, comparison.attributes)
    findings = [rules.held(key, path, known[key, path].run, row) for key, path, row in told]
    return Left(kept, findings, rules.staying(changes, {(key, path) for key, path, _ in told}))


def _is_over(
    one: Undone, said: Mapping[str, str | None] | None, places: Mapping[str, Mapped], believed: Believed
) -> bool:
    """Whether HR says something else by now, so far as that may be believed."""
    if one.path in believed.frozen:
        return False
    if said is None:
        return one.path == ACTIVE and one.wanted == YES and believed.absence
    if one.path == ACTIVE and ACTIVE not in places:  # whoever is there is active
        return one.wanted == NO and any(text is not None for text in said.values())
    if one.path not in places or said[one.path] is None:
        return False
    place = places[one.path].place
    return not place.same(value_of(place, said[one.path]), value_of(place, one.wanted))


Members = Mapping[str, Sequence[Member]]


class Looked(Struct, frozen=True, kw_only=True):
    """How the groups were looked at: which were read, for everybody, and whether who is not named may go."""

    groups: Collection[str]
    names: Mapping[str, str]
    everybody: bool
    believed: bool


def leave_members(
    store: TakenBack, joining: Members, leaving: Members, looked: Looked
) -> tuple[dict[str, list[Member]], dict[str, list[Member]], list[Finding]]:
    """As `leave`, of memberships: who still joins and leaves which group, and what is told.

    Args:
        store: What is remembered.
        joining: Who would join, by group.
        leaving: Who would leave.
        looked: How the groups were looked at.
    """
    known = {(one.key.removeprefix(GROUP), one.path): one for one in store.undone() if one.key.startswith(GROUP)}
    sides = {YES: {g: [*m] for g, m in joining.items()}, NO: {g: [*m] for g, m in leaving.items()}}
    told, over = list[Finding](), list[tuple[str, str]]()
    for (group, account), one in known.items():
        members = sides[one.wanted].get(group, [])
        met = next((member for member in members if member.account == account), None)
        if met is not None:
            members.remove(met)
            told.append(rules.held(met.key, f"groups[{looked.names.get(group, group)}]", one.run))
        elif group in looked.groups and looked.everybody and (one.wanted == YES or looked.believed):
            over.append((one.key, one.path))
    store.change_undone((), over)
    left = {way: {group: members for group, members in side.items() if members} for way, side in sides.items()}
    return left[YES], left[NO], told


class Settled(Struct, frozen=True, kw_only=True):
    """What a run wrote, and the bases before and after it."""

    plan: Plan
    run: Run
    #: outcomes by key
    people: Mapping[str, Sequence[Outcome]]
    #: (id of a group, outcome)
    groups: Sequence[tuple[str, Outcome]]
    former: str
    base: str


def remember(store: UndoneState, settled: Settled, attributes: Mapping[str, Mapped]) -> None:
    """Note what a plan that looks back wrote and HR does not want; forget what any other plan wrote over it.

    Args:
        store: The state.
        settled: What the run wrote.
        attributes: Everything that its plan could write.
    """
    known = {(one.key, one.path): one for one in store.undone()}
    moves = dict(_moves(settled.groups))
    written = {
        (outcome.key, path): value
        for parts in settled.people.values()
        for outcome in parts
        for path, value in outcome.written.items()
        if path in attributes
    }
    if not settled.plan.looks_back:
        if over := [who for who in known if who in written or who in moves]:
            store.change_undone((), over)
        return
    add, remove = list[Undone](), list[tuple[str, str]]()
    for who, (wish, is_so) in _sides(store, settled, known, written, attributes).items():
        if is_so:
            remove.append(who)
        else:
            add.append(Undone(key=who[0], path=who[1], wanted=wish, run=settled.run.id))
    for who, joined in moves.items():
        if who in known and known[who].wanted == (YES if joined else NO):
            remove.append(who)
        else:
            add.append(Undone(key=who[0], path=who[1], wanted=NO if joined else YES, run=settled.run.id))
    store.change_undone(add, remove)


def _sides(
    store: UndoneState,
    settled: Settled,
    known: Mapping[tuple[str, str], Undone],
    written: Mapping[tuple[str, str], Value],
    attributes: Mapping[str, Mapped],
) -> dict[tuple[str, str], tuple[str, bool]]:
    """(key, path) -> what HR wants there, as text, and whether that is so again."""
    if not written:
        return {}
    keys, mapped = {key for key, _ in written}, [*attributes.values()]
    with Workbench(store.artifact("plan").parent) as bench:
        was = tables.agreed(bench, binding.proven(store, settled.former), keys, mapped) if settled.former else {}
        now = tables.agreed(bench, binding.proven(store, settled.base), keys, mapped) if settled.base else {}
    found = {}
    for (key, path), value in written.items():
        place = attributes[path].place
        after = now.get(key, {}).get(path, value)
        if (key, path) in known:
            wish = known[key, path].wanted
        elif path in was.get(key, {}):
            wish = text_of(was[key][path])
        elif path == ACTIVE:  # not mapped: HR says it by who is there
            wish = NO if value is True else YES
        else:
            continue
        found[key, path] = (wish, place.same(value_of(place, wish), after))
    return found


def _moves(groups: Iterable[tuple[str, Outcome]]) -> Iterator[tuple[tuple[str, str], bool]]:
    """(key of a group, id of a member) -> whether it joined."""
    for group, outcome in groups:
        for path, joined in ((grouping.ADDED, True), (grouping.REMOVED, False)):
            for account in grouping.read_written(outcome.written, path):
                yield (f"{GROUP}{group}", account), joined

"""Take back what a run did to one account or one group, or give one person the values of an earlier day.

It is the same merge as always, with the past in HR's place: what stood there before is what is wanted, what the run
left is what was agreed. So whatever somebody else changed since stands against it, and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core import planner
from scimsync.core.leaving import TAKEN_BACK
from scimsync.core.lifecycle import ACTIVE, active_of
from scimsync.core.merge import keyed, merge
from scimsync.core.planner import Planned
from scimsync.model.accounts import DeletedAccount, Pair
from scimsync.model.plans import (
    LOGIN,
    MAKING,
    Action,
    Change,
    Delta,
    Finding,
    Lifecycle,
    Reason,
    Severity,
    Sides,
    Verdict,
)
from scimsync.model.policy import Authority, Leavers, Mapped, Policy
from scimsync.model.wording import some_of
from scimsync.scim.forms import truth
from scimsync.scim.schema import Catalog, Kind, Place, Value, entries

#: somebody, or something of somebody, that is not taken back; an account that was deleted; what is left alone by night
LEFT_OUT, DELETED, HELD = "undo.left-out", "undo.deleted", TAKEN_BACK
#: accounts that stay with those to whom the run gave them
LINKS = "undo.links"
#: the rule that keeps a run from doing again what a person took back
RULES = frozenset({HELD})
#: the path by which memberships are named where a person wants some attributes alone
GROUPS = "groups"


class Move(Struct, frozen=True):
    """What one run did at one place, as the audit chain keeps values (`ledger.plain`)."""

    before: object
    after: object


class Trail(Struct, frozen=True, kw_only=True):
    """What one run did to one person."""

    key: str
    #: the login, as the plan knew it
    name: str
    account: str
    action: Action
    #: short path -> what was there before, and what it left
    moves: Mapping[str, Move] = field(default_factory=dict)
    #: nobody knows whether the account was made by the run, or was there: the answer to its creation was lost
    doubtful: bool = False


class Linked(Struct, frozen=True):
    """An account that was there and that a run gave to somebody; `former` is the key that it went from, or ""."""

    key: str
    account: str
    former: str = ""


class Seen(Struct, frozen=True, kw_only=True):
    """An account as the directory shows it now."""

    resource: Mapping[str, object]
    version: str


def backwards(policy: Policy, catalog: Catalog, dropped: Iterable[Place] = ()) -> Policy:
    """The policy by which the past is given back: others win wherever they changed something since.

    Args:
        policy: The policy of the configuration.
        catalog: The schemas of the accounts.
        dropped: What the directory takes from inactive people, and the mapping does not manage.
    """
    active = active_of(policy, catalog)
    listed = [*policy.attributes, *([] if ACTIVE in policy.by_path else [active])]
    listed += [Mapped(place=place, expression="", authority=Authority.MERGE) for place in dropped]
    attributes = [replace(m, authority=Authority.MERGE if m.is_shared else Authority.CLOUD_WINS) for m in listed]
    return replace(policy, attributes=tuple(attributes), leavers=Leavers.DISABLE)


def typed(place: Place, found: object) -> Value:
    """A value out of the audit chain, where numbers are texts."""
    if found is None:
        return None
    match place.kind:
        case Kind.LIST:
            listed = found if isinstance(found, list) else [found]
            return entries([_entry(place, one) for one in listed], place.attribute)
        case Kind.BOOLEAN:
            return found in {True, "true"}
        case Kind.DECIMAL:
            return float(str(found))
        case _:
            return str(found)


def _entry(place: Place, element: object) -> object:
    if not isinstance(element, Mapping):
        return element
    return {name: _member(place, str(name), held) for name, held in element.items()}


def _member(place: Place, name: str, held: object) -> object:
    sub = place.attribute.sub(name)
    is_number = sub is not None and sub.type in {"decimal", "integer"} and isinstance(held, str)
    return float(str(held)) if is_number else held


def take_back(trail: Trail, seen: Seen, policy: Policy) -> Planned:
    """Plan the inverse of what a run did to one person, against the account as it is now.

    Args:
        trail: What the run did.
        seen: The account.
        policy: What `backwards` gave.
    """
    made = trail.action in MAKING
    mapped = [m for m in policy.attributes if (m.path == ACTIVE if made else m.path in trail.moves)]
    desired, base, kept = dict[str, Value](), dict[str, Value](), list[Delta]()
    for one in mapped:
        before, after = (False, True) if made else _sides(one.place, trail.moves[one.path])
        current = one.place.read(seen.resource)
        desired[one.path], base[one.path] = before, after
        if one.is_shared:
            desired[one.path], stays = _elements(one.place, before, after, current)
            base[one.path] = current
            if stays:
                sides = Sides(desired=before, current=current, base=after, known=True)
                kept.append(_delta(one, sides, Verdict.KEEP))
    return _planned(trail, seen, replace(policy, attributes=tuple(mapped)), desired, base, Reason.UNDONE, kept)


def bring_back(
    trail: Trail, seen: Seen, policy: Policy, then: Mapping[str, Value], agreed: Mapping[str, Value]
) -> Planned:
    """Plan one person back to what was agreed at an earlier time, whoever changed what since.

    Of a list that others share, their elements stay.

    Args:
        trail: Whose account it is; nothing of what it did is looked at.
        seen: The account.
        policy: What `backwards` gave.
        then: Path -> what was agreed then.
        agreed: Path -> what is agreed now.
    """
    mapped = [m for m in policy.attributes if m.path in then]
    desired, base = dict[str, Value](), dict[str, Value]()
    for one in mapped:
        path, current = one.path, one.place.read(seen.resource)
        desired[path], base[path] = then[path], current
        if one.is_shared:
            sides = Sides(desired=then[path], current=current, base=agreed.get(path), known=path in agreed)
            merged = merge(one.place, sides, Authority.MERGE)
            desired[path] = current if merged is None else merged.value
    return _planned(trail, seen, replace(policy, attributes=tuple(mapped)), desired, base, Reason.PAST, [])


def _sides(place: Place, move: Move) -> tuple[Value, Value]:
    return typed(place, move.before), typed(place, move.after)


def _elements(place: Place, before: Value, after: Value, current: Value) -> tuple[Value, bool]:
    """A list that others share without what a run did to it, element by element; whether others stand against some."""
    was, left, held = keyed(place, before, after, current)
    found, stays = dict(held), False
    for name in was.keys() | left.keys():
        then, ours, now = was.get(name), left.get(name), held.get(name)
        if _same(place, then, ours) or _same(place, then, now):
            continue
        if not _same(place, ours, now):
            stays = True
        elif then is None:
            found.pop(name, None)
        else:
            found[name] = then
    return tuple(sorted(found.values(), key=repr)) or None, stays


def _same(place: Place, one: object, other: object) -> bool:
    wrapped = [(entry,) if entry is not None else None for entry in (one, other)]
    return place.same(*wrapped)  # type: ignore[arg-type]


def _delta(mapped: Mapped, sides: Sides, verdict: Verdict) -> Delta:
    return Delta(path=mapped.path, sides=sides, verdict=verdict, reason=Reason.SINCE, authority=mapped.authority)


def _planned(  # noqa: PLR0913, PLR0917 - three views and their words
    trail: Trail,
    seen: Seen,
    policy: Policy,
    desired: Mapping[str, Value],
    base: Mapping[str, Value],
    reason: Reason,
    kept: list[Delta],
) -> Planned:
    """The three views decided as always, in the words of whoever looks back."""
    pair = Pair(
        key=trail.key,
        name=str(seen.resource.get(LOGIN) or ""),
        row=None,
        account=trail.account,
        version=seen.version,
        desired=desired,
        current={ACTIVE: truth(seen.resource.get(ACTIVE))}
        | {m.path: m.place.read(seen.resource) for m in policy.attributes},
        base=base,
    )
    planned = planner.plan_pair(pair, policy)
    notice = _worded(planned.notice, reason)
    if kept:
        known = notice or _notice(trail, pair)
        notice = replace(known, deltas=(*known.deltas, *kept))
    change, besides = _worded(planned.change, reason), _worded(planned.besides, reason)
    return replace(planned, change=change, besides=besides, notice=notice, settled=())


def _notice(trail: Trail, pair: Pair) -> Change:
    return Change(
        key=trail.key,
        name=pair.name,
        action=Action.UPDATE,
        lifecycle=Lifecycle.MOVER,
        deltas=(),
        account=trail.account,
        version=pair.version,
        operations=(),
    )


def _worded(change: Change | None, reason: Reason) -> Change | None:
    if change is None:
        return None
    words = {Verdict.WRITE: reason}
    return replace(change, deltas=tuple(replace(d, reason=words.get(d.verdict, Reason.SINCE)) for d in change.deltas))


def by_later(notice: Change, written: Collection[str]) -> Change:
    """A notice in which stands of which paths a later run of ours wrote what is there."""
    return replace(
        notice,
        deltas=tuple(replace(d, reason=Reason.LATER) if d.path in written else d for d in notice.deltas),
    )


def come_back(trail: Trail, found: DeletedAccount, policy: Policy, agreed: Mapping[str, Value]) -> Change:
    """Bring back an account that the run deleted, as inactive as it was; it must carry the marks that it had.

    Args:
        trail: The deletion.
        found: The account, as the directory tells of deleted ones.
        policy: What `backwards` gave.
        agreed: Path -> what was last agreed about the person.
    """
    marks = {place.short for place in policy.match} & agreed.keys() & policy.by_path.keys()
    values = {ACTIVE: False} | {path: agreed[path] for path in sorted(marks) if agreed[path] is not None}
    deltas = tuple(
        replace(
            _delta(policy.by_path[path], Sides(desired=value, current=None, base=None, known=True), Verdict.WRITE),
            reason=Reason.UNDONE,
            authority=Authority.LOCAL_WINS,
        )
        for path, value in values.items()
    )
    return Change(
        key=trail.key,
        name=trail.name,
        action=Action.RESTORE,
        lifecycle=Lifecycle.LEAVER,
        deltas=deltas,
        account=trail.account,
        version=found.version,
        operations=planner.operations_of(deltas, policy.attributes),
    )


# --- groups -----------------------------------------------------------------------------------------


class Moved(Struct, frozen=True):
    """Who joins and who leaves a group so that it is as before, by id; and who moved again since."""

    add: tuple[str, ...]
    remove: tuple[str, ...]
    since: tuple[str, ...]


def regroup(joined: Collection[str], left: Collection[str], members: AbstractSet[str]) -> Moved:
    """The inverse of what a run did to a group, against who is in it now.

    Args:
        joined: Whom the run put in.
        left: Whom it took out.
        members: Who is in it.
    """
    return Moved(
        add=tuple(one for one in left if one not in members),
        remove=tuple(one for one in joined if one in members),
        since=(*(one for one in joined if one not in members), *(one for one in left if one in members)),
    )


# --- findings ---------------------------------------------------------------------------------------


def left_out(key: str, why: str, path: str = "", hint: str = "") -> Finding:
    """Somebody, or one attribute of somebody, that is not taken back."""
    return Finding(
        severity=Severity.WARNING,
        code=LEFT_OUT,
        subject=key,
        summary="this value is not taken back" if path else "this person is left out of what is taken back",
        detail=f"{path}: {why}" if path else why,
        hint=hint or "look at the account, and set by hand what it should hold",
        holds=True,
        path=path,
    )


def of_links(linked: Sequence[Linked]) -> list[Finding]:
    """That accounts stay with those to whom the run gave them: moved ones first, each kind with what takes it back."""
    moved = [one for one in linked if one.former]
    fresh = [one for one in linked if not one.former]
    found = []
    if moved:
        words = [f"{one.account} from {one.former} to {one.key}" for one in moved]
        one = moved[0]
        found.append(_of_links(words, f"scimsync link {one.former} {one.account} --from {one.key}"))
    if fresh:
        words = [f"{one.account} to {one.key}" for one in fresh]
        found.append(_of_links(words, f"scimsync link {fresh[0].key} {fresh[0].account} --unlink"))
    return found


def _of_links(words: Sequence[str], command: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=LINKS,
        subject="",
        summary="the run gave accounts that were there to people of HR; values are taken back, whose they are is not",
        detail=f"{len(words):,}: {some_of(words)}",
        hint=f'if somebody is another person, say so: {command} --reason "..."',
    )


def of_deleted(trail: Trail, why: str) -> Finding:
    """An account that the run deleted, and that does not come back."""
    return Finding(
        severity=Severity.ERROR,
        code=DELETED,
        subject=trail.key,
        summary="the run deleted this account; that cannot be taken back",
        detail=f"{trail.account} of {trail.name or trail.key}; {why}",
        hint="if the person is needed again: bring the account back by hand, or let HR have the person as a joiner",
        holds=True,
    )


def of_erased(number: int) -> Finding:
    """Records about people whose key was destroyed: nobody can read any more what was done to them."""
    return Finding(
        severity=Severity.WARNING,
        code=LEFT_OUT,
        subject="",
        summary="the run did something to people who were erased from the audit chain; they are left out",
        detail=f"{number:,} records",
        hint="set by hand what their accounts should hold",
        holds=True,
    )


def of_groups(name: str, why: str) -> Finding:
    """A group, or members of one, that is not taken back."""
    return Finding(
        severity=Severity.WARNING,
        code=LEFT_OUT,
        subject="",
        summary="memberships of a group are not taken back",
        detail=f"{name}: {why}",
        hint="look at the group, and set by hand who should be in it",
    )


def held(key: str, path: str, run: str, row: int | None = None) -> Finding:
    """What HR wants, a person took back, and no run does again by itself."""
    return Finding(
        severity=Severity.WARNING,
        code=HELD,
        subject=key,
        summary="a person took this back; it is not done again until HR says something else",
        detail=f"{path}; taken back by run {run}",
        hint=(
            f"correct it in HR; or let HR win again, for this person: --user {key} "
            f'--override {HELD} --reason "...", or take back what took it back: scimsync undo {run}'
        ),
        row=row,
        holds=True,
        path=path,
    )


# --- the plans after it -----------------------------------------------------------------------------


def spare(
    changes: Iterable[Change], held_paths: Collection[tuple[str, str]], attributes: Collection[Mapped]
) -> tuple[list[Change], list[tuple[str, str, int | None]]]:
    """Leave out of a plan what people took back; the rest of each change goes on.

    Whose access was taken away so gets no account made in its place.

    Args:
        changes: The changes.
        held_paths: (key, path) of what was taken back and HR still wants.
        attributes: Everything that a plan may write.

    Returns:
        The changes that are left, and (key, path, row) of what was left out.
    """
    kept: list[Change] = []
    told: list[tuple[str, str, int | None]] = []
    for change in changes:
        gone = {d.path for d in change.deltas if (change.key, d.path) in held_paths and d.verdict in planner.SENT}
        if change.action in MAKING:
            gone = {ACTIVE} if (change.key, ACTIVE) in held_paths else set()
        told += [(change.key, path, change.row) for path in sorted(gone)]
        if not gone:
            kept.append(change)
        elif change.action not in MAKING:
            deltas = tuple(d for d in change.deltas if d.path not in gone)
            if any(d.verdict in planner.SENT for d in deltas):
                operations = planner.operations_of(deltas, [*attributes])
                if ACTIVE in gone:
                    change = replace(change, action=Action.UPDATE, lifecycle=Lifecycle.MOVER)  # noqa: PLW2901
                kept.append(replace(change, deltas=deltas, operations=operations))
    return kept, told


def staying(changes: Iterable[Change], held_paths: Collection[tuple[str, str]]) -> list[Change]:
    """The notices about people who are not in HR any more and keep the access that a person gave back.

    Args:
        changes: What a plan would do.
        held_paths: (key, path) of what is left out of it.
    """
    return [
        replace(
            change,
            deltas=tuple(replace(d, verdict=Verdict.KEEP, reason=Reason.UNDONE) for d in change.deltas),
            operations=(),
        )
        for change in changes
        if change.action is Action.DISABLE and change.row is None and (change.key, ACTIVE) in held_paths
    ]

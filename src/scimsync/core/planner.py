"""From pairs to a plan: one change per account, in order, with everything a reader needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import deciding, protecting
from scimsync.core.findings import of_foreign
from scimsync.core.leaving import KEPT
from scimsync.core.lifecycle import ACTIVE, GIVING, ORDER, giving, of_pair, shown, turn
from scimsync.core.merge import merge
from scimsync.core.references import Edge, EdgeKind, Loop, cut
from scimsync.core.writing import Move, operations
from scimsync.model.accounts import Leaver, Pair
from scimsync.model.plans import (
    BESIDES,
    LOGIN,
    MAKING,
    Action,
    Change,
    Delta,
    Finding,
    GroupChange,
    Lifecycle,
    Plan,
    Reason,
    Severity,
    Sides,
    Tally,
    Verdict,
)
from scimsync.model.policy import Authority, Leavers, Mapped, Policy
from scimsync.scim.messages import Operation
from scimsync.scim.platform import INVITATION
from scimsync.scim.schema import Kind, Place, Value

#: verdicts by which something is sent, now or later in the run
SENT = frozenset({Verdict.WRITE, Verdict.AWAIT, Verdict.DEFER})


class Planned(Struct, frozen=True, kw_only=True):
    """What became of one person."""

    #: what is to be written; None where nothing is
    change: Change | None = None
    #: of a leaver, what else HR says: written after the access is gone, and judged apart
    besides: Change | None = None
    #: deltas that people should see though nothing is written: kept edits, open conflicts
    notice: Change | None = None
    findings: tuple[Finding, ...] = ()
    #: (path, value) on which both sides agree after all
    settled: tuple[tuple[str, Value], ...] = ()


def plan_pair(pair: Pair, policy: Policy, *, frozen: frozenset[str] = frozenset()) -> Planned:
    """Plan one person who has an account.

    Args:
        pair: The three views.
        policy: Mapping, authorities, protected people.
        frozen: Paths that must be left alone in this run.
    """
    deltas, settled = [], []
    inactive = _ends_inactive(pair, policy, frozen)
    alone, desired, current = pair.unresolved | pair.left_out | frozen, pair.desired, pair.current
    for mapped in policy.attributes:
        path = mapped.path
        if desired[path] is current.get(path) and path not in pair.awaits:  # the same, whatever was agreed
            continue
        if path in alone or _stays(pair, mapped, policy):
            continue
        if inactive and mapped.place.dropped:
            continue
        delta = _delta(pair, mapped, policy)
        if delta is not None:
            deltas.append(delta)
        elif desired[path] != current.get(path) and not _is_hidden(path, pair):
            settled.append((path, desired[path]))
    claims = [d for d in deltas if d.path == LOGIN and protecting.is_protected("", d.sides.desired, policy)]
    deltas = [d for d in deltas if d not in claims]
    writes = [d for d in deltas if d.verdict in SENT]
    told = [of_foreign(pair.key, d.path, pair.row) for d in deltas if _is_foreign(d, policy)]
    told += [protecting.claimed(pair.key, pair.row) for d in claims if d.verdict in SENT]
    rest = tuple(d for d in deltas if d.verdict in {Verdict.KEEP, Verdict.CONFLICT})
    action, lifecycle = of_pair(
        wanted=pair.desired.get(ACTIVE),
        held=pair.current.get(ACTIVE),
        writes=any(d.path == ACTIVE for d in writes),
    )
    whole = Change(
        key=pair.key,
        name=pair.name,
        action=action,
        lifecycle=lifecycle,
        deltas=tuple(deltas),
        account=pair.account,
        version=pair.version,
        operations=operations_of(deltas, policy.attributes),
        row=pair.row,
    )
    if (writes or claims) and protecting.is_nameless(pair.name, policy):
        return Planned(findings=(protecting.nameless(pair.key, pair.row),), settled=tuple(settled))
    if (writes or claims) and protecting.is_protected(pair.key, pair.name, policy):
        return Planned(findings=(protecting.protected(pair.key, pair.row),), settled=tuple(settled))
    notice = replace(whole, deltas=rest, operations=()) if rest else None
    change, besides = _apart(whole, policy.attributes) if writes else (None, None)
    return Planned(change=change, besides=besides, notice=notice, findings=tuple(told), settled=tuple(settled))


def _is_foreign(delta: Delta, policy: Policy) -> bool:
    """Whether HR should win, and the value stays because it is another provisioner's."""
    kept = delta.verdict is Verdict.KEEP and delta.authority is Authority.LOCAL_WINS
    return kept and policy.by_path[delta.path].place.filled and delta.sides.desired is not None


def _apart(whole: Change, attributes: Sequence[Mapped]) -> tuple[Change, Change | None]:
    """Of a leaver: the access alone, so that nothing else can stop that it is taken away, and the rest."""
    if whole.action is not Action.DISABLE:
        return whole, None
    access = tuple(d for d in whole.deltas if d.path == ACTIVE)
    others = tuple(d for d in whole.deltas if d.path != ACTIVE)
    alone = replace(whole, deltas=access, operations=operations_of(access, attributes))
    if not any(d.verdict in SENT for d in others):
        return alone, None
    operations = operations_of(others, attributes)
    return alone, replace(whole, action=Action.UPDATE, deltas=others, operations=operations, part=BESIDES)


def _stays(pair: Pair, mapped: Mapped, policy: Policy) -> bool:
    """Whether this says that a person left whose account policy keeps: not managed, so nothing is agreed."""
    return mapped.path == ACTIVE and pair.desired[ACTIVE] is False and policy.leavers is Leavers.KEEP


def _ends_inactive(pair: Pair, policy: Policy, frozen: frozenset[str]) -> bool:
    """Whether the account is inactive once the plan is carried out: what the directory takes then is not asked for."""
    mapped, held = policy.by_path.get(ACTIVE), pair.current.get(ACTIVE)
    if mapped is None or ACTIVE in pair.left_out | frozen or _stays(pair, mapped, policy):
        return held is False
    delta = _delta(pair, mapped, policy)
    return (delta.sides.desired if delta is not None and delta.verdict is Verdict.WRITE else held) is False


def _was_inactive(pair: Pair) -> bool:
    """Whether the account is inactive, or was when both sides last agreed on that."""
    return pair.current.get(ACTIVE) is False or pair.base.get(ACTIVE) is False


def _delta(pair: Pair, mapped: Mapped, policy: Policy) -> Delta | None:
    path = mapped.path
    sides = Sides(
        desired=pair.desired[path],
        current=pair.current.get(path),
        base=pair.base.get(path),
        known=path in pair.base,
    )
    if mapped.place.dropped and sides.current is None and _was_inactive(pair):  # taken by nobody who decides
        sides = replace(sides, base=None, known=True)
    awaits = pair.awaits.get(path)
    if awaits is not None:  # whatever id the new account gets, it is another than the one that is held
        sides = replace(sides, desired=f"(the account of {awaits}, once it exists)")
    merged = merge(mapped.place, _presumed(sides) if _is_hidden(path, pair) else sides, mapped.authority)
    merged, mapped, decided = deciding.answer(policy.decisions, pair.key, mapped, sides, merged)
    if merged is None:
        return None
    reason = merged.reason
    if path == ACTIVE and merged.verdict is Verdict.WRITE and reason is Reason.SOURCE_MOVED:
        reason = Reason.RETURNED if sides.desired else Reason.LEFT
    if merged.verdict is Verdict.WRITE and awaits is not None:
        waiting = _delta_of(mapped, replace(sides, desired=None), Verdict.AWAIT, Reason.AWAITS, awaits=awaits)
        return deciding.by(waiting, decided)
    if merged.verdict is Verdict.WRITE:
        sides = replace(sides, desired=merged.value)
    return deciding.by(_delta_of(mapped, sides, merged.verdict, reason), decided)


def _is_hidden(path: str, pair: Pair) -> bool:
    """Whether HR says that this account is active or not, and the directory does not show which it is."""
    if path != ACTIVE or pair.account is None or pair.desired[ACTIVE] is None:
        return False
    return pair.current.get(ACTIVE) is None


def _presumed(sides: Sides) -> Sides:
    """What is not shown is taken to be as it was agreed, else active: so access is taken away, and never given."""
    return replace(sides, current=sides.base if sides.known and sides.base is not None else True)


def _delta_of(mapped: Mapped, sides: Sides, verdict: Verdict, reason: Reason, *, awaits: str | None = None) -> Delta:
    return Delta(
        path=mapped.path, sides=sides, verdict=verdict, reason=reason, authority=mapped.authority, awaits=awaits
    )


def operations_of(deltas: Iterable[Delta], attributes: Sequence[Mapped]) -> tuple[Operation, ...]:
    """The operations of all deltas that are written, in the order of the mapping."""
    written = [delta for delta in deltas if delta.verdict is Verdict.WRITE]
    paths = {delta.path for delta in written}
    places = {mapped.path: mapped.place for mapped in attributes if mapped.path in paths} if written else {}
    return tuple(operations(Move(places[d.path], d.sides.current, d.sides.desired) for d in written))


def plan_joiner(pair: Pair, policy: Policy, *, frozen: frozenset[str] = frozenset()) -> Planned:
    """Plan one person who has no account yet."""
    missing = [mapped.path for mapped in policy.attributes if mapped.place.needed and pair.desired[mapped.path] is None]
    missing += [path for path in ("userName",) if path not in pair.desired]
    if missing:
        return Planned(findings=(_incomplete(pair, missing),))
    if doubted := [mapped.path for mapped in policy.attributes if mapped.place.needed and mapped.path in frozen]:
        return Planned(findings=(_unbelieved(pair, doubted),))
    if protecting.is_protected(pair.key, pair.name, policy):
        return Planned(findings=(protecting.protected(pair.key, pair.row),))
    deltas = []
    for mapped in policy.attributes:
        sides = Sides(desired=pair.desired[mapped.path], current=None, base=None, known=False)
        awaits = pair.awaits.get(mapped.path)
        if awaits is not None:
            deltas.append(_delta_of(mapped, sides, Verdict.AWAIT, Reason.AWAITS, awaits=awaits))
        elif sides.desired is not None and (mapped.path not in frozen or _takes_access(mapped, sides)):
            deltas.append(_delta_of(mapped, sides, Verdict.WRITE, Reason.JOINER))
    change = Change(
        key=pair.key,
        name=pair.name,
        action=Action.CREATE,
        lifecycle=Lifecycle.JOINER,
        deltas=tuple(deltas),
        account=None,
        version="",
        operations=operations_of(deltas, policy.attributes),
        row=pair.row,
    )
    return Planned(change=change)


def plan_leaver(leaver: Leaver, policy: Policy, active: Mapped) -> Planned:
    """Plan one person whose account is linked and who is no longer in the source."""
    if policy.leavers is Leavers.KEEP:
        return Planned(findings=(_kept(leaver.key),))
    if protecting.is_nameless(leaver.name, policy):
        return Planned(findings=(protecting.nameless(leaver.key, None),))
    if protecting.is_protected(leaver.key, leaver.name, policy):
        return Planned(findings=(protecting.protected(leaver.key, None),))
    sides = Sides(desired=False, current=True, base=leaver.agreed is not False, known=True)
    told = sides if leaver.shown else replace(sides, current=None)
    merged = merge(active.place, sides, active.authority)
    merged, active, decided = deciding.answer(policy.decisions, leaver.key, active, told, merged)
    verdict = merged.verdict if merged else Verdict.WRITE
    is_edited = merged is not None and merged.reason is not Reason.SOURCE_MOVED
    delta = _delta_of(active, told, verdict, Reason.TARGET_MOVED if is_edited else Reason.LEFT)
    delta = deciding.by(delta, decided)
    change = Change(
        key=leaver.key,
        name=leaver.name,
        action=Action.DISABLE,
        lifecycle=Lifecycle.LEAVER,
        deltas=(delta,),
        account=leaver.account,
        version=leaver.version,
        operations=operations_of([delta], [active]),
    )
    return Planned(change=change) if verdict is Verdict.WRITE else Planned(notice=change)


def ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Leavers, then joiners, then rehires, then movers, and what else HR says about leavers; each by key."""
    return tuple(sorted(changes, key=lambda c: (ORDER[c.action], c.key)))


def lined_up(changes: Iterable[Change]) -> tuple[tuple[Change, ...], tuple[Loop, ...]]:
    """The changes in order, a joiner after the joiners whom his references name, and the loops that were cut.

    Whoever gives a login up goes before whoever takes it. A reference that cannot wait for its account in this
    order is deferred: an edge that was cut, and that of a person who goes before all joiners.
    """
    found = list(changes)
    joiners = {c.key for c in found if c.action in MAKING}
    edges = [
        Edge(c.key, d.awaits, EdgeKind.MANAGER)
        for c in found
        if c.action in MAKING
        for d in c.awaiting
        if d.awaits in joiners
    ]
    cuts = cut(edges)
    opened = cuts.edges
    depths = dict.fromkeys(cuts.order, 0)
    needs: dict[str, list[str]] = {}
    for edge in edges:
        if edge not in opened:
            needs.setdefault(edge.who, []).append(edge.whom)
    for key in cuts.order:
        depths[key] = max((depths[whom] + 1 for whom in needs.get(key, ())), default=0)
    givers = giving(found)
    turns = {(c.key, c.part): turn(c, givers) for c in found}
    placed = [_with_deferred(c, opened, early=turns[c.key, c.part] == GIVING) if c.awaiting else c for c in found]
    depths = {key: depth for key, depth in depths.items() if key in joiners} | givers
    placed.sort(key=lambda c: (turns[c.key, c.part], depths.get(c.key, 0), c.key))
    return tuple(placed), cuts.loops


def _with_deferred(change: Change, opened: frozenset[Edge], *, early: bool) -> Change:
    deltas = tuple(
        replace(d, verdict=Verdict.DEFER)
        if d.verdict is Verdict.AWAIT and d.path != LOGIN and (early or Edge(change.key, str(d.awaits)) in opened)
        else d
        for d in change.deltas
    )
    return change if deltas == change.deltas else replace(change, deltas=deltas)


def tally(
    numbers: dict[str, int],
    changes: Sequence[Change],
    notices: Sequence[Change],
    findings: Sequence[Finding],
    groups: Sequence[GroupChange] = (),
    licences: Mapping[str, int] | None = None,
) -> Tally:
    """Count a plan."""
    deltas = [d for c in changes for d in c.deltas]
    seen = [d for c in notices for d in c.deltas]
    open_ = [finding for finding in findings if finding.accepted is None]
    foreign = {Reason.TARGET_MOVED, Reason.BOTH_MOVED}
    return Tally(
        **numbers,
        actions=dict(Counter(c.action.value for c in changes)),
        lifecycles=dict(Counter(c.lifecycle.value for c in changes if c.part != BESIDES)),
        conflicts=sum(1 for d in seen if d.verdict is Verdict.CONFLICT),
        kept=sum(1 for d in seen if d.verdict is Verdict.KEEP),
        overwritten=sum(1 for d in deltas if d.verdict is Verdict.WRITE and d.reason in foreign),
        deferred=sum(1 for d in deltas if d.verdict is Verdict.DEFER and d.path != LOGIN),
        held=len({f.subject for f in open_ if f.holds and not f.path and f.code != KEPT}),
        values=len({(f.subject, f.path) for f in open_ if f.holds and f.path}),
        leavers_kept=sum(f.code == KEPT for f in findings),
        accepted=len(findings) - len(open_),
        groups=len(groups),
        members_added=sum(len(group.add) for group in groups),
        members_removed=sum(len(group.remove) for group in groups),
        licences=dict(licences or {}),
    )


def numbers(plan: Plan) -> dict[str, int]:
    """The numbers of a plan by which its run is listed."""
    return {
        "records": plan.tally.records,
        "accounts": plan.tally.accounts,
        "changes": len(plan.changes),
        "conflicts": plan.tally.conflicts,
        "held": plan.tally.held,
        "values": plan.tally.values,
        "leavers_kept": plan.tally.leavers_kept,
        "groups": plan.tally.groups,
        **plan.tally.actions,
    }


def _incomplete(pair: Pair, missing: Sequence[str]) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="record.incomplete",
        subject=pair.key,
        summary="a new person lacks a value that every account needs",
        detail=", ".join(missing),
        hint="fill it in the source",
        row=pair.row,
        holds=True,
    )


def _unbelieved(pair: Pair, paths: Sequence[str]) -> Finding:
    told = "a value that every account needs is not believed in this run, so a new person waits"
    return replace(_incomplete(pair, paths), summary=told, hint="see what is told of the source")


def _takes_access(mapped: Mapped, sides: Sides) -> bool:
    """Whether a value is written though its column is not believed: an account is never made active unasked."""
    return mapped.path == ACTIVE and sides.desired is False


def _kept(key: str) -> Finding:
    return Finding(
        severity=Severity.INFO,
        code="account.left",
        subject=key,
        summary="this person left; the account stays active by [policy] leavers",
    )


class Replanned(Struct, frozen=True, kw_only=True):
    """What is left of a change after a look at the account as it is now."""

    #: deltas to send, against the fresh state
    writes: tuple[Delta, ...] = ()
    #: values the account holds already
    already: tuple[tuple[str, Value], ...] = ()
    #: paths that somebody else edited meanwhile: ours wins by rule
    overwritten: tuple[str, ...] = ()
    #: paths that somebody else edited meanwhile: left alone by rule
    kept: tuple[str, ...] = ()
    #: paths that somebody else edited meanwhile: a person decides
    conflicts: tuple[str, ...] = ()


def replan(
    deltas: Iterable[Delta],
    fresh: Mapping[str, object],
    attributes: Mapping[str, Mapped],
    presumed: Mapping[str, Value] = MappingProxyType({}),
) -> Replanned:
    """Plan one person again against the account as it is now.

    What the plan saw is the base of this second look, so an edit made since then is a foreign edit,
    and the rest of the account is nobody's business. A second look can only shrink or hold a change.

    Args:
        deltas: What was to be written.
        fresh: The resource as it is now.
        attributes: The managed attributes by path; those of the deltas must be among them.
        presumed: Path -> what is taken to be there, though the account does not show it.
    """
    writes, already = list[Delta](), list[tuple[str, Value]]()
    marks: dict[Verdict, list[str]] = {Verdict.WRITE: [], Verdict.KEEP: [], Verdict.CONFLICT: []}
    for delta in deltas:
        mapped = attributes[delta.path]
        held = presumed[delta.path] if delta.path in presumed else _held(delta, mapped.place, fresh)
        if delta.path == INVITATION and held is not True:  # not sent yet, whatever was seen before
            if delta.sides.desired is True:
                writes.append(delta)
            else:
                already.append((delta.path, False))
            continue
        sides = Sides(desired=delta.sides.desired, current=held, base=delta.sides.current, known=True)
        merged = merge(mapped.place, sides, delta.authority)
        if merged is None:
            already.append((delta.path, delta.sides.desired))
            continue
        if not mapped.place.same(held, delta.sides.current):
            marks[merged.verdict].append(delta.path)
        if merged.verdict is Verdict.WRITE:
            writes.append(replace(delta, sides=replace(sides, desired=merged.value)))
    return Replanned(
        writes=tuple(writes),
        already=tuple(already),
        overwritten=tuple(marks[Verdict.WRITE]),
        kept=tuple(marks[Verdict.KEEP]),
        conflicts=tuple(marks[Verdict.CONFLICT]),
    )


def unmet(deltas: Iterable[Delta], resource: Mapping[str, object], attributes: Mapping[str, Mapped]) -> list[str]:
    """The paths on which a returned resource does not hold what was written.

    In a shared list of a new account the directory may have put elements of its own.
    """
    found = []
    for delta in deltas:
        place = attributes[delta.path].place
        held = _held(delta, place, resource)
        sides = Sides(desired=delta.sides.desired, current=held, base=None, known=False)
        shared = delta.reason is Reason.JOINER and delta.authority is Authority.MERGE and place.kind is Kind.LIST
        if not place.same(sides.desired, held) and not (shared and merge(place, sides, delta.authority) is None):
            found.append(delta.path)
    return found


def _held(delta: Delta, place: Place, resource: Mapping[str, object]) -> Value:
    """What a resource holds where a delta is about; see `lifecycle.shown`."""
    held = place.read(resource)
    return shown(held, delta.sides.current) if delta.path == ACTIVE else held


def advanced(
    deltas: Iterable[Delta], resource: Mapping[str, object], attributes: Mapping[str, Mapped]
) -> tuple[Delta, ...]:
    """The deltas seen from the account as our own write just left it."""
    return tuple(
        replace(delta, sides=replace(delta.sides, current=attributes[delta.path].place.read(resource)))
        for delta in deltas
    )


def adopt(deltas: Iterable[Delta], fresh: Mapping[str, object], attributes: Mapping[str, Mapped]) -> tuple[Delta, ...]:
    """The deltas of a joiner laid against an account that turned out to exist, as on a first run."""
    adopted = []
    for delta in deltas:
        mapped = attributes[delta.path]
        if delta.path == ACTIVE and delta.sides.desired is False:  # made before the first day: nobody's access ends
            continue
        sides = Sides(desired=delta.sides.desired, current=mapped.place.read(fresh), base=None, known=False)
        merged = merge(mapped.place, sides, delta.authority)
        if merged is not None:
            adopted.append(_delta_of(mapped, replace(sides, desired=merged.value), merged.verdict, merged.reason))
    return tuple(adopted)

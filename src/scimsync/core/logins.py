"""Logins that are handed on: who gives one up, who waits for it, and how a ring of people who exchange is opened.

A login belongs to one account at a time. Where the account that has it gets another one in the same plan, whoever
takes it waits for that, within the run. A ring has no first: one of its people is parked under a login that nobody
wants, and gets the right one in the second pass. A login whose account keeps it is nobody's to take: of a person
with an account the login alone waits, and a person without one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.planner import SENT, operations_of
from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import LOGIN, Change, Delta, Finding, Reason, Severity, Verdict
from scimsync.model.policy import LoginExchange, Mapped

#: somebody keeps the login; whoever has it waits too; people exchange
TAKEN, WAITING, EXCHANGE = "correlation.taken", "login.waiting", "login.exchange"
#: what the login of a person who is parked is known by
PARKING = "scimsync-parking-"
#: how long the local part of an address may be (RFC 5321 §4.5.3.1.1)
_LOCAL = 64
#: members of a ring that a finding names
_NAMED = 50
_WORDS = {
    TAKEN: (
        "the login belongs to the account of another person",
        "give the person another login, or correct the key of the record",
    ),
    WAITING: (
        "the login waits, because the person who has it keeps it for now",
        "see the finding about the person whom the detail names",
    ),
    EXCHANGE: (
        "people exchange their logins, and these wait",
        'let HR change them one after the other, or let one person be parked: [policy] exchange = "park"',
    ),
}


class Handed(Struct, frozen=True, kw_only=True):
    """The changes with the logins that may be written, each in its turn; and what is told of the others."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]


def wanted(changes: Iterable[Change]) -> set[str]:
    """The logins, folded, that accounts shall get: who has them already must be asked for."""
    return {folded(delta.sides.desired) for change in changes if (delta := _login(change)) is not None}


def folded(login: object) -> str:
    """Logins compare without case."""
    return str(login).lower()


def hand_over(
    changes: Sequence[Change],
    holders: Mapping[str, frozenset[str]],
    attributes: Sequence[Mapped],
    exchange: LoginExchange = LoginExchange.PARK,
) -> Handed:
    """Let each login wait for its turn, and leave out those that have none.

    Args:
        changes: What would be written; no two of them want the same login.
        holders: The ids of the accounts that have the logins of `wanted`.
        attributes: What a plan may write.
        exchange: What becomes of people who exchange their logins.
    """
    work = _Handover({c.key: (c, delta) for c in changes if (delta := _login(c)) is not None}, holders)
    held = work.held()
    told = [_held(work.moves[key][0], code, detail) for key, (code, detail) in held.items()]
    parked: dict[str, str] = {}
    for ring in work.rings(held):
        if exchange is LoginExchange.PARK:
            change, delta = work.moves[ring[0]]
            parked[ring[0]] = parking(delta, change.account or "")
            told.append(_parked(ring, parked[ring[0]], change))
        else:
            held |= dict.fromkeys(ring, (EXCHANGE, ""))
            told += [_held(work.moves[key][0], EXCHANGE, _shown(ring)) for key in ring]
    found = []
    for change in changes:
        delta = _login(change)
        if delta is None or (change.key not in held and change.key not in work.givers):
            found.append(change)
        elif change.key not in held:
            turned = _turned(delta, work.givers[change.key], parked.get(change.key, ""))
            found.append(_with(change, delta, turned, attributes))
        elif change.account is not None:
            found.append(_with(change, delta, (), attributes))
    kept = tuple(change for change in found if any(delta.verdict in SENT for delta in change.deltas))
    return Handed(changes=kept, findings=tuple(told))


class _Handover:
    """Who waits for whom."""

    #: by key: the changes that write a login, with that delta
    moves: Mapping[str, tuple[Change, Delta]]
    holders: Mapping[str, frozenset[str]]
    #: key of a taker -> key of the person who gives the login up
    givers: dict[str, str]
    #: the other way round
    takers: dict[str, str]

    def __init__(self, moves: Mapping[str, tuple[Change, Delta]], holders: Mapping[str, frozenset[str]]) -> None:
        self.moves, self.holders, self.givers, self.takers = moves, holders, {}, {}
        leaving = {
            change.account: key
            for key, (change, delta) in moves.items()
            if change.account is not None and folded(delta.sides.current) != folded(delta.sides.desired)
        }
        for key in moves:
            others = [*self._others(key)]
            giver = leaving.get(others[0]) if len(others) == 1 else None
            if giver is not None and giver not in self.takers:
                self.givers[key], self.takers[giver] = giver, key

    def _others(self, key: str) -> frozenset[str]:
        """The accounts of others that have the login which this person wants."""
        change, delta = self.moves[key]
        return self.holders.get(folded(delta.sides.desired), frozenset()) - {change.account or ""}

    def held(self) -> dict[str, tuple[str, str]]:
        """Code and detail, by key, of those whose login is not given up in this plan; and who waits for them."""
        found: dict[str, tuple[str, str]] = {}
        for key in self.moves:
            if key in self.givers or not self._others(key):
                continue
            found[key] = (TAKEN, "")
            giver = key
            while (taker := self.takers.get(giver)) is not None:
                found[taker] = (WAITING, giver)
                giver = taker
        return found

    def rings(self, held: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, ...]]:
        """The people who exchange: each takes the login of the next, the last that of the first."""
        seen = {*held}
        for start in sorted(self.givers):
            ring: list[str] = []
            key: str | None = start
            while key is not None and key not in seen:
                seen.add(key)
                ring.append(key)
                key = self.givers.get(key)
            if ring and key == start:
                yield tuple(ring)


def parking(delta: Delta, account: str) -> str:
    """A login for a person who makes room: derived, nobody else's, and in the form of the one that is given up."""
    held, wanted_ = str(delta.sides.current), str(delta.sides.desired)
    local, at, domain = (held if "@" in held or "@" not in wanted_ else wanted_).partition("@")
    mark = f"+{PARKING}{hashlib.sha256(account.encode()).hexdigest()[:10]}"
    return f"{local.partition(f'+{PARKING}')[0][: _LOCAL - len(mark)]}{mark}{at}{domain}"


# --- while a plan is carried out ----------------------------------------------------------------------


def is_given_up(delta: Delta, outcomes: Iterable[Outcome]) -> bool:
    """Whether the person who has a login has another one by now.

    Args:
        delta: A login that waits.
        outcomes: What came of the person whom it waits for.
    """
    written = [outcome.written[LOGIN] for outcome in outcomes if LOGIN in outcome.written]
    return bool(written) and folded(written[-1]) != folded(delta.sides.desired)


def back(change: Change, changes: Iterable[Change], came_of: Callable[[str], Sequence[Outcome]]) -> Delta | None:
    """For a person who is parked in vain: the former login, where it is sure that nobody took it."""
    parked = _parked_delta(change)
    takers = [c.key for c in changes for d in c.deltas if d.path == LOGIN and d.awaits == change.key]
    if parked is None or not takers or not all(map(_took_nothing, map(came_of, takers))):
        return None
    sides = replace(parked.sides, desired=parked.sides.current, current=parked.sides.desired)
    return replace(parked, sides=sides)


def _took_nothing(outcomes: Sequence[Outcome]) -> bool:
    """Whether a login is known not to have been written."""
    refused = any(one.status is Status.FAILED or one.code == "account.name-taken" for one in outcomes)
    return refused and not any(LOGIN in one.written for one in outcomes)


def left(change: Change, back: Delta | None = None) -> tuple[Status, str, str]:
    """Status, code and detail of a login that waits on: whoever has it did not give it up."""
    parked = _parked_delta(change)
    giver = next((d.awaits for d in change.deltas if d.path == LOGIN and d.awaits is not None), "")
    if parked is None:
        return Status.DEFERRED, WAITING, f"{LOGIN} waits for {giver}, who has it"
    if back is not None:
        return Status.HELD, EXCHANGE, f"{giver} keeps the login, so this one is as it was"
    return Status.HELD, EXCHANGE, f"{giver} keeps the login; parked as {parked.sides.desired}"


def still_parked(change: Change, outcome: Outcome) -> Outcome:
    """What came of a second pass that failed, with the login that a person has meanwhile."""
    parked = _parked_delta(change)
    return outcome if parked is None else replace(outcome, detail=f"{outcome.detail}; parked as {parked.sides.desired}")


def _parked_delta(change: Change) -> Delta | None:
    return next((d for d in change.deltas if d.reason is Reason.PARKED), None)


# --- parts --------------------------------------------------------------------------------------------


def _login(change: Change) -> Delta | None:
    return next((d for d in change.deltas if d.path == LOGIN and d.verdict is Verdict.WRITE), None)


def _turned(delta: Delta, giver: str, parked: str) -> tuple[Delta, ...]:
    """The delta of a login that waits; of a person who is parked for the while, both."""
    if not parked:
        return (replace(delta, verdict=Verdict.AWAIT, reason=Reason.HANDED, awaits=giver),)
    first = replace(delta, sides=replace(delta.sides, desired=parked), reason=Reason.PARKED)
    later = replace(delta.sides, current=parked, base=parked, known=True)
    return first, replace(delta, sides=later, verdict=Verdict.DEFER, reason=Reason.HANDED, awaits=giver)


def _with(change: Change, delta: Delta, turned: tuple[Delta, ...], attributes: Sequence[Mapped]) -> Change:
    deltas = tuple(one for held in change.deltas for one in (turned if held is delta else (held,)))
    return replace(change, deltas=deltas, operations=operations_of(deltas, attributes))


def _held(change: Change, code: str, detail: str) -> Finding:
    """That a login waits; without an account, that the person does."""
    summary, hint = _WORDS[code]
    return Finding(
        severity=Severity.ERROR,
        code=code,
        subject=change.key,
        summary=summary,
        detail=f"{LOGIN}: {detail}" if detail else LOGIN,
        hint=hint,
        row=change.row,
        holds=True,
        path=LOGIN if change.account is not None else "",
    )


def _parked(ring: Sequence[str], login: str, change: Change) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=EXCHANGE,
        subject=change.key,
        summary="people exchange their logins; one of them gets a temporary login until the others have theirs",
        detail=f"{_shown(ring)}; {change.key} is {login} for the while",
        hint='to hold their logins instead: [policy] exchange = "hold"',
        row=change.row,
    )


def _shown(ring: Sequence[str]) -> str:
    """Whose login each takes, in one line."""
    named = [*ring[:_NAMED], f"… ({len(ring) - _NAMED:,} more)"] if len(ring) > _NAMED else [*ring]
    return " -> ".join([*named, ring[0]])

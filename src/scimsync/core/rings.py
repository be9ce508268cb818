"""Rings: a large plan is written to a few people first, then to more, as long as what comes of it is good.

Who stands in which ring depends on the key alone, so that the same people are always the first, and one ring of a
larger share holds all of a smaller one. Before them stand the pilots, whom a configuration names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

from scimsync.core.lifecycle import GIVING, ORDER
from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import Action, Change
from scimsync.model.policy import Limit
from scimsync.model.wording import some_of

#: how the rings of a configuration, or of the command line, are written where there are none
OFF = "off"
_BAD = frozenset({Status.HELD, Status.FAILED})


def shares_of(words: Sequence[str]) -> tuple[float, ...]:
    """The rings that somebody wrote.

    Args:
        words: Shares in percent that grow, up to 100%; or `off` alone.

    Raises:
        ValueError: They are not.

    Examples:
        >>> shares_of(["1%", " 10 %", "100%"]), shares_of(["off"])
        ((0.01, 0.1, 1.0), (1.0,))
    """
    texts = [word.strip() for word in words]
    if texts == [OFF]:
        return (1.0,)
    if not texts or not all(text.endswith("%") for text in texts):
        raise ValueError('write shares in percent that grow up to 100%, or "off"')
    shares = tuple(float(text.removesuffix("%")) / 100 for text in texts)
    if shares[0] <= 0 or shares[-1] != 1.0 or any(a >= b for a, b in pairwise(shares)):
        raise ValueError('write shares in percent that grow up to 100%, or "off"')
    return shares


def ring_of(key: str, shares: Sequence[float]) -> int:
    """The ring in which somebody stands, from 0.

    Examples:
        >>> [ring_of(f"E{n}", (0.01, 0.5, 1.0)) for n in range(6)]
        [0, 1, 1, 1, 2, 2]
    """
    first = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return next(number for number, share in enumerate(shares) if first < share or share == shares[-1])


def number(changes: Iterable[Change], shares: Sequence[float]) -> int:
    """How many rings there are: one for each share, and one for the pilots where there are some."""
    return len(shares) + (len(shares) > 1 and any(change.pilot for change in changes))


def places(changes: Iterable[Change], shares: Sequence[float]) -> dict[str, int]:
    """The ring of everybody, by key; whom a joiner's references wait for stands in no later one than the joiner."""
    found: dict[str, int] = {}
    needs: dict[str, set[str]] = {}
    known = [*changes]
    before = number(known, shares) - len(shares)
    for change in known:
        found[change.key] = 0 if before and change.pilot else before + ring_of(change.key, shares)
        needs.setdefault(change.key, set()).update(d.awaits for d in change.awaiting if d.awaits is not None)
    for first in sorted(found, key=lambda key: found[key]):
        todo = [first]
        while todo:
            for whom in needs[todo.pop()]:
                if found.get(whom, -1) > found[first]:
                    found[whom] = found[first]
                    todo.append(whom)
    return found


def step(ring: int, turn: int, of: int) -> tuple[int, int]:
    """When somebody is written: (ring, turn within it); before all rings -1, after all of them their number.

    Args:
        ring: The ring.
        turn: When it would be without rings (`core.lifecycle.turn`).
        of: How many rings there are.
    """
    if turn <= GIVING:
        return -1, turn
    return (of if turn == ORDER[Action.DELETE] else ring), turn


def halted(number: int, of: int, allowed: Limit, outcomes: Iterable[Outcome]) -> str:
    """Why no further ring is begun, in words; "" where what came of one is good enough.

    Args:
        number: Which ring is at its end, from 0.
        of: How many rings there are.
        allowed: How many people of it may be held or fail.
        outcomes: What came of the people in it.
    """
    told: dict[str, Outcome] = {}
    for outcome in outcomes:
        if outcome.key not in told or outcome.status in _BAD:
            told[outcome.key] = outcome
    bad = {key: outcome.code or outcome.status.value for key, outcome in told.items() if outcome.status in _BAD}
    if allowed.allows(len(bad), len(told)):
        return ""
    whom = some_of([f"{key} ({code})" for key, code in bad.items()])
    return (
        f"ring {number + 1} of {of} went wrong for {len(bad):,} of {len(told):,} people, allowed "
        f"{allowed}: {whom}; nobody after it was written"
    )

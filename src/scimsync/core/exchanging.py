"""Columns that changed places: values of one attribute that arrive under another, for many people at once.

Two columns of an export that are exchanged, and a file whose cells stand one to the right, look the same in a plan: who
changes at all is given, under one path, what the directory holds under another. No limit tells why; this does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from scimsync.model.plans import Change, Finding, Severity, Verdict

EXCHANGED = "source.exchanged"
RULES = frozenset({EXCHANGED})
#: people under whose one path the value of the other arrives, at least
MOST_BY_CHANCE = 4
#: and their share of those for whom the path changes
SHARE = 0.5


def exchanged(changes: Iterable[Change], overrides: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Why a plan is refused where columns of its source seem to have changed places.

    Args:
        changes: What is planned.
        overrides: Rules that a person set aside.

    Examples:
        >>> exchanged([])
        ()
    """
    if EXCHANGED in frozenset(overrides):
        return ()
    moved: Counter[str] = Counter()
    arrived: Counter[tuple[str, str]] = Counter()
    for change in changes:
        held = {
            delta.path: (delta.sides.desired, delta.sides.current)
            for delta in change.deltas
            if delta.verdict is Verdict.WRITE and isinstance(delta.sides.desired, str)
        }
        moved.update(held.keys())
        was = {current: path for path, (_, current) in held.items() if isinstance(current, str)}
        for path, (desired, _) in held.items():
            if (other := was.get(desired, path)) != path:
                arrived[path, other] += 1
    pairs = {
        pair: number for pair, number in arrived.items() if number > MOST_BY_CHANCE and number >= SHARE * moved[pair[0]]
    }
    if not pairs:
        return ()
    told = (f"{path} would get what {other} holds, for {n} of {moved[path]}" for (path, other), n in pairs.items())
    return (
        Finding(
            severity=Severity.ERROR,
            code=EXCHANGED,
            subject="",
            summary="columns of the source seem to have changed places",
            detail="; ".join(sorted(told)),
            hint="look whether the export has its columns in another order, or its cells one to the side; "
            f'where HR did move the values: --override {EXCHANGED} --reason "..."',
        ),
    )

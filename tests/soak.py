"""How much a test plays: in CI as much as fits into a quarter of an hour, and all of it in `make soak`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, product
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

TIMES = int(os.environ.get("SCIMSYNC_DAYS_TIMES", "1"))
#: whether this is a soak
WHOLE = TIMES > 1


def examples(whole: int, few: int) -> int:
    """How many examples are played: `few` in CI, `whole` times the length of a soak there."""
    return whole * TIMES if WHOLE else few


def pairs(ones: Iterable[A], others: Iterable[B]) -> Sequence[tuple[A, B]]:
    """Every one with every other in a soak; in CI each of them once, or until the longer list is through."""
    left, right = [*ones], [*others]
    if WHOLE:
        return [*product(left, right)]
    return (
        [*zip(left, cycle(right), strict=False)]
        if len(left) >= len(right)
        else [*zip(cycle(left), right, strict=False)]
    )


def covering(cases: Sequence[Mapping[str, object]]) -> list[int]:
    """Which of many cases are enough for each value of each parameter to be played at least once.

    Args:
        cases: Parameter -> its value, of each case.
    """
    seen: set[tuple[str, object]] = set()
    kept: list[int] = []
    left = dict(enumerate({*case.items()} for case in cases))
    while left:
        best = max(left, key=lambda at: (len(left[at] - seen), -at))
        if not left[best] - seen:
            break
        seen |= left.pop(best)
        kept.append(best)
    return sorted(kept)

"""How a plan for a day to come is marked; who joins, moves and leaves on the days to come, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import click

from scimsync.core import sealing
from scimsync.core.validity import AHEAD
from scimsync.model.plans import Lifecycle, Plan

#: people who are shown; the rest is counted
SHOWN = 12
_WORDS = {
    Lifecycle.JOINER: ("joins", "join"),
    Lifecycle.MOVER: ("moves", "move"),
    Lifecycle.LEAVER: ("leaves", "leave"),
}


def mark_lines(plan: Plan) -> Iterator[str]:
    """That a plan is made for a day to come."""
    if plan.as_of is not None:
        yield f"  made as of {plan.as_of}, from what HR says today; it cannot be applied"


def coming_lines(plan: Plan, *, everybody: bool) -> Iterator[str]:
    """Who comes, moves and goes on the days after today, each with the day."""
    if not plan.coming:
        return
    numbers = Counter(one.lifecycle for one in plan.coming)
    parts = [
        f"{number:,} {'person' if number == 1 else 'people'} {_WORDS[what][number > 1]}"
        for what in _WORDS
        if (number := numbers[what])
    ]
    until = f"until {plan.as_of}" if plan.as_of else f"within {AHEAD.days} days"
    yield ""
    yield click.style(f"to come: {', '.join(parts)} {until}", bold=True)
    shown = plan.coming if everybody else plan.coming[:SHOWN]
    yield from (f"    {one.day}  {one.key} {_WORDS[one.lifecycle][0]}" for one in shown)
    if len(shown) < len(plan.coming):
        yield click.style(f"    … and {len(plan.coming) - len(shown):,} more (--all shows them)", dim=True)


def coming_document(plan: Plan) -> dict[str, object]:
    """The same as part of a JSON document."""
    document: dict[str, object] = {"coming": [sealing.coming_to_json(one) for one in plan.coming]}
    return document | ({"as_of": plan.as_of.isoformat()} if plan.as_of else {})

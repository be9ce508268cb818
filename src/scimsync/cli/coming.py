"""How a plan for a day to come is marked; who joins, moves and leaves on the days to come, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date

import click

from scimsync.core import sealing
from scimsync.core.validity import AHEAD
from scimsync.model.plans import Action, Lifecycle, Plan

#: people who are shown; the rest is counted
SHOWN = 12
#: days of the timetable that are shown; the rest is counted
DAYS = 10
_WORDS = {
    Lifecycle.JOINER.value: ("joins", "join"),
    Lifecycle.MOVER.value: ("moves", "move"),
    Lifecycle.LEAVER.value: ("leaves", "leave"),
    Action.DISABLE.value: ("loses access if still missing", "lose access if still missing"),
    Action.DELETE.value: ("is deleted", "are deleted"),
}


def mark_lines(plan: Plan) -> Iterator[str]:
    """That a plan is made for a day to come, or looks back."""
    if plan.undoes:
        yield f"  takes back run {plan.undoes}: the directory as it was before it is what is wanted, whatever HR says"
    if plan.restores:
        yield f"  brings back what was agreed as of {plan.restores}, whatever HR says"
    if plan.as_of is not None:
        yield f"  made as of {plan.as_of}, from what HR says today; it cannot be applied"


def coming_lines(plan: Plan, *, everybody: bool) -> Iterator[str]:
    """Who comes, moves and goes on the days after today, each with the day."""
    if not plan.coming:
        return
    numbers = Counter(one.word for one in plan.coming)
    parts = [
        f"{number:,} {'person' if number == 1 else 'people'} {_WORDS[what][number > 1]}"
        for what in _WORDS
        if (number := numbers[what])
    ]
    until = f"until {plan.as_of}" if plan.as_of else f"within {AHEAD.days} days"
    yield ""
    yield click.style(f"to come: {', '.join(parts)} {until}", bold=True)
    yield from _timetable(plan, everybody=everybody)
    shown = plan.coming if everybody else plan.coming[:SHOWN]
    yield from (f"    {one.day}  {one.key} {_WORDS[one.word][0]}" for one in shown)
    if len(shown) < len(plan.coming):
        yield click.style(f"    … and {len(plan.coming) - len(shown):,} more (--all shows them)", dim=True)


def days_of(plan: Plan) -> dict[date, Counter[str]]:
    """What happens to how many people on each day to come, by day and word."""
    found: dict[date, Counter[str]] = {}
    for one in plan.coming:
        found.setdefault(one.day, Counter())[one.word] += 1
    return dict(sorted(found.items()))


def _timetable(plan: Plan, *, everybody: bool) -> Iterator[str]:
    """One line for each day; none where each of a few people is named anyway."""
    days = days_of(plan)
    if len(plan.coming) <= SHOWN and not everybody:
        return
    for day in [*days][: None if everybody else DAYS]:
        words = [f"{number:,} {_WORDS[what][number > 1]}" for what in _WORDS if (number := days[day][what])]
        yield f"    on {day:%a} {day}: {', '.join(words)}"
    if len(days) > DAYS and not everybody:
        yield click.style(f"    … and {len(days) - DAYS} more days", dim=True)


def coming_document(plan: Plan) -> dict[str, object]:
    """The same as part of a JSON document."""
    document: dict[str, object] = {"coming": [sealing.coming_to_json(one) for one in plan.coming]}
    document["days"] = [{"day": day.isoformat(), **counted} for day, counted in days_of(plan).items()]
    return document | ({"as_of": plan.as_of.isoformat()} if plan.as_of else {})

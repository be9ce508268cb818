"""What a plan rests on, point by point: whether it still holds, and of whom it does not where that is known cheaply.

An account that was edited since the plan is none of these points: its change is sent under the version that the plan
saw, so the target itself stops that one, who is planned again, and everybody else is applied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct, field

from scimsync.core.identity import said
from scimsync.engine.state import Decided, Journal, Links, Runs
from scimsync.model.decisions import Decision
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Plan, Verdict
from scimsync.model.wording import some_of

#: how long a plan may be applied that does not say so itself
MAX_AGE = timedelta(hours=24)
#: clocks of two machines may differ by so much; a plan from further ahead was made before a clock was set back
MAX_AHEAD = timedelta(minutes=5)
#: changes of later runs that are looked through for those whom a plan is about too
_CHEAP = 10_000
_ATTRIBUTE = "attributes."


class WorldState(Runs, Links, Decided, Journal, Protocol):
    """Of the state: what plans rest on."""


class World(Struct, frozen=True, kw_only=True):
    """What there is now, to hold a plan against."""

    store: WorldState
    target: str
    configuration: str
    parts: Mapping[str, str] = field(default_factory=dict)
    now: datetime


class Point(Struct, frozen=True, kw_only=True):
    """One thing that a plan rests on."""

    name: str
    #: why the plan is not applied, as a clause; "" where it holds
    moved: str = ""
    #: what is so where it holds, for people
    holds: str = ""
    #: what to do
    hint: str = "Make a new plan."
    #: people of the plan whom it concerns; None where that is not known
    people: tuple[str, ...] | None = None

    def sentence(self, plan: str) -> str:
        """Why the plan is not applied, for whom, and what to do."""
        return f"plan {plan}: {self.told}. {self.hint}"

    @property
    def told(self) -> str:
        """What is so, or what moved and for whom."""
        if not self.moved or self.people is None:
            return self.moved or self.holds
        return f"{self.moved}; of this plan it concerns {_named(self.people)}"


def _named(people: Collection[str]) -> str:
    """Some of the people, in half a sentence.

    Examples:
        >>> _named(()), _named(("E1",)), _named(tuple("ABCDEFG"))
        ('nobody', '1 person: E1', '7 people: A, B, C, D, E and 2 more')
    """
    if not people:
        return "nobody"
    return f"{len(people):,} {'person' if len(people) == 1 else 'people'}: {some_of(people)}"


#: a plan that was made elsewhere
UNKNOWN = Point(name="state", moved="this state does not know it", hint="Make the plan with the same [state].")


def looked_at(plan: Plan, run: Run, world: World) -> Iterator[Point]:
    """What a plan rests on, the gravest first. Of a plan that was carried out to its end not all still counts."""
    reading = tuple(for_reading(plan))
    yield from reading
    yield _target(plan, world)
    yield _configuration(plan, world)
    if run.state is not RunState.DONE:
        yield _links(plan, world)
        yield _decisions(plan, run, world)
        yield _base(plan, run, world)
        yield _cut(run, world)
        if not reading:
            yield age(plan, world.now)


def of_itself(plan: Plan, now: datetime) -> tuple[Point, ...]:
    """What a plan says of itself, where no state is asked: that it is for reading, or else its age."""
    return tuple(for_reading(plan)) or (age(plan, now),)


def for_reading(plan: Plan) -> Iterator[Point]:
    """Why a plan is never applied, however the world is; nothing where it may be."""
    if plan.as_of is not None:
        moved = f"it was made as of {plan.as_of}, to be read; nothing of it is due today"
        yield Point(name="day", moved=moved, hint="Make one for today: scimsync plan")
    if plan.offline is not None:
        moved = f"it was made offline, from accounts as they were read at {plan.offline:%Y-%m-%d %H:%M} UTC"
        yield Point(name="directory", moved=moved, hint="Make one that asks the directory: scimsync plan")


def _target(plan: Plan, world: World) -> Point:
    if plan.seal.target == world.target:
        return Point(name="target", holds=world.target)
    return Point(name="target", moved=f"it was made for {plan.seal.target}, the target is {world.target}")


def _configuration(plan: Plan, world: World) -> Point:
    if plan.seal.configuration == world.configuration:
        return Point(name="configuration", holds="as it was")
    moved = "the configuration changed since it was made"
    if not plan.parts or not world.parts:
        return Point(name="configuration", moved=moved)
    parts = sorted(name for name in {*plan.parts, *world.parts} if plan.parts.get(name) != world.parts.get(name))
    told = f"{moved} ({', '.join(parts)})" if parts else moved
    paths = {name.removeprefix(_ATTRIBUTE) for name in parts if name.startswith(_ATTRIBUTE)}
    if len(paths) < len(parts):  # what else moved may concern anybody
        return Point(name="configuration", moved=told)
    people = [c.key for c in (*plan.changes, *plan.notices) if any(d.path in paths for d in c.deltas)]
    return Point(name="configuration", moved=told, people=tuple(dict.fromkeys(people)))


def _links(plan: Plan, world: World) -> Point:
    decisions = world.store.link_decisions()
    if plan.seal.links == said(decisions):
        return Point(name="links", holds="as they were")
    named = {who for one in decisions if one.actor for who in (one.key, one.account)}
    people = [c.key for c in plan.changes if c.key in named or c.account in named]
    return Point(
        name="links", moved="records and accounts were linked or parted since", people=tuple(dict.fromkeys(people))
    )


def _decisions(plan: Plan, run: Run, world: World) -> Point:
    """Whether what people decided about conflicts, and the plan writes, still holds."""
    obeyed = {(c.key, d.decided) for c in plan.changes for d in c.deltas if d.decided and d.verdict is not Verdict.KEEP}
    known = {one.id: one for one in world.store.decisions(ended=True)} if obeyed else {}
    gone = [key for key, name in sorted(obeyed) if not _still(known.get(name), run, world.now)]
    if not gone:
        return Point(name="decisions", holds="as they were")
    moved = "what a person decided about a conflict holds no more"
    return Point(name="decisions", moved=moved, people=tuple(dict.fromkeys(gone)))


def _still(decision: Decision | None, run: Run, now: datetime) -> bool:
    """Whether a decision holds, or was used by this very run; its last day is any day that is not over everywhere."""
    if decision is None:
        return False
    return decision.ended_by == run.id or decision.holds((now - timedelta(hours=12)).date())


def _base(plan: Plan, run: Run, world: World) -> Point:
    last = world.store.last_applied()
    left = last.base if last else ""
    # a run that changed nothing leaves the base as it was, and yet was told by HR after this plan was
    is_ours = last is not None and last.id == run.id
    if is_ours or (left == plan.seal.base and not (last is not None and last.begun > run.seq)):
        return Point(name="base", holds="no other run was applied since")
    return Point(name="base", moved="another run was applied since it was made", people=_met(plan, run, world))


def _met(plan: Plan, run: Run, world: World) -> tuple[str, ...] | None:
    """The people of a plan about whom a later run settled something; None where that is much to look through."""
    later = [one for one in world.store.begun() if one.begun > run.seq and one.id != run.id]
    if sum(sum(one.statuses.values()) for one in later) > _CHEAP:
        return None
    settled = {line.key for one in later for line in world.store.journal(one.id) if line.outcome is not None}
    keys = [*(c.key for c in plan.changes), *(group.key for group in plan.groups)]
    return tuple(dict.fromkeys(key for key in keys if key in settled))


def _cut(run: Run, world: World) -> Point:
    cut = next((late for late in world.store.begun(1) if late.state is RunState.APPLYING), run)
    if cut.id == run.id or cut.begun <= run.seq:
        return Point(name="runs", holds="none was cut short since")
    return Point(
        name="runs",
        moved=f"run {cut.id} was begun since it was made, and was cut short",
        hint=f"Make a new plan, or go on with that run: scimsync apply {cut.id}",
    )


def age(plan: Plan, now: datetime) -> Point:
    """Whether a plan may still be applied by its age."""
    expires = plan.expires if plan.expires is not None else plan.created + MAX_AGE
    gone = now - plan.created
    hint = 'Make a new plan, or apply it with --override plan.age --reason "..."'
    if gone < -MAX_AHEAD:
        words = (
            f"it was made at {plan.created:%Y-%m-%d %H:%M} UTC, which this clock has not reached: its age is unknown"
        )
    elif now > expires:
        words = f"it is {gone.total_seconds() / 3600:.0f} hours old and expired at {expires:%Y-%m-%d %H:%M} UTC"
    else:
        return Point(name="expiry", holds=f"it may be applied until {expires:%Y-%m-%d %H:%M} UTC")
    return Point(name="expiry", moved=f"{words}, and HR may say something else now", hint=hint)

"""How much may change: by one plan with the runs before it, through every door; and what a refusal leaves frozen.

A *kind* is an action (`disable`, `enable`, `create`, `update`), or `clear PATH`: to take the value of one
attribute away. Whatever counts, counts by kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.core.planner import SENT, operations_of
from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import MAKING, Action, Change, Delta, Finding, Severity, Tally, Verdict
from scimsync.model.policy import Limit, Limits, Mapped
from scimsync.model.wording import some_of
from scimsync.scim.schema import Value

#: the rule about values that are taken away
CLEAR = "limits.clear"
#: the kinds that take access away
TAKING = frozenset({Action.DISABLE.value, Action.DELETE.value})
#: the rules about how much changes, which a person may set aside
RULES = frozenset({f"limits.{action.value}" for action in Action if action is not Action.RESTORE} | {CLEAR})
#: the rules beyond which something is left as it is, and the rest of the plan goes on
_LEAVING = frozenset({CLEAR, "limits.delete"})


class Past(Struct, frozen=True, kw_only=True):
    """What counts with a plan, by kind."""

    #: how long what was done counts
    window: timedelta = timedelta()
    #: the same for what takes access away
    leavers_window: timedelta = timedelta()
    #: how many accounts runs changed within it
    done: Mapping[str, int] = field(default_factory=dict)
    #: the run that was refused for it, where nobody has answered since
    frozen: Mapping[str, str] = field(default_factory=dict)

    def window_of(self, kind: str) -> timedelta:
        """How long what was done in a kind counts."""
        return self.leavers_window if kind in TAKING else self.window


class Demand(Struct, frozen=True, kw_only=True):
    """How many accounts a plan would change in one kind, of how many, and how many it may."""

    kind: str
    number: int
    of: int
    limit: Limit

    @property
    def path(self) -> str:
        """The attribute it is about; "" where it is about accounts."""
        return self.kind.partition(" ")[2]

    def beyond(self, past: Past) -> bool:
        """Whether that is too much, with what was done before."""
        return bool(self.number) and not self.limit.allows(self.number + past.done.get(self.kind, 0), self.of)

    def numbers(self, past: Past) -> str:
        """All of it in words.

        Examples:
            >>> demand = Demand(kind="disable", number=9, of=200, limit=Limit(share=0.05))
            >>> demand.numbers(Past(leavers_window=timedelta(days=7), done={"disable": 24}))
            '24 in the last 7 days and 9 now of 200, allowed 5%'
            >>> demand.numbers(Past())
            '9 of 200, allowed 5%'
        """
        before = past.done.get(self.kind, 0)
        now = f"{before} in {_span(past.window_of(self.kind))} and {self.number} now" if before else str(self.number)
        return f"{now} of {self.of}, allowed {self.limit}"


def rule_of(kind: str) -> str:
    """The rule about a kind."""
    return f"limits.{kind.partition(' ')[0]}"


def demands(counted: Tally, limits: Limits) -> Iterator[Demand]:
    """What a plan wants, action by action; whom an account is given back is made one."""
    made = sum(counted.actions.get(action.value, 0) for action in MAKING)
    for action in Action:
        if action is Action.RESTORE:
            continue
        number = made if action is Action.CREATE else counted.actions.get(action.value, 0)
        of = counted.absent + (counted.records if action is Action.CREATE else counted.linked)
        yield Demand(kind=action.value, number=number, of=of, limit=getattr(limits, action.value))


def clearing(changes: Iterable[Change], limits: Limits, linked: int, frozen: Iterable[str] = ()) -> Iterator[Demand]:
    """What a plan wants to take away, attribute by attribute; also nothing, of kinds that are frozen."""
    counted = Counter({kind: 0 for kind in frozen if rule_of(kind) == CLEAR})
    counted.update(f"clear {delta.path}" for change in changes for delta in change.deltas if clears(delta))
    for kind, number in sorted(counted.items()):
        yield Demand(kind=kind, number=number, of=linked, limit=limits.clear_of(kind.partition(" ")[2]))


def clears(delta: Delta) -> bool:
    """Whether a value, or all of a list, is taken away."""
    return delta.verdict is Verdict.WRITE and delta.sides.desired is None and delta.sides.current is not None


def refusals(
    wanted: Iterable[Demand], overrides: Iterable[str] = (), past: Past | None = None, *, partial: bool = False
) -> tuple[Finding, ...]:
    """The limits that a plan passes, and that nobody overrode.

    A plan for some people may not do at all what is frozen, or a refusal could be walked round in small steps.
    """
    past, given = past or Past(), frozenset(overrides)
    found = []
    for demand in wanted:
        if rule_of(demand.kind) in given:
            continue
        if partial and demand.number and demand.kind in past.frozen:
            found.append(_frozen(demand, past.frozen[demand.kind]))
        elif demand.beyond(past):
            found.append(_beyond(demand, past))
    return tuple(found)


def _beyond(demand: Demand, past: Past) -> Finding:
    rule = rule_of(demand.kind)
    return Finding(
        severity=Severity.ERROR,
        code=rule,
        subject="",
        summary=f"the plan would {_of(demand.kind)} more accounts than [limits] {rule.removeprefix('limits.')} allows",
        detail=demand.numbers(past),
        hint=f'check the source; if it is right: --override {rule} --reason "..."',
        path=demand.path,
    )


def _frozen(demand: Demand, run: str) -> Finding:
    rule = rule_of(demand.kind)
    answer = f"scimsync apply {run}" if rule not in _LEAVING else "scimsync sync"
    return Finding(
        severity=Severity.ERROR,
        code=rule,
        subject="",
        summary=f"a plan that would {_of(demand.kind)} too many accounts was refused, and nobody has overridden it",
        detail=f"run {run}; this plan, for some people only, would {_of(demand.kind)} {demand.number}",
        hint=(
            f'check the source and make a plan for everybody; if it is right: {answer} --override {rule} --reason "..."'
        ),
        path=demand.path,
    )


def _of(kind: str) -> str:
    action, _, path = kind.partition(" ")
    return f"{action} {path} of" if path else action


class Spared(Struct, frozen=True, kw_only=True):
    """A plan without what would take too much away."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()


def spare(changes: Sequence[Change], stopped: Mapping[str, Finding], attributes: Sequence[Mapped]) -> Spared:
    """Leave alone the values that would be taken away beyond a limit; the rest of each change goes on.

    Args:
        changes: The changes.
        stopped: Path -> why nothing may be taken away there.
        attributes: Everything that a plan may write.
    """
    kept: list[Change] = []
    spared: dict[str, list[str]] = {path: [] for path in stopped}
    for change in changes:
        gone = [d.path for d in change.deltas if d.path in stopped and clears(d)]
        for path in gone:
            spared[path].append(change.key)
        deltas = tuple(d for d in change.deltas if d.path not in gone)
        if not gone:
            kept.append(change)
        elif any(delta.verdict in SENT for delta in deltas):
            kept.append(replace(change, deltas=deltas, operations=operations_of(deltas, attributes)))
    findings = tuple(_left(why, path, spared[path]) for path, why in stopped.items())
    return Spared(changes=tuple(kept), findings=findings)


def _left(why: Finding, path: str, keys: Sequence[str]) -> Finding:
    people = "1 person" if len(keys) == 1 else f"{len(keys):,} people"
    return replace(
        why,
        summary=f"this run would clear {path} of {people}; it is left alone there",
        detail=f"{why.detail}: {some_of(keys)}",
        holds=True,
    )


def done(
    outcomes: Iterable[tuple[str, Iterable[Outcome]]], created: Container[str], deleted: Container[str] = ()
) -> dict[str, int]:
    """How many accounts a run changed, by kind.

    Args:
        outcomes: The outcomes of each person, by key.
        created: The keys of people who had no account before.
        deleted: The keys of people whose account was to be deleted.
    """
    counted: Counter[str] = Counter()
    for key, parts in outcomes:
        ours = [part for part in parts if part.status is not Status.ALREADY]
        if key in deleted:
            counted["delete"] += any(part.status is Status.DONE for part in ours)
            continue
        written = {path: value for part in ours for path, value in part.written.items()}
        if key in created:
            counted["create"] += bool(written)
        elif written:
            counted[_action(written)] += 1
            counted.update(f"clear {path}" for path, value in written.items() if value is None)
    return +counted


def _action(written: Mapping[str, Value]) -> str:
    active = written.get(ACTIVE)
    return "update" if active is None else "enable" if active else "disable"


def _span(window: timedelta) -> str:
    hours = round(window.total_seconds() / 3600)
    number, unit = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return f"the last {unit}" if number == 1 else f"the last {number} {unit}s"

"""The figures of a report: who belongs to which group, how fast it went, what was foreseen. Pure; draws nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from scimsync.model.outcomes import JournalLine, Outcome, Status, Step
from scimsync.model.plans import Action, Plan

#: upper edges of the columns of the latency chart, seconds; one more column takes the rest
EDGES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
#: widths that a column of the rate chart may have, seconds
WIDTHS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
COLUMNS = 48
#: groups shown by name; the rest is counted together
GROUPS = 12
_RANK = (Status.ALREADY, Status.DONE, Status.DEFERRED, Status.HELD, Status.FAILED, Status.OPEN)


class Grouping(Struct, frozen=True, kw_only=True):
    """Which group each person belongs to, by the path that says so ("" where none does)."""

    path: str = ""
    of: Mapping[str, str]


class Bar(Struct, frozen=True, kw_only=True):
    """One labelled number, split by action."""

    label: str
    parts: tuple[tuple[Action, int], ...]

    @property
    def number(self) -> int:
        """All parts together."""
        return sum(number for _, number in self.parts)


class Column(Struct, frozen=True, kw_only=True):
    """One column of a chart over time or over size."""

    label: str
    number: float


class Course(Struct, frozen=True, kw_only=True):
    """How a run went, as its journal tells."""

    began: datetime
    ended: datetime
    #: writes that left, also those that lost a race or were repeated
    requests: int
    #: seconds from the first intent of a write to its outcome, sorted
    latencies: tuple[float, ...]
    #: when each outcome was known, sorted
    settled: tuple[datetime, ...]

    @property
    def seconds(self) -> float:
        """From the first intent to the last outcome."""
        return (self.ended - self.began).total_seconds()

    def percentile(self, share: float) -> float:
        """The latency that so large a share of the writes stayed below, in seconds."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]

    @property
    def width(self) -> float:
        """Seconds that one column of the rate chart covers."""
        return next((w for w in WIDTHS if self.seconds / w <= COLUMNS), self.seconds / COLUMNS)

    def rate(self) -> tuple[Column, ...]:
        """Outcomes a second over time; the label is the time since the beginning."""
        counted = Counter(int((at - self.began).total_seconds() / self.width) for at in self.settled)
        return tuple(
            Column(label=_seconds(number * self.width), number=counted[number] / self.width)
            for number in range(max(counted, default=0) + 1)
        )

    def histogram(self) -> tuple[Column, ...]:
        """Writes by latency, without empty columns at both ends."""
        counted = Counter(bisect_left(EDGES, seconds) for seconds in self.latencies)
        low, high = min(counted), max(counted)
        return tuple(Column(label=_edge(number), number=counted[number]) for number in range(low, high + 1))


def _edge(number: int) -> str:
    return f"≤ {_seconds(EDGES[number])}" if number < len(EDGES) else f"> {_seconds(EDGES[-1])}"


def _seconds(seconds: float) -> str:
    """A short duration for an axis.

    Examples:
        >>> _seconds(0.02), _seconds(2.5), _seconds(90), _seconds(0)
        ('20 ms', '2.5 s', '1.5 min', '0')
    """
    if not seconds:
        return "0"
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    return f"{seconds:.3g} s" if seconds < 60 else f"{seconds / 60:.3g} min"


def course(lines: Iterable[JournalLine]) -> Course | None:
    """What the journal of a run tells about time; None where nothing was written yet."""
    intents: dict[tuple[str, int], datetime] = {}
    settled: list[tuple[datetime, float]] = []
    began: datetime | None = None
    requests = 0
    for line in lines:
        part = (line.key, line.part)
        if line.step is Step.INTENT:
            requests += 1
            began = min(began or line.at, line.at)
            intents.setdefault(part, line.at)
        elif part in intents:
            settled.append((line.at, (line.at - intents.pop(part)).total_seconds()))
    if began is None or not settled:
        return None
    return Course(
        began=began,
        ended=max(at for at, _ in settled),
        requests=requests,
        latencies=tuple(sorted(seconds for _, seconds in settled)),
        settled=tuple(sorted(at for at, _ in settled)),
    )


def outcomes(lines: Iterable[JournalLine]) -> dict[tuple[str, int], Outcome]:
    """The last word on each change, by key and part: the latest outcome of each pass, the worse of the two passes."""
    latest = {(line.key, line.part): line.outcome for line in lines if line.outcome is not None}
    worst: dict[tuple[str, int], Outcome] = {}
    for (key, part), outcome in latest.items():
        change = (key, part if part % 2 else part - 1)
        held = worst.get(change)
        if held is None or _RANK.index(outcome.status) > _RANK.index(held.status):
            worst[change] = outcome
    return worst


def by_action(plan: Plan) -> tuple[Bar, ...]:
    """How many accounts each action changes."""
    counted = Counter(change.action for change in plan.changes)
    return tuple(Bar(label=a.value, parts=((a, counted[a]),)) for a in Action if counted[a])


def by_group(plan: Plan, grouping: Grouping) -> tuple[Bar, ...]:
    """How many accounts change in each group, the largest first, the smallest together."""
    groups = group_of(plan, grouping)
    counted: dict[str, Counter[Action]] = {}
    for change in plan.changes:
        counted.setdefault(groups.get(change.key, ""), Counter())[change.action] += 1
    ranked = sorted(counted.items(), key=lambda item: (-item[1].total(), item[0]))
    shown, rest = ranked[:GROUPS], ranked[GROUPS:]
    if rest:
        shown.append((f"{len(rest):,} more", sum((counts for _, counts in rest), Counter())))
    return tuple(Bar(label=name or "(none)", parts=_parts(counts)) for name, counts in shown)


def group_of(plan: Plan, grouping: Grouping) -> Mapping[str, str]:
    """The group of each person: what the plan says of it, else what was agreed before."""
    said = {
        change.key: str(delta.sides.desired or "")
        for change in plan.changes
        for delta in change.deltas
        if delta.path == grouping.path
    }
    return {**grouping.of, **said}


def _parts(counts: Counter[Action]) -> tuple[tuple[Action, int], ...]:
    return tuple((action, counts[action]) for action in Action if counts[action])


def largest(columns: Sequence[Column]) -> float:
    """The highest of some columns; 1 where there is none, so that one may divide by it."""
    return max((column.number for column in columns), default=0) or 1

"""Is all well? The last runs, what waits for a person, what the source and the webhooks are like, on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct

from scimsync.bootstrap import now
from scimsync.config import Settings
from scimsync.engine.ports import Store
from scimsync.engine.state import Artifacts, Outbox, Runs
from scimsync.model.events import MessageState
from scimsync.model.outcomes import Run, RunState, Status
from scimsync.services import scheduling
from scimsync.services.observing import metrics_document

#: days of which changes are counted
DAYS = 90
#: plans that wait and are told of
_OPEN = 5
_GOOD = frozenset({RunState.DONE, RunState.PARTIAL})
#: outcomes that leave nothing undone
_SETTLED = frozenset({Status.DONE.value, Status.ALREADY.value})


class Waiting(Struct, frozen=True, kw_only=True):
    """Something that waits for a person."""

    #: in words
    what: str
    number: int
    #: the run whose plan says so
    run: str
    #: what it is called: `plan`, `refused`, `interrupted`, `conflicts`, `held`, `values`, `leavers`
    kind: str


class Endpoint(Struct, frozen=True, kw_only=True):
    """A webhook, and how many messages it has in each state."""

    address: str
    pending: int
    delivered: int
    dead: int
    trouble: str


class Overview(Struct, frozen=True, kw_only=True):
    """How everything stands."""

    at: datetime
    #: the latest run that was applied, and the latest of those that came to their end
    last: Run | None
    succeeded: Run | None
    #: the latest plan about everybody
    plan: Run | None
    waiting: tuple[Waiting, ...]
    endpoints: tuple[Endpoint, ...]
    #: changes that were made on each of the last days, the oldest first
    days: tuple[tuple[date, int], ...]
    #: how the schedules and the alarms stand, a sentence each, and whether all is well with it
    clockwork: tuple[tuple[bool, str], ...]
    #: what part of the allowed rate the last run used; None where that is not known
    rate: float | None

    @property
    def age_s(self) -> float | None:
        """Seconds since a run came to its end; None where none did."""
        ended = self.succeeded.finished if self.succeeded is not None else None
        # a clock that was set back makes nothing come from the future
        return None if ended is None else max(0.0, (self.at - ended).total_seconds())

    @property
    def is_well(self) -> bool:
        """Whether nobody has to do anything."""
        troubled = any(one.dead for one in self.endpoints) or not all(well for well, _ in self.clockwork)
        return not self.waiting and not troubled and self.succeeded is not None


def overview(settings: Settings, store: Store) -> Overview:
    """How everything stands now."""
    at = now()
    runs = store.runs(100)
    begun = store.begun(1)
    whole = next((run for run in runs if not run.partial and run.state is not RunState.OFFLINE), None)
    return Overview(
        at=at,
        last=begun[0] if begun else None,
        succeeded=next((run for run in store.begun(100) if run.state in _GOOD), None),
        plan=whole,
        waiting=(*_undone(begun), *_waiting(runs, whole)),
        endpoints=tuple(_endpoints(settings, store)),
        days=_days(store, at),
        clockwork=tuple(scheduling.told(settings, store)),
        rate=_rate(store),
    )


def _undone(begun: Sequence[Run]) -> list[Waiting]:
    """What the latest run that was applied did not bring about: somebody may keep access by it."""
    found = [run for run in begun if run.state is RunState.PARTIAL]
    numbers = [(run, sum(number for word, number in run.statuses.items() if word not in _SETTLED)) for run in found]
    return [
        Waiting(
            what=f"{'change was' if number == 1 else 'changes were'} held or failed",
            number=number,
            run=run.id,
            kind="undone",
        )
        for run, number in numbers
        if number
    ]


def _waiting(runs: Sequence[Run], whole: Run | None) -> list[Waiting]:
    found = []
    for run in _open(runs):
        if run.state is RunState.REFUSED:
            found.append(Waiting(what="a plan was refused", number=_writes(run), run=run.id, kind="refused"))
        elif _writes(run):
            found.append(Waiting(what="a plan waits to be applied", number=_writes(run), run=run.id, kind="plan"))
    cut = next((run for run in runs if run.state in {RunState.INTERRUPTED, RunState.APPLYING}), None)
    if cut is not None:
        found.append(Waiting(what="a run was not brought to its end", number=0, run=cut.id, kind="interrupted"))
    if whole is not None:
        numbers = [(name, whole.tally.get(name, 0)) for name in _COUNTED]
        found += [_counted(name, number, whole.id) for name, number in numbers if number]
    return found


def _open(runs: Sequence[Run]) -> list[Run]:
    """The plans that nothing overtook, the newest first: those about some people since the one about everybody, too."""
    found: list[Run] = []
    for run in runs:
        if run.begun or len(found) == _OPEN:
            break
        if run.state in {RunState.PLANNED, RunState.REFUSED}:
            found.append(run)
            if not run.partial:
                break
    return found


#: what a plan counts and a person must see to, as it is said of one and of many
_COUNTED = {
    "leavers_kept": ("leaver keeps access", "leavers keep access"),
    "conflicts": ("conflict is held", "conflicts are held"),
    "held": ("person is left out", "people are left out"),
    "values": ("value is left out", "values are left out"),
}


def _counted(name: str, number: int, run: str) -> Waiting:
    return Waiting(what=_COUNTED[name][number != 1], number=number, run=run, kind=name)


def counted_anew(waiting: Iterable[Waiting], kind: str, number: int) -> Iterator[Waiting]:
    """The same, with another number of one kind; without it where nothing of it waits any more."""
    for one in waiting:
        if one.kind != kind:
            yield one
        elif number:
            yield _counted(kind, number, one.run)


def _writes(run: Run) -> int:
    return run.tally.get("changes", 0) + run.tally.get("groups", 0)


def _endpoints(settings: Settings, store: Outbox) -> list[Endpoint]:
    counted = store.outbox()
    found = []
    for webhook in settings.webhooks:
        numbers = counted.get(webhook.subscription.endpoint, {})
        trouble = store.last_trouble(webhook.subscription.endpoint)
        found.append(
            Endpoint(
                address=webhook.shown,
                pending=numbers.get(MessageState.PENDING, 0),
                delivered=numbers.get(MessageState.DELIVERED, 0),
                dead=numbers.get(MessageState.DEAD, 0),
                trouble=trouble.detail if trouble is not None else "",
            )
        )
    return found


def _days(store: Runs, at: datetime) -> tuple[tuple[date, int], ...]:
    first = at - timedelta(days=DAYS - 1)
    counted: Counter[date] = Counter()
    for run in store.worked(first):
        if run.began is not None:
            counted[run.began.date()] += run.statuses.get("done", 0)
    days = [(first + timedelta(days=number)).date() for number in range(DAYS)]
    return tuple((day, counted[day]) for day in days)


def _rate(store: Artifacts) -> float | None:
    metrics = metrics_document(store)["metrics"]
    found = [m for m in metrics if isinstance(m, dict)] if isinstance(metrics, list) else []
    value = next((m["value"] for m in found if m.get("name") == "scimsync_allowed_rate_used_ratio"), None)
    return float(value) if isinstance(value, int | float) else None

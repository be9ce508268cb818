"""Look at plans and people page by page, however many there are: what a console shows, from indexes made once."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

from msgspec import Struct

from scimsync.bootstrap import now
from scimsync.config import Settings
from scimsync.core import limits
from scimsync.core.approving import Doing
from scimsync.engine import limiting
from scimsync.engine.ports import Store
from scimsync.engine.state import Artifacts
from scimsync.errors import PlanDamaged, PlanStale, ScimsyncError
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Plan
from scimsync.services.planning import as_applied
from scimsync.workbench import charting
from scimsync.workbench.people_index import Known, PeopleIndex
from scimsync.workbench.plan_index import Filter, Page, PlanIndex, Row

__all__ = ["Filter", "Known", "Nearness", "Page", "Review", "Reviews", "Row", "reviews"]

#: how far the clock of a journal may step back
_TWICE = timedelta(minutes=5)
#: plans whose indexes are kept, the latest that were looked at
_KEPT = 8
#: seconds that a search waits for the first index of people
FIRST_S = 5.0


class Nearness(Struct, frozen=True, kw_only=True):
    """How near a plan is to one limit."""

    rule: str
    #: `disable`, `create`, ..., or `clear PATH`
    kind: str
    #: in words: how many of how many, and how many are allowed
    told: str
    number: int
    #: what part of the limit is used; beyond 1 it is passed, None where there is no limit
    share: float | None
    refuses: bool


class Review(Struct, frozen=True, kw_only=True):
    """One plan, opened."""

    run: Run
    #: without its changes, groups and notices, which the index has
    plan: Plan
    index: PlanIndex
    nearness: tuple[Nearness, ...]
    #: the path by which people are grouped; "" where there is none
    group_path: str

    @property
    def writes(self) -> int:
        """How many changes of accounts and groups there are."""
        return sum(number for word, number in self.index.counts.get("action", {}).items() if word != "notice")

    @property
    def doing(self) -> Doing:
        """What rules of approval look at."""
        counted = self.index.counts.get("action", {})
        numbers = {action: number for action, number in counted.items() if action not in {"notice", "members"}}
        return Doing.counted(numbers, self.index.groups() if "members" in counted else (), self.index.plan.overrides)

    @property
    def can_be_applied(self) -> bool:
        """Whether it may be carried out, as far as the plan itself says."""
        unbegun = self.run.state in {RunState.PLANNED, RunState.INTERRUPTED, RunState.APPLYING}
        is_real = self.plan.offline is None and self.plan.as_of is None
        return unbegun and is_real and bool(self.writes) and not self.plan.refusals


class Based(Artifacts, Protocol):
    """Of the state: where the last base is."""

    def last_applied(self, source: str | None = None) -> Run | None:
        """The run that left it."""
        ...


class Reviews:
    """The plans that are looked at, and the people who are searched; may be used from several threads.

    Args:
        settings: The configuration.
        folder: Where the indexes go, in a private folder that goes away with them: that of the artifacts.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        # a workbench finds what a process that was killed left behind by this name
        self._folder = Path(tempfile.mkdtemp(prefix=f"workbench-{os.getpid()}-", dir=folder))
        self._lock, self._made = threading.Lock(), count(1)
        #: held by who makes the index of people; apart, so that plans are opened meanwhile
        self._making = threading.Lock()
        self._indexes: OrderedDict[str, PlanIndex] = OrderedDict()
        self._people: tuple[str, PeopleIndex] | None = None
        #: until when the outcomes are in an index
        self._taken: WeakKeyDictionary[PlanIndex, datetime] = WeakKeyDictionary()

    def close(self) -> None:
        """Remove the indexes: they hold what people's values are."""
        with self._lock:
            for index in self._indexes.values():
                index.close()
            if self._people is not None:
                self._people[1].close()
            self._indexes.clear()
            shutil.rmtree(self._folder, ignore_errors=True)

    def opened(self, store: Store, named: str) -> Review:
        """A plan, by the id of its run or the beginning of it, with what came of it by now.

        Raises:
            PlanStale: There is no such run, or its plan is no longer kept.
            PlanDamaged: Its file is not what was stored.
            ConfigError: There are several.
        """
        run = store.run(named)
        if run is None:
            raise PlanStale(f"there is no run {named!r}.")
        if not run.plan:
            raise PlanStale(f"run {run.id}: its plan is no longer kept ([state] keep). The audit chain knows it.")
        index = self._index(store, run)
        if run.state not in {RunState.PLANNED, RunState.REFUSED, RunState.OFFLINE}:
            self._catch_up(store, run, index)
        plan = as_applied(store, index.plan)
        path = charting.chosen(self._settings.policy.by_path)
        return Review(
            run=run, plan=plan, index=index, nearness=tuple(self._nearness(store, run, plan)), group_path=path
        )

    def _catch_up(self, store: Store, run: Run, index: PlanIndex) -> None:
        """Take in what came of it since the last look; a second twice, for lines of one moment come apart."""
        since = self._taken.get(index)
        told = now()
        index.take(store.journal(run.id, since=since - _TWICE if since is not None else None))
        self._taken[index] = told

    def people(self, store: Based, words: str, limit: int = 50) -> tuple[list[Known], int]:
        """People whom the last base knows, by the beginnings of words; and how many it knows at all."""
        index = self._searched(store)
        return ([], 0) if index is None else (index.search(words, limit), index.number)

    def _searched(self, store: Based) -> PeopleIndex | None:
        """The index of the last base. While a new one is made, searches go into the one before.

        Raises:
            ScimsyncError: It is made for the first time, and that takes longer than a page should.
        """
        last = store.last_applied(self._settings.source.identity) or store.last_applied()
        top = store.artifact(last.base) if last is not None and last.base else None
        if top is None or not top.is_file():
            return None
        known = self._people
        if known is not None and known[0] == top.name:
            return known[1]
        if not self._making.acquire(timeout=0 if known is not None else FIRST_S):
            if known is not None:
                return known[1]
            raise ScimsyncError("The people are being read for the first time. Look again in a moment.")
        try:
            if self._people is None or self._people[0] != top.name:
                self._people = (top.name, PeopleIndex(top, self._fresh("people")))
            return self._people[1]
        finally:
            self._making.release()

    def _fresh(self, what: str) -> Path:
        return self._folder / f"{what}-{next(self._made)}.db"

    def _index(self, store: Artifacts, run: Run) -> PlanIndex:
        file = store.artifact(run.plan)
        with self._lock:
            found = self._indexes.get(run.id)
            try:
                if found is None or not found.is_current:
                    found = self._indexes[run.id] = self._make(store, run, file)
            except FileNotFoundError as error:
                raise PlanDamaged(f"plan {run.id}: its file {run.plan} is missing. Make a new plan.") from error
            self._indexes.move_to_end(run.id)
            while len(self._indexes) > _KEPT:
                self._indexes.popitem(last=False)[1].close()
            return found

    def _make(self, store: Artifacts, run: Run, file: Path) -> PlanIndex:
        path = charting.chosen(self._settings.policy.by_path)
        agreed = store.artifact(run.agreed) if run.agreed else None

        def groups(keys: Sequence[str]) -> Mapping[str, str]:
            if not path or agreed is None or not agreed.is_file():
                return {}
            return charting.groups(agreed, path, keys)

        made = PlanIndex(file, self._fresh("plan"), group_path=path, groups=groups)
        if run.digest not in {"", made.digest}:
            made.close()
            raise PlanDamaged(f"plan {run.id}: its file is not the plan that was made, by its digest. Make a new plan.")
        return made

    def _nearness(self, store: Store, run: Run, plan: Plan) -> Iterator[Nearness]:
        allowed = self._settings.policy.limits
        past = limiting.past(store, now(), allowed, [run.source, *run.takes], besides=run.id)
        refused = {(refusal.rule, refusal.path): refusal for refusal in plan.refusals}
        for demand in limits.demands(plan.tally, allowed):
            number = demand.number + past.done.get(demand.kind, 0)
            rule = limits.rule_of(demand.kind)
            yield Nearness(
                rule=rule,
                kind=demand.kind,
                told=demand.numbers(past),
                number=demand.number,
                share=_share(demand, number),
                refuses=(rule, demand.path) in refused,
            )


def _share(demand: limits.Demand, number: int) -> float | None:
    limit = demand.limit
    if limit.count is None and (limit.share is None or limit.share >= 1):
        return None
    most = limit.count if limit.count is not None else max(limit.floor, (limit.share or 0) * demand.of)
    return number / most if most else float(bool(number)) * 2


@contextmanager
def reviews(settings: Settings, store: Artifacts) -> Iterator[Reviews]:
    """Reviews for as long as a block lasts."""
    made = Reviews(settings, store.artifact("plan").parent)
    try:
        yield made
    finally:
        made.close()

"""Who is missing from the source: in how many readings, who loses access for it, and what is remembered of that."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from scimsync.core import ladder as rules
from scimsync.core.absent import DELTA
from scimsync.core.findings import of_unbelieved
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.trust import BLANKS, Trust
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Suspicions
from scimsync.model.accounts import Leaver
from scimsync.model.outcomes import Suspect
from scimsync.model.plans import Action, Coming, Finding, Lifecycle, Plan
from scimsync.model.policy import Leavers
from scimsync.workbench import suspects as tables
from scimsync.workbench.comparing import Comparison


class Ladder(Struct):
    """What becomes of those who are missing from one reading of the source."""

    request: PlanRequest
    store: Suspicions
    now: datetime
    #: which delivery the reading is; "" for no file
    delivery: str
    #: who stands on it, by key, as it was before this reading
    known: dict[str, Suspect] = field(default_factory=dict)
    #: the same after it
    now_known: dict[str, Suspect] = field(default_factory=dict)
    #: this reading counts, and who is not missing from it is there
    counts: bool = False
    #: it is not an old one, so whoever is in it is there
    shows: bool = True
    #: who keeps access for now, and what is told
    suspects: list[Suspect] = field(default_factory=list)
    told: list[Finding] = field(default_factory=list)

    @property
    def needed(self) -> int:
        """How many readings take the access."""
        return self.request.policy.leavers_readings

    def leavers(self, comparison: Comparison, judged: Trust, ended: Container[str]) -> Iterator[Leaver]:
        """Those of the missing whose access is to be taken now; what is told of the others is in `told`.

        Args:
            comparison: The tables of the run.
            judged: What the reading proves.
            ended: Whom a record of theirs says to have left.
        """
        opaque = comparison.opaque()
        doubts = [] if judged.absence else [f.code for f in judged.findings if f.code != BLANKS] or [DELTA]
        doubts += [f"{opaque:,} records that cannot be mapped may be anybody's"] if opaque else []
        self.counts, self.shows = not doubts and not self.request.is_partial, not judged.older
        self.known = {one.key: one for one in self.store.suspects()}
        spared = []
        for leaver in comparison.leavers():
            if leaver.key in ended and ACTIVE not in judged.frozen:
                yield leaver
            elif doubts:
                self.told.append(of_unbelieved(leaver.key, doubts))
            elif self._stays(leaver):
                spared.append(leaver.account)
            else:
                yield leaver
        tables.spare(comparison.bench, spared)

    def _stays(self, leaver: Leaver) -> bool:
        """Whether somebody keeps access for now; it is told either way, where there is a ladder."""
        if self.needed < 2 or self.request.policy.leavers is Leavers.KEEP:
            return False
        stands, stays = self._stands(leaver.key, leaver.account), not self.missing(leaver.key, leaver.account)
        self.suspects += [stands] if stays else []
        self.told.append(rules.of_suspect(stands, self.needed) if stays else rules.of_missing(stands))
        return stays

    def missing(self, key: str, account: str) -> bool:
        """Whether somebody whom this reading lacks was missing from enough of them."""
        return self.needed < 2 or self._stands(key, account).readings >= self.needed

    def _stands(self, key: str, account: str) -> Suspect:
        apart = self.request.policy.leavers_apart
        self.now_known[key] = rules.climb(
            self.known.get(key), key, account, self.now, apart=apart, delivery=self.delivery, counts=self.counts
        )
        return self.now_known[key]

    def coming(self, zone: ZoneInfo) -> Iterator[Coming]:
        """Who loses access for it, from which day on, where nothing changes."""
        for one in self.suspects:
            due = rules.next_due(one, self.needed, self.request.policy.leavers_apart)
            yield Coming(one.key, Lifecycle.LEAVER, max(due, self.now).astimezone(zone).date(), Action.DISABLE)

    def keep(self, comparison: Comparison, plan: Plan) -> None:
        """Remember who stands where, once the plan is. A refused one counts nobody as missing; who is back is back."""
        there = tables.there(comparison.bench, [*self.known], whole=self.counts) if self.shows and self.known else []
        over = [*rules.over(self.known.values(), self.now_known, there)]
        counts = self.counts and not plan.refusals
        counted = [one for key, one in self.now_known.items() if counts and one != self.known.get(key)]
        if over or counted:
            self.store.change_suspects(counted, over)

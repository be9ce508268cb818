"""What came of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct, field

from scimsync.model.outcomes import STRIPPED, Outcome, Status


class Report(Struct, frozen=True, kw_only=True):
    """What came of a run."""

    run: str
    outcomes: Mapping[str, tuple[Outcome, ...]]
    #: keys of changes that were not settled
    left: tuple[str, ...]
    #: why the run ended early; "" when it came to its end
    stopped: str = ""
    #: key -> why, of leavers who keep access
    kept: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Of which run it is, and no more: asyncio takes the text of all that it gives back."""
        return f"<Report of {self.run}: {len(self.outcomes)} people>"

    @property
    def statuses(self) -> dict[str, int]:
        """How many changes ended how; a change counts by the worst of its two passes."""
        changes: dict[tuple[str, int], list[Outcome]] = {}
        for outcome in (outcome for parts in self.outcomes.values() for outcome in parts):
            changes.setdefault((outcome.key, (outcome.part - 1) // 2), []).append(outcome)
        worst = (max(passes, key=lambda o: _RANK[o.status]) for passes in changes.values())
        counted = Counter(outcome.status.value for outcome in worst)
        return {**counted, **({Status.OPEN.value: len(self.left)} if self.left else {})}

    @property
    def clean(self) -> bool:
        """Whether everything was done, and nobody waits."""
        outcomes = [outcome for parts in self.outcomes.values() for outcome in parts]
        done = all(o.status in {Status.DONE, Status.ALREADY} and o.code != STRIPPED for o in outcomes)
        return done and not self.left and not self.stopped


_RANK = {
    Status.ALREADY: 0,
    Status.DONE: 1,
    Status.DEFERRED: 2,
    Status.HELD: 3,
    Status.FAILED: 4,
    Status.OPEN: 5,
}

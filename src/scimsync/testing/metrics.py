"""The Metrics port in memory."""

from __future__ import annotations

from scimsync.model.outcomes import Outcome
from scimsync.model.plans import Plan
from scimsync.model.records import SourceHealth


class KeptMetrics:
    """Metrics that remember what they were told: the name of the call and its members, no values of people."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[object, ...]]] = []

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """Keep one exchange."""
        self.told.append(("asked", (call, outcome, seconds)))

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        """Keep one more try."""
        self.told.append(("retried", (call, reason, wait_s)))

    def breaker(self, *, is_open: bool) -> None:
        """Keep the state of the breaker."""
        self.told.append(("breaker", (is_open,)))

    def read(self, health: SourceHealth, *, proven: bool) -> None:
        """Keep how the source was found."""
        self.told.append(("read", (health.rows, proven)))

    def planned(self, plan: Plan) -> None:
        """Keep the id and the size of a plan."""
        self.told.append(("planned", (plan.id, len(plan.changes))))

    def settled(self, action: str, outcome: Outcome, seconds: float) -> None:
        """Keep how a change ended."""
        self.told.append(("settled", (outcome.key, action, outcome.status.value, seconds)))

    def ended(self, work: str, state: str, seconds: float, rate: int) -> None:
        """Keep how the work ended."""
        self.told.append(("ended", (work, state, seconds, rate)))

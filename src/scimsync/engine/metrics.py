"""Nobody who measures, and several who do. Both fit `scimsync.engine.ports.Metrics`."""

from __future__ import annotations

from collections.abc import Sequence

from scimsync.engine.ports import Metrics
from scimsync.model.outcomes import Outcome
from scimsync.model.plans import Plan
from scimsync.model.records import SourceHealth


class Unmeasured:
    """Metrics that nobody keeps."""

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """Let it pass."""

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        """Let it pass."""

    def breaker(self, *, is_open: bool) -> None:
        """Let it pass."""

    def read(self, health: SourceHealth, *, proven: bool) -> None:
        """Let it pass."""

    def planned(self, plan: Plan) -> None:
        """Let it pass."""

    def settled(self, action: str, outcome: Outcome, seconds: float) -> None:
        """Let it pass."""

    def ended(self, work: str, state: str, seconds: float, rate: int) -> None:
        """Let it pass."""


class Counted(Unmeasured):
    """Counts the requests of one piece of work by kind, and the seconds in which they were answered."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        self.seconds = 0.0

    def asked(self, call: str, outcome: str, seconds: float) -> None:  # noqa: ARG002 - as the port
        """One exchange."""
        self.requests[call] = self.requests.get(call, 0) + 1
        self.seconds += seconds

    @property
    def latency_s(self) -> float:
        """Seconds that one request took; 0.0 before the first."""
        return self.seconds / sum(self.requests.values()) if self.requests else 0.0


class Together:
    """Tells several, in their order."""

    def __init__(self, members: Sequence[Metrics]) -> None:
        self._members = tuple(members)

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """One exchange."""
        for member in self._members:
            member.asked(call, outcome, seconds)

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        """One more try."""
        for member in self._members:
            member.retried(call, reason, wait_s)

    def breaker(self, *, is_open: bool) -> None:
        """The state of the breaker."""
        for member in self._members:
            member.breaker(is_open=is_open)

    def read(self, health: SourceHealth, *, proven: bool) -> None:
        """The source was read."""
        for member in self._members:
            member.read(health, proven=proven)

    def planned(self, plan: Plan) -> None:
        """A plan was made."""
        for member in self._members:
            member.planned(plan)

    def settled(self, action: str, outcome: Outcome, seconds: float) -> None:
        """A change has its outcome."""
        for member in self._members:
            member.settled(action, outcome, seconds)

    def ended(self, work: str, state: str, seconds: float, rate: int) -> None:
        """The work ended."""
        for member in self._members:
            member.ended(work, state, seconds, rate)

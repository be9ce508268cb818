"""The log of requests: what a judge needs to hold a client to account."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import asdict

from scimsync.simulator.entities import timestamp

LOGGED = 100_000  #: requests remembered


class Logged(Struct, frozen=True):
    """One request and its answer; `changes` counts the changes of the history that it made."""

    seq: int
    time: float
    client: str
    method: str
    path: str
    parameters: str  #: names of the query parameters; values stay out
    kind: str
    id: str
    if_match: str
    status: int  #: 0 where no answer was sent
    fault: str
    changes: int
    correlation_id: str


class RequestLog:
    """The last 100,000 requests."""

    def __init__(self) -> None:
        self._held: deque[Logged] = deque(maxlen=LOGGED)
        self.count = 0

    def note(self, logged: Logged) -> None:
        """Take down one request."""
        self._held.append(logged)

    def to_json(self) -> Iterable[dict[str, object]]:
        """All that are remembered, oldest first."""
        return [asdict(logged) | {"time": timestamp(logged.time)} for logged in self._held]

"""Messages on their way out, and calls that came in, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from scimsync.model.events import Call, Message, MessageState
from scimsync.testing.store_memory import Memory


class MemoryOutbox(Memory):
    """The outbox and the inbox. Fits `Outbox` and `Inbox` of `scimsync.engine.state`."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[str, tuple[Call, bool]] = {}

    def enqueue(self, messages: Sequence[Message]) -> None:
        """Keep messages that belong to no outcome."""
        with self._lock:
            self._enqueue(messages)

    def _heads(self, endpoint: str) -> list[Message]:
        """The pending messages that wait for no other: of each person the oldest."""
        first: dict[str, Message] = {}
        for message in self._messages.values():
            if message.endpoint == endpoint and message.state is MessageState.PENDING:
                first.setdefault(message.person, message)
        return sorted(first.values(), key=lambda message: (message.due, message.seq))

    def claim(self, endpoint: str, now: datetime, until: datetime, limit: int) -> Sequence[Message]:
        """Messages that are due, earliest first, and nobody else's until `until`; of each person the oldest only."""
        with self._lock:
            due = [message for message in self._heads(endpoint) if message.due <= now][:limit]
            self._messages |= {message.seq: replace(message, due=until) for message in due}
        return due

    def next_due(self, endpoint: str) -> datetime | None:
        """When the first message that waits for no other is due; None where nothing is pending."""
        with self._lock:
            return next((message.due for message in self._heads(endpoint)), None)

    def settle(self, messages: Sequence[Message]) -> None:
        """Keep what became of messages, by their `seq`. One that was settled by somebody else stays."""
        with self._lock:
            self._messages |= {x.seq: x for x in messages if self._messages[x.seq].state is MessageState.PENDING}

    def retry_now(self, endpoint: str, now: datetime) -> None:
        """Make everything that is pending due now and its tries uncounted, because the endpoint is back."""
        tried = [x for x in self._of(endpoint, MessageState.PENDING) if x.attempts]
        self._change(lambda x: replace(x, due=now, attempts=0), tried)

    def dead_letter(self, endpoint: str, detail: str, before: datetime | None = None) -> int:
        """Give up what is pending (and older than `before`, where given); how many that were."""
        old = [x for x in self._of(endpoint, MessageState.PENDING) if before is None or x.created < before]
        return self._change(lambda x: replace(x, state=MessageState.DEAD, detail=detail), old)

    def redrive(self, ids: Sequence[str], now: datetime) -> int:
        """Make dead messages pending and due again, all where `ids` is empty; how many that were."""
        dead = [x for x in self._of("", MessageState.DEAD) if not ids or x.id in ids]
        return self._change(lambda x: replace(x, state=MessageState.PENDING, attempts=0, due=now, created=now), dead)

    def _of(self, endpoint: str, state: MessageState) -> list[Message]:
        with self._lock:
            return [x for x in self._messages.values() if x.state is state and endpoint in {"", x.endpoint}]

    def _change(self, how: Callable[[Message], Message], which: Sequence[Message]) -> int:
        with self._lock:
            self._messages |= {message.seq: how(message) for message in which}
        return len(which)

    def messages(self, endpoint: str, state: MessageState, limit: int = 50) -> Sequence[Message]:
        """The latest messages of an endpoint in a state, newest first."""
        return sorted(self._of(endpoint, state), key=lambda message: -message.seq)[:limit]

    def outbox(self) -> Mapping[str, Mapping[MessageState, int]]:
        """How many messages each endpoint has in each state."""
        with self._lock:
            counted = Counter((message.endpoint, message.state) for message in self._messages.values())
        return {name: {s: n for (other, s), n in counted.items() if other == name} for name, _ in counted}

    def last_trouble(self, endpoint: str) -> Message | None:
        """The message that was tried last of those that have not arrived."""
        missing = [*self._of(endpoint, MessageState.PENDING), *self._of(endpoint, MessageState.DEAD)]
        tried = [(message.tried, message.seq, message) for message in missing if message.tried is not None]
        return max(tried, key=lambda found: found[:2])[2] if tried else None

    def forget_messages(self, before: datetime) -> int:
        """Drop messages that were delivered before a time; how many that were."""
        old = [x.seq for x in self._of("", MessageState.DELIVERED) if x.delivered is not None and x.delivered < before]
        with self._lock:
            for seq in old:
                del self._messages[seq]
        return len(old)

    def accept(self, call: Call) -> bool:
        """Keep a call; False where one with this id was kept before."""
        with self._lock:
            new = call.id not in self._calls
            if new:
                self._calls[call.id] = (call, False)
            return new

    def waiting(self, limit: int = 100) -> Sequence[Call]:
        """Calls that no run has answered yet, oldest first."""
        with self._lock:
            return [call for call, answered in self._calls.values() if not answered][:limit]

    def answered(self, ids: Sequence[str]) -> None:
        """Note that a run has looked at the people of these calls."""
        with self._lock:
            self._calls |= {name: (self._calls[name][0], True) for name in ids if name in self._calls}

    def forget_calls(self, before: datetime) -> None:
        """Drop calls that came before a time and were answered."""
        with self._lock:
            self._calls = {n: (call, done) for n, (call, done) in self._calls.items() if not done or call.at >= before}

"""The journal of one run: an intent before each request, an outcome after, each with its audit record and messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import leaving, notifications
from scimsync.engine.journal import Journal
from scimsync.engine.ports import Clock
from scimsync.engine.recording import Recorder
from scimsync.model.audit import Edit
from scimsync.model.events import Message, Subscription
from scimsync.model.outcomes import JournalLine, Outcome, Step
from scimsync.model.plans import Change, GroupChange
from scimsync.model.policy import Mapped


class RunJournal(Struct, frozen=True, kw_only=True):
    """Makes durable what one run is about to do, and what came of it."""

    run: str
    journal: Journal
    recorder: Recorder
    clock: Clock
    #: who is told of what comes of it
    subscriptions: Sequence[Subscription]
    attributes: Mapping[str, Mapped]

    def line(self, key: str, part: int, method: str, version: str = "", attempt: int = 1) -> JournalLine:
        """The intent of one request."""
        now = self.clock.now()
        return JournalLine(
            run=self.run, key=key, part=part, step=Step.INTENT, at=now, method=method, version=version, attempt=attempt
        )

    async def intend(self, line: JournalLine, edits: tuple[Edit, ...], account: str = "") -> None:
        """Make an intent durable; its request may leave then."""
        await self.journal.write(line, self.recorder.intent(line, edits, account))

    async def settle(self, change: Change | GroupChange, part: int, outcome: Outcome) -> Outcome:
        """Make what came of a change durable; gives it as it was kept."""
        outcome = outcome if outcome.part == part else replace(outcome, part=part)
        if isinstance(change, Change):
            outcome = leaving.judged(change, outcome)
        now = self.clock.now()
        line = JournalLine(run=self.run, key=outcome.key, part=part, step=Step.OUTCOME, at=now, outcome=outcome)
        await self.journal.write(line, self.recorder.outcome(outcome, part, now), self._messages(change, line, outcome))
        return outcome

    def _messages(self, change: Change | GroupChange, line: JournalLine, outcome: Outcome) -> list[Message]:
        messages: list[Message] = []
        for told in self.subscriptions:
            if isinstance(change, GroupChange):
                events = notifications.of_group(change, outcome, line.run, line.at, values=told.values)
            else:
                events = notifications.of_outcome(
                    change, outcome, line.run, line.at, self.attributes, values=told.values
                )
            messages += notifications.messages_to(events, told)
        return messages

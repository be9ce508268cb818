"""Write one account: send operations under a version, judge the answer, until they are settled, held or refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import planner, returning
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.replies import MOST_RACES, Next, decide, is_taken, is_vague, words
from scimsync.core.writing import split
from scimsync.engine.attempts import Attempt, Means
from scimsync.engine.recording import edits_of
from scimsync.engine.run_journal import RunJournal
from scimsync.model.outcomes import Exchange, Outcome, Reply, Status
from scimsync.model.plans import LOGIN, Delta
from scimsync.scim.messages import Operation
from scimsync.scim.platform import is_platform


class AccountWriter(Struct, frozen=True, kw_only=True):
    """Carries out changes of accounts that are there."""

    means: Means
    journal: RunJournal
    #: (key, part) of what was intended and has no outcome
    open: Collection[tuple[str, int]]
    #: told of a reply after which the run had better end
    defer: Callable[[Reply], None]
    #: told of whom the target refused, and how
    deny: Callable[[str, Reply], None]
    #: what one PATCH may hold; 0 for no limit
    operations_per_patch: int = 0
    request_bytes: int = 0

    async def write(
        self,
        attempt: Attempt,
        deltas: Sequence[Delta],
        operations: Sequence[Operation],
        version: str,
        *,
        seen: bool = True,
    ) -> Outcome:
        """Send operations under a version, until they are settled, held, or there is nothing left to send.

        Args:
            attempt: The part of a change that is written.
            deltas: What is to be written.
            operations: The same.
            version: What they are sent under.
            seen: Whether the account under this version is the one that they were planned for.
        """
        async with self.means.caution.opened(operations):
            outcome = await self._written(attempt, deltas, operations, version, seen=seen)
        return returning.judged(outcome, deltas, self.means.dropped, attempt.before or {})

    async def _written(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], version: str, *, seen: bool
    ) -> Outcome:
        caution, reopened = self.means.caution, (attempt.key, attempt.part) in self.open
        beside = any(is_platform(operation.path) for operation in operations)  # a listing may not tell what is there
        if reopened or not version or not seen or beside or self.means.doubted or caution.wants_sight(operations):
            looked = await attempt.look(deltas, after=Next.SETTLE if reopened or not version else Next.REPLAN)
            if isinstance(looked, Outcome):
                return looked
            deltas, operations, version = looked
        async with caution.turn(operations, attempt.before):
            return await self._sent(attempt, deltas, operations, version)

    async def _sent(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], version: str
    ) -> Outcome:
        looks, unmoved = attempt.looks, 0
        while True:
            deltas, operations = self._spared(attempt, deltas, operations)
            if not operations:
                return attempt.settled(Status.ALREADY)
            before = attempt.before
            deltas, reply, is_whole = await self._send(attempt, deltas, operations, version)
            step = decide(reply)
            if step in {Next.CONFIRM, Next.READ_BACK} and is_whole:
                return await self._answered(attempt, deltas, operations, reply)
            if is_taken(reply) and any(d.path == LOGIN for d in deltas):
                return await self._without_login(attempt, deltas, reply, version, words(reply))
            if step not in {Next.CONFIRM, Next.REPLAN, Next.READ_BACK, Next.SETTLE}:
                return self.refused(attempt, step, reply)
            if step is Next.REPLAN:
                attempt.races += 1
            looked = await attempt.look(deltas, after=step)
            if isinstance(looked, Outcome):
                return looked if step is Next.REPLAN else attempt.harmed(before, operations, looked)
            sent, (deltas, operations, version) = version, looked
            unmoved = unmoved + 1 if version == sent else 0
            if step is Next.REPLAN and unmoved and (is_vague(reply) or unmoved > 1):
                return await self._not_raced(attempt, deltas, reply, version)
            often = attempt.looks - looks > 2 * MOST_RACES or (step is not Next.REPLAN and unmoved > MOST_RACES)
            if often or attempt.races > MOST_RACES:
                return self._given_up(attempt, step, reply)

    def _given_up(self, attempt: Attempt, step: Next, reply: Reply) -> Outcome:
        """What it comes to where somebody else writes again and again, or every answer is trouble."""
        if step is Next.REPLAN:
            return attempt.outcome(Status.HELD, "write.races", "the account changed again each time we came")
        told = f"{words(reply) or 'no answer'}, each time; the account is as it was"
        if reply.exchange is Exchange.ANSWERED:
            return attempt.outcome(Status.DEFERRED, "target.not-now", told, reply)
        return attempt.outcome(Status.HELD, "write.unknown", told, reply)

    async def _not_raced(self, attempt: Attempt, deltas: Sequence[Delta], reply: Reply, version: str) -> Outcome:
        """What it comes to where nobody changed the account: a login that somebody has, or a plain refusal."""
        attempt.races -= 1
        told = f"{words(reply)} (the account is as it was, so this was no other program's write)"
        if any(delta.path == LOGIN for delta in deltas):
            return await self._without_login(attempt, deltas, reply, version, told)
        return attempt.outcome(Status.FAILED, "target.refused", told, reply)

    async def _without_login(
        self, attempt: Attempt, deltas: Sequence[Delta], reply: Reply, version: str, told: str
    ) -> Outcome:
        """Send the rest of a change whose login somebody else has, as the target told."""
        attempt.taken = told
        rest = [delta for delta in deltas if delta.path != LOGIN]
        if not rest:
            return attempt.settled(Status.DONE, reply)
        return await self._sent(attempt, rest, self.means.operations_of(rest), version)

    def _spared(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation]
    ) -> tuple[Sequence[Delta], Sequence[Operation]]:
        """What is left to write without the kinds of write that did harm in this run."""
        stopped = self.means.caution.stopped(operations)
        if not stopped:
            return deltas, operations
        spared = [d for d in deltas if self.means.attributes[d.path].place.root.lower() in stopped]
        attempt.spare(d.path for d in spared)
        rest = [d for d in deltas if d not in spared]
        return rest, self.means.operations_of(rest)

    async def _answered(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], reply: Reply
    ) -> Outcome:
        """Judge a success by the account that it shows; by the account itself where it shows none, or shows trouble."""
        seen = reply
        if reply.body is None or attempt.is_doubtful(deltas, operations, reply.body):
            attempt.looks += 1
            seen = await self.means.target.get(attempt.account)
            if seen.status == 404 and self.means.vanishes and _disables(deltas):
                attempt.already |= {delta.path: delta.sides.desired for delta in deltas}
                return attempt.settled(Status.DONE, seen)
            if seen.status == 404:
                return attempt.outcome(Status.HELD, "account.gone", "the account was deleted in the directory", seen)
            if (not seen.ok or seen.body is None) and reply.body is None:
                return attempt.outcome(Status.DEFERRED, "target.not-now", words(seen), seen)
            seen = seen if seen.ok and seen.body is not None else reply
        shown = seen if seen is reply else replace(seen, window_s=reply.window_s)
        outcome = attempt.confirm(deltas, operations, shown, taken=reply.error is None)
        if reply.error is None or outcome.code != "write.mismatch":
            return outcome
        said = words(replace(reply, status=reply.error.status))
        return replace(outcome, detail=f"{outcome.detail}; it said within its answer: {said}")

    async def _send(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], version: str
    ) -> tuple[Sequence[Delta], Reply, bool]:
        """One PATCH, or where it may not hold everything several, each under the version that the one before left.

        Gives the deltas as our own writes leave them, the last reply, and whether nothing is left to send.
        """
        *first, last = split(operations, most=self.operations_per_patch, size=self.request_bytes) or [()]
        for part in first:
            reply = await self._patch(attempt, deltas, part, version)
            if decide(reply) is not Next.CONFIRM or reply.body is None:
                return deltas, reply, False
            attempt.arrived(deltas, reply.body)
            if not reply.version:
                return deltas, reply, False
            deltas, version = planner.advanced(deltas, reply.body, self.means.attributes), reply.version
        return deltas, await self._patch(attempt, deltas, last, version), True

    async def _patch(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], version: str
    ) -> Reply:
        line = self.journal.line(attempt.key, attempt.part, "PATCH", version, attempt.races + 1)
        await self.journal.intend(line, edits_of(deltas), attempt.account)
        return attempt.sent(await self.means.target.patch(attempt.account, operations, version))

    def refused(self, attempt: Attempt, step: Next, reply: Reply) -> Outcome:
        """What it comes to where the target does not take a write."""
        if step is Next.DEFER:
            self.defer(reply)
            return attempt.outcome(Status.DEFERRED, "target.not-now", words(reply), reply)
        if step is Next.GONE:
            return attempt.outcome(Status.HELD, "account.gone", "the account was deleted in the directory", reply)
        self.deny(attempt.key, reply)
        return attempt.outcome(Status.FAILED, "target.refused", words(reply), reply)


def _disables(deltas: Sequence[Delta]) -> bool:
    return any(delta.path == ACTIVE and delta.sides.desired is False for delta in deltas)

"""Bring a deleted account back for a person, and take access from one that came back for somebody it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import reviving
from scimsync.core.identity import brought_back
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.replies import Next, decide, words
from scimsync.core.writing import resource
from scimsync.engine.account_writer import AccountWriter
from scimsync.engine.attempts import Attempt, Means
from scimsync.engine.owners import Owners
from scimsync.engine.recording import edits_of
from scimsync.engine.run_journal import RunJournal
from scimsync.model.outcomes import Outcome, Reply, Status
from scimsync.model.plans import Delta, Reason, Sides, Verdict
from scimsync.model.policy import Authority

_GOOD = frozenset({Status.DONE, Status.ALREADY})
RESTORED = "account.restored"


class AccountReviver(Struct, frozen=True, kw_only=True):
    """Carries out what the plan says of deleted accounts."""

    means: Means
    journal: RunJournal
    writer: AccountWriter
    owners: Owners
    #: (key, part) of what was intended and has no outcome -> the methods of its requests
    open: dict[tuple[str, int], tuple[str, ...]]
    #: accounts that this run made -> key
    born: dict[str, str]

    async def restore(self, attempt: Attempt, deltas: Sequence[Delta], version: str) -> Outcome:
        """Bring back the account that the plan names, and write what HR says where it holds something else."""
        is_open = (attempt.key, attempt.part) in self.open
        seen = await self.means.target.get(attempt.account) if is_open else None
        if seen is None or seen.status == 404:
            line = self.journal.line(attempt.key, attempt.part, "PATCH", version)
            await self.journal.intend(line, edits_of(deltas), attempt.account)
            reply = await self.means.target.restore(attempt.account, version)
            step = decide(reply)
            if step is Next.REPLAN:
                told = f"the deleted account cannot come back as it was planned: {words(reply)}"
                return attempt.outcome(Status.HELD, reviving.DELETED, told, reply)
            if step not in {Next.CONFIRM, Next.READ_BACK, Next.SETTLE}:
                return self.writer.refused(attempt, step, reply)
            seen = await self.means.target.get(attempt.account)
        if not seen.ok or seen.body is None:
            return attempt.outcome(Status.DEFERRED, "target.not-now", words(seen), seen)
        account = attempt.account
        if not self.owners.fits(deltas, seen) or self.owners.is_parted(attempt.key, account):
            attempt.account = ""
            told = f"the deleted account {account} came back and carries the mark of another person"
            return await self.undone(attempt, account, seen, told)
        self.born[account] = attempt.key
        return await self._written(attempt, deltas, seen)

    async def _written(self, attempt: Attempt, deltas: Sequence[Delta], seen: Reply) -> Outcome:
        """Make the account that came back hold what HR says; tell what is left over and what is missing."""
        self.open.pop((attempt.key, attempt.part), None)
        body = attempt.before = seen.body or {}
        writes = reviving.against(deltas, body, self.means.attributes)
        different = {delta.path for delta in writes}
        attempt.already = {d.path: d.sides.desired for d in deltas if d.path not in different}
        outcome = attempt.settled(Status.DONE, seen)
        if writes:
            outcome = await self.writer.write(attempt, writes, self.means.operations_of(writes), seen.version)
        if outcome.status not in _GOOD or outcome.code:
            return outcome
        told = f"the deleted account came back; {self._rest(deltas, attempt.before or body)}"
        return replace(outcome, status=Status.DONE, code=RESTORED, detail=told)

    def _rest(self, deltas: Sequence[Delta], body: Mapping[str, object]) -> str:
        """What an account that came back holds of before, and what it lacks."""
        sent = resource((self.means.attributes[d.path].place, d.sides.desired) for d in deltas)
        left = brought_back(sent, body)
        words = [f"left over: {', '.join(left)}"] if left else ["nothing is left over"]
        return "; ".join([*words, *([] if body.get("roles") else ["it has no roles, give it those it needs"])])

    async def undone(self, attempt: Attempt, account: str, reply: Reply, why: str) -> Outcome:
        """Take access away again, at once, from an account that came back for the wrong person; hold the person."""
        mapped = self.means.attributes.get(ACTIVE)
        done: Outcome | None = None
        if mapped is not None and not self.means.protects(reply.body or {}):
            delta = Delta(
                path=ACTIVE,
                sides=Sides(desired=False, current=True, base=True, known=True),
                verdict=Verdict.WRITE,
                reason=Reason.REVIVED,
                authority=Authority.LOCAL_WINS,
            )
            again = Attempt(self.means, attempt.key, attempt.part, account)
            self.open.pop((attempt.key, attempt.part), None)
            done = await self.writer.write(again, [delta], self.means.operations_of([delta]), reply.version)
        if done is not None and done.status in _GOOD:
            told = f"{why}; it was disabled again at once"
        else:
            told = f"{why}; it is active and could not be disabled: do that by hand, at once"
        return attempt.outcome(Status.HELD, RESTORED, told, reply)

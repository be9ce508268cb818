"""Delete the account of somebody who left long ago: look that it is still so, ask for it, judge the answer."""

from __future__ import annotations

from msgspec import Struct

from scimsync.core import protecting
from scimsync.core.replies import MOST_RACES, Next, decide, words
from scimsync.engine.account_writer import AccountWriter
from scimsync.engine.attempts import Attempt, Means
from scimsync.engine.run_journal import RunJournal
from scimsync.model.outcomes import Outcome, Reply, Status
from scimsync.model.plans import LOGIN
from scimsync.model.policy import Policy


class AccountRemover(Struct, frozen=True, kw_only=True):
    """Carries out deletions. Each is sent under the version of an account that was just seen to be inactive."""

    means: Means
    journal: RunJournal
    #: judges refusals
    writer: AccountWriter
    policy: Policy

    async def remove(self, attempt: Attempt) -> Outcome:
        """Delete an account, unless somebody gave it access again. One that is gone already is done."""
        status = Status.ALREADY
        while attempt.races <= MOST_RACES:
            seen = await self.look(attempt, status)
            if isinstance(seen, Outcome):
                return seen
            line = self.journal.line(attempt.key, attempt.part, "DELETE", seen.version, attempt.races + 1)
            await self.journal.intend(line, (), attempt.account)
            reply = attempt.sent(await self.means.target.delete(attempt.account, seen.version))
            step = decide(reply)
            if step in {Next.CONFIRM, Next.READ_BACK, Next.GONE}:
                return attempt.outcome(Status.DONE, reply=reply)
            if step not in {Next.REPLAN, Next.SETTLE}:
                return self.writer.refused(attempt, step, reply)
            attempt.races += 1
            status = Status.DONE if step is Next.SETTLE else status
        return attempt.outcome(Status.HELD, "write.races", "the account changed again each time we came")

    async def look(self, attempt: Attempt, gone: Status) -> Outcome | Reply:
        """Read the account; an outcome where it must not be deleted, or is not there (of status `gone`)."""
        seen = await self.means.target.get(attempt.account)
        if seen.status in {404, 410}:
            return attempt.outcome(gone, reply=seen)
        if not seen.ok or seen.body is None:
            return attempt.outcome(Status.DEFERRED, "target.not-now", words(seen), seen)
        self.means.shown(seen.body)
        name = str(seen.body.get(LOGIN) or "")
        if seen.body.get("active") is not False:
            told = "the account is active again, or does not show that it is not; it is not deleted"
            return attempt.outcome(Status.HELD, "leaver.active-again", told, seen)
        if protecting.is_nameless(name, self.policy) or protecting.is_protected(attempt.key, name, self.policy):
            told = "the account is a protected one by now, or shows no login; it is not deleted"
            return attempt.outcome(Status.HELD, "account.protected", told, seen)
        if not seen.version:
            told = "the target gives no version to delete it under"
            return attempt.outcome(Status.HELD, "target.no-version", told, seen)
        return seen

"""Make the account of a joiner, where nobody who fits is found; else go on with the account that is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import identity, planner, protecting
from scimsync.core.identity import brought_back
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.replies import MOST_RACES, Next, decide, words
from scimsync.core.trust import INCOMPLETE
from scimsync.core.writing import resource
from scimsync.engine.account_reviver import RESTORED, AccountReviver
from scimsync.engine.account_writer import AccountWriter
from scimsync.engine.attempts import Attempt, Means
from scimsync.engine.owners import Owners, whose
from scimsync.engine.recording import edits_of
from scimsync.engine.run_journal import RunJournal
from scimsync.engine.searching import Hit, Search
from scimsync.engine.state import Links
from scimsync.errors import FilterRefused, TargetUnanswered
from scimsync.model.outcomes import LinkDecision, Outcome, Reply, Status
from scimsync.model.plans import LOGIN, Delta, Verdict
from scimsync.model.policy import Deleted, Policy
from scimsync.scim.platform import INVITATION, is_platform


class AccountMaker(Struct, frozen=True, kw_only=True):
    """Carries out changes of people who have no account yet."""

    means: Means
    journal: RunJournal
    writer: AccountWriter
    search: Search
    owners: Owners
    reviver: AccountReviver
    links: Links
    policy: Policy
    #: a second account of one login is refused, so that a creation may be sent twice
    unique_logins: bool
    #: the listing has holes, and a person has accounts made all the same, of whom nobody is found
    wary: bool
    #: roles and entitlements that every new account gets by itself
    default_roles: frozenset[str]
    #: the highest version of an account whose creation is just answered; 0: versions do not tell
    newborn_version: int
    #: the plan saw every deleted account, and none had the login of somebody whom it makes
    unrevived: bool
    #: (key, part) of what was intended and has no outcome -> the methods of its requests
    open: dict[tuple[str, int], tuple[str, ...]]
    #: accounts that this run made -> key
    born: dict[str, str]

    async def create(self, attempt: Attempt, deltas: Sequence[Delta]) -> Outcome:
        """Make an account, where nobody who fits is found; what was answered with a success is never sent again."""
        sent = self.open.get((attempt.key, attempt.part), ())
        is_resumed = bool(sent)
        try:
            hit = await self._before(deltas, login=is_resumed or not self.unique_logins)
            if hit is not None:
                proven = self._was_proven(attempt)
                return await self._met(attempt, deltas, hit, ours=any(m != "PATCH" for m in sent), proven=proven)
            made = [delta for delta in deltas if not self._is_beside(delta)]
            for tried in range(MOST_RACES):
                outcome = await self._made(attempt, made, tried, asked=tried > 0 or "POST" in sent)
                if outcome is not None:
                    return await self._completed(attempt, outcome, [d for d in deltas if self._is_beside(d)])
        except TargetUnanswered as error:
            return attempt.outcome(Status.DEFERRED, "target.not-now", str(error))
        except FilterRefused as error:
            told = f"whether there is an account that the listing leaves out cannot be found out: {error}"
            return attempt.outcome(Status.HELD, INCOMPLETE, told)
        return attempt.outcome(Status.HELD, "write.unknown", "the account could be neither created nor found")

    async def _before(self, deltas: Sequence[Delta], *, login: bool) -> Hit | None:
        """Look for an account before one is made."""
        return await (self.search.surely(deltas) if self.wary else self.search.person(deltas, login=login))

    async def find_again(self, attempt: Attempt, deltas: Sequence[Delta]) -> Outcome | None:
        """Give an attempt the account that a creation made which was left open; an outcome where a person must look."""
        hit = await self.search.person(deltas)
        found = hit.accounts[0] if hit is not None and len(hit.accounts) == 1 else None
        if found is None or self.owners.whose(attempt.key, deltas, found) != attempt.key:
            return None
        attempt.account = str((found.body or {}).get("id", ""))
        if self._was_proven(attempt):
            return None
        back = await self._brought_back(attempt, deltas, found, writes=False)
        return back if back is not None and back.status is Status.HELD else None

    def _was_proven(self, attempt: Attempt) -> bool:
        """Whether the account was looked at before: what was left open came after its creation, or was none."""
        return self.open.get((attempt.key, attempt.part), ("",))[-1] == "PATCH"

    async def _made(self, attempt: Attempt, deltas: Sequence[Delta], tried: int, *, asked: bool) -> Outcome | None:
        """Send one POST; None where it was lost, nobody is found, and the directory refuses a second account.

        A directory that refuses a second account knows sooner than its search whether the first one was made: it is
        asked by sending again, and only the last time is the search waited for. A name that is taken after a POST that
        was lost is ours, as far as nothing speaks against it; where nobody is found, nobody knows.

        Args:
            attempt: The creation.
            deltas: What is sent.
            tried: How many of this run were lost.
            asked: Whether a POST for this person was sent before and may have made the account.
        """
        await self.journal.intend(self.journal.line(attempt.key, attempt.part, "POST"), edits_of(deltas))
        reply = await self.means.target.create(self._resource(deltas))
        step = decide(reply)
        if step in {Next.CONFIRM, Next.READ_BACK} and (made := await self._told(reply, deltas)) is not None:
            return await self._created(attempt, deltas, made)
        if step not in {Next.SETTLE, Next.READ_BACK, Next.CONFIRM, Next.LOOK_UP}:
            return self.writer.refused(attempt, step, reply)
        soon = step is Next.SETTLE and self.unique_logins and tried < MOST_RACES - 1
        ours = asked or step is not Next.LOOK_UP
        look = self.search.briefly if soon else self.search.patiently if ours else self.search.person
        if (hit := await look(deltas)) is not None:
            return await self._met(attempt, deltas, hit, ours=ours)
        if step is Next.LOOK_UP and asked:
            told = "the login is taken, perhaps by the account that a request of ours made whose answer was lost"
            return attempt.outcome(Status.HELD, "write.unknown", told, reply)
        if step is Next.LOOK_UP:
            told = "the login is taken by an account that cannot be seen"
            return attempt.outcome(Status.HELD, "account.name-taken", told, reply)
        if step is Next.SETTLE and self.unique_logins:
            return None
        told = f"{words(reply) or 'no answer'}: whether the account was made is unknown, and nobody is found"
        return attempt.outcome(Status.HELD, "write.unknown", told, reply)

    def _resource(self, deltas: Sequence[Delta]) -> dict[str, object]:
        wanted = (delta for delta in deltas if not self._is_beside(delta))
        return resource((self.means.attributes[d.path].place, d.sides.desired) for d in wanted)

    def _is_beside(self, delta: Delta) -> bool:
        return is_platform(self.means.attributes[delta.path].place.root)

    async def _completed(self, attempt: Attempt, outcome: Outcome, rest: Sequence[Delta]) -> Outcome:
        """Write what no creation over SCIM takes, once the account is there."""
        if outcome.status not in {Status.DONE, Status.ALREADY} or not attempt.account:
            return outcome
        owed = [d.path for d in rest if d.path == INVITATION and d.sides.desired is not True]
        attempt.already |= dict.fromkeys(owed, False)
        rest = [delta for delta in rest if delta.path not in owed]
        if not rest:
            return replace(outcome, written=attempt.already)
        beside = await self.writer.write(attempt, rest, self.means.operations_of(rest), outcome.version)
        if beside.code:
            return beside
        return replace(beside, status=outcome.status, code=outcome.code, detail=outcome.detail)

    async def _told(self, reply: Reply, deltas: Sequence[Delta]) -> Reply | None:
        """The new account as the answer shows it, or as it is found at the place that the answer names."""
        account = reply.location if reply.body is None else str(reply.body.get("id", ""))
        if account and (reply.body is None or planner.unmet(deltas, reply.body, self.means.attributes)):
            seen = await self.means.target.get(account)
            reply = seen if reply.body is None or seen.ok else reply
        if not reply.ok or reply.body is None:
            return None
        if self.owners.of(str(reply.body.get("id", ""))) is not None:
            return reply
        fits = self.owners.fits(deltas, reply, but=LOGIN) and not self._is_strange(deltas, reply.body)
        return reply if fits else None

    def _is_strange(self, deltas: Sequence[Delta], body: Mapping[str, object]) -> bool:
        """Whether an account that should be new shows another login, and nothing that its person is known by."""
        different = planner.unmet(deltas, body, self.means.attributes)
        shown = {delta.path for delta in deltas} - {*different}
        known = [way for mark in identity.marks([*self.means.attributes.values()]) for way in mark.ways]
        sent = [way for way in known if {delta.path for delta in deltas}.issuperset(way)]
        return LOGIN in different and len(sent) > 1 and not any(shown.issuperset(way) for way in sent)

    async def _created(self, attempt: Attempt, deltas: Sequence[Delta], made: Reply) -> Outcome:
        """What came of a creation that was answered: a new account, one that was brought back, or somebody else's."""
        account = str((made.body or {}).get("id", ""))
        if self.means.protects(made.body or {}):
            told = f"the directory answered with a protected account, {account}; look at it"
            return attempt.outcome(Status.HELD, protecting.PROTECTED, told, made)
        owner = self.owners.of(account)
        if owner not in {None, attempt.key} or self.owners.is_parted(attempt.key, account):
            told = f"the directory answered with the account {account}, which is {whose(owner)}"
            active, strange = self.means.attributes.get(ACTIVE), self._is_strange(deltas, made.body or {})
            if active is not None and not strange and self.owners.is_former(account, active):
                return await self.reviver.undone(attempt, account, made, told)
            return attempt.outcome(Status.HELD, "correlation.taken", f"{told}; look at it", made)
        attempt.account = account
        back = await self._brought_back(attempt, deltas, made, aged=self._is_aged(made))
        if back is not None and back.status is Status.HELD:
            return back
        outcome = attempt.confirm(deltas, (), made)
        self.born[account] = attempt.key
        if back is not None:
            return replace(outcome, code=back.code, detail=back.detail) if not outcome.code else outcome
        restored = owner == attempt.key and outcome.status is Status.DONE
        told = "the deleted account of this person came back; look whether roles and groups did too"
        return replace(outcome, code=RESTORED, detail=told) if restored else outcome

    def _is_aged(self, made: Reply) -> bool:
        """Whether the account that a creation is answered with was written more often than a new one can be."""
        return 0 < self.newborn_version < (int(made.version) if made.version.isdecimal() else 0)

    async def _brought_back(
        self, attempt: Attempt, deltas: Sequence[Delta], reply: Reply, *, aged: bool = False, writes: bool = True
    ) -> Outcome | None:
        """What becomes of a joiner whose new account holds what nobody sent: it was somebody's before.

        It is disabled again, where what we sent stands on it, and the joiner waits; where policy wants such accounts,
        it is the joiner's from now on. What was found after the answer may have been written by others since: where no
        deleted account had the login, it was.

        Args:
            attempt: The creation.
            deltas: What was sent.
            reply: The account.
            aged: Whether its version alone shows that it was somebody's.
            writes: Whether anything may be sent.
        """
        if self.unrevived and reply.method != "POST":
            return None
        shown = brought_back(self._resource(deltas), reply.body or {}, self.default_roles)
        shown += ["meta.version"] if aged else []
        if not shown or self.owners.of(attempt.account) == attempt.key:
            return None
        told = f"a deleted account came back as {attempt.account}, with {', '.join(shown)} of whoever had it"
        if self.policy.deleted is Deleted.RESTORE:
            return attempt.outcome(Status.DONE, RESTORED, f"{told}; look at it, and give it the roles it needs", reply)
        account, attempt.account = attempt.account, ""
        self.links.decide_link(LinkDecision(attempt.key, account, same=False))
        if writes and not planner.unmet(deltas, reply.body or {}, self.means.attributes):
            return await self.reviver.undone(attempt, account, reply, told)
        told = f"{told}; it may be active: look at it now"
        return attempt.outcome(Status.HELD, RESTORED, told, reply)

    async def _met(
        self, attempt: Attempt, deltas: Sequence[Delta], hit: Hit, *, ours: bool, proven: bool = False
    ) -> Outcome:
        """Go on with what a search found.

        Args:
            attempt: The creation.
            deltas: What was sent, or would be.
            hit: What was found.
            ours: Whether it should be the account that we asked for.
            proven: Whether it was looked at before, and did not come back from somebody else.
        """
        if len(hit.accounts) > 1:
            told = f"{hit.path} finds {len(hit.accounts)} accounts that the listing did not show to be this person's"
            return attempt.outcome(Status.HELD, "correlation.ambiguous", told)
        found = hit.accounts[0]
        body = found.body or {}
        account = str(body.get("id", ""))
        owner = self.owners.whose(attempt.key, deltas, found)
        if owner != attempt.key:
            told = f"{hit.path} finds the account of another person, {account}, which is {whose(owner)}"
            return attempt.outcome(Status.HELD, "correlation.taken", told, found)
        if self._is_protected(attempt.key, body):
            told = f"{hit.path} finds a protected account, or one that shows no login: {account}"
            return attempt.outcome(Status.HELD, "account.protected", told, found)
        attempt.account = account
        back = await self._brought_back(attempt, deltas, found) if ours and not proven else None
        if back is not None and back.status is Status.HELD:
            return back
        return await self._adopt(attempt, deltas, found, ours=ours)

    async def _adopt(self, attempt: Attempt, deltas: Sequence[Delta], found: Reply, *, ours: bool) -> Outcome:
        """Take over the account that a search found, and that is nobody else's; who had it before us is not invited."""
        body = found.body or {}
        mails = [delta for delta in deltas if delta.path == INVITATION]
        deltas = [delta for delta in deltas if delta.path != INVITATION]
        adopted = planner.adopt(deltas, body, self.means.attributes)
        held = [d.path for d in adopted if d.verdict is Verdict.CONFLICT]
        if held:
            attempt.account = ""
            told = f"an account of this person exists and differs in {', '.join(held)}"
            return attempt.outcome(Status.HELD, "account.adoption", told)
        attempt.already = {d.path: d.sides.desired for d in deltas if d.path not in {a.path for a in adopted}}
        writes = [d for d in adopted if d.verdict is Verdict.WRITE]
        writes += [mail for mail in mails if ours and mail.sides.desired is True]
        attempt.already |= {mail.path: not ours for mail in mails}
        if not writes:
            return attempt.outcome(Status.DONE if ours else Status.ALREADY, reply=found)
        self.open.pop((attempt.key, attempt.part), None)
        attempt.overwrite(d.path for d in writes if d.sides.current is not None)
        outcome = await self.writer.write(attempt, writes, self.means.operations_of(writes), found.version)
        # What was agreed is what HR wants, not the list with what others have in it.
        wanted = {d.path: d.sides.desired for d in deltas if d.path in outcome.written}
        adopted_code = "account.adopted" if outcome.status is Status.DONE and not outcome.code else outcome.code
        return replace(outcome, written={**outcome.written, **wanted}, code=adopted_code)

    def _is_protected(self, key: str, body: Mapping[str, object]) -> bool:
        name = str(body.get(LOGIN) or "")
        return protecting.is_nameless(name, self.policy) or protecting.is_protected(key, name, self.policy)

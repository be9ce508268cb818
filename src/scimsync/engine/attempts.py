"""One change on its way into the directory: look, write, compare, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import harm, logins, planner, protecting, unshown
from scimsync.core.replies import Next, decide, words
from scimsync.engine.caution import Caution
from scimsync.engine.ports import Target
from scimsync.model.outcomes import Outcome, Reply, Status
from scimsync.model.plans import LOGIN, Change, Delta
from scimsync.model.policy import Mapped, Policy
from scimsync.scim.dialect import among
from scimsync.scim.messages import Operation
from scimsync.scim.platform import INVITATION
from scimsync.scim.schema import Place, Value


class Means(Struct, frozen=True, kw_only=True):
    """What every attempt of a run works with."""

    target: Target
    attributes: Mapping[str, Mapped]
    caution: Caution
    #: what the target takes from inactive people and the mapping does not give back
    dropped: Sequence[Place] = ()
    #: who is protected
    policy: Policy
    #: the listing is not believed about who is who: each account is looked at before it is written
    doubted: bool = False
    #: told of the account as the target shows it after each look and each write
    shown: Callable[[Mapping[str, object]], None] = lambda _: None
    #: whether what an account shows of (key, path) is what it showed when a value was taken that it never shows
    hidden: Callable[[str, str, Value], bool] = lambda *_: False
    #: paths that the dialect says are never shown, and those whose values the target writes in a form of its own
    withheld: frozenset[str] = frozenset()
    reworded: frozenset[str] = frozenset()
    #: an account that is not active is not found any more
    vanishes: bool = False

    @property
    def places(self) -> list[Place]:
        """Where the managed attributes are."""
        return [mapped.place for mapped in self.attributes.values()]

    def protects(self, body: Mapping[str, object]) -> bool:
        """Whether an account, as it shows itself, is one that is never written."""
        login = body.get(LOGIN)
        unknown = self.doubted and protecting.is_nameless(login, self.policy)
        return unknown or protecting.is_protected("", login, self.policy)

    def operations_of(self, deltas: Sequence[Delta]) -> tuple[Operation, ...]:
        """The operations that write these deltas."""
        return planner.operations_of(deltas, [*self.attributes.values()])


class Attempt:
    """The fate of one part of one change, across version races."""

    def __init__(self, means: Means, key: str, part: int, account: str) -> None:
        self._means = means
        self.key, self.part, self.account = key, part, account
        #: a write of ours was answered well, or nobody knows: what is found there later is taken for ours
        self._may_stand = False
        self.races = 0
        self.looks = 0
        self.already: dict[str, Value] = {}
        #: what the target said of a login that it does not give
        self.taken = ""
        #: seconds between reading and writing where no version guarded the write: the longest
        self.window_s: float | None = None
        self._overwritten: dict[str, None] = {}
        self._left_alone: dict[str, str] = {}
        #: paths that hold something else since a write of ours whose answer settled nothing: a part of it is there
        self._partly: dict[str, None] = {}
        #: the account as it was last read; None where it was not
        self.before: Mapping[str, object] | None = None

    def sent(self, reply: Reply) -> Reply:
        """Note whether a write may stand, and what it says of the time in which nobody else's was seen."""
        self._may_stand = self._may_stand or decide(reply) in {Next.CONFIRM, Next.READ_BACK, Next.SETTLE}
        if reply.window_s is not None:
            self.window_s = max(reply.window_s, self.window_s or 0.0)
        return reply

    def spare(self, paths: Iterable[str]) -> None:
        """Note what is not written, because such a write did harm."""
        self._left_alone |= dict.fromkeys(paths, "spared")

    def overwrite(self, paths: Iterable[str]) -> None:
        """Note values of the directory that are written over."""
        self._overwritten |= dict.fromkeys(paths)

    async def look(
        self, deltas: Sequence[Delta], *, after: Next = Next.SETTLE
    ) -> Outcome | tuple[Sequence[Delta], Sequence[Operation], str]:
        """Read the account and plan what is still wanted; an outcome where nothing is left to send."""
        self.looks += 1
        reply = await self._means.target.get(self.account)
        if reply.status == 404:
            return self.outcome(Status.HELD, "account.gone", "the account was deleted in the directory", reply)
        if not reply.ok or reply.body is None:
            return self.outcome(Status.DEFERRED, "target.not-now", words(reply), reply)
        self.before = reply.body
        self._means.shown(reply.body)
        if self._means.protects(reply.body):
            return self.outcome(
                Status.HELD, protecting.PROTECTED, "the account is a protected one, or shows no login", reply
            )
        attributes = self._means.attributes
        unseen = [d for d in deltas if not attributes[d.path].place.is_told(reply.body)]
        self._left_alone |= {d.path: "unseen" for d in unseen}
        presumed = {
            d.path: d.sides.current
            for d in deltas
            if self._means.hidden(self.key, d.path, attributes[d.path].place.read(reply.body))
        }
        left = planner.replan([d for d in deltas if d not in unseen], reply.body, attributes, presumed)
        self.already |= dict(left.already)
        self.already |= {d.path: False for d in left.writes if d.path == INVITATION}  # owed until it is sent
        self._overwritten |= dict.fromkeys(left.overwritten)
        self._left_alone |= dict.fromkeys(left.kept, "kept") | dict.fromkeys(left.conflicts, "conflict")
        if self._may_stand:
            known = {d.path: d.sides.current for d in deltas}
            moved = (d.path for d in left.writes if not attributes[d.path].place.same(known[d.path], d.sides.current))
            self._partly |= dict.fromkeys(moved)
        if not left.writes:
            came_late = after is Next.REPLAN and not self._may_stand
            return self.settled(Status.ALREADY if came_late else Status.DONE, reply)
        if not reply.version:
            return self.outcome(Status.HELD, "target.no-version", "the target gives no version to write under", reply)
        return left.writes, self._means.operations_of(left.writes), reply.version

    def arrived(self, deltas: Sequence[Delta], body: Mapping[str, object]) -> list[str]:
        """Note what the account holds by now; give the paths on which it does not hold what was wanted."""
        different = planner.unmet(deltas, body, self._means.attributes)
        self.already |= {d.path: d.sides.desired for d in deltas if d.path not in different}
        return different

    def is_doubtful(self, deltas: Sequence[Delta], operations: Sequence[Operation], body: Mapping[str, object]) -> bool:
        """Whether an answer shows less, or something else, than the account should hold by now."""
        lost = harm.lost(self.before, body, operations) if self.before is not None else []
        return bool(lost or planner.unmet(deltas, body, self._means.attributes))

    def deferred(self, change: Change, left_out: Iterable[str], back: Delta | None = None) -> Outcome:
        """What waits for somebody else and is not written in this pass, or in this run."""
        if LOGIN in left_out:
            return self.outcome(*logins.left(change, back))
        return self.outcome(Status.DEFERRED, "reference.deferred", _waits(change, left_out))

    def confirm(
        self, deltas: Sequence[Delta], operations: Sequence[Operation], reply: Reply, *, taken: bool = True
    ) -> Outcome:
        """Compare what the target shows with what was wanted, and with what was there: a difference is no success.

        Args:
            deltas: What was sent.
            operations: The same.
            reply: The account, as the target shows it.
            taken: Whether the answer to the write told of no error.
        """
        body = reply.body or {}
        different = self.arrived(deltas, body)
        done = self.settled(Status.DONE, reply)
        if different:
            done = self._mismatched(deltas, different, reply, taken=taken)
        before, self.before = self.before, body
        self._means.shown(body)
        done = self.harmed(before, operations, done)
        return done if before is None or done.status is not Status.DONE else self._guarded(before, operations, done)

    def _mismatched(self, deltas: Sequence[Delta], different: Sequence[str], reply: Reply, *, taken: bool) -> Outcome:
        """What it comes to where paths do not hold what was sent: no trouble, where the dialect knows it of all."""
        means, given = self._means, dict[str, Value]()
        if taken and reply.method == "GET":  # a look at the account itself
            given = unshown.unshown(deltas, different, reply.body or {}, means.attributes, means.reworded)
        strange = [path for path in different if path not in given or not among(path, means.withheld | means.reworded)]
        if not strange:
            return replace(self.settled(Status.DONE, reply), unshown=given)
        told = f"the target answered with another value than was sent for {', '.join(strange)}"
        told += f"; never shown, so it is not sent again as it is: {', '.join(given)}" if given else ""
        return replace(self.outcome(Status.HELD, unshown.MISMATCH, told, reply), unmet=tuple(strange), unshown=given)

    def harmed(self, before: Mapping[str, object] | None, operations: Sequence[Operation], outcome: Outcome) -> Outcome:
        """An outcome with what the write did to what is not ours, where the account was read before and after."""
        if before is None or self.before is None or self.before is before or not harm.kinds(operations):
            return outcome
        gone = harm.lost(before, self.before, operations)
        self._means.caution.learn(operations, before, gone)
        if not gone:
            return outcome
        told = f"the account lost what is not ours: {', '.join(gone)}; no more such writes in this run"
        return replace(outcome, status=Status.HELD, code="write.harmed", detail=told)

    def _guarded(self, before: Mapping[str, object], operations: Sequence[Operation], done: Outcome) -> Outcome:
        """A success, but where it shows that somebody else wrote between our look and our write."""
        managed = {place.root for place in self._means.places if place.published}  # versions guard SCIM alone
        others = harm.edited(before, self.before or {}, operations, managed)
        if not others:
            return done
        self._means.caution.unguarded = True
        told = f"the write was taken though {', '.join(others)} had been changed since its version was read"
        return replace(done, status=Status.HELD, code="target.unguarded", detail=told)

    def settled(self, status: Status, reply: Reply | None = None) -> Outcome:
        """Nothing more to send: done, unless some paths were left for a person."""
        spared = [path for path, why in self._left_alone.items() if why == "spared"]
        if spared:
            words = f"left as it is, because such a write took away what is not ours: {', '.join(spared)}"
            return self.outcome(Status.HELD, "write.harmed", words, reply)
        if self.taken:
            return self.outcome(Status.HELD, "account.name-taken", self.taken, reply)
        unseen = [path for path, why in self._left_alone.items() if why == "unseen"]
        if unseen:
            words = f"the Platform API does not show now what the account holds: {', '.join(unseen)}"
            return self.outcome(Status.DEFERRED, "target.not-now", words, reply)
        conflicts = [path for path, why in self._left_alone.items() if why == "conflict"]
        if conflicts:
            words = f"edited in the directory since the plan: {', '.join(conflicts)}"
            return self.outcome(Status.HELD, "conflict.open", words, reply)
        return self.outcome(status, reply=reply)

    def outcome(
        self,
        status: Status,
        code: str = "",
        detail: str = "",
        reply: Reply | None = None,
    ) -> Outcome:
        """The outcome with everything that is known by now."""
        return Outcome(
            key=self.key,
            status=status,
            account=self.account or None,
            version=reply.version if reply else "",
            written=self.already,
            code=code,
            detail=detail,
            races=self.races,
            correlation_id=reply.correlation_id if reply else "",
            overwritten=tuple(path for path in self._overwritten if path in self.already),
            unmet=tuple(path for path in self._partly if path not in self.already),
            window_s=self.window_s,
        )


def _waits(change: Change, paths: Iterable[str]) -> str:
    awaited = {d.path: d.awaits for d in change.deltas}
    return ", ".join(f"{path} waits for the account of {awaited[path]}" for path in paths)

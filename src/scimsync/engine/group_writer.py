"""Write who joins and who leaves one group.

One writer works on a group, because every write moves its version; several groups go at the same time.
Members travel in batches of one PATCH each. The group is read first, so that its other members are known:
the first write that takes one of them away ends the writing of groups. Whatever is unclear is settled by
reading the group: what was wanted and is not there is sent, nothing else, so going on after a crash
repeats and loses nothing.

Where the list of members is cut, or empty though it was just written, what the target took counts as done, and is
told once: `group.partial`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core import grouping, showing
from scimsync.core.grouping import Left
from scimsync.core.replies import MOST_RACES, Next, decide, is_taken, words
from scimsync.engine.ports import Target
from scimsync.model.outcomes import COMPARED, Outcome, Reply, Status
from scimsync.model.plans import GroupChange
from scimsync.model.policy import Providing, Removal
from scimsync.model.wording import some_of
from scimsync.scim.messages import Operation

#: refused requests after which a group is given up
MOST_REFUSALS = 20
#: refusals that may be about a few members of a batch, so that the others can be written without them
_ABOUT_SOME = frozenset({"invalidValue", "noTarget", "tooMany"})
_NOBODY = Left()
#: refusals that may be about the path of a removal
_ABOUT_PATH = frozenset({"", "invalidPath", "invalidFilter", "invalidSyntax"})
#: members of a group in which another way to remove is tried
_MOST_TRIED = 1000


class Removing(Struct):
    """How members are removed in this run: one way for all groups, found once where the dialect does not say."""

    form: Removal = Removal.FILTER
    #: no other way is tried any more
    known: bool = False
    #: the other way is being tried, by the group of this id
    tried_by: str = ""
    #: told of the way that was found
    note: Callable[[str], None] = lambda _: None

    @classmethod
    def of(cls, providing: Providing, note: Callable[[str], None] = lambda _: None) -> Removing:
        """As the dialect has it."""
        return cls(providing.removal, providing.is_removal_known, note=note)

    def begin(self, group: str) -> bool:
        """Try the other way in a group; False where it was tried, or no other is to be tried."""
        if self.known or self.tried_by:
            return False
        self.form, self.tried_by = Removal.WHOLE, group
        return True

    def end(self, group: str, *, works: bool) -> None:
        """Note what came of the other way."""
        if self.known or self.tried_by != group:
            return
        self.known = True
        if works:
            told = "members are removed by value, and whoever stays is added again in the same request: "
            self.note(f"{told}the target does not heed a filter in the path of a removal")
        else:
            self.form = Removal.FILTER


class GroupPorts(Struct, frozen=True, kw_only=True):
    """What writing a group asks of the run that it belongs to."""

    target: Target
    #: makes the intent of a request durable: what it adds and removes, the version, the number of the attempt
    intend: Callable[[Left, str, int], Awaitable[None]]
    #: the account of a joiner of this run by key; None where it was not made
    account_of: Callable[[str], str | None]
    #: told of a reply after which the run had better end
    defer: Callable[[Reply], None]
    #: told why no more groups may be written: a write took members away that were not ours
    harmed: Callable[[str], None]
    #: why no more groups may be written; "" while they may
    halted: Callable[[], str]
    #: what the provider does with members, and how they are removed
    providing: Providing = field(default_factory=Providing)
    removing: Removing = field(default_factory=Removing)


class GroupWriter:
    """Carries out the change of one group."""

    def __init__(self, change: GroupChange, ports: GroupPorts) -> None:
        self._change, self._ports, self._target = change, ports, ports.target
        known = {member.key: member.account or ports.account_of(member.key) for member in change.add}
        self._waiting = [key for key, account in known.items() if account is None]
        self._wanted = self._left = Left(
            tuple(account for account in known.values() if account is not None),
            tuple(member.account for member in change.remove if member.account is not None),
        )
        #: what the group shows, as far as we know: version and members
        self._version, self._members = change.version, frozenset[str]()
        #: it shows only a part of its members; whose move it took then, and whose could not be seen
        self._partial, self._took, self._hidden = change.partial, set[str](), set[str]()
        #: how many it showed when that was found in this run
        self._cut: int | None = None
        #: another way to remove was tried here
        self._tried = False
        self._size = change.batch
        #: nothing was sent since the group was last read
        self._seen = False
        self._sent = self._races = self._losses = self._refusals = 0
        #: a batch that adds and removes was refused: who joins is sent by itself, and need not wait for who leaves
        self._apart = False
        #: races since a batch was last taken
        self._in_a_row = 0
        self._refused: list[str] = []
        self._last: Reply | None = None
        self._window_s: float | None = None

    async def write(self, *, resumed: bool, reopened: bool = False) -> Outcome:
        """Send what is wanted until it is there, held, or refused.

        Args:
            resumed: The run was cut short before, so the group is read first.
            reopened: A request of that run was left open.
        """
        if (end := await self._look()) is not None:
            return self._unsettled(end, self._wanted) if reopened else end
        if not resumed and self._change.version not in {"", self._version}:
            self._races += 1
        elif not resumed and (strange := self._strange()):
            told = f"it is as it was planned, and does not show members who were seen in it: {some_of(strange)}"
            return self._outcome(Status.HELD, grouping.FOREIGN, told)
        while True:
            if (end := await self._send()) is not None:
                return end
            if self._seen or not self._sent:
                return self._settled()
            if (end := await self._read_back()) is not None:
                return end

    async def settle(self) -> Outcome:
        """Learn what came of a write that was left open; nothing is sent."""
        if (end := await self._look()) is not None:
            return self._unsettled(end, self._wanted)
        if not self._left:
            return self._settled()
        return self._outcome(Status.DEFERRED, "run.unfinished", "the run was cut short before this was written")

    async def _send(self) -> Outcome | None:
        """Send batches one after the other until nothing is left to send."""
        todo = self._portions()
        while todo:
            if why := self._ports.halted():
                return self._outcome(Status.HELD, grouping.HARMED, why)
            batch = todo.pop(0)
            self._sent += 1
            self._seen = False
            await self._ports.intend(batch, self._version, self._sent)
            reply = self._last = await self._target.patch_group(
                self._change.group, self._operations(batch), self._version
            )
            if reply.window_s is not None:
                self._window_s = max(reply.window_s, self._window_s or 0.0)
            is_there = self._is_there(reply, batch)
            step = Next.REPLAN if is_there else decide(reply)
            if step is Next.CONFIRM and (shown := self._shown(batch, reply)) is not None:
                self._take(batch, reply.version, shown)
            elif step in {Next.CONFIRM, Next.READ_BACK, Next.REPLAN, Next.SETTLE}:
                if (end := await self._look_after(step, batch, reply, is_there=is_there)) is not None:
                    return end
                todo = self._portions()
            elif step is Next.HOLD and self._goes_another_way(reply, batch):
                todo = self._portions()
            elif step is Next.HOLD and len(batch) == 1 and await self._is_gone(reply, batch):
                self._took |= set(batch.remove)
                self._left = grouping.without(self._left, set(batch.remove))
            elif step is Next.HOLD and self._is_about_some(reply):
                self._refusals += 1
                todo[:0] = self._halved(batch)
            else:
                return self._end(step, reply, batch)
        return None

    def _operations(self, batch: Left) -> tuple[Operation, ...]:
        return grouping.operations(batch, self._ports.removing.form, self._members)

    def _portions(self) -> list[Left]:
        sides = (Left(self._left.add, ()), Left((), self._left.remove)) if self._apart else (self._left,)
        return [batch for side in sides for batch in grouping.batches(side, self._size)]

    def _goes_another_way(self, reply: Reply, batch: Left) -> bool:
        """Whether what was refused is sent in another form, or who joins apart from who leaves."""
        if self._is_about_path(reply, batch) and self._tries_other():
            return True
        if batch.remove and batch.add and not self._is_about_some(reply):
            self._apart = True
            return True
        return False

    def _tries_other(self) -> bool:
        """Whether another way to remove members is tried from now on, in a group of which we see everybody."""
        if self._may_be_cut() or len(self._members) > _MOST_TRIED or self._tried:
            return False
        self._tried = self._ports.removing.begin(self._change.group) or self._ports.removing.form is Removal.WHOLE
        return self._tried

    def _is_about_path(self, reply: Reply, batch: Left) -> bool:
        told = reply.error is not None and reply.error.scim_type in _ABOUT_PATH and reply.status in {400, 501}
        return told and bool(batch.remove) and not self._ports.removing.known

    async def _is_gone(self, reply: Reply, batch: Left) -> bool:
        """Whether somebody whom the group does not show is refused as no member of it.

        A value that is refused may be that of a member who has to stay, like an owner: then the account itself says.
        """
        told = reply.error.scim_type if reply.error is not None else ""
        if not batch.remove or not self._may_be_cut() or self._members & set(batch.remove):
            return False
        return told == "noTarget" or (told == "invalidValue" and await self._membership(batch.remove[0]) is False)

    async def _membership(self, account: str) -> bool | None:
        """Whether an account says that it is in the group; None where it does not say."""
        seen = await self._target.get(account)
        return showing.membership(seen.body, self._change.group) if seen.ok and seen.body else None

    def _shown(self, batch: Left, reply: Reply) -> frozenset[str] | None:
        """The members after a batch, where the answer says nothing else; None where the group has to be read."""
        if not reply.version or reply.body is None or self._partial or self._may_be_cut():
            return None
        expected = (self._members | set(batch.add)) - set(batch.remove)
        shown = frozenset(grouping.members_of(reply.body)) if "members" in reply.body else expected
        return shown if shown == expected else None

    def _take(self, batch: Left, version: str, members: frozenset[str]) -> None:
        """A batch is in the group."""
        self._left = grouping.without(self._left, {*batch.add, *batch.remove})
        if batch.remove:
            self._ports.removing.end(self._change.group, works=True)
        self._version, self._members = version, members
        self._took |= {*batch.add, *batch.remove}
        self._in_a_row = self._losses = 0

    def _is_there(self, reply: Reply, batch: Left) -> bool:
        """Whether the words say that something exists already: of a member, that it is not seen, or was just added."""
        if reply.error is None or not batch.add:
            return False
        refuses = self._ports.providing.refuses_twice and reply.status in {400, 409} and self._may_be_cut()
        return refuses or (reply.error.scim_type in {"", "uniqueness"} and is_taken(reply))

    def _is_about_some(self, reply: Reply) -> bool:
        return reply.error is not None and reply.error.scim_type in _ABOUT_SOME and self._refusals < MOST_REFUSALS

    def _halved(self, batch: Left) -> list[Left]:
        """The halves of a refused batch; a single member is refused for good."""
        if len(batch) > 1:
            return list(grouping.batches(batch, -(-len(batch) // 2)))
        refused = {*batch.add, *batch.remove}
        self._refused += refused
        self._left, self._wanted = (grouping.without(side, refused) for side in (self._left, self._wanted))
        return []

    async def _look(self) -> Outcome | None:
        """Read the group and see what is left to write; an outcome where it cannot be read."""
        reply = self._last = await self._target.get_group(self._change.group)
        if reply.status == 404:
            return self._end(Next.GONE, reply)
        if not reply.ok or reply.body is None:
            return self._end(Next.DEFER, reply)
        self._version, self._members, self._seen = reply.version, frozenset(grouping.members_of(reply.body)), True
        self._count_left()
        if self._left and not reply.version:
            return self._outcome(
                Status.HELD, "target.no-version", "the target gives no version of the group to write under"
            )
        return None

    def _may_be_cut(self) -> bool:
        """Whether somebody whom the group does not show may be a member of it."""
        shown, change = len(self._members), self._change
        if showing.is_known_cut(shown, self._ports.providing):
            return True
        return (self._partial or change.doubted) and showing.is_cut(shown, change.cut if change.partial else self._cut)

    def _strange(self) -> list[str]:
        """Who has to leave, and is not shown, though nobody changed the group since it was seen with them."""
        if not self._change.version or self._may_be_cut():
            return []
        gone = sorted(set(self._wanted.remove) - self._members)
        self._left = self._left if not gone else Left(self._left.add, self._wanted.remove)
        return gone

    def _count_left(self) -> None:
        if self._may_be_cut():
            self._left = grouping.unseen(self._wanted, self._members, self._took)
        else:
            self._left = grouping.remaining(self._wanted, self._members)

    async def _look_after(self, step: Next, batch: Left, reply: Reply, *, is_there: bool) -> Outcome | None:
        """Read the group after an answer that settles nothing; `is_there`: it says that a member is one already."""
        before, version, number = self._members, self._version, len(self._left)
        if (end := await self._look()) is not None:
            return end if self._seen else self._unsettled(end, batch)
        if step is Next.REPLAN:
            return None if is_there and version == self._version and self._meets(batch) else self._raced()
        absent = grouping.common(self._left, batch)
        if (step is not Next.SETTLE or not absent) and (gone := self._gone(before, batch)):
            return self._harm(gone)
        if step is not Next.SETTLE:
            if await self._hides(batch, before, moved=version != self._version):
                absent = grouping.common(self._left, batch)
            if absent.remove and self._tries_other():
                return None
            if batch.remove:
                self._ports.removing.end(self._change.group, works=not absent.remove)
            if absent:
                return self._mismatch("the directory took the request, and the members are not as written")
        self._losses = 0 if len(self._left) < number else self._losses + 1
        self._apart = self._apart or bool(self._losses and batch.add and batch.remove)
        if self._losses > (1 if reply.status == 500 else 2 * MOST_RACES):
            how = f"each answer was {words(reply)}" if reply.status else "the answers were lost"
            return self._outcome(Status.HELD, "write.unknown", f"{how}, and the group did not change{_who(batch)}")
        return None

    def _gone(self, before: frozenset[str], batch: Left) -> list[str]:
        """Who was taken away; nobody where they may have made room, in a list that is cut, for who was added."""
        gone = grouping.lost(before, batch, self._members)
        if gone and showing.has_shifted(before, batch, self._members, gone):
            self._found_cut()
            return []
        return gone

    async def _hides(self, batch: Left, before: frozenset[str], *, moved: bool) -> bool:
        """Whether the group took a batch and shows only a part of its members, so that not all of it can be seen."""
        added, removed = set(batch.add) - self._members, set(batch.remove) - before
        if added and not self._may_be_cut() and not await self._is_hidden(added, moved=moved):
            return False
        if not added and not self._may_be_cut():
            return False
        if added:
            self._found_cut()
        self._took |= set(batch.add) | (set(batch.remove) - self._members)
        self._hidden |= added | (set() if self._change.doubted else removed)
        self._count_left()
        return True

    def _found_cut(self) -> None:
        """It shows a part of its members."""
        if not self._partial:
            self._partial, self._cut = True, len(self._members)

    async def _is_hidden(self, added: set[str], *, moved: bool) -> bool:
        """Whether members who were taken and are not shown are in the group: as one of them says, else as it seems."""
        told = await self._membership(min(added))
        compared = self._version.startswith(COMPARED)
        return told if told is not None else showing.seems_hidden(len(self._members), moved=moved, compared=compared)

    def _meets(self, batch: Left) -> bool:
        """Whether those who are said to be members already are not shown; who is not alone is tried alone."""
        unseen = set(batch.add) - self._members
        if not unseen:
            return False
        if len(batch) > 1:
            self._size = 1
            return True
        self._found_cut()
        self._took |= unseen
        self._hidden |= unseen
        self._count_left()
        return True

    def _raced(self) -> Outcome | None:
        self._races += 1
        self._in_a_row += 1
        if self._in_a_row > MOST_RACES and len(self._left):
            return self._outcome(Status.HELD, "write.races", "the group changed again each time we came")
        return None

    async def _read_back(self) -> Outcome | None:
        """Compare the members with what was written; None where others changed the group meanwhile."""
        version, before = self._version, self._members
        if (end := await self._look()) is not None:
            return end
        if version != self._version:
            return self._raced() if self._left else self._settled()
        gone = grouping.lost(before, Left(), self._members)
        if (gone or self._left.add) and not self._left.remove and showing.looks_cut(len(self._members)):
            return self._cut_off(gone)
        if gone:
            return self._harm(gone)
        if self._left:
            return self._mismatch(f"{len(self._left)} of {len(self._wanted)} members are not as written")
        if self._members != before:
            return self._mismatch(f"the group holds {len(self._members)} members, and should hold {len(before)}")
        return self._settled()

    def _cut_off(self, gone: Sequence[str]) -> Outcome:
        """The answers to the writes showed more members than the group does: what they showed counts."""
        self._found_cut()
        self._took |= {*self._wanted.add, *self._wanted.remove}
        self._hidden |= set(gone) | set(self._left.add)
        self._count_left()
        return self._settled()

    # --- the end ----------------------------------------------------------------------------

    def _end(self, step: Next, reply: Reply, batch: Left = _NOBODY) -> Outcome:
        """The outcome of an answer that ends the work on this group."""
        self._ports.removing.end(self._change.group, works=False)
        if step is Next.DEFER:
            self._ports.defer(reply)
            return self._outcome(Status.DEFERRED, "target.not-now", words(reply))
        if step is Next.GONE:
            return self._outcome(Status.HELD, "group.gone", "the group was deleted in the directory")
        return self._outcome(Status.FAILED, "target.refused", words(reply) + _who(batch))

    def _settled(self) -> Outcome:
        if self._refused:
            total = len(self._refused) + len(self._wanted)
            told = f"the directory refuses {len(self._refused)} of {total} members: {some_of(self._refused)}"
            return self._outcome(Status.FAILED, "target.refused", told)
        if self._waiting:
            told = f"{len(self._waiting)} members have no account yet: {some_of(self._waiting)}"
            return self._outcome(Status.DEFERRED, "member.deferred", told)
        hidden = self._hidden - (self._members & set(self._wanted.add))
        if hidden and not showing.is_known_cut(len(self._members), self._ports.providing):
            told = f"the group shows {len(self._members)} members only; {len(hidden)} moves that it took are not seen"
            return self._outcome(Status.HELD, grouping.PARTIAL, told)
        return self._outcome(Status.DONE if self._sent else Status.ALREADY)

    @staticmethod
    def _unsettled(end: Outcome, batch: Left) -> Outcome:
        """An outcome with who may have joined by a request whose answer nobody saw."""
        known = {*grouping.read_written(end.written, grouping.ADDED)}
        return replace(end, written={**end.written, **grouping.perhaps(one for one in batch.add if one not in known)})

    def _harm(self, gone: Sequence[str]) -> Outcome:
        self._ports.harmed(f"a write to {self._change.name} took members away; no more groups are written in this run")
        who = "1 member who had to stay is" if len(gone) == 1 else f"{len(gone)} members who had to stay are"
        told = f"{who} gone: {some_of(gone)}; no more groups are written in this run"
        return self._outcome(Status.HELD, grouping.HARMED, told)

    def _mismatch(self, told: str) -> Outcome:
        return self._outcome(Status.HELD, "write.mismatch", told)

    def _outcome(self, status: Status, code: str = "", detail: str = "") -> Outcome:
        """The outcome with who joined and left by now."""
        left = {*self._left.add, *self._left.remove}
        there = grouping.without(self._wanted, left)
        return Outcome(
            key=self._change.key,
            status=status,
            version=self._version,
            written=grouping.written(there.add, there.remove),
            code=code,
            detail=f"{self._change.name}: {detail}" if detail else "",
            races=self._races,
            correlation_id=self._last.correlation_id if self._last else "",
            window_s=self._window_s,
        )


def _who(batch: Left) -> str:
    """Whom a batch that only removes leaves in a group, for messages."""
    return f"; still in it: {some_of(batch.remove)}" if batch.remove and not batch.add else ""

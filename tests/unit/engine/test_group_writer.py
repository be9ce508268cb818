"""One writer on one group: answers that settle nothing, refuse some, or lie."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from scimsync.core.grouping import Left
from scimsync.engine.group_writer import MOST_REFUSALS, GroupPorts, GroupWriter
from scimsync.model.outcomes import Exchange, Outcome, Reply, Status
from scimsync.model.plans import GroupChange, Member
from scimsync.scim.messages import Operation
from scimsync.testing import MemoryTarget, members_of

PEOPLE = [f"a{n}" for n in range(100)]


class Team(MemoryTarget):
    """A directory of a hundred people and one group."""

    def __init__(self, members: Sequence[str] = ()) -> None:
        listed = [{"value": one} for one in members]
        users = [{"id": one, "userName": f"{one}@example.com"} for one in PEOPLE]
        super().__init__(users=users, groups=[{"id": "g", "displayName": "Team", "members": listed}])
        self.patches = 0
        #: why groups are written no more
        self.harms: list[str] = []

    @property
    def members(self) -> set[str]:
        return members_of(self.groups["g"])

    async def patch_group(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
        self.patches += 1
        return await self.answer(group, operations, version)

    async def answer(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
        return await super().patch_group(group, operations, version)


def change(add: Sequence[str] = (), remove: Sequence[str] = (), **more: object) -> GroupChange:
    made = GroupChange(
        group="g",
        name="Team",
        version="1",
        add=tuple(Member(f"k-{one}", one) for one in add),
        remove=tuple(Member(f"k-{one}", one) for one in remove),
        held=len(remove),
        batch=10,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def write(
    target: Team, wanted: GroupChange, *, resumed: bool = False, reopened: bool = False
) -> tuple[Outcome, list[Reply]]:
    deferred: list[Reply] = []
    before = target.patches

    async def intend(batch: Left, version: str, attempt: int) -> None:
        assert len(batch)
        assert version
        assert attempt == target.patches - before + 1

    hands = GroupPorts(
        target=target,
        intend=intend,
        account_of=lambda _: None,
        defer=deferred.append,
        harmed=target.harms.append,
        halted=lambda: "".join(target.harms),
    )
    return asyncio.run(GroupWriter(wanted, hands).write(resumed=resumed, reopened=reopened)), deferred


def told(outcome: Outcome, path: str) -> set[str]:
    listed = outcome.written.get(path, ())
    assert isinstance(listed, tuple)
    return {str(dict(entry)["value"]) for entry in listed}


def test_members_come_and_go_in_batches() -> None:
    target = Team(PEOPLE[:12])
    outcome, _ = write(target, change(PEOPLE[20:45], PEOPLE[:12]))
    assert outcome.status is Status.DONE
    assert target.members == set(PEOPLE[20:45])
    assert target.patches == 4
    assert told(outcome, "members.added") == set(PEOPLE[20:45])
    assert told(outcome, "members.removed") == set(PEOPLE[:12])


def test_what_is_there_already_is_not_sent() -> None:
    target = Team(PEOPLE[:5])
    outcome, _ = write(target, change(PEOPLE[:5], held=5), resumed=True)
    assert outcome.status is Status.ALREADY
    assert target.patches == 0
    assert told(outcome, "members.added") == set(PEOPLE[:5])


def test_members_whom_the_directory_refuses_do_not_keep_the_others_out() -> None:
    target = Team()
    wanted = [*PEOPLE[:25], "ghost1", "ghost2"]
    outcome, _ = write(target, change(wanted))
    assert (outcome.status, outcome.code) == (Status.FAILED, "target.refused")
    assert "refuses 2 of 27 members: ghost1, ghost2" in outcome.detail
    assert target.members == set(PEOPLE[:25]) == told(outcome, "members.added")


def test_a_group_that_refuses_everybody_is_given_up_after_a_few_requests() -> None:
    target = Team()
    outcome, _ = write(target, change([f"ghost{n}" for n in range(100)]))
    assert outcome.status is Status.FAILED
    assert target.patches <= MOST_REFUSALS + 1


def test_a_silent_refusal_is_found_at_the_first_batch() -> None:
    class Deaf(Team):
        async def answer(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
            return replace(await self.get_group(group), method="PATCH")

    target = Deaf(PEOPLE[:1])
    outcome, _ = write(target, change(PEOPLE[1:40], held=1))
    assert (outcome.status, outcome.code) == (Status.HELD, "write.mismatch")
    assert target.patches == 1
    assert not outcome.written


def test_a_member_who_vanishes_is_a_loss_that_ends_the_writing_of_groups() -> None:
    class Leaky(Team):
        async def get_group(self, group: str) -> Reply:
            if self.patches:
                self.groups["g"]["members"] = [{"value": one} for one in sorted(self.members - {"a99"})]
            return await super().get_group(group)

    target = Leaky(["a99"])
    outcome, _ = write(target, change(PEOPLE[:5], held=1))
    assert (outcome.status, outcome.code) == (Status.HELD, "write.harmed")
    assert "1 member who had to stay is gone: a99" in outcome.detail
    assert told(outcome, "members.added") == set(PEOPLE[:5])
    assert len(target.harms) == 1
    again, _ = write(target, change(PEOPLE[5:9]))
    assert (again.status, again.code) == (Status.HELD, "write.harmed")
    assert target.patches == 1


@pytest.mark.parametrize("silent", [False, True])
def test_an_add_that_replaces_the_whole_list_is_found_at_the_first_batch(silent: bool) -> None:
    class Replacing(Team):
        async def answer(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
            self.groups["g"]["members"] = []
            reply = await super().answer(group, operations, version)
            return replace(reply, body=None, version="") if silent else reply

    target = Replacing(PEOPLE[:30])
    outcome, _ = write(target, change(PEOPLE[40:90]))
    assert (outcome.status, outcome.code) == (Status.HELD, "write.harmed")
    assert "30 members who had to stay are gone" in outcome.detail
    assert target.patches == 1


class Half(Team):
    """A directory that shows the first hundred members of a group."""

    def __init__(self, members: Sequence[str]) -> None:
        super().__init__(members)
        self.users.update({one: {"id": one} for one in CROWD})

    async def get(self, account: str) -> Reply:
        assert account in CROWD
        return Reply(exchange=Exchange.ANSWERED, method="GET", status=200, body={"id": account})

    def _answered(self, method: str, user: dict[str, object], *, status: int = 200) -> Reply:
        members = user.get("members")
        shown = members[:100] if isinstance(members, list) else []
        return super()._answered(method, {**user, "members": shown}, status=status)


CROWD = [f"b{n:03}" for n in range(200)]


def test_a_group_that_shows_a_part_of_its_members_is_found_out_and_nothing_is_sent_twice() -> None:
    target = Half(CROWD[:100])
    outcome, _ = write(target, change(CROWD[100:150], held=100))
    assert (outcome.status, outcome.code) == (Status.HELD, "group.partial")
    assert "50 moves that it took are not seen" in outcome.detail
    assert target.members == set(CROWD[:150]) == set(CROWD[:100]) | told(outcome, "members.added")
    assert target.patches == 5
    gone = change((), CROWD[145:150], held=100, partial=True)
    outcome, _ = write(target, gone)
    assert (outcome.status, outcome.code) == (Status.HELD, "group.partial")
    assert target.members == set(CROWD[:145])
    assert told(outcome, "members.removed") == set(CROWD[145:150])


def test_members_who_can_be_seen_leave_a_group_that_shows_a_part_and_that_is_done() -> None:
    target = Half(CROWD[:150])
    outcome, _ = write(target, change((), CROWD[:30], held=100, partial=True))
    assert outcome.status is Status.DONE
    assert target.members == set(CROWD[30:150])


def test_a_group_of_a_round_number_that_ignores_a_request_is_a_mismatch() -> None:
    class Deaf(Half):
        async def answer(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
            return replace(await self.get_group(group), method="PATCH")

    outcome, _ = write(Deaf(CROWD[:90]), change(CROWD[100:110], held=90))
    assert outcome.code == "write.mismatch"


def test_answers_that_are_always_lost_are_held_and_nothing_is_sent_blindly() -> None:
    class Lost(Team):
        async def answer(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
            return Reply(exchange=Exchange.LOST, method="PATCH")

    outcome, _ = write(Lost(), change(PEOPLE[:5]))
    assert (outcome.status, outcome.code) == (Status.HELD, "write.unknown")


def test_a_directory_that_is_not_reached_defers_and_ends_the_run() -> None:
    class Away(Team):
        async def answer(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
            if self.patches > 2:
                return Reply(exchange=Exchange.NOT_SENT, method="PATCH", detail="ConnectError")
            return await super().answer(group, operations, version)

    target = Away()
    outcome, deferred = write(target, change(PEOPLE[:40]))
    assert (outcome.status, outcome.code) == (Status.DEFERRED, "target.not-now")
    assert len(deferred) == 1
    assert told(outcome, "members.added") == target.members == set(PEOPLE[:20])


def test_a_group_without_version_is_held() -> None:
    class Bare(Team):
        async def get_group(self, group: str) -> Reply:
            return replace(await super().get_group(group), version="")

    target = Bare()
    outcome, _ = write(target, change(PEOPLE[:5], version=""))
    assert (outcome.status, outcome.code) == (Status.HELD, "target.no-version")
    assert target.patches == 0


def test_members_who_were_taken_are_told_though_the_group_shows_no_version_any_more() -> None:
    class Forgetful(Team):
        async def answer(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
            return replace(await super().answer(group, operations, version), version="")

        async def get_group(self, group: str) -> Reply:
            reply = await super().get_group(group)
            return replace(reply, version="") if self.patches else reply

    outcome, _ = write(target := Forgetful(), change(PEOPLE[:5]))
    assert (outcome.status, told(outcome, "members.added")) == (Status.DONE, set(PEOPLE[:5]))
    outcome, _ = write(target, change(PEOPLE[5:15], PEOPLE[:1], version="2"))
    assert (outcome.code, told(outcome, "members.added")) == ("target.no-version", set())


def test_whoever_may_have_joined_by_an_answer_that_nobody_saw_is_told() -> None:
    class Gone(Team):
        async def answer(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
            await super().answer(group, operations, version)
            return Reply(exchange=Exchange.LOST, method="PATCH")

        async def get_group(self, group: str) -> Reply:
            away = Reply(exchange=Exchange.NOT_SENT, method="GET", detail="ConnectError")
            return away if self.patches else await super().get_group(group)

    target = Gone()
    outcome, _ = write(target, change(PEOPLE[:5]))
    assert (outcome.status, outcome.code) == (Status.DEFERRED, "target.not-now")
    assert told(outcome, "members.perhaps") == target.members == set(PEOPLE[:5])
    assert not told(outcome, "members.added")
    reopened, _ = write(target, change(PEOPLE[:5]), resumed=True, reopened=True)
    assert told(reopened, "members.perhaps") == set(PEOPLE[:5])


def test_a_joiner_without_account_waits_and_the_others_are_written() -> None:
    target = Team()
    wanted = change(PEOPLE[:5])
    wanted = replace(wanted, add=(*wanted.add, Member("k-new", None)))
    outcome, _ = write(target, wanted)
    assert (outcome.status, outcome.code) == (Status.DEFERRED, "member.deferred")
    assert "k-new" in outcome.detail
    assert target.members == set(PEOPLE[:5])

"""Memberships in whole runs on the twins in memory: what is read, what is believed, what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from scimsync.engine.applying import apply_plan
from scimsync.engine.membership import Pairs, remember
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.planning import make_plan
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.outcomes import Exchange, Reply, Sweep
from scimsync.model.plans import Plan
from scimsync.model.policy import Authority, Grouping, Limits, Mapped, Others, Policy
from scimsync.model.reports import Report
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import Operation
from scimsync.testing import ListSource, MemoryStore, MemoryTarget, VirtualClock, members_of

USERS = GENESYS.users
MAPPING = {"userName": "id || '@example.com'", "displayName": "id", "externalId": "id"}


class Silent:
    def stage(self, name: str, total: int | None = None) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


class Flawed(MemoryTarget):
    """A target whose list of groups may have holes, and whose groups may be unreadable."""

    holes = ""
    deaf = False

    async def list_groups(
        self, sink: Callable[[Sequence[bytes]], None], wanted: Sequence[tuple[str, str]] = ()
    ) -> Sweep:
        return replace(await super().list_groups(sink, wanted), incomplete=self.holes)

    async def get_group(self, group: str) -> Reply:
        return self._refused("GET", 503, "not now") if self.deaf else await super().get_group(group)


class Company:
    """Five people, one group, and pairs in HR."""

    def __init__(self, folder: Path, members: Sequence[str] = ()) -> None:
        people = [{"id": f"a{n}", "userName": f"E{n}@example.com", "displayName": f"E{n}", "externalId": f"E{n}"}
                  for n in range(5)]  # fmt: skip
        team = {"id": "g", "displayName": "Team", "members": [{"value": one} for one in members]}
        self.target, self.store, self.clock = Flawed(users=people, groups=[team]), MemoryStore(folder), VirtualClock()
        self.pairs: list[tuple[str, str]] = []
        self.people = [f"E{n}" for n in range(5)]
        self.source = ""
        self.proven = True
        self.policy = Policy(
            attributes=tuple(
                Mapped(place=USERS.resolve(path), expression=text, authority=Authority.LOCAL_WINS)
                for path, text in MAPPING.items()
            ),
            match=(USERS.resolve("externalId"),),
            limits=Limits(),
            groups=Grouping(),
        )
        self._fresh = count()

    def plan(self) -> Plan:
        ports = PlanPorts(
            source=ListSource(("id",), [[key] for key in self.people]),
            target=self.target,
            store=self.store,
            clock=self.clock,
            observer=Silent(),
            phones=lambda number, region: number,
            fresh=lambda: f"{next(self._fresh):04d}",
            pairs=Pairs(pairs=ListSource(("who", "where"), self.pairs, proven=self.proven)),
        )
        request = PlanRequest(policy=self.policy, catalog=USERS, key="id", source=self.source, configuration="c")
        return asyncio.run(make_plan(ports, request))

    def apply(self, plan: Plan) -> Report:
        ports = ApplyPorts(target=self.target, store=self.store, clock=self.clock, observer=Silent())
        options = ApplyOptions(policy=self.policy, configuration="c")
        run = check_plan(plan, self.store.run(plan.id), ports, options)
        return asyncio.run(apply_plan(plan, run, ports, options))

    def sync(self) -> Plan:
        made = self.plan()
        assert self.apply(made).clean
        return made

    @property
    def members(self) -> set[str]:
        return members_of(self.target.groups["g"])

    @property
    def base(self) -> set[Membership]:
        return set(self.store.memberships())


def codes(plan: Plan) -> list[str]:
    return [finding.code for finding in plan.findings]


def test_a_plan_that_is_not_applied_leaves_the_base_alone(tmp_path: Path) -> None:
    company = Company(tmp_path, ["a1"])
    company.pairs = [("E0", "Team"), ("E1", "Team")]
    made = company.plan()
    assert company.base == set()
    company.apply(made)
    assert company.members == {"a0", "a1"}
    assert company.base == {Membership("g", "a0"), Membership("g", "a1")}


def test_a_membership_that_waits_for_proof_stays_in_the_base(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.pairs = [("E0", "Team"), ("E1", "Team")]
    company.sync()
    company.pairs, company.proven = [("E0", "Team")], False
    assert "member.unproven" in codes(company.sync())
    assert company.members == {"a0", "a1"}
    company.proven = True
    company.sync()
    assert company.members == {"a0"}
    assert company.base == {Membership("g", "a0")}


def test_a_member_whom_others_took_out_and_hr_dropped_leaves_the_base(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.pairs = [("E0", "Team"), ("E1", "Team")]
    company.sync()
    company.target.groups["g"]["members"] = [{"value": "a0"}]
    company.pairs = [("E0", "Team")]
    company.sync()
    assert company.base == {Membership("g", "a0")}
    company.target.groups["g"]["members"] = [{"value": "a0"}, {"value": "a1"}]  # by hand: none of ours any more
    company.sync()
    assert company.members == {"a0", "a1"}


@pytest.mark.parametrize("others", Others)
def test_a_source_takes_no_membership_from_the_people_of_another(tmp_path: Path, others: Others) -> None:
    company = Company(tmp_path)
    company.policy = replace(company.policy, groups=Grouping(others=others))
    company.people, company.source = ["E0", "E1", "E2"], "hr"
    company.pairs = [("E0", "Team"), ("E1", "Team")]
    company.sync()
    company.people, company.source = ["E3", "E4"], "contractors"
    company.pairs = [("E3", "Team")]
    company.sync()
    assert company.members == {"a0", "a1", "a3"}
    assert company.base == {Membership("g", f"a{n}") for n in (0, 1, 3)}
    company.pairs = [("E4", "Team")]
    company.sync()
    assert company.members == {"a0", "a1", "a4"}
    company.people, company.source = ["E0", "E1", "E2"], "hr"
    company.pairs = [("E2", "Team")]
    company.sync()
    assert company.members == {"a2", "a4"}


def test_a_group_that_was_deleted_leaves_the_base(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.pairs = [("E0", "Team")]
    company.sync()
    del company.target.groups["g"]
    assert codes(company.sync()) == ["group.unknown"]
    assert company.base == set()


def test_a_list_of_groups_with_holes_changes_no_group_and_forgets_nothing(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.pairs = [("E0", "Team")]
    company.sync()
    company.target.holes = "2 groups were announced and 1 came"
    company.pairs = [("E1", "Team")]
    made = company.sync()
    assert codes(made) == ["group.unread"]
    assert made.groups == ()
    assert company.base == {Membership("g", "a0")}


def test_a_group_that_cannot_be_read_is_left_as_it_is_and_forgets_nothing(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.pairs = [("E0", "Team")]
    company.sync()
    company.target.deaf = True
    company.pairs = [("E1", "Team")]
    assert codes(company.sync()) == ["group.unread"]
    company.target.deaf = False
    company.sync()
    assert company.members == {"a1"}


class Leaving(Flawed):
    """A directory that takes a request, and is not heard of again in that run."""

    async def patch_group(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
        await super().patch_group(group, operations, version)
        self.deaf = True
        return Reply(exchange=Exchange.LOST, method="PATCH")


def test_whoever_joined_by_an_answer_that_nobody_saw_leaves_when_hr_says_so(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.pairs = [("E0", "Team"), ("E1", "Team")]
    plan = company.plan()
    company.target.__class__ = Leaving
    assert not company.apply(plan).clean
    company.target.__class__, company.target.deaf = Flawed, False
    assert company.members == {"a0", "a1"}
    company.pairs = [("E0", "Team")]
    company.sync()
    assert company.members == {"a0"}


def test_what_an_older_release_learned_of_groups_before_it_was_replaced_is_taken_over(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    store.artifact("groups-r1.json").write_text('{"names": {"team": "g"}, "partial": ["g"]}', encoding="utf-8")
    remember(store, "r1", ())
    assert store.group_memory() == GroupMemory(names={"team": "g"}, partial={"g": None})

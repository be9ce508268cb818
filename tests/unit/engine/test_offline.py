"""What stands in for the target and the state where a plan asks nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from scimsync.engine.offline import Unasked
from scimsync.engine.ports import Store
from scimsync.engine.unwritten import DROPPED, READ, Unwritten
from scimsync.errors import TargetUnavailable
from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.outcomes import Link, LinkDecision
from scimsync.testing.store import MemoryStore


def members_of(protocol: type) -> set[str]:
    return {name for base in protocol.__mro__ for name in vars(base) if not name.startswith("_")}


def test_the_lists_name_what_the_state_has_and_nothing_twice() -> None:
    assert not READ & DROPPED
    assert members_of(Store) > READ | DROPPED


def test_what_is_read_is_the_state_and_what_is_noted_is_dropped() -> None:
    store = MemoryStore()
    store.save_links([Link("E1", "u1")])
    quiet: Any = Unwritten(store)
    assert list(quiet.links()) == [Link("E1", "u1")]
    quiet.change_frozen("hr", {"disable": "run"})
    assert not store.frozen("hr")
    for name in members_of(Store) - READ - DROPPED:
        with pytest.raises(AttributeError):
            getattr(quiet, name)


def test_a_link_cannot_be_decided_by_a_plan_that_asks_nobody() -> None:
    quiet: Any = Unwritten(MemoryStore())
    with pytest.raises(AttributeError):
        quiet.decide_link(LinkDecision("E1", "u1", same=True))


def test_groups_are_as_memory_has_them_and_an_account_cannot_be_read() -> None:
    store = MemoryStore()
    store.remember_groups(GroupMemory(names={"sales": "g1", "ops": "g2"}, partial={}))
    store.change_memberships([Membership("g1", "u1"), Membership("g1", "u2")], [])
    target = Unasked("https://x.org/scim", store)
    listed: list[Any] = []

    def take(resources: Sequence[bytes]) -> None:
        listed.extend(map(msgspec.json.decode, resources))

    sweep = asyncio.run(target.list_groups(take))
    assert not sweep.incomplete
    assert {one["id"]: one["displayName"] for one in listed} == {"g1": "sales", "g2": "ops"}
    body = asyncio.run(target.get_group("g1")).body
    assert body is not None
    assert {one["value"] for one in body["members"]} == {"u1", "u2"}  # type: ignore[attr-defined]
    with pytest.raises(TargetUnavailable):
        asyncio.run(target.get("u1"))


def test_without_a_memory_of_groups_no_membership_is_planned() -> None:
    sweep = asyncio.run(Unasked("x", MemoryStore()).list_groups(lambda _: None))
    assert "not asked" in sweep.incomplete

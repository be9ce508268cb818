"""What every target promises, held by the twin in memory and by SCIM over HTTP against the simulator."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import msgspec
import pytest

from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.target_platform import PlatformTarget
from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import TargetSettings
from scimsync.engine.ports import Target
from scimsync.model.outcomes import Exchange, Reply, Rights
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import Operation
from scimsync.simulator import people
from scimsync.simulator.server import Settings, running
from scimsync.testing import MemoryTarget

T = TypeVar("T")
Play = Callable[[Callable[[Target], Awaitable[T]]], T]
NAMES = {"role": people.ROLES, "division": people.DIVISIONS, "skill": people.SKILLS, "language": people.LANGUAGES}
PEOPLE = ["ada.berg@example.com", "ben.holm@example.com", "cem.rossi@example.com"]

GROUPS = ["Billing", "Sales"]
RIGHTS = Rights(
    granted=dict.fromkeys(people.DIVISIONS, frozenset({"directory:user:edit", "routing:skill:assign"})),
    limits={"expensive.page.size": 25},
)
#: role -> licence, as the simulator has it
LICENCES = {"Agent": ["engage1"], "employee": ["collaborate"]}


def person(login: str) -> dict[str, object]:
    return {"userName": login, "displayName": login.partition(".")[0], "title": "Agent"}


async def fill(target: Target) -> list[str]:
    made = [await target.create(person(login)) for login in PEOPLE]
    return [str((reply.body or {})["id"]) for reply in made]


@pytest.fixture(params=["memory", "scim", "platform"])
def play(request: pytest.FixtureRequest) -> Iterator[Play[object]]:
    """Run a scene against a fresh, empty directory."""
    if request.param == "memory":
        teams = [{"displayName": name} for name in GROUPS]
        yield lambda scene: asyncio.run(
            scene(MemoryTarget(names=NAMES, groups=teams, rights=RIGHTS, licences=LICENCES))
        )  # type: ignore[arg-type]
        return
    with running(Settings(users=0, options={"rate_limit": 0})) as simulator:
        for name in GROUPS:
            simulator.directory.add_group(name)

        async def stage(scene: Callable[[Target], Awaitable[object]]) -> object:
            settings = TargetSettings(
                api_url=simulator.api_url,
                login_url=simulator.login_url,
                dialect=GENESYS,
                client_id=simulator.client_id,
                client_secret=simulator.client_secret,
                requests_per_minute=0,
            )
            kind = PlatformTarget if request.param == "platform" else ScimTarget
            target = kind(settings, clock=SystemClock(), rng=random.Random(1))
            target.manage(map(GENESYS.users.resolve, ("title", "platform:team", "platform:location")))
            try:
                return await scene(target)
            finally:
                await target.close()

        yield lambda scene: asyncio.run(stage(scene))


def test_a_new_account_is_answered_with_its_id_and_version(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        reply = await target.create(person(PEOPLE[0]))
        assert reply.ok
        assert reply.body is not None
        assert reply.body["userName"] == PEOPLE[0]
        assert reply.body["id"]
        assert reply.version

    play(scene)


def test_a_taken_login_is_answered_with_409(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        await fill(target)
        reply = await target.create(person(PEOPLE[0].upper()))
        assert reply.status == 409

    play(scene)


def test_a_sweep_gives_every_account_once_active_or_not(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        ids = await fill(target)
        reply = await target.get(ids[1])
        await target.patch(ids[1], [Operation("replace", "active", False)], reply.version)
        seen: list[str] = []
        sweep = await target.sweep(
            ["title"], lambda page: seen.extend(str(msgspec.json.decode(raw)["id"]) for raw in page)
        )
        assert sorted(seen) == sorted(ids)
        assert sweep.accounts == sweep.announced == len(ids)
        assert not sweep.incomplete

    play(scene)


def test_a_patch_under_the_current_version_is_applied_and_moves_the_version(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        identity = (await fill(target))[0]
        before = await target.get(identity)
        reply = await target.patch(identity, [Operation("replace", "title", "Lead")], before.version)
        assert reply.ok
        assert (reply.body or {})["title"] == "Lead"
        assert reply.version != before.version
        assert ((await target.get(identity)).body or {})["title"] == "Lead"

    play(scene)


def test_a_patch_under_an_old_version_changes_nothing(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        identity = (await fill(target))[0]
        before = await target.get(identity)
        await target.patch(identity, [Operation("replace", "title", "Lead")], before.version)
        late = await target.patch(identity, [Operation("replace", "title", "Chief")], before.version)
        assert late.exchange is Exchange.ANSWERED
        assert not late.ok
        assert ((await target.get(identity)).body or {})["title"] == "Lead"

    play(scene)


def test_a_patch_is_all_or_nothing(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        identity = (await fill(target))[0]
        before = await target.get(identity)
        operations = [Operation("replace", "title", "Lead"), Operation("replace", "nonsense", "x")]
        reply = await target.patch(identity, operations, before.version)
        assert reply.status == 400
        assert ((await target.get(identity)).body or {})["title"] == "Agent"

    play(scene)


def test_a_patch_without_version_is_never_sent(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        identity = (await fill(target))[0]
        with pytest.raises(ValueError, match="version"):
            await target.patch(identity, [Operation("replace", "title", "Lead")], "")

    play(scene)


def test_nobody_has_an_account_with_an_unknown_id(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        reply = await target.get("00000000-0000-4000-8000-00000000beef")
        assert reply.status == 404

    play(scene)


def test_an_account_is_found_by_its_login_whether_active_or_not(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        ids = await fill(target)
        reply = await target.get(ids[2])
        await target.patch(ids[2], [Operation("replace", "active", False)], reply.version)
        for identity, login in zip(ids, PEOPLE, strict=True):
            found = await target.find("userName", login)
            assert [(f.body or {})["id"] for f in found] == [identity]
        assert not await target.find("userName", "nobody@example.com")

    play(scene)


def test_a_target_describes_the_schemas_of_its_people(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        listed = (await target.describe()).body("Schemas")["Resources"]
        assert isinstance(listed, list)
        assert {s.id for s in GENESYS.users.published.schemas} <= {schema["id"] for schema in listed}

    play(scene)


def test_a_target_lists_the_names_that_exist_and_says_where_it_cannot(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        for kind, names in NAMES.items():
            assert await target.names(kind) == frozenset(names)
        assert await target.names("wizard") is None

    play(scene)


async def listed(target: Target) -> dict[str, str]:
    found: list[dict[str, object]] = []
    sweep = await target.list_groups(lambda page: found.extend(msgspec.json.decode(raw) for raw in page))
    assert not sweep.incomplete
    assert sweep.accounts == sweep.announced == len(found)
    assert all("members" not in group for group in found)
    return {str(group["displayName"]): str(group["id"]) for group in found}


def members(reply: Reply) -> list[str]:
    held = (reply.body or {}).get("members", [])
    assert isinstance(held, list)
    return sorted(member["value"] for member in held)


def adding(*ids: str) -> list[Operation]:
    return [Operation("add", "members", [{"value": one} for one in ids])]


def test_groups_are_listed_without_members_and_read_with_them(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        ids = await fill(target)
        teams = await listed(target)
        assert sorted(teams) == GROUPS
        before = await target.get_group(teams["Sales"])
        assert before.ok
        assert before.version
        assert members(before) == []
        after = await target.patch_group(teams["Sales"], adding(*ids), before.version)
        assert members(after) == sorted(ids)
        assert after.version != before.version
        assert members(await target.get_group(teams["Sales"])) == sorted(ids)
        assert sorted(await listed(target)) == GROUPS

    play(scene)


def test_a_member_leaves_by_a_filter_on_the_value(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        ids = await fill(target)
        group = (await listed(target))["Billing"]
        reply = await target.patch_group(group, adding(*ids), (await target.get_group(group)).version)
        gone = [Operation("remove", f'members[value eq "{ids[0]}"]')]
        reply = await target.patch_group(group, gone, reply.version)
        assert members(reply) == sorted(ids[1:])

    play(scene)


def test_a_patch_of_a_group_under_an_old_version_or_with_a_stranger_changes_nothing(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        ids = await fill(target)
        group = (await listed(target))["Billing"]
        before = await target.get_group(group)
        fresh = await target.patch_group(group, adding(ids[0]), before.version)
        late = await target.patch_group(group, adding(ids[1]), before.version)
        assert late.exchange is Exchange.ANSWERED
        assert not late.ok
        stranger = "00000000-0000-4000-8000-00000000beef"
        refused = await target.patch_group(group, adding(ids[1], stranger), fresh.version)
        assert refused.status == 400
        assert refused.error is not None
        assert refused.error.scim_type == "invalidValue"
        assert members(await target.get_group(group)) == [ids[0]]

    play(scene)


def test_a_patch_of_a_group_without_version_is_never_sent_and_an_unknown_group_is_not_there(
    play: Play[object],
) -> None:
    async def scene(target: Target) -> None:
        ids = await fill(target)
        group = (await listed(target))["Billing"]
        with pytest.raises(ValueError, match="version"):
            await target.patch_group(group, adding(ids[0]), "")
        nowhere = "00000000-0000-4000-8000-00000000beef"
        assert (await target.get_group(nowhere)).status == 404
        assert (await target.patch_group(nowhere, adding(ids[0]), "1")).status == 404

    play(scene)


def test_a_target_says_what_we_may_do_in_each_division_and_what_limits_it_keeps(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        rights = await target.rights()
        assert rights.granted is not None
        assert set(rights.granted) == set(people.DIVISIONS)
        assert all("routing:skill:assign" in held for held in rights.granted.values())
        assert rights.limits is not None
        assert rights.limits["expensive.page.size"] == 25

    play(scene)


def test_a_target_says_which_licences_follow_from_sets_of_roles(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        both, one = frozenset({"Agent", "employee"}), frozenset({"Agent"})
        assert await target.licences([both, one]) == {
            both: frozenset({"engage1", "collaborate"}),
            one: frozenset({"engage1"}),
        }
        assert await target.licences([one, frozenset({"Nobody's role"})]) is None, "a part of the truth is none"

    play(scene)


def test_a_deleted_account_is_gone(play: Play[object]) -> None:
    async def scene(target: Target) -> tuple[Reply, Reply, Reply]:
        ada, *_ = await fill(target)
        version = (await target.get(ada)).version
        return await target.delete(ada, version), await target.get(ada), await target.delete(ada, version)

    gone, seen, again = play(scene)  # type: ignore[misc]
    assert (gone.ok, gone.method, seen.status, again.status) == (True, "DELETE", 404, 404)


def test_a_deletion_under_an_old_version_is_refused(play: Play[object]) -> None:
    async def scene(target: Target) -> tuple[Reply, Reply]:
        ada, *_ = await fill(target)
        version = (await target.get(ada)).version
        await target.patch(ada, [Operation("replace", "title", "Lead")], version)
        return await target.delete(ada, version), await target.get(ada)

    refused, seen = play(scene)  # type: ignore[misc]
    assert (refused.status, seen.status) == (400, 200)


def test_nothing_is_deleted_without_a_version(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        ada, *_ = await fill(target)
        with pytest.raises(ValueError, match="version"):
            await target.delete(ada, "")

    play(scene)


def test_a_deleted_account_is_found_by_its_login_and_comes_back_without_roles(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        ada, *_ = await fill(target)
        assert await target.deleted([PEOPLE[0]]) == {}
        await target.delete(ada, (await target.get(ada)).version)
        found = await target.deleted([PEOPLE[0].upper(), "nobody@example.com"])
        assert found is not None
        ((login, (one,)),) = found.items()
        assert (login, one.id, one.name, one.holds) == (PEOPLE[0], ada, "ada", ("title",))
        assert (await target.restore(ada, "999")).status == 409
        assert (await target.restore(ada, one.version)).ok
        back = (await target.get(ada)).body
        assert back is not None
        assert (back["active"], back["title"], back.get("roles")) == (True, "Agent", None)
        assert await target.deleted([PEOPLE[0]]) == {}

    play(scene)


def test_what_was_never_there_does_not_come_back(play: Play[object]) -> None:
    async def scene(target: Target) -> Reply:
        return await target.restore("00000000-0000-4000-8000-00000000dead", "1")

    assert play(scene).status == 404  # type: ignore[attr-defined]

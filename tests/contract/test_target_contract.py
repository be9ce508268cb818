"""What every target promises, held by the twin in memory and by SCIM over HTTP against the simulator."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import msgspec
import pytest

from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.target_scim import ScimTarget, TargetSettings
from scimsync.engine.ports import Target
from scimsync.model.outcomes import Exchange
from scimsync.scim.dialect import GENESYS
from scimsync.scim.messages import Operation
from scimsync.simulator import people
from scimsync.simulator.server import Settings, running
from scimsync.testing import MemoryTarget

T = TypeVar("T")
Play = Callable[[Callable[[Target], Awaitable[T]]], T]
NAMES = {"role": people.ROLES, "division": people.DIVISIONS, "skill": people.SKILLS, "language": people.LANGUAGES}
PEOPLE = ["ada.berg@example.com", "ben.holm@example.com", "cem.rossi@example.com"]


def person(login: str) -> dict[str, object]:
    return {"userName": login, "displayName": login.partition(".")[0], "title": "Agent"}


async def fill(target: Target) -> list[str]:
    made = [await target.create(person(login)) for login in PEOPLE]
    return [str((reply.body or {})["id"]) for reply in made]


@pytest.fixture(params=["memory", "scim"])
def play(request: pytest.FixtureRequest) -> Iterator[Play[object]]:
    """Run a scene against a fresh, empty directory."""
    if request.param == "memory":
        yield lambda scene: asyncio.run(scene(MemoryTarget(names=NAMES)))  # type: ignore[arg-type]
        return
    with running(Settings(users=0, options={"rate_limit": 0})) as simulator:

        async def stage(scene: Callable[[Target], Awaitable[object]]) -> object:
            settings = TargetSettings(
                api_url=simulator.api_url,
                login_url=simulator.login_url,
                dialect=GENESYS,
                client_id=simulator.client_id,
                client_secret=simulator.client_secret,
                requests_per_minute=0,
            )
            target = ScimTarget(settings, clock=SystemClock(), rng=random.Random(1))
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
        assert {s.id for s in GENESYS.users.schemas} <= {schema["id"] for schema in listed}

    play(scene)


def test_a_target_lists_the_names_that_exist_and_says_where_it_cannot(play: Play[object]) -> None:
    async def scene(target: Target) -> None:
        for kind, names in NAMES.items():
            assert await target.names(kind) == frozenset(names)
        assert await target.names("wizard") is None

    play(scene)

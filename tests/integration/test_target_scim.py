"""The SCIM target against the simulator on a real socket."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import TargetSettings
from scimsync.errors import TargetDenied
from scimsync.model.outcomes import Exchange, Reply, Sweep
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import Operation
from scimsync.simulator.server import Running, Settings, running

TITLE = [Operation("replace", "title", "Lead")]
PERSON = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "userName": "new.person@example.com",
    "displayName": "New Person",
}


def play(
    simulator: Running,
    work: Callable[[ScimTarget], Awaitable[object]],
    notice: Callable[[str], None] = lambda _: None,
    **more: object,
) -> object:
    settings = TargetSettings(
        api_url=simulator.api_url,
        login_url=simulator.login_url,
        client_id=simulator.client_id,
        client_secret=simulator.client_secret,
        dialect=GENESYS,
        requests_per_minute=0,
    )

    async def run() -> object:
        target = ScimTarget(
            replace(settings, **more),  # type: ignore[arg-type]
            clock=SystemClock(),
            rng=random.Random(1),
            notice=notice,
        )
        try:
            return await work(target)
        finally:
            await target.close()

    return asyncio.run(run())


def simulated(*faults: dict[str, object], users: int = 60, **options: object) -> Settings:
    return Settings(users=users, options={"rate_limit": 0, **options}, faults=faults)


async def somebody(target: ScimTarget) -> tuple[str, str]:
    """Id and version of one account."""
    got: list[bytes] = []
    await target.sweep(["id"], got.extend)
    resource = json.loads(got[0])
    return resource["id"], resource["meta"]["version"]


@pytest.mark.parametrize("names", [["id", "title"], ["id", "externalId"], []])
def test_a_sweep_reads_everybody_page_by_page(names: list[str]) -> None:
    got: list[bytes] = []
    with running(simulated(users=330)) as simulator:
        sweep = play(simulator, lambda target: target.sweep(names, got.extend))
    assert isinstance(sweep, Sweep)
    assert (sweep.incomplete, sweep.accounts, len(got)) == ("", 330, 330)


def test_what_a_long_reading_takes_is_told_before_it_begins() -> None:
    said: list[str] = []
    small = replace(GENESYS, page_size=1)
    with running(simulated(users=160)) as simulator:
        play(simulator, lambda target: target.sweep(["id"], lambda _: None), dialect=small, notice=said.append)
        play(simulator, lambda target: target.sweep(["id"], lambda _: None), notice=said.append)
    assert len(said) == 1
    assert re.fullmatch(r"Reading \d+ accounts takes \d+ requests, about .+\.", said[0])


def test_accounts_are_read_again_in_the_pages_that_showed_them() -> None:
    got: list[bytes] = []

    async def work(target: ScimTarget) -> dict[str, int]:
        ids: list[str] = []
        await target.sweep(["id"], lambda raws: ids.extend(json.loads(raw)["id"] for raw in raws))
        before = dict(target.counts)
        await target.reread(ids[:10] + ids[60:70], ["id", "externalId"], got.extend)
        return {kind: count - before.get(kind, 0) for kind, count in target.counts.items()}

    with running(simulated(users=330)) as simulator:
        counts = play(simulator, work)
    assert isinstance(counts, dict)
    assert counts["list"] == 2
    assert len(got) == 50
    assert all("externalId" in json.loads(raw) for raw in got)


def test_a_page_that_is_refused_is_halved() -> None:
    with running(simulated(users=330, expensive_page_429="always")) as simulator:
        sweep = play(
            simulator,
            lambda target: target.sweep(
                ["id", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division"], lambda _: None
            ),
        )
    assert isinstance(sweep, Sweep)
    assert (sweep.incomplete, sweep.accounts) == ("", 330)


@pytest.mark.parametrize("cap", [7, 25, 40])
def test_a_provider_with_a_page_limit_is_read_too(cap: int) -> None:
    got: list[bytes] = []
    with running(simulated(users=130, max_count=cap)) as simulator:
        sweep = play(simulator, lambda target: target.sweep(["id"], got.extend))
    assert isinstance(sweep, Sweep)
    assert (sweep.incomplete, len(got)) == ("", 130)


def test_a_wrong_secret_is_denied_without_showing_it() -> None:
    with running(simulated()) as simulator, pytest.raises(TargetDenied) as caught:
        play(simulator, lambda target: target.get("x"), client_secret="canary-wrong")
    assert simulator.client_id in str(caught.value)
    assert "canary-wrong" not in str(caught.value)


def test_a_token_of_the_simulator_can_be_handed_in() -> None:
    with running(simulated()) as simulator, pytest.raises(TargetDenied, match="ready-made"):
        play(simulator, lambda target: target.get("x"), token="made-up")


def test_a_429_is_waited_out_and_the_write_succeeds_once() -> None:
    fault = {"on": "patch", "status": 429, "headers": {"Retry-After": "1"}}

    async def work(target: ScimTarget) -> Reply:
        account, version = await somebody(target)
        return await target.patch(account, TITLE, version)

    with running(simulated(fault)) as simulator:
        reply = play(simulator, work)
    assert isinstance(reply, Reply)
    assert (reply.ok, reply.tries) == (True, 2)


@pytest.mark.parametrize("conflict", ["400_invalid_vers", "409_scim", "409_general_conflict", "412"])
def test_a_stale_version_is_a_reply_in_each_of_its_forms(conflict: str) -> None:
    async def work(target: ScimTarget) -> Reply:
        account, version = await somebody(target)
        first = await target.patch(account, TITLE, version)
        assert first.ok
        assert first.version != version
        return await target.patch(account, TITLE, version)

    with running(simulated(version_conflict=conflict)) as simulator:
        reply = play(simulator, work)
    assert isinstance(reply, Reply)
    assert (reply.exchange, reply.status) == (Exchange.ANSWERED, int(conflict[:3]))
    assert reply.error is not None
    assert reply.correlation_id


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reset_write_is_lost_on_either_side_of_its_effect(when: str) -> None:
    async def work(target: ScimTarget) -> tuple[Reply, Reply, str]:
        account, version = await somebody(target)
        return await target.patch(account, TITLE, version), await target.get(account), version

    with running(simulated({"on": "patch", "kind": "reset", "when": when})) as simulator:
        found = play(simulator, work)
    assert isinstance(found, tuple)
    lost, now, version = found
    assert lost.exchange is Exchange.LOST
    assert (now.version == version) == (when == "before")


def test_a_name_that_is_taken_is_a_409_and_found_active_or_not() -> None:
    async def work(target: ScimTarget) -> None:
        made = await target.create(PERSON)
        assert made.status == 201
        assert made.version
        assert made.body is not None
        assert (await target.create(PERSON)).status == 409
        found = await target.find("userName", "NEW.person@example.com")
        assert [hit.body["id"] for hit in found if hit.body] == [made.body["id"]]
        gone = await target.patch(str(made.body["id"]), [Operation("replace", "active", value=False)], made.version)
        assert gone.ok
        found = await target.find("userName", PERSON["userName"])
        assert [(hit.version, hit.body["active"]) for hit in found if hit.body] == [(gone.version, False)]
        assert await target.find("userName", "nobody@example.com") == []

    with running(simulated()) as simulator:
        play(simulator, work)


def test_a_token_that_dies_is_renewed_in_mid_run() -> None:
    async def work(target: ScimTarget) -> dict[str, int]:
        account, _ = await somebody(target)
        for _ in range(3):
            assert (await target.get(account)).ok
        return target.counts

    with running(simulated({"on": "get", "status": 401, "skip": 1})) as simulator:
        counts = play(simulator, work)
    assert isinstance(counts, dict)
    assert (counts["token"], counts["get"]) == (2, 4)


def test_the_announced_limit_is_heeded() -> None:
    async def work(target: ScimTarget) -> int:
        await somebody(target)
        return target.rate

    with running(simulated(rate_limit=600)) as simulator:
        assert play(simulator, work, requests_per_minute=None) == 582


def test_describe_reads_configuration_and_schemas() -> None:
    with running(simulated()) as simulator:
        found = play(simulator, lambda target: target.describe())
    assert found.body("ServiceProviderConfig")["patch"] == {"supported": True}  # type: ignore[attr-defined]
    assert found.body("Schemas")["Resources"]  # type: ignore[attr-defined]
    assert abs(found.skew_s) < 5  # type: ignore[attr-defined]

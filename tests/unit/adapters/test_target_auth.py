"""The token keeper on a virtual clock, with a login host that plays a script."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Mapping

import pytest

from scimsync.adapters.target_auth import Credentials, FixedToken, Grant, LoginAnswer, TokenKeeper
from scimsync.errors import TargetDenied, TargetUnavailable
from scimsync.testing import VirtualClock

SECRET = "canary-secret-7f3a"


def token(n: int = 1, **more: object) -> LoginAnswer:
    body: dict[str, object] = {"access_token": f"token-{n}", "token_type": "bearer", "expires_in": 86400}
    body |= more
    return LoginAnswer(status=200, content=json.dumps({k: v for k, v in body.items() if v is not ...}).encode())


class Host:
    """A login host that answers what the script says; the last answer for ever."""

    def __init__(self, *script: LoginAnswer) -> None:
        self.script = list(script)
        self.asked: list[tuple[float, str, Mapping[str, str], bytes]] = []
        self.clock = VirtualClock()
        who = Credentials(login_url="https://login.test/", client_id="the-client", client_secret=SECRET)
        self.keeper = TokenKeeper(who, self.login, clock=self.clock, rng=random.Random(1))

    async def login(self, url: str, headers: Mapping[str, str], body: bytes) -> LoginAnswer:
        self.asked.append((self.clock.monotonic(), url, headers, body))
        await self.clock.sleep(0.2)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def grants(host: Host, *times: float) -> list[Grant]:
    async def run() -> list[Grant]:
        found = []
        for at in times:
            host.clock.advance(max(0.0, at - host.clock.monotonic()))
            found.append(await host.keeper.grant())
        return found

    return asyncio.run(run())


def failure(host: Host) -> str:
    with pytest.raises((TargetDenied, TargetUnavailable)) as caught:
        grants(host, 0)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_the_request_is_a_form_with_basic_authentication() -> None:
    host = Host(token())
    assert grants(host, 0)[0].header == "Bearer token-1"
    _, url, headers, body = host.asked[0]
    assert url == "https://login.test/oauth/token"
    assert body == b"grant_type=client_credentials"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"the-client:{SECRET}"


def test_a_hundred_callers_ask_for_one_token() -> None:
    host = Host(token())

    async def run() -> None:
        found = await asyncio.gather(*(host.keeper.grant() for _ in range(100)))
        assert {grant.token for grant in found} == {"token-1"}

    asyncio.run(run())
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    ("life", "renewed"),
    [
        (60, 48),
        (300, 240),
        (86400, 69120),
        (..., 240),
        (None, 240),
        ("300", 240),
        (300.5, 240.4),
        (38_880_000, 31_104_000),
    ],
)
def test_a_token_is_renewed_at_four_fifths_of_its_life(life: object, renewed: float) -> None:
    host = Host(token(1, expires_in=life), token(2))
    found = grants(host, 0, renewed - 1, renewed + 1)
    assert [grant.generation for grant in found] == [1, 1, 2]


@pytest.mark.parametrize("life", [0, -1, "abc", True, [], {}, "-5", "٣", ""])
def test_a_nonsensical_life_stops_the_run(life: object) -> None:
    host = Host(token(1, expires_in=life))
    assert "expires_in" in failure(host)
    assert len(host.asked) == 1


def test_wrong_credentials_name_host_and_client_and_are_not_tried_again() -> None:
    host = Host(LoginAnswer(status=401, content=b'{"error":"invalid_client"}'))
    text = failure(host)
    assert "login.test" in text
    assert "the-client" in text
    assert "region" in text
    assert failure(host) == text
    assert len(host.asked) == 1


def test_a_throttled_login_is_repeated_at_most_five_times() -> None:
    refused = LoginAnswer(status=400, content=b'{"error":"invalid_request","description":"Rate limit exceeded for x"}')
    host = Host(refused, refused, token())
    assert grants(host, 0)[0].token == "token-1"
    host = Host(refused)
    assert "too many" in failure(host)
    assert len(host.asked) == 5


@pytest.mark.parametrize(
    "answer",
    [
        LoginAnswer(status=500),
        LoginAnswer(status=503, retry_after_s=3),
        LoginAnswer(trouble="could not be asked (ConnectError)"),
        LoginAnswer(status=200, content=b"<html>"),
        LoginAnswer(status=200, content=b"[" * 100_000),
        LoginAnswer(status=200, content=b'{"access_token":""}'),
        LoginAnswer(status=200, content=b'{"access_token":"a\\r\\nb"}'),
        LoginAnswer(status=200, content=b'{"access_token":"a","token_type":"mac"}'),
    ],
    ids=repr,
)
def test_trouble_at_the_login_host_is_tried_five_times_and_names_the_host(answer: LoginAnswer) -> None:
    host = Host(answer)
    assert "login.test" in failure(host)
    assert len(host.asked) == 5
    host = Host(answer, token())
    assert grants(host, 0)[0].token == "token-1"


def test_callers_who_waited_for_a_failed_login_share_its_failure() -> None:
    host = Host(LoginAnswer(status=500))

    async def run() -> None:
        answers = await asyncio.gather(*(host.keeper.grant() for _ in range(8)), return_exceptions=True)
        assert all(isinstance(answer, TargetUnavailable) for answer in answers)

    asyncio.run(run())
    assert len(host.asked) == 5


def test_a_host_that_asks_for_an_hour_is_not_waited_for() -> None:
    host = Host(LoginAnswer(status=429, retry_after_s=3600))
    failure(host)
    assert len(host.asked) == 1


@pytest.mark.parametrize("status", [302, 404, 405])
def test_an_address_that_is_no_login_host_is_said_so(status: int) -> None:
    assert "login_url" in failure(Host(LoginAnswer(status=status)))


def test_many_401_renew_once() -> None:
    host = Host(token(1), token(2), token(3))

    async def run() -> None:
        old = await host.keeper.grant()

        async def refused() -> str:
            grant = await host.keeper.renew(old)
            await host.clock.sleep(1)
            host.keeper.report(grant, taken=True)
            return grant.token

        assert set(await asyncio.gather(*(refused() for _ in range(20)))) == {"token-2"}

    asyncio.run(run())
    assert len(host.asked) == 2


def test_a_target_that_refuses_every_token_sees_one_more_request() -> None:
    host = Host(token(1), token(2))
    repeated = 0

    async def run() -> None:
        old = await host.keeper.grant()

        async def refused() -> None:
            nonlocal repeated
            grant = await host.keeper.renew(old)
            repeated += 1
            await host.clock.sleep(1)
            host.keeper.report(grant, taken=False)
            await host.keeper.grant()

        answers = await asyncio.gather(*(refused() for _ in range(8)), return_exceptions=True)
        assert all(isinstance(answer, TargetDenied) for answer in answers)
        assert "the-client" in str(answers[0])

    asyncio.run(run())
    assert repeated == 1


def test_a_trial_that_brought_no_answer_lets_the_others_go_on() -> None:
    host = Host(token(1), token(2))

    async def run() -> None:
        old = await host.keeper.grant()
        trial = await host.keeper.renew(old)
        waiting = asyncio.create_task(host.keeper.grant())
        await host.clock.sleep(5)
        assert not waiting.done()
        host.keeper.report(trial, taken=None)
        assert (await waiting).token == "token-2"

    asyncio.run(run())


def test_a_cancelled_renewal_is_taken_over_by_the_next_caller() -> None:
    host = Host(token(1))

    async def run() -> None:
        first = asyncio.create_task(host.keeper.grant())
        second = asyncio.create_task(host.keeper.grant())
        await host.clock.sleep(0.1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (await second).token == "token-1"

    asyncio.run(run())


def test_a_ready_made_token_is_used_and_cannot_be_renewed() -> None:
    async def run() -> None:
        keeper = FixedToken("ready-made")
        grant = await keeper.grant()
        assert grant.header == "Bearer ready-made"
        with pytest.raises(TargetDenied, match="cannot be renewed") as caught:
            await keeper.renew(grant)
        assert "ready-made-" not in str(caught.value)

    asyncio.run(run())
    with pytest.raises(TargetDenied):
        FixedToken("a b")


def test_no_secret_shows_in_repr() -> None:
    shown = repr(Credentials(login_url="https://l", client_id="c", client_secret=SECRET)) + repr(Grant(SECRET, 1))
    assert SECRET not in shown + repr(LoginAnswer(status=200, content=SECRET.encode()))

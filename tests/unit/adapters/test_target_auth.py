"""The token keeper on a virtual clock, with a login host that plays a script."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from scimsync.adapters.target_auth import (
    Credentials,
    Grant,
    LoginAnswer,
    TokenKeeper,
    basic,
    own_header,
    ready_made,
    wanted,
)
from scimsync.errors import TargetDenied, TargetUnavailable
from scimsync.testing import VirtualClock

SECRET = "canary-secret-7f3a"


def token(n: int = 1, **more: object) -> LoginAnswer:
    body: dict[str, object] = {"access_token": f"token-{n}", "token_type": "bearer", "expires_in": 86400}
    body |= more
    return LoginAnswer(status=200, content=json.dumps({k: v for k, v in body.items() if v is not ...}).encode())


class Host:
    """A login host that answers what the script says; the last answer for ever."""

    def __init__(self, *script: LoginAnswer, **more: Any) -> None:
        self.script = list(script)
        self.asked: list[tuple[float, str, Mapping[str, str], bytes]] = []
        self.clock = VirtualClock()
        given = more or {"login_url": "https://login.test/"}
        who = Credentials(client_id="the-client", client_secret=SECRET, **given)
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
    assert grants(host, 0)[0].headers == {"Authorization": "Bearer token-1"}
    _, url, headers, body = host.asked[0]
    assert url == "https://login.test/oauth/token"
    assert body == b"grant_type=client_credentials"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"the-client:{SECRET}"


ELSEWHERE = "https://login.test/tenant/oauth2/v2.0/token?v=1"


def test_at_any_token_endpoint_scopes_and_audience_are_named() -> None:
    host = Host(token(), token_url=ELSEWHERE, scopes=("read", "https://x.test/.default"), audience="https://x.test/")
    grants(host, 0)
    _, url, headers, body = host.asked[0]
    assert url == ELSEWHERE
    assert headers["Authorization"].startswith("Basic ")
    assert parse_qs(body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["read https://x.test/.default"],
        "audience": ["https://x.test/"],
    }


def test_id_and_secret_travel_in_the_body_where_the_provider_wants_them_there_and_nowhere_else() -> None:
    host = Host(token(), token_url=ELSEWHERE, posted=True)
    grants(host, 0)
    _, _, headers, body = host.asked[0]
    assert "Authorization" not in headers
    assert parse_qs(body.decode()) == {
        "grant_type": ["client_credentials"], "client_id": ["the-client"], "client_secret": [SECRET],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("posted", "status", "code", "said"),
    [
        (False, 401, "invalid_client", 'They travel in the header; where the provider wants them otherwise, set client_auth = "post".'),
        (True, 400, "invalid_client", 'They travel in the body; where the provider wants them otherwise, set client_auth = "basic".'),
        (False, 400, "invalid_request", "whether it wants scopes or audience"),
        (False, 400, "invalid_scope", "Check scopes"),
        (False, 400, "unauthorized_client", "grant client_credentials"),
        (False, 403, "access_denied", "scopes or audience"),
        (False, 401, f"a {SECRET} of mine", "client_secret"),
        (False, 401, None, "client_secret"),
    ],
)  # fmt: skip
def test_a_refusal_says_which_key_to_change_and_nothing_else_is_tried(
    posted: bool, status: int, code: str | None, said: str
) -> None:
    words = json.dumps({"error": code, "error_description": f"no {SECRET}"}).encode()
    host = Host(LoginAnswer(status=status, content=words), token_url=ELSEWHERE, posted=posted)
    text = failure(host)
    assert said in text
    assert f"login.test refuses client the-client ({status}" in text
    assert len(host.asked) == 1


@pytest.mark.parametrize("status", [302, 404])
def test_an_address_that_is_no_token_endpoint_is_said_so(status: int) -> None:
    text = failure(Host(LoginAnswer(status=status), token_url=ELSEWHERE))
    assert "Check token_url" in text
    assert "region" not in text


@pytest.mark.parametrize("kind", ["mac", "DPoP", "N_A", "BearerToken", "a\nb", 5])
def test_a_token_of_another_type_than_bearer_is_refused_at_once(kind: object) -> None:
    host = Host(token(token_type=kind), token_url=ELSEWHERE)
    text = failure(host)
    assert "another type than Bearer" in text
    assert ("(mac)" in text) is (kind == "mac")
    assert "\n" not in text
    assert len(host.asked) == 1


@pytest.mark.parametrize("kind", ["bearer", "Bearer", "BEARER", None, ...])
def test_a_bearer_token_is_one_however_it_is_written(kind: object) -> None:
    assert grants(Host(token(token_type=kind), token_url=ELSEWHERE), 0)[0].token == "token-1"


def test_basic_and_a_header_of_ones_own_are_sent_as_they_are_and_cannot_be_renewed() -> None:
    async def run() -> None:
        keeper = basic("scim", "pä:ss")
        grant = await keeper.grant()
        assert base64.b64decode(grant.headers["Authorization"].removeprefix("Basic ")).decode() == "scim:pä:ss"
        with pytest.raises(TargetDenied, match="user scim of HTTP Basic") as caught:
            await keeper.renew(grant, "Bearer")
        assert "it wants Bearer" in str(caught.value)
        with pytest.raises(TargetDenied) as caught:
            await keeper.renew(grant, "basic")
        assert "wants" not in str(caught.value)
        keeper = own_header("X-API-Key", SECRET)
        grant = await keeper.grant()
        assert grant.headers == {"X-API-Key": SECRET}
        with pytest.raises(TargetDenied, match="the header X-API-Key") as caught:
            await keeper.renew(grant)
        assert SECRET not in str(caught.value)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("challenges", "schemes"),
    [
        ([], ""),
        (["Bearer"], "Bearer"),
        (['Basic realm="simple"'], "Basic"),
        (['Digest realm="a, Basic b", nonce=abc, Basic realm="x"'], "Digest or Basic"),
        (["Negotiate, NTLM", "negotiate abc=="], "Negotiate or NTLM or negotiate"),
        (['"'], ""),
        (["\x00 ="], ""),
    ],
)
def test_a_target_says_by_which_scheme_it_lets_in(challenges: list[str], schemes: str) -> None:
    assert wanted(challenges) == schemes


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
        keeper = ready_made("ready-made")
        grant = await keeper.grant()
        assert grant.headers == {"Authorization": "Bearer ready-made"}
        with pytest.raises(TargetDenied, match="cannot be renewed") as caught:
            await keeper.renew(grant)
        assert "ready-made-" not in str(caught.value)

    asyncio.run(run())
    with pytest.raises(TargetDenied):
        ready_made("a b")


def test_no_secret_shows_in_repr() -> None:
    shown = repr(Credentials(login_url="https://l", client_id="c", client_secret=SECRET)) + repr(Grant(SECRET, 1))
    shown += repr(basic("me", SECRET)) + repr(own_header("X-Key", SECRET))
    assert SECRET not in shown + repr(LoginAnswer(status=200, content=SECRET.encode()))

"""The SCIM target against a server that answers scripted bytes on a real socket; waiting is virtual."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import random
import re
import socket
import ssl
import struct
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import TargetSettings
from scimsync.errors import ConfigError, TargetDenied, TargetError, TargetUnavailable
from scimsync.model.outcomes import Document, Exchange, Reply, Sweep
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import Operation
from scimsync.simulator.tls import make_certificates
from scimsync.testing import VirtualClock

SECRET = "canary-secret-51c2"
TITLE = [Operation("replace", "title", "Lead")]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}


@dataclass
class Play:
    """What the server does with one request: bytes, then how to go on."""

    data: bytes = b""
    #: keep, close, reset, hang, drip
    then: str = "keep"


def http(status: int, body: object = None, kind: str = "application/scim+json", **headers: str) -> Play:
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Play("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


def user(n: int | str, **more: object) -> dict[str, object]:
    return {"id": f"id-{n}", "userName": f"u{n}@example.com", "active": True, "meta": {"version": "7"}} | more


def page(resources: Sequence[object], total: int, start: int = 1) -> Play:
    return http(200, {"totalResults": total, "startIndex": start, "Resources": list(resources)})


@dataclass
class Server:
    """Plays a script; `/oauth/token` is answered by itself unless the script is asked to."""

    script: Callable[[Asked], Play]
    own_login: bool = True
    asked: list[Asked] = field(default_factory=list)
    logins: int = 0
    url: str = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self.one(reader, writer):
                pass
            writer.close()
            await writer.wait_closed()
        writer.transport.abort()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(method, path, headers, body)
        if path == "/oauth/token" and self.own_login:
            self.logins += 1
            play = http(200, {"access_token": f"t{self.logins}", "expires_in": 86400}, "application/json")
        else:
            self.asked.append(asked)
            play = self.script(asked)
        if play.then == "drip":
            for n in range(len(play.data)):
                writer.write(play.data[n : n + 1])
                await asyncio.sleep(0.05)
        writer.write(play.data)
        await writer.drain()
        if play.then == "hang":
            await asyncio.sleep(30)
        if play.then == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        return play.then == "keep"


def settings(url: str, **more: object) -> TargetSettings:
    base = TargetSettings(
        api_url=url, login_url=url, client_id="the-client", client_secret=SECRET, dialect=GENESYS,
        requests_per_minute=0, exchange_s=2.0,
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


class Bench:
    """One server, one target, one virtual clock."""

    def __init__(self, script: Callable[[Asked], Play], *, own_login: bool = True, **more: object) -> None:
        self.server = Server(script, own_login)
        self.more = more
        self.clock = VirtualClock()
        self.said: list[str] = []


async def tidy(listener: asyncio.Server, target: ScimTarget) -> None:
    await target.close()
    listener.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for _ in range(3):  # closed transports say goodbye in the next turns
        await asyncio.sleep(0)


def play(bench: Bench, work: Callable[[ScimTarget], Awaitable[object]]) -> object:
    async def run() -> object:
        listener = await asyncio.start_server(bench.server.handle, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        target = ScimTarget(
            settings(url, **bench.more), clock=bench.clock, rng=random.Random(1), notice=bench.said.append
        )
        try:
            return await work(target)
        finally:
            await tidy(listener, target)

    return asyncio.run(run())


def reply(bench: Bench, work: Callable[[ScimTarget], Awaitable[Reply]]) -> Reply:
    found = play(bench, work)
    assert isinstance(found, Reply)
    return found


def patched(bench: Bench) -> Reply:
    return reply(bench, lambda target: target.patch("id-1", TITLE, "7"))


def swept(bench: Bench, names: Sequence[str] = ("id", "userName")) -> tuple[Sweep, list[str]]:
    got: list[bytes] = []
    sweep = play(bench, lambda target: target.sweep(names, got.extend))
    assert isinstance(sweep, Sweep)
    return sweep, [json.loads(raw)["id"] for raw in got]


def refused(bench: Bench, work: Callable[[ScimTarget], Awaitable[object]]) -> str:
    with pytest.raises(TargetError) as caught:
        play(bench, work)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def script(*plays: Play) -> Callable[[Asked], Play]:
    """One play after the other, the last for ever."""
    left = list(plays)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


class TestWrites:
    def test_a_patch_goes_out_under_its_version_and_comes_back_with_the_new_one(self) -> None:
        bench = Bench(script(http(200, user(1), ETag='"8"', ININ_Correlation_Id="abc-1")))
        answer = patched(bench)
        assert (answer.ok, answer.status, answer.version, answer.correlation_id) == (True, 200, "8", "abc-1")
        asked = bench.server.asked[0]
        assert (asked.method, asked.path) == ("PATCH", "/api/v2/scim/v2/Users/id-1")
        assert asked.headers["if-match"] == '"7"'
        assert asked.headers["authorization"] == "Bearer t1"
        assert asked.headers["content-type"] == "application/scim+json"
        assert json.loads(asked.body)["Operations"] == [{"op": "replace", "path": "title", "value": "Lead"}]
        assert "cookie" not in asked.headers

    def test_the_version_of_the_body_counts_where_there_is_no_entity_tag(self) -> None:
        assert patched(Bench(script(http(200, user(1))))).version == "7"
        assert patched(Bench(script(http(200, user(1), ETag='W/"9"')))).version == "9"

    @pytest.mark.parametrize(
        "end",
        [
            Play(b"", "reset"),
            Play(b"", "close"),
            Play(b"", "hang"),
            Play(b"HTTP/1.1 200 OK\r\nContent-Le", "reset"),
            Play(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"id\":", "close"),
            Play(b"\x00\x01garbage\r\n\r\n", "close"),
            Play(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "close"),
            Play(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000, "close"),
            Play(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"x" * 4000, "drip"),
            Play(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nxx", "close"),
            Play(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nnotgz", "close"),
            http(200, gzip.compress(json.dumps(user(1)).encode()) + b"more", Content_Encoding="gzip"),
        ],
        ids=["reset", "close", "silence", "half header", "truncated", "garbage", "chunks", "long header", "drip",
             "coding", "not gzip", "behind the end"],
    )  # fmt: skip
    def test_a_write_without_a_believable_answer_is_lost_and_never_sent_again(self, end: Play) -> None:
        bench = Bench(script(end))
        answer = patched(bench)
        assert answer.exchange is Exchange.LOST
        assert answer.detail
        assert not answer.ok
        assert len(bench.server.asked) == 1

    @pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 507, 520, 522, 524, 529, 599])
    def test_trouble_of_the_server_is_handed_back_and_the_write_not_sent_again(self, status: int) -> None:
        bench = Bench(script(http(status, {"message": "down"}, Retry_After="1")))
        answer = patched(bench)
        assert (answer.exchange, answer.status) == (Exchange.ANSWERED, status)
        assert answer.error is not None
        assert answer.error.detail == "down"
        assert len(bench.server.asked) == 1

    @pytest.mark.parametrize(
        "body",
        [
            http(201, b"<html>made</html>", "text/html"),
            http(200, user(1), "text/plain"),
            http(200, b'{"id": "id-1"'),
            http(200, b"[1]"),
            http(200, b"\xff\xfe"),
            http(200, b"[" * 200_000),
            http(200, b'{"id":' + b"[" * 200_000),
            http(200, b'{"id":"id-1","x":NaN}'),
            http(200, user(2)),
            http(200, {"userName": "x"}),
            http(204),
            http(200),
        ],
        ids=range(12),
    )
    def test_a_yes_with_a_body_that_cannot_be_believed_has_no_body(self, body: Play) -> None:
        bench = Bench(script(body))
        answer = patched(bench)
        assert answer.ok
        assert answer.body is None
        assert answer.detail
        assert len(bench.server.asked) == 1

    def test_a_web_page_with_200_is_no_word_of_the_target(self) -> None:
        answer = patched(bench := Bench(script(http(200, b"<html>login</html>", "text/html"))))
        assert answer.exchange is Exchange.LOST
        assert "proxy" in answer.detail
        assert len(bench.server.asked) == 1

    def test_a_gzip_bomb_is_cut_while_it_streams(self) -> None:
        bomb = gzip.compress(b"0" * 200_000_000, 9)
        bench = Bench(script(http(200, bomb, Content_Encoding="gzip")), exchange_s=20.0)
        tracemalloc.start()
        answer = patched(bench)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert answer.exchange is Exchange.LOST
        assert "larger than" in answer.detail
        assert peak < 32 * 1024 * 1024

    def test_a_plain_body_is_cut_too(self) -> None:
        bench = Bench(script(http(200, b" " * 2_000_000)), reply_bytes=1_000_000)
        assert "larger than" in patched(bench).detail

    def test_a_compressed_answer_is_read_and_a_shortened_one_is_not(self) -> None:
        packed = gzip.compress(json.dumps(user(1)).encode())
        assert patched(Bench(script(http(200, packed, Content_Encoding="gzip")))).body == user(1)
        short = patched(Bench(script(http(200, packed[:-9], Content_Encoding="gzip"))))
        assert short.exchange is Exchange.LOST

    def test_a_redirect_is_not_followed_and_no_token_goes_there(self) -> None:
        bench = Bench(script(http(307, Location="http://evil.example/api?x=1")))
        answer = patched(bench)
        assert answer.status == 307
        assert "evil.example" in answer.detail
        assert "not followed" in answer.detail
        assert len(bench.server.asked) == 1

    def test_a_refused_connection_is_not_sent_and_tried_five_times(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            url = f"http://127.0.0.1:{door.getsockname()[1]}"
        bench = Bench(script(http(200)))

        async def work(_: ScimTarget) -> Reply:
            target = ScimTarget(settings(url, token="made", client_secret=""), clock=bench.clock, rng=random.Random(1))
            try:
                return await target.create(user(1))
            finally:
                await target.close()

        answer = reply(bench, work)
        assert (answer.exchange, answer.tries) == (Exchange.NOT_SENT, 5)

    @pytest.mark.parametrize(("patience_s", "outlasts"), [(120.0, False), (1800.0, True)])
    def test_an_outage_ends_a_request_or_is_waited_out_as_policy_has_it(
        self, patience_s: float, *, outlasts: bool
    ) -> None:
        bench = Bench(lambda _: script_of(bench), patience_s=patience_s)

        def script_of(bench: Bench) -> Play:
            return http(200, user(1)) if bench.clock.monotonic() >= 600 else http(503)

        answer = reply(bench, lambda target: target.get("id-1"))
        assert answer.ok is outlasts
        assert len(bench.server.asked) <= 5 + outlasts * 6
        assert bench.clock.monotonic() <= (1000 if outlasts else 60)
        assert any("all requests wait" in said for said in bench.said) is outlasts

    def test_an_outage_that_outlasts_policy_ends_the_run(self) -> None:
        bench = Bench(script(*[http(503)] * 99), patience_s=1800.0)
        with pytest.raises(TargetUnavailable, match="start the same command again"):
            reply(bench, lambda target: target.get("id-1"))
        assert 1000 <= bench.clock.monotonic() <= 2500

    def test_an_unknown_certificate_is_not_sent(self, tmp_path: Path) -> None:
        cert, *served = make_certificates(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*served)
        server = Server(script(http(200, user(1))))
        clock = VirtualClock()

        async def run(ca: Path | None) -> Reply:
            listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context)
            url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
            target = ScimTarget(settings(url, token="made", ca_file=ca), clock=clock, rng=random.Random(1))
            try:
                return await target.patch("id-1", TITLE, "7")
            finally:
                await tidy(listener, target)

        loud = logging.getLogger("asyncio")
        loud.setLevel(logging.CRITICAL)
        assert asyncio.run(run(None)).exchange is Exchange.NOT_SENT
        assert not server.asked
        assert asyncio.run(run(cert)).ok

    def test_a_patch_without_a_version_is_a_mistake_of_the_caller(self) -> None:
        bench = Bench(script(http(200, user(1))))
        for version in ("", "a\r\nX: y", " "):

            async def work(target: ScimTarget, version: str = version) -> object:
                return await target.patch("id-1", TITLE, version)

            with pytest.raises(ValueError, match="version"):
                play(bench, work)
        assert not bench.server.asked

    @pytest.mark.parametrize(
        "account", ["../Groups/1", "..\\Groups/1", "a/../b", "", "..", ".", "a/.", "a\r\nb", "a" * 257, "\ud800"]
    )
    def test_an_id_that_reaches_elsewhere_is_not_sent(self, account: str) -> None:
        bench = Bench(script(http(200, user(1))))
        assert reply(bench, lambda target: target.get(account)).exchange is Exchange.NOT_SENT
        assert reply(bench, lambda target: target.patch(account, TITLE, "7")).exchange is Exchange.NOT_SENT
        assert not bench.server.asked


class TestThrottling:
    def test_a_long_wait_is_told_while_it_lasts(self) -> None:
        bench = Bench(script(http(429, {}, Retry_After="7"), http(429, {}, Retry_After="40"), http(200, user(1))))
        assert reply(bench, lambda target: target.get("id-1")).ok
        (told,) = bench.said
        assert re.search(r"status 429; the next try is in 4\d s", told)

    def test_a_refused_write_waits_at_least_what_was_asked_and_is_sent_again(self) -> None:
        bench = Bench(script(http(429, {"status": 429}, Retry_After="7"), http(200, user(1))))
        answer = patched(bench)
        assert answer.ok
        assert answer.tries == 2
        assert 7 <= bench.clock.monotonic() <= 7.9

    def test_a_status_that_the_dialect_knows_to_mean_too_many_is_waited_for_by_a_write_too(self) -> None:
        knows = replace(GENESYS, throttles=frozenset({"503"}))
        bench = Bench(script(http(503, {}, Retry_After="7"), http(200, user(1))), dialect=knows)
        assert patched(bench).ok
        assert 7 <= bench.clock.monotonic() <= 7.9

    def test_a_login_that_is_refused_for_too_many_waits_as_long_as_it_is_told(self) -> None:
        too_many = http(400, {"error": "invalid_request", "description": "rate limit exceeded"}, Retry_After="20")
        token = http(200, {"access_token": "t1", "expires_in": 86400}, "application/json")
        bench = Bench(script(too_many, token, http(200, user(1))), own_login=False)
        assert reply(bench, lambda target: target.get("id-1")).ok
        assert bench.clock.monotonic() >= 20

    def test_a_refusal_pauses_everybody(self) -> None:
        times: list[float] = []

        def answer(asked: Asked) -> Play:
            times.append(bench.clock.monotonic())
            return http(429, {}, Retry_After="7") if len(times) == 1 else http(200, user(1))

        bench = Bench(answer)

        async def work(target: ScimTarget) -> object:
            first = asyncio.ensure_future(target.patch("id-1", TITLE, "7"))
            while not target.counts.get("throttled"):  # noqa: ASYNC110  (a counter has no event)
                await asyncio.sleep(0.01)
            return await asyncio.gather(first, *(target.get("id-1") for _ in range(10)))

        play(bench, work)
        assert len(times) == 12
        assert all(at >= 7 for at in times[1:])

    @pytest.mark.parametrize(("said", "refusals"), [(120, 0), (86400, 1)], ids=["in time", "before its time"])
    def test_a_token_that_dies_during_a_long_wait_is_replaced_and_the_same_change_goes_on(
        self, said: int, refusals: int
    ) -> None:
        tokens: list[str] = []

        def answered(asked: Asked) -> Play:
            if asked.path == "/oauth/token":
                tokens.append(f"t{len(tokens) + 1}")
                return http(200, {"access_token": tokens[-1], "expires_in": said}, "application/json")
            if len(bench.server.asked) == 2:  # the token, and this
                return http(429, {}, Retry_After="170")
            fresh = asked.headers["authorization"] != "Bearer t1"
            return http(200, user(1)) if fresh else http(401, {"status": "401"})

        bench = Bench(answered, own_login=False)
        answer = patched(bench)
        assert (answer.status, answer.body) == (200, user(1))
        assert 170 <= bench.clock.monotonic() <= 170 * 1.1 + 5
        sent = [asked for asked in bench.server.asked if asked.method == "PATCH"]
        assert [asked.headers["authorization"] for asked in sent] == ["Bearer t1"] * (1 + refusals) + ["Bearer t2"]
        assert {(asked.path, asked.headers["if-match"], asked.body) for asked in sent} == {
            (sent[0].path, '"7"', sent[0].body)
        }
        assert tokens == ["t1", "t2"]

    @pytest.mark.parametrize("asked", ["86400", "181"])
    def test_a_long_wait_is_handed_back_and_not_slept(self, asked: str) -> None:
        bench = Bench(script(http(429, {}, Retry_After=asked)))
        answer = patched(bench)
        assert (answer.status, answer.retry_after_s) == (429, float(asked))
        assert bench.clock.monotonic() == 0
        assert len(bench.server.asked) == 1

    @pytest.mark.parametrize("asked", ["soon", "-5", "1e9", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
    def test_an_unreadable_wait_falls_back_to_our_own_and_is_bounded(self, asked: str) -> None:
        bench = Bench(script(http(429, {}, Retry_After=asked)))
        answer = patched(bench)
        assert (answer.status, answer.tries, answer.retry_after_s) == (429, 5, None)
        assert len(bench.server.asked) == 5
        assert bench.clock.monotonic() <= 31

    def test_a_date_is_measured_by_the_clock_of_the_target(self) -> None:
        bench = Bench(
            script(
                http(429, {}, Retry_After="Thu, 01 Jan 2015 00:00:20 GMT", Date="Thu, 01 Jan 2015 00:00:00 GMT"),
                http(200, user(1)),
            )
        )
        assert patched(bench).ok
        assert 20 <= bench.clock.monotonic() <= 22.1

    def test_endless_refusals_of_many_workers_end(self) -> None:
        bench = Bench(script(http(429, {}, Retry_After="1")))

        async def work(target: ScimTarget) -> object:
            for _ in range(10):
                await asyncio.gather(*(target.get("id-1") for _ in range(20)))
            return None

        play(bench, work)
        assert len(bench.server.asked) <= 200 + 100

    def test_the_announced_limit_shows_in_the_rate(self) -> None:
        bench = Bench(script(http(200, user(1), inin_ratelimit_allowed="180")), requests_per_minute=None)

        async def work(target: ScimTarget) -> object:
            before = target.rate
            await target.get("id-1")
            return before, target.rate

        assert play(bench, work) == (291, 174)


class TestTokens:
    def test_one_401_renews_once_and_the_request_succeeds(self) -> None:
        bench = Bench(lambda asked: http(401) if asked.headers["authorization"].endswith("t1") else http(200, user(1)))

        async def work(target: ScimTarget) -> object:
            return await asyncio.gather(*(target.patch("id-1", TITLE, "7") for _ in range(8)))

        answers = play(bench, work)
        assert isinstance(answers, list)
        assert all(answer.ok for answer in answers)
        assert bench.server.logins == 2

    def test_401_for_ever_ends_after_one_renewal(self) -> None:
        bench = Bench(script(http(401)))

        async def work(target: ScimTarget) -> object:
            found = await asyncio.gather(*(target.get("id-1") for _ in range(8)), return_exceptions=True)
            found += await asyncio.gather(*(target.get("id-1") for _ in range(8)), return_exceptions=True)
            return found

        answers = play(bench, work)
        assert isinstance(answers, list)
        assert all(isinstance(answer, TargetDenied) for answer in answers)
        assert bench.server.logins == 2
        assert len(bench.server.asked) <= 8 + 1

    def test_wrong_credentials_end_before_anything_else_is_asked(self) -> None:
        bench = Bench(script(http(401, {"error": "invalid_client"}, "application/json")), own_login=False)
        assert "the-client" in refused(bench, lambda target: target.get("id-1"))
        assert [asked.path for asked in bench.server.asked] == ["/oauth/token"]

    def test_a_403_is_a_reply(self) -> None:
        bench = Bench(script(http(403, {"code": "missing.permissions", "contextId": "c-9"})))
        answer = patched(bench)
        assert answer.error is not None
        assert (answer.status, answer.error.code, answer.correlation_id) == (403, "missing.permissions", "c-9")


class TestReads:
    @pytest.mark.parametrize(
        "trouble",
        [
            http(503, {}, Retry_After="3"),
            http(500),
            http(507),
            http(520),
            http(599),
            Play(b"", "reset"),
            Play(b"", "close"),
            http(200, b"<html>", "text/html"),
            http(200, b'{"id'),
        ],
        ids=range(9),
    )
    def test_a_read_is_asked_again_after_any_trouble(self, trouble: Play) -> None:
        bench = Bench(script(trouble, http(200, user(1))))
        answer = reply(bench, lambda target: target.get("id-1"))
        assert answer.ok
        assert answer.tries == 2

    def test_a_read_that_keeps_failing_comes_back_as_it_is(self) -> None:
        bench = Bench(script(http(500, {"message": "x"}, ININ_Correlation_Id="c-1")))
        answer = reply(bench, lambda target: target.get("id-1"))
        assert (answer.status, answer.tries, answer.correlation_id) == (500, 5, "c-1")

    def test_somebody_who_is_not_there_is_a_reply(self) -> None:
        answer = reply(Bench(script(http(404, {"message": "no"}))), lambda target: target.get("id-1"))
        assert (answer.status, answer.ok) == (404, False)

    @pytest.mark.parametrize("status", [503, 507, 520, 524, 529, 599])
    def test_an_outage_opens_the_breaker_and_ends_with_advice(self, status: int) -> None:
        bench = Bench(script(http(status)))

        async def work(target: ScimTarget) -> object:
            for _ in range(100):
                await target.get("id-1")
            return None

        assert "start the same command again" in refused(bench, work)
        assert len(bench.server.asked) <= 30
        assert bench.said

    def test_describe_tells_configuration_schemas_and_clock(self) -> None:
        bench = Bench(
            lambda asked: http(200, {"what": urlsplit(asked.path).path}, Date="Thu, 01 Jan 2026 00:02:00 GMT")
        )

        async def work(target: ScimTarget) -> object:
            return await target.describe()

        found = play(bench, work)
        assert found.body("ServiceProviderConfig") == {"what": "/api/v2/scim/v2/ServiceProviderConfig"}  # type: ignore[attr-defined]
        assert found.skew_s == pytest.approx(120, abs=1)  # type: ignore[attr-defined]

    def test_a_document_that_is_known_is_sent_again_only_where_it_changed(self) -> None:
        def serve(asked: Asked) -> Play:
            if asked.headers.get("if-none-match") == 'W/"7"':
                return http(304)
            return http(200, {"new": True}, ETag='"8"')

        known = {
            "ServiceProviderConfig": Document({"old": 1}, 'W/"7"'),
            "Schemas": Document({"old": 2}),
            "ResourceTypes": Document({"old": 3}, '"6"'),
        }

        async def work(target: ScimTarget) -> object:
            return await target.describe(known)

        bench = Bench(serve)
        found = play(bench, work)
        assert found.documents == {  # type: ignore[attr-defined]
            "ServiceProviderConfig": known["ServiceProviderConfig"],
            "Schemas": Document({"new": True}, '"8"'),
            "ResourceTypes": Document({"new": True}, '"8"'),
        }

    def test_a_document_that_is_not_served_is_left_out_with_why(self) -> None:
        async def work(target: ScimTarget) -> object:
            return await target.describe()

        some = Bench(lambda asked: http(404, {}) if "Schemas" in asked.path else http(200, {}))
        assert set(play(some, work).documents) == {"ServiceProviderConfig", "ResourceTypes"}  # type: ignore[attr-defined]
        none = play(Bench(lambda _: http(404, {})), work)
        assert none.documents == {}  # type: ignore[attr-defined]
        assert none.untold["Schemas"] == "status 404"  # type: ignore[attr-defined]


class Directory:
    """Pages of a directory, with ways to be wrong."""

    def __init__(self, active: int, inactive: int = 0) -> None:
        self.people = [user(n) for n in range(active)]
        self.gone = [user(f"x{n}", active=False) for n in range(inactive)]
        self.spoil: Callable[[Asked, list[object], int], Play | None] = lambda *_: None

    def __call__(self, asked: Asked) -> Play:
        query = asked.query
        people = self.gone if query.get("filter") == "active eq false" else self.people
        start, count = int(query["startIndex"]), int(query["count"])
        part = list(people[start - 1 : start - 1 + count])
        return self.spoil(asked, part, len(people)) or page(part, len(people), start)


class TestSweep:
    @pytest.mark.parametrize(("active", "inactive"), [(0, 0), (1, 0), (0, 3), (100, 100), (101, 1), (430, 250)])
    def test_everybody_is_read_once_active_or_not(self, active: int, inactive: int) -> None:
        bench = Bench(Directory(active, inactive))
        sweep, ids = swept(bench)
        assert sweep.incomplete == ""
        assert sweep.accounts == sweep.announced == active + inactive
        assert len(ids) == len(set(ids)) == active + inactive
        # one question more where the last page may not be the last
        pages = [max(1, -(-n // 100)) + (0 < n <= 100 or (n > 0 and n % 100 == 0)) for n in (active, inactive)]
        assert sweep.requests == len(bench.server.asked) == sum(pages)

    def test_a_provider_that_lists_everybody_is_swept_once(self) -> None:
        bench = Bench(Directory(30, 5), dialect=GENERIC)
        assert swept(bench)[0].accounts == 30
        assert bench.server.asked[0].query["attributes"] == "id,userName"  # nobody said that versions guard
        assert bench.server.asked[0].path.startswith("/Users?")

    @pytest.mark.parametrize(
        ("names", "size"),
        [
            (["id", "title"], "100"),
            (["id", "externalId"], "25"),
            (["EXTERNALID"], "25"),
            (["urn:ietf:params:scim:schemas:core:2.0:User:roles"], "25"),
            (["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value"], "100"),
            (["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"], "100"),
            (["urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"], "25"),
            (["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"], "100"),
            ([], "25"),
        ],
    )
    def test_expensive_attributes_make_small_pages(self, names: list[str], size: str) -> None:
        bench = Bench(Directory(3))
        swept(bench, names)
        assert bench.server.asked[0].query["count"] == size

    def test_a_provider_with_smaller_pages_sets_the_stride(self) -> None:
        directory = Directory(230)
        directory.spoil = lambda _asked, part, total: page(part[:40], total)
        sweep, ids = swept(Bench(directory))
        assert (sweep.incomplete, len(ids)) == ("", 230)

    def test_pages_that_are_refused_for_their_size_are_halved_until_they_are_small(self) -> None:
        directory = Directory(250, 30)
        directory.spoil = lambda asked, *_: http(429, {}, Retry_After="2") if int(asked.query["count"]) > 25 else None
        bench = Bench(directory)
        sweep, ids = swept(bench)
        assert (sweep.incomplete, len(ids)) == ("", 280)
        assert [asked.query["count"] for asked in bench.server.asked[:5]] == ["100", "100", "50", "50", "25"]
        assert all(int(asked.query["count"]) <= 25 for asked in bench.server.asked[4:])

    def test_one_refusal_in_the_middle_does_not_make_pages_small(self) -> None:
        directory = Directory(250)
        refusals = [http(429, {}, Retry_After="2")]
        directory.spoil = lambda asked, *_: refusals.pop() if refusals and asked.query["startIndex"] == "101" else None
        bench = Bench(directory)
        assert swept(bench)[0].incomplete == ""
        assert all(asked.query["count"] == "100" for asked in bench.server.asked)

    def test_a_short_page_is_read_again_and_nobody_comes_twice(self) -> None:
        directory = Directory(250)
        cuts = [1]
        directory.spoil = lambda asked, part, total: (
            page(part[:-5], total) if asked.query["startIndex"] == "101" and cuts and cuts.pop() else None
        )
        sweep, ids = swept(Bench(directory))
        assert (sweep.incomplete, sweep.accounts) == ("", 250)
        assert len(ids) == len(set(ids)) == 250

    def test_pages_that_are_always_short_still_bring_everybody(self) -> None:
        directory = Directory(250)
        directory.spoil = lambda asked, part, total: page(part[: 30 if asked.query["startIndex"] == "1" else 17], total)
        sweep, ids = swept(Bench(directory))
        assert (sweep.incomplete, len(ids)) == ("", 250)

    @pytest.mark.parametrize("said", [230, 270])
    def test_a_total_that_does_not_add_up_is_incomplete(self, said: int) -> None:
        directory = Directory(250)
        directory.spoil = lambda _asked, part, _: page(part, said)
        sweep, ids = swept(Bench(directory))
        assert sweep.incomplete
        assert "3 times" in sweep.incomplete
        assert len(ids) == len(set(ids)) == 250

    def test_a_start_index_that_is_ignored_ends_soon(self) -> None:
        directory = Directory(1000)
        directory.spoil = lambda _asked, _part, total: page(directory.people[:100], total)
        bench = Bench(directory)
        sweep, ids = swept(bench)
        assert "nobody new" in sweep.incomplete or "twice" in sweep.incomplete
        assert len(ids) == 100
        assert len(bench.server.asked) <= 1000 / 100 + 3

    @pytest.mark.parametrize("number", [40, 99, 100, 101, 200, 250])
    def test_a_total_that_is_the_count_of_a_page_ends_nothing(self, number: int) -> None:
        directory = Directory(number)
        directory.spoil = lambda _asked, part, _: page(part, len(part))
        sweep, ids = swept(Bench(directory, dialect=GENERIC))
        assert (sweep.incomplete, sweep.announced, len(ids)) == ("", number, number)

    def test_a_total_that_stops_at_fifty_ends_nothing(self) -> None:
        directory = Directory(120)
        directory.spoil = lambda _asked, part, total: page(part[:50], min(total, 50))
        sweep, ids = swept(Bench(directory, dialect=GENERIC))
        assert (sweep.incomplete, len(ids)) == ("", 120)

    @pytest.mark.parametrize("status", [400, 403])
    def test_a_listing_that_refuses_to_go_on_beyond_a_full_page_is_incomplete(self, status: int) -> None:
        directory = Directory(120)
        directory.spoil = lambda asked, part, total: (
            http(status, {}) if asked.query["startIndex"] != "1" else page(part[:50], 50)
        )
        sweep, ids = swept(Bench(directory, dialect=GENERIC))
        assert "refused" in sweep.incomplete
        assert len(ids) == 50

    def test_a_first_page_that_comes_again_and_again_under_a_total_of_its_own_is_incomplete(self) -> None:
        directory = Directory(250)
        directory.spoil = lambda *_: page(directory.people[:100], 100)
        sweep, ids = swept(Bench(directory, dialect=GENERIC))
        assert "begins anew" in sweep.incomplete
        assert len(ids) == 100

    @pytest.mark.parametrize("number", [7, 250])
    def test_a_provider_that_knows_no_pages_shows_everybody_at_once(self, number: int) -> None:
        directory = Directory(number)
        directory.spoil = lambda _asked, _part, total: page(directory.people, total)
        sweep, ids = swept(Bench(directory, dialect=GENERIC))
        assert (sweep.incomplete, len(ids)) == ("", number)

    def test_an_end_that_is_answered_with_404_is_an_end(self) -> None:
        directory = Directory(100)
        directory.spoil = lambda _asked, part, _: None if part else http(404, {})
        assert swept(Bench(directory, dialect=GENERIC))[0].incomplete == ""

    @pytest.mark.parametrize("resources", [{"Resources": None}, {"Resources": []}, {}])
    def test_nobody_is_nobody_in_each_of_its_forms(self, resources: dict[str, object]) -> None:
        bench = Bench(script(http(200, {"totalResults": 0, **resources})), dialect=GENERIC)
        assert swept(bench)[0].incomplete == ""

    def test_names_have_no_case(self) -> None:
        people = [
            {"ID": f"i{n}", "username": f"u{n}@x.org", "Active": True, "Meta": {"VERSION": "7"}} for n in range(3)
        ]
        bench = Bench(script(http(200, {"totalresults": 3, "RESOURCES": people})), dialect=GENERIC)
        got: list[bytes] = []
        sweep = play(bench, lambda target: target.sweep(["userName"], got.extend))
        assert isinstance(sweep, Sweep)
        assert (sweep.incomplete, sweep.accounts) == ("", 3)
        assert json.loads(got[0]) == {"id": "i0", "userName": "u0@x.org", "active": True, "meta": {"version": "7"}}

    def test_pages_of_nobody_end_soon(self) -> None:
        directory = Directory(1000)
        directory.spoil = lambda _asked, _part, total: page([], total)
        bench = Bench(directory)
        sweep, ids = swept(bench)
        assert sweep.incomplete
        assert not ids
        assert len(bench.server.asked) == 6  # two listings, three times

    def test_a_directory_that_grows_meanwhile_is_read_again(self) -> None:
        directory = Directory(250)
        grown = [user("new")]

        def spoil(asked: Asked, part: list[object], total: int) -> Play | None:
            if asked.query["startIndex"] == "201" and grown:
                directory.people.insert(0, grown.pop())
                return page(directory.people[200:300], 251)
            return None

        directory.spoil = spoil
        sweep, ids = swept(Bench(directory))
        assert (sweep.incomplete, sweep.announced) == ("", 251)
        assert len(ids) == len(set(ids)) == 251

    def test_an_account_on_two_pages_is_passed_on_once(self) -> None:
        directory = Directory(250)
        directory.spoil = lambda asked, part, total: (
            page([directory.people[0], *part[1:]], total) if asked.query["startIndex"] != "1" else None
        )
        sweep, ids = swept(Bench(directory))
        assert "twice" in sweep.incomplete
        assert len(ids) == len(set(ids))

    def test_a_resource_without_an_id_makes_the_reading_incomplete(self) -> None:
        directory = Directory(10)
        directory.people[3] = {"userName": "x"}
        sweep, ids = swept(Bench(directory))
        assert "no readable id" in sweep.incomplete
        assert len(ids) == 9

    def test_one_bad_page_is_asked_again(self) -> None:
        directory = Directory(450)
        bad = [http(503), Play(b"", "reset"), http(200, b"<html>", "text/html")]
        directory.spoil = lambda asked, *_: bad.pop() if bad and asked.query["startIndex"] == "201" else None
        assert swept(Bench(directory))[0].incomplete == ""

    @pytest.mark.parametrize(
        ("trouble", "error", "word"),
        [
            (http(500, {}, ININ_Correlation_Id="corr-5"), TargetUnavailable, "corr-5"),
            (http(403, {}), TargetDenied, "SCIM Integration"),
            (http(404, {}), TargetDenied, "api_url"),
            (http(302, {}, Location="https://login.example/"), TargetDenied, "login.example"),
            (http(200, b"<html>", "text/html"), TargetUnavailable, "not JSON"),
            (http(200, b"{}"), TargetUnavailable, "not the JSON"),
            (http(429, {}, Retry_After="3600"), TargetUnavailable, "3600 s"),
        ],
        ids=range(7),
    )
    def test_a_directory_that_cannot_be_read_says_why(self, trouble: Play, error: type[Exception], word: str) -> None:
        directory = Directory(450)
        directory.spoil = lambda asked, *_: trouble if asked.query["startIndex"] == "201" else None
        with pytest.raises(error, match=word):
            swept(Bench(directory))


class TestFind:
    def test_the_value_is_quoted_and_escaped(self) -> None:
        bench = Bench(script(page([], 0)))
        play(bench, lambda target: target.find("userName", 'o"r\\ active eq false ü&x=1'))
        assert bench.server.asked[0].query["filter"] == 'userName eq "o\\"r\\\\ active eq false ü&x=1"'

    @pytest.mark.parametrize("attribute", ["", 'a" or b', "a b", "a\n", "emails[type]"])
    def test_an_attribute_that_is_none_is_a_mistake_of_the_caller(self, attribute: str) -> None:
        with pytest.raises(ValueError, match="attribute"):
            play(Bench(script(page([], 0))), lambda target: target.find(attribute, "x"))

    def test_a_hit_is_the_reply_of_a_get(self) -> None:
        found = play(Bench(script(page([user(1)], 1))), lambda target: target.find("userName", "U1@EXAMPLE.COM"))
        assert isinstance(found, list)
        assert [(hit.method, hit.status, hit.version, hit.body) for hit in found] == [("GET", 200, "7", user(1))]

    def test_an_answer_that_does_not_match_the_question_is_not_believed(self) -> None:
        bench = Bench(script(page([user(n) for n in range(25)], 400)))
        assert "do not match" in refused(bench, lambda target: target.find("userName", "u3@example.com"))

    def test_inactive_accounts_are_found_in_their_list_which_is_read_once_a_minute(self) -> None:
        directory = Directory(0, 60)

        def answer(asked: Asked) -> Play:
            if "/id-" in asked.path:
                return http(200, directory.gone[int(asked.path.rpartition("-x")[2])])
            if asked.query["filter"] != "active eq false":
                return page([], 0)
            return directory(asked)

        bench = Bench(answer)

        def firsts(asked: Asked) -> bool:
            return (asked.query.get("filter"), asked.query.get("startIndex")) == ("active eq false", "1")

        async def work(target: ScimTarget) -> object:
            hits = [await target.find("userName", f"UX{n}@example.com") for n in (3, 59)]
            none = await target.find("userName", "nobody@example.com")
            read = sum(firsts(asked) for asked in bench.server.asked)
            bench.clock.advance(61)
            await target.find("userName", "nobody@example.com")
            again = sum(firsts(asked) for asked in bench.server.asked)
            return [hit[0].body["id"] for hit in hits if hit[0].body], none, read, again

        assert play(bench, work) == (["id-x3", "id-x59"], [], 1, 2)

    def test_a_question_that_cannot_be_answered_raises(self) -> None:
        bench = Bench(script(http(500)))
        with pytest.raises(TargetUnavailable):
            play(bench, lambda target: target.find("userName", "x"))


@pytest.mark.parametrize(
    "url", ["", "api.example", "ftp://x", "https://", "https://u:p@x", "https://x?y", "https://x#y"]
)
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigError, match="api_url"):
        ScimTarget(replace(settings("https://x"), api_url=url), clock=VirtualClock(), rng=random.Random(1))


def test_missing_credentials_are_refused() -> None:
    with pytest.raises(ConfigError, match="client_secret"):
        ScimTarget(settings("https://x", client_secret=""), clock=VirtualClock(), rng=random.Random(1))


def test_a_ca_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match="ca_file"):
            ScimTarget(settings("https://x", ca_file=path), clock=VirtualClock(), rng=random.Random(1))


def test_neither_secrets_nor_queries_reach_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench = Bench(script(page([user(1)], 1)))
    play(bench, lambda target: target.find("userName", "canary-person@example.com"))
    assert SECRET not in caplog.text + repr(settings("https://x"))
    assert "canary-person" not in caplog.text
    assert "Bearer" not in caplog.text


def test_the_environment_does_not_choose_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert patched(Bench(script(http(200, user(1))))).ok

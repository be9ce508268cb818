"""Calls from outside, to the installed `serve --events`: who is named is synchronised at once, and nobody else."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from tests.runs import House, house

from scimsync import bootstrap
from scimsync.core.signing import sign
from scimsync.simulator.people import Person

KEY, OTHER = bytes(range(32)), b"another key, which is long enough"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BODY_LIMIT = 1024 * 1024


@contextlib.contextmanager
def serving(home: House, heard: list[str] | None = None, secret: str = SECRET) -> Iterator[str]:
    """The address of a running service; it must end well when it is told to. What it said goes to `heard`."""
    path = home.folder / "events_secret"
    path.touch(mode=0o600)
    path.write_text(secret, encoding="utf-8")
    home.configure(more='[events]\nsecret = "file:events_secret"\n')
    process = home.start("serve", "--events", "--port", "0")
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[2].rstrip(";")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                _, said = process.communicate(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == 0, said
        assert "Traceback" not in said, said
        if heard is not None:
            heard.append(said)


def knock(
    address: str, body: bytes, *, name: str = "c1", key: bytes = KEY, at: datetime | None = None, **changed: str
) -> tuple[int, Any]:
    headers = sign([key], name, at or datetime.now(UTC), body) | {k.replace("_", "-"): v for k, v in changed.items()}
    request = urllib.request.Request(address + "/events", data=body, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


#: requests that a run for one person may take
FEW = 12


def call(address: str, *who: Person, name: str = "c1") -> tuple[int, Any]:
    body = json.dumps({"type": "person.changed", "keys": [p.employee_id for p in who]}).encode()
    return knock(address, body, name=name)


def wait(until: Any, seconds: float = 30.0) -> float:
    """Seconds that it took."""
    begun = time.monotonic()
    while not until():
        assert time.monotonic() - begun < seconds
        time.sleep(0.01)
    return time.monotonic() - begun


def title(home: House, who: Person) -> Any:
    return home.account(who).get("title")


# Must show 6


def test_an_event_changes_one_person_at_once_with_few_requests_and_again_does_nothing_and_a_forged_one_is_refused(
    tmp_path: Path,
) -> None:
    with house(tmp_path) as home:
        home.settle()
        *people, other = home.active(4)
        with serving(home) as address:
            home.set(other, job_title="Not yet")
            before, asked = title(home, other), []
            for number, who in enumerate(people):
                home.set(who, job_title="Lead")
                home.reset()
                assert call(address, who, name=f"c{number}") == (202, {"accepted": 1, "repeated": False})
                wait(lambda who=who: title(home, who) == "Lead")
                assert title(home, other) == before
                wait(lambda: home.runs()[0].finished is not None)
                asked.append(home.stats()["requests"])
                assert home.writes() == 1
            # what takes time are requests: no more of them than one person needs, of thousands as of sixty
            assert max(asked) <= FEW, asked

            runs = len(home.runs())
            assert call(address, people[-1], name="c2") == (202, {"accepted": 1, "repeated": True})
            body = json.dumps({"type": "person.changed", "key": other.employee_id}).encode()
            forged = knock(address, body, name="c9", key=OTHER)
            assert forged[0] == 401
            # the next genuine one is the next run, so nothing came of those
            home.set(people[0], job_title="Head")
            home.reset()
            assert call(address, people[0], name="c10") == (202, {"accepted": 1, "repeated": False})
            wait(lambda: title(home, people[0]) == "Head")
            wait(lambda: home.runs()[0].finished is not None)
            assert len(home.runs()) == runs + 1
            assert title(home, other) == before
            assert home.writes() == 1


def test_everything_that_is_not_genuine_gets_the_same_answer(tmp_path: Path) -> None:
    with house(tmp_path, users=20) as home:
        home.settle()
        with serving(home) as address:
            body = b'{"type": "person.changed", "key": "E00011"}'
            now = datetime.now(UTC)
            good = sign([KEY], "c1", now, body)
            answers = [
                knock(address, body, key=OTHER),
                knock(address, body, at=now - timedelta(minutes=6)),
                knock(address, body, at=now + timedelta(minutes=6)),
                knock(address, body, webhook_id="c2"),
                knock(address, body + b" ", webhook_signature=good["webhook-signature"]),
                knock(address, body, webhook_signature="v1,,"),
                knock(address, body, webhook_signature=""),
                knock(address, body, webhook_timestamp="soon"),
                knock(address, b"\xff\xfe", key=OTHER),
                knock(address, b"", key=OTHER),
            ]
            assert {code for code, _ in answers} == {401}
            assert len({json.dumps(said) for _, said in answers}) == 1
            assert knock(address, b"{}")[0] == 400
            reference = Webhook(SECRET).sign("theirs", now, body.decode())
            assert knock(address, body, name="theirs", at=now, webhook_signature=reference)[0] == 202


def test_the_door_has_one_way_in_and_takes_no_more_than_it_can_carry(tmp_path: Path) -> None:
    with house(tmp_path, users=20) as home:
        home.settle()
        with serving(home) as address:
            with urllib.request.urlopen(address + "/healthz", timeout=5) as answer:
                assert json.load(answer) == {"status": "ok"}
                assert "server" not in answer.headers
            with urllib.request.urlopen(address + "/metrics", timeout=5) as answer:
                assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
                assert b"scimsync_runs_total" in answer.read()
            host, port = address.removeprefix("http://").split(":")
            assert ask(host, port, b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n") == 405
            assert ask(host, port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") == 421
            announced = f"Content-Length: {BODY_LIMIT + 1}".encode()
            assert ask(host, port, b"POST /events HTTP/1.1\r\nHost: x\r\n" + announced + b"\r\n\r\n") == 413
            chunks = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            long = b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks * 17
            assert ask(host, port, long) == 413


def ask(host: str, port: str, request: bytes) -> int:
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(request)
        return int(line.recv(100).split()[1])


def test_an_event_waits_while_another_run_holds_the_lease(tmp_path: Path) -> None:
    with house(tmp_path, users=20) as home:
        home.settle()
        (who,) = home.active(1)
        home.set(who, job_title="Lead")
        with serving(home) as address:
            with bootstrap.open_store(home.settings()) as store, store.lease("another run"):
                assert call(address, who)[0] == 202
                time.sleep(1.0)
                assert title(home, who) != "Lead"
            wait(lambda: title(home, who) == "Lead")


def test_an_event_that_was_accepted_survives_the_end_of_the_service(tmp_path: Path) -> None:
    with house(tmp_path, users=20) as home:
        home.settle()
        (who,) = home.active(1)
        home.set(who, job_title="Lead")
        with bootstrap.open_store(home.settings()) as store, store.lease("another run"), serving(home) as address:
            assert call(address, who)[0] == 202
        assert title(home, who) != "Lead"
        with serving(home):
            wait(lambda: title(home, who) == "Lead")


def test_a_key_that_nobody_knows_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with house(tmp_path, users=20) as home:
        home.settle()
        (who,) = home.active(1)
        home.set(who, job_title="Lead")
        with serving(home) as address:
            body = json.dumps({"type": "person.changed", "keys": ["nobody", who.employee_id]}).encode()
            assert knock(address, body)[0] == 202
            wait(lambda: title(home, who) == "Lead")


def test_of_a_person_who_is_left_out_it_is_not_said_that_there_is_nothing_to_do(tmp_path: Path) -> None:
    heard: list[str] = []
    with house(tmp_path, users=20) as home:
        home.settle()
        (who,) = home.active(1)
        home.set(who, phone="not a phone")
        runs = len(home.runs())
        with serving(home, heard) as address:
            assert call(address, who)[0] == 202
            wait(lambda: len(home.runs()) > runs and home.runs()[0].finished is not None)
    assert "looked at 1 person; 1 value left out" in heard[0]
    assert "scimsync runs " in heard[0]
    assert "nothing to do" not in heard[0]
    assert "shorter than" not in heard[0]


def test_a_short_secret_is_told_when_the_service_begins(tmp_path: Path) -> None:
    heard: list[str] = []
    with house(tmp_path, users=20) as home, serving(home, heard, secret="short"):
        pass
    assert "[events] is shorter than 24 bytes" in heard[0]


@pytest.mark.parametrize(
    ("more", "words", "name"),
    [
        ("", ["--no-console", "--port", "0"], "nothing to do"),
        ("", ["--host", "0.0.0.0", "--port", "0"], "nothing to do"),
        ("", ["--console", "--host", "0.0.0.0", "--port", "0"], "--behind https://console.example.com"),
        ("", ["--behind", "http://console.example.com", "--port", "0"], "--behind http://console.example.com"),
        ("", ["--events", "--port", "0"], "[events] secret is missing"),
        ('[events]\nsecret = "plain"\n', ["--events", "--port", "0"], "may not stand in the file"),
    ],
)
def test_a_service_that_cannot_do_its_work_says_what_is_missing(
    tmp_path: Path, more: str, words: list[str], name: str
) -> None:
    with house(tmp_path, users=20) as home:
        home.configure(more=more)
        said = home.command("serve", *words)
        assert said.code == 2
        assert name in said.err

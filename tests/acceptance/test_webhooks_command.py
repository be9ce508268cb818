"""The installed webhooks commands, with the example receiver on the other side."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

EXAMPLE = Path(__file__).parents[2] / "examples/webhook_receiver.py"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CANARY = "canary-path"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with socket.socket() as door, house(tmp_path, users=20) as found:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
        door.close()
        found.settle()
        found.environ["WEBHOOK_SECRET"] = SECRET
        found.configure(
            more=f'[[webhook]]\nurl = "http://127.0.0.1:{port}/{CANARY}"\nsecret = "env:WEBHOOK_SECRET"\nallow_private = true\n'
        )
        yield found


@contextlib.contextmanager
def receiving(home: House, secret: str = SECRET) -> Iterator[list[str]]:
    """The example, at the address of the configuration; what it printed stands in the list at the end."""
    port = home.file.read_text(encoding="utf-8").rpartition("http://127.0.0.1:")[2].partition("/")[0]
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), port],
        env={**os.environ, "WEBHOOK_SECRET": secret},
        stdout=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield said
        finally:
            process.terminate()  # SIGINT may be ignored where tests run in the background
            said += process.stdout.read().splitlines()


def sync(home: House, title: str) -> str:
    (who,) = home.active(1)
    home.set(who, job_title=title)
    said = home.command("sync")
    assert said.code == 0, said.err
    return who.employee_id


def test_events_wait_are_listed_and_are_delivered_signed_to_the_example(home: House) -> None:
    key = sync(home, "Lead")
    listed = home.command("webhooks")
    assert "0 delivered" in listed.out
    assert "2 pending" in listed.out
    assert "last trouble" in listed.out
    assert CANARY not in listed.out
    with receiving(home) as printed:
        assert "took it (status 204)" in home.command("webhooks", "ping", "1").out
        said = home.command("webhooks", "deliver")
        while "0 pending" not in said.out:  # the first try is repeated after five seconds
            time.sleep(1)
            said = home.command("webhooks", "deliver")
    types = [json.loads(line.partition(" ")[2])["type"] for line in printed]
    assert types[0] == "scimsync.ping"
    assert sorted(types[1:]) == ["scimsync.run.finished", "urn:ietf:params:scim:event:prov:patch:notice"]
    assert any(key in line for line in printed)
    (document,) = json.loads(home.command("webhooks", "--json").out)
    assert (document["delivered"], document["pending"], document["dead"]) == (2, 0, 0)


def test_a_receiver_with_another_secret_refuses_and_the_ping_says_so(home: House) -> None:
    with receiving(home, "whsec_" + "A" * 32) as printed:
        said = home.command("webhooks", "ping")
    assert said.code == 11
    assert "answered 401" in said.out
    assert printed == []


def test_watching_ends_well_and_delivers_what_comes(home: House) -> None:
    with receiving(home) as printed:
        process = home.start("webhooks", "deliver", "--watch")
        with process:
            sync(home, "Chief")
            time.sleep(1.5)
            process.send_signal(signal.SIGTERM)
            out, said = process.communicate(timeout=20)
        assert process.returncode == 0, said
        assert "0 pending" in out
    assert len(printed) == 2


def test_serve_delivers_what_waits_in_the_outbox(home: House) -> None:
    sync(home, "Lead")
    with receiving(home) as printed, home.start("serve", "--port", "0") as process:
        end = time.monotonic() + 30
        while json.loads(home.command("webhooks", "--json").out)[0]["delivered"] < 2:
            assert time.monotonic() < end
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=40)
        assert process.returncode == 0, said
    assert len(printed) == 2


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["webhooks", "ping", "7"], 2, "there is no such webhook"),
        (["webhooks", "redrive"], 2, "--all"),
        (["webhooks", "redrive", "--all"], 0, "No event is dead"),
        (["webhooks", "redrive", "msg_unknown"], 2, "no dead event has this id"),
    ],
)
def test_what_cannot_be_done_is_said(home: House, words: list[str], code: int, expected: str) -> None:
    said = home.command(*words)
    assert said.code == code
    assert expected in said.out + said.err


def test_config_may_stand_behind_either_word(home: House) -> None:
    for words in (["--config", "scimsync.toml", "deliver"], ["deliver", "--config", "scimsync.toml"]):
        assert home.command("webhooks", *words).code == 0

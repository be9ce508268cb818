"""Calls from outside: what is taken, what is not, and what the caller learns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.core.signing import sign
from scimsync.engine.listening import FORGED, MEMORY, Answer, group, take
from scimsync.testing import MemoryOutbox, VirtualClock

KEY = b"k" * 32


class Door:
    """An inbox behind a door."""

    def __init__(self) -> None:
        self.clock, self.inbox = VirtualClock(), MemoryOutbox()

    def knock(
        self, body: bytes, *, name: str = "c1", key: bytes = KEY, headers: Mapping[str, str] | None = None
    ) -> Answer:
        made = sign([key], name, self.clock.now(), body) if headers is None else headers
        return take([KEY], made, body, self.inbox, self.clock)

    def say(self, name: str = "c1", **document: object) -> Answer:
        return self.knock(json.dumps({"type": "person.changed", **document}).encode(), name=name)

    @property
    def waiting(self) -> list[tuple[str, ...]]:
        return [call.keys for call in self.inbox.waiting()]


def test_a_signed_call_is_kept_and_accepted() -> None:
    door = Door()
    assert door.say(key="E1") == Answer(202, {"accepted": 1, "repeated": False})
    assert door.say("c2", keys=["E2", "E3", "E2"]) == Answer(202, {"accepted": 2, "repeated": False})
    assert door.waiting == [("E1",), ("E2", "E3")]
    assert group(door.inbox.waiting()) == ("E1", "E2", "E3")


def test_the_same_call_again_is_accepted_and_does_nothing() -> None:
    door = Door()
    door.say(key="E1")
    door.inbox.answered(["c1"])
    assert door.say(key="E1") == Answer(202, {"accepted": 1, "repeated": True})
    assert door.waiting == []


def test_a_call_cannot_be_played_again_while_its_signature_is_good_nor_after() -> None:
    door = Door()
    body = b'{"type": "person.changed", "key": "E1"}'
    headers = sign([KEY], "c1", door.clock.now(), body)
    assert door.knock(body, headers=headers).status == 202
    door.inbox.answered(["c1"])
    for seconds in (299, 400, MEMORY.total_seconds()):
        door.clock.advance(seconds)
        door.say(f"other-{seconds}", key="E2")
        assert door.knock(body, headers=headers).document.get("repeated", True)
    assert ("E1",) not in door.waiting
    assert timedelta(minutes=10) < MEMORY


@pytest.mark.parametrize("headers", [{}, {"webhook-id": "c1"}, {"webhook-signature": "v1,a,b"}])
def test_a_forged_call_gets_the_one_answer_and_leaves_no_trace(headers: dict[str, str]) -> None:
    door = Door()
    assert door.knock(b"{}", headers=headers) is FORGED
    assert door.knock(b'{"type": "person.changed", "key": "E1"}', key=b"x" * 32) is FORGED
    assert door.waiting == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"type": "person.changed"}',
        b'{"type": "person.changed", "key": ""}',
        b'{"type": "person.changed", "key": 7}',
        b'{"type": "person.changed", "keys": "E1"}',
        b'{"type": "person.changed", "key": "a\\nb"}',
        b'{"type": "person.deleted", "key": "E1"}',
        b"[" * 100_000,
        json.dumps({"type": "person.changed", "keys": [str(n) for n in range(1001)]}).encode(),
        json.dumps({"type": "person.changed", "key": "x" * 257}).encode(),
    ],
    ids=lambda body: body[:30],
)
def test_a_body_that_says_nothing_is_told_so_to_whoever_holds_the_secret(body: bytes) -> None:
    door = Door()
    assert door.knock(body).status == 400
    assert door.waiting == []


@given(st.binary(max_size=300))
def test_no_body_breaks_it(body: bytes) -> None:
    assert Door().knock(body).status == 400


def test_values_in_a_call_are_not_looked_at() -> None:
    door = Door()
    assert door.say(key="E1", title="Chief", active=False).status == 202
    assert door.waiting == [("E1",)]

"""Whole runs against servers that throttle in their own words: nobody is left out, and nobody is asked in haste."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from tests.hurry import Hurry, hurry
from tests.servers import Answer, Provider, account, firm, last

from scimsync.model.outcomes import Status


class Throttling(Provider):
    """Refuses all writes for a second and a half from the first one on, by the clock of those who wait."""

    def __init__(self, status: int, headers: Mapping[str, str], detail: str, clock: Hurry) -> None:
        super().__init__(*(account(number, title="Old") for number in range(4)))
        self.clock = clock
        self.status, self.heads, self.detail = status, headers, detail
        self.until = 0.0

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if not self.until:
            self.until = self.clock.time() + 1.5
        if self.clock.time() < self.until:
            filled = {name: text.replace("EPOCH", str(int(self.until) + 1)) for name, text in self.heads.items()}
            filled = {
                name: text.replace("DATE", formatdate(self.until + 1, usegmt=True)) for name, text in filled.items()
            }
            return Answer(self.status, self.refuse(self.status, self.detail).body, filled)
        return super().patch(resource, body, if_match)


@pytest.mark.parametrize(
    ("status", "headers", "detail"),
    [
        (429, {"Retry-After": "2000"}, "slow down"),
        (429, {"Retry-After": "DATE"}, "slow down"),
        (429, {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "EPOCH"}, "slow down"),
        (403, {"Retry-After": "2"}, "secondary limit"),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "EPOCH"}, "API rate limit exceeded"),
        (400, {}, "ThrottlingException: rate exceeded"),
        (503, {"Retry-After": "2"}, "busy"),
        (429, {"RateLimit": '"default";r=0;t=2'}, "slow down"),
    ],
)
@pytest.mark.parametrize("versioned", [True, False])
def test_whoever_throttles_is_waited_for_in_whatever_dress(
    tmp_path: Path, status: int, headers: Mapping[str, str], detail: str, *, versioned: bool
) -> None:
    with hurry() as clock:
        provider = Throttling(status, headers, detail, clock)
        provider.versioned = versioned
        with firm(tmp_path, provider) as it:
            it.hr(*({"id": number, "title": "New"} for number in range(4)))
            _, report = it.sync()
            assert [last(report, number).status for number in range(4)] == [Status.DONE] * 4
            assert len([asked for asked in provider.sent("PATCH") if asked.status == status]) <= 12


def test_a_wait_that_is_too_long_is_handed_back_with_what_the_target_said(tmp_path: Path) -> None:
    provider = Throttling(429, {"Retry-After": "900"}, "come back later", Hurry())
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": number, "title": "New"} for number in range(4)))
        _, report = it.sync()
        assert report.stopped
        assert not report.clean


def test_a_limit_that_is_used_up_is_waited_out_before_it_refuses(tmp_path: Path) -> None:
    class Counting(Provider):
        begun = 0.0

        def patched(self, resource: Mapping[str, Any]) -> Answer:
            self.begun = self.begun or time.monotonic()
            answer = super().patched(resource)
            spent = (
                {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"} if time.monotonic() - self.begun < 1 else {}
            )
            return Answer(answer.status, answer.body, {**answer.headers, **spent})

        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            if self.begun and time.monotonic() - self.begun < 1:
                return self.refuse(429, "slow down")
            return super().patch(resource, body, if_match)

    provider = Counting(*(account(number, title="Old") for number in range(3)))
    with firm(tmp_path, provider) as it:
        it.configure(target="workers = 1")
        file = tmp_path / "scimsync.toml"
        text = file.read_text(encoding="utf-8").replace("requests_per_minute = 0", "requests_per_minute = 6000")
        file.write_text(text, encoding="utf-8")
        it.hr(*({"id": number, "title": "New"} for number in range(3)))
        _, report = it.sync()
        assert report.clean
        assert {asked.status for asked in provider.sent("PATCH")} == {200}


def test_doctor_shows_what_was_learned_of_the_limit_and_when(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(account(1))) as it:
        file = tmp_path / "scimsync.toml"
        text = file.read_text(encoding="utf-8").replace("requests_per_minute = 0", "requests_per_minute = 6000")
        file.write_text(text, encoding="utf-8")
        it.hr({"id": 1})
        it.sync()
        assert "are kept to" not in it.command("doctor").out
        with contextlib.closing(sqlite3.connect(tmp_path / ".scimsync/state.db")) as database, database:
            ((client, known),) = database.execute("SELECT client, known FROM allowance WHERE known LIKE '%counts%'")
            learned = json.loads(known) | {"borne": 240.0, "seen": time.time(), "learned": time.time() - 7300}
            database.execute("UPDATE allowance SET known = ? WHERE client = ?", (json.dumps(learned), client))
        assert "240 requests a minute are kept to: more were refused 2 h 1 min ago" in it.command("doctor").out

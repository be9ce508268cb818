"""Waiting, budget and breaker on a virtual clock."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.adapters.target_limits import (
    Announced,
    Backoff,
    Breaker,
    Health,
    RetryBudget,
    announced,
    retry_after,
)
from scimsync.errors import TargetUnavailable
from scimsync.testing import VirtualClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("7", 7.0),
            (" 7\t", 7.0),
            ("0", 0.0),
            ("007", 7.0),
            ("86400", 86400.0),
            ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
            ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
            ("Thu, 01 Jan 2026 14:00:30 +0200", 30.0),
            ("Thursday, 01-Jan-26 12:00:30 GMT", 30.0),
            ("Thu Jan  1 12:00:30 2026", 30.0),
        ],
    )
    def test_seconds_and_dates_are_read(self, text: str, seconds: float) -> None:
        assert retry_after([text], NOON) == seconds

    @pytest.mark.parametrize(
        "text",
        [
            "", " ", "soon", "-5", "+5", "1e9", "1.5", "٣", "³", "7 seconds", "7,7", "0x10", "1_000", "nan", "inf",
            "9" * 13, "9" * 5000, "31622401", "Thu, 01 Jan 2026 11:59:30 GMT", "Thu, 01 Jan 2026 12:00:00 GMT",
            "Thu, 32 Jan 2026 12:00:30 GMT", "Thu, 01 Jan 9999 12:00:30 GMT", "Thu, 01 Jan 0001 00:00:00 +2359",
            "Thu, 01 Jan 2026", "01 Jan", "12:00:30", "\x00", "Thu, 01 Jan 2026 12:00:30 +99999999", "\ud800",
        ],
    )  # fmt: skip
    def test_whatever_is_unreadable_negative_past_or_absurd_is_left_to_our_own_backoff(self, text: str) -> None:
        assert retry_after([text], NOON) is None

    def test_no_header_and_two_headers_are_left_to_our_own_backoff(self) -> None:
        assert retry_after([], NOON) is None
        assert retry_after(["3", "4"], NOON) is None
        assert retry_after(["3", "3"], NOON) is None

    @given(st.text(max_size=40))
    def test_no_text_breaks_it(self, text: str) -> None:
        seconds = retry_after([text], NOON)
        assert seconds is None or 0 <= seconds <= 366 * 86400

    @given(st.integers(1, 30_000_000))
    def test_a_date_and_the_seconds_until_it_are_one(self, seconds: int) -> None:
        date = format_datetime(NOON + timedelta(seconds=seconds), usegmt=True)
        assert retry_after([date], NOON) == retry_after([str(seconds)], NOON) == seconds


class TestBackoff:
    @given(st.integers(), st.integers(1, 5000))
    def test_our_own_wait_is_never_beyond_a_minute(self, seed: int, attempt: int) -> None:
        backoff = Backoff(random.Random(seed))
        assert 0 <= backoff.delay(min(attempt, 900)) <= 60
        assert 0.1 <= backoff.throttled(None, min(attempt, 900)) <= 60

    @given(st.integers(), st.floats(0, 180))
    def test_what_the_target_asks_is_a_minimum_with_up_to_a_tenth_more(self, seed: int, asked: float) -> None:
        wait = Backoff(random.Random(seed)).throttled(asked, 1)
        assert asked + 0.1 <= wait + 1e-9
        assert wait <= asked * 1.1 + 0.1

    def test_refused_again_right_after_the_wait_means_a_longer_wait(self) -> None:
        backoff = Backoff(random.Random(1))
        assert backoff.throttled(7.0, 2) > 7 * 1.1 + 0.1


class TestAnnounced:
    def test_the_three_headers_are_read(self) -> None:
        headers = {"inin-ratelimit-allowed": "180", "inin-ratelimit-count": "12", "inin-ratelimit-reset": "61"}
        assert announced(headers) == Announced(180, 12, 61.0)

    @pytest.mark.parametrize("text", ["", "-1", "0", "many", "٣", "1.5", "9" * 30])
    def test_an_unreadable_limit_is_none(self, text: str) -> None:
        assert announced({"inin-ratelimit-allowed": text}) is None

    def test_count_and_reset_may_be_missing(self) -> None:
        assert announced({"inin-ratelimit-allowed": "300", "inin-ratelimit-reset": "x"}) == Announced(300)


class TestRetryBudget:
    def test_an_endless_refusal_ends_after_a_hundred_tries_of_everybody_together(self) -> None:
        budget = RetryBudget()
        tries = 0
        while budget.spend(RetryBudget.THROTTLED):
            tries += 1
        assert tries == 100

    def test_success_gives_its_cost_back_and_never_more_than_there_was(self) -> None:
        budget = RetryBudget()
        assert budget.spend(RetryBudget.TRANSIENT)
        budget.give_back(RetryBudget.TRANSIENT)
        budget.give_back(0)
        assert budget.left == RetryBudget.CAPACITY


class Down:
    """A target that is down until a time, and a breaker before it."""

    def __init__(self, until: float, patience: float = math.inf) -> None:
        self.clock = VirtualClock()
        self.until = until
        self.probes: list[float] = []
        self.said: list[str] = []
        self.breaker = Breaker(self.clock, self.probe, self.said.append, name="api.test", patience_s=patience)

    async def probe(self) -> bool:
        self.probes.append(self.clock.monotonic())
        await self.clock.sleep(1)
        return self.clock.monotonic() >= self.until

    def fail(self, times: int, health: Health = Health.BAD) -> None:
        for _ in range(times):
            self.breaker.record(health, "status 503")

    def run(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        asyncio.run(work())


class TestBreaker:
    def test_ten_failures_among_the_last_twenty_open_it(self) -> None:
        down = Down(0)
        for _ in range(9):
            down.breaker.record(Health.GOOD)
            down.fail(1)
        assert not down.breaker.is_open
        down.breaker.record(Health.GOOD)
        down.fail(1)
        assert down.breaker.is_open
        assert "status 503" in down.said[0]

    def test_failures_here_and_there_do_not_open_it(self) -> None:
        down = Down(0)
        for _ in range(200):
            down.breaker.record(Health.GOOD)
            down.breaker.record(Health.GOOD)
            down.fail(1)
        assert not down.breaker.is_open

    def test_ten_refused_connections_in_a_row_open_it(self) -> None:
        down = Down(0)
        down.fail(9, Health.UNREACHABLE)
        assert not down.breaker.is_open
        down.fail(1, Health.UNREACHABLE)
        assert down.breaker.is_open

    def test_fifty_waiting_callers_send_one_probe_and_all_go_on(self) -> None:
        down = Down(0)
        down.fail(10)

        async def run() -> None:
            await asyncio.gather(*(down.breaker.admit() for _ in range(50)))

        asyncio.run(run())
        assert down.probes == [30.0]
        assert not down.breaker.is_open
        assert "serves again" in down.said[-1]

    def test_each_failed_probe_doubles_the_time_up_to_ten_minutes(self) -> None:
        down = Down(1800)
        down.fail(10)

        async def run() -> None:
            await asyncio.gather(*(down.breaker.admit() for _ in range(8)))

        asyncio.run(run())
        gaps = [b - a for a, b in pairwise(down.probes)]
        assert gaps == [61, 121, 241, 481, 601, 601]
        assert len(down.probes) <= 30

    def test_who_has_no_patience_left_is_told_what_happened_and_what_to_do(self) -> None:
        down = Down(math.inf, patience=120)
        down.fail(10)

        async def run() -> None:
            answers = await asyncio.gather(*(down.breaker.admit() for _ in range(5)), return_exceptions=True)
            assert all(isinstance(answer, TargetUnavailable) for answer in answers)
            assert "api.test" in str(answers[0])
            assert "status 503" in str(answers[0])
            assert "start the same command again" in str(answers[0])

        asyncio.run(run())
        assert down.clock.monotonic() <= 121
        assert len(down.probes) == 2

    def test_a_probe_that_is_cancelled_leaves_the_next_one_to_somebody_else(self) -> None:
        down = Down(0)
        down.fail(10)

        async def run() -> None:
            first = asyncio.create_task(down.breaker.admit())
            second = asyncio.create_task(down.breaker.admit())
            await down.clock.sleep(30.5)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await second

        asyncio.run(run())
        assert len(down.probes) == 2
        assert not down.breaker.is_open

    def test_what_was_on_its_way_when_it_opened_is_not_counted_again(self) -> None:
        down = Down(0)
        down.fail(18)
        asyncio.run(_await(down.breaker.admit()))
        assert not down.breaker.is_open
        down.fail(9)
        assert not down.breaker.is_open


async def _await(work: Awaitable[None]) -> None:
    await work

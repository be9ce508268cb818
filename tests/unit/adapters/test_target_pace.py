"""The pace of requests on a virtual clock: spreading, lanes, refusals, and a limit that is learned."""

from __future__ import annotations

import asyncio
import math
import random
from itertools import pairwise

import pytest

from scimsync.adapters.target_allowance import SLOWEST
from scimsync.adapters.target_limits import Announced, Backoff
from scimsync.adapters.target_pace import Pace
from scimsync.engine.urgency import urgently
from scimsync.testing import VirtualClock


def takes(clock: VirtualClock, pace: Pace, workers: int, each: int) -> list[tuple[float, int]]:
    """When which worker was let through."""
    seen: list[tuple[float, int]] = []

    async def work(worker: int) -> None:
        for _ in range(each):
            seen.extend([(await pace.take(), worker)])

    async def run() -> None:
        await asyncio.gather(*(work(n) for n in range(workers)))

    asyncio.run(run())
    return seen


class TestPace:
    def test_requests_are_spread_evenly_after_a_burst_of_five(self) -> None:
        clock = VirtualClock()
        times = [at for at, _ in takes(clock, Pace(clock, 60, 300), 1, 12)]
        assert times[:5] == [0.0] * 5
        assert times[5:] == pytest.approx([1, 2, 3, 4, 5, 6, 7])

    @pytest.mark.parametrize(("granted", "at_once"), [(60, 5), (300, 9), (3000, 10)])
    def test_what_a_minute_leaves_over_may_go_at_once(self, granted: int, at_once: int) -> None:
        clock = VirtualClock()
        times = [at for at, _ in takes(clock, Pace(clock, None, granted), 1, granted + 20)]
        assert [at for at in times if at == 0.0] == [0.0] * at_once
        assert sum(at < 60.0 for at in times) <= max(granted, 0.97 * granted + 5)

    def test_waiters_are_served_in_the_order_they_came(self) -> None:
        clock = VirtualClock()
        seen = takes(clock, Pace(clock, 60, 300), 20, 1)
        assert [worker for _, worker in seen] == list(range(20))

    def test_what_takes_access_goes_before_everybody_who_waits(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, 60, 300)
        went: list[str] = []

        async def work(name: str) -> None:
            with urgently(when=name == "leaver"):
                await pace.take()
            went.append(name)

        async def run() -> None:
            tasks = [asyncio.create_task(work(f"update {n}")) for n in range(1000)]
            await clock.sleep(0.5)
            tasks.append(asyncio.create_task(work("leaver")))
            await asyncio.gather(*tasks)

        asyncio.run(run())
        assert went.index("leaver") == 5  # the burst was gone by then
        assert went.index("update 999") == 1000

    def test_whoever_stops_waiting_lets_the_others_go_on(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, 60, 300)

        async def run() -> None:
            tasks = [asyncio.create_task(pace.take()) for _ in range(20)]
            await clock.sleep(0.5)
            for task in (tasks[5], tasks[6], tasks[12]):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(run())
        assert clock.monotonic() == pytest.approx(12)

    def test_a_dialect_that_knows_no_limit_is_not_paced_until_one_is_met(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, None, 0)
        assert {at for at, _ in takes(clock, pace, 10, 100)} == {0.0}
        for _ in range(1000):
            pace.served()
        clock.advance(90)
        for _ in range(300):
            pace.served()
        asyncio.run(pace.penalise(30.0, 89.0, 30.0))
        assert pace.rate == pytest.approx(297)

    def test_zero_means_no_pacing_whatever_is_announced(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, 0, 300)
        pace.observe(Announced(60, 60, 30))
        assert {at for at, _ in takes(clock, pace, 10, 100)} == {0.0}
        assert math.isinf(pace.rate)

    @pytest.mark.parametrize(
        ("configured", "said", "rate"),
        [
            (None, None, 291),
            (None, 300, 291),
            (None, 3000, 2910),
            (None, 180, 174.6),
            (100, None, 100),
            (100, 300, 100),
            (300, 180, 174.6),
            (300, 300, 291),
            (1000, None, 1000),
        ],
    )
    def test_the_rate_is_the_smaller_of_configured_and_announced(
        self, configured: int | None, said: int | None, rate: float
    ) -> None:
        pace = Pace(VirtualClock(), configured, 300)
        if said:
            pace.observe(Announced(said))
        assert pace.rate == pytest.approx(rate)

    def test_a_used_up_minute_is_waited_out_before_a_refusal(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, None, 300)
        pace.observe(Announced(300, 300, 20))
        assert takes(clock, pace, 1, 1)[0][0] == pytest.approx(20)

    @pytest.mark.parametrize("configured", [0, 60])
    def test_a_refusal_pauses_everybody(self, configured: int) -> None:
        clock = VirtualClock()
        pace = Pace(clock, configured, 300)
        seen: list[float] = []

        async def work() -> None:
            seen.append(await pace.take())

        async def run() -> None:
            tasks = [asyncio.create_task(work()) for _ in range(20)]
            await clock.sleep(0.5)
            sent = len(seen)
            await pace.penalise(7.0, 0.4)
            await pace.penalise(3.0, 0.4)
            tasks += [asyncio.create_task(work()) for _ in range(5)]
            await asyncio.gather(*tasks)
            assert all(at >= 7.5 for at in seen[sent:])
            assert not seen[sent:] or seen[sent] <= 8.5

        asyncio.run(run())
        assert seen == sorted(seen)
        assert len(seen) == 25

    def test_after_a_pause_there_is_no_burst(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, 60, 300)
        asyncio.run(pace.penalise(7.0, 0.0))
        times = [at for at, _ in takes(clock, pace, 8, 1)]
        gaps = [b - a for a, b in pairwise(times)]
        assert times[0] == pytest.approx(7.0)
        assert min(gaps) > 0.9

    def test_requests_of_one_storm_lower_the_rate_once(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, 100, 300)
        clock.advance(10)
        for _ in range(8):
            asyncio.run(pace.penalise(1.0, 9.5))
        assert pace.rate == pytest.approx(70)

    def test_the_rate_climbs_back_where_it_is_used_and_stops_at_the_ceiling(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, 100, 300)
        rates = []

        async def work() -> None:
            await pace.penalise(5.0, 0.0)
            for _ in range(700):
                await pace.take()
                pace.served()
                rates.append(pace.rate)

        asyncio.run(work())
        assert rates[0] == pytest.approx(70)
        assert rates[-1] == 100
        assert clock.monotonic() < 600

    def test_refused_again_and_again_it_never_goes_below_six_a_minute(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, 100, 300)
        for _ in range(50):
            clock.advance(1)
            pace.served()
            asyncio.run(pace.penalise(0.5, clock.monotonic()))
        assert pace.rate == SLOWEST

    def test_refused_without_a_word_one_request_looks_and_later_each_time(self) -> None:
        clock = VirtualClock()
        pace = Pace(clock, 600, 300)
        times: list[float] = []

        async def work() -> None:
            while clock.monotonic() < 100:
                times.append(at := await pace.take())
                await clock.sleep(0.5)
                await pace.penalise(0.1, at)

        async def run() -> None:
            await asyncio.gather(*(work() for _ in range(8)))

        asyncio.run(run())
        later = [at for at in times if 1 < at < 90]
        assert len(later) <= 8
        gaps = [b - a for a, b in pairwise(later)]
        assert all(b >= a for a, b in pairwise(gaps[:5]))
        assert max(gaps) <= 31

    @pytest.mark.parametrize(("hidden", "least", "share"), [(300, 0.95, 0.005), (180, 0.9, 0.03)])
    def test_a_hidden_limit_is_found_and_used(self, hidden: int, least: float, share: float) -> None:
        """F17: the header says 300, the target grants `hidden` in each minute."""
        clock = VirtualClock()
        pace = Pace(clock, None, 300)
        backoff = Backoff(random.Random(3))
        served: dict[int, int] = {}
        refused: dict[int, int] = {}

        async def work() -> None:
            while clock.monotonic() < 900:
                sent_at = await pace.take()
                await clock.sleep(0.1)
                minute = int(clock.monotonic() // 60)
                if served.get(minute, 0) >= hidden:
                    refused[minute] = refused.get(minute, 0) + 1
                    asked = float(math.ceil(60 - clock.monotonic() % 60))
                    await pace.penalise(backoff.throttled(asked, 1), sent_at, asked)
                else:
                    served[minute] = served.get(minute, 0) + 1
                    pace.observe(Announced(300, 10, 30))
                    pace.served()

        async def run() -> None:
            await asyncio.gather(*(work() for _ in range(8)))

        asyncio.run(run())
        good = sum(n for minute, n in served.items() if 1 <= minute < 15)
        bad = sum(n for minute, n in refused.items() if 1 <= minute < 15)
        assert good >= least * hidden * 14
        assert bad <= share * (good + bad)

"""A limit is kept where it was told, found where it was not, and kept together where several send."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.limited import KINDS, Counted
from tests.soak import examples

from scimsync.adapters.target_allowance import Allowance, Refusal, Terms

WORKERS = 8


@dataclass
class Found:
    """What came of a while."""

    served: int = 0
    refused: int = 0


def play(
    counted: Counted, allowance: Allowance, terms: Terms, rng: random.Random, *, since: float, until: float,
    tells: bool = True,
) -> Found:  # fmt: skip
    """Workers that always have something to ask; answers take a tenth of a second to half a second.

    A refusal says how long to wait, or says nothing (`tells`).
    """
    found, free = Found(), [since] * WORKERS
    answers: list[tuple[float, float, float]] = []
    order = max(0.1, rng.random() / 2)
    while True:
        now = free[0]
        at = max(now, allowance.grant(terms, now, 1)[0])
        while answers and answers[0][0] <= at:
            came, sent, wait = heapq.heappop(answers)
            if not wait:
                allowance.served(terms, came)
                continue
            asked = float(max(1, math.ceil(wait))) if tells else None
            more = max(0.1, 0.1 * (asked or 10.0) * rng.random())
            allowance.refuse(terms, Refusal(came, sent, came + (asked or 0.0) + more, asked))
            if at < allowance.held:  # whoever had a turn waits for another
                at = allowance.grant(terms, allowance.held, 1)[0]
        if at >= until:
            return found
        heapq.heappop(free)
        arrives = at + order * rng.uniform(0.3, 0.7)
        wait = counted.ask(arrives)
        found.served += not wait
        found.refused += bool(wait)
        heapq.heappush(answers, (at + order, at, wait))
        heapq.heappush(free, at + order)


@settings(max_examples=examples(200, 5))
@given(st.sampled_from(KINDS), st.integers(30, 1200), st.integers(0, 2**32), st.floats(0, 60))
def test_a_limit_that_is_told_is_never_exceeded_and_nine_tenths_of_it_are_used(
    kind: str, limit: int, seed: int, since: float
) -> None:
    counted, allowance = Counted(kind, limit), Allowance()
    allowance.announce(limit)
    found = play(counted, allowance, Terms(None, 300), random.Random(seed), since=since, until=since + 600)
    assert found.refused == 0
    assert found.served >= 0.9 * limit * 10


@settings(max_examples=examples(200, 5))
@given(st.sampled_from(KINDS), st.integers(60, 900), st.integers(0, 2**32), st.floats(0, 60), st.booleans())
def test_a_limit_that_nobody_tells_is_found_and_used_and_hardly_ever_met(
    kind: str, limit: int, seed: int, since: float, tells: bool
) -> None:
    counted, allowance, terms, rng = Counted(kind, limit), Allowance(), Terms(None, 300), random.Random(seed)
    play(counted, allowance, terms, rng, since=since, until=since + 900, tells=tells)
    found = play(counted, allowance, terms, rng, since=since + 900, until=since + 2700, tells=tells)
    assert found.refused < 0.01 * (found.served + found.refused)
    assert found.served >= (0.9 if tells else 0.8) * limit * 30


@settings(max_examples=examples(200, 5))
@given(st.sampled_from(KINDS), st.integers(60, 900), st.integers(60, 900), st.integers(0, 2**32))
def test_a_limit_that_moves_is_followed(kind: str, before: int, after: int, seed: int) -> None:
    counted, allowance, terms, rng = Counted(kind, before), Allowance(), Terms(None, 300), random.Random(seed)
    play(counted, allowance, terms, rng, since=0.0, until=600.0)
    counted.limit = after
    play(counted, allowance, terms, rng, since=600.0, until=1500.0)
    found = play(counted, allowance, terms, rng, since=1500.0, until=2100.0)
    assert found.refused < 0.015 * (found.served + found.refused)
    assert found.served >= 0.88 * after * 10


@settings(max_examples=examples(200, 5))
@given(st.sampled_from(KINDS), st.integers(60, 900), st.lists(st.integers(1, 8), min_size=2, max_size=6), st.data())
def test_processes_that_lease_from_one_row_stay_below_its_limit_together(
    kind: str, limit: int, wanted: list[int], data: st.DataObject
) -> None:
    """Each has one lease at a time, and asks for the next when it has sent what it had."""
    terms, row, counted = Terms(None, 300), Allowance(), Counted(kind, limit)
    row.announce(limit)
    now = data.draw(st.floats(0, 60))
    end, sends = now + 180, [(now, n) for n in range(len(wanted))]
    heapq.heapify(sends)
    times: list[float] = []
    while sends[0][0] < end:
        at, process = heapq.heappop(sends)
        row = msgspec.json.decode(msgspec.json.encode(row), type=Allowance)
        slots = row.grant(terms, at, wanted[process], 1.0)
        times += slots
        heapq.heappush(sends, (slots[-1], process))
    assert not any(counted.ask(time) for time in sorted(times))
    assert len([time for time in times if time < end]) >= 0.9 * limit * 3


def test_more_refusals_at_once_than_are_saved_up_do_not_end_the_search_for_more() -> None:
    allowance, terms, rng = Allowance(), Terms(None, 300), random.Random(1)
    counted = Counted("clock", 100)
    play(counted, allowance, terms, rng, since=0.0, until=600.0)
    for late in range(12):
        allowance.refuse(terms, Refusal(600.0 + late / 100, 599.0, 610.0, 10.0))
    counted.limit = 600
    found = play(counted, allowance, terms, rng, since=600.0, until=3000.0)
    assert found.served >= 0.5 * 600 * 40

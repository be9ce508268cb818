"""What becomes of a message, and of the patience with an endpoint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.core.delivery import (
    DOWN,
    JITTER,
    LONGEST_REST_S,
    PATIENCE,
    SCHEDULE,
    Health,
    decisive,
    is_taken,
    pause,
    settle,
)
from scimsync.model.events import Message, MessageState, Receipt

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def message(attempts: int = 0) -> Message:
    return Message(
        id="msg_1", endpoint="e", person="E1", type="t", body=b"{}", created=NOW, due=NOW, attempts=attempts, seq=1
    )


def test_the_schedule_is_that_of_the_specification_and_lasts_three_days() -> None:
    assert len(SCHEDULE) == 10
    assert sum(SCHEDULE) / 3600 == pytest.approx(75.6, abs=0.1)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_only_2xx_is_a_yes(status: int) -> None:
    done = settle(message(), Receipt(status=status), NOW, 0.5)
    assert (done.state, done.delivered, done.attempts) == (MessageState.DELIVERED, NOW, 1)


@pytest.mark.parametrize("status", [0, 199, 301, 302, 304, 400, 401, 404, 408, 409, 429, 500, 502, 503, 504])
def test_everything_else_is_tried_again(status: int) -> None:
    again = settle(message(), Receipt(status=status, detail="no"), NOW, 0.5)
    assert again.state is MessageState.PENDING
    assert again.due > NOW
    assert again.detail == "no"


def test_410_is_dead_at_once() -> None:
    assert settle(message(), Receipt(status=410), NOW, 0.5).state is MessageState.DEAD


@given(st.floats(0, 1))
def test_a_letter_that_never_arrives_is_dead_after_ten_tries_within_the_jitter(chance: float) -> None:
    held, now, waits = message(), NOW, []
    while held.state is MessageState.PENDING:
        held = settle(held, Receipt(status=500), now, chance)
        waits.append((held.due - now).total_seconds())
        now = held.due
    assert held.attempts == 10
    for wait, planned in zip(waits, SCHEDULE[1:], strict=False):
        assert abs(wait - planned) <= planned * JITTER + 0.001
    assert (held.state, held.body) == (MessageState.DEAD, b"{}")


@pytest.mark.parametrize(
    ("receipt", "seconds"),
    [
        (Receipt(status=429), 60),
        (Receipt(status=502), 60),
        (Receipt(status=504), 60),
        (Receipt(status=500), 0),
        (Receipt(status=503, retry_after_s=120.0), 120),
        (Receipt(status=429, retry_after_s=5.0), 5),
        (Receipt(status=429, retry_after_s=-5.0), 0),
        (Receipt(status=503, retry_after_s=1e9), 24 * 3600),
        (Receipt(status=200, retry_after_s=120.0), 0),
    ],
)
def test_a_receiver_that_asks_for_it_is_left_alone(receipt: Receipt, seconds: float) -> None:
    assert pause(receipt) == seconds
    if not is_taken(receipt):
        assert settle(message(), receipt, NOW, 0.5).due >= NOW + timedelta(seconds=seconds)


def test_an_endpoint_is_sick_after_failures_of_its_own_and_well_after_one_success() -> None:
    health = Health()
    for number in range(1, 40):
        health = health.after(Receipt(status=0))
        assert health.sick is (number >= PATIENCE)
        assert health.down is (number >= DOWN)
        assert health.rest_s <= LONGEST_REST_S
    assert health.after(Receipt(status=204)) == Health()


def test_a_letter_that_is_refused_says_nothing_of_the_endpoint() -> None:
    sick = Health(5)
    assert sick.after(Receipt(status=400)) == sick
    assert sick.after(Receipt(status=429)) == Health(6)


def test_of_a_batch_the_answer_counts_that_says_most_of_the_endpoint() -> None:
    ok, gone, bad, down = (Receipt(status=status) for status in (204, 410, 400, 503))
    assert decisive([bad, down, ok]) == ok
    assert decisive([ok, down, gone]) == gone
    assert decisive([bad, down]) == down
    assert decisive([bad, bad]) == bad

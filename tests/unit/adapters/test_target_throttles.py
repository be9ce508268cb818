"""What answers say of limits, in every dress that was met."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.adapters.target_limits import Announced
from scimsync.adapters.target_throttles import in_milliseconds, is_spent, is_throttle, policy_of, wait_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOON = NOON + timedelta(seconds=30)
EPOCH = int(SOON.timestamp())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Retry-After-Ms", "30000"),
        ("x-ms-retry-after-ms", "30000"),
        ("X-Retry-After", "30"),
        ("RateLimit-Reset", "30"),
        ("RateLimit", '"default";r=0;t=30'),
        ("RateLimit", "limit=10, remaining=0, reset=30, t=30"),
        ("X-RateLimit-Reset", str(EPOCH)),
        ("X-Rate-Limit-Reset", str(EPOCH)),
        ("X-RateLimit-Reset", f"{EPOCH}000"),
        ("X-RateLimit-Reset", SOON.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("X-RateLimit-Reset", format_datetime(SOON, usegmt=True)),
        ("X-RateLimit-Reset-After", "30.0"),
        ("x-ratelimit-reset-requests", "30s"),
        ("x-ratelimit-reset-tokens", "30000ms"),
        ("inin-ratelimit-reset", "30"),
    ],
)
def test_a_wait_is_read_from_every_header_that_tells_one(name: str, text: str) -> None:
    assert wait_of({name: text}, [], NOON) == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("1.5", 1.5),
        ("30s", 30),
        ("1m30s", 90),
        ("250ms", 0.25),
        (str(EPOCH), 30),
        ("soon", None),
        ("", None),
    ],
)
def test_a_retry_after_may_be_a_number_a_span_or_a_moment(text: str, seconds: float | None) -> None:
    assert wait_of({"Retry-After": text}, [text], NOON) == seconds


def test_a_retry_after_counts_before_all_others_and_the_shortest_of_the_rest() -> None:
    both = {"Retry-After": "7", "X-RateLimit-Reset": "3"}
    assert wait_of(both, ["7"], NOON) == 7
    assert wait_of({"X-RateLimit-Reset-Day": "3000", "X-RateLimit-Reset": "3"}, [], NOON) == 3


@pytest.mark.parametrize("text", [str(EPOCH - 60), "-5", "9" * 16, "9" * 5000, "\ud800", "٣", "reset", "h", ";t=", "t"])
def test_what_is_past_or_unreadable_tells_no_wait(text: str) -> None:
    assert wait_of({"X-RateLimit-Reset": text}, [], NOON) is None


@given(st.text(max_size=40), st.sampled_from(["RateLimit", "RateLimit-Policy", "X-RateLimit-Reset", "Retry-After-Ms"]))
def test_no_text_breaks_it(text: str, name: str) -> None:
    seconds = wait_of({name: text}, [text], NOON)
    assert seconds is None or seconds >= 0
    policy_of({name: text})
    is_spent({name: text})


@pytest.mark.parametrize(
    ("status", "headers", "content", "told"),
    [
        (429, {}, b"", True),
        (420, {}, b"", True),
        (403, {"Retry-After": "3"}, b"", True),
        (403, {"X-RateLimit-Remaining": "0"}, b"", True),
        (403, {"X-RateLimit-Remaining": "9"}, b"", False),
        (403, {}, b'{"error": {"errors": [{"reason": "rateLimitExceeded"}]}}', True),
        (400, {}, b'{"__type": "ThrottlingException"}', True),
        (400, {}, b'{"scimType": "invalidValue", "detail": "title"}', False),
        (403, {}, b'{"scimType": "tooMany"}', False),
        (404, {"Retry-After": "3"}, b"throttled", False),
        (503, {"Retry-After": "3"}, b"", False),
        (200, {"X-RateLimit-Remaining": "0"}, b"rate limit", False),
    ],
)
def test_a_throttle_is_known_in_other_dresses(
    status: int, headers: dict[str, str], content: bytes, *, told: bool
) -> None:
    assert is_throttle(status, headers, content) is told


@pytest.mark.parametrize(
    ("headers", "rate"),
    [
        ({"RateLimit-Limit": "100, 100;w=60"}, 100),
        ({"RateLimit-Policy": "10;w=1"}, 600),
        ({"RateLimit-Policy": '"a";q=100;w=60,"b";q=30;w=60'}, 30),
        ({"RateLimit-Policy": "1000;w=86400"}, None),
        ({"X-RateLimit-Limit": "100"}, None),
        ({"RateLimit-Policy": "0;w=60"}, None),
    ],
)
def test_a_policy_tells_a_rate_where_it_names_its_window(headers: dict[str, str], rate: int | None) -> None:
    assert policy_of(headers) == (None if rate is None else Announced(rate))


def test_thousands_may_be_milliseconds() -> None:
    assert [in_milliseconds([text]) for text in ("2000", "60000", "181", "86400", "soon")] == [
        2,
        60,
        None,
        None,
        None,
    ]
    assert in_milliseconds(["2000", "2000"]) is None

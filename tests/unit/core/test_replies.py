"""What an answer means: the table of the reliability reference, row by row."""

from __future__ import annotations

import pytest
from tests.factories import make_reply, refusal

from scimsync.core.replies import Next, decide, is_conflict
from scimsync.model.outcomes import Exchange

WRITES = ["POST", "PUT", "PATCH", "DELETE"]
CHANGES = ["PUT", "PATCH", "DELETE"]


@pytest.mark.parametrize("method", WRITES)
def test_what_was_never_sent_waits_for_a_later_run(method: str) -> None:
    assert decide(make_reply(method=method, exchange=Exchange.NOT_SENT)) is Next.DEFER


@pytest.mark.parametrize("method", WRITES)
def test_a_lost_answer_is_settled_by_reading(method: str) -> None:
    assert decide(make_reply(method=method, exchange=Exchange.LOST)) is Next.SETTLE


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_yes_with_a_body_is_compared_with_what_was_wanted(status: int) -> None:
    assert decide(make_reply(status, body={"id": "u1"})) is Next.CONFIRM


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_yes_without_a_readable_body_is_read_back(status: int) -> None:
    assert decide(make_reply(status)) is Next.READ_BACK


@pytest.mark.parametrize("method", CHANGES)
@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_is_planned_again(method: str, status: int) -> None:
    assert decide(refusal(status, method=method)) is Next.REPLAN


@pytest.mark.parametrize("method", CHANGES)
@pytest.mark.parametrize(
    ("scim_type", "detail"),
    [
        ("invalidVers", ""),
        ("", "The provided version does not match the current version."),
        ("invalidValue", "Version 3 is not current"),
        ("", "version: mismatch, it must match"),
    ],
)
def test_a_400_about_the_version_is_a_conflict(method: str, scim_type: str, detail: str) -> None:
    assert decide(refusal(400, method=method, scim_type=scim_type, detail=detail)) is Next.REPLAN


@pytest.mark.parametrize("detail", ["", "bad value", "this API version is old", "the current value"])
def test_any_other_400_is_held(detail: str) -> None:
    assert decide(refusal(400, detail=detail, scim_type="invalidValue")) is Next.HOLD
    assert decide(make_reply(400)) is Next.HOLD


def test_409_on_a_post_means_that_the_name_is_taken() -> None:
    assert decide(refusal(409, method="POST")) is Next.LOOK_UP
    assert not is_conflict(refusal(409, method="POST"))


@pytest.mark.parametrize("status", [400, 412])
def test_a_post_has_no_version_to_lose(status: int) -> None:
    assert decide(refusal(status, method="POST", scim_type="invalidVers")) is Next.HOLD


@pytest.mark.parametrize("method", CHANGES)
def test_404_means_that_the_account_is_gone(method: str) -> None:
    assert decide(refusal(404, method=method)) is Next.GONE


@pytest.mark.parametrize(
    ("status", "method"), [(403, "PATCH"), (404, "POST"), (413, "PATCH"), (415, "PATCH"), (422, "POST")]
)
def test_a_plain_refusal_is_held_for_a_person(status: int, method: str) -> None:
    assert decide(refusal(status, method=method)) is Next.HOLD


@pytest.mark.parametrize("method", WRITES)
def test_a_401_that_outlived_the_renewal_of_the_token_is_held(method: str) -> None:
    assert decide(refusal(401, method=method)) is Next.HOLD


@pytest.mark.parametrize("method", WRITES)
def test_throttling_never_counts_as_unknown(method: str) -> None:
    assert decide(refusal(429, method=method)) is Next.DEFER


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_in_trouble_may_have_written(method: str, status: int) -> None:
    assert decide(refusal(status, method=method)) is Next.SETTLE


def test_503_with_a_pause_is_unknown_all_the_same() -> None:
    assert decide(make_reply(503, retry_after_s=7.0)) is Next.SETTLE


@pytest.mark.parametrize("status", [301, 302, 307, 308, 418, 501])
def test_what_nobody_expects_is_held(status: int) -> None:
    assert decide(refusal(status)) in {Next.HOLD, Next.SETTLE}

"""What an answer means: the table of the reliability reference, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import make_reply, refusal

from scimsync.core.replies import NOT_NOW, REFUSED, Next, decide, is_conflict, words
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
    ("status", "method"),
    [(403, "PATCH"), (404, "POST"), (405, "PATCH"), (413, "PATCH"), (415, "PATCH"), (422, "POST"), (501, "PATCH")],
)
def test_a_plain_refusal_is_held_for_a_person(status: int, method: str) -> None:
    assert decide(refusal(status, method=method)) is Next.HOLD


@pytest.mark.parametrize("method", WRITES)
def test_a_401_that_outlived_the_renewal_of_the_token_says_nothing_about_the_person(method: str) -> None:
    assert decide(refusal(401, method=method)) is Next.DEFER
    assert "token" in words(refusal(401, method=method))


def test_a_403_is_told_as_what_it_is() -> None:
    assert words(refusal(403, detail="missing role")) == "403 missing role (the credentials do not allow this)"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(
    ("scim_type", "detail"),
    [
        ("uniqueness", ""),
        ("UNIQUENESS", ""),
        ("", "A user with this EMAIL already exists"),
        ("", "Duplicate userName"),
        ("", "the userName is used by another user"),
        ("", "userName must be Unique"),
    ],
)
def test_a_value_that_somebody_else_has_is_no_race(method: str, scim_type: str, detail: str) -> None:
    assert decide(refusal(409, method=method, scim_type=scim_type, detail=detail)) is Next.HOLD


@pytest.mark.parametrize(
    ("scim_type", "detail"),
    [
        ("invalidVers", "already used"),
        ("", "version 3 is already taken by another write"),
        ("", "the resource was changed by another user"),
    ],
)
def test_a_409_about_the_version_is_a_race_in_whatever_words(scim_type: str, detail: str) -> None:
    assert decide(refusal(409, scim_type=scim_type, detail=detail)) is Next.REPLAN


@pytest.mark.parametrize("method", WRITES)
def test_throttling_never_counts_as_unknown(method: str) -> None:
    assert decide(refusal(429, method=method)) is Next.DEFER


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_in_trouble_may_have_written(method: str, status: int) -> None:
    assert decide(refusal(status, method=method)) is Next.SETTLE


def test_503_with_a_pause_is_unknown_all_the_same() -> None:
    assert decide(make_reply(503, retry_after_s=7.0)) is Next.SETTLE


@pytest.mark.parametrize("method", WRITES)
@given(status=st.integers(300, 999).filter(lambda status: status not in REFUSED | NOT_NOW))
def test_whatever_is_not_known_to_have_failed_is_unknown(method: str, status: int) -> None:
    assert decide(refusal(status, method=method)) is Next.SETTLE


@pytest.mark.parametrize("status", [301, 302, 307, 308, 408, 418, 499, 500, 503, 507, 520, 522, 524, 529, 599])
def test_the_lists_of_what_failed_hold_nothing_that_may_have_worked(status: int) -> None:
    assert status not in REFUSED | NOT_NOW

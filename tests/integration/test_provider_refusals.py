"""Whole runs against servers on which a write does not take: one look, and the server's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.servers import Answer, Provider, account, firm, last

from scimsync.model.outcomes import Status
from scimsync.scim.messages import scim_error


class Stubborn(Provider):
    """Answers every PATCH in one way, and does nothing."""

    status, body = 204, None

    def __init__(self, status: int, body: object, *, versioned: bool = True) -> None:
        super().__init__(account(1, title="Old"), account(2, title="Old"))
        self.status, self.body, self.versioned = status, body, versioned  # type: ignore[assignment]

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        return Answer(self.status, self.body)


NO = "title is kept by Workday"


@pytest.mark.parametrize(
    ("status", "body", "end", "code", "most"),
    [
        (204, None, Status.HELD, "write.mismatch", 1),
        (200, scim_error(400, NO), Status.HELD, "write.mismatch", 1),
        (200, {"status": "400", "message": NO}, Status.HELD, "write.mismatch", 1),
        (409, scim_error(409, NO, "uniqueness"), Status.FAILED, "target.refused", 1),
        (409, scim_error(409, NO), Status.FAILED, "target.refused", 1),
        (412, scim_error(412, NO), Status.FAILED, "target.refused", 8),
        (500, scim_error(500, NO), Status.DEFERRED, "target.not-now", 4),
    ],
)
@pytest.mark.parametrize("versioned", [True, False])
def test_a_write_that_does_not_take_is_no_race(
    tmp_path: Path, status: int, body: object, end: Status, code: str, most: int, *, versioned: bool
) -> None:
    provider = Stubborn(status, body, versioned=versioned)
    with firm(tmp_path, provider) as it:
        it.configure(target="workers = 1")
        it.hr({"id": 1, "title": "New"}, {"id": 2, "title": "Old"})
        _, report = it.sync()
        outcome = last(report, 1)
        assert (outcome.status, outcome.code) == (end, code)
        assert outcome.races <= 2
        assert body is None or NO in outcome.detail
        assert len(provider.sent("PATCH")) <= most


def test_an_error_within_a_success_makes_nobody_wait_for_an_account_that_was_refused(tmp_path: Path) -> None:
    class Polite(Provider):
        def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
            return Answer(200, scim_error(400, NO, "invalidValue"))

    provider = Polite()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        _, report = it.sync()
        assert last(report, 1).code == "target.refused"
        assert NO in last(report, 1).detail
        assert len(provider.sent("POST")) == 1

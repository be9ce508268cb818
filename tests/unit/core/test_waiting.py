"""A run ends with 0 only where nobody and nothing waits."""

from __future__ import annotations

import pytest
from tests.factories import make_finding, make_plan

from scimsync.core.waiting import waits


@pytest.mark.parametrize("code", ["source.blanks", "account.active-unknown", "target.incomplete"])
def test_what_was_left_alone_waits(code: str) -> None:
    assert waits(make_plan(findings=(make_finding(code=code, holds=False),)))


def test_a_plan_with_nothing_to_tell_waits_for_nothing() -> None:
    assert not waits(make_plan(findings=()))

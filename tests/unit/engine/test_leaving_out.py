"""Whom leaving something out of a plan must not forget."""

from __future__ import annotations

import pytest
from tests.factories import make_change, make_delta, make_plan
from tests.unit.core.test_trimming import trimmed

from scimsync.engine import trimming
from scimsync.errors import ConfigError


def test_whoever_takes_over_an_account_cannot_be_left_out_because_the_link_would_move_all_the_same() -> None:
    plan = make_plan(
        changes=tuple(make_change(key, deltas=(make_delta(),)) for key in ("A", "B")), moved={"B": "former"}
    )
    with pytest.raises(ConfigError, match="B takes over the account of former"):
        trimming._check(plan, trimmed(plan, users=["B"]))
    trimming._check(plan, trimmed(plan, users=["A"]))

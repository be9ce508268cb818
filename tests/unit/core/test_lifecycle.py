"""Joiner, mover, leaver, rehire."""

from __future__ import annotations

import pytest

from scimsync.core.lifecycle import ORDER, of_pair
from scimsync.model.plans import Action, Lifecycle


@pytest.mark.parametrize("held", [True, False, None])
def test_writing_inactive_is_a_leaver(*, held: bool | None) -> None:
    assert of_pair(wanted=False, held=held, writes=True) == (Action.DISABLE, Lifecycle.LEAVER)


def test_writing_active_where_the_account_is_not_is_a_rehire() -> None:
    assert of_pair(wanted=True, held=False, writes=True) == (Action.ENABLE, Lifecycle.REHIRE)


@pytest.mark.parametrize(
    ("wanted", "held", "writes"),
    [(True, True, False), (False, True, False), (True, False, False), (None, True, False)],
)
def test_everything_else_is_a_mover(*, wanted: bool | None, held: bool | None, writes: bool) -> None:
    assert of_pair(wanted=wanted, held=held, writes=writes) == (Action.UPDATE, Lifecycle.MOVER)


def test_who_loses_access_goes_first_then_who_needs_it() -> None:
    order = [Action.DISABLE, Action.CREATE, Action.RESTORE, Action.ENABLE, Action.UPDATE, Action.DELETE]
    assert sorted(Action, key=ORDER.__getitem__) == order
    assert ORDER[Action.CREATE] == ORDER[Action.RESTORE]

"""Sessions and guesses, on a clock that is moved by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from scimsync.console.roles import RIGHTS, Right, Role
from scimsync.console.sessions import FORGOTTEN_S, IDLE_S, LONGEST_WAIT_S, MOST, TRIES, WHOLE_S, Patience, Sessions


class Clock:
    at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_link_lets_one_person_in_once_and_a_newer_one_makes_it_worthless(clock: Clock) -> None:
    sessions = Sessions(clock)
    assert sessions.redeem("") is None
    old, new = sessions.invite(), sessions.invite()
    assert sessions.redeem(old) is None
    session = sessions.redeem(new)
    assert session is not None
    visitor = sessions.visitor(session)
    assert visitor is not None
    assert visitor.rights == frozenset(Right) - {Right.APPROVE}
    assert sessions.redeem(new) is None


def test_a_session_ends_when_nobody_asks_for_half_an_hour_and_after_eight_hours_in_any_case(clock: Clock) -> None:
    sessions = Sessions(clock)
    idle, busy = sessions.begin("ada", Role.VIEWER), sessions.begin("bo", Role.VIEWER)
    began = clock.at
    clock.at += IDLE_S
    assert sessions.visitor(busy)
    clock.at += 1
    assert sessions.visitor(idle) is None
    assert sessions.visitor(busy)
    while clock.at + IDLE_S <= began + WHOLE_S:
        clock.at += IDLE_S
        assert sessions.visitor(busy)
    clock.at = began + WHOLE_S + 1
    assert sessions.visitor(busy) is None


def test_all_sessions_of_a_person_end_together_and_of_nobody_else(clock: Clock) -> None:
    sessions = Sessions(clock)
    first, second, other = (sessions.begin(name, Role.ADMIN) for name in ("ada", "ada", "bo"))
    sessions.end_all("ada")
    assert [bool(sessions.visitor(one)) for one in (first, second, other)] == [False, False, True]


def test_sessions_are_not_kept_without_end(clock: Clock) -> None:
    sessions = Sessions(clock)
    first, *rest = [sessions.begin(str(number), Role.VIEWER) for number in range(MOST + 1)]
    assert sessions.visitor(first) is None
    assert sessions.visitor(rest[-1])


def test_after_some_guesses_each_costs_twice_the_wait_of_the_one_before(clock: Clock) -> None:
    patience = Patience(clock)
    assert [patience.take("ada") for _ in range(TRIES)] == [0.0] * TRIES
    waits = []
    for _ in range(12):
        waits.append(patience.take("ada"))
        assert patience.take("ada") == waits[-1]  # who does not wait is not counted, and not let in either
        clock.at += waits[-1]
        assert not patience.take("ada")
    assert waits[:3] == [2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_WAIT_S
    assert not patience.take("bo")
    assert patience.take("bo", "ada") == LONGEST_WAIT_S
    patience.succeeded("ada")
    assert not patience.take("ada")


def test_guesses_at_once_count_each_before_it_is_made(clock: Clock) -> None:
    patience = Patience(clock)
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(lambda _: patience.take("ada", "address"), range(40)))
    assert waits.count(0.0) == TRIES


def test_whoever_knows_one_password_may_not_guess_at_others_for_it(clock: Clock) -> None:
    patience = Patience(clock)
    for number in range(TRIES - 1):
        patience.take(f"name {number}", "address")
    patience.take("mine", "address")
    patience.succeeded("mine")
    patience.give_back("address")
    assert not patience.take("another", "address")
    assert patience.take("yet another", "address")


def test_tries_are_forgotten_after_an_hour_without_one(clock: Clock) -> None:
    patience = Patience(clock)
    for _ in range(TRIES):
        patience.take("office")
    clock.at += FORGOTTEN_S + 1
    assert [patience.take("office") for _ in range(TRIES)] == [0.0] * TRIES
    assert patience.take("office")


def test_nobody_but_an_admin_decides_who_may_and_only_who_writes_writes() -> None:
    holders = {right: {role for role in Role if right in RIGHTS[role]} for right in Right}
    assert holders[Right.ADMIN] == {Role.ADMIN}
    assert holders[Right.WRITE] == {Role.OPERATOR, Role.ADMIN}
    assert holders[Right.APPROVE] == {Role.APPROVER, Role.ADMIN}
    assert holders[Right.AUDIT] == {Role.AUDITOR, Role.ADMIN}
    assert Role.VIEWER not in holders[Right.VALUES]

"""Logins that people exchange or hand on: each in its turn, one account at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import MANAGER, make_change, make_delta, mapped

from scimsync.core import logins
from scimsync.core.lifecycle import giving, turn
from scimsync.core.logins import Handed, back, hand_over, is_given_up, left, parking, wanted
from scimsync.core.planner import lined_up, operations_of
from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import LOGIN, Action, Change, Reason, Verdict
from scimsync.model.policy import LoginExchange

ATTRIBUTES = [mapped(path) for path in (LOGIN, "title", "active", MANAGER)]


def mover(key: str, wants: str, held: str, action: Action = Action.UPDATE, **more: str) -> Change:
    """Somebody whose account `u-KEY` gets another login, and a title where one is given."""
    deltas = [make_delta(LOGIN, wants, held), *(make_delta(path, value, "Old") for path, value in more.items())]
    return make_change(
        key, action, deltas=tuple(deltas), operations=operations_of(deltas, ATTRIBUTES), account=f"u-{key}", row=3
    )


def joiner(key: str, wants: str) -> Change:
    deltas = (make_delta(LOGIN, wants),)
    return make_change(key, Action.CREATE, deltas=deltas, operations=operations_of(deltas, ATTRIBUTES), account=None)


def holders(changes: Sequence[Change], **others: str) -> dict[str, frozenset[str]]:
    """Who has which login: the accounts of the changes, and others by id."""
    held = {str(d.sides.current): str(c.account) for c in changes for d in c.deltas if d.path == LOGIN and c.account}
    everybody = {**held, **{login: account for account, login in others.items()}}
    return {login.lower(): frozenset({account}) for login, account in everybody.items()}


def handed(*changes: Change, exchange: LoginExchange = LoginExchange.PARK, **others: str) -> Handed:
    return hand_over(changes, holders(changes, **others), ATTRIBUTES, exchange)


def waits(found: Handed) -> dict[str, tuple[str, str | None]]:
    return {c.key: (d.verdict.value, d.awaits) for c in found.changes for d in c.deltas if d.path == LOGIN}


def told(found: Handed) -> list[tuple[str, str, str]]:
    return [(f.code, f.subject, f.path) for f in found.findings]


def test_a_login_that_nobody_has_is_written_as_it_is() -> None:
    change = mover("1", "new@x.org", "a@x.org")
    assert wanted([change]) == {"new@x.org"}
    assert handed(change) == Handed(changes=(change,), findings=())


def test_a_new_case_of_ones_own_login_waits_for_nobody() -> None:
    assert waits(handed(mover("1", "A@x.org", "a@x.org"))) == {"1": ("write", None)}


def test_whoever_takes_a_login_waits_for_whoever_gives_it_up() -> None:
    found = handed(mover("1", "B@x.org", "a@x.org"), mover("2", "c@x.org", "b@x.org"), joiner("3", "a@x.org"))
    assert waits(found) == {"1": ("await", "2"), "2": ("write", None), "3": ("await", "1")}
    assert found.findings == ()
    assert [c.key for c in lined_up(found.changes)[0]] == ["2", "1", "3"]


def test_the_login_of_an_account_that_stays_is_left_out_and_the_rest_goes_on() -> None:
    found = handed(mover("1", "boss@x.org", "a@x.org", title="Lead"), u9="Boss@x.org")
    assert told(found) == [("correlation.taken", "1", LOGIN)]
    assert found.findings[0].holds
    assert [[str(o.path) for o in c.operations] for c in found.changes] == [["title"]]


def test_whoever_waits_for_somebody_who_gets_none_waits_too() -> None:
    found = handed(
        mover("1", "boss@x.org", "a@x.org", title="Lead"), mover("2", "a@x.org", "b@x.org"), joiner("3", "b@x.org"),
        u9="boss@x.org",
    )  # fmt: skip
    assert told(found) == [
        ("correlation.taken", "1", LOGIN), ("login.waiting", "2", LOGIN), ("login.waiting", "3", ""),
    ]  # fmt: skip
    assert [c.key for c in found.changes] == ["1"]


def test_a_joiner_never_gets_the_login_of_an_account_that_stays() -> None:
    found = handed(joiner("1", "boss@x.org"), u9="boss@x.org")
    assert told(found) == [("correlation.taken", "1", "")]
    assert found.changes == ()


def test_a_ring_is_opened_by_parking_one_and_is_named() -> None:
    found = handed(
        mover("1", "b@x.org", "a@x.org"), mover("2", "c@x.org", "b@x.org"), mover("3", "a@x.org", "c@x.org"),
    )  # fmt: skip
    (finding,) = found.findings
    assert (finding.code, finding.subject, finding.holds) == ("login.exchange", "1", False)
    assert "1 -> 2 -> 3 -> 1" in finding.detail
    first = next(c for c in found.changes if c.key == "1")
    parked, final = first.deltas
    assert (parked.verdict, parked.reason, parked.sides.current) == (Verdict.WRITE, Reason.PARKED, "a@x.org")
    assert str(parked.sides.desired).startswith("a+scimsync-parking-")
    assert str(parked.sides.desired) in finding.detail
    assert (final.verdict, final.awaits, final.sides.desired) == (Verdict.DEFER, "2", "b@x.org")
    assert final.sides.current == parked.sides.desired
    assert [o.value for o in first.operations] == [parked.sides.desired]
    assert [c.key for c in lined_up(found.changes)[0]] == ["1", "3", "2"]


def test_a_ring_may_be_held_and_only_its_logins_are() -> None:
    found = handed(
        mover("1", "b@x.org", "a@x.org", title="Lead"), mover("2", "a@x.org", "b@x.org"),
        exchange=LoginExchange.HOLD,
    )  # fmt: skip
    assert told(found) == [("login.exchange", "1", LOGIN), ("login.exchange", "2", LOGIN)]
    assert all(f.holds and "1 -> 2 -> 1" in f.detail for f in found.findings)
    assert [(c.key, [d.path for d in c.deltas]) for c in found.changes] == [("1", ["title"])]


def test_whoever_gives_a_login_up_goes_before_all_joiners_and_a_reference_to_one_of_them_later() -> None:
    giver = mover("1", "new@x.org", "a@x.org")
    manager = make_delta(MANAGER, None, verdict=Verdict.AWAIT, awaits="3")
    giver = replace(giver, deltas=(*giver.deltas, manager))
    other = replace(mover("2", "x@x.org", "y@x.org"), deltas=(make_delta("title", "B", "A"), manager))
    changes, _ = lined_up(handed(giver, other, joiner("3", "a@x.org")).changes)
    assert [c.key for c in changes] == ["1", "3", "2"]
    assert {c.key: d.verdict for c in changes for d in c.deltas if d.path == MANAGER} == {
        "1": Verdict.DEFER, "2": Verdict.AWAIT,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("held", "wants", "form"),
    [
        ("a.b@x.org", "c@x.org", "a.b+{}@x.org"),
        ("plain", "c@x.org", "c+{}@x.org"),
        ("plain", "other", "plain+{}"),
        ("a" * 64 + "@x.org", "c@x.org", "a" * 36 + "+{}@x.org"),
        ("a+scimsync-parking-0123456789@x.org", "c@x.org", "a+{}@x.org"),
    ],
)
def test_a_parking_login_has_the_form_of_the_one_that_is_given_up(held: str, wants: str, form: str) -> None:
    found = parking(make_delta(LOGIN, wants, held), "u1")
    mark = found[found.rindex(logins.PARKING) :].partition("@")[0]
    assert len(mark) == len(logins.PARKING) + 10
    assert found == form.format(mark)
    assert len(found.partition("@")[0]) <= 64
    assert found == parking(make_delta(LOGIN, wants, held), "u1") != parking(make_delta(LOGIN, wants, held), "u2")


# --- while it is carried out --------------------------------------------------------------------


def outcome(key: str, status: Status, login: str = "", code: str = "") -> Outcome:
    return Outcome(key=key, status=status, written={LOGIN: login} if login else {}, code=code)


def test_a_login_is_given_up_once_its_holder_was_seen_to_have_another() -> None:
    delta = make_delta(LOGIN, "b@x.org", "a@x.org", verdict=Verdict.AWAIT, awaits="2")
    assert not is_given_up(delta, [])
    assert not is_given_up(delta, [outcome("2", Status.FAILED)])
    assert not is_given_up(delta, [outcome("2", Status.DONE, "B@x.org")])
    assert is_given_up(delta, [outcome("2", Status.HELD, "c@x.org")])


def test_a_person_who_is_parked_in_vain_goes_back_only_where_nobody_can_have_taken_the_login() -> None:
    found = handed(mover("1", "b@x.org", "a@x.org"), mover("2", "a@x.org", "b@x.org"))
    parked = next(c for c in found.changes if c.key == "1")

    def after(*outcomes: Outcome) -> str | None:
        delta = back(parked, found.changes, lambda key: [o for o in outcomes if o.key == key])
        return None if delta is None else str(delta.sides.desired)

    assert after(outcome("2", Status.FAILED, code="target.refused")) == "a@x.org"
    assert after(outcome("2", Status.HELD, code="account.name-taken")) == "a@x.org"
    assert after(outcome("2", Status.DONE, "a@x.org")) is None
    assert after(outcome("2", Status.DEFERRED, code="target.not-now")) is None
    assert after() is None
    assert left(parked)[:2] == (Status.HELD, "login.exchange")
    assert "parked as a+scimsync-parking-" in left(parked)[2]
    other = next(c for c in found.changes if c.key == "2")
    assert left(other) == (Status.DEFERRED, "login.waiting", "userName waits for 1, who has it")
    assert back(other, found.changes, lambda _: []) is None


# --- laws ---------------------------------------------------------------------------------------


@st.composite
def days(draw: st.DrawFn) -> tuple[list[Change], dict[str, str]]:
    """Movers and joiners who want different logins, of a directory in which every login has one account."""
    people = draw(st.integers(2, 8))
    spare = draw(st.integers(0, 3))
    held = {f"u-{n}": f"l{n}@x.org" for n in range(people + spare)}
    pool = [f"l{n}@x.org" for n in range(people + spare + 3)]
    wants = draw(st.permutations(pool))
    moved = [mover(str(n), wants[n], held[f"u-{n}"]) for n in range(people) if wants[n] != held[f"u-{n}"]]
    moved = [replace(c, action=draw(st.sampled_from([Action.UPDATE, Action.ENABLE]))) for c in moved]
    new = [joiner(f"j{n}", wants[people + n]) for n in range(draw(st.integers(0, 3)))]
    return draw(st.permutations([*moved, *new])), held


def carried_out(changes: Sequence[Change], held: Mapping[str, str]) -> dict[str, str]:
    """The directory after the changes, in their order; it never lets two accounts have one login."""
    accounts = dict(held)

    def write(change: Change, login: object) -> None:
        assert login not in accounts.values(), (change.key, login)
        accounts[change.account or change.key] = str(login)

    for change in changes:
        for delta in change.deltas:
            if delta.verdict is not Verdict.DEFER:
                write(change, delta.sides.desired)
    for change in changes:
        for delta in change.deferred:
            write(change, delta.sides.desired)
    return accounts


@given(days(), st.sampled_from(LoginExchange))
def test_no_two_accounts_ever_have_one_login_and_whoever_is_not_told_of_has_theirs(
    day: tuple[list[Change], dict[str, str]], exchange: LoginExchange
) -> None:
    changes, held = day
    has = {login: frozenset({account}) for account, login in held.items()}
    found = hand_over(changes, has, ATTRIBUTES, exchange)
    placed, _ = lined_up(found.changes)
    after = carried_out(placed, held)
    waiting = {f.subject for f in found.findings if f.holds}
    for change in changes:
        who = change.account or change.key
        assert after.get(who) == (held.get(who) if change.key in waiting else change.deltas[0].sides.desired)
    assert not any(logins.PARKING in login for login in after.values())
    givers = giving(placed)
    turns = [turn(change, givers) for change in placed]
    assert turns == sorted(turns)
    if exchange is LoginExchange.PARK:  # nobody waits but for an account that stays
        staying = {login for account, login in held.items() if account not in {c.account for c in changes}}
        assert bool(waiting) == any(c.deltas[0].sides.desired in staying for c in changes)

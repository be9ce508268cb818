"""Trouble on the wire and in the target while a plan is applied: one effect, one honest outcome, and an end."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.runs import House, Quiet, actions, codes, house, hurry, outcome, status

from scimsync import bootstrap
from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import TargetSettings
from scimsync.engine.applying import apply_plan
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.errors import TargetDenied, TargetError, TargetUnavailable
from scimsync.model.outcomes import RunState, Status
from scimsync.model.reports import Report
from scimsync.services import planning


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.settle()
        yield found


def move(home: House, number: int = 3) -> list[str]:
    """New titles; gives the keys."""
    movers = home.active(number)
    for who in movers:
        home.set(who, job_title="Moved")
    return [who.employee_id for who in movers]


def assert_one_effect_each(home: House, report: Report, keys: list[str]) -> None:
    assert sorted(report.outcomes) == sorted(keys)
    assert all(parts[-1].status in {Status.DONE, Status.ALREADY} for parts in report.outcomes.values())
    assert report.clean, (report.statuses, report.stopped)
    assert sorted(home.effects().values()) == [1] * len(keys)
    assert home.unsettled() == set()
    home.quiet()


# --- lost answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 504},
        {"kind": "html", "status": 200},
        {"kind": "truncate"},
    ],
    ids=lambda fault: "-".join(str(v) for v in fault.values()),
)
def test_a_patch_whose_answer_is_lost_has_exactly_one_effect_and_is_done(
    home: House, fault: dict[str, object], when: str
) -> None:
    keys = move(home)
    made = home.plan()
    home.fault({"on": "patch", "when": when, "times": 2, **fault})
    report = home.apply(made.id)
    assert_one_effect_each(home, report, keys)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 503}, {"kind": "reset"}, {"kind": "html", "status": 200}, {"kind": "truncate"}],
    ids=lambda fault: "-".join(str(v) for v in fault.values()),
)
def test_a_post_whose_answer_is_lost_makes_exactly_one_account(
    home: House, fault: dict[str, object], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    joiners = [home.newcomer(i) for i in range(2)]
    home.hire(*joiners)
    made = home.plan()
    home.fault({"on": "post", "when": when, "times": 1, **fault})
    report = home.apply(made.id)
    assert [len(home.accounts(who.email)) for who in joiners] == [1, 1]
    assert_one_effect_each(home, report, [who.employee_id for who in joiners])


def test_a_lost_answer_and_an_edit_at_once_lose_neither_the_edit_nor_the_change(home: House) -> None:
    keys = move(home, 1)
    who = home.active(1)[0]
    made = home.plan()
    home.fault({"on": "patch", "kind": "reset", "when": "after", "times": 1})
    home.call("faults", [{"on": "get", "kind": "foreign_edit", "path": "displayName", "value": "By Hand"}], "PATCH")
    report = home.apply(made.id)
    assert sorted(report.outcomes) == keys
    assert report.clean
    assert home.account(who)["displayName"] == "By Hand"
    assert home.account(who)["title"] == "Moved"


# --- refusals ---------------------------------------------------------------------------------


def test_one_refused_person_never_stops_the_rest(home: House) -> None:
    keys = move(home, 5)
    made = home.plan()
    refused = home.active(3)[2]
    home.fault(
        {"on": "patch", "user": home.account(refused)["id"], "status": 400, "scim_type": "invalidValue", "times": 0}
    )
    report = home.apply(made.id)
    assert status(report, refused) is Status.FAILED
    assert "invalidValue" in outcome(report, refused).detail
    assert sum(parts[-1].status is Status.DONE for parts in report.outcomes.values()) == len(keys) - 1
    assert home.runs()[0].state is RunState.PARTIAL
    home.fault()
    made, report = home.sync()
    assert actions(made) == {refused.employee_id: "update"}
    assert report.clean
    home.quiet()


def test_a_429_in_the_middle_is_waited_out_by_everybody(home: House) -> None:
    keys = move(home, 12)
    made = home.plan()
    home.fault({"on": "patch", "status": 429, "headers": {"Retry-After": "1"}, "skip": 4, "times": 1})
    began = time.monotonic()
    report = home.apply(made.id)
    assert time.monotonic() - began >= 1
    assert_one_effect_each(home, report, keys)


def test_a_429_without_a_word_about_when_is_tried_again(home: House) -> None:
    keys = move(home, 4)
    made = home.plan()
    home.fault({"on": "patch", "status": 429, "times": 1})
    assert_one_effect_each(home, home.apply(made.id), keys)


def test_a_target_that_wants_a_long_pause_ends_the_run_and_the_next_apply_goes_on(home: House) -> None:
    keys = move(home, 12)
    made = home.plan()
    home.fault({"on": "patch", "status": 429, "headers": {"Retry-After": "86400"}, "skip": 2, "times": 0})
    began = time.monotonic()
    report = home.apply(made.id)
    assert time.monotonic() - began < 10
    assert "no request before" in report.stopped
    assert report.left
    assert home.runs()[0].state is RunState.INTERRUPTED
    home.fault()
    report = home.apply()
    assert_one_effect_each(home, report, keys)
    assert home.runs()[1].state is RunState.DONE  # 0 is the plan that found nothing to do


def test_a_token_revoked_in_the_middle_is_renewed_once_and_nobody_notices(home: House) -> None:
    keys = move(home, 20)
    made = home.plan()
    home.reset()
    done = threading.Event()

    def revoke() -> None:
        while home.counted("effective_writes") < 5 and not done.is_set():
            time.sleep(0.001)
        home.call("tokens/revoke", {})

    other = threading.Thread(target=revoke)
    other.start()
    report = home.apply(made.id)
    done.set()
    other.join()
    assert home.stats()["token"] <= 2
    assert_one_effect_each(home, report, keys)


def test_a_token_that_is_refused_for_ever_stops_the_run_and_the_next_apply_goes_on(home: House) -> None:
    keys = move(home, 20)
    made = home.plan()
    home.reset()
    home.fault({"on": "patch", "status": 401, "skip": 3, "times": 0})
    with pytest.raises(TargetDenied):
        home.apply(made.id)
    assert home.stats()["patch"] <= 3 + 2 * 8 + 2
    assert home.runs()[0].state is RunState.INTERRUPTED
    home.fault()
    report = home.apply()
    assert_one_effect_each(home, report, keys)


def test_a_client_that_may_not_write_is_told_so_once_and_not_for_each_person(home: House) -> None:
    move(home, 20)
    made = home.plan()
    home.fault({"on": "patch", "status": 403, "message": "missing role", "times": 0})
    with pytest.raises(TargetDenied, match=r'3 people alike \(403\): "missing role", needed for .* right to write'):
        home.apply(made.id)
    assert home.stats()["patch"] <= 3 + 8  # what the other workers had on its way


# --- the target goes down ---------------------------------------------------------------------


def apply_impatiently(home: House, named: str, at: Callable[[], None] = lambda: None) -> Report:
    """Apply with a target that waits for a target that is down for half a second instead of two minutes."""
    settings = home.settings()
    given = settings.target

    async def run() -> Report:
        with bootstrap.open_store(settings) as store, store.lease(bootstrap.owner()):
            target = ScimTarget(
                TargetSettings(
                    api_url=given.api_url,
                    login_url=given.login_url,
                    dialect=given.dialect,
                    client_id=given.client_id,
                    client_secret=given.client_secret,
                    requests_per_minute=0,
                    patience_s=0.5,
                ),
                clock=SystemClock(),
                rng=random.Random(1),
            )
            try:
                ports = ApplyPorts(target=target, store=store, clock=SystemClock(), observer=Quiet())
                options = ApplyOptions(policy=settings.policy, configuration=settings.digest)
                plan, found = planning.find_plan(store, named)
                return await apply_plan(plan, check_plan(plan, found, ports, options), ports, options)
            finally:
                await target.close()

    return asyncio.run(run())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_target_that_breaks_down_in_the_middle_ends_the_run_and_apply_again_finishes_it(
    home: House, when: str
) -> None:
    keys = move(home, 40)
    made = home.plan()
    home.fault(
        {"on": "patch", "status": 503, "skip": 10, "when": when, "times": 0},
        {"on": "get", "status": 503, "times": 0},
        {"on": "schema", "status": 503, "times": 0},
    )
    with pytest.raises(TargetUnavailable) as raised:
        apply_impatiently(home, made.id)
    assert raised.value.exit_code == 5
    assert "Traceback" not in str(raised.value)
    assert home.runs()[0].state is RunState.INTERRUPTED
    home.fault()
    assert_one_effect_each(home, home.apply(), keys)


def test_a_target_that_cannot_be_reached_any_more_ends_the_run_with_the_rest_left(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        move(home, 20)
        made = home.plan()
        home.simulator.stop()
        with pytest.raises(TargetError):
            apply_impatiently(home, made.id)
        assert home.runs()[0].state is RunState.INTERRUPTED


# --- readings with holes ----------------------------------------------------------------------


def test_from_a_listing_with_holes_nobody_is_taken_for_new_or_gone(home: House) -> None:
    mover, leaver = home.active(2)
    home.hire(home.newcomer(1))
    home.set(mover, job_title="Moved")
    home.set(leaver, status="inactive")
    home.option(max_count=10)
    home.fault({"on": "list", "kind": "page_drift", "value": "insert", "times": 0})  # somebody hires all the while
    made, report = home.sync()
    assert "target.incomplete" in codes(made)
    assert actions(made) == {leaver.employee_id: "disable", mover.employee_id: "update"}
    assert report.clean
    home.fault()
    made, report = home.sync()
    assert list(actions(made).values()) == ["create"]
    assert report.clean
    home.quiet()


# --- what the server makes of it --------------------------------------------------------------


def test_an_answer_with_another_value_than_was_sent_is_held_and_not_called_done(home: House) -> None:
    who, other = home.active(2)
    # the target leaves out, without a word, what it does not know, and does not show us what that is
    home.option(unknown_reference="ignore", permissions="No Names")
    home.set(who, skill_list="Billing:3;Juggling:5", job_title="Moved")
    home.set(other, job_title="Moved")
    made = home.plan()
    report = home.apply(made.id)
    assert outcome(report, who).code == "write.mismatch"
    assert outcome(report, who).written.keys() == {"title"}
    assert status(report, other) is Status.DONE
    assert home.runs()[0].state is RunState.PARTIAL


@pytest.mark.parametrize("option", ["400_invalid_vers", "409_scim", "409_general_conflict", "412"])
def test_every_form_of_the_version_conflict_ends_in_one_effect(home: House, option: str) -> None:
    home.option(version_conflict=option)
    keys = move(home, 6)
    made = home.plan()
    for who in home.active(6):
        home.edit(who, 'emails[type eq "work"].value', "elsewhere@elsewhere.example")
    report = home.apply(made.id)
    assert all(parts[-1].races == 1 for parts in report.outcomes.values())
    assert_one_effect_each(home, report, keys)

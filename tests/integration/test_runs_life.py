"""People's lives, played through plan and apply on a real socket: who joins, moves, leaves and returns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.runs import ENTERPRISE, SKILLS, House, actions, change_of, codes, house, outcome, paths, status

from scimsync.cli.sample import ATTRIBUTES
from scimsync.errors import PlanRefused
from scimsync.model.outcomes import RunState, Status


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.settle()
        yield found


# --- joiners ----------------------------------------------------------------------------------


def test_a_joiner_gets_an_account_with_everything_that_is_mapped(home: House) -> None:
    new = home.newcomer(1, manager_id=home.people[0].employee_id, skills=(("Billing", 3.0),))
    home.hire(new)
    made, report = home.sync()
    assert actions(made) == {new.employee_id: "create"}
    assert report.clean
    account = home.account(new)
    assert account["title"] == new.title
    assert account[ENTERPRISE]["employeeNumber"] == new.employee_id
    assert home.manager(new) == home.account(home.people[0])["id"]
    assert home.skills(new) == {"Billing"}
    assert home.writes() == 1
    home.quiet()


def test_joiners_who_lead_each_other_are_created_with_their_managers_in_one_write_each(home: House) -> None:
    first = home.newcomer(1, manager_id=home.people[0].employee_id)
    second = home.newcomer(2, manager_id=first.employee_id)
    third = home.newcomer(3, manager_id=second.employee_id)
    home.hire(third, second, first)
    made, report = home.sync()
    assert report.clean
    assert home.manager(second) == home.account(first)["id"]
    assert home.manager(third) == home.account(second)["id"]
    assert max(home.effects().values()) == 1
    assert home.writes() == made.requests == 3
    home.quiet()


def test_joiners_who_lead_each_other_in_a_circle_all_get_there(home: House) -> None:
    one, two = home.newcomer(1), home.newcomer(2)
    home.hire(replace(one, manager_id=two.employee_id), replace(two, manager_id=one.employee_id))
    made, report = home.sync()
    assert report.clean
    assert home.manager(one) == home.account(two)["id"]
    assert home.manager(two) == home.account(one)["id"]
    assert home.writes() == made.requests == 3
    home.quiet()


def test_a_mover_whose_new_manager_is_a_joiner_gets_him_in_the_same_run(home: House) -> None:
    boss, mover = home.newcomer(1), home.active(1)[0]
    home.hire(boss)
    home.set(mover, manager_id=boss.employee_id, job_title="Deputy")
    made, report = home.sync()
    assert report.clean
    assert home.manager(mover) == home.account(boss)["id"]
    assert home.account(mover)["title"] == "Deputy"
    assert home.writes() == made.requests == 2
    home.quiet()


def test_a_report_waits_for_a_manager_who_could_not_be_created_and_gets_him_in_the_next_run(home: House) -> None:
    boss = home.newcomer(1)
    report_ = home.newcomer(2, manager_id=boss.employee_id)
    home.hire(boss, report_)
    made = home.plan()
    home.fault({"on": "post", "status": 400, "scim_type": "invalidValue", "message": "no", "times": 1})
    first = home.apply(made.id)
    created = {who.employee_id: status(first, who) for who in (boss, report_)}
    assert Status.FAILED in created.values()
    home.fault()
    _, second = home.sync()
    assert second.clean
    assert home.manager(report_) == home.account(boss)["id"]
    home.quiet()


def test_a_person_whose_manager_fails_is_created_and_only_the_manager_waits(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        boss = home.newcomer(1)
        junior = home.newcomer(2, manager_id=boss.employee_id)
        home.hire(boss, junior)
        # the directory already holds the login of the boss for somebody else who is linked
        other = home.active(1)[0]
        made = home.plan()
        home.edit(other, "userName", boss.email)
        report = home.apply(made.id)
        assert status(report, boss) is Status.HELD
        assert outcome(report, boss).code == "correlation.taken"
        assert [o.status for o in report.outcomes[junior.employee_id]] == [Status.DONE, Status.DEFERRED]
        assert home.manager(junior) is None
        home.edit(home.account(boss.email)["id"], "userName", other.email)
        _, second = home.sync()
        assert second.clean
        assert home.manager(junior) == home.account(boss)["id"]
        home.quiet()


def test_a_joiner_whose_manager_nobody_knows_is_created_and_the_plan_says_so(home: House) -> None:
    new = home.newcomer(1, manager_id="E99999")
    home.hire(new)
    made, report = home.sync()
    assert report.clean
    assert "reference.unknown" in codes(made)
    assert home.manager(new) is None
    home.quiet()


def test_a_joiner_without_login_or_name_is_held_and_the_others_join(home: House) -> None:
    nameless, fine = home.newcomer(1), home.newcomer(2)
    home.hire(nameless, fine)
    home.set(nameless, email=None)
    made, report = home.sync()
    assert actions(made) == {fine.employee_id: "create"}
    assert "record.incomplete" in codes(made)
    assert report.clean
    home.quiet()


# --- the name is taken ------------------------------------------------------------------------


def test_a_joiner_whose_login_belongs_to_an_unlinked_account_takes_it_over(home: House) -> None:
    new = home.newcomer(1)
    old = home.active(1)[0]
    home.dismiss(old)  # not applied: the account is linked, so the plan would disable it
    home.hire(new)
    made = home.plan()
    # between plan and apply somebody creates an account with that login, by hand
    created = create_by_hand(home, new.email, title="Somebody's typing")
    report = home.apply(made.id)
    assert status(report, new) is Status.DONE
    assert home.account(new)["id"] == created
    assert home.account(new)["title"] == new.title
    assert report.clean
    home.quiet()


def test_a_joiner_whose_login_belongs_to_an_inactive_account_brings_it_back(home: House) -> None:
    new = home.newcomer(1)
    home.hire(new)
    made = home.plan()
    created = create_by_hand(home, new.email)
    home.edit(created, "active", value=False)
    report = home.apply(made.id)
    assert report.statuses.keys() == {"done"}
    assert home.account(new)["id"] == created
    assert home.account(new)["active"] is True
    home.quiet()


def test_under_ask_an_account_found_at_creation_that_differs_is_held_for_a_person(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.configure(authority="ask")
        home.settle()
        new = home.newcomer(1)
        home.hire(new)
        made = home.plan()
        created = create_by_hand(home, new.email, title="Chief")
        report = home.apply(made.id)
        assert outcome(report, new).code == "account.adoption"
        assert home.account(new)["id"] == created
        assert home.account(new)["title"] == "Chief"


def test_what_adoption_keeps_of_the_directory_is_not_remembered_as_agreed(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.configure(authority="cloud_wins")
        home.settle()
        new = home.newcomer(1, mobile=None, skills=())
        home.hire(new)
        made = home.plan()
        document = dict(resource_of(home, new), title="Chief")
        create_by_hand(home, new.email, document=document)
        report = home.apply(made.id)
        assert status(report, new) is Status.ALREADY
        assert "title" not in outcome(report, new).written
        assert home.account(new)["title"] == "Chief"


def test_a_restored_account_of_a_deleted_person_is_one_account(home: House) -> None:
    gone = home.active(1)[0]
    before = home.account(gone)["id"]
    home.delete(gone)
    home.configure(policy='deleted = "restore"')
    made, report = home.sync()
    assert report.clean, report.outcomes
    assert actions(made)[gone.employee_id] == "restore"
    assert home.account(gone)["id"] == before
    home.quiet()


# --- movers -----------------------------------------------------------------------------------


def test_a_mover_gets_exactly_one_patch_that_holds_every_change(home: House) -> None:
    mover = home.active(1)[0]
    home.set(mover, job_title="Team Lead", department="Field Service", division="North", phone="(317) 555-0199")
    made, report = home.sync()
    assert actions(made) == {mover.employee_id: "update"}
    assert report.clean
    assert home.effects() == {home.account(mover)["id"]: 1}
    assert home.account(mover)["title"] == "Team Lead"
    assert home.account(mover)[ENTERPRISE]["department"] == "Field Service"
    home.quiet()


def test_null_in_hr_clears_the_attribute(home: House) -> None:
    mover = next(p for p in home.active(30) if p.manager_id)
    home.set(mover, job_title=None, manager_id=None, phone=None)
    made, report = home.sync()
    assert report.clean
    assert {"title", "enterprise:manager"} <= paths(made, mover)
    account = home.account(mover)
    assert "title" not in account
    assert home.manager(mover) is None
    assert not [p for p in account.get("phoneNumbers", []) if p["type"] == "work"]
    home.quiet()


def test_a_new_login_is_an_update_of_the_same_account(home: House) -> None:
    mover = home.active(1)[0]
    before = home.account(mover)["id"]
    home.set(mover, email="new.name@example.com")
    made, report = home.sync()
    assert actions(made) == {mover.employee_id: "update"}
    assert report.clean
    assert home.account("new.name@example.com")["id"] == before
    assert home.accounts(mover.email) == []
    home.quiet()


def test_two_people_who_swap_logins_do_not_swap_accounts(home: House) -> None:
    one, two = home.active(2)
    ids = {home.account(p)["id"] for p in (one, two)}
    home.set(one, email=two.email)
    home.set(two, email=one.email)
    home.sync()
    assert {home.account(p)["id"] for p in (one, two)} == ids
    assert len(home.accounts(one.email)) == len(home.accounts(two.email)) == 1


# --- leavers and rehires ----------------------------------------------------------------------


def test_leavers_by_status_and_by_absence_are_disabled_and_nothing_else_is_touched(home: House) -> None:
    by_status, by_absence = home.active(2)
    before = {p: dict(home.account(p)) for p in (by_status, by_absence)}
    home.set(by_status, status="inactive")
    home.dismiss(by_absence)
    made, report = home.sync()
    assert actions(made) == {p.employee_id: "disable" for p in (by_status, by_absence)}
    assert report.clean
    for person in (by_status, by_absence):
        after = home.account(person)
        assert after["active"] is False
        assert {**after, "active": True, "roles": before[person]["roles"]} == before[person]
    home.quiet()


def test_leavers_by_absence_are_disabled_also_where_the_mapping_does_not_manage_active(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.configure(attributes="\n".join(line for line in ATTRIBUTES.splitlines() if not line.startswith("active")))
        home.settle()
        leaver = home.active(1)[0]
        home.dismiss(leaver)
        made, report = home.sync()
        assert actions(made) == {leaver.employee_id: "disable"}
        assert report.clean
        assert home.account(leaver)["active"] is False
        home.quiet()


def test_a_leaver_edited_meanwhile_is_disabled_also_where_the_mapping_does_not_manage_active(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.configure(attributes="\n".join(line for line in ATTRIBUTES.splitlines() if not line.startswith("active")))
        home.settle()
        leaver = home.active(1)[0]
        home.dismiss(leaver)
        made = home.plan()
        home.edit(leaver, "title", "Edited")
        report = home.apply(made.id)
        assert report.clean
        assert home.account(leaver)["active"] is False
        assert home.account(leaver)["title"] == "Edited"


def test_with_leavers_kept_nobody_is_disabled(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.configure(policy='leavers = "keep"')
        home.settle()
        by_status, by_absence = home.active(2)
        home.set(by_status, status="inactive")
        home.dismiss(by_absence)
        made, report = home.sync()
        assert actions(made) == {}
        assert report.clean
        assert all(home.account(p)["active"] for p in (by_status, by_absence))


def test_rehires_are_enabled_again_on_their_old_account(home: House) -> None:
    by_status, by_absence = home.active(2)
    ids = {p: home.account(p)["id"] for p in (by_status, by_absence)}
    home.set(by_status, status="inactive")
    home.dismiss(by_absence)
    home.sync()
    home.set(by_status, status="active", job_title="Back again")
    home.hire(by_absence)
    made, report = home.sync()
    assert actions(made) == {p.employee_id: "enable" for p in (by_status, by_absence)}
    assert report.statuses.keys() == {"done"}
    for person in (by_status, by_absence):
        assert home.account(person)["id"] == ids[person]
        assert home.account(person)["active"] is True
    assert home.account(by_status)["title"] == "Back again"
    home.quiet()


def test_somebody_enabled_by_hand_after_leaving_by_absence_is_not_left_active_silently(home: House) -> None:
    leaver = home.active(1)[0]
    home.dismiss(leaver)
    home.sync()
    home.edit(leaver, "active", value=True)
    made = home.plan()
    said = actions(made).get(leaver.employee_id) == "disable" or any(
        f.subject == leaver.employee_id for f in made.findings
    )
    assert said


def test_leavers_go_first_then_joiners_then_rehires_then_movers(home: House) -> None:
    mover, leaver, back = home.active(3)
    home.set(back, status="inactive")
    home.sync()
    new = home.newcomer(1)
    home.hire(new)
    home.set(back, status="active")
    home.set(mover, job_title="Moved")
    home.set(leaver, status="inactive")
    started = len(home.history())
    made, report = home.sync()
    assert report.statuses.keys() == {"done"}
    order = [entry["id"] for entry in home.history()[started:]]
    assert order == [home.account(p)["id"] for p in (leaver, new, back, mover)]
    assert [c.action.value for c in made.changes] == ["disable", "create", "enable", "update"]


# --- who is left alone ------------------------------------------------------------------------


def test_protected_people_are_never_changed_whatever_hr_says(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        by_key, by_login, by_absence, other = home.active(4)
        home.configure(
            policy=f'protected = ["{by_key.employee_id}", "{by_login.email.upper()}", "{by_absence.employee_id}"]'
        )
        home.settle()
        for person in (by_key, by_login, other):
            home.set(person, job_title="Changed", status="inactive")
        home.dismiss(by_absence)
        made, report = home.sync()
        assert actions(made) == {other.employee_id: "disable"}
        assert {f.subject for f in made.findings if f.code == "account.protected"} == {
            p.employee_id for p in (by_key, by_login, by_absence)
        }
        assert report.clean
        assert all(home.account(p)["active"] for p in (by_key, by_login, by_absence))


def test_a_bad_value_is_left_out_while_the_rest_proceeds_and_nobody_is_taken_for_a_leaver(home: House) -> None:
    bad, worse, fine = home.active(3)
    home.set(bad, phone="ask at reception", job_title="Lead")
    home.set(worse, skill_list="Billing:eleven", job_title="Lead")
    home.set(fine, job_title="Lead")
    made, report = home.sync()
    assert actions(made) == dict.fromkeys((bad.employee_id, worse.employee_id, fine.employee_id), "update")
    assert {f.subject for f in made.findings if f.holds} == {bad.employee_id, worse.employee_id}
    assert report.clean
    assert home.account(bad)["active"] is True
    assert [home.account(who)["title"] for who in (bad, worse)] == ["Lead", "Lead"]
    assert paths(made, bad) | paths(made, worse) == {"title"}


def test_a_record_without_key_freezes_leavers_because_it_could_be_anybody(home: House) -> None:
    lost, fine = home.active(2)
    home.hr("UPDATE employee SET employee_id = NULL WHERE employee_id = ?", lost.employee_id)
    home.set(fine, job_title="Lead")
    made, report = home.sync()
    assert actions(made) == {fine.employee_id: "update"}
    assert report.clean
    assert home.account(lost)["active"] is True


def test_doubled_keys_hold_that_person_only(home: House) -> None:
    doubled, fine = home.active(2)
    home.hire(replace(doubled, title="Twin"))
    home.set(fine, job_title="Lead")
    made, report = home.sync()
    assert actions(made) == {fine.employee_id: "update"}
    assert "record.duplicate-key" in codes(made)
    assert report.clean


def test_two_records_for_one_account_hold_both(home: House) -> None:
    one, fine = home.active(2)
    home.hire(home.newcomer(1, email=one.email))
    home.set(fine, job_title="Lead")
    made, report = home.sync()
    assert fine.employee_id in actions(made)
    assert "create" not in actions(made).values()
    assert any(f.holds for f in made.findings)
    assert report.clean


# --- authority for each attribute -------------------------------------------------------------


def test_under_merge_the_supervisors_skill_stays_and_the_skill_that_hr_dropped_goes(home: House) -> None:
    who = next(p for p in home.active(40) if len(p.skills) >= 2)
    dropped, *kept = (name for name, _ in who.skills)
    theirs = next(s for s in ("Billing", "Warranty", "Sales", "Refunds", "Payments") if s not in {dropped, *kept})
    home.edit(who, SKILLS, [{"name": theirs, "proficiency": 4.0}], op="add")
    home.quiet()
    home.set(who, skill_list=";".join(f"{name}:2" for name in kept))
    _, report = home.sync()
    assert report.clean
    assert home.skills(who) == {*kept, theirs}
    home.quiet()
    home.set(who, skill_list=None)
    _, report = home.sync()
    assert report.clean
    assert home.skills(who) == {theirs}
    home.quiet()


def test_each_attribute_has_its_own_authority(home: House) -> None:
    who = next(p for p in home.active(40) if p.mobile)
    home.edit(who, "title", "Edited by hand")
    home.edit(who, 'phoneNumbers[type eq "mobile"].value', "+14635550000")
    made, report = home.sync()
    assert paths(made, who) == {"title"}
    assert report.clean
    assert home.account(who)["title"] == who.title
    mobile = next(p["value"] for p in home.account(who)["phoneNumbers"] if p["type"] == "mobile")
    assert mobile.endswith("4635550000")
    assert made.tally.kept == 1
    home.quiet()


# --- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "rule"), [({"disable": 2}, "limits.disable"), ({"update": 2}, "limits.update")])
def test_a_plan_beyond_a_limit_is_refused_and_a_reason_lets_it_pass(
    tmp_path: Path, limit: dict[str, object], rule: str
) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.configure(limits={"disable": "100%", "update": "100%"} | limit)
        for who in home.active(3):
            if rule == "limits.disable":
                home.set(who, status="inactive")
            else:
                home.set(who, job_title="Everybody's title")
        made = home.plan()
        assert [f.code for f in made.refusals] == [rule]
        with pytest.raises(PlanRefused, match=rule):
            home.apply(made.id)
        assert home.writes() == 0
        assert home.runs()[0].state is RunState.REFUSED
        report = home.apply(made.id, **{rule.replace(".", "__"): "merger, ticket 17"})
        assert report.clean
        assert home.writes() == 3
        home.quiet()


def test_an_override_at_plan_time_stands_in_the_plan_with_its_reason(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.configure(limits={"disable": "0%", "update": "100%"})
        for who in home.active(4):
            home.set(who, status="inactive")
        made = home.plan(limits__disable="ticket 17")
        assert made.refusals == ()
        assert made.overrides == {"limits.disable": "ticket 17"}
        assert home.apply(made.id).clean


def test_a_source_that_lost_many_rows_makes_no_leavers_until_somebody_says_so(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.configure(limits={"disable": "100%", "source_rows_drop": "5%"})
        home.dismiss(*home.active(10))
        made, report = home.sync()
        assert actions(made) == {}
        assert "source.rows-drop" in codes(made)
        assert report.clean
        made = home.plan(**{"source.rows-drop": "the branch was sold"})
        assert len(actions(made)) == 10


# --- helpers ----------------------------------------------------------------------------------


def resource_of(home: House, who: object) -> dict[str, object]:
    """What the plan would send for a joiner."""
    from scimsync.core.writing import resource  # noqa: PLC0415

    change = change_of(home.plan(), who)  # type: ignore[arg-type]
    places = {m.path: m.place for m in home.settings().policy.attributes}
    return dict(resource((places[d.path], d.sides.desired) for d in change.deltas))


def create_by_hand(home: House, login: str, *, document: dict[str, object] | None = None, **values: object) -> str:
    """Create an account through the API, as an administrator would; gives its id."""
    import json  # noqa: PLC0415
    import urllib.parse  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    form = urllib.parse.urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": home.simulator.client_id,
            "client_secret": home.simulator.client_secret,
        }
    ).encode()
    with opener.open(home.simulator.login_url + "/oauth/token", form, timeout=10) as answer:
        token = json.load(answer)["access_token"]
    body = document or {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": login,
        "displayName": "By Hand",
        **values,
    }
    request = urllib.request.Request(
        home.simulator.api_url + "/api/v2/scim/v2/Users",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"},
    )
    with opener.open(request, timeout=10) as answer:
        return str(json.load(answer)["id"])

"""Whole runs over groups: who joins, who leaves, and who is none of our business."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.runs import WIDE_LIMITS, House, codes, house

from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import Finding, GroupChange, Plan
from scimsync.model.reports import Report
from scimsync.simulator.people import Person

PAIRS = '[groups]\nquery = "SELECT employee_id, group_name FROM membership"\n'
NESTING = 'nesting = "SELECT group_name, member_group FROM nesting"\n'
LIMITS = {**WIDE_LIMITS, "group_loss": "100%", "group_gain": 1000}


@dataclass
class Club:
    """A house with groups of its own and a table of memberships in HR."""

    home: House
    #: name -> id
    ids: dict[str, str]

    def configure(self, groups: str = PAIRS, **more: Any) -> None:
        self.home.configure(**{"limits": LIMITS, "more": groups, **more})

    def sql(self, statement: str, rows: Iterable[tuple[str, str]]) -> None:
        with contextlib.closing(sqlite3.connect(self.home.folder / "hr.db")) as database, database:
            database.executemany(statement, list(rows))

    def join(self, name: str, *people: Person | str) -> None:
        keys = [p if isinstance(p, str) else p.employee_id for p in people]
        self.sql("INSERT INTO membership VALUES (?, ?)", ((key, name) for key in keys))

    def leave(self, name: str, *people: Person) -> None:
        rows = ((p.employee_id, name) for p in people)
        self.sql("DELETE FROM membership WHERE employee_id = ? AND group_name = ?", rows)

    def nest(self, *pairs: tuple[str, str]) -> None:
        self.sql("INSERT INTO nesting VALUES (?, ?)", pairs)

    def make(self, name: str, *people: Person, kind: str = "official") -> str:
        members = [self.id(p) for p in people]
        made = self.home.call("groups", {"displayName": name, "members": members, "type": kind})
        self.ids[name] = made["id"]
        return str(made["id"])

    def id(self, who: Person) -> str:
        return str(self.home.account(who)["id"])

    def edit(self, name: str, op: str, path: str, value: object = None) -> None:
        self.home.call("edit", {"id": self.ids[name], "operations": [{"op": op, "path": path, "value": value}]})

    def rename(self, name: str, to: str) -> None:
        """Rename a group by another hand; the simulator's own doors do not (documented: SCIM takes no new name)."""
        self.home.simulator.directory.groups[self.ids[name]].resource["displayName"] = to
        self.home.simulator.directory.forget_wire()

    def members(self, name: str) -> set[str]:
        held = self.home.simulator.directory.groups[self.ids[name]].resource.get("members", [])
        assert isinstance(held, list)
        listed = [str(member["value"]) for member in held]
        assert len(listed) == len(set(listed))
        return set(listed)

    def holds(self, name: str, *people: Person) -> bool:
        return self.members(name) == {self.id(p) for p in people}

    def outcome(self, report: Report, name: str) -> Outcome:
        return report.outcomes[f"group:{self.ids[name]}"][-1]

    def quiet(self) -> None:
        before = self.home.stats()["group_patch"]
        made, report = self.home.sync()
        assert made.groups == ()
        assert report.clean
        assert self.home.stats()["group_patch"] == before


def change(made: Plan, name: str) -> GroupChange:
    return next(group for group in made.groups if group.name == name)


def found(made: Plan, code: str) -> Finding:
    (one,) = [finding for finding in made.findings if finding.code == code]
    return one


@contextlib.contextmanager
def club(folder: Path, groups: str = PAIRS, **more: Any) -> Iterator[Club]:
    """People are settled before groups are configured, so that the runs of a test are about groups."""
    with house(folder, **more) as home:
        home.settle()
        made = Club(home, {})
        with contextlib.closing(sqlite3.connect(folder / "hr.db")) as database, database:
            database.execute("CREATE TABLE membership (employee_id TEXT, group_name TEXT)")
            database.execute("CREATE TABLE nesting (group_name TEXT, member_group TEXT)")
        made.configure(groups)
        yield made


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Club]:
    with club(tmp_path) as made:
        yield made


def test_a_first_run_adds_whom_hr_names_and_leaves_the_rest_there(it: Club) -> None:
    a, b, c, stranger = it.home.active(4)
    it.make("Billing", c, stranger)
    it.make("Sales", stranger)
    it.join("billing ", a, b)
    it.join("Billing", c)
    made, report = it.home.sync()
    assert [(g.name, len(g.add), len(g.remove), g.held) for g in made.groups] == [("Billing", 2, 0, 2)]
    assert (made.tally.groups, made.tally.members_added, made.tally.members_removed) == (1, 2, 0)
    assert made.requests == 1
    assert report.clean
    assert it.holds("Billing", a, b, c, stranger)
    assert it.holds("Sales", stranger)
    it.quiet()


def test_who_leaves_hrs_list_leaves_the_group_only_where_the_membership_was_agreed(it: Club) -> None:
    a, b, c, stranger = it.home.active(4)
    it.make("Billing", c, stranger)
    it.join("Billing", a, b, c)
    it.home.sync()
    it.leave("Billing", a, c)
    made, report = it.home.sync()
    assert [m.key for m in change(made, "Billing").remove] == sorted([a.employee_id, c.employee_id])
    assert report.clean
    assert it.holds("Billing", b, stranger)
    it.quiet()


def test_the_last_member_whom_hr_drops_leaves_though_hr_names_the_group_no_more(it: Club) -> None:
    a, b = it.home.active(2)
    it.make("Billing")
    it.make("Sales")
    it.join("Billing", a)
    it.join("Sales", b)
    it.home.sync()
    it.leave("Billing", a)
    it.home.sync()
    assert it.holds("Billing")
    it.quiet()


def test_whom_others_took_out_comes_back_and_whom_others_put_in_stays(it: Club) -> None:
    a, b, stranger = it.home.active(3)
    it.make("Billing")
    it.join("Billing", a, b)
    it.home.sync()
    it.edit("Billing", "remove", f'members[value eq "{it.id(a)}"]')
    it.edit("Billing", "add", "members", [{"value": it.id(stranger)}])
    it.home.sync()
    assert it.holds("Billing", a, b, stranger)
    it.quiet()


def test_members_of_others_are_removed_where_policy_says_so(it: Club) -> None:
    a, stranger = it.home.active(2)
    it.make("Billing", stranger)
    it.make("Sales", stranger)
    it.join("Billing", a)
    it.configure(PAIRS + 'others = "remove"\n')
    it.home.sync()
    assert it.holds("Billing", a)
    assert it.holds("Sales", stranger)
    it.quiet()


def test_only_managed_groups_are_ours(it: Club) -> None:
    a, b = it.home.active(2)
    it.make("Billing")
    it.make("Sales")
    it.join("Billing", a)
    it.join("Sales", b)
    it.configure(PAIRS + 'managed = ["billing"]\n')
    made, _ = it.home.sync()
    assert found(made, "group.unmanaged").detail == "Sales"
    assert it.holds("Billing", a)
    assert it.holds("Sales")
    it.quiet()


def test_a_group_may_be_named_by_its_id(it: Club) -> None:
    a = it.home.active(1)[0]
    it.join(it.make("Billing"), a)
    it.configure(PAIRS + 'match = "id"\n')
    it.home.sync()
    assert it.holds("Billing", a)


def test_a_hundred_and_twenty_members_travel_in_three_batches_and_are_read_back(tmp_path: Path) -> None:
    with club(tmp_path, users=200, group_batch=50) as it:
        crowd = it.home.active(120)
        it.make("Billing")
        it.join("Billing", *crowd)
        it.home.reset()
        made, report = it.home.sync()
        assert made.requests == 3
        assert report.clean
        assert it.home.stats()["group_patch"] == 3
        assert it.home.stats()["group_get"] == 3
        assert it.holds("Billing", *crowd)
        it.leave("Billing", *crowd[:60])
        it.join("Billing", *it.home.active(10, start=125))
        _, report = it.home.sync()
        assert report.clean
        assert it.holds("Billing", *crowd[60:], *it.home.active(10, start=125))
        it.quiet()


def test_a_list_column_gives_memberships_too(it: Club) -> None:
    a, b = it.home.active(2)
    it.make("Billing")
    it.make("Sales")
    it.home.hr("ALTER TABLE employee ADD COLUMN group_list TEXT")
    it.home.set(a, group_list="Billing, Sales")
    it.home.set(b, group_list=" sales,,")
    it.configure('[groups]\ncolumn = "group_list"\nseparator = ","\n')
    it.home.sync()
    assert it.holds("Billing", a)
    assert it.holds("Sales", a, b)
    it.home.set(a, group_list="Billing")
    it.home.sync()
    assert it.holds("Sales", b)
    it.quiet()


@pytest.mark.parametrize("complete", ["unproven", "assume"])
def test_a_file_of_pairs_removes_only_where_it_proves_that_it_is_whole(tmp_path: Path, complete: str) -> None:
    with house(tmp_path) as home:
        home.write_csv(home.people)
        source = f'kind = "csv"\npath = "hr.csv"\nkey = "employee_id"\ncomplete = "{complete}"\n'
        home.configure(source=source, limits=LIMITS, more='[groups]\npath = "membership.csv"\n')
        it = Club(home, {})
        a, b = home.active(2)
        it.make("Billing")
        pairs = home.folder / "membership.csv"
        pairs.write_text(f"who,where\n{a.employee_id},Billing\n{b.employee_id},Billing\n", encoding="utf-8")
        home.sync()
        pairs.write_text(f"who,where\n{a.employee_id},Billing\n", encoding="utf-8")
        made, _ = home.sync()
        if complete == "assume":
            assert it.holds("Billing", a)
            return
        assert "1 membership stays" in found(made, "member.unproven").detail
        assert it.holds("Billing", a, b)
        # once absence is believed, what waited is done
        home.plan(source__absence="checked by hand")
        home.apply()
        assert it.holds("Billing", a)


def test_a_membership_source_that_is_empty_removes_nobody(it: Club) -> None:
    a = it.home.active(1)[0]
    it.make("Billing")
    it.join("Billing", a)
    it.home.sync()
    it.leave("Billing", a)
    made, report = it.home.sync()
    assert {f.code for f in made.findings} == {"member.unproven"}
    assert report.clean
    assert it.holds("Billing", a)


def test_a_group_that_would_lose_too_many_is_left_as_it_is_and_others_go_on(it: Club) -> None:
    crowd = it.home.active(12)
    it.configure(limits=WIDE_LIMITS)
    it.make("Billing")
    it.make("Sales")
    it.join("Billing", *crowd)
    it.join("Sales", *crowd[:5])
    it.home.sync()
    it.leave("Billing", *crowd[:6])
    it.leave("Sales", *crowd[:4])
    made, _ = it.home.sync()
    assert found(made, "limits.group_loss").detail == "6 of 12, allowed 30%"
    assert it.holds("Billing", *crowd)
    assert it.holds("Sales", crowd[4])
    assert it.home.command("sync").code == 11
    it.home.plan(limits__group_loss="they left for good")
    it.home.apply()
    assert it.holds("Billing", *crowd[6:])
    it.quiet()


def test_groups_that_are_not_there_or_not_one_are_findings_and_the_rest_goes_on(it: Club) -> None:
    a = it.home.active(1)[0]
    it.make("Billing")
    it.make("Twin")
    it.home.call("groups", {"displayName": "twin2"})
    twin = next(g for g in it.home.simulator.directory.groups.values() if g.resource["displayName"] == "twin2")
    twin.resource["displayName"] = "TWIN"
    it.home.simulator.directory.forget_wire()
    it.join("Billing", a)
    it.join("Biling", a)
    it.join("twin", a)
    made, _ = it.home.sync()
    assert "did you mean Billing?" in found(made, "group.unknown").hint
    assert found(made, "group.ambiguous").subject == "twin"
    assert it.holds("Billing", a)
    assert it.holds("Twin")


def test_people_who_are_unknown_or_left_out_are_counted_and_never_removed(it: Club) -> None:
    a, b, c = it.home.active(3)
    it.make("Billing")
    it.join("Billing", a, b, c)
    it.home.sync()
    it.join("Billing", "E-nobody", "E-nothing")
    it.home.set(a, status=None)
    made, _ = it.home.sync()
    assert found(made, "member.unknown").detail.startswith("3 memberships of 3 people: ")
    assert it.holds("Billing", a, b, c)
    it.leave("Billing", a, b)
    it.home.sync()
    assert it.holds("Billing", a, c)  # a is left out, b left HR's list


def test_a_leaver_stays_in_the_group_until_hr_names_the_membership_no_more(it: Club) -> None:
    a, b = it.home.active(2)
    it.make("Billing")
    it.join("Billing", a, b)
    it.home.sync()
    it.home.dismiss(a)
    it.home.sync()
    assert it.home.account(a)["active"] is False
    assert it.holds("Billing", a, b)
    it.leave("Billing", a)
    it.home.sync()
    assert it.holds("Billing", b)


def test_joiners_of_the_run_become_members_of_the_same_run(it: Club) -> None:
    fresh = it.home.newcomer(1)
    it.make("Billing")
    it.home.hire(fresh)
    it.join("Billing", fresh)
    made, report = it.home.sync()
    assert [(m.key, m.account) for m in change(made, "Billing").add] == [(fresh.employee_id, None)]
    assert report.clean
    assert it.holds("Billing", fresh)
    it.quiet()


def test_a_joiner_who_got_no_account_is_left_for_the_next_run(it: Club) -> None:
    fresh, a = it.home.newcomer(1), it.home.active(1)[0]
    it.make("Billing")
    it.home.hire(fresh)
    it.join("Billing", fresh, a)
    it.home.fault({"on": "post", "kind": "status", "status": 400, "times": 1})
    _, report = it.home.sync()
    assert it.outcome(report, "Billing").status is Status.DEFERRED
    assert it.outcome(report, "Billing").code == "member.deferred"
    assert it.holds("Billing", a)
    it.home.sync()
    assert it.holds("Billing", a, fresh)
    it.quiet()


def test_one_person_is_looked_at_and_nobody_else_moves(it: Club) -> None:
    a, b, c = it.home.active(3)
    it.make("Billing")
    it.make("Sales")
    it.join("Billing", a, b)
    it.home.sync()
    it.leave("Billing", a, b)
    it.join("Sales", a, c)
    made = it.home.plan(a.employee_id)
    assert [(g.name, len(g.add), len(g.remove)) for g in made.groups] == [("Billing", 0, 1), ("Sales", 1, 0)]
    it.home.apply()
    assert it.holds("Billing", b)
    assert it.holds("Sales", a)
    it.home.sync()
    assert it.holds("Billing")
    assert it.holds("Sales", a, c)


def test_protected_people_are_not_moved(it: Club) -> None:
    a, b = it.home.active(2)
    it.make("Billing", a)
    it.make("Sales")
    it.join("Sales", a, b)
    it.configure(PAIRS + 'others = "remove"\nmanaged = ["Billing", "Sales"]\n', policy=f'protected = ["{a.email}"]\n')
    it.home.sync()
    assert it.holds("Billing", a)
    assert it.holds("Sales", b)


# --- names that do not resolve ----------------------------------------------------------------------


@pytest.fixture
def billing(it: Club) -> Club:
    """Three people in a group of three, as agreed; a fourth is nowhere. HR names another group, so it is never empty."""
    it.make("Billing")
    it.make("Sales")
    it.join("Billing", *it.home.active(3))
    it.join("Sales", *it.home.active(1))
    it.home.sync()
    return it


def name_in_hr(it: Club, before: str, after: str, *people: Person) -> None:
    for someone in people or it.home.active(3):
        it.leave(before, someone)
        it.join(after, someone)


def test_a_group_that_is_renamed_in_the_directory_loses_nobody_and_hr_may_follow_when_it_likes(billing: Club) -> None:
    it, (a, b, c, d) = billing, billing.home.active(4)
    it.rename("Billing", "Billing EMEA")
    it.leave("Billing", a)
    made, report = it.home.sync()
    assert found(made, "group.unknown").detail == "the group that it meant is called Billing EMEA by now"
    assert found(made, "member.spared").detail == "3 memberships: Billing EMEA"
    assert report.clean
    assert it.holds("Billing", a, b, c)
    said = it.home.command("sync")
    assert said.code == 11
    assert "the directory is what HR says" not in said.out
    name_in_hr(it, "Billing", "Billing EMEA", b, c)
    it.join("Billing EMEA", d)
    it.home.sync()
    assert it.holds("Billing", b, c, d)
    it.quiet()


def test_a_second_group_of_a_name_moves_nobody_in_either(billing: Club) -> None:
    it, (a, b, c) = billing, billing.home.active(3)
    it.make("twin")
    it.rename("twin", "BILLING")
    it.leave("Billing", a)
    made, _ = it.home.sync()
    assert found(made, "group.ambiguous").subject == "Billing"
    assert it.holds("Billing", a, b, c)
    assert it.holds("twin")
    assert it.home.command("sync").code == 11
    it.rename("twin", "Twin")
    it.home.sync()
    assert it.holds("Billing", b, c)


def test_a_name_that_went_over_to_another_group_moves_nobody_until_a_person_says_so(billing: Club) -> None:
    it, (a, b, c) = billing, billing.home.active(3)
    it.rename("Billing", "Billing (old)")
    it.make("new")
    it.rename("new", "Billing")
    made, _ = it.home.sync()
    assert found(made, "group.moved").detail == "the group that it meant is called Billing (old) by now"
    assert it.holds("Billing", a, b, c)
    assert it.holds("new")
    it.home.plan(group__moved="the old one is only kept for its history")
    it.home.apply()
    assert it.holds("new", a, b, c)
    assert it.holds("Billing")
    it.quiet()


@pytest.mark.parametrize("managed", [False, True])
@pytest.mark.parametrize("many", [False, True])
def test_a_typing_error_in_hr_takes_nobody_out(billing: Club, managed: bool, many: bool) -> None:
    it, (a, b, c) = billing, billing.home.active(3)
    if managed:
        it.configure(PAIRS + 'managed = ["Billing", "Sales"]\n')
    name_in_hr(it, "Billing", "Billling", *([a, b, c] if many else [a]))
    made, _ = it.home.sync()
    assert "did you mean Billing?" in found(made, "group.unknown").hint
    assert it.holds("Billing", a, b, c)
    assert it.home.command("sync").code == 11
    it.home.plan(member__spared="Billling is none of ours")
    it.home.apply()
    assert it.holds("Billing", *([] if many else [b, c]))


def test_names_beside_the_managed_ones_that_are_like_none_of_them_hold_nothing(billing: Club) -> None:
    it, (a, b, c) = billing, billing.home.active(3)
    it.configure(PAIRS + 'managed = ["Billing", "Sales"]\n')
    name_in_hr(it, "Billing", "cost centre 12", a)
    made, report = it.home.sync()
    assert codes(made) & {"group.unknown", "member.spared"} == set()
    assert found(made, "group.unmanaged").detail == "cost centre 12"
    assert report.clean
    assert it.holds("Billing", b, c)


def test_a_nested_group_whose_name_does_not_resolve_stays_where_it_is(it: Club) -> None:
    a, b = it.home.active(2)
    it.make("All")
    it.make("Billing")
    it.configure(PAIRS + NESTING + 'nested = "keep"\n')
    it.nest(("All", "Billing"))
    it.join("All", a)
    it.join("Billing", b)
    it.home.sync()
    it.rename("Billing", "Billing EMEA")
    it.home.sync()
    assert it.members("All") == {it.id(a), it.ids["Billing"]}
    assert it.holds("Billing", b)


def test_keys_that_lost_their_zeros_take_nobody_out(billing: Club) -> None:
    it, (a, b, c) = billing, billing.home.active(3)
    it.sql("UPDATE membership SET employee_id = lower(employee_id) WHERE ? = ?", [("", "")])
    made, _ = it.home.sync()
    assert found(made, "member.unknown").detail.startswith("4 memberships of 3 people")
    assert it.holds("Billing", a, b, c)


def test_an_unlisted_group_is_asked_for_by_its_id_before_it_is_forgotten(billing: Club) -> None:
    it, (a, b, c) = billing, billing.home.active(3)
    it.home.option(v2_groups_filter_required="true")
    it.rename("Billing", "Billing EMEA")
    it.leave("Billing", a, b, c)
    it.join("Billing EMEA", b, c)
    it.home.sync()
    assert it.holds("Billing", b, c)


# --- lists of members that cannot be read, and groups that are not to be touched ------------------------


def test_protected_groups_are_never_changed_not_even_under_a_new_name(it: Club) -> None:
    a, b, chief = it.home.active(3)
    it.make("Admins", chief)
    it.make("Billing")
    it.configure(PAIRS + 'protected = ["admins", "Typo"]\n')
    it.join("Admins", a)
    it.join("Billing", b)
    made, _ = it.home.sync()
    assert found(made, "group.protected").detail == "+ 1, - 0 members"
    assert found(made, "group.protected-unknown").subject == "Typo"
    it.rename("Admins", "Chiefs")
    it.join("Chiefs", b)
    made, _ = it.home.sync()
    assert found(made, "group.protected").subject == "Chiefs"
    assert it.holds("Admins", chief)
    assert it.holds("Billing", b)
    assert it.home.command("sync").code == 11


def crowded(it: Club) -> tuple[list[Person], list[Person]]:
    """A crowd that HR names for the group of two chiefs, and for an empty one."""
    chiefs, crowd = it.home.active(2), it.home.active(30, start=10)
    it.configure(limits=WIDE_LIMITS)
    it.make("Admins", *chiefs)
    it.make("All")
    it.join("Admins", *crowd)
    it.join("All", *crowd)
    return chiefs, crowd


def test_a_group_that_would_gain_too_many_is_left_as_it_is_and_others_go_on(it: Club) -> None:
    chiefs, crowd = crowded(it)
    made, _ = it.home.sync()
    assert found(made, "limits.group_gain").detail == "30 of 2, allowed 50%"
    assert it.holds("Admins", *chiefs)
    assert it.holds("All", *crowd)  # a group that holds nobody begins
    assert it.home.command("sync").code == 11
    it.home.plan(limits__group_gain="all of them are admins")
    it.home.apply()
    assert it.holds("Admins", *chiefs, *crowd)


def test_a_group_is_neither_filled_nor_emptied_in_small_steps(it: Club) -> None:
    chiefs, crowd = crowded(it)
    it.home.sync()
    said = it.home.command("sync", *(word for person in crowd[:3] for word in ("--user", person.employee_id)))
    assert said.code == 11, said.out
    assert "30 of 2, allowed 50%" in said.out
    assert it.holds("Admins", *chiefs)
    it.leave("All", *crowd[5:])
    assert it.home.command("sync", "--user", crowd[5].employee_id).code == 11
    assert it.holds("All", *crowd)
    it.join("All", *crowd[6:])
    assert "limits.group_loss" not in it.home.command("sync", "--user", crowd[5].employee_id).out
    assert it.holds("All", *crowd[:5], *crowd[6:])


def test_a_group_that_cannot_be_read_is_told_in_the_exit_code(billing: Club) -> None:
    it = billing
    it.home.fault({"on": "group_get", "kind": "status", "status": 403, "user": it.ids["Billing"], "times": 0})
    said = it.home.command("sync")
    assert said.code == 11
    assert "the directory is what HR says" not in said.out
    it.home.fault({"on": "group_list", "kind": "status", "status": 403, "times": 0})
    said = it.home.command("sync")
    assert said.code == 11
    assert "the list of groups could not be read whole" in said.out


# --- groups in groups -----------------------------------------------------------------------------


def test_nested_groups_are_refused_unless_told_otherwise(it: Club) -> None:
    a, b = it.home.active(2)
    it.make("All")
    it.make("Billing")
    it.configure(PAIRS + NESTING)
    it.nest(("All", "Billing"))
    it.join("All", a)
    it.join("Billing", b)
    made, report = it.home.sync()
    assert (found(made, "group.nested").subject, found(made, "group.nested").detail) == ("All", "Billing")
    assert report.clean
    assert it.holds("All", a)
    assert it.holds("Billing", b)
    it.quiet()


def test_nested_groups_are_kept_as_members(it: Club) -> None:
    a, b = it.home.active(2)
    it.make("All")
    it.make("Billing")
    it.configure(PAIRS + NESTING + 'nested = "keep"\nothers = "remove"\n')
    it.nest(("All", "Billing"))
    it.join("All", a)
    it.join("Billing", b)
    made, _ = it.home.sync()
    assert {m.key for m in change(made, "All").add} == {a.employee_id, "group:Billing"}
    assert it.members("All") == {it.id(a), it.ids["Billing"]}
    it.quiet()
    it.sql("DELETE FROM nesting WHERE group_name = ?", [("All",)])  # type: ignore[list-item]
    it.home.sync()
    assert it.holds("All", a)


def test_nested_groups_are_flattened_over_diamonds_and_hrs_own_groups(it: Club) -> None:
    a, b, c = it.home.active(3)
    it.make("All")
    it.make("East")
    it.configure(PAIRS + NESTING + 'nested = "flatten"\n')
    it.nest(("All", "East"), ("All", "West"), ("East", "Team"), ("West", "Team"))
    it.join("All", a)
    it.join("Team", b)
    it.join("East", c)
    made, _ = it.home.sync()
    assert codes(made) <= {"reference.unknown", "group.unknown"}
    assert it.holds("All", a, b, c)
    assert it.holds("East", b, c)
    it.quiet()


def test_a_group_that_hr_puts_into_itself_by_a_detour_is_refused_with_its_members_named(it: Club) -> None:
    a = it.home.active(1)[0]
    for name in ("A", "B", "C", "D"):
        it.make(name)
    it.configure(PAIRS + NESTING + 'nested = "keep"\n')
    it.nest(("A", "B"), ("B", "C"), ("C", "A"), ("D", "A"))
    it.join("A", a)
    made, report = it.home.sync()
    assert found(made, "group.cycle").detail == "A holds B holds C holds A"
    assert report.clean
    assert it.holds("A", a)
    assert it.members("D") == {it.ids["A"]}
    assert not it.members("B") | it.members("C")


def test_a_nesting_that_the_directory_refuses_does_not_keep_people_out(tmp_path: Path) -> None:
    with club(tmp_path, PAIRS + NESTING + 'nested = "keep"\n', nested_groups="error") as it:
        crowd = it.home.active(20)
        it.make("All")
        it.make("Billing")
        it.nest(("All", "Billing"))
        it.join("All", *crowd)
        _, report = it.home.sync()
        outcome = it.outcome(report, "All")
        assert (outcome.status, outcome.code) == (Status.FAILED, "target.refused")
        assert "refuses 1 of 21 members" in outcome.detail
        assert it.holds("All", *crowd)


# --- trouble ----------------------------------------------------------------------------------------


def test_a_group_whose_members_cannot_be_written_fails_alone(tmp_path: Path) -> None:
    with club(tmp_path, group_types_writable="official") as it:
        a = it.home.active(1)[0]
        it.make("Party", kind="social")
        it.make("Billing")
        it.join("Party", a)
        it.join("Billing", a)
        _, report = it.home.sync()
        assert it.outcome(report, "Party").status is Status.FAILED
        assert it.outcome(report, "Billing").status is Status.DONE
        assert it.holds("Billing", a)


@pytest.mark.parametrize("conflict", ["400_invalid_vers", "409_scim", "409_general_conflict", "412"])
def test_a_lost_race_is_answered_by_reading_and_sending_what_is_still_wanted(tmp_path: Path, conflict: str) -> None:
    with club(tmp_path, version_conflict=conflict) as it:
        a, b, stranger = it.home.active(3)
        it.make("Billing")
        it.join("Billing", a, b)
        it.home.plan()
        it.edit("Billing", "add", "members", [{"value": it.id(stranger)}, {"value": it.id(a)}])
        report = it.home.apply()
        outcome = it.outcome(report, "Billing")
        assert (outcome.status, outcome.races) == (Status.DONE, 1)
        assert it.holds("Billing", a, b, stranger)
        (sent,) = [e for e in it.home.history() if e["resource"] == "Group"]
        assert sent["operations"] == [{"op": "add", "path": "members", "value": [{"value": it.id(b)}]}]
        it.quiet()


def test_a_group_that_changes_each_time_we_come_is_held(it: Club) -> None:
    a, *strangers = it.home.active(8)
    it.make("Billing")
    it.join("Billing", a)
    it.home.fault(
        *(
            {"on": "group_patch", "kind": "foreign_edit", "path": "members", "value": [{"value": it.id(s)}]}
            for s in strangers
        )
    )
    _, report = it.home.sync()
    outcome = it.outcome(report, "Billing")
    assert (outcome.status, outcome.code, outcome.races) == (Status.HELD, "write.races", 4)
    it.home.fault()
    it.home.sync()
    assert it.id(a) in it.members("Billing")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_settled_by_reading(tmp_path: Path, when: str) -> None:
    with club(tmp_path, users=200) as it:
        crowd = it.home.active(120)
        it.make("Billing")
        it.join("Billing", *crowd)
        it.home.fault({"on": "group_patch", "kind": "reset", "when": when, "skip": 1})
        _, report = it.home.sync()
        assert report.clean
        assert it.holds("Billing", *crowd)
        assert len([e for e in it.home.history() if e["resource"] == "Group"]) == 3
        it.quiet()


def test_a_directory_that_takes_a_request_and_does_nothing_is_found_out(it: Club) -> None:
    a = it.home.active(1)[0]
    it.make("Billing")
    it.join("Billing", a)
    it.home.fault({"on": "group_patch", "kind": "status", "status": 200, "times": 0})
    _, report = it.home.sync()
    assert it.outcome(report, "Billing").code == "write.mismatch"
    it.home.fault()
    it.home.sync()
    assert it.holds("Billing", a)


def test_a_directory_that_lists_groups_by_filter_only_is_asked_for_each(tmp_path: Path) -> None:
    with club(tmp_path, v2_groups_filter_required="true") as it:
        a, b = it.home.active(2)
        it.make("Billing")
        it.make("Sales")
        it.join("billing", a)
        it.join("Sales", b)
        it.join("Nowhere", b)
        made, _ = it.home.sync()
        assert found(made, "group.unknown").subject == "Nowhere"
        assert it.holds("Billing", a)
        it.leave("Sales", b)
        made, _ = it.home.sync()
        assert found(made, "member.spared").detail == "1 membership: Sales"
        assert it.holds("Sales", b)  # Nowhere may be meant for it
        it.leave("Nowhere", b)
        it.home.sync()
        assert it.holds("Sales")


def test_a_group_that_was_deleted_or_cannot_be_read_stops_nobody(it: Club) -> None:
    a = it.home.active(1)[0]
    it.make("Billing")
    it.make("Sales")
    it.join("Billing", a)
    it.join("Sales", a)
    it.home.fault({"on": "group_get", "kind": "status", "status": 403, "user": it.ids["Billing"]})
    made, _ = it.home.sync()
    assert found(made, "group.unread").subject == "Billing"
    assert it.holds("Sales", a)
    it.home.plan()
    it.home.fault({"on": "group_patch", "kind": "status", "status": 404})
    report = it.home.apply()
    assert it.outcome(report, "Billing").code == "group.gone"


@pytest.mark.parametrize("settled", [False, True])
def test_apply_killed_in_the_middle_of_a_group_repeats_and_loses_nothing(tmp_path: Path, settled: bool) -> None:
    with club(tmp_path, users=400) as it:
        crowd = it.home.active(300)
        it.make("Billing", *crowd[:50])
        it.join("Billing", *crowd[50:])
        it.home.plan()
        it.home.fault({"on": "group_patch", "kind": "hang", "seconds": 0.1, "times": 0, "when": "after"})
        with it.home.start("apply", "--yes") as process:
            started = time.monotonic()
            while it.home.counted("group_patch") < 3 and time.monotonic() < started + 20:
                time.sleep(0.01)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        it.home.fault()
        said = it.home.command(*(("sync",) if settled else ("apply", "--yes")))
        assert said.code == 0, said.out + said.err
        assert it.holds("Billing", *crowd)
        sent = [e for e in it.home.history() if e["resource"] == "Group"]
        added = [m["value"] for e in sent for o in e["operations"] for m in o["value"]]
        assert sorted(added) == sorted(it.id(p) for p in crowd[50:])
        assert it.home.unsettled() == set()
        it.quiet()
        it.leave("Billing", *crowd[50:60])
        it.home.sync()
        assert it.holds("Billing", *crowd[:50], *crowd[60:])


def test_the_plan_shows_groups_in_text_and_json_and_keeps_them_in_its_file(it: Club) -> None:
    a, b = it.home.active(2)
    it.make("Billing")
    it.join("Billing", a, b)
    said = it.home.command("plan", "--out", "plan.ndjson", "--detailed-exitcode")
    assert said.code == 10
    assert "Billing  + 2 of 0 members" in said.out
    assert a.employee_id in said.out
    assert '"group"' in (it.home.folder / "plan.ndjson").read_text(encoding="utf-8")
    assert it.home.command("apply", "plan.ndjson", "--yes").code == 0
    assert it.holds("Billing", a, b)

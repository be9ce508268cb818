"""Whole runs with people who are out of scope, on leave, have several records, or join soon."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace
from tests.postgres import postgres_url
from tests.runs import SOURCE_CSV, SOURCE_SQL, House, actions, codes, house, row

from scimsync import bootstrap
from scimsync.cli.sample import ATTRIBUTES
from scimsync.model.outcomes import Ending
from scimsync.model.plans import Lifecycle
from scimsync.simulator.people import Person

TODAY = datetime.now(UTC).date()
DAYS = f'{SOURCE_SQL}valid_from = "hire_date"\nvalid_until = "end_date"\n'
LEAVE = f"{SOURCE_SQL}on_leave = \"status = 'leave'\"\n"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.hr("ALTER TABLE employee ADD COLUMN end_date TEXT")
        found.hr("UPDATE employee SET hire_date = '2020-01-01' WHERE hire_date > ?", str(TODAY))
        found.configure()
        found.settle()
        yield found


def add(home: House, person: Person) -> None:
    home.hr(f"INSERT INTO employee VALUES ({', '.join('?' for _ in row(person))}, NULL)", *row(person))


# --- leave -----------------------------------------------------------------------------------------


def test_nothing_is_written_of_whoever_is_on_leave_and_the_return_is_no_rehire(home: House) -> None:
    home.configure(source=LEAVE)
    (away,) = home.active(1)
    home.set(away, status="leave", job_title="Away")
    said = home.command("sync")
    assert said.code == 0, said.out + said.err
    assert "1 person is on leave" in said.out
    assert home.account(away)["active"] is True
    assert home.account(away).get("title") != "Away"
    home.quiet()
    home.set(away, status="active")
    made, _ = home.sync()
    assert actions(made) == {away.employee_id: "update"}
    assert home.account(away)["title"] == "Away"


def test_access_is_taken_for_a_leave_and_given_back_and_nobody_left(home: House) -> None:
    home.configure(source=LEAVE, policy='leave = "disable"\nleavers = "delete"\nleavers_after = "1h"\n')
    (away,) = home.active(1)
    home.set(away, status="leave")
    made, _ = home.sync()
    (change,) = made.changes
    assert (change.action.value, change.lifecycle.value, change.deltas[0].reason.value) == (
        "disable",
        "mover",
        "on leave",
    )
    assert home.account(away)["active"] is False
    made = home.plan()
    assert (actions(made), [f.code for f in made.findings if f.code.startswith("leaver.")]) == ({}, [])
    home.set(away, status="active")
    made, _ = home.sync()
    (change,) = made.changes
    assert (change.action.value, change.lifecycle.value) == ("enable", "mover")
    assert "back from leave" in {d.reason.value for d in change.deltas}
    assert home.account(away)["active"] is True
    home.quiet()


def test_a_rehire_is_one_though_leaves_are_known(home: House) -> None:
    home.configure(source=LEAVE, policy='leave = "disable"\n')
    (gone,) = home.active(1)
    home.set(gone, status="left")
    home.sync()
    home.set(gone, status="active")
    made, _ = home.sync()
    assert [change.lifecycle.value for change in made.changes] == ["rehire"]


def test_a_leave_may_take_skills_and_give_them_back(home: House) -> None:
    policy = 'leave = "keep"\nleave_removes = ["genesys:routingSkills"]\n'
    home.configure(source=LEAVE, policy=policy)
    away = next(person for person in home.active(20) if home.skills(person))
    skills = home.skills(away)
    home.set(away, status="leave")
    home.sync()
    assert (home.skills(away), home.account(away)["active"]) == (set(), True)
    home.quiet()
    home.set(away, status="active")
    home.sync()
    assert home.skills(away) == skills


def test_an_end_comes_before_a_leave(home: House) -> None:
    home.configure(source=f"{DAYS}on_leave = \"status = 'leave'\"\n")
    (gone,) = home.active(1)
    home.hr(
        "UPDATE employee SET status = 'leave', end_date = ? WHERE employee_id = ?",
        str(TODAY - timedelta(days=1)),
        gone.employee_id,
    )
    home.sync()
    assert home.account(gone)["active"] is False


# --- scope -----------------------------------------------------------------------------------------


def test_whoever_falls_out_of_scope_is_left_alone_and_told_of(home: House) -> None:
    (out,) = home.active(1)
    home.configure(source=f"{SOURCE_SQL}where = \"job_title <> 'Contractor'\"\n")
    home.set(out, job_title="Contractor", last_name="Other")
    said = home.command("sync")
    assert said.code == 0, said.out + said.err
    assert "out of scope" in said.out
    assert home.account(out)["active"] is True
    home.quiet()
    new = home.newcomer(1)
    add(home, new)
    home.set(new, job_title="Contractor")
    made = home.plan()
    assert (actions(made), made.tally.held) == ({}, 0)
    home.set(new, job_title="Agent")
    assert actions(home.plan()) == {new.employee_id: "create"}


def test_access_ends_with_the_scope_where_policy_says_so_and_a_limit_counts(home: House) -> None:
    people = home.active(10)
    home.configure(
        source=f"{SOURCE_SQL}where = \"job_title <> 'Contractor'\"\n",
        policy='out_of_scope = "disable"\n',
        limits={"disable": 1, "update": "100%", "source_rows_drop": "100%"},
    )
    home.set(people[0], job_title="Contractor")
    made, _ = home.sync()
    assert actions(made)[people[0].employee_id] == "disable"
    assert home.account(people[0])["active"] is False
    for person in people[1:]:
        home.set(person, job_title="Contractor")
    assert [finding.code for finding in home.plan().refusals] == ["limits.disable"]


@pytest.mark.parametrize("policy", ["", 'out_of_scope = "disable"\n'])
def test_whoever_left_by_the_own_record_loses_access_though_it_is_out_of_scope(home: House, policy: str) -> None:
    (left,) = home.active(1)
    home.configure(source=f"{SOURCE_SQL}where = \"status = 'active'\"\n", policy=policy)
    before = home.account(left)["title"]
    home.set(left, status="left", job_title="Gone")
    made, report = home.sync()
    assert report.clean
    assert actions(made) == {left.employee_id: "disable"}
    assert next(c for c in made.changes if c.key == left.employee_id).lifecycle is Lifecycle.LEAVER
    assert home.account(left)["active"] is False
    assert home.account(left)["title"] == before  # what else stands in that record is not ours
    home.quiet()


def test_an_old_record_out_of_scope_keeps_nobody_who_left(home: House) -> None:
    (left,) = home.active(1)
    home.hr("ALTER TABLE employee ADD COLUMN company TEXT DEFAULT 'A'")
    home.configure(source=f"{DAYS}where = \"company = 'A'\"\n")
    listed = ", ".join(name for (name,) in _columns(home) if name not in {"company", "hire_date", "end_date"})
    home.hr(
        f"INSERT INTO employee (company, hire_date, end_date, {listed}) SELECT 'B', '2015-01-01', '2019-12-31', {listed} "
        "FROM employee WHERE employee_id = ?",
        left.employee_id,
    )
    home.quiet()
    yesterday = str(TODAY - timedelta(days=1))
    home.hr("UPDATE employee SET end_date = ? WHERE employee_id = ? AND company = 'A'", yesterday, left.employee_id)
    assert actions(home.plan()) == {left.employee_id: "disable"}
    # one that holds today says where the person is now
    home.hr("UPDATE employee SET end_date = NULL WHERE employee_id = ? AND company = 'B'", left.employee_id)
    made = home.plan()
    assert (actions(made), "record.out-of-scope" in codes(made)) == ({}, True)


def test_nobody_is_deleted_for_having_fallen_out_of_scope(home: House) -> None:
    (out,) = home.active(1)
    policy = 'out_of_scope = "disable"\nleavers = "delete"\nleavers_after = "1h"\n'
    home.configure(source=f"{SOURCE_SQL}where = \"job_title <> 'Contractor'\"\n", policy=policy)
    home.set(out, job_title="Contractor")
    made, report = home.sync()
    assert report.clean
    assert actions(made) == {out.employee_id: "disable"}
    account = str(home.account(out)["id"])
    with bootstrap.open_store(home.settings()) as store:
        assert out.employee_id not in {one.key for one in store.endings()}
        since = datetime.now(UTC) - timedelta(days=90)
        store.change_endings([Ending(out.employee_id, account, since, proven=True)])  # as an earlier version noted
    made = home.plan()
    assert out.employee_id not in actions(made)
    assert out.employee_id not in {finding.subject for finding in made.findings}


def test_the_scope_takes_access_from_nobody_who_was_never_ours(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        others = home.active(3)
        for other in others:
            home.set(other, job_title="Contractor", last_name="Other")
        home.configure(
            source=f"{SOURCE_SQL}where = \"job_title <> 'Contractor'\"\n", policy='out_of_scope = "disable"\n'
        )
        made = home.plan()
        assert {other.employee_id for other in others} & {change.key for change in made.changes} == set()


def test_two_records_of_which_one_is_on_leave_are_not_equal(home: House) -> None:
    (both,) = home.active(1)
    home.hr("ALTER TABLE employee ADD COLUMN away TEXT")
    home.configure(source=f"{SOURCE_SQL}on_leave = \"away = 'x'\"\n")
    listed = ", ".join(name for (name,) in _columns(home) if name != "away")
    home.hr(
        f"INSERT INTO employee (away, {listed}) SELECT 'x', {listed} FROM employee WHERE employee_id = ?",
        both.employee_id,
    )
    made = home.plan()
    assert "record.duplicate-key" in codes(made)
    assert actions(made) == {}


def test_a_scope_that_cannot_be_told_holds_and_one_without_people_stops(home: House) -> None:
    (odd,) = home.active(1)
    home.configure(source=f"{SOURCE_SQL}where = \"job_title <> 'Contractor'\"\n", policy='out_of_scope = "disable"\n')
    home.hr("UPDATE employee SET job_title = NULL WHERE employee_id = ?", odd.employee_id)
    made = home.plan()
    assert actions(made) == {}
    assert [(f.code, f.subject) for f in made.findings if f.holds] == [("record.scope-unknown", odd.employee_id)]
    home.configure(source=f"{SOURCE_SQL}where = \"job_title = 'Nobody'\"\n")
    said = home.command("plan")
    assert (said.code, "leaves nobody" in said.err) == (3, True)


# --- several records -------------------------------------------------------------------------------


def test_the_main_job_counts_and_without_a_rule_two_are_held(home: House) -> None:
    (both,) = home.active(1)
    home.hr("ALTER TABLE employee ADD COLUMN hours INTEGER DEFAULT 40")
    listed = [name for (name,) in _columns(home) if name not in {"job_title", "hours"}]
    home.hr(
        f"INSERT INTO employee ({', '.join(listed)}, job_title, hours) SELECT {', '.join(listed)}, 'Second', 10 "
        f"FROM employee WHERE employee_id = ?",
        both.employee_id,
    )
    assert {f.code for f in home.plan().findings if f.holds} == {"record.duplicate-key"}
    home.configure(source=f'{SOURCE_SQL}main = "hours desc"\n')
    made = home.plan()
    assert (actions(made), made.tally.held) == ({}, 0)
    home.configure(source=f'{SOURCE_SQL}main = "hours"\n')
    home.sync()
    assert home.account(both)["title"] == "Second"
    home.configure(source=f'{SOURCE_SQL}main = "first_name"\n')
    assert {f.code for f in home.plan().findings if f.holds} == {"record.duplicate-key"}
    home.configure(source=f'{SOURCE_SQL}main = "horus desc"\n')
    said = home.command("plan")
    assert (said.code, "did you mean hours" in said.err) == (2, True)


def _columns(home: House) -> list[tuple[str]]:
    with closing(sqlite3.connect(home.folder / "hr.db")) as database:
        return database.execute("SELECT name FROM pragma_table_info('employee')").fetchall()


# --- before the first day, and again after the last --------------------------------------------------


def test_an_account_is_made_before_the_first_day_and_enabled_on_it(home: House) -> None:
    home.configure(source=DAYS, policy='create_before = "7d"\n')
    soon = home.newcomer(1, hire_date=str(TODAY + timedelta(days=5)))
    later = home.newcomer(2, hire_date=str(TODAY + timedelta(days=9)))
    add(home, soon)
    add(home, later)
    said = home.command("sync")
    assert said.code == 0, said.out + said.err
    assert "known before the first day" in said.out
    assert home.account(soon)["active"] is False
    assert home.accounts(later.email) == []
    home.quiet()
    home.set(soon, job_title="Changed")
    made, _ = home.sync()
    assert actions(made) == {soon.employee_id: "update"}
    assert (home.account(soon)["title"], home.account(soon)["active"]) == ("Changed", False)
    home.set(soon, hire_date=str(TODAY))
    made, _ = home.sync()
    (change,) = made.changes
    assert (change.action.value, change.lifecycle.value) == ("enable", "joiner")
    assert "the first day has come" in {d.reason.value for d in change.deltas}
    assert home.account(soon)["active"] is True
    home.quiet()


def test_whoever_has_access_before_the_first_day_keeps_it(home: House) -> None:
    (has,) = home.active(1)
    home.configure(source=DAYS, policy='create_before = "7d"\n')
    home.set(has, hire_date=str(TODAY + timedelta(days=3)))
    made = home.plan()
    assert actions(made) == {}
    assert "record.not-yet-valid" in {f.code for f in made.findings}
    assert "leaver.kept" not in {f.code for f in made.findings}


def test_access_that_somebody_gave_early_is_left_alone(home: House) -> None:
    home.configure(source=DAYS, policy='create_before = "7d"\n')
    soon = home.newcomer(1, hire_date=str(TODAY + timedelta(days=3)))
    add(home, soon)
    home.sync()
    assert home.account(soon)["active"] is False
    home.edit(soon, "active", True)
    made = home.plan()
    assert actions(made) == {}, "somebody gave that access: it is not ours to take before the first day"
    assert home.account(soon)["active"] is True


def test_a_future_rehire_leaves_now_and_comes_back_on_the_day(home: House) -> None:
    home.configure(source=DAYS)
    (back,) = home.active(1)
    ended, again = TODAY - timedelta(days=1), TODAY + timedelta(days=5)
    home.hr(
        "UPDATE employee SET hire_date = ?, end_date = ? WHERE employee_id = ?",
        str(again),
        str(ended),
        back.employee_id,
    )
    made, _ = home.sync()
    assert actions(made) == {back.employee_id: "disable"}
    assert [(one.lifecycle.value, one.day) for one in made.coming if one.key == back.employee_id] == [("joiner", again)]
    home.hr("UPDATE employee SET hire_date = ?, end_date = NULL WHERE employee_id = ?", str(TODAY), back.employee_id)
    made, _ = home.sync()
    assert actions(made) == {back.employee_id: "enable"}


def test_the_days_to_come_are_a_timetable(home: House) -> None:
    home.configure(source=DAYS)
    first, second = TODAY + timedelta(days=3), TODAY + timedelta(days=10)
    for index in range(1, 4):
        add(home, home.newcomer(index, hire_date=str(first)))
    for person in home.active(11):
        home.hr("UPDATE employee SET end_date = ? WHERE employee_id = ?", str(second), person.employee_id)
    said = home.command("plan")
    assert f"on {first:%a} {first}: 3 join" in said.out
    day = second + timedelta(days=1)
    assert f"on {day:%a} {day}: 11 leave" in said.out
    made = json.loads(home.command("plan", "--json").out)
    assert made["days"] == [{"day": str(first), "joiner": 3}, {"day": str(day), "leaver": 11}]


# --- days --------------------------------------------------------------------------------------------


def test_the_documented_status_works_on_a_csv_of_texts(home: House) -> None:
    people = home.people
    home.write_csv(people)
    text = ATTRIBUTES.replace(
        "one_of(status, ['active'], ['inactive', 'left'])", "status = 'active' AND hire_date <= today()"
    )
    assert text != ATTRIBUTES
    home.configure(source=SOURCE_CSV, attributes=text)
    home.sync()
    (odd,) = home.active(1)
    home.write_csv([replace(one, hire_date="0000-00-00") if one == odd else one for one in people])
    made = home.plan()
    assert odd.employee_id not in actions(made)
    assert ("record.bad-date", odd.employee_id) in {(f.code, f.subject) for f in made.findings}
    assert home.account(odd)["active"] is True


def test_a_file_with_a_title_and_one_without_header_are_read(home: House) -> None:
    data = home.write_csv(home.people).decode()
    path = home.folder / "hr.csv"
    path.write_text(f"Staff of today\n\n{data}", encoding="utf-8")
    home.configure(source=f"{SOURCE_CSV}skip_lines = 2\n")
    assert actions(home.plan()) == {}
    header, _, rows = data.partition("\n")
    path.write_text(rows, encoding="utf-8")
    home.configure(source=f"{SOURCE_CSV}columns = {json.dumps(header.strip().split(','))}\n")
    assert actions(home.plan()) == {}
    home.configure(source=f'{SOURCE_CSV}columns = ["employee_id", "email"]\n')
    said = home.command("plan")
    assert (said.code, "expected 2 as columns under [source] names" in said.err) == (3, True)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        yield url


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_every_type_of_postgres_is_the_same_day(tmp_path: Path, postgres: str, kind: str) -> None:
    with house(tmp_path) as home:
        people = home.people
        with psycopg.connect(postgres, autocommit=True) as database:
            database.execute("DROP TABLE IF EXISTS employee")
            names = [name for (name,) in _columns(home)]
            listed = ", ".join(f"{name} {kind if name == 'hire_date' else 'text'}" for name in names)
            database.execute("SET TimeZone = 'Europe/Berlin'")
            database.execute(f"CREATE TABLE employee ({listed})")
            with database.cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO employee VALUES ({', '.join(['%s'] * len(names))})", [row(one) for one in people]
                )
            if kind != "date":
                database.execute("UPDATE employee SET hire_date = hire_date + INTERVAL '30 minutes'")
            odd = home.active(1)[0]
            source = (
                f'kind = "sql"\nurl = "{postgres}"\nquery = "SELECT * FROM employee"\nkey = "employee_id"\n'
                'zone = "Europe/Berlin"\n'
            )
            home.configure(source=source)
            home.settle()
            database.execute("UPDATE employee SET hire_date = 'infinity' WHERE employee_id = %s", [odd.employee_id])
        made = home.plan()
        assert actions(made) == {}
        assert [(f.code, f.subject) for f in made.findings if f.holds] == [("record.bad-date", odd.employee_id)]

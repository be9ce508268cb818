"""Several sources, joined: whose value counts, and what happens when one of them is short, silent or beside itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.runs import ATTRIBUTES, WIDE_LIMITS, House, actions, change_of, codes, house, paths

from scimsync.errors import ConfigError
from scimsync.model.plans import Plan
from scimsync.simulator.people import Person

PEOPLE = 30
HR = '[source]\nname = "hr"\nkind = "sql"\nurl = "sqlite:///hr.db"\nquery = "SELECT * FROM employee"\nkey = "employee_id"\n'
AD = '[source.ad]\nkind = "csv"\npath = "ad.csv"\njoin = "ad.employeeID = hr.employee_id"\n'
PROVEN = 'complete = "assume"\n'
MAPPED = ATTRIBUTES.replace('= "job_title"', '= "coalesce(ad.title, hr.job_title)"').replace(
    '= "department"', '= "ad.department"'
)


def entry(someone: Person, **changes: str) -> dict[str, str]:
    """What the other directory holds of a person."""
    return {
        "employeeID": someone.employee_id,
        "title": someone.title or "",
        "department": someone.department or "",
        **changes,
    }


def write(home: House, *entries: Mapping[str, str], name: str = "ad.csv") -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(entries[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(entries)
    (home.folder / name).write_text(text.getvalue(), encoding="utf-8")


def configure(home: House, more: str = PROVEN, attributes: str = MAPPED, ad: str = AD, **kept: Any) -> None:
    home.configure(source=HR.removeprefix("[source]\n") + ad + more, attributes=attributes, **kept)


def waits(made: Plan) -> set[str]:
    """The codes of what somebody has to look at."""
    return {finding.code for finding in made.findings if finding.holds}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    """HR and another directory that agree, and a target that agrees with both."""
    with house(tmp_path, users=PEOPLE, configure=False) as found:
        found.write_hr(found.people)
        write(found, *map(entry, found.people))
        configure(found)
        found.settle()
        found.quiet()
        yield found


def everybody(home: House, who: Person | None = None, **changes: str) -> list[dict[str, str]]:
    """What the other directory holds, with one person changed."""
    return [entry(p, **(changes if p == who else {})) for p in home.people]


def test_the_first_of_coalesce_counts_where_it_says_anything(home: House) -> None:
    who, other = home.active(2)
    write(home, *(entry(p, title={who: "Chief", other: ""}.get(p, p.title or "")) for p in home.people))
    home.set(other, job_title="From HR")
    made, report = home.sync()
    assert report.clean
    assert home.account(who)["title"] == "Chief"
    assert home.account(other)["title"] == "From HR"
    assert len(made.changes) == 2
    home.quiet()


def test_a_joined_source_that_cannot_be_read_freezes_what_is_made_of_it_and_nothing_else(home: House) -> None:
    who, other, leaver = home.active(3)
    home.set(who, job_title="New title")  # of coalesce(ad.title, hr.job_title): nobody knows which counts
    home.set(other, last_name="Married")
    home.dismiss(leaver)
    before = home.account(who)["title"]
    (home.folder / "ad.csv").unlink()
    made, _ = home.sync()
    assert waits(made) == {"source.joined-unread"}
    assert actions(made) == {other.employee_id: "update", leaver.employee_id: "disable"}
    assert home.account(who)["title"] == before
    assert home.account(other)["displayName"].endswith("Married")
    assert not home.account(leaver)["active"]
    assert home.command("sync").code == 11
    write(home, *everybody(home, who, title="Again"))
    home.sync()
    assert home.account(who)["title"] == "Again"


def test_who_joins_while_a_source_is_silent_gets_an_account_without_what_it_says(home: House) -> None:
    new = home.newcomer(1)
    home.hire(new)
    (home.folder / "ad.csv").unlink()
    home.sync()
    assert "title" not in home.account(new)
    write(home, *map(entry, [*home.people, new]))
    home.sync()
    assert home.account(new)["title"] == new.title
    home.quiet()


def test_a_short_joined_source_clears_nothing_from_whom_it_lost(home: House) -> None:
    configure(home, limits={**WIDE_LIMITS, "source_rows_drop": "10%"})
    lost = {p.employee_id: home.account(p).get("title") for p in home.people[5:]}
    write(home, *(entry(p) for p in home.people[:5]))
    made, _ = home.sync()
    assert "source.joined-short" in codes(made)
    assert actions(made) == {}
    assert {p.employee_id: home.account(p).get("title") for p in home.people[5:]} == lost
    # short once is short again: the reading that is not believed is not what the next is judged by
    assert "source.joined-short" in codes(home.plan())
    # a person may say that it is right
    made = home.plan(**{"source.joined-short": "they moved", "source.blanks": "they moved"})
    assert not codes(made) & {"source.joined-short", "source.blanks"}
    assert len(made.changes) > 5


def test_whom_an_unproven_source_lacks_keeps_what_was_made_of_it(home: House) -> None:
    who = home.active(1)[0]
    configure(home, more="")
    write(home, *(entry(p) for p in home.people if p != who))
    made = home.plan()
    assert "source.joined-missing" in codes(made)
    assert actions(made) == {}
    configure(home)
    assert paths(home.plan(), who) == {"enterprise:department"}  # of a proven one, the absence says something


def test_two_different_records_for_one_person_are_nobodys_values(home: House) -> None:
    who, other = home.active(2)
    write(home, *everybody(home, other, title="Chief"), entry(who, title="Another"))
    made, _ = home.sync()
    assert waits(made) == {"source.joined-several"}
    assert actions(made) == {other.employee_id: "update"}
    assert home.account(who)["title"] == who.title
    # the same record twice is one
    write(home, *everybody(home, other, title="Chief"), entry(who))
    assert "source.joined-several" not in codes(home.plan())
    home.quiet()


def test_a_table_of_departments_is_joined_to_everybody_who_names_one(home: House) -> None:
    names = sorted({p.department for p in home.people if p.department})
    write(home, *({"code": name, "label": f"The {name}"} for name in names), name="labels.csv")
    labels = '[source.labels]\nkind = "csv"\npath = "labels.csv"\njoin = "upper(labels.code) = upper(department)"\n'
    configure(home, ad=AD + PROVEN + labels, attributes=MAPPED.replace('= "ad.department"', '= "labels.label"'))
    made, report = home.sync()
    assert report.clean
    assert len(made.changes) == sum(bool(p.department) for p in home.people)
    home.quiet()


def test_access_that_a_silent_source_decides_is_left_as_it_is(home: House) -> None:
    write(home, *({**entry(p), "enabled": "1" if p.active else "0"} for p in home.people))
    configure(
        home, attributes=MAPPED.replace(MAPPED.partition("active ")[2].partition("\n")[0], " = \"ad.enabled = '1'\"", 1)
    )
    home.quiet()
    who = home.active(1)[0]
    home.set(who, last_name="Married")
    (home.folder / "ad.csv").unlink()
    made = home.plan()
    assert "disable" not in actions(made).values()
    assert "enable" not in actions(made).values()


@pytest.mark.parametrize("lost", ["employeeID", "title"])
def test_a_column_that_a_joined_source_lost_keeps_no_leaver_in(home: House, lost: str) -> None:
    leaver, other = home.active(2)
    home.set(leaver, status="left")
    home.set(other, last_name="Married")
    renamed = [{("x" if name == lost else name): value for name, value in entry(p).items()} for p in home.people]
    write(home, *renamed)
    for _ in range(2):  # what was lost once is still known the next time
        made, _ = home.sync()
        assert waits(made) == {"source.joined-unread"}
    assert not home.account(leaver)["active"]
    assert home.account(other)["displayName"].endswith("Married")
    assert home.account(other)["title"] == other.title
    write(home, *map(entry, home.people))
    home.quiet()


def test_explain_says_which_source_a_value_came_from(home: House) -> None:
    who = home.active(1)[0]
    write(home, *everybody(home, who, title="Chief"))
    said = home.command("explain", who.employee_id, "title")
    assert said.code == 0, said.err
    assert "ad.title" in said.out
    assert "Chief" in said.out
    assert "binder error" not in said.out


def test_numbers_are_joined_as_they_are_written(home: House) -> None:
    who = home.active(1)[0]
    rooms = "".join(f'{{"id": {n}, "room": {n}.50}}\n' for n in range(1, 4))
    (home.folder / "rooms.jsonl").write_text(rooms, encoding="utf-8")
    home.hr("ALTER TABLE employee ADD COLUMN desk TEXT")
    home.set(who, desk="2")
    extra = '[source.rooms]\nkind = "jsonl"\npath = "rooms.jsonl"\njoin = "rooms.id = hr.desk"\n'
    configure(
        home,
        ad=AD + PROVEN + extra,
        attributes=MAPPED.replace('= "coalesce(ad.title, hr.job_title)"', '= "coalesce(blank(rooms.room), ad.title)"'),
    )
    made = home.plan()
    (delta,) = [d for d in change_of(made, who).deltas if d.path == "title"]
    assert delta.sides.desired == "2.5"  # a float, of which JSON keeps no spelling
    assert list(actions(made)) == [who.employee_id]


@pytest.mark.parametrize(
    ("ad", "attributes", "said"),
    [
        (AD.replace("ad.employeeID = hr.employee_id", "ad.employeID = hr.employee_id"), MAPPED, "did you mean employeeID"),
        (AD.replace("ad.employeeID = hr.employee_id", "ad.employeeID = hr.employe_id"), MAPPED, "did you mean employee_id"),
        (AD, MAPPED.replace("ad.title", "ad.titel"), "the source has no column ad.titel; did you mean ad.title"),
        (AD, MAPPED.replace("ad.title", "da.title"), "da.title is not a column of the source"),
    ],
)  # fmt: skip
def test_a_column_that_no_source_has_is_named(home: House, ad: str, attributes: str, said: str) -> None:
    configure(home, ad=ad, attributes=attributes)
    with pytest.raises(ConfigError) as told:
        home.plan()
    assert said in str(told.value)


def test_each_who_waits_for_a_silent_source_is_counted_and_named_and_a_leaver_waits_for_nothing(home: House) -> None:
    write(home, *({**entry(p), "mail": p.email} for p in home.people))
    configure(home, attributes=MAPPED.replace('"lower(trim(email))"', '"lower(coalesce(ad.mail, hr.email))"'))
    home.quiet()
    leaver, gone = home.active(2)
    home.set(leaver, status="left")
    home.dismiss(gone)
    (home.folder / "ad.csv").unlink()
    made = home.plan()
    waiting = {f.subject for f in made.findings if f.code == "record.unjoined"}
    assert waiting == {p.employee_id for p in home.people if p.active} - {leaver.employee_id, gone.employee_id}
    assert made.tally.held == len(waiting)
    assert {leaver.employee_id, gone.employee_id} <= {k for k, action in actions(made).items() if action == "disable"}
    (wide,) = [f for f in made.findings if f.code == "source.joined-unread"]
    assert wide.path == "enterprise:department, title, userName"
    said = home.command("explain", home.active(4)[3].employee_id)
    assert "record.unjoined" in said.out
    said = home.command("explain", leaver.employee_id, "title")
    assert "source.joined-unread" in said.out


def test_doctor_says_what_came_of_each_joined_source(home: House) -> None:
    assert f"[source.ad]: {PEOPLE} records; {PEOPLE} of {PEOPLE} of ours have one" in home.command("doctor").out
    (home.folder / "ad.csv").unlink()
    said = home.command("doctor")
    assert "[source.ad] could not be read, so what is made of it would be left as it is" in said.out


def test_doctor_judges_the_first_source_though_a_directory_that_is_joined_is_away(home: House) -> None:
    away = (
        '[source.ad]\nkind = "ldap"\nurl = "ldap://127.0.0.1:1"\nanonymous = true\nbase = "dc=x"\n'
        'attributes = ["employeeID", "title", "department"]\njoin = "ad.employeeID = hr.employee_id"\n'
    )
    configure(home, ad=away, more="")
    said = home.command("doctor")
    assert f"{PEOPLE} records" in said.out, said
    assert "127.0.0.1:1" in said.out
    assert "could not be read, so what is made of it would be left as it is" in said.out
    assert said.code == 0

"""What both ends are held to, in whole runs of the installed command against a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import ATTRIBUTES, Firm, Provider, account, firm, person

PEOPLE = [{**person(n), "team": "Board" if n < 4 else "Sales"} for n in range(30)]
MAPPING = ATTRIBUTES | {"enterprise:department": "team"}
RULE = """
[[rule]]
name = "board"
message = "the board has at least four active members"
where = "active AND department = 'Board'"
count = ">= 4"
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Firm]:
    with firm(tmp_path, Provider(*(account(n) for n in range(30)))) as found:
        found.configure(MAPPING)
        found.hr(*PEOPLE)
        assert found.command("sync").code == 0
        yield found


def active(found: Firm) -> int:
    return sum(bool(user["active"]) for user in found.provider.users.values())


def test_a_rule_that_fails_ends_with_4_names_its_people_and_is_set_aside_by_its_name(house: Firm) -> None:
    house.configure(MAPPING, more=RULE)
    house.hr({**PEOPLE[0], "status": "left"}, *PEOPLE[1:])
    said = house.command("sync")
    assert said.code == 4
    assert "Refused by rule.board: rule board: the board has at least four active members" in said.out
    assert "people 3, expected 4 or more; because of disable: 0" in said.out
    assert active(house) == 30
    said = house.command("plan", "--override", "rule.bord", "--reason", "x")
    assert said.code == 2
    assert "there is no such rule; did you mean rule.board?" in said.err
    made = house.plan()
    assert house.command("apply", made.id, "--yes").code == 4
    assert house.command("apply", made.id, "--yes", "--override", "rule.board", "--reason", "he retires").code == 0
    assert active(house) == 29


def test_a_bad_rule_ends_with_2_before_the_target_is_asked(house: Firm) -> None:
    house.configure(MAPPING, more=RULE.replace("department", "departmant"))
    before = len(house.provider.sent("GET"))
    for command in ("plan", "sync"):
        said = house.command(command)
        assert said.code == 2
        assert "[[rule]] board: before and after have no column departmant; did you mean department?" in said.err
    assert len(house.provider.sent("GET")) == before
    assert "did you mean department?" in house.command("doctor").out


def test_an_expectation_of_a_column_that_is_not_there_ends_with_2(house: Firm) -> None:
    file = house.folder / "scimsync.toml"
    file.write_text(file.read_text().replace("[target]", '[source.expect]\nshares = { teem = "20%" }\n[target]'))
    said = house.command("plan")
    assert said.code == 2
    assert "[source.expect] names a column that the source does not have: teem; did you mean team?" in said.err


def test_a_department_that_is_missing_is_named_and_nobody_in_it_loses_anything(house: Firm) -> None:
    file = house.folder / "scimsync.toml"
    text = file.read_text()
    file.write_text(text.replace("[target]", '[source.expect]\nshares = { team = "20%" }\n[target]'))
    assert house.command("sync").code == 0
    house.hr(*PEOPLE[4:29], {**PEOPLE[29], "title": "Chief"})
    said = house.command("sync")
    assert said.code == 11
    assert "Board: 4 in the last run, none now; each may lose 20%" in said.out
    assert active(house) == 30
    assert [user["title"] for user in house.provider.named("p29@x.org")] == ["Chief"]
    assert house.command("sync", "--override", "source.shares", "--reason", "gone").code == 11  # rows, too
    assert active(house) == 30
    overrides = ("--override", "source.shares", "--override", "source.rows-drop", "--reason", "gone")
    assert house.command("sync", *overrides).code == 0
    assert active(house) == 26

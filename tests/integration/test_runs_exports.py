"""What HR exports look like in the wild, in whole runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import SOURCE_CSV, House, actions, codes, house

ASSUMED = SOURCE_CSV + 'complete = "assume"\n'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "org", users=60) as found:
        found.configure(source=ASSUMED)
        found.write_csv(found.people)
        found.settle()
        yield found


def test_a_word_for_a_status_that_nobody_knows_takes_nobodys_access(home: House) -> None:
    home.configure(source=ASSUMED, attributes=home_attributes("status = 'active'"))
    words = ("Active", "active ", "on leave", "aktiv")
    text = (home.folder / "hr.csv").read_text()
    people = home.active(4)
    for who, word in zip(people, words, strict=True):
        lines = [f"{line[:-6]}{word}" if line.startswith(who.employee_id) else line for line in text.splitlines()]
        text = "\n".join(lines) + "\n"
    (home.folder / "hr.csv").write_text(text)
    made, _ = home.sync()
    assert actions(made) == {}
    assert all(home.account(who)["active"] for who in people)
    assert {f.subject for f in made.findings if f.code == "record.active-unknown"} == {
        who.employee_id for who in people[2:]
    }
    assert home.command("sync").code == 11


def test_the_words_that_nobody_named_are_told_once_with_their_people(home: House) -> None:
    home.configure(source=ASSUMED, attributes=home_attributes("status = 'active'"))
    text = (home.folder / "hr.csv").read_text()
    words = ("On leave", "on  hold", "on leave ", "left")
    for who, word in zip(home.active(4), words, strict=True):
        text = "\n".join(
            f"{line[:-6]}{word}" if line.startswith(who.employee_id) else line for line in text.splitlines()
        )
    (home.folder / "hr.csv").write_text(text + "\n")
    made, _ = home.sync()
    assert actions(made) == {home.active(4)[3].employee_id: "disable"}
    (told,) = [finding for finding in made.findings if finding.code == "status.unknown"]
    assert told.detail == "'on leave': 2 people, 'on  hold': 1 person"
    said = home.command("plan")
    assert "'on leave': 2 people" in said.out


def test_what_may_be_a_value_of_people_is_counted_and_not_told(home: House) -> None:
    home.configure(source=ASSUMED, attributes=home_attributes("email = 'active'"))
    made, _ = home.sync()
    (told,) = [finding for finding in made.findings if finding.code == "status.unknown"]
    assert "@" not in told.detail
    assert told.detail == "60 different words, 60 people"


def home_attributes(active: str) -> str:
    from scimsync.cli.sample import ATTRIBUTES  # noqa: PLC0415

    return "\n".join(f'active = "{active}"' if line.startswith("active ") else line for line in ATTRIBUTES.splitlines())


def test_doctor_warns_of_a_bare_comparison(home: House) -> None:
    home.configure(source=ASSUMED, attributes=home_attributes("status = 'active'"))
    said = home.command("doctor")
    assert said.code == 0
    assert "one_of" in said.out
    home.configure(source=ASSUMED, attributes=home_attributes("one_of(status, 'active')"))
    assert "one_of" not in home.command("doctor").out


@pytest.mark.parametrize("blank", [",", " , \u00a0,", ",\t,\u3000"])
def test_a_row_of_blanks_is_no_record(home: House, blank: str) -> None:
    gone = home.active(1)[0]
    content = home.write_csv([who for who in home.people if who != gone]).decode()
    width = content.splitlines()[0].count(",")
    row = blank + "," * (width - blank.count(","))
    (home.folder / "hr.csv").write_text(content + f"{row}\n{row}\n")
    made, report = home.sync()
    assert actions(made) == {gone.employee_id: "disable"}
    assert "record.no-key" not in codes(made)
    assert report.clean


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp850"])
def test_utf_8_under_a_one_byte_encoding_is_refused(home: House, encoding: str) -> None:
    home.configure(source=ASSUMED + f'encoding = "{encoding}"\n')
    text = (home.folder / "hr.csv").read_text().replace("Adler", "Brückner").replace("Berg", "Bjørg")
    (home.folder / "hr.csv").write_text(text, encoding="utf-8")
    said = home.command("plan")
    assert said.code == 3
    assert "UTF-8" in said.err
    (home.folder / "hr.csv").write_text(text, encoding=encoding)
    assert home.command("plan").code == 0


def test_a_one_byte_file_of_plain_letters_is_read(home: House) -> None:
    home.configure(source=ASSUMED + 'encoding = "cp1252"\n')
    assert home.command("plan").code == 0


@pytest.mark.parametrize(
    ("start", "named"),
    [(b"PK\x03\x04", "Excel"), (b"\x1f\x8b\x08", "gzip"), (b"%PDF-1.7", "PDF"), (b"\n<!DOCTYPE html>", "web page"),
     (b"\xd0\xcf\x11\xe0\xa1", "Excel"), (b"PAR1", "parquet")],
)  # fmt: skip
def test_another_kind_of_file_is_named(home: House, start: bytes, named: str) -> None:
    (home.folder / "hr.csv").write_bytes(start + b"\x00" * 40)
    said = home.command("plan")
    assert said.code == 3
    assert named in said.err
    assert "cp1252" not in said.err


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        ('[{"employee_id": "1"}]\n', "jq -c '.[]'"),
        ('[\n  {"employee_id": "1"}\n]\n', "jq -c '.[]'"),
        ('{\n  "people": []\n}\n', "one JSON document over several lines"),
        ('{"employee_id": "1"}\n', 'kind = "jsonl"'),
        ('<?xml version="1.0"?>\n<people/>\n', "XML"),
    ],
)
def test_json_and_xml_in_the_place_of_csv_are_named(home: House, content: str, advice: str) -> None:
    (home.folder / "hr.csv").write_text(content)
    said = home.command("plan")
    assert said.code == 3
    assert advice in said.err
    assert "Did you mean" not in said.err


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_named_and_read_once_that_is_said(home: House, encoding: str) -> None:
    text = (home.folder / "hr.csv").read_text()
    (home.folder / "hr.csv").write_text(text, encoding=encoding)
    said = home.command("plan")
    assert said.code == 3
    assert f'Set encoding = "{encoding}"' in said.err
    home.configure(source=ASSUMED + f'encoding = "{encoding}"\n')
    assert home.command("plan").code == 0


def test_a_column_that_is_called_as_another_kind_begins_is_a_column(home: House) -> None:
    text = (home.folder / "hr.csv").read_text().splitlines()
    lines = [f"PAR1,{text[0]}", *(f"x,{line}" for line in text[1:])]
    (home.folder / "hr.csv").write_text("\n".join(lines) + "\n")
    assert home.command("plan").code == 0


def test_a_correction_of_capitals_arrives_and_a_login_in_capitals_writes_nothing(home: House) -> None:
    one, two = home.active(2)
    text = (home.folder / "hr.csv").read_text()
    text = text.replace(f"{one.email},{one.title}", f"{one.email},{one.title.upper()}")
    text = text.replace(f"{two.email},", f"{two.email.upper()},")
    (home.folder / "hr.csv").write_text(text)
    made, report = home.sync()
    assert actions(made) == {one.employee_id: "update"}
    assert report.clean
    assert home.account(one)["title"] == one.title.upper()
    home.quiet()


def days(home: House, expression: str, zone: str, machine: str) -> set[str]:
    """The days that an expression gives as titles, on a machine in some zone."""
    from scimsync.cli.sample import ATTRIBUTES  # noqa: PLC0415

    lines = [f'title = "{expression}"' if line.startswith("title ") else line for line in ATTRIBUTES.splitlines()]
    home.configure(source=f'{ASSUMED}zone = "{zone}"\n', attributes="\n".join(lines))
    home.environ["TZ"] = machine
    changes = json.loads(home.command("plan", "--json").out)["changes"]
    return {delta["after"] for change in changes for delta in change["deltas"] if delta["path"] == "title"}


def test_the_day_ends_in_the_zone_of_the_configuration_and_not_of_the_machine(home: House) -> None:
    ahead, behind = "Pacific/Kiritimati", "Etc/GMT+12"  # a day apart, at any moment
    today = "strftime(today(), '%Y-%m-%d')"
    found = {
        (zone, machine): days(home, today, zone, machine) for zone in (ahead, behind) for machine in (ahead, behind)
    }
    assert found[ahead, ahead] == found[ahead, behind]
    assert found[behind, ahead] == found[behind, behind]
    assert found[ahead, ahead] != found[behind, behind]
    there = days(home, f"strftime(timezone('{ahead}', now()), '%Y-%m-%d')", behind, behind)
    assert there == found[ahead, ahead]


def test_a_zone_that_is_none_is_refused_with_a_near_one(home: House) -> None:
    home.configure(source=ASSUMED + 'zone = "Europe/Berlim"\n')
    said = home.command("plan")
    assert said.code == 2
    assert "Europe/Berlin" in said.err

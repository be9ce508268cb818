"""A source full of bad records: one finding for each, everything else synchronised, nothing else written.

`tests/data/bad-records.csv` says of each record of which kind it is and which code is expected: none where it
is healthy, `-` where another row has the finding of both.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

from scimsync.model.outcomes import Status
from scimsync.model.plans import Finding, Plan, Severity
from scimsync.model.reports import Report

FILE = Path(__file__).parents[1] / "data" / "bad-records.csv"
SOURCE = 'kind = "csv"\npath = "hr.csv"\nkey = "employee_id"\n'
MAPPING = """\
[attributes]
userName                               = "email"
displayName                            = "display"
active                                 = "CASE status WHEN 'active' THEN true WHEN 'inactive' THEN false END"
externalId                             = "alt_id"
title                                  = "job_title"
"enterprise:employeeNumber"            = "employee_id"
"enterprise:department"                = "department || coalesce(' ' || CAST(blank(cost_centre) AS INTEGER), '')"
"enterprise:division"                  = "division"
"enterprise:dateHire"                  = "hire_date"
"enterprise:manager"                   = "ref(manager_id)"
'phoneNumbers[type eq "work"].value'   = "e164(phone, country)"
'phoneNumbers[type eq "mobile"].value' = "mobile"
'emails[type eq "work"].value'         = "work_email"
'emails[type eq "work"].primary'       = "true"
roles                                  = { value = "names(role_list)", authority = "merge" }
"genesys:routingSkills"                = "skills(skill_list)"
"genesys:routingLanguages"             = "skills(language_list)"
"genesys:externalIds"                  = { value = "CASE WHEN coalesce(badge_authority, badge, '') <> '' THEN list_value(struct_pack(authority := badge_authority, value := badge)) END", authority = "merge" }
"""


def records() -> Iterator[tuple[int, dict[str, str]]]:
    """Every record with the line on which it begins."""
    with FILE.open(encoding="utf-8", newline="") as text:
        reader = csv.DictReader(text)
        line = reader.line_num
        for record in reader:
            yield max(line, 1) + 1, record
            line = reader.line_num


RECORDS = list(records())
BAD = [(line, record) for line, record in RECORDS if record["expected"] not in {"", "-"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("bad"), users=20, configure=False) as found:
        found.configure(
            source=SOURCE,
            target=found.target + "characters = 255\n",
            attributes=MAPPING,
            policy='protected = ["protected@example.com"]\n',
        )
        (found.folder / "hr.csv").write_bytes(FILE.read_bytes())
        yield found


@pytest.fixture(scope="module")
def run(home: House) -> tuple[Plan, Report]:
    return home.sync()


def subject(line: int, record: dict[str, str]) -> str:
    return record["employee_id"] or f"row {line}"


def about(made: Plan, who: str) -> list[Finding]:
    return [finding for finding in made.findings if finding.subject == who]


def healthy(made: Plan) -> set[str]:
    """The keys of everybody whom no finding leaves out, but for single values."""
    held = {finding.subject for finding in made.findings if finding.holds and not finding.path}
    return {record["employee_id"] for _, record in RECORDS} - held - {""}


def test_there_are_at_least_forty_kinds_of_bad_record() -> None:
    assert len({record["kind"] for _, record in BAD}) >= 40


@pytest.mark.parametrize(("line", "record"), BAD, ids=[record["kind"].replace(" ", "-") for _, record in BAD])
def test_each_has_exactly_one_finding_with_its_code_and_row(
    line: int, record: dict[str, str], run: tuple[Plan, Report]
) -> None:
    found = about(run[0], subject(line, record))
    assert [(finding.code, finding.row) for finding in found] == [(record["expected"], line)]
    (finding,) = found
    assert finding.holds == (finding.severity is not Severity.INFO)
    assert finding.hint


def test_nobody_else_has_a_finding(run: tuple[Plan, Report]) -> None:
    expected = {subject(line, record) for line, record in BAD}
    assert {finding.subject for finding in run[0].findings} - {""} == expected


def test_all_healthy_people_are_synchronised_and_nothing_else_is_written(home: House, run: tuple[Plan, Report]) -> None:
    made, report = run
    well = healthy(made)
    assert well >= {record["employee_id"] for _, record in RECORDS if not record["expected"]}
    spoiled = {(finding.subject, finding.path) for finding in made.findings if finding.path}
    assert not spoiled & {(change.key, delta.path) for change in made.changes for delta in change.deltas}
    assert {change.key for change in made.changes} <= well
    assert well - {change.key for change in made.changes} <= {key for key, _ in spoiled if key.startswith("E")}
    assert {outcome.status for parts in report.outcomes.values() for outcome in parts} == {Status.DONE}
    ours = {parts[-1].account for parts in report.outcomes.values()}
    assert set(home.effects()) == ours
    assert set(home.effects().values()) == {1}
    home.quiet()


def test_they_stay_visible_until_they_are_healthy(home: House, run: tuple[Plan, Report]) -> None:
    again = home.plan()
    held = {(f.subject, f.code, f.row) for f in run[0].findings if f.holds}
    assert {(f.subject, f.code, f.row) for f in again.findings if f.holds} == held
    text = (home.folder / "hr.csv").read_text(encoding="utf-8")
    (home.folder / "hr.csv").write_text(text.replace("billing:2", "Billing:2"), encoding="utf-8")
    mended = next(record["employee_id"] for _, record in BAD if record["kind"] == "skill in the wrong case")
    made, report = home.sync()
    assert [change.key for change in made.changes] == [mended]
    assert report.clean


def test_a_finding_says_what_is_near_and_no_personal_value(run: tuple[Plan, Report]) -> None:
    by_kind = {record["kind"]: about(run[0], subject(line, record))[0] for line, record in BAD}
    assert by_kind["skill in the wrong case"].hint == "write Billing: case counts"
    assert "supervisor" in by_kind["role misspelled"].hint
    assert by_kind["two skills that do not exist"].detail == "genesys:routingSkills: Chess, Juggling"
    for finding in run[0].findings:
        assert "@" not in finding.summary + finding.detail.replace("also", "") + finding.hint.replace("name@domain", "")

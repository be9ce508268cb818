"""Numbers as HR systems hold them: an extension alone, a number that is none, a number with its extension."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runs import SOURCE_CSV, House, csv_of, house, outcome

from scimsync.adapters.phones_library import read_phone
from scimsync.cli.sample import ATTRIBUTES
from scimsync.model.outcomes import Status
from scimsync.model.phones import Unread
from scimsync.services import planning
from scimsync.simulator.people import Person

WORK = 'phoneNumbers[type eq "work"].value'
NUMBERS = ["4711", "ext. 4711", "x4711", "Ext 4711", ";ext=4711", "tel:4711", "04711", "n/a", "555"]


def extract(home: House, numbers: dict[str, str], *new: Person) -> None:
    """An HR extract with these phone numbers, and other titles for whoever has one."""
    lines = csv_of([*home.people, *new]).decode().splitlines()
    columns = lines[0].split(",")
    phone, title = columns.index("phone"), columns.index("job_title")
    for at, line in enumerate(lines[1:], 1):
        cells = line.split(",")
        if cells[0] in numbers:
            cells[phone], cells[title] = numbers[cells[0]], "Moved"
            lines[at] = ",".join(cells)
    (home.folder / "hr.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def phone(home: House, who: Person) -> str | None:
    listed = home.account(who).get("phoneNumbers", [])
    return next((str(one["value"]) for one in listed if one["type"] == "work"), None)


@pytest.mark.parametrize("expression", ["e164(phone, country)", "e164(phone)", "phone"])
def test_an_extension_alone_or_a_bad_number_waits_and_the_person_does_not(tmp_path: Path, expression: str) -> None:
    with house(tmp_path, users=24) as home:
        attributes = ATTRIBUTES.replace('"e164(phone, country)"', f'"{expression}"')
        home.configure(source=SOURCE_CSV, attributes=attributes)
        who = home.active(len(NUMBERS), start=0)
        held = [phone(home, one) for one in who]
        new = home.newcomer(1)
        numbers = {one.employee_id: number for one, number in zip([*who, new], [*NUMBERS, "4711"], strict=True)}
        extract(home, numbers, new)
        made, report = home.sync()
        bad = {(f.subject, f.code, f.path) for f in made.findings if f.code == "record.bad-phone"}
        assert bad >= {(key, "record.bad-phone", WORK) for key in numbers}
        for one, before in zip(who, held, strict=True):
            assert outcome(report, one).status is Status.DONE
            assert home.account(one)["title"] == "Moved"
            assert phone(home, one) == before
        assert outcome(report, new).status is Status.DONE
        assert phone(home, new) is None


@pytest.mark.parametrize("expression", ["e164(phone, country)", "phone"])
def test_an_impossible_number_is_not_written_and_nobody_is_told_of_one_that_is_there(
    tmp_path: Path, expression: str
) -> None:
    with house(tmp_path, users=24) as home:
        attributes = ATTRIBUTES.replace('"e164(phone, country)"', f'"{expression}"')
        home.configure(source=SOURCE_CSV, attributes=attributes)
        same, other, abroad, test = home.active(4, start=0)
        home.edit(same, f"{WORK}", "+15550100")
        held = phone(home, other), phone(home, abroad)
        new = home.newcomer(1)
        impossible = {
            same: "+15550100",
            other: "+15550101",
            abroad: "+99912345678",
            test: "+13175550142",
            new: "+441234",
        }
        numbers = {one.employee_id: number for one, number in impossible.items()}
        extract(home, numbers, new)
        made, report = home.sync()
        told = {(f.subject, f.code, f.path) for f in made.findings if "phone" in f.code and f.subject in numbers}
        assert told == {
            (other.employee_id, "record.bad-phone", WORK),
            (abroad.employee_id, "record.phone-country", WORK),
            (new.employee_id, "record.bad-phone", WORK),
        }
        assert all(outcome(report, one).status is Status.DONE for one in impossible)
        assert (phone(home, other), phone(home, abroad)) == held
        assert (phone(home, same), phone(home, test), phone(home, new)) == ("+15550100", "+13175550142", None)


@pytest.mark.parametrize(
    ("number", "region", "why"),
    [
        ("(317) 555-0100", "", Unread.NO_COUNTRY),
        ("0049 30 901820", "", Unread.NO_COUNTRY),
        ("(317) 555-0100", "ZZ", Unread.UNKNOWN_COUNTRY),
        ("030 901820", "GERMANY", Unread.UNKNOWN_COUNTRY),
        ("+999 1234 5678", "US", Unread.UNKNOWN_CODE),
        ("+1 317 555 0100 00", "", Unread.IMPOSSIBLE),
        ("(317) 555-0100 00", "US", Unread.IMPOSSIBLE),
        ("+15550100", "", Unread.IMPOSSIBLE),
        ("555-0100", "US", "+15550100"),
        ("493090182001", "DE", "+493090182001"),
        ("493090182001.0", "DE", "+493090182001"),
        ("4915112345678", "DE", None),
        ("13175550106.0", "US", "+13175550106"),
        ("34912345603", "ES", "+34912345603"),
        ("420224345605", "CZ", "+420224345605"),
        ("3090182001", "DE", "+493090182001"),
        ("0 4930 901820", "DE", "+494930901820"),
        ("call me", "", None),
        ("12", "", None),
        ("x471147", "ZZ", None),
    ],
)
def test_a_number_is_read_as_it_was_meant_or_told_what_is_wrong_with_it(
    number: str, region: str, why: str | None
) -> None:
    assert read_phone(number, region) == why


@pytest.mark.parametrize("number", ["+1 317 555 0142 x4711", "(317) 555-0142 ext. 4711", "+13175550142;ext=4711"])
def test_a_number_with_its_extension_is_written_and_quiet(tmp_path: Path, number: str) -> None:
    with house(tmp_path, users=12) as home:
        home.configure(source=SOURCE_CSV)
        who = next(one for one in home.people if one.active and one.country == "US")
        extract(home, {who.employee_id: number})
        home.sync()
        assert phone(home, who) == "+13175550142;ext=4711"
        home.quiet()


@pytest.mark.parametrize("region", ["US", "DE", "AT", "GB", "FI", "AU", "NL", ""])
@pytest.mark.parametrize(
    "number",
    ["4711", "47110", "471101", "47 110", "x47110", "ext. 471101", "Ext: 4711000", ";ext=47110", "#47110", "DW 47110"],
)
def test_an_extension_is_no_number_of_any_country(number: str, region: str) -> None:
    assert read_phone(number, region) is None


@pytest.mark.parametrize(
    ("number", "region", "read"),
    [
        ("(317) 555-0100", "US", "+13175550100"),
        ("317-555-0100 x47110", "US", "+13175550100;ext=47110"),
        ("030 901820 ext 12", "DE", "+4930901820;ext=12"),
        ("0471 590-0", "DE", "+494715900"),
        ("471123", "LU", "+352471123"),
        ("29 85 20", "FO", "+298298520"),
        ("tel:+49-30-901820", "", "+4930901820"),
    ],
)
def test_a_whole_number_is_read_however_short_its_country_makes_it(number: str, region: str, read: str) -> None:
    assert read_phone(number, region) == read


def test_an_unchanged_source_asks_the_library_nothing_and_an_erasure_forgets_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(number: str, region: str) -> str | Unread | None:
        asked.append(number)
        return read_phone(number, region)

    monkeypatch.setattr(planning, "make_phones", lambda: counted)
    with house(tmp_path, users=24) as home:
        home.configure(source=SOURCE_CSV)
        extract(home, {})
        home.sync()
        assert len(asked) == len(set(asked)) > 0
        del asked[:]
        home.quiet()
        assert asked == []
        one = home.active(1)[0].employee_id
        extract(home, {one: "(317) 555-0142"})
        made, _ = home.sync()
        assert asked == ["(317) 555-0142", "+13175550142"], "as HR has it, and as it would be written"
        assert [change.key for change in made.changes] == [one]
        artifacts = tmp_path / ".scimsync" / "artifacts"
        kept = sorted(artifacts.glob("phones-1-*"))
        assert kept
        extract(home, {one: "(317) 555-0143"})
        for looks in (["explain", one], ["plan", "--offline"], ["plan", "--compare-config", "scimsync.toml"]):
            assert home.command(*looks).code == 0
            assert sorted(artifacts.glob("phones-1-*")) == kept, looks
        assert home.command("audit", "erase", one, "--reason", "asked for", "--yes").code == 0
        assert not list(artifacts.glob("phones-1-*"))

"""Whole runs from an API or another directory to a directory: day 1, again quiet, day 2 exact, and nothing by a lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.rest_servers import Api, People, Request, Said
from tests.rest_servers import serving as serving_api
from tests.servers import Answer, Firm, Provider, account, firm, serving

from scimsync.config import load
from scimsync.errors import ConfigError, SourceError

SECRET = "canary-of-the-api"
HEAD = """kind = "rest"
url = "{url}/people"
key = "id"
records = "data.employees"
token = "file:hr-token"
requests_per_minute = 0
"""
COLUMNS = 'columns = { id = "id", login = "work.mail", name = "name", status = "status", title = "job.title?" }\n'
PAGINGS = {
    "page": 'paging = "page"\npage_size = 10\npage_size_parameter = "limit"\n',
    "offset": 'paging = "offset"\npage_size = 10\npage_size_parameter = "limit"\n',
    "cursor": 'paging = "cursor"\nnext = "meta.cursor"\n',
    "link": 'paging = "link"\n',
    "next": 'paging = "next"\nnext = "meta.next"\n',
}
TOTAL = 'total = "meta.total"\n'


def _person(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "work": {"mail": f"p{number}@x.org"},
        "name": f"P{number}",
        "status": "active",
        "job": {"title": "T"},
        **more,
    }


def _source(given: Firm, text: str) -> None:
    """Put another [source] into the configuration of a firm."""
    token = given.folder / "hr-token"
    if not token.exists():
        token.touch(mode=0o600)
        token.write_text(SECRET)
    file = given.folder / "scimsync.toml"
    _, _, rest = file.read_text().partition("[target]")
    file.write_text(f"[source]\n{text}[target]{rest}")


@contextmanager
def _firm(folder: Path, api: People, source: str = COLUMNS + TOTAL + PAGINGS["page"]) -> Iterator[Firm]:
    api.page, api.secret = 10, SECRET
    with serving_api(api) as url, firm(folder, Provider()) as found:
        _source(found, HEAD.format(url=url) + source)
        yield found


def _accounts(given: Firm) -> dict[str, tuple[str, bool, str]]:
    users = given.provider.users.values()
    return {u["externalId"]: (u["displayName"], u["active"], u.get("title", "")) for u in users}


@pytest.mark.parametrize("paging", PAGINGS)
def test_day_by_day_the_directory_becomes_what_the_api_says(tmp_path: Path, paging: str) -> None:
    api = People([_person(number) for number in range(45)])
    api.throttles = 4
    with _firm(tmp_path, api, COLUMNS + TOTAL + PAGINGS[paging]) as given:
        _, report = given.sync()
        assert report.clean
        assert _accounts(given) == {str(n): (f"P{n}", True, "T") for n in range(45)}
        given.quiet()
        api.records[3]["job"] = {"title": "Lead"}
        api.records[7]["status"] = "left"
        del api.records[20]
        api.records.append(_person(99))
        made, report = given.sync()
        assert {str(change.key) for change in made.changes} == {"3", "7", "20", "99"}
        assert report.clean
        wanted = {str(n): (f"P{n}", n not in {7, 20}, "Lead" if n == 3 else "T") for n in [*range(45), 99]}
        assert _accounts(given) == wanted
        given.quiet()


class Spoilt(People):
    """Lies from the second day on."""

    lie = ""

    def total(self, number: int) -> int:
        return len(self.records) + (7 if self.lie == "total" else number if self.lie == "moves" else 0)

    def shown(self, start: int, size: int, number: int) -> list[dict[str, Any]]:
        if self.lie == "repeats" and number == 3:
            start = 10
        if self.lie == "ends" and number > 2:
            return []
        return super().shown(start, size, number)[: 4 if self.lie == "cut" and number == 2 else None]

    def answer(self, request: Request) -> Said:
        if self.lie == "html":
            return Said(b"<html>Sign in</html>", headers={"Content-Type": "text/html"})
        if self.lie == "fails" and request.query.get("page") == "3":
            return Said({}, 500)
        return super().answer(request)

    def refusal(self, request: Request) -> Said | None:
        return Said({"error": SECRET}, 401) if self.lie == "secret" else super().refusal(request)


@pytest.mark.parametrize("lie", ["total", "moves", "repeats", "ends", "cut", "html", "secret"])
def test_a_reading_that_is_not_whole_takes_nothing_from_anybody(tmp_path: Path, lie: str) -> None:
    api = Spoilt([_person(number) for number in range(45)])
    with _firm(tmp_path, api) as given:
        given.sync()
        before, writes = _accounts(given), len(given.provider.asked)
        api.lie = lie
        api.records[3]["job"] = {"title": "Lead"}
        with pytest.raises(SourceError) as caught:
            given.plan()
        assert SECRET not in str(caught.value)
        assert _accounts(given) == before
        assert {asked.method for asked in given.provider.asked[writes:]} <= {"GET"}
        api.lie = ""
        made, _ = given.sync()
        assert [str(change.key) for change in made.changes] == ["3"]


def test_without_a_total_nobody_leaves_by_being_absent(tmp_path: Path) -> None:
    api = People([_person(number) for number in range(45)])
    with _firm(tmp_path, api, COLUMNS + PAGINGS["cursor"]) as given:
        given.sync()
        del api.records[40:]
        made, _ = given.sync()
        assert made.changes == ()
        said = given.command("doctor")
        assert "total" in said.out
        assert "people missing from it are not treated as leavers" in said.out


def test_doctor_says_what_it_found(tmp_path: Path) -> None:
    api = People([_person(number) for number in range(45)])
    with _firm(tmp_path, api) as given:
        assert "45 records, 5 columns" in given.command("doctor").out


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("query = 'SELECT 1'\nsheet = 1", "sheet"),
        ('paging = "cursor"', "paging = 'cursor' needs next"),
        ('paging = "links"', "none, page, offset, cursor, link, next"),
        ('complete = "checksum"', "is for files"),
        ("body = { a = 1 }", 'method = "POST"'),
        ('username = "me"', "password is needed where there is username"),
        ('client_id = "me"', "client_secret is needed where there is client_id"),
        ('dialect = "okta"', "dialect does not fit kind = 'rest'; it is for scim"),
        ('parameters = { key = "env:NOT_SET_ANYWHERE" }', "NOT_SET_ANYWHERE, which is not set"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(tmp_path: Path, key: str, said: str) -> None:
    with _firm(tmp_path, People(), COLUMNS + key + "\n") as given, pytest.raises(ConfigError) as caught:
        load(given.folder / "scimsync.toml")
    assert said in str(caught.value)


def test_http_goes_to_this_machine_only(tmp_path: Path) -> None:
    with _firm(tmp_path, People(), COLUMNS) as given:
        _source(given, HEAD.format(url="http://hr.example.com") + COLUMNS)
        with pytest.raises(ConfigError, match="must be https"):
            load(given.folder / "scimsync.toml")


def test_another_configuration_of_the_source_is_another_digest(tmp_path: Path) -> None:
    with _firm(tmp_path, People(), COLUMNS) as given:
        file = given.folder / "scimsync.toml"
        before = load(file).digest
        file.write_text(file.read_text().replace("job.title?", "job.name?"))
        assert load(file).digest != before


SCIM = """kind = "scim"
url = "{url}"
key = "id"
token = "file:hr-token"
requests_per_minute = 0
[source.columns]
id = "externalId"
login = "userName"
name = "displayName"
status = "active"
title = "title"
mail = 'emails[type eq "work"].value'
boss = "enterprise:manager"
"""
MAPPED = {
    "userName": "login",
    "displayName": "name",
    "active": "status",
    "externalId": "id",
    "title": "title",
    'emails[type eq "work"].value': "mail",
}


def _employee(number: int) -> dict[str, Any]:
    return account(number, emails=[{"type": "home", "value": "h@x"}, {"type": "work", "value": f"w{number}@x.org"}])


def test_another_directory_is_hr(tmp_path: Path) -> None:
    hr = Provider(*(_employee(number) for number in range(150)))
    with serving(hr), firm(tmp_path, Provider()) as given:
        given.configure(MAPPED)
        _source(given, SCIM.format(url=hr.address))
        _, report = given.sync()
        assert report.clean
        assert len(_accounts(given)) == 150
        assert {u["emails"][0]["value"] for u in given.provider.users.values()} == {f"w{n}@x.org" for n in range(150)}
        given.quiet()
        left, moved, gone = list(hr.users)[:3]
        hr.edit(left, active=False)
        hr.edit(moved, title="Lead")
        del hr.users[gone]
        made, report = given.sync()
        assert {str(change.key) for change in made.changes} == {"0", "1", "2"}
        assert report.clean
        found = _accounts(given)
        assert (found["0"][1], found["1"][2], found["2"][1]) == (False, "Lead", False)
        given.quiet()
        assert {asked.method for asked in hr.asked} == {"GET"}


class Short(Provider):
    """Loses somebody on a page, from some day on."""

    short = False

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        said = super().list(table, query)
        if self.short and isinstance(said.body, dict) and said.body["Resources"]:
            said.body["Resources"].pop()
        return said


def test_a_directory_that_does_not_add_up_takes_nothing_from_anybody(tmp_path: Path) -> None:
    hr = Short(*(_employee(number) for number in range(20)))
    with serving(hr), firm(tmp_path, Provider()) as given:
        given.configure(MAPPED)
        _source(given, SCIM.format(url=hr.address))
        given.sync()
        before = _accounts(given)
        hr.short = True
        with pytest.raises(SourceError, match="the directory does not add up"):
            given.plan()
        assert _accounts(given) == before


def test_a_directory_that_refuses_the_token_is_told_without_it(tmp_path: Path) -> None:
    class Closed(Provider):
        def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
            return Answer(401, {"detail": SECRET})

    with serving(hr := Closed(_employee(1))), firm(tmp_path, Provider()) as given:
        given.configure(MAPPED)
        _source(given, SCIM.format(url=hr.address))
        with pytest.raises(SourceError) as caught:
            given.plan()
        assert "The source refused the token (401)" in str(caught.value)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [("emails", "is a list; choose an element"), ("employeeNumer", "employeeNumer"), ("", "columns")],
)
def test_a_column_of_a_directory_is_a_path_of_one_value(tmp_path: Path, path: str, said: str) -> None:
    with serving(hr := Provider(_employee(1))), firm(tmp_path, Provider()) as given:
        given.configure(MAPPED)
        _source(given, SCIM.format(url=hr.address) + f"odd = '{path}'\n")
        with pytest.raises(ConfigError, match=said):
            given.plan()


def test_an_api_is_not_asked_for_what_changes(tmp_path: Path) -> None:
    api: Api = People([_person(number) for number in range(12)])
    assert isinstance(api, People)
    with _firm(tmp_path, api) as given:
        given.sync()
    assert {request.method for request in api.asked} == {"GET"}

"""The recipes of docs/sources/rest.md, as they stand there, against small servers that answer in the documented shapes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.rest_servers import Api, Request, Said, serving
from tests.servers import Provider, firm

from scimsync.bootstrap_sources import make_source
from scimsync.config import load

PAGE = Path(__file__).parents[2] / "docs/sources/rest.md"
USER, WORD, KEY = "reader@example", "a-password-of-hr", "a-customer-key"
PEOPLE = 25
NUMBERS = range(PEOPLE)


def recipes() -> dict[str, str]:
    """Each recipe by its heading."""
    _, _, text = PAGE.read_text(encoding="utf-8").partition("## Recipes")
    return dict(re.findall(r"^### ([^\n]+)\n.*?```toml\n(.*?)```", text, re.MULTILINE | re.DOTALL))


class Basic(Api):
    """Lets in by user and password."""

    def refusal(self, request: Request) -> Said | None:
        wanted = "Basic " + base64.b64encode(f"{USER}:{WORD}".encode()).decode()
        return None if request.headers.get("authorization") == wanted else Said({}, 401)


class BambooHR(Basic):
    def answer(self, request: Request) -> Said:
        assert request.path == "/api/v1/employees/directory"
        people = [
            {"id": str(n), "displayName": f"P{n}", "jobTitle": "T", "workEmail": f"P{n}@x.org", "supervisor": None}
            for n in NUMBERS
        ]
        return Said({"fields": [{"id": "displayName", "type": "text", "name": "Display name"}], "employees": people})


class Workday(Basic):
    def answer(self, request: Request) -> Said:
        assert request.path == "/ccx/service/customreport2/example/isu_hr/Workers"
        assert request.query == {"format": "json"}
        people = [
            {"Employee_ID": str(n), "Email": f"P{n}@x.org", "Worker": f"P{n}", "Business_Title": "T", "Active": "1"}
            for n in NUMBERS
        ]
        return Said({"Report_Entry": people})


class Personio(Api):
    def answer(self, request: Request) -> Said:
        if request.path == "/v2/auth/token":
            assert request.method == "POST"
            assert b"grant_type=client_credentials" in request.body
            assert f"client_secret={WORD}".encode() in request.body
            return Said({"access_token": "papi-1", "token_type": "Bearer", "expires_in": 86400, "scope": "x"})
        if request.headers.get("authorization") != "Bearer papi-1":
            return Said({}, 401)
        assert request.path == "/v2/persons"
        start, size = int(request.query.get("cursor", "0")), min(10, int(request.query["limit"]))
        people = [
            {"id": str(n), "email": f"P{n}@x.org", "first_name": "P", "last_name": str(n), "status": "ACTIVE"}
            for n in NUMBERS[start : start + size]
        ]
        links = {}
        if start + size < PEOPLE:
            links["next"] = {"href": f"{self.address}/v2/persons?limit={size}&cursor={start + size}"}
        return Said({"_data": people, "_meta": {"links": links}})


class SuccessFactors(Basic):
    def answer(self, request: Request) -> Said:
        assert request.path == "/odata/v2/User"
        assert request.query["$format"] == "json"
        assert request.query["$inlinecount"] == "allpages"
        assert request.query["$filter"] == "status in 't','f'"
        assert "manager/userId" in request.query["$select"]
        start = int(request.query.get("$skiptoken", "0"))
        people = [
            {
                "__metadata": {"uri": f"{self.address}/odata/v2/User('{n}')", "type": "SFOData.User"},
                "userId": str(n),
                "email": f"P{n}@x.org",
                "defaultFullName": f"P{n}",
                "title": "T",
                "status": "t",
                "manager": {"userId": "0"} if n else None,
            }
            for n in NUMBERS[start : start + 10]
        ]
        page: dict[str, Any] = {"results": people, "__count": str(PEOPLE)}
        if start + 10 < PEOPLE:
            query = "&".join(f"{k}={v}" for k, v in request.query.items() if k != "$skiptoken").replace(" ", "%20")
            page["__next"] = f"{self.address}/odata/v2/User?{query}&$skiptoken={start + 10}"
        return Said({"d": page})


class Ukg(Basic):
    def answer(self, request: Request) -> Said:
        assert request.path == "/personnel/v1/employment-details"
        if request.headers.get("us-customer-api-key") != KEY:
            return Said({}, 401)
        size = int(request.query["per_Page"])
        start = (int(request.query["page"]) - 1) * size
        return Said(
            [
                {"employeeID": f"e{n}", "employeeNumber": f"P{n}", "jobTitle": "T", "employeeStatusCode": "A"}
                for n in NUMBERS[start : start + size]
            ]
        )


class HiBob(Basic):
    def answer(self, request: Request) -> Said:
        assert (request.method, request.path) == ("POST", "/v1/people/search")
        asked = json.loads(request.body)
        assert asked["showInactive"] is True
        held = {"root.id": "{0}", "root.email": "P{0}@x.org", "root.displayName": "P{0}", "work.title": "T",
                "internal.status": "Active"}  # fmt: skip
        people = [
            {f"/{field.replace('.', '/')}": {"value": held[field].format(n)} for field in asked["fields"]}
            for n in NUMBERS
        ]
        return Said({"employees": people})


APIS: Mapping[str, type[Api]] = {
    "BambooHR": BambooHR,
    "Workday": Workday,
    "Personio": Personio,
    "SAP SuccessFactors": SuccessFactors,
    "UKG": Ukg,
    "HiBob": HiBob,
}


def test_each_recipe_has_a_server_that_imitates_its_api() -> None:
    assert set(recipes()) == set(APIS)


@pytest.mark.parametrize("name", APIS)
def test_a_recipe_brings_everybody_and_then_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text = recipes()[name]
    for variable in re.findall(r"env:(\w+)", text):
        value = USER if variable.endswith(("USER", "_ID", "BAMBOOHR_KEY")) else KEY if variable == "UKG_KEY" else WORD
        monkeypatch.setenv(variable, value)
    with serving(APIS[name]()) as url, firm(tmp_path, Provider()) as given:
        recipe = re.sub(r"https://[^/\"]+", url, text).partition("[target]")[0]
        recipe = recipe.replace("[attributes]", "[attributes]\n", 1)
        source, _, attributes = recipe.partition("[attributes]")
        source = source.replace("\n\n[source.columns]", "\nrequests_per_minute = 0\n[source.columns]")
        file = tmp_path / "scimsync.toml"
        rest = re.sub(
            r"\[attributes\].*?(?=\[policy\])", "", file.read_text().partition("[target]")[2], flags=re.DOTALL
        )
        file.write_text(f"{source}[attributes]{attributes}\n[target]{rest}")
        _, report = given.sync()
        assert report.clean
        users = given.provider.users.values()
        assert len(users) == PEOPLE
        assert all(user["active"] for user in users)
        logins = {user["userName"] for user in users}
        assert len(logins) == PEOPLE
        assert "p7@x.org" in logins or "p7@example.com" in logins
        given.quiet()
        proven = make_source(load(file)).read().proven
    assert proven

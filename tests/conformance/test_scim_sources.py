"""Another SCIM directory as HR, where nobody here wrote that directory, and where the simulator plays it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.providers import needs_providers, start
from tests.servers import Firm, Provider, firm

COLUMNS = """[source.columns]
id = "userName"
login = "userName"
name = "name.familyName"
status = "active"
title = "title"
mail = 'emails[type eq "work"].value'
"""
MAPPED = {"userName": "login", "displayName": "name", "active": "status", "externalId": "id", "title": "title"}


def _source(given: Firm, text: str) -> None:
    given.configure(MAPPED)
    file = given.folder / "scimsync.toml"
    file.write_text(f"[source]\n{text}{COLUMNS}[target]{file.read_text().partition('[target]')[2]}")


def _secret(given: Firm, name: str, text: str) -> None:
    path = given.folder / name
    path.touch(mode=0o600)
    path.write_text(text)


@needs_providers
@pytest.mark.parametrize("name", ["scim2-server", "scimmy"])
def test_people_come_from_a_server_nobody_here_wrote(tmp_path: Path, name: str) -> None:
    with start(name) as hr, firm(tmp_path, Provider()) as given:
        made = []
        for n in range(30):
            body = {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": f"p{n}@x.org",
                "name": {"givenName": f"G{n}", "familyName": f"F{n}"},
                "active": True,
                "emails": [{"type": "work", "value": f"p{n}@x.org"}],
            }
            made.append(hr.ask("POST", "/Users", body).json()["id"])
        _secret(given, "hr-token", hr.token)
        _source(
            given, f'kind = "scim"\nurl = "{hr.url}"\nkey = "id"\ntoken = "file:hr-token"\nrequests_per_minute = 0\n'
        )
        _, report = given.sync()
        assert report.clean
        assert {user["displayName"] for user in given.provider.users.values()} == {f"F{n}" for n in range(30)}
        given.quiet()
        assert hr.ask("DELETE", f"/Users/{made[4]}").status_code == 204
        made_plan, _ = given.sync()
        assert [str(change.key) for change in made_plan.changes] == ["p4@x.org"]
        assert [u["userName"] for u in given.provider.users.values() if not u["active"]] == ["p4@x.org"]

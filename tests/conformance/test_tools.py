"""Two conformance tools of others against the simulator: nothing fails but what is listed, with its reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import CheckResult, check_server
from scim_sanity.probe.runner import run_probe_api

from scimsync.simulator.people import DIVISIONS, LANGUAGES, SKILLS
from scimsync.simulator.server import Running, Settings, running

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "simulator-conformance.md"
#: the tools ask for attributes that Genesys does not list, for large pages, and more often than 300 times a minute
OPTIONS = {
    "rate_limit": 0,
    "unknown_attribute": "lenient",
    "expensive_page_429": "never",
    "login_form": "any",  # they make up logins and passwords
    "password_length": 0,
}


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """A failure that stays, because the service is documented so or the tool is wrong."""

    tool: str
    check: str
    says: str  #: a pattern that the whole message meets
    reason: str  #: as it stands in docs/simulator-conformance.md


_ERROR_BODY = (
    "Genesys answers a 404 with its own ErrorBody; RFC 7644 §3.12 wants a ScimError (genesys-scim §2.3, documented)."
)
_MIRROR = (
    'The service keeps `emails[type eq "other"]` as a mirror of userName, so it is read back beside what was written '
    "(§3.6, documented)."
)
_OWN_ID = "`add` appends (RFC 7644 §3.5.2.1) to what the required entries of the account already hold; the tool expects a list of one."
_LEVEL = (
    "The tool leaves the proficiency out, which it takes for read-only (see above); the service reads it back as 0."
)
_NESTED = (
    "The tool writes `schemas` into the object of an extension. `schemas` belongs to the resource (RFC 7643 §3), so the "
    "extension has no such attribute: 400 invalidPath."
)
_REF = "The service adds `$ref` to the manager when it is read (§3, documented read-only)."
_ROLE = (
    "A new account has the role `employee` (§4.4, documented), and `add` appends to it; the tool expects a list of one."
)
_SEARCH = "Genesys has no `POST /.search`, and its 404 is an ErrorBody (§2, documented by absence)."
_CREATED = "Genesys has no `meta.created` (§4.9, documented by absence)."

FALSE_ALARMS: Sequence[FalseAlarm] = (
    *(
        FalseAlarm("scim2-tester", check, "The server answered 404 without a SCIM error", _ERROR_BODY)
        for check in ("access_invalid_resource_type", "access_invalid_schema", "random_url", "object_deletion")
    ),
    *(
        alarm
        for check in ("check_add_attribute", "check_replace_attribute")
        for alarm in (
            FalseAlarm("scim2-tester", check, "PATCH modify.. returned unexpected value for 'emails'.*", _MIRROR),
            FalseAlarm(
                "scim2-tester", check, ".*:routing(Skills|Languages)'.*proficiency=None.*proficiency=0.0.*", _LEVEL
            ),
            FalseAlarm("scim2-tester", check, ".*unexpected value for '[^']*:externalIds'.*", _OWN_ID),
            FalseAlarm("scim2-tester", check, "Failed to .*:User:schemas' is not a SCIM path.*", _NESTED),
            FalseAlarm("scim2-tester", check, ".*unexpected value for '[^']*:manager'.* ref='http.*", _REF),
        )
    ),
    FalseAlarm("scim2-tester", "check_add_attribute", ".*unexpected value for 'roles'.*'employee'.*", _ROLE),
    FalseAlarm("scim2-tester", "check_remove_attribute", "PATCH modify.. did not remove attribute 'emails'", _MIRROR),
    FalseAlarm("scim2-tester", "search_with_attributes", "The server answered 404 without a SCIM error", _SEARCH),
    *(
        FalseAlarm("scim-sanity", f"{method} /Users{tail}", "meta.created must be present .*", _CREATED)
        for method, tail in (("POST", ""), ("GET", "/{id}"), ("PUT", "/{id}"), ("PATCH", "/{id}"))
    ),
    FalseAlarm(
        "scim-sanity", "GET /Users/nonexistent (expect 404)", "Error response must include schema .*", _ERROR_BODY
    ),
    FalseAlarm(
        "scim-sanity",
        "POST /Groups",
        "Expected HTTP 201, got 405 .*",
        "Groups are not made over SCIM: POST and DELETE were taken away in 2021 (§2, documented).",
    ),
)


def known(tool: str, check: str, message: str) -> FalseAlarm | None:
    for alarm in FALSE_ALARMS:
        if (alarm.tool, alarm.check) == (tool, check) and re.fullmatch(alarm.says, message, re.DOTALL):
            return alarm
    return None


def judge(tool: str, failures: Sequence[tuple[str, str]]) -> None:
    """No failure that is not listed, and nothing listed that does not happen any more."""
    met = {failure: known(tool, *failure) for failure in failures}
    assert not [failure for failure, alarm in met.items() if alarm is None]
    assert {a for a in FALSE_ALARMS if a.tool == tool} == set(met.values()), (
        "an alarm that no longer rings stays listed"
    )


@pytest.fixture
def simulator() -> Iterator[Running]:
    with running(Settings(users=20, seed=1, options=OPTIONS)) as found:
        yield found


@pytest.fixture
def token(simulator: Running) -> str:
    with httpx2.Client(trust_env=False) as http:
        answer = http.post(
            f"{simulator.login_url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(simulator.client_id, simulator.client_secret),
        )
    return str(answer.json()["access_token"])


# --- scim2-tester ---------------------------------------------------------------------------------


class Told(httpx2.HTTPTransport):
    """Tells the tester what it cannot know, in the schemas that it reads.

    It fills everything that is neither text, whole number nor enum with a random uuid, and has no notion of
    names that must exist. So decimals are shown as read-only, and names and dates with values there are.
    `active` is read-only too: an account that it makes inactive by chance is, rightly, in no plain listing.
    """

    names: Mapping[tuple[str, str], Sequence[str]]

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = super().handle_request(request)
        if "/Schemas" not in request.url.path or answer.status_code != 200:
            return answer
        document = json.loads(answer.read())
        for schema in document.get("Resources", [document]):
            self.tell(schema["attributes"], "")
        return httpx2.Response(200, headers={"Content-Type": answer.headers["Content-Type"]}, json=document)

    def tell(self, attributes: list[dict[str, Any]], parent: str) -> None:
        for attribute in attributes:
            name = attribute["name"]
            if name in {"active", "proficiency"}:
                attribute["mutability"] = "readOnly"
            if values := self.names.get((parent, name)):
                attribute["canonicalValues"] = list(values)
            self.tell(attribute.get("subAttributes", []), name)


def failures_of_tester(simulator: Running, token: str) -> tuple[list[CheckResult], list[tuple[str, str]]]:
    transport = Told()
    someone = next(iter(simulator.directory.users))
    transport.names = {
        ("roles", "value"): ("supervisor",),
        ("", "division"): DIVISIONS,
        ("", "dateHire"): ("2024-02-03", "2025-06-01"),
        ("manager", "value"): (someone,),
        ("emails", "type"): ("work",),  # the other one is the mirror of userName
        ("routingSkills", "name"): SKILLS,
        ("routingLanguages", "name"): LANGUAGES,
    }
    headers = {"Authorization": f"Bearer {token}"}
    base = f"{simulator.api_url}/api/v2/scim/v2"
    with httpx2.Client(base_url=base, headers=headers, transport=transport, trust_env=False) as http:
        results = check_server(SyncSCIMClient(http), resource_types=["User"])  # groups cannot be made
    bad = {"ERROR", "CRITICAL", "DEVIATION"}
    return results, [(str(r.title), str(r.reason)) for r in results if r.status.name in bad]


def test_scim2_tester_finds_nothing_but_known_false_alarms(simulator: Running, token: str) -> None:
    results, failures = failures_of_tester(simulator, token)
    passed = [result for result in results if result.status.name in {"SUCCESS", "COMPLIANT", "ACCEPTABLE"}]
    judge("scim2-tester", failures)
    assert len(passed) >= 50, "checks that die before they test anything would show nothing"


# --- scim-sanity ----------------------------------------------------------------------------------


def test_scim_sanity_finds_nothing_but_known_false_alarms(simulator: Running, token: str) -> None:
    found = run_probe_api(f"{simulator.api_url}/api/v2/scim/v2", token=token)
    results = found["results"]
    assert sum(result["status"] == "pass" for result in results) >= 13
    judge("scim-sanity", [(r["name"], r["message"]) for r in results if r["status"] in {"fail", "error"}])


def test_the_page_names_every_false_alarm_with_its_reason() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert [a for a in FALSE_ALARMS if f"| `{a.check}` |" not in text or a.reason not in text] == []

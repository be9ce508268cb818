"""Faults, recipes, drift and the record that is kept of them, on a real socket."""

from __future__ import annotations

import json
import time
import tomllib
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from scimsync.cli.main import cli
from scimsync.cli.simulating import Options, simulate
from scimsync.errors import ConfigError
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.messages import PATCH_OP
from scimsync.scim.schema import CORE_USER, ENTERPRISE_USER
from scimsync.simulator.faults import KINDS, bomb, read_faults
from scimsync.simulator.options import SWITCHES
from scimsync.simulator.people import account_id
from scimsync.simulator.server import Settings, running

ROOT = "/api/v2/scim/v2"
RECIPES = sorted((Path(__file__).parents[2] / "examples" / "faults").glob("*.toml"))
ADA = account_id(7, 5)


class Client:
    def __init__(self, **options: Any) -> None:
        self.sim = running(Settings(users=60, seed=7, options={"rate_limit": 0} | options))

    def __enter__(self) -> Client:
        found = self.sim.__enter__()
        self.directory = found.directory
        self.login = (found.client_id, found.client_secret)
        self.http = httpx2.Client(trust_env=False, base_url=found.api_url, timeout=5)
        token = self.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=self.login)
        self.http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        return self

    def __exit__(self, *trouble: object) -> None:
        self.http.close()
        self.sim.__exit__(None, None, None)

    def get(self, path: str = f"/Users/{ADA}", **params: Any) -> httpx2.Response:
        return self.http.get(ROOT + path, params=params)

    def set(self, path: str, value: Any, *more: dict[str, Any]) -> httpx2.Response:
        operations = [{"op": "replace", "path": path, "value": value}, *more]
        return self.http.patch(f"{ROOT}/Users/{ADA}", json={"schemas": [PATCH_OP], "Operations": operations})

    def fault(self, **recipe: Any) -> None:
        assert self.http.post("/_simulator/faults", json=[recipe]).status_code == 200

    def look(self, what: str, body: Any = None) -> Any:
        url = f"/_simulator/{what}"
        answer = self.http.get(url) if body is None else self.http.post(url, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda file: file.stem)
def test_a_ready_recipe_loads_and_says_what_a_client_should_do(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    document = tomllib.loads(text)
    assert text.startswith("# ")
    assert "A client should" in text.partition("\n\n[")[0]
    faults = read_faults(document["fault"])
    assert all(fault.name and fault.kind in KINDS for fault in faults)
    with running(Settings(users=5, options=document.get("options", {}), faults=document["fault"])) as sim:
        answer = httpx2.get(f"{sim.api_url}/_simulator/faults", trust_env=False)
        assert len(answer.json()["faults"]) == len(faults)


def test_all_seven_recipes_are_there() -> None:
    assert [file.stem for file in RECIPES] == sorted(
        ["bad-monday", "token-storm", "flaky-network", "busy-admin", "lost-answers", "schema-drift", "slow-afternoon"]
    )


def test_chance_with_the_same_seed_strikes_the_same_requests() -> None:
    def play() -> list[int]:
        with Client() as client:
            client.fault(on="get", status=500, times=0, probability=0.4, seed=9)
            return [client.get().status_code for _ in range(20)]

    first = play()
    assert first == play()
    assert {200, 500} == set(first)


def test_a_fault_can_be_meant_for_one_person_and_one_client() -> None:
    with Client() as client:
        client.fault(on="get", status=500, times=0, user=ADA)
        assert client.get(f"/Users/{account_id(7, 6)}").status_code == 200
        assert client.get().status_code == 500
        client.fault(on="get", status=500, times=0, client="somebody-else")
        assert client.get().status_code == 200


def test_a_write_can_be_applied_in_part_and_answered_with_500_or_200() -> None:
    skills = {"op": "replace", "path": f"{GENESYS_USER}:routingSkills", "value": [{"name": "Sales", "proficiency": 2}]}
    for status, answered in ((503, 500), (200, 200)):
        with Client() as client:
            before = client.get().json().get(GENESYS_USER)
            client.fault(on="patch", kind="partial_apply", areas=["skills"], status=status)
            assert client.set("title", "Lead", skills).status_code == answered
            user = client.get().json()
            assert (user["title"], user.get(GENESYS_USER)) == ("Lead", before)
            assert client.set("title", "Lead", skills).json()[GENESYS_USER]["routingSkills"][0]["name"] == "Sales"


def test_the_directory_can_be_what_fails_while_roles_are_written() -> None:
    with Client() as client:
        client.fault(on="patch", kind="partial_apply", areas=["directory"])
        roles = {"op": "add", "path": "roles", "value": [{"value": "admin"}]}
        assert client.set("title", "Lead", roles).status_code == 500
        user = client.get().json()
        assert user["title"] != "Lead"
        assert {"value": "admin"} in user["roles"]


def test_an_answer_drips_and_is_whole_in_the_end() -> None:
    with Client() as client:
        client.fault(on="get", kind="drip", seconds=0.3)
        started = time.perf_counter()
        assert client.get().json()["id"] == ADA
        assert time.perf_counter() - started >= 0.3


def test_headers_can_come_and_then_nothing() -> None:
    with Client() as client:
        client.fault(on="get", kind="stall", seconds=0.2)
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get()


@pytest.mark.parametrize(("when", "title"), [("before", None), ("after", "Lead")])
def test_a_connection_can_end_in_order_on_either_side_of_the_effect(when: str, title: str | None) -> None:
    with Client() as client:
        client.fault(on="patch", kind="close", when=when)
        with pytest.raises(httpx2.RemoteProtocolError):
            client.set("title", "Lead")
        assert (client.get().json()["title"] == "Lead") is (title == "Lead")


def test_a_gzip_bomb_is_small_on_the_wire() -> None:
    with Client() as client:
        client.fault(on="get", kind="gzip_bomb", megabytes=5)
        with client.http.stream("GET", f"{ROOT}/Users/{ADA}") as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert int(answer.headers["Content-Length"]) == len(bomb(5)) < 20_000


def test_an_answer_can_be_empty_of_another_type_or_about_somebody_else() -> None:
    with Client() as client:
        client.fault(on="get", kind="empty")
        assert client.get().content == b""
        client.fault(on="get", kind="content_type", value="text/plain")
        assert client.get().headers["Content-Type"] == "text/plain"
        client.fault(on="get", kind="wrong_body")
        assert client.get().json()["id"] != ADA
        client.fault(on="get", kind="html", status=200)
        assert client.get().headers["Content-Type"] == "text/html"


@pytest.mark.parametrize(("value", "repeated", "missed"), [("insert", 1, 0), ("delete", 0, 1)])
def test_pages_move_under_a_sweep(value: str, repeated: int, missed: int) -> None:
    with Client() as client:
        everybody = [u["id"] for u in client.get("/Users", count=100, attributes="id").json()["Resources"]]
        client.fault(on="list", kind="page_drift", value=value, skip=1)
        seen: list[str] = []
        for start in (1, 26, 51):
            seen += [u["id"] for u in client.get("/Users", startIndex=start, attributes="id").json()["Resources"]]
        assert len(seen) - len(set(seen)) == repeated
        assert len(set(everybody) - set(seen)) == missed


def test_schemas_drift_while_it_runs_and_writes_are_refused() -> None:
    with Client() as client:
        title = f"{CORE_USER}:title"
        steps = [
            {"do": "remove", "path": title},
            {"do": "retype", "path": f"{ENTERPRISE_USER}:department", "to": "integer"},
            {"do": "require", "path": "externalId"},
            {"do": "add_value", "path": "phoneNumbers.type", "to": "satellite"},
        ]
        client.look("drift", {"steps": steps})
        core = {a["name"]: a for a in client.get(f"/Schemas/{CORE_USER}").json()["attributes"]}
        assert "title" not in core
        assert core["externalId"]["required"] is True
        assert "satellite" in core["phoneNumbers"]["subAttributes"][1]["canonicalValues"]
        enterprise = client.get(f"/Schemas/{ENTERPRISE_USER}").json()["attributes"]
        assert next(a for a in enterprise if a["name"] == "department")["type"] == "integer"
        assert client.set("title", "Lead").json()["scimType"] == "invalidPath"
        client.look("drift", {"steps": [{"do": "read_only", "path": title}, {"do": "upper_case"}]})
        assert client.set("title", "Lead").json()["scimType"] == "mutability"
        assert client.set("displayName", "Ada").status_code == 200
        assert client.get(f"/Schemas/{CORE_USER}").json()["attributes"][0]["mutability"] == "READONLY"
        client.look("drift", {"steps": []})
        assert client.set("title", "Lead").status_code == 200


def test_a_drift_and_a_limit_can_come_in_the_middle_of_a_run() -> None:
    with Client() as client:
        steps = [{"do": "read_only", "path": f"{CORE_USER}:title"}]
        client.fault(on="patch", kind="schema_drift", value=steps, skip=1)
        assert [client.set("title", text).status_code for text in "ABC"] == [200, 400, 400]
        client.fault(on="get", kind="options", value={"rate_limit": 1})
        assert client.get().status_code == 200
        assert client.get().status_code == 200  # counted from here on
        assert client.get().status_code == 429


def test_all_tokens_can_end_in_mid_run() -> None:
    with Client() as client:
        client.fault(on="get", kind="revoke")
        assert client.get().status_code == 200
        assert client.get().status_code == 401


def test_the_clock_can_be_wrong_and_tokens_die_early() -> None:
    with Client() as client:
        client.look("options", {"clock_skew": 600})
        ahead = parsedate_to_datetime(client.get().headers["Date"]).timestamp() - time.time()
        assert 590 < ahead < 610
        client.look("options", {"expires_in": 60, "token_skew": 60})
        token = client.http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=client.login,
        ).json()
        assert token["expires_in"] == 60
        client.http.headers["Authorization"] = f"Bearer {token['access_token']}"
        assert client.get().status_code == 401


def test_every_request_is_logged_with_what_it_changed() -> None:
    with Client() as client:
        client.fault(on="patch", kind="reset", when="after", name="answer lost")
        with pytest.raises(httpx2.TransportError):
            client.set("title", "Lead")
        client.get("/Users", filter="userName eq x")
        log = client.look("history/requests")
        assert [(e["kind"], e["status"], e["changes"], e["fault"]) for e in log[-2:]] == [
            ("patch", 0, 1, "answer lost"),
            ("list", 200, 0, ""),
        ]
        assert log[-2]["id"] == ADA
        assert log[-1]["parameters"] == "filter"
        change = client.look("history")[-1]
        assert (change["client"], change["version"], change["seq"]) == (client.directory.primary, 2, 1)
        assert change["correlation_id"] == log[-2]["correlation_id"]


@pytest.mark.parametrize(
    "recipe",
    [
        {"on": "get", "probability": 2},
        {"on": "patch", "kind": "partial_apply", "areas": ["soul"]},
        {"on": "list", "kind": "page_drift", "value": "sideways"},
        {"on": "get", "kind": "schema_drift", "value": [{"do": "melt"}]},
        {"on": "get", "kind": "schema_drift", "value": [{"do": "retype", "path": "title"}]},
        {"on": "get", "kind": "options", "value": {"colour": "blue"}},
        {"on": "get", "when": "meanwhile"},
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(recipe: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_faults([recipe])


# -- the command ------------------------------------------------------------------------------------


def test_the_command_shows_every_switch() -> None:
    shown = CliRunner().invoke(cli, ["simulate", "--options", "--json"])
    assert {s["name"] for s in json.loads(shown.output)} == set(SWITCHES)
    plain = CliRunner().invoke(cli, ["simulate", "--options"]).output
    assert "version_conflict = 400_invalid_vers" in plain
    assert "documented, §4.1" in plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate_limit = 'many'", "whole number"),
        ("colour = 'blue'", "no option colour"),
        ("= =", "options.toml"),
        ("version_covers = 'directory+soul'", "version_covers"),
        ("permissions = 'Emperor'", "permissions are a role"),
    ],
)
def test_a_wrong_options_file_is_refused_with_a_reason(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "options.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        simulate(Options(options_file=file))

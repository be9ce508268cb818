"""Drift of the target's schema: named by `schema diff`, and a run stops only where the mapping writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runs import ENTERPRISE, GENESYS, House, house

from scimsync.errors import SchemaDrifted

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ADDED = {"do": "add_value", "path": f"{CORE}:phoneNumbers.type", "to": "satellite"}
CAPITALS = {"do": "upper_case"}
#: on what the sample's mapping writes
BREAKING = [
    {"do": "remove", "path": f"{ENTERPRISE}:department"},
    {"do": "retype", "path": f"{CORE}:displayName", "to": "integer"},
    {"do": "read_only", "path": f"{CORE}:title"},
    ADDED,
    CAPITALS,
]
#: the same kinds, on what it does not write
ELSEWHERE = [
    {"do": "remove", "path": f"{CORE}:roles"},
    {"do": "retype", "path": f"{GENESYS}:routingLanguages.proficiency", "to": "string"},
    {"do": "read_only", "path": f"{GENESYS}:externalIds"},
    ADDED,
    CAPITALS,
]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "org", users=30) as found:
        yield found


def drift(home: House, steps: list[dict[str, str]]) -> None:
    """Let the schemas drift before the next command."""
    home.fault({"on": "token", "kind": "schema_drift", "value": steps, "times": 1})


def diff(home: House, *words: str) -> tuple[int, dict[tuple[str, str], str]]:
    """What `schema diff` says: exit code, and (path, kind) -> severity, capitals once."""
    said = home.command("schema", "diff", "--json", *words)
    drifts: list[dict[str, Any]] = json.loads(said.out)["drifts"]
    capitals = [d["path"] for d in drifts if d["kind"] == "capitals"]
    assert len(capitals) == len(set(capitals))
    return said.code, {(d["path"] if d["kind"] != "capitals" else "", d["kind"]): d["severity"] for d in drifts}


@pytest.mark.parametrize("pinned", [True, False])
def test_drift_where_the_mapping_writes_is_named_and_stops_a_sync_before_anything_is_read(
    home: House, *, pinned: bool
) -> None:
    if pinned:
        assert home.command("schema", "pin").code == 0
    home.set(home.active(1)[0], job_title="Chief")
    drift(home, BREAKING)
    code, named = diff(home)
    assert code == 5
    assert named == {
        ("enterprise:department", "removed"): "error",
        ("displayName", "type"): "error",
        ("title", "mutability"): "error",
        ("phoneNumbers.type", "value added"): "warning",
        ("", "capitals"): "info",
    }
    home.reset()
    said = home.command("sync")
    assert said.code == 5
    for words in (
        "enterprise:department: removed (string)",
        "displayName: type string -> integer",
        "title: mutability readWrite -> readOnly",
        "scimsync schema diff",
        "scimsync schema pin",
    ):
        assert words in said.err
    assert "satellite" not in said.err
    assert home.stats()["list"] == 0
    assert home.writes() == 0
    assert home.history() == []


def test_drift_elsewhere_is_named_and_a_sync_goes_on(home: House) -> None:
    assert home.command("schema", "pin").code == 0
    someone = home.active(1)[0]
    home.set(someone, job_title="Chief")
    drift(home, ELSEWHERE)
    code, named = diff(home)
    assert code == 0
    assert named == {
        ("roles", "removed"): "info",
        ("genesys:routingLanguages.proficiency", "type"): "info",
        ("genesys:externalIds", "mutability"): "info",
        ("phoneNumbers.type", "value added"): "warning",
        ("", "capitals"): "info",
    }
    assert diff(home, "--detailed-exitcode")[0] == 10
    said = home.command("sync")
    assert said.code == 0, said.err
    assert "the target's schema is not what it was" in said.out
    assert home.account(someone)["title"] == "Chief"


def test_a_mended_mapping_and_a_new_pin_let_the_run_go_on(home: House) -> None:
    drift(home, [{"do": "read_only", "path": f"{CORE}:title"}])
    with pytest.raises(SchemaDrifted) as caught:
        home.plan()
    assert len(caught.value.drifts) == 1
    text = home.file.read_text(encoding="utf-8")
    home.file.write_text("".join(x for x in text.splitlines(keepends=True) if not x.startswith("title")), "utf-8")
    assert home.plan().refusals == ()
    assert home.command("schema", "pin").code == 0
    assert home.command("schema", "diff", "--detailed-exitcode").out.startswith("No drift")
    assert [f for f in home.plan().findings if f.code == "schema.drift"] == []


def test_a_run_asks_for_the_description_once_and_pinned_it_is_304_where_that_is_documented(home: House) -> None:
    home.command("schema", "pin")
    home.reset()
    home.plan()
    kinds = ("serviceproviderconfig", "schemas", "resourcetypes")
    asked = [(r["path"].rsplit("/", 1)[-1].lower(), r["status"]) for r in home.call("history/requests")]
    described = [(name, status) for name, status in asked if name in kinds]
    assert sorted(described[-3:]) == [("resourcetypes", 200), ("schemas", 200), ("serviceproviderconfig", 304)]
    assert len(described) == 6  # three for the pin, three for the run


def test_a_plain_baseline_is_compared_and_pinned(home: House, tmp_path: Path) -> None:
    baseline = home.folder / "baseline.json"
    baseline.write_text(json.dumps({"title": "string", 'emails[type eq "work"].value': "boolean"}), "utf-8")
    said = home.command("schema", "diff", "--baseline", "baseline.json")
    assert said.code == 0  # the mapping of the sample does not write it
    assert "emails.value  type boolean -> string" in said.out
    baseline.write_text(json.dumps({"title": "string"}), "utf-8")
    assert home.command("schema", "diff", "--baseline", "baseline.json").out.startswith("No drift")
    assert "1 paths" in home.command("schema", "pin", "--from", "baseline.json").out
    drift(home, [{"do": "remove", "path": f"{CORE}:displayName"}, {"do": "read_only", "path": f"{CORE}:title"}])
    said = home.command("plan")
    assert said.code == 5
    assert "title: mutability" in said.err
    assert "displayName" not in said.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"groups[[]].value": "string"}', "is not a SCIM path"),
        ('{"title": "text"}', "is no type"),
        ("[1]", "neither SCIM Schema documents nor a plain baseline"),
        ("{", "not JSON"),
    ],
)
def test_a_baseline_that_cannot_be_read_is_refused_with_its_place(home: House, content: str, words: str) -> None:
    (home.folder / "baseline.json").write_text(content, "utf-8")
    home.reset()
    said = home.command("schema", "diff", "--baseline", "baseline.json")
    assert said.code == 2
    assert words in said.err
    assert "baseline.json" in said.err
    assert home.stats()["requests"] == 0


def test_doctor_tells_what_the_target_announces_what_the_dialect_assumes_and_drift(home: House) -> None:
    said = home.command("doctor", "--json")
    found = [(check["check"], check["result"], check["detail"]) for check in json.loads(said.out)]
    assert ("announces", "ok", "authentication oauthbearertoken") in found
    assert any(name == "announces" and "patch yes" in words and "etag yes" in words for name, _, words in found)
    assert any(name == "assumes" and words.startswith("paging.largest 100: guessed") for name, _, words in found)
    assert ("drift", "ok", "none against what the dialect assumes") in found
    home.command("schema", "pin")
    drift(home, BREAKING)
    said = home.command("doctor")
    assert said.code == 5
    assert "title: mutability readWrite -> readOnly" in said.out
    assert all(len(line) < 200 for line in said.out.splitlines())


def test_drift_in_the_middle_of_a_run_ends_it_with_what_changed_and_no_storm_of_refusals(home: House) -> None:
    home.settle()
    movers = home.active(20)
    for who in movers:
        home.set(who, job_title="Chief")
    leaver = home.active(1, start=26)[0]
    home.set(leaver, status="left")
    home.plan()
    steps = [{"do": "read_only", "path": f"{CORE}:title"}]
    home.fault({"on": "patch", "kind": "schema_drift", "value": steps, "skip": 4, "times": 1})
    said = home.command("apply", "--yes")
    assert said.code == 5, said.out + said.err
    assert "title: mutability readWrite -> readOnly" in said.err
    assert "What was done stays, and no more was begun." in said.err
    assert home.account(leaver)["active"] is False
    written = [who for who in movers if home.account(who)["title"] == "Chief"]
    assert len(written) == 3
    assert home.stats()["patch"] <= 4 + 3 + 8  # the workers had some on their way
    assert home.unsettled() == set()
    home.reset()
    assert home.command("sync").code == 5  # the next one does not begin
    assert home.writes() == 0


def test_people_who_are_refused_alike_under_a_schema_that_stands_are_each_told_of(home: House) -> None:
    home.settle()
    movers = home.active(8)
    for who in movers:
        home.set(who, job_title="Chief")
    home.plan()
    home.fault({"on": "patch", "kind": "status", "status": 400, "times": 0})
    before = home.stats()["schema"]
    report = home.apply()
    assert [one[-1].code for one in report.outcomes.values()] == ["target.refused"] * 8
    assert home.stats()["schema"] - before <= 3
    assert report.stopped is None or "schema" not in str(report.stopped)

"""What is said of a configuration that is wrong: all at once, each with place and suggestion, no secret ever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scimsync.config import load
from scimsync.errors import ConfigError

CANARY = "canary-5up3r-word"
EVERY = frozenset({"target", "webhook", "events"})
GOOD: dict[str, Any] = {
    "source": {"kind": "sql", "url": "sqlite:///hr.db", "query": "SELECT 1", "key": "id"},
    "target": {"region": "us-east-1", "client_id": "me", "token": "env:WORD"},
    "attributes": {"userName": "a", "displayName": "b", "active": "true"},
    "policy": {"authority": "ask"},
    "limits": {"disable": "5%"},
    "groups": {"column": "teams"},
    "state": {},
    "metrics": {},
    "log": {},
    "audit": {},
    "webhook": [{"url": "https://hr.example.com/hook", "secret": "env:WORD"}],
    "events": {"secret": "env:WORD"},
}


@pytest.fixture(autouse=True)
def word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "w" * 32)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(held)}" for key, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def changed(section: str, **keys: object) -> dict[str, Any]:
    """A good document with other keys in one section; None takes a key away."""
    document = json.loads(json.dumps(GOOD))
    table = document.setdefault(section, {})
    table = table[0] if isinstance(table, list) else table
    table.update(keys)
    for key in [key for key, value in table.items() if value is None]:
        del table[key]
    return dict(document)


def faults(folder: Path, document: dict[str, Any]) -> list[str]:
    file = folder / "scimsync.toml"
    file.write_text("".join(f"{name} = {toml(table)}\n" for name, table in document.items()), encoding="utf-8")
    try:
        load(file, secrets=EVERY)
    except ConfigError as error:
        return list(error.faults)
    return []


def test_a_good_document_has_no_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("section", "keys", "said"),
    [
        ("source", {"kind": None}, "[source] kind is missing: what the source is; one of sql, csv, parquet, jsonl"),
        ("source", {"kind": "sqll"}, "[source] kind = 'sqll' is none of sql, csv, parquet, jsonl; did you mean sql?"),
        ("source", {"kind": 7}, "[source] kind must be a text: what the source is; one of sql, csv, parquet, jsonl"),
        ("source", {"key": None}, "[source] key is missing: the column that identifies a person, for ever; for instance "
         '"employee_id"'),
        ("source", {"key": ""}, "[source] key must be a text: the column that identifies a person, for ever; for "
         'instance "employee_id"'),
        ("source", {"query": None}, "[source] query is missing: the SELECT that gives one row for each person; for "
         'instance "SELECT * FROM employee"'),
        ("source", {"encodin": "utf-8"}, "[source] encodin is not a setting; did you mean encoding?"),
        ("source", {"zone": "Europe/Berln"}, "[source] zone = 'Europe/Berln' is no time zone; did you mean "
         "Europe/Berlin?"),
        ("source", {"null_values": ["a", 5]}, "[source] null_values must be a list of texts: texts that stand for "
         'nothing; for instance ["NULL", "#N/A", "-"]'),
        ("target", {"workers": 0}, "[target] workers must be a whole number from 1: how many requests run at a time; "
         "for instance 4"),
        ("target", {"characters": True}, "[target] characters must be a whole number from 0: how many characters a text "
         "may have; 0 for no limit; for instance 400"),
        ("target", {"region": None, "api_url": "https://[::1", "login_url": "https://x.example.com"}, "[target] api_url "
         "is not an address: write for instance https://api.mypurecloud.com"),
        ("attributes", {"title": 5}, '[attributes] title: write an SQL expression as text, or { value = "..." }'),
        ("attributes", {"title": {"value": "x", "autority": "ask"}}, "[attributes] title: autority is not a setting; "
         "did you mean authority?"),
        ("attributes", {"title": {"value": "x", "authority": "asks"}}, "[attributes] title: authority = 'asks' is none "
         "of local_wins, cloud_wins, merge, ask; did you mean ask?"),
        ("limits", {"clear": {"userName": "many"}}, "[limits] clear userName = 'many': write a number of people, or a "
         'share such as "5%"'),
        ("state", {"memory": "plenty"}, "[state] memory = 'plenty': write a number and its unit, for instance "
         '"512MB"'),
        ("metrics", {"textfile": "x.txt"}, "[metrics] textfile = 'x.txt': the name must end with .prom, or nobody "
         "collects it"),
        ("audit", {"key": "abc"}, "[audit] key is a secret and may not stand in the file: write file:PATH or "
         "keyring:NAME"),
        ("webhook", {"secret": None}, "[[webhook]] 1 secret is missing: what events are signed with; env:NAME or "
         'file:PATH; for instance "env:WEBHOOK_SECRET"'),
        ("webhook", {"valus": True}, "[[webhook]] 1 valus is not a setting; did you mean values?"),
        ("statee", {"url": "x"}, "[statee] is not a section; did you mean state?"),
    ],
)  # fmt: skip
def test_one_fault_is_one_sentence(tmp_path: Path, section: str, keys: dict[str, object], said: str) -> None:
    assert faults(tmp_path, changed(section, **keys)) == [f"scimsync.toml: {said}"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("source", "[source] is missing: say where the HR records are"),
        ("target", "[target] is missing: say which directory is kept"),
        ("attributes", "[attributes] is empty: map at least userName, displayName and active"),
    ],
)
def test_a_section_that_is_needed_is_missed_once(tmp_path: Path, section: str, said: str) -> None:
    document = {name: table for name, table in GOOD.items() if name != section}
    assert faults(tmp_path, document) == [f"scimsync.toml: {said}"]


@pytest.mark.parametrize("section", [*GOOD, "correlation"])
def test_a_section_that_is_no_table_is_said_once(tmp_path: Path, section: str) -> None:
    words = "two brackets" if section == "webhook" else f"[{section}] must be a table"
    (said,) = faults(tmp_path, GOOD | {section: 5})
    assert words in said


def test_faults_of_form_and_of_meaning_come_together(tmp_path: Path) -> None:
    document = changed("source", kind="csw", zone="Mars")
    document["attributes"] |= {"titel": "x", "nickName": 7}
    document["limits"] = {"disable": "many", "clear": {"title": 5}, "creat": 1}
    document["webhook"].append({"url": "http://far.example.com", "secret": "env:NOWHERE", "events": ["prov:pach"]})
    said = faults(tmp_path, document)
    named = ["kind", "zone", "titel", "nickName", "disable", "clear", "creat", "url", "NOWHERE", "pach"]
    assert all(any(name in fault for fault in said) for name in named), said
    assert len([fault for fault in said if "[source]" in fault]) == 2, "no fault follows from another"


PLACES = [
    ("source", "url"), ("state", "url"), ("target", "client_id"), ("target", "client_secret"), ("target", "token"),
    ("target", "client_secrets"), ("audit", "key"), ("webhook", "url"), ("webhook", "secret"), ("webhook", "old_secret"),
    ("webhook", "secrets"), ("events", "secret"), ("events", "old_secret"), ("event", "secret"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "key"), PLACES)
@pytest.mark.parametrize("value", [CANARY, [CANARY], {"a": CANARY}, f"https://x:{CANARY}@example.com", [[CANARY]]])
def test_what_may_be_a_secret_is_never_repeated(tmp_path: Path, section: str, key: str, value: object) -> None:
    document = changed(section, **{key: value})
    document["log"] = {"level": "loud"}  # so that there is a message
    said = faults(tmp_path, document)
    assert said
    assert CANARY not in str(said)


def test_whoever_handles_settings_loads_no_pydantic() -> None:
    script = "import sys, scimsync.config, scimsync.library; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)

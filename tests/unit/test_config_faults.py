"""What is said of a configuration that is wrong: all at once, each with place and suggestion, no secret ever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scimsync.config import load
from scimsync.config.sources import NEEDS
from scimsync.errors import ConfigError

KINDS = ", ".join(NEEDS)
CANARY = "canary-5up3r-word"
EVERY = frozenset({"target", "webhook", "events"})
GOOD: dict[str, Any] = {
    "source": {"kind": "sql", "url": "sqlite:///hr.db", "query": "SELECT 1", "key": "id"},
    "target": {"region": "us-east-1", "client_id": "me", "client_secret": "env:WORD"},
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


WAYS = "token; client_id and client_secret; username and password; or header and header_value"
ONE_WAY = f"exactly one way to authenticate may be given: {WAYS}"
#: a provider that nobody here wrote: with an OAuth client, and with nothing yet
OTHER: dict[str, object] = {
    "dialect": "generic", "region": None, "api_url": "https://scim.example.com", "token_url": "https://login.example.com",
}  # fmt: skip
BARE = OTHER | {"token_url": None, "client_id": None, "client_secret": None}


@pytest.fixture(autouse=True)
def word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "w" * 32)
    monkeypatch.setenv("LINES", "one\ntwo")


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
        ("source", {"kind": None}, "[source] kind is missing: what the source is; one of " + KINDS),
        ("source", {"kind": "sqll"}, f"[source] kind = 'sqll' is none of {KINDS}; did you mean sql?"),
        ("source", {"kind": 7}, "[source] kind must be a text: what the source is; one of " + KINDS),
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
        ("target", {"token": "env:WORD"}, f"[target] has token, client_id, client_secret: {ONE_WAY}"),
        ("target", {"header": "X-Key", "client_auth": "post"}, "[target] has client_id, client_secret, client_auth, "
         f"header: {ONE_WAY}"),
        ("target", {"client_secret": None}, "[target] client_secret is missing: the secret of the OAuth client; env:NAME "
         'or file:PATH; for instance "file:client_secret"'),
        ("target", {"token_url": "https://login.example.com/token"}, "[target] token_url is the whole address at which "
         "tokens are given; take region away"),
        ("target", OTHER | {"token_url": "http://login.example.com/token"}, "[target] token_url must be https: a secret "
         "would travel in clear to login.example.com"),
        ("target", OTHER | {"token_url": "login.example.com"}, "[target] token_url is not an address: write for instance "
         "https://login.example.com/oauth2/token"),
        ("target", OTHER | {"scopes": ["read write"]}, "[target] scopes: each is a word of its own; write for instance "
         '["a", "b"]'),
        ("target", OTHER | {"token_url": None}, "[target] token_url is missing: the whole address at which client_id gets "
         'its token, instead of login_url; for instance "https://login.example.com/oauth2/token"'),
        ("target", OTHER | {"api_url": None}, "[target] api_url is missing: where the API is, instead of region and with "
         'login_url or another way to authenticate; for instance "https://api.mypurecloud.de"'),
        ("target", BARE, f"[target] needs one way to authenticate: {WAYS}"),
        ("target", BARE | {"username": "scim"}, "[target] password is missing: the password of HTTP Basic, with username; "
         'env:NAME or file:PATH; for instance "env:SCIM_PASSWORD"'),
        ("target", BARE | {"password": "env:WORD"}, "[target] username is missing: the user of HTTP Basic, with password; "
         'env:NAME or file:PATH; for instance "scim"'),
        ("target", BARE | {"username": "a:b", "password": "env:WORD"}, "[target] username: HTTP Basic takes no colon and "
         "no control sign in a user"),
        ("target", BARE | {"username": "a", "password": "env:LINES"}, "[target] password: HTTP Basic takes no line end "
         "and no other control sign"),
        ("target", BARE | {"username": "a", "password": CANARY}, "[target] password is a secret and may not stand in the "
         "file: write env:NAME, file:PATH, credential:NAME or exec:COMMAND"),
        ("target", BARE | {"header": "X-Key"}, "[target] header_value is missing: what stands in header, as it is sent; "
         'env:NAME or file:PATH; for instance "env:API_KEY"'),
        ("target", BARE | {"header": "X Key", "header_value": "env:WORD"}, "[target] header is not the name of a header: "
         "write for instance X-API-Key"),
        ("target", BARE | {"header": "If-Match", "header_value": "env:WORD"}, "[target] header = 'If-Match' is set by "
         "scimsync itself; name the one that lets us in"),
        ("target", BARE | {"header": "X-Key", "header_value": "env:LINES"}, "[target] header_value holds signs that no "
         "header takes: ASCII, one line"),
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
    "keys",
    [
        {
            "client_auth": "post",
            "scopes": ["a", "b"],
            "audience": "x",
            "token_url": "https://login.example.com/t?tenant=x",
        },
        BARE | {"token": "env:WORD"},
        BARE | {"username": "scim", "password": "env:WORD"},
        BARE | {"username": "env:WORD", "password": "env:WORD"},
        BARE | {"header": "Authorization", "header_value": "env:WORD"},
    ],
)
def test_each_way_to_authenticate_will_do(tmp_path: Path, keys: dict[str, object]) -> None:
    assert faults(tmp_path, changed("target", **OTHER | keys)) == []


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
    ("target", "client_secrets"), ("target", "token_url"), ("target", "scopes"), ("target", "audience"),
    ("target", "username"), ("target", "password"), ("target", "header"), ("target", "header_value"), ("audit", "key"), ("webhook", "url"), ("webhook", "secret"), ("webhook", "old_secret"),
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


def test_a_mapping_without_a_login_is_one_fault_and_not_one_for_each_joiner(tmp_path: Path) -> None:
    file = tmp_path / "scimsync.toml"
    file.write_text(
        '[source]\nkind = "csv"\npath = "hr.csv"\nkey = "id"\n[target]\ndialect = "genesys"\nregion = "us-east-1"\n'
        'client_id = "a"\nclient_secret = "env:SECRET"\n[correlation]\nmatch = ["externalId"]\n'
        '[attributes]\nexternalId = "id"\ndisplayName = "name"\nactive = "true"\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as refused:
        load(file, secrets=False)
    assert [fault for fault in str(refused.value).splitlines() if "userName is not mapped" in fault] != []

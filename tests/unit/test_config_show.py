"""What holds, and where it comes from; what may be secret is masked."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from tests.unit.test_config_faults import CANARY

from scimsync.cli import configuring as command
from scimsync.cli.sample import ATTRIBUTES
from scimsync.config.document import Document
from scimsync.errors import ConfigError
from scimsync.services.configuring import MASK, Effective, check, effective, masked

TEXT = f"""\
[source]
kind = "sql"
url = "env:HR"
query = "SELECT * FROM employee"
key = "id"
[target]
region = "mypurecloud.de"
client_id = "env:CLIENT"
client_secret = "file:secret"
{ATTRIBUTES}
[limits]
create = 7
clear = {{ title = 5 }}
[state]
url = "postgresql://me:{CANARY}@db/state?sslkey={CANARY}"
[[webhook]]
url = "https://hr.example.com/{CANARY}?x={CANARY}"
secret = "env:HOOK"
events = ["prov:patch"]
[[webhook]]
url = "https://other.example.com"
secret = "file:{CANARY[:6]}"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HR", f"postgresql://reader:{CANARY}@db/hr")
    monkeypatch.setenv("CLIENT", "the-client")
    monkeypatch.delenv("HOOK", raising=False)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(CANARY)
    file = tmp_path / "scimsync.toml"
    file.write_text(TEXT, encoding="utf-8")
    return file


def shown(file: Path) -> dict[tuple[str, int, str], Effective]:
    return {(each.section, each.number, each.key): each for each in effective(file)}


def line_of(begin: str, after: str = "") -> int:
    lines = TEXT.splitlines()
    return next(
        n for n, line in enumerate(lines, 1) if line.startswith(begin) and n > TEXT.count("\n", 0, TEXT.find(after))
    )


def test_each_value_tells_where_it_comes_from(file: Path) -> None:
    found = shown(file)
    told = {
        ("source", 0, "kind"): ("sql", "line 2"),
        ("source", 0, "zone"): ("UTC", "default"),
        ("source", 0, "url"): (f"postgresql://reader:{MASK}@db/hr", "line 3, environment variable HR"),
        ("target", 0, "client_id"): ("the-client", "line 8, environment variable CLIENT"),
        ("target", 0, "client_secret"): (MASK, f"line 9, file {file.parent / 'secret'}"),
        ("target", 0, "api_url"): ("https://api.mypurecloud.de", "region, line 7"),
        ("target", 0, "request_bytes"): (512_000, "dialect genesys"),
        ("limits", 0, "create"): (7, f"line {line_of('create')}"),
        ("limits", 0, "clear"): ({"title": 5}, f"line {line_of('clear')}"),
        ("limits", 0, "disable"): ("5%", "default"),
        ("state", 0, "url"): (f"postgresql://me:{MASK}@db/state?{MASK}", f"line {line_of('url', '[state]')}"),
        ("state", 0, "artifacts"): (str(file.parent / ".scimsync/artifacts"), "default"),
        ("webhook", 1, "secret"): (MASK, f"line {line_of('secret')}, environment variable HOOK, which is not set"),
        ("webhook", 1, "events"): (["prov:patch"], f"line {line_of('events')}"),
        ("webhook", 2, "values"): (False, "default"),
    }
    assert {place: (found[place].value, str(found[place].origin)) for place in told} == told
    assert str(found["webhook", 2, "secret"].origin).endswith(f"file {file.parent / CANARY[:6]}, which cannot be read")
    assert ("source", 0, "path") not in found


@pytest.mark.parametrize(
    ("written", "value"),
    [('client_id = "env:CLIENT"', "the-client"), ('username = "env:CLIENT"', "the-client"), ('username = "scim"', "scim"),
     ('scopes = ["a"]', ["a"]), ('client_auth = "post"', "post"), ('header = "X-Key"', "X-Key"),
     *((f'{key} = "file:secret"', MASK) for key in ("token", "client_secret", "password", "header_value")),
     (f'token_url = "https://login.example.com/t?key={CANARY}"', f"https://login.example.com/t?{MASK}")],
)  # fmt: skip
def test_of_each_way_to_authenticate_the_names_are_shown_and_no_secret(file: Path, written: str, value: object) -> None:
    target = (
        f'[target]\ndialect = "generic"\napi_url = "https://a.example"\nlogin_url = "https://b.example"\n{written}\n'
    )
    if "token_url" in written:
        target = target.replace('login_url = "https://b.example"\n', "")
    before, _, after = TEXT.partition("[target]")
    after = after.partition("[limits]")[2]
    file.write_text(f'{before}{target}[attributes]\nuserName = "a"\ntitle = "b"\n[limits]{after}', encoding="utf-8")
    assert shown(file)["target", 0, written.partition(" ")[0]].value == value
    assert CANARY not in str([each.value for each in effective(file) if each.section == "target"])


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_secret_is_shown(file: Path, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    assert command.show(file, as_json=as_json) == 0
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err


def test_what_is_shown_is_toml_of_the_form_that_is_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = TEXT.replace('client_secret = "file:secret"\n', "").partition("[[webhook]]")[0]
    file.write_text(plain.replace(CANARY, "x"), encoding="utf-8")
    command.show(file, as_json=False)
    found = tomllib.loads(capsys.readouterr().out)
    assert set(found) == {
        "source", "target", "correlation", "attributes", "policy", "limits", "state", "log", "audit", "console",
    }  # fmt: skip
    assert Document.model_validate(found).attributes == Document.model_validate(tomllib.loads(plain)).attributes


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mssql+pyodbc:///?odbc_connect=PWD%3Dx", f"mssql+pyodbc:///?{MASK}"),
        ("postgresql://u:a#b@host/db", f"postgresql://{MASK}"),
        ("postgresql://u:a?b@host/db", f"postgresql://{MASK}"),
        ("postgresql://u:a/b@host/db", f"postgresql://{MASK}"),
        ("postgresql://u:a@b@host/db", f"postgresql://u:{MASK}@host/db"),
        ("postgresql://u@host/db", "postgresql://u@host/db"),
        ("u:word@host", MASK),
        ("", ""),
    ],
)
def test_a_password_is_masked_however_it_is_spelled(url: str, shown: str) -> None:
    assert masked(url) == shown


# --- check ------------------------------------------------------------------------------------


def test_checking_names_every_secret_that_is_missing_and_shows_none(file: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        check(file)
    said = list(refused.value.faults)
    assert [fault.partition(" refers")[0] for fault in said[:1]] == ["scimsync.toml: [[webhook]] 1 secret"]
    assert "HOOK" in said[0]
    assert "[[webhook]] 2 secret" in said[1]
    assert len(said) == 2
    assert CANARY not in str(said)


def test_checking_asks_for_the_key_of_the_audit_chain_where_one_is_named(file: Path) -> None:
    text = TEXT.partition("[[webhook]]")[0]
    file.write_text(f'{text}[audit]\nkey = "file:audit-key"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^scimsync.toml: \[audit\] key: there is no key in .*scimsync audit key$"):
        check(file)


def test_checking_asks_for_the_secret_of_events_where_the_section_is_there(file: Path) -> None:
    text = TEXT.partition("[[webhook]]")[0]
    file.write_text(text, encoding="utf-8")
    assert check(file).events == ()
    file.write_text(f'{text}[events]\nsecret = "env:HOOK"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\[events\] secret refers to the environment variable HOOK"):
        check(file)

"""[[webhook]] and [events]: what is read, what is refused, and whose secrets are needed when."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from scimsync.config import load
from scimsync.errors import ConfigError
from scimsync.model.events import EventKind

KEY = bytes(range(32))
REST = """\
[source]
kind = "csv"
path = "hr.csv"
key = "id"
[target]
region = "us-east-1"
client_id = "x"
client_secret = "env:NOT_SET_ANYWHERE"
[attributes]
userName = "email"
displayName = "name"
active = "true"
"""
GOOD = '[[webhook]]\nurl = "https://hr.example.com/hook?token=canary"\nsecret = "env:HOOK"\n'


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "whsec_" + base64.b64encode(KEY).decode())
    monkeypatch.setenv("PLAIN", "some text")
    monkeypatch.setenv("BAD", "whsec_!!")


def write(folder: Path, text: str) -> Path:
    file = folder / "scimsync.toml"
    file.write_text(REST + text, encoding="utf-8")
    return file


def faults(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), secrets={"webhook"})
    return "\n".join(caught.value.faults)


def test_a_webhook_is_read_with_its_defaults_and_its_name_tells_nothing(tmp_path: Path) -> None:
    (webhook,) = load(write(tmp_path, GOOD), secrets={"webhook"}).webhooks
    assert (webhook.keys, webhook.kinds, webhook.values, webhook.allow_private) == ((KEY,), frozenset(), False, False)
    assert webhook.shown == "webhook 1 (hr.example.com)"
    assert "canary" not in webhook.name + webhook.shown + repr(webhook)
    assert str(KEY) not in repr(webhook)


def test_several_webhooks_each_have_their_own_settings_and_a_former_secret_signs_as_well(tmp_path: Path) -> None:
    second = (
        '[[webhook]]\nurl = "http://127.0.0.1:9/x"\nsecret = "env:PLAIN"\nold_secret = "env:HOOK"\nallow_private = true\n'
        'values = true\nevents = ["prov:patch", "urn:ietf:params:scim:event:prov:create:notice", "scimsync.ping"]\n'
    )
    one, two = load(write(tmp_path, GOOD + second), secrets={"webhook"}).webhooks
    assert two.keys == (b"some text", KEY)
    assert two.kinds == {EventKind.PATCH, EventKind.CREATE, EventKind.PING}
    assert (two.number, two.values, two.allow_private) == (2, True, True)
    assert one.name != two.name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[webhook]]\nsecret = "env:HOOK"\n', "[[webhook]] 1 url is missing"),
        ('[[webhook]]\nurl = "https://x"\n', "[[webhook]] 1 secret is missing"),
        (GOOD.replace("https", "http"), "must be https"),
        (GOOD.replace("hr.example.com", "user:word@hr.example.com"), "is not an address"),
        (GOOD.replace("https://", "ftp://"), "is not an address"),
        (GOOD.replace("hr.example.com", "[::1"), "is not an address"),
        (GOOD.replace("hr.example.com", "hr.example.com:99999"), "is not an address"),
        ('[[webhook]]\nurl = "http://10.0.0.1/"\nsecret = "env:HOOK"\nallow_private = true\n', "must be https"),
        (GOOD.replace("env:HOOK", "whsec_plain"), "may not stand in the file"),
        (GOOD.replace("env:HOOK", "env:NOT_SET"), "NOT_SET, which is not set"),
        (GOOD.replace("env:HOOK", "env:BAD"), "secret cannot be used: what stands behind whsec_ is not base64"),
        (GOOD + 'events = ["prov:pach"]\n', "did you mean prov:patch?"),
        (GOOD + "events = 7\n", "is not an event"),
        (GOOD + 'values = "yes"\n', "must be true or false"),
        (GOOD + "value = true\n", "did you mean values?"),
        (GOOD + GOOD, "two webhooks have the same"),
        ('[webhook]\nurl = "https://x"\n', "two brackets"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    said = faults(tmp_path, text)
    assert words in said
    assert "canary" not in said


def test_secrets_are_needed_only_where_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, GOOD + '[events]\nsecret = "env:CALLERS"\n')
    monkeypatch.delenv("HOOK")
    assert load(file, secrets=False).webhooks[0].keys == ()
    with pytest.raises(ConfigError, match="HOOK"):
        load(file, secrets={"webhook"})
    monkeypatch.setenv("HOOK", "x" * 30)
    assert load(file, secrets={"webhook"}).events == ()
    with pytest.raises(ConfigError, match="CALLERS"):
        load(file, secrets={"events"})
    monkeypatch.setenv("CALLERS", "y" * 30)
    assert load(file, secrets={"events"}).events == (b"y" * 30,)


def test_webhooks_do_not_bind_a_plan(tmp_path: Path) -> None:
    with_one, without = (load(write(tmp_path, text), secrets=False).digest for text in (GOOD, ""))
    assert with_one == without

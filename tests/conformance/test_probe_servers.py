"""`probe --write` on four servers that nobody here wrote: what is found is what their shipped dialects say."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.integration.test_probing import target
from tests.providers import NAMES, Server, needs_providers, start
from tests.runs import command

from scimsync.model.probing import Probed
from scimsync.scim import dialect_file
from scimsync.services import probing
from scimsync.services.probing import Subject

DIALECTS = Path(dialect_file.__file__).parent / "dialects"
#: entries that a probe does not tell in the words of a dialect that was written by hand: how much, or which paths
LOOSE = {
    "patch.operations",  # as many as were tried, or no limit
    "filters.attributes",  # of those that are tried
    "accounts.unkept",  # of those that are tried, each by itself
    "patch.value_filters",  # where no list is kept, it cannot be told
    "patch.keeps_others",
}
#: server -> entry -> what is found, and why that differs from the dialect
OTHERWISE: Mapping[str, Mapping[str, object]] = {
    # a body without userName is no body that scimsync sends
    "django-scim2": {"create.required": ["userName"]},
}


def hire(server: Server, number: int = 4) -> None:
    """Let the server hold some people."""
    for n in range(number):
        person = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": f"p{n}@x.org",
            "displayName": f"P{n}",
            "active": True,
            "externalId": f"e{n}",
            "name": {"familyName": "F", "givenName": "G", "formatted": "G F"},
            "emails": [{"value": f"p{n}@x.org"}],
        }
        assert server.ask("POST", "/Users", person).status_code == 201


def probed(server: Server, folder: Path) -> Probed:
    subject = Subject(replace(target(server.url), token=server.token), folder / ".scimsync")
    return asyncio.run(probing.probe(subject, writes=True))


@needs_providers
@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_what_the_dialect_of_the_server_says_and_nothing_is_left(name: str, tmp_path: Path) -> None:
    text = (DIALECTS / f"{name}.toml").read_text(encoding="utf-8")
    said = {
        f"{table}.{key}": entry["value"]
        for table, entries in tomllib.loads(text).items()
        if isinstance(entries, dict)
        for key, entry in entries.items()
    }
    with start(name) as server:
        hire(server)
        before = server.held()
        found = probed(server, tmp_path)
        assert server.held() == before
        assert not server.listed("Groups")
    assert not found.left
    assert not found.stopped
    seen = {entry: one.value for entry, one in found.findings.found.items() if entry not in LOOSE}
    wanted = {entry: said[entry] for entry in seen if entry in said} | OTHERWISE.get(name, {})
    assert {entry: value for entry, value in seen.items() if entry in wanted} == wanted
    assert len(wanted) > 20


@needs_providers
@pytest.mark.parametrize("name", NAMES)
def test_an_address_and_a_token_lead_to_people_and_a_quiet_second_run(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.touch(mode=0o600)
    with start(name) as server:
        secret.write_text(server.token)
        words = ["init", "ours", "--probe", server.url, "--token", f"file:{secret}", "--write", "--yes"]
        said = command(*words, folder=tmp_path, timeout=200)
        assert said.code == 0, said.err
        for step in ("doctor", "plan", "apply --yes", "plan --detailed-exitcode"):
            said = command(*step.split(), "--config", "ours/scimsync.toml", folder=tmp_path, timeout=200)
            assert said.code == 0, (step, said.out, said.err)
        assert len(server.held()) == 26

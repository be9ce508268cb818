"""support-bundle: secrets and people planted wherever there is room, and nowhere in what is written."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.runs import CLIENT, SECRET, House, command, house

from scimsync.config.schema import schema
from scimsync.services.masking import masked

PLANTED = "zzcanary.person@example.com"
MARK = "zzcanary"
MORE = f"""
[[webhook]]
url = "https://hr.example.com/hook/{MARK}-path?token={MARK}-query"
secret = "env:WEBHOOK_SECRET"

[[rule]]
name = "{MARK}-rule"
message = "ask {PLANTED}"
sql = "SELECT key FROM after WHERE userName = '{PLANTED}'"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("bundle"), users=30) as found:
        found.environ = {"WEBHOOK_SECRET": f"{MARK}-signing-0123456789abcdef0123456789abcdef"}
        found.configure(policy=f'protected = ["{PLANTED}"]\nrings_first = "email = \'{PLANTED}\'"\n', more=MORE)
        found.write_hr([replace(person, last_name=MARK) for person in found.people])
        found.set(found.people[3], phone=f"{MARK} call me")
        assert found.command("sync").code in {0, 11}
        yield found


def read(packed: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_no_secret_and_nobody_is_in_it_and_codes_and_counts_are(home: House) -> None:
    said = home.command("support-bundle", "--yes", "--out", "bundle.zip")
    assert said.code == 0, said.err
    file = home.folder / "bundle.zip"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    held = read(file.read_bytes())
    everything = "\n".join([*held, *held.values()]).lower()
    forbidden = [SECRET, CLIENT, MARK, home.simulator.client_secret, home.simulator.api_url, str(home.folder)]
    people = [each for person in home.people for each in (person.email, person.employee_id, person.phone or MARK)]
    names = [f"{person.first_name} {person.last_name}" for person in home.people]
    assert [each for each in (*forbidden, *people, *names) if each.lower() in everything] == []
    assert "record.bad-phone" in held["findings.json"]
    assert json.loads(held["configuration.json"])["configuration"]["policy"]["authority"] == "local_wins"
    assert json.loads(held["runs.json"])[0]["rows"] == 30


def test_what_is_in_it_is_said_first_and_nothing_is_written_where_only_that_is_asked(home: House) -> None:
    before = sorted(home.folder.rglob("*.zip"))
    said = home.command("support-bundle", "--list")
    assert "findings.json" in said.out
    assert sorted(home.folder.rglob("*.zip")) == before


def test_where_configuration_and_state_are_broken_the_rest_is_written(tmp_path: Path) -> None:
    (tmp_path / "scimsync.toml").write_text(f'[source]\nkind = "csv"\npath = "{MARK}.csv"\nkye = "{MARK}"\n')
    said = command("support-bundle", "--yes", "--out", "bundle.zip", folder=tmp_path)
    assert said.code == 0, said.err
    held = read((tmp_path / "bundle.zip").read_bytes())
    assert json.loads(held["configuration.json"])["faults"] > 0
    assert json.loads(held["sizes.json"])["trouble"] == "ConfigError"
    assert MARK not in "".join(held.values())


def places(node: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the configuration takes text: `[]` stands for an entry of a list, `*` for a name of one's own."""
    for name, each in node.get("properties", {}).items():
        yield from places(each, (*before, name))
    for word, mark in (("items", "[]"), ("additionalProperties", "*")):
        if isinstance(node.get(word), Mapping):
            yield from places(node[word], (*before, mark))
    for each in [each for word in ("anyOf", "oneOf", "allOf") for each in node.get(word, [])]:
        yield from places(each, before)
    if node.get("type") == "string" and before:
        yield before


def planted(place: tuple[str, ...]) -> Any:
    if not place:
        return PLANTED
    inner = planted(place[1:])
    return [inner] if place[0] == "[]" else {PLANTED if place[0] == "*" else place[0]: inner}


def test_whatever_stands_in_any_place_of_the_configuration_is_masked() -> None:
    found = {*places(schema())}
    assert len(found) > 100
    assert [place for place in found if MARK in json.dumps(masked(planted(place)))] == []

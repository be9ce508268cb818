"""`init --source KIND`: what it writes is sound, and fits a real source of that kind once its address is put in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.rest_servers import People, serving
from tests.servers import ENTERPRISE_USER, Provider
from tests.servers import serving as serving_scim
from tests.slapd import PASSWORD, PEOPLE, READER, Slapd
from tests.slapd import person as entry

from scimsync.cli import starting
from scimsync.cli.options import SOURCES
from scimsync.cli.skeletons import SKELETONS
from scimsync.config import load
from scimsync.services import checking

#: nobody can know the key of a server beforehand
FINGERPRINT = {"sftp": {"host_key": "SHA256:uNiVztksCsDhcc0u9e8BrzO0hWzRxyhOxgJTgFVK4Iw"}}
GIVEN = {"GENESYS_CLIENT_ID": "x", "GENESYS_CLIENT_SECRET": "x"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the skeletons refer to is set."""
    wanted = {name for skeleton in SKELETONS.values() for name in skeleton.variables}
    for name, value in {**dict.fromkeys(wanted, "a-secret"), **GIVEN}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HR_DATABASE_URL", "postgresql://reader@hr.example.com/hr")


def begun(folder: Path, kind: str, **instead: str) -> Path:
    """A configuration as `init` writes it, with values of our own for some keys of [source]."""
    assert starting.init(folder, starting.Options(source=kind)) == 0
    file = folder / "scimsync.toml"
    text = file.read_text()
    for key, value in instead.items():
        text, number = re.subn(rf"(?m)^({key} +=) [^#\n]*", rf'\1 "{value}" ', text, count=1)
        assert number == 1, key
    file.write_text(text)
    return file


@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_written_for_each_kind_of_source_is_sound(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = begun(tmp_path / "org", kind, **FINGERPRINT.get(kind, {}))
    told = capsys.readouterr().out
    assert all(f"{name}=..." in told for name in SKELETONS[kind].variables)
    given = load(file)
    assert given.source.key == "employee_id"
    assert set(SKELETONS) == set(SOURCES)
    assert {"userName", "active", "externalId"} <= {mapped.path for mapped in given.policy.attributes}
    columns = re.search(r"(?s)\[source\.columns\].*?\n(.*?)\n\n", file.read_text())
    assert columns is None or "employee_id" in columns[1]


def test_the_mapping_of_a_rest_api_fits_what_it_lists(tmp_path: Path) -> None:
    people = [
        {"id": n, "firstName": "A", "lastName": "B", "work": {"mail": f"p{n}@x.org"}, "status": "active"}
        for n in range(1, 251)
    ]
    with serving(People(people)) as url:
        found = checking.try_source(load(begun(tmp_path / "org", "rest", url=f"{url}/people")))
    assert (found.rows, found.proven) == (250, True)


def test_the_mapping_of_another_directory_fits_what_it_lists(tmp_path: Path) -> None:
    users = [{"externalId": f"E{n}", "userName": f"p{n}@x.org", ENTERPRISE_USER: {"department": "D"}} for n in range(3)]
    with serving_scim(Provider(*users)) as url:
        found = checking.try_source(load(begun(tmp_path / "org", "scim", url=url)))
    assert (found.rows, found.proven) == (3, True)


def test_the_mapping_of_ldap_fits_a_directory_of_inet_org_persons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LDAP_PASSWORD", PASSWORD)
    people = [
        entry(
            f"u{n}",
            employeeNumber=f"E{n}",
            givenName="A",
            mail=[f"u{n}@x.org", "old@x.org"],
            manager=f"uid=u0,{PEOPLE}",
        )
        for n in range(3)
    ]
    with Slapd(tmp_path, people) as server:
        found = checking.try_source(load(begun(tmp_path / "org", "ldap", url=server.url, base=PEOPLE, username=READER)))
    assert (found.rows, found.proven) == (3, True)

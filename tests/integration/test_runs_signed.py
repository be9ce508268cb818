"""A source at an address that is signed anew each day, and two questions to one API: whose people are whose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.places import Site, web_server
from tests.rest_servers import People, serving
from tests.servers import Firm, Provider, firm

from scimsync.config import load
from scimsync.core.owning import former

HEADER = "id,login,name,status,title\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with web_server(tmp_path) as found:
        yield found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Firm]:
    with firm(tmp_path / "firm", Provider()) as found:
        yield found


def lines(*numbers: int) -> bytes:
    return (HEADER + "".join(f"{n},p{n}@x.org,P{n},active,T\n" for n in numbers)).encode()


def read_from(given: Firm, source: str) -> None:
    file = given.folder / "scimsync.toml"
    file.write_text(f'[source]\nkey = "id"\n{source}[target]{file.read_text().partition("[target]")[2]}')


def signed(site: Site, day: int) -> str:
    url = f"{site.url}/hr.csv?X-Amz-Date=2026112{day}&X-Amz-Credential=A/2026112{day}/s3&X-Amz-Signature=signature-of-day-{day}"
    return f'kind = "csv"\npath = "{url}"\nca_file = "{site.ca_file}"\ncomplete = "assume"\n'


def contractors(given: Firm) -> None:
    """Two people of another source, in the same state."""
    (given.folder / "more.csv").write_bytes(lines(101, 102))
    read_from(given, 'kind = "csv"\npath = "more.csv"\ncomplete = "assume"\n')
    given.sync()


def active(given: Firm) -> set[str]:
    return {user["externalId"] for user in given.provider.users.values() if user["active"]}


def test_an_address_that_is_signed_anew_each_day_is_the_same_source_beside_another(house: Firm, site: Site) -> None:
    contractors(house)
    for day, numbers in enumerate([(1, 2, 3, 4), (1, 2, 3)], 1):
        site.files["/hr.csv"] = lines(*numbers)
        read_from(house, signed(site, day))
        made, report = house.sync()
        assert report.clean
        assert active(house) == {"101", "102", *map(str, numbers)}
    assert not [finding for finding in made.findings if finding.code == "source.renamed"]
    assert "signature" not in load(house.folder / "scimsync.toml").source.identity


def test_a_state_that_knows_the_source_by_the_whole_address_still_knows_it(house: Firm, site: Site) -> None:
    contractors(house)
    site.files["/hr.csv"] = lines(1, 2, 3, 4)
    source = signed(site, 1)
    read_from(house, source)
    given = load(house.folder / "scimsync.toml").source
    then = former(name="", kind="csv", place=str(given.path), key="id")
    assert given.former == then != given.identity
    read_from(house, f'name = "{then}"\n{source}')
    house.sync()
    site.files["/hr.csv"] = lines(1)  # fewer than half, so that its people alone would not tell
    read_from(house, source)
    made, _ = house.sync()
    assert [str(change.key) for change in made.changes] == ["2", "3", "4"]
    assert active(house) == {"101", "102", "1"}


def test_a_signed_address_comes_from_the_environment_and_is_shown_nowhere(
    house: Firm, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/hr.csv"] = lines(1)
    monkeypatch.setenv("HR_EXPORT", f"{site.url}/hr.csv?X-Amz-Signature=canary")
    read_from(house, f'kind = "csv"\npath = "env:HR_EXPORT"\nca_file = "{site.ca_file}"\n')
    house.sync()
    assert active(house) == {"1"}
    before = load(house.folder / "scimsync.toml")
    monkeypatch.setenv("HR_EXPORT", f"{site.url}/hr.csv?X-Amz-Signature=another")
    after = load(house.folder / "scimsync.toml")
    assert (before.source.identity, before.digest) == (after.source.identity, after.digest)
    del site.files["/hr.csv"]
    said = house.command("plan")
    assert said.code == 3
    assert "there is no such file" in said.err
    for shown in (said, house.command("config", "show")):
        assert "another" not in shown.out + shown.err


def test_an_address_that_is_in_no_environment_is_told_by_its_name(house: Firm) -> None:
    read_from(house, 'kind = "csv"\npath = "env:HR_NOWHERE"\n')
    said = house.command("plan")
    assert said.code == 2
    assert "[source] path refers to the environment variable HR_NOWHERE, which is not set" in said.err


def test_two_questions_to_one_api_are_two_sources(house: Firm) -> None:
    with serving(People()) as url:
        names = set()
        for company in ("north", "south"):
            source = f'kind = "rest"\nurl = "{url}/people"\ncolumns = {{ id = "id", login = "login" }}\n'
            read_from(house, f'{source}parameters = {{ company = "{company}" }}\n')
            names.add(load(house.folder / "scimsync.toml").source.identity)
    assert len(names) == 2

"""Addresses that a secret follows: every spelling of a region of Genesys Cloud, and nothing else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync import GenesysScimSyncer
from scimsync.config import load
from scimsync.config.addresses import hosts_of, is_local, region_fault, target_fault, webhook_fault
from scimsync.errors import ConfigError
from scimsync.scim.genesys import GENESYS
from scimsync.scim.regions import GENESYS_REGIONS

HOSTS = {f"https://{host}.{domain}" for domain in GENESYS_REGIONS.values() for host in ("api", "login")}
SPELLINGS = (
    "{region}",
    "{domain}",
    "api.{domain}",
    "login.{domain}",
    "apps.{domain}",
    "https://login.{domain}",
    "https://api.{domain}/",
    "http://apps.{domain}/directory/#/admin",
    "https://api.{domain}:443/api/v2?x=y",
    "{domain}/",
    "{domain}.",
    "  {domain}\n",
)
#: what looks like an address of Genesys Cloud, and is none
STRANGE = (
    "evil.example/",
    "evilmypurecloud.com",
    "mypurecloud.com.evil.example",
    "https://login.mypurecloud.com@evil.example",
    "https://evil.example/?next=https://login.mypurecloud.com",
    "https://evil.example#.mypurecloud.com",
    "https://evil.example\\.mypurecloud.com",
    "mypurecloud.com:8443",
    "ftp://mypurecloud.com",
    "mypurecloud。com",
    "mypurecloud.com evil.example",
    "pure.cloud",
    "api.us-west-2.mypurecloud.com",
    "euw2.mypurecloud.com",
    "usw2.euw2.pure.cloud",
    "my-company",
    "",
)
CONFIG = """
[source]
kind = "csv"
path = "hr.csv"
key = "id"
[target]
region = {region}
client_id = "me"
token = "env:WORD"
[attributes]
userName = "a"
displayName = "b"
active = "true"
"""


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("region", "domain"), GENESYS_REGIONS.items())
def test_every_address_of_every_region_is_understood_whatever_its_capitals(
    region: str, domain: str, spelling: str
) -> None:
    said = spelling.format(region=region, domain=domain)
    for each in (said, said.upper(), said.title()):
        assert hosts_of(each, GENESYS) == (f"https://api.{domain}", f"https://login.{domain}")


@pytest.mark.parametrize("said", STRANGE)
def test_what_only_looks_like_genesys_is_refused_by_the_library_and_by_the_configuration(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="org_domain"):
        GenesysScimSyncer("id", "secret", said)
    monkeypatch.setenv("WORD", "w")
    file = tmp_path / "scimsync.toml"
    file.write_text(CONFIG.format(region=f"'''{said}'''"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\[target\].* region"):
        load(file)


@pytest.mark.parametrize("said", [None, 5, b"us-east-1", "   "])
def test_an_organisation_that_is_no_text_is_an_error_of_the_caller(said: object) -> None:
    with pytest.raises(ConfigError, match="give org_domain"):
        GenesysScimSyncer("id", "secret", said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "near"),
    [
        ("mypurecloud.con", "mypurecloud.com"),
        ("https://api.mypurecloud.deu", "mypurecloud.de"),
        ("us-east-3", "us-east-2"),
        ("api.us-west-2.mypurecloud.com", "us-west-2"),
        ("https://login.euw2.mypurecloud.com/", "eu-west-2"),
        ("apse2.pure.cloud", "apse1.pure.cloud"),
    ],
)
def test_a_region_that_is_none_is_told_with_the_nearest(said: str, near: str) -> None:
    assert f"did you mean {near}?" in region_fault(said, GENESYS)


ADDRESSES = st.one_of(
    st.text(),
    st.text(st.sampled_from("aelopwumyicrd.:/@\\?#[]% \n。-0123456789")),
    st.tuples(
        st.text(max_size=6), st.sampled_from([*GENESYS_REGIONS, *GENESYS_REGIONS.values()]), st.text(max_size=6)
    ).map("".join),
)


@given(ADDRESSES)
def test_no_text_leads_to_a_host_beyond_the_list(said: str) -> None:
    hosts = hosts_of(said, GENESYS)
    assert hosts is None or {*hosts} <= HOSTS
    assert region_fault(said, GENESYS)


@given(ADDRESSES.map(lambda text: f"https://{text}") | ADDRESSES)
def test_an_address_is_judged_and_never_raises(said: str) -> None:
    for fault in (target_fault(said), webhook_fault(said, private=is_local(said))):
        assert fault or (urlsplit(said).hostname and said.isascii())


@pytest.mark.parametrize(
    "url",
    [
        "https://hr.example.com:0/hook",
        "https://hr.example.com:99999/hook",
        "https://user:word@hr.example.com/hook",
        "https://hr.example.com/a b",
        "https://hr.example.com/\nhook",
        "https://[::1/hook",
        "https://hr.exämple.com/hook",
        "hr.example.com/hook",
        "http://10.0.0.1/hook",
        "HTTP://hr.example.com/hook",
    ],
)
def test_a_webhook_of_the_library_is_checked_as_one_of_the_configuration(url: str) -> None:
    fault = webhook_fault(url, private=False)
    with pytest.raises(ConfigError, match=r"webhook_url .*(is not an address|must be https)") as raised:
        GenesysScimSyncer("id", "secret", "us-east-1", url, webhook_secret="a secret")
    assert fault
    assert raised.value.faults == (f"webhook_url {fault}",)

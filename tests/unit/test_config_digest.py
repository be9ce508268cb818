"""Digests do not change from version to version, or a stored plan would be refused. These are of 0.1.0, hand-read."""

from __future__ import annotations

from pathlib import Path

import pytest

from scimsync.cli.sample import ATTRIBUTES
from scimsync.config import load

SQL = '[source]\nkind = "sql"\nurl = "sqlite:////srv/hr.db"\nquery = "SELECT * FROM employee"\nkey = "id"\n'
CSV = '[source]\nkind = "csv"\npath = "/srv/hr.csv"\nkey = "id"\n'
REGION = '[target]\nregion = "us-east-1"\n'
FEW = '[attributes]\nuserName = "email"\ndisplayName = "name"\nactive = "true"\n'
GENERIC = (
    '[target]\ndialect = "generic"\napi_url = "https://scim.example.com/v2/"\nlogin_url = "https://login.example.com"\n'
)
DIGESTS = {
    "small": (f"{CSV}{REGION}{FEW}", "993536a231597acb"),
    "sample": (f"{SQL}{REGION}{ATTRIBUTES}", "18b98f2246ecaddd"),
    "generic, other sizes": (
        f"{CSV}{GENERIC}operations_per_patch = 7\ncharacters = 0\nrequest_bytes = 9\nworkers = 2\n{FEW}", "f702110b1eab35a0"
    ),
    "generic, by HTTP Basic": (
        f"{CSV}{GENERIC.partition('login_url')[0]}"
        f'username = "me"\npassword = "env:X"\noperations_per_patch = 7\ncharacters = 0\nrequest_bytes = 9\n{FEW}', "f702110b1eab35a0"
    ),
    "generic, by OAuth elsewhere": (
        f"{CSV}{GENERIC.partition('login_url')[0]}"
        'token_url = "https://login.example.com/t"\nclient_id = "a"\nscopes = ["a"]\naudience = "b"\nclient_auth = "post"\n'
        f"operations_per_patch = 7\ncharacters = 0\nrequest_bytes = 9\n{FEW}", "f702110b1eab35a0"
    ),
    "source": (
        f'{CSV}name = "hr"\nzone = "Europe/Berlin"\nnull_values = ["-", "NULL"]\nencoding = "cp1252"\n{REGION}{FEW}', "da61c20249145d91"
    ),
    "policy": (
        f'{CSV}{REGION}{FEW}title = {{ value = "t", authority = "merge" }}\n[policy]\nauthority = "ask"\n'
        'leavers = "keep"\nprotected = ["B", "a"]\non_bad_value = "person"\nexchange = "hold"\n'
        '[correlation]\nmatch = ["userName"]\nrekey = "follow"\n', "b7128ebea1611f43"
    ),
    "limits": (
        f'{CSV}{REGION}{FEW}[limits]\ndisable = 3\nenable = "7.5 %"\ncreate = "100%"\nupdate = 0\n'
        'source_rows_drop = "1%"\ngroup_loss = "0%"\ngroup_gain = 4\nwindow = "36h"\n'
        '[limits.clear]\ndefault = "2%"\nuserName = 1\n', "3ca04dc91f1acb32"
    ),
    "limits as by default": (f'{CSV}{REGION}{FEW}[limits]\nwindow = "24h"\nclear = "5%"\nenable = "5%"\n', "993536a231597acb"),
    "pairs of a query": (
        f'{SQL}{REGION}{FEW}[groups]\nquery = "SELECT a, b FROM m"\nnesting = "SELECT c, d FROM n"\n'
        'nested = "flatten"\nothers = "remove"\nmatch = "id"\nmanaged = ["Z", "A"]\nprotected = ["P"]\n', "385b359504c36aa1"
    ),
    "pairs of a file": (f'{CSV}{REGION}{FEW}[groups]\npath = "/srv/m.csv"\nnesting_path = "/srv/n.csv"\n', "d71417a91880bd01"),
    "column of groups": (f'{CSV}{REGION}{FEW}[groups]\ncolumn = "teams"\nseparator = "|"\n', "b6d0805a2a6d5f71"),
    "what does not count": (
        f'{CSV}{REGION}{FEW}[state]\nmemory = "1GB"\n[log]\nformat = "json"\n[metrics]\ntextfile = "x.prom"\n'
        '[audit]\nkey = "file:k"\n[[webhook]]\nurl = "https://hr.example.com"\nsecret = "env:X"\n', "993536a231597acb"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIGESTS)
def test_the_digest_of_a_configuration_is_that_of_the_version_before(name: str, tmp_path: Path) -> None:
    text, digest = DIGESTS[name]
    file = tmp_path / "scimsync.toml"
    file.write_text(text, encoding="utf-8")
    assert load(file, secrets=False).digest == digest

"""Regions of Genesys Cloud, and which of them a person means. Nothing here guesses: a secret follows the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

#: region -> domain; documented: three official lists agree
GENESYS_REGIONS: Mapping[str, str] = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
}


def region_of(text: str, regions: Mapping[str, str]) -> str:
    """The region that a person means: its name, its domain, or any address in it; "" where it is none.

    An address that puts the name of another region before a domain is in neither: `api.us-west-2.mypurecloud.com`
    stands in many scripts, and nobody knows which of both was meant.

    Examples:
        >>> region_of("EU-Central-1", GENESYS_REGIONS), region_of("https://apps.mypurecloud.de/admin", GENESYS_REGIONS)
        ('eu-central-1', 'eu-central-1')
        >>> region_of("mypurecloud.com.au", GENESYS_REGIONS), region_of("example.com", GENESYS_REGIONS)
        ('ap-southeast-2', '')
        >>> region_of("mypurecloud.de@example.com", GENESYS_REGIONS), region_of("euw2.mypurecloud.com", GENESYS_REGIONS)
        ('', '')
    """
    said = text.strip().lower()
    host = _host(said)
    for name, domain in regions.items():
        if said == name or host == domain:
            return name
        if host.endswith(f".{domain}"):
            return "" if _named(host.removesuffix(f".{domain}"), regions) else name
    return ""


def nearest_region(text: str, regions: Mapping[str, str]) -> str:
    """The region, or the domain of one, that is nearest to a text that is none; "" where none is near.

    Examples:
        >>> [nearest_region(said, GENESYS_REGIONS) for said in ("mypurecloud.con", "api.us-west-2.mypurecloud.com", "")]
        ['mypurecloud.com', 'us-west-2', '']
    """
    said = text.strip().lower()
    host = _host(said).removeprefix("api.").removeprefix("login.").removeprefix("apps.")
    near = get_close_matches(host or said, [*regions, *regions.values()], n=1, cutoff=0.6)
    return _named(host, regions) or (near[0] if near else "")


_ADDRESS = re.compile(r"(?:https?://)?([a-z0-9.-]+?)\.?(?::443)?(?:[/?#].*)?", re.ASCII)


def _host(address: str) -> str:
    found = _ADDRESS.fullmatch(address)
    return found[1] if found else ""


def _named(labels: str, regions: Mapping[str, str]) -> str:
    """The region whose name, or whose part of a shared domain (`usw2` of usw2.pure.cloud), is one of the labels."""
    owners = {name: name for name in regions}
    owners |= {
        domain.partition(".")[0]: name for name, domain in regions.items() if not domain.startswith("mypurecloud.")
    }
    return next((owners[label] for label in labels.split(".") if label in owners), "")

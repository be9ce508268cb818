"""Addresses that secrets and events go to, as a file and as a program name them: one reading for both."""

from __future__ import annotations

from urllib.parse import urlsplit

from scimsync.scim.dialect import Dialect
from scimsync.scim.regions import nearest_region, region_of

#: this machine, for which http will do
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


def hosts_of(region: str, dialect: Dialect) -> tuple[str, str] | None:
    """Where the API of a region is, and where its tokens are given; None where the dialect knows no such region.

    Examples:
        >>> from scimsync.scim.genesys import GENESYS
        >>> hosts_of("https://login.mypurecloud.de/", GENESYS)
        ('https://api.mypurecloud.de', 'https://login.mypurecloud.de')
        >>> hosts_of("mypurecloud.de.example.com", GENESYS)
    """
    domain = dialect.regions.get(region_of(region, dialect.regions))
    return (f"https://api.{domain}", f"https://login.{domain}") if domain else None


def region_fault(region: str, dialect: Dialect) -> str:
    """What to say of a region that is none, with the nearest that is.

    Examples:
        >>> from scimsync.scim.genesys import GENESYS
        >>> region_fault("eu-central-3", GENESYS)[:72]
        "'eu-central-3' does not exist; did you mean eu-central-2? Regions: us-ea"
    """
    known = ", ".join(dialect.regions) or "none for this dialect; set api_url and login_url"
    near = nearest_region(region, dialect.regions)
    return f"{region!r} does not exist{f'; did you mean {near}?' if near else '.'} Regions: {known}"


def is_local(url: str) -> bool:
    """Whether an address is on this machine."""
    try:
        return urlsplit(url).hostname in _LOCAL
    except ValueError:
        return False


def target_fault(url: str) -> str:
    """Why no secret may go to this address, to stand behind its name; "" where it may."""
    if not _is_address(url) or urlsplit(url).query:
        return "is not an address: write for instance https://api.mypurecloud.com"
    if url.lower().startswith("http:") and not is_local(url):
        return f"must be https: a token would travel in clear to {urlsplit(url).hostname}"
    return ""


def source_fault(url: str) -> str:
    """Why no secret may go to this source, to stand behind its name; "" where it may. It may have parameters."""
    if not _is_address(url) or urlsplit(url).fragment:
        return "is not an address: write for instance https://hr.example.com/api/employees"
    if url.lower().startswith("http:") and not is_local(url):
        return f"must be https: secrets and people would travel in clear from {urlsplit(url).hostname}"
    return ""


def token_fault(url: str) -> str:
    """Why no secret may go to this token endpoint, to stand behind its name; "" where it may.

    It may have parameters (RFC 6749 §3.2).
    """
    if not _is_address(url) or urlsplit(url).fragment:
        return "is not an address: write for instance https://login.example.com/oauth2/token"
    if url.lower().startswith("http:") and not is_local(url):
        return f"must be https: a secret would travel in clear to {urlsplit(url).hostname}"
    return ""


def webhook_fault(url: str, *, private: bool) -> str:
    """Why no event may go to this address, to stand behind its name; "" where it may.

    Args:
        url: The address.
        private: Whether addresses of this machine may be reached.
    """
    if not _is_address(url):
        return "is not an address: write for instance https://hr.example.com/hook"
    if url.lower().startswith("http:") and not (private and is_local(url)):
        return "must be https; http goes to this machine only, with allow_private = true"
    return ""


def _is_address(url: str) -> bool:
    """Whether it names a host and nobody's password, in letters that nobody reads in two ways."""
    try:
        parts = urlsplit(url)
        fit = bool(parts.hostname) and parts.scheme in {"https", "http"} and "@" not in parts.netloc
        return fit and url.isascii() and url.isprintable() and " " not in url and parts.port != 0
    except ValueError:
        return False

"""[console]: what is written, to what the console is handed."""

from __future__ import annotations

from ipaddress import ip_network

from scimsync.config.addresses import target_fault
from scimsync.config.console import Console, Oidc
from scimsync.config.console_settings import ConsoleSettings, OidcSettings
from scimsync.config.faults import Faults
from scimsync.config.references import References

#: tenants of Entra that are none: what they sign in comes from anywhere, under issuers of their own
_ANYBODY = ("/common/", "/organizations/", "/consumers/")


def read(given: Console, told: Faults, references: References, *, secrets: bool) -> ConsoleSettings:
    """Who gets in.

    Args:
        given: The section.
        told: Takes what is wrong.
        references: Follows references to secrets.
        secrets: Whether they are needed.
    """
    if not given.local_users and given.oidc is None:
        said = "[console] local_users = false: without [console.oidc] nobody could sign in; add it, or take this away"
        told.tell(("console", "local_users"), said)
    proxies = []
    for written in given.trusted_proxies:
        try:
            proxies.append(ip_network(written.strip(), strict=False))
        except ValueError:
            said = f"[console] trusted_proxies: {written!r} is no address and no network; write 10.1.2.3 or 10.1.0.0/16"
            told.tell(("console", "trusted_proxies"), said)
    oidc = None if given.oidc is None else _oidc(given.oidc, told, references, secrets=secrets)
    return ConsoleSettings(local_users=given.local_users, proxies=tuple(proxies), oidc=oidc)


def _oidc(given: Oidc, told: Faults, references: References, *, secrets: bool) -> OidcSettings:
    place = ("console", "oidc")
    named = given.roles or {}
    if given.issuer and (fault := _issuer_fault(given.issuer)):
        told.tell((*place, "issuer"), f"[console.oidc] issuer {fault}")
    if named and not any(name for names in named.values() for name in names):
        told.tell((*place, "roles"), "[console.oidc] roles names no group, so nobody could sign in")
    if any(not name.strip() for names in named.values() for name in names):
        told.tell((*place, "roles"), "[console.oidc] roles: a group has no name")
    secret = given.client_secret
    return OidcSettings(
        issuer=given.issuer,
        client_id=given.client_id,
        client_secret=references.resolve("[console.oidc] client_secret", secret) if secrets and secret else "",
        client_auth=given.client_auth,
        scopes=("openid", *(scope for scope in given.scopes if scope != "openid")),
        claim=given.claim,
        roles={str(role): tuple(names) for role, names in named.items()},
        name=given.name,
        ca_file=references.beside(given.ca_file) if given.ca_file else None,
    )


def _issuer_fault(issuer: str) -> str:
    """Why people are not sent there, to stand behind its name; "" where they may be."""
    if fault := target_fault(issuer):
        return fault.replace("https://api.mypurecloud.com", "https://login.example.com/realms/firm").replace(
            "a token would travel", "secrets would travel"
        )
    if any(part in f"{issuer}/" for part in _ANYBODY):
        return "is of no tenant: anybody's directory signs in there; write the id of yours instead of that word"
    return ""

"""An LDAP directory as a source: its keys judged together, and as settings."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from scimsync.config.addresses import is_local
from scimsync.config.faults import Faults
from scimsync.config.settings import LdapSettings
from scimsync.config.source_ldap import Ldap


def ldap_settings(given: Ldap, username: str, password: str, url: str, told: Faults) -> LdapSettings:
    """Judge the keys of a directory together.

    Args:
        given: The section.
        username: As it is written there.
        password: As it is written there.
        url: The address; "" where it could not be found.
        told: Takes the faults.
    """
    for key, why in _faults(given, username, password, url):
        if not told.knows("source", key):
            told.tell(("source", key), f"[source] {key} {why}")
    attributes: Mapping[str, str] = (
        dict(given.attributes) if isinstance(given.attributes, dict) else {name: name for name in given.attributes}
    )
    return LdapSettings(
        base=given.base,
        filter=given.filter,
        scope=given.scope,
        attributes=attributes,
        several=dict(given.multi_valued),
        separator=given.separator,
        references=tuple(given.references),
        leave_referrals=given.referrals == "leave",
        page_size=given.page_size,
        starttls=given.starttls,
        anonymous=given.anonymous,
    )


def _faults(given: Ldap, username: str, password: str, url: str) -> list[tuple[str, str]]:
    found = []
    if bool(username) != bool(password):
        found.append(
            ("password" if username else "username", "is missing: a directory is read with both, or with none")
        )
    if given.anonymous and (username or password):
        found.append(("anonymous", "= true does not go with username and password; take one of both away"))
    if not given.anonymous and not (username or password):
        found.append(("username", "is missing; give it with password, or say anonymous = true"))
    if not url:
        return found
    try:
        parts = urlsplit(url)
        fit = parts.scheme in {"ldap", "ldaps", "ldapi"} and bool(parts.netloc) and "@" not in parts.netloc
        fit = fit and parts.path in {"", "/"} and not parts.query and not any(c.isspace() for c in url)
        _ = parts.port if parts.scheme != "ldapi" else None
    except ValueError:
        fit = False
    if not fit:
        found.append(("url", "is no address of a directory: write for instance ldaps://ldap.example.com"))
    elif parts.scheme == "ldap" and given.starttls is False and not is_local(url):
        found.append(("starttls", f"= false: password and people would travel in clear to {parts.hostname}"))
    return found

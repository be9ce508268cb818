"""An LDAP directory as a source: its keys judged together, and as settings."""

from __future__ import annotations

from urllib.parse import urlsplit

from scimsync.config.addresses import is_local
from scimsync.config.faults import Faults
from scimsync.config.places import Place
from scimsync.config.references import References
from scimsync.config.settings import LdapSettings
from scimsync.config.sources import JoinedSource, Source


def read(given: Source | JoinedSource, place: Place, told: Faults, references: References) -> LdapSettings:
    """Judge the keys of a directory together.

    Args:
        given: As it is written.
        place: Where that is: ("source",) or ("source", NAME).
        told: Takes the faults.
        references: Follows what the file refers to.
    """
    where = f"[{'.'.join(map(str, place))}]"
    for key, why in _faults(given, _known_url(given.url, references)):
        if (*place, key) not in told.places:
            told.tell((*place, key), f"{where} {key} {why}")
    columns = given.columns if isinstance(given.columns, dict) else {}
    return LdapSettings(
        base=given.base,
        filter=given.filter,
        scope=given.scope,
        attributes={**{name: name for name in given.attributes}, **columns},
        several=dict(given.multi_valued),
        separator=given.separator,
        references=tuple(given.references),
        leave_referrals=given.referrals == "leave",
        page_size=given.page_size or 500,
        starttls=given.starttls,
        anonymous=given.anonymous,
    )


def _known_url(written: str, references: References) -> str:
    """The address, where it stands in the file or is known; who asks for it tells where it is not."""
    return References(references.file, []).resolve("", written)


def _faults(given: Source | JoinedSource, url: str) -> list[tuple[str, str]]:
    found, username, password = [], given.username, given.password
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

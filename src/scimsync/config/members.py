"""A fleet as the rest of the house is handed it: which organisations there are, and what they must not share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct, field

from scimsync.config.settings import Settings, StateSettings, TargetSettings
from scimsync.values import Secretive


class Member(Struct, frozen=True, kw_only=True):
    """One organisation of a fleet; its configuration is read when it is needed, so that secrets may change."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    #: five fields of cron, in UTC; "" for none
    schedule: str = ""
    #: its own configuration, or the one that it shares
    config: str = ""
    extends: str = ""

    def matches(self, wanted: Sequence[tuple[str, str]]) -> bool:
        """Whether it has all of these labels; `name` is one that everybody has."""
        return all((self.name if label == "name" else self.labels.get(label)) == value for label, value in wanted)


class Fleet(Secretive, frozen=True, kw_only=True):
    """Many organisations."""

    file: Path
    members: tuple[Member, ...]
    at_once: int = 2
    #: the database that workers share; "" for none
    url: str = ""
    #: why the address is not known that the file refers to; "" where it is
    unset: str = ""
    db_schema: str = "scimsync-fleet"

    def place(self, member: Member) -> Path:
        """What other commands call the configuration of an organisation."""
        return self.file.parent / f"{self.file.name}:{member.name}"


def shared(found: Mapping[str, Settings]) -> dict[str, str]:
    """Organisations that have by mistake what only one may have -> a sentence that names all of them.

    Two with one state would take each other's people for leavers, and two with one OAuth client would share its rate
    without knowing, or write into one directory.
    """
    told: dict[str, str] = {}
    for what, cure, key in _UNSHARED:
        owners: dict[str, list[str]] = {}
        for name, settings in found.items():
            for one in key(settings):
                owners.setdefault(one, []).append(name)
        for names in owners.values():
            if len(set(names)) > 1:
                listed = " and ".join(dict.fromkeys(names))
                told |= dict.fromkeys(names, f"{listed} have one {what}. Nothing is sent for them. {cure}")
    return told


def _states(settings: Settings) -> Iterator[str]:
    yield state_of(settings.state)


def _artifacts(settings: Settings) -> Iterator[str]:
    yield str(settings.state.artifacts.resolve())


def _clients(settings: Settings) -> Iterator[str]:
    if who := client_of(settings.target):
        yield who


_UNSHARED = (
    ("state", "Give each its own [state] url or db_schema.", _states),
    ("folder of artifacts", "Give each its own [state] artifacts.", _artifacts),
    (
        "OAuth client (or token)",
        "Give each organisation a client of its own: [target] client_id, token, username or header.",
        _clients,
    ),
)


def state_of(state: StateSettings) -> str:
    """Which database and schema it is, however it is written; without who logs in."""
    parts = urlsplit(state.url)
    if parts.scheme.startswith("sqlite"):
        return f"sqlite {Path(unquote(state.url.partition(':///')[2].partition('?')[0])).resolve()}"
    given = parse_qs(parts.query)
    host = (given.get("host") or [parts.hostname or "localhost"])[0].lower()
    host = "127.0.0.1" if host in {"localhost", "::1"} else host
    port = (given.get("port") or [str(parts.port or 5432)])[0]
    return f"postgresql {host}:{port}{unquote(parts.path)} {' '.join(given.get('options', []))}"


def client_of(target: TargetSettings) -> str:
    """Whose allowance it is, and whose directory; "" where secrets were not asked for. Nothing secret is in it."""
    api = urlsplit(target.api_url)
    secret = target.token or target.header_value
    if not (target.client_id or target.username or secret):
        return ""
    who = [api.scheme, api.netloc.lower(), target.token_url or target.login_url]
    who += [target.client_id, target.username, target.header, hashlib.sha256(secret.encode()).hexdigest()]
    return hashlib.sha256(json.dumps(who).encode()).hexdigest()

"""What the rest of the house is handed: frozen settings, whole and checked. Nothing heavy is loaded for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct, field

from scimsync.config.console_settings import ConsoleSettings
from scimsync.config.rest_settings import RestSettings
from scimsync.core.depths import Rhythm
from scimsync.core.owning import former, identity
from scimsync.core.presence import ALL_THERE, Presence
from scimsync.core.validity import ALWAYS, Validity
from scimsync.model.alarms import AlarmKind
from scimsync.model.contracts import Contract
from scimsync.model.events import EventKind, Subscription
from scimsync.model.policy import Depth, Keep, Policy
from scimsync.model.schedules import Blackout, Schedule
from scimsync.scim.dialect import Dialect
from scimsync.values import Secretive

LOG_FORMATS = ("json", "console", "off")
LOG_LEVELS = ("debug", "info", "warning", "error")
#: sections whose secrets a command that writes needs; `events` is needed by `serve --events` alone
WRITING = frozenset({"target", "webhook"})


class AccessSettings(Secretive, frozen=True, kw_only=True):
    """Who we are to a source behind a network, and whom we trust there."""

    username: str = ""
    password: str = ""
    token: str = ""
    #: the name of a header that lets us in, and what stands in it
    header: str = ""
    header_value: str = ""
    client_id: str = ""
    client_secret: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    audience: str = ""
    client_auth: Literal["basic", "post"] = "basic"
    ca_file: Path | None = None


class LdapSettings(Struct, frozen=True, kw_only=True):
    """How people are found in an LDAP directory."""

    base: str
    filter: str
    scope: str
    #: column -> attribute; empty for all
    attributes: Mapping[str, str]
    #: attribute -> what becomes of several values
    several: Mapping[str, Literal["refuse", "first", "join"]]
    separator: str
    references: tuple[str, ...]
    leave_referrals: bool
    page_size: int
    starttls: bool | None
    anonymous: bool


class SheetSettings(Struct, frozen=True, kw_only=True):
    """Which part of a spreadsheet holds people."""

    name: str = ""
    header_row: int = 1
    skip_last: int = 0


class PlaceSettings(Struct, frozen=True, kw_only=True):
    """How a file that lies elsewhere is fetched, and what says that it is whole."""

    ready: str = "stable"
    settle: int = 5
    known_hosts: Path | None = None
    host_key: str = ""
    key_file: Path | None = None
    endpoint: str = ""
    region: str = ""
    most_megabytes: int = 4096


#: what stands in a query, a filter or a parameter for the moment from which on changes are asked for
SINCE = "{since}"


class SourceSettings(Secretive, frozen=True, kw_only=True):
    """Where the records are."""

    kind: str
    key: str
    name: str = ""
    url: str = ""
    query: str = ""
    #: a file; a text is an address, from which it is fetched
    path: Path | str | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    complete: Literal["unproven", "checksum", "assume"] = "unproven"
    #: the time zone of today() in the mapping
    zone: str = "UTC"
    null_values: tuple[str, ...] = ()
    #: from when until when its records hold
    validity: Validity = ALWAYS
    #: who of its people is there for the directory
    presence: Presence = ALL_THERE
    #: whether blanks around texts are taken away
    trim: bool = False
    #: a delivery holds only people of whom something changed
    is_delta: bool = False
    #: of a text file: lines before the header, and the names of the columns where it has none
    skip_lines: int = 0
    columns: tuple[str, ...] = ()
    access: AccessSettings = field(default_factory=AccessSettings)
    ldap: LdapSettings | None = None
    #: of the kinds `rest` and `scim`
    rest: RestSettings | None = None
    sheet: SheetSettings | None = None
    place: PlaceSettings = field(default_factory=PlaceSettings)
    #: of a joined source: SQL over its record and over ours that is the same text where both are about one person
    join: tuple[str, str] = ("", "")
    joined: tuple[SourceSettings, ...] = ()

    @property
    def identity(self) -> str:
        """What the state knows it by; "" for what a program hands over, which has no place."""
        return identity(**self._known_by(self._asked)) if self.url or self.path else ""

    @property
    def former(self) -> str:
        """What an earlier version knew it by, where that is another name than today's; else ""."""
        if not (self.url or self.path) or self.kind == "sql":
            return ""
        found = former(**self._known_by(self.query))
        return "" if found == self.identity else found

    def _known_by(self, query: str) -> dict[str, str]:
        place = self.url or str(self.path or "")
        if self.sheet and self.sheet.name:
            place += f"#{self.sheet.name}"
        if self.ldap:
            place, query = f"{place}/{self.ldap.base}", self.ldap.filter
        return {"name": self.name, "kind": self.kind, "place": place, "key": self.key, "query": query}

    @property
    def _asked(self) -> str:
        """Which of the people of a place are asked for."""
        if self.rest is None or not (self.rest.parameters or self.rest.body):
            return self.query
        return json.dumps([sorted(self.rest.parameters.items()), self.rest.body], sort_keys=True)


class GroupSettings(Struct, frozen=True, kw_only=True):
    """Where the memberships are, besides a column of the records."""

    query: str = ""
    path: Path | str | None = None
    nesting: str = ""
    nesting_path: Path | str | None = None
    #: the groups of a directory
    base: str = ""
    filter: str = ""
    member: str = ""
    naming: str = ""


class TargetSettings(Secretive, frozen=True, kw_only=True):
    """Where the accounts are, and how fast we may go."""

    dialect: Dialect
    api_url: str
    login_url: str
    client_id: str = ""
    client_secret: str = ""
    #: the whole address at which tokens are given, instead of `login_url`
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    audience: str = ""
    client_auth: Literal["basic", "post"] = "basic"
    token: str = ""
    username: str = ""
    password: str = ""
    #: the name of a header that lets us in, and what stands in it
    header: str = ""
    header_value: str = ""
    requests_per_minute: int | None = None
    #: how old a value may be that is taken from an earlier plan
    recall: timedelta = timedelta(days=28)
    depth: Depth = Depth.FULL
    rhythm: Rhythm = field(default_factory=Rhythm)
    workers: int = 8
    ca_file: Path | None = None

    @property
    def address(self) -> str:
        """The SCIM base, by which plans and state know the target."""
        return self.api_url.rstrip("/") + self.dialect.base_path


class StateSettings(Secretive, frozen=True, kw_only=True):
    """Where the state is."""

    url: str
    artifacts: Path
    memory: str = "512MB"
    keep: Keep = field(default_factory=Keep)


class LogSettings(Struct, frozen=True, kw_only=True):
    """What is logged to stderr."""

    format: str = "off"
    level: str = "info"


class AuditSettings(Struct, frozen=True, kw_only=True):
    """What the audit chain is signed with, and where its checkpoints also go."""

    #: the key as a file; None where it is in the keyring
    key_file: Path | None
    #: the key in the keyring of the operating system; "" where it is a file
    keyring: str = ""
    #: whether the file may be made where there is none, because nobody named it
    makes: bool = False
    checkpoints: Path | None = None


class WebhookSettings(Secretive, frozen=True, kw_only=True):
    """One endpoint that is told of what happens."""

    number: int
    url: str
    #: none where secrets were not asked for
    keys: tuple[bytes, ...] = ()
    kinds: frozenset[EventKind] = frozenset()
    values: bool = False
    allow_private: bool = False

    @property
    def name(self) -> str:
        """How the outbox calls it: a digest, because an address may hold a secret."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:12]

    @property
    def shown(self) -> str:
        """How people are told of it: its place in the file, and its host."""
        return f"webhook {self.number} ({urlsplit(self.url).hostname})"

    @property
    def subscription(self) -> Subscription:
        """What it wants to be told."""
        return Subscription(endpoint=self.name, kinds=self.kinds, values=self.values)


class AlarmSettings(Secretive, frozen=True, kw_only=True):
    """One way to tell people what is wrong."""

    number: int
    kind: Literal["mail", "slack", "teams", "apprise"]
    #: what stands in the file: references, and no secrets
    written: str
    #: "" where secrets were not asked for
    url: str = ""
    host: str = ""
    port: int = 0
    tls: Literal["starttls", "implicit", "off"] = "starttls"
    username: str = ""
    password: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    #: what it is told of; all where empty
    about: frozenset[AlarmKind] = frozenset()
    silence: timedelta = timedelta(days=1)
    allow_private: bool = False

    @property
    def name(self) -> str:
        """How the outbox calls it; a secret that changes changes nothing about it."""
        return f"alarm:{hashlib.sha256(self.written.encode()).hexdigest()[:12]}"

    @property
    def shown(self) -> str:
        """How people are told of it: its place in the file, its kind, and of mail the server."""
        return f"alarm {self.number} ({self.kind}{f', {self.host}' if self.host else ''})"

    @property
    def patience(self) -> str:
        """After how long without a success it is told, in words."""
        return f"{self.silence.total_seconds() / 3600:g} h"

    def wants(self, kind: AlarmKind, subject: str) -> bool:
        """Whether it is told of something."""
        silent = kind is not AlarmKind.SILENCE or subject == self.patience
        return silent and (not self.about or kind in self.about)


class Settings(Secretive, frozen=True, kw_only=True):
    """The whole configuration."""

    file: Path
    source: SourceSettings
    target: TargetSettings
    policy: Policy
    state: StateSettings
    audit: AuditSettings
    #: digest of everything that decides what a run does; secrets, speed and places of state left out
    digest: str
    #: what the source and the directory as it will be are held to
    contract: Contract = field(default_factory=Contract)
    #: the same part by part: what tells where two configurations differ
    parts: Mapping[str, str] = field(default_factory=dict)
    webhooks: tuple[WebhookSettings, ...] = ()
    #: when runs are wanted, and when they may take access away and do nothing else
    schedules: tuple[Schedule, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    alarms: tuple[AlarmSettings, ...] = ()
    #: who gets into the console
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    #: keys that a call from outside may be signed with; none where secrets of `[events]` were not asked for
    events: tuple[bytes, ...] = ()
    #: None where memberships are not managed
    groups: GroupSettings | None = None
    log: LogSettings = field(default_factory=LogSettings)
    #: where Prometheus text is written after each run; nowhere where None
    textfile: Path | None = None

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Paths of `[correlation] match` that are not mapped, so that no record has a value there."""
        return tuple(place.short for place in self.policy.match if place.short not in self.policy.by_path)

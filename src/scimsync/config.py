"""One TOML file, read once into frozen settings. All faults at once, each with its place and a hint.

Secrets stand in the file by reference only: `env:NAME` or `file:PATH` (mode 0600). Relative paths are
taken from the folder of the file.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from scimsync import files
from scimsync.core.owning import identity
from scimsync.core.signing import key_of
from scimsync.errors import ConfigError, InvalidPath
from scimsync.model.events import PROFILE, EventKind, Subscription
from scimsync.model.policy import (
    Authority,
    BadValue,
    Grouping,
    Leavers,
    Limit,
    Limits,
    LoginExchange,
    Mapped,
    Nested,
    Others,
    Policy,
    Rekey,
)
from scimsync.scim.dialect import DIALECTS, Dialect, region_of
from scimsync.scim.schema import Kind, Place

#: section -> key -> what it is, for messages and for the documentation
KEYS: Mapping[str, Mapping[str, str]] = {
    "source": {
        "name": "what the source is known by, wherever it is read from; needed where several sources share a state",
        "kind": "sql, csv, parquet or jsonl",
        "url": "any SQLAlchemy URL, or env:NAME (kind sql)",
        "query": "the SELECT that gives one row for each person (kind sql)",
        "path": "the file (kinds csv, parquet, jsonl)",
        "key": "the column that identifies a person",
        "delimiter": 'what separates cells (kind csv; default ",")',
        "encoding": "of the file (kinds csv, jsonl; default utf-8)",
        "complete": "what proves that a text file is whole: unproven, checksum or assume",
        "zone": "the time zone in which today() ends, as in Europe/Berlin (default UTC)",
        "null_values": 'texts that stand for nothing in a cell, for instance ["NULL", "#N/A", "-"]',
    },
    "target": {
        "dialect": "genesys or generic",
        "region": "a Genesys Cloud region, for instance us-east-1, or its domain, for instance mypurecloud.de",
        "api_url": "instead of a region: where the API is",
        "login_url": "instead of a region: where tokens are given",
        "client_id": "of the OAuth client; env:NAME or file:PATH",
        "client_secret": "of the OAuth client; env:NAME or file:PATH",
        "token": "instead of client id and secret: a ready-made token; env:NAME or file:PATH",
        "requests_per_minute": "upper bound; 0 for none; default: what the target announces",
        "workers": "how many requests at a time (default 8)",
        "ca_file": "an additional certificate authority",
        "operations_per_patch": "how many operations one PATCH may hold; 0 for no limit",
        "characters": "how many characters a text may have; 0 for no limit",
        "request_bytes": "how large a request may be; 0 for no limit",
        "default_roles": "roles and entitlements that the provider gives every new account by itself",
    },
    "correlation": {
        "match": "paths, in order; the first that finds exactly one account which carries nobody else's values wins",
        "rekey": "what becomes of an account whose person comes again under another key: hold or follow",
    },
    "attributes": {},
    "policy": {
        "authority": "local_wins, cloud_wins, merge or ask",
        "leavers": "disable or keep",
        "protected": "keys or user names that are never changed",
        "on_bad_value": "what a bad value leaves out: attribute (default) or person",
        "exchange": "what becomes of people who exchange their logins: park (default) or hold",
    },
    "limits": {
        "disable": 'how many accounts may be disabled within `window`: a number or a share ("5%")',
        "enable": "how many may be enabled again",
        "create": "how many may be created",
        "update": "how many may be updated",
        "clear": "from how many people the value of one attribute may be taken away; or a table of paths",
        "window": 'how long what runs did counts: "1d", "12h"; "0" for each run alone',
        "source_rows_drop": "by how much the source may shrink from one run to the next",
        "group_loss": "how many of its members one run may take from a group; beyond it the group is left as it is",
        "group_gain": "how many members one run may put into a group, of those that it holds; beyond it likewise",
    },
    "groups": {
        "query": "the SELECT that gives pairs: key of a person, group (kind sql)",
        "path": "the file of pairs, of the kind of [source]",
        "column": "instead of pairs: a column of the record that lists groups",
        "separator": 'what separates the groups in that column (default ";")',
        "match": "how the source names a group: displayName or id",
        "nesting": "the SELECT that gives pairs of groups: outer, inner (kind sql)",
        "nesting_path": "the file of pairs of groups, of the kind of [source]",
        "nested": "what becomes of groups in groups: keep, flatten or refuse",
        "others": "members that others added: keep or remove",
        "managed": "names of the groups that are ours; default: those that the source names",
        "protected": "names or ids of groups that are never changed",
    },
    "state": {
        "url": "SQLite or PostgreSQL, where runs, links and journal are kept",
        "artifacts": "the folder of plans and bases",
        "memory": 'how much memory planning may take (default "512MB")',
    },
    "audit": {
        "key": "what checkpoints are signed with: file:PATH or keyring:NAME (default: a file beside the artifacts)",
        "checkpoints": "a file, best on another machine, to which each signed checkpoint is appended",
    },
    "metrics": {"textfile": "where Prometheus text is written after each run, for node_exporter's textfile collector"},
    "log": {
        "format": "json, console or off: what is written to stderr (default off)",
        "level": "debug, info, warning or error (default info)",
    },
    "webhook": {
        "url": "where events are sent: https, or http to this machine with allow_private",
        "secret": "what they are signed with; env:NAME or file:PATH",
        "old_secret": "while the secret changes: the former one, which signs as well",
        "events": "the names of the events that are wanted; all where it is missing",
        "values": "whether values before and after travel (default false: ids, actions, names of paths)",
        "allow_private": "whether it may stand in the own network or on this machine (default false)",
    },
    "events": {
        "secret": "what calls from outside are signed with; env:NAME or file:PATH",
        "old_secret": "while the secret changes: the former one, which is good as well",
    },
}
LOG_FORMATS = ("json", "console", "off")
LOG_LEVELS = ("debug", "info", "warning", "error")
_SECRET_KEYS = frozenset({"client_secret", "token", "secret", "old_secret"})
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
#: sections whose secrets a command that writes needs; `events` is needed by `serve --events` alone
WRITING = frozenset({"target", "webhook"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Where the records are."""

    kind: str
    key: str
    name: str = ""
    url: str = field(default="", repr=False)
    query: str = ""
    path: Path | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    complete: Literal["unproven", "checksum", "assume"] = "unproven"
    #: the time zone of today() in the mapping
    zone: str = "UTC"
    null_values: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """What the state knows it by; "" for what a program hands over, which has no place."""
        place = self.url or str(self.path or "")
        return identity(name=self.name, kind=self.kind, place=place, key=self.key, query=self.query) if place else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """Where the memberships are, besides a column of the records."""

    query: str = ""
    path: Path | None = None
    nesting: str = ""
    nesting_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """Where the accounts are, and how fast we may go."""

    dialect: Dialect
    api_url: str
    login_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    requests_per_minute: int | None = None
    workers: int = 8
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings:
    """Where the state is."""

    url: str = field(repr=False)
    artifacts: Path
    memory: str = "512MB"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged to stderr."""

    format: str = "off"
    level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """What the audit chain is signed with, and where its checkpoints also go."""

    #: the key as a file; None where it is in the keyring
    key_file: Path | None
    #: the key in the keyring of the operating system; "" where it is a file
    keyring: str = ""
    #: whether the file may be made where there is none, because nobody named it
    makes: bool = False
    checkpoints: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """One endpoint that is told of what happens."""

    number: int
    url: str = field(repr=False)
    #: none where secrets were not asked for
    keys: tuple[bytes, ...] = field(default=(), repr=False)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration."""

    file: Path
    source: SourceSettings
    target: TargetSettings
    policy: Policy
    state: StateSettings
    audit: AuditSettings
    #: digest of everything that decides what a run does; secrets, speed and places of state left out
    digest: str
    webhooks: tuple[WebhookSettings, ...] = ()
    #: keys that a call from outside may be signed with; none where secrets of `[events]` were not asked for
    events: tuple[bytes, ...] = field(default=(), repr=False)
    #: None where memberships are not managed
    groups: GroupSettings | None = None
    log: LogSettings = field(default_factory=LogSettings)
    #: where Prometheus text is written after each run; nowhere where None
    textfile: Path | None = None

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Paths of `[correlation] match` that are not mapped, so that no record has a value there."""
        return tuple(place.short for place in self.policy.match if place.short not in self.policy.by_path)


def load(file: Path, *, secrets: bool | Set[str] = True) -> Settings:
    """Read the configuration.

    Args:
        file: The TOML file.
        secrets: The sections whose secrets are needed; those of the others may be missing. True stands
            for `WRITING`, False for none.

    Raises:
        ConfigError: With every fault of the file.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file. Make one with: scimsync init") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error.__class__.__name__}). It must be UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error
    needed = (WRITING if secrets else frozenset()) if isinstance(secrets, bool) else secrets
    reader = _Reader(file, document, secrets=needed)
    settings = reader.settings()
    if reader.faults or settings is None:
        raise ConfigError(*(f"{file.name}: {fault}" for fault in reader.faults))
    return settings


class _Reader:
    """Takes a document apart and collects what is wrong with it."""

    def __init__(self, file: Path, document: Mapping[str, object], *, secrets: Set[str]) -> None:
        self.file, self.document, self.secrets = file, document, secrets
        self.faults: list[str] = []

    def settings(self) -> Settings | None:
        self._unknown()
        target = self._target()
        source = self._source()
        state = self._state()
        policy = self._policy(target.dialect) if target else None
        groups = self._group_settings(source.kind if source else "")
        log, textfile = self._log(), self._textfile()
        webhooks, events = self._webhooks(), self._keys("events") if "events" in self.secrets else ()
        if target is None or source is None or policy is None:
            return None
        return Settings(
            file=self.file,
            source=source,
            target=target,
            policy=policy,
            state=state,
            digest=_digest(source, target, policy, groups),
            groups=groups,
            audit=self._audit(state),
            log=log,
            textfile=textfile,
            webhooks=webhooks,
            events=events,
        )

    def _unknown(self) -> None:
        for section, members in self.document.items():
            if section not in KEYS:
                self.faults.append(f"[{section}] is not a section{_hint(section, KEYS)}")
                continue
            if section == "attributes":
                continue
            for table in members if isinstance(members, list) else [members]:
                known = KEYS[section]
                for key in table if isinstance(table, dict) else {}:
                    if key not in known:
                        self.faults.append(f"[{section}] {key} is not a setting{_hint(key, known)}")

    # --- sections ---------------------------------------------------------------------------

    def _source(self) -> SourceSettings | None:
        table = self._table("source")
        if table is None:
            self.faults.append("[source] is missing: say where the HR records are")
            return None
        kind = self._choice("source", "kind", ("sql", "csv", "parquet", "jsonl"))
        key = self._text("source", "key", needed=True)
        url = query = ""
        path: Path | None = None
        if kind == "sql":
            url = self._local_database(self._reference("source", "url", needed=True))
            query = self._text("source", "query", needed=True)
        elif kind:
            named = self._text("source", "path", needed=True)
            path = self._beside(named) if named else None
        if not kind or not key:
            return None
        return SourceSettings(
            kind=kind,
            key=key,
            name=self._text("source", "name").strip(),
            url=url,
            query=query,
            path=path,
            delimiter=self._text("source", "delimiter", ","),
            encoding=self._text("source", "encoding", "utf-8"),
            complete=self._complete(),
            zone=self._zone(),
            null_values=self._texts("source", "null_values", ()),
        )

    def _zone(self) -> str:
        found = self._text("source", "zone", "UTC")
        try:
            ZoneInfo(found)
        except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            near = get_close_matches(found, available_timezones(), n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]}?" if near else "; write one as Europe/Berlin or UTC"
            self.faults.append(f"[source] zone = {found!r} is no time zone{hint}")
        return found

    def _complete(self) -> Literal["unproven", "checksum", "assume"]:
        match self._choice("source", "complete", ("unproven", "checksum", "assume"), "unproven"):
            case "checksum":
                return "checksum"
            case "assume":
                return "assume"
        return "unproven"

    def _target(self) -> TargetSettings | None:
        if self._table("target") is None:
            self.faults.append("[target] is missing: say which directory is kept")
            return None
        dialect = DIALECTS.get(self._choice("target", "dialect", tuple(DIALECTS), "genesys"))
        if dialect is None:
            return None
        api_url, login_url = self._hosts(dialect)
        token = self._reference("target", "token")
        ca_file = self._text("target", "ca_file")
        per_minute = self._number("target", "requests_per_minute", least=0)
        return TargetSettings(
            dialect=replace(
                dialect,
                operations_per_patch=self._size("operations_per_patch", dialect.operations_per_patch),
                characters=self._size("characters", dialect.characters),
                request_bytes=self._size("request_bytes", dialect.request_bytes),
                default_roles=frozenset(self._texts("target", "default_roles", dialect.default_roles)),
            ),
            api_url=api_url,
            login_url=login_url,
            client_id=self._reference("target", "client_id", needed=not token),
            client_secret=self._reference("target", "client_secret", needed=not token),
            token=token,
            requests_per_minute=per_minute,
            workers=self._number("target", "workers", least=1) or 8,
            ca_file=self._beside(ca_file) if ca_file else None,
        )

    def _hosts(self, dialect: Dialect) -> tuple[str, str]:
        """Both hosts: from the closed list of regions, or as they stand in the file."""
        region = self._text("target", "region")
        api, login = self._text("target", "api_url"), self._text("target", "login_url")
        if region and (api or login):
            self.faults.append("[target] give either region, or api_url and login_url, not both")
        meant = region_of(region, dialect.regions)
        if region and not meant:
            known = ", ".join(dialect.regions) or "none for this dialect; set api_url and login_url"
            hint = _hint(region, [*dialect.regions, *dialect.regions.values()]) or "."
            self.faults.append(f"[target] region = {region!r} does not exist{hint} Regions: {known}")
        if meant:
            domain = dialect.regions[meant]
            return f"https://api.{domain}", f"https://login.{domain}"
        if not region and not (api and login):
            self.faults.append("[target] needs region, or api_url and login_url")
        return self._address("api_url", api), self._address("login_url", login)

    def _address(self, key: str, url: str) -> str:
        if not url:
            return ""
        parts = urlsplit(url)
        local = parts.hostname in _LOCAL
        if not parts.hostname or parts.scheme not in {"https", "http"} or parts.username or parts.query:
            self.faults.append(f"[target] {key} is not an address: write for instance https://api.mypurecloud.com")
        elif parts.scheme == "http" and not local:
            self.faults.append(f"[target] {key} must be https: a token would travel in clear to {parts.hostname}")
        return url.rstrip("/")

    def _state(self) -> StateSettings:
        url = self._reference("state", "url") or "sqlite:///.scimsync/state.db"
        return StateSettings(
            url=self._local_database(url),
            artifacts=self._beside(self._text("state", "artifacts", ".scimsync/artifacts")),
            memory=self._memory(),
        )

    def _log(self) -> LogSettings:
        return LogSettings(
            format=self._choice("log", "format", LOG_FORMATS, "off"),
            level=self._choice("log", "level", LOG_LEVELS, "info"),
        )

    def _textfile(self) -> Path | None:
        named = self._text("metrics", "textfile")
        if named and not named.endswith(".prom"):
            self.faults.append(f"[metrics] textfile = {named!r}: the name must end with .prom, or nobody collects it")
        return self._beside(named) if named else None

    def _audit(self, state: StateSettings) -> AuditSettings:
        key, checkpoints = self._text("audit", "key"), self._text("audit", "checkpoints")
        kind, _, name = key.partition(":")
        if key and (kind not in {"file", "keyring"} or not name):
            self.faults.append("[audit] key is a secret and may not stand in the file: write file:PATH or keyring:NAME")
        return AuditSettings(
            key_file=None if kind == "keyring" else self._beside(name) if key else state.artifacts / "audit-key",
            keyring=name if kind == "keyring" else "",
            makes=not key,
            checkpoints=self._beside(checkpoints) if checkpoints else None,
        )

    def _memory(self) -> str:
        found = self._text("state", "memory", "512MB")
        if not re.fullmatch(r"\d+(?:\.\d+)?\s*[KMGT]i?B", found, re.IGNORECASE):
            self.faults.append(f'[state] memory = {found!r}: write a number and its unit, for instance "512MB"')
            return "512MB"
        return found

    # --- webhooks ---------------------------------------------------------------------------

    def _webhooks(self) -> tuple[WebhookSettings, ...]:
        listed = self.document.get("webhook", [])
        if not isinstance(listed, list) or not all(isinstance(table, dict) for table in listed):
            self.faults.append("[[webhook]] must be a list of tables: write [[webhook]] with two brackets")
            return ()
        found = [self._webhook(number, table) for number, table in enumerate(listed, 1)]
        urls = [webhook.url for webhook in found if webhook.url]
        if len(urls) != len(set(urls)):
            self.faults.append("[[webhook]] url: two webhooks have the same; join their events in one")
        return tuple(found)

    def _webhook(self, number: int, table: Mapping[str, object]) -> WebhookSettings:
        where = f"[[webhook]] {number}"
        private = self._flag(where, table, "allow_private")
        return WebhookSettings(
            number=number,
            url=self._endpoint(where, self._member(where, table, "url", needed=True), private=private),
            keys=self._keys("webhook", table, where) if "webhook" in self.secrets else (),
            kinds=self._kinds(where, table.get("events", [])),
            values=self._flag(where, table, "values"),
            allow_private=private,
        )

    def _endpoint(self, where: str, url: str, *, private: bool) -> str:
        try:
            parts = urlsplit(url)
            fit = bool(parts.hostname) and parts.scheme in {"https", "http"} and "@" not in parts.netloc
            fit = fit and url.isascii() and (parts.port is None or parts.port > 0)
        except ValueError:
            fit = False
        if url and not fit:
            self.faults.append(f"{where} url is not an address: write for instance https://hr.example.com/hook")
            return ""
        if url and parts.scheme == "http" and not (private and parts.hostname in _LOCAL):
            self.faults.append(f"{where} url must be https; http goes to this machine only, with allow_private = true")
        return url

    def _kinds(self, where: str, given: object) -> frozenset[EventKind]:
        known = {kind.value: kind for kind in EventKind}
        kinds = set()
        for name in given if isinstance(given, list) else [given]:
            short = str(name).removeprefix(PROFILE).removesuffix(":notice").removesuffix(":full")
            if short in known:
                kinds.add(known[short])
            else:
                self.faults.append(f"{where} events: {name!r} is not an event{_hint(short, known)}")
        return frozenset(kinds)

    def _keys(self, section: str, table: Mapping[str, object] | None = None, where: str = "") -> tuple[bytes, ...]:
        """The key of the secret, and that of the former one while they change."""
        where = where or f"[{section}]"
        table = table if table is not None else self._table(section) or {}
        keys = []
        for name in ("secret", "old_secret"):
            secret = self._member(where, table, name, needed=name == "secret")
            try:
                keys += [key_of(secret)] if secret else []
            except ValueError as error:
                self.faults.append(f"{where} {name} cannot be used: {error}")
        return tuple(keys)

    def _member(self, where: str, table: Mapping[str, object], key: str, *, needed: bool) -> str:
        """A text of one of several tables, which may be a reference."""
        section = "events" if where == "[events]" else "webhook"
        found = table.get(key, "")
        if not isinstance(found, str) or (needed and not found):
            self.faults.append(f"{where} {key} is missing, or no text: {KEYS[section][key]}")
            return ""
        return self._resolved(where, key, found) if found else ""

    def _flag(self, where: str, table: Mapping[str, object], key: str) -> bool:
        found = table.get(key, False)
        if not isinstance(found, bool):
            self.faults.append(f"{where} {key} must be true or false: {KEYS['webhook'][key]}")
        return found is True

    def _policy(self, dialect: Dialect) -> Policy | None:
        authority = Authority(self._choice("policy", "authority", [a.value for a in Authority], "local_wins") or "ask")
        attributes = self._attributes(dialect, authority)
        protected = self._texts("policy", "protected", ())
        match = self._texts("correlation", "match", ("externalId", "userName"))
        leavers = Leavers(self._choice("policy", "leavers", [v.value for v in Leavers], "disable") or "disable")
        places = [place for path in match if (place := self._place("[correlation] match", path, dialect))]
        return Policy(
            attributes=tuple(attributes),
            match=tuple(places),
            rekey=Rekey(self._choice("correlation", "rekey", [v.value for v in Rekey], "hold")),
            leavers=leavers,
            protected=frozenset(name.lower() for name in protected),
            exchange=LoginExchange(
                self._choice("policy", "exchange", [v.value for v in LoginExchange], "park") or "park"
            ),
            on_bad_value=BadValue(
                self._choice("policy", "on_bad_value", [v.value for v in BadValue], "attribute") or "attribute"
            ),
            limits=self._limits(dialect, [mapped.path for mapped in attributes]),
            groups=self._grouping(dialect),
        )

    def _group_settings(self, kind: str) -> GroupSettings | None:
        """Where memberships come from; the keys must fit the kind of the source."""
        table = self._table("groups")
        if table is None:
            return None
        given = [key for key in ("query", "path", "column") if key in table]
        if len(given) != 1:
            self.faults.append(
                f"[groups] needs exactly one of query, path and column; it has {', '.join(given) or 'none'}"
            )
        is_sql = kind == "sql"
        for key in ("path", "nesting_path") if is_sql else ("query", "nesting"):
            if key in table and kind:
                instead = {"path": "query", "nesting_path": "nesting", "query": "path", "nesting": "nesting_path"}[key]
                self.faults.append(f"[groups] {key} does not fit [source] kind = {kind!r}; write {instead}")
        path, nesting_path = self._text("groups", "path"), self._text("groups", "nesting_path")
        return GroupSettings(
            query=self._text("groups", "query"),
            path=self._beside(path) if path else None,
            nesting=self._text("groups", "nesting"),
            nesting_path=self._beside(nesting_path) if nesting_path else None,
        )

    def _grouping(self, dialect: Dialect) -> Grouping | None:
        """What is done about memberships."""
        if self._table("groups") is None:
            return None
        return Grouping(
            match=self._choice("groups", "match", ("displayName", "id"), "displayName"),
            nested=Nested(self._choice("groups", "nested", [v.value for v in Nested], "refuse")),
            others=Others(self._choice("groups", "others", [v.value for v in Others], "keep")),
            managed=self._texts("groups", "managed", ()),
            protected=self._texts("groups", "protected", ()),
            column=self._text("groups", "column"),
            separator=self._text("groups", "separator", ";"),
            batch=dialect.members_at_once,
        )

    def _attributes(self, dialect: Dialect, authority: Authority) -> list[Mapped]:
        table = self._table("attributes")
        if not table:
            self.faults.append("[attributes] is empty: map at least userName, displayName and active")
            return []
        mapped: dict[str, Mapped] = {}
        for path, given in table.items():
            place = self._place("[attributes]", path, dialect)
            if place is None:
                continue
            if self._forbidden(place, dialect):
                continue
            if any(_is_same(place, other.place) for other in mapped.values()):
                self.faults.append(f"[attributes] {path} is mapped twice")
                continue
            expression, own = self._expression(path, given, authority)
            mapped[place.short] = Mapped(place=place, expression=expression, authority=own)
        return list(mapped.values())

    def _expression(self, path: str, given: object, authority: Authority) -> tuple[str, Authority]:
        if isinstance(given, str):
            return given, authority
        if not isinstance(given, dict) or not isinstance(given.get("value"), str):
            self.faults.append(f'[attributes] {path}: write an SQL expression as text, or {{ value = "..." }}')
            return "NULL", authority
        for key in given:
            if key not in {"value", "authority"}:
                self.faults.append(f"[attributes] {path}: {key} is not a setting{_hint(key, ('value', 'authority'))}")
        own = given.get("authority", authority.value)
        if own not in {a.value for a in Authority}:
            choices = ", ".join(a.value for a in Authority)
            self.faults.append(f"[attributes] {path}: authority = {own!r} is none of {choices}")
            return given["value"], authority
        return given["value"], Authority(own)

    def _place(self, where: str, path: str, dialect: Dialect) -> Place | None:
        try:
            return dialect.users.resolve(path)
        except InvalidPath as error:
            self.faults.append(f"{where} {error}")
            return None

    def _forbidden(self, place: Place, dialect: Dialect) -> bool:
        fault = unfit(place, dialect)
        if fault is not None:
            self.faults.append(f"[attributes] {fault}")
        return fault is not None

    def _limits(self, dialect: Dialect, mapped: Iterable[str]) -> Limits:
        given = dict(self._table("limits") or {})
        standard = Limits()
        clears: dict[str, object] = {}
        if isinstance(table := given.get("clear"), dict):
            clears = self._clears(table, dialect, frozenset(mapped))
            given["clear"] = clears.pop("default", str(standard.clear))
        found: dict[str, Limit] = {}
        for key in KEYS["limits"]:
            default = getattr(standard, key)
            if isinstance(default, Limit):
                found[key] = self._limit(key, given[key], default) if key in given else default
        single = {path: self._limit(f"clear {path}", limit, standard.clear) for path, limit in clears.items()}
        window = self._window(given["window"]) if "window" in given else standard.window
        return Limits(**found, clears=single, window=window)

    def _clears(self, given: Mapping[str, object], dialect: Dialect, mapped: Set[str]) -> dict[str, object]:
        """`[limits.clear]`, by short path, with `default`."""
        found: dict[str, object] = {}
        for path, limit in given.items():
            place = None if path == "default" else self._place("[limits.clear]", path, dialect)
            if place is not None and place.short not in mapped:
                self.faults.append(f"[limits.clear] {path} is not mapped{_hint(path, mapped)}")
            if path == "default" or place is not None:
                found[place.short if place else path] = limit
        return found

    def _window(self, given: object) -> timedelta:
        units = {"d": timedelta(days=1), "h": timedelta(hours=1)}
        if str(given) == "0" and not isinstance(given, bool):
            return timedelta()
        if isinstance(given, str) and (found := re.fullmatch(r"\s*(\d{1,5})\s*([dh])\s*", given)):
            return int(found.group(1)) * units[found.group(2)]
        self.faults.append(f'[limits] window = {given!r}: write days or hours such as "1d" or "12h", or "0"')
        return Limits().window

    def _limit(self, key: str, given: object, default: Limit) -> Limit:
        if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
            return Limit(count=given)
        if isinstance(given, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", given)):
            return Limit(share=float(found.group(1)) / 100, floor=default.floor)
        self.faults.append(f'[limits] {key} = {given!r}: write a number of people, or a share such as "5%"')
        return default

    # --- values -----------------------------------------------------------------------------

    def _table(self, section: str) -> Mapping[str, object] | None:
        found = self.document.get(section)
        if found is None:
            return None
        if not isinstance(found, dict):
            self.faults.append(f"[{section}] must be a table")
            return {}
        return found

    def _text(self, section: str, key: str, default: str = "", *, needed: bool = False) -> str:
        found = (self._table(section) or {}).get(key)
        if found is None:
            if needed:
                self.faults.append(f"[{section}] {key} is missing: {KEYS[section][key]}")
            return default
        if not isinstance(found, str) or not found:
            self.faults.append(f"[{section}] {key} must be a text: {KEYS[section][key]}")
            return default
        return found

    def _texts(self, section: str, key: str, default: Iterable[str]) -> tuple[str, ...]:
        found = (self._table(section) or {}).get(key)
        if found is None:
            return tuple(default)
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            self.faults.append(f"[{section}] {key} must be a list of texts: {KEYS[section][key]}")
            return tuple(default)
        return tuple(found)

    def _number(self, section: str, key: str, *, least: int) -> int | None:
        found = (self._table(section) or {}).get(key)
        if found is None:
            return None
        if not isinstance(found, int) or isinstance(found, bool) or found < least:
            self.faults.append(f"[{section}] {key} must be a whole number from {least}: {KEYS[section][key]}")
            return None
        return found

    def _size(self, key: str, standard: int) -> int:
        found = self._number("target", key, least=0)
        return standard if found is None else found

    def _choice(self, section: str, key: str, choices: Iterable[str], default: str = "") -> str:
        found = self._text(section, key, default, needed=not default)
        listed = list(choices)
        if found and found not in listed:
            self.faults.append(f"[{section}] {key} = {found!r} is none of {', '.join(listed)}{_hint(found, listed)}")
            return default
        return found

    def _reference(self, section: str, key: str, *, needed: bool = False) -> str:
        """A text that may stand elsewhere: env:NAME or file:PATH. A secret must."""
        if section == "target" and section not in self.secrets:
            return ""
        return self._resolved(f"[{section}]", key, self._text(section, key, needed=needed))

    def _resolved(self, table: str, key: str, found: str) -> str:
        """What a text refers to, or the text itself."""
        where = f"{table} {key}"
        if found.startswith("env:"):
            name = found.removeprefix("env:")
            value = os.environ.get(name, "")
            if not value:
                self.faults.append(
                    f"{where} refers to the environment variable {name}, which is not set. export {name}=..."
                )
            return value
        if found.startswith("file:"):
            return self._secret_file(where, self._beside(found.removeprefix("file:")))
        if found and key in _SECRET_KEYS:
            self.faults.append(f"{where} is a secret and may not stand in the file: write env:NAME or file:PATH")
            return ""
        return found

    def _secret_file(self, where: str, path: Path) -> str:
        try:
            return files.read_secret(path).decode().strip()
        except files.Foreign as error:
            self.faults.append(f"{where}: {path}: {error.strerror}. {error.cure}")
        except (OSError, UnicodeDecodeError) as error:
            self.faults.append(f"{where}: {path} cannot be read ({error.__class__.__name__})")
        return ""

    def _beside(self, name: str) -> Path:
        return (self.file.parent / Path(name).expanduser()).absolute()

    def _local_database(self, url: str) -> str:
        """A relative SQLite path is taken from the folder of the file."""
        for prefix in ("sqlite:///", "sqlite+pysqlite:///"):
            name = url.removeprefix(prefix)
            if name != url and name and not name.startswith(("/", ":memory:", "file:")):
                return f"{prefix}{self._beside(name)}"
        return url


def unfit(place: Place, dialect: Dialect) -> str | None:
    """Why a place cannot be mapped: not to be written, or nothing that one value can fill; None where it can."""
    for name, why in dialect.unwritable.items():
        if place.short.lower().startswith(name.lower()):
            return f"{place.short} cannot be mapped: {why}"
    if place.read_only:
        return f"{place.short} cannot be mapped: it is read-only"
    if place.path.filter is not None and not place.selector:
        return f'{place.short}: only filters of the form [type eq "work"] can be mapped'
    if place.path.filter is not None and place.leaf is place.attribute:
        return f"{place.short}: name the part that is meant, for instance {place.short}.value"
    for name, wanted in place.selector.items():
        sub = place.attribute.sub(name)
        known = sub.canonical_values if sub else ()
        if known and str(wanted).lower() not in {word.lower() for word in known}:
            listed = f"{_hint(str(wanted), known)}. It takes {', '.join(known)}"
            return f"{place.short}: {wanted} is no {name} of {place.attribute.name}{listed}"
    whole = place.attribute.type == "complex" and place.leaf is place.attribute and not place.attribute.multi_valued
    if whole or (place.kind is Kind.LIST and place.attribute.name in {"emails", "phoneNumbers"}):
        example = f'{place.short}[type eq "work"].value' if place.attribute.multi_valued else f"{place.short}.…"
        return f"{place.short}: name one part of it, for instance {example}"
    if place.attribute.multi_valued and place.path.filter is None and place.path.attribute.sub:
        return f"{place.short}: a list is mapped as a whole or by [filter], not by .{place.leaf.name}"
    return None


def _is_same(left: Place, right: Place) -> bool:
    """Whether two paths name one thing: `[type eq "work"]` and `[type eq "Work"]` do."""
    same = left.root.lower() == right.root.lower() and left.leaf.name == right.leaf.name
    return same and {k: str(v).lower() for k, v in left.selector.items()} == {
        k: str(v).lower() for k, v in right.selector.items()
    }


def _hint(word: str, choices: Iterable[str]) -> str:
    near = get_close_matches(word.lower(), list(choices), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


#: the limits that every digest holds; what came after them counts where it is not the default
_FIRST_LIMITS = ("disable", "create", "update", "source_rows_drop", "group_loss")


def _since(source: SourceSettings, limits: Limits) -> dict[str, object]:
    """What later versions brought, as far as it is used: a plan of an earlier one stays good where it is not."""
    standard = Limits()
    later = [key for key in KEYS["limits"] if key not in _FIRST_LIMITS]
    changed = {key: str(getattr(limits, key)) for key in later if getattr(limits, key) != getattr(standard, key)}
    changed |= {f"clear {path}": str(limit) for path, limit in sorted(limits.clears.items())}
    found: dict[str, object] = {"null_values": list(source.null_values), "later limits": changed}
    return {name: value for name, value in found.items() if value}


def _digest(source: SourceSettings, target: TargetSettings, policy: Policy, groups: GroupSettings | None = None) -> str:
    decisive: dict[str, object] = {
        "source": [source.kind, source.key, source.query, str(source.path or "")],
        "target": [
            target.dialect.name,
            target.api_url,
            target.dialect.operations_per_patch,
            target.dialect.characters,
            target.dialect.request_bytes,
        ],
        "attributes": [[m.path, m.expression, m.authority.value] for m in policy.attributes],
        "match": [place.short for place in policy.match],
        "policy": [policy.leavers.value, sorted(policy.protected)],
        "limits": [str(getattr(policy.limits, key)) for key in _FIRST_LIMITS],
    }
    if source.name:
        decisive["source name"] = source.name
    if source.zone != "UTC":
        decisive["zone"] = source.zone
    if policy.on_bad_value is not BadValue.ATTRIBUTE:
        decisive["on_bad_value"] = policy.on_bad_value.value
    if policy.rekey is not Rekey.HOLD:
        decisive["rekey"] = policy.rekey.value
    decisive |= _since(source, policy.limits)
    if policy.exchange is not LoginExchange.PARK:
        decisive["exchange"] = policy.exchange.value
    if groups is not None and policy.groups is not None:
        rules = policy.groups
        decisive["groups"] = [
            groups.query, str(groups.path or ""), groups.nesting, str(groups.nesting_path or ""), rules.column,
            rules.separator, rules.match, rules.nested.value, rules.others.value, sorted(rules.managed),
        ]  # fmt: skip
        if rules.protected:
            decisive["protected groups"] = sorted(rules.protected)
    return hashlib.sha256(msgspec.json.encode(decisive)).hexdigest()[:16]

"""TOML to settings: what needs another key, the dialect or the environment is judged here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from scimsync.config import (
    clock_reading,
    console_reading,
    credentials,
    faults,
    holding,
    outward,
    source_reading,
    states,
)
from scimsync.config.addresses import hosts_of, region_fault, target_fault, webhook_fault
from scimsync.config.digest import digest, parts
from scimsync.config.document import Document
from scimsync.config.mapping import MappingReader, outage, span
from scimsync.config.references import References
from scimsync.config.revisions import at_revision
from scimsync.config.settings import (
    AuditSettings,
    GroupSettings,
    LogSettings,
    Settings,
    SourceSettings,
    StateSettings,
    TargetSettings,
    WebhookSettings,
)
from scimsync.config.sources import JoinedSource, Source, with_first
from scimsync.config.target import Target
from scimsync.config.words import hint
from scimsync.core import protecting
from scimsync.core.depths import Rhythm
from scimsync.core.presence import GROUPS, Presence
from scimsync.core.rings import shares_of
from scimsync.core.signing import key_of
from scimsync.core.validity import Validity
from scimsync.errors import ConfigError, InvalidDialect
from scimsync.model.events import PROFILE, EventKind
from scimsync.model.policy import (
    Authority,
    BadValue,
    Deleted,
    Depth,
    Grouping,
    Keep,
    Leave,
    Leavers,
    LoginExchange,
    Nested,
    Others,
    Outside,
    Policy,
    Providing,
    Rehire,
    Rekey,
    Removal,
    Renames,
    Rings,
    Shows,
)
from scimsync.scim.dialect import Dialect
from scimsync.scim.dialect_file import dialect_of
from scimsync.scim.generic import GENERIC

_T = TypeVar("_T")
#: kind of source -> keys of `[groups]` that do not fit it, and what is written instead
_INSTEAD: Mapping[str, Mapping[str, str]] = {
    "sql": {"path": "query", "nesting_path": "nesting", "base": "query"},
    "csv": {"query": "path", "nesting": "nesting_path", "base": "path"},
    "ldap": {"query": "base", "path": "base", "nesting": "base", "nesting_path": "base"},
}


class Parsed(Struct, frozen=True, kw_only=True):
    """A file that is TOML."""

    file: Path
    text: str
    raw: Mapping[str, object]
    #: what messages call it
    name: str
    #: what the first source is called where each has a table of its own; "" where it stands in [source] itself
    first: str = ""

    def in_place(self, fault: str) -> str:
        """A fault of [source], in the table in which the first source stands."""
        is_its = bool(self.first) and fault.startswith(("[source]", "[source.expect]"))
        return fault.replace("[source", f"[source.{self.first}", 1) if is_its else fault


def parse(file: Path, revision: str = "", name: str = "") -> Parsed:
    """Read a file as TOML.

    Args:
        file: Where it is; what it refers to is looked for beside it.
        revision: Its git revision; "" as it is now.
        name: What messages call it; its own name where empty.

    Raises:
        ConfigError: There is none, it cannot be read, or it is not TOML.
    """
    try:
        text = at_revision(file, revision) if revision else file.read_text(encoding="utf-8")
        raw, first = with_first(tomllib.loads(text))
        return Parsed(file=file, text=text, raw=raw, name=name or file.name, first=first)
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file. Make one with: scimsync init") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error.__class__.__name__}). It must be UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name or file}: not TOML: {error}") from error


def settings(parsed: Parsed, *, secrets: Set[str]) -> Settings:
    """Judge a document and take it apart.

    Raises:
        ConfigError: With every fault of the file.
    """
    told = faults.Faults()
    found = _Reader(parsed.file, faults.read(parsed.raw, told), told, secrets).settings()
    if told.faults or found is None:
        raise ConfigError(*(f"{parsed.name}: {parsed.in_place(fault)}" for fault in told.faults))
    return found


class _Reader:
    """Takes a document apart and collects what is wrong with it."""

    def __init__(self, file: Path, written: Document, told: faults.Faults, secrets: Set[str]) -> None:
        self.file, self.written, self.told, self.secrets = file, written, told, secrets
        self.references = References(file, told.faults)

    def settings(self) -> Settings | None:
        dialect = self._dialect()
        target = self._target(dialect) if dialect else None
        source = self._source()
        state = self._state()
        policy = self._policy(target.dialect) if target else None
        groups = self._group_settings()
        contract = holding.contract(self.written.source.expect, self.written.rule, self.told)
        textfile, webhooks = self.written.metrics.textfile, self._webhooks()
        events = self._keys("[events]", self._events()) if "events" in self.secrets else ()
        written, zone = self.written, self.written.source.zone
        schedules = clock_reading.schedules(written.schedule, zone, self.told)
        blackouts = clock_reading.blackouts(written.blackout, zone, self.told)
        alarms = clock_reading.alarms(written.alarm, self.told, self.references, secrets="alarm" in self.secrets)
        console = console_reading.read(written.console, self.told, self.references, secrets="console" in self.secrets)
        if target is None or policy is None or self.told.faults:
            return None
        return Settings(
            file=self.file,
            source=source,
            target=target,
            policy=policy,
            state=state,
            contract=contract,
            digest=digest(source, target, policy, groups, contract),
            parts=parts(source, target, policy, groups, contract),
            groups=groups,
            audit=self._audit(state),
            log=LogSettings(format=self.written.log.format, level=self.written.log.level),
            textfile=self._beside(textfile),
            webhooks=webhooks,
            events=events,
            schedules=schedules,
            blackouts=blackouts,
            alarms=alarms,
            console=console,
        )

    # --- source and state -------------------------------------------------------------------

    def _source(self) -> SourceSettings:
        given = self.written.source
        self._check_zone(given.zone)
        found = source_reading.read(given, ("source",), self.told, self.references, has_secrets=bool(self.secrets))
        return replace(
            found,
            key=given.key,
            name=given.name.strip(),
            zone=given.zone,
            validity=Validity(first=given.valid_from, last=given.valid_until),
            presence=Presence(where=given.where, on_leave=given.on_leave, main=given.main),
            trim=given.trim,
            is_delta=source_reading.is_delta(given, self.told),
            joined=tuple(self._joined(name, each, given) for name, each in (given.model_extra or {}).items()),
        )

    def _joined(self, name: str, given: JoinedSource, first: Source) -> SourceSettings:
        """A source that is joined to the first."""
        place = ("source", name)
        found = source_reading.read(given, place, self.told, self.references, has_secrets=bool(self.secrets))
        if fault := source_reading.name_fault(name, first.name):
            self.told.tell(place, f"[source.{name}]: {fault}")
        sides = source_reading.sides(name, given, first)
        if isinstance(sides, str):
            self.told.tell((*place, "join"), f"[source.{name}] {sides}")
            sides = ("", "")
        # a directory names others by their place in it, and says who they are by the key
        key = source_reading.column_of(name, sides[0]) if found.ldap else ""
        return replace(found, name=name, join=sides, key=key)

    def _check_zone(self, zone: str) -> None:
        if fault := clock_reading.zone_fault(zone):
            self.told.tell(("source", "zone"), f"[source] zone = {zone!r} {fault}")

    def _state(self) -> StateSettings:
        given = self.written.state
        url = states.within(self._database("state", given.url) or "sqlite:///.scimsync/state.db", given, self.told)
        artifacts = self.references.beside(given.artifacts)
        return StateSettings(url=url, artifacts=artifacts, memory=given.memory, keep=Keep(**given.keep))

    def _database(self, section: str, written: str) -> str:
        return self.references.database(self.references.resolve(f"[{section}] url", written))

    def _audit(self, state: StateSettings) -> AuditSettings:
        given = self.written.audit
        kind, _, name = given.key.partition(":")
        return AuditSettings(
            key_file=None if kind == "keyring" else self._beside(name) or state.artifacts / "audit-key",
            keyring=name if kind == "keyring" else "",
            makes=not given.key,
            checkpoints=self._beside(given.checkpoints),
        )

    def _beside(self, name: str) -> Path | None:
        return self.references.beside(name) if name else None

    # --- target -----------------------------------------------------------------------------

    def _dialect(self) -> Dialect | None:
        if self.told.knows("target", "dialect"):
            return None
        try:
            return dialect_of(self.written.target.dialect, self.file.parent)
        except InvalidDialect as error:
            for fault in error.faults:
                self.told.tell(("target", "dialect"), f"[target] dialect: {fault}")
            return None

    def _target(self, dialect: Dialect) -> TargetSettings:
        given = self.written.target
        api_url, login_url = self._hosts(given, dialect)
        if dialect.concurrency == "version" != _or(given.concurrency, "version"):
            told = f"[target] concurrency: dialect {dialect.name} is always written under a version; take the key away"
            self.told.tell(("target", "concurrency"), told)
        target = TargetSettings(
            dialect=replace(
                dialect,
                concurrency=_or(given.concurrency, dialect.concurrency),
                operations_per_patch=_or(given.operations_per_patch, dialect.operations_per_patch),
                characters=_or(given.characters, dialect.characters),
                request_bytes=_or(given.request_bytes, dialect.request_bytes),
                default_roles=frozenset(_or(given.default_roles, dialect.default_roles)),
            ),
            api_url=api_url,
            login_url=login_url,
            token_url=given.token_url,
            scopes=tuple(given.scopes),
            audience=given.audience,
            client_auth=given.client_auth or "basic",
            header=given.header,
            requests_per_minute=given.requests_per_minute,
            recall=span(given.recall),
            depth=Depth(given.depth),
            rhythm=Rhythm(full=span(given.full_every), versions=span(given.versions_every)),
            workers=given.workers,
            ca_file=self._beside(given.ca_file),
        )
        credentials.judge(given, self.told)
        return credentials.resolved(target, given, self.told, self.references) if "target" in self.secrets else target

    def _hosts(self, given: Target, dialect: Dialect) -> tuple[str, str]:
        """Both hosts: from the closed list of regions, or as they stand in the file."""
        region, api, host = given.region, given.api_url, given.login_url
        if region and (api or host):
            self.told.tell(("target", "region"), "[target] give either region, or api_url and login_url, not both")
        hosts = hosts_of(region, dialect)
        if region and not hosts:
            self.told.tell(("target", "region"), f"[target] region = {region_fault(region, dialect)}")
        if hosts:
            return hosts
        if not region and not self.told.knows("target", "region", "api_url", "login_url"):
            credentials.need_place(given, dialect, self.told)
        return self._address("api_url", api), self._address("login_url", host)

    def _address(self, key: str, url: str) -> str:
        if url and (fault := target_fault(url)):
            self.told.tell(("target", key), f"[target] {key} {fault}")
        return url.rstrip("/")

    # --- policy -----------------------------------------------------------------------------

    def _leave_removes(self, mapping: MappingReader) -> Iterator[str]:
        """What is cleared while people are on leave, as short paths."""
        given, source = self.written.policy, self.written.source
        if given.leave_removes and (given.leave == "hold" or not source.on_leave):
            why = 'with leave = "hold" nothing is written' if source.on_leave else "[source] on_leave says of nobody"
            self.told.tell(("policy", "leave_removes"), f"[policy] leave_removes: {why}, so nothing can be removed")
        for path in given.leave_removes:
            place = None if path == GROUPS else mapping.place("[policy] leave_removes", path)
            if path == GROUPS or place is not None:
                yield GROUPS if place is None else place.short

    def _rings(self) -> Rings:
        given, standard = self.written.policy, Rings()
        try:
            shares = shares_of(given.rings)
        except ValueError as error:
            self.told.tell(("policy", "rings"), f"[policy] rings = {given.rings}: {error}")
            shares = standard.shares
        return Rings(shares=shares, least=given.rings_from, first=given.rings_first)

    def _policy(self, dialect: Dialect) -> Policy:
        given, mapping = self.written.policy, MappingReader(dialect, self.told.faults)
        if given.leavers == "delete" and dialect.deleting != "gone":
            how = "refuses to delete accounts" if dialect.deleting == "refused" else "keeps accounts that are deleted"
            told = f'[policy] leavers = "delete": the provider {how} (dialect {dialect.name}); write "disable"'
            self.told.tell(("policy", "leavers"), told)
        attributes = mapping.attributes(
            self.written.attributes, Authority(given.authority), creates=self.written.limits.create != 0
        )
        match = [mapping.place("[correlation] match", path) for path in self.written.correlation.match]
        self.told.faults += [
            f"[correlation] match: {place.short} is not in SCIM, and people are found over SCIM; name another path"
            for place in match
            if place is not None and not place.published
        ]
        return Policy(
            attributes=tuple(attributes),
            match=tuple(place for place in match if place),
            rekey=Rekey(self.written.correlation.rekey),
            renames=Renames(self.written.correlation.renames),
            renames_within=span(self.written.correlation.renames_within),
            leavers=Leavers(given.leavers),
            leavers_after=span(given.leavers_after),
            leavers_readings=given.leavers_readings,
            leavers_apart=span(given.leavers_apart),
            leave=Leave(given.leave),
            leave_removes=frozenset(self._leave_removes(mapping)),
            outside=Outside(given.out_of_scope),
            create_before=span(given.create_before),
            deleted=Deleted(given.deleted),
            rehire=Rehire(given.rehire),
            protected=frozenset(map(protecting.word, given.protected)),
            approvals=holding.approvals(self.written.approval, self.told),
            exchange=LoginExchange(given.exchange),
            plan_expires=span(given.plan_expires),
            rings=self._rings(),
            outage=outage(given.outage),
            on_bad_value=BadValue(given.on_bad_value),
            limits=mapping.limits(self.written.limits, {mapped.path for mapped in attributes}),
            groups=self._grouping(dialect),
        )

    def _grouping(self, dialect: Dialect) -> Grouping | None:
        """What is done about memberships."""
        given = self.written.groups
        if given is None:
            return None
        if given.nested == "keep" and not dialect.nested_groups:
            told = f'the provider takes no group as a member of a group (dialect {dialect.name}); write "flatten"'
            self.told.tell(("groups", "nested"), f'[groups] nested = "keep": {told}')
        return Grouping(
            match=given.match,
            nested=Nested(given.nested),
            others=Others(given.others),
            managed=tuple(given.managed),
            protected=tuple(given.protected),
            column=given.column,
            separator=given.separator,
            batch=dialect.members_at_once,
            providing=Providing(
                served=dialect.groups,
                shows=Shows(dialect.members),
                cap=dialect.members_cap,
                refuses_twice=dialect.add_twice == "refused",
                removal=Removal(dialect.remove_members),
                is_removal_known=dialect.grounds["remove_members"] != GENERIC.grounds["remove_members"],
            ),
        )

    def _group_settings(self) -> GroupSettings | None:
        """Where memberships come from; the keys must fit the kind of the source."""
        given, kind = self.written.groups, self.written.source.kind
        if given is None:
            return None
        ways = [key for key in ("query", "path", "base", "column") if getattr(given, key)]
        if len(ways) != 1 and not self.told.knows("groups", "query", "path", "base", "column"):
            said = f"[groups] needs exactly one of query, path, base and column; it has {', '.join(ways) or 'none'}"
            self.told.tell(("groups", "query"), said)
        instead = _INSTEAD.get(kind, _INSTEAD["csv"])
        for key, other in instead.items():
            if getattr(given, key) and not self.told.knows("source", "kind"):
                self.told.tell(("groups", key), f"[groups] {key} does not fit [source] kind = {kind!r}; write {other}")
        return GroupSettings(
            query=given.query,
            path=source_reading.file(given.path, ("groups", "path"), self.told, self.references),
            nesting=given.nesting,
            nesting_path=source_reading.file(
                given.nesting_path, ("groups", "nesting_path"), self.told, self.references
            ),
            base=given.base,
            filter=given.filter if given.base else "",
            member=given.member if given.base else "",
            naming=given.naming if given.base else "",
        )

    # --- webhooks ---------------------------------------------------------------------------

    def _webhooks(self) -> tuple[WebhookSettings, ...]:
        found = [self._webhook(number, given) for number, given in enumerate(self.written.webhook, 1)]
        urls = [webhook.url for webhook in found if webhook.url]
        if len(urls) != len(set(urls)):
            said = "[[webhook]] url: two webhooks have the same; join their events in one"
            self.told.tell(("webhook",), said)
        return tuple(found)

    def _webhook(self, number: int, given: outward.Webhook) -> WebhookSettings:
        where = f"[[webhook]] {number}"
        return WebhookSettings(
            number=number,
            url=self._endpoint(number, self.references.resolve(f"{where} url", given.url), private=given.allow_private),
            keys=self._keys(where, given) if "webhook" in self.secrets else (),
            kinds=self._kinds(number, [given.events] if isinstance(given.events, str) else given.events),
            values=given.values,
            allow_private=given.allow_private,
        )

    def _endpoint(self, number: int, url: str, *, private: bool) -> str:
        fault = webhook_fault(url, private=private) if url else ""
        if fault:
            self.told.tell(("webhook", number - 1, "url"), f"[[webhook]] {number} url {fault}")
        return "" if fault else url

    def _kinds(self, number: int, names: Sequence[str]) -> frozenset[EventKind]:
        known = {kind.value: kind for kind in EventKind}
        kinds = set()
        for name in names:
            short = name.removeprefix(PROFILE).removesuffix(":notice").removesuffix(":full")
            if short in known:
                kinds.add(known[short])
            else:
                said = f"[[webhook]] {number} events: {name!r} is not an event{hint(short, known)}"
                self.told.tell(("webhook", number - 1, "events"), said)
        return frozenset(kinds)

    def _events(self) -> outward.Events:
        """The section [events], which is needed where it is asked for."""
        if self.written.events is None:
            self.told.need("events", "secret", "")
            return outward.Events.model_construct(secret="")
        return self.written.events

    def _keys(self, where: str, given: outward.Webhook | outward.Events) -> tuple[bytes, ...]:
        """The key of the secret, and that of the former one while they change."""
        keys = []
        for name, written in (("secret", given.secret), ("old_secret", given.old_secret)):
            secret = self.references.resolve(f"{where} {name}", written)
            try:
                keys += [key_of(secret)] if secret else []
            except ValueError as error:
                self.told.faults.append(f"{where} {name} cannot be used: {error}")
        return tuple(keys)


def _or(given: _T | None, standard: _T) -> _T:
    return standard if given is None else given

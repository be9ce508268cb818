"""scimsync from Python: one person, a whole directory, and the parts for people who build their own.

    GenesysScimSyncer     one person, given as {path: value}; returns the account
    Syncer                what a configuration file describes; async, with a blocking front
    build_delta_matrix, patch_operations, validate_operations, check_schema_drift, find_cycles
                          the parts alone, without any service

All of it is the road of the command line (docs/architecture.md): the same rules, journal and writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from scimsync import bootstrap
from scimsync.bootstrap import Choices, Told
from scimsync.config import (
    AuditSettings,
    Settings,
    SourceSettings,
    StateSettings,
    TargetSettings,
    WebhookSettings,
    load,
    unfit,
)
from scimsync.core import planner, validation
from scimsync.core.drifting import Baseline
from scimsync.core.references import find_cycles
from scimsync.core.signing import key_of
from scimsync.engine.applying import Report
from scimsync.engine.ports import Observer, Store, Target
from scimsync.errors import ConfigError, InvalidPath, PlanRefused, SchemaDrifted, TargetDenied
from scimsync.model.accounts import Pair
from scimsync.model.outcomes import Link, Outcome, Status
from scimsync.model.plans import Delta, Finding, Plan
from scimsync.model.policy import Authority, BadValue, Limits, Mapped, Policy
from scimsync.model.records import Cell
from scimsync.scim.dialect import GENESYS, Dialect, region_of
from scimsync.scim.drift import PLAIN, SCHEMAS, Drift, compare_documents, plain_baseline
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Kind, Place, Value, compared, entries
from scimsync.testing import ListSource, MemoryStore

__all__ = [
    "BlockingSyncer",
    "ConflictResolution",
    "GenesysScimSyncer",
    "Syncer",
    "Synchronised",
    "build_delta_matrix",
    "check_schema_drift",
    "find_cycles",
    "patch_operations",
    "validate_operations",
]  # fmt: skip

_T = TypeVar("_T")


class ConflictResolution(Enum):
    """Who wins where the directory holds something else than HR."""

    LOCAL_WINS = "local_wins"
    CLOUD_WINS = "cloud_wins"
    MERGE = "merge"


class Silent:
    """An observer who shows nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Nothing to show."""

    def advance(self, steps: int = 1) -> None:
        """Nothing to show."""

    def say(self, text: str) -> None:
        """Nothing to show."""


# --- one person -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Synchronised:
    """One person after a call: the account as it is now, what was planned, and what came of it."""

    account: Mapping[str, object]
    plan: Plan
    #: the first that is not good, else the last; None where nothing was written
    outcome: Outcome | None


class GenesysScimSyncer:
    """Keeps single accounts of a Genesys Cloud organisation equal to what HR says.

    Args:
        client_id: Of an OAuth client with the grant Client Credentials and the role SCIM Integration.
        client_secret: Its secret. It is held in memory and shown nowhere.
        org_domain: A region (`us-east-1`) or a domain (`mypurecloud.com`).
        webhook_url: Where events of what was written are sent; nowhere where empty. Give `webhook_secret` too.
        baseline_schema: SCIM path -> type, as the target's schema was when the mapping was made. The first call
            compares it with what the target publishes; without one, with what scimsync knows of Genesys Cloud.
        webhook_secret: What events are signed with (Standard Webhooks): `whsec_...`, or any text.
        api_url: Instead of `org_domain`: where the API is. Give `login_url` too.
        login_url: Instead of `org_domain`: where tokens are given.
        state: A folder for what is remembered from one program to the next: runs, journal, last agreed
            values. Without one they are remembered while the object lives, and the first call for a person
            is a first run: nothing was agreed, so `resolution` decides about every difference.

    Raises:
        ConfigError: The organisation is not known, an address or the secret of the webhook is missing, or the
            baseline names what there is not.
    """

    def __init__(  # noqa: PLR0913 - the contract of the library
        self,
        client_id: str,
        client_secret: str,
        org_domain: str = "",
        webhook_url: str = "",
        baseline_schema: Mapping[str, str] | None = None,
        *,
        webhook_secret: str = "",
        api_url: str = "",
        login_url: str = "",
        state: Path | str | None = None,
    ) -> None:
        if not (api_url and login_url):
            api_url, login_url = _hosts(org_domain)
        self._target = TargetSettings(
            dialect=GENESYS,
            api_url=api_url.rstrip("/"),
            login_url=login_url.rstrip("/"),
            client_id=client_id,
            client_secret=client_secret,
        )
        self._webhooks = _webhooks(webhook_url, webhook_secret)
        self._baseline = baseline_schema
        if baseline_schema is not None:
            plain_baseline(baseline_schema, GENESYS.users)
        self._compared = False
        self._folder = None if state is None else Path(state).absolute()
        self._memory = MemoryStore()

    def sync_user_attributes(
        self,
        user_id: str,
        local_hr_data: Mapping[str, object],
        resolution: ConflictResolution = ConflictResolution.LOCAL_WINS,
    ) -> dict[str, object]:
        """Make one account hold what HR says; return the account as the directory then shows it.

        Args:
            user_id: The id of the account.
            local_hr_data: SCIM path -> value: a text, number or boolean, None to clear, a list of objects
                for a whole list, and for `enterprise:manager` the id of the manager's account. Paths that
                are not named are never touched.
            resolution: Who wins where the directory holds something else.

        Raises:
            ConfigError: A path is unknown or read-only, or a value has the wrong type; all faults at once.
            PlanRefused: A value cannot be written, or the conflict wants a person. Nothing of the call was written
                then, but that `active` went to false where it should: that waits for no other value.
            TargetError: There is no such account, or the directory refuses or cannot be reached.
        """
        done = self.synchronise(user_id, local_hr_data, resolution)
        if trouble := _trouble(done):
            raise PlanRefused(f"account {user_id}: {trouble}")
        return dict(done.account)

    def synchronise(
        self,
        user_id: str,
        local_hr_data: Mapping[str, object],
        resolution: ConflictResolution = ConflictResolution.LOCAL_WINS,
    ) -> Synchronised:
        """As `sync_user_attributes`; what became of the person is told by the plan and the outcome, not raised.

        Raises:
            ConfigError: A path is unknown or read-only, or a value has the wrong type; all faults at once.
            TargetError: There is no such account, the directory cannot be reached, or its schema drifted where
                this call writes.
        """
        attributes = _mapping(local_hr_data, _authority(resolution), self._target.dialect)
        settings = self._settings(attributes)
        with self._store(settings) as store, store.lease(bootstrap.owner()):
            done = _wait(self._synchronise(settings, store, user_id, local_hr_data))
            self._compared = True
            return done

    async def _synchronise(
        self, settings: Settings, store: Store, user_id: str, data: Mapping[str, object]
    ) -> Synchronised:
        """One person, and once for each object what the schema became."""
        given = None if self._compared or self._baseline is None else {PLAIN: dict(self._baseline)}
        if given is not None:
            found = await bootstrap.diff_schema(settings, store, Baseline(name="baseline_schema", documents=given))
            if blocking := tuple(f"{ruling.drift} ({ruling.hint})" for ruling in found.rulings if ruling.blocks):
                raise SchemaDrifted(found.baseline, blocking)
        return await _synchronise(settings, store, user_id, data, schema=not self._compared and given is None)

    def _settings(self, attributes: Sequence[Mapped]) -> Settings:
        folder = self._folder or Path()
        return Settings(
            file=folder / "scimsync.toml",
            source=SourceSettings(kind="list", key=_KEY),
            target=self._target,
            policy=Policy(attributes=tuple(attributes), match=(), limits=_ALONE, on_bad_value=BadValue.PERSON),
            state=StateSettings(url=f"sqlite:///{folder / 'state.db'}", artifacts=folder / "artifacts"),
            webhooks=self._webhooks,
            audit=AuditSettings(key_file=folder / "artifacts" / "audit-key", makes=True),
            digest="library",
        )

    @contextmanager
    def _store(self, settings: Settings) -> Iterator[Store]:
        if self._folder is None:
            yield self._memory
            return
        with bootstrap.open_store(settings) as store:
            yield store
            bootstrap.checkpoint(settings, store, lambda _: None)


_KEY = "scimsync_user"
#: each call names one person and what they shall become, so it counts alone
_ALONE = Limits(window=timedelta())


def _hosts(organisation: str) -> tuple[str, str]:
    regions = GENESYS.regions
    domain = regions.get(region_of(organisation, regions), "")
    if not domain:
        raise ConfigError(
            f"org_domain {organisation!r} is neither a region nor a domain of Genesys Cloud. "
            f"Regions: {', '.join(regions)}. Or give api_url and login_url."
        )
    return f"https://api.{domain}", f"https://login.{domain}"


def _webhooks(url: str, secret: str) -> tuple[WebhookSettings, ...]:
    if not url:
        return ()
    if not secret:
        raise ConfigError("webhook_url needs webhook_secret: events are never sent unsigned")
    try:
        keys = (key_of(secret),)
    except ValueError as error:
        raise ConfigError(f"webhook_secret: {error}") from error
    local = urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
    return (WebhookSettings(number=1, url=url, keys=keys, allow_private=local),)


async def _synchronise(
    settings: Settings, store: Store, user_id: str, data: Mapping[str, object], *, schema: bool
) -> Synchronised:
    attributes = settings.policy.attributes
    values = list(data.values())
    source = ListSource(
        [_KEY, *(f"v{index}" for index, _ in enumerate(values))],
        [[user_id, *(_cell(mapped.place, value) for mapped, value in zip(attributes, values, strict=True))]],
        proven=False,
    )
    referred = {str(v): None for m, v in zip(attributes, values, strict=True) if m.place.kind is Kind.REFERENCE and v}
    accounts = tuple(dict.fromkeys([user_id, *referred]))
    if taken := store.save_links(Link(account, account) for account in accounts):
        raise ConfigError(
            f"the state links account {taken[0].account} to a key of HR: give the library a state of its own"
        )
    choices = Choices(only=(user_id,), accounts=accounts, schema=schema)
    target, told = bootstrap.make_target(settings, lambda _: None), Told(Silent())
    try:
        plan = await bootstrap.plan_between(settings, store, told, choices, source, target)
        if not plan.tally.linked and not plan.tally.held:
            raise TargetDenied(
                f"{target.name}: there is no account {user_id}. Give the id of an account that is there."
            )
        outcomes: Sequence[Outcome] = ()
        if plan.changes and not plan.refusals:
            found = plan, store.run(plan.id)
            async with bootstrap.telling(settings, store, told.observer, choices):
                report = await bootstrap.apply_to(settings, store, told, found, choices, target=target)
            outcomes = report.outcomes.get(user_id, ())
        account = await _account(target, user_id)
    finally:
        await target.close()
    trouble = (o for o in outcomes if o.status not in {Status.DONE, Status.ALREADY})
    return Synchronised(account=account, plan=plan, outcome=next(trouble, outcomes[-1] if outcomes else None))


async def _account(target: Target, user_id: str) -> Mapping[str, object]:
    reply = await target.get(user_id)
    if reply.body is None:
        raise TargetDenied(f"{target.name}: account {user_id} could not be read: {reply.status} {reply.detail}".strip())
    return reply.body


def _trouble(done: Synchronised) -> str:
    """Why the account does not hold what HR says; "" where it does, or where `resolution` let the directory win."""
    held = [f for f in (*done.plan.findings, *done.plan.refusals) if f.holds or f.code in _GRAVE]
    held += list(done.plan.refusals)
    if held:
        return "; ".join(map(_words, held))
    if done.outcome is not None and done.outcome.status not in {Status.DONE, Status.ALREADY}:
        return f"{done.outcome.detail} ({done.outcome.code})"
    if done.plan.tally.conflicts:
        paths = ", ".join(delta.path for notice in done.plan.notices for delta in notice.deltas)
        return (
            f"HR and the directory differ in {paths}, and merging cannot choose. Say who wins: "
            "ConflictResolution.LOCAL_WINS or CLOUD_WINS."
        )
    return ""


#: findings about the run that mean for one person that something was not written
_GRAVE = frozenset({"reference.unknown", "reference.no-account"})


def _words(finding: Finding) -> str:
    detail = f": {finding.detail}" if finding.detail else ""
    return f"{finding.summary}{detail} ({finding.code})" + (f"; {finding.hint}" if finding.hint else "")


# --- values ---------------------------------------------------------------------------------------


def _mapping(data: Mapping[str, object], authority: Authority, dialect: Dialect) -> list[Mapped]:
    """The mapping of columns v0, v1, ... to the paths of the data.

    Raises:
        ConfigError: With every fault.
    """
    faults: list[str] = []
    mapped: dict[str, Mapped] = {}
    for index, (path, value) in enumerate(data.items()):
        try:
            place = dialect.users.resolve(path)
        except InvalidPath as error:
            faults.append(str(error))
            continue
        fault = unfit(place, dialect) or _type_fault(place, value)
        if fault is None and place.short in mapped:
            fault = f"{path} is given twice"
        if fault is not None:
            faults.append(fault)
        mapped[place.short] = Mapped(place=place, expression=_expression(place, f"v{index}"), authority=authority)
    if not data:
        faults.append("there is nothing to synchronise: give at least one path and its value")
    if faults:
        raise ConfigError(*faults)
    return list(mapped.values())


_TYPES: Mapping[Kind, tuple[tuple[type, ...], str]] = {
    Kind.BOOLEAN: ((bool,), "true or false"),
    Kind.DECIMAL: ((int, float), "a number"),
    Kind.DATE: ((str, date), "a date"),
    Kind.LIST: ((list, tuple), "a list of objects"),
}


def _type_fault(place: Place, value: object) -> str | None:
    types, words = _TYPES.get(place.kind, ((str,), "a text"))
    fits = value is None or (isinstance(value, types) and (isinstance(value, bool) is (place.kind is Kind.BOOLEAN)))
    if fits and isinstance(value, list | tuple):
        names = {sub.name for sub in compared(place.attribute)}
        for element in value:
            unknown = set(element) - names if isinstance(element, Mapping) else set()
            if not isinstance(element, Mapping | str) or unknown or (isinstance(element, str) and len(names) > 1):
                return f"{place.short} is a list of objects with {', '.join(sorted(names))}"
    if not fits or (value is None and place.short == "active"):
        return f"{place.short} is {words}, not {type(value).__name__}"
    return None


#: between the elements of a list and between their members, on their way through a text column
_ELEMENTS, _MEMBERS = 30, 31


def _expression(place: Place, column: str) -> str:
    """The expression that makes a value of the place out of a column that `_cell` filled."""
    match place.kind:
        case Kind.REFERENCE:
            return f"ref({column})"
        case Kind.PHONE:
            return f"e164({column})"
        case Kind.BOOLEAN:
            return f"{column}::BOOLEAN"
        case Kind.DECIMAL:
            return f"{column}::DOUBLE"
        case Kind.LIST:
            elements = f"string_split({column}, chr({_ELEMENTS}))"
            members = []
            for number, sub in enumerate(compared(place.attribute), 1):
                part = f"nullif(split_part(e, chr({_MEMBERS}), {number}), '')"
                kind = {"decimal": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN"}.get(sub.type)
                made = f"{part}::{kind}" if kind else part
                if sub.type == "decimal":  # a level that is not given is 0, as with skills(...)
                    made = f"coalesce({made}, 0.0)"
                members.append(f"{sub.name} := {made}")
            whole = members[0].partition(" := ")[2] if len(members) == 1 else f"struct_pack({', '.join(members)})"
            return f"list_transform({elements}, lambda e: {whole})"
    return column


def _cell(place: Place, value: object) -> Cell:
    if isinstance(value, list | tuple):
        names = [sub.name for sub in compared(place.attribute)]
        rows = [element if isinstance(element, Mapping) else {names[0]: element} for element in value]
        texts = (chr(_MEMBERS).join(_text(row.get(name)) for name in names) for row in rows)
        return chr(_ELEMENTS).join(texts) or None
    return value if isinstance(value, str | int | float | bool | date) else None


def _text(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


# --- the parts ------------------------------------------------------------------------------------


def build_delta_matrix(
    desired: Mapping[str, object],
    current: Mapping[str, object],
    base: Mapping[str, object] | None = None,
    *,
    resolution: ConflictResolution = ConflictResolution.LOCAL_WINS,
    dialect: Dialect = GENESYS,
) -> tuple[Delta, ...]:
    """Compare what HR wants with what an account holds, and with what both last agreed on (three-way merge).

    Args:
        desired: SCIM path -> value, as for `GenesysScimSyncer.sync_user_attributes`.
        current: The account as JSON, as the directory gives it.
        base: SCIM path -> value on which both sides agreed; None where they never did.
        resolution: Who wins where the directory moved.
        dialect: Whose schemas the paths are of.

    Returns:
        One Delta for each attribute that differs, with its verdict and reason; equal ones are left out.

    Raises:
        ConfigError: A path is unknown or read-only, or a value has the wrong type; all faults at once.

    Examples:
        >>> account = {"id": "u1", "title": "Clerk", "displayName": "Ada Roe"}
        >>> [delta] = build_delta_matrix({"title": "Lead", "displayName": "Ada Roe"}, account, {"title": "Clerk"})
        >>> delta.path, delta.sides.current, delta.sides.desired, delta.verdict.value, delta.reason.value
        ('title', 'Clerk', 'Lead', 'write', 'HR changed it')
        >>> [kept] = build_delta_matrix({"title": "Clerk"}, {"title": "Boss"}, {"title": "Clerk"},
        ...                             resolution=ConflictResolution.CLOUD_WINS)
        >>> kept.verdict.value, kept.reason.value
        ('keep', 'edited in the directory')
    """
    mapped = _mapping(desired, _authority(resolution), dialect)
    values = {m.path: _value(m.place, value) for m, value in zip(mapped, desired.values(), strict=True)}
    agreed = {dialect.users.resolve(path): value for path, value in (base or {}).items()}
    pair = Pair(
        key="",
        name="",
        row=None,
        account=str(current.get("id", "")),
        version="",
        desired=values,
        current={m.path: m.place.read(current) for m in mapped},
        base={place.short: _value(place, value) for place, value in agreed.items()},
    )
    planned = planner.plan_pair(pair, Policy(attributes=tuple(mapped), match=()))
    whole = planned.change or planned.notice
    return whole.deltas if whole else ()


def patch_operations(deltas: Sequence[Delta], *, dialect: Dialect = GENESYS) -> tuple[Operation, ...]:
    """The PATCH operations (RFC 7644 §3.5.2) of the deltas whose verdict is to write.

    Examples:
        >>> deltas = build_delta_matrix({"title": "Lead", "enterprise:department": None},
        ...     {"title": "Clerk", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "X"}})
        >>> [(o.op, o.path.rpartition(":")[2], o.value) for o in patch_operations(deltas)]
        [('replace', 'title', 'Lead'), ('remove', 'department', None)]
    """
    places = [dialect.users.resolve(delta.path) for delta in deltas]
    mapped = [Mapped(place=p, expression="", authority=d.authority) for p, d in zip(places, deltas, strict=True)]
    return planner.operations_of(deltas, mapped)


def validate_operations(
    operations: Iterable[Operation | Mapping[str, object]], *, dialect: Dialect = GENESYS
) -> tuple[Finding, ...]:
    """What is wrong with the operations of one PATCH, all at once; nothing is sent and nothing is asked.

    Args:
        operations: As they would be sent (RFC 7644 §3.5.2), as objects or as JSON.
        dialect: Whose schemas and limits they must fit.

    Examples:
        >>> [finding] = validate_operations([{"op": "replace", "path": "groups[].value", "value": "x"}])
        >>> finding.code
        'operation.invalid'
        >>> validate_operations(patch_operations(build_delta_matrix({"title": "Lead"}, {})))
        ()
    """
    read = [
        o if isinstance(o, Operation) else Operation(str(o.get("op", "")), _path(o), o.get("value")) for o in operations
    ]
    return validation.validate_operations(read, dialect.users, dialect=dialect)


def _path(operation: Mapping[str, object]) -> str | None:
    path = operation.get("path")
    return None if path is None else str(path)


def check_schema_drift(
    baseline: Mapping[str, object], published: Mapping[str, object], *, dialect: Dialect = GENESYS
) -> tuple[Drift, ...]:
    """What became of a schema since a baseline was taken.

    Args:
        baseline: SCIM path -> type, or an answer of the `/Schemas` endpoint (RFC 7644 §4) from then.
        published: An answer of the `/Schemas` endpoint from now.
        dialect: Gives the short names of the extensions.

    Raises:
        ConfigError: The baseline names what there is not; all faults at once.

    Examples:
        >>> now = {"Resources": [{"id": "urn:ietf:params:scim:schemas:core:2.0:User", "name": "User",
        ...     "attributes": [{"name": "title", "type": "boolean"}]}]}
        >>> [str(drift) for drift in check_schema_drift({"title": "string"}, now)]
        ['title: type string -> boolean']
    """
    kind = SCHEMAS if "Resources" in baseline else PLAIN
    return compare_documents({kind: baseline}, {SCHEMAS: published}, dialect.users)


def _authority(resolution: object) -> Authority:
    if not isinstance(resolution, ConflictResolution):
        known = ", ".join(f"ConflictResolution.{each.name}" for each in ConflictResolution)
        raise ConfigError(f"resolution = {resolution!r} is none of {known}")
    return Authority(resolution.value)


def _value(place: Place, value: object) -> Value:
    if isinstance(value, list | tuple):
        return entries(list(value), place.attribute)
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | bool | int | float) and value != "" else None


# --- a whole directory ----------------------------------------------------------------------------


class Syncer:
    """Plans and applies what a configuration file describes, as the commands do.

    Args:
        config: The TOML file.
        observer: Told how far the work is; silent where none is given.

    Raises:
        ConfigError: With every fault of the file.
    """

    def __init__(self, config: Path | str, observer: Observer | None = None) -> None:
        self._settings = load(Path(config))
        self._observer = observer or Silent()

    async def plan(self, *users: str, overrides: Mapping[str, str] | None = None) -> Plan:
        """Make and store a plan for everybody, or for these source keys; nothing is written to the directory.

        Args:
            users: Source keys; everybody where none is given.
            overrides: Rule -> reason, for rules that a person sets aside.

        Raises:
            ScimsyncError: As the command `plan` would end with.
        """
        choices = _choices(users, overrides)
        with bootstrap.open_store(self._settings) as store, store.lease(bootstrap.owner()):
            await bootstrap.settle(self._settings, store, self._observer)
            return await bootstrap.plan(self._settings, store, self._observer, choices)

    async def apply(self, plan: str = "", *, overrides: Mapping[str, str] | None = None) -> Report:
        """Carry out a stored plan exactly: by its id, the file it is in, or the latest.

        Raises:
            ScimsyncError: As the command `apply` would end with.
        """
        choices = _choices((), overrides)
        with bootstrap.open_store(self._settings) as store, store.lease(bootstrap.owner()):
            found = bootstrap.find_plan(store, plan)
            return await bootstrap.apply(self._settings, store, self._observer, found, choices)

    async def sync(self, *users: str, overrides: Mapping[str, str] | None = None) -> tuple[Plan, Report]:
        """Plan and apply.

        Raises:
            ScimsyncError: As the command `sync` would end with.
        """
        made = await self.plan(*users, overrides=overrides)
        return made, await self.apply(made.id, overrides=overrides)

    @property
    def blocking(self) -> BlockingSyncer:
        """The same for programs without an event loop."""
        return BlockingSyncer(self)


@dataclass(frozen=True, slots=True)
class BlockingSyncer:
    """The blocking front of a `Syncer`."""

    syncer: Syncer

    def plan(self, *users: str, overrides: Mapping[str, str] | None = None) -> Plan:
        """As `Syncer.plan`."""
        return _wait(self.syncer.plan(*users, overrides=overrides))

    def apply(self, plan: str = "", *, overrides: Mapping[str, str] | None = None) -> Report:
        """As `Syncer.apply`."""
        return _wait(self.syncer.apply(plan, overrides=overrides))

    def sync(self, *users: str, overrides: Mapping[str, str] | None = None) -> tuple[Plan, Report]:
        """As `Syncer.sync`."""
        return _wait(self.syncer.sync(*users, overrides=overrides))


def _choices(users: Sequence[str], overrides: Mapping[str, str] | None) -> Choices:
    bootstrap.check_rules(overrides or {})
    return Choices(only=tuple(users), overrides=overrides or {})


def _wait(work: Coroutine[object, object, _T]) -> _T:
    """Run to the end; in a thread of its own where this one has a running loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()

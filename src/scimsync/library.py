"""scimsync from Python: one person, a whole directory, and the parts for people who build their own.

    GenesysScimSyncer     one person, given as {path: value}; returns the account
    Syncer                what a configuration file describes; async, with a blocking front
    build_delta_matrix, patch_operations, validate_operations, check_schema_drift, find_cycles
                          the parts alone, without any service

All of it is the road of the command line (docs/architecture.md): the same rules, journal and writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from scimsync.config import (
    AuditSettings,
    Settings,
    SourceSettings,
    StateSettings,
    TargetSettings,
    WebhookSettings,
    load,
)
from scimsync.core.drifting import Baseline
from scimsync.core.references import find_cycles
from scimsync.core.signing import key_of
from scimsync.errors import ConfigError, PlanRefused, SchemaDrifted, TargetDenied
from scimsync.model.outcomes import Link, Outcome, Status
from scimsync.model.plans import Plan
from scimsync.model.policy import BadValue, Limits, Mapped, Policy
from scimsync.model.reports import Report
from scimsync.scim.dialect import GENESYS, region_of
from scimsync.scim.drift import PLAIN, plain_baseline
from scimsync.scim.schema import Kind
from scimsync.services import applying, auditing, delivery, planning, schemas, state
from scimsync.services.observing import Observer, Telemetry
from scimsync.services.planning import Choices
from scimsync.services.reaching import Target, reached
from scimsync.services.state import Store
from scimsync.testing import ListSource, MemoryStore
from scimsync.toolkit import (
    ConflictResolution,
    authority_of,
    build_delta_matrix,
    cell,
    check_schema_drift,
    mapping,
    patch_operations,
    validate_operations,
    words,
)

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


class Silent:
    """An observer who shows nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Nothing to show."""

    def advance(self, steps: int = 1) -> None:
        """Nothing to show."""

    def say(self, text: str) -> None:
        """Nothing to show."""


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
        attributes = mapping(local_hr_data, authority_of(resolution), self._target.dialect)
        settings = self._settings(attributes)
        with self._store(settings) as store, state.lease(store):
            done = _wait(self._synchronise(settings, store, user_id, local_hr_data))
            self._compared = True
            return done

    async def _synchronise(
        self, settings: Settings, store: Store, user_id: str, data: Mapping[str, object]
    ) -> Synchronised:
        """One person, and once for each object what the schema became."""
        given = None if self._compared or self._baseline is None else {PLAIN: dict(self._baseline)}
        if given is not None:
            found = await schemas.diff_schema(settings, store, Baseline(name="baseline_schema", documents=given))
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
        with state.open_store(settings) as store:
            yield store
            auditing.checkpoint(settings, store, lambda _: None)


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
        [[user_id, *(cell(mapped.place, value) for mapped, value in zip(attributes, values, strict=True))]],
        proven=False,
    )
    referred = {str(v): None for m, v in zip(attributes, values, strict=True) if m.place.kind is Kind.REFERENCE and v}
    accounts = tuple(dict.fromkeys([user_id, *referred]))
    if taken := store.save_links(Link(account, account) for account in accounts):
        raise ConfigError(
            f"the state links account {taken[0].account} to a key of HR: give the library a state of its own"
        )
    choices = Choices(only=(user_id,), accounts=accounts, schema=schema)
    telemetry = Telemetry(Silent())
    async with reached(settings) as target:
        plan = await planning.plan_between(settings, store, telemetry, choices, source, target)
        if not plan.tally.linked and not plan.tally.held:
            raise TargetDenied(
                f"{target.name}: there is no account {user_id}. Give the id of an account that is there."
            )
        outcomes: Sequence[Outcome] = ()
        if plan.changes and not plan.refusals:
            found = plan, store.run(plan.id)
            async with delivery.notifying(settings, store, telemetry.observer, choices):
                report = await applying.apply_to(settings, store, telemetry, found, choices, target=target)
            outcomes = report.outcomes.get(user_id, ())
        account = await _account(target, user_id)
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
        return "; ".join(map(words, held))
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
        with state.held(self._settings) as store:
            await applying.settle(self._settings, store, self._observer)
            return await planning.plan(self._settings, store, self._observer, choices)

    async def apply(self, plan: str = "", *, overrides: Mapping[str, str] | None = None) -> Report:
        """Carry out a stored plan exactly: by its id, the file it is in, or the latest.

        Raises:
            ScimsyncError: As the command `apply` would end with.
        """
        choices = _choices((), overrides)
        with state.held(self._settings) as store:
            found = planning.find_plan(store, plan)
            return await applying.apply(self._settings, store, self._observer, found, choices)

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
    planning.check_rules(overrides or {})
    return Choices(only=tuple(users), overrides=overrides or {})


def _wait(work: Coroutine[object, object, _T]) -> _T:
    """Run to the end; in a thread of its own where this one has a running loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()

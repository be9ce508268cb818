"""scimsync from Python: one person, a whole directory, and the parts for people who build their own.

    GenesysScimSyncer     one person, given as {path: value}; returns the account
    Syncer                what a configuration file describes; async, with a blocking front
    build_delta_matrix, patch_operations, validate_operations, check_schema_drift, find_cycles
                          the parts alone, without any service

All of it is the road of the command line (docs/architecture.md): the same rules, journal and writes.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from msgspec import Struct

from scimsync.config import load
from scimsync.core.references import find_cycles
from scimsync.errors import PlanRefused
from scimsync.model.outcomes import Status
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.scim.genesys import GENESYS
from scimsync.services import applying, planning, state
from scimsync.services.loop_thread import LoopThread
from scimsync.services.observing import Observer, Silent
from scimsync.services.organisation import baseline_of, settings_of
from scimsync.services.person import PeopleSync, Synchronised
from scimsync.services.planning import Choices
from scimsync.toolkit import (
    ConflictResolution,
    authority_of,
    build_delta_matrix,
    check_schema_drift,
    mapping,
    patch_operations,
    validate_operations,
    words,
)

__all__ = [
    "AsyncGenesysScimSyncer",
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


class AsyncGenesysScimSyncer:
    """Keeps single accounts of a Genesys Cloud organisation equal to what HR says; for programs with an event loop.

    One target serves all calls: connections, token and pace are shared, so calls may run side by side. Use it as
    a context manager, or call `close`; without, connections end with the program.

    Args:
        client_id: Of an OAuth client with the grant Client Credentials and the role SCIM Integration.
        client_secret: Its secret. It is held in memory and shown nowhere.
        org_domain: A region (`us-east-1`) or a domain (`mypurecloud.com`).
        webhook_url: Where events of what was written are sent; nowhere where empty. Give `webhook_secret` too;
            without it a warning says that events are unsigned.
        baseline_schema: SCIM path -> type, as the target's schema was when the mapping was made; `x[].y` is the `y`
            of any element of `x`. The first call with a set of paths compares it with what the target publishes;
            without one, with what scimsync knows of Genesys Cloud.
        webhook_secret: What events are signed with (Standard Webhooks): `whsec_...`, or any text.
        api_url: Instead of `org_domain`: where the API is. Give `login_url` too.
        login_url: Instead of `org_domain`: where tokens are given.
        state: A folder for what is remembered from one program to the next: runs, journal, last agreed
            values. Without one the last agreed values are remembered while the object lives, and the first call for
            a person is a first run: nothing was agreed, so `resolution` decides about every difference.
        requests_per_minute: Upper bound; 0 for none; by default what the target announces.

    Raises:
        ConfigError: The organisation is not known, an address is missing, the secret of the webhook is none, or the
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
        requests_per_minute: int | None = None,
    ) -> None:
        settings = settings_of(
            client_id, client_secret, org_domain, webhook=(webhook_url, webhook_secret), api_url=api_url,
            login_url=login_url, state=state, requests_per_minute=requests_per_minute,
        )  # fmt: skip
        self._people = PeopleSync(settings, baseline=baseline_of(baseline_schema), durable=state is not None)

    async def sync_user_attributes(
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
                then, but that `active` went to false where it should: that waits for no other value. Where the
                directory refused a value only when it was sent (a login that is taken), the message names what was
                written.
            TargetError: There is no such account, or the directory refuses or cannot be reached.
        """
        return _account_of(await self.synchronise(user_id, local_hr_data, resolution))

    async def synchronise(
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
        return await _synchronise(self._people, user_id, local_hr_data, resolution)

    async def close(self) -> None:
        """Let go of connections and files. The next call opens them anew."""
        await self._people.close()

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first call."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()


class GenesysScimSyncer:
    """The same as `AsyncGenesysScimSyncer` for programs without an event loop; its arguments are the same.

    Safe to use from several threads. Use it as a context manager, or call `close`; without, connections end with the
    program.

    Raises:
        ConfigError: The organisation is not known, an address is missing, the secret of the webhook is none, or the
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
        requests_per_minute: int | None = None,
    ) -> None:
        settings = settings_of(
            client_id, client_secret, org_domain, webhook=(webhook_url, webhook_secret), api_url=api_url,
            login_url=login_url, state=state, requests_per_minute=requests_per_minute,
        )  # fmt: skip
        self._people = PeopleSync(settings, baseline=baseline_of(baseline_schema), durable=state is not None)
        self._loop = LoopThread()
        self._closing = weakref.finalize(self, _close, self._loop, self._people)

    def sync_user_attributes(
        self,
        user_id: str,
        local_hr_data: Mapping[str, object],
        resolution: ConflictResolution = ConflictResolution.LOCAL_WINS,
    ) -> dict[str, object]:
        """As `AsyncGenesysScimSyncer.sync_user_attributes`."""
        return _account_of(self.synchronise(user_id, local_hr_data, resolution))

    def synchronise(
        self,
        user_id: str,
        local_hr_data: Mapping[str, object],
        resolution: ConflictResolution = ConflictResolution.LOCAL_WINS,
    ) -> Synchronised:
        """As `AsyncGenesysScimSyncer.synchronise`."""
        return self._loop.run(_synchronise(self._people, user_id, local_hr_data, resolution))

    def close(self) -> None:
        """Let go of connections and files. The next call opens them anew."""
        _close(self._loop, self._people)

    def __enter__(self) -> Self:
        """Nothing is opened before the first call."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _close(loop: LoopThread, people: PeopleSync) -> None:
    if loop.is_here:  # collected in the thread of the loop itself, which cannot wait for itself
        loop.stop()
    elif loop.is_running:
        loop.run(people.close())
        loop.stop()


async def _synchronise(
    people: PeopleSync, user_id: str, data: Mapping[str, object], resolution: ConflictResolution
) -> Synchronised:
    attributes = mapping(data, authority_of(resolution), GENESYS)
    return await people.synchronise(user_id, attributes, [*data.values()])


def _account_of(done: Synchronised) -> dict[str, object]:
    """The account that holds what HR says.

    Raises:
        PlanRefused: It does not.
    """
    if trouble := _trouble(done):
        raise PlanRefused(f"account {done.account['id']}: {trouble}")
    return dict(done.account)


def _trouble(done: Synchronised) -> str:
    """Why the account does not hold what HR says; "" where it does, or where `resolution` let the directory win."""
    if held := [f for f in done.plan.findings if f.holds or f.code in _GRAVE]:
        return "; ".join(map(words, held))
    if done.outcome is not None and done.outcome.status not in {Status.DONE, Status.ALREADY}:
        written = f"; written all the same: {', '.join(sorted(done.outcome.written))}" if done.outcome.written else ""
        return f"{done.outcome.detail} ({done.outcome.code}){written}"
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


class BlockingSyncer(Struct, frozen=True):
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

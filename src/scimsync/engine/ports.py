"""The ports: what the use cases ask of the world, and what each adapter promises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from scimsync.engine.clock_state import Alarms, Schedules
from scimsync.engine.state import (
    Acceptances,
    Approvals,
    Artifacts,
    Audit,
    Decided,
    Deferrals,
    Endings,
    Inbox,
    Journal,
    Lease,
    Links,
    Memberships,
    NeverShown,
    Outbox,
    Pins,
    Quarantine,
    Refusals,
    Runs,
    Suspicions,
    TakenBack,
)
from scimsync.engine.visitor_state import Visitors
from scimsync.model.accounts import DeletedAccount
from scimsync.model.events import Receipt
from scimsync.model.outcomes import Description, Document, Guard, Outcome, Reply, Rights, Sweep
from scimsync.model.plans import Plan
from scimsync.model.records import Reading, SourceHealth
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Place


class Source(Protocol):
    """The authoritative HR side."""

    @property
    def name(self) -> str:
        """What messages call it: a file name, or the kind and host of a database. No secrets."""
        ...

    def read(self) -> Reading:
        """Open the source and give its columns and batches.

        Raises:
            SourceError: It cannot be opened, or (while the batches are walked) not read to its end.
        """
        ...


class Authorization(Protocol):
    """Who we are to the target."""

    async def rights(self) -> Rights:
        """What our client may do and how much; of what the target does not say, why.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        ...


class Licensing(Protocol):
    """What people cost at the target."""

    async def licences(self, sets: Collection[frozenset[str]]) -> Mapping[frozenset[str], frozenset[str]] | None:
        """The names of the licences that follow from each of some sets of roles, by the names of the roles.

        None where they cannot be known: the target does not tell, does not show it to us, or does not know a role.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        ...


class Target(Authorization, Licensing, Protocol):
    """The SCIM service provider that is changed. Async; every answer to a write is a Reply."""

    @property
    def name(self) -> str:
        """The API address, which also identifies the target in seals."""
        ...

    @property
    def rate(self) -> int:
        """Requests a minute that the target grants, as far as it is known by now."""
        ...

    def manage(self, places: Iterable[Place]) -> None:
        """From now on read and write these places, where some are kept beside SCIM; may be called again for more."""
        ...

    @property
    def unread(self) -> Mapping[str, str]:
        """Path of a managed place -> why it can be neither read nor written, as far as it is known by now."""
        ...

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        """Read all accounts, active and inactive; hand each page's resources to `sink` as raw JSON.

        Args:
            attributes: names for the `attributes` parameter (with URN where they have one).
            sink: called with the raw resources of one page, each account once.

        Raises:
            TargetError: The directory cannot be read at all. A reading with holes does not raise;
                it comes back with `incomplete` set.
        """
        ...

    async def reread(
        self, accounts: Collection[str], attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]
    ) -> None:
        """Read some accounts of the last sweep again, and perhaps others with them, in few requests.

        Args:
            accounts: ids of who is wanted. Somebody may not come, whose place in the listing has moved.
            attributes: as for `sweep`.
            sink: as for `sweep`.

        Raises:
            TargetError: The directory cannot be read at all.
        """
        ...

    async def get(self, account: str) -> Reply:
        """Read one account, with every attribute."""
        ...

    async def find(self, attribute: str, value: str, *, sure: bool = False) -> Sequence[Reply]:
        """Accounts, active or not, whose attribute equals the value, each as the reply of a GET.

        Args:
            attribute: The name of the attribute.
            value: The value.
            sure: Whether an answer that does not prove who has it counts as none: one of other accounts too, or of
                more accounts than it shows.

        Raises:
            FilterRefused: The target takes no filter on this attribute, or does not heed it.
            TargetUnanswered: This question was not answered now.
            TargetError: The target cannot be asked at all.
        """
        ...

    async def names(self, kind: str) -> frozenset[str] | None:
        """The names of all roles, divisions, skills or languages (`kind`: role, division, skill, language).

        None where they cannot be known: the target keeps no list of that kind, or does not show it to us.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        ...

    async def create(self, resource: dict[str, object]) -> Reply:
        """POST a new account."""
        ...

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH an account that is what `version` says; the answer is 412 where it is not.

        Operations on what is kept beside SCIM (`scim.platform`) come alone, those of one request together.

        Args:
            account: its id.
            operations: what to change.
            version: the version or fingerprint of a Reply; it must not be empty.
        """
        ...

    async def guard(self, account: str = "") -> Guard:
        """How writes are guarded here; an account is looked at where the target does not say.

        Raises:
            TargetError: The target cannot be asked at all.
        """
        ...

    async def delete(self, account: str, version: str) -> Reply:
        """DELETE an account that is what `version` says; `version` must not be empty. A success may have no body."""
        ...

    async def deleted(self, logins: Collection[str]) -> Mapping[str, Sequence[DeletedAccount]] | None:
        """The deleted accounts that had one of these logins, by login in lower case.

        None where they cannot be known: the target does not tell of them, or does not show them to us.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        ...

    async def restore(self, account: str, version: str) -> Reply:
        """Bring a deleted account back, active, where it has this version still. A success has no body."""
        ...

    async def list_groups(
        self, sink: Callable[[Sequence[bytes]], None], wanted: Sequence[tuple[str, str]] = ()
    ) -> Sweep:
        """Read all groups without their members; hand each page's resources to `sink` as raw JSON.

        Args:
            sink: called with the raw resources of one page, each group once.
            wanted: (attribute, value) of the groups that matter, for a target that lists by filter only.

        Raises:
            TargetError: The groups cannot be read at all. A reading with holes comes back with
                `incomplete` set.
        """
        ...

    async def look(self, attributes: Sequence[str], *, groups: bool) -> tuple[int, int | None]:
        """Read one page of accounts and, where wanted, one of groups; how many of each are announced, None for unknown.

        Raises:
            TargetError: They cannot be read.
        """
        ...

    async def get_group(self, group: str) -> Reply:
        """Read one group, with its members."""
        ...

    async def patch_group(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH a group that is what `version` says; `version` must not be empty."""
        ...

    async def describe(self, known: Mapping[str, Document] | None = None) -> Description:
        """What the target says about itself, and what its clock shows.

        Args:
            known: documents that we have; one with an ETag is sent again only where it changed.

        Raises:
            TargetError: It does not say.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Store(
    Runs,
    Refusals,
    Pins,
    Links,
    Deferrals,
    Endings,
    Suspicions,
    NeverShown,
    TakenBack,
    Acceptances,
    Decided,
    Approvals,
    Quarantine,
    Memberships,
    Journal,
    Audit,
    Outbox,
    Inbox,
    Schedules,
    Alarms,
    Visitors,
    Lease,
    Artifacts,
    Protocol,
):
    """The state, all of it: the sum of its parts (`engine.state`), of which each use case asks for what it uses."""

    def close(self) -> None:
        """Let go of connections."""
        ...


class Observer(Protocol):
    """Told how far the work is. It may fail to show, never to stop a run."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A piece of work begins; `total` steps, where that is known."""
        ...

    def advance(self, steps: int = 1) -> None:
        """Some steps of it are done."""
        ...

    def say(self, text: str) -> None:
        """Something that a person should know while it happens."""
        ...


class Metrics(Protocol):
    """Told what is measured while it happens. It may fail to count, never to stop a run.

    What it keeps or shows names people by their source key at most, and no values of theirs.
    """

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """One exchange with the target: list, get, find, create, patch, delete, ...; how it ended."""
        ...

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        """A request is sent once more after a wait: `throttled`, `not sent` or `failing`."""
        ...

    def breaker(self, *, is_open: bool) -> None:
        """The breaker opened, stays open, or closed."""
        ...

    def read(self, health: SourceHealth, *, proven: bool) -> None:
        """The source was read to its end."""
        ...

    def planned(self, plan: Plan) -> None:
        """A plan was made."""
        ...

    def settled(self, action: str, outcome: Outcome, seconds: float) -> None:
        """One part of a change has its outcome, so long after it was begun; the action, or `members` for a group."""
        ...

    def ended(self, work: str, state: str, seconds: float, rate: int) -> None:
        """`plan`, `apply` or `settle` ended, in a state or `failed`; rate in requests a minute, 0 if unknown."""
        ...


class Sender(Protocol):
    """Carries messages to one endpoint. Async; whatever goes wrong is a Receipt."""

    async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:
        """Send one message once, within a total deadline."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Clock(Protocol):
    """Time and waiting, handed in so that whole runs can play on a virtual clock."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC. For people and records, never for intervals."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

"""Official twins of the ports, in memory: they behave as the adapters do and pass the same contracts.

MemoryStore   the Store port      ListSource     the Source port
VirtualClock  the Clock port      MemoryTarget   the Target port
KeptMetrics   the Metrics port
"""

from __future__ import annotations

import asyncio
import copy
import heapq
import re
import secrets
import shutil
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from scimsync.engine import ledger
from scimsync.errors import ConfigError, ProtocolError, StoreError, StoreLocked
from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.audit import Entry, Head, PersonKey, Record
from scimsync.model.events import Call, Letter, LetterState
from scimsync.model.outcomes import (
    Deferred,
    Description,
    Document,
    Exchange,
    JournalLine,
    Link,
    LinkDecision,
    Outcome,
    Pin,
    Reply,
    Run,
    RunState,
    Sweep,
)
from scimsync.model.plans import Plan
from scimsync.model.records import Batch, Cell, Reading, SourceHealth
from scimsync.scim.dialect import GENESYS, GENESYS_GROUP, Dialect
from scimsync.scim.drift import SCHEMAS
from scimsync.scim.messages import ErrorReport, Operation, version_of
from scimsync.scim.patch import apply
from scimsync.scim.schema import Catalog, Schema

_P = ParamSpec("_P")
_T = TypeVar("_T")

# Store


class MemoryStore:
    """The state of one process, gone when it ends. May be used from several threads.

    Args:
        artifacts: the folder of the artifacts; a temporary one, removed with the store, where none is given.
    """

    def __init__(self, artifacts: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._owner = ""
        self._runs: dict[str, Run] = {}
        self._numbers = count(1)
        self._frozen: dict[tuple[str, str], str] = {}
        self._links: dict[str, Link] = {}
        self._sources: set[str] = set()
        self._decisions: list[LinkDecision] = []
        self._deferred: dict[tuple[str, str], Deferred] = {}
        self._memberships: dict[Membership, None] = {}
        self._group_memory = GroupMemory()
        self._journal: list[JournalLine] = []
        self._pins: list[Pin] = []
        self._secret = secrets.token_bytes(32)
        self._head = ledger.beginning(f"scimsync/{secrets.token_hex(8)}")
        self._entries: list[Entry] = []
        self._keys: dict[str, PersonKey] = {}
        self._checkpoints: dict[int, str] = {}
        self._letters: dict[int, Letter] = {}
        self._seqs = count(1)
        self._calls: dict[str, tuple[Call, bool]] = {}
        self._artifacts = artifacts or Path(tempfile.mkdtemp(prefix="scimsync-"))
        if artifacts is None:
            weakref.finalize(self, shutil.rmtree, self._artifacts, ignore_errors=True)
        if not self._artifacts.exists():
            self._artifacts.mkdir(parents=True)
            self._artifacts.chmod(0o700)

    @contextmanager
    def lease(self, owner: str) -> Iterator[None]:
        """Hold the right to write to the target.

        Raises:
            StoreLocked: Somebody holds it.
        """
        with self._lock:
            if self._owner:
                raise StoreLocked(f"{self._owner} is at work. Wait until it ends; then start again.")
            self._owner = owner or "scimsync"
        try:
            yield
        finally:
            self._owner = ""

    def save_run(self, run: Run, letters: Sequence[Letter] = ()) -> None:
        """Insert or replace a run, and keep the letters that tell of it."""
        with self._lock:
            held = self._runs.get(run.id, run)
            seq = held.seq or next(self._numbers)
            begun = next(self._numbers) if run.begins(held.begun) else held.begun
            self._runs[run.id] = replace(run, seq=seq, begun=begun)
            self._post(letters)

    def runs(self, limit: int = 50) -> Sequence[Run]:
        """The latest runs, newest first, by their number."""
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: run.seq, reverse=True)[:limit]

    def begun(self, limit: int = 50) -> Sequence[Run]:
        """The runs that somebody began to apply, the one that was begun last first."""
        with self._lock:
            begun = [run for run in self._runs.values() if run.begun]
        return sorted(begun, key=lambda run: run.begun, reverse=True)[:limit]

    def run(self, run_id: str) -> Run | None:
        """One run by its id, or by an unambiguous beginning of it.

        Raises:
            ConfigError: Several runs begin so; the message lists them.
        """
        with self._lock:
            found = {name: run for name, run in sorted(self._runs.items()) if run_id and name.startswith(run_id)}
        if run_id in found or len(found) <= 1:
            return found.get(run_id) or next(iter(found.values()), None)
        raise ConfigError(f"several runs begin with {run_id}: {', '.join(found)}. Give more of the id.")

    def worked(self, since: datetime) -> Sequence[Run]:
        """The runs that somebody began to apply since a moment, and those that are still at it or were cut short."""
        with self._lock:
            runs = sorted(self._runs.values(), key=lambda run: run.seq)
        return [run for run in runs if run.state is RunState.APPLYING or (run.began and run.began >= since)]

    def frozen(self, source: str) -> Mapping[str, str]:
        """The kinds of change of a source that wait for an answer, each with the run that was refused."""
        with self._lock:
            return {kind: run for (of, kind), run in self._frozen.items() if of == source}

    def change_frozen(self, source: str, add: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        """Forget refusals that were answered, and note others."""
        with self._lock:
            for kind in remove:
                self._frozen.pop((source, kind), None)
            self._frozen |= {(source, kind): run for kind, run in add.items()}

    def last_applied(self, source: str | None = None) -> Run | None:
        """The run (of one source, where one is named) that left the latest base, by the number in its name."""
        with self._lock:
            based = [run for run in self._runs.values() if run.base and source in {None, run.source}]
        return max(based, key=lambda run: (run.base, run.id), default=None)

    def links(self) -> Iterator[Link]:
        """All links."""
        with self._lock:
            held = list(self._links.values())
        yield from held

    def owner_of(self, account: str) -> str | None:
        """The key that an account is linked to."""
        with self._lock:
            return next((key for key, held in self._links.items() if held.account == account), None)

    def save_links(self, links: Iterable[Link], released: Collection[str] = ()) -> Sequence[Link]:
        """Insert or replace links; those to accounts of other keys, which were not released, are given back."""
        refused = []
        with self._lock:
            for link in links:
                owner = next((key for key, held in self._links.items() if held.account == link.account), link.key)
                if owner not in {link.key, *released}:
                    refused.append(link)
                    continue
                self._links.pop(owner, None)
                self._links[link.key] = link
                self._sources |= {link.source} - {""}
        return refused

    def take_links(self, former: str, source: str) -> None:
        """Give all links of one source to another."""
        with self._lock:
            self._links |= {key: replace(x, source=source) for key, x in self._links.items() if x.source == former}
            self._sources |= {source} - {""}

    def sources(self) -> frozenset[str]:
        """The sources that have, or ever had, a link."""
        return frozenset(self._sources)

    def decide_link(self, decision: LinkDecision) -> None:
        """Keep that a record and an account are one person, or are not, and make the links so."""
        with self._lock:
            self._decisions.append(decision)
            for key, held in list(self._links.items()):
                if held.account == decision.account and (decision.same or key == decision.key):
                    del self._links[key]
            if decision.same:
                self._links[decision.key] = Link(decision.key, decision.account, decision.source)
                self._sources |= {decision.source} - {""}

    def link_decisions(self) -> Sequence[LinkDecision]:
        """All of them, oldest first."""
        with self._lock:
            return list(self._decisions)

    def deferred(self) -> Iterator[Deferred]:
        """References that wait for an account, by key and path."""
        with self._lock:
            held = sorted(self._deferred.items())
        yield from (edge for _, edge in held)

    def save_deferred(self, waiting: Iterable[Deferred], settled: Iterable[tuple[str, str]] = ()) -> None:
        """Forget the settled ones and remember those that wait; one that waits already stays as it is."""
        with self._lock:
            for pair in settled:
                self._deferred.pop(pair, None)
            for edge in waiting:
                held = self._deferred.get((edge.key, edge.path))
                if held is None or held.awaits != edge.awaits:
                    self._deferred[edge.key, edge.path] = edge

    def memberships(self) -> Iterator[Membership]:
        """The memberships that both sides last agreed on."""
        with self._lock:
            held = list(self._memberships)
        yield from held

    def change_memberships(self, add: Iterable[Membership], remove: Iterable[Membership]) -> None:
        """Take memberships into what was agreed, and out of it."""
        with self._lock:
            for gone in remove:
                self._memberships.pop(gone, None)
            self._memberships |= dict.fromkeys(add)

    def group_memory(self) -> GroupMemory:
        """What earlier runs learned of groups."""
        with self._lock:
            return self._group_memory

    def remember_groups(self, memory: GroupMemory) -> None:
        """Remember this of groups, in place of what was remembered before."""
        with self._lock:
            self._group_memory = memory

    def append(
        self, lines: Sequence[JournalLine], records: Sequence[Record] = (), letters: Sequence[Letter] = ()
    ) -> None:
        """Keep journal lines and letters, and chain audit records."""
        with self._lock:
            self._journal.extend(lines)
            self._chain(records)
            self._post(letters)

    def journal(self, run_id: str, *, since: datetime | None = None) -> Iterator[JournalLine]:
        """The lines of one run in the order they were written; only later ones, where `since` says so."""
        with self._lock:
            held = [line for line in self._journal if line.run == run_id and (since is None or line.at >= since)]
        yield from held

    def save_pin(self, pin: Pin) -> None:
        """Record a baseline; those before it are kept as history."""
        with self._lock:
            self._pins.append(pin)

    def pin(self, target: str) -> Pin | None:
        """The latest baseline of a target."""
        with self._lock:
            return next((pin for pin in reversed(self._pins) if pin.target == target), None)

    def head(self) -> Head:
        """The end of the audit chain."""
        return self._head

    def entries(
        self, *, after: int = 0, run: str = "", kind: str = "", people: Sequence[str] = (), newest: int = 0
    ) -> Iterator[Entry]:
        """The audit chain in its order."""
        with self._lock:
            held = [
                entry
                for entry in self._entries[after:]
                if run in {"", entry.run} and kind in {"", entry.kind} and (not people or entry.person in people)
            ]
        yield from held[-newest:]

    def keys(self, person: str) -> Sequence[PersonKey]:
        """Every key that a person ever had in the audit chain, oldest first."""
        return ledger.lives(self._secret, person, self._keys.get)

    def key(self, pseudonym: str) -> PersonKey | None:
        """The key kept under a pseudonym."""
        return self._keys.get(pseudonym)

    def erase(self, person: str, record: Record) -> int:
        """Destroy the key of a person and record that; how many keys were destroyed."""
        with self._lock:
            live = [key for key in self.keys(person) if key.secret]
            if live:
                self._chain([record])
            for key in live:
                self._keys[key.pseudonym] = ledger.erased(key, record.at, record.actor)
        return len(live)

    def save_checkpoint(self, size: int, at: datetime, note: str) -> None:  # noqa: ARG002
        """Keep a signed checkpoint; one of the same size is replaced."""
        self._checkpoints[size] = note

    def checkpoints(self) -> Sequence[str]:
        """The signed checkpoints, the smallest first."""
        return [note for _, note in sorted(self._checkpoints.items())]

    def _chain(self, records: Sequence[Record]) -> None:
        book = ledger.Ledger(self._head, self._secret, self._keys.get, secrets.token_bytes)
        self._entries += book.add(records)
        self._keys |= book.made
        self._head = book.head

    def post(self, letters: Sequence[Letter]) -> None:
        """Keep letters that belong to no outcome."""
        with self._lock:
            self._post(letters)

    def _post(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            seq = next(self._seqs)
            self._letters[seq] = replace(letter, seq=seq)

    def _heads(self, endpoint: str) -> list[Letter]:
        """The pending letters that wait for no other: of each person the oldest."""
        first: dict[str, Letter] = {}
        for letter in self._letters.values():
            if letter.endpoint == endpoint and letter.state is LetterState.PENDING:
                first.setdefault(letter.person, letter)
        return sorted(first.values(), key=lambda letter: (letter.due, letter.seq))

    def take(self, endpoint: str, now: datetime, until: datetime, limit: int) -> Sequence[Letter]:
        """Letters that are due, earliest first, and nobody else's until `until`; of each person the oldest only."""
        with self._lock:
            due = [letter for letter in self._heads(endpoint) if letter.due <= now][:limit]
            self._letters |= {letter.seq: replace(letter, due=until) for letter in due}
        return due

    def next_due(self, endpoint: str) -> datetime | None:
        """When the first letter that waits for no other is due; None where nothing is pending."""
        with self._lock:
            return next((letter.due for letter in self._heads(endpoint)), None)

    def settle(self, letters: Sequence[Letter]) -> None:
        """Keep what became of letters, by their `seq`. One that was settled by somebody else stays."""
        with self._lock:
            self._letters |= {x.seq: x for x in letters if self._letters[x.seq].state is LetterState.PENDING}

    def hasten(self, endpoint: str, now: datetime) -> None:
        """Make everything that is pending due now and its tries uncounted, because the endpoint is back."""
        tried = [x for x in self._of(endpoint, LetterState.PENDING) if x.attempts]
        self._change(lambda x: replace(x, due=now, attempts=0), tried)

    def bury(self, endpoint: str, detail: str, before: datetime | None = None) -> int:
        """Give up what is pending (and older than `before`, where given); how many that were."""
        old = [x for x in self._of(endpoint, LetterState.PENDING) if before is None or x.created < before]
        return self._change(lambda x: replace(x, state=LetterState.DEAD, detail=detail), old)

    def redrive(self, ids: Sequence[str], now: datetime) -> int:
        """Make dead letters pending and due again, all where `ids` is empty; how many that were."""
        dead = [x for x in self._of("", LetterState.DEAD) if not ids or x.id in ids]
        return self._change(lambda x: replace(x, state=LetterState.PENDING, attempts=0, due=now, created=now), dead)

    def _of(self, endpoint: str, state: LetterState) -> list[Letter]:
        with self._lock:
            return [x for x in self._letters.values() if x.state is state and endpoint in {"", x.endpoint}]

    def _change(self, how: Callable[[Letter], Letter], which: Sequence[Letter]) -> int:
        with self._lock:
            self._letters |= {letter.seq: how(letter) for letter in which}
        return len(which)

    def letters(self, endpoint: str, state: LetterState, limit: int = 50) -> Sequence[Letter]:
        """The latest letters of an endpoint in a state, newest first."""
        return sorted(self._of(endpoint, state), key=lambda letter: -letter.seq)[:limit]

    def outbox(self) -> Mapping[str, Mapping[LetterState, int]]:
        """How many letters each endpoint has in each state."""
        with self._lock:
            counted = Counter((letter.endpoint, letter.state) for letter in self._letters.values())
        return {name: {s: n for (other, s), n in counted.items() if other == name} for name, _ in counted}

    def last_trouble(self, endpoint: str) -> Letter | None:
        """The letter that was tried last of those that have not arrived."""
        missing = [*self._of(endpoint, LetterState.PENDING), *self._of(endpoint, LetterState.DEAD)]
        tried = [(letter.tried, letter.seq, letter) for letter in missing if letter.tried is not None]
        return max(tried, key=lambda found: found[:2])[2] if tried else None

    def forget_letters(self, before: datetime) -> int:
        """Drop letters that were delivered before a time; how many that were."""
        old = [x.seq for x in self._of("", LetterState.DELIVERED) if x.delivered is not None and x.delivered < before]
        with self._lock:
            for seq in old:
                del self._letters[seq]
        return len(old)

    def accept(self, call: Call) -> bool:
        """Keep a call; False where one with this id was kept before."""
        with self._lock:
            new = call.id not in self._calls
            if new:
                self._calls[call.id] = (call, False)
            return new

    def waiting(self, limit: int = 100) -> Sequence[Call]:
        """Calls that no run has answered yet, oldest first."""
        with self._lock:
            return [call for call, answered in self._calls.values() if not answered][:limit]

    def answered(self, ids: Sequence[str]) -> None:
        """Note that a run has looked at the people of these calls."""
        with self._lock:
            self._calls |= {name: (self._calls[name][0], True) for name in ids if name in self._calls}

    def forget_calls(self, before: datetime) -> None:
        """Drop calls that came before a time and were answered."""
        with self._lock:
            self._calls = {n: (call, done) for n, (call, done) in self._calls.items() if not done or call.at >= before}

    def artifact(self, name: str) -> Path:
        """Where an artifact of that name is or shall be; the folder exists with mode 0700.

        Raises:
            StoreError: The name is not one of letters, digits, dot, line and underline.
        """
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or name in {".", ".."}:
            raise StoreError(f"{name!r} cannot name an artifact; use letters, digits, '.', '-' and '_'.")
        return self._artifacts / name

    def close(self) -> None:
        """Do nothing: there is nothing to let go of, and what was kept can still be read."""


# Source


@dataclass(frozen=True, slots=True)
class ListSource:
    """A source that holds its rows. The first row stands at place 1."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    #: whether the absence of a person means something
    proven: bool = True
    name: str = "list"

    def read(self) -> Reading:
        """Its columns, and its rows in batches of a thousand."""
        batches = (
            Batch(self.rows[start : start + 1000], range(start + 1, min(start + 1000, len(self.rows)) + 1))
            for start in range(0, len(self.rows), 1000)
        )
        return Reading(columns=tuple(self.columns), batches=batches, proven=self.proven)


# Target

_GROUPS = Catalog(GENESYS_GROUP)


def members_of(group: Mapping[str, object]) -> set[str]:
    """The ids of the members of a group."""
    members = group.get("members")
    return {str(member["value"]) for member in members} if isinstance(members, list) else set()


class MemoryTarget:
    """A directory in memory with versions, unique logins and RFC 7644 PATCH.

    Edit `users` and `groups` to play a foreign hand.

    Args:
        dialect: whose schemas the resources follow.
        users: resources to begin with; an id and a version are given where there is none.
        names: kind -> the names that exist; a kind that is not given cannot be known.
        groups: the same for groups.
    """

    name = "memory://target"
    rate = 60_000

    def __init__(
        self,
        dialect: Dialect = GENESYS,
        users: Iterable[Mapping[str, object]] = (),
        names: Mapping[str, Iterable[str]] | None = None,
        groups: Iterable[Mapping[str, object]] = (),
    ) -> None:
        self._dialect = dialect
        self._names = {kind: frozenset(listed) for kind, listed in (names or {}).items()}
        self._ids = count(1)
        #: what it publishes; set others to let them drift
        self.schemas: Sequence[Schema] = dialect.users.schemas
        #: resources by id
        self.users: dict[str, dict[str, object]] = {}
        #: what sweeps and searches show, where they lag; None: what is there
        self.listed: dict[str, dict[str, object]] | None = None
        for user in users:
            self._put({"active": True, **user}, version=1)
        self.groups: dict[str, dict[str, object]] = {}
        for group in groups:
            self._put_group(dict(group), version=1)

    def _put_group(self, group: dict[str, object], *, version: int) -> dict[str, object]:
        identity = str(group.get("id") or f"00000000-0000-4000-9000-{next(self._ids):012d}")
        self.groups[identity] = {**group, "id": identity, "meta": {"resourceType": "Group", "version": str(version)}}
        return self.groups[identity]

    def _put(self, user: dict[str, object], *, version: int) -> dict[str, object]:
        identity = str(user.get("id") or f"00000000-0000-4000-8000-{next(self._ids):012d}")
        self.users[identity] = {**user, "id": identity, "meta": {"resourceType": "User", "version": str(version)}}
        return self.users[identity]

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:  # noqa: ARG002
        """Hand over all accounts, with every attribute."""
        shown = self._shown()
        sink([msgspec.json.encode(user) for user in shown.values()])
        return Sweep(accounts=len(shown), announced=len(shown), requests=1)

    def lag(self) -> None:
        """From now on sweeps and searches show what is there at this moment."""
        self.listed = copy.deepcopy(self.users)

    def _shown(self) -> dict[str, dict[str, object]]:
        return self.users if self.listed is None else self.listed

    async def get(self, account: str) -> Reply:
        """Read one account."""
        user = self.users.get(account)
        return self._refused("GET", 404, "not found") if user is None else self._answered("GET", user)

    async def find(self, attribute: str, value: str) -> Sequence[Reply]:
        """Accounts whose attribute equals the value, case ignored."""
        place = self._dialect.users.resolve(attribute)
        wanted = value.casefold()
        return [
            self._answered("GET", user)
            for user in self._shown().values()
            if str(place.read(user) or "").casefold() == wanted
        ]

    async def names(self, kind: str) -> frozenset[str] | None:
        """The names of a kind, as they were given."""
        return self._names.get(kind)

    async def create(self, resource: dict[str, object]) -> Reply:
        """POST: 201, or 409 where the login is taken."""
        login = str(resource.get("userName", "")).casefold()
        if any(str(user.get("userName", "")).casefold() == login for user in self.users.values()):
            return self._refused("POST", 409, "the user name is taken", "uniqueness")
        return self._answered("POST", self._put({"active": True, **resource}, version=1), status=201)

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH: 200 with the account, 400 `invalidVers` where the version has moved."""
        if not version:
            raise ValueError("a PATCH needs a version")
        user = self.users.get(account)
        if user is None:
            return self._refused("PATCH", 404, "not found")
        held = self._answered("GET", user).version
        if held != version:
            return self._refused("PATCH", 400, "the version does not match the current version", "invalidVers")
        try:
            changed = apply(user, operations, self._dialect.users)
        except ProtocolError as error:
            return self._refused("PATCH", 400, str(error), error.scim_type)
        return self._answered("PATCH", self._put(changed, version=int(held) + 1))

    async def list_groups(
        self,
        sink: Callable[[Sequence[bytes]], None],
        wanted: Sequence[tuple[str, str]] = (),  # noqa: ARG002
    ) -> Sweep:
        """Hand over all groups, without their members."""
        bare = [{name: held for name, held in group.items() if name != "members"} for group in self.groups.values()]
        sink([msgspec.json.encode(group) for group in bare])
        return Sweep(accounts=len(bare), announced=len(bare), requests=1)

    async def get_group(self, group: str) -> Reply:
        """Read one group, with its members."""
        held = self.groups.get(group)
        return self._refused("GET", 404, "not found") if held is None else self._answered("GET", held)

    async def patch_group(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH: as `patch`; a new member must be an account or a group."""
        if not version:
            raise ValueError("a PATCH needs a version")
        held = self.groups.get(group)
        if held is None:
            return self._refused("PATCH", 404, "not found")
        before = self._answered("GET", held).version
        if before != version:
            return self._refused("PATCH", 400, "the version does not match the current version", "invalidVers")
        try:
            changed = apply(held, operations, _GROUPS)
        except ProtocolError as error:
            return self._refused("PATCH", 400, str(error), error.scim_type)
        if strangers := members_of(changed) - members_of(held) - self.users.keys() - self.groups.keys():
            return self._refused("PATCH", 400, f"there is no user or group {min(strangers)}", "invalidValue")
        return self._answered("PATCH", self._put_group(changed, version=int(before) + (changed != held)))

    async def describe(self, known: Mapping[str, Document] | None = None) -> Description:  # noqa: ARG002
        """The schemas that it publishes."""
        listed = [schema.to_json() for schema in self.schemas]
        return Description(documents={SCHEMAS: Document({"Resources": listed})})

    async def close(self) -> None:
        """Nothing to let go of."""

    def _answered(self, method: str, user: dict[str, object], *, status: int = 200) -> Reply:
        meta = user["meta"]
        version = version_of(meta.get("version")) if isinstance(meta, dict) else ""
        return Reply(
            exchange=Exchange.ANSWERED, method=method, status=status, body=copy.deepcopy(user), version=version
        )

    def _refused(self, method: str, status: int, detail: str, scim_type: str = "") -> Reply:
        error = ErrorReport(status=status, scim_type=scim_type, detail=detail)
        return Reply(exchange=Exchange.ANSWERED, method=method, status=status, error=error)


# Metrics


class KeptMetrics:
    """Metrics that remember what they were told: the name of the call and its members, no values of people."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[object, ...]]] = []

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """Keep one exchange."""
        self.told.append(("asked", (call, outcome, seconds)))

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        """Keep one more try."""
        self.told.append(("retried", (call, reason, wait_s)))

    def breaker(self, *, is_open: bool) -> None:
        """Keep the state of the breaker."""
        self.told.append(("breaker", (is_open,)))

    def read(self, health: SourceHealth, *, proven: bool) -> None:
        """Keep how the source was found."""
        self.told.append(("read", (health.rows, proven)))

    def planned(self, plan: Plan) -> None:
        """Keep the id and the size of a plan."""
        self.told.append(("planned", (plan.id, len(plan.changes))))

    def settled(self, action: str, outcome: Outcome, seconds: float) -> None:
        """Keep how a change ended."""
        self.told.append(("settled", (outcome.key, action, outcome.status.value, seconds)))

    def ended(self, work: str, state: str, seconds: float, rate: int) -> None:
        """Keep how the work ended."""
        self.told.append(("ended", (work, state, seconds, rate)))


# Clock


class VirtualClock:
    """Time that passes only while everybody waits: a run of hours plays in a moment, always in one order.

    When nothing in the event loop is ready and no work is out in `asyncio.to_thread`, the clock jumps to
    the sleeper that is due first and wakes it; sleepers due at one moment wake in the order they came.
    Real sockets are not seen: time flies while they are waited for. One loop at a time; where no loop
    runs, `advance` moves it.

    Examples:
        >>> clock, heard = VirtualClock(), []
        >>> async def wait(name, *naps):
        ...     for nap in naps:
        ...         await clock.sleep(nap)
        ...         heard.append((clock.monotonic(), name))
        >>> async def meet():
        ...     await asyncio.gather(wait("a", 10, 3590), wait("b", 3, 7), wait("c", 5))
        >>> asyncio.run(meet())
        >>> heard
        [(3.0, 'b'), (5.0, 'c'), (10.0, 'a'), (10.0, 'b'), (3600.0, 'a')]
        >>> clock.now().isoformat()
        '2026-01-01T01:00:00+00:00'
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = count()
        self._sleepers: list[_Sleeper] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = _CountedThreads()
        self._watching = False

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass for whoever looks; sleepers wake at their turn."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        self._enter(loop)
        sleeper = _Sleeper(self._elapsed + seconds, next(self._order), loop.create_future())
        heapq.heappush(self._sleepers, sleeper)
        if not self._watching:
            self._watching = True
            loop.call_soon(self._watch, 0)
        await sleeper.woken

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        self._loop, self._sleepers, self._watching = loop, [], False
        self._threads = _CountedThreads()
        loop.set_default_executor(self._threads)

    def _watch(self, quiet: int) -> None:
        """Look again and again until the loop was quiet for a while; then wake who is due first."""
        while self._sleepers and self._sleepers[0].woken.done():  # cancelled
            heapq.heappop(self._sleepers)
        if not self._sleepers or self._loop is None:
            self._watching = False
            return
        if self._threads.busy:
            self._loop.call_later(0.0001, self._watch, 0)
            return
        # a loop that hides what is ready (uvloop) is given a number of turns instead
        ready = getattr(self._loop, "_ready", None)
        enough = 3 if ready is not None else 50
        if ready or quiet < enough:
            self._loop.call_soon(self._watch, 0 if ready else quiet + 1)
            return
        self._wake()
        self._loop.call_soon(self._watch, 0)

    def _wake(self) -> None:
        due = self._sleepers[0].due
        self._elapsed = max(self._elapsed, due)
        while self._sleepers and self._sleepers[0].due <= due:
            sleeper = heapq.heappop(self._sleepers)
            if not sleeper.woken.done():
                sleeper.woken.set_result(None)


@dataclass(slots=True, order=True)
class _Sleeper:
    due: float
    order: int
    woken: asyncio.Future[None] = field(compare=False)


class _CountedThreads(ThreadPoolExecutor):
    """Threads that know whether work is out, from the submission until the loop has heard of its end."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="scimsync-virtual")
        self.busy = 0

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """As its parent does, called from the loop."""
        future = super().submit(fn, *args, **kwargs)
        loop = asyncio.get_running_loop()
        self.busy += 1
        # registered a turn later, so that asyncio hears of the end first
        loop.call_soon(future.add_done_callback, lambda _: loop.call_soon_threadsafe(self._ended))
        return future

    def _ended(self) -> None:
        self.busy -= 1

"""Official twins of the ports, in memory: they behave as the adapters do and pass the same contracts.

MemoryStore   the Store port      ListSource     the Source port
VirtualClock  the Clock port      MemoryTarget   the Target port
"""

from __future__ import annotations

import asyncio
import copy
import heapq
import re
import shutil
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from scimsync.errors import ConfigError, ProtocolError, StoreError, StoreLocked
from scimsync.model.events import Call, Letter, LetterState
from scimsync.model.outcomes import Description, Exchange, JournalLine, Link, Reply, Run, Sweep
from scimsync.model.records import Batch, Cell, Reading
from scimsync.scim.dialect import GENESYS, Dialect
from scimsync.scim.messages import ErrorReport, Operation, version_of
from scimsync.scim.patch import apply

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
        self._links: dict[str, Link] = {}
        self._journal: list[JournalLine] = []
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
            self._runs[run.id] = run
            self._post(letters)

    def runs(self, limit: int = 50) -> Sequence[Run]:
        """The latest runs, newest first."""
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: (run.created, run.id), reverse=True)[:limit]

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

    def last_applied(self) -> Run | None:
        """The run that left the latest base, by the number in its name: clocks may step back."""
        with self._lock:
            based = [run for run in self._runs.values() if run.base]
        return max(based, key=lambda run: (run.base, run.id), default=None)

    def links(self) -> Iterator[Link]:
        """All links."""
        with self._lock:
            held = list(self._links.values())
        yield from held

    def save_links(self, links: Iterable[Link]) -> None:
        """Insert or replace links; an account has one owner, so a former link to it goes."""
        with self._lock:
            for link in links:
                former = [key for key, held in self._links.items() if held.account == link.account]
                for key in former:
                    del self._links[key]
                self._links[link.key] = link

    def append(self, lines: Sequence[JournalLine], letters: Sequence[Letter] = ()) -> None:
        """Keep journal lines, and the letters that tell of them."""
        with self._lock:
            self._journal.extend(lines)
            self._post(letters)

    def journal(self, run_id: str) -> Iterator[JournalLine]:
        """The lines of one run in the order they were written."""
        with self._lock:
            held = [line for line in self._journal if line.run == run_id]
        yield from held

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


class MemoryTarget:
    """A directory in memory with versions, unique logins and RFC 7644 PATCH. Edit `users` to play a foreign hand.

    Args:
        dialect: whose schemas the resources follow.
        users: resources to begin with; an id and a version are given where there is none.
    """

    name = "memory://target"
    rate = 60_000

    def __init__(self, dialect: Dialect = GENESYS, users: Iterable[Mapping[str, object]] = ()) -> None:
        self._dialect = dialect
        self._ids = count(1)
        #: resources by id
        self.users: dict[str, dict[str, object]] = {}
        for user in users:
            self._put({"active": True, **user}, version=1)

    def _put(self, user: dict[str, object], *, version: int) -> dict[str, object]:
        identity = str(user.get("id") or f"00000000-0000-4000-8000-{next(self._ids):012d}")
        self.users[identity] = {**user, "id": identity, "meta": {"resourceType": "User", "version": str(version)}}
        return self.users[identity]

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:  # noqa: ARG002
        """Hand over all accounts, with every attribute."""
        sink([msgspec.json.encode(user) for user in self.users.values()])
        return Sweep(accounts=len(self.users), announced=len(self.users), requests=1)

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
            for user in self.users.values()
            if str(place.read(user) or "").casefold() == wanted
        ]

    async def create(self, resource: dict[str, object]) -> Reply:
        """POST: 201, or 409 where the login is taken."""
        if await self.find("userName", str(resource.get("userName", ""))):
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

    async def describe(self) -> Description:
        """The schemas of the dialect."""
        return Description(config={}, schemas={"Resources": [s.to_json() for s in self._dialect.users.schemas]})

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

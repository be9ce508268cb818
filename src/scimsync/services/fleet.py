"""Many organisations as one: plan, synchronise, approve and look at each; one that is broken holds up nobody.

Each organisation is worked on in a thread of its own, so many at a time, with a configuration that is read anew and a
state of its own. What comes of it is a line of a table, and trouble with one organisation is a line too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync import files
from scimsync.bootstrap import now
from scimsync.config import Fleet, Member, Settings, load, shared
from scimsync.core import leaving, waiting
from scimsync.engine import preceding
from scimsync.engine.ports import Store
from scimsync.errors import ConfigError, PlanRefused, PlanWaits, ScimsyncError, StoreLocked
from scimsync.model.decisions import Actor
from scimsync.model.outcomes import RunState
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.services import applying, approving, planning, state
from scimsync.services.planning import Choices

#: exit codes from best to worst: the fleet ends with the worst of its organisations
RANKS = (0, 10, 11, 4, 3, 5, 6, 2, 1)
#: finished with some changes held or failed
NOT_ALL_DONE = 11
#: what marks runs that are under way, beside the fleet file
_UNDER_WAY = ".scimsync/fleet"


class Line(Struct, frozen=True, kw_only=True):
    """How one organisation stands, or what came of work for it."""

    name: str
    #: in a word or two
    word: str
    #: the exit code that the command for it alone would have had
    code: int = 0
    run: str = ""
    #: what was planned or done: action or outcome -> how many people
    numbers: Mapping[str, int] = field(default_factory=dict)
    #: what a person should know
    says: str = ""
    #: when its last run came to its end; None where that is not known
    at: datetime | None = None


class Told(Protocol):
    """Told of what a person should know about an organisation, from several threads."""

    def __call__(self, name: str, text: str, /) -> None:
        """Take it."""
        ...


class Stop:
    """What tells all organisations that are at work to come to an end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ears: dict[int, Callable[[], None]] = {}
        self.is_set = False

    def set(self) -> None:
        """Begin nothing more, and bring what is under way to its end."""
        with self._lock:
            self.is_set = True
            for ear in self._ears.values():
                ear()

    @contextmanager
    def heard(self) -> Iterator[asyncio.Event]:
        """An event of the running loop, set when all shall stop."""
        event, loop = asyncio.Event(), asyncio.get_running_loop()

        def ear() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        with self._lock:
            self._ears[id(event)] = ear
            if self.is_set:
                event.set()
        try:
            yield event
        finally:
            with self._lock:
                del self._ears[id(event)]


class Work(Protocol):
    """What is done for one organisation."""

    def __call__(self, member: Member, settings: Settings, told: Told, stop: Stop, /) -> Line:
        """Do it.

        Raises:
            ScimsyncError: It could not be done for this organisation.
        """
        ...


def worst(codes: Sequence[int]) -> int:
    """The exit code of a fleet: the worst of its organisations, by `RANKS`.

    Examples:
        >>> worst([0, 11, 5, 4]), worst([])
        (5, 0)
    """
    return max(codes, key=lambda code: RANKS.index(code) if code in RANKS else len(RANKS), default=0)


def select(fleet: Fleet, wanted: Sequence[str]) -> list[Member]:
    """The organisations that have all of these labels, `LABEL=VALUE` or `name=NAME`.

    Raises:
        ConfigError: A label is not written so, or nobody has it.
    """
    pairs = []
    for one in wanted:
        label, equals, value = one.partition("=")
        if not equals or not label:
            raise ConfigError(f"--select {one}: write LABEL=VALUE, for instance region=eu, or name=berlin")
        pairs.append((label, value))
    found = [member for member in fleet.members if member.matches(pairs)]
    if not found and wanted:
        raise ConfigError(f"--select {' '.join(wanted)}: no organisation of {fleet.file.name} has that.")
    return found


def loaded(fleet: Fleet, *, secrets: bool) -> tuple[dict[str, Settings], dict[str, Line]]:
    """The settings of each organisation, and a line for each that cannot be worked on.

    Args:
        fleet: The fleet.
        secrets: Whether credentials are needed; else an organisation without them is looked at all the same.
    """
    found: dict[str, Settings] = {}
    faulty: dict[str, Line] = {}
    for member in fleet.members:
        try:
            found[member.name] = settings_of(fleet, member, secrets=secrets)
        except ScimsyncError as error:
            faulty[member.name] = failed(member.name, error, "not loaded")
    for name, why in shared(found).items():
        faulty[name] = Line(name=name, word="refused", code=ConfigError.exit_code, says=why)
        del found[name]
    return found, faulty


def settings_of(fleet: Fleet, member: Member, *, secrets: bool = True) -> Settings:
    """The settings of one organisation, with its secrets as they are now.

    Raises:
        ConfigError: With every fault of its configuration.
    """
    place = fleet.place(member)
    if secrets:
        return load(place)
    try:
        return load(place)
    except ConfigError:
        return load(place, secrets=False)


def each(
    fleet: Fleet, members: Sequence[Member], work: Work, told: Told, *, secrets: bool = True, stop: Stop | None = None
) -> Generator[Line]:
    """Work on organisations, so many at a time; the line of each as soon as it is done.

    Who walks away from it stops it: nothing more is begun, and what is under way is brought to its end.

    Args:
        fleet: The fleet; all of it is read, because a mistake may lie between two of which one is not selected.
        members: Who is worked on.
        work: What is done.
        told: Told of what a person should know meanwhile.
        secrets: Whether credentials are needed.
        stop: What tells all to stop; one of its own where None.
    """
    found, faulty = loaded(fleet, secrets=secrets)
    stop = stop or Stop()
    yield from (faulty[member.name] for member in members if member.name in faulty)
    pool = ThreadPoolExecutor(fleet.at_once, thread_name_prefix="scimsync-fleet")
    try:
        left: set[Future[Line]] = {
            pool.submit(copy_context().run, _safely, work, member, found[member.name], told, stop)
            for member in members
            if member.name in found
        }
        while left:
            done, left = wait(left, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in done)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _safely(work: Work, member: Member, settings: Settings, told: Told, stop: Stop) -> Line:
    """A line, whatever happens: a fault of ours in one organisation is none of the others."""
    if stop.is_set:
        return Line(name=member.name, word="not begun", code=NOT_ALL_DONE, says="the fleet was stopped before its turn")
    try:
        return work(member, settings, told, stop)
    except BaseException as raised:  # noqa: BLE001 - as above
        return failed(member.name, raised)


def first(raised: BaseException) -> BaseException:
    """What went wrong first."""
    while isinstance(raised, BaseExceptionGroup):
        raised = raised.exceptions[0]
    return raised


def failed(name: str, raised: BaseException, word: str = "") -> Line:
    """What went wrong, as a line."""
    raised = first(raised)
    if not isinstance(raised, ScimsyncError):
        return Line(name=name, word="broke", code=1, says=f"internal error ({type(raised).__name__})")
    busy = isinstance(raised, StoreLocked)
    kinds = ((PlanWaits, "waits"), (PlanRefused, "refused"), (StoreLocked, "busy"))
    found = next((one for kind, one in kinds if isinstance(raised, kind)), "failed")
    says = str(raised).replace("\n", "; ")
    return Line(name=name, word=word or found, code=raised.exit_code, says=says if not busy else str(raised))


class _Named:
    """An observer that says whom it is about."""

    def __init__(self, name: str, told: Told) -> None:
        self._name, self._told = name, told

    def stage(self, name: str, total: int | None = None) -> None:
        """Nothing to show."""

    def advance(self, steps: int = 1) -> None:
        """Nothing to show."""

    def say(self, text: str) -> None:
        """Pass it on."""
        self._told(self._name, text)


def observer(name: str, told: Told) -> _Named:
    """What a service tells is told as about this organisation."""
    return _Named(name, told)


# --- what is done for each ------------------------------------------------------------------------


def plan(member: Member, settings: Settings, told: Told, stop: Stop) -> Line:
    """Make a plan and store it; nothing is written to the target."""

    async def whole() -> Line:
        watch = observer(member.name, told)
        with state.open_store(settings) as store:
            if planning.has_unfinished(store):
                await applying.settle_where_free(settings, store, watch)
            if stop.is_set:
                return _safely(plan, member, settings, told, stop)
            return planned(member.name, settings, store, await planning.plan(settings, store, watch, Choices()))

    return asyncio.run(whole())


def planned(name: str, settings: Settings, store: Store, made: Plan) -> Line:
    """What a plan says, as a line."""
    numbers = {word: number for word, number in made.tally.actions.items() if number and word != "none"}
    line = Line(name=name, word="planned" if made.writes else "quiet", run=made.id, numbers=numbers)
    says = [leaving.sentence(kept)] if (kept := leaving.by_plan(made)) else []
    if made.refusals:
        says += [f"{one.rule}: {one.summary}" for one in made.refusals]
        return replace(line, word="refused", code=PlanRefused.exit_code, says="; ".join(says))
    if words := approving.wait(settings, store, made):
        return replace(line, word="waits", code=PlanWaits.exit_code, says="; ".join([*says, words]))
    return replace(line, says="; ".join(says))


class Sync:
    """Plan, check the limits, apply; a run that was cut short is settled before.

    A plan that waited and was approved is applied instead of a new one.

    Args:
        fleet: The fleet, beside whose file runs are marked that are under way.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def __call__(self, member: Member, settings: Settings, told: Told, stop: Stop) -> Line:
        """Do it for one organisation."""
        return asyncio.run(self._whole(member, settings, told, stop))

    async def _whole(self, member: Member, settings: Settings, told: Told, stop: Stop) -> Line:
        watch = observer(member.name, told)
        with state.held(settings) as store, stop.heard() as stopping:
            await applying.settle(settings, store, watch)
            ready = approving.ready(settings, store)
            made = ready.plan if ready else await planning.plan(settings, store, watch, Choices())
            line = planned(member.name, settings, store, made)
            if line.code or stopping.is_set():
                return line if line.code else replace(line, word="stopped", code=NOT_ALL_DONE)
            with under_way(self._fleet.file, member.name) as over:
                report = await applying.apply(settings, store, watch, (made, store.run(made.id)), Choices(), stopping)
                if not report.left and not report.stopped:
                    over()
        return applied(member.name, made, report)


def applied(name: str, made: Plan, report: Report) -> Line:
    """What came of a run, as a line."""
    says = [one for one in (report.stopped, leaving.sentence(report.kept) if report.kept else "") if one]
    is_good = report.clean and not report.kept and not waiting.waits(made)
    word = "stopped" if report.stopped or report.left else ("done" if made.writes else "quiet") if is_good else "held"
    code = 0 if is_good else NOT_ALL_DONE
    return Line(
        name=name, word=word, code=code, run=report.run, numbers=report.statuses, says="; ".join(says), at=now()
    )


class Approve:
    """Approve the latest plan of an organisation that waits.

    Args:
        who: Who approves.
        reason: What was looked at.
    """

    def __init__(self, who: Actor, reason: str) -> None:
        self._who, self._reason = who, reason

    def __call__(self, member: Member, settings: Settings, told: Told, stop: Stop) -> Line:  # noqa: ARG002
        """Approve it; where none waits, that is said."""
        with state.open_store(settings) as store:
            one = next(iter(approving.waiting(settings, store)), None)
            if one is None:
                return Line(name=member.name, word="nothing", says="no plan waits for approvals")
            after = approving.approve(settings, store, one.plan.id, self._who, self._reason)
        says = approving.words(after)
        return Line(name=member.name, word="waits" if says else "approved", run=one.plan.id, says=says)


def status(member: Member, settings: Settings, told: Told, stop: Stop) -> Line:  # noqa: ARG001 - as all work
    """How an organisation stands, from its state alone."""
    with state.open_store(settings) as store:
        return status_of(member.name, settings, store)


def status_of(name: str, settings: Settings, store: Store) -> Line:
    """The same, where the state is at hand."""
    runs = [run for run in store.runs(50) if run.state is not RunState.OFFLINE]
    latest = runs[0] if runs else None
    ended = next((run for run in store.begun(50) if run.finished is not None), None)
    if latest is None:
        return Line(name=name, word="new", says="no run yet")
    line = Line(
        name=name,
        word=latest.state.value,
        run=latest.id,
        numbers=latest.statuses,
        at=ended.finished if ended is not None else None,
    )
    if (cut := preceding.unfinished(store)) is not None:
        says = "it was begun and has not come to its end; the next run settles it"
        return replace(line, word="unfinished", run=cut.id, code=NOT_ALL_DONE, says=says)
    if latest.state is RunState.REFUSED:
        return replace(line, code=PlanRefused.exit_code, says=f"look at it: scimsync runs {latest.id}")
    if latest.state is RunState.PARTIAL:
        return replace(line, code=NOT_ALL_DONE, says=f"some changes were held or failed: scimsync runs {latest.id}")
    if latest.state is RunState.PLANNED:
        waits = next((approving.words(one) for one in approving.waiting(settings, store)), "")
        return replace(line, word="waits" if waits else "planned", code=PlanWaits.exit_code if waits else 0, says=waits)
    return line


# --- who is gone ----------------------------------------------------------------------------------


def _mark(fleet_file: Path, name: str) -> Path:
    """The file that is there as long as a run of an organisation is under way."""
    return fleet_file.parent / _UNDER_WAY / name


@contextmanager
def under_way(fleet_file: Path, name: str) -> Iterator[Callable[[], None]]:
    """Mark that a run of an organisation is under way; call what is given once it came to its end.

    So whoever takes the organisation out of the file meanwhile is told, even after a crash.
    """
    mark = _mark(fleet_file, name)
    with suppress(OSError):  # a mark is for people; nothing rests on it
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(mark, [now().isoformat(timespec="seconds").encode()])
    yield lambda: mark.unlink(missing_ok=True)


def dropped(fleet: Fleet) -> list[Line]:
    """Organisations that are not in the fleet file any more, with a run that was not brought to its end."""
    folder, here = fleet.file.parent / _UNDER_WAY, {member.name for member in fleet.members}
    lines = []
    for mark in sorted(folder.iterdir()) if folder.is_dir() else ():
        if mark.name in here:
            continue
        with suppress(OSError, UnicodeDecodeError):
            says = (
                f"it is not in {fleet.file.name} any more, and its run of {mark.read_text(encoding='utf-8').strip()} "
                f"did not come to its end: put it back and synchronise it, or remove {mark} if that is meant"
            )
            lines.append(Line(name=mark.name, word="dropped", code=NOT_ALL_DONE, says=says))
    return lines

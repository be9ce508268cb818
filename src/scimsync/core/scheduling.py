"""When a schedule is due, what becomes of it after a run, and which blackout holds. Pure: the clock is handed in.

A schedule is due at its slots: the moments that its cron expression names in its time zone. What is fixed to an hour
runs once on the day on which an hour comes twice, and at the end of the hour that is left out (as Debian's cron, by
cronsim); what goes by minutes or hours keeps its distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from msgspec import Struct
from msgspec.structs import replace

from scimsync.model.schedules import Blackout, Ended, Progress, Result, Schedule

#: how long a schedule is left alone after its run failed, first, second, ...; the last one from then on
BACKOFF = (60, 120, 300, 600, 900, 1800)
#: by how much a clock may be set back before what was done by it counts no more
_STEPPED = timedelta(days=1)
#: missed slots that are counted; more are "many"
_COUNTED = 1000
#: what a person is done with, or must do something about: nothing is gained by trying again
_SETTLED = frozenset({Ended.SUCCEEDED, Ended.REFUSED, Ended.WAITING, Ended.STOPPED})


class Due(Struct, frozen=True, kw_only=True):
    """Whether a schedule is due."""

    #: the latest slot that is not settled; None where none is due now
    slot: datetime | None
    #: how many slots before it passed without a run: they are caught up by this one
    missed: int = 0
    #: when it is due next, where it is not due now
    next: datetime


def fault(cron: str) -> str:
    """What is wrong with a cron expression; "" where it is one.

    Examples:
        >>> fault("30 2 * * 1-5"), fault("30 26 * * *"), fault("0 0 31 2 *")
        ('', 'the hour cannot be read', 'it names no day that ever comes')
    """
    fields = cron.split()
    if len(fields) != len(_FIELDS):
        return f"it has {len(fields)} fields, and takes 5: minute, hour, day of the month, month, weekday"
    for place, name in enumerate(_FIELDS):
        try:
            CronSim(" ".join(field if at == place else "*" for at, field in enumerate(fields)), _ANY)
        except CronSimError:
            return f"the {name} cannot be read"
    try:
        next(CronSim(cron, _ANY))
    except (CronSimError, StopIteration):
        return "it names no day that ever comes"
    return ""


_FIELDS = ("minute", "hour", "day of the month", "month", "weekday")
_ANY = datetime(2026, 1, 1, tzinfo=UTC)


def begin(schedule: Schedule, known: Progress | None, now: datetime) -> Progress:
    """How far a schedule has come, as it is looked at: one that nobody knows counts from now on.

    A slot that lies far in the future was settled by a clock that was wrong, and is no reason to wait.
    """
    if known is None:
        return Progress(schedule=schedule.name, expression=schedule.expression, since=now, slot=now)
    return replace(known, slot=now, attempts=0, retry=None) if known.slot - now > _STEPPED else known


def due(schedule: Schedule, progress: Progress, now: datetime) -> Due:
    """Whether a schedule is due.

    Args:
        schedule: The schedule.
        progress: How far it has come; of the same expression (`begin`).
        now: The clock.
    """
    slot, missed = None, 0
    for each in _slots(schedule, progress.slot):
        if each > now:
            next_ = each
            break
        missed += slot is not None
        if missed >= _COUNTED:
            slot, next_ = _latest(schedule, now)
            break
        slot = each
    if slot is not None and progress.retry is not None and progress.retry > now:
        # a clock that was set back has not made the pause longer
        pause = timedelta(seconds=BACKOFF[-1])
        return Due(slot=None, next=min(progress.retry, now + pause))
    return Due(slot=slot, missed=missed, next=next_)


def begun(progress: Progress, now: datetime) -> Progress:
    """As a run begins: if its process dies, the next one finds that it was tried, and leaves it alone for a while."""
    return replace(
        progress, ended=Ended.BEGUN, at=now, attempts=progress.attempts + 1, retry=_pause(progress.attempts + 1, now)
    )


def after(progress: Progress, slot: datetime, result: Result | None, now: datetime) -> Progress:
    """After a run.

    Args:
        progress: As it was before the run began.
        slot: What the run was for.
        result: What came of it; None where somebody stopped it, so that it is due at once.
        now: When that was.
    """
    if result is None:
        return replace(progress, retry=None)
    told = replace(
        progress,
        ended=result.ended,
        at=now,
        code=result.code,
        run=result.run,
        held=progress.held if result.held is None else result.held,
        stale=progress.stale if result.stale is None else result.stale,
        succeeded=now if result.ended is Ended.SUCCEEDED else progress.succeeded,
    )
    if result.ended in _SETTLED:
        return replace(told, slot=slot, attempts=0, retry=None)
    attempts = progress.attempts + 1
    return replace(told, attempts=attempts, retry=_pause(attempts, now))


def _pause(attempts: int, now: datetime) -> datetime:
    return now + timedelta(seconds=BACKOFF[min(attempts, len(BACKOFF)) - 1])


def _slots(schedule: Schedule, after_: datetime) -> Iterator[datetime]:
    """The slots after a moment, in UTC."""
    found = CronSim(schedule.cron, after_.astimezone(ZoneInfo(schedule.zone)))
    # asked within an hour that comes for the second time, cronsim begins with a slot of the first
    return (slot for each in found if (slot := each.astimezone(UTC)) > after_)


def _latest(schedule: Schedule, now: datetime) -> tuple[datetime, datetime]:
    """The latest slot until now, of one of which there are many, and the next one."""
    back = timedelta(hours=2)
    while True:
        slot = None
        for each in _slots(schedule, now - back):
            if each > now:
                if slot is not None:
                    return slot, each
                break
            slot = each
        back *= 8


def blackout(blackouts: Iterable[Blackout], now: datetime) -> tuple[Blackout, datetime] | None:
    """The blackout that holds now, and when it ends; of several the one that ends last. None where none holds."""
    found = [(each, end) for each in blackouts if (end := _until(each, now)) is not None]
    return max(found, key=lambda one: one[1], default=None)


def _until(given: Blackout, now: datetime) -> datetime | None:
    """When a blackout ends that holds now."""
    zone = ZoneInfo(given.zone)
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        if day.weekday() not in given.days and day not in given.dates:
            continue
        last = day if given.end > given.start else day + timedelta(days=1)
        start = datetime.combine(day, given.start, zone).astimezone(UTC)
        # an hour that comes twice is in the blackout both times
        end = datetime.combine(last, given.end, zone).replace(fold=1).astimezone(UTC)
        if start <= now < end:
            return end
    return None

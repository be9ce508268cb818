"""Runs by the clock: when they are wanted, when they may only take access away, and how far each schedule has come."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import Enum

from msgspec import Struct

from scimsync.model.policy import Depth


class Schedule(Struct, frozen=True, kw_only=True):
    """When runs are wanted."""

    name: str
    #: five fields, as cron has them
    cron: str
    #: the time zone in which they are read
    zone: str
    #: as the configuration of the target has it where None
    depth: Depth | None = None
    #: how long one of its runs may be at work before that is trouble
    longest: timedelta = timedelta(hours=12)
    #: whether a plan of it that waited is applied when it was approved
    applies_approved: bool = False

    @property
    def expression(self) -> str:
        """What decides when it is due: progress of another expression says nothing."""
        return f"{self.cron} {self.zone}"


class Blackout(Struct, frozen=True, kw_only=True):
    """When a run may take access away, and do nothing else."""

    name: str
    #: weekdays, Monday is 0; on days that are named by date it holds whatever weekday they are
    days: frozenset[int]
    dates: frozenset[date]
    #: from and until when on such a day; where it ends no later than it begins, it ends on the day after
    start: time
    end: time
    zone: str


class Ended(Enum):
    """How the last run of a schedule ended; the value stands in the state."""

    NEVER = ""
    BEGUN = "begun"  #: it is at work, or its process died
    SUCCEEDED = "succeeded"
    REFUSED = "refused"  #: a limit or a rule forbids its plan
    WAITING = "waiting"  #: its plan waits for people
    STOPPED = "stopped"  #: it stopped by itself, or a leaver keeps access: a person must look
    FAILED = "failed"  #: source, target or state could not be used; it is tried again


class Progress(Struct, frozen=True, kw_only=True):
    """How far one schedule has come, as the store remembers it."""

    schedule: str
    #: `Schedule.expression`
    expression: str
    #: since when it is known
    since: datetime
    #: up to where it is settled: no slot until then is run any more
    slot: datetime
    #: how often the slot that is due was tried in vain, and when it may be tried again
    attempts: int = 0
    retry: datetime | None = None
    ended: Ended = Ended.NEVER
    #: when that was
    at: datetime | None = None
    #: the exit code that the run would have had
    code: int = 0
    run: str = ""
    #: when one last succeeded
    succeeded: datetime | None = None
    #: how many people its last plan left out
    held: int | None = None
    #: its last plan found that the source stands still
    stale: bool = False


class Result(Struct, frozen=True, kw_only=True):
    """What came of one run of a schedule."""

    ended: Ended
    code: int = 0
    run: str = ""
    #: of a run that made a plan
    held: int | None = None
    stale: bool | None = None

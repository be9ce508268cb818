"""What people are alarmed about, and what they have been told of it."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from msgspec import Struct


class AlarmKind(Enum):
    """What is wrong; the value is the name by which `[[alarm]] about` chooses it."""

    FAILED = "run-failed"
    SILENCE = "run-silence"
    REFUSED = "plan-refused"
    WAITING = "plan-waits"
    QUARANTINE = "quarantine-grew"
    STALE = "source-stale"


class Condition(Struct, frozen=True):
    """Whether something is wrong now. No values of people and no secrets stand in it: all of it travels."""

    kind: AlarmKind
    #: what it is about: a schedule, or a duration
    subject: str
    holds: bool
    #: what was found, for people to read
    words: str = ""
    #: of what grows: how many there are
    number: int | None = None


class Alarm(Struct, frozen=True, kw_only=True):
    """How one alarm stands, as the store remembers it."""

    kind: AlarmKind
    subject: str
    #: whether it is so, and since when
    on: bool = False
    since: datetime
    #: when people were last told that it began, and whether they are to be told that it is over
    told: datetime | None = None
    announced: bool = False
    #: of what grows: how many are nothing to talk about, and how many people were told of
    level: int = 0
    peak: int = 0
    #: how often it was saved
    step: int = 0


class Notice(Struct, frozen=True):
    """What people are told: that an alarm began, or that it is over."""

    kind: AlarmKind
    subject: str
    over: bool
    since: datetime
    at: datetime
    #: a sentence for people; no values of theirs stand in it
    words: str

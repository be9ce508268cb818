"""When people are alarmed: what is wrong, told once when it begins and once when it is over. Pure.

No value of a person and no secret stands in what is told: names of schedules, numbers, kinds of failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from scimsync.model.alarms import Alarm, AlarmKind, Condition, Notice
from scimsync.model.outcomes import RunState
from scimsync.model.schedules import Ended, Progress

#: an alarm that comes and goes is told of no more often
APART = timedelta(hours=1)
#: how many times what was told it must have grown to be told again
_AGAIN = 2
#: exit code -> why, in words that hold nothing of the error
_WHY = {
    2: "the configuration is at fault",
    3: "the source was refused",
    4: "its plan was out of date",
    5: "the directory refused us, or cannot be reached",
    6: "the state is locked or damaged",
    11: "it stopped by itself because too much went wrong, or somebody who left keeps access",
}


def conditions(
    progress: Iterable[Progress], states: Mapping[str, RunState], patience: Mapping[str, timedelta], now: datetime
) -> Iterator[Condition]:
    """What is wrong, and what is not, as far as it can be told now; of what is in doubt nothing is said.

    Args:
        progress: How far each schedule that is wanted has come.
        states: Where the last run of each stands.
        patience: After how long without a success people are told, by the words for it.
        now: The clock.
    """
    known = list(progress)
    for one in known:
        yield from _of_schedule(one, states.get(one.run))
    if known:
        last = max(one.succeeded or one.since for one in known)
        for words, span in patience.items():
            told = f"no run has succeeded for {words}: the last one was at {_moment(last)}"
            if all(one.succeeded is None for one in known):
                told = f"no run has succeeded for {words}, since the schedules are known"
            yield Condition(AlarmKind.SILENCE, words, now - last >= span, told)


def _of_schedule(one: Progress, state: RunState | None) -> Iterator[Condition]:
    name, ended = one.schedule, one.ended
    again = f"; it is tried again at {_moment(one.retry)}" if one.retry is not None else "; a person must look"
    if ended in {Ended.FAILED, Ended.STOPPED}:
        why = _WHY.get(one.code, "an error of its own; see what serve said")
        yield Condition(AlarmKind.FAILED, name, holds=True, words=f"a run of {name} failed: {why}{again}")
    elif ended is Ended.BEGUN and one.attempts > 1:  # this one is at work, or died as well
        yield Condition(AlarmKind.FAILED, name, holds=True, words=f"a run of {name} was cut short, and is tried again")
    elif ended not in {Ended.BEGUN, Ended.NEVER}:
        yield Condition(AlarmKind.FAILED, name, holds=False)
    if ended in {Ended.SUCCEEDED, Ended.REFUSED, Ended.WAITING, Ended.STOPPED}:
        refused = ended is Ended.REFUSED and state is RunState.REFUSED
        words = f"the plan {one.run} of {name} was refused by a limit or a rule: scimsync runs {one.run}"
        yield Condition(AlarmKind.REFUSED, name, refused, words)
        waits = ended is Ended.WAITING and state is RunState.PLANNED
        yield Condition(AlarmKind.WAITING, name, waits, f"the plan {one.run} of {name} waits for approval")
    if one.held is not None:
        yield Condition(AlarmKind.QUARANTINE, name, holds=False, number=one.held)
        words = f"the source of {name} stands still: nothing in it changed for longer than it may"
        yield Condition(AlarmKind.STALE, name, one.stale, words)


def step(known: Alarm | None, found: Condition, now: datetime) -> tuple[Alarm, Notice | None] | None:
    """How an alarm goes on, and what people are told; None where nothing moves.

    Args:
        known: How it stands; None where it was never looked at.
        found: What was found.
        now: The clock.
    """
    if known is None:
        if not found.holds and found.number is None:
            return None
        known = Alarm(kind=found.kind, subject=found.subject, since=now, level=found.number or 0)
    if found.number is None:
        return _boolean(known, found, now)
    return _growing(known, found.number, now)


def _boolean(known: Alarm, found: Condition, now: datetime) -> tuple[Alarm, Notice | None] | None:
    if not found.holds:
        return _over(known, now) if known.on else None
    begun = known if known.on else replace(known, on=True, since=now)
    if not begun.announced and _may_tell(begun, now):
        return replace(begun, announced=True, told=now), _notice(begun, found.words, now)
    return None if known.on else (begun, None)


def _growing(known: Alarm, number: int, now: datetime) -> tuple[Alarm, Notice | None] | None:
    if number <= known.level:
        if known.on:
            return _over(replace(known, level=number), now)
        return (replace(known, level=number), None) if number < known.level or not known.step else None
    begun = known if known.on else replace(known, on=True, since=now, peak=0)
    if (not begun.announced or number >= _AGAIN * begun.peak) and _may_tell(begun, now):
        words = f"more people are left out by the plans of {known.subject}: {number:,}; before it was {known.level:,}"
        return replace(begun, announced=True, told=now, peak=number), _notice(begun, words, now)
    return None if known.on else (begun, None)


def _over(known: Alarm, now: datetime) -> tuple[Alarm, Notice | None]:
    ended = replace(known, on=False, since=now, announced=False, peak=0)
    return ended, _notice(known, "", now, over=True) if known.announced else None


def _may_tell(alarm: Alarm, now: datetime) -> bool:
    # a clock that was set back has told nothing yet
    return alarm.told is None or not timedelta() <= now - alarm.told < APART


def _notice(alarm: Alarm, words: str, now: datetime, *, over: bool = False) -> Notice:
    return Notice(alarm.kind, alarm.subject, over, alarm.since, now, words)


_OVER = {
    AlarmKind.FAILED: "the runs of {} succeed again",
    AlarmKind.SILENCE: "a run has succeeded again, after more than {} without one",
    AlarmKind.REFUSED: "no plan of {} is refused any more",
    AlarmKind.WAITING: "no plan of {} waits for approval any more",
    AlarmKind.QUARANTINE: "as few people as before are left out by the plans of {}",
    AlarmKind.STALE: "the source of {} moves again",
}


def title(notice: Notice) -> str:
    """What stands above it, as the subject of a mail.

    Examples:
        >>> moment = datetime.fromisoformat("2026-10-25T01:30+00:00")
        >>> title(Notice(AlarmKind.FAILED, "nightly", False, moment, moment, ""))
        'scimsync: run-failed (nightly)'
    """
    return f"scimsync: {notice.kind.value} ({notice.subject}){' is over' if notice.over else ''}"


def text(notice: Notice) -> str:
    """What is told, in a sentence or two."""
    words = _OVER[notice.kind].format(notice.subject) if notice.over else notice.words
    since = f" It began at {_moment(notice.since)}." if notice.over else ""
    return f"{words[0].upper()}{words[1:]}.{since}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"

"""Look at how the schedules do, and put what people are to be told into the outbox: once, whoever looks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from scimsync.config import AlarmSettings, Settings
from scimsync.core import alarming
from scimsync.engine.clock_state import Alarms, Schedules
from scimsync.engine.state import Outbox, Runs
from scimsync.model.alarms import Alarm, Notice
from scimsync.model.events import Message
from scimsync.model.schedules import Progress


class WatchedState(Runs, Schedules, Alarms, Protocol):
    """Of the state: how the schedules do, and what people were told."""


def watch(settings: Settings, store: WatchedState, now: datetime) -> list[str]:
    """Take note of alarms that begin and that are over; the messages that tell of them are kept with that.

    Args:
        settings: Which schedules there are, and who is told.
        store: The state.
        now: The clock.

    Returns:
        What was told, in sentences.

    Raises:
        StoreError: The state cannot be read or written.
    """
    wanted = progress_of(settings, store)
    states = {one.run: run.state for one in wanted if one.run and (run := store.run(one.run)) is not None}
    patience = {alarm.patience: alarm.silence for alarm in settings.alarms}
    known = {(alarm.kind, alarm.subject): alarm for alarm in store.alarms()}
    told = []
    for found in alarming.conditions(wanted, states, patience, now):
        stepped = alarming.step(known.get((found.kind, found.subject)), found, now)
        if stepped is not None:
            alarm, notice = stepped
            kept = store.save_alarm(alarm, [] if notice is None else _messages(settings, alarm, notice))
            told += [alarming.text(notice)] if kept and notice is not None else []
    return told


def progress_of(settings: Settings, store: Schedules) -> list[Progress]:
    """How far the schedules of the configuration have come, in its order; without those that nobody looked at."""
    known = {(one.schedule, one.expression): one for one in store.progress()}
    found = (known.get((schedule.name, schedule.expression)) for schedule in settings.schedules)
    return [one for one in found if one is not None]


def standing(settings: Settings, store: Alarms) -> Sequence[Alarm]:
    """The alarms that are on, of the schedules of the configuration and of those who are told."""
    names = {schedule.name for schedule in settings.schedules} | {alarm.patience for alarm in settings.alarms}
    return [alarm for alarm in store.alarms() if alarm.on and alarm.subject in names]


def undelivered(settings: Settings, outbox: Outbox) -> list[tuple[AlarmSettings, Message]]:
    """Who could not be told, with what was tried last and has not arrived."""
    found = ((alarm, outbox.last_trouble(alarm.name)) for alarm in settings.alarms)
    return [(alarm, message) for alarm, message in found if message is not None]


def test_document(settings: Settings, at: datetime) -> bytes:
    """What a test alarm carries."""
    told = {"kind": "test", "subject": "", "over": True, "since": at.isoformat(), "at": at.isoformat()}
    words = {"title": "scimsync: a test alarm", "text": "Somebody tries whether alarms arrive here. Nothing is wrong."}
    return json.dumps({**told, **words, "directory": _directory(settings)}).encode()


def _directory(settings: Settings) -> str:
    return urlsplit(settings.target.api_url).hostname or ""


def _messages(settings: Settings, alarm: Alarm, notice: Notice) -> list[Message]:
    """What tells of it, for everybody who wants to know. What is said of one alarm keeps its order."""
    document = {
        "kind": notice.kind.value,
        "subject": notice.subject,
        "over": notice.over,
        "since": notice.since.isoformat(),
        "at": notice.at.isoformat(),
        "directory": _directory(settings),
        "title": alarming.title(notice),
        "text": alarming.text(notice),
    }
    return [
        Message(
            id=f"{each.name.replace(':', '_')}_{notice.kind.value}_{notice.subject.replace(' ', '')}_{alarm.step}",
            endpoint=each.name,
            person=f"{notice.kind.value} {notice.subject}",
            type=notice.kind.value,
            body=json.dumps(document).encode(),
            created=notice.at,
            due=notice.at,
        )
        for each in settings.alarms
        if each.wants(notice.kind, notice.subject)
    ]

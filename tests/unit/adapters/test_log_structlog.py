"""The log: one event a line, people by their key, nothing that breaks a line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from tests.factories import make_change, make_delta, make_finding, make_health, make_plan

from scimsync.adapters.log_structlog import EVENTS, Log
from scimsync.model.outcomes import Outcome, Status


def everything(log: Log) -> None:
    """Let the log hear of every event."""
    log.stage("applying", 3)
    log.advance()
    log.say("one thing")
    log.read(make_health(rows=7), proven=False)
    log.planned(make_plan(findings=(make_finding(),), refusals=(make_finding(code="limits.update"),)))
    log.asked("patch", "ok", 0.1)
    log.retried("get", "failing", 0.5)
    log.retried("patch", "throttled", 2.0)
    log.breaker(is_open=True)
    log.breaker(is_open=True)
    log.breaker(is_open=False)
    change = make_change("E1", name="ada@example.com", deltas=(make_delta("title", "Secret Title"),))
    for status in (Status.DONE, Status.HELD, Status.FAILED, Status.DEFERRED):
        outcome = Outcome(key="E1", status=status, code="write.races", detail="ada@example.com", correlation_id="c-1")
        log.settled(change.word, outcome, 0.25)
    log.ended("apply", "done", 3.0, 300)
    log.ended("apply", "failed", 3.0, 0)


def heard(form: str = "json", level: str = "debug") -> str:
    stream = io.StringIO()
    everything(Log(stream, form=form, level=level))
    return stream.getvalue()


def lines(level: str = "debug") -> list[dict[str, Any]]:
    return [json.loads(line) for line in heard(level=level).splitlines()]


def test_every_event_is_told_with_the_members_it_promises_and_no_other() -> None:
    told = lines()
    assert {line["event"] for line in told} == set(EVENTS)
    for line in told:
        level, members, _ = EVENTS[line["event"]]
        assert line["level"] == level
        assert set(line) - {"at", "level", "event", "run"} <= set(members), line


def test_when_how_bad_and_what_stand_first() -> None:
    assert all(list(line)[:3] == ["at", "level", "event"] for line in lines())


def test_the_level_decides_what_is_told() -> None:
    assert {line["level"] for line in lines("warning")} == {"warning", "error"}
    assert [line["event"] for line in lines("error")] == ["run_failed"]


def test_a_breaker_that_stays_open_is_told_of_once() -> None:
    assert [line["event"] for line in lines()].count("breaker_opened") == 1


@pytest.mark.parametrize("form", ["json", "console"])
def test_people_are_named_by_their_key_only(form: str) -> None:
    text = heard(form)
    assert "E1" in text
    assert "ada@example.com" not in text
    assert "Secret Title" not in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_could_begin_a_line_or_rewrite_a_screen_is_escaped(form: str) -> None:
    stream = io.StringIO()
    log = Log(stream, form=form, level="debug")
    log.say("a\r\nFAKE\x1b[2J\u202e end")
    log.settled("update", Outcome(key="E1\nFAKE", status=Status.HELD), 0.1)
    assert len(stream.getvalue().splitlines()) == 2
    assert all(c.isprintable() or c == "\n" for c in stream.getvalue())


def test_events_name_the_run_once_it_is_known() -> None:
    told = lines()
    named = [line["event"] for line in told if "run" in line]
    assert named[0] == "plan_made"
    assert len(named) == len(told) - 3

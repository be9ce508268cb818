"""What happens, as a log on a stream: one event a line, JSON or for a console.

Fits `scimsync.engine.ports.Observer` and `scimsync.engine.ports.Metrics`. People stand in it by their
source key, never by a value of theirs; nothing that the target wrote stands in it, for it may quote
values. Characters that could rewrite a screen or begin a line are escaped.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import TextIO

import structlog

from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import Plan
from scimsync.model.records import SourceHealth

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

#: every event there is: its level, its members, and what it tells
EVENTS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "stage_begun": ("info", ("stage", "total"), "a piece of work begins"),
    "source_read": ("info", ("rows", "proven"), "the source was read to its end"),
    "plan_made": (
        "info",
        ("run", "changes", "requests", "conflicts", "left_out", "leavers_kept", "match_rate", "findings"),
        "a plan was made and stored; a number for each action, and for each code of a finding",
    ),
    "plan_refused": ("warning", ("run", "rules"), "a limit refuses that plan"),
    "request_answered": ("debug", ("call", "outcome", "seconds"), "one exchange with the target"),
    "request_retried": ("info", ("call", "reason", "wait_s"), "a request is sent once more, after a wait"),
    "request_throttled": ("info", ("call", "wait_s"), "the target refused a request for its rate; it is sent again"),
    "breaker_opened": ("warning", (), "the target is down: all requests wait"),
    "breaker_closed": ("info", (), "the target serves again"),
    "change_settled": ("debug", ("key", "action", "outcome", "seconds"), "a change is done, or was so already"),
    "change_held": ("warning", ("key", "action", "code", "correlation_id"), "a change waits for a person"),
    "change_failed": ("warning", ("key", "action", "code", "correlation_id"), "the target refused a change"),
    "change_deferred": ("warning", ("key", "action", "code", "correlation_id"), "a change is left for a later run"),
    "message": ("info", ("text",), "something that a person on a terminal would be told"),
    "run_ended": ("info", ("work", "state", "seconds"), "a plan was made or applied, or a cut run was settled"),
    "run_failed": ("error", ("work", "seconds"), "the work came to no end; the reason follows on stderr"),
}

_ENDED = {Status.HELD: "change_held", Status.FAILED: "change_failed", Status.DEFERRED: "change_deferred"}


class Log:
    """The log of one process.

    Args:
        stream: Where the lines go.
        form: `json` or `console`.
        level: The least level that is written: `debug`, `info`, `warning`, `error`.
        run: The id of the run, where it is known from the beginning.
    """

    def __init__(self, stream: TextIO, *, form: str, level: str, run: str = "") -> None:
        last = (
            structlog.processors.JSONRenderer()
            if form == "json"
            else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=18, pad_level=False, sort_keys=False)
        )
        self._log = structlog.wrap_logger(
            structlog.WriteLogger(stream),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="at" if form == "json" else "timestamp"),
                _escape,
                _ordered,
                last,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
            cache_logger_on_first_use=True,
        )
        if run:
            self._log = self._log.bind(run=run)
        self._open = False

    def _tell(self, event: str, **members: object) -> None:
        self._log.log(LEVELS[EVENTS[event][0]], event, **{k: v for k, v in members.items() if v not in (None, "")})

    # --- the observer -----------------------------------------------------------------------------

    def stage(self, name: str, total: int | None = None) -> None:
        """A piece of work begins."""
        self._tell("stage_begun", stage=name, total=total)

    def advance(self, steps: int = 1) -> None:
        """Too small to tell."""

    def say(self, text: str) -> None:
        """What a person would be told."""
        self._tell("message", text=text)

    # --- the metrics ------------------------------------------------------------------------------

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """One exchange."""
        self._tell("request_answered", call=call, outcome=outcome, seconds=round(seconds, 4))

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        """One more try."""
        if reason == "throttled":
            self._tell("request_throttled", call=call, wait_s=round(wait_s, 2))
        else:
            self._tell("request_retried", call=call, reason=reason, wait_s=round(wait_s, 2))

    def breaker(self, *, is_open: bool) -> None:
        """The breaker opened or closed; that it stays open was told."""
        if is_open != self._open:
            self._tell("breaker_opened" if is_open else "breaker_closed")
        self._open = is_open

    def read(self, health: SourceHealth, *, proven: bool) -> None:
        """The source was read."""
        self._tell("source_read", rows=health.rows, proven=proven)

    def planned(self, plan: Plan) -> None:
        """A plan was made; from here on every event names its run."""
        self._log = self._log.bind(run=plan.id)
        self._tell(
            "plan_made",
            changes={action: number for action, number in plan.tally.actions.items() if number},
            requests=plan.requests,
            conflicts=plan.tally.conflicts,
            left_out=plan.tally.held,
            leavers_kept=plan.tally.leavers_kept,
            match_rate=round(plan.tally.match_rate, 4),
            findings=dict(Counter(finding.code for finding in plan.findings)),
        )
        if plan.refusals:
            self._tell("plan_refused", rules=[refusal.rule for refusal in plan.refusals])

    def settled(self, action: str, outcome: Outcome, seconds: float) -> None:
        """A change has its outcome."""
        event = _ENDED.get(outcome.status)
        if event is None:
            took = round(seconds, 4)
            ended = outcome.status.value
            self._tell("change_settled", key=outcome.key, action=action, outcome=ended, seconds=took)
            return
        self._tell(
            event,
            key=outcome.key,
            action=action,
            code=outcome.code,
            correlation_id=outcome.correlation_id,
        )

    def ended(self, work: str, state: str, seconds: float, rate: int) -> None:  # noqa: ARG002 - for metrics
        """The work ended."""
        if state == "failed":
            self._tell("run_failed", work=work, seconds=round(seconds, 3))
        else:
            self._tell("run_ended", work=work, state=state, seconds=round(seconds, 3))


def _ordered(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """When, how bad and what first: a line is read from the left."""
    first = {name: event.pop(name) for name in ("at", "level", "event", "run") if name in event}
    return {**first, **event}


def _escape(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Make every text fit for one line (OWASP ASVS 5.0, 16.4.1)."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in value)
    return event

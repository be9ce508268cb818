"""The sections about what happens by the clock: schedules and blackouts; and about alarms."""

from typing import Literal

from scimsync.config.keys import AFTER, CLOCK, REFERENCE, RULE_NAME, Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import text as _text

#: in the order of `date.weekday`
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: the keys of an alarm that are about mail, and those that it cannot do without
MAIL = ("server", "username", "password", "sender", "to")
MAIL_NEEDS = ("server", "sender", "to")


class Schedule(Section):
    """When `scimsync serve --schedule` plans and applies; several are written one below the other."""

    name: str = _like(
        RULE_NAME,
        "What the schedule is called, in small letters, digits and hyphens. How far it has come is remembered by it.",
        ...,
        example="nightly",
    )
    cron: str = _text(
        "When it is due, in the five fields of cron: minute, hour, day of the month, month, weekday. Days and months "
        "may be named (`mon-fri`).",
        ...,
        example="30 2 * * *",
    )
    zone: str = _text("The time zone in which that is read. Default: `[source] zone`.", example="Europe/Berlin")
    applies_approved: bool = _key(
        "Whether a plan of this schedule that waited is applied within a minute after it was approved, outside "
        "blackouts, as long as it holds. Else whoever approved it, or somebody else, applies it.",
        default=False,
        example=True,
    )
    depth: Literal["full", "versions", "source"] | None = _key(
        "How deep its runs look at the directory. Default: `[target] depth`, with its rhythm.", None, example="versions"
    )
    longest: str = _like(
        AFTER,
        "How long a run may be at work, in hours (`h`) or days (`d`), before `/healthz` of serve says that something "
        "is wrong. Nothing is stopped by it.",
        "12h",
        example="2h",
    )


class Blackout(Section):
    """When runs by the clock and by events may take access from leavers, and do nothing else; there may be several."""

    name: str = _like(
        RULE_NAME,
        "What the blackout is called, in small letters, digits and hyphens: plans name it (schedule.blackout).",
        ...,
        example="office-hours",
    )
    days: list[str] = _key(
        "On which weekdays: mon, tue, wed, thu, fri, sat, sun. Default: all of them, or none where `dates` are given.",
        [],
        example=["mon", "tue", "wed", "thu", "fri"],
    )
    dates: list[str] = _key(
        "On which days besides, as YYYY-MM-DD: the freeze at the end of the year.", [], example=["2026-12-24"]
    )
    start: str = _like(CLOCK, "From when on, as HH:MM.", "00:00", example="08:00")
    end: str = _like(
        CLOCK,
        "Until when, as HH:MM. Where that is no later than `start`, it is on the day after.",
        "00:00",
        example="20:00",
    )
    zone: str = _text("The time zone in which that is read. Default: `[source] zone`.", example="Europe/Berlin")


class Alarm(Section):
    """Where people are told what is wrong with the runs of `scimsync serve --schedule`; there may be several."""

    kind: Literal["mail", "slack", "teams", "apprise"] = _key(
        "How they are told: `mail`, the incoming webhook of `slack` or `teams`, or any address that Apprise knows "
        "(extra `alarms`).",
        ...,
        example="mail",
    )
    url: str = _like(
        REFERENCE,
        "The address of the webhook, or of Apprise, which is a secret; env:NAME or file:PATH. Not for `mail`.",
        example="env:SLACK_WEBHOOK",
    )
    server: str = _text(
        "The mail server and its port. Default of the port: 587, or 465 with `implicit`.",
        example="smtp.example.com:587",
    )
    tls: Literal["starttls", "implicit", "off"] = _key(
        "How the way to the mail server is closed; `off` for a server of this machine only.",
        "starttls",
        example="implicit",
    )
    username: str = _text("Who we are to the mail server; env:NAME or file:PATH.", example="scimsync")
    password: str = _like(REFERENCE, "The password there; env:NAME or file:PATH.", example="env:SMTP_PASSWORD")
    sender: str = _text("Whom the mail is from.", example="scimsync@example.com")
    to: list[str] = _key("Whom the mail is to.", [], example=["oncall@example.com"])
    about: list[str] = _key(
        "What they are told of: run-failed, run-silence, plan-refused, plan-waits, quarantine-grew, source-stale. "
        "Default: all.",
        [],
        example=["run-failed", "plan-waits"],
    )
    silence: str = _like(
        AFTER,
        "After how long without a run that succeeded they are told, in days (`d`) or hours (`h`) (run-silence).",
        "1d",
        example="36h",
    )
    allow_private: bool = _key(
        "Whether the webhook may stand in the own network or on this machine.", default=False, example=True
    )

"""The sections about what goes out to others: metrics, log, audit chain, webhooks; and what comes in from them."""

from typing import Literal

from scimsync.config.keys import FORMER_REFERENCE, REFERENCE, SIGNING_KEY, TEXTFILE, Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import text as _text


class Metrics(Section):
    """Where measurements are left for others."""

    textfile: str = _like(
        TEXTFILE,
        "Where Prometheus text is written after each run, for node_exporter's textfile collector. The name ends with "
        "`.prom`.",
        example="/var/lib/node_exporter/textfile/scimsync.prom",
    )


class Log(Section):
    """What is logged to stderr; `--log` counts more."""

    format: Literal["json", "console", "off"] = _key("The form of the log on stderr.", "off", example="json")
    level: Literal["debug", "info", "warning", "error"] = _key(
        "The least level that is written.", "info", example="warning"
    )


class Audit(Section):
    """The signing of the audit chain."""

    key: str = _like(
        SIGNING_KEY,
        "What checkpoints are signed with: file:PATH (mode 0600), or keyring:NAME for the keyring of the operating "
        "system. The keyring takes the extra `keyring`. One that is named is made by `scimsync audit key`. Default: a "
        "file `audit-key` among the artifacts, made on first use.",
        example="file:audit-key",
    )
    checkpoints: str = _text(
        "A file, best on another machine, to which each signed checkpoint is appended. Where it cannot be written, "
        "the run says so and goes on.",
        example="/mnt/elsewhere/checkpoints",
    )


class Webhook(Section):
    """An endpoint that is told of what happens; several are written one below the other."""

    url: str = _text(
        "Where events are sent; an address, or env:NAME. https, or http to this machine with `allow_private`.",
        ...,
        example="https://hr.example.com/scimsync",
    )
    secret: str = _like(
        REFERENCE,
        "What events are signed with; env:NAME or file:PATH. `whsec_` and base64, or a text, of 24 bytes or more; "
        "`doctor` warns of fewer.",
        ...,
        example="env:WEBHOOK_SECRET",
    )
    old_secret: str = _like(
        FORMER_REFERENCE,
        "The former secret, which signs as well while the secret changes; env:NAME or file:PATH.",
        example="env:OLD_WEBHOOK_SECRET",
    )
    events: list[str] | str = _key(
        "The names of the events that are wanted. Default: all.", [], example=["prov:deactivate"]
    )
    values: bool = _key(
        "Whether values before and after travel; else ids, actions and names of paths.",
        default=False,
        example=True,
    )
    allow_private: bool = _key(
        "Whether it may stand in the own network or on this machine.",
        default=False,
        example=True,
    )


class Events(Section):
    """Word from outside about who changed, taken by `scimsync serve --events`."""

    secret: str = _like(
        REFERENCE, "What calls from outside are signed with; env:NAME or file:PATH.", ..., example="file:events_secret"
    )
    old_secret: str = _like(
        FORMER_REFERENCE,
        "The former secret, which is good as well while the secret changes; env:NAME or file:PATH.",
        example="file:old_events_secret",
    )

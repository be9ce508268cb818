"""Calls from outside: a signed message that says who changed, kept durably, then answered by a run.

A call carries keys and nothing else; what those people shall become is read from the source, as ever. It
is told apart from its repetition by its id, which is kept for longer than its signature is good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec
from msgspec import Struct

from scimsync.core import signing
from scimsync.engine.ports import Clock
from scimsync.engine.state import Inbox
from scimsync.model.events import Call

#: what a caller says
CHANGED = "person.changed"
#: bytes; what is longer is not even looked at
LONGEST_BODY = 1024 * 1024
MOST_KEYS = 1000
#: for how long ids are kept: a signature is good for five minutes either way
MEMORY = timedelta(hours=1)
_LONGEST_KEY = 256


class Answer(Struct, frozen=True):
    """What the caller is told: an HTTP status and a document."""

    status: int
    document: Mapping[str, object]


#: one answer for everything that is not proven to come from a holder of the secret
FORGED = Answer(401, {"error": "the signature does not prove this message"})


class _Message(msgspec.Struct):
    type: str
    key: str = ""
    keys: list[str] = []


def take(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, inbox: Inbox, clock: Clock) -> Answer:
    """Prove a message and keep its call.

    Args:
        keys: What it may be signed with.
        headers: By name in lower case.
        body: The bytes as they came, no more than `LONGEST_BODY`.
        inbox: Where the call is kept.
        clock: Says when.

    Raises:
        StoreError: It cannot be kept; the caller must try again.
    """
    now = clock.now()
    identity = signing.verify(keys, headers, body, now)
    if identity is None:
        return FORGED
    people = _people(body)
    if people is None:
        form = f'{{"type": "{CHANGED}", "key": "..."}}, or "keys": up to {MOST_KEYS} of them'
        return Answer(400, {"error": f"the body must be {form}"})
    new = inbox.accept(Call(id=identity, at=now, keys=people))
    inbox.forget_calls(now - MEMORY)
    return Answer(202, {"accepted": len(people), "repeated": not new})


def _people(body: bytes) -> tuple[str, ...] | None:
    try:
        message = msgspec.json.decode(body, type=_Message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    people = tuple(dict.fromkeys(filter(None, [message.key, *message.keys])))
    fit = 0 < len(people) <= MOST_KEYS and all(len(key) <= _LONGEST_KEY and key.isprintable() for key in people)
    return people if fit and message.type == CHANGED else None


def group(calls: Sequence[Call]) -> tuple[str, ...]:
    """The people of several calls, each once, in the order in which they were named."""
    return tuple(dict.fromkeys(key for call in calls for key in call.keys))

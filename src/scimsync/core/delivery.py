"""What becomes of a message after a try, and how long an endpoint in trouble is left alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from scimsync.model.events import Message, MessageState, Receipt

#: seconds before each try: ten over three days (Standard Webhooks)
SCHEDULE = (0, 5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
#: the share by which a wait may differ, so that not all come back at once
JITTER = 0.1
#: what a receiver may ask for; a longer pause is cut to it
LONGEST_PAUSE_S = 24 * 3600.0
#: failures in a row after which an endpoint is looked after by single tries only
PATIENCE = 3
#: failures in a row after which it counts as down, and not as moody
DOWN = 9
#: the longest rest between those
LONGEST_REST_S = 300.0
_SLOW_S = 60.0
_GONE = 410
_SLOW_DOWN = frozenset({429, 502, 504})


def settle(message: Message, receipt: Receipt, now: datetime, chance: float) -> Message:
    """The message after a try: delivered, due again, or dead.

    Args:
        message: As it was taken.
        receipt: What came of the try; only 2xx is a yes.
        now: When.
        chance: From 0 to 1, for the jitter.
    """
    tried = replace(message, attempts=message.attempts + 1, tried=now, status=receipt.status, detail=receipt.detail)
    if is_taken(receipt):
        return replace(tried, state=MessageState.DELIVERED, delivered=now, detail="")
    if receipt.status == _GONE or tried.attempts >= len(SCHEDULE):
        return replace(tried, state=MessageState.DEAD)
    wait = SCHEDULE[tried.attempts] * (1 + JITTER * (2 * chance - 1))
    return replace(tried, due=now + timedelta(seconds=max(wait, pause(receipt))))


def is_taken(receipt: Receipt) -> bool:
    """Whether the receiver has it."""
    return 200 <= receipt.status < 300


def is_gone(receipt: Receipt) -> bool:
    """Whether the receiver wants nothing any more (410)."""
    return receipt.status == _GONE


def decisive(receipts: Sequence[Receipt]) -> Receipt:
    """The receipt of several at a time that says most of the endpoint: gone, then there, then in trouble."""
    by_weight = sorted(receipts, key=lambda r: (not is_gone(r), not is_taken(r), not _is_own(r)))
    return by_weight[0]


def _is_own(receipt: Receipt) -> bool:
    """Whether a failure is one of the endpoint. A 4xx is about the message, and proves that somebody is there."""
    return not 400 <= receipt.status < 500 or receipt.status in {408, 429}


def pause(receipt: Receipt) -> float:
    """Seconds for which a receiver that asks for it is left alone."""
    if is_taken(receipt):
        return 0.0
    asked = receipt.retry_after_s
    if asked is None:
        asked = _SLOW_S if receipt.status in _SLOW_DOWN else 0.0
    return min(max(asked, 0.0), LONGEST_PAUSE_S)


class Health(Struct, frozen=True):
    """How an endpoint did lately: failures in a row that are its own and not those of one message."""

    failures: int = 0

    def after(self, receipt: Receipt) -> Health:
        """The health after one more answer; one that is about the message alone changes nothing."""
        if is_taken(receipt):
            return Health()
        return Health(self.failures + 1) if _is_own(receipt) else self

    @property
    def sick(self) -> bool:
        """Whether one message at a time shall find out whether it is back."""
        return self.failures >= PATIENCE

    @property
    def down(self) -> bool:
        """Whether it was away for minutes, so that what waits may go at once when it is back."""
        return self.failures >= DOWN

    @property
    def rest_s(self) -> float:
        """Seconds to the next such message."""
        return min(5.0 * 2.0 ** min(self.failures - PATIENCE, 16), LONGEST_REST_S) if self.sick else 0.0

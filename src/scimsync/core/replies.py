"""What an answer means, and what follows from it (the reply policy).

Only a refused connection is "not sent". Every other failure of a write is unknown and is settled by
reading and comparing, never by sending again.
"""

from __future__ import annotations

from enum import Enum

from scimsync.model.outcomes import Exchange, Reply


class Next(Enum):
    """What to do with a change after an answer to its write."""

    CONFIRM = "applied: compare the returned resource with what was wanted"
    READ_BACK = "applied, but the answer proves nothing: read and compare"
    REPLAN = "the version has moved: read, plan this person again"
    LOOK_UP = "the name is taken: look who has it"
    GONE = "the account is not there any more"
    SETTLE = "applied or not is unknown: read and compare"
    HOLD = "refused: a person must look"
    DEFER = "not now: a later run goes on"


#: how many version races one change may lose before it is held
MOST_RACES = 3


def decide(reply: Reply) -> Next:
    """Decide what follows from the answer to a write (RFC 7644 §3.12, Genesys contract §2.3 and §4.1)."""
    match reply.exchange:
        case Exchange.NOT_SENT:
            return Next.DEFER
        case Exchange.LOST:
            return Next.SETTLE
    if 200 <= reply.status < 300:
        return Next.CONFIRM if reply.body is not None else Next.READ_BACK
    if is_conflict(reply):
        return Next.REPLAN
    match reply.status:
        case 409:
            return Next.LOOK_UP
        case 404 if reply.method != "POST":
            return Next.GONE
        case 429:
            return Next.DEFER
        case 408 | 500 | 502 | 503 | 504:
            return Next.SETTLE
    return Next.HOLD


def is_conflict(reply: Reply) -> bool:
    """Whether the answer says that the version has moved.

    412, 409 on anything but POST, and 400 with `invalidVers` or a text about the current version all
    mean the same, because the published documents contradict each other (documented, contradictory).
    """
    if reply.method == "POST":
        return False
    if reply.status in {409, 412}:
        return True
    if reply.status != 400 or reply.error is None:
        return False
    words = reply.error.detail.lower()
    return reply.error.scim_type == "invalidVers" or ("version" in words and ("match" in words or "current" in words))

"""What an answer means, and what follows from it (the reply policy).

Only a refused connection is "not sent", and only the statuses listed here are known to mean "not done".
Whatever else a write is answered with is unknown, and is settled by reading and comparing.
"""

from __future__ import annotations

import re
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
#: a write that is answered so was not carried out, and would not be another time (RFC 9110 §15.5, RFC 7644 §3.12)
REFUSED = frozenset(
    {400, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 426, 428}
    | {431, 451, 501, 505}
)
#: a write that is answered so was not carried out, and may be another time: token, too early, too many
NOT_NOW = frozenset({401, 425, 429})


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
    if reply.status == 409 and reply.method == "POST":
        return Next.LOOK_UP
    if reply.status in {404, 410} and reply.method != "POST":
        return Next.GONE
    if reply.status in NOT_NOW:
        return Next.DEFER
    return Next.HOLD if reply.status in REFUSED else Next.SETTLE


def words(reply: Reply) -> str:
    """What the target said, for people: status, keyword, text; of credentials, what the status alone means."""
    said = reply.error.detail if reply.error else ""
    kind = (reply.error.scim_type or reply.error.code) if reply.error else ""
    told = " ".join(str(part) for part in (reply.status or "", kind, said or reply.detail) if part)
    meaning = _CREDENTIALS.get(reply.status, "")
    return f"{told} ({meaning})" if meaning else told


_CREDENTIALS = {
    401: "the token was refused, and so was the one that replaced it",
    403: "the credentials do not allow this",
}


#: what is missing where an answer does not say it
UNNAMED = "a permission that it does not name"
#: a permission of Genesys Cloud: domain, entity, action
_PERMISSION = re.compile(r"\b[a-zA-Z]+:[a-zA-Z]+:[a-zA-Z]+\b")


def forbidden(reply: Reply) -> str:
    """What a 403 says that our client may not do, alike for all who are refused for it; "" for another answer.

    The permissions by name, where the text names some (documented: `missing.permissions`), else its words. A code
    that speaks of a division is about one person (guessed), and so is "".

    Examples:
        >>> from scimsync.scim.messages import ErrorReport
        >>> told = ErrorReport(status=403, code="missing.any.permissions", detail="one of: [routing:skill:assign]")
        >>> forbidden(Reply(exchange=Exchange.ANSWERED, method="PATCH", status=403, error=told))
        'routing:skill:assign'
    """
    said = reply.error
    if reply.status != 403 or (said is not None and "division" in said.code.lower()):
        return ""
    names = sorted(set(_PERMISSION.findall(said.detail))) if said is not None else []
    plain = (said.detail or said.code or said.scim_type) if said is not None else ""
    return ", ".join(names) or plain or UNNAMED


_TAKEN = ("unique", "taken", "already exist", "already in use", "already used", "used by", "duplicate")


def is_taken(reply: Reply) -> bool:
    """Whether the answer to a change says that somebody else has a value that no two may have (RFC 7644 §3.12).

    Where no keyword says so the words of the detail do, in any letter case (guessed: no wording is published).
    """
    if reply.method == "POST" or reply.error is None or reply.status not in {400, 409}:
        return False
    told = reply.status == 409 and not _names_version(reply) and _has(reply, *_TAKEN)
    return reply.error.scim_type.lower() == "uniqueness" or told


def is_conflict(reply: Reply) -> bool:
    """Whether the answer says that the version has moved.

    412, 409 on anything but POST, and 400 with `invalidVers` or a text about the current version all
    mean the same, because the published documents contradict each other (documented, contradictory). One
    that says that somebody else has a value is about that (`is_taken`).
    """
    if reply.method == "POST" or is_taken(reply):
        return False
    if reply.status in {409, 412}:
        return True
    return reply.status == 400 and _names_version(reply) and (_is_of_version(reply) or _has(reply, "match", "current"))


def is_vague(reply: Reply) -> bool:
    """Whether a conflict is one by its status alone, which may mean something else than a version."""
    return reply.status == 409 and not _names_version(reply)


def _names_version(reply: Reply) -> bool:
    return _is_of_version(reply) or _has(reply, "version")


def _is_of_version(reply: Reply) -> bool:
    return reply.error is not None and reply.error.scim_type.lower() == "invalidvers"


def _has(reply: Reply, *words: str) -> bool:
    """Whether the detail of an error has one of these words, in any letter case."""
    told = reply.error.detail.lower() if reply.error is not None else ""
    return any(word in told for word in words)

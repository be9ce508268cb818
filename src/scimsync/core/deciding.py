"""Obey what people decided about conflicts. A decision answers a conflict, and nothing else.

Where nothing was decided, or about other values than there are by now, the conflict stays one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from scimsync.core.merge import Merged, merge
from scimsync.model.decisions import Decision, Decisions, Scope, Wins
from scimsync.model.plans import Change, Delta, Finding, Severity, Sides, Verdict
from scimsync.model.policy import Authority, Mapped
from scimsync.scim.kept import value_to_json

#: that somebody decided about other values than there are now
MOVED = "conflict.moved"
_AS = {Wins.HR: Authority.LOCAL_WINS, Wins.DIRECTORY: Authority.CLOUD_WINS}


def mark(sides: Sides, salt: str) -> str:
    """What tells the three values of a conflict from others; nobody reads them out of it.

    Args:
        sides: The three values.
        salt: The id of the decision, so that equal values of two people do not look alike.
    """
    said = [value_to_json(sides.desired), value_to_json(sides.current), sides.known]
    said.append(value_to_json(sides.base) if sides.known else None)
    return hashlib.sha256(salt.encode() + b"\n" + msgspec.json.encode(said)).hexdigest()


def fits(decision: Decision, sides: Sides) -> bool:
    """Whether a decision is about these three values; one that holds for ever is about all."""
    return decision.sides in {"", mark(sides, decision.id)}


def authority_of(wins: Wins) -> Authority:
    """The authority that would say the same in the configuration."""
    return _AS[wins]


def answer(
    decisions: Decisions, key: str, mapped: Mapped, sides: Sides, merged: Merged | None
) -> tuple[Merged | None, Mapped, str]:
    """What becomes of one attribute once people were heard.

    Args:
        decisions: What was decided.
        key: The person.
        mapped: The attribute.
        sides: The three values, as the plan tells them.
        merged: What the rules say.

    Returns:
        What they say then, the attribute with the authority that says so, and the id of the decision; what was given
        and "" where nothing was decided about it. A decision for once does not lend its authority: where the account
        moves before it is written, the conflict is open again.
    """
    found = decisions.about(key, mapped.path) if merged is not None and merged.verdict is Verdict.CONFLICT else None
    if merged is None or found is None or not fits(found, sides):
        return merged, mapped, ""
    if found.wins is Wins.DIRECTORY:
        answered = Merged(Verdict.KEEP, merged.reason)
    else:
        wanted = merge(mapped.place, replace(sides, known=False), Authority.LOCAL_WINS)
        if wanted is None:
            return merged, mapped, ""
        answered = replace(wanted, reason=merged.reason)
    lasting = found.scope is not Scope.ONCE
    return answered, replace(mapped, authority=_AS[found.wins]) if lasting else mapped, found.id


def by(delta: Delta, decided: str) -> Delta:
    """A delta with the decision by which it is so, where there is one."""
    return replace(delta, decided=decided) if decided else delta


def moved(notices: Iterable[Change], decisions: Decisions) -> Iterator[Finding]:
    """The conflicts about which somebody decided when the values were others."""
    for notice in notices if decisions.held else ():
        for delta in notice.deltas:
            found = decisions.about(notice.key, delta.path) if delta.verdict is Verdict.CONFLICT else None
            if found is not None and not fits(found, delta.sides):
                yield Finding(
                    severity=Severity.WARNING,
                    code=MOVED,
                    subject=notice.key,
                    summary="a conflict was decided when the values were others; nothing is written",
                    detail=f"{delta.path}: {found.actor} decided on {found.at:%Y-%m-%d} that {found.wins.value} wins",
                    hint=f"decide again: scimsync conflicts show {notice.key} {delta.path}",
                    row=notice.row,
                    path=delta.path,
                )

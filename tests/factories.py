"""Makers of the vocabulary with defaults, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from scimsync.model.accounts import Leaver, Pair
from scimsync.model.outcomes import Exchange, Reply
from scimsync.model.plans import (
    Action,
    Change,
    Delta,
    Finding,
    Lifecycle,
    Plan,
    Reason,
    Seal,
    Severity,
    Sides,
    Tally,
    Verdict,
)
from scimsync.model.policy import Authority, Mapped, Policy
from scimsync.model.records import Batch, Cell, Reading, SourceHealth
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import ErrorReport
from scimsync.scim.schema import Entry, Place, Value

USERS = GENESYS.users
RFC_USERS = GENERIC.users

WORK_PHONE = 'phoneNumbers[type eq "work"].value'
WORK_EMAIL = 'emails[type eq "work"].value'
SKILLS = "genesys:routingSkills"
MANAGER = "enterprise:manager"


def place(path: str) -> Place:
    return USERS.resolve(path)


def rfc_place(path: str) -> Place:
    return RFC_USERS.resolve(path)


def skill(name: str, level: float = 1.0) -> Entry:
    return (("name", name), ("proficiency", float(level)))


def skills(**levels: float) -> tuple[Entry, ...] | None:
    return tuple(skill(name, level) for name, level in sorted(levels.items())) or None


def mapped(path: str, expression: str = "x", authority: Authority = Authority.LOCAL_WINS) -> Mapped:
    return Mapped(place=place(path), expression=expression, authority=authority)


def make_policy(
    *paths: str, authority: Authority = Authority.LOCAL_WINS, match: Sequence[str] = (), **more: Any
) -> Policy:
    attributes = tuple(mapped(path, authority=authority) for path in paths)
    return Policy(attributes=attributes, match=tuple(place(path) for path in match), **more)


def make_pair(
    desired: Mapping[str, Value],
    current: Mapping[str, Value] | None = None,
    base: Mapping[str, Value] | None = None,
    **more: Any,
) -> Pair:
    defaults: dict[str, Any] = {"key": "E1", "name": "ada@example.com", "row": 2, "account": "u1", "version": "7"}
    return Pair(**{**defaults, **more}, desired=desired, current=current or {}, base=base or {})


def make_leaver(**more: Any) -> Leaver:
    defaults: dict[str, Any] = {"key": "E9", "name": "gone@example.com", "account": "u9", "version": "3"}
    return Leaver(**{**defaults, **more})


def make_delta(path: str = "title", desired: Value = "Lead", current: Value = "Clerk", **more: Any) -> Delta:
    sides = Sides(desired=desired, current=current, base=more.pop("base", current), known=more.pop("known", True))
    defaults: dict[str, Any] = {
        "verdict": Verdict.WRITE,
        "reason": Reason.SOURCE_MOVED,
        "authority": Authority.LOCAL_WINS,
    }
    return Delta(path=path, sides=sides, **{**defaults, **more})


def make_change(key: str = "E1", action: Action = Action.UPDATE, **more: Any) -> Change:
    defaults: dict[str, Any] = {
        "name": "ada@example.com",
        "lifecycle": Lifecycle.MOVER,
        "deltas": (),
        "account": "u1",
        "version": "7",
        "operations": (),
    }
    return Change(key=key, action=action, **{**defaults, **more})


def make_finding(**more: Any) -> Finding:
    defaults: dict[str, Any] = {
        "severity": Severity.ERROR,
        "code": "record.bad-phone",
        "subject": "E1",
        "summary": "a phone number cannot be read",
    }
    return Finding(**{**defaults, **more})


def make_plan(**more: Any) -> Plan:
    defaults: dict[str, Any] = {
        "id": "20260101-000000-aa",
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "seal": Seal(target="https://api.example.com", configuration="c", source="s", base="b"),
        "tally": Tally(),
        "changes": (),
        "findings": (),
    }
    return Plan(**{**defaults, **more})


def make_reply(status: int = 0, method: str = "PATCH", exchange: Exchange = Exchange.ANSWERED, **more: Any) -> Reply:
    return Reply(exchange=exchange, method=method, status=status, **more)


def refusal(status: int, *, method: str = "PATCH", scim_type: str = "", detail: str = "") -> Reply:
    return make_reply(status, method, error=ErrorReport(status=status, scim_type=scim_type, detail=detail))


def make_health(rows: int = 100, fingerprint: str = "f", **blanks: float) -> SourceHealth:
    return SourceHealth(rows=rows, blanks=blanks, fingerprint=fingerprint)


def make_reading(rows: Sequence[Mapping[str, Cell]], columns: Sequence[str] = (), **more: Any) -> Reading:
    """A reading of these records, in batches of two; places count from 2, as lines below a header do."""
    names = tuple(columns) or tuple(dict.fromkeys(name for row in rows for name in row))
    cells = [tuple(row.get(name) for name in names) for row in rows]
    batches = [
        Batch(cells[start : start + 2], list(range(start + 2, start + 2 + len(cells[start : start + 2]))))
        for start in range(0, len(cells), 2)
    ]
    return Reading(columns=names, batches=batches, **{"proven": True, **more})

"""Audit records as events of the Open Cybersecurity Schema Framework 1.8: what becomes of which class.

3001 Account Change        accounts that were created, enabled, brought back, disabled or deleted
3004 Entity Management     attributes that were updated, and what people decided
3006 Group Management      one event for each member that was added or removed

An intent is no event: it says what was about to happen. Held against the published class definitions by a test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct

VERSION = "1.8.0"
_CATEGORY = 3  # Identity & Access Management


class Class(Enum):
    """The classes that are used; the value is `class_uid`."""

    ACCOUNT_CHANGE = 3001
    ENTITY_MANAGEMENT = 3004
    GROUP_MANAGEMENT = 3006


_NAMES = {
    Class.ACCOUNT_CHANGE: "Account Change",
    Class.ENTITY_MANAGEMENT: "Entity Management",
    Class.GROUP_MANAGEMENT: "Group Management",
}
_UPDATE = (3, "Update")
_OTHER = 99
_ACCOUNT = {
    "create": (1, "Create"),
    "enable": (2, "Enable"),
    "restore": (2, "Enable"),
    "disable": (5, "Disable"),
    "delete": (6, "Delete"),
}
_DECISIONS = {
    "hold": ((_OTHER, "Hold"), "person"),
    "override": ((_OTHER, "Set aside"), "rule"),
    "plan-approved": ((_OTHER, "Approve"), "plan"),
    "configuration": (_UPDATE, "configuration"),
    "link": (_UPDATE, "account"),
    "renewal": ((_OTHER, "Renew"), "state"),
    "console": ((_OTHER, "Change access"), "console"),
    "finding": ((_OTHER, "Accept"), "finding"),
    "approval": ((_OTHER, "Approve"), "plan"),
    "pin": (_UPDATE, "schema"),
    "undo": ((_OTHER, "Undo"), "run"),
    "erasure": ((4, "Delete"), "key of a person"),
}
_STATUSES = {"done": (1, 1), "already": (1, 1), "failed": (2, 3), "held": (99, 2), "deferred": (99, 2), "open": (0, 2)}


class AuditedRecord(Struct, frozen=True, kw_only=True):
    """One audit record: its body, its personal part in clear (empty where it was erased), where it stands."""

    body: Mapping[str, object]
    clear: Mapping[str, object]
    origin: str
    #: version of this program
    product: str

    def text(self, name: str) -> str:
        """A member of the body or of the personal part; "" where there is none."""
        return str(self.body.get(name) or self.clear.get(name) or "")

    @property
    def values(self) -> Mapping[str, Mapping[str, object]]:
        """Path -> before, after."""
        found = self.clear.get("values") or self.body.get("values")
        return found if isinstance(found, dict) else {}

    @property
    def user(self) -> dict[str, object]:
        """The person: login and account, or the pseudonym where nothing else is known."""
        known = {"name": self.clear.get("name"), "uid": self.clear.get("account")}
        found = {name: text for name, text in known.items() if text}
        return found or {"uid": self.text("person") or "unknown"}


def events(record: AuditedRecord) -> Iterator[dict[str, object]]:
    """The events of one record; none for an intent."""
    kind, action = record.text("kind"), record.text("action")
    if kind in _DECISIONS:
        activity, type_ = _DECISIONS[kind]
        yield _event(record, Class.ENTITY_MANAGEMENT, activity, entity=_entity(record, type_))
    elif kind != "outcome":
        return
    elif action in _ACCOUNT:
        yield _event(record, Class.ACCOUNT_CHANGE, _ACCOUNT[action], user=record.user)
    elif action == "members":
        yield from _memberships(record)
    else:
        before, after = ({p: v.get(side) for p, v in record.values.items()} for side in ("before", "after"))
        entity = {"type": "account", **_named(record.user)}
        was, is_now = {**entity, "data": before}, {**entity, "data": after}
        yield _event(record, Class.ENTITY_MANAGEMENT, _UPDATE, entity=was, entity_result=is_now)


def _named(user: Mapping[str, object]) -> dict[str, object]:
    return {name: user[name] for name in ("name", "uid") if name in user}


def _entity(record: AuditedRecord, type_: str) -> dict[str, object]:
    if record.text("person"):
        return {"type": type_, **_named(record.user)}
    name = record.text("rule") or record.text("run") or record.text("configuration") or record.text("action") or type_
    return {"type": type_, "name": name}


def _memberships(record: AuditedRecord) -> Iterator[dict[str, object]]:
    group = {"uid": record.text("account") or record.text("person") or "unknown"}
    sides = [_members(record.values.get("members", {}).get(side)) for side in ("before", "after")]
    moved = [(4, "Remove User", m) for m in sides[0] if m not in sides[1]]
    moved += [(3, "Add User", m) for m in sides[1] if m not in sides[0]]
    for number, (uid, name, member) in enumerate(moved):
        yield _event(record, Class.GROUP_MANAGEMENT, (uid, name), number=number, group=group, user={"uid": member})
    if not moved:
        yield _event(record, Class.GROUP_MANAGEMENT, (_OTHER, "Update"), group=group)


def _members(found: object) -> list[str]:
    listed = found if isinstance(found, list) else []
    return [str(m.get("value")) if isinstance(m, dict) else str(m) for m in listed]


def _event(
    record: AuditedRecord, class_: Class, activity: tuple[int, str], *, number: int = 0, **more: object
) -> dict[str, object]:
    uid, name = activity
    status, severity = _STATUSES.get(record.text("status"), (1, 1))
    seq = record.body.get("seq")
    known = {
        "status": record.text("status"),
        "status_code": record.text("code"),
        "status_detail": record.text("detail"),
        "message": record.text("reason"),
    }
    kept = ("kind", "action", "run", "plan", "person", "target", "rule", "method", "attempt", "part", "version_before",
            "version_after", "configuration", "paths", "commitment")  # fmt: skip
    return {
        "activity_id": uid,
        "activity_name": name,
        "category_uid": _CATEGORY,
        "category_name": "Identity & Access Management",
        "class_uid": class_.value,
        "class_name": _NAMES[class_],
        "type_uid": class_.value * 100 + uid,
        "time": round(datetime.fromisoformat(record.text("at")).timestamp() * 1000),
        "severity_id": severity,
        "status_id": status,
        **{member: text for member, text in known.items() if text},
        "actor": {"user": {"name": record.text("actor")}},
        "metadata": {
            "version": VERSION,
            "product": {"name": "scimsync", "vendor_name": "scimsync", "version": record.product},
            "uid": f"{record.origin}/{seq}" + (f"/{number}" if number else ""),
            "sequence": seq,
            "correlation_uid": record.text("correlation_id") or record.text("run") or record.origin,
            "log_name": "audit",
            "original_time": record.text("at"),
        },
        "unmapped": {member: record.body[member] for member in kept if member in record.body},
        **more,
    }

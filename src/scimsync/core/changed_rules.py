"""Which rules of a policy changed, and the policy with some of those changes.

A rule is what a person changes in the configuration as one thing: the expression of one path, who wins, what becomes of
leavers, one limit. An effect is told under the rule that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from scimsync.model.durations import duration_text
from scimsync.model.policy import OUTAGE, Grouping, Limits, Mapped, Policy, Providing, Rings

AUTHORITY = "[policy] authority"
#: fields of a policy -> where they stand in the configuration; those of one rule belong together
_FIELDS = {
    "match": "[correlation] match",
    "rekey": "[correlation] rekey",
    "renames": "[correlation] renames",
    "renames_within": "[correlation] renames",
    "leavers": "[policy] leavers",
    "leavers_after": "[policy] leavers",
    "leavers_readings": "[policy] leavers",
    "leavers_apart": "[policy] leavers",
    "leave": "[policy] leave",
    "leave_removes": "[policy] leave",
    "outside": "[policy] out_of_scope",
    "create_before": "[policy] create_before",
    "deleted": "[policy] deleted",
    "rehire": "[policy] rehire",
    "rings": "[policy] rings",
    "outage": "[policy] outage",
    "on_bad_value": "[policy] on_bad_value",
    "exchange": "[policy] exchange",
    "protected": "[policy] protected",
    "plan_expires": "[policy] plan_expires",
    "approvals": "[[approval]]",
    "groups": "[groups]",
}


class Rule(Struct, frozen=True):
    """One rule that is not what it was; both as people read them, "" where it is not there."""

    name: str
    before: str
    after: str


def of_path(path: str) -> str:
    """The name of the rule that makes the value of a path."""
    return f"[attributes] {path}"


def changed(before: Policy, after: Policy) -> tuple[Rule, ...]:
    """The rules in which two policies differ, in the order of the configuration."""
    rules = [*_expressions(before, after), *_authorities(before, after)]
    told: dict[str, list[tuple[str, str]]] = {}
    for name, rule in _FIELDS.items():
        if _own(before, name) != _own(after, name):
            told.setdefault(rule, []).append((_said(before, after, name), _said(after, before, name)))
    rules += [
        Rule(rule, _joined(old for old, _ in pairs), _joined(new for _, new in pairs)) for rule, pairs in told.items()
    ]
    for name in Limits.__struct_fields__:
        old, new = getattr(before.limits, name), getattr(after.limits, name)
        if old != new:
            rules.append(Rule(f"[limits] {name}", _text(old), _text(new)))
    return tuple(rules)


def _own(policy: Policy, name: str) -> object:
    """A field as the configuration has it; what the dialect says of groups is none of it."""
    value = getattr(policy, name)
    return replace(value, providing=Providing(), batch=0) if isinstance(value, Grouping) else value


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(text for text in texts if text)


def _expressions(before: Policy, after: Policy) -> list[Rule]:
    old, new = before.by_path, after.by_path
    pairs = {path: (_expression(old.get(path)), _expression(new.get(path))) for path in (*old, *new)}
    return [Rule(of_path(path), *pair) for path, pair in pairs.items() if pair[0] != pair[1]]


def _expression(mapped: Mapped | None) -> str:
    return mapped.expression if mapped is not None else ""


def _authorities(before: Policy, after: Policy) -> list[Rule]:
    both = before.by_path.keys() & after.by_path.keys()
    moved = {
        path: (before.by_path[path].authority.value, after.by_path[path].authority.value)
        for path in before.by_path
        if path in both and before.by_path[path].authority is not after.by_path[path].authority
    }
    if not moved:
        return []
    told = [_joined(f"{path}: {pair[side]}" for path, pair in moved.items()) for side in (0, 1)]
    return [Rule(AUTHORITY, *told)]


def _said(mine: Policy, other: Policy, name: str) -> str:
    value = getattr(mine, name)
    if name == "protected":  # names of people
        return f"{len(value - other.protected)} of {len(value)} names" if value else ""
    say = _SAID.get(name)
    return say(value) if say is not None else str(value.value)


def _after(value: timedelta) -> str:
    return f"after {duration_text(value.total_seconds())}"


def _rings(rings: Rings) -> str:
    first = f"{rings.first} first" if rings.first else ""
    return _joined([first, *(f"{share:.0%}" for share in rings.shares), f"from {rings.least} changes on"])


#: what is said of a field that is no plain word
_SAID: Mapping[str, Callable[[Any], str]] = {
    "match": lambda places: ", ".join(place.short for place in places),
    "groups": lambda groups: "managed" if groups is not None else "",
    "leave_removes": lambda paths: f"removes {', '.join(sorted(paths))}" if paths else "",
    "create_before": lambda before: f"{duration_text(before.total_seconds())} before" if before else "on the day",
    "leavers_after": _after,
    "renames_within": _after,
    "plan_expires": _after,
    "leavers_readings": lambda number: "missing once" if number == 1 else f"missing in {number} readings",
    "leavers_apart": lambda apart: f"{duration_text(apart.total_seconds())} apart",
    "outage": lambda patience: "stop" if patience == OUTAGE else f"wait {duration_text(patience.total_seconds())}",
    "rings": _rings,
}


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{path}: {limit}" for path, limit in value.items())
    seconds = getattr(value, "total_seconds", None)
    return str(value) if seconds is None else duration_text(seconds())


def under(before: Policy, after: Policy, names: Collection[str]) -> Policy:
    """The first policy with those changes of the second whose rules are named."""
    old, new = before.by_path, after.by_path
    attributes: list[Mapped] = []
    for path in dict.fromkeys([*old, *new]):
        mine = new.get(path) if of_path(path) in names else old.get(path)
        if mine is not None and path in old and path in new:
            expression = (new if of_path(path) in names else old)[path].expression
            authority = (new if AUTHORITY in names else old)[path].authority
            mine = replace(old[path], expression=expression, authority=authority)
        if mine is not None:
            attributes.append(mine)
    moved = {name: getattr(after, name) for name, rule in _FIELDS.items() if rule in names}
    limits = {name: getattr(after.limits, name) for name in Limits.__struct_fields__ if f"[limits] {name}" in names}
    return replace(before, attributes=tuple(attributes), limits=replace(before.limits, **limits), **moved)

"""The digest of a configuration: what a plan is bound to. Secrets, speed and the places of the state are left out.

A stored plan of an earlier version stays good as long as its digest does, so what later versions brought counts only
where it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from scimsync.config.settings import GroupSettings, SheetSettings, SourceSettings, TargetSettings
from scimsync.core.approving import document
from scimsync.core.owning import unsigned
from scimsync.model.contracts import Contract
from scimsync.model.policy import (
    RENAMES_WITHIN,
    BadValue,
    Deleted,
    Grouping,
    Leavers,
    Limits,
    LoginExchange,
    Policy,
    Rehire,
    Rekey,
    Renames,
    counted_for_leavers,
)
from scimsync.scim.dialect import Dialect
from scimsync.scim.dialect_file import CODED, entries_of
from scimsync.scim.generic import GENERIC

#: the limits that every digest holds; what came after them counts where it is not the default
_FIRST_LIMITS = ("disable", "create", "update", "source_rows_drop", "group_loss")
#: in the order in which they are digested
_LATER_LIMITS = ("enable", "clear", "window", "group_gain", "delete")


def _since(source: SourceSettings, target: TargetSettings, limits: Limits) -> dict[str, object]:
    """What later versions brought, as far as it is used: a plan of an earlier one stays good where it is not."""
    standard = Limits()
    changed = {
        key: str(getattr(limits, key)) for key in _LATER_LIMITS if getattr(limits, key) != getattr(standard, key)
    }
    if limits.leavers_window != counted_for_leavers(limits.window):
        changed["leavers_window"] = str(limits.leavers_window)
    changed |= {f"clear {path}": str(limit) for path, limit in sorted(limits.clears.items())}
    dialect = target.dialect
    concurrency = dialect.concurrency if dialect.concurrency != CODED.get(dialect.name, GENERIC).concurrency else ""
    found: dict[str, object] = {
        "joined": [_joined(one) for one in source.joined],
        "concurrency": concurrency,
        "dialect": _dialect(dialect),
        "null_values": list(source.null_values),
        "rest": source.rest.decisive if source.rest else [],
        "presence": _used([source.presence.where, source.presence.on_leave, source.presence.main]),
        "reading": _used([source.trim, source.skip_lines, list(source.columns)]),
        "later limits": changed,
        "ldap": _ldap(source),
        "sheet": _sheet(source.sheet),
        "mode": "delta" if source.is_delta else "",
        "validity": [source.validity.first, source.validity.last] if source.validity.is_known else [],
    }
    return {name: value for name, value in found.items() if value}


def _joined(one: SourceSettings) -> list[object]:
    """What decides which columns a joined source gives, and to whom."""
    return [
        one.name, one.kind, *one.join, one.query, unsigned(str(one.path or "")), list(one.null_values), one.complete,
        _used([one.skip_lines, list(one.columns)]), _sheet(one.sheet), _ldap(one),
        one.rest.decisive if one.rest else [],
    ]  # fmt: skip


def _ldap(source: SourceSettings) -> list[object]:
    """What decides who is read from a directory, and as what."""
    given = source.ldap
    if given is None:
        return []
    return [
        given.base, given.filter, given.scope, given.attributes, given.several, given.separator, given.references,
        given.leave_referrals,
    ]  # fmt: skip


def _sheet(sheet: SheetSettings | None) -> list[object]:
    return [] if sheet is None else [sheet.name, sheet.header_row, sheet.skip_last]


def _used(given: list[object]) -> list[object]:
    """What is written, where anything is."""
    return given if any(given) else []


def _away(policy: Policy) -> dict[str, object]:
    """What becomes of people who are away, or not there yet, where that is not the default."""
    standard = Policy(attributes=(), match=())
    keys = ("leave", "leave_removes", "outside", "create_before")
    given = {key: getattr(policy, key) for key in keys if getattr(policy, key) != getattr(standard, key)}
    return (
        {"away": {key: sorted(one) if isinstance(one, frozenset) else str(one) for key, one in given.items()}}
        if given
        else {}
    )


def _renames(policy: Policy) -> dict[str, object]:
    """What becomes of suspected renames, where that is not the default."""
    if policy.renames is Renames.HOLD and policy.renames_within == RENAMES_WITHIN:
        return {}
    return {"renames": [policy.renames.value, policy.renames_within.total_seconds()]}


def _dialect(dialect: Dialect) -> Mapping[str, object]:
    """What a file makes of a dialect; those that are part of the product are known by their name."""
    return {} if dialect.name in CODED else entries_of(dialect)


def _contract(contract: Contract) -> dict[str, object]:
    """What both ends are held to, as far as anything was written."""
    expect = contract.expect
    newest = [expect.newest.column, expect.newest.within.total_seconds()] if expect.newest else []
    found: dict[str, object] = {
        "rows": [expect.least, expect.most] if (expect.least, expect.most) != (None, None) else [],
        "churn": "" if expect.churn is None else str(expect.churn),
        "blanks": dict(sorted(expect.blanks.items())),
        "shares": {column: str(limit) for column, limit in sorted(expect.shares.items())},
        "newest": newest,
        "rules": [[r.name, r.sql, r.where, r.least, r.most, r.refuses] for r in contract.rules],
    }
    return {f"contract {name}": value for name, value in found.items() if value}


def digest(
    source: SourceSettings,
    target: TargetSettings,
    policy: Policy,
    groups: GroupSettings | None,
    contract: Contract | None = None,
) -> str:
    """Digest everything that decides what a run does."""
    return _digested(_decisive(source, target, policy, groups, contract), 16)


def parts(
    source: SourceSettings,
    target: TargetSettings,
    policy: Policy,
    groups: GroupSettings | None,
    contract: Contract | None = None,
) -> dict[str, str]:
    """The same part by part; each attribute is one of its own, by the name `attributes.PATH`."""
    decisive = _decisive(source, target, policy, groups, contract)
    del decisive["attributes"]
    each = {f"attributes.{m.path}": [m.expression, m.authority.value] for m in policy.attributes}
    return {name: _digested(found, 8) for name, found in {**decisive, **each}.items()}


def _digested(found: object, digits: int) -> str:
    return hashlib.sha256(msgspec.json.encode(found)).hexdigest()[:digits]


def _decisive(
    source: SourceSettings,
    target: TargetSettings,
    policy: Policy,
    groups: GroupSettings | None,
    contract: Contract | None,
) -> dict[str, object]:
    """Everything that decides what a run does, by name."""
    decisive: dict[str, object] = {
        "source": [source.kind, source.key, source.query, unsigned(str(source.path or ""))],
        "target": [
            target.dialect.name,
            target.api_url,
            target.dialect.operations_per_patch,
            target.dialect.characters,
            target.dialect.request_bytes,
        ],
        "attributes": [[m.path, m.expression, m.authority.value] for m in policy.attributes],
        "match": [place.short for place in policy.match],
        "policy": [policy.leavers.value, sorted(policy.protected)],
        "limits": [str(getattr(policy.limits, key)) for key in _FIRST_LIMITS],
    }
    if source.name:
        decisive["source name"] = source.name
    if source.zone != "UTC":
        decisive["zone"] = source.zone
    if policy.on_bad_value is not BadValue.ATTRIBUTE:
        decisive["on_bad_value"] = policy.on_bad_value.value
    if policy.rekey is not Rekey.HOLD:
        decisive["rekey"] = policy.rekey.value
    decisive |= (
        _since(source, target, policy.limits)
        | _renames(policy)
        | _away(policy)
        | _contract(contract or Contract())
        | ({"approvals": [[one.name, document(one)] for one in policy.approvals]} if policy.approvals else {})
    )
    decisive |= _leavers(policy)
    if policy.deleted is not Deleted.HOLD:
        decisive["deleted"] = policy.deleted.value
    if policy.rehire is not Rehire.PROPOSE:
        decisive["rehire"] = policy.rehire.value
    if policy.exchange is not LoginExchange.PARK:
        decisive["exchange"] = policy.exchange.value
    if groups is not None and policy.groups is not None:
        decisive |= _groups(groups, policy.groups)
    return decisive


def _leavers(policy: Policy) -> dict[str, object]:
    """When somebody who left loses what."""
    found: dict[str, object] = {}
    if policy.leavers is Leavers.DELETE:
        found["leavers_after"] = policy.leavers_after.total_seconds()
    if policy.leavers_readings > 1:
        found["leavers_readings"] = [policy.leavers_readings, policy.leavers_apart.total_seconds()]
    return found


def _groups(groups: GroupSettings, rules: Grouping) -> dict[str, object]:
    """Who is in which group, and what is done about it."""
    found: dict[str, object] = {
        "groups": [
            groups.query, unsigned(str(groups.path or "")), groups.nesting,
            unsigned(str(groups.nesting_path or "")), rules.column, rules.separator, rules.match, rules.nested.value,
            rules.others.value, sorted(rules.managed),
        ]
    }  # fmt: skip
    if groups.base:
        found["groups of a directory"] = [groups.base, groups.filter, groups.member, groups.naming]
    if rules.protected:
        found["protected groups"] = sorted(rules.protected)
    return found

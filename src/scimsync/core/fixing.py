"""Attributes that a target calls immutable: written where an account is made, and never after (RFC 7643 §7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.core.planner import SENT, operations_of
from scimsync.model.plans import Change, Finding, Severity
from scimsync.model.policy import Mapped
from scimsync.scim.dialect import Dialect, among
from scimsync.scim.schema import Attribute, Kind, Place, Schema


def fixed(published: Iterable[Schema], attributes: Sequence[Mapped], dialect: Dialect) -> frozenset[str]:
    """The mapped paths that the target's schemas, or its dialect, call immutable.

    Never `active`, by which access is taken away.

    Args:
        published: The schemas as the target has them.
        attributes: The mapping.
        dialect: Of the target.
    """
    catalog = dialect.users
    schemas = {schema.id.lower(): schema for schema in published}
    return frozenset(
        mapped.path
        for mapped in attributes
        if mapped.path != ACTIVE
        and (
            among(mapped.path, dialect.immutable)
            or _is_fixed(schemas.get((mapped.place.urn or catalog.core.id).lower()), mapped.place)
        )
    )


def _is_fixed(schema: Schema | None, place: Place) -> bool:
    attribute = schema.attribute(place.attribute.name) if schema else None
    if attribute is None:
        return False
    inner = (
        attribute.sub(place.leaf.name) if place.leaf is not place.attribute and place.kind is not Kind.LIST else None
    )
    return _says(attribute) or (inner is not None and not attribute.multi_valued and _says(inner))


def _says(attribute: Attribute) -> bool:
    return attribute.mutability.lower() == "immutable"


def leave(
    changes: Iterable[Change], paths: frozenset[str], attributes: Sequence[Mapped]
) -> tuple[list[Change], list[Finding]]:
    """Leave alone what is immutable of accounts that exist; the rest of each change goes on.

    Args:
        changes: The changes.
        paths: The mapped paths that are immutable.
        attributes: Everything that a plan may write.
    """
    kept: list[Change] = []
    told: list[Finding] = []
    for change in changes:
        gone = [d.path for d in change.deltas if d.path in paths and d.verdict in SENT] if change.account else []
        told += [_left(change, path) for path in gone]
        deltas = tuple(d for d in change.deltas if d.path not in gone)
        if not gone:
            kept.append(change)
        elif any(delta.verdict in SENT for delta in deltas):
            kept.append(replace(change, deltas=deltas, operations=operations_of(deltas, attributes)))
    return kept, told


def unkept(attributes: Sequence[Mapped], dialect: Dialect) -> list[Finding]:
    """A finding about each mapped path that the dialect says the target does not keep, so that it is left alone.

    Never about `active`: that access is to be taken is told each time.
    """
    return [
        Finding(
            severity=Severity.WARNING,
            code="attribute.unkept",
            subject=mapped.path,
            summary="this directory does not keep this attribute; nothing is written to it",
            detail=f"dialect {dialect.name}: {dialect.grounds['unkept'].source}",
            hint="take the path from [attributes]; if the directory keeps it by now, correct the dialect",
        )
        for mapped in attributes
        if among(mapped.path, dialect.unkept) and mapped.path != ACTIVE
    ]


def _left(change: Change, path: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="attribute.immutable",
        subject=change.key,
        summary="the target takes this value only where an account is made; the account keeps the one that it has",
        detail=path,
        hint="correct the source, or give the person a new account",
        row=change.row,
        path=path,
    )

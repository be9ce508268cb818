"""What a drift means for the people we keep: it blocks the run, warns, or informs. Severity follows the mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.outcomes import Description, Pin
from scimsync.model.plans import LOGIN, Finding, Severity
from scimsync.model.policy import Leavers, Policy
from scimsync.scim.dialect import Dialect
from scimsync.scim.drift import CONFIG, PLAIN, RESOURCE_TYPES, SCHEMAS, Drift, Kind, compare_documents
from scimsync.scim.published import schemas_from_json
from scimsync.scim.schema import CORE_GROUP, Catalog, Place, compared
from scimsync.scim.schema import Kind as PlaceKind

CODE = "schema.drift"

#: what always breaks a write to the path that it is about
_BREAKS = frozenset({Kind.REMOVED, Kind.TYPE, Kind.MULTI_VALUED})
#: types that travel as the same kind of JSON (RFC 7643 §2.3)
_ALIKE = (frozenset({"string", "datetime", "reference", "binary"}), frozenset({"integer", "decimal"}))
#: features without which there is no conditional PATCH
_NEEDED = frozenset({f"{CONFIG}.patch", f"{CONFIG}.etag"})
#: the common attributes, which no schema need list (RFC 7643 §3.1)
COMMON = frozenset({"id", "externalid", "meta", "schemas"})
#: who recorded a pin that no person asked for
FIRST_PLAN = "the first plan"
#: what is written and read of a group where groups are managed
_MEMBERS = (f"{CORE_GROUP}:members", f"{CORE_GROUP}:members.value")
_GROUP_NAME = f"{CORE_GROUP}:displayName"


class Reach(Struct, frozen=True, kw_only=True):
    """What a mapping touches, as short paths in lower case."""

    #: what our requests write: attributes, sub-attributes, and those that select an element
    written: frozenset[str]
    #: what is read for a match, and the attributes around what is written
    mapped: frozenset[str]
    #: the values by which elements are selected, in lower case: what is written without a look at the record
    selected: frozenset[tuple[str, str]]
    #: the core schema's attributes and those of extensions that are written: "" and `enterprise:`
    prefixes: frozenset[str]
    #: members of groups are written
    groups: bool = False

    @classmethod
    def of(cls, policy: Policy, catalog: Catalog) -> Reach:
        """What a policy touches; disabling a leaver writes `active`, mapped or not."""
        places = [mapped.place for mapped in policy.attributes]
        if policy.leavers is not Leavers.KEEP:
            places.append(catalog.resolve(ACTIVE))
        matched = [place for place in policy.match if place.short not in policy.by_path]
        roots = {_root(place, catalog) for place in (*places, *matched)}
        written = {path for place in places for path in _paths(place, catalog)}
        if policy.groups is not None:
            written |= {*_MEMBERS}
            roots |= {_MEMBERS[0], _GROUP_NAME}
        return cls(
            written=frozenset(path.lower() for path in written),
            mapped=frozenset(root.lower() for root in roots),
            selected=frozenset(
                (f"{_root(place, catalog)}.{name}".lower(), str(wanted).lower())
                for place in places
                for name, wanted in place.selector.items()
            ),
            prefixes=frozenset(_prefix(_root(place, catalog)) for place in places),
            groups=policy.groups is not None,
        )

    def writes(self, path: str) -> bool:
        """Whether our requests name this path."""
        return path.lower() in self.written

    def maps(self, path: str) -> bool:
        """Whether the path belongs to an attribute that the mapping knows."""
        path = path.lower()
        head, dot, _ = path.rpartition(".")
        return path in self.mapped or path in self.written or bool(dot and head in self.mapped)

    def needs(self, path: str) -> bool:
        """Whether a new account or element of ours would lack this path if it were required."""
        path = path.lower()
        head, dot, _ = path.rpartition(".")
        if path in self.written or path == "schemas":
            return False
        return head in self.written if dot else _prefix(path) in self.prefixes


class Ruling(Struct, frozen=True, kw_only=True):
    """One drift, how bad it is, and what to do."""

    drift: Drift
    severity: Severity
    hint: str

    @property
    def blocks(self) -> bool:
        """Whether the run may not go on."""
        return self.severity is Severity.ERROR


class Baseline(Struct, frozen=True, kw_only=True):
    """What a schema is compared with: a pin, a file, or what the dialect assumes."""

    #: for messages: "the pin of 2026-11-25 10:00 UTC"
    name: str
    documents: Mapping[str, Mapping[str, object]]
    #: it is what a dialect assumes, in part a guess
    assumed: bool = False
    #: it may stop a run; else what differs from it is told, and written all the same
    stops: bool = True

    @classmethod
    def of(cls, pin: Pin | None, dialect: Dialect) -> Baseline:
        """The pin, or where there is none the schemas that the dialect assumes.

        They stop a run only where the dialect is that of one product: any other lists what it likes of the RFC.
        """
        if pin is not None:
            documents = {name: document.body for name, document in pin.documents.items()}
            what = "what the first plan saw" if pin.actor == FIRST_PLAN else "the pin of"
            return cls(name=f"{what} {pin.at:%Y-%m-%d %H:%M} UTC", documents=documents)
        assumed = {SCHEMAS: {"Resources": [schema.to_json() for schema in dialect.users.published.schemas]}}
        name = "what the dialect assumes"
        return cls(name=name, documents=assumed, assumed=True, stops=dialect.knows_schemas)


def judge(
    baseline: Baseline, found: Description, policy: Policy, catalog: Catalog, *, whole: bool = False
) -> tuple[Ruling, ...]:
    """Compare a baseline with what the target says about itself now; the worst first.

    Args:
        baseline: What to compare with.
        found: What the target says.
        policy: Its mapping decides how bad a drift is.
        catalog: Gives the short prefixes.
        whole: Speak also of what the mapping does not touch where the baseline is assumed.

    Raises:
        ConfigError: The baseline is in the plain form and cannot be read.
    """
    if baseline.assumed and not schemas_from_json(found.body(SCHEMAS)):
        return ()  # a target that publishes no schemas contradicts no assumption
    documents = {name: document.body for name, document in found.documents.items()}
    before = {name: body for name, body in baseline.documents.items() if name == PLAIN or name in documents}
    drifts = compare_documents(before, documents, catalog)
    reach = Reach.of(policy, catalog)
    if baseline.assumed:  # a dialect does not claim to list everything
        drifts = tuple(d for d in drifts if d.kind is not Kind.REMOVED or d.path.lower() not in COMMON)
        drifts = tuple(d for d in drifts if d.kind is not Kind.ADDED) if whole else touched(drifts, reach)
    if not baseline.stops:  # the RFC leaves it to the provider which values it suggests
        drifts = tuple(d for d in drifts if d.kind is not Kind.VALUE_ADDED)
    rulings = rule(drifts, reach, assumed=baseline.assumed)
    return rulings if baseline.stops else tuple(map(_told, rulings))


def _told(ruling: Ruling) -> Ruling:
    """A ruling that stops nothing."""
    if not ruling.blocks:
        return ruling
    hint = "it is written all the same, as the RFC has it; where the target refuses it, take it out of [attributes]"
    return replace(ruling, severity=Severity.WARNING, hint=hint)


def absent(
    documents: Mapping[str, Mapping[str, object]], policy: Policy, catalog: Catalog, *, whole: bool
) -> tuple[str, ...]:
    """The mapped paths that published schemas do not have.

    Never `active`, by which access is taken away, the login, or what no schema need list.

    Args:
        documents: What the target published.
        policy: Its mapping.
        catalog: Gives the core schema's name.
        whole: Whether these are all the schemas that there are, so that an extension that is none of them is missing.
    """
    schemas = {schema.id.lower(): schema for schema in schemas_from_json(documents.get(SCHEMAS, {}))}
    whole = whole and catalog.core.id.lower() in schemas
    found = []
    for mapped in policy.attributes:
        place = mapped.place
        schema = schemas.get((place.urn or catalog.core.id).lower())
        is_known = schema is not None or whole
        if not is_known or not place.published or place.short.lower() in {ACTIVE, LOGIN.lower(), *COMMON}:
            continue
        attribute = schema.attribute(place.attribute.name) if schema is not None else None
        inner = place.leaf is not place.attribute and place.kind is not PlaceKind.LIST
        if attribute is None or (inner and attribute.sub_attributes and attribute.sub(place.leaf.name) is None):
            found.append(mapped.path)
    return tuple(found)


def left_out(pin: Pin | None, policy: Policy) -> list[Finding]:
    """A finding about each mapped path that a pin says the target does not have, so that nothing is written there."""
    if pin is None:
        return []
    return [
        Finding(
            severity=Severity.WARNING,
            code="attribute.left-out",
            subject=path,
            summary="the pin says that the target does not have this attribute; nothing is written to it",
            detail=f"pinned {pin.at:%Y-%m-%d %H:%M} UTC",
            hint=f"take the path from [attributes]; where the target keeps it: scimsync schema pin --write '{path}'",
        )
        for path in pin.left_out
        if path in policy.by_path and path != ACTIVE
    ]


def unpublished(found: Description) -> Finding | None:
    """A finding where the target publishes no schemas."""
    if schemas_from_json(found.body(SCHEMAS)):
        return None
    return Finding(
        severity=Severity.WARNING,
        code="schema.unpublished",
        subject="",
        summary="the target publishes no schemas, so drift cannot be seen",
        detail="; ".join(f"{name}: {why}" for name, why in found.untold.items()),
        hint="what the dialect assumes is taken for true; check [attributes] against the provider's manual",
    )


def remembered(found: Description) -> Finding:
    """That the first plan keeps what it saw of the schemas, which from then on is the baseline."""
    return Finding(
        severity=Severity.INFO,
        code="schema.remembered",
        subject="",
        summary="the target's schemas were remembered; a run stops where they change under the mapping",
        detail=", ".join(schema.name or schema.id for schema in schemas_from_json(found.body(SCHEMAS))),
        hint="nothing to do; scimsync schema pin records them anew",
    )


def rule(drifts: Iterable[Drift], reach: Reach, *, assumed: bool = False) -> tuple[Ruling, ...]:
    """Say of each drift whether it blocks the run, warns or informs; the worst first.

    Args:
        drifts: What was found.
        reach: What the mapping touches.
        assumed: The baseline is what a dialect assumes, in part a guess. Then only that blocks what
            surely breaks a write: removed, another kind of JSON, one value or many, no longer writable.
    """
    ruled = [_rule(drift, reach, assumed=assumed) for drift in drifts]
    order = list(Severity)
    return tuple(sorted(ruled, key=lambda r: order.index(r.severity)))


def touched(drifts: Iterable[Drift], reach: Reach) -> tuple[Drift, ...]:
    """The drifts that a run speaks of where its baseline is only what the dialect assumes."""
    return tuple(
        d
        for d in drifts
        if d.kind is Kind.CAPITALS or (reach.maps(d.path) and not d.is_new) or (_wants(d) and reach.needs(d.path))
    )


def _wants(drift: Drift) -> bool:
    """Whether something is required now that was not."""
    return drift.kind is Kind.REQUIRED and drift.after == "true"


def findings(rulings: Iterable[Ruling], *, stops: bool = True) -> tuple[Finding, ...]:
    """The rulings as findings of a plan, against a baseline that may stop it or not."""
    was = "not what it was" if stops else "not that of the RFC"
    return tuple(
        Finding(
            severity=ruling.severity,
            code=CODE,
            subject="",
            summary=f"the target's schema is {was}",
            detail=str(ruling.drift),
            hint=ruling.hint,
        )
        for ruling in rulings
    )


def _rule(drift: Drift, reach: Reach, *, assumed: bool) -> Ruling:
    if drift.kind is Kind.FEATURE:
        return _rule_feature(drift, reach)
    if drift.kind in {Kind.CAPITALS, Kind.ADDED}:
        return Ruling(drift=drift, severity=Severity.INFO, hint="nothing to do")
    if _wants(drift) and reach.needs(drift.path):
        severity = Severity.WARNING if assumed else Severity.ERROR
        hint = f"map {drift.path}: new accounts need it"
        if _is_of_groups(drift):
            hint = "new members need it, and it is never written: take out [groups]"
        return Ruling(drift=drift, severity=severity, hint=hint)
    if reach.writes(drift.path):
        if _breaks(drift, reach) and not (assumed and not _surely(drift)):
            hint = "the mapping writes it: change or take out its lines in [attributes]"
            hint += ", or have it left out: scimsync schema pin" if drift.kind is Kind.REMOVED else ""
            if _is_of_groups(drift):
                hint = "members of groups are written there: take out [groups] until the provider says how"
            return Ruling(drift=drift, severity=Severity.ERROR, hint=hint)
        hint = "see that the mapping still fits"
        if drift.kind is Kind.MUTABILITY and drift.after.lower() == "immutable":
            hint = "it is written where an account is made, and never after"
        return Ruling(drift=drift, severity=Severity.WARNING, hint=hint)
    if reach.maps(drift.path):
        return Ruling(
            drift=drift, severity=Severity.WARNING, hint="it is mapped and not written: see that it still fits"
        )
    return Ruling(drift=drift, severity=Severity.INFO, hint="it is not mapped: nothing to do")


def _is_of_groups(drift: Drift) -> bool:
    return drift.path.lower().startswith(f"{CORE_GROUP}:".lower())


def _rule_feature(drift: Drift, reach: Reach) -> Ruling:
    """A drift of ResourceTypes or ServiceProviderConfig."""
    if drift.path in _NEEDED and drift.after != "yes":
        hint = "every write is a PATCH under If-Match; ask the provider"
        return Ruling(drift=drift, severity=Severity.ERROR, hint=hint)
    if drift.path == f"{RESOURCE_TYPES}.User":
        return Ruling(drift=drift, severity=Severity.ERROR, hint="people are written there; check api_url and dialect")
    if drift.path == f"{RESOURCE_TYPES}.Group" and reach.groups:
        hint = "members of groups are written there; check api_url and dialect, or take out [groups]"
        return Ruling(drift=drift, severity=Severity.ERROR, hint=hint)
    if drift.path.startswith(f"{CONFIG}.filter") or drift.path.startswith(f"{RESOURCE_TYPES}.User."):
        return Ruling(drift=drift, severity=Severity.WARNING, hint="see that the mapping still fits")
    return Ruling(drift=drift, severity=Severity.INFO, hint="nothing to do")


def _breaks(drift: Drift, reach: Reach) -> bool:
    """Whether a write to the path of this drift can fail now."""
    match drift.kind:
        case Kind.MUTABILITY:
            return drift.after.lower() == "readonly"
        case Kind.UNIQUENESS:
            return drift.after in {"server", "global"} and drift.before not in {"server", "global"}
        case Kind.CASE:
            return True
        case Kind.VALUE_REMOVED:
            path, value = drift.path.lower(), drift.before.lower()
            chosen = any(name == path for name, _ in reach.selected)
            return (path, value) in reach.selected or not chosen
    return drift.kind in _BREAKS


def _surely(drift: Drift) -> bool:
    """Whether the write fails whatever the provider makes of its own words."""
    if drift.kind is Kind.TYPE:
        return not any({drift.before.lower(), drift.after.lower()} <= alike for alike in _ALIKE)
    return drift.kind in _BREAKS or (drift.kind is Kind.MUTABILITY and drift.after.lower() == "readonly")


def _root(place: Place, catalog: Catalog) -> str:
    """The attribute of a place as drifts name it."""
    return catalog.shorten(f"{place.urn or catalog.core.id}:{place.attribute.name}")


def _prefix(path: str) -> str:
    """The schema of a short path: `enterprise:`, or "" for the core."""
    head, colon, _ = path.lower().rpartition(":")
    return head + colon


def _paths(place: Place, catalog: Catalog) -> list[str]:
    """Everything that a write to a place names."""
    root = _root(place, catalog)
    subs = list(place.selector)
    if place.kind is PlaceKind.LIST:
        subs += [sub.name for sub in compared(place.attribute)]
    elif place.leaf is not place.attribute:
        subs.append(place.leaf.name)
    return [root, *(f"{root}.{sub}" for sub in subs)]

"""The parts alone, without any service: deltas, PATCH operations, validation, schema drift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import Enum

from scimsync.config import unfit
from scimsync.core import planner
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.operations import checked_operations
from scimsync.errors import ConfigError, InvalidPath
from scimsync.model.accounts import Pair
from scimsync.model.plans import Delta, Finding
from scimsync.model.policy import Authority, Mapped, Policy
from scimsync.scim.dialect import Dialect
from scimsync.scim.drift import Drift, compare_any
from scimsync.scim.forms import truth
from scimsync.scim.genesys import GENESYS
from scimsync.scim.grammar import lookup
from scimsync.scim.messages import Operation
from scimsync.scim.platform import INVITATION
from scimsync.scim.schema import Kind, Place, Value, compared, entries


class ConflictResolution(Enum):
    """Who wins where the directory holds something else than HR."""

    LOCAL_WINS = "local_wins"
    CLOUD_WINS = "cloud_wins"
    MERGE = "merge"


def words(finding: Finding) -> str:
    """A finding as one sentence."""
    detail = f": {finding.detail}" if finding.detail else ""
    return f"{finding.summary}{detail} ({finding.code})" + (f"; {finding.hint}" if finding.hint else "")


def mapping(data: Mapping[str, object], authority: Authority, dialect: Dialect) -> list[Mapped]:
    """The mapping of the paths of the data, whose values are at hand and need no expression.

    Raises:
        ConfigError: With every fault.
    """
    faults: list[str] = []
    mapped: dict[str, Mapped] = {}
    for path, value in data.items():
        try:
            place = dialect.users.resolve(path)
        except InvalidPath as error:
            faults.append(str(error))
            continue
        fault = unfit(place, dialect) or _type_fault(place, value)
        if place.short == INVITATION:
            fault = f"{INVITATION} is for accounts that a plan makes; this account is there"
        if fault is None and place.short in mapped:
            fault = f"{path} is given twice"
        if fault is not None:
            faults.append(fault)
        mapped[place.short] = Mapped(place=place, expression="", authority=authority)
    if not data:
        faults.append("there is nothing to synchronise: give at least one path and its value")
    if faults:
        raise ConfigError(*faults)
    return list(mapped.values())


_TYPES: Mapping[Kind, tuple[tuple[type, ...], str]] = {
    Kind.BOOLEAN: ((bool,), "true or false"),
    Kind.DECIMAL: ((int, float), "a number"),
    Kind.DATE: ((str, date), "a date"),
    Kind.LIST: ((list, tuple), "a list of objects"),
}


def _type_fault(place: Place, value: object) -> str | None:
    types, words = _TYPES.get(place.kind, ((str,), "a text"))
    fits = value is None or (isinstance(value, types) and (isinstance(value, bool) is (place.kind is Kind.BOOLEAN)))
    if fits and isinstance(value, list | tuple):
        names = {sub.name for sub in compared(place.attribute)}
        for element in value:
            unknown = set(element) - names if isinstance(element, Mapping) else set()
            if not isinstance(element, Mapping | str) or unknown or (isinstance(element, str) and len(names) > 1):
                return f"{place.short} is a list of objects with {', '.join(sorted(names))}"
    if not fits or (value is None and place.short == "active"):
        return f"{place.short} is {words}, not {type(value).__name__}"
    return None


def build_delta_matrix(
    desired: Mapping[str, object],
    current: Mapping[str, object],
    base: Mapping[str, object] | None = None,
    *,
    resolution: ConflictResolution = ConflictResolution.LOCAL_WINS,
    dialect: Dialect = GENESYS,
) -> tuple[Delta, ...]:
    """Compare what HR wants with what an account holds, and with what both last agreed on (three-way merge).

    Args:
        desired: SCIM path -> value, as for `GenesysScimSyncer.sync_user_attributes`.
        current: The account as JSON, as the directory gives it.
        base: SCIM path -> value on which both sides agreed; None where they never did.
        resolution: Who wins where the directory moved.
        dialect: Whose schemas the paths are of.

    Returns:
        One Delta for each attribute that differs, with its verdict and reason; equal ones are left out.

    Raises:
        ConfigError: A path is unknown or read-only, or a value has the wrong type; all faults at once.

    Examples:
        >>> account = {"id": "u1", "title": "Clerk", "displayName": "Ada Roe"}
        >>> [delta] = build_delta_matrix({"title": "Lead", "displayName": "Ada Roe"}, account, {"title": "Clerk"})
        >>> delta.path, delta.sides.current, delta.sides.desired, delta.verdict.value, delta.reason.value
        ('title', 'Clerk', 'Lead', 'write', 'HR changed it')
        >>> [kept] = build_delta_matrix({"title": "Clerk"}, {"title": "Boss"}, {"title": "Clerk"},
        ...                             resolution=ConflictResolution.CLOUD_WINS)
        >>> kept.verdict.value, kept.reason.value
        ('keep', 'edited in the directory')
    """
    mapped = mapping(desired, authority_of(resolution), dialect)
    values = {m.path: _value(m.place, value) for m, value in zip(mapped, desired.values(), strict=True)}
    agreed = {dialect.users.resolve(path): value for path, value in (base or {}).items()}
    pair = Pair(
        key="",
        name="",
        row=None,
        account=str(current.get("id", "")),
        version="",
        desired=values,
        current={ACTIVE: truth(lookup(current, ACTIVE))} | {m.path: m.place.read(current) for m in mapped},
        base={place.short: _value(place, value) for place, value in agreed.items()},
    )
    planned = planner.plan_pair(pair, Policy(attributes=tuple(mapped), match=()))
    whole = planned.change or planned.notice
    return whole.deltas if whole else ()


def patch_operations(deltas: Sequence[Delta], *, dialect: Dialect = GENESYS) -> tuple[Operation, ...]:
    """The PATCH operations (RFC 7644 §3.5.2) of the deltas whose verdict is to write.

    Examples:
        >>> deltas = build_delta_matrix({"title": "Lead", "enterprise:department": None},
        ...     {"title": "Clerk", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "X"}})
        >>> [(o.op, o.path.rpartition(":")[2], o.value) for o in patch_operations(deltas)]
        [('replace', 'title', 'Lead'), ('remove', 'department', None)]
    """
    places = [dialect.users.resolve(delta.path) for delta in deltas]
    mapped = [Mapped(place=p, expression="", authority=d.authority) for p, d in zip(places, deltas, strict=True)]
    return planner.operations_of(deltas, mapped)


def validate_operations(
    operations: Iterable[Operation | Mapping[str, object]], *, dialect: Dialect = GENESYS
) -> tuple[Finding, ...]:
    """What is wrong with the operations of one PATCH, all at once; nothing is sent, nothing asked, nothing raised.

    Args:
        operations: As they would be sent (RFC 7644 §3.5.2), as objects or as JSON; also a whole body with
            `Operations`. Whatever else it is, or one of them is, is `operation.invalid`.
        dialect: Whose schemas and limits they must fit.

    Examples:
        >>> [finding] = validate_operations([{"op": "replace", "path": "groups[].value", "value": "x"}])
        >>> finding.code
        'operation.invalid'
        >>> validate_operations(["replace title"])[0].detail
        'PATCH: operation 1 is no object, but a str'
        >>> validate_operations(patch_operations(build_delta_matrix({"title": "Lead"}, {})))
        ()
    """
    return checked_operations(operations, dialect.users, dialect=dialect)


def check_schema_drift(
    baseline: Mapping[str, object], published: Mapping[str, object], *, dialect: Dialect = GENESYS
) -> tuple[Drift, ...]:
    """What became of a schema since a baseline was taken. Nothing is raised: what cannot be read is a drift, too.

    Args:
        baseline: SCIM path -> type, or an answer of the `/Schemas` endpoint (RFC 7644 §4) from then. A path that
            nothing published has is `removed`; a line that is none, and a whole that is none, is `unreadable`.
        published: An answer of the `/Schemas` endpoint from now. Anything else, such as the body of an error, is
            one drift, `unreadable`.
        dialect: Gives the short names of the extensions.

    Examples:
        >>> now = {"Resources": [{"id": "urn:ietf:params:scim:schemas:core:2.0:User", "name": "User",
        ...     "attributes": [{"name": "title", "type": "boolean"}]}]}
        >>> [str(drift) for drift in check_schema_drift({"title": "string", "nickName": "string"}, now)]
        ['title: type string -> boolean', 'nickName: removed (string)']
        >>> [str(drift) for drift in check_schema_drift({"title": "string"}, {"status": 404, "code": "not.found"})]
        ['Schemas: unreadable (an error: 404 not.found)']
    """
    return compare_any(baseline, published, dialect.users)


def authority_of(resolution: object) -> Authority:
    """Who wins, in the words of the rules."""
    if not isinstance(resolution, ConflictResolution):
        known = ", ".join(f"ConflictResolution.{each.name}" for each in ConflictResolution)
        raise ConfigError(f"resolution = {resolution!r} is none of {known}")
    return Authority(resolution.value)


def _value(place: Place, value: object) -> Value:
    if isinstance(value, list | tuple):
        return entries(list(value), place.attribute)
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | bool | int | float) and value != "" else None

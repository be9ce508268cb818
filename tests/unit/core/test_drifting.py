"""How bad a drift is follows from the mapping."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from scimsync.core.drifting import Baseline, Reach, findings, judge, rule, unpublished
from scimsync.model.outcomes import Description, Document
from scimsync.model.plans import Severity
from scimsync.model.policy import Authority, Grouping, Leavers, Mapped, Policy
from scimsync.scim.drift import Drift, Kind
from scimsync.scim.genesys import GENESYS
from scimsync.scim.schema import CORE_GROUP

USERS = GENESYS.users
PATHS = (
    "userName", "displayName", "title", "enterprise:department", "enterprise:manager", "genesys:routingSkills",
    'phoneNumbers[type eq "work"].value',
)  # fmt: skip
ERROR, WARNING, INFO = Severity


def make_policy(*paths: str, leavers: Leavers = Leavers.DISABLE) -> Policy:
    mapped = [
        Mapped(place=USERS.resolve(path), expression="x", authority=Authority.LOCAL_WINS) for path in paths or PATHS
    ]
    return Policy(attributes=tuple(mapped), match=(USERS.resolve("externalId"),), leavers=leavers)


def severity(drift: Drift, *, assumed: bool = False, policy: Policy | None = None) -> Severity:
    [ruling] = rule([drift], Reach.of(policy or make_policy(), USERS), assumed=assumed)
    assert ruling.hint
    return ruling.severity


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        # written: what can break a write blocks
        (Drift("title", Kind.REMOVED, "string"), ERROR),
        (Drift("Title", Kind.TYPE, "string", "boolean"), ERROR),
        (Drift("title", Kind.MULTI_VALUED, "false", "true"), ERROR),
        (Drift("title", Kind.MUTABILITY, "readWrite", "readOnly"), ERROR),
        (Drift("title", Kind.MUTABILITY, "readWrite", "immutable"), WARNING),
        (Drift("title", Kind.UNIQUENESS, "none", "server"), ERROR),
        (Drift("title", Kind.CASE, "without case", "caseExact"), ERROR),
        (Drift("title", Kind.VALUE_REMOVED, "Agent"), ERROR),
        (Drift("phoneNumbers", Kind.MUTABILITY, "readWrite", "readOnly"), ERROR),
        (Drift("phoneNumbers.value", Kind.TYPE, "string", "complex"), ERROR),
        (Drift("phoneNumbers.type", Kind.REMOVED, "string"), ERROR),
        (Drift("phoneNumbers.type", Kind.VALUE_REMOVED, "Work"), ERROR),
        (Drift("enterprise:manager.value", Kind.REMOVED, "string"), ERROR),
        (Drift("genesys:routingSkills.proficiency", Kind.TYPE, "decimal", "string"), ERROR),
        # disabling a leaver writes it
        (Drift("active", Kind.REMOVED, "boolean"), ERROR),
        # a new account or element would lack it
        (Drift("nickName", Kind.REQUIRED, "false", "true"), ERROR),
        (Drift("enterprise:division", Kind.REQUIRED, "", "true"), ERROR),
        (Drift("phoneNumbers.primary", Kind.REQUIRED, "false", "true"), ERROR),
        # written, and wider than before, or a value that we do not write
        (Drift("phoneNumbers.type", Kind.VALUE_ADDED, "", "fax"), WARNING),
        (Drift("phoneNumbers.type", Kind.VALUE_REMOVED, "home"), WARNING),
        (Drift("displayName", Kind.REQUIRED, "true", "false"), WARNING),
        (Drift("title", Kind.REQUIRED, "false", "true"), WARNING),
        (Drift("title", Kind.MUTABILITY, "readOnly", "readWrite"), WARNING),
        (Drift("title", Kind.RETURNED, "default", "never"), WARNING),
        # mapped and not written
        (Drift("externalId", Kind.REMOVED, "string"), WARNING),
        (Drift("phoneNumbers.primary", Kind.REMOVED, "boolean"), WARNING),
        (Drift("enterprise:manager.$ref", Kind.TYPE, "reference", "string"), WARNING),
        # elsewhere
        (Drift("roles", Kind.REMOVED, "complex"), INFO),
        (Drift("emails.type", Kind.REQUIRED, "false", "true"), INFO),
        (Drift("urn:ietf:params:scim:schemas:core:2.0:Group:members.value", Kind.REQUIRED, "false", "true"), INFO),
        (Drift("phoneNumbers.display", Kind.ADDED, "", "string"), INFO),
        (Drift(USERS.core.id, Kind.CAPITALS, "", "capitals"), INFO),
        # the provider as a whole
        (Drift("ServiceProviderConfig.patch", Kind.FEATURE, "yes", "no"), ERROR),
        (Drift("ServiceProviderConfig.etag", Kind.FEATURE, "yes", ""), ERROR),
        (Drift("ServiceProviderConfig.etag", Kind.FEATURE, "no", "yes"), INFO),
        (Drift("ServiceProviderConfig.filter", Kind.FEATURE, "yes", "no"), WARNING),
        (Drift("ServiceProviderConfig.bulk", Kind.FEATURE, "yes", "no"), INFO),
        (Drift("ResourceTypes.User", Kind.FEATURE, "/Users u", "/People u"), ERROR),
        (Drift("ResourceTypes.User.urn:x", Kind.FEATURE, "extension", ""), WARNING),
        (Drift("ResourceTypes.Group", Kind.FEATURE, "/Groups g", ""), INFO),
    ],
    ids=str,
)
def test_severity_follows_the_mapping(drift: Drift, expected: Severity) -> None:
    assert severity(drift) is expected


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        (Drift(f"{CORE_GROUP}:members", Kind.REMOVED, "complex"), ERROR),
        (Drift(f"{CORE_GROUP}:members", Kind.MUTABILITY, "readWrite", "readOnly"), ERROR),
        (Drift(f"{CORE_GROUP}:members.value", Kind.TYPE, "string", "integer"), ERROR),
        (Drift(f"{CORE_GROUP}:members.type", Kind.REQUIRED, "false", "true"), ERROR),
        (Drift(f"{CORE_GROUP}:members.display", Kind.REMOVED, "string"), WARNING),
        (Drift(f"{CORE_GROUP}:displayName", Kind.REMOVED, "string"), WARNING),
        (Drift(f"{CORE_GROUP}:externalId", Kind.REQUIRED, "false", "true"), INFO),
        (Drift("ResourceTypes.Group", Kind.FEATURE, "/Groups g", ""), ERROR),
    ],
    ids=str,
)
def test_what_is_written_of_groups_counts_where_they_are_managed(drift: Drift, expected: Severity) -> None:
    assert severity(drift, policy=replace(make_policy(), groups=Grouping())) is expected
    assert severity(drift) is INFO


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        (Drift("title", Kind.REMOVED, "string"), ERROR),
        (Drift("title", Kind.MUTABILITY, "readWrite", "readOnly"), ERROR),
        (Drift("title", Kind.TYPE, "string", "boolean"), ERROR),
        (Drift("title", Kind.TYPE, "string", "dateTime"), WARNING),
        (Drift("genesys:routingSkills.proficiency", Kind.TYPE, "decimal", "integer"), WARNING),
        (Drift("title", Kind.CASE, "without case", "caseExact"), WARNING),
        (Drift("title", Kind.UNIQUENESS, "none", "server"), WARNING),
        (Drift("nickName", Kind.REQUIRED, "false", "true"), WARNING),
    ],
    ids=str,
)
def test_a_guess_of_the_dialect_blocks_only_what_surely_fails(drift: Drift, expected: Severity) -> None:
    assert severity(drift, assumed=True) is expected


def test_active_is_not_written_where_leavers_are_kept_and_it_is_not_mapped() -> None:
    policy = make_policy("title", leavers=Leavers.KEEP)
    assert severity(Drift("active", Kind.REMOVED, "boolean"), policy=policy) is INFO


def test_an_extension_that_is_not_mapped_may_require_what_it_likes() -> None:
    drift = Drift("enterprise:department", Kind.REQUIRED, "false", "true")
    assert severity(drift, policy=make_policy("title")) is INFO


def test_the_worst_comes_first_and_becomes_a_finding() -> None:
    drifts = [Drift("roles", Kind.REMOVED, "complex"), Drift("title", Kind.REMOVED, "string")]
    found = findings(rule(drifts, Reach.of(make_policy(), USERS)))
    assert [(f.severity, f.code, f.detail) for f in found] == [
        (ERROR, "schema.drift", "title: removed (string)"),
        (INFO, "schema.drift", "roles: removed (complex)"),
    ]


def described(*schemas: dict[str, object]) -> Description:
    return Description(documents={"Schemas": Document({"Resources": list(schemas)})})


def test_without_a_pin_a_run_speaks_only_of_what_the_mapping_touches() -> None:
    documents = [schema.to_json() for schema in USERS.schemas]
    attributes = documents[0]["attributes"]
    assert isinstance(attributes, list)
    gone = {"title", "roles"}
    documents[0]["attributes"] = [a for a in attributes if a["name"] not in gone] + [{"name": "hobby"}]
    baseline = Baseline.of(None, GENESYS)
    assert [r.drift.path for r in judge(baseline, described(*documents), make_policy(), USERS)] == ["title"]
    whole = judge(baseline, described(*documents), make_policy(), USERS, whole=True)
    assert {r.drift.path for r in whole} == {"title", "roles"}


def test_a_target_that_publishes_no_schemas_contradicts_no_assumption_and_is_a_finding() -> None:
    silent = Description(documents={})
    assert judge(Baseline.of(None, GENESYS), silent, make_policy(), USERS) == ()
    finding = unpublished(silent)
    assert finding is not None
    assert finding.code == "schema.unpublished"
    assert unpublished(described(USERS.core.to_json())) is None

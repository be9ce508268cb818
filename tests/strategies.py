"""What Hypothesis draws: values, sides, resources, plans."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st
from tests.factories import MANAGER, SKILLS, WORK_EMAIL, WORK_PHONE, place, rfc_place

from scimsync.model.plans import (
    Action,
    Change,
    Delta,
    Finding,
    GroupChange,
    Lifecycle,
    Member,
    Plan,
    Reason,
    Seal,
    Severity,
    Sides,
    Tally,
    Verdict,
)
from scimsync.model.policy import Authority
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Entry, Place, Value

#: letters that fold, compose or vanish oddly
ODD = (
    "\u0130I\u0131i\u00df\u1e9e\u017f\u03a3\u03c3\u03c2\u03aa\u0390\u03b0\u01f0J\u0149\u0391\u03b1\u1fbc\u1fb3"
    "\u1fb2\u0345\u00c5\u00c5K\u03a9\u0400\u0300\u0301\u0308\u0307\u030c\u0315 a4.+-()/x\u00a0\u200d"
)
odd_texts = st.text(st.sampled_from(ODD), min_size=1, max_size=5)
plain_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
any_texts = st.one_of(odd_texts, plain_texts)
words = st.sampled_from(["Ada", "ADA", "ada", "Lead", "lead", "Boss", "é", "e\u0301"])
phone_texts = st.one_of(
    st.sampled_from(["+13175550100", "+1 317 555 0100", "tel:+1-317-555-0100", "TEL:+13175550100;ext=42"]),
    st.text(st.sampled_from("+0123456789 ().-/xEeXt;=,tel:"), min_size=1, max_size=12),
)
dates = st.one_of(
    st.dates().map(lambda found: found.isoformat()),
    st.datetimes().map(lambda found: found.isoformat() + "Z"),
)
levels = st.sampled_from([0.0, 1.0, 2.5, 4.0, 5.0])

TEXT_PATHS = ("title", "displayName", "externalId", "enterprise:department", "enterprise:employeeNumber")
LIST_PATHS = (SKILLS, "genesys:routingLanguages", "roles", "genesys:externalIds")
SINGLE_PATHS = (*TEXT_PATHS, "active", WORK_PHONE, WORK_EMAIL, MANAGER, "enterprise:dateHire")
PLACES = [place(path) for path in (*SINGLE_PATHS, *LIST_PATHS)]
#: lists of the RFC's kind, whose elements need not have a key of their own
LOOSE_LISTS = [rfc_place("emails"), rfc_place("roles"), rfc_place("ims"), place("emails"), place("phoneNumbers")]


def keys_of(names: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Entry, ...] | None]:
    """Lists of skills: every name once."""
    return st.dictionaries(names, levels, max_size=4).map(
        lambda found: tuple((("name", name), ("proficiency", level)) for name, level in sorted(found.items())) or None
    )


names = st.sampled_from(["Billing", "billing", "Sales", 'a"b', "back\\slash", "w]ork", "Ünïcode", "a b"])
skill_lists = keys_of(names)


def lists_of(where: Place) -> st.SearchStrategy[Value]:
    """Lists as the workbench reads them: the sub-attributes sorted, the key in every element, once."""
    if where.attribute.sub("proficiency") is not None:
        return skill_lists
    if where.key == "authority":
        return st.dictionaries(names, words, max_size=4).map(
            lambda found: tuple((("authority", a), ("value", v)) for a, v in sorted(found.items())) or None
        )
    return st.sets(names, max_size=4).map(lambda found: tuple((("value", v),) for v in sorted(found)) or None)


def values_of(where: Place) -> st.SearchStrategy[Value]:
    """Values of a place, None among them."""
    kind = where.kind.value
    if kind == "list":
        return lists_of(where)
    found: dict[str, st.SearchStrategy[Value]] = {
        "boolean": st.booleans(),
        "decimal": levels,
        "phone": phone_texts,
        "date": dates,
        "reference": st.sampled_from(["u1", "u2", "U1"]),
    }
    return st.none() | found.get(kind, st.one_of(words, any_texts))


def loose_lists(where: Place) -> st.SearchStrategy[Value]:
    """Lists in which a key may be missing, stand twice, or differ by case only."""
    members = [s.name for s in where.attribute.sub_attributes if s.name in {"type", "value"}]
    texts = st.sampled_from(["work", "home", "Work", "a@x", "A@x", "b@x"])
    entry = st.dictionaries(st.sampled_from(members), texts, min_size=1).map(lambda e: tuple(sorted(e.items())))
    return st.sets(entry, max_size=3).map(lambda found: tuple(sorted(found, key=repr)) or None)


@st.composite
def sides_of(draw: st.DrawFn, where: Place) -> Sides:
    """Three views of one place; often two of them are one."""
    loose = where.kind.value == "list" and where.key in {"type", "value"} and len(where.attribute.sub_attributes) > 1
    values = loose_lists(where) if loose else values_of(where)
    pool = draw(st.lists(values, min_size=1, max_size=3))
    pick = st.sampled_from(pool)
    known = draw(st.booleans())
    return Sides(desired=draw(pick), current=draw(pick), base=draw(pick) if known else None, known=known)


@st.composite
def placed_sides(draw: st.DrawFn) -> tuple[Place, Sides]:
    """A place of any kind with its three views."""
    where = draw(st.sampled_from([*PLACES, *LOOSE_LISTS]))
    return where, draw(sides_of(where))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5) | levels,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
sealed_values = st.one_of(st.none(), st.booleans(), any_texts, levels, skill_lists)
deltas = st.builds(
    Delta,
    path=any_texts,
    sides=st.booleans().flatmap(
        lambda known: st.builds(
            Sides,
            desired=sealed_values,
            current=sealed_values,
            base=sealed_values if known else st.none(),
            known=st.just(known),
        )
    ),
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from(Reason),
    authority=st.sampled_from(Authority),
    awaits=st.none() | any_texts,
)
operations = st.one_of(
    st.builds(Operation, st.sampled_from(["add", "replace"]), st.none() | any_texts, json_values),
    st.builds(Operation, st.just("remove"), any_texts),
)
changes = st.builds(
    Change,
    key=any_texts,
    name=st.text(max_size=5),
    action=st.sampled_from(Action),
    lifecycle=st.sampled_from(Lifecycle),
    deltas=st.lists(deltas, max_size=2).map(tuple),
    account=st.none() | any_texts,
    version=st.text(max_size=3),
    operations=st.lists(operations, max_size=2).map(tuple),
    row=st.none() | st.integers(0, 10**7),
)
findings = st.builds(
    Finding,
    severity=st.sampled_from(Severity),
    code=any_texts,
    subject=st.text(max_size=5),
    summary=any_texts,
    detail=st.text(max_size=5),
    hint=st.text(max_size=5),
    row=st.none() | st.integers(0, 10**7),
    holds=st.booleans(),
)
some_findings = st.lists(findings, max_size=2).map(tuple)
_members = st.lists(st.builds(Member, key=any_texts, account=st.none() | any_texts), max_size=2).map(tuple)
group_changes = st.builds(
    GroupChange,
    group=any_texts,
    name=any_texts,
    version=any_texts,
    add=_members,
    remove=_members,
    held=st.integers(0, 10**6),
    batch=st.integers(1, 100),
    partial=st.booleans(),
)
plans = st.builds(
    Plan,
    id=any_texts,
    created=st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1)),  # noqa: DTZ001 - UTC is added
    seal=st.builds(Seal, target=any_texts, configuration=any_texts, source=any_texts, base=st.text(max_size=3)),
    tally=st.builds(Tally, records=st.integers(0, 10**7), actions=st.just({"update": 1}), equal=st.integers(0, 9)),
    changes=st.lists(changes, max_size=2).map(tuple),
    findings=some_findings,
    groups=st.lists(group_changes, max_size=2).map(tuple),
    notices=st.lists(changes, max_size=1).map(tuple),
    refusals=some_findings,
    overrides=st.dictionaries(any_texts, any_texts, max_size=2),
    rate=st.integers(1, 3000),
)

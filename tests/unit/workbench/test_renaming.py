"""Who is found to have come again under another key, in whole tables: held against the same rules, person by person."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.factories import mapped
from tests.meeting import Meeting
from tests.soak import examples

from scimsync.core.renaming import suspects, telling
from scimsync.workbench import renaming
from scimsync.workbench.ending import stage_endings
from scimsync.workbench.renaming import Renaming

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MAPPING = [
    mapped("userName", "login"),
    mapped("displayName", "name"),
    mapped("externalId", "id"),
    mapped('phoneNumbers[type eq "mobile"].value', "phone"),
    mapped("enterprise:dateHire", "hired"),
]
Person = dict[str, Any]
PEOPLE = st.builds(
    lambda name, phone, hired: {"name": name, "phone": phone, "hired": hired},
    st.sampled_from(["Ada Berg", "Berg, ADA", "Bo Ek", "Solo", None]),
    st.sampled_from(["+491", "+492", None]),
    st.sampled_from(["2020-01-01", "2020-02-02", None]),
)


def account(key: str, who: Person) -> dict[str, Any]:
    body = {"id": f"u-{key}", "userName": f"{key}@x", "displayName": who["name"], "externalId": key, "active": True,
            "meta": {"version": "1"}}  # fmt: skip
    if who["phone"]:
        body["phoneNumbers"] = [{"type": "mobile", "value": who["phone"]}]
    if who["hired"]:
        body[ENTERPRISE] = {"dateHire": who["hired"]}
    return body


def found(
    joiners: Sequence[Person], leavers: Sequence[Person], stayers: Sequence[Person], **more: Any
) -> list[tuple[str, str]]:
    """Joiner and leaver of each suspected pair."""
    new = [{"id": f"J{n}", "login": f"J{n}@x", **who} for n, who in enumerate(joiners)]
    here = [{"id": f"S{n}", "login": f"S{n}@x", **who} for n, who in enumerate(stayers)]
    keys = {f"L{n}": who for n, who in enumerate(leavers)} | {f"S{n}": who for n, who in enumerate(stayers)}
    with tempfile.TemporaryDirectory() as folder:
        meeting = Meeting(
            Path(folder), [*new, *here, {"id": "Z", "login": "z@x", "name": None, "phone": None, "hired": None}],
            [account(key, who) for key, who in keys.items()],
            links=[(key, f"u-{key}") for key in keys], mapping=MAPPING, match=("externalId",), **more,
        )  # fmt: skip
        renaming.begin(meeting.bench)
        stage_endings(meeting.bench, ())
        look = Renaming(meeting.bench, MAPPING, telling(MAPPING), since="2026-01-01T00:00:00+00:00", whole=True)
        told = list(suspects(look.pairs()))
        look.hold(told)
        meeting.comparison.resolve()
        assert not {key for one in told for key in (one.key, one.former)} & {*meeting.joiners, *meeting.leavers}
        others = {f"J{n}" for n, _ in enumerate(joiners)} | {f"L{n}" for n, _ in enumerate(leavers)}
        assert {*meeting.joiners, *meeting.leavers} - {"Z"} == others - {k for o in told for k in (o.key, o.former)}
        meeting.bench.close()
    return sorted((one.key, one.former) for one in told)


def words(name: str | None) -> str | None:
    parts = sorted((name or "").lower().replace(",", "").split())
    return " ".join(parts) if len(parts) > 1 else None


def expected(
    joiners: Sequence[Person], leavers: Sequence[Person], stayers: Sequence[Person]
) -> Iterator[tuple[str, str]]:
    """The rule in plain words: two marks that nobody else has, or of which nobody else has both."""
    views = [
        {"name": words(who["name"]), "phone": who["phone"], "hired": who["hired"]}
        for who in (*joiners, *leavers, *stayers)
    ]
    for j, one in enumerate(views[: len(joiners)]):
        for i, two in enumerate(views[len(joiners) : len(joiners) + len(leavers)]):
            others = [view for view in views if view is not one and view is not two]
            agree = [mark for mark in one if one[mark] is not None and one[mark] == two[mark]]
            counts = {mark for mark in agree if all(view[mark] != one[mark] for view in others)}
            together = all((view["name"], view["hired"]) != (one["name"], one["hired"]) for view in others)
            if {"name", "hired"} <= {*agree} and together:
                counts |= {"name", "hired"}
            if len(counts) > 1:
                yield f"J{j}", f"L{i}"


FEW = st.lists(PEOPLE, max_size=3)


@settings(max_examples=examples(60, 12), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FEW, FEW, FEW)
def test_the_tables_find_whom_the_rules_find(
    joiners: list[Person], leavers: list[Person], stayers: list[Person]
) -> None:
    assert found(joiners, leavers, stayers) == sorted(expected(joiners, leavers, stayers))


ADA = {"name": "Ada Berg", "phone": "+491", "hired": "2020-01-01"}


def test_a_pair_that_was_told_apart_is_not_found_again() -> None:
    assert found([ADA], [ADA], []) == [("J0", "L0")]
    assert found([ADA], [ADA], [], parted=[("J0", "u-L0")]) == []


def test_capitals_accents_and_the_order_of_a_name_do_not_matter() -> None:
    assert found([{**ADA, "name": "BÉRG, ada", "hired": None}], [{**ADA, "hired": None}], []) == [("J0", "L0")]

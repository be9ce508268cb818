"""A plan file holds exactly the plan, and shows any damage."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import make_change, make_delta, make_finding, make_plan, skills
from tests.strategies import plans

from scimsync.core.sealing import FORMAT, decode, encode
from scimsync.errors import PlanDamaged, PlanError, PlanStale
from scimsync.model.plans import GroupChange, Member, Plan
from scimsync.scim.messages import Operation

SMALL = make_plan(
    changes=(
        make_change(
            "E1",
            deltas=(make_delta(), make_delta("genesys:routingSkills", skills(a=1), None, known=False)),
            operations=(Operation("replace", "title", "Lead"), Operation("remove", "nickName")),
        ),
        make_change("É2", account=None, row=3),
    ),
    findings=(make_finding(), make_finding(subject="E2", holds=True)),
    groups=(
        GroupChange(
            group="g", name="G", version="1", add=(Member("E1", None),), remove=(Member("", "a"),), held=1, batch=50
        ),
    ),
    notices=(make_change("E3"),),
    overrides={"limits.update": "agreed by phone"},
)
LINES = list(encode(SMALL))
BYTES = b"".join(LINES)


def damaged(lines: list[bytes]) -> None:
    with pytest.raises(PlanError):
        decode(lines)


def sealed(*documents: object) -> list[bytes]:
    """A file with a true seal over any lines."""
    lines = [json.dumps(document).encode() + b"\n" for document in documents]
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    return [*lines, f'{{"lines":{len(lines)},"sha256":"{digest}"}}\n'.encode()]


def head(**more: object) -> dict[str, object]:
    return {**json.loads(LINES[0]), **more}


@given(plans)
def test_a_plan_is_read_back_as_it_was_written(plan: Plan) -> None:
    assert decode(encode(plan)) == plan


@given(plans)
def test_the_same_plan_makes_the_same_bytes(plan: Plan) -> None:
    assert list(encode(plan)) == list(encode(decode(encode(plan))))


@given(st.integers(0, len(BYTES) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    changed = BYTES[:place] + bytes([BYTES[place] ^ change]) + BYTES[place + 1 :]
    damaged(changed.splitlines(keepends=True))


def test_every_byte_with_its_lowest_bit_turned_is_refused() -> None:
    for place in range(len(BYTES)):
        changed = BYTES[:place] + bytes([BYTES[place] ^ 1]) + BYTES[place + 1 :]
        damaged([line for line in changed.splitlines(keepends=True) if line])


@given(st.integers(0, len(BYTES) - 1))
def test_a_file_cut_anywhere_is_refused(end: int) -> None:
    damaged(BYTES[:end].splitlines(keepends=True))


@given(st.integers(0, len(LINES) - 1))
def test_a_missing_or_repeated_line_is_refused(number: int) -> None:
    damaged(LINES[:number] + LINES[number + 1 :])
    damaged([*LINES[:number], LINES[number], *LINES[number:]])


@given(st.permutations(range(len(LINES))))
def test_lines_in_another_order_are_refused(order: list[int]) -> None:
    if order != sorted(order):
        damaged([LINES[number] for number in order])


@pytest.mark.parametrize("tail", [b"\n", b" ", b"{}\n", b"\x00"])
def test_nothing_may_stand_after_the_seal(tail: bytes) -> None:
    damaged([*LINES, tail])


@pytest.mark.parametrize("blank", [b"\r", b" ", b"\t"])
def test_the_seal_itself_has_one_spelling(blank: bytes) -> None:
    damaged([*LINES[:-1], LINES[-1][:-1] + blank])
    damaged([*LINES[:-1], blank + LINES[-1]])


@pytest.mark.parametrize("found", [0, FORMAT + 1, "1", None])
def test_another_format_number_asks_for_a_new_plan(found: object) -> None:
    with pytest.raises(PlanStale, match="Make a new plan"):
        decode(sealed(head(scimsync_plan=found)))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b""],
        [b"not json\n"],
        [b"[]\n"],
        sealed(),
        sealed({}),
        sealed(head(created="yesterday")),
        sealed(head(seal={})),
        sealed(head(tally=7)),
        sealed(head(overrides=None)),
        sealed(head(), {"change": {}}),
        sealed(head(), {"change": None}),
        sealed(head(), {"finding": {"severity": "loud"}}),
        sealed(head(), {"change": {**json.loads(LINES[3])["change"], "action": "explode"}}),
        sealed(head(), {"change": {**json.loads(LINES[3])["change"], "deltas": [{"path": "title"}]}}),
    ],
)
def test_what_is_not_a_plan_is_damaged_even_under_a_true_seal(lines: list[bytes]) -> None:
    damaged(lines)


def test_a_value_that_no_plan_holds_is_damage() -> None:
    change = json.loads(LINES[3])["change"]
    change["deltas"][0]["after"] = {"nested": {"deep": 1}}
    with pytest.raises(PlanDamaged):
        decode(sealed(head(), {"change": change}))


def test_a_plan_holds_the_licences_it_needs_and_one_of_a_version_without_them_opens_too() -> None:
    plan = replace(SMALL, tally=replace(SMALL.tally, licences={"CX 1": -3, "CX 2": 12}))
    assert decode(encode(plan)) == plan
    first, *rest = (json.loads(line) for line in LINES[:-1])
    del first["tally"]["licences"]
    assert decode(sealed(first, *rest)) == SMALL

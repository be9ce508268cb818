"""Who belongs to whom, who differs, and what both sides agreed on: on a real DuckDB."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.factories import MANAGER, SKILLS, USERS, mapped, place, skills
from tests.meeting import MAPPING, Meeting, account, record
from tests.soak import examples
from tests.strategies import LOOSE_LISTS, PLACES, loose_lists, values_of

from scimsync.core.planner import plan_pair
from scimsync.core.writing import resource
from scimsync.model.accounts import Missing, Unresolved
from scimsync.model.plans import Verdict
from scimsync.model.policy import Authority, Mapped, Policy
from scimsync.scim.schema import Place, Value
from scimsync.workbench.accounts import AccountSpool
from scimsync.workbench.agreed import unremembered
from scimsync.workbench.bench import Workbench
from scimsync.workbench.values import comparable, text_of, value_of, writable


@pytest.fixture
def meet(tmp_path: Path) -> Iterator[Callable[..., Meeting]]:
    made: list[Meeting] = []

    def start(*args: Any, **more: Any) -> Meeting:
        made.append(Meeting(tmp_path, *args, **more))
        return made[-1]

    yield start
    for meeting in made:
        meeting.bench.close()


# --- correlation --------------------------------------------------------------------------------


def test_a_link_comes_before_any_match(meet: Any) -> None:
    found = meet([record("1")], [account("1"), account("2", id="u-old", externalId="x")], links=[("1", "u-old")])
    assert found.pairing == {"1": "u-old"}


def test_the_first_path_with_one_hit_wins(meet: Any) -> None:
    found = meet([record("1", email="2@x")], [account("1", userName="z@x"), account("2", externalId="y")])
    assert found.pairing == {"1": "u-1"}


def test_a_path_without_a_hit_leaves_it_to_the_next(meet: Any) -> None:
    assert meet([record("1", email="ADA@X")], [account("1", externalId=None, userName="Ada@x")]).pairing == {"1": "u-1"}


def test_a_record_that_fits_several_accounts_is_held(meet: Any) -> None:
    found = meet([record("1")], [account("1", id="a", userName="a"), account("1", id="b", userName="b")])
    assert (found.pairing, found.joiners) == ({}, [])
    assert found.doubts == [("correlation.ambiguous", "1")]


def test_a_later_path_may_settle_an_ambiguity(meet: Any) -> None:
    found = meet([record("1")], [account("1", id="a"), account("1", id="b", userName="b")])
    assert (found.pairing, found.doubts) == ({"1": "a"}, [])


def test_two_records_for_one_account_are_both_held(meet: Any) -> None:
    found = meet([record("1", email="a@x"), record("2", email="A@x")], [account("9", userName="a@x", externalId=None)])
    assert (found.pairing, found.joiners) == ({}, [])
    assert found.doubts == [("correlation.contested", "1"), ("correlation.contested", "2")]
    assert {finding.row for finding in found.findings} == {2, 3}


def test_two_links_to_one_account_never_make_two_writers(meet: Any) -> None:
    found = meet([record("1"), record("2")], [account("1", id="u")], links=[("1", "u"), ("2", "u")])
    assert len(found.pairing) <= 1
    assert found.doubts
    assert found.joiners == []


def test_a_login_that_is_taken_makes_no_joiner(meet: Any) -> None:
    found = meet([record("1"), record("2", email="1@X")], [account("1")], links=[("1", "u-1")])
    assert found.joiners == []
    assert found.doubts == [("correlation.taken", "2")]


def test_two_joiners_with_one_login_are_both_held(meet: Any) -> None:
    found = meet([record("1", email="a@x"), record("2", email="A@X"), record("3")], [])
    assert found.joiners == ["3"]
    assert found.doubts == [("record.duplicate-login", "1"), ("record.duplicate-login", "2")]


def test_a_login_alone_takes_no_account_to_a_new_key(meet: Any) -> None:
    found = meet([record("2", email="1@x")], [account("1")], links=[("1", "u-1")])
    assert (found.pairing, found.leavers, found.joiners) == ({}, ["1"], [])
    assert found.doubts == [("correlation.taken", "2")]


def test_the_account_of_a_present_person_is_not_found_by_another(meet: Any) -> None:
    found = meet(
        [record("1"), record("2", email="u1@x")],
        [account("9", id="u", externalId="2", userName="q@x")],
        links=[("1", "u")],
    )
    assert found.pairing == {"1": "u"}
    assert (found.joiners, found.doubts) == ([], [("correlation.taken", "2")])


def test_the_account_of_a_held_person_is_not_found_by_another(meet: Any) -> None:
    rows = [record("1"), record("1", job="B"), record("2")]
    found = meet(rows, [account("2", id="u")], links=[("1", "u")])
    assert found.pairing == {}
    assert found.doubts == [("correlation.taken", "2")]


def test_a_deleted_account_is_made_again_with_a_warning(meet: Any) -> None:
    found = meet([record("1")], [], links=[("1", "u-1")])
    assert found.joiners == ["1"]
    assert found.doubts == [("account.gone", "1")]


def test_an_incomplete_sweep_makes_no_joiner_and_no_gone(meet: Any) -> None:
    found = meet([record("1"), record("2")], [], links=[("1", "u-1")], complete=False)
    assert (found.joiners, found.doubts) == ([], [])


def test_an_inactive_record_without_account_is_nobody(meet: Any) -> None:
    assert meet([record("1", active=False)], []).joiners == []


# --- leavers ------------------------------------------------------------------------------------


def test_only_a_linked_active_account_can_leave(meet: Any) -> None:
    accounts = [account("1"), account("2"), account("3"), account("4", active=False)]
    found = meet([record("1")], accounts, links=[("1", "u-1"), ("2", "u-2"), ("4", "u-4"), ("5", "gone")])
    assert found.leavers == ["2"]
    assert found.comparison.numbers()["unmanaged"] == 1


def test_hr_knows_the_account_of_a_person_who_is_left_out(meet: Any) -> None:
    found = meet([record("1"), record("2", active=None)], [account("1"), account("2"), account("3")])
    numbers = found.comparison.numbers()
    assert (numbers["linked"], numbers["unmanaged"]) == (1, 1)


@pytest.mark.parametrize(
    "rows",
    [
        [record("2"), record("2")],
        [record("2", active=None)],
        [record("2", job="x")],
    ],
)
def test_a_bad_record_never_makes_a_leaver(meet: Any, rows: list[dict[str, Any]]) -> None:
    title = "CAST(CAST(replace(job, 'Clerk', '1') AS INTEGER) AS VARCHAR)"
    mapping = [mapped(path, expression) for path, expression in {**MAPPING, "title": title}.items()]
    found = meet(
        [record("1"), *rows], [account("1"), account("2")], links=[("1", "u-1"), ("2", "u-2")], mapping=mapping
    )
    assert found.leavers == []
    assert any(finding.subject == "2" for finding in found.staged)


def test_only_looks_at_the_people_named(meet: Any) -> None:
    rows = [record("1", job="A"), record("2", job="B"), record("3"), record("4")]
    links = [("1", "u-1"), ("2", "u-2"), ("8", "u-8"), ("9", "u-9")]
    found = meet(rows, [account(k) for k in "1289"], links=links, only=["2", "4", "9"])
    assert (list(found.pairs), found.joiners, found.leavers) == (["2"], ["4"], ["9"])


# --- references ---------------------------------------------------------------------------------


def test_a_reference_becomes_the_id_of_the_account(meet: Any) -> None:
    found = meet([record("1", boss="2"), record("2")], [account("1"), account("2")])
    assert found.pairs["1"].desired[MANAGER] == "u-2"


def test_a_reference_to_a_joiner_waits(meet: Any) -> None:
    found = meet([record("1", boss="2"), record("2", boss="3"), record("3")], [account("1")])
    assert found.pairs["1"].awaits == {MANAGER: "2"}
    joiner = next(pair for pair in found.comparison.joiners() if pair.key == "2")
    assert joiner.awaits == {MANAGER: "3"}


def test_a_reference_to_a_linked_person_who_left_the_source_still_resolves(meet: Any) -> None:
    found = meet([record("1", boss="9")], [account("1"), account("9")], links=[("1", "u-1"), ("9", "u-9")])
    assert found.pairs["1"].desired[MANAGER] == "u-9"


def test_a_reference_to_nobody_is_left_alone_and_counted(meet: Any) -> None:
    held = {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"manager": {"value": "u-5"}}}
    found = meet(
        [record("1", boss="404"), record("2", boss="404", job="B")], [account("1", **held), account("2", **held)]
    )
    assert list(found.pairs) == ["2"]
    assert found.pairs["2"].unresolved == {MANAGER}
    assert list(found.comparison.unresolved()) == [
        Unresolved(MANAGER, Missing.NOWHERE, key=key, named="404") for key in ("1", "2")
    ]


# --- comparison and base ------------------------------------------------------------------------


def test_nobody_who_agrees_is_looked_at(meet: Any) -> None:
    found = meet([record("1", job="Clerk"), record("2", job="CLERK")], [account("1"), account("2")])
    assert list(found.pairs) == ["2"]
    numbers = found.comparison.numbers()
    assert (numbers["records"], numbers["accounts"], numbers["linked"], numbers["compared"], numbers["equal"]) == (
        2,
        2,
        2,
        10,
        9,
    )


def test_a_pair_has_what_a_change_needs(meet: Any) -> None:
    pair = meet([record("1", job="Lead")], [account("1", userName="Ada@x", meta={"version": 'W/"9"'})]).pairs["1"]
    assert (pair.name, pair.row, pair.account, pair.version, pair.base) == ("Ada@x", 2, "u-1", 'W/"9"', {})


def test_what_was_agreed_is_the_base_of_the_next_run(meet: Any) -> None:
    first = meet([record("1", job=None)], [account("1", title=None)])
    second = meet([record("1", job="Lead")], [account("1", title="Boss")], base=first.based())
    assert second.pairs["1"].base["title"] is None
    assert {"title", "userName", "active"} <= second.pairs["1"].base.keys()


def test_what_differed_was_never_agreed(meet: Any) -> None:
    first = meet([record("1", job="Lead")], [account("1")])
    second = meet([record("1", job="Lead")], [account("1")], base=first.based())
    assert "title" not in second.pairs["1"].base


def test_what_a_run_wrote_and_what_the_rules_settled_are_agreed(meet: Any) -> None:
    first = meet([record("1", job="Lead"), record("2", job="Boss")], [account("1"), account("2")])
    base = first.based(("1", "title", "Lead"), ("2", "title", None))
    second = meet([record("1", job="A"), record("2", job="B")], [account("1"), account("2")], base=base)
    assert [second.pairs[k].base["title"] for k in "12"] == ["Lead", None]


def test_a_foreign_edit_leaves_the_old_agreement_in_place(meet: Any) -> None:
    first = meet([record("1")], [account("1")])
    second = meet([record("1")], [account("1", title="Edited")], base=first.based())
    third = meet([record("1")], [account("1", title="Edited")], base=second.based())
    assert third.pairs["1"].base["title"] == "Clerk"


def test_the_base_of_a_person_who_is_away_for_a_while_stays(meet: Any) -> None:
    first = meet([record("1"), record("2")], [account("1"), account("2")])
    second = meet([record("2")], [account("1"), account("2")], links=[("1", "u-1")], base=first.based())
    third = meet([record("1", job="Lead"), record("2")], [account("1"), account("2")], base=second.based())
    assert third.pairs["1"].base["title"] == "Clerk"


def test_a_joiner_who_was_made_has_a_base_and_a_link(meet: Any) -> None:
    first = meet([record("1"), record("2")], [account("2")], links=[("2", "u-2")])
    base = first.based(("1", "title", "Clerk"), accounts={"1": "u-1"})
    assert sorted(unremembered(first.bench, base)) == [("1", "u-1")]
    second = meet([record("1", job="Lead"), record("2")], [account("1"), account("2")], base=base)
    assert second.pairs["1"].base == {"title": "Clerk"}


def test_a_match_is_remembered_and_a_moved_link_too(meet: Any) -> None:
    found = meet([record("1"), record("2")], [account("1"), account("2")], links=[("1", "gone"), ("2", "u-2")])
    assert sorted(unremembered(found.bench, found.based())) == [("1", "u-1")]


def test_a_mapping_may_gain_and_lose_paths_between_runs(meet: Any) -> None:
    small = [m for m in [mapped(p, e) for p, e in MAPPING.items()] if m.path != "title"]
    first = meet([record("1")], [account("1")], mapping=small)
    second = meet([record("1", job="Lead")], [account("1")], base=first.based())
    assert "title" not in second.pairs["1"].base
    assert "userName" in second.pairs["1"].base
    third = meet([record("1", email="n@x")], [account("1")], base=second.based(), mapping=small)
    assert third.pairs["1"].base["userName"] == "1@x"


def test_a_base_is_for_its_owner_only(meet: Any) -> None:
    assert meet([record("1")], [account("1")]).based().stat().st_mode & 0o077 == 0


def test_skills_of_others_survive_run_after_run_under_merge(meet: Any) -> None:
    urn = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"
    mapping = [mapped("externalId", "id"), mapped(SKILLS, "skills(s)", Authority.MERGE)]
    policy = Policy(attributes=tuple(mapping), match=(place("externalId"),))
    held: Value = skills(Other=3)
    base: Path | None = None
    for wanted in ("A:1;B:2", "A:1;B:2", "A:1", "A:1"):
        listed = [dict(e) for e in held] if isinstance(held, tuple) else []
        found = meet([{"id": "1", "s": wanted}], [{"id": "u", "externalId": "1", urn: {"routingSkills": listed}}],
                     mapping=mapping, match=("externalId",), base=base)  # fmt: skip
        written = []
        for pair in found.pairs.values():
            planned = plan_pair(pair, policy)
            for delta in planned.change.deltas if planned.change else ():
                assert delta.verdict is Verdict.WRITE
                held = delta.sides.desired
                written.append(("1", SKILLS, held))
        base = found.based(*written)
    assert held == skills(A=1, Other=3)


# --- the law that binds SQL and Python -----------------------------------------------------------


@pytest.fixture(scope="module")
def calculator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    with Workbench(tmp_path_factory.mktemp("law")) as made:
        yield made


def sql_calls_equal(
    bench: Workbench, where: Place, left: Value, right: Value, form: Callable[[Place, str], str] = writable
) -> bool:
    query = f"SELECT {form(where, 'l')} IS NOT DISTINCT FROM {form(where, 'r')} FROM (SELECT ?::VARCHAR AS l, ?::VARCHAR AS r)"
    row = bench.sql.execute(query, [text_of(left) or None, text_of(right) or None]).fetchone()
    return bool(row and row[0])


drawn_values = st.sampled_from(PLACES).flatmap(lambda p: st.tuples(st.just(p), values_of(p), values_of(p)))
drawn_lists = st.sampled_from(LOOSE_LISTS).flatmap(lambda p: st.tuples(st.just(p), loose_lists(p), loose_lists(p)))


@settings(max_examples=examples(400, 150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn_values | drawn_lists)
def test_what_the_tables_call_equal_the_rules_call_equal(
    calculator: Workbench, drawn: tuple[Place, Value, Value]
) -> None:
    where, left, right = drawn
    if sql_calls_equal(calculator, where, left, right):
        assert where.same(left, right)
    if sql_calls_equal(calculator, where, left, right, comparable):
        assert where.alike(left, right)


@settings(max_examples=examples(200, 80), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn_values)
def test_respelled_values_that_the_tables_call_equal_the_rules_call_equal(
    calculator: Workbench, drawn: tuple[Place, Value, Value]
) -> None:
    where, value, _ = drawn
    if isinstance(value, str):
        for other in (
            value.upper(),
            value.lower(),
            value.swapcase(),
            value + " ",
            f" {value}",
            value.replace("x", " x"),
            f"tel:{value}",
        ):
            if sql_calls_equal(calculator, where, value, other):
                assert where.same(value, other)
            if sql_calls_equal(calculator, where, value, other, comparable):
                assert where.alike(value, other)


def test_no_letter_is_folded_by_the_tables_alone(calculator: Workbench) -> None:
    title = place("title")
    form = comparable(title, "c")
    ranges = "SELECT i FROM range(1, 55296) t(i) UNION ALL SELECT i FROM range(57344, 1114112) t(i)"
    calculator.sql.execute(f"CREATE OR REPLACE TEMP TABLE letters AS SELECT chr(i::INTEGER) AS c FROM ({ranges})")
    found = calculator.sql.execute(f"SELECT c, {form} FROM letters WHERE c <> {form}").fetchall()
    assert len(found) > 1000
    assert [letter for letter, folded in found if not title.alike(letter, folded)] == []


@pytest.mark.parametrize(
    ("path", "left", "right"),
    [
        ("title", "İ", "i"),
        ("title", "Straße", "Strasse "),
        ("title", "a", "A"),
        ("externalId", "a", "A"),
        (MANAGER, "u1", "U1"),
    ],
)
def test_odd_values_that_differ_are_never_hidden(calculator: Workbench, path: str, left: str, right: str) -> None:
    where = place(path)
    assert not where.same(left, right)
    assert not sql_calls_equal(calculator, where, left, right)


@settings(max_examples=examples(200, 80))
@given(drawn_values)
def test_a_value_survives_the_text_of_its_column(drawn: tuple[Place, Value, Value]) -> None:
    where, value, _ = drawn
    assert value_of(where, text_of(value)) == value


@settings(max_examples=examples(60, 20), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(drawn_values)
def test_an_account_is_read_by_the_tables_as_by_the_rules(
    calculator: Workbench, drawn: tuple[Place, Value, Value]
) -> None:
    where, value, _ = drawn
    body = {"id": "u", **resource([(where, value)])}
    spool = AccountSpool(calculator, USERS, [Mapped(place=where, expression="x", authority=Authority.ASK)])
    spool.take([json.dumps(body).encode()])
    spool.load()
    row = calculator.sql.execute("SELECT c0 FROM accounts").fetchone()
    assert row is not None
    assert where.same(value_of(where, row[0]), where.read(body))


def test_a_login_is_found_in_the_small_letters_that_python_makes(tmp_path: Path) -> None:
    name = "İnci@x"
    met = Meeting(tmp_path, [record("b")], [account("a", userName=name)])
    assert met.comparison.holders([name.lower()]) == {name.lower(): frozenset({"u-a"})}
    assert list(met.comparison.nobody([name.lower()])) == []
    met.bench.close()

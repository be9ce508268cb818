"""Status words are a closed list: a word that nobody named decides nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.soak import examples

from scimsync.workbench.bench import Workbench
from scimsync.workbench.expressions import Expression, check
from scimsync.workbench.statuses import ENDED, SPACE, STARTED

ANSWERS = {"t": True, "f": False, "?": None}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    with Workbench(tmp_path_factory.mktemp("statuses")) as found:
        yield found


def answer(bench: Workbench, expression: str, word: str | None, *, is_status: bool = True) -> bool | None:
    checked = check(expression, bench.sql, ["status", "country", "hired"], is_status=is_status)
    assert isinstance(checked, Expression), checked
    query = f"SELECT {checked.sql} FROM (SELECT ?::VARCHAR AS status, 'DE' AS country, true AS hired)"
    row = bench.sql.execute(query, [word]).fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


#: expression -> word -> answer: t(rue), f(alse), ? for nobody knows
TABLE = [
    ("status = 'active'", {"active": "t", "Active": "t", " active\u00a0": "t", "left": "f", "Terminated": "f",
                           "on leave": "?", "aktiv": "?", "": "?", " ": "?", None: "?"}),
    ("'active' = lower(trim(status))", {"ACTIVE": "t", "inactive": "f", "on leave": "?"}),
    ("status = upper('Active')", {"active": "t", "inactive": "f", "on leave": "?"}),
    ("status IN ('active', 'on leave')", {"On Leave": "t", "left": "f", "sabbatical": "?"}),
    ("list_contains(['active', 'on leave'], status)", {"On Leave": "t", "left": "f", "sabbatical": "?"}),
    ("status = 'active' OR status = 'on leave'", {"on leave": "t", "left": "f", "sabbatical": "?"}),
    ("status = 'active' AND status <> 'suspended'", {"active": "t", "suspended": "f", "left": "f", "sabbatical": "?"}),
    ("status = 'active' AND hired", {"active": "t", "left": "f", "sabbatical": "?"}),
    ("status = 'active' AND NOT hired", {"active": "f", "left": "f", "sabbatical": "f"}),
    ("status = 'active' OR hired", {"active": "t", "left": "t", "sabbatical": "t"}),
    ("status = 'active' AND country = 'FR'", {"active": "f", "left": "f", "sabbatical": "f"}),
    ("status = 'active' AND country IN (' de', 'no')", {"active": "t", "left": "f", "sabbatical": "?"}),
    ("CASE status WHEN 'active' THEN true ELSE false END", {"active": "t", "left": "f", "sabbatical": "?", "": "?"}),
    ("CASE WHEN status = 'active' THEN true WHEN status = 'on leave' THEN true ELSE false END",
     {"on leave": "t", "left": "f", "sabbatical": "?"}),
    ("CASE WHEN status = 'active' THEN true WHEN true THEN false END", {"active": "t", "left": "f", "sabbatical": "?"}),
    ("CASE WHEN hired THEN false WHEN status = 'active' THEN true ELSE false END", {"active": "f", "sabbatical": "f"}),
    ("CASE WHEN NOT hired THEN false ELSE status = 'active' END", {"active": "t", "left": "f", "sabbatical": "?"}),
    ("CASE WHEN status = 'terminated' THEN false ELSE true END", {"active": "t", "terminated": "f", "left": "?",
                                                                  "sabbatical": "?"}),
    ("CASE WHEN status = 'active' THEN 'Y' ELSE 'N' END = 'Y'", {"active": "t", "left": "f", "sabbatical": "?"}),
    ("(status = 'active') IS TRUE", {"Active": "t", "left": "f", "sabbatical": "?", None: "f"}),
    ("(status = 'active') = true", {"Active": "t", "left": "f", "sabbatical": "?"}),
    ("coalesce(status = 'active', false)", {"Active": "t", "left": "f", "sabbatical": "?", None: "f", " ": "f"}),
    ("coalesce(status, 'active') = 'active'", {"Active": "t", "left": "f", "sabbatical": "?", None: "t"}),
    ("status IS NULL OR status = 'active'", {"Active": "t", "left": "f", "sabbatical": "?", None: "t"}),
    ("status LIKE 'act%'", {"Active": "t", "Act. leave": "t", "left": "f", "sabbatical": "?"}),
    ("status NOT ILIKE 'term%'", {"Active": "t", "Terminated": "f", "left": "?", "sabbatical": "?"}),
    ("starts_with(status, 'active')", {"Active - part time": "t", "left": "f", "sabbatical": "?"}),
    ("regexp_full_match(status, 'active.*')", {"active (50 %)": "t", "left": "f", "sabbatical": "?"}),
    ("status <> 'terminated'", {"active": "t", "on leave": "?", "terminated": "f", " Terminated": "f", "left": "?", "": "?"}),
    ("status NOT IN ('terminated', 'left')", {"active": "t", "left": "f", "retired": "?", "on leave": "?"}),
    ("NOT (status = 'gone away')", {"active": "t", "gone away": "f", "left": "?"}),
    ("status IS DISTINCT FROM 'left'", {"active": "t", "left": "f", "retired": "?", None: "t"}),
    ("status = 'A'", {"a": "t", "T": "f", "I": "f", "Z": "?", "L": "?"}),
    ("status = 'Y'", {"y": "t", "N": "f", "no": "f", "maybe": "?"}),
    ("status <> 'Y'", {"y": "f", "N": "t", "maybe": "?"}),
    ("status = '3'", {"3": "t", "2": "?", "0": "f"}),
    ("country = 'DE'", {"left": "t"}),
    ("country = 'FR'", {"left": "?"}),
    ("one_of(status, 'active', 'on leave')", {"on leave": "t", "left": "f", "sabbatical": "?"}),
    ("one_of(status, ['active', 'on leave'])", {"on leave": "t", "left": "f", "sabbatical": "?"}),
    ("one_of(status, 'A', ['Z'])", {"A": "t", "z": "f", "left": "?"}),
    ("one_of(status, ['A', 'B'], ['Z'])", {"b": "t", "z": "f", "left": "?"}),
    ("coalesce(one_of(status, 'active'), false)", {"active": "t", "sabbatical": "?", "left": "f", None: "f"}),
    ("one_of(status, 'active') AND NOT hired", {"sabbatical": "f"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "word", "wanted"),
    [(expression, word, wanted) for expression, words in TABLE for word, wanted in words.items()],
)
def test_a_word_has_three_answers(bench: Workbench, expression: str, word: str | None, wanted: str) -> None:
    assert answer(bench, expression, word) is ANSWERS[wanted]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(50, 25))
@given(st.text(max_size=12))
def test_no_word_that_nobody_named_takes_or_gives_access(bench: Workbench, word: str) -> None:
    known = {"active"} | ENDED
    if "\0" not in word and word.strip(SPACE).lower() not in known:
        assert answer(bench, "status = 'active'", word) is None


def test_elsewhere_a_comparison_is_what_it_is_in_sql(bench: Workbench) -> None:
    assert answer(bench, "status = 'active'", "Active", is_status=False) is False
    assert answer(bench, "one_of(status, 'active')", "Active", is_status=False) is True


def test_no_word_both_begins_and_ends() -> None:
    assert not STARTED & ENDED


@pytest.mark.parametrize("call", ["one_of(status)", "one_of(status, country)", "one_of(status, 'a', [country])",
                                  "one_of(status, ['a'], 'b')", "one_of(status, 'a', ['b'], ['c'])",
                                  "one_of(status, 'a', ['A '])", "one_of(status, '')"])  # fmt: skip
def test_a_call_that_names_no_words_is_refused(bench: Workbench, call: str) -> None:
    faults = check(call, bench.sql, ["status", "country"], is_status=True)
    assert not isinstance(faults, Expression)
    assert "one_of" in str(faults[0])


@pytest.mark.parametrize(("expression", "is_bare"), [
    ("status = 'active'", True), ("one_of(status, 'active')", False), ("country = 'DE' AND one_of(status, 'a')", False), ("hired", False),
])  # fmt: skip
def test_a_bare_comparison_is_known_as_one(bench: Workbench, expression: str, *, is_bare: bool) -> None:
    checked = check(expression, bench.sql, ["status", "country", "hired"], is_status=True)
    assert isinstance(checked, Expression)
    assert checked.is_bare is is_bare

"""Status words are a closed list: a word that nobody named decides nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scimsync.workbench.expressions import Expression, check
from scimsync.workbench.staging import Workbench
from scimsync.workbench.statuses import ENDED, STARTED

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
                           "on leave": "?", "aktiv": "?", "": "?", None: "?"}),
    ("'active' = lower(trim(status))", {"ACTIVE": "t", "inactive": "f", "on leave": "?"}),
    ("status IN ('active', 'on leave')", {"On Leave": "t", "left": "f", "sabbatical": "?"}),
    ("status = 'active' OR status = 'on leave'", {"on leave": "t", "left": "f", "sabbatical": "?"}),
    ("status = 'active' AND hired", {"active": "t", "left": "f", "sabbatical": "?"}),
    ("status = 'active' AND country = 'FR'", {"active": "f", "left": "f"}),
    ("CASE status WHEN 'active' THEN true ELSE false END", {"active": "t", "left": "f", "sabbatical": "?"}),
    ("CASE WHEN status = 'active' THEN true WHEN status = 'on leave' THEN true ELSE false END",
     {"on leave": "t", "left": "f", "sabbatical": "?"}),
    ("status <> 'terminated'", {"active": "t", "on leave": "t", "terminated": "f", "left": "?", "": "?"}),
    ("status NOT IN ('terminated', 'left')", {"active": "t", "left": "f", "retired": "?"}),
    ("NOT (status = 'gone away')", {"active": "t", "gone away": "f", "left": "?"}),
    ("status = 'A'", {"a": "t", "T": "f", "Z": "?"}),
    ("one_of(status, 'active', 'on leave')", {"on leave": "t", "left": "f", "sabbatical": "?"}),
    ("one_of(status, 'A', ['Z'])", {"A": "t", "z": "f", "left": "?"}),
    ("coalesce(one_of(status, 'active'), true)", {"sabbatical": "t", "left": "f"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "word", "wanted"),
    [(expression, word, wanted) for expression, words in TABLE for word, wanted in words.items()],
)
def test_a_word_has_three_answers(bench: Workbench, expression: str, word: str | None, wanted: str) -> None:
    assert answer(bench, expression, word) is ANSWERS[wanted]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.text(max_size=12))
def test_no_word_that_nobody_named_takes_or_gives_access(bench: Workbench, word: str) -> None:
    known = {"active"} | ENDED
    if "\0" not in word and word.strip().lower() not in known and word.strip().casefold() not in known:
        assert answer(bench, "status = 'active'", word) is None


def test_elsewhere_a_comparison_is_what_it_is_in_sql(bench: Workbench) -> None:
    assert answer(bench, "status = 'active'", "Active", is_status=False) is False
    assert answer(bench, "one_of(status, 'active')", "Active", is_status=False) is True


def test_no_word_both_begins_and_ends() -> None:
    assert not STARTED & ENDED


@pytest.mark.parametrize("call", ["one_of(status)", "one_of(status, country)", "one_of(status, 'a', [country])",
                                  "one_of(status, ['left'])", "one_of(status, 'a', ['b'], ['c'])"])  # fmt: skip
def test_a_call_that_names_no_words_is_refused(bench: Workbench, call: str) -> None:
    faults = check(call, bench.sql, ["status", "country"], is_status=True)
    assert not isinstance(faults, Expression)
    assert "one_of" in str(faults[0])


@pytest.mark.parametrize(("expression", "is_bare"), [
    ("status = 'active'", True), ("one_of(status, 'active')", False), ("country = 'DE'", False), ("hired", False),
])  # fmt: skip
def test_a_bare_comparison_is_known_as_one(bench: Workbench, expression: str, *, is_bare: bool) -> None:
    checked = check(expression, bench.sql, ["status", "country", "hired"], is_status=True)
    assert isinstance(checked, Expression)
    assert checked.is_bare is is_bare

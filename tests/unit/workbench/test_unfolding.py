"""The parts of an expression: innermost first, each as it is run, the whole of it last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.factories import make_reading, mapped

from scimsync.workbench.bench import Workbench
from scimsync.workbench.explained import steps
from scimsync.workbench.expressions import Expression, check
from scimsync.workbench.records import stage_records
from scimsync.workbench.unfolding import parts

ROWS = [
    {"id": 1, "email": " Ada@Example.com ", "first_name": "ada", "last_name": "Berg", "phone": "nonsense",
     "status": " Active ", "until": "2020-01-01", "skill_list": "Billing:4", "manager_id": " 7 "},
    {"id": 2, "email": None, "first_name": "", "last_name": None, "phone": None,
     "status": "sabbatical", "until": None, "skill_list": None, "manager_id": ""},
]  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    with Workbench(tmp_path_factory.mktemp("bench")) as made:
        stage_records(made, make_reading(ROWS), key="id")
        yield made


def walked(bench: Workbench, path: str, expression: str, n: int = 0) -> list[tuple[str, str | None]]:
    first = bench.number("SELECT min(scimsync_n) FROM records")
    return [(step.expression, step.value) for step in steps(bench, first + n, mapped(path, expression))]


def test_each_part_is_evaluated_from_the_inside_out(bench: Workbench) -> None:
    assert walked(bench, "userName", "lower(trim(email))") == [
        ("email", " Ada@Example.com "),
        ("trim(email)", "Ada@Example.com"),
        ("lower(trim(email))", "ada@example.com"),
    ]


def test_a_part_that_stands_twice_is_told_once(bench: Workbench) -> None:
    found = walked(bench, "title", "coalesce(nullif(first_name, ''), first_name)")
    assert [text for text, _ in found].count("first_name") == 1


def test_constants_and_lambdas_are_no_parts(bench: Workbench) -> None:
    found = walked(bench, "title", "array_to_string(list_transform(string_split(email, '@'), lambda p: trim(p)), '-')")
    assert next(text for text, _ in found) == "email"
    assert not any(text.startswith(("lambda", "'")) or text == "trim(p)" for text, _ in found)
    assert found[-1][1] == "Ada-Example.com"


def test_a_null_is_told_where_it_begins(bench: Workbench) -> None:
    assert walked(bench, "displayName", "first_name || ' ' || last_name", 1)[-1][1] is None


def test_a_bad_phone_is_a_fault_and_no_value(bench: Workbench) -> None:
    n = bench.number("SELECT min(scimsync_n) FROM records")
    last = steps(bench, n, mapped('phoneNumbers[type eq "work"].value', "e164(phone)"))[-1]
    assert (last.value, last.fault) == (None, "record.bad-phone")


def test_a_part_that_fails_says_so_and_the_others_are_told(bench: Workbench) -> None:
    n = bench.number("SELECT min(scimsync_n) FROM records")
    found = steps(bench, n, mapped("title", "upper(CAST(CAST(first_name AS INTEGER) AS VARCHAR))"))
    assert found[0].value == "ada"
    assert "error" in found[-1].fault


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("status = 'active'", "true"),
        ("status = 'active' AND until > '2021-01-01'", "false"),
        ("NOT (status = 'left')", None),
        ("one_of(status, 'active', 'on leave')", "true"),
        ("CASE WHEN until IS NULL THEN status = 'active' ELSE status = 'active' END", "true"),
    ],
)
def test_a_status_is_read_as_the_mapping_reads_it(bench: Workbench, expression: str, value: str | None) -> None:
    checked = check(expression, bench.sql, [*ROWS[0]], is_status=True)
    assert isinstance(checked, Expression)
    found = walked(bench, "active", expression)
    row = bench.sql.execute(f"SELECT ({checked.sql})::VARCHAR FROM records ORDER BY scimsync_n LIMIT 1").fetchone()
    assert row is not None
    assert found[-1] == (expression, row[0])
    if value is not None:
        assert found[-1][1] == value


def test_the_two_sides_of_an_and_are_told_each(bench: Workbench) -> None:
    found = dict(walked(bench, "active", "status = 'active' AND until > '2021-01-01'"))
    assert found["status = 'active'"] == "true"
    assert found["until > '2021-01-01'"] == "false"


def test_the_whole_is_what_check_gives_to_run(bench: Workbench) -> None:
    for expression in ("lower(email)", "ref(manager_id)", "skills(skill_list)", "id || '-' || first_name"):
        checked = check(expression, bench.sql, [*ROWS[0]], texts=bench.texts)
        assert isinstance(checked, Expression)
        assert parts(expression, bench.sql, texts=bench.texts)[-1].sql == checked.sql


def test_what_is_no_expression_has_no_parts(bench: Workbench) -> None:
    assert parts("SELECT 1; DROP", bench.sql) == ()


def test_a_workbench_of_its_own_folder(tmp_path: Path) -> None:
    with Workbench(tmp_path) as made:
        assert [part.text for part in parts("lower(a)", made.sql)] == ["a", "lower(a)"]

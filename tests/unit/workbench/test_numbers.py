"""The text of a value depends on nothing but the value: not on what stands in other rows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.factories import make_reading, mapped
from tests.soak import examples

from scimsync.model.records import Cell
from scimsync.workbench.bench import Workbench
from scimsync.workbench.mapping import check_mapping, stage_desired
from scimsync.workbench.records import stage_records


def titles(folder: Path, cells: Sequence[Cell], expression: str = "cell") -> dict[str, str | None]:
    """key -> title, where the title is made of a cell."""
    with Workbench(folder) as bench:
        rows = [{"id": f"k{n}", "cell": cell} for n, cell in enumerate(cells)]
        stage_records(bench, make_reading(rows), key="id")
        attributes = [mapped("title", expression)]
        stage_desired(bench, attributes, check_mapping(bench, attributes, ["id", "cell"]), key="id")
        return {str(key): value for key, value in bench.rows("SELECT key, d0 FROM desired")}  # type: ignore[misc]


numbers = st.one_of(
    st.integers(-(2**40), 2**40),
    st.decimals(-(10**6), 10**6, places=2),
    st.sampled_from([4711.5, 4711.0, -0.25, 1e6]),
    st.sampled_from(["4711", "x", " 7 "]),
    st.none(),
)


@settings(max_examples=examples(30, 15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(numbers, min_size=1, max_size=4), numbers)
def test_another_row_never_changes_the_text_of_this_one(tmp_path: Path, cells: list[Cell], other: Cell) -> None:
    alone, beside = titles(tmp_path, cells), titles(tmp_path, [*cells, other])
    assert beside == {**alone, f"k{len(cells)}": beside[f"k{len(cells)}"]}


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (4711, "4711"),
        (4711.0, "4711"),
        (Decimal("4711.00"), "4711"),
        (Decimal("4711.10"), "4711.10"),
        (4711.5, "4711.5"),
    ],
)
def test_a_number_is_written_as_it_stands(tmp_path: Path, cell: Cell, text: str) -> None:
    for others in ([], [1], [0.5], [Decimal("1.25")], ["x"]):
        assert titles(tmp_path, [cell, *others])["k0"] == text


@pytest.mark.parametrize("expression", ["'E' || cell", "cell::VARCHAR", "trim(CAST(cell AS TEXT))", "concat('', cell)"])
def test_so_it_is_inside_of_texts(tmp_path: Path, expression: str) -> None:
    assert str(titles(tmp_path, [Decimal("4711"), 4711.5], expression)["k0"]).removeprefix("E") == "4711"


def test_numbers_are_still_numbers(tmp_path: Path) -> None:
    found = titles(tmp_path, [4711, 4711.5], "CASE WHEN cell > 4711.2 THEN 'more' ELSE 'less' END")
    assert found == {"k0": "less", "k1": "more"}

"""What CI leaves to the soak: combinations of values, and no value."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from tests.soak import covering


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_each_value_of_each_parameter_is_played_at_least_once_and_none_for_nothing(sizes: list[int]) -> None:
    cases = [dict(zip("abc", values, strict=False)) for values in product(*map(range, sizes))]
    kept = [cases[at] for at in covering(cases)]
    assert {pair for case in kept for pair in case.items()} == {pair for case in cases for pair in case.items()}
    assert len(kept) <= sum(sizes)


def test_of_a_table_every_row_is_played() -> None:
    assert covering([{"a,b": (1, 2)}, {"a,b": (1, 3)}, {"a,b": (2, 3)}]) == [0, 1, 2]


def test_without_parameters_it_is_played() -> None:
    assert covering([{"": ""}]) == [0]

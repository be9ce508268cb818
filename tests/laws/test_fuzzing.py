"""No bytes of anybody end a parser otherwise than it says."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import fuzzing
from tests.soak import examples

EACH = pytest.mark.parametrize("name", sorted(fuzzing.TARGETS))


@EACH
@settings(max_examples=examples(20_000, 40), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_nearly_right_is_read_or_refused(name: str, seed: int) -> None:
    rng = Random(seed)
    fuzzing.TARGETS[name](fuzzing.mutated(rng.choice(fuzzing.SEEDS[name]), rng))


@EACH
@settings(max_examples=examples(20_000, 20), deadline=None)
@given(content=st.binary(max_size=300))
def test_anything_is_read_or_refused(name: str, content: bytes) -> None:
    fuzzing.TARGETS[name](content)


@EACH
def test_each_begins_with_what_is_right_or_nearly_so(name: str) -> None:
    for seed in fuzzing.SEEDS[name]:
        fuzzing.TARGETS[name](seed)

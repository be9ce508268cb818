"""What is blank and what stands around a text: SQL says what Python says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scimsync.workbench.bench import Workbench
from scimsync.workbench.statuses import SPACE
from scimsync.workbench.values import BLANK, is_blank, stripped

TEXTS = st.none() | st.text(st.sampled_from([*BLANK, *"aZ!~0\x00\x7f\x80é漢🙂"]), max_size=12)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    with Workbench(Path(tmp_path_factory.mktemp("values"))) as made:
        yield made


def asked(bench: Workbench, sql: str, given: str | None) -> object:
    (found,) = bench.sql.execute(f"SELECT {sql} FROM (SELECT ?::VARCHAR AS given)", [given]).fetchall()
    return found[0]


@given(TEXTS)
@example("\n a \n b \n")
@example("é")
@example("\x7f")
def test_a_text_is_trimmed_at_its_ends_alone(bench: Workbench, text: str | None) -> None:
    assert asked(bench, "tidy(given)", text) == (None if text is None else text.strip(SPACE))
    assert asked(bench, stripped("given"), text) == (None if text is None else text.strip(BLANK))


@given(TEXTS)
@example("")
@example("\u200b")
@example("!")
@example("\x7f")
def test_a_value_is_blank_where_nothing_of_it_could_be_seen(bench: Workbench, text: str | None) -> None:
    assert asked(bench, is_blank("given"), text) == (not (text or "").strip(BLANK))

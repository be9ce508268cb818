"""A table in layers equals a plain dictionary, whatever is written, folded, and taken away below it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.soak import examples

from scimsync.errors import StoreDamaged
from scimsync.workbench.bench import Workbench
from scimsync.workbench.layers import FOLDED, Layers, needed, write_snapshot

KEYS = [f"k{number}" for number in range(25)]
Row = Mapping[str, str]
_rows = st.fixed_dictionaries({}, optional={name: st.sampled_from(["", "x", "Ü"]) for name in ("a", "b", "c d")})
#: one write: key -> its new row, or None where it goes; and whether layers may be folded
_writes = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(KEYS), st.none() | _rows, max_size=8), st.booleans()), max_size=14
)


def table(bench: Workbench, name: str, rows: Mapping[str, Row], columns: set[str]) -> str:
    listed = ", ".join(f'"{column}" VARCHAR' for column in sorted(columns))
    bench.sql.execute(f"CREATE OR REPLACE TABLE {name} (key VARCHAR{', ' if listed else ''}{listed})")
    for key, row in rows.items():
        values = [key, *(row.get(column) for column in sorted(columns))]
        bench.sql.execute(f"INSERT INTO {name} VALUES ({', '.join('?' for _ in values)})", values)
    return name


def shown(bench: Workbench, layers: Layers) -> dict[str, Row]:
    cursor = bench.sql.execute(f"SELECT * FROM {layers.rows()}")
    names = [str(column[0]) for column in cursor.description or ()]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert len({row["key"] for row in found}) == len(found)
    return {row.pop("key"): {name: value for name, value in row.items() if value is not None} for row in found}


@settings(max_examples=examples(60, 20), deadline=None)
@given(first=st.dictionaries(st.sampled_from(KEYS), _rows), writes=_writes, kept=st.integers(1, 15))
def test_every_layer_shows_the_table_as_it_was_when_it_was_written(
    first: dict[str, Row], writes: list[tuple[dict[str, Row | None], bool]], kept: int
) -> None:
    with tempfile.TemporaryDirectory() as name, Workbench(Path(name)) as bench:
        folder = Path(name)
        held = dict(first)
        history = {"0.parquet": dict(held)}
        columns = {column for row in first.values() for column in row}
        write_snapshot(bench, folder / "0.parquet", table(bench, "snapshot", first, columns))
        for number, (moves, fold) in enumerate(writes, 1):
            under = Layers(bench, folder / f"{number - 1}.parquet")
            new = {key: row for key, row in moves.items() if row is not None}
            gone = {key: {} for key, row in moves.items() if row is None}
            rows = table(bench, "new", new, {column for row in new.values() for column in row})
            under.write(folder / f"{number}.parquet", rows, gone=table(bench, "gone", gone, set()), fold=fold)
            held = {key: row for key, row in (held | new).items() if key not in gone}
            history[f"{number}.parquet"] = dict(held)
        names = list(history)[-kept:]
        alive = {one for top in names for one in needed(bench, folder / top)}
        for path in folder.glob("*.parquet"):
            if path.name not in alive:
                path.unlink()
        for top in names:
            layers = Layers(bench, folder / top)
            assert shown(bench, layers) == history[top]
            for key in KEYS[:3]:
                found = bench.rows("SELECT key FROM " + layers.rows(f"key = '{key}'"))
                assert [one for (one,) in found] == [key][: key in history[top]]


def test_layers_stay_few_and_changes_small_while_one_row_after_another_changes(tmp_path: Path) -> None:
    with Workbench(tmp_path) as bench:
        rows = "(SELECT 'k' || lpad(i::VARCHAR, 4, '0') AS key, 'old' AS a FROM range(4000) t(i))"
        write_snapshot(bench, tmp_path / "0.parquet", rows)
        layers, rewritten = Layers(bench, tmp_path / "0.parquet"), 0
        for number in range(1, 300):
            one = f"(SELECT 'k{number % 250:04}' AS key, '{number}' AS a)"
            layers.write(tmp_path / f"{number}.parquet", one)
            layers = Layers(bench, tmp_path / f"{number}.parquet")
            rewritten += layers.stack[-1].rows
            assert len(layers.stack) <= 10
            assert layers.stack[0].name == "0.parquet"
        assert rewritten < 300 * 10
        assert shown(bench, layers)["k0049"] == {"a": "299"}
        layers.write(
            tmp_path / "whole.parquet", f"(SELECT key, 'new' AS a FROM {layers.rows()} LIMIT 4000 // {FOLDED})"
        )
        assert len(Layers(bench, tmp_path / "whole.parquet").stack) == 1


@pytest.mark.parametrize("harm", ["missing", "cut", "exchanged", "top"])
def test_a_layer_that_is_not_what_was_written_is_told(tmp_path: Path, harm: str) -> None:
    with Workbench(tmp_path) as bench:
        write_snapshot(bench, tmp_path / "a.parquet", "(SELECT i::VARCHAR AS key, 'x' AS p FROM range(100) t(i))")
        Layers(bench, tmp_path / "a.parquet").write(tmp_path / "b.parquet", "(SELECT '5' AS key, 'y' AS p)")
        harmed = tmp_path / ("b.parquet" if harm == "top" else "a.parquet")
        match harm:
            case "missing":
                harmed.unlink()
            case "cut" | "top":
                harmed.write_bytes(harmed.read_bytes()[:-20])
            case _:
                write_snapshot(bench, harmed, "(SELECT '1' AS key, 'z' AS p)")
        with pytest.raises(StoreDamaged, match=rf"{harmed.name} .*Put the file back from a backup"):
            Layers(bench, tmp_path / "b.parquet")


def test_a_layer_whose_pages_are_damaged_is_told_when_it_is_read(tmp_path: Path) -> None:
    with Workbench(tmp_path) as bench:
        top = tmp_path / "a.parquet"
        write_snapshot(bench, top, "(SELECT md5(i::VARCHAR) AS key FROM range(1000) t(i))")
        content = bytearray(top.read_bytes())
        content[4:400] = bytes(396)
        top.write_bytes(content)
        layers = Layers(bench, top)
        with pytest.raises(StoreDamaged, match=r"a.parquet cannot be read"), layers.readable():
            shown(bench, layers)

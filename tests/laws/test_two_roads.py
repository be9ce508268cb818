"""A reading that is poured and taken by DuckDB's own reader says what a walk over its rows says, whatever stands in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from scimsync.adapters.source_file import CsvSource
from scimsync.errors import SourceError
from scimsync.model.records import Poured, Reading
from scimsync.workbench.bench import Workbench
from scimsync.workbench.records import stage_records

ANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Road:
    """What became of a reading."""

    said: object
    poured: bool


def staged(folder: Path, reading: Reading) -> object:
    """Everything that the plan will know of a reading."""
    with Workbench(folder, helpers=False) as bench:
        try:
            health = stage_records(bench, reading, key="id")
        except SourceError as error:
            return str(error)
        rows = list(bench.rows("SELECT * FROM records ORDER BY scimsync_n"))
        return bench.columns, bench.texts, rows, health, reading.proven, reading.place


def both(folder: Path, read: Callable[[], Reading]) -> Road:
    """Take both roads, and see that they end at the same place."""
    try:
        reading = read()
    except SourceError as error:
        return Road(str(error), poured=False)
    taken: list[bool] = []

    def pour(file: BinaryIO) -> Poured | None:
        assert reading.pour is not None
        poured = reading.pour(file)
        taken.append(poured is not None)
        return poured

    walked = staged(folder, replace(read(), pour=None))
    assert staged(folder, replace(reading, pour=pour)) == walked
    return Road(walked, poured=any(taken))


cells = st.text(st.sampled_from(list("a1 ,;\"'\t\r\n\u00a0é名\\#.-")) | st.characters(codec="utf-8"), max_size=6)
plain = st.text(st.sampled_from("ab1 é.-'#\\"), max_size=6)


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    """A file that somebody's export could have written: well, or not so well."""
    width = draw(st.integers(1, 4))
    delimiter = draw(st.sampled_from(",,,;"))
    quoting = draw(st.sampled_from(["all", "needed", "never", "some"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\n", "\r", ""]))
    content = draw(st.sampled_from([cells, plain, plain]))

    def cell(text: str) -> str:
        special = any(mark in text for mark in ',;"\r\n')
        if quoting == "all" or (quoting == "needed" and special) or (quoting == "some" and draw(st.booleans())):
            return '"' + text.replace('"', '""') + '"'
        return text

    lines = [delimiter.join(["id", "b", "c", "d"][:width])]
    for _ in range(draw(st.integers(0, 5))):
        ragged = draw(st.sampled_from([0] * 12 + [1, -1]))
        row = delimiter.join(cell(draw(content)) for _ in range(max(0, width + ragged)))
        lines.append(row)
    text = "".join(line + (end or draw(st.sampled_from(["\n", "\r\n"]))) for line in lines)
    text = text[: len(text) - draw(st.sampled_from([0] * 6 + [1, 2]))]
    mark = draw(st.sampled_from(["", "", "\ufeff"]))
    return (mark + text).encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16"])), "replace")


@ANY
@given(data=csv_files(), delimiter=st.sampled_from(",,,;"), encoding=st.sampled_from(["utf-8-sig", "utf-8", "cp1252"]))
@example(data=b'id,b\n1,"x"\n', delimiter=",", encoding="utf-8")
@example(data=b"id,b\n1,x,\n", delimiter=",", encoding="utf-8")
@example(data=b'id,b\n1, "x"\n', delimiter=",", encoding="utf-8")
@example(data=b'id,b\n1,"x" \n', delimiter=",", encoding="utf-8")
@example(data=b'id,b\n1,a"x"\n', delimiter=",", encoding="utf-8")
@example(data=b'id,b\n1,"a"x\n', delimiter=",", encoding="utf-8")
@example(data=b"id\n\n", delimiter=",", encoding="utf-8")
@example(data=b'id,b\n1,"a\nb"\n2,c\n', delimiter=",", encoding="utf-8")
@example(data=b"id,b\n1,a\n,\n \t,\n2,c\n", delimiter=",", encoding="utf-8")
@example(data=b'id,b\n1,"\n', delimiter=",", encoding="utf-8")
def test_a_csv_file_says_the_same_on_both_roads(tmp_path: Path, data: bytes, delimiter: str, encoding: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(data)
    road = both(
        tmp_path, lambda: CsvSource(path, "id", delimiter=delimiter, encoding=encoding, complete="assume").read()
    )
    event("poured" if road.poured else "walked")

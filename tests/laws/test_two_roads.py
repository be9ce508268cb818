"""A reading that is poured and taken by DuckDB's own reader says what a walk over its rows says, whatever stands in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.postgres import postgres_url
from tests.soak import examples

from scimsync.adapters.source_file import CsvSource, ParquetSource
from scimsync.adapters.source_objects import object_batches, object_rows, objects
from scimsync.adapters.source_sql import SqlSource
from scimsync.errors import SourceError
from scimsync.model.records import Poured, Reading
from scimsync.workbench.bench import Workbench
from scimsync.workbench.records import stage_records

ANY = settings(
    max_examples=examples(150, 30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


@dataclass
class Road:
    """What became of a reading."""

    said: object
    poured: bool


def staged(folder: Path, reading: Reading) -> object:
    """Everything that the plan will know of a reading."""
    with Workbench(folder) as bench:
        try:
            health = stage_records(bench, reading, key="id")
        except SourceError as error:
            return str(error)
        rows = repr(list(bench.rows("SELECT * FROM records ORDER BY scimsync_n")))
        return bench.columns, bench.texts, rows, health, reading.proven, reading.place


def both(folder: Path, read: Callable[[], Reading]) -> Road:
    """Take both roads, and see that they end at the same place."""
    try:
        reading = read()
    except SourceError as error:
        return Road(str(error), poured=False)
    taken: list[bool] = []

    def pour(file: BinaryIO) -> Poured | None:
        poured = reading.pour(file) if reading.pour is not None else None
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


# --- JSON lines: by the thousand, or object by object ----------------------------------------------------------------

values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), cells,
    st.sampled_from([[], {}, ["x"], 1e308, float("inf"), float("nan"), "\ud800", "\0", '"id":', "\\"]),
)  # fmt: skip
raw = st.sampled_from(
    [
        "", "  ", "null", "[1]", '{"id": 1}', '{"id": 1, "id": 2}', '{"id": 1, "i\\u0064": 2}', '{"id" : 1}', '{"id": 1} {"id": 2}',
        '{"id": -0}', '{"id": 1e400}', '{"id": 1E3, "b": 0.10}', '{"id": "\\ud83d\\ude00"}', '{"id": "\\ud800"}', '{"id": "\\u0000"}',
        '{"id": 1,}', '{"id": 01}', '{"id": "a\tb"}', '{"new": 1}', '{"id": ' + "9" * 5000 + "}", '\u00a0{"id": 1}', '{"id": "\\/\\n"}',
        '{"id": "a\\":b"}', '{"b":"\\"id\\":","id":3}', '{"id": ' + "[" * 5000,
    ]
)  # fmt: skip
records = st.dictionaries(st.sampled_from(["id", "b", "é c", "d"]), values, min_size=1).map(
    lambda found: json.dumps(found, ensure_ascii=len(found) % 2 == 0)
)


@settings(max_examples=examples(400, 80), deadline=None)
@given(st.lists(records | raw, max_size=5))
def test_json_lines_say_the_same_by_the_thousand_and_one_by_one(texts: list[str]) -> None:
    lines = list(enumerate((text + "\n" for text in texts), 2))
    first = (1, {"id": 0, "b": None, "é c": True, "d": "x"})
    path, columns = Path("people.jsonl"), tuple(first[1])

    def told(walk: Callable[[], object]) -> str:
        try:
            return repr(walk())
        except SourceError as error:
            return str(error)

    def by_thousands() -> object:
        batches = list(object_batches(path, columns, first, iter(lines)))
        for batch in batches:
            found = [frozenset(map(type, column)) for column in zip(*batch.rows, strict=True)]
            assert batch.types is None or list(batch.types) == found
        return [(tuple(row), place) for b in batches for row, place in zip(b.rows, b.places, strict=True)]

    one_by_one = told(
        lambda: [
            (tuple(row), line) for line, row in object_rows(str(path), columns, chain([first], objects(path, lines)))
        ]
    )
    assert told(by_thousands) == one_by_one


# --- Parquet ---------------------------------------------------------------------------------------------------------

COLUMNS = st.sampled_from(
    [
        ("VARCHAR", ["'x'", "''", "' '", "'\u00a0'", "NULL", "'1.50'"]),
        ("BOOLEAN", ["true", "false", "NULL"]),
        ("TINYINT", ["-7", "0", "NULL"]),
        ("UINTEGER", ["4294967295", "NULL"]),
        ("BIGINT", ["9223372036854775807", "'-9223372036854775808'", "1", "NULL"]),
        ("UBIGINT", ["18446744073709551615", "1"]),
        ("DECIMAL(10, 2)", ["4711.10", "4711.00", "-0.05", "NULL", "0"]),
        ("DECIMAL(24, 3)", ["9223372036854775808.000", "'-9223372036854775808'", "1.5", "1", "NULL"]),
        ("DECIMAL(12, 8)", ["0.00000001", "1", "NULL"]),
        ("DOUBLE", ["1.5", "1e300", "4711.0", "'nan'", "NULL"]),
        ("DATE", ["'2026-01-31'", "'0001-01-01'", "NULL"]),
        ("TIMESTAMP", ["'2026-01-31 01:02:03.5'", "'2026-01-31'", "NULL"]),
        ("TIMESTAMP_MS", ["'2026-01-31 01:02:03.5'", "NULL"]),
        ("TIMESTAMPTZ", ["'2026-01-31 01:02:03+02'", "NULL"]),
        ("TIME", ["'01:02:03'", "NULL"]),
        ("UUID", ["'00000000-0000-4000-8000-00000000b055'", "NULL"]),
    ]
)


@settings(ANY, max_examples=examples(80, 30))
@given(data=st.data(), kinds=st.lists(COLUMNS, min_size=1, max_size=3), rows=st.integers(1, 4))
def test_a_parquet_file_says_the_same_on_both_roads(
    tmp_path: Path, data: st.DataObject, kinds: list[tuple[str, list[str]]], rows: int
) -> None:
    made = [
        ", ".join(
            f'{data.draw(st.sampled_from(cells))}::{kind} AS "c{{}} {n}"' for n, (kind, cells) in enumerate(kinds)
        )
        for _ in range(rows)
    ]
    ids = [data.draw(st.sampled_from([f"'{n}'", "NULL", "' '"])) for n in range(rows)]
    union = " UNION ALL ".join(f"SELECT {key} AS id, {cells}" for key, cells in zip(ids, made, strict=True))
    path = tmp_path / "people.parquet"
    with duckdb.connect() as duck:
        duck.execute(f"COPY ({union}) TO '{path}' (FORMAT parquet)")
    road = both(tmp_path, ParquetSource(path, "id").read)
    event("poured" if road.poured else "walked")


# --- PostgreSQL ------------------------------------------------------------------------------------------------------

ANSWERS = st.sampled_from(
    [
        (
            "text",
            [
                "'x'", "''", "NULL", "' '", "E'a\\nb'", "E'a\\r\\nb'", "E'\\r'", "'a,b'", "'a\"b'", "'\"'", "'\\.'", "'\\N'", "'NULL'",
                "E'\\t'", "'Zoë'", "' x '", "'a\\'",
            ],
        ),
        ("char(4)", ["'x'", "''", "NULL"]),
        ("boolean", ["true", "false", "NULL"]),
        ("smallint", ["'-7'", "0", "NULL"]),
        ("bigint", ["9223372036854775807", "'-9223372036854775808'", "1", "NULL"]),
        ("numeric", ["4711.10", "4711.00", "'-0.05'", "NULL", "0", "0.00000001", "1e20", "'NaN'", "'Infinity'"]),
        ("numeric(10,2)", ["4711.1", "1", "NULL"]),
        ("float8", ["1.5", "1e-7", "NULL"]),
        ("date", ["'2026-01-31'", "NULL", "'infinity'", "'0044-03-15 BC'"]),
        ("timestamp", ["'2026-01-31 01:02:03.5'", "'2026-01-31'", "NULL"]),
        ("timestamptz", ["'2026-01-31 01:02:03+02'", "NULL"]),
        ("uuid", ["'00000000-0000-4000-8000-00000000b055'", "NULL"]),
        ("mood", ["'happy'", "NULL"]),
        ("bytea", ["'x'"]),
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        with psycopg.connect(url) as database:
            database.execute("CREATE TYPE mood AS ENUM ('happy')")
        yield url


@settings(ANY, max_examples=examples(120, 25))
@given(data=st.data(), kinds=st.lists(ANSWERS, min_size=0, max_size=3), rows=st.integers(1, 4))
def test_a_query_of_postgresql_says_the_same_on_both_roads(
    tmp_path: Path, postgres: str, data: st.DataObject, kinds: list[tuple[str, list[str]]], rows: int
) -> None:
    def row(number: int) -> str:
        key = data.draw(st.sampled_from([f"'{number}'", "NULL", "' '"]))
        made = [f'{data.draw(st.sampled_from(cells))}::{kind} AS "c{{}} {n}"' for n, (kind, cells) in enumerate(kinds)]
        return ", ".join([f"{key}::text AS id", *made])

    query = " UNION ALL ".join(f"SELECT {row(number)}" for number in range(rows))
    tail = data.draw(st.sampled_from(["", ";", " ; ", " -- the end", " WHERE 1 / 0 = 1", " WHERE false"]))
    road = both(tmp_path, SqlSource(postgres, query + tail, "id").read)
    event("poured" if road.poured else "walked")

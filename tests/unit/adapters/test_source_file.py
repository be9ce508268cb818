"""Bad files: each is refused with file, line, what and what next; and what the formats keep."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path

import duckdb
import pytest

from scimsync.adapters.source_file import Completeness, CsvSource, JsonlSource, ParquetSource
from scimsync.errors import SourceError
from scimsync.model.records import Batch, Reading
from scimsync.workbench.bench import Workbench
from scimsync.workbench.records import stage_records

HEAD = b"id,name,title\n"


def rows(reading: Reading) -> list[tuple[object, ...]]:
    return [tuple(row) for row in chain.from_iterable(batch.rows for batch in reading.batches)]


def csv_source(folder: Path, data: bytes, **options: str) -> CsvSource:
    path = folder / "people.csv"
    path.write_bytes(data)
    return CsvSource(path, "id", **options)  # type: ignore[arg-type]


def jsonl_source(folder: Path, data: str) -> JsonlSource:
    path = folder / "people.jsonl"
    path.write_text(data, encoding="utf-8")
    return JsonlSource(path, "id")


def refusal(source: CsvSource | JsonlSource | ParquetSource) -> str:
    with pytest.raises(SourceError) as caught:
        rows(source.read())
    message = str(caught.value)
    assert "\n" not in message
    assert source.name in message
    assert "Müller" not in message
    return message


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", ["the file is empty", "run it again"]),
        (HEAD, ["no records", "run it again"]),
        (HEAD[:-1], ["line 1", "without an end of line", 'complete = "assume"']),
        (HEAD + b"1,M\xc3\xbcller,x", ["line 2", "without an end of line", 'complete = "assume"']),
        (b"id,,title\n1,2,3\n", ["line 1", "column 2 has no name"]),
        (b"id,name,Name\n1,2,3\n", ["line 1", "'Name' stands there twice", "Rename"]),
        (",".join(f"c{n}" for n in range(1001)).encode() + b"\n", ["line 1", "1,001 columns", "no more than 1,000"]),
        (HEAD + b"1,2,3\n1,M\xc3\xbcller\n", ["line 3", "2 cells, expected 3", "quote"]),
        (HEAD + b'1,"a\nb",3\n1,M\xc3\xbcller,3,4\n', ["line 4", "4 cells, expected 3", "quote"]),
        (HEAD + b"1,2,3\n1,M\xfcller,3\n", ["line 3", "byte offset 23", "0xFC", "utf-8", "cp1252"]),
        (HEAD + b"1,\xc3", ["line 2", "byte offset 16", "the end of the file"]),
        (HEAD + b"1,a\0b,3\n", ["line 2", "NUL", "utf-16"]),
        ("id,name\n1,x\n".encode("utf-16-le"), ["in UTF-16", 'encoding = "utf-16-le"']),
        (HEAD + b'1,2,3\n1,"M\xc3\xbcller,3\n1,2,3\n', ["line 3", "never closed", "double the mark"]),
        (HEAD + b'1,"' + b"x" * 200_000 + b'",3\n', ["line 2", "longer than 131,072", "Close it"]),
        (HEAD + b'1,"a"b,3\n', ["line 2", "after a closing quotation mark", "Double"]),
        (HEAD + b"x" * 1_100_000, ["line 2", "longer than 1,048,576 characters"]),
        (b"id;name\n1;x\n", ["line 1", "';'", 'delimiter = ";"']),
        (b"name,title\n1,2\n", ["no key column 'id'", "'name', 'title'"]),
    ],
)
def test_a_broken_csv_is_refused_with_place_cause_and_next_step(tmp_path: Path, data: bytes, told: list[str]) -> None:
    message = refusal(csv_source(tmp_path, data))
    assert [text for text in told if text not in message] == []


def test_the_place_of_a_wrong_byte_is_right_far_into_the_file(tmp_path: Path) -> None:
    good = HEAD + "1,Müller,x\r\n".encode() * 60_000
    message = refusal(csv_source(tmp_path, good + b"1,\xe9,x\r\n"))
    assert f"line 60002, byte offset {len(good) + 2}: the byte 0xE9" in message


def test_a_wrong_byte_is_placed_when_a_character_lies_across_the_border_of_a_chunk(tmp_path: Path) -> None:
    for shift in range(3):
        good = b"id,name\n" + b"x" * shift + "€".encode() * 100_000 + b",y\n"
        message = refusal(csv_source(tmp_path, good + b"\xff,x\n"))
        assert f"line 3, byte offset {len(good)}: the byte 0xFF" in message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_heeded(tmp_path: Path, encoding: str) -> None:
    reading = csv_source(tmp_path, "id,name\r\n1,Zoë\r\n".encode(encoding)).read()
    assert reading.columns == ("id", "name")
    assert rows(reading) == [("1", "Zoë")]


def test_a_mark_that_contradicts_the_declared_encoding_is_refused(tmp_path: Path) -> None:
    message = refusal(csv_source(tmp_path, "id\n1\n".encode("utf-8-sig"), encoding="cp1252"))
    assert 'Set encoding = "utf-8-sig"' in message


def test_utf16_with_a_declared_byte_order_is_read_with_and_without_mark(tmp_path: Path) -> None:
    for mark in ("", "\ufeff"):
        data = f"{mark}id,name\n1,Zoë\n".encode("utf-16-le")
        assert csv_source(tmp_path, data, encoding="utf-16-le").read().columns == ("id", "name")


def test_a_declared_encoding_is_used(tmp_path: Path) -> None:
    source = csv_source(tmp_path, "id,name\n1,Zoë\n".encode("cp1252"), encoding="cp1252")
    assert rows(source.read()) == [("1", "Zoë")]


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "a\0b"])
def test_an_unknown_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    assert "no text encoding" in refusal(csv_source(tmp_path, HEAD, encoding=encoding))


def test_a_delimiter_of_two_characters_is_refused(tmp_path: Path) -> None:
    assert "Set delimiter to one character" in refusal(csv_source(tmp_path, HEAD, delimiter="::"))


def test_an_unknown_kind_of_completeness_is_refused(tmp_path: Path) -> None:
    assert '"checksum"' in refusal(csv_source(tmp_path, HEAD, complete="cheksum"))


def test_cells_are_not_changed_but_blank_is_none(tmp_path: Path) -> None:
    reading = csv_source(tmp_path, HEAD + b'1, x ,\n\n2,"a\r\nb",NULL\r3,=1,""\n').read()
    batches = list(reading.batches)
    assert [tuple(row) for row in batches[0].rows] == [
        ("1", " x ", None),
        ("2", "a\r\nb", "NULL"),
        ("3", "=1", None),
    ]
    assert list(batches[0].places) == [2, 4, 6]


@pytest.mark.parametrize("complete", ["assume", "checksum"])
def test_an_end_without_line_end_is_read_when_the_file_is_whole_by_other_proof(
    tmp_path: Path, complete: Completeness
) -> None:
    data = HEAD + b"1,2,3"
    (tmp_path / "people.csv.sha256").write_text(f"{hashlib.sha256(data).hexdigest()} *./people.csv\n")
    reading = csv_source(tmp_path, data, complete=complete).read()
    assert reading.proven
    assert rows(reading) == [("1", "2", "3")]


def test_a_wrong_checksum_is_refused_with_both_digests_and_the_command(tmp_path: Path) -> None:
    data = HEAD + b"1,2,3\n"
    (tmp_path / "people.csv.sha256").write_text("0" * 64 + "  people.csv\n")
    message = refusal(csv_source(tmp_path, data, complete="checksum"))
    assert hashlib.sha256(data).hexdigest() in message
    assert "0" * 64 in message
    assert "sha256sum people.csv > people.csv.sha256" in message


@pytest.mark.parametrize("text", [None, "", "0" * 64 + "  other.csv\n", "abc  people.csv\n"])
def test_a_missing_or_foreign_checksum_file_is_refused_with_the_command(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "people.csv.sha256").write_text(text)
    message = refusal(csv_source(tmp_path, HEAD + b"1,2,3\n", complete="checksum"))
    assert "sha256sum people.csv > people.csv.sha256" in message


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = csv_source(tmp_path, HEAD + b"1,2,3\n" * 20_000)
    batches = iter(source.read().batches)
    next(batches)
    with source.path.open("ab") as file:
        file.write(b"1,2,3\n")
    with pytest.raises(SourceError, match="changed while it was read"):
        list(batches)


def test_a_file_rewritten_in_place_with_the_same_size_is_refused(tmp_path: Path) -> None:
    source = csv_source(tmp_path, HEAD + b"1,2,3\n" * 20_000)
    batches = iter(source.read().batches)
    next(batches)
    with source.path.open("r+b") as file:
        file.write(HEAD)
    os.utime(source.path, ns=(1, 1))
    with pytest.raises(SourceError, match="changed while it was read"):
        list(batches)


def test_a_file_replaced_by_a_rename_is_read_as_it_was(tmp_path: Path) -> None:
    source = csv_source(tmp_path, HEAD + b"1,2,3\n" * 20_000)
    batches = iter(source.read().batches)
    first = next(batches)
    (tmp_path / "new.csv").write_bytes(HEAD + b"9,9,9\n")
    (tmp_path / "new.csv").replace(source.path)
    rest: list[Batch] = list(batches)
    assert sum(len(batch.rows) for batch in [first, *rest]) == 20_000


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "cannot be opened: no such file" in refusal(CsvSource(tmp_path / "nowhere.csv", "id"))
    assert "Set path" in refusal(CsvSource(tmp_path, "id"))
    assert "is not a regular file" in refusal(JsonlSource(tmp_path / "pipe", "id"))


def test_a_csv_cut_at_any_byte_is_refused_or_an_unproven_prefix(tmp_path: Path) -> None:
    people = [(f"E{i}", f'Zoë "{i}"\r\nsecond, line', f"Agent {i}" if i % 3 else None) for i in range(50)]
    quoted = "".join(f'{key},"{name.replace(chr(34), chr(34) * 2)}",{title or ""}\r\n' for key, name, title in people)
    whole = ("\ufeffid,name,title\r\n" + quoted).encode()
    readings = 0
    for cut in range(len(whole)):
        try:
            reading = csv_source(tmp_path, whole[:cut]).read()
            found = rows(reading)
        except SourceError:
            continue
        readings += 1
        assert not reading.proven
        assert found == people[: len(found)]
    assert readings >= 49  # after each whole record but the last
    assert rows(csv_source(tmp_path, whole).read()) == people


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", ["is empty"]),
        ("\n\n", ["no records"]),
        ('{"id": 1}\n{"id": 2, "title": "Müller"}\n', ["line 2", "'title' is not in the first record"]),
        ('{"id": 1e400}\n', ["line 1", "a number", "JSON does not allow"]),
        ('{"id": 1, "id": 2}\n', ["line 1", "'id' stands there twice"]),
        ('{"id": 1, "a": 2}\n{"id" : 2, "a": 2, "a": 3}\n', ["line 2", "'a' stands there twice"]),
        ('{"id": 1, "a": 2}\n{"id"\t: 2, "a": 2, "a": 3}\n', ["line 2", "'a' stands there twice"]),
        ('{"id": 1, "ID": 2}\n', ["line 1", "'ID' stands there twice"]),
        ('{"id": 1}\n{"id": \n', ["line 2, column", "not JSON", "one whole JSON object"]),
        ('{"id": NaN}\n', ["line 1", "does not allow"]),
        ('{"id": ' + "9" * 5000 + "}\n", ["line 1", "does not allow"]),
        ('{"id": ' + "[" * 100_000 + "\n", ["line 1", "nesting"]),
        ('{"id": 1}\n[1]\n', ["line 2", "not a JSON object"]),
        ('{"id": ["Müller"]}\n', ["line 1", "'id' holds a list"]),
        ('{"id": {"name": "Müller"}}\n', ["line 1", "'id' holds an object"]),
        ('{"id": "\\u0000"}\n', ["line 1", "'id'", "NUL"]),
        ('{"id": "\\ud800"}\n', ["line 1", "'id'", "surrogate"]),
        ('{"id": 1}\n{"id": 2}', ["line 2", "without an end of line"]),
    ],
)
def test_a_broken_jsonl_is_refused_with_place_cause_and_next_step(tmp_path: Path, data: str, told: list[str]) -> None:
    message = refusal(jsonl_source(tmp_path, data))
    assert [text for text in told if text not in message] == []


def test_a_missing_member_is_none_and_values_keep_their_kind(tmp_path: Path) -> None:
    source = jsonl_source(tmp_path, '{"id": 1, "a": 1.5, "b": true}\n\n{"b": null, "id": "\\u00eb"}\n')
    batches = list(source.read().batches)
    assert [tuple(row) for batch in batches for row in batch.rows] == [(1, 1.5, True), ("ë", None, None)]
    assert [place for batch in batches for place in batch.places] == [1, 3]


def parquet_source(folder: Path, select: str) -> ParquetSource:
    path = folder / "people.parquet"
    with duckdb.connect() as duck:
        duck.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return ParquetSource(path, "id")


def test_parquet_values_keep_their_kind(tmp_path: Path) -> None:
    select = (
        "SELECT 7 AS id, 1.5::DOUBLE AS f, true AS b, DATE '2024-02-29' AS d, 2.50::DECIMAL(9,2) AS m,"
        " TIMESTAMPTZ '2024-01-01 12:00:00+02' AS z, TIMESTAMP '2024-01-01 12:00:00' AS t, NULL::VARCHAR AS n,"
        " '7c9e6679-7425-40de-944b-e07fc1f90ae7'::UUID AS u, TIME '08:30:00' AS c"
    )
    assert rows(parquet_source(tmp_path, select).read()) == [
        (
            7,
            1.5,
            True,
            date(2024, 2, 29),
            Decimal("2.50"),
            datetime(2024, 1, 1, 10, tzinfo=UTC),
            datetime(2024, 1, 1, 12),  # noqa: DTZ001
            None,
            "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "08:30:00",
        )
    ]


@pytest.mark.parametrize("column", ["[1, 2]", "{'a': 'Müller'}", "'x'::BLOB"])
def test_a_parquet_column_that_is_no_cell_is_refused(tmp_path: Path, column: str) -> None:
    message = refusal(parquet_source(tmp_path, f"SELECT 1 AS id, {column} AS extra"))
    assert "'extra' is of the type" in message


def test_a_few_kilobytes_of_parquet_do_not_unpack_to_gigabytes(tmp_path: Path) -> None:
    wide = "CASE WHEN range < 900 THEN 'x' ELSE repeat('x', 3000000) END AS title"
    source = parquet_source(tmp_path, f"SELECT range AS id, {wide} FROM range(1000)")
    assert source.path.stat().st_size < 500_000
    assert "the column 'title' holds a text of more than 1,048,576 bytes" in refusal(source)
    with Workbench(tmp_path) as bench, pytest.raises(SourceError, match="holds a text of more than"):
        stage_records(bench, source.read(), key="id")
    assert not [*tmp_path.glob("workbench-*")]


def test_a_column_of_a_name_that_is_ours_is_refused(tmp_path: Path) -> None:
    source = parquet_source(tmp_path, "SELECT 1 AS id, 2 AS Scimsync_N")
    with Workbench(tmp_path) as bench, pytest.raises(SourceError, match="Scimsync_N has a name that begins with"):
        stage_records(bench, source.read(), key="id")


def test_a_parquet_file_cut_at_any_place_is_refused(tmp_path: Path) -> None:
    source = parquet_source(tmp_path, "SELECT range AS id, 'x' || range AS name FROM range(50)")
    whole = source.path.read_bytes()
    for cut in range(0, len(whole), 7):
        source.path.write_bytes(whole[:cut])
        assert "write it anew" in refusal(source)


def test_a_parquet_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = parquet_source(tmp_path, "SELECT range AS id FROM range(20000)")
    batches = iter(source.read().batches)
    next(batches)
    os.utime(source.path, ns=(1, 1))
    with pytest.raises(SourceError, match="changed while it was read"):
        list(batches)

"""Parquet, as rows."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NoReturn

from scimsync.adapters.source_text import BATCH, Again, Placed, same
from scimsync.errors import SourceError
from scimsync.model.records import Cell, Form, Poured

#: How a column is asked for, by the beginning of its DuckDB type; the first that fits. A time with zone is
#: asked for as UTC without zone, because DuckDB wants pytz to hand it out.
_ASKED = (
    (
        r"(VARCHAR|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|BOOLEAN|DECIMAL\(.*\)|DATE|TIMESTAMP)$",
        "{}",
    ),
    (r"(UUID|TIME|ENUM\(.*\))$", "CAST({} AS VARCHAR)"),
    (r"TIMESTAMP_(S|MS|NS)$", "CAST({} AS TIMESTAMP)"),
    (r"TIMESTAMP WITH TIME ZONE$", "make_timestamp(epoch_us({}))"),
)

#: what such a column holds when it is poured, by the beginning of its type; of numbers, only those whose text Python
#: and DuckDB write alike
_FORMS = (
    (r"(VARCHAR|UUID|TIME|ENUM\(.*\))$", Form.TEXT),
    (r"BOOLEAN$", Form.TRUTH),
    (r"(U?(TINY|SMALL)INT|U?INTEGER|BIGINT)$", Form.WHOLE),
    (r"DECIMAL\(\d+,\s*[0-6]\)$", Form.NUMBER),
    (r"DATE$", Form.DAY),
    (r"TIMESTAMP(_S|_MS|_NS)?$", Form.TIME),
)


#: bytes of the longest text in a cell: a file of some kilobytes may hold gigabytes, packed
WIDEST = 1 << 20
_WIDE = "scimsync: too wide, column "


class ParquetTable:
    """One Parquet file in a DuckDB connection of its own."""

    def __init__(self, path: Path, file: io.FileIO) -> None:
        import duckdb  # noqa: PLC0415  # a heavy import that only this format needs

        self._path = path
        self._fault = duckdb.Error
        options: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._duck = duckdb.connect(config=options)
        place = f"/dev/fd/{file.fileno()}"
        self._place = place if Path(place).exists() else str(path)
        try:
            self.names, self._kinds, self._count = self._footer()
        except duckdb.Error as exc:
            self._duck.close()
            self._refuse(exc)

    def __enter__(self) -> ParquetTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._duck.close()

    def pour(self, file: io.FileIO, before: os.stat_result, sink: BinaryIO) -> Poured | None:
        """Copy the file; None where a column must be looked at value by value, or the file is changing."""
        forms = [next((form for pattern, form in _FORMS if re.match(pattern, kind)), None) for kind in self._kinds]
        known = [form for form in forms if form is not None]
        if len(known) < len(forms):
            return None
        shutil.copyfileobj(Again(file), sink, 1 << 20)
        if not same(file, before):
            return None
        return Poured(is_parquet=True, forms=known, rows=self._count)

    def rows(self) -> Iterator[Placed]:
        """The rows with their numbers from 1; as many as the footer counts."""
        try:
            answer = self._duck.execute(self._select(), [self._place])
            zoned = [i for i, kind in enumerate(self._kinds) if kind == "TIMESTAMP WITH TIME ZONE"]
            number = 0
            while rows := answer.fetchmany(BATCH):
                for number, row in enumerate(rows, number + 1):  # noqa: B020  # goes on counting
                    yield number, _with_zone(row, zoned) if zoned else row
        except self._fault as exc:
            self._refuse(exc)
        if number != self._count:
            message = (
                f"{self._path}: the footer counts {self._count} rows, and {number} were read, so the file is"
                " damaged. Write it anew."
            )
            raise SourceError(message)

    def _footer(self) -> tuple[tuple[str, ...], list[str], int]:
        ask = self._duck.execute
        described = ask("DESCRIBE " + _FROM, [self._place]).fetchall()
        elements = ask("SELECT name FROM parquet_schema(?)", [self._place]).fetchall()[1:]  # without the root
        counted = ask("SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata(?)", [self._place]).fetchone()
        kinds = [str(kind) for _, kind, *_ in described]
        flat = len(elements) == len(described)  # DuckDB renames equal columns; the schema has the true names
        names = tuple(str(row[0]) for row in (elements if flat else described))
        return names, kinds, int(counted[0]) if counted else 0

    def _select(self) -> str:
        asked = []
        for number, (name, kind) in enumerate(zip(self.names, self._kinds, strict=True), 1):
            form = next((form for pattern, form in _ASKED if re.match(pattern, kind)), None)
            if form is None:
                message = (
                    f"{self._path}: the column {name!r} is of the type {kind[:60]}; a column holds text,"
                    " numbers, truth or dates. Leave it out of the export, or write it as text."
                )
                raise SourceError(message)
            cell = form.format(f"c{number}")
            wide = f"CASE WHEN strlen({cell}) > {WIDEST} THEN error('{_WIDE}{number}') ELSE {cell} END"
            asked.append(wide if kind == "VARCHAR" else cell)
        aliases = ", ".join(f"c{number}" for number in range(1, len(asked) + 1))
        return f"SELECT {', '.join(asked)} FROM ({_FROM}) AS people({aliases})"  # noqa: S608  # no names in it

    def _refuse(self, fault: Exception) -> NoReturn:
        if _WIDE in str(fault):
            number = int(str(fault).partition(_WIDE)[2].split()[0])
            raise SourceError(
                f"{self._path}: the column {self.names[number - 1]!r} holds a text of more than {WIDEST:,} bytes, as "
                "no attribute of a person does. Leave the column out of the export, or find out what writes that."
            ) from fault
        reason = str(fault).replace(self._place, self._path.name).partition("\n")[0]
        message = (
            f"{self._path}: cannot be read as Parquet: {reason}. The file is cut, damaged or of another kind:"
            " write it anew, or correct kind under [source]."
        )
        raise SourceError(message) from fault


_FROM = "SELECT * FROM read_parquet(?, hive_partitioning = false)"


def _with_zone(row: tuple[Cell, ...], columns: Sequence[int]) -> list[Cell]:
    cells = list(row)
    for column in columns:
        value = cells[column]
        if isinstance(value, datetime):
            cells[column] = value.replace(tzinfo=UTC)
    return cells

"""HR files as they come: by kind, what is wrong with them, what is said of it, and who is written all the same.

A company of eight people was synchronised from a clean file. The next file says that one of them moved, that one left,
and that somebody new is there; and something is wrong with it. Whatever that is, each value in the directory is then
what it was or what a clean reading says, nobody has lost access who did not leave, and nobody got what is another's.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeAlias

import duckdb
from tests.sheets import write_xlsx

Row: TypeAlias = dict[str, str]
Rows: TypeAlias = list[Row]

COLUMNS = "id login first last status title dept manager phone country last_day".split()
MOVER, LEAVER, JOINER, BOSS, CODED = "0103", "0105", "0109", "0101", "A0107"
_CLEAN = """\
0101 anna@x.org  Anna   Müller  active Head  Sales    .    +493090182001  DE
0102 ben@x.org   Ben    Søren   active Agent Sales    0101 030/90182002   DE
0103 carla@x.org Carla  Nuñez   active Agent Sales    0101 +34912345603   ES
0104 dora@x.org  Dóra   Nagy    active Agent Service  0101 (1)234-5604    HU
0105 emil@x.org  Emil   Čapek   active Agent Service  0102 +420224345605  CZ
0106 fred@x.org  Fred   O'Hara  active Lead  Service  0102 (317)555-0106  US
A0107 gül@x.org  Gül    Yılmaz  active Agent Research 0102 +902123450107  TR
0108 hugo@x.org  Hugo   Weiß    active Agent Research 0106 .              .
"""
_NEW = "0109 ines@x.org  Inês   Sá      active Agent Research 0106 +351212345609  PT"


def _row(line: str) -> Row:
    cells = ["" if cell == "." else cell for cell in line.split()]
    return dict(zip(COLUMNS, [*cells, ""], strict=True))


def day_one() -> Rows:
    """Eight people."""
    return [_row(line) for line in _CLEAN.splitlines()]


def day_two() -> Rows:
    """What is so on the next day: one moved, one left, one is new."""
    rows = [*day_one(), _row(_NEW)]
    for row in rows:
        if row["id"] == MOVER:
            row["title"] = "Expert"
        if row["id"] == LEAVER:
            row["status"] = "left"
    return rows


def text_of(
    rows: Sequence[Mapping[str, str]], delimiter: str = ",", columns: Sequence[str] = (), end: str = "\n"
) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    names = columns or list(rows[0])
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in rows)
    return out.getvalue()


#: as the file should be
GOOD = text_of(day_two())
#: who is written: everybody of whom there is something new, or nobody
ALL, NOBODY = "mover leaver joiner", ""


@dataclass(frozen=True, kw_only=True)
class Dirty:
    """One file: what is in it, what is said, and who is written all the same."""

    name: str
    content: bytes
    #: texts that must stand in what the command says
    says: tuple[str, ...] = ()
    code: int
    #: who is written: `mover`, `leaver`, `joiner`
    written: str
    #: further keys of [source], instead of kind = "csv"
    source: str = ""
    #: key -> column -> what is right on this day, where that is not as in a clean file
    truth: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the files of one seed."""

    chance: Random

    def steady(self) -> str:
        """The key of somebody of whom nothing is new."""
        return self.chance.choice([row["id"] for row in day_one() if row["id"] not in {MOVER, LEAVER, BOSS, CODED}])


KINDS: dict[str, Callable[[Maker], Dirty]] = {}


def made(name: str, seed: int) -> Dirty:
    """A file of one kind."""
    return KINDS[name](Maker(Random(f"{seed} {name}")))


def _kind(
    name: str,
    content: bytes | str | Callable[[Maker], bytes | str],
    code: int,
    written: str,
    *says: str,
    source: str = "",
    truth: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    def make(maker: Maker) -> Dirty:
        found = content(maker) if callable(content) else content
        return Dirty(
            name=name,
            content=found.encode() if isinstance(found, str) else found,
            says=says,
            code=code,
            written=written,
            source=source,
            truth=truth or {},
        )

    assert name not in KINDS, name
    KINDS[name] = make


# --- encodings, line ends, marks ------------------------------------------------------------------

_LATIN = text_of(
    [{**row, "last": {"Čapek": "Capek", "Yılmaz": "Yilmaz"}.get(row["last"], row["last"])} for row in day_two()]
)
_LATIN_TRUTH = {LEAVER: {"last": "Capek"}, CODED: {"last": "Yilmaz"}}

_kind("utf-8", GOOD, 0, ALL)
_kind("utf-8 with mark", GOOD.encode("utf-8-sig"), 0, ALL)
_kind("utf-8 with two marks", b"\xef\xbb\xbf" + GOOD.encode("utf-8-sig"), 3, NOBODY)
_kind("crlf", GOOD.replace("\n", "\r\n"), 0, ALL)
_kind("crlf with mark", GOOD.replace("\n", "\r\n").encode("utf-8-sig"), 0, ALL)
_kind("cr alone", GOOD.replace("\n", "\r"), 0, ALL)
_kind("cr alone with mark", GOOD.replace("\n", "\r").encode("utf-8-sig"), 0, ALL)
_kind("line ends mixed", GOOD.replace("\n", "\r\n", 3), 0, ALL)
_kind("crcrlf", GOOD.replace("\n", "\r\r\n"), 0, ALL)
for _name, _mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"), ("utf-32-le", b"\xff\xfe\x00\x00")):
    _kind(f"{_name} with mark", _mark + GOOD.encode(_name), 0, ALL)
    _kind(f"{_name} with mark, crlf", _mark + GOOD.replace("\n", "\r\n").encode(_name), 0, ALL)
    _kind(f"{_name} without mark", GOOD.encode(_name), 3, NOBODY, "encoding")
_kind("utf-16-le told", GOOD.encode("utf-16-le"), 0, ALL, source='encoding = "utf-16-le"')
_kind("utf-16 cut in a character", (b"\xff\xfe" + GOOD.encode("utf-16-le"))[:-1], 3, NOBODY)
_kind("cp1252 told", _LATIN.encode("cp1252"), 0, ALL, source='encoding = "cp1252"', truth=_LATIN_TRUTH)
for _name in ("cp1252", "cp1250", "mac-roman", "cp850", "iso8859-15", "cp037"):
    _text = _LATIN.replace("ñ", "n").replace("ø", "o").replace("ê", "e") if _name == "cp1250" else _LATIN
    _kind(f"{_name} untold", _text.encode(_name), 3, NOBODY, "encoding")
_kind("utf-8 told as cp1252", GOOD, 3, NOBODY, source='encoding = "latin-1"')
_kind("utf-8 twice (mojibake)", GOOD.encode().decode("latin-1"), 4, NOBODY)
_kind("letters lost to question marks", GOOD.encode("ascii", "replace"), 4, NOBODY)
_kind("letters lost to U+FFFD", GOOD.encode("ascii", "replace").decode().replace("?", "\ufffd"), 4, NOBODY)
_kind("one byte of another encoding", GOOD.replace("Agent", "Ag\xe9nt", 1).encode("latin-1", "ignore"), 3, NOBODY)
_kind("decomposed letters", __import__("unicodedata").normalize("NFD", GOOD), 0, ALL)
_kind("no end of the last line", GOOD.rstrip("\n"), 3, NOBODY, "stops without an end of line")
_kind("the end is missing, in a cell", GOOD[:-40], 3, NOBODY)
_kind("cut at a line", "".join(GOOD.splitlines(keepends=True)[:6]), 11, "mover leaver", "leaver.unproven")
_kind("blank lines between", GOOD.replace("\n", "\n\n"), 0, ALL)
_kind("blank lines at the end", GOOD + "\n\n\n", 0, ALL)
_kind("padded with NUL", GOOD.encode() + b"\0" * 512, 3, NOBODY, "NUL")
_kind("NUL in a cell", lambda m: _in_cell(m, "title", lambda t: t + "\0"), 3, NOBODY, "NUL")
_kind("Ctrl-Z at the end", GOOD + "\x1a", 3, NOBODY)
_kind("form feed between", GOOD.replace("\n", "\n\f", 2), 0, ALL)


def _rows(change: Callable[[Rows, Maker], object]) -> Callable[[Maker], str]:
    def content(maker: Maker) -> str:
        rows = day_two()
        change(rows, maker)
        return text_of(rows)

    return content


def _in_cell(maker: Maker, column: str, change: Callable[[str], str], key: str = "") -> str:
    """A clean file in which one cell is another: of somebody of whom nothing is new."""
    rows = day_two()
    wanted = key or maker.steady()
    for row in rows:
        if row["id"] == wanted:
            row[column] = change(row[column])
    return text_of(rows)


def _cell(column: str, value: str, key: str = "") -> Callable[[Maker], str]:
    return lambda maker: _in_cell(maker, column, lambda _: value, key)


def _column(column: str, change: Callable[[str], str]) -> Callable[[Maker], str]:
    return lambda _: text_of([{**row, column: change(row[column])} for row in day_two()])


# --- rows and cells ----------------------------------------------------------------------------------

_HEAD, *_LINES = GOOD.splitlines()


def _lines(*lines: str, head: str = _HEAD) -> str:
    return "\n".join([head, *lines]) + "\n"


_kind("empty", "", 3, NOBODY, "empty")
_kind("a mark and nothing else", b"\xef\xbb\xbf", 3, NOBODY)
_kind("blanks and nothing else", "  \n\n  \n", 3, NOBODY)
_kind("a header and nobody", _HEAD + "\n", 3, NOBODY)
_kind("one row", _lines(_LINES[2]), 11, "mover", "source.rows-drop")
_kind("half of the people", _lines(*_LINES[:4]), 11, "mover", "source.rows-drop")
_kind("no header", "\n".join(_LINES) + "\n", 3, NOBODY, "column 8 has no name")
_kind("a row is short", _lines(*_LINES[:4], _LINES[4].rpartition(",")[0], *_LINES[5:]), 3, NOBODY, "line 6", "10 cells")
_kind("a row is long", _lines(*_LINES[:4], _LINES[4] + ",x", *_LINES[5:]), 3, NOBODY, "line 6", "12 cells")
_kind("each row has a comma more", _lines(*(line + "," for line in _LINES)), 3, NOBODY, "12 cells")
_kind("each line has a comma more", _lines(*(line + "," for line in _LINES), head=_HEAD + ","), 3, NOBODY)
_kind("a comma that nobody quoted", GOOD.replace("Head", "Head, Sales"), 3, NOBODY, "line 2", "12 cells")
_kind("a decimal comma", GOOD.replace("Agent", "Agent 0,5", 1), 3, NOBODY, "12 cells")
_kind("a quotation mark never closed", GOOD.replace("Head", '"Head'), 3, NOBODY, "quotation mark")
_kind("a quotation mark in the middle", GOOD.replace("Head", 'He"ad'), 0, ALL, truth={BOSS: {"title": 'He"ad'}})
_kind("text behind a quotation mark", GOOD.replace("Head", '"He"ad'), 3, NOBODY, "quotation mark")
_kind("quotes by backslash", GOOD.replace("Head", '"The \\"Head\\""'), 3, NOBODY, "quotation mark")
_kind(
    "single quotes",
    _lines(*(f"'{line.replace(',', chr(39) + ',' + chr(39))}'" for line in _LINES)),
    11,
    NOBODY,
    "status.unknown",
)
_kind("a line break in a cell", GOOD.replace("Head", '"Head\nof Sales"'), 11, ALL, "record.control-characters")
_kind("a line break that nobody quoted", GOOD.replace("Head", "Head\nof Sales"), 3, NOBODY, "line 2")
_kind("everything quoted", _lines(*(",".join(f'"{c}"' for c in line.split(",")) for line in _LINES)), 0, ALL)
_kind("rows of blanks", _lines(*_LINES, "," * 10, "," * 10), 0, ALL)
_kind("the header again in the middle", _lines(*_LINES[:4], _HEAD, *_LINES[4:]), 11, ALL)
_kind("two exports in one", GOOD + GOOD, 11, ALL)
_kind("a row of totals", _lines(*_LINES, "Total,,,,,,,,,,"), 11, ALL, "Total")
_kind("a row of totals without key", _lines(*_LINES, ",9 people,,,,,,,,,"), 11, ALL, "record.no-key")
_kind("a line of totals", _lines(*_LINES, "9 rows affected"), 3, NOBODY, "line 11", "1 cells")
_kind("a mark of the end", _lines(*_LINES, "--- end of file ---"), 3, NOBODY, "line 11")
_kind("a title above the header", "People of the company\n" + GOOD, 3, NOBODY)
_kind("a title above the header, told", "People\n" + GOOD, 0, ALL, source="skip_lines = 1")
_kind("sep= above the header", "sep=,\n" + GOOD, 3, NOBODY)
_kind("a comment above the header", "# export of today\n" + GOOD, 3, NOBODY)
_kind("an error page behind the rows", GOOD + "<html><body>502 Bad Gateway</body></html>\n", 3, NOBODY, "line 11")
_kind("an SQL error behind the rows", GOOD + "ERROR: connection reset, retry\n", 3, NOBODY, "line 11")
for _name, _delimiter in (("semicolons", ";"), ("tabs", "\t"), ("pipes", "|")):
    _kind(f"{_name} untold", text_of(day_two(), _delimiter), 3, NOBODY, "delimiter")
    _kind(f"{_name} told", text_of(day_two(), _delimiter), 0, ALL, source=f"delimiter = {json.dumps(_delimiter)}")
_kind("semicolons in the rows alone", _lines(*(line.replace(",", ";") for line in _LINES)), 3, NOBODY, "line 2")
_kind("commas, told as semicolons", GOOD, 3, NOBODY, "delimiter", source='delimiter = ";"')
_kind("columns by width", "\n".join(line.replace(",", "  ") for line in [_HEAD, *_LINES]) + "\n", 3, NOBODY)

# --- headers ---------------------------------------------------------------------------------------------


def _head(change: Callable[[str], str]) -> str:
    return _lines(*_LINES, head=change(_HEAD))


_kind("a column twice", _head(lambda h: h.replace("dept", "title")), 3, NOBODY, "title")
_kind("a column twice, by case", _head(lambda h: h.replace("dept", "Title")), 3, NOBODY, "itle")
_kind("a column without name", _head(lambda h: h.replace("country", "")), 3, NOBODY)
_kind("a column with a blank for a name", _head(lambda h: h.replace("country", " ")), 3, NOBODY)
_kind("header in capitals", _head(str.upper), 3, NOBODY, "Did you mean 'ID'?")
_kind("header with blanks around", _head(lambda h: h.replace(",", " , ")), 3, NOBODY)
_kind("header quoted", _head(lambda h: '"' + h.replace(",", '","') + '"'), 0, ALL)
_kind("a column of another name", _head(lambda h: h.replace("title", "job_title")), 2, NOBODY, "title")
_kind("the key of another name", _head(lambda h: h.replace("id,", "employee,")), 3, NOBODY, "key")
_kind("a column gone", text_of(day_two(), columns=[c for c in COLUMNS if c != "dept"]), 2, NOBODY, "dept")
_kind(
    "the column of the status gone",
    text_of(day_two(), columns=[c for c in COLUMNS if c != "status"]),
    2,
    NOBODY,
    "status",
)
_kind("a zero-width character in the header", _head(lambda h: h.replace("title", "ti\u200btle")), 2, NOBODY, "title")
_kind("a look-alike in the header", _head(lambda h: h.replace("title", "t\u0456tle")), 2, NOBODY, "title")
_kind("columns in another order", text_of(day_two(), columns=COLUMNS[::-1]), 0, ALL)
_kind("a column more", text_of([{**row, "cost": "1,5"} for row in day_two()]), 0, ALL)
_kind(
    "10,000 columns", lambda _: text_of([{**row, **{f"c{n}": "" for n in range(9989)}} for row in day_two()]),
    3, NOBODY, "10,000 columns",
)  # fmt: skip
_kind("names of two columns exchanged", _head(lambda h: h.replace("first,last", "last,first")), 4, NOBODY, "update")
_kind(
    "title and department exchanged", _head(lambda h: h.replace("title,dept", "dept,title")), 4, NOBODY,
    "source.exchanged",
)  # fmt: skip
_kind("key and login exchanged", _head(lambda h: h.replace("id,login", "login,id")), 11, NOBODY, "bad-email")
_kind("status and title exchanged", _head(lambda h: h.replace("status,title", "title,status")), 11, NOBODY)
_kind("all names one to the right", _head(lambda h: "x," + h.rpartition(",")[0]), 2, NOBODY, "no column last_day")


def _shifted(maker: Maker) -> str:
    at = [row["id"] for row in day_two()].index(maker.steady())
    lines = [*_LINES]
    lines[at] = "," + lines[at].rpartition(",")[0]
    return _lines(*lines)


_kind("cells of a row one to the right", _shifted, 11, ALL)


for _name in ("title", "dept", "phone", "manager", "first"):
    _kind(f"the column {_name} is blank", _column(_name, lambda _: ""), 4, NOBODY, "limits.update")
_kind("the column status is blank", _column("status", lambda _: ""), 11, NOBODY, "record.active-unknown")
_kind("the column login is blank", _column("login", lambda _: ""), 11, "leaver", "record.incomplete")

# --- other files under this name --------------------------------------------------------------------------


def _zipped(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, GOOD)
    return out.getvalue()


def _tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("hr.csv")
        info.size = len(GOOD.encode())
        archive.addfile(info, io.BytesIO(GOOD.encode()))
    return out.getvalue()


def _at(write: Callable[[Path], object]) -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        write(file)
        return file.read_bytes()


def _sheet(rows: Sequence[Sequence[object]]) -> bytes:
    return _at(lambda file: write_xlsx(file, rows))


_CELLS: list[list[object]] = [[*COLUMNS], *([row[c] or None for c in COLUMNS] for row in day_two())]


def _columns_file(select: str = "*", where: str = "") -> Callable[[object], bytes]:
    """The people as Parquet."""

    def write(file: Path) -> None:
        with duckdb.connect() as database:
            (file.parent / "hr.csv").write_text(GOOD, encoding="utf-8")
            read = f"SELECT * FROM read_csv('{file.parent}/hr.csv', all_varchar = true)"
            database.execute(f"CREATE TABLE people AS {read}")
            database.execute(f"COPY (SELECT {select} FROM people {where}) TO '{file}' (FORMAT parquet)")

    return lambda _: _at(write)


def _parquet_with(change: Callable[[bytes], bytes]) -> Callable[[object], bytes]:
    return lambda maker: change(_columns_file()(maker))


_JSON = [dict(row) for row in day_two()]
_kind("gzip", gzip.compress(GOOD.encode(), mtime=0), 3, NOBODY, "gzip")
_kind("zip", _zipped("hr.csv"), 3, NOBODY, "ZIP")
_kind("xlsx", lambda _: _sheet(_CELLS), 3, NOBODY, "Excel")
_kind("xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, 3, NOBODY, "Excel")
_kind("bzip2", bz2.compress(GOOD.encode()), 3, NOBODY, "bzip2")
_kind("xz", lzma.compress(GOOD.encode()), 3, NOBODY, "xz")
_kind("tar", _tarred(), 3, NOBODY)
_kind("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + GOOD.encode(), 3, NOBODY, "PDF")
_kind("a page to log in", "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n", 3, NOBODY, "web page")
_kind("a page after a blank line", "\n\n<HTML><table><tr><td>id</td></tr></table></HTML>\n", 3, NOBODY, "web page")
_kind("a page without head", "<div>Please log in, again</div>\n", 3, NOBODY)
_kind("xml", '<?xml version="1.0"?>\n<people><person id="0101"/></people>\n', 3, NOBODY, "XML")
_kind("rtf", "{\\rtf1\\ansi " + GOOD + "}", 3, NOBODY, "RTF")
_kind("a database", b"SQLite format 3\0" + b"\0" * 600, 3, NOBODY, "SQLite")
_kind("pgp", "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n", 3, NOBODY, "PGP")
_kind("parquet under csv", _columns_file(), 3, NOBODY, "Parquet")
_kind("json under csv", json.dumps(_JSON), 3, NOBODY, "JSON array")
_kind("json lines under csv", "".join(json.dumps(row) + "\n" for row in _JSON), 3, NOBODY, "jsonl")
_kind("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), 3, NOBODY)
_kind("bytes of chance", lambda m: bytes(m.chance.randrange(256) for _ in range(4000)), 3, NOBODY)
_kind("a script", "#!/bin/sh\nexport PATH\n", 3, NOBODY)
_kind("a message of an API", '{"error": "unauthorized", "status": 401}\n', 3, NOBODY)
_kind("a field of 3 MB", _cell("title", "x" * 3_000_000), 3, NOBODY)
_kind("a field of 200 kB", _cell("title", "x" * 200_000), 3, NOBODY)
_kind("a field of 100 kB", _cell("title", "x" * 100_000), 11, ALL)

# --- keys -------------------------------------------------------------------------------------------------

_kind("a record twice, equal", lambda m: _twice(m, {}), 0, ALL, "record.repeated")
_kind("a record twice, of two titles", lambda m: _twice(m, {"title": "Chief"}), 11, ALL, "record.duplicate-key")
_kind("a record twice, once as left", lambda m: _twice(m, {"status": "left"}), 11, ALL, "record.duplicate-key")
_kind("a record twice, blanks apart", lambda m: _twice(m, {"id": "{} "}), 0, ALL)
_kind("a key twice, by case", lambda m: _twice(m, {"id": "a0107", "title": "Chief"}, CODED), 11, ALL)
_kind("a key as another had it", lambda m: _twice(m, {"login": "zoe@x.org", "first": "Zoe"}), 11, ALL)


def _twice(maker: Maker, change: Mapping[str, str], key: str = "") -> str:
    wanted = key or maker.steady()
    rows = day_two()
    (row,) = (row for row in rows if row["id"] == wanted)
    rows.append({**row, **{name: value.format(row[name]) for name, value in change.items()}})
    return text_of(rows)


_kind("leading zeros lost", _column("id", lambda k: k.lstrip("0")), 4, NOBODY)
_kind("leading zeros lost, of one", _cell("id", "102", "0102"), 11, "mover leaver joiner")
_kind("keys as 101.0", _column("id", lambda k: k.lstrip("0") + ".0"), 4, NOBODY)
_kind("keys as 1.01E+02", _column("id", lambda k: f"{int(k):.2E}" if k.isdigit() else k), 4, NOBODY)
_kind("a key as 1.08E+02", _cell("id", "1.08E+02", "0108"), 11, ALL)
_kind("keys in full-width digits", _column("id", lambda k: "".join(chr(ord(c) + 0xFEE0) for c in k)), 4, NOBODY)
_kind("an apostrophe before keys", _column("id", lambda k: "'" + k), 4, NOBODY)
_kind('="0101" as keys', _column("id", lambda k: f'="{k}"'), 4, NOBODY)
_kind("NBSP around a key", _cell("id", "\u00a00102\u00a0", "0102"), 0, ALL)
_kind("NBSP around all keys", _column("id", lambda k: f"\u00a0{k}\u00a0"), 0, ALL)
_kind("zero width in a key", _cell("id", "01\u200b02", "0102"), 11, ALL)
_kind("zero width behind all keys", _column("id", lambda k: k + "\u200b"), 0, ALL)
_kind("right-to-left mark before a key", _cell("id", "\u200f0102", "0102"), 0, ALL)
_kind("a mark of order in a key", _cell("id", "\ufeff0102", "0102"), 0, ALL)
_kind("a key in other case", _cell("id", "a0107", CODED), 11, ALL)
_kind("a look-alike in a key", _cell("id", "\u04100107", CODED), 11, ALL)
_kind("a key is blank", _cell("id", "", "0102"), 11, ALL, "record.no-key")
_kind("a key is NULL", _cell("id", "NULL", "0102"), 11, ALL)
_kind("all keys are blank", _column("id", lambda _: ""), 11, NOBODY, "source.keyless")
_kind("all keys are the same", _column("id", lambda _: "0101"), 4, NOBODY, "source.keys-changed")
_kind("two keys exchanged", lambda m: _exchanged("id"), 11, ALL)
_kind("all keys one row down", lambda m: _down("id"), 4, NOBODY, "source.keys-changed")
_kind("all logins one row down", lambda m: _down("login"), 4, NOBODY)
_kind("keys numbered anew", lambda m: text_of([{**r, "id": f"9{n:03d}"} for n, r in enumerate(day_two())]), 4, NOBODY)
_kind("sorted, but not the column of keys", lambda m: _down("id", 4), 4, NOBODY, "source.keys-changed")


def _exchanged(column: str) -> str:
    rows = day_two()
    rows[1][column], rows[5][column] = rows[5][column], rows[1][column]
    return text_of(rows)


def _down(column: str, by: int = 1) -> str:
    rows = day_two()
    values = [row[column] for row in rows]
    for row, value in zip(rows, values[-by:] + values[:-by], strict=True):
        row[column] = value
    return text_of(rows)


# --- values -----------------------------------------------------------------------------------------------

for _name, _value in (
    ("zero width", "Hu\u200bgo"), ("right-to-left", "\u202eHugo"), ("a tab", "Hu\tgo"),
    ("a bell", "Hu\x07go"), ("a soft hyphen", "Hu\u00adgo"), ("NEL", "Hu\u0085go"), ("U+2028", "Hu\u2028go"),
):  # fmt: skip
    _kind(f"{_name} in a name", _cell("first", _value, "0108"), 11, ALL)
_kind("NBSP behind a name, told", _cell("first", "Hugo\u00a0", "0108"), 0, ALL, source="trim = true")
for _value in ("=cmd()", '=HYPERLINK("http://x.example")', "@SUM(1)", "-2+3"):
    _kind(f"{_value} as a title", _cell("title", _value, "0108"), 0, ALL, truth={"0108": {"title": _value}})
for _value in ("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!"):
    _kind(f"{_value} as a title", _cell("title", _value, "0108"), 11, ALL, "record.failed-formula")
for _value in ("NULL", "N/A", "None", "nan", "\\N", "-", "(null)"):
    _kind(
        f"{_value} as a title, told", _cell("title", _value, "0108"), 0, ALL,
        source="null_values = ['NULL', 'N/A', 'None', 'nan', '\\N', '-', '(null)']", truth={"0108": {"title": ""}},
    )  # fmt: skip
for _value in ("ACTIVE", " active ", "Active", "active\u00a0"):
    _kind(f"the status {_value!r}", _cell("status", _value, "0108"), 0, ALL)
for _value in ("", "1", "A", "true", "aktiv?", "NULL", "#N/A", "act ive", "on leave", "active;left"):
    _kind(f"the status {_value!r}", _cell("status", _value, "0108"), 11, ALL, "record.active-unknown")
_kind("the status 0, which is a word for who left", _cell("status", "0", "0108"), 4, NOBODY, "limits.disable")
_kind("the words of the status are 1 and 0", _column("status", lambda s: "1" if s == "active" else "0"), 11, "leaver")
_kind("everybody left", _column("status", lambda _: "left"), 4, NOBODY, "disable")
_kind("a third of them left", _rows(lambda r, _: [row.update(status="left") for row in r[3:6]]), 4, NOBODY, "disable")
for _value in ("31.12.2020", "31/12/2020", "12/31/20", "2020-13-01", "2020-02-30", "44196", "44196.0", "soon", "1.1E5"):
    _kind(f"the last day {_value}", _cell("last_day", _value, "0108"), 11, ALL, "0108")
for _value in ("0000-00-00", "00.00.0000", "1899-12-30", "1900-01-01", "0001-01-01", "1970-01-01", "infinity", "NULL"):
    _kind(f"the last day {_value}", _cell("last_day", _value, "0108"), 11, ALL, "0108")
for _value in ("9999-12-31", "2999-12-31 00:00:00", "29991231"):
    _kind(f"the last day {_value}", _cell("last_day", _value, "0108"), 0, ALL)
for _value in ("1.31755501E+10", "001 (317) 555.0106", "555", "see Anna", "x4711", "+13175550106 / +13175550107", "0"):
    _kind(f"the phone {_value}", _cell("phone", _value, "0106"), 11, ALL, "record.bad-phone")
for _value in (
    "(317)555-0106\u00a0",
    "\uff0b\uff11 317 555 0106",
    "+1-317-555-0106",
    "tel:+13175550106",
    "13175550106.0",
):
    _kind(f"the phone {_value}", _cell("phone", _value, "0106"), 0, ALL)
_kind("the phone '+1317...", _cell("phone", "'+13175550106", "0106"), 0, ALL)
_kind("the phone +1 555 0100", _cell("phone", "+1 555 0100", "0106"), 11, ALL, "record.bad-phone")
_kind("the phone +15550100", _cell("phone", "+15550100", "0106"), 11, ALL, "record.bad-phone")
_kind("the phone +999...", _cell("phone", "+99912345678", "0106"), 11, ALL, "record.phone-country")
_kind("no country of a phone", _cell("country", "", "0106"), 11, ALL, "record.phone-country")
_kind("the country USA of a phone", _cell("country", "USA", "0106"), 11, ALL, "record.phone-country")
_kind("no country of any phone", _column("country", lambda _: ""), 11, ALL, "record.phone-country")
_kind("one login for two", _cell("login", "ben@x.org", "0108"), 11, ALL)
_kind("one login for two, by case", _cell("login", "BEN@X.ORG", "0108"), 11, ALL)
_kind("the login of somebody who left", _cell("login", "emil@x.org", JOINER), 11, "mover leaver")
_kind(
    "two logins exchanged, as somebody may want", lambda m: _exchanged("login"), 0, ALL, "login.exchange",
    truth={"0102": {"login": "fred@x.org"}, "0106": {"login": "ben@x.org"}},
)  # fmt: skip
_kind("a login is blank", _cell("login", "", "0108"), 11, ALL)
_kind("a login with a blank", _cell("login", "hugo @x.org", "0108"), 11, ALL)
_kind("a login of two", _cell("login", "hugo@x.org;ben@x.org", "0108"), 11, ALL)
_kind("a login with mailto:", _cell("login", "mailto:hugo@x.org", "0108"), 11, ALL)
_kind("a login with a name", _cell("login", "Hugo Weiß <hugo@x.org>", "0108"), 11, ALL)
_kind("a login in capitals", _cell("login", "HUGO@X.ORG", "0108"), 0, ALL)
_kind("all logins are the same", _column("login", lambda _: "info@x.org"), 11, "leaver", "duplicate-login")
_kind("one's own manager", _cell("manager", "0108", "0108"), 11, ALL, "reference.self")
_kind(
    "managers in a circle",
    _cell("manager", "0108", "0106"),
    0,
    ALL,
    "reference.cycle",
    truth={"0106": {"manager": "0108"}},
)
_kind("a manager whom nobody knows", _cell("manager", "9999", "0108"), 0, ALL, "reference.unknown")
_kind("a manager who left", _cell("manager", LEAVER, "0108"), 0, ALL, truth={"0108": {"manager": LEAVER}})
_kind("a manager by name", _cell("manager", "Fred O'Hara", "0108"), 0, ALL, "reference.unknown")
#: whose manager is not known is new without one
_ALONE = {JOINER: {"manager": ""}}
_kind("managers without zeros", _column("manager", lambda k: k.lstrip("0")), 0, ALL, "reference.unknown", truth=_ALONE)
_kind(
    "managers as 101.0", _column("manager", lambda k: k and k.lstrip("0") + ".0"), 0, ALL, "reference.unknown",
    truth=_ALONE,
)  # fmt: skip
_kind("a manager with NBSP", _cell("manager", "\u00a00106\u00a0", "0108"), 0, ALL)
_kind("a manager who is new", _cell("manager", JOINER, "0108"), 0, ALL, truth={"0108": {"manager": JOINER}})

# --- JSON lines -------------------------------------------------------------------------------------------

_JSONL = 'kind = "jsonl"'


def _jsonl(change: Callable[[list[dict[str, object]]], object] = lambda _: None, **dump: bool) -> str:
    rows: list[dict[str, object]] = [dict(row) for row in day_two()]
    change(rows)
    return "".join(json.dumps(row, **dump) + "\n" for row in rows)  # type: ignore[arg-type]


def _set(key: str, **values: object) -> Callable[[list[dict[str, object]]], object]:
    return lambda rows: [row.update(values) for row in rows if row["id"] == key]


def _json(
    name: str, content: str | bytes, code: int, written: str, *says: str, **more: Mapping[str, Mapping[str, str]]
) -> None:
    _kind(f"jsonl: {name}", content, code, written, *says, source=_JSONL, truth=more.get("truth"))


_json("good", _jsonl(), 0, ALL)
_json("letters as they are, crlf", _jsonl(ensure_ascii=False).replace("\n", "\r\n"), 0, ALL)
_json("with mark", b"\xef\xbb\xbf" + _jsonl().encode(), 0, ALL)
_json("blank lines", _jsonl().replace("\n", "\n\n"), 0, ALL)
_json("a member twice", _jsonl().replace('"title": "Head"', '"title": "Head", "title": "Chief"'), 3, NOBODY)
_json("NaN", _jsonl(_set("0108", title=float("nan"))), 3, NOBODY)
_json("Infinity", _jsonl(_set("0108", title=float("inf"))), 3, NOBODY)
_json("half of a surrogate", _jsonl(_set("0108", first="\ud800")), 3, NOBODY)
_json("NUL", _jsonl(_set("0108", title="A\0")), 3, NOBODY)
_json("nested", _jsonl(_set("0108", title={"name": "Agent"})), 3, NOBODY)
_json("a list", _jsonl(_set("0108", title=["Agent"])), 3, NOBODY)
_json("a member is missing", _jsonl(lambda rows: rows[7].pop("last_day")), 0, ALL)
_json(
    "a member is missing that is managed",
    _jsonl(lambda rows: rows[3].pop("title")),
    0,
    ALL,
    truth={"0104": {"title": ""}},
)
_json("a member more, later", _jsonl(_set("0108", extra="x")), 3, NOBODY)
_json("one array", json.dumps(_JSON) + "\n", 3, NOBODY, "JSON array")
_json("over several lines", "".join(json.dumps(row, indent=2) + "\n" for row in _JSON), 3, NOBODY)
_json("two objects in a line", _jsonl().replace("\n", " ", 1), 3, NOBODY)
_json("a comma behind each", _jsonl().replace("\n", ",\n"), 3, NOBODY)
_json("single quotes", _jsonl().replace('"', "'"), 3, NOBODY)
_json("a comment", "// people\n" + _jsonl(), 3, NOBODY)
_json("cut", _jsonl()[:-60], 3, NOBODY)
_json(
    "keys as numbers",
    _jsonl(lambda rows: [r.update(id=int(str(r["id"]))) for r in rows if str(r["id"]).isdigit()]),
    4,
    NOBODY,
)
_json(
    "keys as 101.0",
    _jsonl(lambda rows: [r.update(id=float(str(r["id"]))) for r in rows if str(r["id"]).isdigit()]),
    4,
    NOBODY,
)
_json("a key of 30 digits", _jsonl(_set("0108", id=10**30)), 11, ALL)
_json("a key is null", _jsonl(_set("0108", id=None)), 11, ALL, "record.no-key")
_json("a key is true", _jsonl(_set("0108", id=True)), 11, ALL)
_json("the status as true", _jsonl(lambda rows: [r.update(status=r["status"] == "active") for r in rows]), 11, "leaver")
_json("a title as 1e400", _jsonl().replace('"title": "Lead"', '"title": 1e400'), 3, NOBODY)
_json("utf-16", _jsonl().encode("utf-16"), 0, ALL)
_json("csv", GOOD, 3, NOBODY)
_json("numbers in a line", "1\n2\n", 3, NOBODY)
_json("an error in the middle", _jsonl().replace("\n", '\n{"error": "timeout"}\n', 1), 3, NOBODY)

# --- Parquet and spreadsheets --------------------------------------------------------------------------------


def _parquet(name: str, content: str | Callable[[object], bytes], code: int, written: str, *says: str) -> None:
    _kind(f"parquet: {name}", content, code, written, *says, source='kind = "parquet"')


_parquet("good", _columns_file(), 0, ALL)
_parquet("csv", GOOD, 3, NOBODY)
_parquet("cut", _parquet_with(lambda b: b[:-100]), 3, NOBODY)
_parquet("its head alone", "PAR1", 3, NOBODY)
_parquet("a byte is another", _parquet_with(lambda b: b[:200] + b"\xff" + b[201:]), 3, NOBODY)
_parquet("nobody", _columns_file(where="WHERE false"), 3, NOBODY)
_parquet("keys as numbers", _columns_file("* REPLACE (TRY_CAST(id AS BIGINT) AS id)"), 4, NOBODY)
_parquet("keys as doubles", _columns_file("* REPLACE (TRY_CAST(id AS DOUBLE) AS id)"), 4, NOBODY)
_parquet("bytes", _columns_file("* REPLACE (title::BLOB AS title)"), 3, NOBODY)
_parquet("lists", _columns_file("* REPLACE ([title] AS title)"), 3, NOBODY)
_parquet("structs", _columns_file("* REPLACE ({'name': title} AS title)"), 3, NOBODY)
_parquet("an interval", _columns_file("* REPLACE (INTERVAL 1 DAY AS title)"), 3, NOBODY)
_parquet("the status as truth", _columns_file("* REPLACE (status = 'active' AS status)"), 11, "leaver")
_parquet("days as days", _columns_file("* REPLACE (last_day::DATE AS last_day)"), 0, ALL)
_parquet("days as moments", _columns_file("* REPLACE (last_day::TIMESTAMPTZ AS last_day)"), 0, ALL)
_parquet(
    "phones as doubles", _columns_file("* REPLACE (TRY_CAST(phone AS DOUBLE) AS phone)"), 4, NOBODY, "limits.update"
)
_parquet("a column gone", _columns_file("* EXCLUDE (dept)"), 2, NOBODY, "dept")


def _excel(name: str, rows: Sequence[Sequence[object]], code: int, written: str, *says: str) -> None:
    _kind(f"excel: {name}", lambda _: _sheet(rows), code, written, *says, source='kind = "excel"')


def _cells(column: str, change: Callable[[object], object], key: str = "") -> list[list[object]]:
    at = COLUMNS.index(column)
    head, *rows = _CELLS
    return [head, *([*row[:at], change(row[at]) if key in {"", row[0]} else row[at], *row[at + 1 :]] for row in rows)]


_excel("good", _CELLS, 0, ALL)
_excel("keys as numbers", _cells("id", lambda k: int(str(k)) if str(k).isdigit() else k), 4, NOBODY)
_excel("a row of totals", [*_CELLS, ["Total", *[None] * 10]], 3, NOBODY)
_excel("an error", _cells("title", lambda _: "#N/A", "0108"), 3, NOBODY)
_excel("a formula without a result", _cells("title", lambda _: "=A1", "0108"), 3, NOBODY)
_excel("a title above", [["People"], [], *_CELLS], 3, NOBODY)
_excel("blank rows", [*_CELLS[:4], [None] * 11, *_CELLS[4:]], 0, ALL)
_excel("phones as numbers", _cells("phone", lambda _: 13175550106, "0106"), 0, ALL)
_kind("excel: csv", GOOD, 3, NOBODY, source='kind = "excel"')

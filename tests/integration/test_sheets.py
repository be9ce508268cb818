"""Spreadsheets as people keep them: what a table does not have is understood, or refused by the name of the cell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
import xlwt
from openpyxl.utils.datetime import CALENDAR_MAC_1904, to_excel
from tests.sheets import write_ods, write_xlsx

from scimsync.adapters.source_sheet import SheetSource
from scimsync.errors import SourceError

HEADER = ("id", "name", "hired")


def rows(source: SheetSource) -> list[tuple[int, Sequence[object]]]:
    return [
        (place, tuple(row))
        for batch in source.read().batches
        for place, row in zip(batch.places, batch.rows, strict=True)
    ]


def refusal(source: SheetSource) -> str:
    with pytest.raises(SourceError) as caught:
        rows(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_whole_numbers_are_integers_days_are_days_and_blank_rows_nobody(tmp_path: Path) -> None:
    day = dt.date(2020, 1, 2)
    path = write_xlsx(
        tmp_path / "hr.xlsx",
        [HEADER, (124, 1.5, day), (), ("00125", True, dt.datetime(2020, 1, 2, 3, 4, 5)), (126, "", None)],  # noqa: DTZ001 - it has none
    )
    assert rows(SheetSource(path, "id")) == [
        (2, (124, 1.5, day)),
        (4, ("00125", True, dt.datetime(2020, 1, 2, 3, 4, 5))),  # noqa: DTZ001 - it has none
        (5, (126, None, None)),
    ]


@pytest.mark.parametrize("is_mac", [False, True])
def test_a_number_among_days_is_the_day_that_its_workbook_means(is_mac: bool, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    if is_mac:
        book.epoch = CALENDAR_MAC_1904
    day = dt.date(2024, 2, 29)
    sheet = book.active
    assert sheet is not None
    for row in (HEADER, (1, 45351, day), (2, "x", int(to_excel(day, book.epoch)))):
        sheet.append(row)
    book.save(tmp_path / "hr.xlsx")
    found = rows(SheetSource(tmp_path / "hr.xlsx", "id"))
    assert [row[2] for _, row in found] == [day, day]
    assert found[0][1][1] == 45351, "a column without days holds numbers"


def test_a_title_above_the_header_and_totals_below_the_people_are_left_out(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "hr.xlsx",
        [("Staff of November",), HEADER, (1, "Ada", None), ("Total", 1, None)],
        merge=["A1:C1"],
        more=["Notes"],
    )
    assert rows(SheetSource(path, "id", sheet="People", header_row=2, skip_last=1)) == [(3, (1, "Ada", None))]
    told = refusal(SheetSource(path, "id", sheet="People", header_row=2))
    assert "row 4 has 'Total' for a key" in told
    assert "skip_last = 1" in told
    assert "the sheets 'People', 'Notes'" in refusal(SheetSource(path, "id"))
    assert "no sheet 'Peple'" in refusal(SheetSource(path, "id", sheet="Peple"))
    assert "row 9 is blank" in refusal(SheetSource(path, "id", sheet="People", header_row=9))


@pytest.mark.parametrize("word", ["TOTAL", "Grand total:", "Subtotal", "Summe", "gesamt"])
def test_a_row_of_totals_is_never_a_person(word: str, tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "hr.xlsx", [HEADER, (1, "Ada", None), (word, None, None), (None, "note", None)])
    assert "skip_last = 2" in refusal(SheetSource(path, "id"))


def test_merged_cells_are_refused_by_name(tmp_path: Path) -> None:
    people = [HEADER, (1, "Sales", None), (2, None, None)]
    path = write_xlsx(tmp_path / "hr.xlsx", people, merge=["B2:B3"])
    assert "merged cells at B2" in refusal(SheetSource(path, "id"))
    path = write_xlsx(tmp_path / "hr.xlsx", people, merge=["A1:B1"])
    assert "merged cells at A1" in refusal(SheetSource(path, "id"))
    spanned = (
        '<table:table-row><table:table-cell office:value-type="float" office:value="3"/><table:table-cell'
        ' table:number-columns-spanned="2" table:number-rows-spanned="1" office:value-type="string"><text:p>x</text:p>'
        "</table:table-cell><table:covered-table-cell/></table:table-row>"
    )
    path = write_ods(tmp_path / "hr.ods", [HEADER, (1, "a", "b")], spanned)
    assert "merged cells at B3" in refusal(SheetSource(path, "id"))


def test_an_error_is_no_blank_cell_unless_we_are_told_so(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "hr.xlsx", [HEADER, (1, "Ada", "#N/A"), (2, "#REF!", None)])
    told = refusal(SheetSource(path, "id"))
    assert "B3 (#REF!)" in told
    assert "C2 (#N/A)" in told
    told = refusal(SheetSource(path, "id", null_values=("#N/A",)))
    assert "C2" not in told
    assert "B3 (#REF!)" in told
    source = SheetSource(path, "id", null_values=("#N/A", "#REF!"))
    assert rows(source) == [(2, (1, "Ada", None)), (3, (2, None, None))]


def test_an_error_in_the_other_forms_of_workbook_is_seen_as_well(tmp_path: Path) -> None:
    path = write_ods(tmp_path / "hr.ods", [HEADER, (1, "Ada", "#N/A"), (2, "Err:502", None)])
    assert "C2 (#N/A), B3 (Err:502)" in refusal(SheetSource(path, "id"))
    for count in (2, 900):  # in the small and the large store of the file
        book = xlwt.Workbook()
        sheet = book.add_sheet("People")
        for number, name in enumerate(HEADER):
            sheet.write(0, number, name)
        for number in range(1, count):
            sheet.write(number, 0, number)
        old = tmp_path / "hr.xls"
        book.save(str(old))
        reading = SheetSource(old, "id").read()
        assert not reading.proven, "the old form has no checksums"
        assert sum(len(batch.rows) for batch in reading.batches) == count - 1
        sheet.row(1).set_cell_error(2, 0x2A)
        book.save(str(old))
        assert "C2 (#N/A)" in refusal(SheetSource(old, "id"))


def test_a_formula_without_a_result_is_no_blank_cell(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "hr.xlsx", [HEADER, (1, "=A2&B7", None)])
    told = refusal(SheetSource(path, "id"))
    assert "formulas without a result at B2" in told
    assert "save it" in told
    formula = (
        '<table:table-row><table:table-cell office:value-type="float" office:value="2"/>'
        '<table:table-cell table:formula="of:=1"/></table:table-row>'
    )
    path = write_ods(tmp_path / "hr.ods", [HEADER, (1, "Ada", None)], formula)
    assert "formulas without a result at B3" in refusal(SheetSource(path, "id"))


def test_a_cut_or_damaged_workbook_is_refused_wherever_it_is_hurt(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "hr.xlsx", [HEADER, *((n, f"Person {n}", None) for n in range(500))])
    whole = path.read_bytes()
    for cut in (4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        refusal(SheetSource(path, "id"))
    place = whole.index(b"xl/worksheets/sheet1.xml") + 400
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    refusal(SheetSource(path, "id"))
    path.write_text("id,name\n1,Ada\n")
    refusal(SheetSource(path, "id"))


def test_a_column_without_a_name_is_refused_where_it_holds_something(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "hr.xlsx", [("id", None, "name", None), (1, None, "Ada", None)])
    assert "column 2 has no name" in refusal(SheetSource(path, "id"))
    path = write_xlsx(tmp_path / "hr.xlsx", [("id", "name", None), (1, "Ada", "note")])
    assert "C1 is blank, and there are values below it" in refusal(SheetSource(path, "id"))
    path = write_xlsx(tmp_path / "hr.xlsx", [("id", "name", None), (1, "Ada", " ")])
    assert rows(SheetSource(path, "id")) == [(2, (1, "Ada"))]

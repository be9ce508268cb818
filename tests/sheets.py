"""Spreadsheets for tests: .xlsx by openpyxl, .ods by hand, because nobody else writes its odd cells."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import openpyxl

NAME = "People"
_NAMES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for short, name in (("office", "office"), ("table", "table"), ("text", "text"))
)

_MANIFEST = """<?xml version="1.0" encoding="UTF-8"?>
<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.3">
<manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/>
<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>
</manifest:manifest>"""


def write_xlsx(
    path: Path, rows: Iterable[Sequence[object]], *, merge: Sequence[str] = (), more: Sequence[str] = ()
) -> Path:
    """A workbook of one sheet with people, and blank sheets besides. A text that begins with = is a formula
    without a result, but for "=cmd()"."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = NAME
    for row in rows:
        sheet.append(list(row))
    for cells in sheet.iter_rows():
        for cell in cells:
            if cell.value == "=cmd()":
                cell.data_type = "s"
    for cells_merged in merge:
        sheet.merge_cells(cells_merged)
    for name in more:
        book.create_sheet(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book.save(path)
    return path


def write_ods(path: Path, rows: Iterable[Sequence[object]], cells: str = "") -> Path:
    """A workbook of one sheet; `cells` are more rows, as XML."""
    content = "".join(f"<table:table-row>{''.join(map(_cell, row))}</table:table-row>" for row in rows)
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {_NAMES} office:version="1.3"><office:body>'
        f'<office:spreadsheet><table:table table:name="{NAME}">{content}{cells}</table:table></office:spreadsheet>'
        "</office:body></office:document-content>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        archive.writestr("META-INF/manifest.xml", _MANIFEST)
        archive.writestr("content.xml", text)
    return path


def _cell(value: object) -> str:
    match value:
        case None:
            return "<table:table-cell/>"
        case bool():
            return f'<table:table-cell office:value-type="boolean" office:boolean-value="{str(value).lower()}"/>'
        case int() | float():
            return f'<table:table-cell office:value-type="float" office:value="{value}"/>'
        case datetime() | date():
            return f'<table:table-cell office:value-type="date" office:date-value="{value.isoformat()}"/>'
        case _:
            # blanks at the ends and in a row are written out, as LibreOffice does
            text = escape(str(value)).replace(" ", "<text:s/>")
            return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'

"""A value column as SQL and as a value: every one holds text, a boolean as true/false, a list as canonical JSON.

So all of them compare alike. Column `d3` is the desired value of the fourth mapped attribute, `c3` the current
one, `b3` the base ('' stands for "agreed that there is none", NULL for "never agreed").
"""

from __future__ import annotations

import msgspec

from scimsync.core.desired import SPACE
from scimsync.scim.schema import Attribute, Kind, Place, Value, compared, entries
from scimsync.workbench.bench import quoted, text

#: an element of a list in our own lambdas; a source column of that name would take its place
ELEMENT = "scimsync_element"
_SORTED, _INDEX = "scimsync_sorted", "scimsync_index"
#: what a blank is made of: white space, and what has no width or no ink
BLANK = SPACE + "".join(
    chr(point)
    for first, last in (
        (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180E),
        (0x200E, 0x200F), (0x202A, 0x202E), (0x2061, 0x2064), (0x2066, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0),
    )
    for point in range(first, last + 1)
)  # fmt: skip


def is_blank(column: str) -> str:
    """The SQL that says whether a column holds nothing that could be seen."""
    given = f"{column}::VARCHAR"
    # most texts begin with a plain letter, and are looked at no further
    blank = f"coalesce(trim({given}, {text(BLANK)}) = '', true)"
    return f"CASE WHEN {given} >= '!' AND {given} < '\x7f' THEN false ELSE {blank} END"


def stripped(column: str) -> str:
    """The SQL of a text without the blanks around it."""
    return f"regexp_replace({column}, {text(f'^[{BLANK}]+|[{BLANK}]+$')}, '', 'g')"


def list_text(place: Place, value: str, *, of_text: bool = False) -> str:
    """A list as sorted canonical JSON text, NULL where it is empty."""
    kept = compared(place.attribute)
    if len(kept) == 1:
        only = kept[0].name
        item = f"{{{text(only)}: {ELEMENT if of_text else f'{ELEMENT}.{quoted(only)}'}}}"
    else:
        item = "{" + ", ".join(_member(sub) for sub in kept) + "}"
    listed = f"list_sort(list_transform({value}, lambda {ELEMENT}: {item}))"
    # equals stand side by side now, and are found in a third of the time that list_distinct takes
    once = f"lambda {ELEMENT}, {_INDEX}: {_INDEX} = 1 OR {ELEMENT} IS DISTINCT FROM {_SORTED}[{_INDEX} - 1]"
    single = f"list_transform([{listed}], lambda {_SORTED}: list_filter({_SORTED}, {once}))[1]"
    return f"CASE WHEN len({value}) > 0 THEN to_json({single})::VARCHAR END"


def _member(sub: Attribute) -> str:
    cast = {"decimal": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN"}.get(sub.type, "VARCHAR")
    return f"{text(sub.name)}: CAST({ELEMENT}.{quoted(sub.name)} AS {cast})"


def value_of(place: Place, found: object) -> Value:
    """The value behind the text of a value column."""
    if found is None or found == "":
        return None
    kind = place.kind
    if kind is Kind.LIST:
        return entries(msgspec.json.decode(str(found)), place.attribute)
    if kind is Kind.BOOLEAN:
        return found == "true"
    return float(str(found)) if kind is Kind.DECIMAL else str(found)


def text_of(value: Value) -> str:
    """The text of a value column for a value; "" where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return msgspec.json.encode([dict(entry) for entry in value]).decode()
    return str(value)


def writable(place: Place, column: str) -> str:
    """The SQL of the form in which a value column compares for writing: as `comparable`, capitals of a text count."""
    return column if place.kind is Kind.TEXT and not place.folds else comparable(place, column)


def comparable(place: Place, column: str) -> str:
    """The SQL of the form in which a value column compares for finding people."""
    match place.kind:
        case Kind.PHONE:
            return f"regexp_replace({lowered(column)}, '^tel:|[\\s().\\-/]', '', 'g')"
        case Kind.DATE:
            return f"left({column}, 10)"
        case Kind.DECIMAL:
            return f"TRY_CAST({column} AS DOUBLE)"
        case Kind.TEXT if not place.leaf.case_exact:
            return lowered(column)
        case _:
            return column


def lowered(column: str) -> str:
    """The SQL of a text in small letters, as Python writes them."""
    # the one letter that loses its dot in DuckDB, and keeps it in Unicode's caseless form
    return f"lower(replace({column}, 'İ', 'i̇'))"

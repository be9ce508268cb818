"""Check the mapping and map all records into the table `desired`; bad values become findings, and are left alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.desired import (
    ACTIVE_UNKNOWN,
    BAD_DATE,
    BAD_LEVEL,
    BAD_PHONE,
    PHONE_FAULTS,
    UNMAPPABLE,
    ValueFault,
    is_main,
)
from scimsync.core.lifecycle import ACTIVE
from scimsync.errors import ConfigError, SourceError
from scimsync.model.phones import PhoneReader, Unread
from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Kind, Place, compared
from scimsync.workbench.bench import PLACE, N, Workbench, encode, quoted, row_of, text
from scimsync.workbench.dated import dated, undated
from scimsync.workbench.doubles import keyless, unite
from scimsync.workbench.expressions import FAULT_MARK, PHONE_MARK, Expression, check, foresee
from scimsync.workbench.filling import desired as _desired
from scimsync.workbench.filling import fill, spoiled_in
from scimsync.workbench.holding import leave_out
from scimsync.workbench.joining import APART, leave_unjoined, waiting
from scimsync.workbench.records import blanks
from scimsync.workbench.types import described, type_of


def check_mapping(
    bench: Workbench, attributes: Sequence[Mapped], columns: Sequence[str] | None
) -> dict[str, Expression]:
    """Check all expressions of the mapping; without `columns`, only their grammar.

    Raises:
        ConfigError: With every fault of every expression, each with its place.
    """
    faults: list[str] = []
    checked: dict[str, Expression] = {}
    foresee(bench.sql, [mapped.expression for mapped in attributes])
    kinds = bench.kinds if columns is not None else {}
    for mapped in attributes:
        texts = {} if mapped.place.kind in {Kind.DECIMAL, Kind.BOOLEAN} else bench.texts
        result = check(
            mapped.expression,
            bench.sql,
            columns,
            is_status=mapped.path == ACTIVE,
            texts=texts,
            kinds=kinds,
            sources=bench.sources,
        )
        if not isinstance(result, Expression):
            faults += [f"[attributes] {mapped.path} = {mapped.expression!r}: {fault}" for fault in result]
            continue
        if result.is_reference != (mapped.place.kind is Kind.REFERENCE):
            faults.append(_reference_fault(mapped, result))
            continue
        is_unread = columns is not None and any(map(bench.sources.is_absent, result.columns))
        unread = replace(result, sql=nothing(mapped.place), phones=(), statuses=(), undated="")
        checked[mapped.path] = unread if is_unread else result
    if columns is not None and checked:
        faults += _all_type_faults(bench, [mapped for mapped in attributes if mapped.path in checked], checked)
    if faults:
        raise ConfigError(*faults)
    return {mapped.path: dated(mapped, checked[mapped.path]) for mapped in attributes}


def nothing(place: Place) -> str:
    """No value, of the type that a place takes."""
    if place.kind is not Kind.LIST:
        return "NULL"
    kept = compared(place.attribute)
    parts = ", ".join(f"{quoted(sub.name)} VARCHAR" for sub in kept)
    return "CAST(NULL AS VARCHAR[])" if len(kept) == 1 else f"CAST(NULL AS STRUCT({parts})[])"


def _reference_fault(mapped: Mapped, result: Expression) -> str:
    if result.is_reference:
        return f"[attributes] {mapped.path}: ref(...) and account(...) make a reference; this attribute takes none"
    return (
        f"[attributes] {mapped.path} = {mapped.expression!r}: the directory wants the id of another account "
        "here; write ref(COLUMN), where COLUMN holds the source key of that person, or account(LOGIN)"
    )


def _all_type_faults(
    bench: Workbench, attributes: Sequence[Mapped], expressions: Mapping[str, Expression]
) -> Iterator[str]:
    """What expressions give and attributes do not take; asked at once, and one by one where that fails."""
    given = [expressions[mapped.path].sql for mapped in attributes]
    try:
        types = described(bench, given)
        lists = [_desired(m.place, sql) for m, sql in zip(attributes, given, strict=True) if m.place.kind is Kind.LIST]
        if lists:  # whatever else fits can be made a text
            described(bench, lists)
    except duckdb.Error:
        types = []
    if not types or any(_fits(m.place, found) is not None for m, found in zip(attributes, types, strict=True)):
        for mapped in attributes:
            yield from _type_faults(bench, mapped, expressions[mapped.path])


def _type_faults(bench: Workbench, mapped: Mapped, expression: Expression) -> list[str]:
    where = f"[attributes] {mapped.path} = {mapped.expression!r}"
    faults: list[str] = []
    found = type_of(bench, expression.sql, where, faults)
    if faults:
        return faults
    fits = _fits(mapped.place, found)
    if fits is not None:
        return [f"{where}: {fits}, but the expression gives {found}"]
    try:
        described(bench, [_desired(mapped.place, expression.sql)])
    except duckdb.Error:
        names = ", ".join(sub.name for sub in compared(mapped.place.attribute))
        return [f"{where}: each element must be a struct with {names}, but the expression gives {found}"]
    return []


def _fits(place: Place, found: str) -> str | None:
    """None where an SQL type can become a value of the place; else what is wanted."""
    listed = found.endswith("[]")
    match place.kind:
        case Kind.LIST:
            kept = compared(place.attribute)
            if found == "VARCHAR[]" and len(kept) == 1:
                return None
            if found.startswith("STRUCT(") and listed and len(kept) > 1:
                return None
            helper = "skills(COLUMN)" if place.key == "name" else "names(COLUMN)"
            return f"this attribute is a list; write for instance {helper}"
        case Kind.BOOLEAN:
            return None if found in {"BOOLEAN", '"NULL"'} else "this attribute is true or false"
        case Kind.DECIMAL:
            numeric = found.startswith(("DECIMAL", "DOUBLE", "FLOAT", "BIGINT", "INTEGER", "HUGEINT", "SMALLINT"))
            return None if numeric or found == '"NULL"' else "this attribute is a number"
        case _:
            bad = listed or found.startswith(("STRUCT", "MAP")) or found == "BOOLEAN"
            return "this attribute is a text" if bad else None


def stage_phones(bench: Workbench, expressions: Iterable[Expression], read: PhoneReader) -> int:
    """Ask the phone library about every distinct number that is not yet in E.164; return how many."""
    calls = {call for expression in expressions for call in expression.phones}
    asked = 0
    for raw, country in sorted(calls):
        found = bench.sql.execute(
            f"SELECT DISTINCT tidy(number), coalesce(upper(tidy(country)), '') FROM (SELECT DISTINCT "
            f"TRY(({raw})::VARCHAR) AS number, TRY(({country})::VARCHAR) AS country FROM records) "
            "WHERE tidy(number) <> '' "
            "AND NOT regexp_full_match(tidy(number), '\\+[1-9][0-9]{6,14}') EXCEPT "
            "SELECT scimsync_raw, scimsync_region FROM phone_memo"
        )
        while pairs := found.fetchmany(5000):
            asked += len(pairs)
            with bench.spooled("phones") as (path, file):
                for number, region in pairs:
                    said = read(number, region)
                    e164 = f"{PHONE_MARK}:{said}" if isinstance(said, Unread) else said
                    file.write(encode({"r": number, "c": region, "e": e164}) + b"\n")
                file.flush()
                bench.sql.cursor().execute(
                    "INSERT INTO phone_memo SELECT r, c, e FROM read_ndjson("
                    f"{text(str(path))}, columns = {{r: 'VARCHAR', c: 'VARCHAR', e: 'VARCHAR'}})"
                )
    return asked


def stage_desired(  # noqa: PLR0913 - all of it says how a record is read
    bench: Workbench,
    attributes: Sequence[Mapped],
    expressions: Mapping[str, Expression],
    *,
    key: str,
    found_by: Iterable[Place] = (),
    whole: bool = False,
    also: Sequence[str] = (),
) -> list[Finding]:
    """Map all records into the table `desired`; of a bad value the value is left out, or its person.

    Columns: n, place, key, then d0, d1, ... in the order of `attributes`. The table `spoiled` (n, i) says
    which of them are left alone. The table `held` takes the keys of people who must not be concluded absent
    because their record is bad, and `left_out` their values as far as they could be mapped.

    Args:
        bench: Has the table `records`, and `links` where `found_by` is given.
        attributes: The mapping.
        expressions: Its expressions, checked.
        key: Column that identifies a person.
        found_by: The places by which the account of a person without link is found.
        whole: A bad value leaves out the person.
        also: Columns of the source beside the mapping that say something of people.
    """
    # DuckDB finds people by name, so a key is text from here on.
    bench.sql.execute("CREATE OR REPLACE TABLE held (key VARCHAR, n BIGINT)")
    bench.sql.execute("CREATE OR REPLACE TABLE spoiled (n BIGINT, i INTEGER)")
    findings = keyless(bench, key)
    faults: list[_Fault] = []
    try:
        fill(bench, attributes, expressions, key, frozenset())
    except duckdb.Error:
        for index, mapped in enumerate(attributes):
            found, everybody = _failing(bench, mapped, expressions[mapped.path], index)
            faults += found
            findings += everybody
        _spread(bench, attributes)
        fill(bench, attributes, expressions, key, spoiled_in(bench))
    findings += unite(bench, len(attributes), also)
    are_held = bench.are("held")
    kept = "WHERE n IN (SELECT n FROM held)" if are_held else "LIMIT 0"
    bench.sql.execute(f"CREATE OR REPLACE TABLE left_out AS SELECT * FROM desired {kept}")
    if are_held:
        bench.sql.execute("DELETE FROM desired WHERE n IN (SELECT n FROM held)")
    if bench.sources.joined:
        leave_unjoined(bench, attributes, expressions)
    faults += _marked_values(bench, attributes, expressions)
    _spread(bench, attributes)
    _leave_out(bench, attributes, [place.short for place in found_by], whole=whole)
    unjoined = waiting(bench) if bench.sources.joined else []
    return [*findings, *_told(bench, attributes, faults), *unjoined]


def desired_blanks(bench: Workbench, attributes: Sequence[Mapped]) -> dict[str, float]:
    """The share of blanks in what the mapping made, for each attribute; a value that is left alone is none."""
    spoiled = spoiled_in(bench)
    good = [
        f"n NOT IN (SELECT n FROM spoiled WHERE i = {index})" if index in spoiled else "true"
        for index, _ in enumerate(attributes)
    ]
    columns = {mapped.path: f"d{index}" for index, mapped in enumerate(attributes)}
    return blanks(bench, "desired", columns, good)


class _Fault(Struct, frozen=True):
    """A bad value."""

    n: int
    index: int
    why: ValueFault
    detail: str


def _spread(bench: Workbench, attributes: Sequence[Mapped]) -> None:
    """Without its `value`, the other parts of an element are left alone too."""
    for index, mapped in enumerate(attributes):
        main = next((i for i, other in enumerate(attributes) if is_main(other, mapped)), None)
        if main is not None:
            bench.sql.execute(
                f"INSERT INTO spoiled SELECT n, {index} FROM (SELECT n FROM spoiled WHERE i = {main} "
                f"EXCEPT SELECT n FROM spoiled WHERE i = {index})"
            )


def _leave_out(bench: Workbench, attributes: Sequence[Mapped], found_by: Sequence[str], *, whole: bool) -> None:
    """Leave out people of whom more is unsure than a value; but take the access of a leaver away all the same.

    That is whoever has a bad status or login, whoever has no link and a bad value by which the account is
    found, and where policy says so everybody with a bad value.
    """
    if not bench.number("SELECT count(*) FROM spoiled"):
        return
    index = {mapped.path: number for number, mapped in enumerate(attributes)}
    grave = [index[path] for path in (ACTIVE, "userName") if path in index]
    marks = [index[path] for path in found_by if path in index]
    lost = f"(s.i IN {_tuple(marks)} AND d.key NOT IN (SELECT key FROM links))" if marks else "false"
    bad = f"(s.n, s.i) NOT IN (SELECT (n, i) FROM {APART})" if bench.sources.joined else "true"
    out = f"({bad} OR s.i IN {_tuple(grave)} OR {lost})" if whole else f"(s.i IN {_tuple(grave)} OR {lost})"
    left = f"coalesce(d.d{index[ACTIVE]} = 'false', false)" if ACTIVE in index else "false"
    sql = bench.sql
    sql.execute(
        "CREATE OR REPLACE TEMP TABLE set_aside AS SELECT d.n, d.key, "
        f"bool_and({left}) AND NOT bool_or({lost}) AS leaves FROM desired d "
        f"JOIN spoiled s ON s.n = d.n WHERE {out} GROUP BY d.n, d.key"
    )
    for number in (number for path, number in index.items() if path != ACTIVE):
        sql.execute(
            f"INSERT INTO spoiled SELECT n, {number} FROM (SELECT n FROM set_aside WHERE leaves "
            f"EXCEPT SELECT n FROM spoiled WHERE i = {number})"
        )
    leave_out(bench, "SELECT n FROM set_aside WHERE NOT leaves")


def _tuple(numbers: Iterable[int]) -> str:
    return f"({', '.join(map(str, numbers)) or 'NULL'})"


def _told(bench: Workbench, attributes: Sequence[Mapped], faults: Sequence[_Fault]) -> list[Finding]:
    """A finding for each bad value; it names the path alone where the person goes on without it."""
    if not faults:
        return []
    wanted = [fault.n for fault in faults]
    people = {
        n: [(str(key), row_of(place), bool(goes_on))]
        for n, key, place, goes_on in bench.rows(
            "SELECT n, key, place, goes_on FROM (SELECT n, key, place, true AS goes_on FROM desired UNION ALL "
            "SELECT n, key, place, false FROM left_out WHERE key IS NOT NULL) WHERE n IN (SELECT unnest(?))",
            [wanted],
        )
    }
    return [
        fault.why.finding(key, fault.detail, row=row, path=attributes[fault.index].path if goes_on else "")
        for fault in faults
        for key, row, goes_on in people.get(fault.n, ())
    ]


def _failing(
    bench: Workbench, mapped: Mapped, expression: Expression, index: int
) -> tuple[list[_Fault], list[Finding]]:
    """Find the records on which an expression fails, by halving; where there are too many, for everybody.

    Raises:
        SourceError: It is the status that fails on too many: nobody's can be told.
    """
    faults: list[_Fault] = []
    last = bench.number(f"SELECT max({N}) FROM records")
    where = f"{mapped.path} = {mapped.expression}"
    for n, message in _halve(bench, _desired(mapped.place, expression.sql), 0, last):
        faults.append(_Fault(n, index, UNMAPPABLE, f"{where}: {message}"))
        if len(faults) > _TOO_MANY:
            break
    if len(faults) <= _TOO_MANY:
        bench.sql.execute("INSERT INTO spoiled SELECT unnest(?), ?", [[fault.n for fault in faults], index])
        return faults, []
    row = bench.number(f"SELECT {PLACE} FROM records WHERE {N} = ?", [faults[0].n])
    if mapped.path == ACTIVE:
        raise SourceError(
            f"[attributes] {where} fails on more than {_TOO_MANY} records, first on row {row}: {faults[0].detail}. "
            "Mend the expression or the source."
        )
    bench.sql.execute(f"INSERT INTO spoiled SELECT {N}, {index} FROM records")
    return [], [_failing_for_all(mapped, faults[0].detail, row)]


def _failing_for_all(mapped: Mapped, detail: str, row: int) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="mapping.failing",
        subject="",
        summary=f"an expression fails on more than {_TOO_MANY:,} records, so its attribute is left alone for everybody",
        detail=f"{detail}, first on row {row}",
        hint="mend the expression or the source",
        holds=True,
        path=mapped.path,
    )


_TOO_MANY = 1000


def _halve(bench: Workbench, expression: str, first: int, last: int) -> Iterator[tuple[int, str]]:
    pending = [(first, last)]
    while pending:
        low, high = pending.pop()
        try:
            bench.sql.execute(
                f"SELECT count({expression}) FROM records WHERE {N} BETWEEN ? AND ?", [low, high]
            ).fetchone()
        except duckdb.Error as error:
            if low == high:
                yield low, _without_values(error)
            else:
                middle = (low + high) // 2
                pending += [(middle + 1, high), (low, middle)]


def _without_values(error: duckdb.Error) -> str:
    """What kind of error it was, without the value that caused it."""
    return type(error).__name__.removesuffix("Exception").lower() + " error"


def _marked_values(
    bench: Workbench, attributes: Sequence[Mapped], expressions: Mapping[str, Expression]
) -> Iterator[_Fault]:
    """Find the values that say they are faults, and make them none."""
    tests = [_bad(index, mapped, expressions[mapped.path]) for index, mapped in enumerate(attributes)]
    counts = ", ".join(f"count(*) FILTER (WHERE {test})" for test, *_ in tests) or "0"
    (numbers,) = bench.sql.execute(f"SELECT {counts} FROM desired").fetchall()
    for index, (mapped, (bad, why)) in enumerate(zip(attributes, tests, strict=True)):
        if numbers[index]:
            reason = f"regexp_extract(d{index}, {text(PHONE_MARK + ':([a-z-]+)')}, 1)"
            rows = bench.rows(f"SELECT n, {reason} FROM desired WHERE {bad} ORDER BY n")
            found = {row_of(n) or 0: str(said) for n, said in rows}
            bench.sql.execute(f"INSERT INTO spoiled SELECT n, {index} FROM desired WHERE {bad}")
            bench.sql.execute(f"UPDATE desired SET d{index} = NULL WHERE {bad}")
            dates = undated(bench, expressions[mapped.path], [*found]) if mapped.path == ACTIVE else frozenset[int]()
            for n, said in found.items():
                yield _Fault(n, index, BAD_DATE if n in dates else PHONE_FAULTS.get(said, why), mapped.path)


#: a level that is no plain number from 0.0 to 5.0, whatever else it is; and one that is right, with what follows
_ODD_LEVEL = '"proficiency":([^0-5]|[0-5][^.]|5\\.[^0]|5\\.0[^,}]|[0-4]\\.[0-9]*[^0-9,}])'
_GOOD_LEVEL = '"proficiency":(null|[0-4](\\.[0-9]+)?|[0-9](\\.[0-9]+)?e-[0-9]+|5(\\.0+)?)([,}])'


def _bad(index: int, mapped: Mapped, expression: Expression) -> tuple[str, ValueFault]:
    """The SQL that says that a value is a fault, and which."""
    if mapped.place.kind is Kind.LIST:
        left = f"regexp_replace(d{index}, {text(_GOOD_LEVEL)}, '', 'g')"
        bad = f"contains({left}, '\"proficiency\":')"
        return f"CASE WHEN regexp_matches(d{index}, {text(_ODD_LEVEL)}) THEN {bad} ELSE false END", BAD_LEVEL
    if mapped.place.kind is Kind.BOOLEAN and mapped.path == ACTIVE:
        return f"d{index} IS NULL AND n NOT IN (SELECT n FROM spoiled WHERE i = {index})", ACTIVE_UNKNOWN
    if expression.undated:
        return f"contains(d{index}, {text(FAULT_MARK)})", BAD_PHONE if expression.phones else BAD_DATE
    return f"contains(d{index}, {text(PHONE_MARK)})" if expression.phones else "false", BAD_PHONE

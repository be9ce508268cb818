"""Measure what a source gave, beyond the number of its rows: whose records they are, how they divide, how new they are.

All of it is counted in whole tables; what is remembered is small, however many records there are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from scimsync.core.contract import SAMPLED
from scimsync.model.contracts import Expect
from scimsync.model.records import KeySample, SourceHealth
from scimsync.workbench.bench import PLACE, TEXT, Column, N, Workbench, quoted, text
from scimsync.workbench.values import is_blank

#: how many records are looked at to find the columns that divide people
_LOOKED_AT = 4096
#: such a column has so many values at most, each in so many records on average
_MOST_VALUES, _LEAST_EACH = 50, 5
#: columns that are found, values of a declared one that are remembered
_MOST_COLUMNS, _MOST_DECLARED = 8, 1000
#: longer texts are not remembered
_LONGEST = 100
#: a moment may be ahead of the clock by so much; beyond, it is no moment of a change (9999-12-31)
_AHEAD = timedelta(days=1)


def measure(bench: Workbench, health: SourceHealth, expect: Expect, now: datetime) -> SourceHealth:
    """The health of a reading, with the measures of this module.

    Args:
        bench: The tables `records`, `desired` and `held`.
        health: What is known of the reading already.
        expect: Which columns are watched.
        now: The wall clock.
    """
    named = {column.name.lower(): column for column in bench.columns}
    watched = [named[name.lower()] for name in expect.shares if name.lower() in named]
    moment = named.get(expect.newest.column.lower()) if expect.newest else None
    return replace(
        health,
        keys=_keys(bench),
        shares=_shares(bench, watched),
        newest=_newest(bench, moment, now) if moment else None,
    )


def _keys(bench: Workbench) -> KeySample:
    """A sample of the keys, the same part of them whenever it is taken."""
    query = (
        "SELECT digest, hash('scimsync') >> 16 FROM (SELECT DISTINCT hash(key) >> 16 AS digest FROM (SELECT key FROM "
        f"desired UNION ALL SELECT key FROM held WHERE key IS NOT NULL)) ORDER BY 1 LIMIT {SAMPLED + 1}"
    )
    told = [*bench.rows(query)]
    found = [int(str(digest)) for digest, _ in told]
    mark = int(str(told[0][1])) if told else bench.number("SELECT hash('scimsync') >> 16")
    return KeySample(mark=mark, digests=tuple(found[:SAMPLED]), whole=len(found) <= SAMPLED)


def _shares(bench: Workbench, watched: list[Column]) -> dict[str, dict[str, int]]:
    """How the records divide, by each declared column and by those that look as if they were made for it."""
    columns = [*dict.fromkeys([*watched, *_dividing(bench)])]
    if not columns:
        return {}
    counted = " UNION ALL ".join(
        f"SELECT {i} AS i, {quoted(column.name)}::VARCHAR AS v, count(*) AS n FROM records GROUP BY 2"
        for i, column in enumerate(columns)
    )
    most = ", ".join(str(_MOST_DECLARED if column in watched else _MOST_VALUES) for column in columns)
    query = (
        f"SELECT i, tidy(v) AS value, sum(n) AS number FROM ({counted}) WHERE NOT {is_blank('v')} "
        f"AND length(v) <= {_LONGEST} GROUP BY 1, 2 QUALIFY row_number() OVER "
        f"(PARTITION BY i ORDER BY number DESC, value) <= [{most}][i + 1] ORDER BY 1, 3 DESC, 2"
    )
    found: dict[str, dict[str, int]] = {}
    for i, value, number in bench.rows(query):
        found.setdefault(columns[int(str(i))].name, {})[str(value)] = int(str(number))
    return found


def _dividing(bench: Workbench) -> list[Column]:
    """The text columns with few values, by a look at some records."""
    texts = [
        c for c in bench.columns if c.type == "VARCHAR" and c.name not in {N, PLACE} and not c.name.startswith(TEXT)
    ]
    if not texts:
        return []
    # of so few rows a list costs half of what as many counts of distinct values do
    asked = ", ".join(f"len(list_distinct(list({quoted(c.name)}))), count({quoted(c.name)})" for c in texts)
    row = bench.sql.execute(f"SELECT {asked} FROM (SELECT * FROM records LIMIT {_LOOKED_AT})").fetchone() or ()
    counts = zip(texts, row[::2], row[1::2], strict=True)
    found = [c for c, values, rows in counts if 1 <= (values or 0) <= min(_MOST_VALUES, rows / _LEAST_EACH)]
    return found[:_MOST_COLUMNS]


def _newest(bench: Workbench, column: Column, now: datetime) -> datetime | None:
    """The latest moment in a column that is no future; texts without a zone are of the zone of the source."""
    moment = f"TRY_CAST({quoted(column.name)}::VARCHAR AS TIMESTAMPTZ)"
    if column.type in {"BIGINT", "DOUBLE"}:  # seconds, or thousandths of them
        number = f"{quoted(column.name)}::DOUBLE"
        moment = f"TRY(to_timestamp(CASE WHEN {number} > 1e11 THEN {number} / 1000 ELSE {number} END))"
    latest = text((now + _AHEAD).astimezone(UTC).isoformat())
    query = f"SELECT epoch(max(m)) FROM (SELECT {moment} AS m FROM records) WHERE m <= {latest}::TIMESTAMPTZ"
    row = bench.sql.execute(query).fetchone()
    return datetime.fromtimestamp(float(row[0]), UTC) if row and row[0] is not None else None

"""Take expensive values from an earlier reading where an account's version did not move since.

A provider may list everybody cheaply and charge a second look-up for some attributes (documented of Genesys Cloud).
So a listing asks for the cheap ones, and table `accounts` gets the others from a file that the plan before left. Who
must be read again: whose version moved, whose values are too old (what the version does not cover may have moved
alone), and whoever a difference, or a new person's mark, is about: nothing is written on the word of an old reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute

from scimsync.model.policy import Authority, Mapped
from scimsync.scim.dialect import Dialect
from scimsync.scim.schema import Kind, Place
from scimsync.workbench.agreed import write_parquet
from scimsync.workbench.bench import Workbench, quoted, text
from scimsync.workbench.values import comparable, writable

#: name of the artifact; the number grows with the form of the values
RECALLED = "recalled-1.parquet"
#: below so many accounts everybody is read whole: that is some seconds
RECALLED_FROM = 1000


class Recall:
    """What an earlier plan read of the expensive attributes of a mapping.

    Args:
        bench: The tables of the run.
        path: The file; there may be none.
        attributes: The mapping, in the order of the columns.
        dialect: Which attributes are expensive.
        within: How old a value may be.
        now: The time of this reading.
    """

    def __init__(
        self,
        bench: Workbench,
        path: Path,
        attributes: Sequence[Mapped],
        dialect: Dialect,
        within: timedelta,
        now: datetime,
    ) -> None:
        self._bench, self._path, self._within, self._now = bench, path, within, now
        self._mapped = {i: m for i, m in enumerate(attributes) if dialect.is_expensive(m.place.root)}
        self._places = {i: m.place for i, m in self._mapped.items()}

    @property
    def is_kept(self) -> bool:
        """Whether there is anything to keep for the next plan."""
        return bool(self._places) and bool(self._within)

    def load(self) -> bool:
        """Make the table `recalled`; whether it says enough to spare reading everybody whole."""
        if not self.is_kept or not self._path.is_file():
            return False
        wanted = ["id", "version", "read_at", *(f"{quoted(p.short)} AS c{i}" for i, p in self._places.items())]
        source = f"read_parquet({text(str(self._path))})"
        try:
            self._bench.sql.execute(f"CREATE OR REPLACE TABLE recalled AS SELECT {', '.join(wanted)} FROM {source}")
        except duckdb.Error:  # of another mapping, or damaged: it only spares requests
            return False
        return self._bench.number("SELECT count(*) FROM recalled") >= RECALLED_FROM

    def fill(self) -> list[str]:
        """Put what is recalled into `accounts`, which a listing without it made; the ids of who must be read again.

        Wants `desired`, `links` and `base` too.
        """
        sql = self._bench.sql
        sets = ", ".join(f"c{i} = r.c{i}" for i in self._places)
        same = "r.id = accounts.id AND r.version = accounts.version"
        sql.execute("DELETE FROM recalled WHERE version = ''")
        sql.execute(f"UPDATE accounts SET {sets} FROM recalled r WHERE {same}")
        newest = "(SELECT max(read_at) FROM recalled)"
        share = self._bench.number(
            "SELECT ceil(count(*) * least(1.0, greatest(0.0, epoch(?::TIMESTAMP - "
            f"coalesce({newest}, ?::TIMESTAMP)) / ?))) FROM accounts",
            [_naive(self._now), _naive(self._now), self._within.total_seconds()],
        )
        queries = [
            "SELECT id FROM accounts WHERE NOT EXISTS "
            "(SELECT 1 FROM recalled r WHERE r.id = accounts.id AND r.version = accounts.version)",
            "SELECT id FROM recalled WHERE read_at < ?::TIMESTAMP",
            # in the order of the listing, so that those of one page come together
            f"SELECT id FROM (SELECT a.id FROM accounts a JOIN recalled r ON r.id = a.id "
            f"ORDER BY r.read_at, a.rowid LIMIT {share})",
            *(self._doubted(i, mapped) for i, mapped in self._mapped.items()),
        ]
        found = self._bench.rows(
            f"SELECT id FROM ({' UNION '.join(f'({query})' for query in queries)}) WHERE id IN "
            "(SELECT id FROM accounts)",
            [_naive(self._now - self._within)],
        )
        return [str(account) for (account,) in found]

    def sought(self, match: Sequence[Place]) -> list[tuple[str, str]]:
        """(attribute, value) of the marks of new people that are recalled of nobody: somebody may have them by now."""
        found = []
        for index, place in self._places.items():
            if place.is_filter and place.short in {one.short for one in match}:
                query = (
                    f"SELECT DISTINCT d.d{index} FROM desired d WHERE d.key NOT IN (SELECT key FROM links) AND "
                    f"{comparable(place, f'd.d{index}')} NOT IN (SELECT {comparable(place, f'c{index}')} FROM accounts "
                    f"WHERE c{index} IS NOT NULL) ORDER BY 1"
                )
                found += [(place.root, str(value)) for (value,) in self._bench.rows(query)]
        return found

    def unlinked(self) -> list[str]:
        """The ids of the accounts that no link names."""
        query = "SELECT id FROM accounts WHERE id NOT IN (SELECT account FROM links)"
        return [str(account) for (account,) in self._bench.rows(query)]

    def missing(self, wanted: Iterable[str]) -> list[str]:
        """Of the accounts that were to be read again, the ids of those that were not."""
        fresh = {str(account) for (account,) in self._bench.rows("SELECT id FROM renewed")}
        return sorted(set(wanted) - fresh)

    def _doubted(self, index: int, mapped: Mapped) -> str:
        """The SQL of the accounts about which a recalled value would decide something."""
        place, stays = mapped.place, ""
        if mapped.is_shared or mapped.authority is Authority.CLOUD_WINS:  # nothing is written while HR wants the same
            stays = f" AND coalesce(d.d{index}, '') IS DISTINCT FROM b.b{index}"
        wanted = f"d.d{index}"
        if place.kind is Kind.REFERENCE:
            wanted = f"(SELECT min(n.account) FROM links n WHERE n.key = d.d{index})"
        differing = (
            "SELECT a.id FROM links l JOIN desired d ON d.key = l.key JOIN accounts a ON a.id = l.account "
            "LEFT JOIN base b ON b.key = l.key "
            f"WHERE {writable(place, wanted)} IS DISTINCT FROM {writable(place, f'a.c{index}')}{stays}"
        )
        if place.kind is not Kind.TEXT:
            return differing
        return (
            f"{differing} UNION SELECT a.id FROM accounts a WHERE a.id NOT IN (SELECT account FROM links) AND "
            f"{comparable(place, f'a.c{index}')} IN (SELECT {comparable(place, f'd.d{index}')} FROM desired d)"
        )

    def save(self, *, whole: bool) -> None:
        """Keep for the next plan what `accounts` holds now.

        Args:
            whole: Whether everybody was read in this run; else those of table `renewed` were.
        """
        if not self.is_kept or self._bench.number("SELECT count(*) FROM accounts") < RECALLED_FROM:
            return
        values = ", ".join(f"a.c{i} AS {quoted(place.short)}" for i, place in self._places.items())
        read_at, known = f"{text(_naive(self._now).isoformat())}::TIMESTAMP", ""
        if not whole:
            read_at = f"CASE WHEN a.id IN (SELECT id FROM renewed) THEN {read_at} ELSE r.read_at END"
            known = " JOIN recalled r ON r.id = a.id"
        self._bench.sql.execute(
            f"CREATE OR REPLACE TABLE kept AS SELECT a.id, a.version, {read_at} AS read_at, {values} "
            f"FROM accounts a{' LEFT' if known else ''}{known} WHERE a.version <> ''"
        )
        self._bench.sql.execute("DELETE FROM kept WHERE read_at IS NULL")
        write_parquet(self._bench, "kept", self._path, order="id")


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)

"""The directory as the last whole reading showed it, kept from plan to plan.

Each account is remembered with the fingerprint of the text in which it was listed. An account that is listed in the
same text again is not decoded: its values are taken from here. Fingerprints are XXH3 with 64 bits, seeded with what was
asked for and how it is read, so that a text that was listed for another question, or would be read otherwise now, is
none that is known. That two different texts of one directory of a million have one fingerprint happens once in some
10^13 accounts that change.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
from xxhash import xxh3_64_intdigest

from scimsync.model.policy import Mapped
from scimsync.workbench.agreed import write_parquet
from scimsync.workbench.bench import Workbench, quoted, text

#: name of the artifact; the number grows with the form of the values
MIRROR = "mirror-1.parquet"
#: what every account has beside its values
_OWN = ("id", "user_name", "active", "version", "h", "seat", "read_at")


class Mirror:
    """What earlier plans read of the directory.

    Args:
        bench: The tables of the run.
        path: The file; there may be none.
        attributes: The mapping, in the order of the columns.
    """

    def __init__(self, bench: Workbench, path: Path, attributes: Sequence[Mapped]) -> None:
        self._bench, self._path, self._attributes = bench, path, attributes
        self._seed = 0
        #: the fingerprints of the accounts, in order, and which of them were met
        self._known, self._met = array("Q"), bytearray()
        self._columns: frozenset[str] = self._described()

    def _described(self) -> frozenset[str]:
        if not self._path.is_file():
            return frozenset()
        try:
            found = self._bench.rows(f"SELECT column_name FROM (DESCRIBE SELECT * FROM {self.source})")
            columns = frozenset(str(name) for (name,) in found)
        except duckdb.Error:  # damaged: it only spares work
            return frozenset()
        return columns if columns.issuperset(_OWN) else frozenset()

    @property
    def source(self) -> str:
        """The SQL of its rows: `id`, `user_name`, `active`, `version`, `h`, `seat`, `read_at`, a column each path."""
        return f"read_parquet({text(str(self._path))})"

    @property
    def is_there(self) -> bool:
        """Whether anything is remembered."""
        return bool(self._columns)

    def knows(self, path: str) -> bool:
        """Whether the values of a path are remembered."""
        return path in self._columns

    def values(self) -> str:
        """The SQL of the values as `c0`, `c1`, ...; NULL where they are not remembered."""
        return ", ".join(
            f"{quoted(m.path) if self.knows(m.path) else 'NULL'}::VARCHAR AS c{i}"
            for i, m in enumerate(self._attributes)
        )

    # --- what is listed again ---------------------------------------------------------------

    def expect(self, asked: Iterable[str], form: str) -> None:
        """Be ready for a listing.

        Args:
            asked: What is asked for.
            form: How an account of it is read.
        """
        self._seed = xxh3_64_intdigest("\n".join([*sorted(asked), form]).encode())
        if self._columns:
            query = f"SELECT h FROM {self.source} WHERE h IS NOT NULL ORDER BY h"
            self._known.extend(h for (h,) in self._bench.rows(query) if isinstance(h, int))
        self._met = bytearray(len(self._known))

    def mark(self, resource: bytes) -> int:
        """The fingerprint of an account; 0 where it is listed as it was, which is noted."""
        found, known = xxh3_64_intdigest(resource, self._seed), self._known
        place = bisect_left(known, found)
        if place < len(known) and known[place] == found:
            self._met[place] = 1
            return 0
        return found or 1

    def met(self) -> str:
        """The SQL of the accounts that were listed as they were, in the form of table `accounts`; "" for nobody."""
        if not any(self._met):
            return ""
        missed = [h for h, met in zip(self._known, self._met, strict=True) if not met]
        self._bench.sql.execute("CREATE OR REPLACE TABLE not_met AS SELECT unnest(?::UBIGINT[]) AS h", [missed])
        return (
            f"SELECT id, user_name, active, version, {self.values()} FROM {self.source} "
            "WHERE h IS NOT NULL AND h NOT IN (SELECT h FROM not_met)"
        )

    def save(self, now: datetime, *, whole: bool, unsure: Sequence[str] = ()) -> None:
        """Keep for the next plan what `accounts` holds now, of everybody who is there.

        Wants `decoded` (id, version, h), who was listed in a text that was not known, and `renewed`, who was read again.
        The mark of an account goes where the listing showed another state than the reading by id, or may have.

        Args:
            now: The time of this reading.
            whole: Whether everybody was read with everything in this run; else only those of table `renewed` were.
            unsure: Ids of accounts of which something is presumed that the listing does not show.
        """
        sql = self._bench.sql
        kept = (
            self.source
            if self._columns
            else "(SELECT NULL::VARCHAR AS id, NULL::VARCHAR AS version, NULL::UBIGINT AS h, NULL::BIGINT AS seat, NULL::TIMESTAMP AS read_at WHERE false)"
        )
        sql.execute("CREATE OR REPLACE TABLE unsure_ids AS SELECT unnest(?::VARCHAR[]) AS id", [[*unsure]])
        values = ", ".join(f"a.c{i} AS {quoted(m.path)}" for i, m in enumerate(self._attributes))
        moment = f"{text(naive(now).isoformat())}::TIMESTAMP"
        again = "a.id IN (SELECT id FROM renewed)"
        sql.execute(
            "CREATE OR REPLACE TABLE mirrored AS SELECT a.id, a.user_name, a.active, a.version, "
            f"CASE WHEN a.id IN (SELECT id FROM unsure_ids) OR ({again} AND (a.version = '' OR "
            "coalesce(f.version, m.version) IS DISTINCT FROM a.version)) THEN NULL ELSE coalesce(f.h, m.h) END AS h, "
            "coalesce(m.seat, f.rowid) AS seat, "
            f"CASE WHEN {'true' if whole else again} THEN {moment} WHEN m.version = a.version THEN m.read_at END "
            f"AS read_at, {values} FROM accounts a LEFT JOIN decoded f ON f.id = a.id "
            f"LEFT JOIN {kept} m ON m.id = a.id"
        )
        write_parquet(self._bench, "mirrored", self._path, order="id")


def naive(moment: datetime) -> datetime:
    """A moment as a TIMESTAMP without zone, which is UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None)

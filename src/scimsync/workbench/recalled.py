"""Take expensive values from an earlier reading where an account's version did not move since.

A provider may list everybody cheaply and charge a second look-up for some attributes (documented of Genesys Cloud).
So a listing asks for the cheap ones, and table `accounts` gets the others from a file that the plan before left. Who
must be read again: whose version moved, whom we wrote since, whose values are too old (what the version does not cover
may have moved alone), and whoever a difference, or another record, is about: nothing is written on the word of an old
reading.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.plans import LOGIN
from scimsync.model.policy import Authority, Mapped
from scimsync.scim.schema import Place
from scimsync.workbench.bench import ACCOUNT, Workbench, quoted, text
from scimsync.workbench.mirror import Mirror, naive
from scimsync.workbench.values import comparable, writable

#: below so many accounts everybody is read whole: that is some seconds
RECALLED_FROM = 1000


class Recall:
    """What an earlier plan read of the expensive attributes of a mapping.

    Args:
        bench: The tables of the run.
        mirror: What earlier plans read of the directory.
        attributes: The mapping, in the order of the columns.
        recalled: The attributes, by root, that are taken from the mirror; the others are listed.
        within: How old a value may be.
        now: The time of this reading.
    """

    def __init__(
        self,
        bench: Workbench,
        mirror: Mirror,
        attributes: Sequence[Mapped],
        recalled: Collection[str],
        within: timedelta,
        now: datetime,
    ) -> None:
        self._bench, self._mirror, self._within, self._now = bench, mirror, within, now
        self._attributes = attributes
        self._mapped = {i: m for i, m in enumerate(attributes) if m.place.root in recalled}
        self._active = next((i for i, m in enumerate(attributes) if m.path == ACTIVE), None)
        self._places = {i: m.place for i, m in self._mapped.items()}

    @property
    def is_kept(self) -> bool:
        """Whether there is anything to take from the mirror."""
        return bool(self._places) and bool(self._within)

    def load(self) -> bool:
        """Make the table `recalled`; whether it says enough to spare reading everybody whole."""
        if not self.is_kept or not all(self._mirror.knows(m.path) for m in self._mapped.values()):
            return False
        values = "".join(f", {quoted(m.path)} AS c{i}" for i, m in self._mapped.items())
        whole = self._mirror.seen.read if self._mirror.seen is not None else None
        aged = f"greatest(read_at, {text(naive(whole).isoformat())}::TIMESTAMP)" if whole is not None else "read_at"
        self._bench.sql.execute(
            f"CREATE OR REPLACE TABLE recalled AS SELECT id, version, {aged} AS read_at, seat{values} "
            f"FROM {self._mirror.rows} WHERE version <> '' AND read_at IS NOT NULL AND {aged} BETWEEN ? AND ?",
            [naive(self._now - self._within), naive(self._now)],
        )
        return self._bench.number("SELECT count(*) FROM recalled") >= RECALLED_FROM

    @property
    def newest(self) -> datetime:
        """When the latest of what is recalled was read."""
        (newest,) = next(self._bench.rows("SELECT max(read_at) FROM recalled"))
        return newest.replace(tzinfo=UTC) if isinstance(newest, datetime) else self._now

    def fill(self, match: Sequence[Place], written: Iterable[str]) -> list[str]:
        """Put what is recalled into `accounts`, which a listing without it made; the ids of who must be read again.

        Wants `desired`, `left_out`, `links` and `base` too.

        Args:
            match: What people are found by.
            written: Keys of people and ids of accounts that were written since; their version may not have moved.
        """
        sql = self._bench.sql
        sql.execute("CREATE OR REPLACE TABLE touched AS SELECT unnest(?::VARCHAR[]) AS name", [[*{*written}]])
        sets = ", ".join(f"c{i} = r.c{i}" for i in self._places)
        same = "r.id = accounts.id AND r.version = accounts.version"
        sql.execute(f"UPDATE accounts SET {sets} FROM recalled r WHERE {same} AND r.id IN (SELECT id FROM decoded)")
        passed = min(1.0, max(0.0, (self._now - self.newest) / self._within))
        share = math.ceil(passed * self._bench.number("SELECT count(*) FROM accounts"))
        queries = [
            "SELECT id FROM accounts WHERE NOT EXISTS "
            "(SELECT 1 FROM recalled r WHERE r.id = accounts.id AND r.version = accounts.version)",
            # in the order of the listing, so that those of one page come together
            f"SELECT id FROM (SELECT a.id FROM accounts a JOIN recalled r ON r.id = a.id "
            f"ORDER BY r.read_at, r.seat LIMIT {share})",
            "SELECT name FROM touched UNION SELECT account FROM links WHERE key IN (SELECT name FROM touched)",
            *_met(self._attributes, match),
            *(self._doubted(i, mapped) for i, mapped in self._mapped.items()),
        ]
        found = self._bench.rows(
            f"SELECT id FROM ({' UNION '.join(f'({query})' for query in queries)}) WHERE id IN "
            "(SELECT id FROM accounts)"
        )
        return [str(account) for (account,) in found]

    def sought(self, match: Sequence[Place]) -> list[tuple[str, str]]:
        """(attribute, value) of the marks of new people that are recalled of nobody: somebody may have them by now."""
        found = []
        for index, place in self._places.items():
            if place.is_filter and place.short in {one.short for one in match}:
                query = (
                    f"SELECT DISTINCT d.d{index} FROM desired d WHERE d.key NOT IN "
                    "(SELECT l.key FROM links l JOIN accounts a ON a.id = l.account) AND "
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
        """The SQL of the linked accounts about which a recalled value would decide something."""
        place = mapped.place
        moved = f"coalesce(d.d{index}, '') IS DISTINCT FROM b.b{index}"
        test = f"{writable(place, f'd.d{index}')} IS DISTINCT FROM {writable(place, f'a.c{index}')}"
        if mapped.is_shared:  # whatever others have there: nothing is written while HR wants the same
            test = moved
        elif mapped.authority is Authority.CLOUD_WINS:
            test = f"{test} AND {moved}"
        if place.dropped and self._active is not None:  # the directory took it, and it is not compared
            test = f"{test} AND (a.active IS DISTINCT FROM false OR d.d{self._active} IS NOT DISTINCT FROM 'true')"
        return (
            "SELECT a.id FROM links l JOIN desired d ON d.key = l.key JOIN accounts a ON a.id = l.account "
            f"LEFT JOIN base b ON b.key = l.key AND coalesce(b.{ACCOUNT}, a.id) = a.id WHERE ({test})"
        )


def met(bench: Workbench, attributes: Sequence[Mapped], match: Sequence[Place]) -> list[str]:
    """The ids of the accounts that a record may be about which is not linked to them.

    Args:
        bench: The tables of the run: `accounts`, `links`, `desired` and `left_out`.
        attributes: The mapping, in the order of the columns.
        match: What people are found by.
    """
    queries = " UNION ".join(_met(attributes, match))
    return [str(account) for (account,) in bench.rows(f"{queries} ORDER BY 1")] if queries else []


def _met(attributes: Sequence[Mapped], match: Sequence[Place]) -> Iterator[str]:
    """The SQL of the accounts that a record may be about which is not linked to them: all their marks count."""
    names = {LOGIN, *(place.short for place in match)}
    for index, mapped in enumerate(attributes):
        if mapped.path in names:
            mine, theirs = (comparable(mapped.place, column) for column in (f"d.d{index}", f"a.c{index}"))
            yield (
                "SELECT a.id FROM (SELECT * FROM desired UNION ALL SELECT * FROM left_out) d "
                f"JOIN accounts a ON {mine} = {theirs} "
                "WHERE NOT EXISTS (SELECT 1 FROM links l WHERE l.key = d.key AND l.account = a.id)"
            )

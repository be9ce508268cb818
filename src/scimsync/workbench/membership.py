"""Memberships in tables: pairs of the source, members of the directory, the base, and their differences.

A pair is (key of a person, name of a group). Names are folded outside, because databases fold less
than Unicode does. All tables begin with `m_`:

    m_pairs     key, name        what the source says, each once
    m_names     name, folded     the distinct names
    m_edges     outer, inner     nestings by folded name, without circles
    m_ids       folded, id       the groups that the names mean
    m_open      folded           the names that mean no one group for certain
    m_meant     id               the groups that those may mean
    m_reached   id               the groups that the source names, and no doubt about it
    m_managed   id               the groups that are ours and could be read
    m_current   group_id, account, is_group
    m_doubted   id               those of them whose list may be cut
    m_base      group_id, account
    m_named     group_id, account       whom HR names: never removed
    m_desired   group_id, account, key  whom HR wants and who has an account
    m_waiting   group_id, key           whom HR wants and who is a joiner
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from scimsync import files
from scimsync.core.desired import SPACE
from scimsync.errors import ConfigError
from scimsync.model.accounts import Membership
from scimsync.model.plans import Member
from scimsync.model.policy import Grouping, Nested, Others
from scimsync.model.records import Cell, Reading
from scimsync.workbench.bench import Workbench, quoted, text
from scimsync.workbench.shielded import word

_encode = msgspec.json.Encoder().encode
#: the columns of pairs, and of nestings
PAIR, NESTING = ("key", "name"), ("outer_name", "inner_name")


def stage_pairs(bench: Workbench, reading: Reading, table: str, names: tuple[str, str] = PAIR) -> int:
    """Walk a reading of two columns into a table of texts; return how many pairs it holds.

    Rows with a blank are passed over: a person in no group is no mistake.

    Raises:
        ConfigError: It does not have two columns.
        SourceError: It cannot be read to its end.
    """
    if len(reading.columns) != 2:
        raise ConfigError(
            f"[groups] the source of pairs has the columns {', '.join(reading.columns)}. "
            "Give exactly two: first the key of the person, then the group (for nestings: outer group, inner group)."
        )
    return _stage(bench, table, (tuple(map(_text, row)) for batch in reading.batches for row in batch.rows), names)


def _stage(
    bench: Workbench,
    table: str,
    rows: Iterable[Sequence[str]],
    names: Sequence[str],
    filled: Sequence[str] | None = None,
) -> int:
    """Load rows of texts into a table through a spool, each row once, without rows that have a blank (in `filled`)."""
    with bench.spooled(table) as (path, file):
        file.write(b"{}\n")
        chunk: list[bytes] = []
        for row in rows:
            chunk.append(_encode(dict(zip(names, row, strict=True))))
            if len(chunk) == 5000:
                file.write(b"\n".join(chunk) + b"\n")
                chunk.clear()
        if chunk:
            file.write(b"\n".join(chunk) + b"\n")
        file.flush()
        columns = ", ".join(f"{name}: 'VARCHAR'" for name in names)
        complete = " AND ".join(f"coalesce({name}, '') <> ''" for name in filled or names)
        bench.sql.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT DISTINCT * FROM read_ndjson({text(str(path))}, "
            f"columns = {{{columns}}}, records = true) WHERE {complete}"
        )
    return bench.number(f"SELECT count(*) FROM {table}")


def _text(cell: Cell) -> str:
    """A cell as keys compare: 1001, 1001.0 and a decimal 1001 are one."""
    if cell is None:
        return ""
    if isinstance(cell, float | Decimal) and cell == cell and abs(cell) != float("inf") and cell % 1 == 0:  # noqa: PLR0124 - NaN
        return str(int(cell))
    return str(cell).strip(SPACE)


def stage_column(bench: Workbench, column: str, separator: str, *, key: str) -> int:
    """Take the pairs out of a list column of the records; return how many there are.

    Raises:
        ConfigError: The source has no such column.
    """
    found = next((c.name for c in bench.columns if c.name.lower() == column.lower()), None)
    if found is None:
        names = ", ".join(c.name for c in bench.columns)
        raise ConfigError(f"[groups] column = {column!r}: the source has no such column. The columns are {names}.")
    bench.sql.execute(
        "CREATE OR REPLACE TABLE m_pairs AS SELECT DISTINCT key, name FROM (SELECT "
        f"tidy({quoted(key)}) AS key, tidy(unnest(string_split({quoted(found)}::VARCHAR, ?))) AS name "
        "FROM records) WHERE key <> '' AND name <> ''",
        [separator],
    )
    return bench.number("SELECT count(*) FROM m_pairs")


#: of `m_current c`: the source may name it in a way that does not resolve
_SPARED = (
    "c.account IN (SELECT id FROM m_unsure) OR c.group_id IN (SELECT id FROM m_meant) "
    "OR c.group_id IN (SELECT group_id FROM m_obscure) OR ((SELECT count(*) FROM m_open) > 0 "
    "AND (c.is_group OR c.group_id NOT IN (SELECT id FROM m_reached)))"
)


#: of `m_base`, for a group (twice): whom we put there and it does not show
_UNSEEN = "FROM m_base WHERE group_id = ? AND account NOT IN (SELECT account FROM m_current WHERE group_id = ?)"


def _bare(key: str) -> str:
    """SQL of a key without what gets lost on the way through a spreadsheet: leading zeros, case."""
    return f"ltrim(lower(tidy({key})), '0')"


class MemberTables:
    """The memberships of one planning run. Wants `m_pairs`, `m_nestings`, and a correlated comparison."""

    def __init__(self, bench: Workbench, grouping: Grouping, left_alone: str, logins: str = "") -> None:
        """Stand on a correlated comparison.

        Args:
            bench: Where the tables are.
            grouping: What is done about memberships.
            left_alone: The SQL of the accounts that nobody may be sure about: they are not removed.
            logins: The SQL of the logins that HR gives people with an account; none where empty.
        """
        self._bench, self._grouping, self._left_alone = bench, grouping, left_alone
        self._logins = logins or "SELECT NULL::VARCHAR AS id, NULL::VARCHAR AS login WHERE false"
        #: nobody leaves a group but people whom the source delivers
        self.only_delivered = False

    # --- what the source says ---------------------------------------------------------------

    def names(self) -> tuple[list[str], list[tuple[str, str]]]:
        """The distinct names of groups in the pairs, and the nestings (outer, inner), as they were written."""
        named = [str(row[0]) for row in self._bench.rows("SELECT DISTINCT name FROM m_pairs ORDER BY 1")]
        nested = self._bench.rows("SELECT outer_name, inner_name FROM m_nestings ORDER BY 1, 2")
        return named, [(str(outer), str(inner)) for outer, inner in nested]

    def lay_names(
        self, folded: Mapping[str, str], edges: Iterable[tuple[str, str]], circles: Iterable[tuple[str, str]]
    ) -> None:
        """Take over the folded names, the nestings between them, and those that were cut out of circles."""
        _stage(self._bench, "m_names", folded.items(), ("name", "folded"))
        _stage(self._bench, "m_edges", edges, NESTING)
        _stage(self._bench, "m_circles", circles, NESTING)

    def lay_open(self, names: Iterable[str], meant: Iterable[str], reached: Iterable[str]) -> None:
        """Say which folded names are open, which groups those may mean, and which ones other names mean."""
        _stage(self._bench, "m_open", ((name,) for name in names), ("folded",))
        _stage(self._bench, "m_meant", ((group,) for group in meant), ("id",))
        _stage(self._bench, "m_reached", ((group,) for group in reached), ("id",))

    def lay_groups(self, ids: Mapping[str, str], created: Iterable[str], protected: Iterable[str]) -> None:
        """Say which groups the names mean, and which joiners get an account; find out who is wanted where."""
        _stage(self._bench, "m_ids", ids.items(), ("folded", "id"))
        _stage(self._bench, "m_created", ((key,) for key in created), ("key",))
        _stage(self._bench, "m_protected", ((word,) for word in protected), ("word",))
        self._want()

    def _want(self) -> None:
        sql = self._bench.sql
        # HR's own way from a group to the people in it: itself, and (flattened) all groups below
        below = (
            "UNION SELECT r.folded, e.inner_name FROM reach r JOIN m_edges e ON e.outer_name = r.below"
            if self._grouping.nested is Nested.FLATTEN
            else ""
        )
        known = "SELECT folded FROM m_names UNION SELECT outer_name FROM m_edges"
        sql.execute(
            f"CREATE OR REPLACE TABLE m_wished AS WITH RECURSIVE reach(folded, below) AS ("
            f"SELECT folded, folded FROM ({known}) {below}) SELECT DISTINCT i.id AS group_id, p.key FROM reach r "
            "JOIN m_ids i ON i.folded = r.folded JOIN m_names n ON n.folded = r.below "
            f"JOIN m_pairs p ON p.name = n.name"
        )
        sql.execute(f"CREATE OR REPLACE TABLE m_asked AS SELECT * FROM m_wished WHERE {self._asked_for('key')}")
        sql.execute(
            "CREATE OR REPLACE TABLE m_people AS SELECT key, id, true AS sure FROM pairing UNION ALL "
            "SELECT key, account, false FROM links WHERE key NOT IN (SELECT key FROM pairing)"
        )
        sql.execute(
            "CREATE OR REPLACE TABLE m_spared AS SELECT a.id FROM accounts a "
            f"WHERE {word('a.user_name')} IN (SELECT word FROM m_protected) "
            f"OR ({word('a.user_name')} = '' AND (SELECT count(*) FROM m_protected) > 0) UNION "
            f"SELECT p.id FROM m_people p WHERE {word('p.key')} IN (SELECT word FROM m_protected) UNION "
            f"SELECT l.id FROM ({self._logins}) l WHERE {word('l.login')} IN (SELECT word FROM m_protected)"
        )
        sql.execute(
            f"CREATE OR REPLACE TABLE m_kept AS SELECT id FROM m_spared UNION SELECT * FROM ({self._left_alone})"
        )
        sql.execute(
            "CREATE OR REPLACE TABLE m_named AS SELECT a.group_id, p.id AS account FROM m_wished a "
            f"JOIN m_people p ON p.key = a.key UNION {self._nestings('m_edges')} UNION {self._nestings('m_circles')}"
        )
        sql.execute(
            "CREATE OR REPLACE TABLE m_desired AS SELECT a.group_id, p.id AS account, a.key FROM m_asked a "
            "JOIN m_people p ON p.key = a.key WHERE p.sure AND p.id NOT IN (SELECT id FROM m_spared) UNION ALL "
            "SELECT group_id, account, 'group:' || name FROM (SELECT e.group_id, e.account, min(n.name) AS name FROM "
            f"({self._nestings('m_edges')}) e JOIN m_ids i ON i.id = e.account JOIN m_names n ON n.folded = i.folded "
            "GROUP BY 1, 2)"
        )
        sql.execute(
            "CREATE OR REPLACE TABLE m_waiting AS SELECT a.group_id, a.key FROM m_asked a "
            "JOIN m_created c ON c.key = a.key"
        )
        self._doubt()

    def _doubt(self) -> None:
        """Find out whom the source may name though it does not say so: by an open name, by a key that nobody has."""
        sql = self._bench.sql
        known = "SELECT key FROM desired UNION SELECT key FROM held WHERE key IS NOT NULL UNION SELECT key FROM links"
        sql.execute(
            f"CREATE OR REPLACE TABLE m_strange AS SELECT DISTINCT key, {_bare('key')} AS bare FROM m_pairs "
            f"WHERE key NOT IN ({known})"
        )
        sql.execute(
            "CREATE OR REPLACE TABLE m_unsure AS SELECT p.id FROM m_people p WHERE p.key IN (SELECT q.key FROM "
            "m_pairs q JOIN m_names n ON n.name = q.name JOIN m_open o ON o.folded = n.folded) "
            f"UNION SELECT p.id FROM m_people p JOIN m_strange s ON s.bare = {_bare('p.key')}"
        )
        sql.execute(
            "CREATE OR REPLACE TABLE m_obscure AS SELECT group_id FROM m_asked GROUP BY 1 "
            "HAVING bool_and(key IN (SELECT key FROM m_strange))"
        )

    def _asked_for(self, key: str) -> str:
        return f"((SELECT count(*) FROM only_keys) = 0 OR {key} IN (SELECT key FROM only_keys))"

    def _nestings(self, table: str) -> str:
        """Nested groups as members: (group_id, account). None where one person is looked at, or they are flattened."""
        return (
            f"SELECT o.id AS group_id, i.id AS account FROM {table} e JOIN m_ids o ON o.folded = e.outer_name "
            "JOIN m_ids i ON i.folded = e.inner_name WHERE (SELECT count(*) FROM only_keys) = 0 "
            f"AND {'true' if self._grouping.nested is not Nested.FLATTEN else 'false'}"
        )

    def strangers(self) -> tuple[list[str], int, int]:
        """People whom memberships name and who are unknown or left out: some keys, how many, in how many pairs.

        People without an account who need none (inactive ones) are no strangers.
        """
        query = (
            "FROM m_asked WHERE key NOT IN (SELECT key FROM pairing) AND key NOT IN (SELECT key FROM m_created) "
            "AND key NOT IN (SELECT key FROM desired WHERE n NOT IN (SELECT n FROM doubtful) "
            "AND n NOT IN (SELECT n FROM joiners))"
        )
        keys = [str(row[0]) for row in self._bench.rows(f"SELECT DISTINCT key {query} ORDER BY 1 LIMIT 5")]
        people = self._bench.number(f"SELECT count(DISTINCT key) {query}")
        return keys, people, self._bench.number(f"SELECT count(*) {query}")

    # --- the directory and the past ---------------------------------------------------------

    def lay_current(self) -> None:
        """Begin with no group read."""
        self._bench.sql.execute(
            "CREATE OR REPLACE TABLE m_current (group_id VARCHAR, account VARCHAR, is_group BOOLEAN)"
        )
        self._bench.sql.execute("CREATE OR REPLACE TABLE m_managed (id VARCHAR)")
        self._bench.sql.execute("CREATE OR REPLACE TABLE m_doubted (id VARCHAR)")

    def add_current(self, groups: Mapping[str, Mapping[str, str]], *, believe: bool = False) -> set[str]:
        """Take over groups that were read.

        Args:
            groups: For each id the members: id -> type, `group`, `user` or "" for people, `either` for an id that
                a group has, and maybe a person (not all number both in one row), anything else for others.
            believe: Take over whatever is there.

        Returns:
            Groups of which nothing is taken over, because people are listed in another way than by the ids of
            accounts: by logins, or none is known though there are several, or we once put people there.
        """
        rows = ((group, *member) for group, members in groups.items() for member in members.items())
        _stage(self._bench, "m_read", rows, ("group_id", "account", "type"), filled=("account",))
        known = "account IN (SELECT id FROM accounts UNION ALL SELECT account FROM links)"
        logins = "lower(account) IN (SELECT lower(user_name) FROM accounts)"
        query = (
            f"SELECT group_id FROM m_read WHERE coalesce(type, '') IN ('', 'user') GROUP BY 1 HAVING "
            f"count(*) FILTER (WHERE {logins} AND NOT {known}) > 0 OR (count(*) FILTER (WHERE {known}) = 0 "
            "AND (count(*) > 1 OR group_id IN (SELECT group_id FROM m_base)))"
        )
        foreign = set() if believe else {str(group) for (group,) in self._bench.rows(query)}
        taken = sorted(groups.keys() - foreign)
        self._bench.sql.execute(
            "INSERT INTO m_current SELECT group_id, account, coalesce(type, '') = 'group' "
            f"OR (type = 'either' AND NOT {known}) FROM m_read "
            "WHERE group_id IN (SELECT unnest(?::VARCHAR[]))",
            [taken],
        )
        self._bench.sql.execute("INSERT INTO m_managed SELECT unnest(?::VARCHAR[])", [taken])
        return foreign

    def unseen(self, group: str) -> int:
        """How many of those whom we put into a group it does not show."""
        ((number,),) = self._bench.rows(f"SELECT count(*) {_UNSEEN}", [group, group])
        return int(str(number))

    def assume(self, group: str) -> None:
        """Take whom we put into a group for members of it, seen or not."""
        query = f"INSERT INTO m_current SELECT group_id, account, false {_UNSEEN}"
        self._bench.sql.execute(query, [group, group])

    def doubt(self, group: str) -> int:
        """Take those whom HR names no more for members still, seen or not; and forget nobody. How many that are.

        Whom HR does name is added again: what comes of that tells whether the list is whole.
        """
        dropped = f"{_UNSEEN} AND account NOT IN (SELECT account FROM m_named WHERE group_id = ?)"
        ((number,),) = self._bench.rows(f"SELECT count(*) {dropped}", [group] * 3)
        query = f"INSERT INTO m_current SELECT group_id, account, false {dropped}"
        self._bench.sql.execute(query, [group] * 3)
        self._bench.sql.execute("INSERT INTO m_doubted VALUES (?)", [group])
        return int(str(number))

    def lay_base(self, held: Iterable[Membership]) -> list[str]:
        """Take over the base; return the ids of the groups in it."""
        _stage(self._bench, "m_base", ((m.group, m.account) for m in held), ("group_id", "account"))
        return [str(row[0]) for row in self._bench.rows("SELECT DISTINCT group_id FROM m_base ORDER BY 1")]

    # --- the differences --------------------------------------------------------------------

    def joining(self) -> Iterator[tuple[str, Member]]:
        """(group id, member) of everybody who is wanted and not there, group by group."""
        ours = "group_id IN (SELECT id FROM m_managed)"
        query = (
            f"SELECT group_id, key, account FROM m_desired d WHERE {ours} AND NOT EXISTS (SELECT 1 FROM m_current c "
            "WHERE c.group_id = d.group_id AND c.account = d.account) "
            f"UNION ALL SELECT group_id, key, NULL FROM m_waiting WHERE {ours} ORDER BY 1, 2"
        )
        for group, key, account in self._bench.rows(query):
            yield str(group), Member(str(key), None if account is None else str(account))

    def leaving(self) -> Iterator[tuple[str, Member]]:
        """(group id, member) of everybody who is there and must go, if absence is believed, group by group."""
        query = (
            "SELECT c.group_id, coalesce(p.key, ''), c.account FROM m_current c "
            "LEFT JOIN (SELECT id, min(key) AS key FROM m_people GROUP BY id) p ON p.id = c.account "
            f"WHERE {self._dropped()} AND NOT ({_SPARED}) ORDER BY 1, 2, 3"
        )
        for group, key, account in self._bench.rows(query):
            yield str(group), Member(str(key), str(account))

    def some(self) -> bool:
        """Whether a plan is for some people only."""
        return self._bench.number("SELECT count(*) FROM only_keys") > 0

    def beside(self) -> dict[str, tuple[int, int]]:
        """Where a plan is for some people only: group id -> how many a plan for all would add, and remove."""
        if not self.some():
            return {}
        found: dict[str, tuple[int, int]] = {}
        query = (
            "SELECT group_id, count(*) FILTER (WHERE joins), count(*) FILTER (WHERE NOT joins) FROM ("
            "SELECT DISTINCT w.group_id, p.id, true AS joins FROM m_wished w JOIN m_people p ON p.key = w.key "
            "WHERE p.sure AND p.id NOT IN (SELECT id FROM m_spared) AND NOT EXISTS (SELECT 1 FROM m_current c "
            "WHERE c.group_id = w.group_id AND c.account = p.id) UNION ALL SELECT c.group_id, c.account, false "
            f"FROM m_current c WHERE NOT c.is_group AND {self._dropped(everybody=True)} AND NOT ({_SPARED})) GROUP BY 1"
        )
        for group, joins, leaves in self._bench.rows(query):
            found[str(group)] = (int(str(joins)), int(str(leaves)))
        return found

    def spared(self) -> dict[str, int]:
        """Group id -> how many of its members stay only because the source may name them in another way."""
        query = f"SELECT c.group_id, count(*) FROM m_current c WHERE {self._dropped()} AND ({_SPARED}) GROUP BY 1"
        return {str(group): int(str(number)) for group, number in self._bench.rows(query)}

    def _dropped(self, *, everybody: bool = False) -> str:
        """Of `m_current c`: there because of us (or of anybody, as policy says), and HR names it no more."""
        tests = [
            "c.group_id IN (SELECT id FROM m_managed)",
            "NOT EXISTS (SELECT 1 FROM m_named n WHERE n.group_id = c.group_id AND n.account = c.account)",
            "c.account NOT IN (SELECT id FROM m_kept)",
        ]
        if self.only_delivered:
            tests.append("c.account IN (SELECT id FROM pairing)")
        if not everybody:
            tests.append(
                "((SELECT count(*) FROM only_keys) = 0 OR c.account IN (SELECT id FROM m_people WHERE key IN "
                "(SELECT key FROM only_keys)))"
            )
        if self._grouping.others is Others.KEEP:
            tests.append("EXISTS (SELECT 1 FROM m_base b WHERE b.group_id = c.group_id AND b.account = c.account)")
        if self._grouping.nested is Nested.REFUSE:
            tests.append("NOT c.is_group")
        return " AND ".join(tests)

    # --- the next base ----------------------------------------------------------------------

    def write_agreed(self, path: Path, existing: Iterable[str]) -> None:
        """Write how the base moves by looking alone: what both sides hold by now, and what is gone.

        Args:
            path: The file: one JSON array a line, group id, member id, whether it comes or goes. It is made where
                nothing moves, too: it is bound to the store, so that nobody can lay another in its place.
            existing: Ids of all groups of the directory.
        """
        _stage(self._bench, "m_existing", ((group,) for group in existing), ("id",))
        there = "EXISTS (SELECT 1 FROM m_current c WHERE c.group_id = b.group_id AND c.account = b.account)"
        rows = self._bench.rows(
            "SELECT c.group_id, c.account, true FROM m_current c JOIN m_desired d ON d.group_id = c.group_id "
            "AND d.account = c.account WHERE c.group_id IN (SELECT id FROM m_managed) AND NOT EXISTS "
            "(SELECT 1 FROM m_base b WHERE b.group_id = c.group_id AND b.account = c.account) "
            f"UNION ALL SELECT b.group_id, b.account, false FROM m_base b WHERE "
            "(b.group_id IN (SELECT id FROM m_managed) AND b.group_id NOT IN (SELECT id FROM m_doubted) "
            f"AND NOT {there}) "
            "OR b.group_id NOT IN (SELECT id FROM m_existing)"
        )
        files.write(path, (_encode(row) + b"\n" for row in rows))


def read_agreed(path: Path) -> Iterator[tuple[Membership, bool]]:
    """The lines of `write_agreed`: a membership, and whether it comes into the base or goes."""
    with path.open("rb") as lines:
        for line in lines:
            group, account, comes = msgspec.json.decode(line, type=tuple[str, str, bool])
            yield Membership(group, account), comes

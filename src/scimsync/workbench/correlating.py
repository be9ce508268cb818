"""Find which account belongs to which record, in whole tables: links, then the paths of `match`.

An account belongs to one person by all its marks. A hit on one path of `match` counts only where the account
holds nothing, or the record's value, on every path before it, and only where the account is linked to nobody.
Whose account that is instead, and what a person may do about it, stands in the doubt.

Tables: `pairing` (n, key, id), `doubtful` (records in doubt), `disputed` (accounts of people who leave, about
which a record with another key may be too), `moved` (accounts that followed their person to a new key),
`exchanged` (keys of people whose account a record with another linked key is about by now),
`joiners`, `unsure` (accounts that a record in doubt may be about), `suspects` (filled by `suspects.spare`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scimsync.core.identity import FOLLOWED, LOGIN, NUMBERS, SAME, Mark, marks
from scimsync.model.plans import Finding
from scimsync.model.policy import Mapped, Rekey
from scimsync.scim.schema import Place
from scimsync.workbench import doubts, owning
from scimsync.workbench.bench import ACCOUNT, Workbench, text
from scimsync.workbench.values import comparable

_LOGIN = "userName"


class Correlation:
    """Who belongs to whom. Wants the tables of `mapping`, `accounts` and `past`."""

    def __init__(
        self, bench: Workbench, attributes: Sequence[Mapped], match: Sequence[Place], *, rekey: Rekey = Rekey.HOLD
    ) -> None:
        self._bench, self._rekey = bench, rekey
        self._places = {mapped.path: mapped.place for mapped in attributes}
        self._index = {path: index for index, path in enumerate(self._places)}
        self._match = [place.short for place in match if place.short in self._index]
        self._marks = marks(attributes)

    def run(self, *, complete: bool, follow: bool = True, only: Sequence[str] = (), source: str = "") -> list[Finding]:
        """Decide which account belongs to which record, and who is a joiner.

        Args:
            complete: Whether the accounts are all there are, or a person has them taken for that; if not, nobody is
                found by a mark or new.
            follow: Whether an account may follow its person to another key, where policy wants that.
            only: Keys to look at; all where empty.
            source: What the source is known by.
        """
        self._begin(only)
        owning.hold_strangers(self._bench, source, self._live())
        self._shared_links()
        self._exchanged()
        for place in range(len(self._match) if complete else 0):
            if not self._are("desired WHERE n NOT IN (SELECT n FROM pairing)"):
                break  # everybody was found
            self._match_on(place)
        sides = map(self._sides, self._match if complete else ())
        owning.hold_claims(self._bench, source, self._live(), sides)
        if self._are("doubtful"):
            self._bench.sql.execute(
                "DELETE FROM doubtful WHERE code = 'correlation.ambiguous' AND n IN (SELECT n FROM pairing)"
            )
        self._disputes(follow=complete and follow and self._rekey is Rekey.FOLLOW)
        self._inherit()
        if complete:
            self._owned()
        self._joiners(complete=complete)
        self._unsure()
        return list(doubts.told(self._bench, complete=complete))

    def renumbered(self) -> tuple[int, int]:
        """How many linked people came again under other keys, and how many links there are.

        Under keys of nobody, where theirs are gone; or under each other's.
        """
        again = self._bench.number(
            "SELECT count(DISTINCT owner) FROM (SELECT owner FROM (SELECT owner FROM disputed UNION ALL "
            "SELECT owner FROM moved) WHERE owner IN (SELECT key FROM orphans) UNION ALL SELECT owner FROM exchanged)"
        )
        return again, self._bench.number("SELECT count(*) FROM links WHERE ours")

    def moved(self) -> dict[str, str]:
        """The new key of each account that followed its person -> the former key."""
        return {str(key): str(owner) for key, owner in self._bench.rows("SELECT key, owner FROM moved ORDER BY key")}

    # --- what is known ------------------------------------------------------------------------

    def _begin(self, only: Sequence[str]) -> None:
        sql = self._bench.sql
        for table, columns in (
            ("only_keys", "key VARCHAR"),
            (
                "doubtful",
                "n BIGINT, key VARCHAR, place BIGINT, code VARCHAR, detail VARCHAR, id VARCHAR, heir VARCHAR, "
                "owner VARCHAR",
            ),
            (
                "disputed",
                "n BIGINT, key VARCHAR, place BIGINT, good BOOLEAN, id VARCHAR, open BOOLEAN, owner VARCHAR, "
                "owner_n BIGINT, owner_place BIGINT, agreeing BIGINT, detail VARCHAR, own BOOLEAN",
            ),
            ("exchanged", "owner VARCHAR"),
            ("suspects", "id VARCHAR"),
            ("moved", "n BIGINT, key VARCHAR, place BIGINT, id VARCHAR, owner VARCHAR, detail VARCHAR"),
        ):
            sql.execute(f"CREATE OR REPLACE TABLE {table} ({columns})")
        if only:
            sql.executemany("INSERT INTO only_keys VALUES (?)", [[key] for key in only])
        sql.execute(
            "CREATE OR REPLACE TABLE pairing AS SELECT d.n, d.key, a.id FROM desired d "
            "JOIN links l ON l.key = d.key AND l.ours JOIN accounts a ON a.id = l.account"
        )
        sql.execute(
            "CREATE OR REPLACE TABLE orphans AS SELECT key, account FROM links WHERE ours AND key NOT IN "
            "(SELECT key FROM desired) AND key NOT IN (SELECT key FROM held WHERE key IS NOT NULL)"
        )

    def _are(self, rows: str) -> bool:
        return self._bench.are(rows)

    def _meet(self, path: str) -> bool:
        """Whether a record without account has the value of some account: a quick look ahead of a long question."""
        return self._are(f"desired d JOIN accounts a ON {self._equal(path)} WHERE d.n NOT IN (SELECT n FROM pairing)")

    def _live(self, record: str = "") -> str:
        """The SQL that says that a record wants an account: it is active, or will be soon enough."""
        if "active" not in self._index:
            return "true"
        of = f"{record}." if record else ""
        return f"({of}d{self._index['active']} = 'true' OR {of}key IN (SELECT key FROM ahead))"

    def _equal(self, path: str, account: str = "a") -> str:
        """The SQL that says that record `d` and an account have the same value."""
        place, index = self._places[path], self._index[path]
        return f"{comparable(place, f'd.d{index}')} = {comparable(place, f'{account}.c{index}')}"

    def _sides(self, path: str) -> tuple[str, str]:
        """The SQL of what record `d` and account `a` are compared by."""
        place, index = self._places[path], self._index[path]
        return comparable(place, f"d.d{index}"), comparable(place, f"a.c{index}")

    def _agrees(self, mark: Mark, account: str = "a") -> str:
        """The SQL that says that record `d` and an account agree in a mark. What only repeats the login is none."""
        ways = []
        for way in mark.ways:
            tests = [f"coalesce({self._equal(path, account)}, false)" for path in way]
            if mark.name != LOGIN:
                tests.append(f"lower({account}.c{self._index[way[-1]]}) IS DISTINCT FROM lower({account}.user_name)")
            ways.append(" AND ".join(tests))
        return f"({' OR '.join(f'({way})' for way in ways)})"

    def _agreement(self, tests: Mapping[str, str]) -> tuple[str, str]:
        """The SQL of how many marks agree, and of their names."""
        number = " + ".join(f"({test})::INTEGER" for test in tests.values()) or "0"
        names = ", ".join(f"CASE WHEN {test} THEN {text(name)} END" for name, test in tests.items()) or "NULL"
        return f"({number})", f"concat_ws(', ', {names})"

    def _found_by(self, paths: Iterable[str]) -> list[str]:
        """Paths, and the login, each once."""
        return [path for path in dict.fromkeys([*paths, _LOGIN]) if path in self._index]

    # --- links --------------------------------------------------------------------------------

    def _shared_links(self) -> None:
        """Two records that remember the same account would write against each other: neither has it."""
        if self._are("(SELECT id FROM pairing GROUP BY id HAVING count(*) > 1)"):
            self._bench.sql.execute(
                "INSERT INTO doubtful SELECT d.n, d.key, d.place, 'correlation.contested', 'on link', p.id, d.key, "
                "NULL FROM pairing p JOIN desired d ON d.n = p.n "
                "WHERE p.id IN (SELECT id FROM pairing GROUP BY id HAVING count(*) > 1)"
            )
        if self._are("doubtful"):
            self._bench.sql.execute("DELETE FROM pairing WHERE n IN (SELECT n FROM doubtful)")

    def _exchanged(self) -> None:
        """Keys were exchanged: a linked record has login and another mark of somebody else's account by now."""
        if _LOGIN not in self._index or not self._match:
            return
        sql, login = self._bench.sql, self._index[_LOGIN]
        wanted = comparable(self._places[_LOGIN], f"d.d{login}")
        sql.execute(  # who, before what they want: few are renamed
            "CREATE OR REPLACE TEMP TABLE renamed AS SELECT p.n, p.id AS own FROM pairing p "
            f"JOIN desired d ON d.n = p.n JOIN accounts a ON a.id = p.id WHERE d.d{login} IS DISTINCT FROM a.c{login} "
            f"AND {self._live('d')} AND {wanted} <> {comparable(self._places[_LOGIN], f'a.c{login}')}"
        )
        if not self._are("renamed"):
            return
        sql.execute(
            "CREATE OR REPLACE TEMP TABLE renamed AS SELECT d.*, r.own FROM renamed r JOIN desired d ON d.n = r.n"
        )
        number, names = self._agreement(
            {
                mark.name: self._agrees(mark) + ("" if mark.name == LOGIN else f" AND NOT {self._agrees(mark, 'o')}")
                for mark in self._marks
            }
        )
        sql.execute(
            "INSERT INTO doubtful SELECT d.n, d.key, d.place, 'correlation.taken', 'on ' || "
            f"{names} || '; the account of ' || l.key, a.id, d.key, l.key FROM renamed d "
            f"JOIN accounts a ON {self._equal(_LOGIN)} AND a.id <> d.own JOIN accounts o ON o.id = d.own "
            f"JOIN links l ON l.account = a.id WHERE {number} >= {SAME}"
        )
        sql.execute("INSERT INTO exchanged SELECT owner FROM doubtful WHERE code = 'correlation.taken'")
        sql.execute("DELETE FROM pairing WHERE n IN (SELECT n FROM doubtful)")

    # --- marks --------------------------------------------------------------------------------

    def _clean(self, place: int) -> str:
        """The SQL that says that account `a` holds nothing, or the value of record `d`, on every path before."""
        before = [
            f"(a.c{self._index[path]} IS NULL OR coalesce({self._equal(path)}, false))" for path in self._match[:place]
        ]
        return " AND ".join(before) or "true"

    def _carried(self, place: int) -> str:
        """The SQL of what account `a` carries instead, for people to read. A login is not shown."""
        cases = [
            f"WHEN NOT ({self._clean(index + 1)}) THEN "
            + (f"{text(f'{path} ')} || a.c{self._index[path]}" if path in NUMBERS else text(f"another {path}"))
            for index, path in enumerate(self._match[:place])
        ]
        return f"CASE {' '.join(cases)} END" if cases else "NULL"

    def _strangers(self, place: int) -> tuple[str, str]:
        """Joins, and the SQL of the key of another record that account `a` carries on a later path."""
        later = [self._index[path] for path in self._match[place + 1 :] if path in NUMBERS]
        joins = [
            f"LEFT JOIN (SELECT * FROM desired UNION ALL SELECT * FROM left_out) o{i} "
            f"ON o{i}.d{i} = a.c{i} AND o{i}.key = o{i}.d{i} AND o{i}.n <> d.n"
            for i in later
        ]
        return " ".join(joins), f"coalesce({', '.join([*(f'o{i}.key' for i in later), 'NULL'])})"

    def _rivals(self, path: str) -> str:
        """The SQL of who is left out, has no account, and has a value of a path: (value, first key, last key)."""
        value = comparable(self._places[path], f"v.d{self._index[path]}")
        return (
            f"SELECT {value} AS value, min(v.key) AS first, max(v.key) AS last FROM left_out v WHERE v.key IS NOT NULL "
            "AND v.key NOT IN (SELECT key FROM links) GROUP BY 1"
        )

    def _match_on(self, place: int) -> None:
        sql, path = self._bench.sql, self._match[place]
        if not self._meet(path):
            return
        joins, stranger = self._strangers(place)
        joins += f" LEFT JOIN ({self._rivals(path)}) v ON v.value = {self._sides(path)[1]}"
        rival = "CASE WHEN v.first <> d.key THEN v.first WHEN v.last <> d.key THEN v.last END"
        sql.execute(
            "CREATE OR REPLACE TEMP TABLE found AS SELECT d.n, d.key, d.place, a.id, coalesce(a.active, true) AS open, "
            f"{self._live('d')} AS live, f.key AS former, {self._carried(place)} AS carried, {stranger} AS stranger, "
            f"{rival} AS rival, "
            f"({self._clean(place)}) AND f.key IS NULL AS counts "
            f"FROM desired d JOIN accounts a ON {self._equal(path)} LEFT JOIN orphans f ON f.account = a.id {joins} "
            "WHERE d.n NOT IN (SELECT n FROM pairing) AND a.id NOT IN (SELECT id FROM pairing) "
            "AND d.n NOT IN (SELECT n FROM doubtful WHERE code <> 'correlation.ambiguous') "
            "AND a.id NOT IN (SELECT account FROM links WHERE NOT ours OR key NOT IN (SELECT key FROM orphans)) "
            "AND NOT EXISTS (SELECT 1 FROM parted t WHERE t.key = d.key AND t.account = a.id)"
        )
        if not self._are("found"):
            return
        sql.execute(
            "CREATE OR REPLACE TEMP TABLE hits AS SELECT *, count(*) FILTER (WHERE counts) OVER (PARTITION BY n) AS "
            "per_record, count(*) FILTER (WHERE counts) OVER (PARTITION BY id) AS per_account FROM found"
        )
        clear = "counts AND per_record = 1 AND per_account = 1 AND stranger IS NULL AND rival IS NULL"
        sql.execute(f"INSERT INTO pairing SELECT n, key, id FROM hits WHERE {clear}")
        if not self._are(f"hits WHERE NOT ({clear})"):
            return
        for code, test, more in (
            ("correlation.contested", "counts AND per_record = 1 AND per_account > 1", "''"),
            (
                "correlation.contested",
                "counts AND per_record = 1 AND per_account = 1 AND stranger IS NOT NULL",
                "'; the account carries the key ' || stranger",
            ),
            (
                "correlation.contested",
                "counts AND per_record = 1 AND per_account = 1 AND stranger IS NULL AND rival IS NOT NULL",
                "'; the record of ' || rival || ' fits it too, and waits'",
            ),
            ("correlation.ambiguous", "counts AND per_record > 1", "''"),
            (
                "correlation.taken",
                "per_record = 0 AND (live OR (open AND former IS NULL))",
                "coalesce('; the account of ' || former, '; the account carries ' || carried, '')",
            ),
        ):
            sql.execute(
                f"INSERT INTO doubtful SELECT DISTINCT n, key, place, '{code}', ? || {more}, "
                f"id, key, {'former' if code == 'correlation.taken' else 'NULL'} FROM hits WHERE {test}",
                [f"on {path}"],
            )

    def _disputes(self, *, follow: bool) -> None:
        """Find people who leave, by absence or as inactive, while another record is the same person by two marks."""
        sql, active = self._bench.sql, self._index.get("active")
        not_out = f"d{active} IS DISTINCT FROM 'false'" if active is not None else "true"
        sql.execute(
            "CREATE OR REPLACE TEMP TABLE speakers AS SELECT *, true AS good FROM desired d WHERE "
            f"{self._live('d')} AND n NOT IN (SELECT n FROM pairing) "
            f"UNION ALL SELECT *, false FROM left_out WHERE {not_out}"
        )
        if not self._are("speakers"):
            return
        sql.execute(
            "CREATE OR REPLACE TEMP TABLE owners AS SELECT f.key AS owner, NULL::BIGINT AS n, NULL::BIGINT AS place, "
            "a.id FROM orphans f JOIN accounts a ON a.id = f.account WHERE a.id NOT IN (SELECT id FROM pairing) "
            "UNION ALL SELECT p.key, p.n, d.place, p.id FROM pairing p JOIN desired d ON d.n = p.n "
            f"WHERE NOT coalesce({self._live('d')}, false)"
        )
        if not self._are("owners"):
            return
        number, names = self._agreement({mark.name: self._agrees(mark) for mark in self._marks})
        hits = " UNION ".join(
            f"SELECT d.n, a.id FROM speakers d JOIN accounts a ON {self._equal(path)} WHERE a.id IN "
            "(SELECT id FROM owners)"
            for path in self._found_by(self._match)
        )
        sql.execute(
            f"CREATE OR REPLACE TEMP TABLE met AS {hits or 'SELECT NULL::BIGINT AS n, NULL::VARCHAR AS id WHERE false'}"
        )
        if not self._are("met"):
            return
        sql.execute(
            "INSERT INTO disputed SELECT d.n, d.key, d.place, d.good, a.id, "
            "coalesce(a.active, true) AS open, v.owner, "
            f"v.n AS owner_n, v.place AS owner_place, {number} AS agreeing, {names} AS detail, {self._own()} AS own "
            "FROM met h JOIN speakers d ON d.n = h.n "
            "JOIN accounts a ON a.id = h.id JOIN owners v ON v.id = a.id LEFT JOIN base b ON b.key = v.owner "
            f"WHERE d.key <> v.owner AND {number} >= {SAME} "
            "AND NOT EXISTS (SELECT 1 FROM parted t WHERE t.key = d.key AND t.account = a.id)"
        )
        if follow:
            self._follow()
        sql.execute("DELETE FROM doubtful WHERE n IN (SELECT n FROM disputed)")
        sql.execute(
            "INSERT INTO doubtful SELECT n, key, place, 'correlation.contested', 'also ' || owner || "
            "', by ' || detail, id, key, owner FROM disputed WHERE good UNION ALL "
            "SELECT owner_n, owner, owner_place, 'correlation.contested', 'also ' || key || "
            "', by ' || detail, id, key, owner FROM disputed WHERE owner_n IS NOT NULL AND open"
        )
        sql.execute("DELETE FROM pairing WHERE n IN (SELECT owner_n FROM disputed WHERE owner_n IS NOT NULL AND open)")

    def _own(self) -> str:
        """The SQL that says that account `a` carries nothing but what is this record's or was the former owner's."""
        held = [
            f"(a.c{index} IS NULL OR coalesce({self._equal(path)}, false) OR a.c{index} = v.owner "
            f"OR coalesce(a.c{index} = b.b{index}, false))"
            for path in self._match
            for index in [self._index[path]]
        ]
        return " AND ".join(held) or "true"

    def _follow(self) -> None:
        """Where enough agrees, and nobody else claims either, the account follows its person to the new key."""
        sql = self._bench.sql
        sql.execute(
            "INSERT INTO moved SELECT n, key, place, id, owner, 'from ' || owner || ', by ' || detail FROM disputed "
            f"WHERE good AND own AND agreeing >= {FOLLOWED} "
            "AND n IN (SELECT n FROM disputed GROUP BY n HAVING count(*) = 1) "
            "AND id IN (SELECT id FROM disputed GROUP BY id HAVING count(*) = 1) "
            "AND n NOT IN (SELECT n FROM doubtful WHERE code <> 'correlation.taken')"
        )
        sql.execute("DELETE FROM pairing WHERE id IN (SELECT id FROM moved)")
        sql.execute("INSERT INTO pairing SELECT n, key, id FROM moved")
        sql.execute("DELETE FROM disputed WHERE id IN (SELECT id FROM moved)")
        sql.execute("DELETE FROM doubtful WHERE n IN (SELECT n FROM moved)")

    def _inherit(self) -> None:
        """What was agreed is about an account: it goes with the account to a new key, and not with a key to another."""
        sql = self._bench.sql
        sql.execute(  # most is about the account that its person has, and stays
            f"CREATE OR REPLACE TEMP TABLE loose AS SELECT key, {ACCOUNT} FROM base b "
            f"ANTI JOIN pairing p ON p.key = b.key AND p.id = b.{ACCOUNT}"
        )
        if not self._are("loose"):
            return
        sql.execute(
            "CREATE OR REPLACE TEMP TABLE strayed AS "
            f"SELECT b.key FROM loose b JOIN pairing p ON p.key = b.key WHERE b.{ACCOUNT} <> p.id"
        )
        if self._are("strayed"):
            sql.execute("DELETE FROM base WHERE key IN (SELECT key FROM strayed)")
            sql.execute("INSERT INTO rebased SELECT key FROM strayed")
        sql.execute(
            f"CREATE OR REPLACE TEMP TABLE heirs AS SELECT p.key, min(b.key) AS former FROM pairing p "
            f"JOIN loose b ON b.{ACCOUNT} = p.id WHERE b.key <> p.key AND b.key NOT IN (SELECT key FROM pairing) AND "
            "(p.n IN (SELECT n FROM moved) OR EXISTS "
            "(SELECT 1 FROM links l WHERE l.ours AND l.key = p.key AND l.account = p.id)) "
            "GROUP BY p.key"
        )
        if self._bench.number("SELECT count(*) FROM heirs"):
            sql.execute("DELETE FROM base WHERE key IN (SELECT key FROM heirs)")
            sql.execute("UPDATE base SET key = h.key FROM heirs h WHERE base.key = h.former")
            sql.execute("INSERT INTO rebased SELECT key FROM heirs UNION SELECT former FROM heirs")

    # --- who is new ---------------------------------------------------------------------------

    def _owned(self) -> None:
        """A login that two new records want, or a login or number that an account has, is nobody's to take."""
        sql = self._bench.sql
        free = f"{self._live()} AND n NOT IN (SELECT n FROM pairing) AND n NOT IN (SELECT n FROM doubtful)"
        if not self._are(f"desired WHERE {free}"):
            return
        if _LOGIN in self._index:
            wanted = f"lower(d{self._index[_LOGIN]})"
            sql.execute(
                "INSERT INTO doubtful SELECT n, key, place, 'record.duplicate-login', 'on userName', NULL, NULL, NULL "
                f"FROM desired WHERE {free} AND {wanted} IN (SELECT {wanted} FROM desired WHERE {free} "
                "GROUP BY 1 HAVING count(*) > 1)"
            )
        for path in filter(self._meet, self._found_by(path for path in self._match if path in NUMBERS)):
            kept = "true"
            if path == _LOGIN:  # a login that its owner gives up by HR's word is handed on in its turn
                given = f"o.d{self._index[_LOGIN]}"
                kept = (
                    f"NOT EXISTS (SELECT 1 FROM desired o WHERE o.n = p.n AND {given} IS NOT NULL "
                    f"AND lower({given}) <> lower(a.user_name))"
                )
            sql.execute(
                "INSERT INTO doubtful SELECT d.n, d.key, d.place, 'correlation.taken', ? || "
                "coalesce('; the account of ' || coalesce(p.key, l.key), ''), a.id, d.key, coalesce(p.key, l.key) "
                f"FROM desired d JOIN accounts a ON {self._equal(path)} LEFT JOIN pairing p ON p.id = a.id "
                f"LEFT JOIN links l ON l.account = a.id WHERE {self._live('d')} AND d.n NOT IN "
                f"(SELECT n FROM pairing) AND d.n NOT IN (SELECT n FROM doubtful) AND {kept}",
                [f"on {path}"],
            )

    def _joiners(self, *, complete: bool) -> None:
        self._bench.sql.execute(
            "CREATE OR REPLACE TABLE joiners AS SELECT n, key FROM desired WHERE n NOT IN (SELECT n FROM pairing) "
            f"AND n NOT IN (SELECT n FROM doubtful) AND {self._live()} AND {'true' if complete else 'false'}"
        )

    def _unsure(self) -> None:
        """The accounts that a record which was left out, or is in doubt, may be about."""
        unsure = "SELECT key FROM held WHERE key IS NOT NULL UNION ALL SELECT key FROM doubtful"
        queries = [
            f"SELECT account AS id FROM links WHERE key IN ({unsure})",
            "SELECT id FROM disputed",
            owning.ACCOUNTS,
        ]
        for place, path in enumerate(self._match if self._are("left_out") or self._are("doubtful") else ()):
            queries += [
                f"SELECT a.id FROM {table} d JOIN accounts a ON {self._equal(path)} "
                f"WHERE {self._clean(place)} AND {where} AND a.id NOT IN (SELECT account FROM links)"
                for table, where in (("left_out", "true"), ("desired", "d.n IN (SELECT n FROM doubtful)"))
            ]
        self._bench.sql.execute(f"CREATE OR REPLACE TABLE unsure AS {' UNION '.join(queries)}")

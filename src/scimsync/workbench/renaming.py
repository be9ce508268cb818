"""Find joiners and leavers who have something in common that nobody else has, in whole tables.

A value that one joiner and one leaver share makes a pair, if both share enough besides: so there are at most as many
pairs as joiners times marks, however many share a switchboard. Only what pairs share is looked for among everybody.
Tables: `r_new` (n, mark, value) of joiners, `r_old` (id, mark, value) of leavers, `r_pairs` (n, id), `r_met` (mark,
value) of what pairs share, `r_crowd` (mark, value, number): how many people have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from scimsync.core.lifecycle import ACTIVE
from scimsync.core.renaming import ENOUGH, Ground, Likeness, Mark, Sign
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Place
from scimsync.workbench import owning
from scimsync.workbench.bench import ACCOUNT, Workbench, row_of
from scimsync.workbench.values import comparable, lowered

_LOGIN = "userName"
_SUFFIX = "name.honorificSuffix"
#: between two values that count together
_JOINT = "chr(31)"


class Renaming:
    """Who may have come again under another key. Wants the tables of `correlating`, and `endings`.

    Args:
        bench: The tables of the run.
        attributes: The mapping, in the order of the columns.
        marks: What people are known by.
        since: Whoever was disabled before this moment is no leaver any more; ISO 8601, UTC.
        whole: Everybody was read; if not, what was agreed about an account stands in for it.
    """

    def __init__(
        self, bench: Workbench, attributes: Sequence[Mapped], marks: Sequence[Mark], *, since: str, whole: bool
    ) -> None:
        self._bench, self._marks, self._since, self._whole = bench, list(marks), since, whole
        self._places: Mapping[str, Place] = {mapped.path: mapped.place for mapped in attributes}
        self._index = {path: index for index, path in enumerate(self._places)}

    def pairs(self) -> Iterator[Likeness]:
        """Each joiner and leaver who agree in enough, and all they say of each other; others may have it, too."""
        if not any(map(self._are, ("joiners", "doubtful", "left_out"))):
            return
        self._joiners()
        if not self._are("r_joiners"):
            return
        self._leavers()
        if not self._are("r_leavers"):
            return
        self._values()
        self._meet()
        if self._are("r_pairs"):
            self._crowds()
            yield from self._told()

    def hold(self, pairs: Iterable[Likeness]) -> None:
        """Make no account for these joiners, and leave the accounts of these leavers as they are."""
        sql = self._bench.sql
        for pair in pairs:
            sql.execute("INSERT INTO r_held VALUES (?, ?)", [pair.n, pair.account])
        if not self._are("r_held"):
            return
        sql.execute(
            "INSERT INTO disputed SELECT j.n, j.key, j.place, j.good, v.id, v.open, v.key, v.n, v.place, 2, '', false "
            "FROM r_held h JOIN r_joiners j ON j.n = h.n JOIN r_leavers v ON v.id = h.id"
        )
        sql.execute("INSERT INTO unsure SELECT DISTINCT id FROM r_held WHERE id NOT IN (SELECT id FROM unsure)")
        sql.execute("DELETE FROM joiners WHERE n IN (SELECT n FROM r_held)")
        sql.execute(
            "DELETE FROM pairing WHERE id IN (SELECT v.id FROM r_held h JOIN r_leavers v ON v.id = h.id WHERE v.open)"
        )

    # --- who -------------------------------------------------------------------------------------

    def _are(self, rows: str) -> bool:
        return self._bench.are(rows)

    @property
    def _live(self) -> str:
        """The SQL that says that record `d` is active."""
        active = self._index.get(ACTIVE)
        return f"d.d{active} = 'true'" if active is not None else "true"

    def _joiners(self) -> None:
        """Make `r_joiners`: also of records that wait anyway, for whom an account may be disabled."""
        sql, active, live = self._bench.sql, self._index.get(ACTIVE), self._live
        not_out = f"d.d{active} IS DISTINCT FROM 'false'" if active is not None else "true"
        sql.execute(
            "CREATE OR REPLACE TABLE r_joiners AS SELECT d.n, d.key, d.place, true AS good FROM desired d "
            f"WHERE {live} AND (d.n IN (SELECT n FROM joiners) OR (d.n NOT IN (SELECT n FROM pairing) "
            f"AND d.n IN (SELECT n FROM doubtful WHERE code <> '{owning.ELSEWHERE}'))) "
            "AND d.n NOT IN (SELECT n FROM disputed WHERE n IS NOT NULL) UNION ALL "
            f"SELECT d.n, d.key, d.place, false FROM left_out d WHERE {not_out} AND d.key IS NOT NULL "
            "AND d.key NOT IN (SELECT key FROM links) AND d.n NOT IN (SELECT n FROM disputed WHERE n IS NOT NULL)"
        )

    def _leavers(self) -> None:
        """Make `r_leavers`."""
        sql, active, live = self._bench.sql, self._index.get(ACTIVE), self._live
        there = "a.id IS NOT NULL" if self._whole else "(a.id IS NOT NULL OR b.key IS NOT NULL)"
        agreed = "true" if active is None else f"b.b{active} IS DISTINCT FROM 'false'"
        out = f"NOT coalesce({live}, false)" if active is not None else "false"
        sql.execute(
            "CREATE OR REPLACE TABLE r_leavers AS SELECT l.key, l.account AS id, l.source, l.ours, d.n, d.place, "
            f"coalesce(a.active, {agreed}) AS open FROM links l LEFT JOIN accounts a ON a.id = l.account "
            "LEFT JOIN base b ON b.key = l.key LEFT JOIN pairing p ON p.id = l.account "
            f"LEFT JOIN desired d ON d.n = p.n LEFT JOIN endings e ON e.key = l.key AND e.account = l.account "
            f"WHERE {there} AND coalesce(p.key, l.key) = l.key "
            "AND l.account NOT IN (SELECT id FROM disputed WHERE id IS NOT NULL) AND "
            f"((l.ours AND (l.key IN (SELECT key FROM orphans) OR (d.n IS NOT NULL AND {out})) "
            f"AND (coalesce(a.active, {agreed}) OR e.since >= ?)) "
            f"OR (NOT l.ours AND NOT coalesce(a.active, {agreed}) AND e.since >= ?))",
            [self._since, self._since],
        )

    # --- what they say -----------------------------------------------------------------------------

    def _values(self) -> None:
        sql = self._bench.sql
        sql.execute("CREATE OR REPLACE TABLE r_new (n BIGINT, mark INTEGER, value VARCHAR)")
        for table, key in (("accounts", "id"), ("base", "key")):  # few, so that nothing is computed of the others
            sql.execute(
                f"CREATE OR REPLACE TABLE r_{table} AS FROM {table} WHERE {key} IN (SELECT {key} FROM r_leavers)"
            )
        sql.execute("CREATE OR REPLACE TABLE r_old (id VARCHAR, mark INTEGER, value VARCHAR)")
        for number, mark in enumerate(self._marks):
            for way in mark.ways:
                wanted = self._value(mark, way, "d.d")
                for table in ("desired", "left_out"):
                    sql.execute(
                        f"INSERT INTO r_new SELECT n, {number}, v FROM (SELECT d.n, {wanted} AS v FROM {table} d "
                        "JOIN r_joiners j ON j.n = d.n) WHERE v <> ''"
                    )
                sql.execute(
                    f"INSERT INTO r_old SELECT id, {number}, v FROM (SELECT r.id, {self._value(mark, way, 'a.c')} "
                    "AS v FROM r_leavers r JOIN r_accounts a ON a.id = r.id UNION ALL "
                    f"SELECT r.id, {self._value(mark, way, 'b.b')} FROM r_leavers r JOIN r_base b "
                    f"ON b.key = r.key AND coalesce(b.{ACCOUNT}, r.id) = r.id) WHERE v <> ''"
                )
        for number, (one, two) in self._joint():
            for table, who in (("r_new", "n"), ("r_old", "id")):
                self._join(table, who, number, one, two)

    def _meet(self) -> None:
        """Make `r_pairs` of who share what no other joiner or leaver has, and enough besides; `r_met` of that.

        Only then it is worth a look at everybody.
        """
        sql = self._bench.sql
        sql.execute("CREATE OR REPLACE TABLE r_grounds (mark INTEGER, ground VARCHAR)")
        strong = [[n, mark.ground.value] for n, mark in enumerate(self._marks) if mark.strong and not mark.of]
        sql.executemany("INSERT INTO r_grounds VALUES (?, ?)", strong or [[-1, ""]])
        alone = "SELECT mark, value, min({who}) AS {who} FROM {table} GROUP BY 1, 2 HAVING count(DISTINCT {who}) = 1"
        sql.execute(
            "CREATE OR REPLACE TABLE r_pairs AS WITH near AS (SELECT DISTINCT x.n, y.id FROM "
            f"({alone.format(who='n', table='r_new')}) x JOIN ({alone.format(who='id', table='r_old')}) y "
            "ON y.mark = x.mark AND y.value = x.value JOIN r_joiners j ON j.n = x.n JOIN r_leavers v ON v.id = y.id "
            "WHERE j.key <> v.key "
            "AND NOT EXISTS (SELECT 1 FROM parted t WHERE t.key = j.key AND t.account = v.id)) "
            "SELECT p.n, p.id FROM near p JOIN r_new x ON x.n = p.n JOIN r_old y ON y.id = p.id AND y.mark = x.mark "
            "AND y.value = x.value JOIN r_grounds g ON g.mark = x.mark GROUP BY ALL "
            f"HAVING count(DISTINCT g.ground) >= {ENOUGH}"
        )
        sql.execute(
            "CREATE OR REPLACE TABLE r_met AS SELECT DISTINCT x.mark, x.value FROM r_pairs p JOIN r_new x ON x.n = p.n "
            "JOIN r_old y ON y.id = p.id AND y.mark = x.mark AND y.value = x.value"
        )

    def _joint(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """The marks that join two others: their number, and those of the two."""
        places = {mark.name: number for number, mark in enumerate(self._marks)}
        for number, mark in enumerate(self._marks):
            if mark.of:
                one, two = (places[name] for name in mark.of)
                yield number, (one, two)

    def _join(self, table: str, who: str, number: int, one: int, two: int, where: str = "true") -> None:
        self._bench.sql.execute(
            f"INSERT INTO {table} SELECT * FROM (SELECT DISTINCT x.{who}, {number} AS mark, "
            f"x.value || {_JOINT} || y.value AS value FROM {table} x JOIN {table} y ON y.{who} = x.{who} "
            f"WHERE x.mark = {one} AND y.mark = {two}) WHERE {where}"
        )

    def _value(self, mark: Mark, way: Sequence[str], side: str) -> str:
        """The SQL of what one side says of a mark; NULL, or '', where it says nothing of its own."""
        parts = [comparable(self._places[path], self._column(path, side)) for path in way]
        if mark.local:
            return f"CASE WHEN contains({parts[0]}, '@') THEN split_part({parts[0]}, '@', 1) END"
        if mark.ground is Ground.NAME:
            return self._name(way, side)
        if mark.ground in {Ground.HIRED, Ground.BORN}:
            return f"left({self._column(way[0], side)}, 10)"
        if mark.ground is Ground.NUMBER and _LOGIN in self._index:
            login = lowered(self._column(_LOGIN, side))
            return f"CASE WHEN {lowered(self._column(way[0], side))} IS DISTINCT FROM {login} THEN {parts[0]} END"
        return parts[0]

    def _name(self, way: Sequence[str], side: str) -> str:
        """The SQL of a name in whatever order and capitals; one word alone, or an address, is no name."""
        given = [self._column(path, side) for path in way]
        whole = " || ' ' || ".join(given)
        if _SUFFIX in self._index:  # a father and his son
            whole += f" || ' ' || coalesce({self._column(_SUFFIX, side)}, '')"
        words = f"list_sort(regexp_extract_all(strip_accents({lowered(f'({whole})')}), '[\\p{{L}}\\p{{N}}]+'))"
        return f"CASE WHEN NOT contains({whole}, '@') AND len({words}) > 1 THEN array_to_string({words}, ' ') END"

    def _column(self, path: str, side: str) -> str:
        return f"{side}{self._index[path]}"

    def _crowds(self) -> None:
        """Count who has a value that a joiner and a leaver share: people in HR, accounts, and what was agreed."""
        sql = self._bench.sql
        sql.execute(
            "CREATE OR REPLACE TABLE r_all AS SELECT id, mark, value FROM r_old SEMI JOIN r_met USING (mark, value)"
        )
        for number, mark in enumerate(self._marks):
            met = f"SELECT value FROM r_met WHERE mark = {number}"
            for way in mark.ways if self._are(f"({met})") else ():
                wanted = self._value(mark, way, "d.d")
                records = " UNION ALL ".join(
                    f"SELECT * FROM (SELECT n, key, {wanted} AS v FROM {table} d) WHERE v IN ({met})"
                    for table in ("desired", "left_out")
                )
                sql.execute(
                    f"INSERT INTO r_all SELECT coalesce(p.id, l.account, 'n:' || d.n), {number}, d.v "
                    f"FROM ({records}) d LEFT JOIN pairing p ON p.n = d.n "
                    "LEFT JOIN links l ON l.key = d.key AND l.ours UNION ALL "
                    f"SELECT id, {number}, v FROM (SELECT a.id, {self._value(mark, way, 'a.c')} AS v FROM accounts a) "
                    f"WHERE v IN ({met})"
                )
        for number, (one, two) in self._joint():
            if self._are(f"r_met WHERE mark = {number}"):
                met = f"value IN (SELECT value FROM r_met WHERE mark = {number})"
                sql.execute(f"DELETE FROM r_all WHERE mark = {number}")
                self._join("r_all", "id", number, one, two, met)
        sql.execute(
            "CREATE OR REPLACE TABLE r_crowd AS SELECT mark, value, count(DISTINCT id) AS number FROM r_all "
            "GROUP BY ALL"
        )

    def _told(self) -> Iterator[Likeness]:
        """The pairs, each with what both say."""
        signs: dict[tuple[object, object], list[Sign]] = {}
        query = (
            "SELECT p.n, p.id, x.mark, coalesce(bool_or(x.value = y.value), false), "
            "coalesce(min(c.number) FILTER (WHERE x.value = y.value), 2) - 2 FROM r_pairs p JOIN r_new x ON x.n = p.n "
            "JOIN r_old y ON y.id = p.id AND y.mark = x.mark LEFT JOIN r_crowd c ON c.mark = x.mark "
            "AND c.value = x.value GROUP BY ALL ORDER BY 1, 2, 3"
        )
        for n, account, mark, agrees, others in self._bench.rows(query):
            sign = Sign(self._marks[int(str(mark))], agrees=bool(agrees), others=max(0, int(str(others))))
            signs.setdefault((n, account), []).append(sign)
        people = self._bench.rows(
            "SELECT p.n, j.key, j.place, v.key, v.id, v.open, CASE WHEN v.ours THEN '' ELSE v.source END "
            "FROM r_pairs p JOIN r_joiners j ON j.n = p.n JOIN r_leavers v ON v.id = p.id ORDER BY j.key, v.key"
        )
        for n, key, place, former, account, active, source in people:
            yield Likeness(
                n=int(str(n)),
                key=str(key),
                row=row_of(place),
                former=str(former),
                account=str(account),
                active=bool(active),
                source=str(source or ""),
                signs=tuple(signs.get((n, account), ())),
            )


def begin(bench: Workbench) -> None:
    """Nobody is held yet."""
    bench.sql.execute("CREATE OR REPLACE TABLE r_held (n BIGINT, id VARCHAR)")


def held(bench: Workbench) -> dict[str, str]:
    """The leavers who are left alone because a joiner is probably they, by key; with the key of one such joiner."""
    query = "SELECT owner, min(key) FROM disputed WHERE id IN (SELECT id FROM r_held) GROUP BY 1 ORDER BY 1"
    return {str(owner): str(key) for owner, key in bench.rows(query)}

"""Find who belongs to whom and who differs, in whole tables; the rules then decide about those few.

The comparison here may call two values different that SCIM calls equal (an exotic letter case, a
phone written oddly); it never does the opposite for values that it hands on. The rules look again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from scimsync.core.references import find_cycles
from scimsync.model.accounts import Leaver, Missing, Pair, Unresolved
from scimsync.model.outcomes import Deferred
from scimsync.model.policy import Authority, Mapped
from scimsync.scim.schema import Kind, Place, Value
from scimsync.workbench.bench import ACCOUNT, Workbench, text
from scimsync.workbench.expressions import ACCOUNT_MARK
from scimsync.workbench.values import lowered, value_of, writable


class Comparison:
    """Both sides of one run, compared. Wants the tables of `mapping`, `accounts`, `past` and `correlating`."""

    def __init__(self, bench: Workbench, attributes: Sequence[Mapped], match: Sequence[Place] = ()) -> None:
        self.bench = bench
        self.attributes = list(attributes)
        self._index = {mapped.path: index for index, mapped in enumerate(attributes)}
        self._match = [place for place in match if place.short in self._index]
        self._references = [i for i, m in enumerate(attributes) if m.place.kind is Kind.REFERENCE]
        #: attributes of which some values are bad and left alone
        self._spoiled: list[int] = []
        #: whether table `differing` says what `wanted` and `accounts` hold
        self._compared = False
        #: table `drifted` is of these tables
        self._drifted = False

    def resolve(self) -> None:
        """Make `wanted`: desired values with the ids of the people that references name.

        `w3` holds the key of a joiner whom the fourth attribute waits for; `u3` says that the
        reference names nobody known, `x3` that the value is bad and left alone.
        """
        self._compared = self._drifted = False
        self._spoiled = [int(str(i)) for (i,) in self.bench.rows("SELECT DISTINCT i FROM spoiled ORDER BY i")]
        self.bench.sql.execute(
            "CREATE OR REPLACE TABLE people AS SELECT key, id FROM pairing UNION ALL "
            "SELECT l.key, l.account FROM (SELECT * FROM links ANTI JOIN pairing USING (key)) l "
            "JOIN accounts a ON a.id = l.account WHERE l.ours OR l.key NOT IN (SELECT key FROM desired "
            "UNION ALL SELECT key FROM held WHERE key IS NOT NULL)"
        )
        self._name_accounts()
        values, joins = [], []
        for index, _ in enumerate(self.attributes):
            if index in self._references:
                found = f"coalesce(p{index}.id, q{index}.id)"
                values.append(f"{found} AS d{index}")
                values.append(f"CASE WHEN p{index}.id IS NULL THEN j{index}.key END AS w{index}")
                values.append(f"(d.d{index} IS NOT NULL AND {found} IS NULL AND j{index}.key IS NULL) AS u{index}")
                joins.append(f"LEFT JOIN named q{index} ON q{index}.name = {lowered(f'd.d{index}')}")
                joins.append(f"LEFT JOIN people p{index} ON p{index}.key = d.d{index}")
                joins.append(f"LEFT JOIN joiners j{index} ON j{index}.key = d.d{index}")
            else:
                values.append(f"d.d{index}")
        values += [f"(d.n IN (SELECT n FROM spoiled WHERE i = {i})) AS x{i}" for i in self._spoiled]
        self.bench.sql.execute(
            f"CREATE OR REPLACE TABLE wanted AS SELECT d.n, d.place, d.key, {', '.join(values)} "
            f"FROM desired d {' '.join(joins)}"
        )

    def _name_accounts(self) -> None:
        """Make `named` (name, id): the accounts that references name by login or id, where that is one account's."""
        asked = " UNION ALL ".join(
            f"SELECT {lowered(f'd{index}')} AS name FROM desired WHERE starts_with(d{index}, {text(ACCOUNT_MARK)})"
            for index in self._references
        )
        names = [f"{text(ACCOUNT_MARK)} || {lowered(column)}" for column in ("user_name", "id")]
        self.bench.sql.execute(
            "CREATE OR REPLACE TABLE named AS SELECT name, min(id) AS id FROM ("
            + " UNION ALL ".join(f"SELECT {name} AS name, id FROM accounts" for name in names)
            + f") WHERE name IN ({asked or 'NULL'}) GROUP BY name HAVING count(DISTINCT id) = 1"
        )

    def circles(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """(path, keys) of the loops in what HR wants references to be: each key names the next, the last the first.

        Whoever names nobody, or is named by nobody, is in no loop: such people are set aside round by
        round, in whole tables, as long as that pays; what is left is walked.
        """
        sql, bench = self.bench.sql, self.bench
        for index in self._references:
            sql.execute(
                "CREATE OR REPLACE TABLE needs AS SELECT d.n AS who, o.n AS whom FROM desired d "
                f"JOIN desired o ON o.key = d.d{index}"
            )
            before, left = 0, bench.number("SELECT count(*) FROM needs")
            while left and (not before or left < 0.9 * before):
                sql.execute(
                    "DELETE FROM needs WHERE who NOT IN (SELECT whom FROM needs) OR whom NOT IN (SELECT who FROM needs)"
                )
                before, left = left, bench.number("SELECT count(*) FROM needs")
            if not left:
                continue
            edges: dict[object, list[object]] = {}
            for who, whom in bench.rows("SELECT who, whom FROM needs ORDER BY who"):
                edges.setdefault(who, []).append(whom)
            loops = find_cycles(edges)
            found = [n for loop in loops for n in loop]
            named = bench.rows("SELECT n, key FROM desired WHERE n IN (SELECT unnest(?))", [found])
            names = {n: str(key) for n, key in named}
            for loop in loops:
                yield self.attributes[index].path, tuple(names[n] for n in loop)

    def settled_references(self, waiting: Iterable[Deferred]) -> Iterator[tuple[str, str]]:
        """(key, path) of those that wait no more: the reference is set, or HR does not want it now.

        A person who was left out of this run goes on waiting.
        """
        edges = list(waiting)
        if not edges:
            return
        columns = [[edge.key for edge in edges], [edge.path for edge in edges], [edge.awaits for edge in edges]]
        self.bench.sql.execute(
            "CREATE OR REPLACE TABLE waiting AS SELECT unnest(?) AS key, unnest(?) AS path, unnest(?) AS awaits",
            columns,
        )
        mapped = {self.attributes[index].path: index for index in self._references}
        yield from ((edge.key, edge.path) for edge in edges if edge.path not in mapped)
        for path, index in mapped.items():
            query = (
                "SELECT w.key FROM waiting w LEFT JOIN desired d ON d.key = w.key LEFT JOIN pairing p ON p.n = d.n "
                "LEFT JOIN accounts a ON a.id = p.id LEFT JOIN people o ON o.key = w.awaits WHERE w.path = ? "
                "AND w.key NOT IN (SELECT key FROM held WHERE key IS NOT NULL) "
                f"AND (d.n IS NULL OR d.n NOT IN (SELECT n FROM spoiled WHERE i = {index})) "
                f"AND (d.d{index} IS DISTINCT FROM w.awaits OR a.c{index} = o.id) ORDER BY w.key"
            )
            for (key,) in self.bench.rows(query, [path]):
                yield str(key), path

    # --- comparison -------------------------------------------------------------------------

    def _differs(self, index: int, left: str = "w", right: str = "a") -> str:
        wanted, held, place = f"{left}.d{index}", f"{right}.c{index}", self.attributes[index].place
        test = f"({wanted} IS DISTINCT FROM {held})"
        if writable(place, wanted) != wanted:  # texts that are equal are so in every form
            form = f"{writable(place, wanted)} IS DISTINCT FROM {writable(place, held)}"
            test = f"(CASE WHEN {test} THEN {form} ELSE false END)"
        if index in self._references:
            test = f"(({test} OR {left}.w{index} IS NOT NULL) AND NOT {left}.u{index})"
        if self.attributes[index].place.dropped:
            test = f"({test} AND NOT {self._inactive(left, right)})"
        return f"({test} AND NOT {left}.x{index})" if index in self._spoiled else test

    def _inactive(self, left: str = "w", right: str = "a") -> str:
        """The SQL that says of whom nothing is compared that the directory takes from inactive people."""
        index = self._index.get("active")
        wanted = "true" if index is None else f"{left}.d{index} IS DISTINCT FROM 'true'"
        return f"({right}.active IS NOT DISTINCT FROM false AND {wanted})"

    def leave(self, index: int, people: str) -> None:
        """Leave an attribute of some people alone, given as the SQL of their `n`. After `resolve`."""
        self._compared = False
        if index not in self._spoiled:
            self.bench.sql.execute(f"ALTER TABLE wanted ADD COLUMN x{index} BOOLEAN DEFAULT false")
            self._spoiled.append(index)
        self.bench.sql.execute(f"UPDATE wanted SET x{index} = true WHERE n IN ({people})")

    def is_told(self, index: int) -> str:
        """The SQL that says of a row of `wanted` (w) whether what HR says of an attribute is known and can be meant."""
        left = [f"w.x{index}"] if index in self._spoiled else []
        left += [f"w.u{index}", f"w.w{index} IS NOT NULL"] if index in self._references else []
        return f"NOT ({' OR '.join(left)})" if left else "true"

    def looked_at(self, key: str) -> str:
        """The SQL that says whether a key is one of the people who are looked at."""
        return self._filter(key)

    def _filter(self, key: str) -> str:
        return f"((SELECT count(*) FROM only_keys) = 0 OR {key} IN (SELECT key FROM only_keys))"

    def strangers(self, keys: Sequence[str]) -> list[str]:
        """The keys that neither the source nor a link knows."""
        query = (
            "SELECT count(*) FROM (SELECT key FROM desired UNION ALL SELECT key FROM held "
            "UNION ALL SELECT key FROM links WHERE ours) WHERE key = ?"
        )
        return [key for key in keys if not self.bench.number(query, [key])]

    def nobody(self, names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        """Which of these names, in lower case, are nobody's key or login, each with one that is near."""
        sql, logins = self.bench.sql, ["SELECT user_name FROM accounts"]
        if (index := self._index.get("userName")) is not None:
            logins += [f"SELECT d{index} FROM {table}" for table in ("desired", "left_out")]
        keys = [f"SELECT key FROM {table}" for table in ("desired", "held", "links")]
        everybody = f"({' UNION ALL '.join([*keys, *logins])}) k(name)"
        known = f"SELECT DISTINCT {lowered('tidy(name)')} AS name FROM {everybody}"
        # most are somebody's as they are written, and need no tidying of everybody
        found = f"SELECT lower(name) FROM {everybody} WHERE lower(name) IN (SELECT unnest(?::VARCHAR[]))"
        given = sorted(names)
        if not given:
            return
        left = sorted({*given}.difference(str(name) for (name,) in sql.execute(found, [given]).fetchall()))
        unknown = f"SELECT name FROM (SELECT unnest(?::VARCHAR[]) AS name) EXCEPT {known} ORDER BY 1"
        for (name,) in sql.execute(unknown, [left]).fetchall() if left else ():
            near = sql.execute(
                f"SELECT name FROM ({known}) WHERE damerau_levenshtein(name, ?) <= least(2, length(name) // 4) "
                "ORDER BY damerau_levenshtein(name, ?), name LIMIT 1",
                [name, name],
            ).fetchone()
            yield name, str(near[0]) if near else None

    def _compare(self) -> None:
        """Make `differing`: of everybody who has an account and differs in some managed attribute, in which (x0, ...).

        The one statement in which all values of all people are compared.
        """
        if self._compared:
            return
        tests = [self._differs(i) for i, _ in enumerate(self.attributes)]
        columns = ", ".join(f"{test} AS x{i}" for i, test in enumerate(tests))
        self.bench.sql.execute(
            f"CREATE OR REPLACE TABLE differing AS SELECT w.n, p.id, {columns} FROM wanted w "
            f"JOIN pairing p ON p.n = w.n JOIN accounts a ON a.id = p.id WHERE {' OR '.join(tests)}"
        )
        self._compared = True

    def drifted(self) -> str:
        """Make `drifted` (n, key), once: of whom HR says other than was agreed, or with whom nothing was; its name."""
        if not self._drifted:
            # what is agreed is what HR wants, or what was agreed before: where these are one, nothing moves
            tests = [f"coalesce(w.d{i}, '') IS DISTINCT FROM b.b{i}" for i, _ in enumerate(self.attributes)]
            self.bench.sql.execute(
                "CREATE OR REPLACE TEMP TABLE drifted AS SELECT w.n, w.key FROM wanted w JOIN pairing p ON p.n = w.n "
                f"LEFT JOIN base b ON b.key = w.key "
                f"WHERE b.key IS NULL OR b.{ACCOUNT} IS DISTINCT FROM p.id OR {' OR '.join(tests)}"
            )
            self._drifted = True
        return "drifted"

    def caught_up(self) -> int:
        """How many people hold all that HR says now, where we agreed on something else: none of our runs wrote it."""
        if not self.bench.are("base") or not self.bench.are(self.drifted()):
            return 0
        self._compare()
        moved = [
            f"(coalesce(w.d{i}, '') <> b.b{i} AND {self.is_told(i)})"
            for i, mapped in enumerate(self.attributes)
            if mapped.authority is not Authority.MERGE and not mapped.place.dropped
        ]
        return self.bench.number(
            f"SELECT count(*) FROM (SELECT n FROM {self.drifted()} ANTI JOIN differing USING (n)) "
            "JOIN wanted w USING (n) JOIN pairing p ON p.n = w.n "
            f"JOIN base b ON b.key = w.key AND b.{ACCOUNT} = p.id WHERE {' OR '.join(moved) or 'false'}"
        )

    def pairs(self) -> Iterator[Pair]:
        """Everybody who has an account and differs in some managed attribute."""
        self._compare()
        columns = ["w.key", "a.user_name", "w.place", "a.id", "a.version", "a.active"]
        for index, _ in enumerate(self.attributes):
            columns += [f"w.d{index}", f"a.c{index}", self._base(index)]
        columns += self._marks()
        query = (
            f"SELECT {', '.join(columns)} FROM differing p JOIN wanted w ON w.n = p.n "
            f"JOIN accounts a ON a.id = p.id LEFT JOIN base b ON b.key = w.key {self._formerly()}"
            f"WHERE {self._filter('w.key')} ORDER BY w.key"
        )
        for row in self.bench.rows(query) if self.bench.are("differing") else ():
            yield self._pair(row)

    def _base(self, index: int) -> str:
        """The SQL of what was agreed; of what others may fill, also of what shows that the value is ours."""
        return (
            f"coalesce(b.b{index}, f.f{index}, k{index}.key)" if self.attributes[index].place.filled else f"b.b{index}"
        )

    def _formerly(self) -> str:
        """The joins by which a value is ours: it was agreed with the account under another key, or is a linked key."""
        filled = [index for index, mapped in enumerate(self.attributes) if mapped.place.filled]
        if not filled:
            return ""
        values = ", ".join(f"max(b{index}) AS f{index}" for index in filled)
        keys = [f"LEFT JOIN links k{i} ON k{i}.account = a.id AND k{i}.key = a.c{i}" for i in filled]
        former = (
            f"LEFT JOIN (SELECT {ACCOUNT} AS id, {values} FROM base "
            f"WHERE {ACCOUNT} IN (SELECT id FROM differing) GROUP BY 1) f ON f.id = a.id"
        )
        return f"{former} {' '.join(keys)} "

    def _pair(self, row: Sequence[object]) -> Pair:
        desired: dict[str, Value] = {}
        current: dict[str, Value] = {"active": row[5] if isinstance(row[5], bool) else None}
        base: dict[str, Value] = {}
        last = 6 + 3 * len(self.attributes)
        sides = zip(self.attributes, row[6:last:3], row[7:last:3], row[8:last:3], strict=True)
        for mapped, wanted, held, agreed in sides:
            path, place = mapped.path, mapped.place
            value = desired[path] = value_of(place, wanted)
            # one text is one value, and one object: most are, and need not be taken apart to be seen as equal
            shown = current[path] = value if held == wanted else value_of(place, held)
            if agreed is not None:
                base[path] = value if agreed == wanted else shown if agreed == held else value_of(place, agreed)
        awaits, unresolved, left_out = self._waiting(row[last:])
        return Pair(
            key=str(row[0]),
            name=str(row[1] or ""),
            row=row[2] if isinstance(row[2], int) else None,
            account=str(row[3]),
            version=str(row[4] or ""),
            desired=desired,
            current=current,
            base=base,
            awaits=awaits,
            unresolved=unresolved,
            left_out=left_out,
        )

    def _marks(self) -> list[str]:
        """The columns of `wanted` that say which values wait, name nobody or are left alone."""
        return [c for i in self._references for c in (f"w.w{i}", f"w.u{i}")] + [f"w.x{i}" for i in self._spoiled]

    def _waiting(self, rest: Sequence[object]) -> tuple[dict[str, str], frozenset[str], frozenset[str]]:
        awaits, unresolved = {}, set()
        for number, index in enumerate(self._references):
            path = self.attributes[index].path
            if rest[2 * number] is not None:
                awaits[path] = str(rest[2 * number])
            if rest[2 * number + 1]:
                unresolved.add(path)
        marks = rest[2 * len(self._references) :]
        left_out = {self.attributes[i].path for i, mark in zip(self._spoiled, marks, strict=True) if mark}
        return awaits, frozenset(unresolved), frozenset(left_out)

    def joiners(self) -> Iterator[Pair]:
        """Everybody who should have an account and has none."""
        columns = ["w.key", "w.place", *(f"w.d{i}" for i, _ in enumerate(self.attributes))]
        columns += self._marks()
        query = (
            f"SELECT {', '.join(columns)} FROM wanted w JOIN joiners j ON j.n = w.n "
            f"WHERE {self._filter('w.key')} ORDER BY w.key"
        )
        for row in self.bench.rows(query) if self.bench.are("joiners") else ():
            desired = {m.path: value_of(m.place, row[2 + index]) for index, m in enumerate(self.attributes)}
            awaits, unresolved, left_out = self._waiting(row[2 + len(self.attributes) :])
            yield Pair(
                key=str(row[0]),
                name=str(desired.get("userName") or row[0]),
                row=row[1] if isinstance(row[1], int) else None,
                account=None,
                version="",
                desired=desired,
                awaits=awaits,
                unresolved=unresolved,
                left_out=left_out,
            )

    def leavers(self) -> Iterator[Leaver]:
        """Everybody whose active account is linked to a key that is no longer in the source.

        Not one whose account another record may be about, by more than the login.
        """
        if not self.bench.are("orphans"):
            return
        index = self._index.get("active")
        column = "NULL" if index is None else f"b.b{index}"
        query = (
            f"SELECT min(l.key), a.user_name, a.id, a.version, min({column}), a.active FROM orphans l "
            "JOIN accounts a ON a.id = l.account LEFT JOIN base b ON b.key = l.key "
            f"WHERE coalesce(a.active, {column} = 'true', true) AND a.id NOT IN (SELECT id FROM pairing) "
            f"AND {self._filter('l.key')} AND a.id NOT IN (SELECT id FROM disputed) GROUP BY 2, 3, 4, 6 ORDER BY 1"
        )
        for key, name, account, version, base, shown in self.bench.rows(query):
            agreed = None if base is None else base == "true"
            yield Leaver(str(key), str(name or ""), str(account), str(version or ""), agreed, shown is not None)

    def hidden(self) -> Iterator[tuple[str, int | None]]:
        """Key and place of who shall have access, and of whom alone the directory does not show whether they have."""
        index = self._index.get("active")
        if index is None or not self.bench.are("accounts WHERE active IS NULL"):
            return
        query = (
            "SELECT w.key, w.place FROM wanted w JOIN pairing p ON p.n = w.n JOIN accounts a ON a.id = p.id "
            f"LEFT JOIN base b ON b.key = w.key WHERE a.active IS NULL AND w.d{index} = 'true' "
            f"AND b.b{index} IS DISTINCT FROM 'false' AND {self._filter('w.key')} "
            "AND EXISTS (SELECT 1 FROM accounts WHERE active IS NOT NULL) ORDER BY w.key"
        )
        for key, place in self.bench.rows(query):
            yield str(key), place if isinstance(place, int) else None

    def left_alone(self) -> str:
        """The SQL of the accounts that a record which was left out, or is in doubt, or another source, may be about."""
        return "SELECT id FROM unsure"

    def members_left_alone(self) -> str:
        """The SQL of the accounts whose memberships stay as they are: also of suspects."""
        return f"{self.left_alone()} UNION SELECT id FROM suspects"

    def logins(self) -> str:
        """The SQL of the logins that HR gives people who have an account: (id, login)."""
        if (index := self._index.get("userName")) is None:
            return "SELECT NULL::VARCHAR AS id, NULL::VARCHAR AS login WHERE false"
        return f"SELECT p.id, d.d{index} AS login FROM pairing p JOIN desired d ON d.n = p.n"

    def vanished(self) -> Iterator[str]:
        """The keys of people who are not in the source, and whose account was deleted: nothing is left to take away."""
        if not self.bench.are("gone"):
            return
        query = (
            "SELECT l.key FROM links l JOIN gone g ON g.id = l.account WHERE l.ours AND l.key NOT IN "
            "(SELECT key FROM desired) AND l.key NOT IN (SELECT key FROM held WHERE key IS NOT NULL) ORDER BY 1"
        )
        yield from (str(key) for (key,) in self.bench.rows(query))

    def opaque(self) -> int:
        """How many records could be anybody's: without key, or with a bad mark under a key that no link knows."""
        if not self.bench.are("held"):
            return 0
        marks = ", ".join(str(self._index[place.short]) for place in self._match)
        return self.bench.number(
            "SELECT count(*) FROM held WHERE (key IS NULL OR key NOT IN (SELECT key FROM links)) AND (key IS NULL OR "
            f"n NOT IN (SELECT n FROM left_out) OR n IN (SELECT n FROM spoiled WHERE i IN ({marks or 'NULL'})))"
        )

    def holders(self, logins: Iterable[str]) -> dict[str, frozenset[str]]:
        """The ids of the accounts that have one of these logins, by login in lower case."""
        query = (
            f"SELECT {lowered('user_name')} AS login, list(id) FROM accounts "
            "WHERE login IN (SELECT unnest(?::VARCHAR[])) GROUP BY 1"
        )
        wanted = list(logins)
        found = self.bench.rows(query, [wanted]) if wanted else ()
        return {str(login): frozenset(map(str, ids)) for login, ids in found if isinstance(ids, list)}

    def linked(self) -> int:
        """How many records have an account."""
        return self.bench.number("SELECT count(*) FROM pairing")

    def absent(self) -> int:
        """How many people with access are not in a delivery of changes."""
        if not self.bench.are("absent"):
            return 0
        return self.bench.number(
            "SELECT count(DISTINCT a.id) FROM absent b JOIN links l ON l.key = b.key AND l.ours "
            "JOIN accounts a ON a.id = l.account WHERE a.active IS DISTINCT FROM false"
        )

    def unresolved(self, only: Sequence[str] = ()) -> Iterator[Unresolved]:
        """Each reference that names nobody with an account, with the reason; of some people where they are named."""
        status = self._index.get("active")
        inactive = "false" if status is None else "n.active_ IS NOT DISTINCT FROM 'false'"
        for index in self._references:
            if not self.bench.are(f"wanted WHERE u{index}"):
                continue
            active = "NULL" if status is None else f"d{status}"
            query = (
                f"SELECT d.key, d.d{index}, CASE WHEN starts_with(d.d{index}, {text(ACCOUNT_MARK)}) "
                f"THEN 'login' WHEN n.key IS NOT NULL AND {inactive} THEN 'inactive' WHEN n.key IS NOT NULL THEN "
                f"'without' WHEN d.d{index} IN (SELECT key FROM held WHERE key IS NOT NULL) THEN 'left-out' "
                "ELSE 'nowhere' END FROM wanted w JOIN desired d ON d.n = w.n "
                f"LEFT JOIN (SELECT key, any_value({active}) AS active_ FROM desired GROUP BY key) n "
                f"ON n.key = d.d{index} WHERE w.u{index} ORDER BY d.key"
            )
            for key, named, why in self.bench.rows(query):
                name = str(named).removeprefix(ACCOUNT_MARK)
                if not only or key in only:
                    yield Unresolved(self.attributes[index].path, Missing(why), str(key), name)

    def unmanaged(self) -> str:
        """The SQL that says of an account that HR does not know it."""
        return (
            "id NOT IN (SELECT id FROM pairing) AND id NOT IN (SELECT account FROM links) "
            f"AND id NOT IN ({self.left_alone()})"
        )

    def numbers(self) -> dict[str, int]:
        """How many records, accounts, pairs, unmanaged accounts; attributes compared and equal."""
        self._compare()
        marks = " + ".join(f"x{i}::INTEGER" for i, _ in enumerate(self.attributes))
        asked = {
            "records": "count(*) FROM records",
            "accounts": "count(*) FROM accounts",
            "linked": "count(*) FROM pairing",
            "unmanaged": f"count(*) FROM accounts WHERE {self.unmanaged()}",
            "differing": f"coalesce(sum({marks}), 0) FROM differing WHERE n IN (SELECT n FROM pairing)",
        }
        told = next(self.bench.rows(f"SELECT {', '.join(f'(SELECT {sql})' for sql in asked.values())}"))
        found = {name: int(str(number)) for name, number in zip(asked, told, strict=True)}
        differing, compared = found.pop("differing"), found["linked"] * len(self.attributes)
        return {**found, "absent": self.absent(), "compared": compared, "equal": compared - differing}

    def agreement(self) -> list[str]:
        """The SQL of what both sides agree on now, for each attribute: the base where they differ."""
        return [
            f"CASE WHEN {self._differs(i)}{f' OR w.u{i}' if i in self._references else ''}"
            f"{f' OR w.x{i}' if i in self._spoiled else ''}"
            f"{f' OR {self._inactive()}' if m.place.dropped else ''} THEN b.b{i} ELSE coalesce(w.d{i}, '') END"
            for i, m in enumerate(self.attributes)
        ]

"""Bring the accounts of the directory into the table `accounts`, and read again those that a listing shows late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
import msgspec

from scimsync import files
from scimsync.errors import ConfigError
from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Mapped
from scimsync.scim.forms import TRUTHS
from scimsync.scim.schema import Attribute, Catalog, Kind, Place, Value
from scimsync.workbench.bench import MARK, Workbench, encode, quoted, row_of, text
from scimsync.workbench.forms import Forms
from scimsync.workbench.mirror import Mirror
from scimsync.workbench.values import ELEMENT, list_text, value_of

#: the SQL of the version, as `scim.messages.version_of` reads it: what no header can carry is none
_VERSION = (
    "CASE WHEN regexp_matches(meta.version, '[\\x00-\\x1f\\x7f]') THEN '' ELSE "
    "regexp_replace(trim(coalesce(meta.version, '')), '^\"(.*)\"$', '\\1') END"
)
#: an account with its fingerprint
_TAGGED = b'{"%s":%%d,%%s' % MARK.encode()


def _line(resource: bytes) -> bytes:
    """A resource as one line of JSON."""
    return resource if b"\n" not in resource else encode(msgspec.json.decode(resource))


class AccountSpool:
    """Takes the raw resources of a sweep, and makes the table `accounts` of them.

    Columns: id, user_name, active, version, then c0, c1, ... in the order of the attributes. `active` is NULL
    where the directory does not show it: unknown, which is neither true nor false.
    """

    def __init__(
        self, bench: Workbench, catalog: Catalog, attributes: Sequence[Mapped], mirror: Mirror | None = None
    ) -> None:
        self._bench, self._mirror = bench, mirror
        self._places = [mapped.place for mapped in attributes]
        self._columns = _resource_columns(catalog, self._places)
        self._path = bench.spool / "accounts.ndjson"
        self._file = self._path.open("wb")
        self._forms = Forms(catalog)

    def take(self, resources: Sequence[bytes]) -> None:
        """Write the resources of one page to the spool. Each must be one line of JSON or is made one.

        An account that is listed as the mirror remembers it is not written: its values are known.
        """
        if self._mirror is None:
            lines = [_line(resource) for resource in resources]
        else:
            lines = [_TAGGED % (mark, _line(resource)[1:]) for mark, resource in self._mirror.unknown(resources)]
        if lines:
            self._file.write(b"\n".join(lines) + b"\n")

    def load(self, keep: Path | None = None) -> int:
        """Make the table; return how many accounts it holds.

        Args:
            keep: Where the accounts are kept as they were read, one JSON object a line; not kept where None.

        Raises:
            ConfigError: They cannot be kept there.
        """
        self._file.close()
        if keep is not None:
            try:
                with self._path.open("rb") as read:
                    files.write(keep, read)
            except OSError as error:
                raise ConfigError(f"--keep-accounts {keep}: cannot be written ({error.strerror}).") from error
        sql = self._bench.sql
        sql.execute("CREATE OR REPLACE TABLE renewed (id VARCHAR)")
        if self._mirror is None:
            self._execute("CREATE OR REPLACE TABLE accounts AS")
        else:
            self._execute("CREATE OR REPLACE TABLE accounts AS", marked=True)
            sql.execute("CREATE OR REPLACE TABLE decoded AS SELECT id, version, h FROM accounts")
            sql.execute("ALTER TABLE accounts DROP COLUMN h")
            with self._mirror.readable():
                if known := self._mirror.met():
                    sql.execute(f"INSERT INTO accounts {known}")
        return self._bench.number("SELECT count(*) FROM accounts")

    def renew(self, resources: Sequence[bytes], gone: Sequence[str]) -> None:
        """Put accounts that were read again in the place of what the sweep showed; take out those that are gone.

        The ids of all that were read again are in table `renewed`.

        Args:
            resources: Raw resources, each one line of JSON.
            gone: Ids of accounts that are not there any more.
        """
        self._path.write_bytes(b"".join(resource + b"\n" for resource in resources))
        self._execute("CREATE OR REPLACE TABLE again AS")
        sql = self._bench.sql
        sql.execute("DELETE FROM accounts WHERE id IN (SELECT id FROM again) OR list_contains(?, id)", [list(gone)])
        sql.execute("INSERT INTO accounts SELECT * FROM again")
        sql.execute("INSERT INTO renewed SELECT id FROM again")

    @property
    def form(self) -> str:
        """How an account is read: what is decoded of it, and what becomes of that."""
        return f"{self._columns} {self._values()}"

    def _values(self) -> str:
        return ", ".join(f"{current(place)} AS c{index}" for index, place in enumerate(self._places))

    def _execute(self, into: str, *, marked: bool = False) -> None:
        """Read the spool file into a table, and remove it."""
        mark = f", {MARK} AS h" if marked else ""
        types = {**self._columns, MARK: "UBIGINT"} if marked else self._columns
        columns = ", ".join(f"{quoted(name)}: {text(kind)}" for name, kind in types.items())
        if self._path.stat().st_size == 0:
            self._path.write_bytes(b"{}\n")
        query = (
            f'{into} SELECT id, "userName" AS user_name, '
            f"{_truth(quoted('active'))} AS active, "
            f"{_VERSION} AS version, "
            f"{self._values()}{mark} FROM read_ndjson({text(str(self._path))}, columns = {{{columns}}}, "
            "maximum_object_size = 67108864) WHERE id IS NOT NULL"
        )
        table = into.split()[-2]
        try:
            self._bench.sql.execute(query)
            odd = self._bench.number(f"SELECT count(*) FROM {table} WHERE user_name[1] IN ('[', '{{')")
        except duckdb.Error:
            odd = 1
        if odd:  # an account has another form than its schema gives it, and must not stop the others
            self._forms.mend(self._path)
            self._bench.sql.execute(query)
        self._path.unlink()

    @property
    def findings(self) -> list[Finding]:
        """What was met in another form than the schema gives it."""
        return self._forms.findings

    def close(self) -> None:
        """Give up: close the spool file."""
        self._file.close()


def _resource_columns(catalog: Catalog, places: Sequence[Place]) -> dict[str, str]:
    columns = {"id": "VARCHAR", "userName": "VARCHAR", "active": "VARCHAR", "meta": "STRUCT(version VARCHAR)"}
    extensions: dict[str, dict[str, str]] = {}
    for place in places:
        holder = columns if place.urn is None else extensions.setdefault(place.urn, {})
        kind = "VARCHAR" if place.attribute.type == "boolean" else _json_type(place.attribute)
        holder.setdefault(place.attribute.name, kind)
    for schema in catalog.extensions:
        if members := extensions.get(schema.id):
            fields = ", ".join(f"{quoted(name)} {kind}" for name, kind in members.items())
            columns[schema.id] = f"STRUCT({fields})"
    return columns


def _json_type(attribute: Attribute) -> str:
    if attribute.sub_attributes:
        subs = [s for s in attribute.sub_attributes if s.name != "$ref"]
        fields = ", ".join(f"{quoted(s.name)} {_json_type(s)}" for s in subs)
        return f"STRUCT({fields})" + ("[]" if attribute.multi_valued else "")
    kind = {"boolean": "BOOLEAN", "decimal": "DOUBLE", "integer": "BIGINT"}.get(attribute.type, "VARCHAR")
    return kind + ("[]" if attribute.multi_valued else "")


def current(place: Place) -> str:
    """The SQL that reads a place out of the columns of a resource, as the text of a value column."""
    holder = (
        quoted(place.attribute.name) if place.urn is None else f"{quoted(place.urn)}.{quoted(place.attribute.name)}"
    )
    if place.kind is Kind.LIST:
        if place.reserved:
            own = f"starts_with(lower({ELEMENT}.{quoted(place.key)}), {text(place.reserved)})"
            holder = f"list_filter({holder}, lambda {ELEMENT}: NOT coalesce({own}, false))"
        return list_text(place, holder)
    if place.path.filter is not None:
        tests = " AND ".join(_selects(place, name, wanted) for name, wanted in place.selector.items())
        holder = f"list_filter({holder}, lambda {ELEMENT}: {tests})[1]"
    if place.leaf is not place.attribute:
        holder = f"{holder}.{quoted(place.leaf.name)}"
    if place.kind is Kind.BOOLEAN:
        return f"CAST({_truth(holder)} AS VARCHAR)"
    return f"nullif(CAST({holder} AS VARCHAR), '')"


def _truth(value: str) -> str:
    """The SQL of a boolean that may travel as text or number; NULL where it says neither."""
    cases = " ".join(f"WHEN {text(word)} THEN {str(meant).lower()}" for word, meant in TRUTHS.items())
    return f"(CASE lower(trim(CAST({value} AS VARCHAR))) {cases} END)"


def _selects(place: Place, name: str, wanted: object) -> str:
    sub = place.attribute.sub(name)
    member = f"{ELEMENT}.{quoted(sub.name if sub else name)}"
    if isinstance(wanted, str) and not (sub and sub.case_exact):
        return f"lower({member}) = {text(wanted.lower())}"
    return f"{member} = {text(wanted) if isinstance(wanted, str) else wanted}"


def stage_written(bench: Workbench, written: Iterable[tuple[str, str, str]]) -> None:
    """Load what was lately written into the table `written` (key, account, version), the newest of each account."""
    lately = [*written]
    if not lately:
        bench.sql.execute("CREATE OR REPLACE TABLE written (key VARCHAR, account VARCHAR, version UBIGINT)")
        return
    with bench.spooled("written") as (path, file):
        for key, account, version in lately:
            file.write(encode({"k": key, "a": account, "v": version}) + b"\n")
        file.flush()
        bench.sql.execute(
            "CREATE OR REPLACE TABLE written AS SELECT max(k) AS key, a AS account, "
            f"max({_counted('v')}) AS version FROM "
            f"read_ndjson({text(str(path))}, columns = {{k: 'VARCHAR', a: 'VARCHAR', v: 'VARCHAR'}}) "
            "WHERE a IS NOT NULL GROUP BY a"
        )


def _counted(version: str) -> str:
    """The SQL of the number in a version that is a counter, in whatever form it travelled."""
    return f"TRY_CAST(regexp_replace({version}, 'W/|\"', '', 'g') AS UBIGINT)"


def late_accounts(bench: Workbench, attributes: Sequence[Mapped], *, counters: bool) -> list[str]:
    """The ids of accounts of which the listing surely or possibly shows an old state, or nothing; who stays first.

    A linked account that the listing does not show matters where its person would get another one, and where the
    person left and may have access still: not where both sides agreed that it is inactive.

    Args:
        bench: The tables of the run.
        attributes: The mapping, in the order of the columns.
        counters: Whether versions are numbers that grow.
    """
    queries = ["SELECT account FROM written WHERE account NOT IN (SELECT id FROM accounts)"]
    if counters:
        queries.append(
            "SELECT w.account FROM written w JOIN accounts a ON a.id = w.account "
            f"WHERE {_counted('a.version')} < w.version"
        )
    active = next((n for n, mapped in enumerate(attributes) if mapped.path == "active"), None)
    matters = "true" if active is None else f"(d.d{active} = 'true' OR b.b{active} IS DISTINCT FROM 'false')"
    # most days there are none, and nobody need be asked whether they stay
    bench.sql.execute(
        "CREATE OR REPLACE TABLE missing AS SELECT key, account FROM links WHERE ours "
        "AND account NOT IN (SELECT id FROM accounts)"
    )
    queries.append(
        "SELECT l.account FROM missing l LEFT JOIN desired d ON d.key = l.key LEFT JOIN base b ON b.key = l.key "
        f"WHERE {matters}"
    )
    if not bench.are("missing") and not bench.are("written"):
        return []
    stays = "account IN (SELECT l.account FROM links l JOIN desired d ON d.key = l.key)"
    found = bench.rows(f"SELECT account FROM ({' UNION '.join(queries)}) ORDER BY {stays} DESC, account")
    return [str(account) for (account,) in found]


def hold_late(bench: Workbench, accounts: Sequence[str], why: str) -> list[Finding]:
    """Leave out the people whose accounts are not known as they are now."""
    if not accounts:
        return []
    sql = bench.sql
    sql.execute(
        "CREATE OR REPLACE TABLE late AS SELECT DISTINCT o.key, coalesce(d.n, -1) AS n, d.place FROM "
        "(SELECT key, account FROM links UNION SELECT key, account FROM written) o "
        "LEFT JOIN desired d ON d.key = o.key WHERE list_contains(?, o.account) "
        "AND o.key NOT IN (SELECT key FROM links WHERE NOT ours) AND o.key NOT IN (SELECT key FROM absent)",
        [list(accounts)],
    )
    sql.execute("INSERT INTO held SELECT key, n FROM late")
    sql.execute("INSERT INTO left_out SELECT * FROM desired WHERE n IN (SELECT n FROM late)")
    sql.execute("DELETE FROM desired WHERE n IN (SELECT n FROM late)")
    return [
        Finding(
            severity=Severity.WARNING,
            code="target.lagging",
            subject=str(key),
            summary="the directory still lists this account as it was before our last write; the person waits",
            detail=why,
            hint="run again in some minutes; the listing has then caught up",
            row=row_of(place),
            holds=True,
        )
        for key, place in bench.rows("SELECT key, place FROM late ORDER BY key")
    ]


def held_by(
    bench: Workbench, index: int, place: Place, accounts: Sequence[str]
) -> Iterator[tuple[str, bool | None, Value]]:
    """Account, whether it is active, and what it holds at one place; of those that were read.

    Args:
        bench: The table `accounts`.
        index: The number of its column.
        place: The place of that column.
        accounts: Ids of whom is meant.
    """
    query = f"SELECT id, active, c{index} FROM accounts WHERE id IN (SELECT unnest(?::VARCHAR[]))"
    for account, active, held in bench.rows(query, [list(accounts)]):
        yield str(account), active if isinstance(active, bool) else None, value_of(place, held)

"""The changes of one plan, found page by page: an index made once while the file is read and proven, line by line.

The file is the truth and stays where it is; the index holds where each line begins, by what people filter, and what
came of it. So a plan of a hundred thousand changes is never in memory. SQLite and not DuckDB: what is asked is one
small page at a time, by many threads.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct, field

from scimsync.core import sealing
from scimsync.errors import PlanDamaged
from scimsync.model.outcomes import JournalLine, Outcome, Status
from scimsync.model.plans import Change, GroupChange, Plan
from scimsync.workbench.pool import Pool

#: filters of which is remembered what they leave
_KNOWN = 16
#: rows that go into the index at a time
_CHUNK = 2000
#: the worst of the two passes of a change counts
_RANK = {
    Status.ALREADY: 1,
    Status.DONE: 2,
    Status.DEFERRED: 3,
    Status.HELD: 4,
    Status.FAILED: 5,
    Status.OPEN: 6,
}
_BY_RANK = {rank: status.value for status, rank in _RANK.items()}
_SCHEMA = """
CREATE TABLE line (n INTEGER PRIMARY KEY, at INTEGER, size INTEGER, kind TEXT, key TEXT, part INTEGER, action TEXT,
  grouped TEXT, rank INTEGER NOT NULL DEFAULT 0);
CREATE TABLE word (n INTEGER PRIMARY KEY, open TEXT, whole TEXT);
CREATE TABLE mark (kind TEXT, value TEXT, n INTEGER, PRIMARY KEY (kind, value, n)) WITHOUT ROWID;
CREATE TABLE finding (n INTEGER PRIMARY KEY, code TEXT, subject TEXT, body BLOB);
CREATE TABLE outcome (key TEXT, part INTEGER, rank INTEGER, body BLOB, PRIMARY KEY (key, part)) WITHOUT ROWID;
"""
_INDEXES = """
CREATE INDEX line_action ON line (kind, action, n);
CREATE INDEX line_key ON line (key, part);
CREATE INDEX finding_subject ON finding (subject);
"""


class Filter(Struct, frozen=True, kw_only=True):
    """What people want to see of a plan; "" for all."""

    action: str = ""
    group: str = ""
    path: str = ""
    #: why the sides differ, by the name of the reason
    rule: str = ""
    #: words that all stand somewhere in it
    text: str = ""
    #: what came of it
    outcome: str = ""
    #: whether words may be looked for in names and values, too
    values: bool = True


class Row(Struct, frozen=True, kw_only=True):
    """One change of an account or of a group, and what came of it."""

    n: int
    #: `change`, `group` or `notice`
    kind: str
    change: Change | GroupChange
    group: str
    outcomes: tuple[Outcome, ...] = ()

    @property
    def status(self) -> Status | None:
        """The worst of what came of it; None where nothing did yet."""
        return max((one.status for one in self.outcomes), key=_RANK.__getitem__, default=None)


class Page(Struct, frozen=True, kw_only=True):
    """Some of the rows that a filter leaves, and how many there are in all."""

    rows: tuple[Row, ...]
    total: int


class _Tally(Struct):
    """How often each word by which people filter occurs."""

    marks: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, kind: str, value: str) -> None:
        self.marks.setdefault(kind, Counter())[value] += 1


class PlanIndex:
    """The lines of a plan file as a table.

    Args:
        plan_file: The file of the plan, which stays there.
        index_file: Where the index goes; a new one.
        group_path: The path by which people are grouped; "" for none.
        groups: Says the group of people, for whom the plan does not change it.

    Raises:
        PlanDamaged: The file was changed, cut, or is no plan.
    """

    def __init__(
        self,
        plan_file: Path,
        index_file: Path,
        *,
        group_path: str = "",
        groups: Callable[[Sequence[str]], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self._file, self._index = plan_file, index_file
        self._pool, self._writing, self._lock = Pool(index_file), threading.Lock(), threading.Lock()
        self._known: OrderedDict[Filter, array[int]] = OrderedDict()
        self.mark = _mark_of(plan_file)
        with self._pool.borrowed() as connection:
            self._make(connection, group_path, groups)

    def _make(
        self, connection: sqlite3.Connection, group_path: str, groups: Callable[[Sequence[str]], Mapping[str, str]]
    ) -> None:
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        tally = _Tally()
        with self._file.open("rb") as lines, connection:
            #: the plan without its changes, the digest that closes its file, and who signed
            self.plan, self.digest, self.signer = self._fill(connection, lines, tally, group_path)
        with connection:
            connection.executescript(_INDEXES)
            self._group(connection, tally, groups)
        connection.execute("PRAGMA journal_mode = WAL")
        #: kind (`action`, `group`, `path`, `rule`) -> value -> in how many lines
        self.counts: Mapping[str, Mapping[str, int]] = tally.marks

    def close(self) -> None:
        """Close it; the file of the index can go then."""
        self._pool.close()

    @property
    def is_current(self) -> bool:
        """Whether the plan file is the one that was read."""
        return _mark_of(self._file) == self.mark

    # --- made -------------------------------------------------------------------------------------

    def _fill(
        self, connection: sqlite3.Connection, lines: BinaryIO, tally: _Tally, group_path: str
    ) -> tuple[Plan, str, str]:
        """Read the file once: prove it, keep its head, and note where the rest stands."""
        digest, at, count = hashlib.sha256(), 0, 0
        head: list[dict[str, object]] = []
        rows: list[tuple[object, ...]] = []
        marks: list[tuple[str, str, int]] = []
        findings: list[tuple[object, ...]] = []
        closed: bytes | None = None
        for raw in lines:
            if closed is not None:
                raise PlanDamaged("plan: a line stands after the seal. Make a new plan.")
            start, at = at, at + len(raw)
            if raw.startswith((b'{"change":', b'{"notice":', b'{"group":')):
                rows.append(_row(count, start, raw, marks, tally, group_path))
            elif raw.startswith(b'{"finding":'):
                findings.append(_finding_row(count, raw))
            elif raw.startswith(b'{"lines":'):
                closed = raw
                continue
            else:
                head.append(_decoded(raw))
            digest.update(raw)
            count += 1
            if len(rows) >= _CHUNK:
                _put(connection, rows, marks)
        _put(connection, rows, marks)
        connection.executemany("INSERT INTO finding VALUES (?, ?, ?, ?)", findings)
        if closed is None or not head:
            raise PlanDamaged("plan: the file ends before its seal; it was cut, or is not a plan. Make a new plan.")
        closing = sealing.closing_of(closed)
        if (closing.lines, closing.sha256) != (count, digest.hexdigest()):
            raise PlanDamaged("plan: the file was changed after it was sealed. Make a new plan.")
        try:
            return sealing.plan_of(head), closing.sha256, str(head[0].get("signer", ""))
        except (LookupError, TypeError, ValueError) as error:
            raise PlanDamaged(f"plan: it does not have the form of a plan ({error}). Make a new plan.") from error

    def _group(
        self,
        connection: sqlite3.Connection,
        tally: _Tally,
        groups: Callable[[Sequence[str]], Mapping[str, str]],
    ) -> None:
        """Say of whom the plan does not say it to which group they belong."""
        asked = [key for (key,) in connection.execute("SELECT DISTINCT key FROM line WHERE grouped = ''")]
        for start in range(0, len(asked), 50_000):
            found = groups(asked[start : start + 50_000])
            connection.executemany(
                "UPDATE line SET grouped = ? WHERE key = ? AND grouped = ''",
                [(group, key) for key, group in found.items()],
            )
        connection.execute(  # words are looked for in the group, too
            "UPDATE word SET whole = whole || ' ' || lower((SELECT grouped FROM line WHERE line.n = word.n)) "
            "WHERE n IN (SELECT n FROM line WHERE grouped <> '')"
        )
        connection.execute("CREATE INDEX line_grouped ON line (grouped, n)")
        counted = connection.execute("SELECT grouped, count(*) FROM line WHERE grouped <> '' GROUP BY 1")
        tally.marks["group"] = Counter(dict(counted.fetchall()))

    # --- asked ------------------------------------------------------------------------------------

    def page(self, wanted: Filter, start: int, size: int) -> Page:
        """Some rows of those that a filter leaves, in the order of the plan."""
        fitting = self._fitting(wanted)
        some = [*fitting[start : start + size]]
        marks = ", ".join("?" * len(some))
        found = self._ask(f"SELECT n, at, size, kind, grouped FROM line WHERE n IN ({marks}) ORDER BY n", *some)
        return Page(rows=tuple(self._read(found)), total=len(fitting))

    def _fitting(self, wanted: Filter) -> array[int]:
        """The numbers of all rows that a filter leaves; remembered, for the next page is asked for soon."""
        with self._lock:
            if (known := self._known.get(wanted)) is not None:
                self._known.move_to_end(wanted)
                return known
        where, values = _where(wanted)
        with self._pool.borrowed() as connection:
            query = f"SELECT n FROM line {where} ORDER BY n"
            found = array("Q", (n for (n,) in connection.execute(query, values)))
        if not wanted.outcome:  # what came of changes goes on changing
            with self._lock:
                self._known[wanted] = found
                while len(self._known) > _KNOWN:
                    self._known.popitem(last=False)
        return found

    def row(self, n: int) -> Row | None:
        """One row by its number; None where there is none."""
        found = self._ask("SELECT n, at, size, kind, grouped FROM line WHERE n = ?", n)
        return next(self._read(found), None)

    def of_person(self, key: str) -> tuple[Row, ...]:
        """All rows about one person."""
        found = self._ask("SELECT n, at, size, kind, grouped FROM line WHERE key = ? ORDER BY n", key)
        return tuple(self._read(found))

    def findings_of(self, key: str) -> list[dict[str, object]]:
        """The findings about one subject, as the plan file has them."""
        found = self._ask("SELECT body FROM finding WHERE subject = ? ORDER BY n", key)
        return [_told_finding(body) for (body,) in found]

    def groups(self) -> list[GroupChange]:
        """All changes of the members of groups."""
        found = self._ask("SELECT n, at, size, kind, grouped FROM line WHERE kind = 'group' ORDER BY n")
        return [row.change for row in self._read(found) if isinstance(row.change, GroupChange)]

    def finding_codes(self) -> list[tuple[str, int]]:
        """Each code of a finding, and how many have it, most first."""
        found = self._ask("SELECT code, count(*) FROM finding GROUP BY 1 ORDER BY 2 DESC, 1")
        return [(str(code), int(number)) for code, number in found]

    def findings(self, code: str, start: int, size: int) -> list[dict[str, object]]:
        """Some findings of one code, as the plan file has them."""
        found = self._ask("SELECT body FROM finding WHERE code = ? ORDER BY n LIMIT ? OFFSET ?", code, size, start)
        return [_told_finding(body) for (body,) in found]

    def statuses(self) -> dict[str, int]:
        """How many changes ended how; "" for those of which nothing came yet."""
        counted = self._ask("SELECT rank, count(*) FROM line WHERE kind <> 'notice' GROUP BY rank")
        return {_BY_RANK.get(rank, ""): number for rank, number in counted}

    def take(self, lines: Iterable[JournalLine]) -> None:
        """Take in what came of changes; repeating it does no harm."""
        with self._writing, self._pool.borrowed() as connection:
            touched: dict[tuple[str, int], None] = {}
            with connection:
                for line in lines:
                    if line.outcome is None:
                        continue
                    body = msgspec.json.encode(_told(line.outcome))
                    connection.execute(
                        "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?)",
                        (line.key, line.part, _RANK[line.outcome.status], body),
                    )
                    touched[line.key, line.part if line.part % 2 else line.part - 1] = None
                connection.executemany(
                    "UPDATE line SET rank = coalesce((SELECT max(rank) FROM outcome o WHERE o.key = line.key AND "
                    "o.part IN (line.part, line.part + 1)), 0) WHERE key = ? AND part = ? AND kind <> 'notice'",
                    list(touched),
                )

    def _ask(self, query: str, *values: object) -> list[Any]:
        with self._pool.borrowed() as connection:
            return connection.execute(query, values).fetchall()

    def _read(self, found: Sequence[tuple[int, int, int, str, str]]) -> Iterator[Row]:
        with self._file.open("rb") as file:
            for n, at, size, kind, group in found:
                file.seek(at)
                body = _decoded(file.read(size))[kind]
                change = sealing.group_of(body) if kind == "group" else sealing.change_of(body)
                yield Row(n=n, kind=kind, change=change, group=group, outcomes=self._outcomes(change))

    def _outcomes(self, change: Change | GroupChange) -> tuple[Outcome, ...]:
        part = change.part if isinstance(change, Change) else 1
        found = self._ask(
            "SELECT key, part, body FROM outcome WHERE key = ? AND part IN (?, ?)", change.key, part, part + 1
        )
        return tuple(_outcome(*one) for one in found)


class _DeltaLine(msgspec.Struct):
    path: str
    reason: str
    before: object = None
    after: object = None


class _ChangeLine(msgspec.Struct):
    key: str
    name: str = ""
    action: str = ""
    part: int = 1
    deltas: list[_DeltaLine] = []


class _GroupLine(msgspec.Struct):
    group: str
    name: str
    add: list[tuple[str, str | None]] = []
    remove: list[tuple[str, str | None]] = []


class _AnyLine(msgspec.Struct):
    change: _ChangeLine | None = None
    notice: _ChangeLine | None = None
    group: _GroupLine | None = None


_decoder = msgspec.json.Decoder(_AnyLine)


def _decoded(raw: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(raw, type=dict[str, object])
    except ValueError as error:
        raise PlanDamaged("plan: a line is not a JSON object. Make a new plan.") from error


def _row(
    n: int, at: int, raw: bytes, marks: list[tuple[str, str, int]], tally: _Tally, group_path: str
) -> tuple[object, ...]:
    try:
        line = _decoder.decode(raw)
    except ValueError as error:
        raise PlanDamaged("plan: a line does not have the form of a change. Make a new plan.") from error
    if line.group is not None:
        held = line.group
        tally.count("action", "members")
        whole = " ".join((held.name, *(key or str(account) for key, account in (*held.add, *held.remove))))
        return (n, at, len(raw), "group", f"group:{held.group}", 1, "members", "", held.group.lower(), whole.lower())
    kind = "change" if line.change is not None else "notice"
    change = line.change or line.notice
    if change is None:
        raise PlanDamaged("plan: a line does not have the form of a change. Make a new plan.")
    action = change.action if kind == "change" else "notice"
    tally.count("action", action)
    group = ""
    for mark in {("path", delta.path) for delta in change.deltas} | {("rule", d.reason) for d in change.deltas}:
        marks.append((*mark, n))
        tally.count(*mark)
    words = [change.key, change.name]
    for delta in change.deltas:
        words += [delta.path, *_words(delta.before), *_words(delta.after)]
        if delta.path == group_path and isinstance(delta.after, str):
            group = delta.after
    paths = " ".join(delta.path for delta in change.deltas)
    opened = f"{change.key} {paths}".lower()
    return (n, at, len(raw), kind, change.key, change.part, action, group, opened, " ".join(words).lower())


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _words(one)
    elif isinstance(value, dict):
        yield from _words([*value.values()])
    elif value is not None:
        yield str(value)


#: what a finding may leave out
_UNSAID: dict[str, object] = {"subject": "", "summary": "", "detail": "", "hint": "", "path": "", "row": None}


def _told_finding(body: bytes) -> dict[str, object]:
    found = _decoded(body)["finding"]
    return {**_UNSAID, **found} if isinstance(found, dict) else dict(_UNSAID)


def _finding_row(n: int, raw: bytes) -> tuple[object, ...]:
    found = _decoded(raw)["finding"]
    told = found if isinstance(found, dict) else {}
    return n, str(told.get("code", "")), str(told.get("subject", "")), raw


def _put(connection: sqlite3.Connection, rows: list[tuple[object, ...]], marks: list[tuple[str, str, int]]) -> None:
    connection.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)", [row[:-2] for row in rows])
    connection.executemany("INSERT INTO word VALUES (?, ?, ?)", [(row[0], *row[-2:]) for row in rows])
    connection.executemany("INSERT INTO mark VALUES (?, ?, ?)", marks)
    rows.clear()
    marks.clear()


def _where(wanted: Filter) -> tuple[str, tuple[object, ...]]:
    tests: list[str] = []
    values: list[object] = []
    for column, value in (("action", wanted.action), ("grouped", wanted.group)):
        if value:
            tests.append(f"{column} = ?")
            values.append(value)
    for kind, value in (("path", wanted.path), ("rule", wanted.rule)):
        if value:
            tests.append("n IN (SELECT n FROM mark WHERE kind = ? AND value = ?)")
            values += [kind, value]
    texts: list[str] = []
    for word in wanted.text.lower().split():
        texts.append(f"instr({'whole' if wanted.values else 'open'}, ?) > 0")
        values.append(word)
    if texts:
        tests.append(f"n IN (SELECT n FROM word WHERE {' AND '.join(texts)})")
    if wanted.outcome:
        ranks = {status.value: rank for status, rank in _RANK.items()}
        tests.append("rank = ? AND kind <> 'notice'")
        values.append(ranks.get(wanted.outcome, 0))
    return (f"WHERE {' AND '.join(tests)}" if tests else ""), tuple(values)


def _mark_of(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _told(outcome: Outcome) -> dict[str, object]:
    return {"status": outcome.status.value, "code": outcome.code, "detail": outcome.detail, "races": outcome.races}


def _outcome(key: str, part: int, body: bytes) -> Outcome:
    told = msgspec.json.decode(body, type=dict[str, object])
    return Outcome(
        key=key,
        part=part,
        status=Status(told["status"]),
        code=str(told["code"]),
        detail=str(told["detail"]),
        races=int(str(told["races"])),
    )

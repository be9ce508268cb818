"""Who is in which group of an LDAP directory: pairs of a person's key and a group's name, or of outer and inner group.

Members are names of entries; whose they are is known by the people of the source, read with their keys alone. A name
that is neither a person of the source nor a group below the base of groups is nobody of ours.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Literal

from msgspec import Struct

from scimsync.adapters.source_columns import owned_by, refuse_empty
from scimsync.adapters.source_ldap import LdapSource
from scimsync.adapters.source_ldap_values import reader, same_name
from scimsync.adapters.source_ldap_wire import Directory, LdapAccess, Values
from scimsync.errors import SourceError
from scimsync.model.records import Batch, Reading

#: entries of groups at a time: one holds as many names as the group has members
_GROUPS = 50
_BATCH = 5_000
_UID = "memberuid"
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -8192;
CREATE TABLE person (mark BLOB PRIMARY KEY, key TEXT) WITHOUT ROWID;
CREATE TABLE grp (mark BLOB PRIMARY KEY, name TEXT) WITHOUT ROWID;
CREATE TABLE named (folded TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE member (name TEXT, mark BLOB);
"""


class LdapPairs(Struct, frozen=True, kw_only=True):
    """The members of the groups below one base. Fits `scimsync.engine.ports.Source`."""

    people: LdapSource
    #: where the groups are
    base: str
    filter: str
    naming: str = "cn"
    member: str = "member"
    #: pairs of people, or of groups in groups
    of: Literal["people", "groups"] = "people"

    @property
    def name(self) -> str:
        """Base and host."""
        return f"LDAP groups {self.base} on {self._access.host}"

    @property
    def _access(self) -> LdapAccess:
        return self.people.access

    def read(self) -> Reading:
        """Read people and groups to the end.

        Raises:
            SourceError: The directory cannot be read whole; there is no group; two groups have one name, or one has
                several; a member has no name; no pair comes of it.
        """
        where = f"{self._access.url} (groups below {self.base!r}, filter {self.filter})"
        with ExitStack() as stack:
            sql = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # "": a file without a name
            stack.callback(sql.close)
            sql.executescript(_TABLES)
            with Directory(self._access) as directory:
                if self.of == "people":
                    self._take_people(directory, sql)
                self._take_groups(where, directory, sql)
            pairs = {
                "people": "SELECT key, name FROM member JOIN person USING (mark) WHERE key IS NOT NULL",
                "groups": "SELECT member.name, grp.name FROM member JOIN grp USING (mark)",
            }[self.of]
            rows = sql.execute(pairs)
            first = rows.fetchmany(_BATCH)
            if not first:
                refuse_empty(where)
            batches = owned_by(stack.pop_all(), _batches(rows, first))
        next(batches)
        columns = ("key", "group") if self.of == "people" else ("outer", "inner")
        return Reading(columns=columns, batches=batches, proven=True, live=True, place="pair")

    def _take_people(self, directory: Directory, sql: sqlite3.Connection) -> None:
        people, by_uid, count = self.people, self.member.lower() == _UID, 0
        key = people.attributes.get(people.key, people.key)
        _, read = reader(key.lower(), directory.schema())
        asked = [key, "uid"] if by_uid else [key]
        for entries in directory.pages(people.base, people.scope, people.filter, asked, people.page):
            rows = []
            for name, values in entries:
                count += 1
                held = [name.encode()] if key.lower() == "dn" else _of(values, key)
                if not held:
                    continue
                try:
                    marks = [_uid(value) for value in _of(values, "uid")] if by_uid else [same_name(name)]
                    rows += [(mark, str(read(held[0]))) for mark in marks]
                except ValueError:
                    message = f"{self._access.url}: entry {count}: {key} holds what is no key. Correct it there."
                    raise SourceError(message) from None
            try:
                sql.executemany("INSERT INTO person VALUES (?, ?)", rows)
            except sqlite3.IntegrityError:
                message = f"{self._access.url}: two entries of people share a name, or one came twice. Run again."
                raise SourceError(message) from None
        if not sql.execute("SELECT 1 FROM person LIMIT 1").fetchone():
            message = (
                f"{self._access.url} (base {people.base!r}, filter {people.filter}): nobody has a {key}, so nobody"
                " could be a member. Nobody is taken out of groups for that: check base, filter and key under [source]."
            )
            raise SourceError(message)

    def _take_groups(self, where: str, directory: Directory, sql: sqlite3.Connection) -> None:
        count = 0
        asked = [self.naming, self.member]
        for entries in directory.pages(self.base, "subtree", self.filter, asked, min(self.people.page, _GROUPS)):
            for dn, values in entries:
                count += 1
                names = [value.decode("utf-8", "replace").strip() for value in _of(values, self.naming)]
                if len(names) != 1 or not names[0]:
                    message = (
                        f"{where}: group {count} has {len(names)} names in {self.naming}, so nobody knows which group"
                        " is meant. Set naming under [groups] to an attribute that each group has once."
                    )
                    raise SourceError(message)
                self._name(where, sql, dn, names[0])
                marks = self._members(where, directory.whole(dn, values))
                sql.executemany("INSERT INTO member VALUES (?, ?)", ((names[0], mark) for mark in marks))
        if not count:
            message = (
                f"{where}: there is no group. Nobody is taken out of groups for that: check base and filter under"
                " [groups], and what this user may read."
            )
            raise SourceError(message)

    def _name(self, where: str, sql: sqlite3.Connection, dn: str, name: str) -> None:
        try:
            sql.execute("INSERT INTO grp VALUES (?, ?)", (same_name(dn), name))
        except sqlite3.IntegrityError:
            message = f"{where}: the directory gave one group twice; it changed while it was read. Run again."
            raise SourceError(message) from None
        try:
            sql.execute("INSERT INTO named VALUES (?)", (name.casefold(),))
        except sqlite3.IntegrityError:
            message = (
                f"{where}: two groups are called {name!r}, and members of one would be taken for members of the other."
                " Narrow base or filter under [groups], or set naming to an attribute that tells them apart."
            )
            raise SourceError(message) from None

    def _members(self, where: str, values: Values) -> Iterator[bytes]:
        for value in _of(values, self.member):
            try:
                yield _uid(value) if self.member.lower() == _UID else same_name(value.decode())
            except ValueError:
                message = (
                    f"{where}: {self.member} of a group holds what is no distinguished name. Set member under [groups]"
                    " to the attribute that holds the names of members."
                )
                raise SourceError(message) from None


def _of(values: Values, attribute: str) -> list[bytes]:
    return next((held for name, held in values.items() if name.lower() == attribute.lower()), [])


def _uid(value: bytes) -> bytes:
    """A mark of a login, which is no distinguished name."""
    return hashlib.sha256(b"uid:" + value.strip().lower()).digest()[:16]


def _batches(rows: sqlite3.Cursor, first: Sequence[tuple[str, str]]) -> Iterator[Batch]:
    count, found = 0, first
    while found:
        yield Batch(found, range(count + 1, count + len(found) + 1))
        count += len(found)
        found = rows.fetchmany(_BATCH)

"""People, and who is in which group, from an LDAP directory or Active Directory.

A reading is made whole first: every page goes into a private file of SQLite that nobody else can open and that is
gone when it is closed, so that memory holds a page at a time, and a manager who comes after his people is found by
his distinguished name. Only then the first record is handed out.
"""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Literal, NoReturn, TypeAlias

import msgspec
from ldap.schema.models import AttributeType
from msgspec import Struct, field

from scimsync.adapters.source_columns import check_columns, check_key, owned_by, refuse_empty
from scimsync.adapters.source_ldap_values import (
    SECRETS,
    expires,
    is_bytes,
    is_disabled,
    reader,
    same_name,
)
from scimsync.adapters.source_ldap_wire import Directory, LdapAccess, Values, described
from scimsync.errors import SourceError
from scimsync.model.records import Batch, Cell, Reading

#: what becomes of several values of one attribute
Rule: TypeAlias = Literal["refuse", "first", "join"]
Schema: TypeAlias = Mapping[str, AttributeType]

_BATCH = 1_000
_EVERY = "*"
_NAME = "dn"


class LdapSource(Struct, frozen=True, kw_only=True):
    """The entries below one base that fit a filter. Fits `scimsync.engine.ports.Source`."""

    access: LdapAccess
    base: str
    key: str
    filter: str = "(objectClass=person)"
    scope: str = "subtree"
    #: name of a column -> attribute; empty for all that anybody has
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: attribute -> what becomes of several values; "*" for all others
    several: Mapping[str, Rule] = field(default_factory=dict)
    #: what stands between joined values
    separator: str = ";"
    #: attributes that hold the distinguished name of somebody, whose key stands in a column beside it
    references: Sequence[str] = ("manager",)
    page: int = 500

    @property
    def name(self) -> str:
        """Base and host."""
        return f"LDAP directory {self.base} on {self.access.host}"

    def read(self) -> Reading:
        """Read all entries, page by page, to the end.

        Raises:
            SourceError: The directory cannot be reached, is not trusted, lets us not in, or the reading is not whole;
                an attribute is unknown, holds several values without a rule, or holds what is no cell; the key column
                is missing; nobody is there.
        """
        if self.attributes:
            self._check_declared()
        with ExitStack() as stack:
            spool = _Spool()
            stack.callback(spool.close)
            with Directory(self.access) as directory:
                schema = directory.schema()
                self._check_known(schema)
                self._fill(directory, spool)
            columns = self._columns(schema, spool)
            names = tuple(column.name for column in columns)
            check_columns(self._where, names)
            check_key(self._where, names, self.key, " of the directory")
            if not spool.count:
                refuse_empty(self._where)
            self._check_several(columns, spool)
            made = _Made(self, schema, columns, spool)
            made.index()
            batches = owned_by(stack.pop_all(), made.batches())
        next(batches)
        return Reading(columns=names, batches=batches, proven=True, live=True, place="entry")

    def describe(self) -> Sequence[str]:
        """What the directory says about itself, a line each.

        Raises:
            SourceError: It cannot be asked.
        """
        return described(self.access)

    # --- what is asked for ------------------------------------------------------------------

    @property
    def _where(self) -> str:
        return f"{self.access.url} (base {self.base!r}, filter {self.filter})"

    def _check_declared(self) -> None:
        names = tuple(column.name for column in self._plain() + self._helpers(self._plain()))
        check_columns(self._where, names)
        check_key(self._where, names, self.key, " under attributes")
        if hidden := [a for a in self.attributes.values() if _bare(a) in SECRETS]:
            message = (
                f"{self._where}: {hidden[0]} is a secret of its person, and is never read. Take it out of attributes."
            )
            raise SourceError(message)

    def _check_known(self, schema: Schema) -> None:
        """Refuse attributes that the directory does not know: they would be nothing for everybody."""
        for attribute in self.attributes.values():
            plain = _bare(attribute)
            if not schema or plain in {_NAME, _EVERY}:
                continue
            known = schema.get(plain)
            if known is None:
                near = _near(plain, schema)
                message = (
                    f"{self._where}: the directory knows no attribute {attribute!r}, so it would be empty for"
                    f" everybody. {near}Correct attributes under [source]."
                )
                raise SourceError(message)

    def _fill(self, directory: Directory, spool: _Spool) -> None:
        asked = sorted({a for a in self.attributes.values() if _bare(a) != _NAME}) or ["*"]
        if self.attributes and not [a for a in self.attributes.values() if _bare(a) != _NAME]:
            asked = ["1.1"]
        for entries in directory.pages(self.base, self.scope, self.filter, asked, self.page):
            spool.take(self._where, [(name, directory.whole(name, values)) for name, values in entries])
        if self.attributes:
            self._check_answered(spool)

    def _check_answered(self, spool: _Spool) -> None:
        """Refuse what came under another name than it was asked for: the column would be empty for everybody."""
        asked = {_bare(a) for a in self.attributes.values()}
        for came in spool.most:
            if _bare(came) not in asked:
                missing = [a for a in self.attributes.values() if a.lower() not in spool.most]
                message = (
                    f"{self._where}: the server answers with {spool.spelt[came]!r}, which is not among attributes;"
                    f" probably it calls one of {', '.join(missing) or 'them'} so. Write attributes as the server"
                    " names them."
                )
                raise SourceError(message)

    # --- what becomes of it -----------------------------------------------------------------

    def _plain(self) -> list[_Column]:
        return [_Column(name, attribute.lower()) for name, attribute in self.attributes.items()]

    def _columns(self, schema: Schema, spool: _Spool) -> list[_Column]:
        plain = self._plain()
        if not plain:
            seen = [name for name in spool.most if _bare(name) not in SECRETS | {"objectclass"}]
            usable = [name for name in seen if not is_bytes(_bare(name), schema) and ";binary" not in name]
            plain = [_Column(_NAME, _NAME), *(_Column(spool.spelt[name], name) for name in usable)]
        return plain + self._helpers(plain)

    def _helpers(self, plain: Sequence[_Column]) -> list[_Column]:
        """The columns that are made of others; a column that was asked for under such a name stays itself."""
        taken = {column.name.casefold() for column in plain}
        references = {name.lower() for name in self.references} if self.key else ()
        found = []
        for column in plain:
            match column.attribute:
                case "useraccountcontrol":
                    found.append(_Column("account_disabled", column.attribute, "disabled"))
                case "accountexpires":
                    found.append(_Column("account_expires", column.attribute, "expires"))
                case attribute if attribute in references:
                    found.append(_Column(f"{column.name}_key", attribute, "key"))
                case _:
                    pass
        return [column for column in found if column.name.casefold() not in taken]

    def rule(self, attribute: str) -> Rule:
        """What becomes of several values of an attribute."""
        given = {name.lower(): rule for name, rule in self.several.items()}
        return given.get(attribute, given.get(_bare(attribute), given.get(_EVERY, "refuse")))

    def _check_several(self, columns: Sequence[_Column], spool: _Spool) -> None:
        wanted = {column.attribute for column in columns} - {_NAME}
        many = [a for a in spool.most if a in wanted and spool.most[a] > 1 and self.rule(a) == "refuse"]
        if not many:
            return
        told = ", ".join(f'{_quoted(spool.spelt[a])} = "first"' for a in many)
        message = (
            f"{self._where}: {', '.join(spool.spelt[a] for a in many)}: somebody has several values, and which of them"
            f" counts is nobody's guess. Say it under [source], with first or join: multi_valued = {{ {told} }}."
        )
        raise SourceError(message)


class _Column(Struct, frozen=True):
    """One column: the attribute that it is made of, in lower case with options, and what is made of it ("": itself)."""

    name: str
    attribute: str
    form: Literal["", "key", "disabled", "expires"] = ""


class _Spool:
    """Entries in a private file that is gone when it is closed, and who has which distinguished name."""

    def __init__(self) -> None:
        self._sql = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # "": a file without a name
        self._sql.execute("PRAGMA journal_mode = OFF")
        self._sql.execute("PRAGMA cache_size = -8192")
        self._sql.execute("CREATE TABLE entry (n INTEGER PRIMARY KEY, mark BLOB, body BLOB)")
        self._sql.execute("CREATE TABLE named (mark BLOB PRIMARY KEY, key TEXT) WITHOUT ROWID")
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(tuple[str, dict[str, list[bytes]]]).decode
        self.count = 0
        #: attribute in lower case -> the most values that anybody has, and how the server spells it
        self.most: dict[str, int] = {}
        self.spelt: dict[str, str] = {}

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()

    def take(self, where: str, entries: Sequence[tuple[str, Values]]) -> None:
        """Keep the entries of one page."""
        kept = []
        for name, values in entries:
            self.count += 1
            plain = {attribute.lower(): held for attribute, held in values.items()}
            for (attribute, held), spelt in zip(plain.items(), values, strict=True):
                if len(held) > self.most.get(attribute, -1):
                    self.spelt.setdefault(attribute, spelt)
                    self.most[attribute] = len(held)
            kept.append((self.count, _mark(where, name), self._encode((name, plain))))
        self._sql.execute("BEGIN")
        try:
            self._sql.executemany("INSERT INTO named VALUES (?, NULL)", [(mark,) for _, mark, _ in kept])
        except sqlite3.IntegrityError:
            message = (
                f"{where}: the directory gave one entry twice, so somebody may be missing; it changed while it was"
                " read, or gives the same page again. Run again."
            )
            raise SourceError(message) from None
        self._sql.executemany("INSERT INTO entry VALUES (?, ?, ?)", kept)
        self._sql.execute("COMMIT")

    def walk(self) -> Iterator[tuple[int, bytes, str, Values]]:
        """The entries in their order: number, mark, name, values."""
        for n, mark, body in self._sql.execute("SELECT n, mark, body FROM entry ORDER BY n"):
            name, values = self._decode(body)
            yield n, mark, name, values

    def learn(self, keys: Iterator[tuple[str, bytes]]) -> None:
        """Say who has which mark: pairs of key and mark."""
        self._sql.execute("BEGIN")
        self._sql.executemany("UPDATE named SET key = ? WHERE mark = ?", keys)
        self._sql.execute("COMMIT")

    def key_of(self, mark: bytes) -> str | None:
        """The key of who has a name; None where nobody has, or has no key."""
        found = self._sql.execute("SELECT key FROM named WHERE mark = ?", [mark]).fetchone()
        return None if found is None else found[0]


class _Made:
    """Cells out of kept entries."""

    def __init__(self, source: LdapSource, schema: Schema, columns: Sequence[_Column], spool: _Spool) -> None:
        self._source, self._columns, self._spool = source, columns, spool
        self._where = f"{source.access.url} (base {source.base!r})"
        self._readers = {c.attribute: reader(_bare(c.attribute), schema) for c in columns}
        self._types = [frozenset({self._type(c), type(None)}) for c in columns]

    def _type(self, column: _Column) -> type:
        held, _ = self._readers[column.attribute]
        kinds: dict[str, type] = {"": held, "disabled": bool, "expires": datetime}
        joined = not column.form and self._source.rule(column.attribute) == "join"
        return str if joined else kinds.get(column.form, str)

    def index(self) -> None:
        """Learn who has which key, where a column refers to somebody."""
        if not any(column.form == "key" for column in self._columns):
            return
        key = next(column for column in self._columns if column.name == self._source.key)
        made = ((self._cell(key, n, name, values), mark) for n, mark, name, values in self._spool.walk())
        self._spool.learn((str(cell), mark) for cell, mark in made if cell is not None)

    def batches(self) -> Iterator[Batch]:
        """The records."""
        rows: list[list[Cell]] = []
        places: list[int] = []
        for n, _, name, values in self._spool.walk():
            rows.append([self._cell(column, n, name, values) for column in self._columns])
            places.append(n)
            if len(rows) == _BATCH:
                yield Batch(rows, places, self._types)
                rows, places = [], []
        if rows:
            yield Batch(rows, places, self._types)

    def _cell(self, column: _Column, n: int, name: str, values: Values) -> Cell:
        if column.attribute == _NAME:
            return name
        held = values.get(column.attribute)
        if not held:
            return None
        _, read = self._readers[column.attribute]
        try:
            if len(held) == 1 and not column.form:
                return read(held[0])
            cells = [read(value) for value in held]
            match column.form:
                case "disabled":
                    return is_disabled(int(held[0]))
                case "expires":
                    return expires(int(held[0]))
                case "key":
                    cells = [self._key(str(cell)) for cell in cells]
                case _:
                    pass
        except UnicodeDecodeError:
            self._refuse(column, n, "holds bytes that are no text")
        except (ValueError, OverflowError):
            self._refuse(column, n, "holds what its syntax does not know")
        if len(cells) > 1 and self._source.rule(column.attribute) == "join":
            return self._joined(column, n, sorted(map(str, cells)))
        return cells[0]

    def _key(self, name: str) -> str:
        """The key of who has a name; the name itself where nobody of these people has it: unknown is not nobody."""
        try:
            return self._spool.key_of(same_name(name)) or name
        except ValueError:
            return name

    def _joined(self, column: _Column, n: int, texts: Sequence[str]) -> str:
        mark = self._source.separator
        if len(texts) > 1 and any(mark in text for text in texts):
            self._refuse(column, n, f"has a value that holds {mark!r}, which separates values here")
        return mark.join(texts)

    def _refuse(self, column: _Column, n: int, what: str) -> NoReturn:
        message = (
            f"{self._where}: entry {n}: {self._spool.spelt[column.attribute]} {what}. Correct it in the directory, or"
            " take it out of attributes under [source]."
        )
        raise SourceError(message) from None


def _bare(attribute: str) -> str:
    """An attribute without its options, in lower case."""
    return attribute.partition(";")[0].lower()


def _quoted(attribute: str) -> str:
    """A key of TOML."""
    return attribute if attribute.replace("-", "").isalnum() else f'"{attribute}"'


def _near(attribute: str, schema: Schema) -> str:
    near = difflib.get_close_matches(attribute, schema, n=1)
    meant = next((name for name in schema[near[0]].names if name.lower() == near[0]), near[0]) if near else ""
    return f"Did you mean {meant!r}? " if meant else ""


def _mark(where: str, name: str) -> bytes:
    try:
        return same_name(name)
    except ValueError:
        message = f"{where}: the directory gave an entry whose name is no distinguished name. Run again."
        raise SourceError(message) from None

"""A dialect as a TOML file: what one provider does otherwise than `generic`, each entry with its ground.

An entry is an inline table of a value and one ground: `largest = { value = 50, observed = "2026-11-27: GET ..." }`.
`dialect_entries` has the entries, docs/dialects.md what they mean.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from msgspec.structs import replace

from scimsync.errors import InvalidDialect, InvalidPath
from scimsync.scim.dialect import Dialect
from scimsync.scim.dialect_entries import ENTRIES, Entry
from scimsync.scim.generic import GENERIC, simple
from scimsync.scim.genesys import GENESYS
from scimsync.scim.grounds import Certainty, Ground
from scimsync.scim.schema import Attribute, Catalog, Schema

#: what stands before the name of a file
FILE = "file:"
_FOLDER = Path(__file__).parent / "dialects"
#: the dialects that are no files: their schemas, names and rights are more than entries can say
CODED: Mapping[str, Dialect] = {"genesys": GENESYS, "generic": GENERIC}
#: the types of attributes of a provider's own extension
_TYPES = ("string", "boolean", "decimal", "integer", "dateTime", "reference")


def shipped() -> tuple[str, ...]:
    """The names of the dialects that come with the product; `genesys` and `generic` first."""
    return (*CODED, *sorted(path.stem for path in _FOLDER.glob("*.toml")))


def dialect_of(written: str, beside: Path = Path()) -> Dialect:
    """The dialect that a configuration names: a shipped one, or `file:` and a path.

    Args:
        written: What stands at `[target] dialect`.
        beside: The folder from which a relative path is taken.

    Raises:
        InvalidDialect: There is none of this name, or the file has faults; all of them at once.
    """
    if written in CODED:
        return CODED[written]
    is_file = written.startswith(FILE)
    path = beside / Path(written.removeprefix(FILE)).expanduser() if is_file else _FOLDER / f"{written}.toml"
    if not is_file and written not in shipped():
        near = get_close_matches(written, shipped(), n=1, cutoff=0.6)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise InvalidDialect(f"{written!r} is none of {', '.join(shipped())}, and no {FILE}NAME.toml{meant}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InvalidDialect(
            f"{path} cannot be read ({error.__class__.__name__}); write it with: scimsync probe"
        ) from error
    return parse_dialect(text, path.name, name=written)


def entries_of(dialect: Dialect) -> dict[str, object]:
    """The entries in which a dialect differs from `generic`, as a file has them."""
    return {
        entry.name: entry.written(getattr(dialect, entry.field))
        for entry in ENTRIES
        if getattr(dialect, entry.field) != getattr(GENERIC, entry.field)
    }


def write_dialect(entries: Mapping[str, tuple[object, Ground]], *, name: str, title: str = "") -> str:
    """A dialect file.

    Args:
        entries: `table.key` -> the value as a file has it, and what it rests on.
        name: What the dialect is called.
        title: What it is, for people.

    Examples:
        >>> from scimsync.scim.grounds import documented
        >>> print(write_dialect({"paging.largest": (50, documented("RFC"))}, name="acme"))
        name = "acme"
        <BLANKLINE>
        [paging]
        largest = { value = 50, documented = "RFC" }
        <BLANKLINE>
    """
    lines = [f"name = {_toml(name)}", *([f"title = {_toml(title)}"] if title else [])]
    table = ""
    for entry in ENTRIES:
        if entry.name not in entries:
            continue
        value, ground = entries[entry.name]
        section, _, key = entry.name.partition(".")
        if section != table:
            lines += ["", f"[{section}]"]
            table = section
        lines.append(f"{key} = {{ value = {_toml(value)}, {ground.certainty.value} = {_toml(ground.source)} }}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A value as TOML has it; texts as JSON writes them, which is TOML but for one sign."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def parse_dialect(text: str, where: str, *, name: str = "") -> Dialect:
    r"""Read a dialect file, layered on `generic`.

    Args:
        text: The file.
        where: What the file is called in messages.
        name: What the dialect is called from now on; "" for the name that stands in the file.

    Raises:
        InvalidDialect: The file has faults; all of them at once.

    Examples:
        >>> held = 'name = "acme"\n[paging]\nlargest = { value = 50, documented = "https://acme.example/scim" }'
        >>> parse_dialect(held, "acme.toml").page_size
        50
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidDialect(f"{where} is not TOML: {error}") from error
    reader = _Reader(document)
    made = reader.dialect(name)
    if reader.faults or made is None:
        raise InvalidDialect(*(f"{where}: {fault}" for fault in reader.faults))
    return made


class _Reader:
    """Takes one file apart and collects what is wrong with it."""

    def __init__(self, document: Mapping[str, object]) -> None:
        self.document = document
        self.faults: list[str] = []

    def dialect(self, name: str) -> Dialect | None:
        known = {entry.name: entry for entry in ENTRIES}
        fields: dict[str, object] = {}
        grounds = dict(GENERIC.grounds)
        said, title = self._title("name"), self._title("title")
        users = self._users()
        for path, given in self._given():
            entry = known.get(path)
            if entry is None:
                near = get_close_matches(path, known, n=1, cutoff=0.6)
                self.faults.append(f"{path} is not an entry{f'; did you mean {near[0]}?' if near else ''}")
                continue
            self._take(entry, given, users, fields, grounds)
        if not (name or said):
            self.faults.append('name is missing: name = "acme"')
        if self.faults:
            return None
        if users is not GENERIC.users:
            fields["users"] = users
        return replace(GENERIC, name=name or said, title=title, grounds=grounds, **fields)

    def _title(self, key: str) -> str:
        found = self.document.get(key, "")
        if not isinstance(found, str) or (key in self.document and not found):
            self.faults.append(f"{key} must be a text")
            return ""
        return found

    def _given(self) -> Iterator[tuple[str, object]]:
        for table, held in self.document.items():
            if table in {"name", "title", "extension"}:
                continue
            if not isinstance(held, Mapping):
                self.faults.append(f"{table} is not an entry: entries stand in tables, for instance [paging]")
                continue
            for key, given in held.items():
                yield f"{table}.{key}", given

    def _take(
        self, entry: Entry, given: object, users: Catalog, fields: dict[str, object], grounds: dict[str, Ground]
    ) -> None:
        if not isinstance(given, Mapping) or "value" not in given:
            form = f'{entry.name.rpartition(".")[2]} = {{ value = ..., observed = "..." }}'
            self.faults.append(f"{entry.name} must be a table of a value and what it rests on: {form}")
            return
        if (ground := self._ground(entry.name, given)) is None:
            return
        try:
            value = entry.read(given["value"])
        except ValueError as error:
            self.faults.append(f"{entry.name} = {given['value']!r}: {error}")
            return
        if entry.kind == "paths":
            value = self._paths(entry.name, value, users)
        fields[entry.field], grounds[entry.field] = value, ground

    def _ground(self, where: str, given: Mapping[str, object]) -> Ground | None:
        words = {certainty.value: certainty for certainty in Certainty}
        named = [key for key in given if key != "value"]
        if len(named) != 1 or named[0] not in words:
            self.faults.append(f"{where} needs exactly one of {', '.join(words)} beside its value")
            return None
        source = given[named[0]]
        if not isinstance(source, str) or not source.strip():
            self.faults.append(f"{where}: {named[0]} must say whence, in a text")
            return None
        return Ground(words[named[0]], source)

    def _paths(self, where: str, given: object, users: Catalog) -> frozenset[str]:
        found = set()
        for path in given if isinstance(given, frozenset) else ():
            try:
                found.add(users.resolve(path).short)
            except InvalidPath as error:
                self.faults.append(f"{where}: {error}")
        return frozenset(found)

    def _users(self) -> Catalog:
        """The schemas: those of the RFC, and the extensions of the file."""
        given = self.document.get("extension", {})
        if not isinstance(given, Mapping):
            self.faults.append("extension must be a table: [extension.acme]")
            return GENERIC.users
        schemas, shorts = [], {}
        for short, held in given.items():
            if not short.islower() or ":" in short:
                self.faults.append(f"extension.{short}: a short name is in small letters")
                continue
            if (schema := self._extension(f"extension.{short}", held)) is not None:
                schemas.append(schema)
                shorts[short] = schema.id
        if not schemas:
            return GENERIC.users
        return replace(
            GENERIC.users,
            extensions=(*GENERIC.users.extensions, *schemas),
            prefixes={**GENERIC.users.prefixes, **shorts},
        )

    def _extension(self, where: str, held: object) -> Schema | None:
        urn = held.get("urn") if isinstance(held, Mapping) else None
        attributes = held.get("attributes") if isinstance(held, Mapping) else None
        if not isinstance(urn, str) or not urn.lower().startswith("urn:") or not isinstance(attributes, Mapping):
            form = 'urn = "urn:...:User" and attributes = { startDate = "dateTime" }'
            self.faults.append(f"[{where}] needs {form}")
            return None
        made: list[Attribute] = []
        for name, kind in attributes.items():
            if kind not in _TYPES:
                self.faults.append(f"{where}: {name} = {kind!r} is none of {', '.join(_TYPES)}")
            else:
                made.append(simple(name, type=kind))
        return Schema(id=urn, name=where.rpartition(".")[2], attributes=tuple(made))

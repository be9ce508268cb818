"""The directory as files, so that a rehearsal can be repeated, or played on a copy of a real organisation.

A snapshot is a folder. `users.ndjson` holds one SCIM user a line, as the service would answer it (without
host in `$ref` and `meta.location`); `groups.ndjson` one group a line. Those two are all that another
program has to write. A snapshot also has `deleted.ndjson` (deleted accounts, same form) and `state.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from scimsync import files
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER
from scimsync.simulator import normalising
from scimsync.simulator.beside import Beside
from scimsync.simulator.custom import CustomSchema
from scimsync.simulator.directory import Directory
from scimsync.simulator.entities import Entity
from scimsync.simulator.generated import SCHEMAS
from scimsync.simulator.people import identifier

JsonObject = dict[str, object]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class State(msgspec.Struct):
    """What the lines of a snapshot do not say."""

    seed: int = 0
    count: int = 0
    since: float = 0.0
    born: int = 0
    numbers: dict[str, int] = msgspec.field(default_factory=dict)  #: id -> place in listings
    social: list[str] = msgspec.field(default_factory=list)
    names: dict[str, list[str]] = msgspec.field(default_factory=dict)
    schemas: list[CustomSchema] = msgspec.field(default_factory=list)  #: of custom attributes
    custom: dict[str, dict[str, JsonObject]] = msgspec.field(default_factory=dict)  #: by id of user and schema
    beside: Beside = msgspec.field(default_factory=Beside)


def folder_of(root: Path | None, name: object) -> Path:
    """The folder of a snapshot; only names, no paths, below the one folder given at the start.

    Raises:
        ValueError: No folder was given, or the name is not one.
    """
    if root is None:
        raise ValueError("snapshots need a folder: start the simulator with --snapshots DIR")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ValueError("a snapshot has a name of letters, digits, dots, - and _")
    folder = root / name
    if folder.is_symlink() or (folder.exists() and folder.resolve().parent != root.resolve()):
        raise ValueError("a snapshot is a plain folder")
    return folder


def write(directory: Directory, folder: Path) -> JsonObject:
    """Write everything into a folder; what an older snapshot of the name held is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    url, directory.base_url = directory.base_url, ""
    try:
        users = _write_lines(folder / "users.ndjson", _documents(directory, deleted=False))
        gone = _write_lines(folder / "deleted.ndjson", _documents(directory, deleted=True))
        groups = _write_lines(folder / "groups.ndjson", map(directory.document, directory.groups.values()))
    finally:
        directory.base_url = url
    state = State(
        seed=directory.generated.seed,
        count=len(directory.generated),
        since=directory.generated.since,
        born=directory.born,
        numbers={entity.id: number for number, entity in directory.kept.items()},
        social=sorted(directory.social),
        names={kind: sorted(getattr(directory.names, kind)) for kind in directory.names.__struct_fields__},
        schemas=list(directory.custom.schemas.values()),
        custom=directory.custom.records,
        beside=directory.beside,
    )
    files.write(folder / "state.json", [msgspec.json.encode(state)])
    return {"users": users, "groups": groups, "deleted": gone}


def restore(directory: Directory, folder: Path) -> JsonObject:
    """Make the directory what a snapshot says; history and options stay. With an error nothing changes.

    Raises:
        ValueError: The folder holds no snapshot, or a line is not a user or group.
    """
    if not (folder / "users.ndjson").is_file():
        raise ValueError(f"there is no snapshot {folder.name}")
    fresh = Directory(directory.options, directory.clock)
    fresh.names = normalising.Names(
        *(set(getattr(directory.names, kind)) for kind in directory.names.__struct_fields__)
    )
    _fill(fresh, *_read_folder(folder))
    directory.adopt(fresh)
    return {
        "users": sum(len(directory.by_state(active=active)) for active in (True, False)),
        "groups": len(directory.groups),
        "deleted": len(directory.gone),
    }


def load(directory: Directory, source: Path) -> None:
    """Fill an empty directory from a folder with `users.ndjson`, or from one such file.

    Raises:
        ValueError: There is no such file, or a line is not a user or group.
        OSError: A file cannot be read.
    """
    if source.is_dir():
        restore(directory, source)
        return
    _fill(directory, State(), list(_lines(source)), [], [])


_Read = tuple[State, list[JsonObject], list[JsonObject], list[JsonObject]]


def _read_folder(folder: Path) -> _Read:
    state, file = State(), folder / "state.json"
    if file.is_file():
        try:
            state = msgspec.json.decode(file.read_bytes(), type=State)
        except msgspec.DecodeError as error:
            raise ValueError(f"{file.name}: {error}") from error
    users, gone, groups = (
        list(_lines(folder / name)) if (folder / name).is_file() else []
        for name in ("users.ndjson", "deleted.ndjson", "groups.ndjson")
    )
    return state, users, gone, groups


def _fill(
    directory: Directory, state: State, users: list[JsonObject], gone: list[JsonObject], groups: list[JsonObject]
) -> None:
    if state.count:
        directory.invent(state.seed, state.count, state.since)
    directory.born = state.born
    for kind, names in state.names.items():
        if kind in directory.names.__struct_fields__:
            getattr(directory.names, kind).update(names)
    if state.schemas:
        directory.custom.schemas = {schema.id: schema for schema in state.schemas}
    directory.custom.records.update(state.custom)
    directory.beside = state.beside
    for group in groups:
        _add_group(directory, group)
    directory.social.update(state.social)
    for document in users:
        _add_user(directory, document, state, deleted=False)
    for document in gone:
        _add_user(directory, document, state, deleted=True)
    directory.forget_wire()


def _add_group(directory: Directory, document: JsonObject) -> None:
    name = document.get("displayName")
    if not isinstance(name, str):
        raise ValueError("a group has a displayName")
    listed = document.get("members")
    members = [str(m.get("value")) for m in listed if isinstance(m, dict)] if isinstance(listed, list) else []
    group = directory.add_group(name, members, str(document.get("id") or ""))
    if isinstance(external := document.get("externalId"), str):
        group.resource["externalId"] = external
    group.version, group.modified = _meta(document, directory)
    group.resource["schemas"] = [CORE_GROUP]


def _add_user(directory: Directory, document: JsonObject, state: State, *, deleted: bool) -> None:
    if not isinstance(name := document.get("userName"), str) or not name:
        raise ValueError("a user has a userName")
    id_ = str(document.get("id") or identifier(f"loaded:{name}"))
    number = state.numbers.get(id_)
    version, modified = _meta(document, directory)
    resource = _kept_form(document, id_)
    if number is None and not deleted:
        number = directory.generated.number(id_)
        if number is not None and version == 1 and directory.generated.resource(number) == resource:
            return  # as invented; it need not be kept
    _learn(directory, resource)
    directory.add_user(Entity(id_, resource, modified, version=version, deleted=deleted), number)


def _kept_form(document: Mapping[str, object], id_: str) -> JsonObject:
    resource = {n: v for n, v in document.items() if n not in {"groups", "meta"}} | {"id": id_}
    for name, usual in (("schemas", list(SCHEMAS)), ("active", True)):
        resource.setdefault(name, usual)
    enterprise = resource.get(ENTERPRISE_USER)
    manager = enterprise.get("manager") if isinstance(enterprise, dict) else None
    if isinstance(enterprise, dict) and isinstance(manager, dict):
        plain = {name: value for name, value in manager.items() if name != "$ref"}
        resource[ENTERPRISE_USER] = enterprise | {"manager": plain}
    if CORE_USER not in _texts(resource["schemas"]):
        resource["schemas"] = list(SCHEMAS)
    return normalising.settle(resource, resource)


def _texts(listed: object) -> list[str]:
    return [str(item) for item in listed] if isinstance(listed, list) else []


def _learn(directory: Directory, resource: JsonObject) -> None:
    """Make the names known to which an account refers."""
    names = directory.names
    enterprise, genesys = (resource.get(urn) for urn in (ENTERPRISE_USER, GENESYS_USER))
    if isinstance(enterprise, dict) and isinstance(division := enterprise.get("division"), str):
        names.divisions.add(division)
    parts = genesys if isinstance(genesys, dict) else {}
    for listed, key, known in (
        (resource.get("roles"), "value", names.roles),
        (parts.get("routingSkills"), "name", names.skills),
        (parts.get("routingLanguages"), "name", names.languages),
    ):
        known.update(str(item[key]) for item in (listed if isinstance(listed, list) else ()))


def _meta(document: Mapping[str, object], directory: Directory) -> tuple[int, float]:
    meta = document.get("meta")
    held = meta if isinstance(meta, dict) else {}
    version = str(held.get("version", "1")).removeprefix("W/").strip('"')
    modified = directory.clock()
    if isinstance(text := held.get("lastModified"), str):
        try:
            modified = datetime.fromisoformat(text).timestamp()
        except ValueError as error:
            raise ValueError(f"{text} is not a moment") from error
    return int(version) if version.isdecimal() and len(version) < 16 else 1, modified


def _documents(directory: Directory, *, deleted: bool) -> Iterator[JsonObject]:
    for number in directory.numbers():
        entity = directory.entity(number)
        if entity.deleted is deleted:
            yield directory.document(entity)


def _write_lines(file: Path, documents: Iterable[JsonObject]) -> int:
    count = 0
    with files.replacing(file) as out:
        for document in documents:
            out.write(msgspec.json.encode(document) + b"\n")
            count += 1
    return count


def _lines(file: Path) -> Iterator[JsonObject]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                document = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ValueError(f"{file.name}, line {number}: this is not JSON") from error
            if not isinstance(document, dict):
                raise ValueError(f"{file.name}, line {number}: this is not an object")
            yield document

"""The accounts and groups of the simulated organisation, and the rules that the directory keeps on them.

A resource is kept as the client wrote it, after `settling`; `groups`, `meta` and `$ref` are added when it
is read. What goes over the wire is encoded once for each version and projection.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from scimsync.errors import PatchRefused
from scimsync.scim import patch
from scimsync.scim.dialect import GENESYS, GENESYS_GROUP, GENESYS_USER
from scimsync.scim.grammar import lookup
from scimsync.scim.messages import Operation
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Catalog
from scimsync.simulator import settling
from scimsync.simulator.options import Options
from scimsync.simulator.people import (
    DIVISIONS,
    LANGUAGES,
    ROLES,
    SKILLS,
    Person,
    account_id,
    identifier,
    people,
)

JsonObject = dict[str, object]
#: Turns a full resource into the part of it that was asked for.
Projection = Callable[[JsonObject], JsonObject]

USERS = GENESYS.users
GROUPS = Catalog(GENESYS_GROUP)
EDITOR = "edit"  #: who made a change that no client asked for
_PROJECTIONS_KEPT = 4


class NameTaken(PatchRefused):
    """The user name belongs to an account that is not deleted: 409 on POST (documented)."""

    def __init__(self) -> None:
        super().__init__("uniqueness", "the userName is used by another user")


@dataclass(slots=True, eq=False)
class Entity:
    """A user or a group: what the client may write, and what the directory keeps about it."""

    id: str
    resource: JsonObject
    modified: float
    version: int = 1
    deleted: bool = False
    writes: int = 0  #: accepted writes of clients
    wire: dict[str, bytes] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """The administrative state; groups have none and count as active."""
        return self.resource.get("active") is not False


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One change that took effect."""

    time: str
    who: str
    client: str
    method: str
    resource: str
    id: str
    operations: list[dict[str, object]]
    version: int


@dataclass(frozen=True, slots=True)
class Actor:
    """Who writes, and by which method; for the history."""

    client: str
    method: str

    @property
    def edits(self) -> bool:
        """Whether this is an admin's edit and not a client's request."""
        return self.client == EDITOR


class Directory:
    """Users and groups in memory. Not thread-safe: one event loop owns it, others may read."""

    def __init__(self, options: Options | None = None, clock: Callable[[], float] = time.time) -> None:
        self.options = options or Options()
        self.clock = clock
        self.base_url = ""  #: of `meta.location` and `$ref`; the server sets it
        self.users: dict[str, Entity] = {}
        self.groups: dict[str, Entity] = {}
        self.names = settling.Names(set(DIVISIONS), set(ROLES), set(SKILLS), set(LANGUAGES))
        self.history: deque[HistoryEntry] = deque(maxlen=100_000)
        self.effective_writes = 0
        self._indexes: dict[str, dict[str, dict[str, Entity]]] = {name: {} for name in _INDEXED}
        self._gone: dict[str, Entity] = {}  # deleted, by lower-cased userName
        self._member_of: dict[str, dict[str, None]] = {}
        self._listed: dict[bool, list[Entity]] = {}
        self._born = 0

    # -- reading -----------------------------------------------------------------------------------

    def user(self, id_: str) -> Entity | None:
        """The account of that id, unless it is deleted (a deleted id answers 404: inferred)."""
        found = self.users.get(id_)
        return found if found is not None and not found.deleted else None

    def by_state(self, *, active: bool) -> list[Entity]:
        """All accounts that are active, or all that are not, in the order of their making."""
        if active not in self._listed:
            self._listed[active] = [u for u in self.users.values() if not u.deleted and u.active is active]
        return self._listed[active]

    def indexed(self, name: str, value: str) -> list[Entity]:
        """The accounts with that `userName`, `externalId` or `employeeNumber`."""
        key = value.lower() if name == "userName" else value
        return list(self._indexes[name].get(key, {}).values())

    def find_user(self, key: Mapping[str, object]) -> Entity | None:
        """The account with that `id`, `userName` or `externalId`."""
        if isinstance(id_ := key.get("id"), str):
            return self.user(id_)
        for name in ("userName", "externalId"):
            if isinstance(value := key.get(name), str):
                return next(iter(self.indexed(name, value)), None)
        return None

    def document(self, entity: Entity) -> JsonObject:
        """The resource as a client reads it, with what the directory adds."""
        if entity.id in self.groups:
            return self._group_document(entity)
        full = dict(entity.resource)
        if held := self._member_of.get(entity.id):
            full["groups"] = [{"value": group, "type": "direct", "$ref": self.url("Group", group)} for group in held]
        enterprise = full.get(ENTERPRISE_USER)
        manager = enterprise.get("manager") if isinstance(enterprise, dict) else None
        if isinstance(enterprise, dict) and isinstance(manager, dict):
            link = {"$ref": self.url("User", str(manager.get("value")))}
            full[ENTERPRISE_USER] = enterprise | {"manager": manager | link}
        full["meta"] = self._meta("User", entity)
        return full

    def _group_document(self, group: Entity) -> JsonObject:
        full = dict(group.resource)
        members = full.get("members")
        if isinstance(members, list):
            full["members"] = [
                member | {"type": kind, "$ref": self.url(kind, member["value"])}
                for member in members
                for kind in ("Group" if member["value"] in self.groups else "User",)
            ]
        full["meta"] = self._meta("Group", group)
        return full

    def _meta(self, kind: str, entity: Entity) -> JsonObject:
        version = f'"{entity.version}"' if self.options.meta_version_quoted else str(entity.version)
        return {
            "resourceType": kind,
            "lastModified": timestamp(entity.modified),
            "location": self.url(kind, entity.id),
            "version": version,
        }

    def url(self, kind: str, id_: str) -> str:
        """Where a resource can be read; the versioned family."""
        return f"{self.base_url}/api/v2/scim/v2/{kind}s/{id_}"

    def wire(self, entity: Entity, projection: Projection | None = None, key: str = "") -> bytes:
        """The resource as JSON text; kept until the resource changes.

        Args:
            entity: The user or group.
            projection: What to leave of it; None for all.
            key: Tells the projections apart.
        """
        kept = entity.wire.get(key)
        if kept is None:
            full = self.document(entity)
            kept = msgspec.json.encode(projection(full) if projection else full)
            if len(entity.wire) >= _PROJECTIONS_KEPT:
                entity.wire.clear()
            entity.wire[key] = kept
        return kept

    def forget_wire(self) -> None:
        """Drop all encoded forms: a switch that shows in them was changed."""
        for entity in (*self.users.values(), *self.groups.values()):
            entity.wire.clear()

    # -- writing users -----------------------------------------------------------------------------

    def create(self, body: Mapping[str, object], actor: Actor) -> Entity:
        """Make an account; a deleted one of that name comes back to life (genesys-scim.md §4.4).

        Raises:
            NameTaken: An account that is not deleted has the name.
            PatchRefused: The body is not a user.
        """
        written = settling.conform(body, USERS)
        name = written.get("userName")
        if not isinstance(name, str) or not name or not written.get("displayName"):
            raise PatchRefused("invalidValue", "userName and displayName are required")
        if self.indexed("userName", name):
            raise NameTaken
        gone = self._gone.get(name.lower())
        if gone is not None and self.options.post_on_deleted == "conflict":
            raise NameTaken
        if gone is not None and self.options.post_on_deleted == "restore":
            return self._restore(gone, written, actor)
        return self._make(written, actor)

    def _make(self, written: JsonObject, actor: Actor) -> Entity:
        self._born += 1
        id_ = identifier(f"born:{self._born}:{written['userName']}")
        resource = {"schemas": list(_SCHEMAS), "id": id_, "active": True} | written
        resource.setdefault("roles", [{"value": "employee"}])  # documented: the default role
        settled = self._settle(resource, {})
        entity = Entity(id_, settled, self.clock(), version=0)
        self.users[id_] = entity
        self._commit(entity, settled, actor, [])
        return entity

    def _restore(self, gone: Entity, written: JsonObject, actor: Actor) -> Entity:
        """The old record, active again, in the division Home and without its roles (documented)."""
        resource = {name: value for name, value in gone.resource.items() if name != "roles"}
        merged = self._merge_bodies(resource, {"active": True} | written)
        settled = self._settle(merged, gone.resource)
        gone.deleted = False
        self._listed.clear()
        self._gone.pop(str(gone.resource["userName"]).lower(), None)
        self._commit(gone, settled, actor, [])
        return gone

    def _merge_bodies(self, held: JsonObject, written: JsonObject) -> JsonObject:
        return patch.apply(held, [Operation("replace", None, written)], USERS, ignore_read_only=True)

    def replace(self, entity: Entity, body: Mapping[str, object], actor: Actor) -> Entity:
        """PUT: the body takes the place of what can be written; what it leaves out follows `put_absent`."""
        written = settling.conform(body, USERS)
        if self.options.put_absent == "keep":
            resource = self._merge_bodies(entity.resource, written)
        else:
            kept = {n: entity.resource[n] for n in ("schemas", "id", "active", "userName", "displayName")}
            resource = kept | written
        self._store(entity, resource, actor, [])
        return entity

    def patch(self, entity: Entity, operations: Sequence[Operation], actor: Actor) -> Entity:
        """Carry out operations on an account, all or none.

        Raises:
            ProtocolError: An operation cannot be carried out.
        """
        options = self.options
        meant = operations
        if options.empty_value == "ignore":
            meant = [_without_empty(o) for o in operations if not _is_empty(o)]
        resource = patch.apply(
            entity.resource,
            meant,
            USERS,
            create_on_replace=options.create_on_replace,
            ignore_read_only=options.readonly_write == "ignore",
            strict_remove=options.remove_no_match == "error",
        )
        self._store(entity, resource, actor, operations)
        return entity

    def delete(self, entity: Entity, actor: Actor) -> None:
        """Delete softly: hidden, without roles, in the division Home; the record stays (documented)."""
        resource = {name: value for name, value in entity.resource.items() if name != "roles"}
        enterprise = resource.get(ENTERPRISE_USER)
        if isinstance(enterprise, dict) and "division" in enterprise:
            resource[ENTERPRISE_USER] = enterprise | {"division": "Home"}
        for group in list(self._member_of.get(entity.id, ())):
            self._leave(self.groups[group], entity.id)
        self._unindex(entity)
        entity.deleted = True
        self._gone[str(resource["userName"]).lower()] = entity
        self._commit(entity, resource, actor, [])

    def edit(self, entity: Entity, operations: Sequence[Operation]) -> None:
        """An admin's change behind the client's back: the version moves as for any other."""
        resource = patch.apply(entity.resource, operations, USERS, create_on_replace=True)
        self._store(entity, resource, Actor(EDITOR, "EDIT"), operations)

    def _store(self, entity: Entity, resource: JsonObject, actor: Actor, operations: Sequence[Operation]) -> None:
        if self.options.readonly_write == "error":
            settling.refuse_other_mail(entity.resource, resource)
        settled = self._settle(resource, entity.resource)
        taken = self.indexed("userName", str(settled["userName"]))
        if any(other is not entity for other in taken):
            raise NameTaken
        self._commit(entity, settled, actor, operations)

    def _settle(self, resource: JsonObject, before: JsonObject) -> JsonObject:
        settled = settling.settle(resource)
        checked = settling.check_references(
            settled,
            before,
            self.names,
            is_user=lambda id_: self.user(id_) is not None,
            ignore=self.options.unknown_reference == "ignore",
        )
        if self.options.inactive_roles == "remove" and checked.get("active") is False:
            checked.pop("roles", None)
        return checked

    def _commit(self, entity: Entity, settled: JsonObject, actor: Actor, operations: Sequence[Operation]) -> None:
        """Make a settled resource the state of the account; with no difference nothing moves."""
        if not actor.edits:
            entity.writes += 1
        fresh = entity.version == 0
        if settled == entity.resource and not fresh and actor.method not in {"POST", "DELETE"}:
            entity.version += self.options.no_op_moves_version
            entity.wire.clear()
            return
        self._unindex(entity)
        if self.options.version_covers == "all" or fresh or _record(settled) != _record(entity.resource):
            entity.version += 1
        if settled.get("active") != entity.resource.get("active") or fresh or entity.deleted:
            self._listed.clear()
        entity.resource, entity.modified = settled, self.clock()
        entity.wire.clear()
        if not entity.deleted:
            self._index(entity)
        self._note("User", entity, actor, operations)

    def _note(self, kind: str, entity: Entity, actor: Actor, operations: Sequence[Operation]) -> None:
        self.effective_writes += not actor.edits
        self.history.append(
            HistoryEntry(
                time=timestamp(entity.modified),
                who=EDITOR if actor.edits else "client",
                client=actor.client,
                method=actor.method,
                resource=kind,
                id=entity.id,
                operations=[o.to_json() for o in operations],
                version=entity.version,
            )
        )

    def _index(self, entity: Entity) -> None:
        for name, key in _keys(entity.resource):
            self._indexes[name].setdefault(key, {})[entity.id] = entity

    def _unindex(self, entity: Entity) -> None:
        for name, key in _keys(entity.resource):
            held = self._indexes[name].get(key, {})
            held.pop(entity.id, None)
            if not held:
                self._indexes[name].pop(key, None)

    # -- groups ------------------------------------------------------------------------------------

    def group(self, id_: str) -> Entity | None:
        """The group of that id."""
        return self.groups.get(id_)

    def patch_group(self, group: Entity, operations: Sequence[Operation], actor: Actor) -> Entity:
        """Carry out operations on a group; members may be users or groups (documented).

        Raises:
            ProtocolError: An operation cannot be carried out, or a member does not exist.
        """
        resource = patch.apply(
            group.resource,
            operations,
            GROUPS,
            ignore_read_only=self.options.readonly_write == "ignore",
            strict_remove=self.options.remove_no_match == "error",
        )
        self._store_group(group, resource, actor, operations)
        return group

    def replace_group(self, group: Entity, body: Mapping[str, object], actor: Actor) -> Entity:
        """PUT of a group: the member list is replaced; names are read-only and stay."""
        kept = {name: group.resource[name] for name in ("schemas", "id", "displayName")}
        self._store_group(group, kept | settling.conform(body, GROUPS), actor, [])
        return group

    def _store_group(self, group: Entity, resource: JsonObject, actor: Actor, operations: Sequence[Operation]) -> None:
        before, after = _members(group.resource), _members(resource)
        for id_ in after.keys() - before.keys():
            if self.user(id_) is None and id_ not in self.groups:
                raise PatchRefused("invalidValue", f"there is no user or group {id_}")
        group.writes += not actor.edits
        if resource == group.resource:
            return
        for id_ in before.keys() ^ after.keys():
            self._membership(id_, group.id, joins=id_ in after)
        group.resource, group.modified = resource, self.clock()
        group.version += 1
        group.wire.clear()
        self._note("Group", group, actor, operations)

    def _membership(self, member: str, group: str, *, joins: bool) -> None:
        held = self._member_of.setdefault(member, {})
        if joins:
            held[group] = None
        else:
            held.pop(group, None)
        if member in self.users:
            self.users[member].wire.clear()

    def _leave(self, group: Entity, member: str) -> None:
        members = group.resource.get("members")
        if isinstance(members, list):
            group.resource["members"] = [m for m in members if m["value"] != member]
        group.version += 1
        group.wire.clear()
        self._membership(member, group.id, joins=False)

    # -- filling -----------------------------------------------------------------------------------

    def fill(self, seed: int, count: int) -> None:
        """Take in invented people, and a group for each of their departments."""
        crowd = list(people(seed, count))
        ids = {p.employee_id: account_id(seed, index) for index, p in enumerate(crowd)}
        now = self.clock()
        staff: dict[str, list[str]] = {}
        for member in crowd:
            id_ = ids[member.employee_id]
            resource = settling.settle(_resource_of(member, id_, ids))
            entity = Entity(id_, resource, now)
            self.users[id_] = entity
            self._index(entity)
            staff.setdefault(member.department, []).append(id_)
        self._listed.clear()
        for department, members in sorted(staff.items()):
            self.add_group(department, members)

    def add_group(self, name: str, members: Iterable[str] = ()) -> Entity:
        """Make a group; over SCIM that cannot be done (documented)."""
        id_ = identifier(f"group:{name}")
        resource: JsonObject = {"schemas": [CORE_GROUP], "id": id_, "displayName": name}
        if listed := [{"value": member} for member in members]:
            resource["members"] = listed
        group = self.groups[id_] = Entity(id_, resource, self.clock())
        for member in listed:
            self._membership(member["value"], id_, joins=True)
        return group


_SCHEMAS = (CORE_USER, ENTERPRISE_USER, GENESYS_USER)
_INDEXED = ("userName", "externalId", "employeeNumber")
#: what lives outside the directory record and may not move the version (inferred)
_ELSEWHERE = frozenset({"roles", "externalId", GENESYS_USER})


def timestamp(seconds: float) -> str:
    """A moment as ISO-8601 with milliseconds and Z, as `meta.lastModified` has it (documented)."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _record(resource: JsonObject) -> JsonObject:
    return {name: value for name, value in resource.items() if name not in _ELSEWHERE}


def _keys(resource: JsonObject) -> list[tuple[str, str]]:
    enterprise = resource.get(ENTERPRISE_USER)
    number = lookup(enterprise, "employeeNumber") if isinstance(enterprise, dict) else None
    found = (
        ("userName", str(resource.get("userName", "")).lower()),
        ("externalId", resource.get("externalId")),
        ("employeeNumber", number),
    )
    return [(name, key) for name, key in found if isinstance(key, str) and key]


def _members(resource: JsonObject) -> dict[str, None]:
    members = resource.get("members")
    return {str(m["value"]): None for m in members} if isinstance(members, list) else {}


def _is_empty(operation: Operation) -> bool:
    return operation.op.lower() != "remove" and operation.path is not None and operation.value in ("", None)


def _without_empty(operation: Operation) -> Operation:
    if operation.path is not None or not isinstance(operation.value, Mapping):
        return operation
    kept = {name: value for name, value in operation.value.items() if value not in ("", None)}
    return Operation(operation.op, None, kept)


def _resource_of(member: Person, id_: str, ids: Mapping[str, str]) -> JsonObject:
    phones = [{"type": "work", "value": member.phone}]
    if member.mobile:
        phones.append({"type": "mobile", "value": member.mobile})
    enterprise: JsonObject = {
        "division": member.division,
        "department": member.department,
        "employeeNumber": member.employee_id,
        "dateHire": member.hire_date,
    }
    if member.manager_id is not None:
        enterprise["manager"] = {"value": ids[member.manager_id]}
    roles = ["employee", "supervisor"] if "Lead" in member.title else ["employee"]
    return {
        "schemas": list(_SCHEMAS),
        "id": id_,
        "active": member.active,
        "userName": member.email,
        "displayName": member.display_name,
        "title": member.title,
        "externalId": member.employee_id,
        "emails": [{"type": "work", "value": member.email}],
        "phoneNumbers": phones,
        "roles": [{"value": role} for role in roles],
        ENTERPRISE_USER: enterprise,
        GENESYS_USER: {"routingSkills": [{"name": n, "proficiency": level} for n, level in member.skills]},
    }

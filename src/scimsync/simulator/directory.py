"""The accounts and groups of the simulated organisation, and the rules that the directory keeps on them.

A resource is kept as the client wrote it, after `settling`; `groups`, `meta` and `$ref` are added when it
is read. What goes over the wire is encoded once for each version and projection. Accounts are counted:
those of the `GeneratedUsers` exist as a number until somebody writes to them, all others are kept.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from scimsync.errors import PatchRefused
from scimsync.scim import patch
from scimsync.scim.dialect import GENESYS, GENESYS_GROUP, GENESYS_USER
from scimsync.scim.grammar import lookup
from scimsync.scim.messages import Operation
from scimsync.scim.schema import CORE_GROUP, ENTERPRISE_USER, Catalog
from scimsync.simulator import areas, normalising, people, permissions
from scimsync.simulator.generated import SCHEMAS, GeneratedUsers
from scimsync.simulator.index import NumberIndex
from scimsync.simulator.options import Options
from scimsync.simulator.people import DIVISIONS, LANGUAGES, ROLES, SKILLS, department, identifier, is_active

JsonObject = dict[str, object]
#: Turns a full resource into the part of it that was asked for.
Projection = Callable[[JsonObject], JsonObject]

USERS = GENESYS.users
GROUPS = Catalog(GENESYS_GROUP)
EDITOR = "edit"  #: who made a change that no client asked for
_PROJECTIONS_KEPT = 4
_RECENT = 20_000  #: untouched accounts held ready
_WIRES = 100_000  #: encoded untouched accounts held ready
GROUPED = 50_000  #: people who are members of the group of their department; those after them are in none
HISTORY = 100_000  #: changes remembered


class NameTaken(PatchRefused):
    """The user name belongs to an account that is not deleted: 409 on POST (documented)."""

    def __init__(self, text: str = "the userName is used by another user") -> None:
        super().__init__("uniqueness", text)


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
    number: int = 0  #: the place of a user in listings

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
    seq: int = 0
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who writes, and by which method; for the history."""

    client: str
    method: str
    permissions: frozenset[str] = permissions.ALL
    fails: frozenset[str] = frozenset()  #: areas that a partial failure leaves as they were
    correlation_id: str = ""

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
        self.primary = ""  #: the client whose `externalId` is that of the resource itself
        self.clear()
        self.names = normalising.Names(set(DIVISIONS), set(ROLES), set(SKILLS), set(LANGUAGES))
        self.history: deque[HistoryEntry] = deque(maxlen=HISTORY)
        self.effective_writes = 0
        self.changes = 0  #: changes ever; numbers the history

    def clear(self) -> None:
        """Forget all accounts and groups."""
        self.generated = GeneratedUsers(0, 0, 0.0)
        self.kept: dict[int, Entity] = {}
        self.groups: dict[str, Entity] = {}
        self.social: set[str] = set()  #: ids of groups that are not official
        self.gone: dict[str, Entity] = {}  #: deleted, by lower-cased userName
        self.born = 0
        self._numbers: dict[str, int] = {}
        self._indexes: dict[str, dict[str, dict[int, None]]] = {name: {} for name in _INDEXED}
        self._moved: set[int] = set()  #: numbers that the generated users is not asked for any more
        self._member_of: dict[str, dict[str, None]] = {}
        self._by_state = {True: NumberIndex(), False: NumberIndex()}
        self._recent: dict[int, Entity] = {}
        self._wires: dict[str, dict[int, bytes]] = {}
        self._late: deque[tuple[float, int, Entity | None]] = deque()
        self._first, self._next = 0, 0

    def adopt(self, other: Directory) -> None:
        """Take over the accounts, groups and names of another directory, which is then given up."""
        own = {"options", "clock", "base_url", "primary", "history", "effective_writes", "changes"}
        vars(self).update({name: held for name, held in vars(other).items() if name not in own})

    # -- reading -----------------------------------------------------------------------------------

    @property
    def users(self) -> Mapping[str, Entity]:
        """All accounts by id, deleted ones too; a view that makes them as they are asked for."""
        return _Users(self)

    def number(self, id_: str) -> int | None:
        """The number of an account, deleted or not."""
        found = self._numbers.get(id_)
        return self.generated.number(id_) if found is None else found

    def entity(self, number: int) -> Entity:
        """The account of a number."""
        found = self.kept.get(number) or self._recent.get(number)
        if found is None:
            if len(self._recent) >= _RECENT:
                self._recent.clear()
            resource = self.generated.resource(number)
            found = Entity(str(resource["id"]), resource, self.generated.since, number=number)
            self._recent[number] = found
        return found

    def user(self, id_: str) -> Entity | None:
        """The account of that id, unless it is deleted (a deleted id answers 404: inferred)."""
        number = self.number(id_)
        found = None if number is None else self.entity(number)
        return found if found is not None and not found.deleted else None

    def numbers(self) -> Iterator[int]:
        """All accounts by number, deleted ones too."""
        everybody = range(len(self.generated))
        yield from sorted(self.kept.keys() | set(everybody)) if self.kept else everybody

    def by_state(self, *, active: bool) -> NumberIndex:
        """The numbers of all accounts that are active, or of all that are not, in the order of their making."""
        return self._by_state[active]

    def holders(self, index: str, key: str) -> list[int]:
        """The numbers of all accounts with a key, active or not, that are not deleted."""
        kept = list(self._indexes[index].get(key, ()))
        return sorted(kept + [n for n in self.generated.find(index, key) if n not in self._moved])

    def indexed(self, name: str, value: str) -> list[Entity]:
        """The accounts with that `userName`, `externalId` or `employeeNumber`."""
        key = value.lower() if name == "userName" else value
        return [self.entity(number) for number in self.holders(name, key)]

    def select(self, index: str, key: str) -> Sequence[int]:
        """What a listing finds: by `active`, `id` or an index; late by the switch `search_lag_ms`.

        Inactive people are left out of every listing that does not ask for them (documented).
        """
        late = self._lagging()
        found = self._select(index, key)
        if not late:
            return found
        kept = [number for number in found if number not in late]
        kept += [n for n, old in late.items() if old is not None and self._meets(old, index, key)]
        return sorted(kept)

    def _select(self, index: str, key: str) -> Sequence[int]:
        if index == "active":
            return self._by_state[key == "true"]
        if index == "id":
            user = self.user(key)
            return [user.number] if user is not None and self._shown(user.number) else []
        return [number for number in self.holders(index, key) if self._shown(number)]

    def _shown(self, number: int) -> bool:
        if self.options.filter_finds_inactive:
            return True
        kept = self.kept.get(number)
        return is_active(self.generated.words[number]) if kept is None else kept.active

    def _meets(self, old: Entity, index: str, key: str) -> bool:
        if index == "active":
            return old.active is (key == "true")
        shown = old.active or self.options.filter_finds_inactive
        return shown and (old.id == key if index == "id" else (index, key) in _keys(old.resource))

    def _lagging(self) -> dict[int, Entity | None]:
        """Accounts whose last writes the search has not seen, as it still knows them."""
        if not self._late:
            return {}
        horizon = self.clock() - self.options.search_lag_ms / 1000
        while self._late and self._late[0][0] <= horizon:
            self._late.popleft()
        known: dict[int, Entity | None] = {}
        for _, number, old in self._late:
            known.setdefault(number, old)
        return known

    def _remember(self, entity: Entity, *, fresh: bool) -> None:
        if self.options.search_lag_ms:
            old = None if fresh or entity.deleted else replace(entity, wire={})
            self._late.append((self.clock(), entity.number, old))

    def page(self, numbers: Sequence[int], projection: Projection | None, key: str, client: str = "") -> list[bytes]:
        """Accounts of a listing as JSON text."""
        late = self._lagging()
        lens = self.lens(client)
        key = f"{lens}|{key}"
        self._make_room()
        known = self._wires.setdefault(key, {})
        found = []
        for number in numbers:
            entity = late.get(number) if late else None
            text = known.get(number) if number not in self.kept else None
            if entity is None and text is None and not lens and number not in self.kept:
                text = self._invented(number)
                if projection is not None:
                    text = msgspec.json.encode(projection(msgspec.json.decode(text)))
                known[number] = text
            elif entity is not None or text is None:
                text = self._wire(entity or self.entity(number), projection, key, lens)
            found.append(text)
        return found

    def lens(self, client: str) -> str:
        """The client whose own externalId is to be shown; "" for that of the resource itself."""
        own = self.options.external_id_scope == "client" and client not in {"", EDITOR, self.primary}
        return client if own else ""

    def find_user(self, key: Mapping[str, object]) -> Entity | None:
        """The account with that `id`, `userName` or `externalId`."""
        if isinstance(id_ := key.get("id"), str):
            return self.user(id_)
        for name in ("userName", "externalId"):
            if isinstance(value := key.get(name), str):
                return next(iter(self.indexed(name, value)), None)
        return None

    def seen(self, entity: Entity, lens: str) -> JsonObject:
        """The resource with the externalId that a client knows (genesys-scim.md §4.5)."""
        if not lens:
            return entity.resource
        view = {name: value for name, value in entity.resource.items() if name != "externalId"}
        authority = f"{normalising.EXTERNAL_AUTHORITY}:{lens}"
        for item in normalising.external_ids(entity.resource):
            if item["authority"] == authority:
                view["externalId"] = item["value"]
        return view

    def document(self, entity: Entity, lens: str = "") -> JsonObject:
        """The resource as a client reads it, with what the directory adds."""
        if entity.id in self.groups:
            return self._group_document(entity)
        full = dict(self.seen(entity, lens))
        if held := self._member_of.get(entity.id):
            full["groups"] = [{"value": group, "type": "direct", "$ref": self.url("Group", group)} for group in held]
        enterprise = full.get(ENTERPRISE_USER)
        manager = enterprise.get("manager") if isinstance(enterprise, dict) else None
        if isinstance(enterprise, dict) and isinstance(manager, dict):
            link = {"$ref": self.url("User", str(manager.get("value")))}
            full[ENTERPRISE_USER] = enterprise | {"manager": manager | link}
        if self.options.phone_readback == "tel" and isinstance(phones := full.get("phoneNumbers"), list):
            full["phoneNumbers"] = [phone | {"value": f"tel:{phone['value']}"} for phone in phones]
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

    def wire(self, entity: Entity, projection: Projection | None = None, key: str = "", client: str = "") -> bytes:
        """The resource as JSON text; kept until the resource changes.

        Args:
            entity: The user or group.
            projection: What to leave of it; None for all.
            key: Tells the projections apart.
            client: Who reads.
        """
        lens = self.lens(client)
        return self._wire(entity, projection, f"{lens}|{key}", lens)

    def _wire(self, entity: Entity, projection: Projection | None, key: str, lens: str) -> bytes:
        untouched = entity.id not in self.groups and entity.number not in self.kept
        known = self._wires.setdefault(key, {}).get(entity.number) if untouched else entity.wire.get(key)
        if known is not None:
            return known
        full = self.document(entity, lens)
        text = msgspec.json.encode(projection(full) if projection else full)
        if untouched:
            self._make_room()
            self._wires.setdefault(key, {})[entity.number] = text
        else:
            if len(entity.wire) >= _PROJECTIONS_KEPT:
                entity.wire.clear()
            entity.wire[key] = text
        return text

    def _make_room(self) -> None:
        if sum(map(len, self._wires.values())) >= _WIRES:
            self._wires.clear()

    def _invented(self, number: int) -> bytes:
        """An untouched account, whole: the same text as by way of its document, in a fifth of the time."""
        id_ = self.generated.id(number)
        held = [
            {"value": group, "type": "direct", "$ref": self.url("Group", group)}
            for group in self._member_of.get(id_, ())
        ]
        groups = b',"groups":' + msgspec.json.encode(held) if held else b""
        version = '\\"1\\"' if self.options.meta_version_quoted else "1"
        since = timestamp(self.generated.since)
        meta = f'"lastModified":"{since}","location":"{self.url("User", id_)}","version":"{version}"'
        if self.options.phone_readback != "e164":
            return msgspec.json.encode(self.document(self.entity(number)))
        boss = self.generated.id(people.manager(number))
        link = f'{{"value":"{boss}","$ref":"{self.url("User", boss)}"}}' if number else ""
        return self.generated.text(number, id_, link) + groups + f',"meta":{{"resourceType":"User",{meta}}}}}'.encode()

    def _forget(self, entity: Entity) -> None:
        entity.wire.clear()
        for known in self._wires.values():
            known.pop(entity.number, None)

    def forget_wire(self) -> None:
        """Drop all encoded forms: a switch that shows in them was changed."""
        self._wires.clear()
        for entity in (*self.kept.values(), *self.groups.values()):
            entity.wire.clear()

    # -- writing users -----------------------------------------------------------------------------

    def create(self, body: Mapping[str, object], actor: Actor) -> Entity:
        """Make an account; a deleted one of that name comes back to life (genesys-scim.md §4.4).

        Raises:
            NameTaken: An account that is not deleted has the name.
            PatchRefused: The body is not a user.
            Refused: The role of the client does not allow it.
        """
        written = normalising.conform(body, USERS)
        name = written.get("userName")
        if not isinstance(name, str) or not name or not written.get("displayName"):
            raise PatchRefused("invalidValue", "userName and displayName are required")
        permissions.demand(actor.permissions, [permissions.ADD])
        if self.holders("userName", name.lower()):
            raise NameTaken
        gone = self.gone.get(name.lower())
        if gone is not None and self.options.post_on_deleted == "conflict":
            raise NameTaken
        if gone is not None and self.options.post_on_deleted == "restore":
            return self._restore(gone, written, actor)
        return self._make(written, actor)

    def _make(self, written: JsonObject, actor: Actor) -> Entity:
        self.born += 1
        id_ = identifier(f"born:{self.born}:{written['userName']}")
        resource = {"schemas": list(SCHEMAS), "id": id_, "active": True} | written
        settled = self._settle(resource, {}, actor)
        self._allow({}, settled, actor)
        if self.options.default_role:
            settled.setdefault("roles", [{"value": "employee"}])  # documented
        if self.options.inactive_roles == "remove" and settled.get("active") is False:
            settled.pop("roles", None)
        entity = Entity(id_, settled, self.clock(), version=0, number=self._next)
        self._next += 1
        self._numbers[id_] = entity.number
        self.kept[entity.number] = entity
        self._commit(entity, settled, actor, [])
        return entity

    def _restore(self, gone: Entity, written: JsonObject, actor: Actor) -> Entity:
        """The old record, active again, in the division Home and without its roles (documented)."""
        held = {name: value for name, value in self.seen(gone, self.lens(actor.client)).items() if name != "roles"}
        merged = self._merge_bodies(held, {"active": True} | written)
        settled = self._settle(merged, gone.resource, actor)
        self._allow(gone.resource, settled, actor)
        self.gone.pop(str(gone.resource["userName"]).lower(), None)
        self._commit(gone, settled, actor, [])
        return gone

    def _merge_bodies(self, held: JsonObject, written: JsonObject) -> JsonObject:
        return patch.apply(held, [Operation("replace", None, written)], USERS, ignore_read_only=True)

    def replace(self, entity: Entity, body: Mapping[str, object], actor: Actor) -> Entity:
        """PUT: the body takes the place of what can be written; what it leaves out follows `put_absent`."""
        written = normalising.conform(body, USERS)
        held = self.seen(entity, self.lens(actor.client))
        if self.options.put_absent == "keep":
            resource = self._merge_bodies(held, written)
        else:
            kept = {n: held[n] for n in ("schemas", "id", "active", "userName", "displayName") if n in held}
            resource = kept | written
        self._store(entity, resource, actor, [])
        return entity

    def patch(self, entity: Entity, operations: Sequence[Operation], actor: Actor) -> Entity:
        """Carry out operations on an account, all or none.

        Raises:
            ProtocolError: An operation cannot be carried out.
            Refused: The role of the client does not allow it.
        """
        options = self.options
        meant = operations
        if options.empty_value == "ignore":
            meant = [_without_empty(o) for o in operations if not _is_empty(o)]
        resource = patch.apply(
            self.seen(entity, self.lens(actor.client)),
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
        permissions.demand(actor.permissions, [permissions.DELETE])
        resource = {name: value for name, value in entity.resource.items() if name != "roles"}
        enterprise = resource.get(ENTERPRISE_USER)
        if isinstance(enterprise, dict) and "division" in enterprise:
            resource[ENTERPRISE_USER] = enterprise | {"division": "Home"}
        for group in list(self._member_of.get(entity.id, ())):
            self._leave(self.groups[group], entity)
        self.gone[str(resource["userName"]).lower()] = entity
        self._commit(entity, resource, actor, [])

    def edit(self, entity: Entity, operations: Sequence[Operation]) -> None:
        """An admin's change behind the client's back: the version moves as for any other."""
        resource = patch.apply(entity.resource, operations, USERS, create_on_replace=True)
        self._store(entity, resource, Actor(EDITOR, "EDIT"), operations)

    def put_in_front(self) -> Entity:
        """An admin's new account that comes first in every listing: it moves the pages of a sweep."""
        self._first -= 1
        name = f"drift{-self._first}@example.com"
        id_ = identifier(f"front:{self._first}:{name}")
        resource = {"schemas": list(SCHEMAS), "id": id_, "active": True, "userName": name, "displayName": "Page Drift"}
        settled = normalising.settle(resource)
        entity = Entity(id_, settled, self.clock(), version=0, number=self._first)
        self._numbers[id_] = entity.number
        self.kept[entity.number] = entity
        self._commit(entity, settled, Actor(EDITOR, "POST"), [])
        return entity

    def _store(self, entity: Entity, resource: JsonObject, actor: Actor, operations: Sequence[Operation]) -> None:
        if self.options.readonly_write == "error" and not actor.edits:
            normalising.refuse_other_mail(entity.resource, resource)
        settled = self._settle(resource, entity.resource, actor)
        if self.options.inactive_roles == "remove" and settled.get("active") is False:
            settled.pop("roles", None)
        name = str(settled["userName"]).lower()
        renamed = name != str(entity.resource.get("userName", "")).lower() or entity.deleted or not entity.version
        if renamed and any(n != entity.number for n in self.holders("userName", name)):
            if self.options.rename_conflict == "400":
                raise PatchRefused("uniqueness", "the userName is used by another user")
            raise NameTaken
        self._allow(entity.resource, settled, actor)
        if "password" in resource and actor.method != "POST":
            permissions.demand(actor.permissions, [permissions.PASSWORD])
        if actor.fails:
            settled = areas.keep_back(entity.resource, settled, actor.fails)
        self._commit(entity, settled, actor, operations)

    def _allow(self, before: JsonObject, settled: JsonObject, actor: Actor) -> None:
        if actor.permissions != permissions.ALL:
            needed = areas.needed(before, settled)
            posted = {permissions.EDIT} if actor.method == "POST" else set()
            permissions.demand(actor.permissions, [name for name in needed if name not in posted])
        if self.options.external_id_taken == "error" and not actor.edits:
            self._refuse_taken(before, settled)

    def _refuse_taken(self, before: JsonObject, settled: JsonObject) -> None:
        held = normalising.external_ids(before)
        for item in normalising.external_ids(settled):
            key = f"{item['authority']}\n{item['value']}"
            if item not in held and self.holders("externalIds", key):
                raise NameTaken("the external id is used by another user")

    def _settle(self, resource: JsonObject, before: JsonObject, actor: Actor) -> JsonObject:
        options = self.options
        if options.readonly_write == "ignore":
            resource = normalising.without_reserved(resource, before)
        rules = normalising.Rules(
            closed=not actor.edits,
            immutable=not actor.edits,
            twice=options.duplicate_type == "last",
            step=0.0 if options.proficiency_step == "none" else float(options.proficiency_step),
        )
        own = None
        if lens := self.lens(actor.client):
            value = str(resource.get("externalId") or "")
            own = normalising.Own(authority=f"{normalising.EXTERNAL_AUTHORITY}:{lens}", value=value)
            resource = {name: held for name, held in resource.items() if name != "externalId"}
            if "externalId" in before:
                resource["externalId"] = before["externalId"]
        settled = normalising.settle(resource, before, rules, own)
        return normalising.check_references(
            settled,
            before,
            self.names,
            is_user=lambda id_: self.user(id_) is not None,
            ignore=options.unknown_reference == "ignore",
            fold=options.division_case == "ignore",
        )

    def _commit(self, entity: Entity, settled: JsonObject, actor: Actor, operations: Sequence[Operation]) -> None:
        """Make a settled resource the state of the account; with no difference nothing moves."""
        self._keep(entity)
        if not actor.edits:
            entity.writes += 1
        fresh, deletes = entity.version == 0, actor.method == "DELETE"
        if settled == entity.resource and not fresh and not deletes and not entity.deleted:
            entity.version += self.options.no_op_moves_version
            entity.wire.clear()
            return
        self._remember(entity, fresh=fresh)
        stays = not (fresh or deletes or entity.deleted) and _is_found_alike(entity.resource, settled)
        if not (fresh or entity.deleted or stays):
            self._withdraw(entity)
        moved = fresh or deletes or entity.deleted or self.options.version_covers == "all"
        if moved or self.options.covers(areas.touched(entity.resource, settled)):
            entity.version += 1
        entity.resource, entity.modified, entity.deleted = settled, self.clock(), deletes
        entity.wire.clear()
        if not (deletes or stays):
            self._enter(entity)
        self._note("User", entity, actor, operations)

    def _keep(self, entity: Entity) -> None:
        """Make an untouched account one of its own."""
        if entity.number not in self.kept:
            self._recent.pop(entity.number, None)
            self._forget(entity)
            self.kept[entity.number] = entity

    def _note(self, kind: str, entity: Entity, actor: Actor, operations: Sequence[Operation]) -> None:
        self.effective_writes += not actor.edits
        self.changes += 1
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
                seq=self.changes,
                correlation_id=actor.correlation_id,
            )
        )

    def _enter(self, entity: Entity) -> None:
        self._moved.add(entity.number)
        self._by_state[entity.active].add(entity.number)
        for name, key in _keys(entity.resource):
            self._indexes[name].setdefault(key, {})[entity.number] = None

    def _withdraw(self, entity: Entity) -> None:
        self._moved.add(entity.number)
        self._by_state[entity.active].discard(entity.number)
        for name, key in _keys(entity.resource):
            held = self._indexes[name].get(key, {})
            held.pop(entity.number, None)
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
            Refused: The role of the client does not allow it.
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
        self._store_group(group, kept | normalising.conform(body, GROUPS), actor, [])
        return group

    def _store_group(self, group: Entity, resource: JsonObject, actor: Actor, operations: Sequence[Operation]) -> None:
        permissions.demand(actor.permissions, [permissions.GROUP])
        before, after = _members(group.resource), _members(resource)
        moved = before.keys() ^ after.keys()
        self._check_members(group, after.keys() - before.keys(), len(moved))
        group.writes += not actor.edits
        if resource == group.resource:
            return
        for id_ in moved:
            self._membership(id_, group.id, joins=id_ in after)
        group.resource, group.modified = resource, self.clock()
        group.version += 1
        group.wire.clear()
        self._note("Group", group, actor, operations)

    def _check_members(self, group: Entity, fresh: Iterable[str], moved: int) -> None:
        options = self.options
        if moved and group.id in self.social and options.group_types_writable == "official":
            raise PatchRefused("mutability", "members of this group cannot be written")
        if options.group_batch and moved > options.group_batch:
            raise PatchRefused("tooMany", f"no more than {options.group_batch} members at once")
        for id_ in fresh:
            if id_ in self.groups:
                if options.nested_groups == "error" or id_ == group.id:
                    raise PatchRefused("invalidValue", f"group {id_} cannot be a member")
            elif self.user(id_) is None:
                raise PatchRefused("invalidValue", f"there is no user or group {id_}")

    def _membership(self, member: str, group: str, *, joins: bool) -> None:
        held = self._member_of.setdefault(member, {})
        if joins:
            held[group] = None
        else:
            held.pop(group, None)
        number = self.number(member)
        if number is None:
            return
        user = self.entity(number)
        if self.options.covers(frozenset({"membership"})):
            self._keep(user)
            user.version += 1
        self._forget(user)

    def _leave(self, group: Entity, member: Entity) -> None:
        members = group.resource.get("members")
        if isinstance(members, list):
            group.resource["members"] = [m for m in members if m["value"] != member.id]
        group.version += 1
        group.wire.clear()
        self._membership(member.id, group.id, joins=False)

    # -- filling -----------------------------------------------------------------------------------

    def fill(self, seed: int, count: int) -> None:
        """Take in invented people, and a group for each department of the first 50,000."""
        self.invent(seed, count, self.clock())
        staff: dict[str, list[int]] = {}
        for number, word in enumerate(self.generated.words[:GROUPED]):
            staff.setdefault(department(word), []).append(number)
        for name, members in sorted(staff.items()):
            self.add_group(name, map(self.generated.id, members))

    def invent(self, seed: int, count: int, since: float) -> None:
        """Take in invented people, without groups."""
        self.generated = GeneratedUsers(seed, count, since)
        self._next = count
        for active, index in self._by_state.items():
            index.take(number for number, word in enumerate(self.generated.words) if is_active(word) is active)

    def add_group(self, name: str, members: Iterable[str] = (), id_: str = "") -> Entity:
        """Make a group; over SCIM that cannot be done (documented)."""
        group_id = id_ or identifier(f"group:{name}")
        resource: JsonObject = {"schemas": [CORE_GROUP], "id": group_id, "displayName": name}
        if listed := [{"value": member} for member in members]:
            resource["members"] = listed
        group = self.groups[group_id] = Entity(group_id, resource, self.clock())
        for member in listed:
            self._member_of.setdefault(member["value"], {})[group_id] = None
        self.forget_wire()
        return group

    def add_user(self, entity: Entity, number: int | None = None) -> None:
        """Take in an account as it is, from a file; with the number of an invented one in its place."""
        entity.number = self._next if number is None else number
        self._next, self._first = max(self._next, entity.number + 1), min(self._first, entity.number)
        self._numbers[entity.id] = entity.number
        if not entity.deleted:
            if entity.number < len(self.generated) and entity.number >= 0:
                for index in self._by_state.values():
                    index.discard(entity.number)
            self.kept[entity.number] = entity
            self._enter(entity)
            return
        for index in self._by_state.values():
            index.discard(entity.number)
        self._moved.add(entity.number)
        self.kept[entity.number] = entity
        self.gone[str(entity.resource.get("userName", "")).lower()] = entity


class _Users(Mapping[str, Entity]):
    """All accounts of a directory by id."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def __getitem__(self, id_: str) -> Entity:
        number = self._directory.number(id_)
        if number is None:
            raise KeyError(id_)
        return self._directory.entity(number)

    def __iter__(self) -> Iterator[str]:
        return (self._directory.entity(number).id for number in self._directory.numbers())

    def __len__(self) -> int:
        return sum(1 for _ in self._directory.numbers())


_INDEXED = ("userName", "externalId", "employeeNumber", "email", "manager", "division", "externalIds")


def timestamp(seconds: float) -> str:
    """A moment as ISO-8601 with milliseconds and Z, as `meta.lastModified` has it (documented)."""
    whole, rest = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{rest // 1000:03d}Z"


@lru_cache(maxsize=1024)
def _second(whole: int) -> str:
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"


#: what decides under which keys and in which index an account is found
_DECIDES = ("active", "userName", "externalId", "emails", ENTERPRISE_USER, GENESYS_USER)


def _is_found_alike(before: JsonObject, after: JsonObject) -> bool:
    """Whether two states of an account stand in the same places of the indexes and indexes."""
    return all(before.get(name) == after.get(name) for name in _DECIDES)


def _keys(resource: JsonObject) -> set[tuple[str, str]]:
    """Under what a user is found: (index, key)."""
    enterprise = resource.get(ENTERPRISE_USER)
    part = enterprise if isinstance(enterprise, dict) else {}
    manager = part.get("manager")
    found: list[tuple[str, object]] = [
        ("userName", str(resource.get("userName", "")).lower()),
        ("externalId", resource.get("externalId")),
        ("employeeNumber", lookup(part, "employeeNumber")),
        ("division", lookup(part, "division")),
        ("manager", manager.get("value") if isinstance(manager, dict) else None),
    ]
    mails = resource.get("emails")
    found += [("email", str(m.get("value", "")).lower()) for m in (mails if isinstance(mails, list) else ())]
    found += [("externalIds", f"{i['authority']}\n{i['value']}") for i in normalising.external_ids(resource)]
    return {(name, key) for name, key in found if isinstance(key, str) and key}


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

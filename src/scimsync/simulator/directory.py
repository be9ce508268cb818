"""The directory: users and groups, and the rules that it keeps when they are written.

A resource is kept as the client wrote it, after `normalising`. Who is found under what stands in `accounts`, what is
read in `readings`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from scimsync.errors import PatchRefused
from scimsync.scim import patch
from scimsync.scim.messages import Operation
from scimsync.scim.schema import CORE_GROUP, ENTERPRISE_USER
from scimsync.simulator import areas, normalising, permissions
from scimsync.simulator.accounts import found_alike
from scimsync.simulator.beside import Beside
from scimsync.simulator.custom import CustomAttributes, CustomSchema
from scimsync.simulator.entities import (
    EDITOR,
    GROUPS,
    GROUPS_BY_HAND,
    USERS,
    Actor,
    Entity,
    HistoryEntry,
    JsonObject,
    NameTaken,
    timestamp,
)
from scimsync.simulator.generated import SCHEMAS
from scimsync.simulator.options import Options
from scimsync.simulator.people import DIVISIONS, LANGUAGES, ROLES, SKILLS, department, identifier
from scimsync.simulator.readings import Readings

GROUPED = 50_000  #: people who are members of the group of their department; those after them are in none
HISTORY = 100_000  #: changes remembered


class Directory(Readings):
    """Users and groups in memory. Not thread-safe: one event loop owns it, others may read."""

    def __init__(self, options: Options | None = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options, clock)
        self.names = normalising.Names(set(DIVISIONS), set(ROLES), set(SKILLS), set(LANGUAGES))
        self.history: deque[HistoryEntry] = deque(maxlen=HISTORY)
        self.effective_writes = 0
        self.changes = 0  #: changes ever; numbers the history

    def clear(self) -> None:
        """Forget all accounts and groups."""
        super().clear()
        self.social: set[str] = set()  #: ids of groups that are not official
        self.custom = CustomAttributes()
        self.beside = Beside()
        self.born = 0

    def adopt(self, other: Directory) -> None:
        """Take over the accounts, groups and names of another directory, which is then given up."""
        own = {"options", "clock", "base_url", "primary", "history", "effective_writes", "changes"}
        vars(self).update({name: held for name, held in vars(other).items() if name not in own})

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
        self._check_login(resource, {}, actor)
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
        self._check_login(merged, gone.resource, actor)
        settled = self._settle(merged, gone.resource, actor)
        self._allow(gone.resource, settled, actor)
        name = str(gone.resource["userName"]).lower()
        if self.gone.get(name) is gone:
            self.gone.pop(name)
        self._commit(gone, settled, actor, [])
        return gone

    def revive(self, gone: Entity, actor: Actor, *, active: bool) -> None:
        """Bring a deleted account back by its id, as the Platform API does (documented).

        Raises:
            NameTaken: Somebody else has the name by now.
        """
        if self.holders("userName", str(gone.resource["userName"]).lower()):
            raise NameTaken
        self._restore(gone, {"active": active}, actor)

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
        dropped = normalising.dropped(resource, entity.resource)
        if dropped and options.reserved_dropped == "refused":
            raise PatchRefused("mutability", "an external id that SCIM keeps cannot be taken away")
        if dropped and options.reserved_dropped == "obeyed":
            own = normalising.authority(self.lens(actor.client))
            resource = {name: value for name, value in resource.items() if name != "externalId" or own not in dropped}
            self._store(entity, resource, actor, operations, dropped)
        else:
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

    def _check_login(self, resource: JsonObject, before: JsonObject, actor: Actor) -> None:
        if not actor.edits:
            email, shortest = self.options.login_form == "email", self.options.password_length
            normalising.check_login(resource, before, shortest=shortest, email=email)

    def _store(
        self,
        entity: Entity,
        resource: JsonObject,
        actor: Actor,
        operations: Sequence[Operation],
        dropped: frozenset[str] = frozenset(),
    ) -> None:
        self._check_login(resource, entity.resource, actor)
        if self.options.readonly_write == "error" and not actor.edits:
            normalising.refuse_other_mail(entity.resource, resource)
        settled = self._settle(resource, entity.resource, actor, dropped)
        name = str(settled["userName"]).lower()
        renamed = name != str(entity.resource.get("userName", "")).lower() or entity.deleted or not entity.version
        if renamed and any(n != entity.number for n in self.holders("userName", name)):
            if self.options.rename_conflict == "400":
                raise PatchRefused("uniqueness", "the userName is used by another user")
            raise NameTaken
        self._allow(entity.resource, settled, actor)
        if "password" in resource and actor.method != "POST":
            permissions.demand(actor.permissions, [permissions.PASSWORD])
        if self.options.inactive_roles == "remove" and settled.get("active") is False:
            settled.pop("roles", None)  # the service takes them, whatever the client may do
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

    def _settle(
        self, resource: JsonObject, before: JsonObject, actor: Actor, dropped: frozenset[str] = frozenset()
    ) -> JsonObject:
        options = self.options
        if options.readonly_write == "ignore":
            resource = normalising.without_reserved(resource, before)
        rules = normalising.Rules(
            closed=not actor.edits,
            immutable=not actor.edits,
            twice=options.duplicate_type == "last",
            dropped=dropped,
            step=0.0 if options.proficiency_step == "none" else float(options.proficiency_step),
        )
        own = None
        if lens := self.lens(actor.client):
            value = str(resource.get("externalId") or "")
            own = normalising.Own(authority=normalising.authority(lens), value=value)
            resource = {name: held for name, held in resource.items() if name != "externalId"}
            if "externalId" in before and normalising.EXTERNAL_AUTHORITY not in dropped:
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
        self.remember(entity, fresh=fresh)
        stays = not (fresh or deletes or entity.deleted) and found_alike(entity.resource, settled)
        if not (fresh or entity.deleted or stays):
            self.withdraw(entity)
        moved = fresh or deletes or entity.deleted or self.options.version_covers == "all"
        if moved or self.options.covers(areas.touched(entity.resource, settled)):
            entity.version += 1
        entity.resource, entity.modified, entity.deleted = settled, self.clock(), deletes
        entity.wire.clear()
        if not (deletes or stays):
            self.enter(entity)
        self._note("User", entity, actor, operations)

    def _keep(self, entity: Entity) -> None:
        """Make an untouched account one of its own."""
        if entity.number not in self.kept:
            self._recent.pop(entity.number, None)
            self.forget(entity)
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

    def write_beside(self, entity: Entity, body: Mapping[str, object], actor: Actor, *, moved: bool) -> None:
        """Write employer and locations of an account, whose version moves once.

        Raises:
            Refused: Something of it cannot be taken.
        """
        if self.beside.write(entity.id, body):
            self._keep(entity)
            entity.version += not moved
            entity.modified = self.clock()
            entity.wire.clear()
            self._note("User", entity, actor, [])

    def write_custom(self, entity: Entity, body: object, actor: Actor, *, whole: bool) -> CustomSchema:
        """Write custom attributes of an account; its version stays.

        Raises:
            Refused: The body does not fit a schema.
        """
        schema, changed = self.custom.write(entity.id, body, whole=whole)
        if changed:
            self._note("CustomAttributes", entity, actor, [])
        return schema

    def remove_custom(self, entity: Entity, schema: CustomSchema, actor: Actor) -> None:
        """Take custom attributes of an account away.

        Raises:
            Refused: It has none of this schema.
        """
        self.custom.remove(entity.id, schema)
        self._note("CustomAttributes", entity, actor, [])

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
            GROUPS_BY_HAND if actor.edits else GROUPS,
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
        self.forget(user)

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

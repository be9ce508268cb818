"""The directory as clients read it: what it adds to a resource, and the text that goes over the wire.

A resource is kept as the client wrote it; `groups`, `meta` and `$ref` are added when it is read. What goes over the
wire is encoded once for each version and projection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from scimsync.scim.schema import ENTERPRISE_USER
from scimsync.simulator import normalising, people
from scimsync.simulator.accounts import Accounts
from scimsync.simulator.entities import EDITOR, Entity, JsonObject, Projection, timestamp
from scimsync.simulator.options import Options


def division_of(resource: JsonObject) -> str:
    """The division of an account; Home where it has none."""
    enterprise = resource.get(ENTERPRISE_USER)
    return str(enterprise.get("division") or "Home") if isinstance(enterprise, dict) else "Home"


_PROJECTIONS_KEPT = 4
_WIRES = 100_000  #: encoded untouched accounts held ready


class Readings(Accounts):
    """Users and groups, as resources and as text."""

    def __init__(self, options: Options | None = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options, clock)
        self.base_url = ""  #: of `meta.location` and `$ref`; the server sets it
        self.primary = ""  #: the client whose `externalId` is that of the resource itself

    def clear(self) -> None:
        """Forget all accounts and groups."""
        super().clear()
        self.groups: dict[str, Entity] = {}
        self._member_of: dict[str, dict[str, None]] = {}
        self._wires: dict[str, dict[int, bytes]] = {}

    # -- as a resource -----------------------------------------------------------------------------

    def lens(self, client: str) -> str:
        """The client whose own externalId is to be shown; "" for that of the resource itself."""
        own = self.options.external_id_scope == "client" and client not in {"", EDITOR, self.primary}
        return client if own else ""

    def visible(self, entity: Entity) -> bool:
        """Whether the client sees the division of an account; who has none is in Home."""
        return self.options.sees(division_of(entity.resource))

    def seen(self, entity: Entity, lens: str) -> JsonObject:
        """The resource with the externalId that a client knows (genesys-scim.md §4.5)."""
        if not lens:
            return entity.resource
        view = {name: value for name, value in entity.resource.items() if name != "externalId"}
        authority = normalising.authority(lens)
        for item in normalising.external_ids(entity.resource):
            if item["authority"] == authority:
                view["externalId"] = item["value"]
        return view

    def groups_of(self, entity: Entity) -> list[str]:
        """The ids of the groups that an account is in."""
        return list(self._member_of.get(entity.id, ()))

    def document(self, entity: Entity, lens: str = "") -> JsonObject:
        """The resource as a client reads it, with what the directory adds."""
        if entity.id in self.groups:
            return self._group_document(entity)
        full = dict(self.seen(entity, lens))
        if held := self._member_of.get(entity.id):
            full["groups"] = [self._group_reference(group) for group in held]
        enterprise = full.get(ENTERPRISE_USER)
        manager = enterprise.get("manager") if isinstance(enterprise, dict) else None
        if isinstance(enterprise, dict) and isinstance(manager, dict):
            link = {"$ref": self.url("User", str(manager.get("value")))}
            full[ENTERPRISE_USER] = enterprise | {"manager": manager | link}
        if self.options.phone_readback == "tel" and isinstance(phones := full.get("phoneNumbers"), list):
            full["phoneNumbers"] = [phone | {"value": f"tel:{phone['value']}"} for phone in phones]
        full["meta"] = self._meta("User", entity)
        return full

    def _group_reference(self, group: str) -> JsonObject:
        """A group in `groups` of a user; the type is that of a resource (documented)."""
        return {"value": group, "type": "Group", "$ref": self.url("Group", group)}

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

    # -- as text -----------------------------------------------------------------------------------

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
        held = [self._group_reference(group) for group in self._member_of.get(id_, ())]
        groups = b',"groups":' + msgspec.json.encode(held) if held else b""
        version = '\\"1\\"' if self.options.meta_version_quoted else "1"
        since = timestamp(self.generated.since)
        meta = f'"lastModified":"{since}","location":"{self.url("User", id_)}","version":"{version}"'
        if self.options.phone_readback != "e164":
            return msgspec.json.encode(self.document(self.entity(number)))
        boss = self.generated.id(people.manager(number))
        link = f'{{"value":"{boss}","$ref":"{self.url("User", boss)}"}}' if number else ""
        return self.generated.text(number, id_, link) + groups + f',"meta":{{"resourceType":"User",{meta}}}}}'.encode()

    def forget(self, entity: Entity) -> None:
        """Drop the encoded forms of an account."""
        entity.wire.clear()
        for known in self._wires.values():
            known.pop(entity.number, None)

    def forget_wire(self) -> None:
        """Drop all encoded forms: a switch that shows in them was changed."""
        self._wires.clear()
        for entity in (*self.kept.values(), *self.groups.values()):
            entity.wire.clear()

"""The Target port in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec

from scimsync.errors import ProtocolError
from scimsync.model.accounts import DeletedAccount
from scimsync.model.outcomes import Description, Document, Exchange, Guard, Reply, Rights, Sweep
from scimsync.scim.dialect import Dialect
from scimsync.scim.drift import SCHEMAS
from scimsync.scim.genesys import GENESYS, GENESYS_GROUP
from scimsync.scim.messages import ErrorReport, Operation, version_of
from scimsync.scim.patch import apply
from scimsync.scim.schema import Catalog, Place, Schema

_GROUPS = Catalog(GENESYS_GROUP)
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(dict[str, Any]).decode
#: what is told of a deleted account
_HELD = ("title", "department", "manager", "phoneNumbers", "routingSkills", "routingLanguages")


def members_of(group: Mapping[str, object]) -> set[str]:
    """The ids of the members of a group."""
    members = group.get("members")
    return {str(member["value"]) for member in members} if isinstance(members, list) else set()


def travelled(resource: dict[str, object]) -> dict[str, Any]:
    """A resource as it comes out of JSON: a copy, and far sooner than a deep one."""
    return _decode(_encode(resource))


class MemoryTarget:
    """A directory in memory with versions, unique logins and RFC 7644 PATCH.

    Edit `users` and `groups` to play a foreign hand.

    Args:
        dialect: whose schemas the resources follow.
        users: resources to begin with; an id and a version are given where there is none.
        names: kind -> the names that exist; a kind that is not given cannot be known.
        groups: the same for groups.
        rights: what it says of us; by default it says nothing.
        licences: role -> the licences that follow from it; of a role that is not given they cannot be known.
    """

    name = "memory://target"
    rate = 60_000
    #: path -> why it can be neither read nor written; set it to play a lacking permission
    unread: Mapping[str, str] = {}

    def __init__(
        self,
        dialect: Dialect = GENESYS,
        users: Iterable[Mapping[str, object]] = (),
        names: Mapping[str, Iterable[str]] | None = None,
        groups: Iterable[Mapping[str, object]] = (),
        rights: Rights | None = None,
        licences: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self._dialect = dialect
        self._names = {kind: frozenset(listed) for kind, listed in (names or {}).items()}
        self._licences = {role: frozenset(named) for role, named in (licences or {}).items()}
        self._rights = rights or Rights(untold="a directory in memory", unlimited="a directory in memory")
        self._ids = count(1)
        #: what it publishes; set others to let them drift
        self.schemas: Sequence[Schema] = dialect.users.published.schemas
        #: resources by id
        self.users: dict[str, dict[str, object]] = {}
        #: what sweeps and searches show, where they lag; None: what is there
        self.listed: dict[str, dict[str, object]] | None = None
        for user in users:
            self._put({"active": True, **user}, version=1)
        #: deleted resources by id, and whether the creation of a login that one of them had brings it back
        self.bygone: dict[str, dict[str, object]] = {}
        self.revives = False
        #: whether it tells of them
        self.tells_of_deleted = True
        self.groups: dict[str, dict[str, object]] = {}
        for group in groups:
            self._put_group(dict(group), version=1)

    def _put_group(self, group: dict[str, object], *, version: int) -> dict[str, object]:
        identity = str(group.get("id") or f"00000000-0000-4000-9000-{next(self._ids):012d}")
        self.groups[identity] = {**group, "id": identity, "meta": {"resourceType": "Group", "version": str(version)}}
        return self.groups[identity]

    def _put(self, user: dict[str, object], *, version: int) -> dict[str, object]:
        identity = str(user.get("id") or f"00000000-0000-4000-8000-{next(self._ids):012d}")
        self.users[identity] = {**user, "id": identity, "meta": {"resourceType": "User", "version": str(version)}}
        return self.users[identity]

    def manage(self, places: Iterable[Place]) -> None:
        """All that the catalog has is shown anyway."""

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:  # noqa: ARG002
        """Hand over all accounts, with every attribute."""
        shown = self._shown()
        sink([msgspec.json.encode(user) for user in shown.values()])
        return Sweep(accounts=len(shown), announced=len(shown), requests=1)

    async def reread(
        self,
        accounts: Collection[str],
        attributes: Sequence[str],  # noqa: ARG002
        sink: Callable[[Sequence[bytes]], None],
    ) -> None:
        """Hand over some accounts, with every attribute."""
        sink([msgspec.json.encode(user) for account, user in self._shown().items() if account in accounts])

    def lag(self) -> None:
        """From now on sweeps and searches show what is there at this moment."""
        self.listed = {account: travelled(user) for account, user in self.users.items()}

    def _shown(self) -> dict[str, dict[str, object]]:
        return self.users if self.listed is None else self.listed

    async def get(self, account: str) -> Reply:
        """Read one account."""
        user = self.users.get(account)
        return self._refused("GET", 404, "not found") if user is None else self._answered("GET", user)

    async def find(self, attribute: str, value: str, *, sure: bool = False) -> Sequence[Reply]:  # noqa: ARG002
        """Accounts whose attribute equals the value, case ignored."""
        place = self._dialect.users.resolve(attribute)
        wanted = value.casefold()
        return [
            self._answered("GET", user)
            for user in self._shown().values()
            if str(place.read(user) or "").casefold() == wanted
        ]

    async def names(self, kind: str) -> frozenset[str] | None:
        """The names of a kind, as they were given."""
        return self._names.get(kind)

    async def licences(self, sets: Collection[frozenset[str]]) -> Mapping[frozenset[str], frozenset[str]] | None:
        """The licences of all roles of a set together, as they were given."""
        if not frozenset().union(*sets) <= self._licences.keys():
            return None
        return {roles: frozenset().union(*(self._licences[role] for role in roles)) for roles in sets}

    async def rights(self) -> Rights:
        """What we may do, as it was given."""
        return self._rights

    async def create(self, resource: dict[str, object]) -> Reply:
        """POST: 201, or 409 where the login is taken."""
        login = str(resource.get("userName", "")).casefold()
        if self._is_taken(login):
            return self._refused("POST", 409, "the user name is taken", "uniqueness")
        gone = [account for account, user in self.bygone.items() if str(user.get("userName", "")).casefold() == login]
        if gone and self.revives:
            return self._answered("POST", self._revive(gone[0], resource), status=201)
        return self._answered("POST", self._put({"active": True, **resource}, version=1), status=201)

    def _is_taken(self, login: str) -> bool:
        return any(str(user.get("userName", "")).casefold() == login for user in self.users.values())

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH: 200 with the account, 400 `invalidVers` where the version has moved."""
        if not version:
            raise ValueError("a PATCH needs a version")
        user = self.users.get(account)
        if user is None:
            return self._refused("PATCH", 404, "not found")
        held = self._answered("GET", user).version
        if held != version:
            return self._refused("PATCH", 400, "the version does not match the current version", "invalidVers")
        try:
            changed = apply(user, operations, self._dialect.users)
        except ProtocolError as error:
            return self._refused("PATCH", 400, str(error), error.scim_type)
        return self._answered("PATCH", self._put(changed, version=int(held) + 1))

    async def guard(self, account: str = "") -> Guard:  # noqa: ARG002
        """By version, always."""
        return Guard()

    async def delete(self, account: str, version: str) -> Reply:
        """DELETE: 204 without a body; 404 and 400 `invalidVers` as for `patch`."""
        if not version:
            raise ValueError("a DELETE needs a version")
        user = self.users.get(account)
        if user is None:
            return self._refused("DELETE", 404, "not found")
        if self._answered("GET", user).version != version:
            return self._refused("DELETE", 400, "the version does not match the current version", "invalidVers")
        self.bygone[account] = self._put(self.users.pop(account), version=int(version) + 1)
        del self.users[account]
        return Reply(exchange=Exchange.ANSWERED, method="DELETE", status=204)

    async def deleted(self, logins: Collection[str]) -> Mapping[str, Sequence[DeletedAccount]] | None:
        """The deleted accounts that had one of these logins."""
        wanted = {login.lower() for login in logins}
        found: dict[str, list[DeletedAccount]] = {}
        for user in self.bygone.values():
            if (login := str(user.get("userName", "")).lower()) in wanted:
                found.setdefault(login, []).append(self._bygone(login, user))
        return found if self.tells_of_deleted else None

    def _bygone(self, login: str, user: dict[str, object]) -> DeletedAccount:
        extensions = [held for name, held in user.items() if ":" in name and isinstance(held, dict)]
        flat = {**user, **{name: held for extension in extensions for name, held in extension.items()}}
        return DeletedAccount(
            id=str(user["id"]),
            login=login,
            name=str(user.get("displayName") or ""),
            version=self._answered("GET", user).version,
            number=str(flat.get("employeeNumber") or ""),
            holds=tuple(name for name in _HELD if flat.get(name)),
        )

    async def restore(self, account: str, version: str) -> Reply:
        """Bring a deleted account back without roles: 200, or 404, or 409 where the version has moved."""
        user = self.bygone.get(account)
        if user is None:
            return self._refused("PATCH", 404, "not found")
        if self._answered("GET", user).version != version:
            return self._refused("PATCH", 409, "the version does not match the current version")
        self._revive(account, {})
        return Reply(exchange=Exchange.ANSWERED, method="PATCH", status=200)

    def _revive(self, account: str, written: Mapping[str, object]) -> dict[str, object]:
        user = self.bygone.pop(account)
        held = {name: value for name, value in user.items() if name != "roles"}
        changed = apply(held, [Operation("replace", None, {"active": True, **written})], self._dialect.users)
        return self._put(changed, version=int(self._answered("GET", user).version) + 1)

    async def list_groups(
        self,
        sink: Callable[[Sequence[bytes]], None],
        wanted: Sequence[tuple[str, str]] = (),  # noqa: ARG002
    ) -> Sweep:
        """Hand over all groups, without their members."""
        bare = [{name: held for name, held in group.items() if name != "members"} for group in self.groups.values()]
        sink([msgspec.json.encode(group) for group in bare])
        return Sweep(accounts=len(bare), announced=len(bare), requests=1)

    async def look(self, attributes: Sequence[str], *, groups: bool) -> tuple[int, int | None]:  # noqa: ARG002
        """How many accounts and groups there are."""
        return len(self.users), len(self.groups) if groups else None

    async def get_group(self, group: str) -> Reply:
        """Read one group, with its members."""
        held = self.groups.get(group)
        return self._refused("GET", 404, "not found") if held is None else self._answered("GET", held)

    async def patch_group(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH: as `patch`; a new member must be an account or a group."""
        if not version:
            raise ValueError("a PATCH needs a version")
        held = self.groups.get(group)
        if held is None:
            return self._refused("PATCH", 404, "not found")
        before = self._answered("GET", held).version
        if before != version:
            return self._refused("PATCH", 400, "the version does not match the current version", "invalidVers")
        try:
            changed = apply(held, operations, _GROUPS)
        except ProtocolError as error:
            return self._refused("PATCH", 400, str(error), error.scim_type)
        if strangers := members_of(changed) - members_of(held) - self.users.keys() - self.groups.keys():
            return self._refused("PATCH", 400, f"there is no user or group {min(strangers)}", "invalidValue")
        return self._answered("PATCH", self._put_group(changed, version=int(before) + (changed != held)))

    async def describe(self, known: Mapping[str, Document] | None = None) -> Description:  # noqa: ARG002
        """The schemas that it publishes."""
        listed = [schema.to_json() for schema in self.schemas]
        return Description(documents={SCHEMAS: Document({"Resources": listed})})

    async def close(self) -> None:
        """Nothing to let go of."""

    def _answered(self, method: str, user: dict[str, object], *, status: int = 200) -> Reply:
        meta = user["meta"]
        version = version_of(meta.get("version")) if isinstance(meta, dict) else ""
        return Reply(exchange=Exchange.ANSWERED, method=method, status=status, body=travelled(user), version=version)

    def _refused(self, method: str, status: int, detail: str, scim_type: str = "") -> Reply:
        error = ErrorReport(status=status, scim_type=scim_type, detail=detail)
        return Reply(exchange=Exchange.ANSWERED, method=method, status=status, error=error)

"""The accounts of the directory by number: who is there, and who is found under what.

Accounts are counted: those of the `GeneratedUsers` exist as a number until somebody writes to them, all others
are kept.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.grammar import lookup
from scimsync.scim.schema import ENTERPRISE_USER
from scimsync.simulator import normalising
from scimsync.simulator.entities import Entity, JsonObject
from scimsync.simulator.generated import GeneratedUsers
from scimsync.simulator.index import NumberIndex
from scimsync.simulator.options import Options
from scimsync.simulator.people import is_active

_RECENT = 20_000  #: untouched accounts held ready
_INDEXED = ("userName", "externalId", "employeeNumber", "email", "manager", "division", "externalIds")
#: what decides under which keys and in which index an account is found
_DECIDES = ("active", "userName", "externalId", "emails", ENTERPRISE_USER, GENESYS_USER)


class Accounts:
    """Users in memory, by number."""

    def __init__(self, options: Options | None = None, clock: Callable[[], float] = time.time) -> None:
        self.options = options or Options()
        self.clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget all accounts."""
        self.generated = GeneratedUsers(0, 0, 0.0)
        self.kept: dict[int, Entity] = {}
        self.gone: dict[str, Entity] = {}  #: deleted, by lower-cased userName
        self._numbers: dict[str, int] = {}
        self._indexes: dict[str, dict[str, dict[int, None]]] = {name: {} for name in _INDEXED}
        self._moved: set[int] = set()  #: numbers that the generated users is not asked for any more
        self._by_state = {True: NumberIndex(), False: NumberIndex()}
        self._recent: dict[int, Entity] = {}
        self._late: deque[tuple[float, int, Entity | None]] = deque()
        self._first, self._next = 0, 0

    # -- finding -----------------------------------------------------------------------------------

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

    def deleted(self) -> list[int]:
        """The numbers of all deleted accounts, in the order of their making; late by `search_lag_ms`."""
        late = self._lagging()
        return sorted(n for n, entity in self.kept.items() if entity.deleted and n not in late)

    def holders(self, index: str, key: str) -> list[int]:
        """The numbers of all accounts with a key, active or not, that are not deleted."""
        kept = list(self._indexes[index].get(key, ()))
        return sorted(kept + [n for n in self.generated.find(index, key) if n not in self._moved])

    def indexed(self, name: str, value: str) -> list[Entity]:
        """The accounts with that `userName`, `externalId` or `employeeNumber`."""
        key = value.lower() if name == "userName" else value
        return [self.entity(number) for number in self.holders(name, key)]

    def find_user(self, key: Mapping[str, object]) -> Entity | None:
        """The account with that `id`, `userName` or `externalId`."""
        if isinstance(id_ := key.get("id"), str):
            return self.user(id_)
        for name in ("userName", "externalId"):
            if isinstance(value := key.get(name), str):
                return next(iter(self.indexed(name, value)), None)
        return None

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
        return shown and (old.id == key if index == "id" else (index, key) in keys(old.resource))

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

    # -- keeping -----------------------------------------------------------------------------------

    def remember(self, entity: Entity, *, fresh: bool) -> None:
        """Note an account as it is before a write, for listings that see the write late."""
        if self.options.search_lag_ms:
            old = None if fresh or entity.deleted else replace(entity, wire={})
            self._late.append((self.clock(), entity.number, old))

    def enter(self, entity: Entity) -> None:
        """Let an account be found under what it holds now."""
        self._moved.add(entity.number)
        self._by_state[entity.active].add(entity.number)
        for name, key in keys(entity.resource):
            self._indexes[name].setdefault(key, {})[entity.number] = None

    def withdraw(self, entity: Entity) -> None:
        """Let an account not be found any more under what it holds."""
        self._moved.add(entity.number)
        self._by_state[entity.active].discard(entity.number)
        for name, key in keys(entity.resource):
            held = self._indexes[name].get(key, {})
            held.pop(entity.number, None)
            if not held:
                self._indexes[name].pop(key, None)

    def invent(self, seed: int, count: int, since: float) -> None:
        """Take in invented people, without groups."""
        self.generated = GeneratedUsers(seed, count, since, inactive_roles=self.options.inactive_roles == "keep")
        self._next = count
        for active, index in self._by_state.items():
            index.take(number for number, word in enumerate(self.generated.words) if is_active(word) is active)

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
            self.enter(entity)
            return
        for index in self._by_state.values():
            index.discard(entity.number)
        self._moved.add(entity.number)
        self.kept[entity.number] = entity
        self.gone[str(entity.resource.get("userName", "")).lower()] = entity


class _Users(Mapping[str, Entity]):
    """All accounts by id."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def __getitem__(self, id_: str) -> Entity:
        number = self._accounts.number(id_)
        if number is None:
            raise KeyError(id_)
        return self._accounts.entity(number)

    def __iter__(self) -> Iterator[str]:
        return (self._accounts.entity(number).id for number in self._accounts.numbers())

    def __len__(self) -> int:
        return sum(1 for _ in self._accounts.numbers())


def found_alike(before: JsonObject, after: JsonObject) -> bool:
    """Whether two states of an account stand in the same places of the indexes."""
    return all(before.get(name) == after.get(name) for name in _DECIDES)


def keys(resource: JsonObject) -> set[tuple[str, str]]:
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

"""Random days: HR and directory of many small worlds, with everything that goes wrong between them.

A ports is a handful of people who share logins, numbers, names and groups with each other and with nobody
else, so that hundreds of worlds can live in one organisation and one run is a day of each. Everything is
drawn from the seed, the number of the ports and the day: a ports that breaks a law is played again alone.
"""

from __future__ import annotations

import asyncio
import pickle
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from scimsync.engine.applying import apply_plan
from scimsync.engine.membership import Pairs
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.planning import make_plan
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.model.outcomes import Exchange, Reply, Sweep
from scimsync.model.plans import Plan
from scimsync.model.policy import Authority, Grouping, Limit, Limits, Mapped, Policy
from scimsync.model.reports import Report
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import ErrorReport, Operation
from scimsync.testing import ListSource, MemoryStore, MemoryTarget, VirtualClock
from scimsync.testing.target import travelled

USERS = GENESYS.users
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GENESYS_USER = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"
COLUMNS = ("id", "email", "name", "status", "title", "department", "phone", "skills", "hired", "boss")
MAPPING = {
    "userName": "lower(trim(email))",
    "displayName": "name",
    "active": "status = 'active'",
    "externalId": "id",
    "enterprise:employeeNumber": "id",
    "title": "title",
    "enterprise:department": "department",
    'phoneNumbers[type eq "work"].value': "e164(phone, 'US')",
    "genesys:routingSkills": "skills(skills)",
    "enterprise:dateHire": "hired",
    "enterprise:manager": "ref(boss)",
}
MATCH = ("externalId", "enterprise:employeeNumber", "userName")
LEFT = ("inactive", "left", "Terminated", "inactive ")
OPEN = Limit(share=10.0)
WIDE = Limits(**{name: OPEN for name in Limits.__struct_fields__ if isinstance(getattr(Limits(), name, None), Limit)})
FIRST = ("Ada", "Bo", "Cem", "Dana", "Emil")
LAST = ("Berg", "Costa", "Dahl")

Row = dict[str, Any]


@cache
def world_of(key: str) -> int | None:
    """The ports that a key, a login or the name of a group belongs to."""
    found = re.search(r"w(\d+)", key) or re.fullmatch(r"0?(\d+)\d\d", key.strip())
    return int(found.group(1)) if found else None


def bare(account: Mapping[str, Any]) -> dict[str, Any]:
    """An account without what the directory counts."""
    return {name: held for name, held in account.items() if name != "meta"}


def carried(account: Mapping[str, Any]) -> set[str]:
    """The keys of HR that an account carries."""
    marks = (account.get("externalId"), (account.get(ENTERPRISE) or {}).get("employeeNumber"))
    return {str(mark) for mark in marks if mark}


def _note(holders: dict[str, set[str]], user: Mapping[str, Any]) -> None:
    for mark in {str(user.get("userName")), *carried(user)}:
        holders.setdefault(mark.casefold(), set()).add(str(user["id"]))


class Directory(MemoryTarget):
    """A directory that remembers what was done to it, and that has bad moments."""

    def __init__(self, **given: Any) -> None:
        #: value, in small letters -> the accounts that have it, or had it in this run; None: nobody has asked
        self.holders: dict[str, set[str]] | None = None
        super().__init__(**given)
        #: (account, state before, operations) of each PATCH that was carried out
        self.patched: list[tuple[str, dict[str, Any], Sequence[Operation]]] = []
        self.created: list[str] = []
        self.mood: Random | None = None
        self.harm = 0.0
        #: readings of the whole directory
        self.swept = 0

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        self.swept += 1
        return await super().sweep(attributes, sink)

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        before = travelled(self.users.get(account, {}))
        trouble = self._trouble()
        if trouble == "refused":
            error = ErrorReport(status=400, scim_type="mutability", detail="not like this")
            return Reply(exchange=Exchange.ANSWERED, method="PATCH", status=400, error=error)
        if trouble == "before":
            return Reply(exchange=Exchange.LOST, method="PATCH", detail="reset")
        reply = await super().patch(account, operations, version)
        if reply.ok:
            self.patched.append((account, before, operations))
        return Reply(exchange=Exchange.LOST, method="PATCH", detail="reset") if trouble == "after" else reply

    async def create(self, resource: dict[str, object]) -> Reply:
        trouble = self._trouble()
        if trouble == "before":
            return Reply(exchange=Exchange.LOST, method="POST", detail="reset")
        reply = await super().create(resource)
        if reply.ok and reply.body is not None:
            self.created.append(str(reply.body["id"]))
        return Reply(exchange=Exchange.LOST, method="POST", detail="reset") if trouble == "after" else reply

    async def find(self, attribute: str, value: str) -> Sequence[Reply]:
        """As it is there, but for the time: only who has the value somewhere is looked at."""
        place, wanted, shown = USERS.resolve(attribute), value.casefold(), self._shown()
        users = [shown[account] for account in sorted(self._holding(wanted)) if account in shown]
        return [self._answered("GET", user) for user in users if str(place.read(user) or "").casefold() == wanted]

    def _is_taken(self, login: str) -> bool:
        """As it is there, but for the time too."""
        users = (self.users[account] for account in self._holding(login) if account in self.users)
        return any(str(user.get("userName", "")).casefold() == login for user in users)

    def _holding(self, value: str) -> set[str]:
        if self.holders is None:
            self.holders = {}
            for user in (*self.users.values(), *self._shown().values()):
                _note(self.holders, user)
        return self.holders.get(value, set())

    def _put(self, user: dict[str, object], *, version: int) -> dict[str, object]:
        made = super()._put(user, version=version)
        if self.holders is not None:
            _note(self.holders, made)
        return made

    def _trouble(self) -> str:
        if self.mood is None or self.mood.random() >= self.harm:
            return ""
        return self.mood.choice(("refused", "before", "after"))

    def edit(self, account: str, **values: Any) -> None:
        """A hand of somebody else."""
        user = self.users[account]
        user.update(travelled(values))
        user["meta"] = {**user["meta"], "version": str(int(user["meta"]["version"]) + 1)}  # type: ignore[index, call-overload]


@dataclass
class SmallWorld:
    """The people of one ports as HR has them, and what happens to them."""

    seed: int
    number: int
    rows: list[Row] = field(default_factory=list)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    #: rows that HR dropped, for whoever comes back
    gone: list[Row] = field(default_factory=list)
    _next: Any = field(default_factory=lambda: count(1))

    @property
    def mark(self) -> str:
        return f"w{self.number}"

    @property
    def admin(self) -> str:
        """The login of an account that is protected."""
        return f"admin.{self.mark}@example.com"

    def chance(self, day: int) -> Random:
        return Random(f"{self.seed}-{self.number}-{day}")

    def person(self, rng: Random, **more: Any) -> Row:
        n = next(self._next)
        first, last = rng.choice(FIRST), rng.choice(LAST)
        return {
            "id": f"0{self.number}{n:02d}",
            "email": f"{first}.{last}.{n}.{self.mark}@example.com".lower(),
            "name": f"{first} {last}",
            "status": "active",
            "title": rng.choice(("Agent", "Lead")),
            "department": rng.choice(("Care", "Sales")),
            "phone": f"+1317555{rng.randrange(100, 200):04d}",
            "skills": rng.choice((None, "Billing:3", "Billing:3;Sales:2")),
            "hired": "2020-01-02",
            "boss": None,
            **more,
        }

    def found(self, directory: Directory) -> None:
        """The first people, and the accounts that were there before us."""
        rng = self.chance(0)
        self.rows = [self.person(rng) for _ in range(rng.randrange(3, 6))]
        for row in self.rows[1:]:
            row["boss"] = rng.choice((None, self.rows[0]["id"]))
        for row in self.rows:
            if rng.random() < 0.8:
                self._account(directory, row, rng.choice(("all", "all", "number", "login")), rng)
        directory._put({"userName": self.admin, "displayName": "Root", "active": True}, version=1)
        if rng.random() < 0.3:
            row = self.person(rng)  # somebody whom HR dropped long ago: the account is there, nobody linked it
            self._account(directory, row, "all", rng)
            if rng.random() < 0.5:
                self.rows.append({**self.person(rng), "email": row["email"]})
        for name in (f"Team {self.mark}", f"Admins {self.mark}"):
            directory._put_group({"displayName": name, "members": []}, version=1)
        self.pairs = {(row["id"], f"Team {self.mark}") for row in self.rows if rng.random() < 0.6}

    def _account(self, directory: Directory, row: Row, marks: str, rng: Random) -> None:
        account: dict[str, Any] = {"userName": row["email"], "displayName": row["name"], "active": True,
                                   "title": rng.choice((row["title"], "Old title"))}  # fmt: skip
        if marks == "all":
            account["externalId"] = row["id"]
        if marks in {"all", "number"}:
            account[ENTERPRISE] = {"employeeNumber": row["id"], "department": row["department"]}
        account["phoneNumbers"] = [{"type": "mobile", "value": "+13175550999"}]
        directory._put(account, version=1)

    def accounts(self, directory: Directory) -> list[str]:
        return [i for i, user in directory.users.items() if world_of(str(user["userName"])) == self.number]

    def night(self, day: int, directory: Directory) -> None:
        """What happens until the next run."""
        rng = self.chance(day)
        for happens in rng.sample(EVENTS, rng.randrange(1, 4)):
            happens(self, rng, directory)


def _one(rng: Random, rows: Sequence[Row]) -> Row | None:
    return rng.choice(rows) if rows else None


def _by_status(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        row["status"] = rng.choice(LEFT)


def _by_absence(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        ports.rows.remove(row)
        ports.gone.append(row)


def _back(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.gone):
        ports.gone.remove(row)
        ports.rows.append({**row, "status": "active"})
    elif row := _one(rng, ports.rows):
        row["status"] = "active"


def _back_under_new_number(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.gone):
        ports.rows.append({**row, "id": ports.person(rng)["id"], "status": "active"})


def _renumbered(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        row["id"] = ports.person(rng)["id"]


def _two_records(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        ports.rows.append({**row, "id": ports.person(rng)["id"], "status": "active"})
        row["status"] = rng.choice((*LEFT, "active"))


def _address_reused(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, [*ports.gone, *ports.rows]):
        ports.rows.append(ports.person(rng, email=row["email"]))


def _number_reused(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.gone):
        ports.rows.append({**ports.person(rng), "id": row["id"]})


def _namesake(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        ports.rows.append(ports.person(rng, name=row["name"]))


def _joins(ports: SmallWorld, rng: Random, _: Directory) -> None:
    boss = _one(rng, ports.rows)
    row = ports.person(rng, boss=rng.choice((None, boss["id"] if boss else None, "0999999")))
    ports.rows.append(row)
    ports.pairs.add((row["id"], f"Team {ports.mark}"))


def _exchange(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if len(ports.rows) > 1:
        one, two = rng.sample(ports.rows, 2)
        column = rng.choice(("email", "email", "id"))
        one[column], two[column] = two[column], one[column]


def _damaged_key(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        row["id"] = rng.choice((row["id"].lstrip("0"), f" {row['id']} ", row["id"]))


def _same_key_twice(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        ports.rows.append({**row, "status": rng.choice(("active", *LEFT)), "title": "Twin"})


def _moves(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        row["title"] = rng.choice(("Agent", "Lead", "agent", "Coach", None, " "))
        row["department"] = rng.choice(("Care", "Sales"))


def _renamed(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        row["email"] = ports.person(rng)["email"]
        row["name"] = rng.choice((row["name"], "Eve Neumann"))


def _bad_value(ports: SmallWorld, rng: Random, _: Directory) -> None:
    if row := _one(rng, ports.rows):
        column, value = rng.choice((
            ("phone", "12x"), ("phone", "\u00a0"), ("skills", "Billing:99"), ("skills", ":3"), ("title", "T" * 3000),
            ("title", "tab\there"), ("hired", "31.12.2020"), ("email", "no address"), ("email", ""), ("email", None),
            ("boss", "0999999"), ("title", "\u200bAgent"), ("status", ""), ("status", "on leave"), ("status", None),
            ("status", "Active"), ("name", None),
        ))  # fmt: skip
        row[column] = value


def _bad_leaver(ports: SmallWorld, rng: Random, directory: Directory) -> None:
    _bad_value(ports, rng, directory)
    if row := _one(rng, [r for r in ports.rows if r["id"]]):
        row.update(phone="12x", status="left", title="T" * 3000)


def _mended(ports: SmallWorld, rng: Random, _: Directory) -> None:
    for row in ports.rows:
        row.update(phone="+13175550123", skills=None, title="Agent", hired="2020-01-02", boss=None)
        if row["status"] not in ("active", *LEFT):
            row["status"] = "active"
        if not row["email"] or "@" not in row["email"]:
            row["email"] = ports.person(rng)["email"]
        if not row["id"]:
            row["id"] = ports.person(rng)["id"]
        row["name"] = row["name"] or "Eve Neumann"


def _sorted_out(ports: SmallWorld, rng: Random, _: Directory) -> None:
    """HR keeps one record for each key and each login."""
    _mended(ports, rng, _)
    seen: set[str] = set()
    kept = []
    for row in ports.rows:
        marks = {row["id"].strip(), row["email"]}
        if not marks & seen:
            kept.append(row)
        seen |= marks
    ports.rows = kept


def _edited(ports: SmallWorld, rng: Random, directory: Directory) -> None:
    ours = [i for i in ports.accounts(directory) if directory.users[i]["userName"] != ports.admin]
    if ours:
        account = rng.choice(ours)
        directory.edit(account, **rng.choice((
            {"title": "Edited"}, {"active": False}, {"active": True}, {"displayName": "Edited Name"},
            {"externalId": None}, {"externalId": f"0{ports.number}77"},
        )))  # fmt: skip


def _deleted(ports: SmallWorld, rng: Random, directory: Directory) -> None:
    ours = [i for i in ports.accounts(directory) if directory.users[i]["userName"] != ports.admin]
    if ours:
        del directory.users[rng.choice(ours)]


def _of_the_admin(ports: SmallWorld, rng: Random, directory: Directory) -> None:
    """A record that is about the protected account."""
    ports.rows.append(ports.person(rng, email=ports.admin, status=rng.choice(("active", *LEFT))))


def _group_renamed(ports: SmallWorld, rng: Random, directory: Directory) -> None:
    for group in directory.groups.values():
        if group["displayName"] == f"Team {ports.mark}":
            group["displayName"] = f"Squad {ports.mark}"
            break


def _group_doubled(ports: SmallWorld, rng: Random, directory: Directory) -> None:
    directory._put_group({"displayName": f"Team {ports.mark}".lower(), "members": []}, version=1)


def _pairs_move(ports: SmallWorld, rng: Random, _: Directory) -> None:
    names = (f"Team {ports.mark}", f"Squad {ports.mark}", f"Teem {ports.mark}", f"Admins {ports.mark}")
    for row in ports.rows:
        if row["id"] and rng.random() < 0.3:
            pair = (row["id"].strip(), rng.choice(names))
            ports.pairs ^= {pair}


EVENTS: tuple[Callable[[SmallWorld, Random, Directory], None], ...] = (
    _by_status, _by_status, _by_absence, _by_absence, _back, _back_under_new_number, _renumbered, _two_records,
    _address_reused, _number_reused, _namesake, _joins, _joins, _exchange, _damaged_key, _same_key_twice, _moves, _moves,
    _renamed, _bad_value, _bad_value, _bad_leaver, _mended, _mended, _sorted_out, _sorted_out, _edited, _edited, _deleted,
    _of_the_admin, _group_renamed, _group_doubled, _pairs_move,
)  # fmt: skip


class Silent:
    """An observer who hears nothing."""

    def stage(self, name: str, total: int | None = None) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


@dataclass
class Day:
    """One run, with what was there before and what is there after."""

    plan: Plan
    report: Report | None
    before: dict[str, dict[str, Any]]
    after: dict[str, dict[str, Any]]
    links: dict[str, str]
    groups_before: dict[str, set[str]]
    groups_after: dict[str, set[str]]
    patched: list[tuple[str, dict[str, Any], Sequence[Operation]]]
    created: list[str]
    protected: frozenset[str]
    limits: Limits

    @cached_property
    def owners(self) -> dict[str, set[str]]:
        """account -> the keys that are linked to it."""
        found: dict[str, set[str]] = {}
        for key, account in self.links.items():
            found.setdefault(account, set()).add(key)
        return found

    @cached_property
    def known(self) -> dict[str, str]:
        """externalId -> the first account that had it before."""
        return {str(user.get("externalId")): account for account, user in reversed(self.before.items())}

    @cached_property
    def holding(self) -> dict[str, list[dict[str, Any]]]:
        """externalId -> the accounts that have it after."""
        found: dict[str, list[dict[str, Any]]] = {}
        for user in self.after.values():
            found.setdefault(str(user.get("externalId")), []).append(user)
        return found

    @cached_property
    def linked(self) -> dict[int | None, list[str]]:
        """ports -> the keys of its links."""
        found: dict[int | None, list[str]] = {}
        for key in self.links:
            found.setdefault(world_of(key), []).append(key)
        return found


def _copied(users: dict[str, Any]) -> dict[str, Any]:
    """A deep copy of what is JSON."""
    copied: dict[str, Any] = pickle.loads(pickle.dumps(users))
    return copied


class Organisation:
    """Many worlds in one directory under one configuration."""

    def __init__(self, folder: Path, seed: int, numbers: Iterable[int], limits: Limits = WIDE) -> None:
        self.worlds = {number: SmallWorld(seed, number) for number in numbers}
        self.directory, self.store, self.clock = Directory(), MemoryStore(folder), VirtualClock()
        self.limits, self.seed, self._fresh, self.day = limits, seed, count(), 0
        for ports in self.worlds.values():
            ports.found(self.directory)

    @property
    def policy(self) -> Policy:
        return Policy(
            attributes=tuple(
                Mapped(
                    place=USERS.resolve(path),
                    expression=text,
                    authority=Authority.MERGE if path.startswith("genesys:") else Authority.LOCAL_WINS,
                )
                for path, text in MAPPING.items()
            ),
            match=tuple(USERS.resolve(path) for path in MATCH),
            protected=frozenset(ports.admin for ports in self.worlds.values()),
            limits=self.limits,
            groups=Grouping(),
        )

    def night(self) -> None:
        self.day += 1
        for ports in self.worlds.values():
            ports.night(self.day, self.directory)
        self.directory.mood, self.directory.harm = Random(f"{self.seed}-mood-{self.day}"), 0.02 * (self.day % 2)

    def run(self) -> Day:
        """Settle what was cut short, plan, apply: what `sync` does."""
        self.directory.patched, self.directory.created, self.directory.holders = [], [], None
        before = _copied(self.directory.users)
        groups = self._members()
        links = self.links()
        plan = self._plan()
        report = None
        if not plan.refusals:
            report = self._apply(plan)
        return Day(
            plan, report, before, _copied(self.directory.users), links, groups, self._members(),
            self.directory.patched, self.directory.created, self.policy.protected, self.limits,
        )  # fmt: skip

    def links(self) -> dict[str, str]:
        """key -> the account that is linked to it."""
        return {link.key: link.account for link in self.store.links()}

    def _members(self) -> dict[str, set[str]]:
        found = {}
        for group in self.directory.groups.values():
            listed: Any = group.get("members") or []
            found[str(group["id"])] = {str(member["value"]) for member in listed}
        return found

    def _plan(self) -> Plan:
        self.clock.advance(3 * 86400)
        return self.plan(self.policy)

    def plan(self, policy: Policy, only: tuple[str, ...] = (), keep: Path | None = None) -> Plan:
        """Make a plan for everybody, or for some people; with `keep` the directory is read whole for these too."""
        rows = [[row[c] for c in COLUMNS] for ports in self.worlds.values() for row in ports.rows]
        pairs = [pair for ports in self.worlds.values() for pair in sorted(ports.pairs)]
        ports = PlanPorts(
            source=ListSource(COLUMNS, rows),
            target=self.directory,
            store=self.store,
            clock=self.clock,
            observer=Silent(),
            phones=lambda number, region: number if re.fullmatch(r"\+1\d{10}", number) else None,
            fresh=lambda: f"{next(self._fresh):04d}",
            pairs=Pairs(pairs=ListSource(("key", "name"), pairs)),
        )
        request = PlanRequest(
            policy=policy,
            catalog=USERS,
            key="id",
            configuration="c",
            dialect=GENESYS,
            schema=False,
            only=only,
            keep=keep,
        )
        return asyncio.run(make_plan(ports, request))

    def _apply(self, plan: Plan) -> Report:
        ports = ApplyPorts(target=self.directory, store=self.store, clock=self.clock, observer=Silent())
        options = ApplyOptions(policy=self.policy, configuration="c", search_lag_s=GENESYS.search_lag_s)
        run = check_plan(plan, self.store.run(plan.id), ports, options)
        return asyncio.run(apply_plan(plan, run, ports, options))

"""One person planned alone comes to what a plan of a whole directory comes to for that person."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.soak import examples

from scimsync.core.person import Concluded
from scimsync.engine.metrics import Unmeasured
from scimsync.engine.person import Names, PersonPorts, PersonRequest, plan_person
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.planning import make_plan
from scimsync.model.outcomes import Link, Run, RunState
from scimsync.model.phones import Unread
from scimsync.model.plans import Change, Finding, Plan, Seal
from scimsync.model.policy import Authority, BadValue, Limit, Limits, Mapped, Policy
from scimsync.model.records import Cell
from scimsync.scim.genesys import GENESYS
from scimsync.scim.schema import Kind, Place, Value, compared
from scimsync.services.observing import Silent
from scimsync.testing import ListSource, MemoryStore, MemoryTarget, VirtualClock
from scimsync.workbench.agreed import agreement_of, write_agreed_with
from scimsync.workbench.bench import Workbench

BOSS, NOBODY = "00000000-0000-4000-8000-00000000b055", "00000000-0000-4000-8000-000000000000"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
EXTENSION = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"
WORK_PHONE, WORK_MAIL = 'phoneNumbers[type eq "work"].value', 'emails[type eq "work"].value'
SKILLS, BADGES, MANAGER = "genesys:routingSkills", "genesys:externalIds", "enterprise:manager"
WIDE = Limits(**dict.fromkeys(("disable", "enable", "create", "update", "clear", "source_rows_drop"), Limit(share=1)))

# --- what is drawn -----------------------------------------------------------------------------------

texts = st.sampled_from(["Lead", "lead", " Lead ", "Boss", "\u3000Boss", "", "   ", "é", "e\u0301", "a\nb", "x" * 300])
phones = st.sampled_from(
    [
        "+13175550100",
        "+1 (317) 555-0100",
        "317 555 0100",
        "",
        "+13175550100;ext=42",
        "+1555",
        "+15550000",
        "+99912345678",
        "+15550001",
    ]
)
days = st.sampled_from(["2024-01-31", "2024-01-31 00:00:00", "2024-01-31T00:00:00Z", " 2024-02-30 ", "soon", ""])
levels = st.sampled_from([None, 0, 1, 2.5, 5, 5.1, -1, "4", "high"])
skills = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["Billing", "billing", "Sales", "Nowhere"])}, optional={
        "proficiency": levels
    }),
    max_size=3,
)  # fmt: skip
badges = st.lists(
    st.fixed_dictionaries({"authority": st.sampled_from(["badge", "x-pc:scimv2:v1:me"]), "value": st.just("B1")}),
    max_size=2,
)
WANTED: Mapping[str, st.SearchStrategy[object]] = {
    "title": st.none() | texts,
    "displayName": texts,
    "active": st.booleans(),
    "enterprise:department": st.none() | texts,
    "enterprise:dateHire": st.none() | days | st.just(date(2024, 1, 31)),
    MANAGER: st.sampled_from([None, BOSS, NOBODY, "itself"]),
    WORK_PHONE: st.none() | phones,
    WORK_MAIL: st.sampled_from([None, "a@example.com", "A@example.com", "no address"]),
    SKILLS: st.none() | skills,
    BADGES: st.none() | badges,
    "externalId": st.sampled_from([None, "E1", "E2"]),
    "roles": st.lists(st.fixed_dictionaries({"value": st.sampled_from(["employee", "lead", "king"])}), max_size=2),
    "userName": st.sampled_from(["same", "SAME", "other@example.com", "no login", ""]),
}
held_texts = st.sampled_from([None, "Lead", "lead", "Boss", "é", "e\u0301"])


@dataclass(frozen=True)
class Case:
    """One person: what HR says, what the account holds, what was agreed."""

    wanted: Mapping[str, object]
    held: Mapping[str, Any]
    base: Mapping[str, object]


@st.composite
def cases(draw: st.DrawFn, paths: Sequence[str]) -> Case:
    held = {
        "title": draw(held_texts),
        "displayName": draw(st.sampled_from(["Lead", "Ada Roe"])),
        "active": draw(st.booleans()),
        "department": draw(held_texts),
        "dateHire": draw(st.sampled_from([None, "2024-01-31", "2024-01-31T00:00:00Z", "2020-05-05"])),
        "manager": draw(st.sampled_from([None, BOSS])),
        "phone": draw(st.sampled_from([None, "+13175550100", "tel:+13175550100", "+15550000"])),
        "mail": draw(st.sampled_from([None, "a@example.com", "b@example.com"])),
        "skills": draw(st.lists(st.sampled_from(["Billing", "Sales", "Gone"]), unique=True, max_size=3)),
        "level": draw(st.sampled_from([0.0, 2.5])),
        "badges": draw(st.lists(st.sampled_from(["badge", "key", "x-pc:scimv2:v1:you"]), unique=True, max_size=3)),
        "roles": draw(st.lists(st.sampled_from(["employee", "lead"]), unique=True, max_size=2)),
        "external": draw(st.sampled_from([None, "E1", "E3"])),
    }
    wanted = {path: draw(WANTED[path]) for path in paths}
    known = draw(st.sets(st.sampled_from(paths)))
    base = {
        path: draw(st.sampled_from([wanted[path], None, "held"]))
        for path in paths
        if path in known and path not in {SKILLS, BADGES, MANAGER, "userName", "roles"}
    }
    return Case(wanted=wanted, held=held, base=base)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[str], list[Case], Authority]:
    paths = draw(st.lists(st.sampled_from(sorted(WANTED)), min_size=1, max_size=6, unique=True))
    return paths, draw(st.lists(cases(paths), min_size=1, max_size=4)), draw(st.sampled_from([*Authority]))


def id_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number + 1:012d}"


def account_of(number: int, case: Case) -> dict[str, object]:
    held = case.held
    extension = {name: held[name] for name in ("department", "dateHire") if held[name] is not None}
    if held["manager"]:
        extension["manager"] = {"value": held["manager"]}
    found: dict[str, object] = {
        "id": id_of(number),
        "userName": f"p{number}@example.com",
        "displayName": held["displayName"],
        "active": held["active"],
        ENTERPRISE: extension,
        EXTENSION: {"routingSkills": [{"name": name, "proficiency": held["level"]} for name in held["skills"]]},
    }
    if held["badges"]:
        badges_ = [{"authority": name, "value": "B1"} for name in held["badges"]]
        found[EXTENSION] = {**found[EXTENSION], "externalIds": badges_}  # type: ignore[dict-item]
    if held["roles"]:
        found["roles"] = [{"value": name} for name in held["roles"]]
    if held["external"] is not None:
        found["externalId"] = f"{held['external']}-{number}"
    if held["title"] is not None:
        found["title"] = held["title"]
    if held["phone"] is not None:
        found["phoneNumbers"] = [{"type": "work", "value": held["phone"]}]
    if held["mail"] is not None:
        found["emails"] = [{"type": "work", "value": held["mail"]}]
    return found


def wanted_of(number: int, case: Case) -> dict[str, object]:
    login = f"p{number}@example.com"
    named = {
        "itself": id_of(number),
        "same": login,
        "SAME": login.upper(),
        "other@example.com": f"n{number}@example.com",
        "no login": f"no login {number}",
        **{name: f"{name}-{number}" for name in ("E1", "E2")},
    }
    return {path: named.get(value, value) if isinstance(value, str) else value for path, value in case.wanted.items()}


def base_of(attributes: Sequence[Mapped], account: Mapping[str, object], case: Case) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for mapped in attributes:
        if mapped.path in case.base:
            value = case.base[mapped.path]
            if value == "held":
                value = mapped.place.read(account)
            fits = isinstance(value, bool) if mapped.place.kind is Kind.BOOLEAN else isinstance(value, str)
            found[mapped.path] = value if fits and value != "" else None  # type: ignore[assignment]
    return found


# --- the road of a whole directory ---------------------------------------------------------------------


def expression(place: Place, column: str) -> str:
    """The expression that makes a value of the place out of a column that `cell` filled."""
    match place.kind:
        case Kind.REFERENCE:
            return f"ref({column})"
        case Kind.PHONE:
            return f"e164({column})"
        case Kind.BOOLEAN:
            return f"{column}::BOOLEAN"
        case Kind.LIST:
            if len(compared(place.attribute)) == 1:
                return f"string_split({column}, chr(30))"
            members = []
            for number, sub in enumerate(compared(place.attribute), 1):
                part = f"nullif(split_part(e, chr(31), {number}), '')"
                members.append(
                    f"{sub.name} := coalesce({part}::DOUBLE, 0.0)" if sub.type == "decimal" else f"{sub.name} := {part}"
                )
            return f"list_transform(string_split({column}, chr(30)), lambda e: struct_pack({', '.join(members)}))"
    return column


def cell(place: Place, value: object) -> Cell:
    """A value as a source would give it."""
    if isinstance(value, list):
        names = [sub.name for sub in compared(place.attribute)]
        rows = [["" if row.get(name) is None else str(row[name]) for name in names] for row in value]
        return chr(30).join(chr(31).join(row) for row in rows) or None
    return value if isinstance(value, str | int | float | bool | date) else None


def whole(folder: Path, policy: Policy, target: MemoryTarget, people: Mapping[str, Sequence[object]],
          bases: Mapping[str, Mapping[str, Value]]) -> Plan:  # fmt: skip
    """The plan for all of them at once, on tables."""
    store = MemoryStore(folder)
    store.save_links(Link(account, account) for account in target.users)
    names = [f"v{n}" for n, _ in enumerate(policy.attributes)]
    mapped = tuple(replace(m, expression=expression(m.place, v)) for m, v in zip(policy.attributes, names, strict=True))
    former = None
    for number, (account, base) in enumerate(bases.items()):
        path = folder / f"base-{number:08d}-r.parquet"
        with Workbench(folder) as bench:
            plain = [replace(m, authority=Authority.LOCAL_WINS) for m in mapped]
            write_agreed_with(bench, (account, account), agreement_of(plain, base, {}), path, former)
        former = path
    if former is not None:
        run = Run(id="r", created=NOW, state=RunState.DONE, target=target.name, plan="", agreed="", base=former.name)
        store.save_run(run)
    rows = [
        [account, *(cell(m.place, value) for m, value in zip(mapped, values, strict=True))]
        for account, values in people.items()
    ]
    fresh = count()
    ports = PlanPorts(
        source=ListSource(["key", *names], rows, proven=False),
        target=target,
        store=store,
        clock=VirtualClock(),
        observer=Silent(),
        phones=read_phone,
        fresh=lambda: f"{next(fresh):04d}",
        metrics=Unmeasured(),
    )
    request = PlanRequest(
        policy=replace(policy, attributes=mapped),
        catalog=GENESYS.users,
        dialect=GENESYS,
        key="key",
        configuration="c",
        schema=False,
    )
    return asyncio.run(make_plan(ports, request))


NOW = datetime(2026, 11, 1, tzinfo=UTC)


def read_phone(number: str, region: str) -> str | Unread | None:
    """A reader as good as any: digits alone, where there are enough of them."""
    digits = "".join(one for one in number if one.isdigit())
    if number.startswith("+999"):
        return Unread.UNKNOWN_CODE
    if number.startswith("+1555"):
        return Unread.IMPOSSIBLE
    return f"+{digits}" if number.startswith("+") and len(digits) > 7 else None


def alone(policy: Policy, target: MemoryTarget, account: str, values: Sequence[object],
          base: Mapping[str, Value]) -> Concluded:  # fmt: skip
    """What becomes of one of them, planned alone."""
    clock = VirtualClock()
    ports = PersonPorts(target=target, names=Names(target, clock), clock=clock, phones=read_phone, fresh=lambda: "0000")
    request = PersonRequest(
        account=account,
        policy=policy,
        dialect=GENESYS,
        given=values,
        base=base,
        seal=Seal(target="", configuration="c", source="", base=""),
        whole=False,
    )
    return asyncio.run(plan_person(ports, request)).concluded


def told(change: Change) -> Change:
    """A change as it is compared: a program that gives values has no rows."""
    return replace(change, row=None)


def found(findings: Sequence[Finding], account: str) -> list[tuple[object, ...]]:
    """What is told of one person, alone or with others.

    What an expression of SQL failed on has other words than a value that was given.
    """
    mine = [f for f in findings if f.subject == account or (not f.subject and account in f.detail)]
    details = ["" if f.code == "record.unmappable" or not f.subject else f.detail for f in mine]
    return sorted((f.code, f.path, f.severity.value, f.holds, detail) for f, detail in zip(mine, details, strict=True))


@settings(max_examples=examples(40, 12), deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(worlds())
def test_one_person_planned_alone_comes_to_what_the_whole_directory_comes_to(
    world: tuple[list[str], list[Case], Authority],
) -> None:
    paths, people, authority = world
    attributes = tuple(Mapped(place=GENESYS.users.resolve(p), expression="", authority=authority) for p in paths)
    policy = Policy(attributes=attributes, match=(), limits=WIDE, on_bad_value=BadValue.PERSON)
    accounts = {id_of(number): account_of(number, case) for number, case in enumerate(people)}
    boss = {"id": BOSS, "userName": "boss@example.com", "displayName": "Boss"}
    target = MemoryTarget(
        users=[boss, *accounts.values()], names={"skill": ["Billing", "Sales"], "role": ["employee", "lead"]}
    )
    given_ = {id_of(n): [wanted_of(n, case)[m.path] for m in attributes] for n, case in enumerate(people)}
    bases = {id_of(n): base_of(attributes, accounts[id_of(n)], case) for n, case in enumerate(people)}
    with TemporaryDirectory() as folder:
        plan = whole(Path(folder), policy, target, given_, bases)
    for account, values in given_.items():
        one = alone(policy, target, account, values, bases[account])
        assert [*one.changes] == [told(c) for c in plan.changes if c.key == account]
        assert [*one.notices] == [told(c) for c in plan.notices if c.key == account]
        assert found(one.findings, account) == found(plan.findings, account)

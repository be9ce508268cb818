"""What explain says of generated people (fifty in a soak), against what the simulator and HR know by themselves.

Each person lives through one story (joiner, mover, leaver, rehire, edit by another hand, conflict, bad value, ...).
The oracle never asks the product: cells come from the HR table, the current side from the simulator's accounts, what
was sent from its log of requests. And the future is asked: a run follows, and whoever was said to change must change
there, in the paths that were named and no other; nobody else may be touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.runs import ENTERPRISE, House, Quiet, house
from tests.soak import examples

from scimsync import bootstrap
from scimsync.cli.explaining import story_document
from scimsync.cli.sample import ATTRIBUTES
from scimsync.services.explaining import Question, Story, explain
from scimsync.simulator.people import Person

SEED = 20261127
MOBILE, WORK = 'phoneNumbers[type eq "mobile"].value', 'phoneNumbers[type eq "work"].value'
MAPPING = (
    ATTRIBUTES.replace('"department"\n', '{ value = "department", authority = "ask" }\n')
    .replace('"division"\n', '{ value = "division", authority = "cloud_wins" }\n')
    .replace('"job_title"\n', '"trim(job_title)"\n')
)
#: path -> how the oracle reads it: column of the HR table, and place in a resource
PLAIN: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "title": ("job_title", lambda r: r.get("title")),
    "enterprise:department": ("department", lambda r: r.get(ENTERPRISE, {}).get("department")),
    "enterprise:division": ("division", lambda r: r.get(ENTERPRISE, {}).get("division")),
}


@dataclass
class Tale:
    """One story: who, what was done to them, and what explain must say before and after the run."""

    kind: str
    who: Person
    standing: str
    action: str = ""
    #: path -> what becomes of it
    becomes: dict[str, str] = field(default_factory=dict)
    #: codes that must be among the causes
    codes: set[str] = field(default_factory=set)
    #: standing after the run
    then: str = "same"

    def __repr__(self) -> str:
        return f"{self.kind} {self.who.employee_id}"


class Teller:
    """Generates the stories and plays them in one house."""

    def __init__(self, home: House, seed: int) -> None:
        self.home, self.chance = home, random.Random(seed)
        bosses = {p.manager_id for p in home.people}
        self.actives = [p for p in home.people if p.active and p.employee_id not in bosses][:-1]
        self.inactives = [p for p in home.people if not p.active]
        self.chance.shuffle(self.actives)
        self.new = iter(range(1000))

    def some(self) -> Person:
        return self.actives.pop()

    def word(self) -> str:
        return f"{self.chance.choice(('Lead', 'Chief', 'Junior', 'Deputy'))} {self.chance.randrange(10_000)}"

    def newcomer(self, **changes: Any) -> Person:
        return self.home.newcomer(next(self.new), **changes)

    def same(self) -> Tale:
        return Tale("same", self.some(), "same")

    def mover(self) -> Tale:
        who, pad = self.some(), " " * self.chance.randrange(3)
        self.home.set(who, job_title=pad + self.word() + pad)
        return Tale("mover", who, "changes", "update", {"title": "write"})

    def loser(self) -> Tale:
        who = self.some()
        self.home.set(who, job_title=None)
        return Tale("loser", who, "changes", "update", {"title": "write"})

    def joiner(self) -> Tale:
        who = self.newcomer()
        self.home.hire(who)
        return Tale("joiner", who, "changes", "create", {"title": "write", "active": "write"})

    def waiting(self) -> Tale:
        boss = self.newcomer()
        who = self.newcomer(manager_id=boss.employee_id)
        self.home.hire(who, boss)
        return Tale("waiting", who, "changes", "create", {"enterprise:manager": "await"})

    def left(self) -> Tale:
        who = self.some()
        self.home.dismiss(who)
        return Tale("left", who, "changes", "disable", {"active": "write", "title": "left-alone"}, then="left")

    def inactive(self) -> Tale:
        who = self.some()
        self.home.set(who, status=self.chance.choice(("inactive", "left", " Left ")))
        return Tale("inactive", who, "changes", "disable", {"active": "write"})

    def rehire(self) -> Tale:
        who = self.inactives.pop()
        self.home.set(who, status="active")
        return Tale("rehire", who, "changes", "enable", {"active": "write"})

    def edited(self) -> Tale:
        who = self.some()
        self.home.edit(who, "title", self.word())
        return Tale("edited", who, "changes", "update", {"title": "write"})

    def kept(self) -> Tale:
        who = self.some()
        others = sorted({p.division for p in self.home.people} - {who.division})
        self.home.edit(who, f"{ENTERPRISE}:division", self.chance.choice(others))
        return Tale("kept", who, "edited", "", {"enterprise:division": "keep"}, then="edited")

    def conflict(self) -> Tale:
        who = self.some()
        self.home.edit(who, f"{ENTERPRISE}:department", self.word())
        if self.chance.random() < 0.5:
            self.home.set(who, department=self.word())
        return Tale("conflict", who, "edited", "", {"enterprise:department": "conflict"}, then="edited")

    def agreed_after_all(self) -> Tale:
        who, word = self.some(), self.word()
        self.home.edit(who, f"{ENTERPRISE}:department", word)
        self.home.set(who, department=word)
        return Tale("agreed after all", who, "same", "", {"enterprise:department": "same"})

    def bad_phone(self) -> Tale:
        who = self.some()
        self.home.set(who, phone=self.chance.choice(("nonsense", "0", "call me")))
        return Tale("bad phone", who, "same", "", {WORK: "left-alone"}, {"record.bad-phone"})

    def bad_phone_and_title(self) -> Tale:
        who = self.some()
        self.home.set(who, phone="nonsense", job_title=self.word())
        becomes = {WORK: "left-alone", "title": "write"}
        return Tale("bad phone and title", who, "changes", "update", becomes, {"record.bad-phone"})

    def bad_status(self) -> Tale:
        who = self.some()
        self.home.set(who, status=self.chance.choice(("sabbatical", "?", "ask Bob")))
        return Tale("bad status", who, "held", "", {"title": "left-alone"}, {"record.active-unknown"}, "held")

    def doubled(self) -> Tale:
        who = self.some()
        self.home.hire(replace(who, title="Another"))
        return Tale("doubled", who, "held", "", {"title": "left-alone"}, {"record.duplicate-key"}, "held")

    def same_login(self) -> Tale:
        who = self.newcomer()
        self.home.hire(who, self.newcomer(email=who.email))
        return Tale("same login", who, "held", "", {"title": "left-alone"}, {"record.duplicate-login"}, "held")

    def taken(self) -> Tale:
        owner = self.some()
        who = self.newcomer(email=owner.email)
        self.home.hire(who)
        return Tale("taken", who, "held", "", {"title": "left-alone"}, {"correlation.taken"}, "held")

    def protected(self) -> Tale:
        who = self.actives.pop(0)  # named in [policy] protected beforehand
        self.home.set(who, job_title=self.word())
        return Tale("protected", who, "held", "", {"title": "left-alone"}, {"account.protected"}, "held")

    def never_hired(self) -> Tale:
        who = self.newcomer(active=False)
        self.home.hire(who)
        return Tale("never hired", who, "no-account", "", {"title": "left-alone"}, then="no-account")

    def nameless(self) -> Tale:
        who = self.newcomer()
        self.home.hire(who)
        self.home.set(who, email=None)
        return Tale("nameless", who, "held", "", {"title": "left-alone"}, {"record.incomplete"}, "held")

    def heir(self) -> Tale:
        giver, who = self.some(), self.some()
        self.home.set(who, email=giver.email)
        self.home.set(giver, email=f"former.{giver.email}")
        return Tale("heir", who, "changes", "update", {"userName": "await"})

    def stranger_manager(self) -> Tale:
        who = self.some()
        self.home.set(who, manager_id="E99999")
        return Tale("stranger manager", who, "same", "", {"enterprise:manager": "left-alone"}, {"reference.unknown"})

    def tell(self, number: int) -> list[Tale]:
        kinds = [
            self.same, self.mover, self.loser, self.joiner, self.waiting, self.left, self.inactive, self.rehire,
            self.edited, self.kept, self.conflict, self.agreed_after_all, self.bad_phone, self.bad_phone_and_title,
            self.bad_status, self.doubled, self.same_login, self.taken, self.protected, self.never_hired, self.nameless,
            self.stranger_manager, self.heir,
        ]  # fmt: skip
        again = [kind for kind in kinds if kind not in (self.protected, self.rehire)]
        return [kind() for kind in kinds + [self.chance.choice(again) for _ in range(number - len(kinds))]]


# --- the oracle -----------------------------------------------------------------------------------


def records(home: House, key: str) -> list[tuple[int, dict[str, Any]]]:
    """The rows of the HR table with a key, each with its number."""
    with contextlib.closing(sqlite3.connect(home.folder / "hr.db")) as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT * FROM employee ORDER BY employee_id").fetchall()
    return [(n, dict(row)) for n, row in enumerate(rows, 1) if row["employee_id"] == key]


def resource(home: House, account: str | None) -> dict[str, Any] | None:
    """An account as the simulator has it."""
    if account is None:
        return None
    entity = home.simulator.directory.find_user({"id": account})
    return None if entity is None else entity.resource


def sent(home: House) -> dict[str, list[dict[str, Any]]]:
    """What the product changed: id of the account -> requests that had an effect, from the simulator's log."""
    found: dict[str, list[dict[str, Any]]] = {}
    for request in home.call("history/requests"):
        if request["changes"] and request["method"] in {"POST", "PATCH", "PUT", "DELETE"}:
            found.setdefault(request["id"], []).append(request)
    return found


def look(home: House, who: str, path: str = "", *, offline: bool = False) -> Story:
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        return asyncio.run(explain(settings, store, Quiet(), Question(who=who, path=path), offline=offline))


def check_sides(home: House, tale: Tale, told: dict[str, Any]) -> None:
    """Cells against the HR table, the current side against the simulator."""
    rows = records(home, tale.who.employee_id)
    assert told["rows"] == [n for n, _ in rows], tale
    held = resource(home, told["account"])
    for one in told["paths"]:
        for cell in one["cells"]:
            assert cell["value"] == dict(rows)[cell["place"]][cell["column"]], (tale, one["path"])
        if one["path"] not in PLAIN:
            continue
        column, read = PLAIN[one["path"]]
        if len(rows) == 1:
            wanted = (rows[0][1][column] or "").strip() or None
            assert one["desired"] == {"known": True, "value": wanted}, (tale, one["path"])
            assert one["steps"][-1]["value"] == (rows[0][1][column] if column != "job_title" else wanted), tale
        if held is not None:
            assert one["current"] == {"known": True, "value": read(held)}, (tale, one["path"])
            if len(rows) == 1 and told["standing"] not in {"held", "left"}:
                assert (one["becomes"] == "same") == (read(held) == wanted), (tale, one["path"])


def check_deeds(home: House, tale: Tale, told: dict[str, Any], before: int) -> None:
    """What explain says was sent, against the simulator's log of requests."""
    log = {request["correlation_id"]: request for request in home.call("history/requests")}
    fresh = [deed for deed in told["deeds"] if deed["correlation_id"] and log[deed["correlation_id"]]["seq"] > before]
    assert bool(fresh) == (tale.standing == "changes"), tale
    for deed in fresh:
        request = log[deed["correlation_id"]]
        assert deed["status"] == "done", (tale, deed)
        assert request["status"] in {200, 201}, (tale, request)
        assert request["id"] in {told["account"], ""}, (tale, request)
        if deed["method"] == "PATCH" and request["method"] == "PATCH":
            assert deed["if_match"].strip('"') == request["if_match"].strip('W/"'), (tale, deed, request)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=140) as found:
        teller = Teller(found, SEED)
        found.configure(attributes=MAPPING, policy=f'protected = ["{teller.actives[0].email}"]')
        found.settle()
        yield found


def test_explain_of_many_stories_is_what_the_simulator_knows_and_what_the_next_run_does(home: House) -> None:
    tales = Teller(home, SEED).tell(examples(50, 24))
    runs, state = len(home.runs()), {entry["seq"] for entry in home.history()}
    before = {tale.who.employee_id: story_document(look(home, tale.who.employee_id)) for tale in tales}
    assert len(home.runs()) == runs, "a look leaves no plan behind"
    assert {entry["seq"] for entry in home.history()} == state, "a look writes nothing"
    wrong = [*check(tales, lambda tale: before_the_run(home, tale, before[tale.who.employee_id]))]
    last = max(request["seq"] for request in home.call("history/requests"))
    home.sync()
    changed = {entry["id"] for entry in home.history() if entry["seq"] not in state}
    wrong += check(tales, lambda tale: after_the_run(home, tale, before[tale.who.employee_id], changed, last))
    assert not wrong, "\n".join(wrong)


def check(tales: Iterable[Tale], test: Callable[[Tale], None]) -> Iterator[str]:
    """What is wrong with some stories: all of them are looked at."""
    for tale in tales:
        try:
            test(tale)
        except AssertionError as error:
            yield f"{tale}: {str(error).splitlines()[0]}"


def before_the_run(home: House, tale: Tale, told: dict[str, Any]) -> None:
    becomes = {one["path"]: one["becomes"] for one in told["paths"]}
    assert (told["standing"], told["action"]) == (tale.standing, tale.action), (told["told"], told["causes"])
    assert {path: becomes[path] for path in tale.becomes} == tale.becomes, told["told"]
    assert tale.codes <= {cause["code"] for cause in told["causes"]}, told["causes"]
    if tale.standing not in {"same", "changes"}:
        assert told["advice"], told
    check_sides(home, tale, told)


def after_the_run(home: House, tale: Tale, told: dict[str, Any], changed: set[str], last: int) -> None:
    now = story_document(look(home, tale.who.employee_id))
    assert now["standing"] == tale.then, (now["told"], now["causes"])
    assert (now["account"] in changed) == (told["standing"] == "changes"), now["told"]
    check_sides(home, tale, now)
    check_deeds(home, tale, now, last)
    if told["standing"] == "changes":
        promised = {p["path"] for p in told["paths"] if p["becomes"] in {"write", "await", "defer"}}
        run = now["deeds"][0]["run"]
        written = {path for deed in now["deeds"] if deed["run"] == run for path in deed["written"]}
        assert written == promised, written ^ promised
    if tale.who.employee_id[-1] not in "02468":
        return  # a look costs a third of a second
    memory = story_document(look(home, tale.who.employee_id, offline=True))
    assert memory["standing"] == now["standing"], (memory["told"], memory["paths"])

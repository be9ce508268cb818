"""Whole runs on the twins in memory: what planning and applying remember from one run to the next."""

from __future__ import annotations

import asyncio
import atexit
import copy
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from scimsync.core.validity import ALWAYS
from scimsync.engine.applying import apply_plan, settle_run
from scimsync.engine.freshness import LONGEST_LAG, MOST_READ_AGAIN
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.planning import make_plan
from scimsync.engine.ports import Source
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.engine.trails import trails
from scimsync.errors import ConfigError, SchemaDrifted, StoreError
from scimsync.model.contracts import Contract
from scimsync.model.outcomes import Exchange, JournalLine, Link, Reply, RunState, Status, Step
from scimsync.model.plans import Action, Plan, Verdict
from scimsync.model.policy import Authority, Depth, Limits, Mapped, Policy
from scimsync.model.reports import Report
from scimsync.scim.genesys import GENESYS
from scimsync.testing import ListSource, MemoryStore, MemoryTarget, VirtualClock
from scimsync.workbench.bench import Workbench
from scimsync.workbench.past import agreed_with

USERS = GENESYS.users
MAPPING = {
    "userName": "email",
    "displayName": "name",
    "active": "status = 'active'",
    "externalId": "id",
    "title": "title",
    "enterprise:manager": "ref(boss)",
}
LIMITS = frozenset({"limits.create", "limits.update", "limits.disable"})
COLUMNS = ("id", "email", "name", "status", "title", "boss")


class Silent:
    def stage(self, name: str, total: int | None = None) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


class Company:
    """An HR table and a directory, and the two commands between them."""

    def __init__(self, folder: Path, people: int = 30) -> None:
        self.rows = {f"E{n}": self.person(n) for n in range(people)}
        self.target, self.store, self.clock = MemoryTarget(), MemoryStore(folder), VirtualClock()
        self.authority: dict[str, Authority] = {}
        self.match = ("externalId", "userName")
        self.source = ""
        self.refuses_doubles = False
        self.dialect = GENESYS
        self.mapping, self.columns = dict(MAPPING), COLUMNS
        self.more: dict[str, Any] = {}
        self.recall = timedelta()
        self.depth = Depth.FULL
        self.configuration = "c"
        self.validity, self.zone, self.proven, self.live = ALWAYS, "UTC", True, True
        self.contract = Contract()
        self._fresh = count()

    @staticmethod
    def person(n: int) -> dict[str, Any]:
        return {
            "id": f"E{n}",
            "email": f"p{n}@example.com",
            "name": f"P {n}",
            "status": "active",
            "title": "Agent",
            "boss": None,
        }

    @property
    def policy(self) -> Policy:
        return Policy(
            attributes=tuple(
                Mapped(
                    place=USERS.resolve(path),
                    expression=text,
                    authority=self.authority.get(path, Authority.LOCAL_WINS),
                )
                for path, text in self.mapping.items()
            ),
            match=tuple(USERS.resolve(path) for path in self.match),
            **{"limits": Limits(), **self.more},
        )

    def hr(self) -> Source:
        """What HR says now."""
        rows = [[row[column] for column in self.columns] for row in self.rows.values()]
        return ListSource(self.columns, rows, proven=self.proven, live=self.live)

    def plan(self, *, only: tuple[str, ...] = (), overrides: tuple[str, ...] = (), as_of: date | None = None) -> Plan:
        ports = PlanPorts(
            source=self.hr(),
            target=self.target,
            store=self.store,
            clock=self.clock,
            observer=Silent(),
            phones=lambda number, region: number,
            fresh=lambda: f"{next(self._fresh):04d}",
        )
        request = PlanRequest(
            policy=self.policy,
            contract=self.contract,
            catalog=USERS,
            key="id",
            source=self.source,
            configuration=self.configuration,
            only=only,
            overrides=dict.fromkeys(overrides, "test"),
            dialect=self.dialect,
            recall=self.recall,
            depth=self.depth,
            validity=replace(self.validity, as_of=as_of),
            zone=self.zone,
        )
        self.clock.advance(1)
        return asyncio.run(make_plan(ports, request))

    def apply(self, plan: Plan) -> Report:
        ports = ApplyPorts(target=self.target, store=self.store, clock=self.clock, observer=Silent())
        options = ApplyOptions(
            policy=self.policy,
            configuration=self.configuration,
            overrides=dict.fromkeys(sorted(LIMITS), "test"),
            search_lag_s=self.dialect.search_lag_s,
            unique_logins=self.refuses_doubles,
            lists_deleted=bool(self.dialect.deleted),
        )
        self.clock.advance(1)
        run = check_plan(plan, self.store.run(plan.id), ports, options)
        return asyncio.run(apply_plan(plan, run, ports, options))

    def sync(self, **given: Any) -> Plan:
        plan = self.plan(**given)
        self.apply(plan)
        return plan

    def account(self, key: str) -> dict[str, Any]:
        return next(user for user in self.target.users.values() if user.get("externalId") == key)

    def edit(self, key: str, **values: Any) -> None:
        user = self.account(key)
        user.update(values)
        user["meta"] = {**user["meta"], "version": str(int(user["meta"]["version"]) + 1)}


C = TypeVar("C", bound=Company)


@cache
def _original(make: Callable[[Path], C]) -> C:
    folder = tempfile.mkdtemp(prefix="scimsync-original-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make(Path(folder) / "artifacts")


def twin_of(make: Callable[[Path], C], folder: Path) -> C:
    """What `make` makes, made once and copied: a company that has run, with artifacts of its own in a folder."""
    original = _original(make)
    fresh = {id(original.store._lock): threading.Lock(), id(original.clock): VirtualClock(original.clock.now())}
    twin = copy.deepcopy(original, fresh)
    shutil.copytree(original.store._artifacts, folder)
    twin.store._artifacts = folder
    return twin


def run_once(folder: Path) -> Company:
    made = Company(folder)
    made.sync()
    return made


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return twin_of(run_once, tmp_path / "artifacts")


def codes(plan: Plan) -> set[str]:
    return {finding.code for finding in plan.findings}


def test_after_a_run_the_next_plan_is_quiet(company: Company) -> None:
    plan = company.plan()
    assert not plan.changes
    assert not plan.findings
    assert plan.tally.match_rate == 1.0


def test_a_source_that_fell_short_stays_frozen_on_the_next_run_too(company: Company) -> None:
    for key in list(company.rows)[-8:]:
        del company.rows[key]
    for _ in range(3):
        plan = company.sync()
        assert "source.rows-drop" in codes(plan)
        assert not plan.changes
    assert all(user["active"] for user in company.target.users.values())


def test_a_short_source_that_somebody_vouched_for_is_the_new_measure(company: Company) -> None:
    for key in list(company.rows)[-4:]:
        del company.rows[key]
    plan = company.plan(overrides=("source.rows-drop", "limits.disable"))
    assert plan.tally.actions == {"disable": 4}
    company.apply(plan)
    assert not codes(company.plan())


def test_a_column_that_went_blank_stays_frozen_on_the_next_run_too(company: Company) -> None:
    for row in list(company.rows.values())[:9]:
        row["title"] = None
    for _ in range(3):
        plan = company.sync()
        assert "source.blanks" in codes(plan)
        assert not plan.changes
    assert all(user["title"] == "Agent" for user in company.target.users.values())


def test_a_reference_that_must_wait_follows_its_authority(company: Company) -> None:
    company.rows["E1"]["boss"] = "E2"
    company.sync()
    company.edit("E1", **{USERS.prefixes["enterprise"]: {"manager": {"value": company.account("E3")["id"]}}})
    company.rows["E99"] = company.person(99)
    company.rows["E1"]["boss"] = "E99"
    company.authority["enterprise:manager"] = Authority.CLOUD_WINS
    kept = company.plan()
    assert [n.key for n in kept.notices] == ["E1"]
    assert [c.key for c in kept.changes] == ["E99"]
    company.authority["enterprise:manager"] = Authority.LOCAL_WINS
    ours = company.plan()
    assert {d.verdict for c in ours.changes if c.key == "E1" for d in c.deltas} == {Verdict.AWAIT}
    company.apply(ours)
    manager = company.account("E1")[USERS.prefixes["enterprise"]]["manager"]["value"]
    assert manager == company.account("E99")["id"]
    assert not company.plan().changes


def test_a_chain_of_joiners_has_all_its_managers_after_one_run(company: Company) -> None:
    for n in (50, 51, 52):
        company.rows[f"E{n}"] = {**company.person(n), "boss": f"E{n + 1}" if n < 52 else "E1"}
    plan = company.sync()
    assert plan.tally.deferred == 0
    assert plan.requests == 3
    assert {company.account(key)["meta"]["version"] for key in ("E50", "E51", "E52")} == {"1"}
    for key, boss in (("E50", "E51"), ("E51", "E52"), ("E52", "E1")):
        held = company.account(key)[USERS.prefixes["enterprise"]]["manager"]["value"]
        assert held == company.account(boss)["id"]
    assert not company.plan().changes


def test_a_run_that_is_done_is_not_done_twice_even_after_others(company: Company) -> None:
    company.rows["E1"]["title"] = "Lead"
    first = company.sync()
    company.rows["E1"]["title"] = "Chief"
    second = company.sync()
    versions = {i: user["meta"]["version"] for i, user in company.target.users.items()}
    assert company.apply(first).clean
    assert company.apply(second).clean
    assert {i: user["meta"]["version"] for i, user in company.target.users.items()} == versions
    last = company.store.last_applied()
    assert last is not None
    assert last.id == second.id


def test_a_plan_says_that_an_earlier_run_was_cut_short(company: Company) -> None:
    company.rows["E1"]["title"] = "Lead"
    plan = company.plan()
    run = company.store.run(plan.id)
    assert run is not None
    company.store.save_run(replace(run, state=RunState.APPLYING))
    again = company.plan()
    assert [(f.code, f.detail) for f in again.findings] == [("run.unfinished", plan.id)]


def test_a_key_that_nobody_knows_is_refused(company: Company) -> None:
    with pytest.raises(ConfigError, match="E404"):
        company.plan(only=("E1", "E404"))


def test_a_plan_for_some_people_leaves_the_rest_alone(company: Company) -> None:
    company.rows["E1"]["title"] = company.rows["E2"]["title"] = "Lead"
    plan = company.sync(only=("E1",))
    assert [c.key for c in plan.changes] == ["E1"]
    assert [c.key for c in company.plan().changes] == ["E2"]


def test_a_plan_for_some_people_counts_and_tells_of_them_alone(company: Company) -> None:
    for key in company.rows:
        company.rows[key]["title"] = "Lead"
    company.rows["E2"]["boss"] = company.rows["E3"]["boss"] = "E404"
    plan = company.plan(only=("E1", "E3"))
    assert (plan.tally.compared, plan.tally.equal) == (2 * len(company.policy.attributes), plan.tally.compared - 2)
    assert [(f.subject, f.detail) for f in plan.findings if f.code == "reference.unknown"] == [
        ("E3", "enterprise:manager names E404")
    ]


def test_a_plan_for_some_people_agrees_on_nothing_about_others(company: Company) -> None:
    one, other = company.rows["E3"], company.rows["E4"]
    for column in ("email", "name"):  # their keys were exchanged, which the account of the other would show
        one[column], other[column] = other[column], one[column]
    one["title"] = "Lead"
    company.edit("E3", title="Lead")
    company.rows["E0"]["boss"] = "E3"
    company.sync(only=("E0",))
    last = company.store.last_applied()
    assert last is not None
    with Workbench(company.store.artifact("plan").parent) as bench:
        attributes = company.policy.attributes
        assert agreed_with(bench, company.store.artifact(last.base), "E3", attributes)["title"] == "Agent"


def test_a_plan_for_some_people_compares_the_schema_where_the_configuration_is_another(company: Company) -> None:
    core, *rest = company.target.schemas
    company.target.schemas = (replace(core, attributes=tuple(a for a in core.attributes if a.name != "title")), *rest)
    assert company.plan(only=("E1",)), "what a plan for everybody saw today is believed"
    company.configuration = "configuration-2"
    with pytest.raises(SchemaDrifted):
        company.plan(only=("E1",))


def test_a_late_search_does_not_undo_what_a_plan_for_some_people_read_by_id(company: Company) -> None:
    company.target.lag()
    company.rows["E1"]["title"] = "Lead"
    company.sync()
    version = company.account("E1")["meta"]["version"]
    company.rows["E0"]["email"], company.rows["E1"]["email"] = company.rows["E1"]["email"], "new@example.com"
    plan = company.plan(only=("E0", "E1"))
    found = {change.key: change for change in plan.changes}
    assert found["E1"].version == version
    assert [delta.path for delta in found["E1"].deltas] == ["userName"]


def test_whom_somebody_names_is_nobody_whom_hr_does_not_know(company: Company, tmp_path: Path) -> None:
    company.rows["E1"]["boss"] = "E2"
    company.store = MemoryStore(tmp_path / "another")
    plan = company.plan(only=("E1",))
    assert [change.key for change in plan.changes] == ["E1"]
    assert (plan.tally.accounts, plan.tally.unmanaged) == (2, 0)


def test_a_match_path_that_is_not_mapped_is_named(tmp_path: Path) -> None:
    company = Company(tmp_path / "artifacts", people=2)
    company.match = ("enterprise:employeeNumber", "userName")
    plan = company.plan()
    assert [(f.code, f.detail) for f in plan.findings] == [("correlation.unmapped", "enterprise:employeeNumber")]


def test_an_edit_of_an_attribute_that_hr_owns_is_put_back_and_others_stay(company: Company) -> None:
    company.edit("E1", title="Edited", nickname="theirs")
    plan = company.sync()
    assert [c.action for c in plan.changes] == [Action.UPDATE]
    assert plan.tally.overwritten == 1
    assert company.account("E1")["title"] == "Agent"
    assert company.account("E1")["nickname"] == "theirs"


@pytest.mark.parametrize(
    ("authority", "title", "disabled"),
    [(Authority.CLOUD_WINS, "Theirs", False), (Authority.LOCAL_WINS, "Lead", False), (Authority.ASK, "Theirs", True)],
)
def test_what_others_write_before_the_access_is_taken_is_seen_by_what_is_written_after_it(
    company: Company, authority: Authority, title: str, disabled: bool
) -> None:
    company.authority["title"] = authority
    company.rows["E3"] |= {"status": "left", "title": "Lead"}
    plan = company.plan()
    assert [(c.action, c.part) for c in plan.changes] == [(Action.DISABLE, 1), (Action.UPDATE, 3)]
    company.edit("E3", title="Theirs", **({"active": False} if disabled else {}))
    ports = ApplyPorts(target=company.target, store=company.store, clock=company.clock, observer=Silent())
    options = ApplyOptions(policy=company.policy, configuration="c", keeps_others=True)  # so nothing is looked at first
    run = company.store.run(plan.id)
    assert run is not None
    taken, rest = asyncio.run(apply_plan(plan, run, ports, options)).outcomes["E3"]
    assert (taken.status, company.account("E3")["active"]) == (Status.ALREADY if disabled else Status.DONE, False)
    assert (company.account("E3")["title"], rest.overwritten) == (title, ("title",) if title == "Lead" else ())
    told = [edit for one in trails(company.store, plan.id).people for edit in one.moves.items() if edit[0] == "title"]
    assert [(move.before, move.after) for _, move in told] == ([("Theirs", "Lead")] if title == "Lead" else [])


def test_a_person_with_a_new_key_is_never_disabled_under_the_old_one(company: Company) -> None:
    row = company.rows.pop("E1")
    company.rows["N1"] = {**row, "id": "N1"}
    plan = company.sync()
    assert not plan.changes
    assert found(plan, "correlation.contested") == [
        ("E1", "also N1, by login, name"),
        ("N1", "also E1, by login, name"),
    ]
    company.rows["N1"]["status"] = None  # the new record turns bad
    plan = company.plan()
    assert not plan.changes
    assert {f.subject for f in plan.findings if f.holds} == {"E1", "N1"}


def test_a_new_key_and_a_bad_record_in_one_night_disable_nobody(company: Company) -> None:
    row = company.rows.pop("E1")
    company.rows["N1"] = {**row, "id": "N1", "status": None}
    assert not company.plan().changes


def test_a_record_that_could_be_anybody_keeps_everybody(company: Company) -> None:
    del company.rows["E1"]
    company.rows["x"] = {**company.person(1), "id": None}
    plan = company.plan()
    assert not plan.changes
    assert "source.keyless" in codes(plan)


def test_a_state_belongs_to_one_directory(company: Company) -> None:
    company.target.name = "memory://another"
    with pytest.raises(ConfigError, match="memory://target"):
        company.plan()


def test_an_incomplete_reading_relinks_nobody(company: Company) -> None:
    gone = company.account("E1")
    del company.target.users[gone["id"]]
    company.account("E2")["userName"] = "p1@example.com"  # fits E1 by the next path

    async def sweep(attributes: Any, sink: Any) -> Any:
        found = await MemoryTarget.sweep(company.target, attributes, sink)
        return replace(found, incomplete="a page is missing")

    company.target.sweep = sweep  # type: ignore[method-assign]
    plan = company.plan()
    assert [c.key for c in plan.changes] == ["E2"]
    assert "target.incomplete" in codes(plan)


def test_a_joiner_does_not_take_over_the_account_of_another_key(company: Company) -> None:
    company.rows["E90"] = company.person(90)
    plan = company.plan()
    asyncio.run(company.target.create({"userName": "p90@example.com", "displayName": "X", "externalId": "OTHER"}))
    report = company.apply(plan)
    assert [o.code for o in report.outcomes["E90"]] == ["correlation.taken"]
    assert company.account("OTHER")["displayName"] == "X"


@pytest.mark.parametrize("linked", [True, False])
def test_an_answer_with_the_account_of_another_key_is_held_and_nothing_more_is_written(
    company: Company, tmp_path: Path, linked: bool
) -> None:
    if not linked:  # found while planning, and not remembered before the run ends
        target, company = company.target, Company(tmp_path / "other")
        company.target = target
    company.rows["E90"] = company.person(90)
    plan = company.plan()
    theirs = dict(company.account("E1"))

    async def answer(resource: dict[str, object]) -> Reply:
        return Reply(exchange=Exchange.ANSWERED, method="POST", status=201, body={**theirs, **resource}, version="9")

    company.target.create = answer  # type: ignore[method-assign]
    report = company.apply(plan)
    assert [(o.status, o.code, o.account) for o in report.outcomes["E90"]] == [(Status.HELD, "correlation.taken", None)]
    assert f"account {theirs['id']}, which is linked to E1" in report.outcomes["E90"][0].detail
    assert company.account("E1") == theirs
    assert {link.key: link.account for link in company.store.links()}["E1"] == theirs["id"]
    assert "E90" not in {link.key for link in company.store.links()}


def test_two_creations_that_are_answered_with_one_account_make_it_the_first_ones(company: Company) -> None:
    company.rows |= {"E90": company.person(90), "E91": company.person(91)}
    plan, create = company.plan(), company.target.create
    made: list[Reply] = []

    async def once(resource: dict[str, object]) -> Reply:
        made.append(made[0] if made else await create(resource))
        return made[-1]

    company.target.create = once  # type: ignore[method-assign]
    report = company.apply(plan)
    outcomes = [parts[-1] for parts in report.outcomes.values()]
    assert sorted((o.status.value, o.code) for o in outcomes) == [("done", ""), ("held", "correlation.taken")]
    assert not report.clean


def test_a_link_that_stands_against_a_run_stays_and_the_person_is_held(company: Company) -> None:
    company.rows["E90"] = company.person(90)
    plan, create = company.plan(), company.target.create

    async def and_somebody_links(resource: dict[str, object]) -> Reply:
        reply = await create(resource)
        company.store.save_links([Link("OTHER", str((reply.body or {})["id"]))])
        return reply

    company.target.create = and_somebody_links  # type: ignore[method-assign]
    report = company.apply(plan)
    assert report.outcomes["E90"][-1].code == "correlation.taken"
    assert "OTHER" in {link.key for link in company.store.links()}
    run = company.store.run(plan.id)
    assert run is not None
    assert run.state is RunState.PARTIAL


def test_a_joiner_adopts_an_account_without_key_and_says_so(company: Company) -> None:
    company.rows["E90"] = company.person(90)
    plan = company.plan()
    asyncio.run(company.target.create({"userName": "p90@example.com", "displayName": "X"}))
    report = company.apply(plan)
    (outcome,) = report.outcomes["E90"]
    assert (outcome.code, outcome.overwritten) == ("account.adopted", ("displayName",))
    assert not company.plan().changes


def test_a_leaver_whom_somebody_enabled_again_follows_the_authority(company: Company) -> None:
    del company.rows["E1"]
    company.sync()
    assert company.account("E1")["active"] is False
    company.edit("E1", active=True)
    company.authority["active"] = Authority.ASK
    plan = company.plan()
    assert not plan.changes
    assert [n.key for n in plan.notices] == ["E1"]


def test_a_manager_who_is_left_out_leaves_the_plan_quiet(company: Company) -> None:
    company.rows["E90"] = {**company.person(90), "name": None}
    company.rows["E1"]["boss"] = "E90"
    plan = company.sync()
    assert not plan.changes
    assert {"record.incomplete", "reference.deferred"} <= codes(plan)


def test_a_former_employment_does_not_block_the_new_one(company: Company) -> None:
    company.rows["OLD"] = {**company.person(90), "id": "OLD", "status": "left"}
    company.rows["E90"] = company.person(90)
    plan = company.sync()
    assert [(c.key, c.action) for c in plan.changes] == [("E90", Action.CREATE)]
    assert not company.plan().changes


def test_the_base_of_each_run_is_a_file_of_its_own(company: Company) -> None:
    before = company.store.last_applied()
    company.rows["E1"]["title"] = "Lead"
    company.sync()
    after = company.store.last_applied()
    assert before is not None
    assert after is not None
    assert before.base < after.base
    assert company.store.artifact(before.base).is_file()


def test_a_run_that_was_cut_short_is_settled_without_sending_anything(company: Company) -> None:
    company.rows["E1"]["title"] = company.rows["E2"]["title"] = "Lead"
    plan = company.plan()
    run = company.store.run(plan.id)
    assert run is not None
    versions = [user["meta"]["version"] for user in company.target.users.values()]
    company.store.save_run(replace(run, state=RunState.APPLYING))
    company.store.append(
        [JournalLine(run=plan.id, key=key, part=1, step=Step.INTENT, at=company.clock.now()) for key in ("E1", "E2")]
    )
    company.edit("E1", title="Lead")  # this write arrived, and its answer did not
    ports = ApplyPorts(target=company.target, store=company.store, clock=company.clock, observer=Silent())
    report = asyncio.run(settle_run(plan, run, ports, ApplyOptions(policy=company.policy, configuration="c")))
    assert report.statuses == {"done": 1, "deferred": 1}
    assert sum(a["meta"]["version"] != v for a, v in zip(company.target.users.values(), versions, strict=True)) == 1
    company.authority["title"] = Authority.ASK
    assert [c.key for c in company.plan().changes] == ["E2"]


def test_a_listing_that_is_behind_by_many_accounts_makes_some_people_wait(tmp_path: Path) -> None:
    crowd = Company(tmp_path / "crowd", people=0)
    crowd.rows["E0"] = crowd.person(0)
    crowd.sync()
    crowd.target.lag()
    crowd.rows |= {f"E{n}": crowd.person(n) for n in range(1, MOST_READ_AGAIN + 30)}
    crowd.sync()
    plan = crowd.plan()
    waiting = [finding for finding in plan.findings if finding.code == "target.lagging"]
    assert len(waiting) == plan.tally.held == 29
    assert not plan.changes
    assert plan.tally.unmanaged == 0
    crowd.target.listed = None
    assert not crowd.plan().findings


def test_a_leaver_whose_account_is_behind_and_beyond_waits_too(tmp_path: Path) -> None:
    crowd = Company(tmp_path / "crowd", people=MOST_READ_AGAIN + 30)
    crowd.sync()
    for row in crowd.rows.values():
        row["title"] = "Lead"
    crowd.target.lag()
    crowd.sync()
    last = crowd.target.users[max(crowd.target.users)]
    del crowd.rows[str(last["externalId"])]
    plan = crowd.plan()
    assert not plan.changes
    assert last["externalId"] in {f.subject for f in plan.findings if f.code == "target.lagging"}


def test_a_listing_is_not_told_to_be_behind_where_versions_are_no_counters(company: Company) -> None:
    company.dialect = replace(GENESYS, counts_versions=False)
    company.target.lag()
    company.rows["E1"]["title"] = "Lead"
    company.rows["E40"] = company.person(40)
    company.sync()
    assert [change.key for change in company.plan().changes] == ["E1"]


def test_many_linked_accounts_that_are_gone_are_made_again_some_at_a_time(tmp_path: Path) -> None:
    crowd = Company(tmp_path / "crowd", people=MOST_READ_AGAIN + 30)
    crowd.sync()
    crowd.clock.advance(LONGEST_LAG.total_seconds() + 10)
    crowd.target.users.clear()
    assert len(crowd.sync().changes) == MOST_READ_AGAIN
    assert len(crowd.sync().changes) == 30
    assert not crowd.plan().changes


def test_people_who_left_long_ago_are_not_looked_for(company: Company) -> None:
    for row in company.rows.values():
        row["status"] = "left"
    company.sync()
    company.clock.advance(LONGEST_LAG.total_seconds() + 10)
    company.target.users.clear()
    plan = company.plan()
    assert not plan.changes
    assert not plan.findings


# --- circles, and references that wait ----------------------------------------------------------


def managers(company: Company, *keys: str) -> list[str | None]:
    """Who leads whom in the directory, by key."""
    names = {user["id"]: str(user.get("externalId")) for user in company.target.users.values()}
    held = [company.account(key).get(USERS.prefixes["enterprise"], {}).get("manager") for key in keys]
    return [None if manager is None else names[manager["value"]] for manager in held]


def lead(company: Company, **bosses: str) -> None:
    for key, boss in bosses.items():
        number = int(key[1:])
        company.rows[key] = {**company.rows.get(key, company.person(number)), "boss": boss}


def found(plan: Plan, code: str) -> list[tuple[str, str]]:
    return [(f.subject, f.detail) for f in plan.findings if f.code == code]


def test_joiners_in_a_circle_are_named_with_the_edge_that_waits(company: Company) -> None:
    lead(company, E50="E51", E51="E52", E52="E50", E60="E60")
    plan = company.sync()
    assert found(plan, "reference.cycle") == [
        (
            "E50",
            "enterprise:manager: E50 -> E51 -> E52 -> E50; E50 gets the reference to E51 in the second pass",
        ),
    ]
    assert found(plan, "reference.self") == [("E60", "enterprise:manager")]
    assert managers(company, "E50", "E51", "E52") == ["E51", "E52", "E50"]
    assert plan.requests == 4 + 1


def test_people_who_have_accounts_and_lead_each_other_are_named_and_nothing_waits(company: Company) -> None:
    lead(company, E1="E2", E2="E1", E3="E1")
    plan = company.sync()
    assert found(plan, "reference.cycle") == [("E1", "enterprise:manager: E1 -> E2 -> E1")]
    assert (plan.requests, plan.tally.deferred) == (3, 0)
    again = company.plan()
    assert not again.changes
    assert len(found(again, "reference.cycle")) == 1


def test_a_reference_to_somebody_who_is_left_out_is_remembered_until_it_is_set(company: Company) -> None:
    lead(company, E1="E90")
    company.rows["E90"] = {**company.person(90), "name": None}
    first = company.sync()
    assert found(first, "reference.deferred") == [("E1", "enterprise:manager waits for E90")]
    second = company.sync()
    since = f"enterprise:manager waits for E90 since 2026-01-01 00:00 UTC, run {first.id}"
    assert found(second, "reference.deferred") == [("E1", since)]
    company.rows["E90"]["name"] = "P 90"
    third = company.plan()
    assert found(third, "reference.deferred") == [("E1", since)]
    company.apply(third)
    assert list(company.store.deferred()) == []
    assert managers(company, "E1") == ["E90"]
    assert not found(company.plan(), "reference.deferred")


def test_a_reference_that_hr_no_longer_wants_is_forgotten(company: Company) -> None:
    lead(company, E1="E90", E2="E90", E3="E90")
    company.rows["E90"] = {**company.person(90), "name": None}
    company.sync()
    assert [edge.key for edge in company.store.deferred()] == ["E1", "E2", "E3"]
    lead(company, E1="E4")
    del company.rows["E2"]
    company.rows["E3"]["status"] = None  # a bad record says nothing about what HR wants
    company.plan()
    assert [edge.key for edge in company.store.deferred()] == ["E3"]


def test_a_reference_left_out_because_a_creation_failed_waits_in_the_state(company: Company) -> None:
    lead(company, E1="E90", E91="E90", E90="E2")
    plan = company.plan()
    asyncio.run(company.target.create({"userName": "p90@example.com", "displayName": "X", "externalId": "OTHER"}))
    report = company.apply(plan)
    assert [(o.status.value, o.deferred) for o in report.outcomes["E91"]] == [
        ("done", ("enterprise:manager",)),
        ("deferred", ()),
    ]
    assert [(o.status.value, o.code) for o in report.outcomes["E1"]] == [("deferred", "reference.deferred")]
    assert [(edge.key, edge.awaits, edge.run) for edge in company.store.deferred()] == [
        ("E1", "E90", plan.id),
        ("E91", "E90", plan.id),
    ]
    company.account("OTHER")["userName"] = "other@example.com"
    assert company.apply(company.plan()).clean
    assert managers(company, "E1", "E91") == ["E90", "E90"]
    assert list(company.store.deferred()) == []


def test_a_run_that_stops_between_manager_and_report_goes_on_with_one_request_each(company: Company) -> None:
    lead(company, E90="E91", E91="E92", E92="E1", E93="E92")
    plan = company.plan()
    assert [c.key for c in plan.changes] == ["E92", "E91", "E93", "E90"]
    create, stop = company.target.create, asyncio.Event()

    async def create_and_stop(resource: dict[str, object]) -> Reply:
        stop.set()
        return await create(resource)

    company.target.create = create_and_stop  # type: ignore[method-assign]
    ports = ApplyPorts(target=company.target, store=company.store, clock=company.clock, observer=Silent())
    run = company.store.run(plan.id)
    assert run is not None
    first = asyncio.run(apply_plan(plan, run, ports, ApplyOptions(policy=company.policy, configuration="c"), stop))
    assert (set(first.outcomes), first.left) == ({"E92"}, ("E91", "E93", "E90"))
    company.target.create = create  # type: ignore[method-assign]
    assert company.apply(plan).clean
    assert managers(company, "E90", "E91", "E92", "E93") == ["E91", "E92", "E1", "E92"]
    assert {company.account(f"E{n}")["meta"]["version"] for n in (90, 91, 92, 93)} == {"1"}


def test_a_settled_run_goes_on_with_the_references_that_a_creation_left_out(company: Company) -> None:
    lead(company, E91="E90")
    company.rows["E90"] = company.person(90)
    plan = company.plan()
    run = company.store.run(plan.id)
    assert run is not None
    company.store.save_run(replace(run, state=RunState.APPLYING))
    company.store.append([JournalLine(run=plan.id, key="E91", part=1, step=Step.INTENT, at=company.clock.now())])
    made = {"userName": "p91@example.com", "displayName": "P 91", "externalId": "E91", "title": "Agent", "active": True}
    asyncio.run(company.target.create(made))  # this arrived without a manager, and its answer did not
    ports = ApplyPorts(target=company.target, store=company.store, clock=company.clock, observer=Silent())
    settled = asyncio.run(settle_run(plan, run, ports, ApplyOptions(policy=company.policy, configuration="c")))
    assert [(o.status.value, o.deferred) for o in settled.outcomes["E91"]] == [("done", ("enterprise:manager",))]
    assert [(edge.key, edge.awaits) for edge in company.store.deferred()] == [("E91", "E90")]
    assert company.apply(plan).clean
    assert managers(company, "E91") == ["E90"]


def test_a_journal_that_cannot_be_written_is_told_by_its_own_error(company: Company) -> None:
    company.rows["E1"]["title"] = company.rows["E2"]["title"] = "Lead"
    plan = company.plan()
    append = company.store.append

    def full(lines: Sequence[JournalLine], *more: Any) -> None:
        if lines:
            raise StoreError("the disk is full")
        append(lines, *more)

    company.store.append = full  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="the disk is full"):
        company.apply(plan)


def test_yesterdays_file_gives_access_back_to_nobody_and_makes_nobody_anew(company: Company) -> None:
    company.live = False
    company.rows["E40"] = company.person(40)
    company.sync()
    yesterday = copy.deepcopy(company.rows)
    company.rows["E3"]["status"] = "inactive"
    del company.rows["E4"], company.rows["E40"]
    company.sync()
    gone = company.account("E40")["id"]
    del company.target.users[gone]
    company.rows = yesterday
    plan = company.plan()
    assert "source.old" in codes(plan)
    assert [(change.key, change.action.value) for change in plan.changes] == []
    assert [f.subject for f in plan.findings if f.code == "source.old" and f.holds] == ["E40"]
    assert {change.key for change in company.plan(overrides=("source.old",)).changes} == {"E3", "E4", "E40"}


def test_what_came_of_a_change_becomes_durable_with_the_next_intent_and_never_after_it(tmp_path: Path) -> None:
    company = twin_of(Company, tmp_path / "artifacts")
    company.sync()
    for key in [*company.rows][:4]:
        company.rows[key]["title"] = "Lead"
    plan, append, commits = company.plan(), company.store.append, list[list[tuple[str, Step]]]()

    def heard(lines: Sequence[JournalLine], *rest: Any) -> None:
        commits.append([(line.key, line.step) for line in lines])
        append(lines, *rest)

    company.store.append = heard  # type: ignore[method-assign]
    ports = ApplyPorts(target=company.target, store=company.store, clock=company.clock, observer=Silent())
    options = ApplyOptions(policy=company.policy, configuration="c", workers=1)
    run = check_plan(plan, company.store.run(plan.id), ports, options)
    assert asyncio.run(apply_plan(plan, run, ports, options)).clean
    keys = [change.key for change in plan.changes]
    assert len(keys) > 2
    assert [line for commit in commits for line in commit] == [(key, step) for key in keys for step in Step]
    assert [len(commit) for commit in commits if commit] == [1, *(2 for _ in keys[1:]), 1]

"""Taking runs back on the twins in memory: what comes back, what stays, and what later plans leave alone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from tests.soak import WHOLE
from tests.unit.engine.test_whole_runs import COLUMNS, MAPPING, USERS, Company, Silent, twin_of

from scimsync.core import sealing
from scimsync.core import undoing as rules
from scimsync.engine.applying import settle_run
from scimsync.engine.hindsight import Wanted, as_of, inverse
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts
from scimsync.engine.undoing import make_plan
from scimsync.errors import PlanStale
from scimsync.model.audit import Kind, Record
from scimsync.model.outcomes import Exchange, Link, Reply, RunState
from scimsync.model.plans import Action, Plan, Reason, Verdict
from scimsync.model.policy import Authority, Grouping, Limit, Limits, Rekey
from scimsync.scim.messages import Operation
from scimsync.testing import MemoryTarget
from scimsync.testing.target import members_of

SKILLS = "genesys:routingSkills"
GENESYS_USER = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"
OPEN = Limit(share=1.0)
WIDE = Limits(**dict.fromkeys(("disable", "enable", "create", "update", "clear", "group_loss", "group_gain"), OPEN))
PATHS = ("userName", "displayName", "active", "title", "enterprise:department", SKILLS)
TEAMS = ("red", "blue", "green")


class Died(BaseException):
    """The process is gone."""


class Firm(Company):
    """A company with departments, skills that others may add to, and teams."""

    def __init__(self, folder: Path, people: int = 12) -> None:
        super().__init__(folder, people)
        self.mapping = {**MAPPING, "enterprise:department": "department", SKILLS: "skills(skills)"}
        self.columns = (*COLUMNS, "department", "skills", "teams")
        self.authority = {SKILLS: Authority.MERGE}
        self.more = {"limits": WIDE, "groups": Grouping(column="teams")}
        for team in TEAMS:
            self.target._put_group({"id": team, "displayName": team, "members": []}, version=1)
        for row in self.rows.values():
            row |= {"department": "Sales", "skills": "English:3", "teams": "red"}
        self.sync()

    def request(self, only: tuple[str, ...] = (), overrides: Collection[str] = ()) -> PlanRequest:
        return PlanRequest(
            policy=self.policy,
            catalog=USERS,
            key="id",
            configuration=self.configuration,
            dialect=self.dialect,
            only=only,
            overrides=dict.fromkeys(overrides, "test"),
        )

    def look_back(self, request: PlanRequest, wanted: Wanted) -> Plan:
        ports = PlanPorts(
            source=self.hr(),
            target=self.target,
            store=self.store,
            clock=self.clock,
            observer=Silent(),
            phones=lambda number, region: number,
            fresh=lambda: f"u{next(self._fresh):04d}",
        )
        self.clock.advance(1)
        return asyncio.run(make_plan(ports, request, wanted))

    def undo(self, run: str, *, only: tuple[str, ...] = (), paths: Collection[str] = ()) -> Plan:
        request, found = self.request(only), self.store.run(run)
        assert found is not None
        made = None
        if found.plan:
            with self.store.artifact(found.plan).open("rb") as lines:
                made = sealing.decode(lines)
        return self.look_back(request, inverse(self.store, found, made, request, frozenset(paths)))

    def take_back(self, run: str, **given: Any) -> Plan:
        """Undo, and apply."""
        made = self.undo(run, **given)
        report = self.apply(made)
        assert report.clean, (report.statuses, report.outcomes)
        return made

    def restore(self, key: str, moment: datetime, paths: Collection[str] = ()) -> Plan:
        request = self.request((key,))
        return self.look_back(request, as_of(self.store, moment, request, frozenset(paths)))

    def state(self) -> dict[str, dict[str, object]]:
        """What is managed of each account, and the teams it is in; who was created and is disabled has no more."""
        teams = {team: members_of(group) for team, group in self.target.groups.items()}
        return {
            account: {
                **{path: USERS.resolve(path).read(user) for path in PATHS},
                "teams": {team for team, members in teams.items() if account in members},
            }
            for account, user in self.target.users.items()
        }

    def value(self, key: str, path: str) -> object:
        return USERS.resolve(path).read(self.account(key))

    def skills(self, key: str) -> set[str]:
        return {str(dict(one)["name"]) for one in self.value(key, SKILLS) or ()}  # type: ignore[attr-defined]

    def add_skill(self, key: str, name: str) -> None:
        held = self.account(key).setdefault(GENESYS_USER, {}).setdefault("routingSkills", [])
        held.append({"name": name, "proficiency": 1})
        self.edit(key)

    def team(self, name: str) -> set[str]:
        keys = {account: str(user.get("externalId")) for account, user in self.target.users.items()}
        return {keys[account] for account in members_of(self.target.groups[name])}


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return twin_of(Firm, tmp_path / "artifacts")


def told(made: Plan) -> set[tuple[str, str]]:
    return {(finding.code, finding.subject) for finding in made.findings}


def stirred(firm: Firm) -> Plan:
    """A run that does something of each kind."""
    firm.rows["E1"]["title"] = "Lead"
    firm.rows["E2"] |= {"skills": "French:2", "teams": "blue", "department": None}
    firm.rows["E3"]["status"] = "left"
    del firm.rows["E4"]
    firm.rows["E90"] = {**firm.person(90), "department": "Sales", "skills": "English:1", "teams": "green"}
    return firm.sync()


def test_a_run_that_is_taken_back_leaves_everything_as_it_was(firm: Firm) -> None:
    before = firm.state()
    run = stirred(firm)
    made = firm.take_back(run.id)
    after = firm.state()
    new = next(iter(after.keys() - before.keys()))
    assert after[new]["active"] is False, "what was created is disabled, not deleted"
    assert after[new]["teams"] == set()
    assert {account: after[account] for account in before} == before
    assert made.undoes == run.id
    assert {finding.code for finding in made.findings} <= {"target.names-unknown"}


def test_an_undo_can_be_undone_and_that_too(firm: Firm) -> None:
    run = stirred(firm)
    done = firm.state()
    first = firm.take_back(run.id)
    back = firm.state()
    second = firm.take_back(first.id)
    assert firm.state() == done
    assert firm.store.undone() == [], "what is done again is nobody's to hold"
    firm.take_back(second.id)
    assert firm.state() == back


def test_the_next_plan_does_not_do_again_what_was_taken_back_and_says_so(firm: Firm) -> None:
    run = stirred(firm)
    firm.take_back(run.id)
    state = firm.state()
    again = firm.sync()
    assert firm.state() == state
    assert (again.changes, again.groups) == ((), ())
    held = {(f.subject, f.path) for f in again.findings if f.code == rules.HELD}
    assert held >= {("E1", "title"), ("E2", SKILLS), ("E3", "active"), ("E4", "active"), ("E90", "active")}
    assert ("E2", "groups[blue]") in held
    assert {f.subject: f.detail for f in again.findings if f.code == "leaver.kept"} == {
        "E3": rules.HELD,
        "E4": rules.HELD,
    }, "who left and has access again is the first thing that is said"
    assert again.tally.values >= 6


def test_what_was_taken_back_is_written_when_hr_says_something_else(firm: Firm) -> None:
    firm.rows["E1"]["title"] = "Lead"
    firm.take_back(firm.sync().id)
    firm.rows["E1"]["title"] = "Head"
    firm.sync()
    assert firm.value("E1", "title") == "Head"
    firm.rows["E1"]["title"] = "Lead"
    firm.sync()
    assert firm.value("E1", "title") == "Lead", "what was taken back once is not held for ever"


def test_whoever_leaves_again_after_a_leave_that_was_taken_back_loses_access(firm: Firm) -> None:
    row = firm.rows.pop("E1")
    firm.take_back(firm.sync().id)
    assert firm.value("E1", "active") is True
    firm.rows["E1"] = row  # HR was wrong, and says so
    firm.sync()
    del firm.rows["E1"]
    firm.sync()
    assert firm.value("E1", "active") is False


@pytest.mark.parametrize("trouble", [{"email": ""}, {"status": None}])
def test_a_record_that_cannot_be_read_one_night_does_not_end_what_was_taken_back(
    firm: Firm, trouble: dict[str, Any]
) -> None:
    firm.rows["E90"] = {**firm.person(90), "department": "Sales", "skills": "", "teams": ""}
    firm.rows["E1"]["title"] = "Lead"
    firm.take_back(firm.sync().id)
    good = {key: dict(firm.rows[key]) for key in ("E1", "E90")}
    for key in good:
        firm.rows[key] |= trouble
    firm.sync(only=("E2",))
    firm.sync()
    firm.rows |= good
    firm.sync()
    assert (firm.value("E90", "active"), firm.value("E1", "title")) == (False, "Agent")


def test_hr_wins_again_where_a_person_says_so(firm: Firm) -> None:
    firm.rows["E1"]["title"] = "Lead"
    firm.take_back(firm.sync().id)
    firm.sync(overrides=(rules.HELD,))
    assert firm.value("E1", "title") == "Lead"
    assert firm.store.undone() == []


def test_an_account_that_was_taken_back_and_deleted_by_hand_is_not_made_again(firm: Firm) -> None:
    firm.rows["E90"] = {**firm.person(90), "department": "Sales", "skills": "", "teams": ""}
    firm.take_back(firm.sync().id)
    del firm.target.users[firm.account("E90")["id"]]
    made = firm.sync()
    assert all(change.key != "E90" for change in made.changes)


def test_what_others_changed_since_stays_and_is_named(firm: Firm) -> None:
    run = stirred(firm)
    firm.edit("E1", title="By hand")
    firm.add_skill("E2", "Chess")
    firm.target.groups["blue"]["members"] = []
    made = firm.take_back(run.id)
    assert firm.value("E1", "title") == "By hand"
    assert firm.skills("E2") == {"English", "Chess"}
    notice = next(one for one in made.notices if one.key == "E1")
    assert [(d.path, d.verdict, d.reason) for d in notice.deltas] == [("title", Verdict.KEEP, Reason.SINCE)]
    assert (rules.LEFT_OUT, "") in told(made)
    assert firm.team("red") == {f"E{n}" for n in range(12)}


def test_an_element_of_others_in_a_shared_list_survives_the_plans_after_an_undo(firm: Firm) -> None:
    firm.rows["E2"]["skills"] = "French:2"
    run = firm.sync()
    firm.add_skill("E2", "Chess")
    firm.take_back(run.id)
    firm.rows["E2"]["skills"] = "German:1"
    firm.sync()
    assert firm.skills("E2") == {"German", "Chess"}


def test_what_a_later_run_wrote_stays_and_is_said_to_be_ours(firm: Firm) -> None:
    firm.rows["E1"]["title"] = "Lead"
    run = firm.sync()
    firm.rows["E1"]["title"] = "Head"
    firm.sync()
    made = firm.undo(run.id)
    assert made.changes == ()
    assert [d.reason for d in made.notices[0].deltas] == [Reason.LATER]


def test_an_edit_that_the_run_wrote_over_comes_back_and_not_what_the_plan_had_seen(firm: Firm) -> None:
    firm.rows["E1"]["title"] = "Lead"
    plan = firm.plan()
    firm.edit("E1", title="By hand")  # between plan and apply; HR wins
    firm.apply(plan)
    assert firm.value("E1", "title") == "Lead"
    firm.take_back(plan.id)
    assert firm.value("E1", "title") == "By hand"


def test_an_account_that_is_another_persons_by_now_gets_nothing_back(firm: Firm) -> None:
    run = stirred(firm)
    account = firm.account("E3")["id"]
    firm.store._links = {k: v for k, v in firm.store._links.items() if k != "E3"}
    firm.store.save_links([Link("E77", account)])
    made = firm.undo(run.id)
    assert all(change.account != account for change in made.changes)
    assert (rules.LEFT_OUT, "E3") in told(made)


def test_an_account_that_was_adopted_is_not_disabled(firm: Firm) -> None:
    firm.target._put({"userName": "p95@example.com", "active": True, "title": "Old"}, version=1)
    firm.rows["E95"] = {**firm.person(95), "department": "Sales", "skills": "", "teams": ""}
    run = firm.sync()
    account = firm.account("E95")
    firm.take_back(run.id)
    user = firm.target.users[account["id"]]
    assert (user["active"], user["title"]) == (True, "Old")


def test_some_people_and_some_attributes_alone(firm: Firm) -> None:
    run = stirred(firm)
    made = firm.undo(run.id, only=("E2",), paths=("enterprise:department",))
    assert [(c.key, [d.path for d in c.deltas]) for c in made.changes] == [("E2", ["enterprise:department"])]
    assert made.groups == ()
    one = firm.undo(run.id, only=("E2",))
    assert {c.key for c in one.changes} == {"E2"}
    assert {member.key for group in one.groups for member in (*group.add, *group.remove)} == {"E2"}
    with pytest.raises(PlanStale, match="did nothing to this person"):
        firm.undo(run.id, only=("E7",))


def test_whoever_was_erased_from_the_chain_is_left_out_and_told_of(firm: Firm) -> None:
    firm.rows["E1"]["title"] = firm.rows["E2"]["title"] = "Lead"
    run = firm.sync()
    firm.store.erase("E1", Record(kind=Kind.ERASURE, at=firm.clock.now(), actor="test", person=""))
    made = firm.undo(run.id)
    assert {change.key for change in made.changes} == {"E2"}
    assert (rules.LEFT_OUT, "") in told(made)


def test_members_come_back_only_where_the_plan_says_whose_accounts_they_were(firm: Firm) -> None:
    firm.rows["E2"]["teams"] = "blue"
    run = firm.sync()
    found = firm.store.run(run.id)
    assert found is not None
    firm.store.save_run(replace(found, plan="", agreed=""))  # no longer kept
    made = firm.undo(run.id)
    assert [(group.name, len(group.add), len(group.remove)) for group in made.groups] == [("blue", 0, 1)]
    assert any("same people as then" in finding.detail for finding in made.findings)


def test_an_attribute_that_is_not_managed_any_more_is_left_alone_and_told_of(firm: Firm) -> None:
    firm.rows["E1"] |= {"title": "Lead", "department": "Board"}
    run = firm.sync()
    del firm.mapping["title"]
    made = firm.undo(run.id)
    assert [d.path for c in made.changes for d in c.deltas] == ["enterprise:department"]
    assert [(f.subject, f.path) for f in made.findings if f.code == rules.LEFT_OUT] == [("E1", "title")]


def test_an_undo_keeps_to_the_limits(firm: Firm) -> None:
    for key in ("E1", "E2", "E3", "E5"):
        firm.rows[key]["status"] = "left"
    run = firm.sync()
    firm.more["limits"] = Limits(enable=Limit(count=2))
    made = firm.undo(run.id)
    assert [refusal.code for refusal in made.refusals] == ["limits.enable"]
    assert firm.store.run(made.id).state is RunState.REFUSED  # type: ignore[union-attr]


def test_a_run_since_makes_an_undo_stale(firm: Firm) -> None:
    firm.rows["E1"]["title"] = "Lead"
    made = firm.undo(firm.sync().id)
    firm.rows["E2"]["title"] = "Lead"
    firm.sync()
    with pytest.raises(PlanStale, match="another run was applied"):
        firm.apply(made)


def test_an_edit_between_an_undo_and_its_apply_stays(firm: Firm) -> None:
    firm.rows["E1"] |= {"title": "Lead", "department": "Board"}
    made = firm.undo(firm.sync().id)
    firm.edit("E1", title="By hand")
    firm.apply(made)
    assert firm.value("E1", "title") == "By hand"
    assert firm.value("E1", "enterprise:department") == "Sales"


def test_an_account_that_the_run_deleted_comes_back_inactive_where_the_directory_can(firm: Firm) -> None:
    from scimsync.model.policy import Leavers  # noqa: PLC0415

    del firm.rows["E1"]
    firm.sync()
    account = firm.account("E1")["id"]
    firm.more |= {"leavers": Leavers.DELETE, "leavers_after": timedelta(days=1)}
    firm.more["limits"] = Limits(**dict.fromkeys(("disable", "create", "update", "delete"), OPEN))
    firm.clock.advance(3 * 86400)
    run = firm.sync()
    assert account not in firm.target.users
    made = firm.take_back(run.id)
    assert [c.action for c in made.changes] == [Action.RESTORE]
    assert firm.target.users[account]["active"] is False


def test_an_account_that_cannot_come_back_is_told_of(firm: Firm) -> None:
    test_an_account_that_the_run_deleted_comes_back_inactive_where_the_directory_can(firm)
    run = next(run for run in firm.store.runs() if run.tally.get("delete"))
    account = firm.account("E1")["id"]
    del firm.target.users[account]
    assert told(firm.undo(run.id)) == {(rules.DELETED, "E1")}


def test_a_crash_in_the_middle_of_an_undo_settles_like_that_of_any_run(firm: Firm) -> None:
    for n in range(1, 6):
        firm.rows[f"E{n}"]["title"] = "Lead"
    made = firm.undo(firm.sync().id)
    real, calls = firm.target.patch, 0

    async def patch(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        reply = await real(*given)
        if calls == 3:
            raise Died
        return reply

    firm.target.patch = patch  # type: ignore[method-assign]
    with pytest.raises(Died):
        firm.apply(made)
    firm.target.patch = real  # type: ignore[method-assign]
    run = firm.store.run(made.id)
    assert run is not None
    ports = ApplyPorts(target=firm.target, store=firm.store, clock=firm.clock, observer=Silent())
    asyncio.run(settle_run(made, run, ports, ApplyOptions(policy=firm.policy, configuration=firm.configuration)))
    back = {key for key in firm.rows if firm.value(key, "title") == "Agent"}
    held = {one.key for one in firm.store.undone()}
    assert held == back & {f"E{n}" for n in range(1, 6)}, "what arrived is noted, and nothing else"
    firm.take_back(made.id)
    assert all(firm.value(f"E{n}", "title") == "Lead" for n in range(1, 6))


def test_one_person_comes_back_to_an_earlier_moment_whoever_changed_what_since(firm: Firm) -> None:
    firm.rows["E2"] |= {"title": "Lead", "skills": "French:2", "teams": "blue"}
    firm.sync()
    moment, then = firm.clock.now(), firm.state()[firm.account("E2")["id"]]
    firm.clock.advance(60)
    firm.rows["E2"] |= {"title": "Head", "skills": "German:2", "teams": "green"}
    firm.rows["E3"]["title"] = "Head"
    firm.sync()
    firm.edit("E2", displayName="By hand")
    made = firm.restore("E2", moment)
    assert {c.key for c in made.changes} == {"E2"}
    firm.apply(made)
    assert firm.state()[firm.account("E2")["id"]] == then
    assert firm.value("E3", "title") == "Head"
    firm.sync()
    assert firm.state()[firm.account("E2")["id"]] == then, "and stays so until HR says something else"


def test_a_moment_before_all_runs_is_no_moment_to_go_back_to(firm: Firm) -> None:
    with pytest.raises(PlanStale, match="no run"):
        firm.restore("E2", firm.clock.now() - timedelta(days=9))


# --- laws -------------------------------------------------------------------------------------------


class Chance:
    """Random changes of HR, and random hands in the directory."""

    def __init__(self, firm: Firm, seed: int) -> None:
        self.firm, self.rng = firm, Random(seed)

    def stir(self) -> None:
        """Change HR somehow."""
        rng, firm = self.rng, self.firm
        for key in [*firm.rows]:
            row = firm.rows[key]
            if rng.random() < 0.2:
                row["title"] = rng.choice(["Agent", "Lead", "Head", None])
            if rng.random() < 0.2:
                row["department"] = rng.choice(["Sales", "Service", None])
            if rng.random() < 0.3:
                names = rng.sample(["English", "French", "German", "Dutch"], rng.randrange(4))
                row["skills"] = ";".join(f"{name}:{rng.randint(1, 5)}" for name in names)
            if rng.random() < 0.2:
                row["teams"] = ";".join(rng.sample(TEAMS, rng.randrange(3)))
            if rng.random() < 0.1:
                row["status"] = rng.choice(["active", "left"])
            if rng.random() < 0.05:
                row["email"] = f"q{rng.randrange(10**6)}@example.com"
            if rng.random() < 0.04:
                del firm.rows[key]
        for _ in range(rng.randrange(3)):
            number = rng.randrange(1000, 10**6)
            teams = ";".join(rng.sample(TEAMS, rng.randrange(2)))
            firm.rows[f"E{number}"] = {
                **firm.person(number), "department": "Sales", "skills": "English:1", "teams": teams,
            }  # fmt: skip

    def meddle(self, accounts: Collection[str]) -> dict[tuple[str, str], object]:
        """Edit some accounts by hand; what then stands there."""
        edits: dict[tuple[str, str], object] = {}
        for account in sorted(accounts):
            if self.rng.random() < 0.05:
                user = self.firm.target.users[account]
                value = f"By hand {self.rng.random()}"
                user |= {"title": value, "meta": {**user["meta"], "version": f"{int(user['meta']['version']) + 1}"}}  # type: ignore[dict-item]
                edits[account, "title"] = value
        return edits


@pytest.mark.parametrize("meddled", [False, True])
def test_random_changes_that_are_taken_back_leave_nothing_but_what_others_did(
    tmp_path: Path,
    meddled: bool,
) -> None:
    people, rounds = (1500, 12) if WHOLE else (12, 1)
    firm = Firm(tmp_path / "artifacts", people)
    chance, deltas = Chance(firm, 11), 0
    for _ in range(rounds):
        chance.stir()
        firm.sync(overrides=(rules.HELD,))
        before = firm.state()
        chance.stir()
        run = firm.sync(overrides=(rules.HELD,))
        edits = chance.meddle(before.keys()) if meddled else {}
        deltas += sum(len(c.deltas) for c in run.changes) + sum(len(g.add) + len(g.remove) for g in run.groups)
        done = firm.state()
        undo = firm.take_back(run.id)
        after = firm.state()
        for account, state in before.items():
            expected = state | {path: value for (one, path), value in edits.items() if one == account}
            assert after[account] == expected, (account, run.id)
        assert all(after[new]["active"] is False and not after[new]["teams"] for new in after.keys() - before.keys())
        firm.take_back(undo.id)
        assert firm.state() == done, "the inverse of the inverse is what was"
    assert deltas > (10_000 if WHOLE else people)


def links(made: Plan) -> list[tuple[str, str]]:
    return [(one.detail, one.hint) for one in made.findings if one.code == rules.LINKS]


def test_an_account_that_the_run_found_for_somebody_stays_theirs_and_is_named(firm: Firm) -> None:
    there = firm.target._put({"userName": "p90@example.com", "displayName": "Old", "active": True}, version=1)
    firm.rows["E90"] = {**firm.person(90), "department": "Sales", "skills": "English:1", "teams": "green"}
    run = firm.sync()
    account = there["id"]
    made = firm.take_back(run.id)
    ((detail, hint),) = links(made)
    assert detail == f"1: {account} to E90"
    assert f"scimsync link E90 {account} --unlink" in hint
    assert firm.target.users[str(account)]["displayName"] == "Old"
    assert not links(firm.undo(made.id)), "the undo gave nobody an account"


def test_an_account_that_the_run_moved_to_another_key_is_named_with_the_way_back(firm: Firm) -> None:
    firm.more["rekey"] = Rekey.FOLLOW
    firm.mapping, firm.columns = {**firm.mapping, "enterprise:employeeNumber": "badge"}, (*firm.columns, "badge")
    for n, row in enumerate(firm.rows.values()):
        row["badge"] = f"B{n}"
    firm.sync()
    account = firm.account("E5")["id"]
    firm.rows["N5"] = {**firm.rows.pop("E5"), "id": "N5"}
    run = firm.sync()
    assert run.moved == {"N5": "E5"}
    ((detail, hint),) = links(firm.take_back(run.id))
    assert detail == f"1: {account} from E5 to N5"
    assert f"scimsync link E5 {account} --from N5" in hint


def test_accounts_that_were_linked_before_the_run_are_not_named(firm: Firm) -> None:
    assert not links(firm.take_back(stirred(firm).id))


def test_what_another_hand_had_written_before_the_run_came_is_not_taken_back(firm: Firm) -> None:
    firm.rows["E1"]["title"] = "Lead"
    firm.rows["E2"]["title"] = "Lead"
    plan = firm.plan()
    firm.edit("E1", title="Lead")
    report = firm.apply(plan)
    assert [one.status.value for one in report.outcomes["E1"]] == ["already"]
    firm.take_back(plan.id)
    assert (firm.value("E1", "title"), firm.value("E2", "title")) == ("Lead", "Agent")


def test_a_run_that_came_too_late_for_everybody_has_nothing_to_take_back(firm: Firm) -> None:
    firm.rows["E1"]["title"] = "Lead"
    plan = firm.plan()
    firm.edit("E1", title="Lead")
    firm.apply(plan)
    assert not firm.undo(plan.id).changes


class Late(MemoryTarget):
    """A directory that carries out the first write after the account was looked at: its answer is lost, and comes late."""

    late: list[tuple[str, Sequence[Operation], str]]

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        if not self.late:
            self.late.append((account, operations, version))
            return Reply(exchange=Exchange.LOST, method="PATCH")
        if self.late[0]:
            first, self.late[0] = self.late[0], ()  # type: ignore[call-overload]
            await super().patch(*first)
        return await super().patch(account, operations, version)


def test_a_write_of_ours_that_landed_late_and_made_our_second_try_a_lost_race_is_taken_back(firm: Firm) -> None:
    firm.rows["E1"]["title"] = "Lead"
    plan = firm.plan()
    before = firm.value("E1", "title")
    firm.target.__class__ = Late
    firm.target.late = []  # type: ignore[attr-defined]
    assert firm.apply(plan).statuses == {"done": 1}
    assert firm.value("E1", "title") == "Lead"
    firm.take_back(plan.id)
    assert firm.value("E1", "title") == before


class Mute(MemoryTarget):
    """A directory whose answer to a creation is lost."""

    async def create(self, resource: dict[str, object]) -> Reply:
        await super().create(resource)
        return Reply(exchange=Exchange.LOST, method="POST")


def test_an_account_that_the_run_made_and_had_to_look_for_is_disabled_again(firm: Firm) -> None:
    firm.rows["E20"] = {**firm.person(20), "department": "Sales", "skills": None, "teams": "red"}
    plan = firm.plan()
    firm.target.__class__ = Mute
    assert firm.apply(plan).clean
    assert firm.value("E20", "active") is True
    firm.take_back(plan.id)
    assert firm.value("E20", "active") is False


class Halving(MemoryTarget):
    """A directory that carries out the first half of a request, says that it failed, and then refuses everything."""

    tried = 0

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        self.tried += 1
        if self.tried > 1:
            return self._refused("PATCH", 403, "not allowed")
        await super().patch(account, operations[:1], version)
        return self._refused("PATCH", 500, "half")


def test_a_list_of_which_a_part_was_written_before_the_rest_was_refused_is_told(firm: Firm) -> None:
    firm.rows["E1"]["skills"] = "German:2"
    plan = firm.plan()
    assert [operation.op for operation in plan.changes[0].operations] == ["remove", "add"]
    firm.target.__class__ = Halving
    (outcome,) = firm.apply(plan).outcomes["E1"]
    assert firm.skills("E1") == set()
    assert (outcome.status.value, outcome.code, outcome.unmet) == ("failed", "target.refused", (SKILLS,))

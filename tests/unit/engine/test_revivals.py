"""A joiner whose login belonged to a deleted account does not become that old person, unless policy wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.engine.test_whole_runs import Company, twin_of

from scimsync.model.outcomes import Exchange, Outcome, Reply, Status
from scimsync.model.plans import Action, Finding, Plan
from scimsync.model.policy import Authority, Deleted
from scimsync.testing import MemoryTarget

EXTENSION = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"
PHONES = [{"type": "mobile", "value": "+13175550999"}]
SKILLS = {"routingSkills": [{"name": "Billing", "proficiency": 3.0}]}
OLD: dict[str, Any] = {
    "userName": "p9@example.com",
    "displayName": "Old Hand",
    "title": "Chief",
    "active": True,
    "phoneNumbers": PHONES,
    EXTENSION: SKILLS,
    "roles": [{"value": "Agent"}],
}


class Cloud(MemoryTarget):
    """A directory that brings deleted accounts back, and counts what it is asked."""

    asked = 0

    async def deleted(self, logins: Any) -> Any:
        self.asked += 1
        return await super().deleted(logins)


def run_once(folder: Path) -> Company:
    made = Company(folder, people=4)
    made.target = Cloud()
    made.target.revives = True
    made.mapping |= {"genesys:routingSkills": "skills(skills)"}
    made.authority["genesys:routingSkills"] = Authority.MERGE
    made.columns = (*made.columns, "skills")
    for row in made.rows.values():
        row["skills"] = None
    made.sync()
    return made


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return twin_of(run_once, tmp_path / "artifacts")


def cloud(company: Company) -> Cloud:
    assert isinstance(company.target, Cloud)
    return company.target


def bury(company: Company, **more: Any) -> str:
    """A deleted account with the login of the one who joins; its id."""
    user = company.target._put({**OLD, **more}, version=7)
    company.target.bygone[str(user["id"])] = company.target.users.pop(str(user["id"]))
    return str(user["id"])


def join(company: Company, **more: Any) -> None:
    company.rows["E9"] = {**company.person(9), "skills": None, **more}


def told(plan: Plan) -> list[Finding]:
    return [finding for finding in plan.findings if finding.subject == "E9"]


def outcome(company: Company, plan: Plan) -> Outcome:
    return company.apply(plan).outcomes["E9"][-1]


# --- asked before -----------------------------------------------------------------------------------------


def test_nobody_is_asked_where_nobody_joins_and_once_where_many_do(company: Company) -> None:
    cloud(company).asked = 0
    company.plan()
    assert cloud(company).asked == 0
    for n in range(10, 14):
        company.rows[f"E{n}"] = {**company.person(n), "skills": None}
    assert len(company.plan().changes) == 4
    assert cloud(company).asked == 1


def test_a_joiner_is_held_with_whose_account_it_was_and_what_would_come_back(company: Company) -> None:
    account = bury(company)
    join(company)
    plan = company.plan()
    assert plan.changes == ()
    (finding,) = told(plan)
    assert (finding.code, finding.holds) == ("account.deleted", True)
    assert finding.detail == (
        f"{account} of Old Hand; nobody knows whose it was; comes back with title, phoneNumbers, routingSkills; "
        "comes back without roles and groups"
    )
    company.rows["E9"]["email"] = "another@example.com"
    assert [c.action for c in company.sync().changes] == [Action.CREATE]
    assert account in company.target.bygone


def test_the_finding_says_by_which_mark_it_is_the_same_person_or_another(company: Company) -> None:
    account, row = str(company.account("E2")["id"]), company.rows.pop("E2")
    company.sync(overrides=("source.rows-drop", "limits.disable"))
    company.target.bygone[account] = company.target.users.pop(account)
    company.sync()
    company.rows["E2"] = row
    finding = next(f for f in company.plan().findings if f.subject == "E2")
    assert finding.code == "account.gone", "their own account is no stranger's"
    del company.rows["E2"]
    join(company, email=row["email"])
    assert "it was linked to E2, who is another person" in told(company.plan())[0].detail
    company.more["deleted"] = Deleted.RESTORE
    plan = company.plan()
    assert (plan.changes, told(plan)[0].code) == ((), "account.deleted")


def test_a_number_of_another_person_is_never_restored(company: Company) -> None:
    company.mapping["enterprise:employeeNumber"] = "id"
    company.sync()
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    bury(company, **{enterprise: {"employeeNumber": "E77"}})
    join(company)
    company.more["deleted"] = Deleted.RESTORE
    plan = company.plan()
    assert (plan.changes, [f.code for f in told(plan)]) == ((), ["account.deleted"])
    company.target.bygone.clear()
    bury(company, **{enterprise: {"employeeNumber": "E9"}})
    assert "by the employeeNumber" in told(company.plan())[0].detail


# --- restored ---------------------------------------------------------------------------------------------


def test_restoring_is_a_plan_that_writes_what_is_mapped_and_names_the_rest(company: Company) -> None:
    account = bury(company)
    join(company, title=None)
    company.more["deleted"] = Deleted.RESTORE
    plan = company.plan()
    (change,) = plan.changes
    assert (change.action, change.account, told(plan)[0].code) == (Action.RESTORE, account, "account.restoring")
    assert plan.tally.actions == {"restore": 1}
    assert {"title", "genesys:routingSkills"} <= {d.path for d in change.deltas}
    made = outcome(company, plan)
    assert (made.status, made.code, made.account) == (Status.DONE, "account.restored", account)
    assert "left over: phoneNumbers" in made.detail
    assert "no roles" in made.detail
    user = company.account("E9")
    assert (user["id"], user["displayName"], user["active"]) == (account, "P 9", True)
    assert not user.get("title")
    assert not user.get(EXTENSION, {}).get("routingSkills")
    plan = company.plan()
    assert (plan.changes, plan.findings) == ((), ())


def test_an_account_that_carries_the_mark_of_another_person_is_disabled_at_once(company: Company) -> None:
    account = bury(company, externalId="X1")
    join(company)
    company.more["deleted"] = Deleted.RESTORE
    made = outcome(company, company.plan())
    assert (made.status, made.code, made.account) == (Status.HELD, "account.restored", None)
    assert "disabled again at once" in made.detail
    assert company.target.users[account]["active"] is False


def test_a_deleted_account_that_changed_since_the_plan_is_held(company: Company) -> None:
    account = bury(company)
    join(company)
    company.more["deleted"] = Deleted.RESTORE
    plan = company.plan()
    company.target.bygone[account]["meta"] = {"version": "99"}
    made = outcome(company, plan)
    assert (made.status, made.code) == (Status.HELD, "account.deleted")
    assert account in company.target.bygone


# --- where nobody may ask ---------------------------------------------------------------------------------


def test_without_the_permission_the_plan_says_so_and_goes_on(company: Company) -> None:
    company.target.tells_of_deleted = False
    join(company)
    plan = company.plan()
    assert [(f.code, f.subject) for f in plan.findings] == [("target.deleted-unseen", "")]
    assert outcome(company, plan).status is Status.DONE


def test_what_comes_back_all_the_same_is_disabled_at_once_and_held(company: Company) -> None:
    company.target.tells_of_deleted = False
    account = bury(company)
    join(company)
    made = outcome(company, company.plan())
    assert (made.status, made.code, made.account) == (Status.HELD, "account.restored", None)
    assert "phoneNumbers" in made.detail
    assert "disabled again at once" in made.detail
    assert company.target.users[account]["active"] is False
    for _ in range(2):
        plan = company.sync()
        assert plan.changes == ()
        assert any(finding.holds for finding in told(plan))
    assert company.target.users[account]["active"] is False


def test_what_comes_back_and_was_linked_to_a_leaver_is_disabled_at_once(company: Company) -> None:
    account, row = str(company.account("E2")["id"]), company.rows.pop("E2")
    company.sync(overrides=("source.rows-drop", "limits.disable"))
    company.target.bygone[account] = company.target.users.pop(account)
    company.target.tells_of_deleted = False
    join(company, email=row["email"])
    made = outcome(company, company.plan())
    assert (made.status, made.code) == (Status.HELD, "account.restored")
    assert company.target.users[account]["active"] is False


class Busy(Cloud):
    """A directory whose answer to a creation is lost, and where another hand writes the new account at once."""

    async def create(self, resource: dict[str, object]) -> Reply:
        made = await super().create(resource)
        account = str((made.body or {})["id"])
        self._put({**self.users[account], "phoneNumbers": PHONES, "roles": [{"value": "Agent"}]}, version=12)
        return replace(made, exchange=Exchange.LOST, status=0, body=None, version="")


def test_a_new_account_that_others_wrote_before_it_was_found_is_the_joiners_where_none_was_deleted(
    company: Company,
) -> None:
    join(company)
    plan = company.plan()
    company.target.__class__ = Busy
    made = outcome(company, plan)
    assert made.account is not None
    assert (made.status, made.code) == (Status.DONE, "")
    assert company.target.users[made.account]["active"] is True
    assert company.target.users[made.account]["phoneNumbers"] == PHONES
    assert company.sync().changes == ()


def test_where_nobody_could_say_whether_one_was_deleted_such_an_account_is_disabled_and_told(company: Company) -> None:
    company.target.tells_of_deleted = False
    join(company)
    plan = company.plan()
    company.target.__class__ = Busy
    made = outcome(company, plan)
    assert (made.status, made.code, made.account) == (Status.HELD, "account.restored", None)
    assert company.account("E9")["active"] is False


class Confused(Cloud):
    """A directory that answers a creation with the account of somebody who works there."""

    instead = ""

    async def create(self, resource: dict[str, object]) -> Reply:
        del resource
        return self._answered("POST", self.users[self.instead], status=201)


def test_the_account_of_somebody_who_works_there_is_never_disabled_for_it(company: Company) -> None:
    join(company)
    plan = company.plan()
    company.target.__class__ = Confused
    company.target.instead = str(company.account("E2")["id"])  # type: ignore[attr-defined]
    made = outcome(company, plan)
    assert (made.status, made.code) == (Status.HELD, "correlation.taken")
    assert company.account("E2")["active"] is True


def test_the_account_of_a_leaver_that_is_answered_as_it_was_did_not_come_back(company: Company) -> None:
    account, row = str(company.account("E2")["id"]), company.rows.pop("E2")
    company.sync(overrides=("source.rows-drop", "limits.disable"))
    join(company, email=f"new.{row['email']}")
    plan = company.plan()
    before = dict(company.target.users[account])
    company.target.__class__ = Confused
    company.target.instead = account  # type: ignore[attr-defined]
    made = outcome(company, plan)
    assert (made.status, made.code, made.account) == (Status.HELD, "correlation.taken", None)
    assert company.target.users[account] == before

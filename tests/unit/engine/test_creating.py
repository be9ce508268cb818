"""Nobody is made twice: who is asked for before a creation, and what a creation may be answered with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.factories import make_reply, refusal
from tests.unit.engine.test_whole_runs import Company, Silent, twin_of

from scimsync.engine.applying import settle_run
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts
from scimsync.errors import FilterRefused, TargetUnanswered
from scimsync.model.outcomes import Exchange, Outcome, Reply, Status
from scimsync.model.reports import Report
from scimsync.testing import MemoryTarget

DONE = 201
_Answer = Callable[[Reply], Reply]


class Flawed(MemoryTarget):
    """A directory of which some parts do not do what they should."""

    def __init__(self) -> None:
        super().__init__()
        #: what becomes of the answer to a creation; the creation itself is carried out where `makes`
        self.answers: list[_Answer] = []
        self.makes = True
        #: a second account of one login is refused
        self.unique = True
        #: the searches that fail, or find nobody
        self.trouble: dict[str, Exception] = {}
        self.blind = False
        self.posts = 0
        self.asked: list[str] = []

    async def create(self, resource: dict[str, object]) -> Reply:
        self.posts += 1
        if not self.makes and self.answers:
            return self.answers.pop(0)(make_reply(method="POST"))
        if self.unique:
            reply = await super().create(resource)
        else:
            made = self._put({"active": True, **resource}, version=1)
            reply = self._answered("POST", made, status=DONE)
        reply = replace(reply, location=str((reply.body or {}).get("id", "")))
        return self.answers.pop(0)(reply) if self.answers else reply

    async def find(self, attribute: str, value: str) -> Sequence[Reply]:
        name = attribute.rpartition(":")[2]
        self.asked.append(name)
        if name in self.trouble:
            raise self.trouble[name]
        return [] if self.blind else await super().find(attribute, value)


def run_once(folder: Path) -> Company:
    made = Company(folder, people=3)
    made.target = Flawed()
    made.sync()
    made.rows["E9"] = made.person(9)
    flawed(made).posts, flawed(made).asked = 0, []
    return made


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return twin_of(run_once, tmp_path / "artifacts")


def flawed(company: Company) -> Flawed:
    assert isinstance(company.target, Flawed)
    return company.target


def join(company: Company) -> Outcome:
    """What becomes of the one who joins; the accounts that carry his key are counted by the test."""
    return report(company).outcomes["E9"][-1]


def report(company: Company) -> Report:
    return company.apply(company.plan())


def accounts(company: Company) -> list[dict[str, Any]]:
    return [user for user in company.target.users.values() if user.get("externalId") == "E9"]


def bodiless(reply: Reply) -> Reply:
    return replace(reply, body=None, version="")


def nowhere(reply: Reply) -> Reply:
    return replace(bodiless(reply), location="")


def lost(reply: Reply) -> Reply:
    return replace(nowhere(reply), exchange=Exchange.LOST, status=0)


def status(code: int) -> _Answer:
    return lambda _: refusal(code, method="POST")


# --- before ---------------------------------------------------------------------------------------


def test_every_path_of_match_is_asked_for_before_a_creation(company: Company) -> None:
    company.mapping["enterprise:employeeNumber"] = "id"
    company.match = ("externalId", "enterprise:employeeNumber", "userName")
    assert join(company).status is Status.DONE
    assert flawed(company).asked == ["externalId", "employeeNumber", "userName"]


@pytest.mark.parametrize("values", [{"externalId": "E9"}, {"externalId": "E9", "userName": "p9@example.com"}])
def test_somebody_whom_the_listing_does_not_show_is_not_made_again(company: Company, values: dict[str, str]) -> None:
    flawed(company).unique = False
    company.target.lag()
    company.target._put({"userName": "old@example.com", "displayName": "P 9", "active": True, **values}, version=1)
    plan = company.plan()
    company.target.listed = None
    outcome = company.apply(plan).outcomes["E9"][-1]
    assert flawed(company).posts == 0
    assert len(accounts(company)) == 1
    assert outcome.code in {"account.adopted", "correlation.taken"}


def test_an_account_of_somebody_else_that_a_search_finds_is_left_alone(company: Company) -> None:
    flawed(company).unique = False
    plan = company.plan()
    company.edit("E1", userName="p9@example.com")
    outcome = company.apply(plan).outcomes["E9"][-1]
    assert (outcome.status, outcome.code) == (Status.HELD, "correlation.taken")
    assert company.account("E1")["displayName"] == "P 1"
    assert flawed(company).posts == 0


def test_several_accounts_with_one_key_are_for_a_person_to_look_at(company: Company) -> None:
    plan = company.plan()
    for n in (1, 2):
        company.target._put({"userName": f"twin{n}@example.com", "externalId": "E9", "active": True}, version=1)
    outcome = company.apply(plan).outcomes["E9"][-1]
    assert (outcome.status, outcome.code) == (Status.HELD, "correlation.ambiguous")
    assert flawed(company).posts == 0


def test_where_no_filter_is_taken_the_listing_must_do_and_others_go_on(company: Company) -> None:
    refused = FilterRefused("no filters here")
    flawed(company).trouble = dict.fromkeys(("externalId", "userName"), refused)
    company.rows["E8"] = company.person(8)
    assert report(company).clean
    assert sorted(flawed(company).asked) == ["externalId", "userName"]  # once in a run, not once for each person


def test_a_question_without_answer_holds_up_one_person_and_nobody_else(company: Company) -> None:
    flawed(company).trouble = {"externalId": TargetUnanswered("down")}
    company.rows["E1"]["title"] = "Lead"
    told = report(company)
    assert told.outcomes["E9"][-1].status is Status.DEFERRED
    assert told.outcomes["E1"][-1].status is Status.DONE
    assert flawed(company).posts == 0


# --- after ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("blind", [True, False])
def test_a_success_without_a_body_is_read_where_it_says(company: Company, *, blind: bool) -> None:
    flawed(company).unique, flawed(company).blind, flawed(company).answers = False, blind, [bodiless]
    assert join(company).status is Status.DONE
    assert len(accounts(company)) == flawed(company).posts == 1


def test_a_success_that_says_nothing_is_looked_for(company: Company) -> None:
    flawed(company).unique, flawed(company).answers = False, [nowhere]
    assert join(company).status in {Status.DONE, Status.ALREADY}
    assert len(accounts(company)) == flawed(company).posts == 1


@pytest.mark.parametrize("unique", [True, False])
def test_a_success_that_nobody_can_see_is_held_and_not_repeated(company: Company, *, unique: bool) -> None:
    flawed(company).unique, flawed(company).blind, flawed(company).answers = unique, True, [nowhere]
    outcome = join(company)
    assert (outcome.status, outcome.code) == (Status.HELD, "write.unknown")
    assert len(accounts(company)) == flawed(company).posts == 1


def test_a_success_that_shows_somebody_else_is_not_taken_for_ours(company: Company) -> None:
    other = company.account("E1")
    flawed(company).blind = True
    flawed(company).answers = [lambda reply: replace(reply, body=other, location="")]
    outcome = join(company)
    assert (outcome.status, outcome.account) == (Status.HELD, None)
    assert flawed(company).posts == 1


@pytest.mark.parametrize("blind", [True, False])
def test_a_success_that_shows_an_account_that_hr_does_not_know_is_not_taken_for_ours(
    company: Company, *, blind: bool
) -> None:
    stranger = company.target._put({"userName": "s@example.com", "displayName": "S", "active": True}, version=1)
    flawed(company).blind = blind
    flawed(company).answers = [lambda reply: replace(reply, body=dict(stranger), location="")]
    outcome = join(company)
    assert outcome.account != stranger["id"]
    assert stranger["id"] not in {link.account for link in company.store.links()}
    assert (outcome.status, outcome.code) == ((Status.HELD, "write.unknown") if blind else (Status.DONE, ""))
    assert len(accounts(company)) == flawed(company).posts == 1


def test_a_login_that_the_directory_writes_in_its_own_way_is_still_that_of_the_new_account(company: Company) -> None:
    def renamed(reply: Reply) -> Reply:
        company.target.users[str((reply.body or {})["id"])]["userName"] = "p9@tenant.example.com"
        return replace(reply, body={**(reply.body or {}), "userName": "p9@tenant.example.com"})

    flawed(company).answers = [renamed]
    outcome = join(company)
    assert (outcome.status, outcome.code) == (Status.HELD, "write.mismatch")
    assert outcome.account == accounts(company)[0]["id"]


def test_a_success_under_the_id_of_somebody_else_is_held(company: Company) -> None:
    identity = company.account("E1")["id"]
    flawed(company).answers = [lambda reply: replace(reply, body={**(reply.body or {}), "id": identity})]
    outcome = join(company)
    assert (outcome.status, outcome.code, outcome.account) == (Status.HELD, "correlation.taken", None)


@pytest.mark.parametrize("answer", [lost, status(302), status(500), status(507), status(520), status(599)])
@pytest.mark.parametrize("makes", [True, False])
def test_an_answer_that_proves_nothing_is_settled_by_looking_and_not_by_sending_again(
    company: Company, answer: _Answer, *, makes: bool
) -> None:
    flawed(company).unique, flawed(company).makes, flawed(company).answers = False, makes, [answer]
    outcome = join(company)
    assert flawed(company).posts == 1
    assert len(accounts(company)) == makes
    assert outcome.status in ({Status.ALREADY, Status.DONE} if makes else {Status.HELD})
    assert makes or outcome.code == "write.unknown"


# --- a search that may lag, and a directory that refuses a second account ------------------------


def seconds(company: Company) -> float:
    company.refuses_doubles = True
    began = company.clock.monotonic()
    assert join(company).status in {Status.DONE, Status.ALREADY}
    return company.clock.monotonic() - began - 2  # planning and applying take a second each


def made_from_now_on(target: Flawed) -> Reply:
    target.makes = True
    return refusal(503, method="POST")


@pytest.mark.parametrize("makes", [True, False])
def test_one_answer_of_503_is_settled_within_five_seconds_where_the_search_does_not_lag(
    company: Company, *, makes: bool
) -> None:
    target = flawed(company)
    target.makes, target.answers = makes, [status(503)]
    if not makes:
        target.answers = [lambda _: made_from_now_on(target)]
    assert company.dialect.search_lag_s == (5.0, 30.0, 120.0)
    assert seconds(company) <= 5
    assert (target.posts, len(accounts(company))) == (1 if makes else 2, 1)


def test_a_creation_that_was_lost_and_is_not_found_yet_is_waited_for_once_its_name_is_taken(company: Company) -> None:
    target = flawed(company)
    target.answers, company.refuses_doubles = [lost], True
    plan = company.plan()
    target.lag()
    shows = company.clock.monotonic() + 30
    find = target.find

    async def late(*given: Any, **more: Any) -> Any:
        if company.clock.monotonic() >= shows:
            target.listed = None
        return await find(*given, **more)

    target.find = late  # type: ignore[method-assign]
    (outcome,) = company.apply(plan).outcomes["E9"]
    assert (outcome.status, outcome.account) == (Status.DONE, accounts(company)[0]["id"])
    assert (target.posts, len(accounts(company))) == (2, 1)


@pytest.mark.parametrize("lost_first", [True, False])
def test_a_name_that_is_taken_after_a_creation_that_was_lost_is_unknown_and_not_anothers(
    company: Company, *, lost_first: bool
) -> None:
    target = flawed(company)
    target.answers, company.refuses_doubles = [lost] if lost_first else [], True
    plan = company.plan()
    target.lag()
    if not lost_first:
        target._put({"userName": "p9@example.com", "displayName": "Hidden", "active": True}, version=1)
    (outcome,) = company.apply(plan).outcomes["E9"]
    assert outcome.status is Status.HELD
    assert outcome.code == ("write.unknown" if lost_first else "account.name-taken")


# --- when the run was cut short -------------------------------------------------------------------


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("settles", [True, False])
def test_an_account_that_was_there_before_is_not_taken_for_one_that_came_back(
    company: Company, *, landed: bool, settles: bool
) -> None:
    """A joiner turned out to have an account, which holds what others gave it; the run died while it was written."""
    plan = company.plan()
    held = {"userName": "p9@example.com", "externalId": "E9", "displayName": "Old", "active": True, "nickName": "Niner"}
    account = str(company.target._put(held, version=1)["id"])
    patch = company.target.patch

    async def dies(*given: Any) -> Reply:
        if landed:
            await patch(*given)
        raise KilledError

    company.target.patch = dies  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        company.apply(plan)
    company.target.patch = patch  # type: ignore[method-assign]
    if settles:
        run = company.store.run(plan.id)
        assert run is not None
        ports = ApplyPorts(target=company.target, store=company.store, clock=company.clock, observer=Silent())
        asyncio.run(settle_run(plan, run, ports, ApplyOptions(policy=company.policy, configuration="c")))
        company.sync()
    else:
        company.apply(plan)
    assert company.target.users[account]["active"] is True
    assert company.target.users[account]["displayName"] == "P 9"
    assert list(company.store.link_decisions()) == []
    assert {link.key: link.account for link in company.store.links()}["E9"] == account
    assert flawed(company).posts == 0

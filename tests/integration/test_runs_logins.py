"""Whole runs with logins that people exchange or hand on, against a provider that gives a login to one account."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runs import start
from tests.servers import Answer, Firm, Provider, account, codes, firm, last, person

from scimsync.core.logins import PARKING
from scimsync.model.outcomes import Status


class Strict(Provider):
    """A provider that gives a login to one account only, also on a PATCH, and may refuse a login or lose its client."""

    def __init__(self, *users: dict[str, object]) -> None:
        super().__init__(*users)
        #: logins that nobody gets
        self.immutable: set[str] = set()
        #: the process that dies once so many logins were written
        self.victim: tuple[int, int] | None = None
        self.logins: list[tuple[str, str]] = []

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        wanted = next((str(o["value"]) for o in body["Operations"] if o.get("path") == "userName"), "")
        if wanted and any(other["id"] != resource["id"] for other in self.named(wanted)):
            return self.refuse(409, "the login is taken", "uniqueness")
        if wanted in self.immutable:
            return self.refuse(400, "this login cannot be given", "mutability")
        answer = super().patch(resource, body, if_match)
        if wanted and answer.status == 200:
            self.logins.append((resource["id"], wanted))
            if self.victim is not None and self.victim[1] == len(self.logins):
                os.kill(self.victim[0], signal.SIGKILL)
        return answer

    @property
    def held(self) -> dict[str, str]:
        """Who has which login, by externalId."""
        return {str(user["externalId"]): str(user["userName"]) for user in self.users.values()}


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Firm]:
    with firm(tmp_path, Strict(*(account(n) for n in range(1, 7)))) as found:
        found.hr(*({"id": n} for n in range(1, 7)))
        _, report = found.sync()
        assert report.clean
        yield found


def provider(found: Firm) -> Strict:
    assert isinstance(found.provider, Strict)
    return found.provider


def want(found: Firm, **logins: str) -> None:
    """HR gives people other logins, and everybody another title."""
    people = [{"id": n, "title": "Lead"} for n in range(1, 7)]
    named: list[dict[str, object]] = [{**one, **_login(logins.pop(f"p{one['id']}", ""))} for one in people]
    found.hr(*named, *({"id": name[1:], "login": login} for name, login in logins.items()))


def _login(login: str) -> dict[str, object]:
    return {"login": login} if login else {}


def titles(found: Firm) -> set[object]:
    return {user["title"] for user in found.provider.users.values()}


def test_two_people_exchange_their_logins_in_one_run(strict: Firm) -> None:
    want(strict, p1="p2@x.org", p2="P1@x.org")
    made, report = strict.sync()
    assert report.clean
    assert made.tally.held == made.tally.values == 0
    (finding,) = (f for f in made.findings if f.code == "login.exchange")
    assert "1 -> 2 -> 1" in finding.detail
    assert {key: provider(strict).held[key] for key in "12"} == {"1": "p2@x.org", "2": "P1@x.org"}
    assert [PARKING in login for _, login in provider(strict).logins] == [True, False, False]
    assert titles(strict) == {"Lead"}
    strict.quiet()


def test_a_ring_of_five_and_a_chain_that_ends_with_a_joiner_go_through_in_one_run(strict: Firm) -> None:
    want(
        strict, p1="p2@x.org", p2="p3@x.org", p3="p4@x.org", p4="p5@x.org", p5="p1@x.org", p6="six@x.org", p9="p6@x.org"
    )
    _, report = strict.sync()
    assert report.clean
    held = provider(strict).held
    assert [held[str(n)] for n in (1, 2, 3, 4, 5, 6)] == [*(f"p{n}@x.org" for n in (2, 3, 4, 5, 1)), "six@x.org"]
    assert held["9"] == "p6@x.org"
    assert len(provider(strict).users) == 7
    strict.quiet()


def test_a_joiner_takes_the_login_that_a_leaver_gives_up_and_the_access_goes_first(strict: Firm) -> None:
    strict.hr(
        {"id": 1, "status": "left", "login": "gone@x.org"}, *({"id": n} for n in range(2, 7)),
        {"id": 9, "login": "p1@x.org"},
    )  # fmt: skip
    _, report = strict.sync()
    assert report.clean
    (leaver,) = provider(strict).named("gone@x.org")
    assert (leaver["externalId"], leaver["active"]) == ("1", False)
    assert [user["externalId"] for user in provider(strict).named("p1@x.org")] == ["9"]
    first = strict.provider.sent("PATCH")[0].body["Operations"]
    assert [(o["path"], o["value"]) for o in first] == [("active", False)]
    strict.quiet()


def test_the_login_of_somebody_who_stays_holds_a_login_and_not_its_person(strict: Firm) -> None:
    want(strict, p1="p6@x.org", p2="p1@x.org", p9="p2@x.org")
    made, report = strict.sync()
    assert report.clean
    assert {(f.code, f.subject) for f in made.findings if f.holds} == {
        ("correlation.taken", "1"), ("login.waiting", "2"), ("login.waiting", "9"),
    }  # fmt: skip
    assert provider(strict).held == {str(n): f"p{n}@x.org" for n in range(1, 7)}
    assert titles(strict) == {"Lead"}
    assert strict.command("sync").code == 11


def test_a_ring_that_policy_holds_keeps_its_logins_and_gets_everything_else(strict: Firm) -> None:
    strict.configure(policy='exchange = "hold"')
    want(strict, p1="p2@x.org", p2="p1@x.org")
    said = strict.command("sync")
    assert said.code == 11
    assert "login.exchange" in said.out
    assert "1 -> 2 -> 1" in said.out
    assert provider(strict).logins == []
    assert titles(strict) == {"Lead"}


@pytest.mark.parametrize("refused", ["p1@x.org", "p2@x.org"])
def test_whoever_stays_parked_is_told_of_and_gets_their_login_by_the_next_run(strict: Firm, refused: str) -> None:
    provider(strict).immutable.add(refused)
    want(strict, p1="p2@x.org", p2="p1@x.org")
    said = strict.command("sync")
    assert said.code == 11
    if refused == "p1@x.org":  # the second cannot take it; nor can the first have it again
        assert provider(strict).held["2"] == "p2@x.org"
    else:
        assert provider(strict).held["2"] == "p1@x.org"
    assert PARKING in provider(strict).held["1"]
    assert f"parked as {provider(strict).held['1']}" in said.out
    provider(strict).immutable.clear()
    assert strict.command("sync").code == 0
    assert [provider(strict).held[key] for key in "12"] == ["p2@x.org", "p1@x.org"]
    strict.quiet()


def test_whoever_is_parked_goes_back_where_the_other_is_refused(strict: Firm) -> None:
    def refuse(resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if resource["externalId"] == "2":
            return strict.provider.refuse(400, "this account cannot be changed", "mutability")
        return Strict.patch(provider(strict), resource, body, if_match)

    provider(strict).patch = refuse  # type: ignore[method-assign]
    want(strict, p1="p2@x.org", p2="p1@x.org")
    _, report = strict.sync()
    assert not report.clean
    assert provider(strict).held["1"] == "p1@x.org"
    assert (last(report, 1).status, last(report, 1).code) == (Status.HELD, "login.exchange")
    del provider(strict).patch  # type: ignore[method-assign]
    _, report = strict.sync()
    assert report.clean
    assert [provider(strict).held[key] for key in "12"] == ["p2@x.org", "p1@x.org"]


@pytest.mark.parametrize("after", [1, 2, 3, 4])
@pytest.mark.parametrize("words", [("sync",), ("apply", "--yes")])
def test_an_exchange_that_is_killed_in_the_middle_is_brought_to_its_end(
    strict: Firm, after: int, words: tuple[str, ...]
) -> None:
    strict.configure(target="workers = 1")
    want(strict, p1="p2@x.org", p2="p3@x.org", p3="p1@x.org")
    assert strict.command("plan").code == 0
    with start(*words, folder=strict.folder) as process:
        provider(strict).victim = (process.pid, after)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    provider(strict).victim = None
    assert strict.command("sync").code == 0
    held = provider(strict).held
    assert [held[key] for key in "123"] == ["p2@x.org", "p3@x.org", "p1@x.org"]
    assert titles(strict) == {"Lead"}
    strict.quiet()


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("userName is taken by a deleted user", "uniqueness"),
        ("A USER with this email ALREADY exists", ""),
        ("", ""),
    ],
)
def test_a_login_that_the_directory_does_not_give_waits_alone_after_one_answer(
    tmp_path: Path, detail: str, kind: str
) -> None:
    class Deleted(Strict):
        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            if any(o.get("path") == "userName" for o in body["Operations"]):
                return self.refuse(409, detail, kind)
            return super().patch(resource, body, if_match)

    with firm(tmp_path, Deleted(account(1), account(2))) as found:
        found.hr({"id": 1, "login": "new@x.org", "title": "Lead"}, {"id": 2, "login": "other@x.org"})
        made, report = found.sync()
        assert codes(made) <= {"schema.unpublished"}
        assert {(last(report, key).status, last(report, key).code) for key in (1, 2)} == {
            (Status.HELD, "account.name-taken")
        }
        assert detail in last(report, 1).detail
        assert detail or "the account is as it was" in last(report, 1).detail
        assert [asked.status for asked in found.provider.sent("PATCH")] in ([409, 200, 409], [409, 409, 200])
        assert found.provider.users["u0001"]["title"] == "Lead"
        assert person(1)["login"] == found.provider.users["u0001"]["userName"]


def test_a_409_that_says_nothing_is_told_as_what_it_is_where_nobody_changed_the_account(tmp_path: Path) -> None:
    class Silent(Strict):
        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            return self.refuse(409, "", "")

    with firm(tmp_path, Silent(account(1))) as found:
        found.hr({"id": 1, "title": "Lead"})
        _, report = found.sync()
        assert (last(report, 1).status, last(report, 1).code) == (Status.FAILED, "target.refused")
        assert "the account is as it was" in last(report, 1).detail
        assert [asked.status for asked in found.provider.sent("PATCH")] == [409]

"""Whole runs against other people's servers, each of which departs from the RFC in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.servers import ATTRIBUTES, WORK_EMAIL, WORK_PHONE, Answer, Provider, account, codes, firm, last
from tests.soak import WHOLE

from scimsync.model.outcomes import Status
from scimsync.model.plans import Action
from scimsync.scim.messages import Operation


def test_a_provider_that_behaves_is_brought_to_what_hr_says_and_then_left_alone(tmp_path: Path) -> None:
    provider = Provider(account(1, title="Old"), account(2))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"}, {"id": 2, "status": "left"}, {"id": 3})
        _, report = it.sync()
        assert report.clean
        assert provider.named("p1@x.org")[0]["title"] == "New"
        assert provider.named("p2@x.org")[0]["active"] is False
        assert len(provider.named("p3@x.org")) == 1
        it.quiet()


# --- names, pages, and what is not shown ------------------------------------------------------


class Spelled(Provider):
    """Every name that it sends is in small letters."""

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        return {name.lower(): held for name, held in super().show(resource).items()}

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        answer = super().list(table, query)
        assert isinstance(answer.body, dict)
        return Answer(200, {name.lower(): held for name, held in answer.body.items()})


def test_a_server_that_spells_names_its_own_way_is_read_all_the_same(tmp_path: Path) -> None:
    provider = Spelled(account(1, title="Old"), account(2))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"}, {"id": 2, "status": "left"}, {"id": 3})
        _, report = it.sync()
        assert report.clean
        assert len(provider.sent("POST")) == 1
        assert len(provider.sent("PATCH")) == 2
        it.quiet()


def test_a_protected_administrator_is_known_by_the_login_whatever_its_name_is_called(tmp_path: Path) -> None:
    provider = Spelled(account(1, userName="admin@x.org"))
    with firm(tmp_path, provider) as it:
        it.configure(policy='protected = ["admin@x.org"]')
        it.hr({"id": 1, "status": "left"})
        made, _ = it.sync()
        assert "account.protected" in codes(made)
        assert not provider.sent("PATCH")


@pytest.mark.parametrize("status", ["active", "left"])
def test_an_account_that_shows_no_login_may_be_a_protected_one(tmp_path: Path, status: str) -> None:
    class Nameless(Provider):
        def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
            return {name: held for name, held in super().show(resource).items() if name != "userName"}

    provider = Nameless(account(1, userName="admin@x.org"))
    with firm(tmp_path, provider) as it:
        it.configure(policy='protected = ["admin@x.org"]')
        it.hr({"id": 1, "status": status})
        made, _ = it.sync()
        assert "account.nameless" in codes(made)
        assert not provider.sent("PATCH")


def test_who_is_protected_is_known_though_the_mapping_does_not_manage_the_login(tmp_path: Path) -> None:
    class Sparing(Provider):
        """Shows what it is asked for, and no more."""

        def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
            answer = super().list(table, query)
            wanted = {"id", "meta", *query["attributes"].split(",")} if "attributes" in query else None
            assert isinstance(answer.body, dict)
            listed = answer.body["Resources"]
            shown = [{n: v for n, v in one.items() if wanted is None or n in wanted} for one in listed]
            return Answer(200, {**answer.body, "Resources": shown})

    provider = Sparing(account(1, userName="admin@x.org"))
    with firm(tmp_path, provider) as it:
        it.configure({"externalId": "id", "title": "title"}, match=["externalId"], policy='protected = ["admin@x.org"]')
        file = tmp_path / "scimsync.toml"
        file.write_text(
            file.read_text().replace("create = 1000", "create = 0")
        )  # nobody is made, so no login is needed
        it.hr({"id": 1, "title": "New"})
        made, _ = it.sync()
        assert "account.protected" in codes(made)
        assert not provider.sent("PATCH")


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("number", [150, 200])
def test_a_total_that_counts_one_page_makes_nobody_twice(tmp_path: Path, number: int, unique: bool) -> None:
    class Counting(Provider):
        def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
            answer = super().list(table, query)
            assert isinstance(answer.body, dict)
            return Answer(200, {**answer.body, "totalResults": answer.body["itemsPerPage"]})

    provider = Counting(*(account(i) for i in range(number)))
    provider.unique = unique
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": i} for i in range(number)), {"id": "new"})
        _, report = it.sync()
        assert report.clean
        assert len(provider.users) == number + 1


class Hiding(Provider):
    """Leaves `active` out of what it shows of a disabled account."""

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        return shown if shown.get("active") else {name: held for name, held in shown.items() if name != "active"}


def test_access_is_taken_once_and_given_back_where_disabled_accounts_do_not_show_it(tmp_path: Path) -> None:
    provider = Hiding(account(1), account(2))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2, "status": "left"})
        _, report = it.sync()
        assert report.clean
        assert provider.named("p2@x.org")[0]["active"] is False
        it.quiet()
        it.hr({"id": 1}, {"id": 2})
        made, report = it.sync()
        assert [change.action for change in made.changes] == [Action.ENABLE]
        assert report.clean
        assert provider.named("p2@x.org")[0]["active"] is True
        it.hr({"id": 1})
        _, report = it.sync()
        assert provider.named("p2@x.org")[0]["active"] is False
        it.quiet()


def test_nobody_is_enabled_because_nothing_is_shown(tmp_path: Path) -> None:
    provider = Hiding(account(1), account(2, active=False))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2, "title": "New"})
        made, report = it.sync()
        assert "account.active-unknown" in codes(made)
        assert report.clean
        assert provider.named("p2@x.org")[0] == {**provider.named("p2@x.org")[0], "active": False, "title": "New"}


def test_access_that_nobody_can_see_was_taken_is_not_called_taken(tmp_path: Path) -> None:
    class Silent(Provider):
        def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
            return {name: held for name, held in super().show(resource).items() if name != "active"}

    with firm(tmp_path, Silent(account(1))) as it:
        it.hr({"id": 1, "status": "left"})
        _, report = it.sync()
        assert last(report, 1).status is Status.HELD


@pytest.mark.parametrize("shown", [(1, 0), ("True", "False"), ("1", "0"), ("true", "false")])
def test_active_may_travel_as_text_or_number(tmp_path: Path, shown: tuple[object, object]) -> None:
    class Worded(Provider):
        def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
            return {**super().show(resource), "active": shown[0] if resource["active"] is True else shown[1]}

    provider = Worded(account(1), account(2), account(3, active=False))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2, "status": "left"}, {"id": 3})
        _, report = it.sync()
        assert report.clean
        assert [user["active"] for user in provider.users.values()] == [True, False, True]
        it.quiet()


# --- who is there already ---------------------------------------------------------------------


class Bare(Provider):
    """Answers a creation with nothing but a place, under a name of its own; its filter never finds anybody."""

    unique = False

    def created(self, resource: Mapping[str, Any]) -> Answer:
        return Answer(201, None, {"Location": f"https://behind-the-proxy.example/scim/v2/Users/{resource['id']}"})

    def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        return []


def test_a_creation_without_a_body_is_done_once(tmp_path: Path) -> None:
    provider = Bare()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        _, report = it.sync()
        assert report.clean
        assert len(provider.users) == len(provider.sent("POST")) == 2
        it.quiet()


def test_a_directory_whose_totals_stop_at_fifty_makes_nobody_twice(tmp_path: Path) -> None:
    class Capped(Provider):
        unique = False

        def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
            if "filter" in query:
                return super().list(table, query)
            return super().list(dict([*table.items()][:50]), query)

    provider = Capped(*(account(i) for i in range(53)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": i} for i in range(53)), {"id": "new"})
        _, report = it.sync()
        assert report.clean
        assert len(provider.users) == 54
        assert len(provider.sent("POST")) == 1


@pytest.mark.parametrize("kind", ["501", "400", "ignored", "404 for nobody"])
def test_a_server_without_filters_stops_nobody(tmp_path: Path, kind: str) -> None:
    class Deaf(Provider):
        def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
            if "filter" not in query:
                return super().list(table, query)
            if kind == "ignored":
                return super().list(table, {name: text for name, text in query.items() if name != "filter"})
            if kind == "404 for nobody":
                answer = super().list(table, query)
                assert isinstance(answer.body, dict)
                return answer if answer.body["totalResults"] else self.refuse(404, "nobody")
            return self.refuse(int(kind), "no filters here", "invalidFilter")

    provider = Deaf(*(account(i, title="Old") for i in range(30)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": i, "title": "New"} for i in range(30)), {"id": "a"}, {"id": "b"})
        _, report = it.sync()
        assert report.clean
        assert len(provider.users) == 32
        it.quiet()


@pytest.mark.parametrize("by_login", [True, False])
def test_a_protected_account_that_a_search_finds_is_left_alone(tmp_path: Path, by_login: bool) -> None:
    class Lagging(Provider):
        """Its listing shows nobody yet; its filter does, on logins or on numbers alone."""

        def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
            if not by_login and "userName" in query.get("filter", ""):
                return self.refuse(400, "no filter on logins")
            return super().list(table if "filter" in query else {}, query)

    provider = Lagging(account(1, userName="admin@x.org"))
    with firm(tmp_path, provider) as it:
        it.configure(policy='protected = ["admin@x.org"]', match=["externalId"])
        it.hr({"id": 1})
        made, report = it.sync()
        assert ("account.protected" in codes(made)) is by_login
        assert by_login or last(report, 1).code == "account.protected"
        assert not provider.sent("POST")
        assert not provider.sent("PATCH")


# --- what is not known to have failed ---------------------------------------------------------


class Stumbling(Provider):
    """The first write is answered with a status; whether it was carried out is another matter."""

    def __init__(self, status: int, *users: Mapping[str, object], carried_out: bool) -> None:
        super().__init__(*users)
        self.status, self.carried_out, self.stumbled = status, carried_out, False

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        if method == "GET" or self.stumbled:
            return super().answer(method, path, query, body, if_match)
        self.stumbled = True
        if self.carried_out:
            super().answer(method, path, query, body, if_match)
        return Answer(self.status, b"<html>oops</html>", {"Location": "https://elsewhere.example/"})


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("status", [302, 408, 500, 507, 520, 522, 524, 529, 599] if WHOLE else [302, 408, 524])
def test_a_change_with_an_answer_that_proves_nothing_is_settled_by_reading(
    tmp_path: Path, status: int, carried_out: bool
) -> None:
    provider = Stumbling(status, account(1, title="Old"), carried_out=carried_out)
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"})
        _, report = it.sync()
        assert report.clean
        assert provider.named("p1@x.org")[0]["title"] == "New"
        assert len(provider.sent("PATCH")) == (1 if carried_out else 2)


def test_a_pause_that_a_busy_server_asks_for_is_made_before_anything_else_is_asked(tmp_path: Path) -> None:
    class Busy(Provider):
        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            if not self.sent("PATCH"):
                return Answer(503, None, {"Retry-After": "1"})
            return super().patch(resource, body, if_match)

    provider = Busy(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"})
        _, report = it.sync()
        assert report.clean
        assert len(provider.sent("PATCH")) == 2


def test_a_login_that_somebody_else_has_is_told_at_once(tmp_path: Path) -> None:
    class Taken(Provider):
        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            return self.refuse(409, "the login is taken by a deleted account", "uniqueness")

    provider = Taken(account(1, userName="old@x.org"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        _, report = it.sync()
        assert last(report, 1).status is Status.HELD
        assert "taken" in last(report, 1).detail
        assert len(provider.sent("PATCH")) == 1


# --- what is not ours -------------------------------------------------------------------------

PHONE = {**ATTRIBUTES, WORK_PHONE: "phone"}
EMAIL = {**ATTRIBUTES, WORK_EMAIL: "mail"}


def phones(work: str = "+15550000", *others: str) -> dict[str, object]:
    """Phone numbers, those of others being mobile ones."""
    return {"phoneNumbers": [{"type": "work", "value": work}, *({"type": "mobile", "value": one} for one in others)]}


class Wiping(Provider):
    """A filtered replace keeps the elements that the filter selects, and no others."""

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        changed = super().carry_out(resource, operations)
        if any("[" in str(operation.path) for operation in operations):
            changed["phoneNumbers"] = [one for one in changed["phoneNumbers"] if one["type"] == "work"]
        return changed


@pytest.mark.parametrize("bodiless", [False, True])
def test_the_first_private_phone_that_is_lost_is_the_last(tmp_path: Path, bodiless: bool) -> None:
    class Curt(Wiping):
        def patched(self, resource: dict[str, Any]) -> Answer:
            return Answer(204) if bodiless else super().patched(resource)

    # the first people have no private phone: what is written for them proves nothing
    provider = Curt(*(account(i, **phones("+12025550000", *(["+1666"] if i >= 15 else []))) for i in range(30)))
    with firm(tmp_path, provider) as it:
        it.configure(PHONE)
        it.hr(*({"id": i, "phone": "+12025550001", "title": "New"} for i in range(30)))
        _, report = it.sync()
        lost = [i for i in range(15, 30) if len(provider.named(f"p{i}@x.org")[0]["phoneNumbers"]) == 1]
        assert len(lost) == 1
        assert last(report, lost[0]).code == "write.harmed"
        assert "phoneNumbers" in last(report, lost[0]).detail
        assert "+1666" not in str([outcome.detail for parts in report.outcomes.values() for outcome in parts])
        spared = [i for i in range(15, 30) if i not in lost]
        assert {(last(report, i).status, last(report, i).code) for i in spared} == {(Status.HELD, "write.harmed")}
        # what does no harm is written all the same
        assert {user["title"] for user in provider.users.values()} == {"New"}


def test_an_addition_that_replaces_the_list_is_stopped(tmp_path: Path) -> None:
    class Replacing(Provider):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            plain = [Operation("replace" if o.op == "add" else o.op, o.path, o.value) for o in operations]
            return super().carry_out(resource, plain)

    home = {"type": "home", "value": "private@home.org"}
    provider = Replacing(*(account(i, emails=[home]) for i in range(10)))
    with firm(tmp_path, provider) as it:
        it.configure(EMAIL)
        it.hr(*({"id": i, "mail": f"p{i}@work.org"} for i in range(10)))
        _, report = it.sync()
        assert sum(home not in user["emails"] for user in provider.users.values()) == 1
        assert report.statuses == {"held": 10}


def test_an_attribute_that_every_write_takes_away_is_lost_once(tmp_path: Path) -> None:
    class Forgetful(Provider):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            return {name: held for name, held in super().carry_out(resource, operations).items() if name != "nickName"}

    provider = Forgetful(*(account(i, nickName="Mine") for i in range(10)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": i, "title": "New"} for i in range(9)), {"id": 9, "status": "left"})
        _, report = it.sync()
        assert provider.named("p9@x.org")[0]["active"] is False  # nothing keeps us from taking access away
        assert sum("nickName" not in user for user in provider.users.values()) == 2
        assert report.statuses == {"held": 9, "done": 1}


def test_a_server_that_keeps_what_is_not_ours_is_read_once_for_each_kind_of_write(tmp_path: Path) -> None:
    provider = Provider(*(account(i, title="Old", **phones("+15550000", "+1666")) for i in range(20)))
    with firm(tmp_path, provider) as it:
        it.configure(PHONE)
        it.hr(*({"id": i, "title": "New", "phone": "+15550001"} for i in range(20)))
        _, report = it.sync()
        assert report.clean
        assert {len(user["phoneNumbers"]) for user in provider.users.values()} == {2}
        assert len(provider.sent("PATCH")) == 20
        assert len(provider.sent("GET", "/Users/")) <= 8  # one for each worker that began before the first was done


def test_an_answer_that_shows_little_is_no_loss(tmp_path: Path) -> None:
    class Brief(Provider):
        def patched(self, resource: dict[str, Any]) -> Answer:
            shown = self.show(resource)
            return Answer(200, {name: shown[name] for name in ("id", "userName", "meta")}, self.headers(resource))

    provider = Brief(*(account(i, title="Old", nickName="Mine") for i in range(3)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": i, "title": "New"} for i in range(3)))
        _, report = it.sync()
        assert report.clean


def test_an_answer_that_shows_the_account_as_it_was_is_checked_by_reading(tmp_path: Path) -> None:
    class Late(Provider):
        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            before = self.show(dict(resource))
            answer = super().patch(resource, body, if_match)
            return Answer(answer.status, before, answer.headers)

    provider = Late(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"})
        _, report = it.sync()
        assert report.clean
        it.quiet()


def test_a_success_that_changed_nothing_is_told_and_not_repeated(tmp_path: Path) -> None:
    class Idle(Provider):
        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            return Answer(204)

    provider = Idle(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"})
        _, report = it.sync()
        assert last(report, 1).code == "write.mismatch"
        assert len(provider.sent("PATCH")) == 1


def test_a_version_that_guards_nothing_is_told_and_not_trusted_again(tmp_path: Path) -> None:
    class Unguarded(Provider):
        """Takes a write under any version; somebody edits the first account while it is written."""

        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            if not self.sent("PATCH"):
                self.edit(resource["id"], nickName="edited")
            return super().patch(resource, body, "*")

    provider = Unguarded(*(account(i, title="Old", nickName="N") for i in range(20)))
    with firm(tmp_path, provider) as it:
        it.configure({**ATTRIBUTES, "nickName": "nick"})
        it.hr(*({"id": i, "title": "New", "nick": "N"} for i in range(20)))
        _, report = it.sync()
        told = [key for key in report.outcomes if last(report, key).code == "target.unguarded"]
        assert len(told) == 1
        assert "nickName" in last(report, told[0]).detail
        assert {user["title"] for user in provider.users.values()} == {"New"}
        assert len(provider.sent("GET", "/Users/")) == 20  # each was read before it was written

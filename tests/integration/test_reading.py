"""Whole runs against servers that say, list or show things in their own way: they are read all the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.servers import ATTRIBUTES, WORK_EMAIL, WORK_PHONE, Answer, Firm, Provider, account, codes, firm, last
from tests.soak import WHOLE

from scimsync.errors import SchemaDrifted, TargetError
from scimsync.model.outcomes import Status
from scimsync.scim.messages import list_response
from scimsync.scim.schema import CORE_USER, ENTERPRISE_USER

CONFIG = {"patch": {"supported": True}, "filter": {"supported": True}, "etag": {"supported": True}}


def schema(*names: str, urn: str = CORE_USER, **more: object) -> dict[str, object]:
    """A Schema resource that lists texts."""
    kinds = {"active": "boolean"}
    listed = [{"name": name, "type": kinds.get(name, "string"), "mutability": "readWrite"} | more for name in names]
    return {"id": urn, "name": urn.rpartition(":")[2], "attributes": listed}


FULL = schema("userName", "displayName", "active", "title")


def brought(it: Firm) -> None:
    """Bring one person to the target, change another, and see that nothing is left to do."""
    it.hr({"id": 1, "title": "New"}, {"id": 2})
    _, report = it.sync()
    assert report.clean
    titles = {user["userName"]: user["title"] for user in it.provider.users.values()}
    assert titles == {"p1@x.org": "New", "p2@x.org": "T"}
    it.quiet()


# --- discovery informs, and is no gate ----------------------------------------------------------


class Says(Provider):
    """It answers each question about itself with what stands in a table; 404 for the rest."""

    def __init__(self, answers: Mapping[str, Answer], *users: Mapping[str, object]) -> None:
        super().__init__(*users)
        self.answers = answers

    def describe(self, name: str) -> Answer:
        return self.answers.get(name) or self.refuse(404, "there is no such endpoint")


WEB_PAGE = Answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html"})


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {name: Answer(403, {"detail": "no"}) for name in ("ServiceProviderConfig", "Schemas", "ResourceTypes")},
        {name: Answer(501) for name in ("ServiceProviderConfig", "Schemas", "ResourceTypes")},
        {"ServiceProviderConfig": Answer(200, [CONFIG]), "Schemas": Answer(200, [FULL])},
        {"ServiceProviderConfig": Answer(200, list_response([CONFIG], total=1, start=1)), "Schemas": Answer(200, FULL)},
        {"ServiceProviderConfig": Answer(200, CONFIG), "Schemas": Answer(200, {"Resources": None})},
        {"ServiceProviderConfig": Answer(200, CONFIG), "Schemas": Answer(200, list_response([], total=0, start=1))},
        {"Schemas": Answer(200, list_response([schema("userName")], total=1, start=1))},
        {"Schemas": Answer(200, list_response([schema("userName", urn="urn:other")], total=1, start=1))},
    ],
    ids=range(9),
)
def test_whatever_a_target_says_about_itself_people_are_read_and_written(
    tmp_path: Path, answers: Mapping[str, Answer]
) -> None:
    with firm(tmp_path, Says(answers, account(1, title="Old"))) as it:
        brought(it)


def test_a_web_page_in_the_place_of_a_document_is_told_and_asked_for_twice_at_most(tmp_path: Path) -> None:
    provider = Says({"Schemas": WEB_PAGE, "ServiceProviderConfig": Answer(200, CONFIG)}, account(1))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        told = next(finding for finding in it.plan().findings if finding.code == "schema.unpublished")
        assert "Schemas" in told.detail
        assert "not JSON" in told.detail
        assert len([asked for asked in provider.asked if asked.path == "/Schemas"]) == 2


class Pages(Provider):
    """Its schemas come one a page."""

    def take(self, handler: Any) -> Answer:
        self.query = handler.path.partition("?")[2]
        return super().take(handler)

    def describe(self, name: str) -> Answer:
        if name != "Schemas":
            return super().describe(name)
        listed = [FULL, schema("department", urn=ENTERPRISE_USER)]
        start = int(self.query.partition("startIndex=")[2] or 1)
        return Answer(200, list_response(listed[start - 1 : start], total=2, start=start))


def test_schemas_that_come_in_pages_are_read_to_their_end(tmp_path: Path) -> None:
    with firm(tmp_path, Pages(account(1))) as it:
        it.configure({**ATTRIBUTES, "enterprise:department": "title"})
        it.hr({"id": 1})
        told = [finding for finding in it.plan().findings if finding.code == "schema.drift"]
        assert not [finding for finding in told if "removed" in finding.detail]


def test_what_a_schema_does_not_list_is_written_all_the_same_and_told(tmp_path: Path) -> None:
    short = schema("userName", "displayName", "active")
    with firm(tmp_path, Says({"Schemas": Answer(200, [short])}, account(1, title="Old"))) as it:
        it.hr({"id": 1, "title": "New"})
        made, report = it.sync()
        assert report.clean
        drifts = [finding.detail for finding in made.findings if finding.code == "schema.drift"]
        assert "title: removed (string)" in drifts
        assert not [
            drift for drift in drifts if drift.startswith(("externalId", "id:", "meta"))
        ]  # never need be listed


def test_the_first_plan_remembers_the_schemas_and_a_later_drift_stops_a_run(tmp_path: Path) -> None:
    provider = Says({"Schemas": Answer(200, [FULL])}, account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"})
        assert "schema.remembered" in codes(it.plan())
        assert "schema.remembered" not in codes(it.plan())
        provider.answers = {"Schemas": Answer(200, [schema("userName", "displayName", "active")])}
        with pytest.raises(SchemaDrifted, match="what the first plan saw"):
            it.plan()
        provider.answers = {}
        assert "schema.unpublished" in codes(it.plan())  # silence is no drift


def test_a_target_that_refuses_the_token_is_not_taken_for_a_silent_one(tmp_path: Path) -> None:
    class Refusing(Provider):
        def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
            return self.refuse(401, "who are you")

    with firm(tmp_path, Refusing(account(1))) as it:
        it.hr({"id": 1})
        with pytest.raises(TargetError):
            it.plan()


@pytest.mark.parametrize("status", ["active", "left"])
def test_what_is_immutable_is_written_at_creation_and_never_after(tmp_path: Path, status: str) -> None:
    fixed = {**schema("displayName", "active", "title"), "id": CORE_USER}
    fixed["attributes"] = [*fixed["attributes"], {"name": "userName", "type": "string", "mutability": "immutable"}]  # type: ignore[misc]
    provider = Says({"Schemas": Answer(200, [fixed])}, account(1, userName="old@x.org"))
    with firm(tmp_path, provider) as it:
        it.configure(match=["externalId"])
        it.hr({"id": 1, "title": "New", "status": status}, {"id": 2})
        made, report = it.sync()
        assert {finding.path for finding in made.findings if finding.code == "attribute.immutable"} == {"userName"}
        assert report.clean
        held = provider.users["u0001"]
        assert (held["userName"], held["title"], held["active"]) == ("old@x.org", "New", status == "active")
        assert len(provider.named("p2@x.org")) == 1
        it.quiet()


# --- one odd account ----------------------------------------------------------------------------

MORE = {
    **ATTRIBUTES,
    WORK_EMAIL: "login",
    WORK_PHONE: "'+13175550100'",
    "enterprise:manager": "ref(null)",
    "enterprise:department": "'Sales'",
}
ODD: list[dict[str, object]] = [
    {"emails": ["admin@x.org"]},
    {"emails": "admin@x.org"},
    {"emails": [[]]},
    {"emails": {"value": "admin@x.org", "type": "work"}},
    {"emails": [None, 7, {"value": ["a", "b"]}]},
    {"emails": [{"value": "a@x.org", "primary": "perhaps"}]},
    {"phoneNumbers": {}},
    {"phoneNumbers": [["+13175550199"]]},
    {"active": ""},
    {"active": {}},
    {"title": {"en": "Boss"}},
    {"title": ["Boss"]},
    {"title": "\ud800"},
    {"externalId": 17},
    {ENTERPRISE_USER: []},
    {ENTERPRISE_USER: "none"},
    {ENTERPRISE_USER: {"manager": "boss"}},
    {ENTERPRISE_USER: {"manager": ["boss"]}},
    {ENTERPRISE_USER: {"manager": {"value": 7}}},
    {ENTERPRISE_USER: {"department": {"id": 7, "name": "Sales"}}},
]
#: all of them in one directory; in a soak each in a directory of its own, too
TOGETHER: list[list[dict[str, object]]] = [ODD, *([one] for one in ODD if WHOLE)]


@pytest.mark.parametrize("odds", TOGETHER, ids=range(len(TOGETHER)))
def test_odd_accounts_that_are_not_ours_stop_nobody(tmp_path: Path, odds: list[dict[str, object]]) -> None:
    others = [{"userName": f"admin{number}@x.org", **odd} for number, odd in enumerate(odds)]
    provider = Provider(account(1, title="Old"), *others)
    with firm(tmp_path, provider) as it:
        it.configure(MORE)
        it.hr({"id": 1, "title": "New"})
        _, report = it.sync()
        assert report.clean
        assert provider.named("p1@x.org")[0]["title"] == "New"
        assert [asked.path for asked in provider.sent("PATCH")] == ["/Users/u0001"]


@pytest.mark.parametrize("odds", TOGETHER, ids=range(len(TOGETHER)))
def test_who_left_loses_access_though_the_account_is_odd(tmp_path: Path, odds: list[dict[str, object]]) -> None:
    held = [{**account(number), **odd, "externalId": str(number)} for number, odd in enumerate(odds, 1)]
    provider = Provider(*held)
    with firm(tmp_path, provider) as it:
        it.configure({**ATTRIBUTES, WORK_EMAIL: "login", "enterprise:department": "'Sales'"})
        it.hr(*({"id": number, "status": "left"} for number in range(1, len(odds) + 1)))
        it.sync()
        assert [user["externalId"] for user in provider.users.values() if user["active"] is not False] == []


def test_an_odd_account_is_named_by_its_id_and_attribute(tmp_path: Path) -> None:
    provider = Provider(account(1), {"userName": "admin@x.org", "emails": ["a@x.org"], ENTERPRISE_USER: []})
    with firm(tmp_path, provider) as it:
        it.configure(MORE)
        it.hr({"id": 1})
        told = {f.subject: f.detail for f in it.plan().findings if f.code == "account.odd"}
        assert told == {"emails": "1 account (u0002): read all the same"}


def test_a_protected_account_is_known_though_its_login_is_a_list(tmp_path: Path) -> None:
    provider = Provider(account(1, userName=["admin@x.org"]))
    with firm(tmp_path, provider) as it:
        it.configure(policy='protected = ["admin@x.org"]')
        it.hr({"id": 1, "status": "left"})
        made, _ = it.sync()
        assert "account.protected" in codes(made)
        assert not provider.sent("PATCH")


IDS = [
    "557058:4f3a",
    "auth0|5f7c8ec7",
    "mariam+dev@x.org",
    "AbC/9+x==",
    "a b",
    "ä",
    "50%25",
    "a?b#c",
    "9007199254740993",
]


class Numbered(Provider):
    """Where an id has figures alone, it travels as a number."""

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        return shown | {"id": int(shown["id"])} if shown["id"].isdigit() else shown


def test_an_id_may_be_any_text_or_number(tmp_path: Path) -> None:
    provider = Numbered(*(account(n, id=identity, title="Old") for n, identity in enumerate(IDS)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": n, "title": "New"} for n in range(len(IDS))))
        _, report = it.sync()
        assert report.clean
        assert [user["title"] for user in provider.users.values()] == ["New"] * len(IDS)
        it.quiet()


# --- lenient in reading -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["application/json", "application/scim+json; charset=utf-8", "text/json", ""])
def test_json_is_json_whatever_its_label_says(tmp_path: Path, name: str) -> None:
    provider = Provider(account(1, title="Old"))
    provider.media_type = name
    with firm(tmp_path, provider) as it:
        brought(it)


def test_a_mark_of_the_order_of_bytes_is_passed_over(tmp_path: Path) -> None:
    class Marked(Provider):
        def take(self, handler: Any) -> Answer:
            answer = super().take(handler)
            return Answer(answer.status, b"\xef\xbb\xbf" + json.dumps(answer.body).encode(), answer.headers)

    with firm(tmp_path, Marked(account(1, title="Old"))) as it:
        brought(it)


class Slashed(Provider):
    """Every path wants a slash at its end, as Django has it."""

    status = 308

    def take(self, handler: Any) -> Answer:
        path = handler.path.partition("?")[0]
        if path.endswith("/"):
            return super().take(handler)
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.sent_on.append(handler.command)
        return Answer(self.status, None, {"Location": f"{path}/"})

    sent_on: list[str]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_slash_that_a_target_wants_is_given(tmp_path: Path, status: int) -> None:
    provider = Slashed(account(1, title="Old"))
    provider.status, provider.sent_on = status, []
    with firm(tmp_path, provider) as it:
        brought(it)
        assert "POST" not in provider.sent_on  # learned from reading


def test_no_token_goes_to_another_origin_and_no_write_to_another_path(tmp_path: Path) -> None:
    other = Provider()
    with firm(tmp_path / "other", other):

        class Elsewhere(Provider):
            def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
                if method == "GET" and path == "/Users":
                    return Answer(308, None, {"Location": f"{other.address}/Users?{urlencode(query)}"})
                return super().answer(method, path, query, body, if_match)

        with firm(tmp_path / "firm", Elsewhere(account(1))) as it:
            it.hr({"id": 1})
            with pytest.raises(TargetError, match="redirect"):
                it.plan()
            assert other.asked == []


def test_a_write_that_is_sent_to_another_path_is_not_sent_there(tmp_path: Path) -> None:
    class Moved(Provider):
        def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
            if method == "PATCH":
                return Answer(307, None, {"Location": "/Users/u0002"})
            return super().answer(method, path, query, body, if_match)

    provider = Moved(account(1, title="Old"), account(2))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1, "title": "New"}, {"id": 2})
        _, report = it.sync()
        assert last(report, 1).status is not Status.DONE
        assert {asked.path for asked in provider.sent("PATCH")} == {"/Users/u0001"}
        assert provider.users["u0002"]["title"] == "T"


class Small(Provider):
    """It refuses a page above its largest, and attributes with their URN."""

    most = 7
    told = 0
    picky = False

    def describe(self, name: str) -> Answer:
        if name != "ServiceProviderConfig":
            return super().describe(name)
        return Answer(200, {**CONFIG, "filter": {"supported": True, "maxResults": self.told}})

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        if int(query.get("count", "1")) > self.most:
            return self.refuse(400, f"count must not be above {self.most}", "invalidValue")
        if self.picky and "urn:" in query.get("attributes", ""):
            return self.refuse(400, "attributes: no such name", "invalidValue")
        return super().list(table, query)


@pytest.mark.parametrize(("told", "most"), [(50, 50), (0, 50), (0, 7), (0, 1), (200, 30)])
@pytest.mark.parametrize("picky", [False, True])
def test_a_page_that_is_refused_is_asked_for_in_a_size_and_with_attributes_that_suit(
    tmp_path: Path, told: int, most: int, *, picky: bool
) -> None:
    provider = Small(*(account(n) for n in range(20)))
    provider.told, provider.most, provider.picky = told, most, picky
    with firm(tmp_path, provider) as it:
        it.configure({**ATTRIBUTES, "enterprise:department": "'Sales'"})
        it.hr(*({"id": n, "title": "New"} for n in range(20)))
        _, report = it.sync()
        assert report.clean
        assert len(provider.users) == 20
        assert all(user["title"] == "New" for user in provider.users.values())
        it.quiet()


class Uncounted(Provider):
    """It fails wherever it is asked for a page of some size, as canaille does; its own pages are of three."""

    page = 3

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        if "count" in query:
            return Answer(500, b"<html>TypeError</html>", {"Content-Type": "text/html"})
        return super().list(table, query)


def test_a_target_that_fails_on_the_size_of_a_page_is_read_in_its_own_pages_and_without_waits(tmp_path: Path) -> None:
    provider = Uncounted(*(account(n) for n in range(8)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": n, "title": "New"} for n in range(8)))
        _, report = it.sync()
        assert report.clean
        assert {user["title"] for user in provider.users.values()} == {"New"}
        failed = [asked for asked in provider.asked if asked.status == 500]
        assert len(failed) <= 6
        it.quiet()


def test_a_target_that_fails_once_is_asked_for_pages_of_our_size_all_the_same(tmp_path: Path) -> None:
    class Stumbling(Provider):
        failures = 1

        def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
            self.failures -= 1
            return self.refuse(500, "not now") if self.failures >= 0 else super().list(table, query)

    provider = Stumbling(account(1))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.sync()
        pages = [asked for asked in provider.asked if asked.path.strip("/") == "Users" and asked.method == "GET"]
        assert all("count" in asked.query for asked in pages[2:])


class Deaf(Provider):
    """It never shows `externalId`, and answers a filter on anything with everybody."""

    hidden = True
    heeds = False

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        if self.hidden:
            shown.pop("externalId", None)
        return shown

    def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        return super().select(resources, expression) if self.heeds else resources


@pytest.mark.parametrize("others", [1, 3, 40])
def test_nobody_gets_an_account_that_a_filter_found_which_was_not_heeded(tmp_path: Path, others: int) -> None:
    provider = Deaf(*(account(n, title="Admin") for n in range(100, 100 + others)))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.sync()
        assert [user["externalId"] for user in provider.named("p1@x.org")] == ["1"]
        assert {user["title"] for user in provider.users.values()} == {"Admin", "T"}
        assert len(provider.users) == others + 1


def test_an_account_that_is_found_by_what_is_never_shown_is_taken_where_the_filter_is_heeded(tmp_path: Path) -> None:
    provider = Deaf(account(1, userName="other@x.org"), account(2))
    provider.heeds = True
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        it.sync()
        assert len(provider.users) == 2


# --- words, and what doctor reads ---------------------------------------------------------------


class Closed(Provider):
    """It describes itself to anybody, and shows its people to nobody."""

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        return self.refuse(403, "scope users:read\n is missing")


def test_a_refused_read_is_told_in_the_words_of_the_target_with_what_was_asked(tmp_path: Path) -> None:
    with firm(tmp_path, Closed(account(1))) as it:
        it.hr({"id": 1})
        with pytest.raises(TargetError) as caught:
            it.plan()
        words = str(caught.value)
        assert '"scope users:read is missing"' in words
        assert "GET /Users with startIndex, count, attributes" in words
        assert "Genesys" not in words


def test_doctor_reads_what_a_run_reads(tmp_path: Path) -> None:
    with firm(tmp_path, Closed(account(1))) as it:
        it.hr({"id": 1})
        said = it.command("doctor")
        assert said.code == 5
        assert "users:read" in said.out
    with firm(tmp_path / "open", Provider(account(1), account(2))) as it:
        it.hr({"id": 1})
        said = it.command("doctor")
        assert said.code == 0
        assert "2 are listed" in said.out


def test_a_ready_made_token_needs_no_login_url(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(account(1, title="Old"))) as it:
        text = (tmp_path / "scimsync.toml").read_text(encoding="utf-8")
        kept = [line for line in text.splitlines() if not line.startswith("login_url")]
        (tmp_path / "scimsync.toml").write_text("\n".join(kept), encoding="utf-8")
        brought(it)

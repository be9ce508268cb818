"""The dialects that come with the program, against servers that do what the vendors' documents say, and no more.

Each plays joiner, mover, leaver and return, with a quiet run after each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.servers import ATTRIBUTES, WORK_EMAIL, Answer, Firm, Provider, firm

from scimsync.adapters import target_listing, target_sweep
from scimsync.errors import TargetError
from scimsync.scim.grammar import Comparison, parse_filter
from scimsync.scim.messages import LIST_RESPONSE

ENTRA_USER = "urn:ietf:params:scim:schemas:extension:Microsoft:Entra:2.0:User"
EMAIL = {WORK_EMAIL: "login", 'emails[type eq "work"].primary': "true"}
NAMES = {"name.givenName": "name", "name.familyName": "id"}
PEOPLE = 7
TEAM = 'group_loss = 1000\n[groups]\ncolumn = "team"\n'


class Documented(Provider):
    """What the documents have in common: few filters, no versions, some attributes that must be there."""

    versioned = False
    filters: frozenset[str] = frozenset()
    required: tuple[str, ...] = ("userName",)
    #: an address must be marked as the primary one
    marked = False

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        if query.get("filter"):
            tree = parse_filter(query["filter"])
            fits = isinstance(tree, Comparison) and tree.operator == "eq"
            if not fits or str(tree.attribute).lower() not in self.filters:  # type: ignore[union-attr]
                return self.refuse(400, "the filter is not supported", "invalidFilter")
        return super().list(table, query)

    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        if table is self.users and (lack := [path for path in self.required if not _at(body, path)]):
            return self.refuse(400, f"{lack} are missing", "invalidValue")
        emails = body.get("emails", [])
        if self.marked and emails and [one.get("primary") for one in emails] != [True]:
            return self.refuse(400, "one email, and it must be marked as primary", "invalidValue")
        return super().post(body, table)


def _at(body: Any, path: str) -> bool:
    for step in [path.rpartition(":")[0], *path.rpartition(":")[2].split(".")]:
        body = body.get(step) if step else body
        if body is None:
            return False
    return True


class Cursors(Documented):
    """Pages by cursor (RFC 9865) and knows no index."""

    page = 3
    #: how the list of resources is called
    listed = "Resources"

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        return {**shown, "members": []} if resource["id"] in self.groups else shown

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        if "startIndex" in query:
            return self.refuse(400, "startIndex is not supported")
        begin = int(query.get("cursor") or 0)
        count = min(int(query.get("count", self.page)), self.page)
        asked = {name: value for name, value in query.items() if name == "filter"}
        whole = super().list(table, {**asked, "count": "1000"}) if asked else self._all(table)
        if whole.status != 200:
            return whole
        found = whole.body["Resources"]  # type: ignore[index]
        body: dict[str, Any] = {"schemas": [LIST_RESPONSE], "itemsPerPage": count}
        body[self.listed] = found[begin : begin + count]
        if begin + count < len(found):
            body["nextCursor"] = str(begin + count)
        return Answer(200, body)

    def _all(self, table: Mapping[str, dict[str, Any]]) -> Answer:
        return Answer(200, {"Resources": [self.show(one) for one in table.values()]})


class Aws(Cursors):
    """https://docs.aws.amazon.com/singlesignon/latest/developerguide/supported-apis.html."""

    filters = frozenset({"username", "externalid"})
    required = ("userName", "displayName", "name.givenName", "name.familyName")
    marked = True

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        if {"attributes", "excludedAttributes"} & query.keys():
            return self.refuse(400, "ValidationException")
        return super().list(table, query)

    def patched(self, resource: dict[str, Any]) -> Answer:
        return super().patched(resource) if resource["id"] in self.users else Answer(204)

    def describe(self, name: str) -> Answer:
        no: dict[str, object] = {"supported": False}
        if name != "ServiceProviderConfig":
            return super().describe(name)
        return Answer(200, {"patch": {"supported": True}, "filter": {"supported": True, "maxResults": 50}, "etag": no})


class Entra(Cursors):
    """https://learn.microsoft.com/en-us/entra/identity/app-provisioning/entra-id-scim-api-reference."""

    listed = "resources"
    filters = frozenset({"username", "externalid", "id", f"{ENTRA_USER}:mailNickname".lower()})
    required = (
        "userName", "displayName", "active", "name.givenName", "name.familyName", f"{ENTRA_USER}:mailNickname",
    )  # fmt: skip

    def patched(self, resource: dict[str, Any]) -> Answer:
        return Answer(204)

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        operations = [one["op"].lower() for one in body["Operations"]]
        if resource["id"] in self.groups and operations != ["remove"] and set(operations) != {"add"}:
            return self.refuse(400, "one member is removed in a request, and none is added beside")
        return super().patch(resource, body, if_match)


class GitHub(Documented):
    """https://docs.github.com/en/enterprise-cloud@latest/rest/enterprise-admin/scim."""

    page = 30
    filters = frozenset({"username", "externalid", "id", "displayname"})
    required = ("externalId", "active", "userName", "displayName", "emails")
    marked = True

    def carry_out(self, resource: dict[str, Any], operations: Any) -> dict[str, Any]:
        heeded = [operation for operation in operations if "[" not in (operation.path or "")]
        return super().carry_out(resource, heeded)


class Slack(Documented):
    """https://docs.slack.dev/reference/scim-api, v2.0."""

    media_type = "application/json"
    page = 1000
    required = ("userName", "emails")

    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        if len(str(body.get("userName"))) > 21:
            return self.refuse(400, "username_too_long")
        return super().post({**body, "userName": str(body.get("userName")).lower()}, table)

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        emails = [{"value": one["value"], "primary": one.get("primary", False)} for one in resource.get("emails", [])]
        return super().show({**resource, "emails": emails})


class GitLab(Documented):
    """https://docs.gitlab.com/development/internal_api/#group-scim-api."""

    page = 20
    filters = frozenset({"id", "username"})
    required = ("externalId", "userName", "emails", "name")

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        if not path.startswith("/Users"):
            return self.refuse(404, "Not found")
        return super().answer(method, path, query, body, if_match)

    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        return super().post({**body, "id": body.get("externalId")}, table)

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = {name: resource[name] for name in ("id", "active", "userName", "emails") if name in resource}
        return {**shown, "name.formatted": str(resource["name"]), "meta": {"resourceType": "User"}}

    def carry_out(self, resource: dict[str, Any], operations: Any) -> dict[str, Any]:
        kept = [operation for operation in operations if (operation.path or "").lower() in {"active", "externalid"}]
        return super().carry_out(resource, kept)

    def patched(self, resource: dict[str, Any]) -> Answer:
        if resource.get("active") is False:  # the identity is removed
            del self.users[resource["id"]]
        return Answer(204)


class Atlassian(Documented):
    """https://developer.atlassian.com/cloud/admin/user-provisioning/rest/api-group-users/."""

    filters = frozenset({"username", "externalid"})
    required = ("emails",)


class Okta(Documented):
    """https://developer.okta.com/docs/api/openapi/okta-scim/inbound/overview."""

    versioned = True
    filters = frozenset({"username", "externalid"})


#: the server, what is mapped besides, and what people are found by
VENDORS: dict[str, tuple[type[Documented], dict[str, str], tuple[str, ...]]] = {
    "aws": (Aws, {**NAMES, **EMAIL}, ("externalId", "userName")),
    "entra": (Entra, {**NAMES, "entra:mailNickname": "id"}, ("externalId", "userName")),
    "github": (GitHub, EMAIL, ("externalId", "userName")),
    "slack": (Slack, {"emails[primary eq true].value": "login"}, ("userName",)),
    "gitlab": (GitLab, {WORK_EMAIL: "login", "name.formatted": "name"}, ("userName",)),
    "atlassian": (Atlassian, {WORK_EMAIL: "login"}, ("externalId", "userName")),
    "okta": (Okta, NAMES, ("externalId", "userName")),
}


@contextmanager
def vendor(folder: Path, name: str) -> Iterator[Firm]:
    kind, more, match = VENDORS[name]
    with firm(folder, kind()) as home:
        mapped = {path: expression for path, expression in ATTRIBUTES.items() if path not in LACKING.get(name, ())}
        home.configure({**mapped, **more}, match=match, dialect=name)
        home.hr(*({"id": n} for n in range(1, PEOPLE + 1)))
        yield home


#: paths that a vendor does not have
LACKING = {"gitlab": ("displayName", "title")}


def active(home: Firm) -> set[str]:
    return {str(user["userName"]) for user in home.provider.users.values() if user["active"]}


@pytest.mark.parametrize("name", [name for name in VENDORS if name != "gitlab"])
def test_people_come_change_go_and_return(tmp_path: Path, name: str) -> None:
    everybody = {f"p{n}@x.org" for n in range(1, PEOPLE + 1)}
    with vendor(tmp_path, name) as home:
        _, report = home.sync()
        assert report.clean, list(report.outcomes.values())
        assert active(home) == everybody
        home.quiet()
        home.hr(*({"id": n, "title": "New" if n == 2 else "T"} for n in range(1, PEOPLE + 1)))
        assert home.sync()[1].clean
        assert [user["title"] for user in home.provider.named("p2@x.org")] == ["New"]
        home.quiet()
        home.hr(*({"id": n, "status": "left" if n == 3 else "active"} for n in range(1, PEOPLE + 1)))
        assert home.sync()[1].clean
        assert active(home) == everybody - {"p3@x.org"}
        home.quiet()
        home.hr(*({"id": n} for n in range(1, PEOPLE + 1)))
        assert home.sync()[1].clean
        assert active(home) == everybody
        assert len(home.provider.users) == PEOPLE
        home.quiet()


@pytest.mark.parametrize("name", [name for name in VENDORS if name != "gitlab"])
def test_members_come_and_go_and_whom_others_put_there_stays(tmp_path: Path, name: str) -> None:
    with vendor(tmp_path, name) as home:
        home.sync()
        ids = {str(user["userName"]): one for one, user in home.provider.users.items()}
        agents = {"id": "Agents", "displayName": "Agents", "members": [{"value": ids["p7@x.org"]}]}
        home.provider.put(agents, home.provider.groups)
        home.configure({**ATTRIBUTES, **VENDORS[name][1]}, match=VENDORS[name][2], dialect=name, more=TEAM)
        for held in ({1, 2, 3, 4}, {3, 4, 5}, {5}, {1}):
            home.hr(*({"id": n, "team": "Agents" if n in held else ""} for n in range(1, PEOPLE + 1)))
            home.sync()
            there = [member["value"] for member in home.provider.groups["Agents"]["members"]]
            assert sorted(there) == sorted(ids[f"p{n}@x.org"] for n in held | {7})
            before = len(home.provider.sent("PATCH"))
            home.sync()
            assert len(home.provider.sent("PATCH")) == before, "another night sends nothing"


def test_a_new_address_arrives_where_no_path_may_select(tmp_path: Path) -> None:
    """GitHub: a path with a filter is ineffective, so the list is written as a whole."""
    with vendor(tmp_path, "github") as home:
        home.configure({**ATTRIBUTES, **EMAIL, WORK_EMAIL: "mail"}, dialect="github")
        home.hr({"id": 1, "mail": "old@x.org"})
        home.sync()
        home.hr({"id": 1, "mail": "new@x.org"})
        assert home.sync()[1].clean
        assert home.provider.named("p1@x.org")[0]["emails"] == [{"type": "work", "value": "new@x.org", "primary": True}]
        home.quiet()


def test_doctor_misses_what_an_account_must_have_and_nothing_else(tmp_path: Path) -> None:
    with vendor(tmp_path, "github") as home:
        assert "is not mapped, and no account is made without it" not in home.command("doctor").out
        home.configure(dialect="github")
        assert "emails is not mapped, and no account is made without it" in home.command("doctor").out


def test_bodies_are_called_as_the_documents_say(tmp_path: Path) -> None:
    with vendor(tmp_path, "slack") as home:
        home.sync()
        assert {asked.headers["Content-Type"] for asked in home.provider.sent("POST")} == {"application/json"}


def test_what_gitlab_no_longer_updates_is_left_alone_and_told(tmp_path: Path) -> None:
    with vendor(tmp_path, "gitlab") as home:
        home.sync()
        home.hr(*({"id": n, "login": "new@x.org" if n == 2 else f"p{n}@x.org"} for n in range(1, PEOPLE + 1)))
        made, _ = home.sync()
        told = {finding.code for finding in made.findings if finding.subject == "2"}
        assert "attribute.immutable" in told
        written = [op["path"] for asked in home.provider.sent("PATCH") for op in asked.body["Operations"]]
        assert not [path for path in written if path.startswith(("emails", "userName", "name"))]


def test_gitlab_takes_the_identity_of_whoever_goes_and_gives_one_to_whoever_returns(tmp_path: Path) -> None:
    """It shows neither names nor external ids, which are sent once and not again."""
    everybody = {f"p{n}@x.org" for n in range(1, PEOPLE + 1)}
    with vendor(tmp_path, "gitlab") as home:
        assert home.sync()[1].clean, "the dialect knows that neither is shown"
        home.quiet()
        assert active(home) == everybody
        home.hr(*({"id": n, "status": "left" if n == 3 else "active"} for n in range(1, PEOPLE + 1)))
        assert home.sync()[1].clean, "that the account is gone is how access is taken there"
        assert active(home) == everybody - {"p3@x.org"}
        made, _ = home.sync()
        assert "3" not in {change.key for change in made.changes}, "nobody who left is made again"
        home.hr(*({"id": n} for n in range(1, PEOPLE + 1)))
        home.sync()
        assert active(home) == everybody


@pytest.mark.parametrize("name", ["aws", "entra"])
def test_a_directory_that_pages_by_cursor_is_read_whole_and_asked_for_no_index(tmp_path: Path, name: str) -> None:
    with vendor(tmp_path, name) as home:
        home.sync()
        before = len(home.provider.asked)
        home.quiet()
        listed = [asked.query for asked in home.provider.asked[before:] if asked.path == "/Users"]
        assert [query["cursor"] for query in listed if "filter" not in query] == ["", "3", "6"]
        assert not [asked for asked in home.provider.asked if "startIndex" in asked.query and asked.path == "/Users"]


class Announcing(Cursors):
    """Says so itself (RFC 9865 §4)."""

    filters = frozenset({"username", "externalid"})

    def describe(self, name: str) -> Answer:
        if name != "ServiceProviderConfig":
            return super().describe(name)
        return Answer(200, {"patch": {"supported": True}, "pagination": {"cursor": True, "index": False}})


def test_whoever_announces_cursors_only_needs_no_dialect(tmp_path: Path) -> None:
    with firm(tmp_path, Announcing()) as home:
        home.hr(*({"id": n} for n in range(1, PEOPLE + 1)))
        assert home.sync()[1].clean
        home.quiet()
        assert home.command("doctor").code == 0


class Circling(Aws):
    """Its second cursor leads back to the first page."""

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        again = {**query, "cursor": "0" if query.get("cursor") == "6" else query.get("cursor", "")}
        return super().list(table, again)


class Endless(Aws):
    """Always knows one more page: with somebody new on it, or (`empty`) with nobody."""

    empty = False

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        if "filter" in query or table is not self.users:
            return super().list(table, query)
        number = int(query.get("cursor") or 0)
        more = {"id": f"new{number}", "userName": f"new{number}@x.org", "active": True}
        return Answer(200, {"Resources": [] if self.empty else [more], "nextCursor": str(number + 1)})


def test_a_listing_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_listing, "MOST_LISTED", 20)
    monkeypatch.setattr(target_sweep, "MOST_EMPTY", 5)
    with vendor(tmp_path, "aws") as home:
        home.provider.__class__ = Endless
        with pytest.raises(TargetError, match="the listing does not end: 21 accounts came"):
            home.plan()
        home.provider.empty = True  # type: ignore[attr-defined]
        made = home.plan()
        assert "target.incomplete" in {finding.code for finding in made.findings}


class Forgetful(Aws):
    """Refuses a cursor once, because it has expired (RFC 9865 §2.1)."""

    refused = 0

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        if query.get("cursor") == "3" and not self.refused:
            self.refused += 1
            return self.refuse(400, "the cursor has expired", "expiredCursor")
        return super().list(table, query)


def test_a_listing_whose_cursors_lead_in_a_circle_makes_nobody_anew(tmp_path: Path) -> None:
    with vendor(tmp_path, "aws") as home:
        home.sync()
        home.provider.__class__ = Circling
        home.hr(*({"id": n} for n in range(1, PEOPLE + 2)))
        made, _ = home.sync()
        assert "target.incomplete" in {finding.code for finding in made.findings}
        assert active(home) == {f"p{n}@x.org" for n in range(1, PEOPLE + 1)}
        assert len(home.provider.users) == PEOPLE


def test_a_listing_whose_cursor_expires_is_begun_anew(tmp_path: Path) -> None:
    with vendor(tmp_path, "aws") as home:
        home.sync()
        home.provider.__class__ = Forgetful
        home.quiet()
        assert home.provider.refused == 1  # type: ignore[attr-defined]

"""`probe` against servers that each behave otherwise in one thing: every entry right, and nothing left behind."""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.servers import GROUPS, Answer, Provider, account, employed, serving

from scimsync.config import TargetSettings
from scimsync.errors import StoreError, TargetDenied
from scimsync.model.probing import Probed
from scimsync.scim.dialect_file import parse_dialect
from scimsync.scim.generic import GENERIC
from scimsync.scim.messages import Operation, scim_error
from scimsync.scim.patch import apply
from scimsync.services import probing
from scimsync.services.probing import Subject

#: what is found out of a server that behaves, of which 30 accounts are known
TRUTH: Mapping[str, object] = {
    "service.media_type": "application/scim+json",
    "discovery.served": ["ServiceProviderConfig"],
    "paging.first_index": 1,
    "paging.stable": True,
    "reading.attributes": True,
    "filters.attributes": None,
    "filters.case_exact": False,
    "versions.concurrency": "version",
    "versions.shown": "both",
    "patch.served": True,
    "patch.value_filters": True,
    "patch.keeps_others": True,
    "patch.op_case": "lower",
    "patch.paths": "explicit",
    "patch.operations": 100,
    "create.answers": "resource",
    "create.required": ["userName"],
    "create.unique_logins": True,
    "accounts.disabled": "shown",
    "accounts.deleted": "gone",
    "accounts.immutable": [],
    "accounts.hidden": [],
    "accounts.unkept": [],
    "accounts.normalised": [],
    "accounts.booleans": "json",
    "accounts.search_lag": [],
    "accounts.login_is_email": False,
    "accounts.phones_are_e164": False,
    "groups.served": True,
    "groups.members": "shown",
    "groups.add_twice": "ignored",
    "groups.remove": "filter",
    "groups.nested": True,
}
MAIL = 'emails[type eq "work"].value'


class Sane(Provider):
    """Keeps to the RFC; finds people by an address, too."""

    def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        if expression.startswith("emails.value eq "):
            wanted = json.loads(expression.removeprefix("emails.value eq "))
            return [one for one in resources if any(mail["value"] == wanted for mail in one.get("emails", []))]
        return super().select(resources, expression)

    @property
    def mine(self) -> list[dict[str, Any]]:
        """What a probe made and is there still."""
        held = [*self.users.values(), *self.groups.values()]
        return [one for one in held if "probe" in f"{one.get('userName')}{one.get('displayName')}".lower()]


class Small(Sane):
    page = 5


class FromZero(Sane):
    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        start = int(query.get("startIndex", "0")) + 1
        return super().list(table, {**query, "startIndex": str(start)})


class Shuffled(Sane):
    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        if query.get("filter") or query.get("count") in {"1", "2"}:
            return super().list(table, query)
        self._turn = getattr(self, "_turn", 0) + 1
        shown = list(table.items())
        cut = self._turn % len(shown)
        return super().list(dict([*shown[cut:], *shown[:cut]]), query)


class NoAttributes(Sane):
    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        return self.refuse(400, "unknown parameter") if "attributes" in query else super().list(table, query)


class FilterIgnored(Sane):
    def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        return super().select(resources, expression) if expression.startswith("userName") else resources


class FilterRefused(Sane):
    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        return self.refuse(400, "no filters", "invalidFilter") if query.get("filter") else super().list(table, query)


class NobodyIs404(Sane):
    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        answer = super().list(table, query)
        empty = query.get("filter") and not answer.body["Resources"]  # type: ignore[index]
        return self.refuse(404, "nobody") if empty else answer


class ExactFilter(Sane):
    def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        found = super().select(resources, expression)
        wanted = json.loads(expression.partition(" eq ")[2])
        return [one for one in found if not expression.startswith("userName") or one["userName"] == wanted]


class Unversioned(Sane):
    versioned = False


class HeaderOnly(Sane):
    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        del shown["meta"]["version"]
        return shown


class MetaOnly(Sane):
    def headers(self, resource: Mapping[str, Any]) -> dict[str, str]:
        return {}


class Unguarded(Sane):
    def guards(self, identity: str, if_match: str) -> bool:
        return True


class RefusesItsOwn(Sane):
    def guards(self, identity: str, if_match: str) -> bool:
        return not if_match


class WantsVersions(Sane):
    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        if method in {"PATCH", "PUT", "DELETE"} and not if_match:
            return self.refuse(428, "give a version")
        return super().answer(method, path, query, body, if_match)


class NoPatch(Sane):
    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        return self.refuse(501, "no PATCH")


class Capital(Sane):
    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if any(one["op"] not in {"Add", "Replace", "Remove"} for one in body["Operations"]):
            return self.refuse(400, "unknown op", "invalidSyntax")
        return super().patch(resource, body, if_match)


class Pathless(Sane):
    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if any(one["op"] != "remove" and "path" in one for one in body["Operations"]):
            return self.refuse(400, "no paths here", "invalidPath")
        return super().patch(resource, body, if_match)


class NoValueFilters(Sane):
    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        kept = [o for o in operations if not (o.path and "[" in o.path and "members" not in o.path)]
        return super().carry_out(resource, kept)


class WipesOthers(Sane):
    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        changed = super().carry_out(resource, operations)
        for one in operations:
            if one.path and "[" in one.path and one.op == "replace":
                name = one.path.partition("[")[0]
                changed[name] = [e for e in changed[name] if e["value"] == one.value]
        return changed


class OneOperation(Sane):
    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        return super().patch(resource, {**body, "Operations": body["Operations"][:1]}, if_match)


class TenOperations(Sane):
    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if len(body["Operations"]) > 10:
            return self.refuse(400, "too many", "tooMany")
        return super().patch(resource, body, if_match)


class CreatedBare(Sane):
    def created(self, resource: Mapping[str, Any]) -> Answer:
        return Answer(201, None, {"Location": f"{self.address}/Users/{resource['id']}"})


class CreatedSilently(Sane):
    def created(self, resource: Mapping[str, Any]) -> Answer:
        return Answer(201)


class Demanding(Sane):
    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        lacking = table is self.users and not (body.get("displayName") and body.get("externalId"))
        return self.refuse(400, "something is missing", "invalidValue") if lacking else super().post(body, table)


class Doubles(Sane):
    unique = False


class HidesDisabled(Sane):
    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        return super().list({i: one for i, one in table.items() if one.get("active") is not False}, query)


class LosesDisabled(HidesDisabled):
    def get(self, resource: Mapping[str, Any]) -> Answer:
        return self.refuse(404, "no such user") if resource.get("active") is False else super().get(resource)


class KeepsDeleted(Sane):
    def delete(self, resource: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        resource["active"] = False
        return Answer(204)


class RefusesDeletion(Sane):
    def delete(self, resource: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        return self.refuse(403, "accounts are not deleted") if table is self.users else super().delete(resource, table)


class Odd(Sane):
    """externalId is immutable, nickName not kept, division hidden, addresses in small letters, userType unknown."""

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        kept = [o for o in operations if o.path not in {"externalId", "nickName"}]
        return self.formed(super().carry_out(resource, kept))

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if any(one.get("path") == "userType" for one in body["Operations"]):
            return self.refuse(400, "userType is unknown", "invalidPath")
        return super().patch(resource, body, if_match)

    def put(self, resource: Mapping[str, object], table: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
        dropped = {"nickName", "userType"}
        return super().put(self.formed({n: v for n, v in resource.items() if n not in dropped}), table)

    def formed(self, resource: dict[str, Any]) -> dict[str, Any]:
        mails = [{**mail, "value": mail["value"].lower()} for mail in resource.get("emails", [])]
        return {**resource, "emails": mails} if mails else resource

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        urn = next(iter(employed(1)))
        if urn in shown:
            shown[urn] = {name: value for name, value in shown[urn].items() if name != "division"}
        return shown


class FailsOnTheUnknown(Sane):
    """What it does not know is a 500."""

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        known = {"displayName", "userName", "active", "members", "name.givenName", "name.familyName", "name.formatted"}
        if any(str(one.get("path")).partition("[")[0] not in known for one in body["Operations"]):
            return self.refuse(500, "something went wrong")
        return super().patch(resource, body, if_match)

    def put(self, resource: Mapping[str, object], table: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
        known = {"id", "schemas", "displayName", "userName", "active", "members", "name", "externalId", "emails"}
        if "probe" not in str(resource.get("userName")):
            return super().put(resource, table)
        return super().put({n: v for n, v in resource.items() if n in known - {"externalId", "emails"}}, table)


class FixedLogin(Sane):
    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        return super().carry_out(resource, [o for o in operations if o.path != "userName"])


class SmallLogin(Sane):
    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        changed = super().carry_out(resource, operations)
        return {**changed, "userName": changed["userName"].lower()} if "userName" in changed else changed


class TextBooleans(Sane):
    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        return {**shown, "active": str(shown["active"])} if "active" in shown else shown

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        read = [Operation(o.op, o.path, o.value == "True") if o.path == "active" else o for o in operations]
        return super().carry_out(resource, read)


class Lagging(Sane):
    """A filter finds a new account from the third time on that it is asked for."""

    def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        found = super().select(resources, expression)
        self.looks = getattr(self, "looks", 0) + any("probe" in str(one.get("userName")) for one in found)
        return [one for one in found if self.looks > 2 or "probe" not in str(one.get("userName"))]


class NoGroups(Sane):
    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        if path.startswith("/Groups"):
            return self.refuse(404, "no groups here")
        return super().answer(method, path, query, body, if_match)


class NoNewGroups(Sane):
    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        return self.refuse(405, "no") if table is self.groups else super().post(body, table)


class HidesMembers(Sane):
    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in super().show(resource).items() if name != "members"}


class DoublesMembers(Sane):
    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        first = operations[0]
        if first.path == "members" and first.op == "add":
            return {**resource, "members": [*resource.get("members", []), *first.value]}  # type: ignore[misc]
        return super().carry_out(resource, operations)


class RefusesMembers(Sane):
    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        first = body["Operations"][0]
        held = {member["value"] for member in resource.get("members", [])}
        if first.get("path") == "members" and first["op"] == "add" and first["value"][0]["value"] in held:
            return self.refuse(409, "is a member", "uniqueness")
        return super().patch(resource, body, if_match)


class RemovesByValue(Sane):
    """A filter on members takes everybody out."""

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        first = operations[0]
        if first.op == "remove" and str(first.path).startswith("members"):
            gone = {one["value"] for one in first.value} if isinstance(first.value, list) else None
            left = [m for m in resource.get("members", []) if gone is not None and m["value"] not in gone]
            return {**resource, "members": left}
        return super().carry_out(resource, operations)


class Flat(Sane):
    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        first = body["Operations"][0]
        if first.get("path") == "members" and first["op"] == "add" and first["value"][0].get("type") == "Group":
            return self.refuse(400, "people only", "invalidValue")
        return super().patch(resource, body, if_match)


class PlainJson(Sane):
    media_type = "application/json"

    def take(self, handler: Any) -> Answer:
        if handler.headers.get("Content-Type") == "application/scim+json":
            handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
            return self.refuse(415, "application/json")
        return super().take(handler)


LISTS = {
    "accounts.immutable": ["externalId"],
    "accounts.hidden": ["enterprise:division"],
    "accounts.unkept": ["nickName"],
    "accounts.normalised": [MAIL],
}
MEMBERS = dict.fromkeys(("groups.members", "groups.add_twice", "groups.remove", "groups.nested"))
CASES: Sequence[tuple[type[Sane], Mapping[str, object]]] = [
    (Sane, {}),
    (Small, {"paging.largest": 5}),
    (FromZero, {"paging.first_index": 0}),
    (Shuffled, {"paging.stable": False}),
    (NoAttributes, {"reading.attributes": False}),
    (FilterIgnored, {"filters.attributes": ["userName"]}),
    (FilterRefused, {"filters.attributes": [], "filters.case_exact": None, "accounts.search_lag": None}),
    (NobodyIs404, {}),
    (ExactFilter, {"filters.case_exact": True}),
    (Unversioned, {"versions.concurrency": "compare", "versions.shown": "none"}),
    (HeaderOnly, {"versions.shown": "header"}),
    (MetaOnly, {"versions.shown": "meta"}),
    (Unguarded, {"versions.concurrency": "compare"}),
    (RefusesItsOwn, {"versions.concurrency": "compare"}),
    (WantsVersions, {}),
    (
        NoPatch,
        {"patch.served": False, "patch.op_case": None, "patch.paths": None, "patch.value_filters": None,
         "patch.keeps_others": None, "patch.operations": None, **MEMBERS},
    ),
    (Capital, {"patch.op_case": "title"}),
    (Pathless, {"patch.paths": "none"}),
    (NoValueFilters, {"patch.value_filters": False, "patch.keeps_others": None}),
    (WipesOthers, {"patch.keeps_others": False}),
    (OneOperation, {"patch.operations": 1}),
    (TenOperations, {"patch.operations": 10}),
    (CreatedBare, {"create.answers": "nothing"}),
    (CreatedSilently, {"create.answers": "nothing"}),
    (Demanding, {"create.required": ["displayName", "externalId", "userName"]}),
    (Doubles, {"create.unique_logins": False}),
    (HidesDisabled, {"accounts.disabled": "hidden"}),
    (LosesDisabled, {"accounts.disabled": "gone"}),
    (KeepsDeleted, {"accounts.deleted": "kept"}),
    (RefusesDeletion, {"accounts.deleted": "refused"}),
    (Odd, LISTS),
    (
        FailsOnTheUnknown,
        {"patch.value_filters": None, "patch.keeps_others": None, "accounts.phones_are_e164": None},
    ),
    (FixedLogin, {"accounts.immutable": ["userName"], "accounts.login_is_email": None}),
    (SmallLogin, {"accounts.normalised": ["userName"]}),
    (TextBooleans, {"accounts.booleans": "text"}),
    (Lagging, {"accounts.search_lag": [3.0, 12.0]}),
    (NoGroups, {"groups.served": False, **MEMBERS}),
    (NoNewGroups, MEMBERS),
    (HidesMembers, {**MEMBERS, "groups.members": "hidden"}),
    (DoublesMembers, {"groups.add_twice": "doubled"}),
    (RefusesMembers, {"groups.add_twice": "refused"}),
    (RemovesByValue, {"groups.remove": "value"}),
    (Flat, {"groups.nested": False}),
    (PlainJson, {"service.media_type": "application/json"}),
]  # fmt: skip


def target(url: str) -> TargetSettings:
    return TargetSettings(
        dialect=GENERIC, api_url=url, login_url="", client_id="", client_secret="", token="t", requests_per_minute=0
    )


def people(count: int = 30) -> list[dict[str, object]]:
    return [
        account(n, emails=[{"value": f"p{n}@x.org", "type": "work"}], **employed(n)) for n in range(1000, 1000 + count)
    ]


@dataclass
class Played:
    """A probe that was played, and the server after it."""

    provider: Sane
    probed: Probed
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, object]:
        return {entry: found.value for entry, found in self.probed.findings.found.items()}

    def others_untouched(self) -> None:
        """Nobody but what the probe made was written, changed or taken away."""
        stayed = {identity: one for identity, one in self.provider.users.items() if identity in self.before}
        assert stayed == self.before
        written = {
            one.path.rpartition("/")[2] for one in self.provider.asked if one.method in {"PATCH", "PUT", "DELETE"}
        }
        assert not written & self.before.keys()


def play(provider: Sane, folder: Path, *, writes: bool = True) -> Played:
    before = json.loads(json.dumps(provider.users))
    with serving(provider) as url:
        probed = asyncio.run(probing.probe(Subject(target(url), folder / ".scimsync"), writes=writes))
    return Played(provider, probed, before)


@pytest.mark.parametrize(("kind", "otherwise"), CASES, ids=[kind.__name__ for kind, _ in CASES])
def test_every_entry_is_found_and_nothing_is_left_behind(
    kind: type[Sane], otherwise: Mapping[str, object], tmp_path: Path
) -> None:
    played = play(kind(*people()), tmp_path)
    wanted = {**TRUTH, **otherwise}
    open_ = {entry for entry, value in otherwise.items() if value is None}
    assert played.values == {entry: value for entry, value in wanted.items() if entry not in open_}
    assert open_ <= played.probed.findings.unknown.keys() | ({*MEMBERS} if kind is NoGroups else set())
    played.others_untouched()
    if kind in {KeepsDeleted, RefusesDeletion}:
        assert played.probed.left
        assert all(one["active"] is False for one in played.provider.mine)
    else:
        assert played.provider.mine == []
        assert not played.probed.left
    assert not list(tmp_path.rglob("probe-*.json"))
    dialect = parse_dialect(probing.dialect_text(played.probed, "found"), "found.toml")
    assert dialect.grounds["patches"].certainty.value == "observed" or not played.values.get("patch.served")


def test_without_write_nothing_but_get_is_sent_and_reading_tells_the_rest(tmp_path: Path) -> None:
    played = play(Small(*people()), tmp_path, writes=False)
    assert {one.method for one in played.provider.asked} == {"GET"}
    assert played.values["paging.largest"] == 5
    assert played.values["filters.case_exact"] is False
    assert not played.values.keys() & {"patch.served", "create.answers", "versions.concurrency", "groups.members"}
    assert len(played.provider.asked) == played.probed.requests <= 45


def test_the_evidence_names_no_person_no_id_and_no_token(tmp_path: Path) -> None:
    played = play(Odd(*people()), tmp_path)
    text = probing.dialect_text(played.probed, "acme") + json.dumps(list(played.probed.findings.remarks))
    held = [*played.before, *(str(one["userName"]) for one in played.before.values()), "p1000", "P1000", "Bearer"]
    assert [word for word in held if word in text] == []
    assert "scimsync-probe-" not in text
    assert text.count('observed = "20') == len(played.values) - list(played.values.values()).count(None)


def test_an_empty_directory_is_probed_by_what_was_made(tmp_path: Path) -> None:
    played = play(Sane(), tmp_path)
    assert played.values["filters.attributes"] is None
    assert played.values["patch.served"] is True
    assert played.values["accounts.disabled"] == "shown"
    assert "paging.first_index" in played.probed.findings.unknown
    assert played.provider.users == {}


def test_a_base_below_the_address_is_found(tmp_path: Path) -> None:
    class Below(Sane):
        def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
            if not path.startswith("/scim/v2/"):
                return Answer(404, scim_error(404, "nothing is here"))
            return super().answer(method, path.removeprefix("/scim/v2"), query, body, if_match)

    played = play(Below(*people()), tmp_path)
    assert played.probed.url.endswith("/scim/v2")
    assert played.values["patch.served"] is True
    assert played.provider.mine == []


def test_a_refused_token_ends_it_with_what_to_check(tmp_path: Path) -> None:
    class Closed(Sane):
        def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
            return self.refuse(403, "you may not")

    with pytest.raises(TargetDenied, match=r"403.*Check the token"):
        play(Closed(), tmp_path)


# --- nobody else is touched -------------------------------------------------------------------------


class AnswersWithSomebody(Sane):
    """A creation is answered with the account of somebody else."""

    def created(self, resource: Mapping[str, Any]) -> Answer:
        return super().created(next(iter(self.users.values())))


class GivesTheIdAway(Sane):
    """Once it is made, the id of what was made belongs to somebody else."""

    def get(self, resource: Mapping[str, Any]) -> Answer:
        shown = super().get(resource)
        if len(self.sent("PATCH")) > 3 and "probe" in str(resource.get("userName")).lower():
            return Answer(200, {**self.show(next(iter(self.users.values()))), "id": resource["id"]})
        return shown


class MakesNobody(Sane):
    """A creation answers 201 with an id that is nobody's."""

    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        return Answer(201, {"id": "nobody", **body})


@pytest.mark.parametrize("kind", [AnswersWithSomebody, GivesTheIdAway, MakesNobody])
def test_nobody_is_written_whom_the_probe_did_not_make(kind: type[Sane], tmp_path: Path) -> None:
    played = play(kind(*people()), tmp_path)
    played.others_untouched()
    if kind is MakesNobody:
        assert {one.method for one in played.provider.asked} == {"GET", "POST"}
    else:
        assert played.probed.stopped
        assert played.probed.left or not played.provider.mine


def test_the_cap_ends_a_probe_and_what_was_made_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "WRITES", 90)
    played = play(Sane(*people()), tmp_path)
    assert "cap of 90" in played.probed.stopped
    assert played.probed.requests <= 90
    assert played.provider.mine == []


def test_notes_are_private_and_hold_the_name_before_the_creation_leaves(tmp_path: Path) -> None:
    seen: list[tuple[int, list[Any]]] = []

    class Watching(Sane):
        def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
            [notes] = (tmp_path / ".scimsync").glob("probe-*.json")
            seen.append((stat.S_IMODE(notes.stat().st_mode), json.loads(notes.read_text())))
            assert any(
                str(body[name]) == one["name"]
                for one in seen[-1][1]
                for name in ("userName", "displayName")
                if name in body
            )
            return super().post(body, table)

    play(Watching(*people()), tmp_path)
    assert len(seen) > 2
    assert {mode for mode, _ in seen} == {0o600}
    assert stat.S_IMODE((tmp_path / ".scimsync").stat().st_mode) == 0o700


def test_notes_that_cannot_be_read_stop_a_probe_before_anything_is_made(tmp_path: Path) -> None:
    provider = Sane(*people())
    folder = tmp_path / ".scimsync"
    folder.mkdir(mode=0o700)
    with serving(provider) as url:
        subject = Subject(target(url), folder)
        asyncio.run(probing.probe(subject, writes=False))
        digest = hashlib.sha256(url.encode()).hexdigest()[:16]
        notes = folder / f"probe-{digest}.json"
        notes.touch(mode=0o600)
        notes.write_text("{")
        with pytest.raises(StoreError, match="scimsync-probe-"):
            asyncio.run(probing.probe(subject, writes=True))
    assert {one.method for one in provider.asked} == {"GET"}


def test_a_group_that_has_the_id_of_an_account_is_not_taken_for_it(tmp_path: Path) -> None:
    class Counting(Sane):
        """Accounts and groups are counted each by themselves."""

        def put(self, resource: Mapping[str, object], table: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
            self.made = getattr(self, "made", {})
            kind = "group" if table is self.groups and table is not self.users else "user"
            self.made[kind] = self.made.get(kind, 0) + 1
            return super().put({"id": str(self.made[kind]), **resource}, table)

        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            catalog = GENERIC.users if "userName" in resource else GROUPS
            return apply(resource, operations, catalog, create_on_replace=True)

    played = play(Counting(), tmp_path)
    assert not played.probed.stopped
    assert played.values["accounts.disabled"] == "shown"
    assert played.values["groups.remove"] == "filter"
    assert not played.provider.users
    assert not played.provider.groups


def test_nobody_is_put_into_a_group_who_has_the_id_of_a_group(tmp_path: Path) -> None:
    class Shared(Sane):
        """The first groups have the ids of the first accounts."""

        def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
            if table is self.groups:
                body = {"id": list(self.users)[len(self.groups)], **body}
            return super().post(body, table)

        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            catalog = GENERIC.users if "userName" in resource else GROUPS
            return apply(resource, operations, catalog, create_on_replace=True)

    played = play(Shared(*people()), tmp_path)
    assert "a group has the id of an account" in played.probed.findings.unknown["groups.nested"]
    added = [one.body for one in played.provider.sent("PATCH", "/Groups")]
    assert not [identity for identity in played.before if f'"{identity}"' in json.dumps(added)]

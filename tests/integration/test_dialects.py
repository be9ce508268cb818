"""Whole runs against servers that take one form only, with a dialect file that says so."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.servers import ATTRIBUTES, WORK_EMAIL, Answer, Firm, Provider, account, codes, firm, last

from scimsync.errors import ConfigError
from scimsync.model.outcomes import Status
from scimsync.scim.messages import Operation

GIVEN = "name.givenName"
DEPARTMENT = "enterprise:department"
MAPPED = {**ATTRIBUTES, WORK_EMAIL: "mail", GIVEN: "given", DEPARTMENT: "unit"}


def speak(it: Firm, entries: Mapping[str, object], *, attributes: Mapping[str, str] = MAPPED, policy: str = "") -> None:
    """Give the firm a dialect file of these entries."""
    lines = ['name = "acme"']
    for name, value in entries.items():
        table, _, key = name.partition(".")
        lines.append(f"[{table}]" if f"[{table}]" not in lines else "")
        lines.append(f'{key} = {{ value = {json.dumps(value)}, observed = "2026-11-27: in this test" }}')
    (it.folder / "acme.toml").write_text("\n".join(lines), encoding="utf-8")
    it.configure(attributes, policy=policy)
    file = it.folder / "scimsync.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('dialect = "generic"', 'dialect = "file:acme.toml"'), encoding="utf-8")


def person(identity: int, **more: object) -> dict[str, object]:
    return {"id": identity, "mail": f"m{identity}@x.org", "given": f"G{identity}", "unit": "Sales", **more}


def play_a_year(it: Firm) -> None:
    """Somebody comes, moves, leaves and comes back, and after each day nothing is left to do."""
    for day in (
        [person(1), person(2)],
        [person(1, mail="new@x.org", title="Boss", given="New", unit="Law"), person(2, status="left")],
        [person(1, mail="new@x.org", title="Boss", given="New", unit="Law"), person(2), person(3)],
    ):
        it.hr(*day)
        _, report = it.sync()
        assert report.clean
        it.quiet()
    kept = it.provider.named("p1@x.org")[0]
    assert (kept["title"], kept["name"]["givenName"]) == ("Boss", "New")
    assert {one["value"] for one in kept["emails"]} >= {"new@x.org"}
    assert {str(one["active"]).lower() for one in it.provider.users.values()} == {"true"}


class WholeLists(Provider):
    """Takes no path that selects, and no `add`."""

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        assert not any("[" in str(one.path) or one.op == "add" for one in operations)
        return super().carry_out(resource, operations)


@pytest.mark.parametrize("versioned", [True, False])
def test_where_nothing_can_be_selected_the_whole_list_is_written_and_keeps_what_others_put_there(
    tmp_path: Path, versioned: bool
) -> None:
    provider = WholeLists(account(1, emails=[{"type": "home", "value": "home@x.org"}]))
    provider.versioned = versioned
    with firm(tmp_path, provider) as it:
        speak(it, {"patch.value_filters": False})
        play_a_year(it)
        assert {"type": "home", "value": "home@x.org"} in provider.named("p1@x.org")[0]["emails"]


def test_who_is_edited_between_plan_and_apply_is_planned_again_before_a_whole_list_is_written(tmp_path: Path) -> None:
    provider = WholeLists(account(1, emails=[{"type": "work", "value": "m1@x.org"}]))
    with firm(tmp_path, provider) as it:
        speak(it, {"patch.value_filters": False})
        it.hr(person(1))
        it.sync()
        it.hr(person(1, mail="new@x.org"))
        made = it.plan()
        held = [*provider.users["u0001"]["emails"], {"type": "home", "value": "home@x.org"}]
        provider.edit("u0001", emails=held)
        assert it.apply(made.id).clean
        assert sorted(one["value"] for one in provider.users["u0001"]["emails"]) == ["home@x.org", "new@x.org"]


class Peculiar(Provider):
    """Wants capitals, no paths, booleans as texts, and plain JSON."""

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        if method == "POST":
            assert body["active"] in {"true", "false"}
        return super().answer(method, path, query, body, if_match)

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        for one in body["Operations"]:
            assert one["op"] in {"Add", "Replace", "Remove"}
            assert "path" not in one or "[" in one["path"] or one["op"] == "Remove"
            assert "true" not in json.dumps(one["value"]).replace('"true"', "") if "value" in one else True
        return super().patch(resource, body, if_match)

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        plain = json.loads(
            json.dumps([one.to_json() for one in operations]).replace('"true"', "true").replace('"false"', "false")
        )
        again = [Operation(one["op"], one.get("path"), one.get("value")) for one in plain]
        return super().carry_out(resource, again)

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        return super().show({**resource, "active": str(resource["active"]).lower()})


def test_operations_are_said_as_the_dialect_has_them(tmp_path: Path) -> None:
    provider = Peculiar(account(1, active="true"))
    entries = {
        "service.media_type": "application/json",
        "patch.op_case": "title",
        "patch.paths": "none",
        "accounts.booleans": "text",
    }
    with firm(tmp_path, provider) as it:
        speak(it, entries)
        play_a_year(it)
        sent = [one for one in provider.asked if one.body is not None]
        assert {one.headers["Content-Type"] for one in sent} == {"application/json"}


class NoPatch(Provider):
    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        if method != "PUT":
            return super().answer(method, path, query, body, if_match)
        held = self.users[path.rpartition("/")[2]]
        if not self.guards(held["id"], if_match):
            return self.refuse(412, "the version has moved")
        identity = held["id"]
        held.clear()
        held.update({name: value for name, value in body.items() if name != "meta"}, id=identity)
        self.changes[identity] += 1
        return self.patched(held)


def test_where_the_dialect_knows_of_no_patch_none_is_tried(tmp_path: Path) -> None:
    provider = NoPatch(account(1, nickName="Ann"))
    with firm(tmp_path, provider) as it:
        speak(it, {"patch.served": False})
        play_a_year(it)
        assert not provider.sent("PATCH")
        assert provider.named("p1@x.org")[0]["nickName"] == "Ann"


class Forgetful(Provider):
    """Takes a title and keeps none."""

    def put(self, resource: Mapping[str, object], table: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
        return super().put({name: value for name, value in resource.items() if name != "title"}, table)

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        changed = super().carry_out(resource, operations)
        changed.pop("title", None)
        return changed


def test_what_the_directory_does_not_keep_is_told_once_and_written_to_nobody(tmp_path: Path) -> None:
    provider = Forgetful(account(1), account(2))
    with firm(tmp_path, provider) as it:
        speak(it, {"accounts.unkept": ["title"]}, attributes=ATTRIBUTES)
        it.hr({"id": 1, "title": "Boss"}, {"id": 2, "name": "New"}, {"id": 3})
        made, report = it.sync()
        assert report.clean
        assert [one.subject for one in made.findings if one.code == "attribute.unkept"] == ["title"]
        assert "title" not in json.dumps([one.body for one in provider.asked])
        it.quiet()
        assert "the directory does not keep it" in it.command("doctor").out


def test_an_immutable_path_is_written_at_creation_alone(tmp_path: Path) -> None:
    provider = Provider(account(1))
    with firm(tmp_path, provider) as it:
        speak(it, {"accounts.immutable": ["title"]}, attributes=ATTRIBUTES)
        it.hr({"id": 1, "title": "Boss"}, {"id": 2, "title": "Clerk"})
        made, report = it.sync()
        assert report.clean
        assert "attribute.immutable" in codes(made)
        assert [provider.named(f"p{n}@x.org")[0]["title"] for n in (1, 2)] == ["T", "Clerk"]


def test_who_lacks_what_no_account_is_made_without_waits(tmp_path: Path) -> None:
    provider = Provider()
    with firm(tmp_path, provider) as it:
        speak(it, {"create.required": ["userName", GIVEN, "locale"]})
        it.hr(person(1), person(2, given=""))
        made, _ = it.sync()
        assert [(one.code, one.subject, one.detail) for one in made.findings if one.code == "record.incomplete"] == [
            ("record.incomplete", "2", GIVEN)
        ]
        assert [one["userName"] for one in provider.users.values()] == ["p1@x.org"]
        assert "locale is not mapped, and no account is made without it" in it.command("doctor").out


class Particular(Provider):
    """Counts from 0, refuses `attributes`, and answers a filter it does not know with everybody."""

    page = 2

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        assert "attributes" not in query
        assert "externalId" not in query.get("filter", "")
        return super().list(table, {**query, "startIndex": str(int(query["startIndex"]) + 1)})


def test_a_listing_is_read_as_the_dialect_says(tmp_path: Path) -> None:
    provider = Particular(*(account(number) for number in range(1, 6)))
    entries = {
        "paging.first_index": 0,
        "paging.largest": 2,
        "paging.stable": False,
        "reading.attributes": False,
        "filters.attributes": ["userName"],
        "discovery.served": [],
    }
    with firm(tmp_path, provider) as it:
        speak(it, entries, attributes=ATTRIBUTES)
        it.hr(*({"id": number} for number in range(1, 8)))
        _, report = it.sync()
        assert report.clean
        assert len(provider.users) == 7
        assert {one.query.get("count") for one in provider.sent("GET", "/Users") if "filter" not in one.query} == {"2"}
        assert not provider.sent("GET", "/Schemas")
        it.quiet()


def test_a_filter_that_tells_capitals_apart_proves_nothing(tmp_path: Path) -> None:
    class Exact(Provider):
        def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
            raise AssertionError(expression)

    provider = Exact(account(1))
    with firm(tmp_path, provider) as it:
        speak(it, {"filters.case_exact": True, "filters.attributes": ["userName"]}, attributes=ATTRIBUTES)
        it.hr({"id": 1}, {"id": 2})
        _, report = it.sync()
        assert last(report, 2).status is Status.DONE


@pytest.mark.parametrize("deleted", ["kept", "refused"])
def test_leavers_are_not_deleted_where_the_provider_does_not_delete(tmp_path: Path, deleted: str) -> None:
    with firm(tmp_path, Provider()) as it:
        speak(it, {"accounts.deleted": deleted}, policy='leavers = "delete"\nleavers_after = "30d"')
        with pytest.raises(ConfigError, match='write "disable"'):
            it.plan()


def test_groups_in_groups_are_not_kept_where_the_provider_takes_none(tmp_path: Path) -> None:
    with firm(tmp_path, Provider()) as it:
        speak(it, {"groups.nested": False})
        file = it.folder / "scimsync.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(f'{text}\n[groups]\npath = "members.csv"\nnested = "keep"\n', encoding="utf-8")
        with pytest.raises(ConfigError, match='write "flatten"'):
            it.plan()


def test_a_plan_is_bound_to_what_the_dialect_file_says(tmp_path: Path) -> None:
    provider = Provider(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        speak(it, {"patch.served": True}, attributes=ATTRIBUTES)
        it.hr({"id": 1})
        made = it.plan()
        speak(it, {"patch.served": False}, attributes=ATTRIBUTES)
        said = it.command("apply", made.id, "--yes")
        assert said.code == 4
        assert not provider.sent("PUT")

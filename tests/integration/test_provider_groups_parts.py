"""Whole runs against servers that show a part of the members of a group, or none, and that take them out otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.integration.test_provider_groups import TEAM, members, provider_of, teams
from tests.servers import Answer, Firm, Provider, codes, firm

from scimsync.model.reports import Report
from scimsync.scim.messages import Operation

NAMES = tuple(map(str, range(60)))


class Cut(Provider):
    """Shows the members of a group up to a number; `first` says which. Its version moves where something changes."""

    cap = 20
    newest = False

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        if "members" in shown:
            listed = shown["members"]
            shown["members"] = listed[len(listed) - self.cap :] if self.newest and self.cap else listed[: self.cap]
        return shown

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        changed = super().carry_out(resource, operations)
        if changed == resource:
            self.changes[resource["id"]] -= 1
        return changed


def group_writes(provider: Provider) -> int:
    return len(provider.sent("PATCH", "/Groups"))


def outcomes(report: Report) -> set[str]:
    return {outcome.code for outcome in report.outcomes.get("group:Agents", ())}


def still(it: Firm) -> None:
    """Assert that another night sends nothing to groups."""
    before = group_writes(it.provider)
    it.sync()
    assert group_writes(it.provider) == before


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("cap", [0, 20])
@pytest.mark.parametrize("newest", [False, True])
def test_who_was_added_to_a_list_that_ends_early_is_added_once_and_can_leave(
    tmp_path: Path, versioned: bool, cap: int, newest: bool
) -> None:
    provider = provider_of(Cut, 40, {"Agents": range(20 if cap else 0)})
    provider.versioned, provider.cap, provider.newest = versioned, cap, newest  # type: ignore[attr-defined]
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": range(20, 35)}, 40)
        _, report = it.sync()
        is_seen = newest and cap > 0  # those whom others put there have made room
        assert outcomes(report) == {"" if is_seen else "group.partial"}
        there = {str(n) for n in range(20 if cap else 0)}
        assert members(provider, "Agents") == there | {str(n) for n in range(20, 35)}
        still(it)
        teams(it, {"Agents": range(20, 32)}, 40)
        it.sync()
        assert members(provider, "Agents") == there | {str(n) for n in range(20, 32)}
        still(it)
        assert ("group.partial" in codes(it.plan())) is not is_seen


def test_who_was_in_a_cut_list_before_is_not_added_each_night(tmp_path: Path) -> None:
    provider = provider_of(Cut, 150, {"Agents": range(150)})
    provider.cap = 100  # type: ignore[attr-defined]
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": range(150)}, 150)
        it.sync()
        still(it)
        teams(it, {"Agents": range(148)}, 150)
        it.sync()
        assert members(provider, "Agents") == {str(n) for n in range(148)}


@pytest.mark.parametrize("cap", [0, 20])
def test_whom_hr_drops_while_the_list_gets_cut_leaves_all_the_same(tmp_path: Path, cap: int) -> None:
    provider = provider_of(Cut, 30, {"Agents": range(25)})
    provider.cap = 100  # type: ignore[attr-defined]
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": range(25)}, 30)
        it.sync()
        provider.cap = cap  # type: ignore[attr-defined]
        teams(it, {"Agents": range(23)}, 30)
        it.sync()
        assert members(provider, "Agents") == {str(n) for n in range(23)}
        still(it)
        provider.cap = 100  # type: ignore[attr-defined]
        made, _ = it.sync()
        assert "group.partial" not in codes(made)
        still(it)


def test_whom_others_put_into_a_group_that_shows_nobody_stays(tmp_path: Path) -> None:
    provider = provider_of(Cut, 5, {"Agents": [0, 1]})
    provider.cap = 0  # type: ignore[attr-defined]
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM + 'others = "remove"\n')
        teams(it, {"Agents": [2, 3]}, 5)
        it.sync()
        teams(it, {"Agents": [3]}, 5)
        it.sync()
        assert members(provider, "Agents") == {"0", "1", "3"}


def test_an_account_that_says_it_is_in_no_such_group_is_no_member(tmp_path: Path) -> None:
    class Deaf(Cut):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            return {**resource} if resource["id"] in self.groups else super().carry_out(resource, operations)

    provider = provider_of(Deaf, 5, {"Agents": []})
    for user in provider.users.values():
        user["groups"] = [{"value": "another"}]
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": [2]}, 5)
        _, report = it.sync()
        assert outcomes(report) == {"write.mismatch"}


class Shy(Provider):
    """Shows members only where they are asked for."""

    asked_for = False

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        self.asked_for = "members" in query.get("attributes", "")
        return super().answer(method, path, query, body, if_match)

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        return shown if self.asked_for else {name: held for name, held in shown.items() if name != "members"}


@pytest.mark.parametrize("versioned", [True, False])
def test_members_that_are_shown_only_where_they_are_asked_for_are_asked_for(tmp_path: Path, versioned: bool) -> None:
    provider = provider_of(Shy, 6, {"Agents": [0, 1], "Sales": []})
    provider.versioned = versioned
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": [1, 2, 3], "Sales": [4]}, 6)
        _, report = it.sync()
        assert report.clean
        it.quiet()
        teams(it, {"Agents": [3], "Sales": [4]}, 6)
        _, report = it.sync()
        assert report.clean
        assert members(provider, "Agents") == {"0", "3"}


def test_who_is_shown_only_on_request_leaves_also_after_many_groups_of_nobody(tmp_path: Path) -> None:
    empty = [f"A{n:02d}" for n in range(30)]
    provider = provider_of(Shy, 3, {**dict.fromkeys(empty, ()), "Sales": [1], "Zoo": [0, 2]})
    with firm(tmp_path, provider) as it:
        it.configure(more=f"{TEAM}managed = {json.dumps([*empty, 'Sales', 'Zoo'])}\n")
        teams(it, {"Sales": [1], "Zoo": [0, 2]}, 3)
        it.sync()
        teams(it, {"Sales": [1], "Zoo": [2]}, 3)
        it.sync()
        assert members(provider, "Zoo") == {"2"}


class ByLogin(Provider):
    """Shows members by login, and serves an account under its login too."""

    #: what it answers to that; 200 where all is well
    status = 200

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        if "members" in shown:
            shown["members"] = [{"value": self.users[one["value"]]["userName"]} for one in shown["members"]]
        return shown

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        if (login := unquote(path.removeprefix("/Users/"))) != path and (named := self.named(login)):
            return self.get(named[0]) if self.status == 200 else self.refuse(self.status, "not now")
        return super().answer(method, path, query, body, if_match)


@pytest.mark.parametrize("status", [403, 404, 501])
def test_whoever_has_to_leave_and_whom_nobody_can_name_is_not_taken_for_gone(tmp_path: Path, status: int) -> None:
    provider = provider_of(ByLogin, 5, {"Agents": []})
    with firm(tmp_path, provider) as it:
        it.configure(more=f'{TEAM}others = "keep"\n')
        teams(it, {"Agents": range(5)}, 5)
        it.sync()
        teams(it, {"Agents": range(4)}, 5)
        made = it.plan()
        provider.status = status  # type: ignore[attr-defined]
        report = it.apply(made.id)
        assert outcomes(report) == {"group.foreign-ids"}
        assert not report.clean
        assert members(provider, "Agents") == set("01234")
        provider.status = 200  # type: ignore[attr-defined]
        it.sync()
        assert members(provider, "Agents") == set("0123")


def test_a_group_is_not_read_where_nobody_says_now_who_its_members_are(tmp_path: Path) -> None:
    provider = provider_of(ByLogin, 3, {"Agents": [0, 1, 2]})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": [0, 1]}, 3)
        provider.status = 500  # type: ignore[attr-defined]
        made = it.plan()
        assert "group.unread" in codes(made)
        assert made.groups == ()


class ByValue(Provider):
    """Takes members out by value; of a filter in the path it takes no notice."""

    answers: Callable[[ByValue], Answer | None] = staticmethod(lambda _: None)
    wipes = False

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if resource["id"] in self.groups and any("[" in o.get("path", "") for o in body["Operations"]):
            refused = self.refused()
            if refused is not None:
                return refused
        return super().patch(resource, body, if_match)

    def refused(self) -> Answer | None:
        return None

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        if resource["id"] not in self.groups:
            return super().carry_out(resource, operations)
        held = list(resource["members"])
        for one in operations:
            named = [member["value"] for member in one.value or []] if isinstance(one.value, list) else []
            if one.op == "add":
                held += [{"value": name} for name in named if {"value": name} not in held]
            elif one.path == "members":
                held = [] if self.wipes else [member for member in held if member["value"] not in named]
        return {**resource, "members": held}


class Refusing(ByValue):
    def refused(self) -> Answer | None:
        return self.refuse(400, "no filters in paths", "invalidPath")


class Wiping(ByValue):
    wipes = True


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("kind", [ByValue, Refusing, Wiping])
def test_members_leave_in_the_way_that_the_target_heeds_and_nobody_else_does(
    tmp_path: Path, kind: type[ByValue], versioned: bool
) -> None:
    provider = provider_of(kind, 8, {"Agents": [0, 1, 2, 3], "Sales": [0, 1, 2, 3]})
    provider.versioned = versioned
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": [1, 2, 3], "Sales": [1, 2, 3]}, 8)
        it.sync()
        teams(it, {"Agents": [1, 4], "Sales": [1, 5]}, 8)
        said = it.command("sync")
        assert said.code == 0, said.out
        assert "members are removed by value" in said.err
        assert members(provider, "Agents") == {"0", "1", "4"}
        assert members(provider, "Sales") == {"0", "1", "5"}
        it.quiet()


def test_a_way_that_works_no_better_is_tried_once(tmp_path: Path) -> None:
    class Keeping(ByValue):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            added = [one for one in operations if one.op == "add"]
            return super().carry_out(resource, added if resource["id"] in self.groups else operations)

    groups = {name: [0, 1] for name in "abcdef"}
    provider = provider_of(Keeping, 4, groups)
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, groups, 4)
        it.sync()
        teams(it, {name: [0] for name in groups}, 4)
        _, report = it.sync()
        assert {report.outcomes[f"group:{name}"][-1].code for name in groups} == {"write.mismatch"}
        by_value = [
            asked
            for asked in provider.sent("PATCH", "/Groups")
            if asked.body["Operations"][0].get("path") == "members" and asked.body["Operations"][0]["op"] == "remove"
        ]
        assert len(by_value) <= 2 * len(groups)  # those that are at work meanwhile may meet it once more
        assert all(members(provider, name) == {"0", "1"} for name in groups)


def test_a_member_who_is_refused_because_they_are_one_counts_as_one(tmp_path: Path) -> None:
    class Strict(Cut):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            held = {member["value"] for member in resource.get("members", [])}
            self.doubles = any(
                member["value"] in held
                for one in operations
                if one.op == "add" and one.path == "members"
                for member in one.value  # type: ignore[union-attr]
            )
            return super().carry_out(resource, operations)

        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            before, version = {**resource}, self.changes[resource["id"]]
            answer = super().patch(resource, body, if_match)
            if resource["id"] in self.groups and self.doubles:
                resource.clear()
                resource.update(before)
                self.changes[resource["id"]] = version
                return self.refuse(409, "the member already exists")
            return answer

    provider = provider_of(Strict, 40, {"Agents": range(30)})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": range(33)}, 40)
        _, report = it.sync()
        assert outcomes(report) == {"group.partial"}
        assert members(provider, "Agents") == {str(n) for n in range(33)}
        still(it)


@pytest.mark.parametrize("status", [403, 404, 405, 500, 501])
def test_people_are_kept_where_groups_cannot_be_read(tmp_path: Path, status: int) -> None:
    class Groupless(Provider):
        def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
            if path.startswith("/Groups"):
                return self.refuse(status, "no groups here")
            return super().answer(method, path, query, body, if_match)

    provider = provider_of(Groupless, 2, {})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        it.hr({"id": 0, "status": "left", "team": "Agents"}, {"id": 1, "title": "New", "team": "Agents"})
        said = it.command("sync")
        assert said.code == 11, said.out
        assert provider.named("p0@x.org")[0]["active"] is False
        assert provider.named("p1@x.org")[0]["title"] == "New"


DIALECT = """name = "ours"
title = "Ours"
[groups]
members = {{ value = "{members}", observed = "2026-11-27: GET /Groups/g" }}
cap = {{ value = {cap}, observed = "2026-11-27: GET /Groups/g" }}
remove = {{ value = "{remove}", observed = "2026-11-27: PATCH /Groups/g" }}
"""


def speaks(it: Firm, members: str, cap: int = 0, remove: str = "filter") -> None:
    """Give the target a dialect of its own."""
    text = DIALECT.format(members=members, cap=cap, remove=remove)
    (it.folder / "ours.toml").write_text(text, encoding="utf-8")
    it.configure(more=TEAM)
    config = it.folder / "scimsync.toml"
    written = config.read_text(encoding="utf-8").replace('dialect = "generic"', 'dialect = "file:ours.toml"')
    config.write_text(written, encoding="utf-8")


@pytest.mark.parametrize(("told", "cap"), [("hidden", 0), ("capped", 7), ("capped", 0)])
def test_a_dialect_that_says_what_is_not_shown_makes_no_trouble_of_it(tmp_path: Path, told: str, cap: int) -> None:
    provider = provider_of(Cut, 30, {"Agents": range(8)})
    provider.cap = 7 if told == "capped" else 0  # type: ignore[attr-defined]
    with firm(tmp_path, provider) as it:
        speaks(it, told, cap)
        teams(it, {"Agents": range(8, 20)}, 30)
        said = it.command("sync")
        assert said.code == 0, said.out
        assert members(provider, "Agents") == {str(n) for n in range(20)}
        still(it)
        teams(it, {"Agents": range(8, 18)}, 30)
        said = it.command("sync")
        assert said.code == 0, said.out
        assert members(provider, "Agents") == {str(n) for n in range(18)}
        still(it)
        found = [finding for finding in it.plan().findings if finding.code == "group.partial"]
        assert len(found) == 1


def test_a_dialect_that_says_how_members_leave_is_heeded_at_once(tmp_path: Path) -> None:
    provider = provider_of(ByValue, 5, {"Agents": [0, 1, 2]})
    with firm(tmp_path, provider) as it:
        speaks(it, "shown", remove="value")
        teams(it, {"Agents": [1, 2]}, 5)
        it.sync()
        teams(it, {"Agents": [2]}, 5)
        _, report = it.sync()
        assert report.clean
        sent = provider.sent("PATCH", "/Groups")
        assert [asked.body["Operations"] for asked in sent] == [
            [{"op": "remove", "path": "members", "value": [{"value": provider.named("p1@x.org")[0]["id"]}]}]
        ]


def test_a_group_that_was_made_anew_is_another_one_with_the_same_people(tmp_path: Path) -> None:
    provider = provider_of(Provider, 5, {"Agents": [0, 1]})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": [1, 2]}, 5)
        it.sync()
        former = provider.groups.pop("Agents")
        provider.put({**former, "id": "anew", "displayName": "AGENTS"}, provider.groups)
        made, report = it.sync()
        assert report.clean
        assert made.groups == ()
        teams(it, {"Agents": [2]}, 5)
        it.sync()
        assert members(provider, "anew") == {"0", "2"}


@pytest.mark.parametrize(
    "shown",
    [
        lambda members: [{**one, "type": "User"} for one in members],
        lambda members: [{"Value": one["value"], "TYPE": "user"} for one in members],
        lambda members: [*members, *members],
        lambda members: [{"$ref": f"https://other.example/v2/Users/{one['value']}"} for one in members],
    ],
)
def test_members_are_read_however_they_are_told(
    tmp_path: Path, shown: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> None:
    class Told(Provider):
        def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
            told = super().show(resource)
            if "members" in told:
                told["Members"] = shown(told.pop("members"))
            return told

    provider = provider_of(Told, 5, {"Agents": [0, 1], "Inner": []})
    provider.groups["Agents"]["members"].append({"value": "Inner"})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": [1, 2]}, 5)
        it.sync()
        teams(it, {"Agents": [2]}, 5)
        _, report = it.sync()
        assert report.clean
        listed = [member["value"] for member in provider.groups["Agents"]["members"]]
        assert "Inner" in listed
        assert len(listed) == 3


class Owned(Cut):
    """Lets nobody take out the owner of a group."""

    owner = ""

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if self.owner and any(o["op"] == "remove" and self.owner in json.dumps(o) for o in body["Operations"]):
            return self.refuse(400, "the owner cannot be removed", "invalidValue")
        return super().patch(resource, body, if_match)


def test_who_is_not_seen_and_cannot_be_taken_out_is_told_each_night(tmp_path: Path) -> None:
    provider = provider_of(Owned, 30, {"Agents": range(20)})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": range(30)}, 30)
        it.sync()
        still(it)
        provider.owner = provider.named("p29@x.org")[0]["id"]  # type: ignore[attr-defined]
        teams(it, {"Agents": range(29)}, 30)
        for _ in range(2):
            _, report = it.sync()
            assert outcomes(report) == {"target.refused"}
        provider.owner = ""  # type: ignore[attr-defined]
        it.sync()
        assert members(provider, "Agents") == {str(n) for n in range(29)}

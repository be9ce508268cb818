"""Whole runs against other people's servers whose groups depart from the RFC in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.servers import Answer, Firm, Provider, account, codes, firm

from scimsync.model.outcomes import Status
from scimsync.scim.messages import Operation

TEAM = '[groups]\ncolumn = "team"\n'


def provider_of(kind: type[Provider], people: int, groups: Mapping[str, Sequence[int]]) -> Provider:
    """People 0, 1, 2 ..., and groups of some of them."""
    made = kind(*(account(number) for number in range(people)))
    ids = [user["id"] for user in made.users.values()]
    for name, members in groups.items():
        made.put({"id": name, "displayName": name, "members": [{"value": ids[n]} for n in members]}, made.groups)
    return made


def members(provider: Provider, group: str) -> set[str]:
    """The externalIds of the people in a group."""
    listed = [member["value"] for member in provider.groups[group]["members"]]
    assert len(listed) == len(set(listed))
    return {str(provider.users[one]["externalId"]) for one in listed}


def teams(it: Firm, groups: Mapping[str, Sequence[int]], people: int) -> None:
    """Write what HR says of teams."""
    it.hr(*({"id": n, "team": ";".join(g for g, held in groups.items() if n in held)} for n in range(people)))


def test_a_group_that_shows_its_first_hundred_members_gains_and_loses_those_who_are_not_seen(tmp_path: Path) -> None:
    class Half(Provider):
        def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
            shown = super().show(resource)
            return {**shown, "members": shown["members"][:100]} if "members" in shown else shown

    provider = provider_of(Half, 150, {"Agents": range(120)})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": range(150)}, 150)
        _, report = it.sync()
        assert [o.code for o in report.outcomes["group:Agents"]] == ["group.partial"]
        assert members(provider, "Agents") == {str(n) for n in range(150)}
        made, report = it.sync()
        assert made.groups == ()
        assert report.clean
        assert "group.partial" in codes(made)
        it.quiet()
        teams(it, {"Agents": range(148)}, 150)
        it.sync()
        assert members(provider, "Agents") == {str(n) for n in range(148)}


def test_people_go_on_where_there_are_no_groups(tmp_path: Path) -> None:
    class Groupless(Provider):
        def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
            if path.startswith("/Groups"):
                return self.refuse(404, "Not Found")
            return super().answer(method, path, query, body, if_match)

    provider = Groupless(account(1), account(2))
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        it.hr({"id": 1, "status": "left", "team": "Agents"}, {"id": 2, "team": "Agents"})
        said = it.command("sync")
        assert said.code == 11
        assert "the list of groups could not be read whole" in said.out
        assert provider.named("p1@x.org")[0]["active"] is False
        said = it.command("sync")
        assert said.code == 11
        assert "the directory is what HR says" not in said.out


@pytest.mark.parametrize(
    "shape",
    [
        lambda n, user: {"value": user["userName"]},
        lambda n, user: {"value": user["userName"].upper()},
        lambda n, user: {"value": 4711 + n},
        lambda n, user: {"value": f"0b0c{n}", "display": user["displayName"]},
        lambda n, user: user["id"],
        lambda n, user: {"display": user["displayName"]},
        lambda n, user: {"$ref": f"/Users/{user['userName']}"},
    ],
)
def test_a_list_of_members_in_another_id_space_is_never_written_to(
    tmp_path: Path, shape: Callable[[int, Mapping[str, Any]], object]
) -> None:
    class Odd(Provider):
        odd = False

        def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
            shown = super().show(resource)
            if self.odd and "members" in shown:
                listed = [self.users[member["value"]] for member in shown["members"]]
                shown["members"] = [shape(number, user) for number, user in enumerate(listed)]
            return shown

    provider = provider_of(Odd, 4, {"Agents": [], "Sales": []})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": range(3), "Sales": [0]}, 4)
        it.sync()
        provider.odd = True  # type: ignore[attr-defined]
        before = len(provider.sent("PATCH", "/Groups"))
        teams(it, {"Agents": [3], "Sales": [0]}, 4)
        made, _ = it.sync()
        assert ("group.foreign-ids", "Agents") in {(f.code, f.subject) for f in made.findings}
        assert len(provider.sent("PATCH", "/Groups")) == before
        assert it.command("sync").code == 11
        provider.odd = False  # type: ignore[attr-defined]
        it.sync()
        assert members(provider, "Agents") == {"3"}


def test_a_joiner_whose_account_does_not_show_all_of_it_joins_groups_in_the_same_run(tmp_path: Path) -> None:
    class Untitled(Provider):
        def put(self, resource: Mapping[str, object], table: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
            return super().put({name: held for name, held in resource.items() if name != "title"}, table)

    provider = provider_of(Untitled, 0, {"Agents": []})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": [0, 1]}, 2)
        _, report = it.sync()
        assert {report.outcomes[str(n)][-1].code for n in range(2)} == {"write.mismatch"}
        assert members(provider, "Agents") == {"0", "1"}


@pytest.mark.parametrize("ref", [True, False])
def test_a_person_whose_id_is_also_that_of_a_group_leaves_a_group_as_everybody_does(
    tmp_path: Path, *, ref: bool
) -> None:
    class Counting(Provider):
        def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
            shown = super().show(resource)
            if ref and "members" in shown:
                shown["members"] = [{**one, "$ref": f"{self.address}/Users/{one['value']}"} for one in shown["members"]]
            return shown

    provider = provider_of(Counting, 3, {"u0002": [0], "Agents": []})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"u0002": [0], "Agents": [0, 1]}, 3)
        it.sync()
        assert members(provider, "Agents") == {"0", "1"}
        teams(it, {"u0002": [0], "Agents": [0]}, 3)
        it.sync()
        assert members(provider, "Agents") == {"0"}
        it.quiet()


class Named(Provider):
    """It shows members by login, and serves an account by its login as well as by its id, as canaille does."""

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = super().show(resource)
        if "members" in shown:
            shown["members"] = [{"value": self.users[one["value"]]["userName"]} for one in shown["members"]]
        return shown

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        kind, _, name = path.strip("/").partition("/")
        if kind == "Users" and "%40" in name and (found := self.named(unquote(name))):
            path = f"/Users/{found[0]['id']}"
        return super().answer(method, path, query, body, if_match)


def test_members_that_are_shown_by_login_are_known_where_the_target_serves_accounts_by_login(tmp_path: Path) -> None:
    provider = provider_of(Named, 5, {"Agents": [0, 1]})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": [1, 2, 3]}, 5)
        it.sync()
        assert members(provider, "Agents") == {"0", "1", "2", "3"}
        it.quiet()
        teams(it, {"Agents": [2]}, 5)
        it.sync()
        assert members(provider, "Agents") == {"0", "2"}
        it.quiet()


@pytest.mark.parametrize("status", [400, 500, 501])
def test_who_joins_a_group_joins_though_nobody_can_be_removed_from_it(tmp_path: Path, status: int) -> None:
    class Sticky(Provider):
        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            if any(operation["op"] == "remove" for operation in body["Operations"]):
                return self.refuse(status, "no such operation")
            return super().patch(resource, body, if_match)

    provider = provider_of(Sticky, 3, {"Agents": []})
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {"Agents": [0, 1]}, 3)
        it.sync()
        teams(it, {"Agents": [1, 2]}, 3)
        for _ in range(2):
            _, report = it.sync()
            assert members(provider, "Agents") == {"0", "1", "2"}
            assert not report.clean
            told = report.outcomes["group:Agents"][-1]
            assert told.detail.endswith("still in it: u0001"), told
            assert len(provider.sent("PATCH", "/Groups")) < 12


@pytest.mark.parametrize("form", ["value", "list"])
def test_members_are_removed_in_the_form_that_the_dialect_names(tmp_path: Path, form: str) -> None:
    class Formal(Provider):
        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            for operation in body["Operations"]:
                if operation["op"] == "remove" and (form != "value" or operation["path"] != "members"):
                    return self.refuse(501, "no such operation")
                if operation["op"] == "remove":
                    gone = {one["value"] for one in operation["value"]}
                    resource["members"] = [one for one in resource["members"] if one["value"] not in gone]
                elif operation["op"] == "add":
                    resource["members"] = [*resource["members"], *operation["value"]]
                else:
                    resource["members"] = operation["value"]
            self.changes[resource["id"]] += 1
            return self.patched(resource)

    provider = provider_of(Formal, 5, {"Agents": [0, 1, 2]})
    with firm(tmp_path, provider) as it:
        ours = tmp_path / "ours.toml"
        ours.write_text(
            f'name = "ours"\n[groups]\nremove = {{ value = "{form}", guessed = "a test" }}\n', encoding="utf-8"
        )
        it.configure(more=TEAM)
        text = (tmp_path / "scimsync.toml").read_text(encoding="utf-8")
        (tmp_path / "scimsync.toml").write_text(text.replace('"generic"', '"file:ours.toml"'), encoding="utf-8")
        teams(it, {"Agents": [1, 2, 3]}, 5)
        it.sync()
        teams(it, {"Agents": [3, 4]}, 5)
        _, report = it.sync()
        assert report.clean
        assert members(provider, "Agents") == {"0", "3", "4"}
        it.quiet()


def test_the_first_write_that_takes_others_away_ends_the_writing_of_groups(tmp_path: Path) -> None:
    class Replacing(Provider):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            if resource["id"] in self.groups:
                resource = {**resource, "members": []}
            return super().carry_out(resource, operations)

    groups = {name: [0, 1, 2] for name in map(str, range(30))}
    provider = provider_of(Replacing, 5, groups)
    with firm(tmp_path, provider) as it:
        it.configure(more=TEAM)
        teams(it, {name: [3, 4] for name in groups}, 5)
        _, report = it.sync()
        outcomes = [report.outcomes[f"group:{name}"][-1] for name in groups]
        assert {(o.status, o.code) for o in outcomes} == {(Status.HELD, "write.harmed")}
        assert len(provider.sent("PATCH", "/Groups")) < 30
        assert "3 members who had to stay are gone" in " ".join(o.detail for o in outcomes)

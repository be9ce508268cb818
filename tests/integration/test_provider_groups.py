"""Whole runs against other people's servers whose groups depart from the RFC in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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

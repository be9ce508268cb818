"""Whole runs on SCIM servers that nobody here wrote: people join, move, leave and come back, and so do members of groups.

What a server holds at the end is asked of the server. Each day is run twice: the second run finds nothing to do, or
says of each person and group what is still open, and changes nothing in the directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.providers import NAMES, Server, needs_providers, start
from tests.servers import MATCH, Firm, codes

from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.scim.dialect_file import dialect_of, shipped
from scimsync.scim.schema import CORE_GROUP

pytestmark = needs_providers

#: what anybody would map first
NATURAL = {
    "externalId": "id",
    "userName": "login",
    "name.givenName": "given",
    "name.familyName": "family",
    'emails[type eq "work"].value': "mail",
    "title": "title",
    "active": "status = 'active'",
}
#: what each server asks for otherwise, under the dialect that comes with the product
FITTING: Mapping[str, Mapping[str, str]] = {
    "scim2-server": NATURAL,
    "scimmy": NATURAL,
    # it keeps one address, without a type, and no title
    "django-scim2": {
        **{path: value for path, value in NATURAL.items() if path not in {'emails[type eq "work"].value', "title"}},
        "emails[primary eq true].value": "mail",
    },
    # it keeps no externalId, refuses types of addresses, and wants the whole name
    "canaille": {
        **{path: value for path, value in NATURAL.items() if not path.startswith(("externalId", "emails"))},
        "name.formatted": "given || ' ' || family",
    },
}


def person(number: int, team: str = "", **more: str) -> dict[str, str]:
    """A record."""
    given = {"id": f"e{number}", "login": f"p{number}@x.org", "given": f"G{number}", "family": f"F{number}"}
    return {**given, "mail": f"p{number}@x.org", "title": "Agent", "status": "active", "team": team, **more}


MOVED = person(1, "Crew", title="Lead", family="New", mail="new1@x.org")
RENAMED = person(2, "Night", login="renamed@x.org")
#: what HR says, day after day
DAYS = {
    "they join": [person(1, "Crew"), person(2, "Crew"), person(3, "Crew"), person(4, "Night")],
    "they move and leave": [MOVED, RENAMED, person(4, status="left"), person(5, "Crew")],
    "they come back": [MOVED, RENAMED, person(3, "Crew"), person(4, "Night"), person(5, "Crew")],
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run, and what the server held after it."""

    plan: Plan
    report: Report
    users: Sequence[Mapping[str, Any]]
    groups: Sequence[Mapping[str, Any]]

    @property
    def quiet(self) -> bool:
        """Nothing was left to do."""
        return not self.plan.changes and not self.plan.groups and self.report.clean

    @property
    def open(self) -> dict[str, str]:
        """Who or what is not as HR says, and why."""
        last = {key: outcomes[-1] for key, outcomes in self.report.outcomes.items()}
        return {key: f"{told.code} {told.detail}" for key, told in last.items() if told.code}

    def people(self) -> dict[str, tuple[Any, ...]]:
        """The accounts by the number in their first name: login, family name, address, title, active."""
        return {
            user["name"]["givenName"]: (
                user["userName"],
                user["name"]["familyName"],
                [one["value"] for one in user.get("emails") or []],
                user.get("title"),
                user["active"],
            )
            for user in self.users
        }

    def members(self) -> dict[str, list[str]]:
        """The groups, each with the first names of its members."""
        names = {user[key]: user["name"]["givenName"] for user in self.users for key in ("id", "userName")}
        return {
            group["displayName"]: sorted(names[one["value"]] for one in group.get("members") or [])
            for group in self.groups
        }


class Life:
    """A firm that keeps its people on one server."""

    def __init__(self, folder: Path, server: Server, attributes: Mapping[str, str], dialect: str = "generic") -> None:
        self.server = server
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(server.token, encoding="utf-8")
        self.firm = Firm(folder, server)  # type: ignore[arg-type]
        match = [path for path in MATCH if path in attributes]
        self.firm.configure(attributes, match=match, more='[groups]\ncolumn = "team"\n')
        settings = folder / "scimsync.toml"
        settings.write_text(settings.read_text(encoding="utf-8").replace('"generic"', f'"{dialect}"'), encoding="utf-8")
        for name in ("Crew", "Night"):
            made = server.ask("POST", "/Groups", {"schemas": [CORE_GROUP], "displayName": name, "members": []})
            assert made.status_code == 201, made.text

    def run(self) -> Run:
        return Run(*self.firm.sync(), self.server.listed("Users"), self.server.listed("Groups"))

    def days(self) -> Iterator[tuple[Run, Run]]:
        """Each day, run twice."""
        for records in DAYS.values():
            self.firm.hr(*records)
            first, second = self.run(), self.run()
            assert _bare(first.users) == _bare(second.users), "the second run changed accounts"
            assert _bare(first.groups) == _bare(second.groups), "the second run changed groups"
            assert second.quiet or second.open, "the second run is neither quiet, nor does it say why"
            yield first, second


def _bare(resources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Resources without what the server says about them, in some order."""
    held = [{name: value for name, value in one.items() if name != "meta"} for one in resources]
    return sorted(json.dumps(one, sort_keys=True) for one in held)


def expected(*, title: bool = True, mail: bool = True, renamed: bool = True) -> list[dict[str, tuple[Any, ...]]]:
    """The accounts at the end of each day, on a server that keeps what is said."""

    def account(record: Mapping[str, str], login: str = "", *, active: bool = True) -> tuple[Any, ...]:
        return (
            login or record["login"],
            record["family"],
            [record["mail"]] if mail else [],
            record["title"] if title else None,
            active,
        )

    login = "" if renamed else "p2@x.org"
    first = {f"G{n}": account(person(n)) for n in range(1, 5)}
    second = {**first, "G1": account(MOVED), "G2": account(RENAMED, login), "G5": account(person(5))}
    gone = {f"G{n}": account(person(n), active=False) for n in (3, 4)}
    return [first, {**second, **gone}, second]


#: the members at the end of each day
MEMBERS = [
    {"Crew": ["G1", "G2", "G3"], "Night": ["G4"]},
    {"Crew": ["G1", "G5"], "Night": ["G2"]},
    {"Crew": ["G1", "G3", "G5"], "Night": ["G2", "G4"]},
]
#: what is kept under the fitting configuration. canaille says that userName is immutable, so nobody is renamed
KEPT = {
    "scim2-server": expected(),
    "scimmy": expected(),
    "django-scim2": expected(title=False),
    "canaille": expected(mail=False, renamed=False),
}


@pytest.mark.parametrize("name", NAMES)
def test_people_and_members_are_what_hr_says_under_the_dialect_that_is_shipped(tmp_path: Path, name: str) -> None:
    assert name in shipped()
    with start(name) as server:
        life = Life(tmp_path, server, FITTING[name], name)
        for day, (first, second) in enumerate(life.days()):
            assert first.report.clean, first.open
            assert second.quiet, second.open
            assert second.people() == KEPT[name][day]
            assert second.members() == MEMBERS[day]
            if "externalId" in FITTING[name]:
                assert all(user["externalId"] == f"e{user['name']['givenName'][1:]}" for user in second.users)
            assert ("attribute.immutable" in codes(second.plan)) is (name == "canaille" and day > 0)


@pytest.mark.parametrize("name", ["scim2-server", "scimmy"])
def test_a_server_that_keeps_to_the_rfc_needs_neither_dialect_nor_another_mapping(tmp_path: Path, name: str) -> None:
    with start(name) as server:
        for day, (first, second) in enumerate(Life(tmp_path, server, NATURAL).days()):
            assert first.report.clean, first.open
            assert second.quiet, second.open
            assert second.people() == KEPT[name][day]
            assert second.members() == MEMBERS[day]
            assert "schema.drift" not in codes(first.plan)
            # scimmy has versions that guard nothing, and says so
            assert ("target.compares" in codes(first.plan)) is (name == "scimmy")


def test_what_django_scim2_drops_is_told_and_the_rest_is_right(tmp_path: Path) -> None:
    with start("django-scim2") as server:
        for day, (first, second) in enumerate(Life(tmp_path, server, NATURAL).days()):
            held, wanted = second.people(), KEPT["django-scim2"][day]
            # an address of some type is taken when the account is made, and loses its type
            assert {who: (*one[:2], *one[3:]) for who, one in held.items()} == {
                who: (*one[:2], *one[3:]) for who, one in wanted.items()
            }
            assert "title" in told(first, second)
            # it takes no removal by filter, so another way is found
            assert second.members() == MEMBERS[day]
            assert not [key for key in second.open if key.startswith("group:")]


def test_what_canaille_does_not_show_and_does_not_undo_is_told_and_the_rest_is_right(tmp_path: Path) -> None:
    with start("canaille") as server:
        attributes = {**FITTING["canaille"], "externalId": "id"}
        for day, (first, second) in enumerate(Life(tmp_path, server, attributes).days()):
            assert second.people() == KEPT["canaille"][day]
            assert "externalId" in told(first, second)
            stuck_are_told(second, day)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "Field 'formatted' is required but value is missing or null: name"),
        ({"name.formatted": "given || ' ' || family"}, "Extra inputs are not permitted: emails, 0, type"),
    ],
)
def test_whom_canaille_refuses_is_told_in_its_own_words_and_nobody_is_half_made(
    tmp_path: Path, more: Mapping[str, str], words: str
) -> None:
    with start("canaille") as server:
        life = Life(tmp_path, server, {**NATURAL, **more})
        _, second = next(life.days())
        assert second.users == []
        assert all(words in second.open[person["id"]] for person in next(iter(DAYS.values())))


def told(*runs: Run) -> str:
    """Whatever some runs say."""
    findings = [f"{finding.subject} {finding.detail}" for run in runs for finding in run.plan.findings]
    return " ".join([*findings, *(why for run in runs for why in run.open.values())])


def stuck_are_told(run: Run, day: int) -> None:
    """Whoever joins a group is in it; whoever cannot be removed in the form of the RFC is told, group by group."""
    stuck = {"Crew": {"G2", "G3"}, "Night": {"G4"}} if day else {}
    for group, wanted in MEMBERS[day].items():
        assert set(run.members()[group]) == {*wanted, *stuck.get(group, ())}
    ids = {group["id"]: group["displayName"] for group in run.groups}
    said = {ids[key.removeprefix("group:")]: why for key, why in run.open.items() if key.startswith("group:")}
    left = {name for name, those in stuck.items() if those - set(MEMBERS[day][name])}
    assert said.keys() == left
    assert all("still in it" in why for why in said.values()), said


@pytest.mark.parametrize("name", NAMES)
def test_each_entry_of_a_shipped_dialect_says_when_and_by_which_request_it_was_seen(name: str) -> None:
    grounds = dialect_of(name).grounds
    sources = {field: ground for field, ground in grounds.items() if str(ground.source).startswith("2026-")}
    assert len(sources) >= 30

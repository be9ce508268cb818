"""A pin says: I know that this is missing, leave it out; and of everything else it is the baseline all the same."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.old_states import BACK_TO_0012
from tests.servers import ATTRIBUTES, Answer, Provider, account, codes, firm

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
LEFT_OUT = "attribute.left-out"


class Publishing(Provider):
    """Publishes the schema of what it has, and refuses to be asked to keep anything else."""

    names: tuple[str, ...] = ("userName", "displayName", "active")
    strict = True

    def describe(self, name: str) -> Answer:
        if name != "Schemas":
            return super().describe(name)
        attributes = [{"name": one, "type": "boolean" if one == "active" else "string"} for one in self.names]
        return Answer(200, {"totalResults": 1, "Resources": [{"id": CORE, "name": "User", "attributes": attributes}]})

    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        if self.strict and "title" in body and "title" not in self.names:
            return self.refuse(400, "there is no title", "invalidPath")
        return super().post(body, table)

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if self.strict and any(one.get("path") == "title" for one in body["Operations"]) and "title" not in self.names:
            return self.refuse(400, "there is no title", "invalidPath")
        return super().patch(resource, body, if_match)


def subjects(made: Any) -> list[str]:
    return [finding.subject for finding in made.findings if finding.code == LEFT_OUT]


def test_what_a_pin_knows_to_be_missing_is_left_out_and_everything_else_is_written(tmp_path: Path) -> None:
    provider = Publishing(account(1, title=None, displayName="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        assert it.sync()[1].clean is False  # without a pin it is written as the RFC has it
        said = it.command("schema", "pin")
        assert "title is mapped and not among them" in said.out
        assert "externalId" not in said.out
        made, report = it.sync()
        assert subjects(made) == ["title"]
        assert report.clean
        assert provider.named("p1@x.org")[0]["displayName"] == "P1"
        assert len(provider.named("p2@x.org")) == 1
        it.quiet()
        said = it.command("doctor")
        assert any("title" in line and "pin" in line for line in said.out.splitlines())


def test_a_pin_does_not_silence_the_rest(tmp_path: Path) -> None:
    provider = Publishing(account(1, title=None))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.command("schema", "pin")
        provider.names = ("userName", "active")
        said = it.command("plan")
        assert said.code == 5
        assert "displayName" in said.err
        assert "title" not in said.err


def test_whoever_knows_better_has_it_written(tmp_path: Path) -> None:
    provider = Publishing(account(1, title=None))
    provider.strict = False
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        assert it.command("schema", "pin", "--write", "title").code == 0
        made, report = it.sync()
        assert subjects(made) == []
        assert report.clean
        assert provider.users["u0001"]["title"] == "T"
        assert it.command("schema", "pin", "--write", "nickName").code == 2


def test_what_the_target_has_by_now_is_written_after_another_pin(tmp_path: Path) -> None:
    provider = Publishing(account(1, title=None))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.command("schema", "pin")
        provider.names = (*Publishing.names, "title")
        assert subjects(it.plan()) == ["title"]
        it.command("schema", "pin")
        made, report = it.sync()
        assert subjects(made) == []
        assert report.clean
        assert provider.users["u0001"]["title"] == "T"


def test_what_the_first_plan_remembered_leaves_nothing_out(tmp_path: Path) -> None:
    provider = Publishing(account(1, title=None))
    provider.strict = False
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        assert "schema.remembered" in codes(it.plan())
        made, report = it.sync()
        assert LEFT_OUT not in codes(made)
        assert report.clean


def test_access_is_taken_away_whatever_a_pin_says(tmp_path: Path) -> None:
    class Odd(Publishing):
        names = ("userName", "displayName")

        def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
            return super().show(resource)

    provider = Odd(account(1), account(2))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2, "status": "left"})
        said = it.command("schema", "pin")
        assert "active" not in said.out
        it.sync()
        assert provider.named("p2@x.org")[0]["active"] is False


def test_a_pin_of_the_version_before_leaves_nothing_out(tmp_path: Path) -> None:
    provider = Publishing(account(1, title=None))
    provider.strict = False
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.command("schema", "pin")
        with contextlib.closing(sqlite3.connect(tmp_path / ".scimsync/state.db")) as database, database:
            for statement in BACK_TO_0012:
                database.execute(statement)
        made, report = it.sync()
        assert subjects(made) == []
        assert report.clean


def test_a_mapping_that_was_mended_hears_no_more_of_it(tmp_path: Path) -> None:
    provider = Publishing(account(1, title=None))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.command("schema", "pin")
        it.configure({path: value for path, value in ATTRIBUTES.items() if path != "title"})
        assert LEFT_OUT not in codes(it.plan())


def test_an_extension_that_is_not_published_is_missing_too(tmp_path: Path) -> None:
    provider = Publishing(account(1))
    provider.strict = False
    provider.names = (*Publishing.names, "title")
    with firm(tmp_path, provider) as it:
        it.configure({**ATTRIBUTES, "enterprise:department": "title"})
        it.hr({"id": 1})
        assert "enterprise:department is mapped" in it.command("schema", "pin").out
        made, report = it.sync()
        assert subjects(made) == ["enterprise:department"]
        assert report.clean

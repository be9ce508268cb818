"""What a directory takes and never shows: sent once, remembered, told in one line, and taken back when anything moves."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.old_states import BACK_TO_0012
from tests.servers import ATTRIBUTES, WORK_EMAIL, Answer, Firm, Provider, account, codes, firm, last

from scimsync.model.outcomes import Status
from scimsync.scim.messages import Operation

PEOPLE = 28
UNSHOWN = "attribute.unshown"
ROLES = "list_transform(names(title, ','), lambda e: struct_pack(type := '', value := e))"


class Secretive(Provider):
    """Takes whatever it is sent, and never shows some attributes."""

    hidden: tuple[str, ...] = ("title",)

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        return {name: held for name, held in super().show(resource).items() if name not in self.hidden}


class Publishing(Secretive):
    """As `Secretive`, and publishes schemas."""

    extra: tuple[str, ...] = ()

    def describe(self, name: str) -> Answer:
        if name != "Schemas":
            return super().describe(name)
        names = ("userName", "displayName", "active", "externalId", "title", *self.extra)
        attributes = [{"name": one, "type": "boolean" if one == "active" else "string"} for one in names]
        schema = {"id": "urn:ietf:params:scim:schemas:core:2.0:User", "name": "User", "attributes": attributes}
        return Answer(200, {"totalResults": 1, "Resources": [schema]})


class Typeless(Provider):
    """Keeps addresses without their type, so nobody finds one again by it, and every write adds another."""

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        return _typeless(super().carry_out(resource, operations))

    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        return super().post(_typeless(body), table)


def _typeless(user: dict[str, Any]) -> dict[str, Any]:
    return {**user, "emails": [{"value": one["value"]} for one in user.get("emails", [])]}


def told(made: Any) -> list[str]:
    """The details of what is told of values that are never shown."""
    return [finding.detail for finding in made.findings if finding.code == UNSHOWN]


def everybody(**more: object) -> list[dict[str, object]]:
    return [{"id": n, **more} for n in range(PEOPLE)]


def emptied(provider: Provider) -> None:
    """Let a provider lose what it never showed."""
    for user in provider.users.values():
        user["title"] = None


def writes(it: Firm, before: int) -> list[str]:
    return [asked.method for asked in it.provider.asked[before:] if asked.method != "GET"]


def test_what_is_taken_and_never_shown_is_sent_once_and_told_in_one_line(tmp_path: Path) -> None:
    provider = Secretive()
    with firm(tmp_path, provider) as it:
        it.hr(*everybody())
        _, report = it.sync()
        assert {last(report, n).code for n in range(PEOPLE)} == {"write.mismatch"}
        assert {user["title"] for user in provider.users.values()} == {"T"}
        before = len(provider.asked)
        made, report = it.sync()
        assert report.clean
        assert writes(it, before) == []
        assert told(made) == ["title: 28 of 28 people"]
        said = it.command("sync")
        assert said.code == 0
        assert sum(UNSHOWN in line and "title: 28 of 28" in line for line in said.out.splitlines()) == 1
        assert "the directory is what HR says" not in said.out
        doctor = it.command("doctor")
        assert "title" in next(line for line in doctor.out.splitlines() if "never shown" in line)


def test_whose_account_was_there_is_written_once_too(tmp_path: Path) -> None:
    provider = Secretive(account(1, title=None), account(2, title=None))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        _, report = it.sync()
        assert last(report, 1).code == "write.mismatch"
        assert len(provider.sent("PATCH")) == 2
        it.quiet()
        assert told(it.plan()) == ["title: 2 of 2 people"]


def test_no_list_grows_by_an_element_that_is_shown_in_another_form(tmp_path: Path) -> None:
    provider = Typeless(account(1), account(2))
    with firm(tmp_path, provider) as it:
        it.configure({**ATTRIBUTES, WORK_EMAIL: "login"})
        it.hr({"id": 1}, {"id": 2}, {"id": 3})
        it.sync()
        it.quiet()
        it.quiet()
        assert [len(user["emails"]) for user in provider.users.values()] == [1, 1, 1]


@pytest.mark.parametrize("authority", ["ask", "cloud_wins", "merge"])
def test_what_is_never_shown_is_no_edit_of_the_directory(tmp_path: Path, authority: str) -> None:
    provider = Secretive()
    with firm(tmp_path, provider) as it:
        it.configure(policy=f'authority = "{authority}"')
        it.hr({"id": 1})
        it.sync()
        made, _ = it.sync()
        assert (made.tally.conflicts, made.tally.kept) == (0, 0)
        assert it.command("sync").code == 0


def test_another_wish_of_hr_is_sent(tmp_path: Path) -> None:
    provider = Secretive()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        it.sync()
        it.hr({"id": 1, "title": "New"}, {"id": 2})
        it.sync()
        assert [provider.named(f"p{n}@x.org")[0]["title"] for n in (1, 2)] == ["New", "T"]
        assert len(provider.sent("PATCH")) == 1
        it.quiet()


def test_another_mapping_of_the_path_is_sent(tmp_path: Path) -> None:
    provider = Secretive()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.sync()
        it.quiet()
        it.configure({**ATTRIBUTES, "title": "title || ''"})
        it.sync()
        assert len(provider.sent("PATCH")) == 1
        it.quiet()


def test_another_schema_of_the_target_is_a_reason_to_send_it_again(tmp_path: Path) -> None:
    provider = Publishing()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.sync()
        it.quiet()
        provider.extra = ("nickName",)
        provider.hidden = ()
        emptied(provider)
        it.sync()
        assert provider.users["u0001"]["title"] == "T"
        it.quiet()
        assert UNSHOWN not in codes(it.plan())


def test_a_value_that_shows_up_is_compared_from_then_on(tmp_path: Path) -> None:
    provider = Secretive()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.sync()
        it.quiet()
        provider.hidden = ()
        provider.edit("u0001", title="Theirs")
        made, report = it.sync()
        assert report.clean
        assert provider.users["u0001"]["title"] == "T"
        assert told(made) == []
        provider.hidden = ("title",)
        assert it.plan().changes  # what was remembered is forgotten, though nothing is shown once more


def test_whoever_sets_the_rule_aside_sends_it_again(tmp_path: Path) -> None:
    provider = Secretive()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        it.sync()
        it.quiet()
        provider.hidden = ()
        emptied(provider)
        assert it.command("sync").code == 0
        said = it.command("sync", "--override", UNSHOWN, "--reason", "mended by the vendor")
        assert said.code == 0
        assert {user["title"] for user in provider.users.values()} == {"T"}
        it.quiet()


def test_a_value_that_is_kept_as_it_was_is_no_secret_and_is_tried_every_time(tmp_path: Path) -> None:
    class Stubborn(Provider):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            return {**super().carry_out(resource, operations), "title": resource["title"]}

    provider = Stubborn(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        for _ in range(2):
            _, report = it.sync()
            assert (last(report, 1).status, last(report, 1).code) == (Status.HELD, "write.mismatch")
        assert len(provider.sent("PATCH")) == 2
        assert it.command("sync").code == 11


def test_access_that_does_not_go_is_never_remembered_as_gone(tmp_path: Path) -> None:
    class Clinging(Provider):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            return {**super().carry_out(resource, operations), "active": True}

        def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
            return {name: held for name, held in super().show(resource).items() if name != "active"}

    provider = Clinging(account(1), account(2))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        it.sync()
        it.hr({"id": 1}, {"id": 2, "status": "left"})
        for number in range(1, 4):
            said = it.command("sync")
            assert len(provider.sent("PATCH", "/Users/u0002")) == number
            assert said.code == 11


def test_a_role_that_was_taken_away_and_is_still_shown_is_taken_away_again(tmp_path: Path) -> None:
    class Generous(Provider):
        """Shows no role that is given, and takes none away."""

        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            return {**super().carry_out(resource, operations), "roles": resource["roles"]}

    provider = Generous(account(1, roles=[{"value": "admin"}]))
    with firm(tmp_path, provider) as it:
        it.configure({**ATTRIBUTES, "roles": ROLES})
        it.hr({"id": 1, "title": "agent"})
        for number in (1, 2):
            assert it.command("sync").code == 11
            assert len(provider.sent("PATCH")) == number


def test_a_list_that_shows_none_of_what_it_is_given_is_written_once(tmp_path: Path) -> None:
    class Blind(Provider):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            return {**super().carry_out(resource, operations), "roles": resource["roles"]}

    provider = Blind(account(1, roles=[{"value": "base"}]))
    with firm(tmp_path, provider) as it:
        for authority in ("local_wins", "merge"):
            it.configure({**ATTRIBUTES, "roles": ROLES}, policy=f'authority = "{authority}"')
            it.hr({"id": 1, "title": "base,agent"})
            it.sync()
            it.quiet()
        provider.edit("u0001", roles=[{"value": "base"}, {"value": "theirs"}])
        assert it.plan().changes


def test_a_value_that_nobody_sees_is_taken_away_when_hr_clears_it(tmp_path: Path) -> None:
    provider = Secretive(account(1, title=None), account(2, title=None))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1}, {"id": 2})
        it.sync()
        it.hr({"id": 1, "title": ""}, {"id": 2})
        made, report = it.sync()
        assert [change.key for change in made.changes] == ["1"]
        assert report.clean
        assert [user.get("title") for user in provider.users.values()] == [None, "T"]
        it.quiet()
        assert told(it.plan()) == ["title: 1 of 1 person"]


def test_a_role_that_nobody_sees_is_taken_away_when_hr_takes_it(tmp_path: Path) -> None:
    provider = Secretive()
    provider.hidden = ("roles",)
    with firm(tmp_path, provider) as it:
        it.configure({"userName": "login", "displayName": "name", "externalId": "id", "roles": ROLES})
        it.hr({"id": 1, "title": "admin,agent"})
        it.sync()
        it.quiet()
        it.hr({"id": 1, "title": "agent"})
        it.sync()
        assert [one["value"] for one in provider.users["u0001"]["roles"]] == ["agent"]
        it.quiet()
        it.hr({"id": 1, "title": ""})
        _, report = it.sync()
        assert report.clean
        assert not provider.users["u0001"].get("roles")
        it.quiet()


@pytest.mark.parametrize("moved", ["mapping", "schema", "rule", "a plan before", "the directory"])
def test_a_role_that_nobody_sees_is_taken_away_whatever_else_moves(tmp_path: Path, moved: str) -> None:
    provider = Publishing(account(1))
    provider.hidden, provider.extra = ("roles",), ("roles",)
    mapping = {**ATTRIBUTES, "roles": ROLES}
    other = {**mapping, "roles": f"{ROLES} /* the same */"}
    with firm(tmp_path, provider) as it:
        it.configure(mapping)
        it.hr({"id": 1, "title": "Admin,User"})
        it.sync()
        it.quiet()
        it.configure(other if moved in {"mapping", "a plan before"} else mapping)
        it.hr({"id": 1, "title": ""})
        if moved == "schema":
            provider.extra = ("roles", "nickName")
        elif moved == "a plan before":
            it.plan()
        elif moved == "the directory":
            del provider.users["u0001"]["roles"]
        words = ("--override", UNSHOWN, "--reason", "once more") if moved == "rule" else ()
        assert it.command("sync", *words).code == 0
        assert not provider.users["u0001"].get("roles")
        it.quiet()


@pytest.mark.parametrize("stubborn", [PEOPLE, PEOPLE - 2, 3])
def test_what_nobody_keeps_is_one_finding_about_the_target(tmp_path: Path, stubborn: int) -> None:
    class Stubborn(Provider):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            kept = {"title": resource["title"]} if int(resource["externalId"]) < stubborn else {}
            return {**super().carry_out(resource, operations), **kept}

    provider = Stubborn(*(account(n, title="Old") for n in range(PEOPLE)))
    with firm(tmp_path, provider) as it:
        it.hr(*everybody())
        said = it.command("sync")
        assert said.code == 11
        lines = [line for line in said.out.splitlines() if "write.mismatch" in line]
        if stubborn == 3:
            assert len(lines) == 3
        else:
            assert [line.split("  ")[-1] for line in lines] == [
                f"this directory does not keep title: {stubborn} of {PEOPLE}"
            ]
        document = json.loads(it.command("sync", "--json").out)
        assert document["unkept"] == [{"path": "title", "missed": stubborn, "tried": stubborn}]


def test_a_state_of_the_version_before_opens_and_learns_it(tmp_path: Path) -> None:
    provider = Secretive()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        it.sync()
        with contextlib.closing(sqlite3.connect(tmp_path / ".scimsync/state.db")) as database, database:
            for statement in BACK_TO_0012:
                database.execute(statement)
        it.sync()
        assert len(provider.sent("PATCH")) == 1
        it.quiet()


def test_a_run_that_was_cut_short_remembers_it_when_it_is_gone_on_with(tmp_path: Path) -> None:
    provider = Secretive()
    with firm(tmp_path, provider) as it:
        it.hr({"id": 1})
        made = it.plan()
        it.apply(made.id)
        with contextlib.closing(sqlite3.connect(tmp_path / ".scimsync/state.db")) as database, database:
            database.execute("DELETE FROM unshown")  # as if the process had died before the run was closed
            database.execute("UPDATE run SET state = 'applying', base = ''")
        it.apply(made.id)
        it.quiet()
        assert len(provider.sent("PATCH")) == 0


# --- what the dialect knows beforehand ------------------------------------------------------------


def spoken_for(it: Firm, entry: str) -> None:
    (it.folder / "ours.toml").write_text(
        f'name = "ours"\n[accounts]\n{entry} = {{ value = ["title"], observed = "2026-11-27: seen" }}\n'
    )
    file = it.folder / "scimsync.toml"
    file.write_text(file.read_text().replace('dialect = "generic"', 'dialect = "file:ours.toml"'))


def test_what_the_dialect_says_is_hidden_is_no_trouble_on_the_first_run_either(tmp_path: Path) -> None:
    provider = Secretive(account(1, title=None))
    with firm(tmp_path, provider) as it:
        spoken_for(it, "hidden")
        it.hr({"id": 1}, {"id": 2})
        assert it.command("sync").code == 0
        it.quiet()
        it.hr({"id": 1, "title": "New"}, {"id": 2})
        assert it.command("sync").code == 0
        assert provider.named("p1@x.org")[0]["title"] == "New"
        it.quiet()


def test_what_the_dialect_says_is_written_in_another_form_is_written_once(tmp_path: Path) -> None:
    class Shouting(Provider):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            changed = super().carry_out(resource, operations)
            return {**changed, "title": str(changed["title"]).upper()[:8]}

    provider = Shouting(account(1, title="OLD"))
    with firm(tmp_path, provider) as it:
        spoken_for(it, "normalised")
        it.hr({"id": 1, "title": "Engineering Manager"})
        assert it.command("sync").code == 0
        assert provider.users["u0001"]["title"] == "ENGINEER"
        it.quiet()
        assert UNSHOWN not in codes(it.plan())
        provider.edit("u0001", title="Theirs")
        assert it.plan().changes
        it.hr({"id": 1, "title": "Chief"})
        assert it.command("sync").code == 0
        assert provider.users["u0001"]["title"] == "CHIEF"
        it.quiet()


def test_what_is_kept_as_it_was_is_not_taken_for_another_form(tmp_path: Path) -> None:
    class Stubborn(Provider):
        def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
            return {**super().carry_out(resource, operations), "title": resource["title"]}

    provider = Stubborn(account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        spoken_for(it, "normalised")
        it.hr({"id": 1})
        assert it.command("sync").code == 11
        assert it.command("sync").code == 11

"""Deliveries that hold only changed people: who is in them is treated as ever, and nothing is decided about the rest."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins
from tests.runs import Quiet
from tests.servers import ATTRIBUTES, Answer, Firm, Provider, account, firm

from scimsync import bootstrap, bootstrap_sources
from scimsync.config import load
from scimsync.errors import ConfigError
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.services import applying, planning
from scimsync.services.planning import Choices

PEOPLE = 30


@dataclass
class Delivered:
    """A firm that is told of everybody by one configuration, and of changes by another."""

    firm: Firm
    full: str = ""

    def configure(self, *, more: str = "", source: str = "", delta: str = "", **kept: str | Mapping[str, str]) -> None:
        self.firm.configure(more=more, **kept)  # type: ignore[arg-type] - as configure takes them
        written = self.firm.folder / "scimsync.toml"
        everybody = written.read_text(encoding="utf-8").replace("[source]", f'[source]\nname = "hr"\n{source}')
        written.write_text(everybody, encoding="utf-8")
        changes = everybody.replace('"hr.csv"', '"delta.csv"').replace("[source]", f'[source]\nmode = "delta"\n{delta}')
        (self.firm.folder / "delta.toml").write_text(changes, encoding="utf-8")

    def write(self, *people: Mapping[str, object]) -> None:
        """Deliver these people as changed."""
        kept = (self.firm.folder / "hr.csv").read_bytes() if (self.firm.folder / "hr.csv").exists() else None
        self.firm.hr(*people)
        (self.firm.folder / "hr.csv").rename(self.firm.folder / "delta.csv")
        if kept is not None:
            (self.firm.folder / "hr.csv").write_bytes(kept)

    def plan(self, *only: str, **overrides: str) -> Plan:
        settings = load(self.firm.folder / "delta.toml")
        chosen = Choices(only=only, overrides={rule.replace("__", "."): why for rule, why in overrides.items()})
        with bootstrap.open_store(settings) as store:
            return asyncio.run(planning.plan(settings, store, Quiet(), chosen))

    def apply(self, named: str) -> Report:
        settings = load(self.firm.folder / "delta.toml")
        with bootstrap.open_store(settings) as store, store.lease(bootstrap.owner()):
            return asyncio.run(applying.apply(settings, store, Quiet(), planning.find_plan(store, named), Choices()))

    def sync(self, *people: Mapping[str, object]) -> tuple[Plan, Report]:
        """Deliver, plan and apply."""
        self.write(*people)
        made = self.plan()
        return made, self.apply(made.id)

    def account(self, number: int) -> dict[str, object]:
        ((found),) = self.firm.provider.named(f"p{number}@x.org")
        return found


def everybody(*changed: Mapping[str, object], but: frozenset[int] = frozenset()) -> list[Mapping[str, object]]:
    """What HR says of everybody, with some changed and some gone."""
    given = {one["id"]: one for one in changed}
    found = [given.pop(n, {"id": n}) for n in range(PEOPLE) if n not in but]
    return [*found, *given.values()]


def codes(made: Plan) -> set[str]:
    """The codes of all findings, but for what this provider does not publish."""
    return {finding.code for finding in made.findings} - {"schema.unpublished"}


def did(made: Plan) -> dict[str, str]:
    return {change.key: change.action.value for change in made.changes}


def told(made: Plan, code: str = "source.delta") -> str:
    (found,) = (one for one in made.findings if one.code == code)
    return found.summary


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Delivered]:
    with firm(tmp_path, Provider(*(account(n) for n in range(PEOPLE)))) as found:
        made = Delivered(found)
        made.configure()
        found.hr(*everybody())
        found.sync()
        yield made


def test_a_delivery_of_changes_joins_moves_and_disables_whom_it_holds_and_nobody_else(it: Delivered) -> None:
    made, report = it.sync({"id": 3, "title": "Chief"}, {"id": 5, "status": "left"}, {"id": 40})
    assert did(made) == {"3": "update", "5": "disable", "40": "create"}
    assert told(made) == "28 people with access are not in this delivery of changes; nothing is decided about them"
    assert codes(made) == {"source.delta"}
    assert report.clean
    assert it.account(3)["title"] == "Chief"
    assert it.account(5)["active"] is False
    assert sum(bool(user["active"]) for user in it.firm.provider.users.values()) == PEOPLE
    made, _ = it.sync({"id": 3, "title": "Chief"}, {"id": 5, "status": "left"}, {"id": 40})
    assert did(made) == {}


def test_full_and_delta_share_links_and_state_and_only_the_full_finds_who_is_gone(it: Delivered) -> None:
    it.sync({"id": 3, "title": "Chief"}, {"id": 40})
    it.firm.hr(*everybody({"id": 3, "title": "Chief"}, {"id": 40}))
    it.firm.quiet()
    made, _ = it.sync({"id": 4, "title": "Lead"})
    assert did(made) == {"4": "update"}
    it.firm.hr(*everybody({"id": 3, "title": "Chief"}, {"id": 4, "title": "Lead"}, {"id": 40}, but=frozenset({7})))
    made, _ = it.firm.sync()
    assert did(made) == {"7": "disable"}
    assert codes(made) == set()


def test_a_small_delivery_neither_fires_nor_teaches_the_guards_of_the_whole(it: Delivered) -> None:
    it.sync({"id": 3, "title": "", "name": "P3"}, {"id": 41, "title": ""})
    it.firm.hr(*everybody({"id": 3, "title": ""}, {"id": 41, "title": ""}, but=frozenset(range(10, 30))))
    made = it.firm.plan()
    assert "source.rows-drop" in codes(made)
    assert did(made) == {}


def test_nobody_loses_a_group_by_not_being_delivered(tmp_path: Path) -> None:
    provider = Provider(*(account(n) for n in range(PEOPLE)))
    provider.put({"id": "g1", "displayName": "Agents", "members": []}, provider.groups)
    provider.put({"id": "g2", "displayName": "Sales", "members": []}, provider.groups)
    with firm(tmp_path, provider) as found:
        it = Delivered(found)
        it.configure(more='[groups]\ncolumn = "team"\nothers = "remove"\n')
        found.hr(*everybody(*({"id": n, "team": "Agents"} for n in range(20))))
        found.sync()
        ids = {n: it.account(n)["id"] for n in range(PEOPLE)}

        def members(group: str) -> set[object]:
            return {one["value"] for one in provider.groups[group]["members"]}

        assert members("g1") == {ids[n] for n in range(20)}
        made, report = it.sync({"id": 3, "team": "Sales"}, {"id": 25, "team": "Agents;Sales"})
        assert report.clean
        assert members("g1") == {ids[n] for n in range(20) if n != 3} | {ids[25]}
        assert members("g2") == {ids[3], ids[25]}
        made, _ = it.sync()
        assert made.groups == ()
        moved = ({"id": 3, "team": "Sales"}, {"id": 25, "team": "Agents;Sales"})
        found.hr(*everybody(*({"id": n, "team": "Agents"} for n in range(20) if n != 3), *moved))
        found.quiet()


def test_memberships_that_stand_elsewhere_begin_by_a_delivery_of_changes_and_end_by_the_full(tmp_path: Path) -> None:
    provider = Provider(*(account(n) for n in range(PEOPLE)))
    provider.put({"id": "g1", "displayName": "Agents", "members": []}, provider.groups)
    with firm(tmp_path, provider) as found:
        it = Delivered(found)
        it.configure(more='[groups]\npath = "teams.csv"\n')
        teams = found.folder / "teams.csv"
        teams.write_text("id,team\n1,Agents\n2,Agents\n", encoding="utf-8")
        found.hr(*everybody())
        found.sync()
        assert len(provider.groups["g1"]["members"]) == 2
        teams.write_text("id,team\n1,Agents\n3,Agents\n", encoding="utf-8")
        made, _ = it.sync({"id": 2, "title": "Lead"}, {"id": 3})
        assert [(len(g.add), len(g.remove)) for g in made.groups] == [(1, 0)]
        assert "member.unproven" in codes(made)
        found.hr(*everybody({"id": 2, "title": "Lead"}))
        made, _ = found.sync()
        assert [(len(g.add), len(g.remove)) for g in made.groups] == [(0, 1)]


def test_a_quiet_day_is_no_error_and_says_so(it: Delivered) -> None:
    made, report = it.sync()
    assert did(made) == {}
    assert report.clean
    assert told(made) == "nobody is in this delivery of changes: a quiet day"
    (it.firm.folder / "delta.csv").write_bytes(b"")
    said = it.firm.command("plan", "--config", "delta.toml")
    assert said.code == 3
    assert "the file is empty" in said.err
    it.firm.hr()
    assert it.firm.command("plan").code == 3


def test_references_to_people_who_were_not_delivered_resolve(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(*(account(n) for n in range(PEOPLE)))) as found:
        it = Delivered(found)
        it.configure(attributes={**ATTRIBUTES, "enterprise:manager": "ref(boss)"})
        found.hr(*everybody(*({"id": n, "boss": 0} for n in range(1, 6))))
        found.sync()
        made, report = it.sync({"id": 2, "boss": 9}, {"id": 40, "boss": 1})
        assert did(made) == {"2": "update", "40": "create"}
        assert codes(made) == {"source.delta"}
        assert report.clean
        manager = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
        assert it.account(2)[manager]["manager"]["value"] == it.account(9)["id"]  # type: ignore[index]
        assert it.account(40)[manager]["manager"]["value"] == it.account(1)["id"]  # type: ignore[index]
        boss = [{"id": n, "boss": 0} for n in (1, 3, 4, 5)]
        found.hr(*everybody(*boss, {"id": 2, "boss": 9}, {"id": 40, "boss": 1}))
        found.quiet()


def test_shares_count_everybody_who_is_known(it: Delivered) -> None:
    it.configure()
    written = it.firm.folder / "delta.toml"
    given = written.read_text(encoding="utf-8").replace("disable = 1000", 'disable = "10%"')
    written.write_text(given, encoding="utf-8")
    it.write({"id": 1, "status": "left"}, {"id": 2, "status": "left"}, {"id": 3, "status": "left"})
    assert it.plan().refusals == ()
    it.write(*({"id": n, "status": "left"} for n in range(4)))
    made = it.plan()
    assert [(one.rule, one.detail) for one in made.refusals] == [("limits.disable", "4 of 30, allowed 10%")]


def test_what_was_refused_for_everybody_is_not_done_in_deliveries_of_changes(it: Delivered) -> None:
    it.configure()
    for name in ("scimsync.toml", "delta.toml"):
        written = it.firm.folder / name
        written.write_text(written.read_text("utf-8").replace("disable = 1000", "disable = 3"), encoding="utf-8")
    it.firm.hr(*everybody(*({"id": n, "status": "left"} for n in range(10))))
    assert it.firm.plan().refusals
    it.write({"id": 1, "status": "left"})
    assert [one.rule for one in it.plan().refusals] == ["limits.disable"]
    it.write({"id": 1, "title": "Chief"})
    assert it.plan().refusals == ()
    it.firm.hr(*everybody({"id": 1, "title": "Chief"}))
    it.firm.sync()
    it.write({"id": 1, "status": "left"})
    assert it.plan().refusals == ()


def test_an_old_delivery_gives_no_access_back(it: Delivered) -> None:
    it.sync({"id": 3, "title": "Chief"})
    it.firm.hr(*everybody({"id": 3, "title": "Chief", "status": "left"}))
    it.firm.sync()
    assert it.account(3)["active"] is False
    made, _ = it.sync({"id": 3, "title": "Chief"})
    assert "source.old" in codes(made)
    assert it.account(3)["active"] is False
    assert did(it.plan(source__old="it is right")) == {"3": "enable"}


def test_the_same_full_delivery_after_quiet_days_is_no_old_file_and_after_changes_it_is(it: Delivered) -> None:
    it.sync()
    it.sync({"id": 3})
    made, _ = it.firm.sync()
    assert codes(made) == set()
    it.sync({"id": 3, "status": "left"})
    made, _ = it.firm.sync()
    assert codes(made) >= {"source.old"}
    assert it.account(3)["active"] is False


def test_somebody_whose_record_ended_leaves_by_a_delivery_of_changes(tmp_path: Path) -> None:
    for folder, attributes in (
        ("status", ATTRIBUTES),
        ("none", {k: v for k, v in ATTRIBUTES.items() if k != "active"}),
    ):
        with firm(tmp_path / folder, Provider(*(account(n) for n in range(PEOPLE)))) as found:
            it = Delivered(found)
            it.configure(attributes=attributes, source='valid_until = "until"\n')
            found.hr(*everybody({"id": 1, "until": "2999-12-31"}))
            found.sync()
            made, _ = it.sync({"id": 1, "until": "2001-01-01"}, {"id": 2, "until": "2999-12-31"})
            assert did(made) == {"1": "disable"}
            assert it.account(1)["active"] is False


def test_nobody_in_scope_is_a_quiet_day(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(*(account(n) for n in range(PEOPLE)))) as found:
        it = Delivered(found)
        it.configure(source="where = \"title <> 'Extern'\"\n")
        found.hr(*everybody())
        found.sync()
        made, _ = it.sync({"id": 41, "title": "Extern"})
        assert did(made) == {}
        assert codes(made) == {"source.delta"}


def test_explain_says_that_a_person_was_not_delivered(it: Delivered) -> None:
    it.write({"id": 3, "title": "Chief"})
    said = it.firm.command("explain", "7", "--config", "delta.toml")
    assert said.code == 0, said.err
    assert "HR's last word about this person stands" in said.out
    assert "this delivery of changes does not hold this person" in said.out
    assert "left" not in said.out.split("attributes")[0].lower().replace("left-alone", "")
    assert "HR has this person" in it.firm.command("explain", "7").out  # a mapping without references
    assert "Chief" in it.firm.command("explain", "3", "title", "--config", "delta.toml").out
    it.write()
    assert "Nothing is decided" in it.firm.command("explain", "7", "--config", "delta.toml").out


def test_a_person_by_name_who_was_not_delivered_is_left_alone(it: Delivered) -> None:
    it.write({"id": 3, "title": "Chief"})
    assert did(it.plan("7")) == {}
    assert did(it.plan("3", "7")) == {"3": "update"}


def test_a_login_of_somebody_who_was_not_delivered_is_nobodys_to_take(it: Delivered) -> None:
    made, _ = it.sync({"id": 40, "login": "p7@x.org"})
    assert did(made) == {}
    assert "correlation.taken" in codes(made)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "hr"\n', "", "needs name"),
        ("[target]", '[source.expect]\nrows = ">= 10"\n[target]', "does not fit mode"),
        (
            "[target]",
            '[source.ad]\nkind = "csv"\npath = "ad.csv"\nkey = "id"\nmode = "delta"\n[target]',
            "only the first source says who is in a delivery",
        ),
    ],
)
def test_what_does_not_go_with_a_delivery_of_changes_is_refused(it: Delivered, old: str, new: str, said: str) -> None:
    written = it.firm.folder / "delta.toml"
    written.write_text(written.read_text("utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load(written)


class Refusing(Provider):
    """Refuses to change some accounts."""

    refused = frozenset[str]()

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        if resource["userName"] in self.refused:
            return self.refuse(400, "no", "invalidValue")
        return super().patch(resource, body, if_match)


def test_whoever_a_delivery_held_in_vain_is_told_of_until_they_are_done(tmp_path: Path) -> None:
    provider = Refusing(*(account(n) for n in range(PEOPLE)))
    with firm(tmp_path, provider) as found:
        it = Delivered(found)
        it.configure()
        found.hr(*everybody())
        found.sync()
        provider.refused = frozenset({"p3@x.org", "p5@x.org"})
        it.sync(
            {"id": 3, "status": "left"}, {"id": 5, "title": "Lead"}, {"id": 6, "title": "Lead"}, {"id": 7, "login": ""}
        )
        provider.refused = frozenset()

        def waiting() -> dict[str, set[str]]:
            made = it.plan()
            kept = {one.subject for one in made.findings if one.code == "leaver.kept"}
            return {"undone": {f.subject for f in made.findings if f.code == "source.delta-undone"}, "kept": kept}

        it.write()
        assert waiting() == {"undone": {"3", "5", "7"}, "kept": {"3"}}
        said = it.firm.command("sync", "--config", "delta.toml")
        assert said.code == 11
        assert "leaver.kept" in said.out
        assert "was not done" in it.firm.command("explain", "5", "--config", "delta.toml").out
        it.write({"id": 9})
        assert waiting() == {"undone": {"3", "5", "7"}, "kept": {"3"}}
        it.sync({"id": 3, "status": "left"}, {"id": 7})
        it.write()
        assert waiting() == {"undone": {"5"}, "kept": set()}
        found.hr(*everybody({"id": 3, "status": "left"}, {"id": 5, "title": "Lead"}, {"id": 6, "title": "Lead"}))
        found.sync()
        assert waiting() == {"undone": set(), "kept": set()}
        assert it.firm.command("sync", "--config", "delta.toml").code == 0


def test_a_delivery_that_was_refused_and_never_applied_is_told_of(it: Delivered) -> None:
    written = it.firm.folder / "delta.toml"
    written.write_text(written.read_text("utf-8").replace("disable = 1000", "disable = 1"), encoding="utf-8")
    it.write({"id": 1, "status": "left"}, {"id": 2, "status": "left"})
    made = it.plan()
    assert made.refusals
    it.write()
    kept = {one.subject for one in it.plan().findings if one.code == "leaver.kept"}
    assert kept == {"1", "2"}
    said = it.firm.command(
        "apply", made.id, "--config", "delta.toml", "--override", "limits.disable", "--reason", "right", "--yes"
    )
    assert said.code == 0, said.err
    assert codes(it.plan()) == {"source.delta"}


def test_whoever_was_delivered_in_vain_is_not_forgotten_after_many_deliveries(
    it: Delivered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scimsync.engine.absent._LOOKED_AT", 2)
    written = it.firm.folder / "delta.toml"
    written.write_text(written.read_text("utf-8").replace("disable = 1000", "disable = 0"), encoding="utf-8")
    it.write({"id": 1, "status": "left"})
    it.plan()
    for n in range(4):
        made, _ = it.sync({"id": 9, "title": f"T{n}"})
        assert {one.subject for one in made.findings if one.code == "leaver.kept"} == {"1"}
    it.sync({"id": 1})
    assert codes(it.sync()[0]) == {"source.delta"}


def test_a_group_that_could_not_be_written_leaves_its_people_undone(tmp_path: Path) -> None:
    class Closed(Provider):
        closed = False

        def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
            if self.closed and resource["id"] in self.groups:
                return self.refuse(400, "no", "invalidValue")
            return super().patch(resource, body, if_match)

    provider = Closed(*(account(n) for n in range(PEOPLE)))
    provider.put({"id": "g1", "displayName": "Agents", "members": []}, provider.groups)
    with firm(tmp_path, provider) as found:
        it = Delivered(found)
        it.configure(more='[groups]\ncolumn = "team"\n')
        found.hr(*everybody(*({"id": n, "team": "Agents"} for n in range(20))))
        found.sync()
        provider.closed = True
        it.sync({"id": 21, "team": "Agents"}, {"id": 22, "title": "Lead", "team": ""})
        it.write()
        assert [f.subject for f in it.plan().findings if f.code == "source.delta-undone"] == ["21"]


def test_doctor_knows_a_delivery_of_changes_and_a_quiet_day(it: Delivered) -> None:
    it.write({"id": 3, "title": "Chief"})
    said = it.firm.command("doctor", "--config", "delta.toml")
    assert "who is gone from HR is found by the configuration that reads everybody" in said.out
    assert "1 records, 5 columns; the mapping fits" in said.out
    it.write()
    assert "nobody today: a quiet day" in it.firm.command("doctor", "--config", "delta.toml").out


def test_changes_of_a_database_are_asked_for_and_none_is_a_quiet_day(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(*(account(n) for n in range(PEOPLE)))) as found:
        it = Delivered(found)
        it.configure(attributes={**ATTRIBUTES, "active": "hours > 0", "nickName": "(year + 1)::VARCHAR"})
        with sqlite3.connect(found.folder / "hr.db") as hr:
            hr.execute("CREATE TABLE p (id TEXT, login TEXT, name TEXT, title TEXT, hours INT, year INT, day TEXT)")
            rows = [(str(n), f"p{n}@x.org", f"P{n}", "T", 40, 2020, "2026-01-01") for n in range(PEOPLE)]
            hr.executemany("INSERT INTO p VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        for name, path, where in (
            ("scimsync.toml", "hr.csv", ""),
            ("delta.toml", "delta.csv", " WHERE day > '2026-01-02'"),
        ):
            sql = f'url = "sqlite:///hr.db"\nquery = "SELECT * FROM p{where}"'
            written = (found.folder / name).read_text("utf-8").replace('kind = "csv"', 'kind = "sql"')
            written = written.replace(f'path = "{path}"', sql).replace('complete = "assume"\n', "")
            (found.folder / name).write_text(written, encoding="utf-8")
        found.sync()
        made = it.plan()
        assert told(made) == "nobody is in this delivery of changes: a quiet day"
        assert it.apply(made.id).clean
        with sqlite3.connect(found.folder / "hr.db") as hr:
            hr.execute("UPDATE p SET hours = 0, day = '2026-01-03' WHERE id = '4'")
            hr.execute("DELETE FROM p WHERE id = '5'")
        made = it.plan()
        assert did(made) == {"4": "disable"}
        assert it.apply(made.id).clean
        assert did(found.plan()) == {"5": "disable"}


def test_a_query_asks_for_what_changed_since_a_day_before_the_last_run_with_everybody(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(*(account(n) for n in range(PEOPLE)))) as found:
        it = Delivered(found)
        it.configure(attributes={**ATTRIBUTES, "active": "hours > 0"})
        today, long_ago = datetime.now(UTC), datetime.now(UTC) - timedelta(days=3)
        with sqlite3.connect(found.folder / "hr.db") as hr:
            hr.execute("CREATE TABLE p (id TEXT, login TEXT, name TEXT, title TEXT, hours INT, moved TEXT)")
            rows = [(str(n), f"p{n}@x.org", f"P{n}", "T", 40, f"{long_ago:%Y-%m-%d %H:%M:%S}") for n in range(PEOPLE)]
            hr.executemany("INSERT INTO p VALUES (?, ?, ?, ?, ?, ?)", rows)
        for name, path, where in (
            ("scimsync.toml", "hr.csv", ""),
            ("delta.toml", "delta.csv", " WHERE moved >= '{since}'"),
        ):
            sql = f'url = "sqlite:///hr.db"\nquery = "SELECT * FROM p{where}"'
            written = (found.folder / name).read_text("utf-8").replace('kind = "csv"', 'kind = "sql"')
            written = written.replace(f'path = "{path}"', sql).replace('complete = "assume"\n', "")
            (found.folder / name).write_text(written, encoding="utf-8")
        with pytest.raises(ConfigError, match="there was none"):
            it.plan()
        found.sync()
        assert told(it.plan()) == "nobody is in this delivery of changes: a quiet day"
        with sqlite3.connect(found.folder / "hr.db") as hr:
            hr.execute("UPDATE p SET hours = 0, moved = ? WHERE id = '4'", [f"{today:%Y-%m-%d %H:%M:%S}"])
            hr.execute("UPDATE p SET hours = 0 WHERE id = '5'")  # and HR does not say when
        made = it.plan()
        assert did(made) == {"4": "disable"}
        assert it.apply(made.id).clean
        assert did(it.plan()) == {}
        assert did(found.plan()) == {"5": "disable"}
        text = (found.folder / "delta.toml").read_text("utf-8").replace('mode = "delta"', "")
        (found.folder / "delta.toml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="asks for changes, and wants mode"):
            it.plan()


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        (
            'kind = "ldap"\nurl = "ldaps://ad"\nbase = "dc=x"\nanonymous = true\nattributes = ["id"]\nfilter = "(modifyTimestamp>={since})"',
            "(modifyTimestamp>=20261127095500Z)",
        ),
        (
            'kind = "rest"\nurl = "https://hr/p"\ncolumns = { id = "id" }\nparameters = { updated_since = "{since}" }',
            "2026-11-27T09:55:00Z",
        ),
        (
            'kind = "sql"\nurl = "sqlite:///x"\nquery = "SELECT * FROM p WHERE t >= \'{since}\'"',
            "t >= '2026-11-27 09:55:00'",
        ),
    ],
    ids=["ldap", "rest", "sql"],
)
def test_each_kind_writes_the_moment_as_its_server_reads_it(tmp_path: Path, source: str, asked: str) -> None:
    text = f"""[source]
{source}
mode = "delta"
name = "hr"
key = "id"
[target]
dialect = "generic"
api_url = "http://127.0.0.1:1/v2"
token = "env:NOBODY"
[attributes]
userName = "id"
displayName = "id"
"""
    (tmp_path / "scimsync.toml").write_text(text, encoding="utf-8")
    given = load(tmp_path / "scimsync.toml", secrets=False).source
    moment = datetime(2026, 11, 27, 10, 55, tzinfo=timezone(timedelta(hours=1)))
    assert asked in str(to_builtins(bootstrap_sources.asked_since(given, moment), str_keys=True))


def test_a_file_of_lines_without_any_is_a_quiet_day(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(*(account(n) for n in range(PEOPLE)))) as found:
        it = Delivered(found)
        it.configure(more='[groups]\ncolumn = "team"\n', source="on_leave = \"leave = 'yes'\"\n")
        found.hr(*everybody(*({"id": n, "team": "A", "leave": "no"} for n in range(PEOPLE))))
        found.sync()
        written = it.firm.folder / "delta.toml"
        text = written.read_text("utf-8").replace('kind = "csv"', 'kind = "jsonl"').replace("delta.csv", "delta.jsonl")
        written.write_text(text, encoding="utf-8")
        (found.folder / "delta.jsonl").write_bytes(b"")
        assert told(it.plan()) == "nobody is in this delivery of changes: a quiet day"
        written.write_text(text.replace('complete = "assume"', 'complete = "unproven"'), encoding="utf-8")
        assert it.firm.command("plan", "--config", "delta.toml").code == 3
        written.write_text(text, encoding="utf-8")
        assert it.firm.command("doctor", "--config", "delta.toml").code in {0, 5}
        assert "Nothing is decided" in it.firm.command("explain", "7", "--config", "delta.toml").out


def test_changes_are_joined_to_another_source_as_everybody_is(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(*(account(n) for n in range(PEOPLE)))) as found:
        it = Delivered(found)
        it.configure(attributes={**ATTRIBUTES, "title": "coalesce(ad.title, hr.title)"})
        joined = '[source.ad]\nkind = "csv"\npath = "ad.csv"\nkey = "id"\ncomplete = "assume"\n[target]'
        for name in ("scimsync.toml", "delta.toml"):
            written = found.folder / name
            written.write_text(written.read_text("utf-8").replace("[target]", joined, 1), encoding="utf-8")
        lines = [f"{n},Of {n}" for n in range(PEOPLE)]
        (found.folder / "ad.csv").write_text("\n".join(["id,title", *lines, ""]), encoding="utf-8")
        found.hr(*everybody())
        found.sync()
        assert it.account(3)["title"] == "Of 3"
        (found.folder / "ad.csv").write_text("\n".join(["id,title", "3,Chief", *lines[4:], ""]), encoding="utf-8")
        made, _ = it.sync({"id": 3}, {"id": 4, "name": "Four"})
        assert did(made) == {"3": "update", "4": "update"}
        assert it.account(3)["title"] == "Chief"
        assert it.account(1)["title"] == "Of 1"
        (found.folder / "ad.csv").unlink()
        made, _ = it.sync({"id": 3, "title": "Boss", "name": "Three"})
        assert [d.path for change in made.changes for d in change.deltas] == ["displayName"]
        assert told(it.sync()[0]) == "nobody is in this delivery of changes: a quiet day"
        (found.folder / "ad.csv").write_text("\n".join(["id,title", *lines, ""]), encoding="utf-8")
        found.hr(*everybody({"id": 3, "name": "Three"}, {"id": 4, "name": "Four"}))
        made, _ = found.sync()
        assert {d.path for change in made.changes for d in change.deltas} == {"title"}
        found.quiet()


def test_a_delivery_of_changes_need_not_list_the_directory(it: Delivered) -> None:
    it.configure(target='depth = "source"')
    written = it.firm.folder / "scimsync.toml"
    written.write_text(written.read_text("utf-8").replace('depth = "source"', ""), encoding="utf-8")
    it.firm.sync()
    before = len(it.firm.provider.asked)
    made, report = it.sync({"id": 3, "title": "Chief"}, {"id": 5, "status": "left"}, {"id": 40})
    assert did(made) == {"3": "update", "5": "disable", "40": "create"}
    assert told(made) == "28 people with access are not in this delivery of changes; nothing is decided about them"
    assert report.clean
    listed = [a for a in it.firm.provider.asked[before:] if a.method == "GET" and a.path == "/Users"]
    assert all("filter" in asked.query for asked in listed)
    it.firm.hr(*everybody({"id": 3, "title": "Chief"}, {"id": 5, "status": "left"}, {"id": 40}))
    it.firm.quiet()


def test_the_first_delivery_may_be_one_of_changes(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(*(account(n) for n in range(PEOPLE)))) as found:
        it = Delivered(found)
        it.configure()
        made, report = it.sync({"id": 3, "title": "Chief"}, {"id": 40})
        assert did(made) == {"3": "update", "40": "create"}
        assert report.clean
        found.hr(*everybody({"id": 3, "title": "Chief"}, {"id": 40}, but=frozenset({9})))
        made, _ = found.sync()
        assert did(made) == {}
        assert codes(made) == set()
        assert it.account(9)["active"] is True  # nobody's, as far as we know
        found.hr(*everybody({"id": 3, "title": "Chief"}, but=frozenset({9})))
        assert did(found.plan()) == {"40": "disable"}

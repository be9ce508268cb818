"""An offline plan is the plan that the directory would get, as long as nobody edited it since."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.runs import Quiet
from tests.servers import ATTRIBUTES, Firm, Provider, account, codes, firm, person

from scimsync import bootstrap
from scimsync.adapters.source_file import CsvSource
from scimsync.config import load
from scimsync.core.differing_plans import difference
from scimsync.errors import PlanStale
from scimsync.model.plans import Plan
from scimsync.services import comparing, offline
from scimsync.services.comparing import Comparison
from scimsync.services.planning import Choices

GROUPS = '[groups]\ncolumn = "teams"\nmanaged = ["Sales", "Ops"]\n'


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def house(tmp_path: Path, provider: Provider) -> Iterator[Firm]:
    with firm(tmp_path, provider) as found:
        for name in ("Sales", "Ops"):
            provider.put({"displayName": name, "members": []}, provider.groups)
        yield found


def plan_offline(house: Firm, *only: str) -> Plan:
    settings = load(house.folder / "scimsync.toml", secrets=False)
    with bootstrap.open_store(settings) as store:
        return asyncio.run(offline.plan(settings, store, Quiet(), Choices(only=only)))


def compare(house: Firm, other: str = "before.toml") -> Comparison:
    two = comparing.load_both(house.folder / "scimsync.toml", str(house.folder / other))
    with bootstrap.open_store(two.after) as store:
        return asyncio.run(comparing.compare(two, store, Quiet(), Choices()))


def keep(house: Firm) -> None:
    """Keep the configuration as what it was."""
    (house.folder / "before.toml").write_bytes((house.folder / "scimsync.toml").read_bytes())


def told(found: Comparison) -> dict[tuple[str, str, str], int]:
    return {(effect.rule, effect.kind.value, effect.what): effect.number for effect in found.effects}


def same_as_online(house: Firm) -> Plan:
    """Both plans do and tell the same, but that one says that it asked nobody."""
    without = plan_offline(house)
    asked = len(house.provider.asked)
    with_directory = house.plan()
    assert len(house.provider.asked) > asked
    assert "plan.offline" in codes(without)
    ours = {"plan.offline", "schema.unpublished"}
    bare = [replace(p, findings=tuple(f for f in p.findings if f.code not in ours)) for p in (without, with_directory)]
    found = difference(*bare)
    assert (found.added, found.gone, found.altered) == ((), (), ())
    assert not found.findings_added
    assert not found.findings_gone
    assert (found.groups_added, found.groups_gone, found.groups_altered) == ((), (), ())
    return without


def test_joiners_movers_leavers_and_rehires_are_planned_as_with_the_directory(house: Firm, provider: Provider) -> None:
    house.hr(*({"id": n, "status": "left" if n == 4 else "active"} for n in range(1, 8)))
    provider.put(account(99))
    provider.put(account(4))
    house.sync()
    assert not same_as_online(house).changes
    people = [{"id": n} for n in (1, 3, 4, 5, 6, 8)]  # 2 and 7 are gone, 4 comes back, 8 is new
    people[1]["title"] = "Lead"  # type: ignore[assignment]
    people[3]["status"] = "left"  # type: ignore[assignment]
    house.hr(*people)
    made = same_as_online(house)
    assert {c.key: c.action.value for c in made.changes} == {
        "2": "disable", "3": "update", "4": "enable", "5": "disable", "7": "disable", "8": "create",
    }  # fmt: skip
    house.sync()
    assert not same_as_online(house).changes


def test_memberships_are_planned_from_what_the_last_run_left(house: Firm) -> None:
    house.configure(more=GROUPS)
    teams: list[Mapping[str, object]] = [
        {"id": 1, "teams": "Sales;Ops"},
        {"id": 2, "teams": "Sales"},
        {"id": 3, "teams": ""},
    ]
    house.hr(*teams)
    made = house.plan()
    first = plan_offline(house)  # nobody was applied: no group is known yet
    assert not first.groups
    assert "group.unread" in codes(first)
    house.apply(made.id)
    assert not same_as_online(house).groups
    house.hr({"id": 1, "teams": "Ops"}, {"id": 2, "teams": "Sales"}, {"id": 3, "teams": "Sales"})
    without, with_directory = plan_offline(house), house.plan()
    moves = [
        {(g.group, m.key, word) for g in p.groups for word, ms in (("+", g.add), ("-", g.remove)) for m in ms}
        for p in (without, with_directory)
    ]
    assert moves[0] == moves[1]
    assert len(moves[0]) == 2


def test_some_people_are_planned_offline_too(house: Firm) -> None:
    house.hr({"id": 1}, {"id": 2})
    house.sync()
    house.hr({"id": 1, "title": "Lead"}, {"id": 2, "title": "Lead"})
    assert [c.key for c in plan_offline(house, "2").changes] == ["2"]


def test_people_who_could_not_be_found_are_not_taken_for_new(house: Firm, provider: Provider) -> None:
    provider.put(account(1))
    house.hr({"id": 1})
    house.configure({path: ATTRIBUTES[path] for path in ("userName", "displayName", "active")}, match=["userName"])
    house.plan()
    house.configure(match=["externalId"])
    with pytest.raises(PlanStale, match="externalId"):
        plan_offline(house)


def test_an_offline_plan_is_no_ground_for_believing_the_schema(house: Firm) -> None:
    house.hr({"id": 1})
    house.sync()
    plan_offline(house)
    settings = load(house.folder / "scimsync.toml")
    with bootstrap.open_store(settings) as store:
        last = store.runs(1)[0]
        assert not last.compared
        assert (last.agreed, last.base, last.health) == ("", "", None)


# --- what a configuration does ----------------------------------------------------------------------


def test_another_mark_that_finds_other_accounts_is_the_worst_and_comes_first(house: Firm, provider: Provider) -> None:
    house.configure(match=["externalId"])
    provider.put(account(1, userName="p2@x.org"))
    provider.put({**account(2, userName="p1@x.org"), "title": "Old"})
    house.hr(person(1), person(2))
    house.plan()
    keep(house)
    house.configure(match=["userName"])
    found = compare(house)
    assert [rule.name for rule in found.rules] == ["[correlation] match"]
    first = found.effects[0]
    assert (first.kind.value, first.number, first.rule) == ("account", 2, "[correlation] match")


def test_leavers_who_would_keep_access_and_values_are_told_under_their_own_rules(house: Firm) -> None:
    house.hr({"id": 1}, {"id": 2}, {"id": 3})
    house.sync()
    house.hr({"id": 1}, {"id": 2})
    keep(house)
    house.configure({**ATTRIBUTES, "title": "upper(title) || '!'"}, policy='leavers = "keep"')
    by = told(compare(house))
    assert by["[policy] leavers", "access", "not disable"] == 1
    assert by["[attributes] title", "value", "title"] == 2
    assert next(iter(by)) == ("[policy] leavers", "access", "not disable")


def test_what_two_rules_do_only_together_is_told_under_none_of_them(house: Firm) -> None:
    house.configure(policy='authority = "cloud_wins"')
    house.hr({"id": 1}, {"id": 2})
    house.sync()
    edited = next(one["id"] for one in house.provider.users.values() if one["externalId"] == "2")
    house.provider.edit(edited, title="By hand")
    house.plan()
    keep(house)
    house.configure({**ATTRIBUTES, "title": "title || '!'"}, policy='authority = "local_wins"')
    by = told(compare(house))
    assert by["[attributes] title", "value", "title"] == 1
    assert by["several rules at once", "value", "title"] == 1


def test_another_source_file_is_a_rule_of_its_own(house: Firm) -> None:
    house.hr({"id": 1}, {"id": 2})
    house.sync()
    keep(house)
    house.hr({"id": 1}, {"id": 2, "title": "Lead"})
    (house.folder / "other.csv").write_bytes((house.folder / "hr.csv").read_bytes())
    house.hr({"id": 1}, {"id": 2})
    file = house.folder / "scimsync.toml"
    file.write_text(file.read_text().replace('path = "hr.csv"', 'path = "other.csv"\nname = "hr"'))
    before = house.folder / "before.toml"
    before.write_text(before.read_text().replace('path = "hr.csv"', 'path = "hr.csv"\nname = "hr"'))
    found = compare(house)
    assert [(rule.name, rule.after) for rule in found.rules] == [("[source]", "path")]
    assert told(found)["[source]", "value", "title"] == 1


def test_who_is_not_changed_by_the_new_mapping_is_no_effect_of_it(house: Firm) -> None:
    """A reference that names nobody is told of in one line of whoever is not written, and by person of whoever is."""
    house.configure({**ATTRIBUTES, "enterprise:manager": "ref(boss)"})
    house.hr(*({"id": n, "boss": "404"} for n in range(1, 8)))
    house.sync()
    keep(house)
    house.configure({**ATTRIBUTES, "enterprise:manager": "ref(boss)", "title": "upper(title)"})
    assert {what for _, kind, what in told(compare(house)) if kind == "finding"} == set()


def test_one_reading_of_the_source_serves_both_sides(house: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    house.hr({"id": 1}, {"id": 2})
    house.sync()
    keep(house)
    house.configure({**ATTRIBUTES, "title": "upper(title)", "displayName": "upper(name)"})
    reads, read = [], CsvSource.read
    monkeypatch.setattr(CsvSource, "read", lambda self: reads.append(1) or read(self))
    compare(house)
    assert len(reads) == 1
